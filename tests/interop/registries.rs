//! Debian's `docker-registry`, as it is and as a bad day makes it.

use serde_json::Value;

use crate::distribution::{Distribution, Flavour};
use crate::images::rich_workspace;
use crate::tool;
use crate::workspace::digest;

/// The digest of an image in a layout, as skopeo reads it.
pub fn layout_digest(layout: &str) -> String {
    let summary: Value = serde_json::from_str(&tool("skopeo", &["inspect", layout])).unwrap();
    summary["Digest"].as_str().unwrap().to_owned()
}

#[test]
fn skopeo_carries_our_image_through_every_flavour_unchanged() {
    let workspace = rich_workspace("gzip");
    let built = digest(&workspace.ok(&["build", "//:rich", "-o", "oci:out"]));
    let ours = format!("oci:{}:example.com/rich:1", workspace.path("out").display());
    for flavour in Flavour::ALL {
        let registry = Distribution::start(flavour);
        let remote = format!("docker://{}/shop/rich:1", registry.host());
        let copy = format!("oci:{}:copy", workspace.path(&format!("{flavour:?}")).display());
        registry.skopeo_copy(&["--preserve-digests"], &ours, &remote);
        registry.skopeo_copy(&[], &remote, &copy);
        assert_eq!(layout_digest(&copy), built, "{flavour:?}");
        if flavour == Flavour::Token {
            let asked = registry.tokens().requests();
            assert!(asked.iter().any(|exchange| exchange.path.contains("scope=repository")), "{asked:?}");
        }
    }
}
