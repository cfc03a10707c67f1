//! Files that are left out, and directories that are taken over.

use super::{Case, Context};

const CONTEXT: Context = &[("d/a.txt", "A"), ("d/b.md", "B"), ("d/e/c.md", "C"), ("f.md", "F")];

pub const CHOSEN: &[Case] = &[
    (
        "exclude",
        "FROM scratch\nCOPY --exclude=**/*.md d /x",
        CONTEXT,
        &["x/ 0755 0:0", "x/a.txt 0644 0:0 A", "x/e/ 0755 0:0"],
    ),
    (
        "exclude twice",
        "FROM scratch\nCOPY --exclude=*.md --exclude=e d /x",
        CONTEXT,
        &["x/ 0755 0:0", "x/a.txt 0644 0:0 A"],
    ),
    (
        "a file that is named is not excluded",
        "FROM scratch\nCOPY --exclude=*.md *.md /x/",
        CONTEXT,
        &["x/ 0755 0:0", "x/f.md 0644 0:0 F"],
    ),
    (
        "parents",
        "FROM scratch\nCOPY --parents d/e/c.md f.md /x/",
        CONTEXT,
        &["x/ 0755 0:0", "x/d/ 0755 0:0", "x/d/e/ 0755 0:0", "x/d/e/c.md 0644 0:0 C", "x/f.md 0644 0:0 F"],
    ),
    (
        "parents with a pivot",
        "FROM scratch\nCOPY --parents d/./e/c.md /x/",
        CONTEXT,
        &["x/ 0755 0:0", "x/e/ 0755 0:0", "x/e/c.md 0644 0:0 C"],
    ),
    (
        "parents at any depth",
        "FROM scratch\nCOPY --parents **/*.md /x/",
        CONTEXT,
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
        CONTEXT,
        &["x/ 0755 0:0", "x/d/ 0755 0:0", "x/d/e/ 0755 0:0", "x/d/e/c.md 0644 0:0 C"],
    ),
    (
        "ignored files",
        "FROM scratch\nCOPY . /",
        &[
            ("d/a.txt", "A"),
            ("d/b.md", "B"),
            ("d/e/c.md", "C"),
            ("f.md", "F"),
            (".dockerignore", "*.md\n.dockerignore\n"),
        ],
        &["d/ 0755 0:0", "d/a.txt 0644 0:0 A", "d/b.md 0644 0:0 B", "d/e/ 0755 0:0", "d/e/c.md 0644 0:0 C"],
    ),
    (
        "ignored directories",
        "FROM scratch\nCOPY . /",
        &[("d/a.txt", "A"), ("d/b.md", "B"), ("d/e/c.md", "C"), ("f.md", "F"), (".dockerignore", "d\n.d*\n")],
        &["f.md 0644 0:0 F"],
    ),
    (
        "what is taken back",
        "FROM scratch\nCOPY . /",
        &[("d/a.txt", "A"), ("d/b.md", "B"), ("d/e/c.md", "C"), ("f.md", "F"), (".dockerignore", "*\n!d/e\n")],
        &["d/ 0755 0:0", "d/e/ 0755 0:0", "d/e/c.md 0644 0:0 C"],
    ),
    (
        "the last line wins",
        "FROM scratch\nCOPY . /",
        &[
            ("d/a.txt", "A"),
            ("d/b.md", "B"),
            ("d/e/c.md", "C"),
            ("f.md", "F"),
            (".dockerignore", "**/*.md\n!f.md\n.dockerignore\n**/e\n"),
        ],
        &["d/ 0755 0:0", "d/a.txt 0644 0:0 A", "f.md 0644 0:0 F"],
    ),
];
