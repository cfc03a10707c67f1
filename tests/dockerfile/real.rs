//! Dockerfiles as people have them, in `tests/dockerfile/real/`, and images that stand for the bases that they name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::{Workspace, digest};

/// What a base has beside busybox and its tools.
const FILES: &str = "
        dir('/tmp', mode = '1777'), dir('/root', mode = '0700'), dir('/opt'), dir('/srv'), dir('/usr/share/nginx/html'), dir('/var/www/html'),
        dir('/home/node', owner = '1000:1000'), dir('/docker-entrypoint-initdb.d'), dir('/usr/local/etc/php/conf.d'),
        dir('/etc/nginx/conf.d'), dir('/etc/crontabs'), dir('/proc'), dir('/sys'), dir('/dev'),
        write('/etc/ssl/certs/ca-certificates.crt', 'certificates\\n'),
        write('/usr/share/zoneinfo/Europe/Berlin', 'CET\\n'),
        write('/etc/group', 'root:x:0:\\ndaemon:x:1:\\nwww-data:x:33:\\npostgres:x:70:\\nnode:x:1000:\\nnogroup:x:65534:\\n'),
        write('/etc/passwd', 'root:x:0:0::/root:/bin/sh\\ndaemon:x:1:1::/:/bin/sh\\nwww-data:x:33:33::/:/bin/sh\\n' +
            'postgres:x:70:70::/:/bin/sh\\nnode:x:1000:1000::/home/node:/bin/sh\\nnobody:x:65534:65534::/:/bin/sh\\n'),";

/// Programs that `tool.sh` is.
const TOOLS: [&str; 25] = [
    "a2enmod",
    "addgroup",
    "adduser",
    "apk",
    "apt-get",
    "bundle",
    "cargo",
    "cmake",
    "composer",
    "docker-php-ext-install",
    "dotnet",
    "go",
    "groupadd",
    "hugo",
    "make",
    "mix",
    "mvn",
    "npm",
    "pip",
    "poetry",
    "python",
    "useradd",
    "yarn",
    "curl",
    "git",
];

/// The directory of the cases.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dockerfile/real")
}

/// The names of the cases below a directory, sorted.
pub fn cases(directory: &Path) -> Vec<String> {
    let found = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> = found
        .filter(|entry| entry.path().join("Dockerfile").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Makes `workspace` a copy of a case, in which nothing of ocify is.
pub fn copy_case(case: &Path, workspace: &Workspace) {
    fs::remove_file(workspace.path("ocify.toml")).unwrap();
    copy(case, &workspace.root());
    for golden in ["expected.star", "expected-tidy.star", "expected.lint"] {
        let _ = fs::remove_file(workspace.path(golden));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), to).unwrap();
        } else if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Makes the images of `real/bases.txt` in the workspace's store, and gives the lock that pins them. Without `busybox` they
/// have no programs.
pub fn bases(workspace: &Workspace, busybox: Option<&Path>) -> String {
    let mut spec = String::from("layers = [\n");
    if let Some(busybox) = busybox {
        spec.push_str(FILES);
        fs::create_dir_all(workspace.path("root/bin")).unwrap();
        fs::create_dir_all(workspace.path("root/usr/local/bin")).unwrap();
        let applets = Command::new(busybox).arg("--list").output().unwrap();
        let applets = String::from_utf8(applets.stdout).unwrap();
        for applet in applets.lines().filter(|name| *name != "busybox" && !TOOLS.contains(name)) {
            symlink("busybox", workspace.path(&format!("root/bin/{applet}"))).unwrap();
        }
        for tool in TOOLS {
            symlink("tool.sh", workspace.path(&format!("root/usr/local/bin/{tool}"))).unwrap();
        }
        fs::copy(busybox, workspace.path("root/bin/busybox")).unwrap();
        fs::copy(directory().join("tool.sh"), workspace.path("root/usr/local/bin/tool.sh")).unwrap();
        spec.push_str("files(srcs = ['root'], strip_prefix = 'root'),\n");
    }
    spec.push_str("]\n");
    spec.push_str("image(name = 'root', layers = layers)\n");
    let text = fs::read_to_string(directory().join("bases.txt")).unwrap();
    for (number, line) in text.lines().enumerate() {
        let env = line.split(' ').skip(1).filter_map(|variable| variable.split_once('='));
        let has_path = line.contains(" PATH=");
        let path = (!has_path).then_some(("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
        let env: Vec<String> =
            path.into_iter().chain(env).map(|(name, value)| format!("{name:?}: {value:?}")).collect();
        spec.push_str(&format!("image(name = 'b{number}', base = ':root', env = {{{}}})\n", env.join(", ")));
    }
    workspace.write("BUILD.star", spec);
    let built = workspace.ok(&["build", "//..."]);
    let mut lock = String::from("version = 1\n");
    for (number, line) in text.lines().enumerate() {
        let label = format!("//:b{number} ");
        let digest = digest(built.lines().find(|line| line.starts_with(&label)).unwrap());
        let reference = line.split(' ').next().unwrap();
        lock.push_str(&format!(
            "[[image]]\nreference = \"{reference}\"\ndigest = \"{digest}\"\n[image.platforms]\n\"linux/amd64\" = \"{digest}\"\n"
        ));
    }
    lock
}
