//! Images on disk are kept for the next step, and trusted only as long as they are what was written.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::workspace::Workspace;

use super::program::{Story, Who, build_as, everybody};

/// Two steps in one image.
fn story(first: &str, second: &str) -> Workspace {
    let layers = "write('/d/f', 'what it is', mode = '0644'), dir('/closed', mode = '0'),
        dir('/theirs', mode = '0700', owner = '3:3'), write('/theirs/f', 'x', mode = '0600', owner = '3:3')";
    let workspace = Story::new(first).on(layers).workspace();
    let spec = fs::read_to_string(workspace.path("BUILD.star")).unwrap();
    let words: Vec<String> = second.split_whitespace().map(|word| format!("{word:?}")).collect();
    let spec = format!("{spec}image(name = 'y', base = ':base', layers = [run(['step', {}])])\n", words.join(", "));
    workspace.write("BUILD.star", spec);
    workspace
}

fn build(workspace: &Workspace, who: Who, target: &str) -> String {
    let run = build_as(workspace, who, &["build", target]);
    assert_eq!(run.code, 0, "{who:?}: {}", run.stderr);
    run.stderr
}

/// The trees that the store keeps.
fn trees(workspace: &Workspace) -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace.store().join("roots")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some()).map(|path| path.join("tree")).collect()
}

/// The one of them in which a file lies, by its path.
fn tree_with(workspace: &Workspace, path: &str) -> PathBuf {
    trees(workspace).into_iter().find(|tree| fs::symlink_metadata(tree.join(path)).is_ok()).unwrap()
}

/// The layers of [`story`] below the step. Each is written by itself.
const LAYERS: usize = 5;

#[test]
fn an_image_is_written_once_and_no_step_can_change_it() {
    let hurt = "must ; append /d/f more ; chmod /d/f 0600 ; ln /d/f /d/g ; mv /d/f /h ; rm /h ; chmod /d 0700 ;
        xattr /d/g user.tag t ; rm /bin/step";
    for &who in everybody() {
        let workspace = story(hurt, "must ; cat /d/f ; stat /d/f ; ls /d");
        build(&workspace, who, "//:x");
        let inodes = || {
            let inode = |tree: PathBuf| (fs::symlink_metadata(&tree).unwrap().ino(), tree);
            trees(&workspace).into_iter().map(inode).collect::<BTreeSet<_>>()
        };
        let before = inodes();
        assert_eq!(before.len(), LAYERS, "{who:?}");
        let wrote = build(&workspace, who, "//:y");
        assert!(wrote.contains("what it is/d/f 100644 0:0\nf "), "{who:?}: {wrote}");
        assert_eq!(inodes(), before, "{who:?}: all was found as it had been written");
    }
}

#[test]
fn who_changes_a_kept_image_changes_no_layer() {
    let edit = |tree: &Path| {
        let file = tree.join("d/f");
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, "WHAT IT IS").unwrap();
        File::options().write(true).open(file).unwrap().set_modified(modified).unwrap();
    };
    let add = |tree: &Path| fs::write(tree.join("d/added"), "").unwrap();
    let damage = |tree: &Path| {
        let record = tree.parent().unwrap().with_extension("");
        fs::set_permissions(&record, Permissions::from_mode(0o600)).unwrap();
        fs::write(record, "{}\n").unwrap();
    };
    let lose = |tree: &Path| fs::rename(tree, tree.with_extension("gone")).unwrap();
    let changes: [&dyn Fn(&Path); 4] = [&edit, &add, &damage, &lose];
    for &who in everybody() {
        let workspace = story("must ; ls /d", "must ; cat /d/f ; ls /d");
        build(&workspace, who, "//:x");
        for (at, change) in changes.iter().enumerate() {
            change(&tree_with(&workspace, "d/f"));
            let words = format!("must ; say {at} ; cat /d/f ; ls /d");
            let other = story("must", &words);
            workspace.write("BUILD.star", fs::read(other.path("BUILD.star")).unwrap());
            let wrote = build(&workspace, who, "//:y");
            assert!(wrote.contains("what it is") && !wrote.contains("added"), "{who:?} {at}: {wrote}");
            assert_eq!(trees(&workspace).len(), LAYERS, "what was changed is gone");
        }
    }
}

#[test]
fn what_is_kept_for_steps_is_counted_and_can_be_pruned() {
    for &who in everybody() {
        let workspace = story("must", "must ; say other");
        build(&workspace, who, "//:x");
        let usage = build_as(&workspace, who, &["df"]).stdout;
        let row = usage.lines().find(|line| line.starts_with("roots of steps")).unwrap();
        assert!(row.contains(&format!("  {LAYERS}  ")) && row.contains("(100%)"), "{row}");
        let pruned = build_as(&workspace, who, &["prune"]);
        assert!(pruned.code == 0 && pruned.stdout.contains("removed roots/"), "{}", pruned.stdout);
        for directory in ["roots", "ingest"] {
            assert_eq!(fs::read_dir(workspace.store().join(directory)).unwrap().count(), 0, "{who:?} {directory}");
        }
        build(&workspace, who, "//:y");
        assert_eq!(trees(&workspace).len(), LAYERS);
    }
}

/// Where ids are subordinate, what the step made belongs to others, in whose directories the build can remove nothing.
#[test]
fn nothing_is_left_of_a_step_that_failed() {
    let fail = "must ; mkdir /q ; write /q/f x ; chown /q/f 7 7 ; chown /q 7 7 ; chmod /q 0700 ; rm /nothing";
    for &who in everybody() {
        let workspace = story(fail, "must");
        let run = build_as(&workspace, who, &["build", "//:x"]);
        assert!(run.code == 1 && run.stderr.contains("rm /nothing"), "{who:?}: {}", run.stderr);
        assert_eq!(fs::read_dir(workspace.store().join("ingest")).unwrap().count(), 0, "{who:?}");
    }
}

/// As after a power failure.
#[test]
fn what_a_killed_build_left_is_removed_by_the_next() {
    for &who in everybody() {
        let workspace = story("must", "must");
        build(&workspace, who, "//:x");
        let tree = tree_with(&workspace, "theirs/f");
        let left = workspace.store().join("ingest/.workleft.d");
        fs::rename(tree.parent().unwrap(), &left).unwrap();
        assert!(fs::symlink_metadata(left.join("tree/theirs/f")).unwrap().is_file());
        build(&workspace, who, "//:y");
        assert!(!left.exists(), "{who:?}");
    }
}
