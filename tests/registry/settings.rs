//! `[registry."HOST"]` of a workspace.

use crate::workspace::Workspace;

#[test]
fn the_settings_of_registries_are_part_of_a_workspace() {
    let workspace = Workspace::new();
    workspace.write(
        "ocify.toml",
        "[registry.\"docker.io\"]\nmirrors = [\"mirror.example/hub\"]\n\n[registry.\"localhost:5000\"]\ninsecure = false\nca \
         = \"ca.pem\"\n\n[image.x]\n",
    );
    assert_eq!(workspace.ok(&["query", "//..."]), "//:x\n");
    for (wrong, reason) in [
        ("[registry.\"docker.io\"]\nmirror = [\"x\"]\n", "unknown key `mirror`"),
        ("[registry.\"docker.io\"]\ninsecure = 1\n", "insecure"),
        ("[registry]\ninsecure = true\n", "expected"),
    ] {
        workspace.write("ocify.toml", wrong);
        let error = workspace.fails(2, &["query", "//..."]);
        assert!(error.contains(reason) && error.contains("ocify.toml"), "{error}");
    }
}
