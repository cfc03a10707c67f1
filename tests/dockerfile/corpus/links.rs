//! Links as sources, among them and on the way to a destination.

use super::Case;

pub const LINKS: &[Case] = &[
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
    ("through a link to a directory", "FROM scratch\nCOPY l/a /x", &[("d/a", "A"), ("l", "-> d")], &["x 0644 0:0 A"]),
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
        &["f 0777 0:0 -> real", "g 0777 0:0 -> new/place", "new/ 0755 0:0", "new/place 0644 0:0 A", "real 0644 0:0 A"],
    ),
    (
        "with --link the link is replaced",
        "FROM scratch\nCOPY t /\nCOPY --link a /f",
        &[("a", "A"), ("t/f", "-> real"), ("t/real", "B")],
        &["f 0644 0:0 A", "real 0644 0:0 B"],
    ),
];
