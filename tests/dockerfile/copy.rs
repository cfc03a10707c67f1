//! Where COPY, ADD and WORKDIR put things.

use super::case::{check, tree, workspace};
use super::corpus::{SETTINGS, TREES};

#[test]
fn the_trees_of_the_corpus() {
    check(&TREES.concat());
}

#[test]
fn the_corpus_is_large_and_a_name_is_one_case() {
    let (trees, settings) = (TREES.concat(), SETTINGS.concat());
    assert!(trees.len() + settings.len() >= 150, "{} and {}", trees.len(), settings.len());
    let mut names: Vec<&str> = trees.iter().map(|case| case.0).collect();
    names.sort_unstable();
    let twice: Vec<&[&str]> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn a_stage_in_the_middle() {
    let workspace =
        workspace("FROM scratch AS one\nCOPY a /1\nFROM one AS two\nCOPY a /2\nFROM two\nCOPY a /3\n", &[("a", "A")]);
    assert_eq!(tree(&workspace, &["--target", "two"]), ["1 0644 0:0 A", "2 0644 0:0 A"]);
    assert_eq!(tree(&workspace, &["--target", "ONE"]), ["1 0644 0:0 A"]);
}

/// A tar file with a directory, a file and a link in it.
fn tarball() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (kind, path, mode) in [
        (tar::EntryType::Directory, "d/", 0o750),
        (tar::EntryType::Regular, "d/f", 0o640),
        (tar::EntryType::Symlink, "l", 0o777),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(0);
        let content = if kind == tar::EntryType::Regular { "F" } else { "" };
        header.set_size(content.len() as u64);
        match kind {
            tar::EntryType::Symlink => tar.append_link(&mut header, path, "d/f").unwrap(),
            _ => tar.append_data(&mut header, path, content.as_bytes()).unwrap(),
        }
    }
    tar.into_inner().unwrap()
}

#[test]
fn add_unpacks_archives() {
    use std::io::Write;

    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let with = |dockerfile: &str| {
        let workspace = workspace(dockerfile, &[]);
        workspace.write("c/a.tar", tarball());
        workspace.write("c/a.bin", gzip(&tarball()));
        workspace.write("c/a.gz", gzip(b"no archive"));
        tree(&workspace, &[])
    };
    let unpacked = ["x/ 0755 0:0", "x/d/ 0750 7:8", "x/d/f 0640 7:8 F", "x/l 0777 7:8 -> d/f"];
    assert_eq!(with("FROM scratch\nADD a.tar /x"), unpacked);
    assert_eq!(with("FROM scratch\nADD a.bin /x/"), unpacked, "content counts, not the name");
    assert_eq!(with("FROM scratch\nADD --chmod=777 a.tar /x")[1], "x/d/ 0750 7:8", "an archive has its own modes");
    assert_eq!(with("FROM scratch\nADD --chown=1:2 a.tar /x")[..2], ["x/ 0755 1:2", "x/d/ 0750 1:2"]);
    assert!(with("FROM scratch\nCOPY a.tar /x")[0].starts_with("x 0644 0:0 "));
    assert!(with("FROM scratch\nADD --unpack=false a.tar /x")[0].starts_with("x 0644 0:0 "));
    assert_eq!(with("FROM scratch\nADD a.gz /x/").len(), 2, "what is compressed and no archive is a file");
}
