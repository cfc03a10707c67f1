//! Named contexts: what stands in the place of stages and images.

use std::collections::BTreeMap;

use crate::oci::Reference;
use crate::target::{NamedDirectory, OciLayout, OciReference};

/// What a name of the command line stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum NamedContext {
    /// A directory, less what its `.dockerignore` leaves out.
    Directory {
        directory: NamedDirectory,
        ignore: Vec<String>,
    },
    Layout(OciLayout),
    Registry(OciReference),
}

/// Named contexts by the name of the stage or image. Names of images are the same in whatever spelling: `alpine` is
/// `docker.io/library/alpine:latest`.
#[derive(Clone, Debug, Default)]
pub struct NamedContexts(BTreeMap<String, NamedContext>);

impl NamedContexts {
    /// Adds one; gives the one that had the name before.
    pub fn insert(&mut self, name: &str, context: NamedContext) -> Option<NamedContext> {
        self.0.insert(whole(name), context)
    }

    /// The context of this name.
    pub fn get(&self, name: &str) -> Option<&NamedContext> {
        if self.0.is_empty() || name == "scratch" { None } else { self.0.get(&whole(name)) }
    }
}

fn whole(name: &str) -> String {
    name.parse::<Reference>().map_or_else(|_| name.to_lowercase(), |reference| reference.canonical().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_have_several_spellings() {
        let mut contexts = NamedContexts::default();
        let context = NamedContext::Registry(OciReference::parse("alpine:3").unwrap());
        assert!(contexts.insert("alpine", context.clone()).is_none());
        for name in ["alpine", "alpine:latest", "docker.io/library/alpine"] {
            assert_eq!(contexts.get(name), Some(&context), "{name}");
        }
        assert_eq!((contexts.get("alpine:3"), contexts.get("scratch")), (None, None));
        assert!(contexts.insert("docker.io/alpine", context).is_some());
    }
}
