//! W3: one small file on a base of 130 MB.

use std::path::Path;

use crate::buildah::Buildah;
use crate::buildkit::BuildKit;
use crate::contender::{self, Contender, output_of, rounds};
use crate::system_files::SystemFiles;
use crate::table::Table;
use crate::workspace::Workspace;

pub fn measure(root: &Path, count: usize, table: &mut Table) {
    let workspace = Workspace::new(root);
    let digest = workspace.base(base_files());
    let base = format!("oci_layout('base', digest = '{digest}')");
    workspace.write("BUILD.star", format!("image(name = 'x', base = {base}, layers = [files(srcs = ['file'])])\n"));
    workspace.write("context/file", "0\n");
    workspace.write("file", "0\n");

    let buildah = Buildah::new(&root.join("buildah"));
    let context = workspace.directory.join("context");
    // From the workspace, as the path becomes the image's name and must look like one.
    let id = output_of(&workspace.directory, &format!("{} pull -q oci:base", buildah.command())).unwrap_or_default();
    workspace.write("context/Dockerfile", format!("FROM {id}\nCOPY file /file\n"));

    let buildkit = BuildKit::start(&root.join("docker"));
    let docker_context = workspace.directory.join("docker-context");
    let base = buildkit.load(&workspace.directory.join("base.tar"));
    workspace.write("docker-context/file", "0\n");
    workspace.write("docker-context/Dockerfile", format!("FROM {base}\nCOPY file /file\n"));

    let contenders = || {
        let bud = Contender::script("buildah bud --layers", &["buildah"], &context, &buildah.build("x"));
        [workspace.build("//:x"), bud, buildkit.build(&docker_context)]
    };
    // Once in vain, to fill the caches.
    rounds(1, contenders(), |_| ());
    let [ours, bud, docker] = rounds(count, contenders(), |_| ());
    table.ratio("W3 nothing changed", &ours, &bud, 0.05);
    table.ratio("W3 nothing changed", &ours, &docker, None);

    let [ours, bud, docker] = rounds(count, contenders(), |round| {
        let content = format!("{}\n", round + 1);
        for file in ["file", "context/file", "docker-context/file"] {
            workspace.write(file, &content);
        }
        contender::let_be();
    });
    table.ratio("W3 one file changed", &ours, &bud, 0.1);
    table.ratio("W3 one file changed", &ours, &docker, None);
}

/// 130 MB of what real images hold, without the few giants.
pub fn base_files() -> impl Iterator<Item = Vec<u8>> {
    let mut system = SystemFiles::new(3);
    let contents = std::iter::repeat_with(move || system.content()).filter(|content| content.len() < 4_000_000);
    contents.scan(0, |total, content| {
        *total += content.len();
        (*total <= 130_000_000).then_some(content)
    })
}
