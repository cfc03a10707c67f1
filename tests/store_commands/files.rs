//! `import` and `export`: the files of an image as one archive.

use std::fs;
use std::path::Path;

use crate::store_commands::{digest_of, shop};
use crate::workspace::{Workspace, list};

/// A root file system with a mode, an owner, a link and a time of its own, its members in this order.
fn rootfs(path: &Path, reverse: bool) {
    let mut members: Vec<(&str, tar::EntryType, u32, &str)> = vec![
        ("bin/", tar::EntryType::Directory, 0o755, ""),
        ("bin/sh", tar::EntryType::Regular, 0o4755, "#!"),
        ("etc/motd", tar::EntryType::Regular, 0o640, "hello"),
        ("sh", tar::EntryType::Symlink, 0o777, "bin/sh"),
    ];
    if reverse {
        members.reverse();
    }
    let mut archive = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, kind, mode, text) in members {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_000_000_000);
        match kind {
            tar::EntryType::Symlink => archive.append_link(&mut header, name, text).unwrap(),
            _ => {
                header.set_size(text.len() as u64);
                archive.append_data(&mut header, name, text.as_bytes()).unwrap();
            }
        }
    }
    archive.into_inner().unwrap();
}

#[test]
fn a_root_file_system_becomes_an_image_and_comes_back() {
    let workspace = Workspace::new();
    rootfs(&workspace.path("a.tar"), false);
    rootfs(&workspace.path("b.tar"), true);
    let import = |file: &str, name: &str| {
        let flags =
            ["--platform", "linux/arm64", "--entrypoint", "/bin/sh", "--cmd", "-c", "--cmd", "x", "--env", "A=1"];
        workspace.ok(&[&["import", file, name], &flags[..], &["--label", "k=v"]].concat())
    };
    let made = import("a.tar", "base:1");
    let digest = digest_of(&workspace, "base:1");
    assert_eq!(made, format!("base:1 {digest}\n"));
    import("b.tar", "base:2");
    assert_eq!(digest_of(&workspace, "base:2"), digest, "whatever the order of the archive");
    workspace.ok(&["inspect", "base:1", "--check"]);
    let template =
        "{{.Platform}} {{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.Env}} {{.Config.Labels}} {{.Created}}";
    assert_eq!(
        workspace.ok(&["inspect", "base:1", "--format", template]),
        "linux/arm64 [/bin/sh] [-c x] [A=1] map[k:v] 1970-01-01T00:00:00Z\n"
    );

    workspace.ok(&["export", "base:1", "-o", "out.tar"]);
    let files = list(&workspace.path("out.tar"));
    assert_eq!(
        files,
        ["bin/ 0755 7:8", "bin/sh 4755 7:8 #!", "etc/ 0755 0:0", "etc/motd 0640 7:8 hello", "sh 0777 7:8 -> bin/sh"]
    );
    let piped = workspace.command(&["export", "base:1"]).output().unwrap();
    assert!(piped.stdout == fs::read(workspace.path("out.tar")).unwrap());
    let mut archive = tar::Archive::new(fs::File::open(workspace.path("out.tar")).unwrap());
    let times: Vec<u64> = archive.entries().unwrap().map(|entry| entry.unwrap().header().mtime().unwrap()).collect();
    assert_eq!(times, [1_000_000_000, 1_000_000_000, 0, 1_000_000_000, 1_000_000_000]);

    // What was exported is imported as the same layer.
    workspace.ok(&["import", "out.tar", "again"]);
    let layers = |name: &str| workspace.ok(&["inspect", name, "--format", "{{json .RootFS.Layers}}"]);
    assert_eq!(layers("again"), layers("base:1"));
}

#[test]
fn what_is_no_root_file_system_is_refused() {
    let workspace = Workspace::new();
    let archive = |name: &str| {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(0);
        header.set_mode(0o644);
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, &[][..]).unwrap();
        archive.into_inner().unwrap()
    };
    for name in ["../evil", "/../evil", "a/.wh.b", ".wh..wh..opq"] {
        workspace.write("x.tar", archive(name));
        workspace.fails(1, &["import", "x.tar", "x"]);
    }
    workspace.write("x.tar", b"\0not an archive");
    workspace.fails(1, &["import", "x.tar", "x"]);
    // A text is taken for a Dockerfile, which has no name.
    workspace.write("x.tar", "not an archive");
    workspace.fails(2, &["import", "x.tar", "x"]);
    workspace.fails(1, &["import", "nowhere.tar", "x"]);
    workspace.write("x.tar", archive("good"));
    assert!(workspace.fails(2, &["import", "x.tar", "x", "--workdir", "relative"]).contains("workdir"));
    assert!(workspace.fails(2, &["import", "x.tar", "Not A Name"]).contains("not the name"));
    assert_eq!(workspace.ok(&["images", "-q"]), "");
    let digest = workspace.ok(&["import", "x.tar"]);
    assert_eq!(workspace.ok(&["images", "--format", "{{.Name}} {{.Digest}}"]), format!("<none> {digest}"));
}

#[test]
fn an_export_is_what_a_build_writes() {
    let workspace = shop();
    workspace.ok(&["export", "both", "--platform", "linux/arm64", "-o", "arm.tar"]);
    workspace.ok(&["build", "//:arm", "-o", "tar:built.tar"]);
    assert!(fs::read(workspace.path("arm.tar")).unwrap() == fs::read(workspace.path("built.tar")).unwrap());
    assert!(workspace.fails(2, &["export", "both"]).contains("--platform"));
}
