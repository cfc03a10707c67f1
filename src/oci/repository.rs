//! Where the images of a name are: a registry, and a path in it.

use std::fmt;

use super::Reference;

/// The registry that is meant where a name has none, as for Docker.
const DEFAULT_REGISTRY: &str = "docker.io";

/// A repository of a registry, normalised: `nginx` and `index.docker.io/nginx` are both `docker.io/library/nginx`, as in
/// distribution's `reference.ParseNormalizedNamed`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    /// `host` or `host:port`.
    pub registry: String,
    pub path: String,
}

impl Repository {
    /// The repository of a name.
    pub fn of(reference: &Reference) -> Self {
        let registry = match reference.host.as_deref() {
            None | Some("index.docker.io") => DEFAULT_REGISTRY,
            Some(host) => host,
        };
        let path = match registry == DEFAULT_REGISTRY && !reference.path.contains('/') {
            true => format!("library/{}", reference.path),
            false => reference.path.clone(),
        };
        Repository { registry: registry.to_owned(), path }
    }

    /// The name without tag and digest.
    pub fn reference(&self) -> Reference {
        Reference { host: Some(self.registry.clone()), path: self.path.clone(), tag: None, digest: None }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_as_docker_does() {
        for (name, canonical) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.24", "docker.io/library/nginx:1.24"),
            ("user/app:v1", "docker.io/user/app:v1"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/user/app", "docker.io/user/app:latest"),
            ("localhost:5000/app:dev", "localhost:5000/app:dev"),
            ("localhost/app", "localhost/app:latest"),
            ("[::1]:5000/a/b", "[::1]:5000/a/b:latest"),
        ] {
            assert_eq!(name.parse::<Reference>().unwrap().canonical().to_string(), canonical, "{name}");
        }
        let digest = crate::digest::Digest::of(b"");
        let pinned: Reference = format!("gcr.io/p/app:1@{digest}").parse().unwrap();
        assert_eq!(pinned.canonical(), pinned);
        let pinned: Reference = format!("app@{digest}").parse().unwrap();
        assert_eq!(pinned.canonical().to_string(), format!("docker.io/library/app@{digest}"));
    }
}
