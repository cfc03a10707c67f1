//! Removing what nobody needs: what goes, what stays, and that it never goes from under anybody.

mod neighbours;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::workspace::{Run, Workspace};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Two images that share a layer.
const SPEC: &str = "
shared = write('/shared', 'x' * 1000)
image(name = 'a', layers = [shared, write('/a', 'A')])
image(name = 'b', layers = [shared, write('/b', 'B')])
";

fn built() -> Workspace {
    let workspace = Workspace::new().file("BUILD.star", SPEC);
    workspace.ok(&["build", "//..."]);
    workspace
}

/// Builds `a` with other content and then as it was, so the store has garbage.
fn with_garbage() -> Workspace {
    let workspace = built();
    workspace.write("BUILD.star", SPEC.replace("'A'", "'another'"));
    workspace.build("//:a");
    workspace.write("BUILD.star", SPEC);
    workspace.ok(&["build", "//..."]);
    workspace
}

/// Every file of the store by its path, with its size.
fn files(store: &Path) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    let mut directories = vec![store.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
            let metadata = entry.metadata().unwrap();
            match metadata.is_dir() {
                true => directories.push(entry.path()),
                false => drop(files.insert(entry.path().strip_prefix(store).unwrap().to_owned(), metadata.len())),
            }
        }
    }
    files.retain(|path, _| !path.starts_with("locks"));
    files
}

/// The paths in lines `VERB PATH SIZE`.
fn listed(stdout: &str) -> Vec<PathBuf> {
    let lines = stdout.lines().filter(|line| line.starts_with("removed ") || line.starts_with("would remove "));
    lines.map(|line| line.rsplit(' ').nth(1).unwrap().into()).collect()
}

fn set_age(path: &Path, age: Duration) {
    // The clock of the file system, which is also what prune compares.
    let now = tempfile::tempfile_in(path.parent().unwrap()).unwrap().metadata().unwrap().modified().unwrap();
    // Opened for reading, as blobs are; the time is the owner's to set.
    fs::File::open(path).unwrap().set_modified(now - age).unwrap();
}

#[test]
fn what_no_image_needs_goes_and_all_else_stays() {
    let workspace = with_garbage();
    let before = files(&workspace.store());
    let dry = workspace.ok(&["prune", "--dry-run"]);
    assert_eq!(files(&workspace.store()), before, "a dry run changes nothing");
    let pruned = workspace.ok(&["prune"]);
    assert_eq!(
        dry.replace("would remove", "removed").replace("would free", "freed").replace("would be", "are"),
        pruned
    );

    let mut left = before.clone();
    for path in listed(&pruned) {
        assert!(left.remove(&path).is_some(), "{path:?} was not there");
    }
    assert_eq!(files(&workspace.store()), left, "exactly what was listed is gone");
    let count = |directory: &str| listed(&pruned).iter().filter(|path| path.starts_with(directory)).count();
    assert_eq!([count("blobs"), count("layers"), count("actions")], [3, 1, 2], "layer, manifest and config\n{pruned}");
    let freed: u64 = listed(&pruned).iter().map(|path| before[path]).sum();
    assert!(freed > 1000 && pruned.lines().last().unwrap().starts_with("freed "), "{freed} {pruned}");

    for image in ["//:a", "//:b"] {
        workspace.ok(&["inspect", image, "--check"]);
    }
    let again = workspace.run(&["build", "//..."]);
    assert_eq!((again.code, again.stderr.matches("(cached)").count()), (0, 6), "{}", again.stderr);
    assert!(listed(&workspace.ok(&["prune"])).is_empty());
}

#[test]
fn every_image_of_an_index_stays() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'a', platform = 'linux/amd64', layers = [write('/a', 'A')])
image(name = 'b', platform = 'linux/arm64', layers = [write('/b', 'B')])
index(name = 'both', images = [':a', ':b'])",
    );
    workspace.build("//:both");
    let pruned = workspace.ok(&["prune"]);
    assert!(!pruned.contains("blobs/"), "{pruned}");
    workspace.ok(&["inspect", "//:both", "--check"]);
}

#[test]
fn recent_use_keeps_for_as_many_days_as_asked() {
    let workspace = with_garbage();
    for path in files(&workspace.store()).into_keys() {
        set_age(&workspace.store().join(path), 10 * DAY);
    }
    assert!(listed(&workspace.ok(&["prune", "--keep-days", "11"])).is_empty());
    // Everything that the build finds is used now: only the old result of `a` is left over.
    workspace.ok(&["build", "//..."]);
    let pruned = workspace.ok(&["prune", "--keep-days", "9"]);
    let count = |directory: &str| listed(&pruned).iter().filter(|path| path.starts_with(directory)).count();
    assert_eq!([count("blobs"), count("layers"), count("actions"), count("stat")], [3, 1, 2, 0], "{pruned}");
}

#[test]
fn the_least_recently_used_goes_first_and_only_as_much_as_needed() {
    let workspace = with_garbage();
    let garbage = listed(&workspace.ok(&["prune", "--dry-run"]));
    let sizes = files(&workspace.store());
    let total: u64 = sizes.iter().filter(|(path, _)| path.components().count() > 1).map(|(_, size)| size).sum();
    for (age, path) in garbage.iter().enumerate() {
        set_age(&workspace.store().join(path), DAY * (age as u32 + 1));
    }
    let oldest_first: Vec<PathBuf> = garbage.iter().rev().cloned().collect();
    for keep in [total, total - 1, total - sizes[&oldest_first[0]], total - sizes[&oldest_first[0]] - 1, 0] {
        let mut freed = 0;
        let expected = oldest_first.iter().take_while(|path| {
            let more = total - freed > keep;
            freed += sizes[*path];
            more
        });
        let expected: Vec<PathBuf> = expected.cloned().collect();
        let dry = workspace.ok(&["prune", "--dry-run", "--keep-size", &keep.to_string()]);
        assert_eq!(listed(&dry), expected, "{keep} of {total}");
    }
    let kept = workspace.ok(&["prune", "--dry-run", "--keep-size", "0", "--keep-days", "3"]);
    assert_eq!(listed(&kept), oldest_first[..oldest_first.len() - 2], "both options must allow it");
    let error = workspace.fails(2, &["prune", "--keep-size", "ten"]);
    assert!(error.contains("10GB"), "{error}");
}

#[test]
fn nothing_is_removed_on_a_guess() {
    for damage in ["missing", "damaged"] {
        let workspace = with_garbage();
        let digest = workspace.build("//:a");
        let manifest = workspace.store().join("blobs/sha256").join(&digest["sha256:".len()..]);
        fs::set_permissions(&manifest, Permissions::from_mode(0o600)).unwrap();
        match damage {
            "missing" => fs::remove_file(&manifest).unwrap(),
            _ => fs::write(&manifest, "{}").unwrap(),
        }
        let before = files(&workspace.store());
        for arguments in [&["prune"][..], &["prune", "--dry-run"]] {
            let error = workspace.fails(1, arguments).replace("\n  │ ", " ");
            let words = error.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(&format!("is {damage}")), "{error}");
            assert!(words.contains("`//:a`") || words.contains("`a`") || words.contains(":a"), "{error}");
        }
        assert_eq!(files(&workspace.store()), before);
        let df = workspace.run(&["df"]);
        assert_eq!(df.code, 0, "{}", df.stderr);
        assert!(df.stderr.contains("what can be reclaimed is not known"), "{}", df.stderr);
        // The remedy of the message.
        workspace.build("//:a");
        if damage == "missing" {
            workspace.ok(&["prune"]);
        }
    }
}

#[test]
fn quarantine_and_chunk_tables_of_gone_blobs_go_and_foreign_files_stay() {
    let spec = |name: &str| format!("image(name = '{name}', layers = [files(srcs = ['{name}.txt'])])\n");
    let workspace = Workspace::new().file("BUILD.star", spec("kept") + &spec("gone"));
    for name in ["kept", "gone"] {
        workspace.write(&format!("{name}.txt"), format!("{name} ").repeat(1 << 20));
    }
    workspace.ok(&["build", "//:all"]);
    let store = workspace.store();
    let tables = || files(&store).into_keys().filter(|path| path.starts_with("chunks")).count();
    let all = tables();
    workspace.write("gone.txt", "small now");
    workspace.ok(&["build", "//:all"]);
    let bad = Path::new("quarantine").join("1".repeat(64));
    let damaged = Path::new("chunks").join("0".repeat(64));
    let foreign = Path::new("blobs/sha256/README");
    [&bad, &damaged, foreign].iter().for_each(|path| fs::write(store.join(path), "x").unwrap());
    let pruned = listed(&workspace.ok(&["prune"]));
    assert!(pruned.contains(&bad) && pruned.contains(&damaged), "{pruned:?}");
    assert!(0 < tables() && tables() < all, "{all} tables, then {}", tables());
    assert!(store.join(foreign).exists());
}

#[test]
fn df_adds_up() {
    let workspace = with_garbage();
    let json: serde_json::Value = serde_json::from_str(&workspace.ok(&["df", "--json"])).unwrap();
    let files = files(&workspace.store());
    let size = |directory: &str| {
        let below = files.iter().filter(|(path, _)| path.starts_with(directory));
        below.map(|(_, size)| size).sum::<u64>()
    };
    let types = json["types"].as_array().unwrap();
    for (name, directory) in [("blobs", "blobs"), ("layer indexes", "layers"), ("action records", "actions")] {
        let row = types.iter().find(|row| row["type"] == name).unwrap();
        assert_eq!(row["size"], size(directory), "{name}");
        assert!(row["reclaimable"].as_u64().unwrap() > 0);
    }
    let reclaimable: u64 = types.iter().map(|row| row["reclaimable"].as_u64().unwrap()).sum();
    let images = json["images"].as_array().unwrap();
    assert_eq!(images.len(), 2);
    for image in images {
        let field = |name: &str| image[name].as_u64().unwrap();
        assert_eq!(field("size"), field("shared") + field("unique"));
        assert!(field("shared") > 0 && field("unique") > 0, "{image}");
    }
    let table = workspace.ok(&["df"]);
    assert!(table.starts_with("TYPE ") && table.contains("\nblobs ") && table.contains("\nNAME "), "{table}");

    let garbage: u64 = listed(&workspace.ok(&["prune"])).iter().map(|path| files[path]).sum();
    assert_eq!(reclaimable, garbage, "df says what prune frees");
}

#[test]
fn a_build_that_finds_everything_leaves_every_time_as_it_was() {
    let workspace = built();
    let times = || {
        let times = files(&workspace.store()).into_keys().map(|path| {
            let modified = fs::metadata(workspace.store().join(&path)).unwrap().modified().unwrap();
            (path, modified)
        });
        times.collect::<BTreeMap<_, _>>()
    };
    // The first of them may save what is known of the workspace's files.
    workspace.ok(&["build", "//..."]);
    let before = times();
    workspace.ok(&["build", "//..."]);
    assert_eq!(times(), before);
    let locks = fs::read_dir(workspace.store().join("locks")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(locks.into_iter().all(|name| !name.to_string_lossy().starts_with("lease")));
}

/// Also used by `neighbours`.
fn prune(workspace: &Workspace) -> Run {
    workspace.run(&["prune"])
}
