//! `ocify export`: the files of an image as one archive.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;

use crate::archive::write::EncodeError;
use crate::diagnostic::Diagnostic;
use crate::image::sink::{self, SinkError};
use crate::platform::Platform;

use super::{environment, name, registries};

/// Write the files of an image, all layers merged, to a tar.
#[derive(clap::Args)]
#[command(after_help = "The tar is uncompressed and has the form of a layer, so the same files give the same bytes.

Examples:
  ocify export example.com/web:1.4 -o rootfs.tar
  ocify export //shop:web | tar -tv")]
pub(super) struct Arguments {
    /// A name as `ocify images` lists it, a label, a digest or image ID, or at least four digits of one
    #[arg(value_name = "IMAGE")]
    name: String,
    /// The tar; stdout by default
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Of an index, the image for this platform
    #[arg(long)]
    platform: Option<Platform>,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    if arguments.output.is_none() && io::stdout().is_terminal() {
        return Err(
            Diagnostic::spec("an archive cannot be written to a terminal").help("give `--output FILE`, or a pipe")
        );
    }
    let (_, store) = registries::connected(environment)?;
    let image = name::load_image(&arguments.name, arguments.platform.as_ref(), &store)?;
    let Some(file) = &arguments.output else {
        let mut out = BufWriter::with_capacity(1 << 20, io::stdout());
        let written = sink::write_tar(&store, &image, &mut out);
        let written = written.and_then(|()| out.flush().map_err(|error| EncodeError::Write(error).into()));
        return match written {
            // A reader that has had enough.
            Err(SinkError::Encode(EncodeError::Write(error))) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|error| Diagnostic::failure("stdout cannot be written").caused_by(error)),
        };
    };
    sink::tar(&store, &image, file)
        .map_err(|error| Diagnostic::failure(format!("{} cannot be written", file.display())).caused_by(error))
}
