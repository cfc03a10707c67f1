//! Build records as files: `ocify build --record FILE` and `ocify explain --against BUILD|FILE`.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::action::record::BuildRecord;
use crate::build::{complete, records_of};
use crate::diagnostic::Diagnostic;
use crate::image::sink::OutputFile;
use crate::store::Store;
use crate::target::Label;

use super::name;

/// The version of the file's form.
const VERSION: u32 = 1;

/// What a record file holds: this object as JSON, and a newline.
#[derive(Serialize, Deserialize)]
struct RecordFile {
    version: u32,
    /// By label, and then by platform.
    builds: Vec<BuildRecord>,
}

/// Writes the records of a build to `file`, with the entries of their layers, so that the store is not needed to read it.
pub(super) fn write(file: &Path, mut builds: Vec<BuildRecord>, store: &Store) -> Result<(), Diagnostic> {
    builds.iter_mut().try_for_each(|build| complete(build, store))?;
    builds.sort_by_key(BuildRecord::target);
    let unwritable = || Diagnostic::failure(format!("{} cannot be written", file.display()));
    let mut out = OutputFile::create(file).map_err(|error| unwritable().caused_by(error))?;
    // Straight to the file: the lists may be long.
    serde_json::to_writer(out.writer(), &RecordFile { version: VERSION, builds })
        .map_err(|error| unwritable().caused_by(error))?;
    writeln!(out.writer()).map_err(|error| unwritable().caused_by(error))?;
    out.finish().map_err(|error| unwritable().caused_by(error))
}

/// The builds that `--against TEXT` names: those in a file, or the one of `roots` that gave the image of this digest or
/// name.
pub(super) fn find(text: &str, roots: &[Label], store: &Store) -> Result<Vec<BuildRecord>, Diagnostic> {
    let file = Path::new(text);
    if file.is_file() {
        return read(file);
    }
    let help = "name a file that `ocify build --record` wrote, or an image as `ocify images` lists it";
    let digest = name::find(text, store).map_err(|error| error.help(help))?.digest;
    let mut builds = Vec::new();
    for label in roots {
        builds.extend(records_of(label, &digest, store)?);
    }
    if builds.is_empty() {
        let error = Diagnostic::spec(format!("the store has no record of how {digest} was built from these targets"));
        return Err(error.help("a build with `--record FILE` leaves one that no `ocify prune` removes"));
    }
    Ok(builds)
}

fn read(file: &Path) -> Result<Vec<BuildRecord>, Diagnostic> {
    let damaged = || Diagnostic::spec(format!("{} is not a build record", file.display()));
    let bytes = fs::read(file).map_err(|error| damaged().caused_by(error))?;
    let help = "`ocify build --record FILE` writes one";
    let version =
        serde_json::from_slice::<serde_json::Value>(&bytes).ok().and_then(|value| value.get("version")?.as_u64());
    match version {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            return Err(damaged().help(format!("it has version {version}, and this ocify reads version {VERSION}")));
        }
        None => return Err(damaged().help(help)),
    }
    let record: RecordFile = serde_json::from_slice(&bytes).map_err(|error| damaged().caused_by(error).help(help))?;
    Ok(record.builds)
}
