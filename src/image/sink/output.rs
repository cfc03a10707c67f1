//! Files and directories that appear under their name only when they are whole.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::scratch::Scratch;

use super::SinkError;

/// A file that is written under a temporary name beside `path`; dropped before it is finished, it is gone.
pub struct OutputFile {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
    _scratch: Scratch,
}

impl OutputFile {
    /// Begins the file that will be `path`.
    ///
    /// # Errors
    /// Something is at `path` that is not a regular file: a directory, or a device that the rename would replace.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        if let Ok(metadata) = fs::metadata(path)
            && !metadata.is_file()
        {
            let found = if metadata.is_dir() { "a directory" } else { "not a regular file" };
            return Err(SinkError::InTheWay { path: path.to_owned(), found });
        }
        // Readable and writable as the umask allows, like a file that any other program creates.
        let (prefix, permissions) = (prefix(path), Permissions::from_mode(0o666));
        let mut builder = tempfile::Builder::new();
        let make = || builder.prefix(&prefix).permissions(permissions).tempfile_in(directory_of(path));
        let (file, scratch) = Scratch::listed(make, NamedTempFile::path).map_err(SinkError::write(path))?;
        Ok(OutputFile { file: BufWriter::with_capacity(1 << 20, file), path: path.to_owned(), _scratch: scratch })
    }

    /// Where the bytes go.
    pub fn writer(&mut self) -> &mut BufWriter<NamedTempFile> {
        &mut self.file
    }

    /// Gives the file its name, in place of what had it.
    pub fn finish(self) -> Result<(), SinkError> {
        let OutputFile { file, path, _scratch } = self;
        let publish = || {
            let file = file.into_inner().map_err(|error| error.into_error())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            sync(directory_of(&path))
        };
        publish().map_err(SinkError::write(&path))
    }
}

/// A directory that is filled under a temporary name beside `path`; dropped before it is finished, it is gone.
pub struct OutputDirectory {
    directory: TempDir,
    path: PathBuf,
    _scratch: Scratch,
}

impl OutputDirectory {
    /// Begins the directory that will be `path`, where nothing is yet or an empty directory.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        let (prefix, permissions) = (prefix(path), Permissions::from_mode(0o777));
        let mut builder = tempfile::Builder::new();
        let make = || builder.prefix(&prefix).permissions(permissions).tempdir_in(directory_of(path));
        let (directory, scratch) = Scratch::listed(make, TempDir::path).map_err(SinkError::write(path))?;
        Ok(OutputDirectory { directory, path: path.to_owned(), _scratch: scratch })
    }

    /// Where the directory is for now.
    pub fn temporary(&self) -> &Path {
        self.directory.path()
    }

    /// Gives `filled`, this directory or one in it, the final name.
    pub fn finish(self, filled: &Path) -> Result<(), SinkError> {
        let publish = || {
            fs::rename(filled, &self.path)?;
            sync(directory_of(&self.path))
        };
        publish().map_err(SinkError::write(&self.path))
    }
}

/// The directory in which `path` is.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts the names in a directory on the disk.
pub fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// `.NAME.`, which a person who finds it after a power failure can tell apart from what was there.
fn prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}
