//! W1: 20,000 text files of 2 to 16 KB in 500 directories.

use std::path::Path;

use crate::buildah::Buildah;
use crate::buildkit::BuildKit;
use crate::contender::{self, Contender, output_of, rounds};
use crate::source_text::SourceText;
use crate::table::Table;
use crate::tree;
use crate::workspace::Workspace;

pub fn measure(root: &Path, count: usize, table: &mut Table) {
    let workspace = Workspace::new(root);
    let directory = &workspace.directory;
    let mut text = write(directory);
    workspace.write("BUILD.star", "image(name = 'x', layers = [files(srcs = ['tree'])])\n");
    workspace.write("Dockerfile", "FROM scratch\nCOPY tree /tree\n");

    let buildah = Buildah::new(&root.join("buildah"));
    let push = format!("rm -rf ../pushed; {} && {} push -q x oci:../pushed", buildah.build("x"), buildah.command());
    let contenders = [
        workspace.cold_build("//:x"),
        umoci(directory),
        Contender::script("tar | pigz -6", &["tar", "pigz"], directory, "tar -cf - tree | pigz -6 > ../piped"),
        Contender::script("buildah bud + push", &["buildah"], directory, &push).before(&buildah.clear()),
    ];
    let [ours, umoci, pigz, bud] = rounds(count, contenders, |_| ());
    table.ratio("W1 cold, gzip", &ours, &umoci, 0.4);
    table.ratio("W1 cold, gzip", &ours, &pigz, 0.15);
    table.ratio("W1 cold, gzip", &ours, &bud, 0.05);
    table.memory("W1 cold, peak memory", &ours, &umoci, 150);
    table.sizes("W1 size, gzip", workspace.largest_blob(), "tar | gzip -6", gzip_size(directory), 1.0);

    let find = "find tree -printf '%p %y %s %m %i %T@ %C@\\n'";
    let buildkit = BuildKit::start(&root.join("docker"));
    // Once in vain, to fill its cache.
    rounds(1, [buildkit.build(directory)], |_| ());
    let find = Contender::script("find -printf", &["find"], directory, find);
    let [ours, find, docker] = rounds(count, [workspace.build("//:x"), find, buildkit.build(directory)], |_| ());
    table.ratio("W1 nothing changed", &ours, &find, 2.0);
    table.ratio("W1 nothing changed", &ours, &docker, None);

    let bud = Contender::script("buildah bud + push", &["buildah"], directory, &push);
    let contenders = [workspace.build("//:x"), bud, buildkit.build(directory)];
    let [ours, bud, docker] = rounds(count, contenders, |_| {
        workspace.write("tree/250/020.txt", text.any_file());
        contender::let_be();
    });
    table.milliseconds("W1 one file changed", &ours, 1, 300.0);
    table.ratio("W1 one file changed", &ours, &bud, 0.03);
    table.ratio("W1 one file changed", &ours, &docker, None);
}

/// Writes the files into `tree` of a directory; what is returned gives more of their kind.
pub fn write(directory: &Path) -> SourceText {
    let mut text = SourceText::new(1);
    tree::many_files(&directory.join("tree"), 40, || text.any_file());
    text
}

/// Adds the tree as one layer to an image without any, in a new layout.
pub fn umoci(directory: &Path) -> Contender {
    let new_layout = "rm -rf ../umoci; umoci init --layout ../umoci; umoci new --image ../umoci:x";
    Contender::script("umoci insert", &["umoci"], directory, "umoci insert --image ../umoci:x tree /tree")
        .before(new_layout)
}

/// Size in bytes of the tree as the usual pipeline compresses it.
pub fn gzip_size(directory: &Path) -> Option<u64> {
    output_of(directory, "tar --sort=name -cf - tree | gzip -6 | wc -c")?.parse().ok()
}
