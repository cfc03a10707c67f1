//! Which sources COPY takes and where it puts them.

use super::Case;

pub const SOURCES: &[Case] = &[
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
    ("all of the context", "FROM scratch\nCOPY . /", &[("a", "A"), (".h", "H")], &[".h 0644 0:0 H", "a 0644 0:0 A"]),
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
];
