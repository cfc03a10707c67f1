//! Commits as sources of files: locking, building, moving, and what is refused. Every repository is made by the test.

mod hostile;
mod kept;
pub mod repository;
mod servers;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::workspace::Workspace;
use repository::{Repository, is_git_installed};

const WEB: &str =
    "image(name = 'web', layers = [archive(src = git(url = 'file://vendor/lib', ref = 'v1'), dest = '/opt/lib')])\n";

/// A workspace with a repository that has a branch `main` and a tag `v1`, and what is built of it.
fn with_library(spec: &str) -> (Workspace, Repository) {
    let workspace = Workspace::new().file("BUILD.star", spec);
    let library = Repository::new(workspace.path("vendor/lib"));
    library.write("README", "one\n");
    library.write("bin/tool", "#!/bin/sh\n");
    fs::set_permissions(library.path.join("bin/tool"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("../README", library.path.join("bin/readme")).unwrap();
    library.commit("one");
    library.git(&["tag", "v1"]);
    (workspace, library)
}

fn lock(workspace: &Workspace) -> String {
    fs::read_to_string(workspace.path("ocify.lock")).unwrap()
}

fn assert_nothing_temporary(workspace: &Workspace) {
    let left: Vec<_> = fs::read_dir(workspace.store().join("ingest")).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_ref_is_locked_built_moved_and_built_again_without_the_repository() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(WEB);
    let error = workspace.fails(2, &["build"]);
    assert!(error.contains("the commit `lib#v1` is not pinned") && error.contains("BUILD.star:1"), "{error}");
    assert!(error.contains("run `ocify lock`"), "{error}");
    let missing = workspace.fails(1, &["lock", "--check"]);
    assert!(missing.contains("+ file://vendor/lib#v1"), "{missing}");

    let commit = library.id("v1");
    let added = workspace.ok(&["lock"]);
    assert!(added.starts_with(&format!("+ file://vendor/lib#v1 {commit} sha256:")), "{added}");
    let text = lock(&workspace);
    assert!(
        text.contains(&format!(
            "[[git]]\nurl = \"file://vendor/lib\"\nref = \"v1\"\ncommit = \"{commit}\"\nsha256 = \""
        )),
        "{text}"
    );
    assert_eq!(workspace.ok(&["lock"]), "", "what is pinned stays");
    let tree = workspace.tree("//:web");
    assert_eq!(
        tree,
        [
            "opt/ 0755 0:0",
            "opt/lib/ 0755 0:0",
            "opt/lib/README 0644 0:0 one|",
            "opt/lib/bin/ 0755 0:0",
            "opt/lib/bin/readme 0777 0:0 -> ../README",
            "opt/lib/bin/tool 0755 0:0 #!/bin/sh|",
        ]
    );
    let digest = workspace.build("//:web");

    // An update that finds nothing new brings nothing.
    fs::remove_dir_all(workspace.store()).unwrap();
    assert_eq!(workspace.ok(&["update"]), "");
    assert_eq!(fs::read_dir(workspace.store().join("blobs/sha256")).unwrap().count(), 0);
    assert_eq!(workspace.build("//:web"), digest);

    // The branch goes on, and the tag with it: what is built stays, until somebody moves the pin.
    library.write("README", "two\n");
    let moved = library.commit("two");
    library.git(&["tag", "--force", "v1"]);
    assert_eq!(workspace.build("//:web"), digest);
    let refused = workspace.fails(1, &["update", "--locked"]);
    assert!(refused.contains(&format!("{commit} ->")) && refused.contains(&moved), "{refused}");
    let change = workspace.ok(&["update", "file://vendor/lib"]);
    assert!(
        change.starts_with(&format!("file://vendor/lib#v1\n  commit: {commit} -> {moved}\n  digest: sha256:")),
        "{change}"
    );
    let run = workspace.run(&["build", "//:web"]);
    assert!(run.stderr.contains("fetch lib#v1"), "{}", run.stderr);
    let moved = crate::workspace::digest(&run.stdout);
    assert_ne!(moved, digest);

    // Nobody is asked for what the store has, and git is not needed.
    fs::remove_dir_all(&library.path).unwrap();
    let mut offline = workspace.command(&["build", "--offline", "//:web"]);
    let offline = offline.env("PATH", "/nowhere").output().unwrap();
    assert_eq!(crate::workspace::digest(&String::from_utf8(offline.stdout).unwrap()), moved);
    assert_nothing_temporary(&workspace);

    workspace.write("BUILD.star", "image(name = 'web')");
    assert_eq!(workspace.ok(&["lock"]), "- file://vendor/lib#v1\n");
}

#[test]
fn a_spec_with_commit_and_digest_needs_no_lock() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(WEB);
    workspace.ok(&["lock"]);
    let digest = workspace.build("//:web");
    let text = lock(&workspace);
    let sha256 = text.split("sha256 = \"").nth(1).unwrap()[..64].to_owned();
    let commit = library.id("v1");
    library.write("README", "two\n");
    library.commit("two");
    fs::remove_file(workspace.path("ocify.lock")).unwrap();
    fs::remove_dir_all(workspace.store()).unwrap();

    let pinned = format!("ref = 'main', commit = '{commit}', sha256 = '{sha256}'");
    let spec = WEB.replace("ref = 'v1'", &pinned);
    workspace.write("BUILD.star", spec.replace("dest", "owner = '0:0', dest"));
    workspace.build("//:web");
    let toml = format!(
        "[image.web]\nlayers = [{{ archive = {{ src = {{ git = {{ url = 'file://vendor/lib', ref = 'v1', commit = '{commit}', \
         sha256 = '{sha256}' }} }}, dest = '/opt/lib' }} }}]\n"
    );
    fs::remove_file(workspace.path("BUILD.star")).unwrap();
    workspace.write("ocify.toml", toml);
    assert_eq!(workspace.build("//:web"), digest, "both syntaxes mean the same");
    assert!(!workspace.path("ocify.lock").exists());

    workspace.write("ocify.toml", "");
    workspace.write("BUILD.star", WEB.replace("ref = 'v1'", &format!("sha256 = '{sha256}'")));
    let error = workspace.fails(2, &["build"]);
    assert!(error.contains("is pinned by half") && error.contains("needs `commit`"), "{error}");
    let kept = format!("ref = 'v1', commit = '{commit}', sha256 = '{sha256}', keep_git_dir = True");
    workspace.write("BUILD.star", WEB.replace("ref = 'v1'", &kept));
    let error = workspace.fails(2, &["build"]);
    assert!(error.contains("the `.git` of `lib#v1` cannot be pinned in the spec"), "{error}");
}

#[test]
fn a_commit_without_a_digest_is_what_the_ref_has_to_stand_for() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(WEB);
    let commit = library.git(&["rev-parse", "v1^{commit}"]);
    let wanting = |commit: &str| WEB.replace("ref = 'v1'", &format!("ref = 'v1', commit = '{commit}'"));
    workspace.write("BUILD.star", wanting(&commit));
    workspace.ok(&["lock"]);
    let files = workspace.tree("//:web");

    // In the lock, and then where it is made.
    let other = "0123456789".repeat(4);
    workspace.write("BUILD.star", wanting(&other));
    let error = workspace.fails(1, &["build"]);
    let (found, wanted) = (format!("`lib#v1` is the commit {commit}, "), format!("has to be {other}"));
    assert!(error.contains(&found) && error.contains(&wanted), "{error}");
    assert!(error.contains("`ocify update file://vendor/lib#v1`"), "{error}");
    fs::remove_file(workspace.path("ocify.lock")).unwrap();
    let error = workspace.fails(1, &["lock"]);
    assert!(error.contains(&found) && error.contains(&wanted) && error.contains("BUILD.star:"), "{error}");
    assert!(!workspace.path("ocify.lock").exists());

    // Named by itself it needs no ref.
    workspace.write("BUILD.star", WEB.replace("'v1'", &format!("'{commit}'")));
    let pinned = workspace.ok(&["lock"]);
    assert!(pinned.starts_with(&format!("+ file://vendor/lib#{commit} {commit} ")), "{pinned}");
    assert_eq!(workspace.tree("//:web"), files);
    workspace.write("BUILD.star", WEB.replace("'v1'", &format!("'{other}'")));
    let error = workspace.fails(1, &["lock"]);
    assert!(error.contains(&format!("file://vendor/lib has no commit {other}")), "{error}");
}

/// The bytes of the tar are in people's locks.
#[test]
fn the_tar_is_golden_and_says_nothing_of_commit_or_checkout() {
    if !is_git_installed() {
        return;
    }
    const GOLDEN: &str = "sha256:f8dabb57aaf6e019bfdcaeccae7c1eea510e465b76a28bb8b020024e14ad00b3";
    for format in ["sha1", "sha256"] {
        let workspace = Workspace::new().file("BUILD.star", WEB);
        let library = Repository::of_format(workspace.path("vendor/lib"), format);
        library.write("a-b", "a-b");
        library.write("a/b", "a/b");
        library.write("a/.gitattributes", "* text eol=crlf\nhidden export-ignore\n$Id$ ident\n");
        library.write("a/hidden", "$Id$\n");
        library.write(&format!("long/{}/x", "n".repeat(120)), "");
        library.write("run", "x");
        fs::set_permissions(library.path.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("/nowhere/\u{e9}", library.path.join("link")).unwrap();
        library.commit(format);
        library.git(&["tag", "--annotate", "-m", "v1", "v1"]);
        let added = workspace.ok(&["lock"]);
        let words: Vec<&str> = added.split_whitespace().collect();
        assert_eq!(words[2], library.id("v1^{commit}"), "the commit, not the tag");
        assert_eq!(words[3], GOLDEN, "{format}");
        // Another commit of the same files is another pin with the same digest.
        library.commit("again");
        library.git(&["tag", "--force", "v1"]);
        let change = workspace.ok(&["update"]);
        assert!(change.contains("commit: ") && !change.contains("digest: "), "{change}");
    }
}

#[test]
fn refs_are_found_by_short_and_whole_names() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(WEB);
    let first = library.id("HEAD");
    library.git(&["update-ref", "refs/pull/7/head", &first]);
    let second = library.commit("two");
    library.git(&["branch", "release/v1"]);
    for (name, commit) in [
        ("v1", &first),
        ("refs/tags/v1", &first),
        ("refs/pull/7/head", &first),
        ("pull/7/head", &first),
        ("main", &second),
        ("release/v1", &second),
        ("HEAD", &second),
    ] {
        workspace.write("BUILD.star", WEB.replace("'v1'", &format!("'{name}'")));
        let _ = fs::remove_file(workspace.path("ocify.lock"));
        assert!(workspace.ok(&["lock"]).contains(commit.as_str()), "{name}");
    }
    // A branch comes before what is elsewhere.
    library.git(&["branch", "pull/7/head"]);
    workspace.write("BUILD.star", WEB.replace("'v1'", "'pull/7/head'"));
    fs::remove_file(workspace.path("ocify.lock")).unwrap();
    assert!(workspace.ok(&["lock"]).contains(second.as_str()));
    library.git(&["branch", "v1"]);
    for (name, message) in [
        ("v1", "has a tag `v1` and a branch of the same name"),
        ("v2", "file://vendor/lib has no ref `v2`"),
        ("tags/v1", "has no ref `tags/v1`"),
    ] {
        workspace.write("BUILD.star", WEB.replace("'v1'", &format!("'{name}'")));
        let _ = fs::remove_file(workspace.path("ocify.lock"));
        let error = workspace.fails(1, &["lock"]);
        assert!(error.contains(message) && error.contains("BUILD.star:1") && error.contains("help:"), "{error}");
        assert!(!workspace.path("ocify.lock").exists());
    }
}

#[test]
fn several_refs_of_a_repository_move_together_or_alone() {
    if !is_git_installed() {
        return;
    }
    let two = WEB.replace("[archive", "[archive(src = git('file://vendor/lib'), dest = '/head'), archive");
    let two = two.replace("git('file", "git(url = 'file");
    let (workspace, library) = with_library(&two);
    workspace.ok(&["lock"]);
    library.write("README", "two");
    library.commit("two");
    library.git(&["tag", "--force", "v1"]);
    let one = workspace.ok(&["update", "file://vendor/lib#v1"]);
    assert!(one.contains("#v1\n") && !one.contains("#HEAD"), "{one}");
    let other = workspace.ok(&["update", "file://vendor/lib"]);
    assert!(other.contains("#HEAD\n") && !other.contains("#v1"), "{other}");
    let error = workspace.fails(2, &["update", "file://vendor/lob#v1"]);
    assert!(error.contains("did you mean `file://vendor/lib#v1`?"), "{error}");
}

#[test]
fn every_branch_of_a_select_is_pinned() {
    if !is_git_installed() {
        return;
    }
    let (workspace, _) = with_library(
        "lib = lambda ref: git(url = 'file://vendor/lib', ref = ref)
image(name = 'web', layers = [archive(src = select({'linux/arm64': lib('main'), 'default': lib('v1')}))])",
    );
    let added = workspace.ok(&["lock"]);
    assert!(added.contains("+ file://vendor/lib#main ") && added.contains("+ file://vendor/lib#v1 "), "{added}");
    assert_eq!(workspace.ok(&["lock", "--check"]), "");
    workspace.build("//:web");
    let steps = workspace.run(&["build", "//:web", "--platform", "linux/arm64"]);
    assert!(steps.stderr.contains("fetch lib#main"), "{}", steps.stderr);
}

#[test]
fn directories_of_the_image_below_keep_their_look() {
    if !is_git_installed() {
        return;
    }
    let (workspace, library) = with_library(
        "image(name = 'base', layers = [dir('/tmp', mode = '1777', owner = '7:7')])
image(name = 'web', base = ':base', layers = [archive(src = git(url = 'file://vendor/lib'), include = ['tmp'])])",
    );
    library.write("tmp/x", "x");
    library.commit("tmp");
    workspace.ok(&["lock"]);
    assert_eq!(workspace.tree("//:web"), ["tmp/ 1777 7:7", "tmp/x 0644 0:0 x"]);
}

#[test]
fn a_repository_below_a_package_is_named_from_it_and_its_submodules_are_named() {
    if !is_git_installed() {
        return;
    }
    let workspace = Workspace::new().file("shop/BUILD.star", WEB.replace("ref = 'v1'", "ref = 'main'"));
    let library = Repository::new(workspace.path("shop/vendor/lib"));
    library.write("x", "x");
    let commit = library.commit("x");
    assert!(workspace.ok(&["lock"]).contains("+ file://shop/vendor/lib#main "));
    library.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},third/party")]);
    library.git(&["commit", "--quiet", "-m", "sub"]);
    let error = workspace.fails(1, &["update"]);
    assert!(
        error.contains("has submodules: `/third/party`") && error.contains("submodules are not brought"),
        "{error}"
    );
    assert!(lock(&workspace).contains(&commit), "the lock is as it was");
}
