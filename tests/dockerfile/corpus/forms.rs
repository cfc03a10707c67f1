//! What the same instructions look like in other hands, and variables in them.

use super::Case;

pub const FORMS: &[Case] = &[
    ("words in any case", "from scratch\ncopy a /x", &[("a", "A")], &["x 0644 0:0 A"]),
    (
        "comments and empty lines between lines that go on",
        "# a comment\nFROM scratch\nCOPY a \\\n# inside\n\n  b \\\n  /x/\n",
        &[("a", "A"), ("b", "B")],
        &["x/ 0755 0:0", "x/a 0644 0:0 A", "x/b 0644 0:0 B"],
    ),
    ("another escape", "# escape=`\nFROM scratch\nCOPY a `\n /x", &[("a", "A")], &["x 0644 0:0 A"]),
    ("lines of Windows", "FROM scratch\r\nCOPY a \\\r\n /x\r\n", &[("a", "A")], &["x 0644 0:0 A"]),
    ("a mark of the byte order", "\u{feff}FROM scratch\nCOPY a /x\n", &[("a", "A")], &["x 0644 0:0 A"]),
    ("blanks in front", "  FROM scratch\n\tCOPY\ta\t/x\n", &[("a", "A")], &["x 0644 0:0 A"]),
    ("ADD of a file is COPY", "FROM scratch\nADD --chown=1:2 a /x/", &[("a", "A")], &["x/ 0755 1:2", "x/a 0644 1:2 A"]),
    ("ADD of a directory is COPY", "FROM scratch\nADD d /x", &[("d/a", "A")], &["x/ 0755 0:0", "x/a 0644 0:0 A"]),
    (
        "a destination with a variable",
        "FROM scratch\nENV q=1\nCOPY a /${q:-2}/${r:-3}",
        &[("a", "A")],
        &["1/ 0755 0:0", "1/3 0644 0:0 A"],
    ),
    ("a source with a variable", "FROM scratch\nARG n=a\nCOPY ${n}.txt /x", &[("a.txt", "A")], &["x 0644 0:0 A"]),
    ("a flag with a variable", "FROM scratch\nARG u=7\nCOPY --chown=$u:8 a /x", &[("a", "A")], &["x 0644 7:8 A"]),
    (
        "a directory with a variable",
        "FROM scratch\nENV d=/w\nWORKDIR $d/v\nCOPY a .",
        &[("a", "A")],
        &["w/ 0755 0:0", "w/v/ 0755 0:0", "w/v/a 0644 0:0 A"],
    ),
    (
        "a stage with a variable in its name",
        "ARG v=2\nFROM scratch AS v1\nCOPY a /1\nFROM scratch AS v2\nCOPY a /2\nFROM v${v}",
        &[("a", "A")],
        &["2 0644 0:0 A"],
    ),
    ("quotes", "FROM scratch\nCOPY \"a\" '/x'", &[("a", "A")], &["x 0644 0:0 A"]),
    (
        "ONBUILD",
        "FROM scratch AS one\nONBUILD COPY a /x\nFROM one\nCOPY a /y",
        &[("a", "A")],
        &["x 0644 0:0 A", "y 0644 0:0 A"],
    ),
];
