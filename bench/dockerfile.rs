//! D2: a Dockerfile of ten steps on a context of 20,000 text files.

use std::path::Path;

use crate::buildah::Buildah;
use crate::buildkit::BuildKit;
use crate::contender::{Contender, rounds};
use crate::source_text::SourceText;
use crate::table::Table;
use crate::tree;
use crate::workspace::Workspace;

/// No step runs a program, so that nobody needs a base.
const DOCKERFILE: &str = "FROM scratch\nENV PATH=/usr/bin\nWORKDIR /app\nCOPY tree/000 /app/vendor/\nCOPY tree/001/*.txt /app/lib/\n\
    COPY --chmod=600 tree/002/000.txt /app/settings\nCOPY --chown=1000:1000 tree/003 /app/data\nWORKDIR /app/src\nCOPY . .\n\
    LABEL name=app\nCMD [\"/app/run\"]\n";

pub fn measure(root: &Path, count: usize, table: &mut Table) {
    let workspace = Workspace::new(root);
    let directory = &workspace.directory;
    let mut text = SourceText::new(4);
    tree::many_files(&directory.join("tree"), 40, || text.any_file());
    workspace.write("Dockerfile", DOCKERFILE);

    let buildah = Buildah::new(&root.join("buildah"));
    let buildkit = BuildKit::start(&root.join("docker"));
    let contenders = || {
        let ours = ["build", "-f", "Dockerfile", "--store", "../store", "."];
        let bud = Contender::script("buildah bud --layers", &["buildah"], directory, &buildah.build("x"));
        [Contender::ocify(directory, &ours), bud, buildkit.build(directory)]
    };
    // Once in vain, to fill the caches.
    rounds(1, contenders(), |_| ());
    let [ours, bud, docker] = rounds(count, contenders(), |_| ());
    table.ratio("D2 nothing changed", &ours, &bud, 0.1);
    table.ratio("D2 nothing changed", &ours, &docker, 0.25);

    let [ours, bud, docker] = rounds(count, contenders(), |_| workspace.write("tree/250/020.txt", text.any_file()));
    table.ratio("D2 one file changed", &ours, &bud, 0.1);
    table.ratio("D2 one file changed", &ours, &docker, 0.25);
}
