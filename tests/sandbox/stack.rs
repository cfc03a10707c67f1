//! A step's root is stacked of what its layers changed, and looks as if it had been written as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::program::{Who, build_as, everybody, last_layer, program, spoken};
use crate::workspace::Workspace;

/// A layer that obeys orders, with further arguments of `run`.
fn run(orders: &str, options: &str) -> String {
    let words: Vec<String> = orders.split_whitespace().map(|word| format!("{word:?}")).collect();
    format!("run(['step', {}]{options})", words.join(", "))
}

fn image(name: &str, layers: &[String]) -> String {
    format!("image(name = {name:?}, layers = [files(srcs = ['step'], dest = '/bin'), {}])\n", layers.join(", "))
}

fn workspace(spec: &str) -> Workspace {
    let workspace = Workspace::new().file("BUILD.star", spec);
    fs::copy(program(), workspace.path("step")).unwrap();
    workspace
}

#[track_caller]
fn build(workspace: &Workspace, who: Who, arguments: &[&str]) -> String {
    let run = build_as(workspace, who, &[&["build"], arguments].concat());
    assert_eq!(run.code, 0, "{who:?}: {}", run.stderr);
    spoken(&run)
}

/// What a step finds in an image, as its order `find` says it: what is in the archive of the image, without FIFOs.
fn found_in(tar: &Path) -> Vec<String> {
    let mut archive = tar::Archive::new(File::open(tar).unwrap());
    let mut files: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut names: Vec<(String, String)> = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let target = entry.link_name_bytes().map(|name| String::from_utf8(name.into_owned()).unwrap());
        let (mode, uid, gid) = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
        let said = format!("{mode:04o} {uid}:{gid} {}", header.mtime().unwrap());
        let kind = header.entry_type();
        if kind.is_hard_link() {
            names.push((path, target.unwrap()));
        } else if !kind.is_fifo() && path != "./" {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let large = format!("{} bytes", bytes.len());
            let text = if bytes.len() < 1000 { String::from_utf8(bytes).unwrap() } else { large };
            files.insert(path.clone(), (said, target.unwrap_or(text)));
            names.push((path.clone(), path));
        }
    }
    let line = |(path, file): &(String, String)| {
        let (said, text) = &files[file];
        let places = names.iter().filter(|(_, other)| other == file).count();
        let places = if places > 1 { format!(" in {places} places") } else { String::new() };
        format!("{path} {said}{places} {text}").trim_end().to_owned()
    };
    let mut lines: Vec<String> = names.iter().map(line).collect();
    lines.sort();
    lines
}

/// Each changes what those before have made.
const CHANGES: [&str; 11] = [
    "write /a/f one ; mkdir /a/sub ; write /a/sub/x x ; chmod /a/f 0640 ; mkdir /o ; mkdir /o/in ; write /o/1 1 ; write /o/in/2 2",
    "append /a/f two ; rm /d/f ; rm /a/sub/x ; rmdir /a/sub ; write /a/sub file",
    "rm /a/sub ; mkdir /a/sub ; write /a/sub/y y ; write /d/f again",
    "rm /o/1 ; rm /o/in/2 ; rmdir /o/in ; rmdir /o ; mkdir /o ; write /o/3 3",
    "ln /a/f /d/g ; write /h x ; ln /h /a/h ; ln /h /d/h",
    "append /d/g more ; rm /h",
    "chmod /d 0711 ; chown /a/sub/y 7 8 ; touch /o/3 77 ; touch /a 78 ; lchown /l 5 6",
    "write /s s ; chown /s 3 3 ; chmod /s 04755 ; mkdir /t ; chown /t 9 9 ; chmod /t 02770 ; write /t/of-group x",
    "rm /l ; mkdir /l ; write /l/in x ; rm /k/in ; rmdir /k ; symlink /a /k",
    "rm /p ; mkfifo /p ; rm /t/of-group ; chmod /t 0700",
    "rm /a/sub/y ; rmdir /a/sub ; write /q 1 ; rm /k ; mkdir /k ; write /k/other x",
];

/// What is done at last, in the one image and in the other.
const LAST: &str =
    "must ; append /d/f z ; rm /a/h ; append /d/h z ; chmod /s 0700 ; write /l/in z ; write /t/x x ; rm /o/3 ;
    rmdir /o ; ln /q /a/q ; cat /a/f ; cat /d/g ; chmod /a/f 0600 ; write /k/in new";

#[test]
fn each_step_finds_what_the_layers_below_it_made() {
    let base = [
        "dir('/a')",
        "write('/d/f', 'f', mode = '0644')",
        "symlink('/l', '/d')",
        "write('/p', 'p')",
        "write('/k/in', 'k')",
    ];
    let base: Vec<String> = base.map(String::from).to_vec();
    let (mut looking, mut spec) = (base.clone(), String::new());
    let mut layers = base;
    for (number, change) in CHANGES.iter().enumerate() {
        let change = run(&format!("must ; {change}"), "");
        looking.extend([change.clone(), run(&format!("must ; say ==== ; find / ; say {number}"), "")]);
        layers.push(change);
        spec.push_str(&image(&format!("after-{number}"), &layers));
    }
    layers.push(run(LAST, ""));
    spec.push_str(&(image("looking", &looking) + &image("stacked", &layers)));
    spec.push_str(&format!("image(name = 'whole', layers = [archive(src = 'whole.tar'), {}])\n", run(LAST, "")));
    let mut digests = Vec::new();
    for &who in everybody() {
        let workspace = workspace(&spec);
        workspace.write("whole.tar", "");
        // Later times are none that a step can set.
        workspace.write("ocify.toml", "epoch = 5000");
        let looked = build(&workspace, who, &["//:looking"]);
        let looks: Vec<&str> = looked.split("====\n").skip(1).collect();
        assert_eq!(looks.len(), CHANGES.len(), "{looked}");
        for (number, look) in looks.into_iter().enumerate() {
            build(&workspace, who, &[&format!("//:after-{number}"), "-o", "tar:whole.tar"]);
            let mut lines: Vec<&str> = look.lines().filter(|line| *line != number.to_string()).collect();
            lines.sort_unstable();
            assert_eq!(lines, found_in(&workspace.path("whole.tar")), "{who:?} {number}: {}", CHANGES[number]);
        }
        let said = build(&workspace, who, &["//:stacked", "-o", "oci:stacked"]);
        // The key is the same, as the trees are.
        assert_eq!(said, build(&workspace, who, &["//:whole", "--no-cache", "-o", "oci:whole"]), "{who:?}");
        let layer = |name: &str| last_layer(&workspace.path(name), &workspace.path("layer.tar"));
        assert_eq!(layer("stacked"), layer("whole"), "{who:?}");
        digests.push(build_as(&workspace, who, &["build", "//:stacked"]).stdout);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
}

/// The directories of the store, each with the files that are in it.
fn directories(workspace: &Workspace) -> Vec<Vec<String>> {
    let entries = fs::read_dir(workspace.store().join("roots")).unwrap().map(|entry| entry.unwrap().path());
    let trees = entries.filter(|path| path.extension().is_some()).map(|path| path.join("tree"));
    let mut directories: Vec<Vec<String>> = trees.map(|tree| files(&tree, &tree)).collect();
    directories.sort();
    directories
}

fn files(directory: &Path, top: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path, top));
        } else {
            found.push(path.strip_prefix(top).unwrap().display().to_string());
        }
    }
    found.sort();
    found
}

#[test]
fn a_second_step_writes_only_what_the_first_changed() {
    for &who in everybody() {
        let steps = [run("must ; write /d/new x ; rm /d/old", ""), run("must ; ls /d", ""), run("must ; find /d", "")];
        let base = ["write('/d/old', 'x')", "write('/d/stays', 'x')"].map(String::from).to_vec();
        let workspace = workspace(&image("x", &[base, steps.to_vec()].concat()));
        let said = build(&workspace, who, &["//:x"]);
        assert!(said.starts_with("new stays \n"), "{said}");
        // The removed one is a whiteout. The layers that changed nothing have no directory.
        let expected = [vec!["bin/step"], vec!["d/new", "d/old"], vec!["d/old"], vec!["d/stays"]];
        assert_eq!(directories(&workspace), expected, "{who:?}");
    }
}

#[test]
fn where_a_layer_would_hide_what_is_mounted_on_the_root_is_written_as_a_whole() {
    let mounts = ", mounts = [tmpfs('/etc/app/t'), tmpfs('/f/t')]";
    let base = ["write('/etc/app/conf', 'x')", "dir('/f')"].map(String::from).to_vec();
    for (removed, stubs) in [
        // What is removed does not lie where something is mounted.
        ("rm /etc/app/conf", false),
        ("rm /etc/app/conf ; rmdir /etc/app", true),
        ("rm /etc/app/conf ; rmdir /etc/app ; mkdir /etc/app ; write /etc/app/other x", false),
        ("rmdir /f", true),
        ("rmdir /f ; write /f x ; rm /f ; mkdir /f", false),
    ] {
        let steps = [
            run(&format!("must ; {removed}"), ""),
            run("must ; write /etc/app/t/x x ; write /f/t/x x ; ls /etc/app ; write /made x", mounts),
            run("must ; write /f/t/x x ; ls /etc/app", mounts),
        ];
        for &who in everybody() {
            let workspace = workspace(&image("x", &[base.clone(), steps.to_vec()].concat()));
            let said = build(&workspace, who, &["//:x", "-o", "oci:out"]);
            let mounted = said.lines().filter(|line| line.ends_with("t ")).count();
            assert_eq!(mounted, 2, "{removed} {who:?}: {said}");
            let wholes = directories(&workspace).iter().filter(|files| files.contains(&"bin/step".to_owned())).count();
            // The step alone, and the trees of the second and the third step.
            assert_eq!(wholes, if stubs { 3 } else { 1 }, "{removed} {who:?}");
        }
    }
    // A directory that is gone in one layer and there again in the next.
    let steps = [
        run("must ; rm /etc/app/conf ; rmdir /etc/app ; write /etc/app file", ""),
        run("must ; rm /etc/app ; mkdir /etc/app", ""),
        run("must ; write /etc/app/t/x x ; ls /etc/app", mounts),
    ];
    for &who in everybody() {
        let workspace = workspace(&image("x", &[base.clone(), steps.to_vec()].concat()));
        assert_eq!(build(&workspace, who, &["//:x"]), "t ", "{who:?}");
    }
}

/// More layers than an overlay has directories.
#[test]
fn an_image_may_have_any_number_of_layers() {
    let layers: Vec<String> = (0..100).map(|number| format!("write('/d/{number}', 'x')")).collect();
    let all: String = layers.iter().enumerate().map(|(number, _)| format!("cat /d/{number} ; ")).collect();
    for &who in everybody() {
        let step = run(&format!("must ; {all} say !"), "");
        let workspace = workspace(&image("x", &[layers.clone(), vec![step]].concat()));
        assert_eq!(build(&workspace, who, &["//:x"]), "x".repeat(100) + "!", "{who:?}");
    }
}

/// An image cannot say anything to overlayfs, which would hide what lies in a directory below.
#[test]
fn marks_of_overlayfs_in_an_image_are_none() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(0);
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
        tar.append_data(&mut header, path, &b""[..]).unwrap();
    };
    add("new", tar::EntryType::Char);
    add("d/gone", tar::EntryType::Char);
    let attributes = [("SCHILY.xattr.user.overlay.opaque", &b"y"[..]), ("SCHILY.xattr.user.overlay.whiteout", b"y")];
    tar.append_pax_extensions(attributes).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    tar.append_data(&mut header, "d", &b""[..]).unwrap();
    let tar = tar.into_inner().unwrap();
    let layers = ["write('/d/f', 'x')", "write('/d/gone', 'x')", "archive(src = 'marks.tar')"];
    let steps = [run("must ; ls /d ; ls / ; write /d/new x", ""), run("must ; ls /d ; ls /", "")];
    for &who in everybody() {
        let workspace = workspace(&image("x", &[layers.map(String::from).to_vec(), steps.to_vec()].concat()));
        fs::write(workspace.path("marks.tar"), &tar).unwrap();
        let said = build(&workspace, who, &["//:x"]);
        assert!(said.ends_with("\nf \nbin d dev proc sys \nf new \nbin d dev proc sys "), "{who:?}: {said}");
    }
}

#[test]
fn files_that_are_mounted_are_written_once_for_all_steps() {
    let mounted = |inside: &str| format!(", mounts = [bind(':files', '/in'){inside}]");
    for &who in everybody() {
        let steps = ["write /in/g x ; cat /in/f ; chmod /in 0700", "must ; ls /in ; stat /in/f"];
        let files = "image(name = 'files', layers = [write('/f', 'text', owner = '3:4')])\n".to_owned();
        let workspace = workspace(&(files.clone() + &image("x", &steps.map(|orders| run(orders, &mounted(""))))));
        let said = build(&workspace, who, &["//:x"]);
        let refused = "Read-only file system";
        let expected = format!("write /in/g: {refused}\ntextchmod /in: {refused}\nf \n/in/f 100644 3:4");
        assert_eq!(said, expected, "{who:?}");
        assert_eq!(directories(&workspace), [["bin/step"], ["f"]], "{who:?}");
        // A place to mount on is made in it, so it is the step's own, also where a link of another mount leads there.
        let far = ", bind(':links', '/link'), tmpfs('/link/to/sub')";
        let inside = [", tmpfs('/in/sub')", far].map(|inside| run("must ; ls /in", &mounted(inside)));
        let links = "image(name = 'links', layers = [symlink('/to', '/in')])\n";
        workspace.write("BUILD.star", files + links + &image("y", &inside));
        assert_eq!(build(&workspace, who, &["//:y"]), "f sub \nf sub ", "{who:?}");
        assert_eq!(directories(&workspace), [["bin/step"], ["f"]], "{who:?}");
    }
}
