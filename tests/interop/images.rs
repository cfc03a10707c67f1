//! Images on disk: what skopeo, umoci, podman and buildah make of ours, and we of theirs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::workspace::{Workspace, digest};
use crate::{policy, tool};

/// A tar with what specs alone cannot say: hard links, long names, special modes, extended attributes.
fn rich_tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, mode: u32, link: Option<&str>, content: &str| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(1000);
        header.set_gid(1001);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        match link {
            Some(target) => tar.append_link(&mut header, path, target).unwrap(),
            None => tar.append_data(&mut header, path, content.as_bytes()).unwrap(),
        }
    };
    let long = format!("deep/{}/{}/file", "d".repeat(120), "e".repeat(120));
    add("bin/su", tar::EntryType::Regular, 0o4755, None, "setuid");
    add("bin/sudo", tar::EntryType::Link, 0o4755, Some("bin/su"), "");
    add("bin/sh", tar::EntryType::Symlink, 0o777, Some("../usr/bin/dash"), "");
    add("shared", tar::EntryType::Directory, 0o3770, None, "");
    add("héllo wörld", tar::EntryType::Regular, 0o600, None, "text");
    add(&long, tar::EntryType::Regular, 0o644, None, "far away");
    tar.append_pax_extensions([("SCHILY.xattr.user.colour", "green".as_bytes())]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(1);
    tar.append_data(&mut header, "tagged", "x".as_bytes()).unwrap();
    tar.into_inner().unwrap()
}

/// An image of it with everything that a config can say.
pub fn rich_workspace(compression: &str) -> Workspace {
    Workspace::new().file("rich.tar", rich_tar()).file(
        "BUILD.star",
        format!(
            "image(
    name = 'rich',
    layers = [
        archive(src = 'rich.tar'),
        dir('/tmp', mode = '1777'),
        accounts(users = [{{'name': 'web', 'uid': 1000}}]),
        write('/big', 'x' * 3000000),
    ],
    env = {{'B': '2', 'A': '1'}},
    entrypoint = ['/bin/su'],
    cmd = ['-'],
    user = 'web',
    workdir = '/tmp',
    ports = ['8080'],
    volumes = ['/data'],
    labels = {{'org.example.k': 'v'}},
    stop_signal = 'SIGINT',
    author = 'ocify',
    created = '2024-02-29T12:00:00Z',
    tags = ['example.com/rich:1'],
    compression = '{compression}',
)"
        ),
    )
}

#[test]
fn skopeo_shows_the_config_that_the_spec_gives() {
    let workspace = rich_workspace("gzip");
    let built = digest(&workspace.ok(&["build", "//:rich", "-o", "oci:out"]));
    let layout = format!("oci:{}:example.com/rich:1", workspace.path("out").display());
    let store = format!("oci:{}:rich", workspace.store().display());
    for image in [&layout, &store] {
        let config: serde_json::Value = serde_json::from_str(&tool("skopeo", &["inspect", "--config", image])).unwrap();
        assert_eq!(config["created"], "2024-02-29T12:00:00Z");
        assert_eq!(config["author"], "ocify");
        assert_eq!(config["architecture"], "amd64");
        assert_eq!(config["config"]["Env"], serde_json::json!(["B=2", "A=1"]));
        assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/bin/su"]));
        assert_eq!(config["config"]["Cmd"], serde_json::json!(["-"]));
        assert_eq!(config["config"]["User"], "web");
        assert_eq!(config["config"]["WorkingDir"], "/tmp");
        assert_eq!(config["config"]["ExposedPorts"], serde_json::json!({"8080/tcp": {}}));
        assert_eq!(config["config"]["Volumes"], serde_json::json!({"/data": {}}));
        assert_eq!(config["config"]["Labels"]["org.example.k"], "v");
        assert_eq!(config["config"]["StopSignal"], "SIGINT");
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 4);
        let summary: serde_json::Value = serde_json::from_str(&tool("skopeo", &["inspect", image])).unwrap();
        assert_eq!(summary["Digest"], built.as_str());
    }
}

#[test]
fn skopeo_copies_every_output_without_changing_it() {
    let workspace = rich_workspace("gzip");
    let built = digest(&workspace.ok(&[
        "build",
        "//:rich",
        "-o",
        "oci:out",
        "-o",
        "oci-archive:oci.tar",
        "-o",
        "docker-archive:docker.tar",
    ]));
    let at = |name: &str| workspace.path(name).display().to_string();
    let sources = [format!("oci:{}:example.com/rich:1", at("out")), format!("oci-archive:{}", at("oci.tar"))];
    for (number, source) in sources.iter().enumerate() {
        let copy = format!("oci:{}:copy", at(&format!("copy-{number}")));
        tool("skopeo", &["--insecure-policy", "copy", "--preserve-digests", source, &copy]);
        let summary: serde_json::Value = serde_json::from_str(&tool("skopeo", &["inspect", &copy])).unwrap();
        assert_eq!(summary["Digest"], built.as_str(), "{source}");
    }
    let docker = format!("docker-archive:{}", at("docker.tar"));
    tool("skopeo", &["--insecure-policy", "copy", &docker, &format!("dir:{}", at("from-docker"))]);
}

#[test]
fn a_base_written_by_skopeo_is_read_back() {
    let workspace = rich_workspace("gzip");
    workspace.ok(&["build", "//:rich", "-o", "oci:out"]);
    let at = |name: &str| workspace.path(name).display().to_string();
    let source = format!("oci:{}:example.com/rich:1", at("out"));
    tool("skopeo", &["--insecure-policy", "copy", &source, &format!("docker-archive:{}:a/b:c", at("docker.tar"))]);
    tool("skopeo", &["--insecure-policy", "copy", &source, &format!("oci-archive:{}:x", at("oci.tar"))]);
    tool("skopeo", &["--insecure-policy", "copy", &source, &format!("oci:{}:x", at("layout"))]);
    let manifest: serde_json::Value =
        serde_json::from_str(&tool("skopeo", &["inspect", &format!("oci:{}:x", at("layout"))])).unwrap();
    let before = workspace.tree("//:rich");
    workspace.write(
        "BUILD.star",
        format!(
            "image(name = 'docker', base = docker_archive(path = 'docker.tar'))
image(name = 'oci', base = oci_archive(path = 'oci.tar'))
image(name = 'layout', base = oci_layout(path = 'layout', digest = {}))",
            manifest["Digest"]
        ),
    );
    for name in ["docker", "oci", "layout"] {
        assert_eq!(workspace.tree(&format!("//:{name}")), before, "{name}");
    }
}

#[test]
fn umoci_unpacks_the_tree_that_ocify_extracts() {
    for compression in ["gzip", "none"] {
        let workspace = rich_workspace(compression);
        workspace.ok(&["build", "//:rich", "-o", "oci:out", "-o", "dir:ours"]);
        let image = format!("{}:example.com/rich:1", workspace.path("out").display());
        let bundle = workspace.path("bundle");
        let bundle = bundle.to_str().unwrap();
        let mut arguments = vec!["unpack", "--image", &image];
        if !rustix::process::geteuid().is_root() {
            arguments.push("--rootless");
        }
        arguments.push(bundle);
        tool("umoci", &arguments);
        let (ours, theirs) = (files(&workspace.path("ours")), files(&Path::new(bundle).join("rootfs")));
        for path in ours.keys().chain(theirs.keys()) {
            assert_eq!(ours.get(path), theirs.get(path), "{compression}: {path}");
        }
        assert!(ours.len() >= 17, "{ours:?}");
    }
}

#[test]
fn podman_loads_and_buildah_starts_from_the_archives() {
    let workspace = rich_workspace("gzip");
    workspace.ok(&["build", "//:rich", "-o", "oci-archive:oci.tar", "-o", "docker-archive:docker.tar"]);
    let at = |name: &str| workspace.path(name).display().to_string();
    let (root, runroot, policy) = (at("storage"), at("run"), policy(&workspace));
    let storage = ["--root", root.as_str(), "--runroot", runroot.as_str(), "--storage-driver", "vfs"];
    for archive in [at("oci.tar"), at("docker.tar")] {
        let loaded = tool("podman", &[&storage[..], &["load", "-i", &archive]].concat());
        assert!(loaded.contains("Loaded image"), "{loaded}");
    }
    let inspect = ["inspect", "--format", "{{.Config.User}}", "example.com/rich:1"];
    assert_eq!(tool("podman", &[&storage[..], &inspect].concat()).trim(), "web");
    let source = format!("oci-archive:{}", at("oci.tar"));
    let from = ["from", "--pull-never", "--signature-policy", &policy, &source];
    assert!(!tool("buildah", &[&storage[..], &from].concat()).trim().is_empty());
}

#[test]
fn an_index_is_read_by_skopeo_platform_by_platform() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "index(name = 'all', tags = ['all:1'], images = [
            image(name = a, platform = 'linux/' + a, layers = [write('/a', a)]) for a in ['amd64', 'arm64', 'riscv64']])",
    );
    workspace.ok(&["build", "//:all", "-o", "oci:out"]);
    let image = format!("oci:{}:all:1", workspace.path("out").display());
    for architecture in ["amd64", "arm64", "riscv64"] {
        let config = tool("skopeo", &["--override-arch", architecture, "inspect", "--config", &image]);
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["architecture"], architecture);
    }
}

/// What a tool made of a tree: a line an entry, by path.
fn files(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut inodes: BTreeMap<u64, String> = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        let mut paths: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let metadata = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let mut line = format!("{:o} {}:{} {}", metadata.mode(), metadata.uid(), metadata.gid(), metadata.mtime());
            if metadata.is_symlink() {
                line.push_str(&format!(" -> {}", fs::read_link(&path).unwrap().display()));
            } else if metadata.is_file() {
                line.push_str(&format!(
                    " {:?}",
                    fs::read(&path).map(|bytes| (bytes.len(), bytes.first().copied())).unwrap()
                ));
                if metadata.nlink() > 1 {
                    line.push_str(&format!(" = {}", inodes.entry(metadata.ino()).or_insert_with(|| name.clone())));
                }
                let mut value = [0; 64];
                if let Ok(length) = rustix::fs::getxattr(&path, "user.colour", &mut value) {
                    line.push_str(&format!(" colour {}", String::from_utf8_lossy(&value[..length])));
                }
            } else {
                waiting.push(path);
            }
            found.insert(name, line);
        }
    }
    found
}
