//! `ocify load`: the images of an archive into the store.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::path::{Path, PathBuf};

use crate::archive::read::Limits;
use crate::diagnostic::Diagnostic;
use crate::image::{Listed, Wanted, read_archive, read_layout};
use crate::oci::Reference;
use crate::store::Store;

use super::size::human_size;
use super::{environment, name, print};

/// Load all images and indexes of an archive or layout into the store, with their names.
#[derive(clap::Args)]
#[command(
    after_help = "Reads what `docker save`, `podman save`, `skopeo copy` and `ocify save` write, also compressed. An
image without a name is kept, and found by its digest.

Examples:
  ocify load -i web.tar
  docker save example.com/web:1.4 | ocify load"
)]
pub(super) struct Arguments {
    /// The archive, or the directory of an OCI image layout; stdin by default
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Print only names and digests
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let store = environment.store()?;
    let place = arguments.input.as_deref().unwrap_or(Path::new("standard input"));
    let unreadable = || Diagnostic::failure(format!("no image can be read from {}", place.display()));
    let listed = match &arguments.input {
        Some(directory) if directory.is_dir() => read_layout(directory, Wanted::All, &store),
        Some(path) => {
            let file = File::open(path).map_err(|error| unreadable().caused_by(error))?;
            read_archive(file, path, Wanted::All, &store)
        }
        None => read_archive(stdin(&store)?, place, Wanted::All, &store),
    };
    let listed = listed.map_err(|error| unreadable().caused_by(error))?;
    let mut text = String::new();
    for Listed { what, names } in &listed {
        let (names, strange): (Vec<_>, Vec<_>) = names.iter().partition(|name| reference(name).is_some());
        strange.iter().for_each(|name| eprintln!("warning: {name:?} cannot be the name of an image, and is left out"));
        let names: Vec<Reference> = names.iter().filter_map(|name| reference(name)).collect();
        if names.is_empty() {
            name::keep_unnamed(&what.descriptor(), &store)?;
            text.push_str(&line("Loaded image ID", &what.digest(), arguments.quiet));
            continue;
        }
        name::set(&names, &what.descriptor(), &store)?;
        names.iter().for_each(|name| text.push_str(&line("Loaded image", name, arguments.quiet)));
    }
    if listed.is_empty() {
        return Err(unreadable().help("it lists none"));
    }
    print(&text)
}

fn line(title: &str, name: &impl std::fmt::Display, quiet: bool) -> String {
    if quiet { format!("{name}\n") } else { format!("{title}: {name}\n") }
}

/// What a name of an archive stands for in the store.
fn reference(name: &str) -> Option<Reference> {
    let reference = name.parse::<Reference>().ok()?;
    reference.digest.is_none().then(|| reference.or_latest())
}

/// stdin as a file that can be read more than once.
pub(super) fn stdin(store: &Store) -> Result<File, Diagnostic> {
    let stdin = io::stdin().lock();
    if stdin.is_terminal() {
        return Err(Diagnostic::spec("no archive can be read from a terminal").help("name a file"));
    }
    let mut spool =
        store.spool().map_err(|error| Diagnostic::failure("no temporary file can be made").caused_by(error))?;
    // No archive that is longer is read.
    let limit = Limits::default().bytes;
    let copied = io::copy(&mut stdin.take(limit + 1), &mut spool).and_then(|size| spool.rewind().map(|()| size));
    match copied.map_err(|error| Diagnostic::failure("stdin cannot be copied to a temporary file").caused_by(error))? {
        size if size > limit => Err(Diagnostic::failure(format!("stdin has more than {}", human_size(limit)))),
        _ => Ok(spool),
    }
}
