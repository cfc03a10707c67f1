//! W4: 1,300 images that share a base and differ in one small layer.

use std::path::Path;

use crate::contender::rounds;
use crate::file_on_base::base_files;
use crate::table::Table;
use crate::workspace::Workspace;

const IMAGES: usize = 1_300;

pub fn measure(root: &Path, count: usize, table: &mut Table) {
    let workspace = Workspace::new(root);
    let digest = workspace.base(base_files());
    let spec = format!(
        "base = oci_layout('base', digest = '{digest}')

def images():
    for number in range({IMAGES}):
        image(name = 'image-%d' % number, base = base, layers = [write('/etc/number', '%d\\n' % number)])

images()
"
    );
    workspace.write("BUILD.star", spec);

    let [cold] = rounds(count, [workspace.build_into_new("//:all")], |_| ());
    table.milliseconds("W4 cold, each image", &cold, IMAGES, 5.0);
    let [again] = rounds(count, [workspace.build("//:all")], |_| ());
    table.milliseconds("W4 nothing changed, each image", &again, IMAGES, 0.5);
}
