//! Files and settings of one stage in another.

use super::{Case, Context};

const CONTEXT: Context = &[("a", "A"), ("d/l", "-> a"), ("d/a", "DA")];

pub const STAGES: &[Case] = &[
    (
        "a stage on a stage",
        "FROM scratch AS one\nCOPY a /\nFROM one\nCOPY a /b",
        CONTEXT,
        &["a 0644 0:0 A", "b 0644 0:0 A"],
    ),
    (
        "by name in any case",
        "FROM scratch AS One\nCOPY a /\nFROM scratch\nCOPY --from=ONE /a /b",
        CONTEXT,
        &["b 0644 0:0 A"],
    ),
    ("by number", "FROM scratch\nCOPY a /\nFROM scratch\nCOPY --from=0 a /b", CONTEXT, &["b 0644 0:0 A"]),
    (
        "owners and modes are kept",
        "FROM scratch AS one\nCOPY --chown=3:4 --chmod=750 d /d\nFROM scratch\nCOPY --from=one /d /x",
        CONTEXT,
        &["x/ 0755 0:0", "x/a 0750 3:4 DA", "x/l 0777 3:4 -> a"],
    ),
    (
        "owners change",
        "FROM scratch AS one\nCOPY d /d\nFROM scratch\nCOPY --from=one --chown=3:4 /d/a /x/",
        CONTEXT,
        &["x/ 0755 3:4", "x/a 0644 3:4 DA"],
    ),
    (
        "a source of a stage that is a link is what it leads to",
        "FROM scratch AS one\nCOPY d /d\nFROM scratch\nCOPY --from=one /d/l /x",
        CONTEXT,
        &["x 0644 0:0 DA"],
    ),
    (
        "patterns in a stage",
        "FROM scratch AS one\nCOPY d /d\nFROM scratch\nCOPY --from=one /d/[a-b] /x/",
        CONTEXT,
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
        CONTEXT,
        &["a 0644 0:0 A"],
    ),
    (
        "the later of two stages of a name",
        "FROM scratch AS one\nCOPY a /1\nFROM scratch AS one\nCOPY a /2\nFROM one",
        CONTEXT,
        &["2 0644 0:0 A"],
    ),
];
