//! `ocify save`: images of the store into an archive.

use std::io::{self, BufWriter, IsTerminal, Seek, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::diagnostic::Diagnostic;
use crate::image::sink::{self, OutputFile, SinkError};
use crate::image::{Image, ImageOrIndex, Listed};
use crate::platform::Platform;
use crate::store::Store;

use super::place::refuse_index;
use super::{environment, name, registries, stream};

/// Write images of the store to an archive, with their names, for `ocify load`, `docker load` or `podman load`.
#[derive(clap::Args)]
#[command(after_help = "An image is listed under the name by which it is asked for, or under none if that is a digest.

Examples:
  ocify save -o web.tar example.com/web:1.4 example.com/db:2
  ocify save --format oci-archive -o web.tar //shop:web
  ocify save example.com/web:1.4 | podman load")]
pub(super) struct Arguments {
    /// Names as `ocify images` lists them, labels, digests or image IDs, or at least four digits of one
    #[arg(value_name = "IMAGE", required = true)]
    names: Vec<String>,
    /// The archive, or the directory of an `oci-dir`; stdout by default
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What is written; only layouts hold indexes of several platforms
    #[arg(long, value_name = "FORMAT", default_value = "docker-archive")]
    format: ArchiveFormat,
    /// Of indexes, save only the image for this platform
    #[arg(long)]
    platform: Option<Platform>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ArchiveFormat {
    /// What `docker save` writes
    DockerArchive,
    /// A tar of an OCI image layout
    OciArchive,
    /// An OCI image layout; one that is there is added to
    OciDir,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let Arguments { output, format, .. } = arguments;
    if output.is_none() && (*format == ArchiveFormat::OciDir || io::stdout().is_terminal()) {
        return Err(Diagnostic::spec("an archive cannot be written to a terminal, nor a directory to stdout")
            .help("give `--output FILE`"));
    }
    let (_, store) = registries::connected(environment)?;
    let listed = listed(arguments, &store)?;
    let place = output.as_deref().unwrap_or(Path::new("standard output"));
    let unwritable = |error| Diagnostic::failure(format!("{} cannot be written", place.display())).caused_by(error);
    let images = match format {
        ArchiveFormat::DockerArchive => single(&listed)?,
        ArchiveFormat::OciArchive => Vec::new(),
        ArchiveFormat::OciDir => {
            let write = |Listed { what, names }: &Listed| sink::oci_layout(&store, what, names, place);
            return listed.iter().try_for_each(write).map_err(unwritable);
        }
    };
    match output {
        Some(file) => {
            let write = || {
                let mut out = OutputFile::create(file)?;
                write(*format, &images, &listed, out.writer(), place, &store)?;
                out.finish()
            };
            write().map_err(unwritable)
        }
        // Sizes are known when layers were unpacked, and stand before them.
        None => {
            let mut spool = store.spool().map_err(|error| unwritable(error.into()))?;
            let mut out = BufWriter::new(&mut spool);
            write(*format, &images, &listed, &mut out, place, &store).map_err(unwritable)?;
            out.flush().map_err(|error| Diagnostic::failure("no temporary file can be written").caused_by(error))?;
            drop(out);
            stream(&mut spool)
        }
    }
}

fn write(
    format: ArchiveFormat,
    images: &[(Image, Vec<String>)],
    listed: &[Listed],
    out: &mut (impl Write + Seek),
    place: &Path,
    store: &Store,
) -> Result<(), SinkError> {
    match format {
        ArchiveFormat::DockerArchive => sink::write_docker_archive(store, images, out, place),
        ArchiveFormat::OciArchive | ArchiveFormat::OciDir => sink::write_oci_archive(store, listed, out, place),
    }
}

/// What is asked for, in that order. An image that is asked for by several names is one with all of them.
fn listed(arguments: &Arguments, store: &Store) -> Result<Vec<Listed>, Diagnostic> {
    let mut all: Vec<Listed> = Vec::new();
    for text in &arguments.names {
        let (found, whole) = name::load(text, store)?;
        let what = match &arguments.platform {
            Some(platform) => name::select(text, &whole, Some(platform))?.clone().into(),
            None => whole,
        };
        match all.iter_mut().find(|listed| listed.what.digest() == what.digest()) {
            Some(listed) => listed.names.extend(found.name.filter(|name| !listed.names.contains(name))),
            None => all.push(Listed { what, names: found.name.into_iter().collect() }),
        }
    }
    Ok(all)
}

/// The same, where each has to be one image.
fn single(listed: &[Listed]) -> Result<Vec<(Image, Vec<String>)>, Diagnostic> {
    let image = |Listed { what, names }: &Listed| match what {
        ImageOrIndex::Image(image) => Ok((image.clone(), names.clone())),
        ImageOrIndex::Index(_) => Err(refuse_index("--format docker-archive", what)),
    };
    listed.iter().map(image).collect()
}
