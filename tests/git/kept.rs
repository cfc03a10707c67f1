//! The `.git` that is kept beside the files of a commit. What it is good for is asked of git itself.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::repository::{Repository, is_git_installed};
use super::{WEB, lock};
use crate::workspace::Workspace;

/// A spec that keeps the `.git` of `v1`.
fn keeping() -> String {
    WEB.replace("ref = 'v1'", "ref = 'v1', keep_git_dir = True")
}

/// A workspace with a repository of several commits; the last is tagged.
fn with_history(format: &str) -> (Workspace, Repository) {
    let workspace = Workspace::new().file("BUILD.star", keeping());
    let library = Repository::of_format(workspace.path("vendor/lib"), format);
    library.write("README", "one\n");
    library.commit("one");
    library.write("README", "two\n");
    library.write("empty", "");
    library.write("large", "line\n".repeat(30_000));
    library.write(&format!("src/{}/a", "n".repeat(120)), "A\n");
    library.write("run", "#!/bin/sh\n");
    fs::set_permissions(library.path.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("README", library.path.join("link")).unwrap();
    library.commit("two");
    library.git(&["tag", "--annotate", "-m", "The first.", "v1"]);
    (workspace, library)
}

/// The image's files on disk, where git can be asked.
fn checked_out(workspace: &Workspace) -> Repository {
    let directory = workspace.root().parent().unwrap().join("out");
    let _ = fs::remove_dir_all(&directory);
    workspace.ok(&["build", "//:web", "-o", &format!("dir:{}", directory.display())]);
    Repository { path: directory.join("opt/lib") }
}

#[test]
fn git_knows_the_commit_and_the_tag_and_sees_what_is_changed() {
    if !is_git_installed() {
        return;
    }
    for format in ["sha1", "sha256"] {
        let (workspace, library) = with_history(format);
        workspace.ok(&["lock"]);
        let kept = checked_out(&workspace);
        kept.git(&["fsck", "--strict", "--full"]);
        assert_eq!(kept.id("HEAD"), library.id("HEAD"), "{format}");
        assert_eq!(kept.git(&["for-each-ref", "--format=%(refname) %(objecttype)"]), "refs/tags/v1 tag");
        assert_eq!(kept.git(&["rev-list", "--count", "HEAD"]), "1");
        assert_eq!(kept.git(&["status", "--porcelain"]), "");
        assert_eq!(kept.git(&["describe", "--dirty"]), "v1");
        kept.write("README", "one\n");
        assert_eq!(kept.git(&["describe", "--dirty"]), "v1-dirty");
        assert_eq!(kept.git(&["status", "--porcelain"]), "M README");
        kept.commit("three");
        assert_eq!(kept.git(&["describe", "--match=v*"]).split('-').nth(1), Some("1"));
    }
}

#[test]
fn its_bytes_are_golden_however_the_repository_has_the_objects() {
    if !is_git_installed() {
        return;
    }
    for (format, golden) in [
        ("sha1", "sha256:a2f77af12d627dea4c699e0a4a69a200bb4525fe315e9f8d49ae3acd8388f119"),
        ("sha256", "sha256:58f20f19b20eddce78e79de6f4cccea6154b545b3bf6783eac9f0a3ba98a0aed"),
    ] {
        let (workspace, library) = with_history(format);
        let pinned = || {
            let _ = fs::remove_file(workspace.path("ocify.lock"));
            let _ = fs::remove_dir_all(workspace.store());
            workspace.ok(&["lock"]).split_whitespace().last().unwrap().to_owned()
        };
        assert_eq!(pinned(), golden, "{format}, loose objects");
        library.git(&["repack", "-a", "-d", "-f", "--depth=50", "--window=50"]);
        assert_eq!(pinned(), golden, "{format}, one pack");
        library.write("README", "three\n");
        library.commit("three");
        library.git(&["-c", "pack.compression=0", "repack", "-a", "-d", "-F"]);
        assert_eq!(pinned(), golden, "{format}, with what came later");
    }
}

#[test]
fn the_lock_has_what_the_tag_was() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_history("sha1");
    let (commit, tag) = (library.id("HEAD"), library.id("v1"));
    workspace.ok(&["lock"]);
    let text = lock(&workspace);
    assert!(text.contains(&format!("keep_git_dir = true\ncommit = \"{commit}\"\ntag = \"{tag}\"\n")), "{text}");
    let digest = workspace.build("//:web");

    // Another tag of the same commit: the pin stays until somebody moves it.
    library.git(&["tag", "--force", "--annotate", "-m", "The first, again.", "v1"]);
    fs::remove_dir_all(workspace.store()).unwrap();
    assert_eq!(workspace.build("//:web"), digest);
    let again = library.id("v1");
    let refused = workspace.fails(1, &["update", "--locked"]);
    assert!(refused.contains(&format!("{tag} ->")) && refused.contains(&again), "{refused}");
    let change = workspace.ok(&["update"]);
    assert!(change.starts_with(&format!("file://vendor/lib#v1\n  tag: {tag} -> {again}\n  digest: ")), "{change}");
    assert!(lock(&workspace).contains(&format!("tag = \"{again}\"\n")));
    assert_ne!(workspace.build("//:web"), digest);

    // Both, with and without.
    let both = keeping() + &WEB.replace("'web'", "'plain'");
    workspace.write("BUILD.star", both);
    workspace.ok(&["lock"]);
    assert_eq!(lock(&workspace).matches("[[git]]").count(), 2);
    assert!(!workspace.tree("//:plain").iter().any(|line| line.contains(".git")));
}

#[test]
fn a_branch_a_first_commit_and_a_commit_by_its_id_are_kept_as_they_were_named() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_history("sha1");
    let first = library.id("HEAD~1");
    library.git(&["tag", "light", &first]);
    for (name, commit, reference) in [
        ("main", library.id("HEAD"), "refs/heads/main commit"),
        ("light", first.clone(), "refs/tags/light commit"),
        ("refs/heads/main", library.id("HEAD"), "refs/heads/main commit"),
        ("HEAD", library.id("HEAD"), ""),
        (first.as_str(), first.clone(), ""),
    ] {
        workspace.write("BUILD.star", keeping().replace("'v1'", &format!("'{name}'")));
        workspace.ok(&["lock"]);
        let kept = checked_out(&workspace);
        assert_eq!(kept.id("HEAD"), commit, "{name}");
        assert_eq!(kept.git(&["for-each-ref", "--format=%(refname) %(objecttype)"]), reference, "{name}");
        assert_eq!(kept.git(&["status", "--porcelain"]), "", "{name}");
        kept.git(&["fsck", "--strict"]);
        assert_eq!(kept.path.join(".git/shallow").exists(), commit != first, "{name}");
    }
}
