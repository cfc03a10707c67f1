//! The commands for images that are in the store, as a person types them.

mod files;
mod looking;
mod moving;
mod names;
mod rebase;

use crate::workspace::Workspace;

/// `//:web` with two layers, a label and the tag `example.com/shop/web:1.4`; `//:other`, which is older; `//:both`, an index
/// of `//:web` and `//:arm`.
fn shop() -> Workspace {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'web', layers = [write('/a', 'a'), write('/b', 'b')], labels = {'team': 'web', 'a.b': 'c'},\n\
         entrypoint = ['/bin/web', '-v'], created = '2024-02-29T12:00:00Z', tags = ['example.com/shop/web:1.4'])\n\
         image(name = 'other', layers = [write('/a', 'a')], created = '2023-01-01T00:00:00Z', tags = ['nginx'])\n\
         image(name = 'arm', layers = [write('/arm', 'arm')], platform = 'linux/arm64')\n\
         index(name = 'both', images = [':web', ':arm'])\n",
    );
    workspace.ok(&["build"]);
    workspace
}

/// The digest of the manifest or index that `name` leads to.
fn digest_of(workspace: &Workspace, name: &str) -> String {
    workspace.ok(&["inspect", name, "--format", "{{.Digest}}"]).trim().to_owned()
}
