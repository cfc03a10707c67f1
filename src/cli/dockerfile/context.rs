//! The build context: a directory, an archive or a commit.

use std::ffi::OsStr;
use std::fs::File;
use std::io::BufReader;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::archive::read::{Limits, Spool, decompress, read_tar};
use crate::diagnostic::Diagnostic;
use crate::dockerfile::GitSource;
use crate::fetch::{Client, GitError};
use crate::git::RemoteRef;
use crate::path::ImagePath;
use crate::source::Workspace;
use crate::store::{Store, Workplace};
use crate::tree::{Changeset, Skipped, SkippedPart, Tree, extract};

use super::super::load;
use super::super::locked::Locked;
use super::super::report::harmless;

/// The files of a build.
pub(super) struct BuildContext {
    pub(super) workspace: Workspace,
    /// Where an archive or a commit is unpacked, until the build is over.
    pub(super) unpacked: Option<Workplace>,
}

/// What brings a context that is no directory.
pub(super) struct Bringing<'a> {
    pub(super) client: &'a Client,
    pub(super) store: &'a Store,
    pub(super) locked: &'a Locked,
}

impl BuildContext {
    /// The context of a text that is no directory: an archive, `-` for one on stdin, or a repository.
    ///
    /// # Errors
    /// It is not there, or cannot be unpacked; a repository without a whole commit where nothing may change.
    pub(super) fn bring(text: &str, dockerfile: &Path, bringing: &Bringing) -> Result<Self, Diagnostic> {
        if is_repository(text) {
            return of_commit(text, bringing);
        }
        let file = match text {
            "-" if dockerfile.as_os_str() == "-" => {
                let error = Diagnostic::spec("stdin cannot be the Dockerfile and the context");
                return Err(error.help("name one of them, as in `ocify build -f Dockerfile -`"));
            }
            "-" => load::stdin(bringing.store)?,
            path => File::open(path).map_err(|error| unreadable(text).caused_by(error))?,
        };
        unpacked(text, file, None, bringing.store)
    }

    /// The context that is the directory `path`.
    pub(super) fn directory(path: &Path) -> Result<Self, Diagnostic> {
        let workspace = Workspace::at(path)
            .map_err(|error| Diagnostic::from(error).help("behind the options stands the context: a directory, an archive, or `-` for one on stdin, or the URL of a repository"))?;
        Ok(BuildContext { workspace, unpacked: None })
    }
}

/// True for a context that is no directory.
pub(super) fn is_elsewhere(text: &str) -> bool {
    text == "-" || is_repository(text) || Path::new(text).is_file()
}

fn is_repository(text: &str) -> bool {
    text.starts_with("file://") || GitSource::is_one(text)
}

fn unreadable(text: &str) -> Diagnostic {
    Diagnostic::failure(format!("the context `{text}` cannot be read"))
}

/// The files of a commit, `URL#REF:DIRECTORY`.
fn of_commit(text: &str, Bringing { client, store, locked }: &Bringing) -> Result<BuildContext, Diagnostic> {
    // A repository of this machine is named from the root, or from the working directory.
    let (top, name) = match text.strip_prefix("file:///") {
        Some(rest) => ("/", format!("file://{rest}")),
        None => (".", text.to_owned()),
    };
    let workspace = Workspace::at(top)?;
    let source: GitSource = name.parse()?;
    if source.keep_git_dir == Some(true) {
        let error = Diagnostic::spec("the context has no `.git`: what it has differs between clones of one commit");
        return Err(error.help("take `keep-git-dir` away; `ADD --keep-git-dir` has one that is always the same"));
    }
    let remote = RemoteRef { url: source.url.clone(), name: source.name.clone(), keep_git_dir: false };
    if remote.commit().or(source.commit.clone()).is_none() && locked.is_set() {
        let error = Diagnostic::spec(format!("`{}` may be another commit tomorrow", remote.name));
        return Err(error.help("with `--locked` the context is named by its whole commit, as in URL#COMMIT"));
    }
    let pin = client.discover_commit(&remote, None, &workspace, store).map_err(failed(text))?;
    source.check(&pin.commit)?;
    eprintln!("the context is the commit {}", pin.commit);
    let content = client.commit(&remote, &pin, &workspace, store).map_err(failed(text))?;
    let tar = content.open().map_err(|error| unreadable(text).caused_by(error))?;
    unpacked(text, tar, source.directory.as_deref(), store)
}

fn failed(text: &str) -> impl Fn(GitError) -> Diagnostic {
    move |error| {
        let help = error.help();
        help.into_iter().fold(unreadable(text).caused_by(error), Diagnostic::help)
    }
}

/// The context that is in a tar file, compressed or not; of it what lies below `directory`.
fn unpacked(text: &str, file: File, directory: Option<&str>, store: &Store) -> Result<BuildContext, Diagnostic> {
    let limits = Limits::default();
    let spool = store.spool().map_err(|error| unreadable(text).caused_by(error))?;
    let mut spool = Spool::new(spool);
    let tar = decompress(BufReader::with_capacity(1 << 16, file), &limits)
        .and_then(|stream| read_tar(stream, &limits, Some(&mut spool)))
        .map_err(|error| unreadable(text).caused_by(error))?;
    tar.warnings.iter().for_each(|text| eprint!("{}", harmless(&format!("warning: {text}\n"), false)));
    let changes = Changeset::from_archive(tar.entries).map_err(|error| unreadable(text).caused_by(error))?;
    let tree = Tree::of_layer(changes).map_err(|error| unreadable(text).caused_by(error))?;
    let place = store.workplace().map_err(|error| unreadable(text).caused_by(error))?;
    let mut root = place.path().join("context");
    let skipped = extract(&tree, &root).map_err(|error| unreadable(text).caused_by(error))?;
    tell_left_out(&skipped);
    if let Some(directory) = directory {
        // No link of the commit leads out of it: what the tree has here is a directory itself, and so are those above it.
        let path = ImagePath::parse(directory).map_err(|error| Diagnostic::spec(error.to_string()))?;
        if !tree.get(&path).is_some_and(|node| node.kind.is_directory()) {
            return Err(Diagnostic::spec(format!("`{directory}` is no directory of the context `{text}`")));
        }
        root.extend(path.components().map(OsStr::from_bytes));
    }
    // As the place is another one each time, the context is known by its name.
    let workspace = Workspace::at(root)?.known_as(PathBuf::from(text));
    Ok(BuildContext { workspace, unpacked: Some(place) })
}

/// Says which entries no context has. Owners and the like count in none.
fn tell_left_out(skipped: &[Skipped]) {
    let mut entries = skipped.iter().filter(|skipped| matches!(skipped.part, SkippedPart::Entry(_)));
    if let Some(Skipped { path, .. }) = entries.next() {
        let more = match entries.count() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        eprintln!("warning: the context is without its devices and FIFOs: `{path}`{more}");
    }
}
