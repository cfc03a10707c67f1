//! Dockerfiles as people have them, imported: the spec builds the image that the Dockerfile builds. The bases have busybox
//! for their programs.

use crate::busybox;
use crate::real::{bases, cases, copy_case, directory};
use crate::workspace::Workspace;

#[test]
fn the_specs_of_dockerfiles_of_the_field_build_the_same_images() {
    let made = Workspace::new();
    let lock = bases(&made, Some(&busybox()));
    let store = made.store().display().to_string();
    let mut wrong = Vec::new();
    for name in cases(&directory()) {
        for tidy in [&[][..], &["--tidy"]] {
            let workspace = Workspace::new();
            copy_case(&directory().join(&name), &workspace);
            workspace.write("ocify.lock", &lock);
            let arguments = [&["import", "Dockerfile", "--check", "--offline", "--store", &store], tidy].concat();
            let run = workspace.run(&arguments);
            if run.code != 0 || !run.stdout.starts_with("0 differences in ") {
                wrong.push(format!("{name} {tidy:?}:\n{}\n{}", run.stdout, run.stderr));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
