//! What lint says of Dockerfiles as people have them.

use crate::dockerfile::real::{cases, copy_case, directory};
use crate::specs::check_file;
use crate::workspace::Workspace;

#[test]
fn every_dockerfile_of_the_field_has_its_committed_findings() {
    for name in cases(&directory()) {
        let workspace = Workspace::new();
        copy_case(&directory().join(&name), &workspace);
        let run = workspace.run(&["lint", "-f", "Dockerfile", "."]);
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        check_file(&format!("tests/dockerfile/real/{name}/expected.lint"), &run.stdout);
    }
}
