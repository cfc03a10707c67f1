//! Owners and modes of what COPY and WORKDIR make.

use super::{Case, Context};

const ACCOUNTS: Context =
    &[("a", "A"), ("d/b", "B"), ("e/passwd", "app:x:1000:100::/:/\n"), ("e/group", "staff:x:50:\n")];

/// A directory that is copied with these flags beside accounts, and what comes of it.
macro_rules! copied {
    ($flags:literal, $($line:literal),*) => {
        (
            $flags,
            concat!("FROM scratch\nCOPY e /etc\nCOPY ", $flags, " d /x/y"),
            ACCOUNTS,
            &["etc/ 0755 0:0", "etc/group 0644 0:0 staff:x:50:|", "etc/passwd 0644 0:0 app:x:1000:100::/:/|", $($line),*],
        )
    };
}

pub const OWNERS: &[Case] = &[
    copied!("--chown=app", "x/ 0755 1000:100", "x/y/ 0755 1000:100", "x/y/b 0644 1000:100 B"),
    copied!("--chown=app:staff", "x/ 0755 1000:50", "x/y/ 0755 1000:50", "x/y/b 0644 1000:50 B"),
    copied!("--chown=5", "x/ 0755 5:5", "x/y/ 0755 5:5", "x/y/b 0644 5:5 B"),
    copied!("--chown=5:staff", "x/ 0755 5:50", "x/y/ 0755 5:50", "x/y/b 0644 5:50 B"),
    copied!("--chown=nosuch", "x/ 0755 0:0", "x/y/ 0755 0:0", "x/y/b 0644 0:0 B"),
    copied!("--chown=nosuch:staff", "x/ 0755 0:50", "x/y/ 0755 0:50", "x/y/b 0644 0:50 B"),
    copied!("--chown=5:nosuch", "x/ 0755 5:5", "x/y/ 0755 5:5", "x/y/b 0644 5:5 B"),
    copied!("--chmod=600", "x/ 0600 0:0", "x/y/ 0600 0:0", "x/y/b 0600 0:0 B"),
    copied!("--chmod=1777", "x/ 0777 0:0", "x/y/ 0777 0:0", "x/y/b 1777 0:0 B"),
    copied!("--chmod=go-r", "x/ 0711 0:0", "x/y/ 0711 0:0", "x/y/b 0600 0:0 B"),
    copied!("--chmod=u=rwX,go=", "x/ 0700 0:0", "x/y/ 0700 0:0", "x/y/b 0600 0:0 B"),
    (
        "a directory that is there stays as it is",
        "FROM scratch\nCOPY --chmod=711 --chown=7:8 d /x\nCOPY --chown=1:1 a /x",
        ACCOUNTS,
        &["x/ 0711 7:8", "x/a 0644 1:1 A", "x/b 0711 7:8 B"],
    ),
    ("USER owns nothing that is copied", "FROM scratch\nUSER 5\nCOPY a /", ACCOUNTS, &["a 0644 0:0 A"]),
    (
        "WORKDIR belongs to USER",
        "FROM scratch\nUSER 7777\nWORKDIR /x/y\nCOPY a .",
        ACCOUNTS,
        &["x/ 0755 7777:7777", "x/y/ 0755 7777:7777", "x/y/a 0644 0:0 A"],
    ),
    (
        "WORKDIR leaves what is there",
        "FROM scratch\nCOPY --chown=3:4 d /x\nUSER 5\nWORKDIR /x",
        ACCOUNTS,
        &["x/ 0755 3:4", "x/b 0644 3:4 B"],
    ),
    (
        "WORKDIR is relative to the one before",
        "FROM scratch\nWORKDIR /x\nWORKDIR y\nCOPY a .\nCOPY a b/",
        ACCOUNTS,
        &["x/ 0755 0:0", "x/y/ 0755 0:0", "x/y/a 0644 0:0 A", "x/y/b/ 0755 0:0", "x/y/b/a 0644 0:0 A"],
    ),
    (
        "a directory onto one that is there",
        "FROM scratch\nCOPY --chown=9:9 d /x\nCOPY d /x\nWORKDIR /x",
        ACCOUNTS,
        &["x/ 0755 9:9", "x/b 0644 0:0 B"],
    ),
    ("a mode with a zero in front", "FROM scratch\nCOPY --chmod=0755 a /x", ACCOUNTS, &["x 0755 0:0 A"]),
    (
        "directories on the way to a file",
        "FROM scratch\nCOPY --chown=1:2 a /x/y/",
        ACCOUNTS,
        &["x/ 0755 1:2", "x/y/ 0755 1:2", "x/y/a 0644 1:2 A"],
    ),
];
