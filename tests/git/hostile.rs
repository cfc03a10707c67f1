//! Repositories, pins and surroundings that lie.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::repository::{Repository, is_git_installed};
use super::{WEB, assert_nothing_temporary, lock, with_library};
use crate::workspace::{Run, Workspace};

/// The blobs of the store.
fn blobs(workspace: &Workspace) -> usize {
    fs::read_dir(workspace.store().join("blobs/sha256")).unwrap().count()
}

#[test]
fn files_that_are_not_those_that_are_pinned_are_not_kept() {
    if !is_git_installed() {
        return;
    }
    let (workspace, _) = with_library(WEB);
    workspace.ok(&["lock"]);
    let text = lock(&workspace);
    let sha256 = text.split("sha256 = \"").nth(1).unwrap()[..64].to_owned();
    fs::remove_dir_all(workspace.store()).unwrap();
    workspace.write("ocify.lock", text.replace(&sha256, &"0".repeat(64)));
    let error = workspace.fails(1, &["build"]);
    assert!(error.contains("are not those that are") && error.contains(&sha256), "{error}");
    assert!(error.contains("BUILD.star:1"), "{error}");
    assert_eq!(blobs(&workspace), 0);
    assert_nothing_temporary(&workspace);
}

#[test]
fn a_commit_that_is_gone_is_told_with_what_to_do() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(WEB);
    workspace.ok(&["lock"]);
    fs::remove_dir_all(workspace.store()).unwrap();
    let text = lock(&workspace);
    workspace.write("ocify.lock", text.replace(&library.id("v1"), &"1".repeat(40)));
    let error = workspace.fails(1, &["build"]);
    assert!(error.contains(&format!("does not give the commit {}", "1".repeat(40))), "{error}");
    assert!(error.contains("run `ocify update file://"), "{error}");
    let blob = library.id("v1:README");
    workspace.write("ocify.lock", text.replace(&library.id("v1"), &blob));
    let error = workspace.fails(1, &["build"]);
    assert!(error.contains(&format!("{blob} is not a commit but a blob")), "{error}");
}

#[test]
fn a_tree_with_names_that_climb_is_refused_as_it_comes() {
    if !is_git_installed() {
        return;
    }
    for name in ["..", ".git", "a/b", "."] {
        let (workspace, library) = with_library(WEB);
        let blob = library.id("v1:README");
        let raw: Vec<u8> = (0..20).map(|n| u8::from_str_radix(&blob[2 * n..2 * n + 2], 16).unwrap()).collect();
        let object = [format!("100644 {name}\0").as_bytes(), &raw].concat();
        let tree = library.git_reading(&["hash-object", "-w", "-t", "tree", "--literally", "--stdin"], &object);
        let commit = library.git(&["commit-tree", &tree, "-m", "x"]);
        library.git(&["update-ref", "refs/tags/v1", &commit]);
        let error = workspace.fails(1, &["lock"]);
        assert!(error.contains("cannot be pinned") && error.contains("git fetch"), "{name}: {error}");
        assert_eq!(blobs(&workspace), 0);
        assert_nothing_temporary(&workspace);
    }
}

#[test]
fn settings_hooks_and_variables_of_the_surroundings_are_not_heeded() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(WEB);
    let expected = workspace.ok(&["lock"]);
    fs::remove_file(workspace.path("ocify.lock")).unwrap();
    fs::remove_dir_all(workspace.store()).unwrap();
    let evil = workspace.root().parent().unwrap().join("evil");
    let touched = workspace.root().parent().unwrap().join("touched");
    fs::write(&evil, format!("#!/bin/sh\ntouch {}\nexec \"$@\"\n", touched.display())).unwrap();
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).unwrap();
    let evil = evil.display();
    let settings = format!(
        "[uploadpack]\npackObjectsHook = {evil}\n[core]\nfsmonitor = {evil}\nhooksPath = /\n\
         [url \"ext::{evil} \"]\ninsteadOf = /\n[filter \"x\"]\nsmudge = {evil}\n"
    );
    // The directory of the workspace's test is HOME.
    fs::write(workspace.root().parent().unwrap().join(".gitconfig"), &settings).unwrap();
    library.write(".gitattributes", "* filter=x\n");
    library.git(&["config", "uploadpack.packObjectsHook", &evil.to_string()]);
    let mut command = workspace.command(&["lock"]);
    for (name, value) in [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "uploadpack.packObjectsHook"),
        ("GIT_CONFIG_VALUE_0", &evil.to_string()),
        ("GIT_SSH_COMMAND", &evil.to_string()),
        ("GIT_ASKPASS", &evil.to_string()),
        ("GIT_EXTERNAL_DIFF", &evil.to_string()),
        ("GIT_OBJECT_DIRECTORY", "/nowhere"),
        ("GIT_DIR", "/nowhere"),
        ("GIT_TRACE", touched.to_str().unwrap()),
    ] {
        command.env(name, value);
    }
    let run = Run::from(command.output().unwrap());
    assert_eq!((run.code, run.stdout), (0, expected), "{}", run.stderr);
    assert!(!touched.exists());
}

#[test]
fn repositories_that_lead_out_of_the_workspace_are_refused() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(WEB);
    let outside = Repository::new(workspace.root().parent().unwrap().join("outside"));
    outside.write("secret", "x");
    outside.commit("secret");
    outside.git(&["tag", "v1"]);
    let at = library.path.join(".git");

    let alternates = at.join("objects/info/alternates");
    fs::create_dir_all(alternates.parent().unwrap()).unwrap();
    fs::write(&alternates, outside.path.join(".git/objects").to_str().unwrap()).unwrap();
    assert!(workspace.fails(1, &["lock"]).contains("shares the objects of another repository"));
    fs::remove_file(&alternates).unwrap();

    fs::rename(at.join("objects"), at.join("gone")).unwrap();
    symlink(outside.path.join(".git/objects"), at.join("objects")).unwrap();
    assert!(workspace.fails(1, &["lock"]).contains("is not a git repository"));

    fs::remove_dir_all(&at).unwrap();
    fs::write(&at, format!("gitdir: {}", outside.path.join(".git").display())).unwrap();
    assert!(workspace.fails(1, &["lock"]).contains("is a link to a repository"));
    fs::remove_file(&at).unwrap();
    symlink(outside.path.join(".git"), &at).unwrap();
    assert!(workspace.fails(1, &["lock"]).contains("is a link to a repository"));
    fs::remove_file(&at).unwrap();
    assert!(workspace.fails(1, &["lock"]).contains("is not a git repository"));
    // git itself would take the one whose name is nearly the same.
    symlink(outside.path.join(".git"), workspace.path("vendor/lib.git")).unwrap();
    for name in ["objects", "refs"] {
        fs::create_dir_all(library.path.join(name)).unwrap();
    }
    fs::write(library.path.join("HEAD"), "nonsense").unwrap();
    assert!(workspace.fails(1, &["lock"]).contains("git ls-remote"));
    fs::remove_dir_all(&library.path).unwrap();
    symlink(&outside.path, &library.path).unwrap();
    let error = workspace.fails(1, &["lock"]);
    assert!(error.contains("leads out of the workspace") || error.contains("outside"), "{error}");
    assert!(!workspace.path("ocify.lock").exists());
}

#[test]
fn without_git_the_error_says_so() {
    let (workspace, _) = match is_git_installed() {
        true => with_library(WEB),
        false => return,
    };
    let run = workspace.command(&["lock"]).env("PATH", "/nowhere").output().unwrap();
    let error = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(error.contains("the program `git` cannot be run") && error.contains("install git"), "{error}");
}
