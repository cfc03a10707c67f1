//! Small files that settings and the environment name.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// A regular file of at most `largest` bytes. What is none is not opened: that can wait for ever, or move a tape.
pub(super) fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {largest} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_regular_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let error = read(&path, 4).unwrap_err();
        assert!(error.to_string().contains("larger than 4 bytes"), "{error}");
        for path in [directory.path(), Path::new("/dev/zero"), Path::new("/dev/null")] {
            let error = read(path, 5).unwrap_err();
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
    }
}
