//! The two shapes of a tree: few large files, and many small ones.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

/// 1 GiB in 40 equal files, `00` to `39`; `part` gives a piece of the file with the number, and is asked until it is full.
pub fn large_files(directory: &Path, mut part: impl FnMut(usize) -> Vec<u8>) {
    fs::create_dir_all(directory).unwrap();
    for number in 0..40 {
        let mut file = BufWriter::new(fs::File::create(directory.join(format!("{number:02}"))).unwrap());
        let mut left = (1 << 30) / 40;
        while left > 0 {
            let part = part(number);
            let part = &part[..part.len().min(left)];
            file.write_all(part).unwrap();
            left -= part.len();
        }
        file.flush().unwrap();
    }
}

/// 500 directories, `000` to `499`, with as many files in each, `000.txt` and on; `content` gives each file's.
pub fn many_files(directory: &Path, files_each: usize, mut content: impl FnMut() -> Vec<u8>) {
    for outer in 0..500 {
        let directory = directory.join(format!("{outer:03}"));
        fs::create_dir_all(&directory).unwrap();
        for inner in 0..files_each {
            fs::write(directory.join(format!("{inner:03}.txt")), content()).unwrap();
        }
    }
}
