//! A Dockerfile, a context, and what they give.

use std::fs;

use serde_json::Value;

use super::corpus::{Case, Context};
use crate::workspace::{Workspace, list};

/// A workspace with a Dockerfile and its context, in which nothing else is.
pub fn workspace(dockerfile: &str, context: Context) -> Workspace {
    let mut workspace = Workspace::new().file("Dockerfile", dockerfile);
    fs::create_dir(workspace.path("c")).unwrap();
    for (path, content) in context {
        workspace = match (path.strip_prefix('*'), content.strip_prefix("-> ")) {
            _ if path.ends_with('/') => {
                fs::create_dir_all(workspace.path(&format!("c/{path}"))).unwrap();
                workspace
            }
            (_, Some(target)) => {
                let path = workspace.path(&format!("c/{path}"));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::os::unix::fs::symlink(target, path).unwrap();
                workspace
            }
            (Some(path), _) => workspace.executable(&format!("c/{path}"), content),
            _ => workspace.file(&format!("c/{path}"), content),
        };
    }
    workspace
}

/// The files of the image, a line each: path, mode, owner, content.
#[track_caller]
pub fn tree(workspace: &Workspace, options: &[&str]) -> Vec<String> {
    let tar = workspace.path("tree.tar");
    let output = format!("tar:{}", tar.display());
    let arguments = [&["build", "-f", "Dockerfile", "-o", &output], options, &["c"]].concat();
    workspace.ok(&arguments);
    list(&tar)
}

/// The `config` of the image's config.
#[track_caller]
pub fn config(workspace: &Workspace, options: &[&str]) -> Value {
    workspace.ok(&[&["build", "-f", "Dockerfile", "-t", "built:1"], options, &["c"]].concat());
    let config: Value = serde_json::from_str(&workspace.ok(&["inspect", "built:1", "--config"])).unwrap();
    config["config"].clone()
}

/// Builds each case and compares its tree.
#[track_caller]
pub fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (name, dockerfile, context, expected) in cases {
        let found = tree(&workspace(dockerfile, context), &[]);
        if found != *expected {
            wrong.push(format!("{name}:\n{dockerfile}\nexpected {expected:#?}\nfound {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
