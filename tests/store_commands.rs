//! The commands for images that are in the store, as a person types them.

mod looking;
mod names;

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
