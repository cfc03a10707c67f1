//! Where COPY, ADD and WORKDIR put things.

use super::case::{check, tree, workspace};

#[test]
fn sources_and_destinations() {
    check(&[
        ("a file", "FROM scratch\nCOPY a /", &[("a", "A")], &["a 0644 0:0 A"]),
        ("a file gets a name", "FROM scratch\nCOPY a /b/c", &[("a", "A")], &["b/ 0755 0:0", "b/c 0644 0:0 A"]),
        ("a file into a directory", "FROM scratch\nCOPY a /b/", &[("a", "A")], &["b/ 0755 0:0", "b/a 0644 0:0 A"]),
        ("a program", "FROM scratch\nCOPY a /", &[("*a", "A")], &["a 0755 0:0 A"]),
        (
            "a directory gives what is in it",
            "FROM scratch\nCOPY d /x",
            &[("d/a", "A"), ("d/e/b", "B")],
            &["x/ 0755 0:0", "x/a 0644 0:0 A", "x/e/ 0755 0:0", "x/e/b 0644 0:0 B"],
        ),
        (
            "a slash at its end changes nothing",
            "FROM scratch\nCOPY d/ /x/",
            &[("d/a", "A")],
            &["x/ 0755 0:0", "x/a 0644 0:0 A"],
        ),
        ("an empty directory", "FROM scratch\nCOPY d /x", &[("d/e/", "")], &["x/ 0755 0:0", "x/e/ 0755 0:0"]),
        (
            "all of the context",
            "FROM scratch\nCOPY . /",
            &[("a", "A"), (".h", "H")],
            &[".h 0644 0:0 H", "a 0644 0:0 A"],
        ),
        (
            "a file into a directory of the layer below",
            "FROM scratch\nCOPY d /x\nCOPY a /x",
            &[("a", "A"), ("d/b", "B")],
            &["x/ 0755 0:0", "x/a 0644 0:0 A", "x/b 0644 0:0 B"],
        ),
        (
            "several sources",
            "FROM scratch\nCOPY a d b /x/",
            &[("a", "A"), ("b", "B"), ("d/c", "C")],
            &["x/ 0755 0:0", "x/a 0644 0:0 A", "x/b 0644 0:0 B", "x/c 0644 0:0 C"],
        ),
        (
            "of two files onto one the last is left",
            "FROM scratch\nCOPY a b /x",
            &[("a", "A"), ("b", "B")],
            &["x 0644 0:0 B"],
        ),
        (
            "a file of the layer below is replaced",
            "FROM scratch\nCOPY a /x\nCOPY b /x",
            &[("a", "A"), ("b", "B")],
            &["x 0644 0:0 B"],
        ),
        (
            "patterns",
            "FROM scratch\nCOPY *.t[x-z]t d/? /x/",
            &[("a.txt", "A"), ("b.tat", "B"), ("d/c", "C"), ("d/cc", "CC"), ("d/e.txt", "E")],
            &["x/ 0755 0:0", "x/a.txt 0644 0:0 A", "x/c 0644 0:0 C"],
        ),
        (
            "a pattern matches directories",
            "FROM scratch\nCOPY d* /x/",
            &[("d1/a", "A"), ("d2/b", "B")],
            &["x/ 0755 0:0", "x/a 0644 0:0 A", "x/b 0644 0:0 B"],
        ),
        (
            "two stars are as one",
            "FROM scratch\nCOPY **/a /x/",
            &[("a", "0"), ("d/a", "1"), ("d/e/a", "2")],
            &["x/ 0755 0:0", "x/a 0644 0:0 1"],
        ),
        (
            "a pattern without a match leaves nothing",
            "FROM scratch\nCOPY a /\nCOPY *.none /x/",
            &[("a", "A")],
            &["a 0644 0:0 A"],
        ),
        ("the context has no outside", "FROM scratch\nCOPY ../../a /../x", &[("a", "A")], &["x 0644 0:0 A"]),
        ("the JSON form has blanks", "FROM scratch\nCOPY [\"a b\", \"/x y\"]", &[("a b", "A")], &["x y 0644 0:0 A"]),
    ]);
}

#[test]
fn links() {
    check(&[
        (
            "links in a directory stay links",
            "FROM scratch\nCOPY d /x",
            &[("d/a", "A"), ("d/l", "-> a")],
            &["x/ 0755 0:0", "x/a 0644 0:0 A", "x/l 0777 0:0 -> a"],
        ),
        (
            "a source that is a link is what it leads to",
            "FROM scratch\nCOPY l /x",
            &[("a", "A"), ("l", "-> a")],
            &["x 0644 0:0 A"],
        ),
        (
            "a link keeps its name",
            "FROM scratch\nCOPY l /x/",
            &[("a", "A"), ("l", "-> a")],
            &["x/ 0755 0:0", "x/l 0644 0:0 A"],
        ),
        (
            "a link to a directory",
            "FROM scratch\nCOPY l /x",
            &[("d/a", "A"), ("l", "-> d")],
            &["x/ 0755 0:0", "x/a 0644 0:0 A"],
        ),
        (
            "a link that a pattern matches",
            "FROM scratch\nCOPY l* /x/",
            &[("d/a", "A"), ("l", "-> d/a")],
            &["x/ 0755 0:0", "x/l 0644 0:0 A"],
        ),
        (
            "through a link to a directory",
            "FROM scratch\nCOPY l/a /x",
            &[("d/a", "A"), ("l", "-> d")],
            &["x 0644 0:0 A"],
        ),
        (
            "the destination is followed",
            "FROM scratch\nCOPY t /\nCOPY a /lib/",
            &[("a", "A"), ("t/usr/lib/b", "B"), ("t/lib", "-> usr/lib")],
            &[
                "lib 0777 0:0 -> usr/lib",
                "usr/ 0755 0:0",
                "usr/lib/ 0755 0:0",
                "usr/lib/a 0644 0:0 A",
                "usr/lib/b 0644 0:0 B",
            ],
        ),
        (
            "a destination that is a link to a file, and one that dangles",
            "FROM scratch\nCOPY t /\nCOPY a /f\nCOPY a /g",
            &[("a", "A"), ("t/f", "-> real"), ("t/real", "B"), ("t/g", "-> new/place")],
            &[
                "f 0777 0:0 -> real",
                "g 0777 0:0 -> new/place",
                "new/ 0755 0:0",
                "new/place 0644 0:0 A",
                "real 0644 0:0 A",
            ],
        ),
        (
            "with --link the link is replaced",
            "FROM scratch\nCOPY t /\nCOPY --link a /f",
            &[("a", "A"), ("t/f", "-> real"), ("t/real", "B")],
            &["f 0644 0:0 A", "real 0644 0:0 B"],
        ),
    ]);
}

#[test]
fn owners_and_modes() {
    let passwd: &[(&str, &str)] =
        &[("a", "A"), ("d/b", "B"), ("e/passwd", "app:x:1000:100::/:/\n"), ("e/group", "staff:x:50:\n")];
    let files = &["etc/ 0755 0:0", "etc/group 0644 0:0 staff:x:50:|", "etc/passwd 0644 0:0 app:x:1000:100::/:/|"];
    for (flags, tail) in [
        ("--chown=app", &["x/ 0755 1000:100", "x/y/ 0755 1000:100", "x/y/b 0644 1000:100 B"][..]),
        ("--chown=app:staff", &["x/ 0755 1000:50", "x/y/ 0755 1000:50", "x/y/b 0644 1000:50 B"]),
        ("--chown=5", &["x/ 0755 5:5", "x/y/ 0755 5:5", "x/y/b 0644 5:5 B"]),
        ("--chown=5:staff", &["x/ 0755 5:50", "x/y/ 0755 5:50", "x/y/b 0644 5:50 B"]),
        ("--chown=nosuch", &["x/ 0755 0:0", "x/y/ 0755 0:0", "x/y/b 0644 0:0 B"]),
        ("--chown=nosuch:staff", &["x/ 0755 0:50", "x/y/ 0755 0:50", "x/y/b 0644 0:50 B"]),
        ("--chown=5:nosuch", &["x/ 0755 5:5", "x/y/ 0755 5:5", "x/y/b 0644 5:5 B"]),
        ("--chmod=600", &["x/ 0600 0:0", "x/y/ 0600 0:0", "x/y/b 0600 0:0 B"]),
        ("--chmod=1777", &["x/ 0777 0:0", "x/y/ 0777 0:0", "x/y/b 1777 0:0 B"]),
        ("--chmod=go-r", &["x/ 0711 0:0", "x/y/ 0711 0:0", "x/y/b 0600 0:0 B"]),
        ("--chmod=u=rwX,go=", &["x/ 0700 0:0", "x/y/ 0700 0:0", "x/y/b 0600 0:0 B"]),
    ] {
        let dockerfile = format!("FROM scratch\nCOPY e /etc\nCOPY {flags} d /x/y\n");
        let found = tree(&workspace(&dockerfile, passwd), &[]);
        assert_eq!(found, [files, tail].concat(), "{flags}");
    }
    check(&[
        (
            "a directory that is there stays as it is",
            "FROM scratch\nCOPY --chmod=711 --chown=7:8 d /x\nCOPY --chown=1:1 a /x",
            passwd,
            &["x/ 0711 7:8", "x/a 0644 1:1 A", "x/b 0711 7:8 B"],
        ),
        ("USER owns nothing that is copied", "FROM scratch\nUSER 5\nCOPY a /", passwd, &["a 0644 0:0 A"]),
        (
            "WORKDIR belongs to USER",
            "FROM scratch\nUSER 7777\nWORKDIR /x/y\nCOPY a .",
            passwd,
            &["x/ 0755 7777:7777", "x/y/ 0755 7777:7777", "x/y/a 0644 0:0 A"],
        ),
        (
            "WORKDIR leaves what is there",
            "FROM scratch\nCOPY --chown=3:4 d /x\nUSER 5\nWORKDIR /x",
            passwd,
            &["x/ 0755 3:4", "x/b 0644 3:4 B"],
        ),
        (
            "WORKDIR is relative to the one before",
            "FROM scratch\nWORKDIR /x\nWORKDIR y\nCOPY a .\nCOPY a b/",
            passwd,
            &["x/ 0755 0:0", "x/y/ 0755 0:0", "x/y/a 0644 0:0 A", "x/y/b/ 0755 0:0", "x/y/b/a 0644 0:0 A"],
        ),
    ]);
}

#[test]
fn exclude_parents_and_dockerignore() {
    let context: &[(&str, &str)] = &[("d/a.txt", "A"), ("d/b.md", "B"), ("d/e/c.md", "C"), ("f.md", "F")];
    let ignoring = |lines: &'static str| [context, &[(".dockerignore", lines)]].concat();
    check(&[
        (
            "exclude",
            "FROM scratch\nCOPY --exclude=**/*.md d /x",
            context,
            &["x/ 0755 0:0", "x/a.txt 0644 0:0 A", "x/e/ 0755 0:0"],
        ),
        (
            "exclude twice",
            "FROM scratch\nCOPY --exclude=*.md --exclude=e d /x",
            context,
            &["x/ 0755 0:0", "x/a.txt 0644 0:0 A"],
        ),
        (
            "a file that is named is not excluded",
            "FROM scratch\nCOPY --exclude=*.md *.md /x/",
            context,
            &["x/ 0755 0:0", "x/f.md 0644 0:0 F"],
        ),
        (
            "parents",
            "FROM scratch\nCOPY --parents d/e/c.md f.md /x/",
            context,
            &["x/ 0755 0:0", "x/d/ 0755 0:0", "x/d/e/ 0755 0:0", "x/d/e/c.md 0644 0:0 C", "x/f.md 0644 0:0 F"],
        ),
        (
            "parents with a pivot",
            "FROM scratch\nCOPY --parents d/./e/c.md /x/",
            context,
            &["x/ 0755 0:0", "x/e/ 0755 0:0", "x/e/c.md 0644 0:0 C"],
        ),
        (
            "parents at any depth",
            "FROM scratch\nCOPY --parents **/*.md /x/",
            context,
            &[
                "x/ 0755 0:0",
                "x/d/ 0755 0:0",
                "x/d/b.md 0644 0:0 B",
                "x/d/e/ 0755 0:0",
                "x/d/e/c.md 0644 0:0 C",
                "x/f.md 0644 0:0 F",
            ],
        ),
        (
            "a whole directory with parents",
            "FROM scratch\nCOPY --parents d/e /x/",
            context,
            &["x/ 0755 0:0", "x/d/ 0755 0:0", "x/d/e/ 0755 0:0", "x/d/e/c.md 0644 0:0 C"],
        ),
        (
            "ignored files",
            "FROM scratch\nCOPY . /",
            &ignoring("*.md\n.dockerignore\n"),
            &["d/ 0755 0:0", "d/a.txt 0644 0:0 A", "d/b.md 0644 0:0 B", "d/e/ 0755 0:0", "d/e/c.md 0644 0:0 C"],
        ),
        ("ignored directories", "FROM scratch\nCOPY . /", &ignoring("d\n.d*\n"), &["f.md 0644 0:0 F"]),
        (
            "what is taken back",
            "FROM scratch\nCOPY . /",
            &ignoring("*\n!d/e\n"),
            &["d/ 0755 0:0", "d/e/ 0755 0:0", "d/e/c.md 0644 0:0 C"],
        ),
        (
            "the last line wins",
            "FROM scratch\nCOPY . /",
            &ignoring("**/*.md\n!f.md\n.dockerignore\n**/e\n"),
            &["d/ 0755 0:0", "d/a.txt 0644 0:0 A", "f.md 0644 0:0 F"],
        ),
    ]);
}

#[test]
fn heredocs() {
    check(&[
        (
            "a file",
            "FROM scratch\nCOPY <<a.txt /x/\none\ntwo\na.txt\n",
            &[],
            &["x/ 0755 0:0", "x/a.txt 0644 0:0 one|two|"],
        ),
        ("with a name", "FROM scratch\nCOPY <<EOF /x\none\nEOF\n", &[], &["x 0644 0:0 one|"]),
        (
            "variables",
            "FROM scratch\nENV a=1\nCOPY <<E <<'F' /x/\n$a \"${b:-2}\" \\$a\nE\n$a\nF\n",
            &[],
            &["x/ 0755 0:0", "x/E 0644 0:0 1 \"2\" $a|", "x/F 0644 0:0 $a|"],
        ),
        ("tabs", "FROM scratch\nCOPY <<-E /x\n\t\ta\n\tE\n", &[], &["x 0644 0:0 a|"]),
        (
            "with files and flags",
            "FROM scratch\nCOPY --chmod=755 --chown=1:2 a <<b /x/\nB\nb\n",
            &[("a", "A")],
            &["x/ 0755 1:2", "x/a 0755 1:2 A", "x/b 0755 1:2 B|"],
        ),
    ]);
}

#[test]
fn stages() {
    let context: &[(&str, &str)] = &[("a", "A"), ("d/l", "-> a"), ("d/a", "DA")];
    check(&[
        (
            "a stage on a stage",
            "FROM scratch AS one\nCOPY a /\nFROM one\nCOPY a /b",
            context,
            &["a 0644 0:0 A", "b 0644 0:0 A"],
        ),
        (
            "by name in any case",
            "FROM scratch AS One\nCOPY a /\nFROM scratch\nCOPY --from=ONE /a /b",
            context,
            &["b 0644 0:0 A"],
        ),
        ("by number", "FROM scratch\nCOPY a /\nFROM scratch\nCOPY --from=0 a /b", context, &["b 0644 0:0 A"]),
        (
            "owners and modes are kept",
            "FROM scratch AS one\nCOPY --chown=3:4 --chmod=750 d /d\nFROM scratch\nCOPY --from=one /d /x",
            context,
            &["x/ 0755 0:0", "x/a 0750 3:4 DA", "x/l 0777 3:4 -> a"],
        ),
        (
            "owners change",
            "FROM scratch AS one\nCOPY d /d\nFROM scratch\nCOPY --from=one --chown=3:4 /d/a /x/",
            context,
            &["x/ 0755 3:4", "x/a 0644 3:4 DA"],
        ),
        (
            "a source that is a link is what it leads to",
            "FROM scratch AS one\nCOPY d /d\nFROM scratch\nCOPY --from=one /d/l /x",
            context,
            &["x 0644 0:0 DA"],
        ),
        (
            "patterns in a stage",
            "FROM scratch AS one\nCOPY d /d\nFROM scratch\nCOPY --from=one /d/[a-b] /x/",
            context,
            &["x/ 0755 0:0", "x/a 0644 0:0 DA"],
        ),
        (
            "the context's .dockerignore is not the stage's",
            "FROM scratch AS one\nCOPY d /d\nFROM scratch\nCOPY --from=one /d/a /x",
            &[("d/a", "DA"), (".dockerignore", "x\n")],
            &["x 0644 0:0 DA"],
        ),
        (
            "stages that are not needed are not built",
            "FROM nosuch.invalid/image AS one\nCOPY nothing /\nFROM scratch\nCOPY a /",
            context,
            &["a 0644 0:0 A"],
        ),
        (
            "the later of two stages of a name",
            "FROM scratch AS one\nCOPY a /1\nFROM scratch AS one\nCOPY a /2\nFROM one",
            context,
            &["2 0644 0:0 A"],
        ),
    ]);
    let workspace =
        workspace("FROM scratch AS one\nCOPY a /1\nFROM one AS two\nCOPY a /2\nFROM two\nCOPY a /3\n", context);
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
