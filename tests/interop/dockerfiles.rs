//! Dockerfiles: buildah puts the same files into the same places. Where it does not, BuildKit is the judge
//! (docs/design/dockerfile.md).

use crate::workspace::{Workspace, list};
use crate::{policy, tool};

/// Instructions behind `FROM scratch`.
const SAME: [&str; 26] = [
    "COPY a.txt /x/y",
    "COPY a.txt /x/",
    "COPY d /x",
    "COPY d/ /x/",
    "COPY . /x",
    "COPY a.txt b.md /x/",
    "COPY *.txt /x/",
    "COPY d* /x/",
    "COPY l /x",
    "COPY l /x/",
    "COPY ld /x",
    "COPY ld/c.txt /x",
    "COPY t /\nCOPY a.txt /lib/",
    "COPY et /etc\nCOPY --chown=app:staff d /x/y",
    "COPY et /etc\nCOPY --chown=app d /x/y",
    "COPY --chown=5 d /x/y",
    "USER 5\nWORKDIR /w/v\nCOPY a.txt .",
    "WORKDIR /w\nWORKDIR v\nCOPY a.txt b/",
    "ENV q=1\nCOPY a.txt /${q:-2}/",
    "COPY ../a.txt /../x",
    "COPY none* a.txt /x/",
    "COPY [\"a.txt\", \"/x y\"]",
    "COPY d /x\nCOPY a.txt /x",
    "COPY --chown=9:9 d /x\nCOPY d /x\nWORKDIR /x",
    "COPY d /x\nFROM scratch\nCOPY --from=0 /x/l /y\nCOPY --from=0 /x /z",
    "COPY --chown=3:4 d /x\nFROM scratch\nCOPY --from=0 /x /z",
];

#[test]
fn buildah_puts_the_same_files_into_the_same_places() {
    let workspace = Workspace::new()
        .file("c/a.txt", "A")
        .file("c/b.md", "B")
        .file("c/d/c.txt", "C")
        .executable("c/d/e/run", "D")
        .link("c/d/l", "c.txt")
        .file("c/t/usr/lib/f", "F")
        .link("c/t/lib", "usr/lib")
        .file("c/et/passwd", "app:x:1000:100::/:/\n")
        .file("c/et/group", "staff:x:50:\n")
        .link("c/l", "a.txt")
        .link("c/ld", "d");
    let policy = policy(&workspace);
    let at = |path: &str| workspace.path(path).display().to_string();
    let (root, run) = (at("containers"), at("containers-run"));
    let storage = ["--root", &root, "--runroot", &run, "--storage-driver", "vfs"];
    let (file, context, tar) = (at("Dockerfile"), at("c"), at("tree.tar"));
    let mut wrong = Vec::new();
    for (number, instructions) in SAME.into_iter().enumerate() {
        workspace.write("Dockerfile", format!("FROM scratch\n{instructions}\n"));
        let archive = at(&format!("{number}.tar"));
        let name = format!("localhost/of-buildah:{number}");
        let bud =
            ["bud", "-q", "--isolation", "chroot", "--signature-policy", &policy, "-t", &name, "-f", &file, &context];
        tool("buildah", &[&storage[..], &bud].concat());
        let destination = format!("docker-archive:{archive}:{name}");
        tool("buildah", &[&storage[..], &["push", "--signature-policy", &policy, &name, &destination]].concat());
        workspace.ok(&["load", "-i", &archive]);
        workspace.ok(&["export", &name, "-o", &tar]);
        let theirs = list(workspace.path("tree.tar").as_path());
        workspace.ok(&["build", "-f", "Dockerfile", "-o", &format!("tar:{tar}"), "c"]);
        let ours = list(workspace.path("tree.tar").as_path());
        if ours != theirs {
            wrong.push(format!("{instructions}\nocify {ours:#?}\nbuildah {theirs:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
