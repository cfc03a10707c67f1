//! W5: 10,000 targets in 100 packages, each an image of one small file.

use std::path::Path;

use crate::contender::rounds;
use crate::source_text::SourceText;
use crate::table::Table;
use crate::workspace::Workspace;

pub fn measure(root: &Path, count: usize, table: &mut Table) {
    let workspace = Workspace::new(root);
    let mut text = SourceText::new(5);
    for package in 0..100 {
        let image = |number| format!("image(name = 'x{number:02}', layers = [files(srcs = ['{number:02}.txt'])])\n");
        workspace.write(&format!("p{package:02}/BUILD.star"), (0..100).map(image).collect::<String>());
        for number in 0..100 {
            workspace.write(&format!("p{package:02}/{number:02}.txt"), text.file(2_000));
        }
    }
    // Once in vain, to fill the store.
    rounds(1, [workspace.build("//...")], |_| ());
    let [again] = rounds(count, [workspace.build("//...")], |_| ());
    table.milliseconds("W5 nothing changed", &again, 1, 1_000.0);
}
