//! Files whose content is in the Dockerfile.

use super::Case;

pub const HEREDOCS: &[Case] = &[
    (
        "a heredoc",
        "FROM scratch\nCOPY <<a.txt /x/\none\ntwo\na.txt\n",
        &[],
        &["x/ 0755 0:0", "x/a.txt 0644 0:0 one|two|"],
    ),
    ("a heredoc with a name", "FROM scratch\nCOPY <<EOF /x\none\nEOF\n", &[], &["x 0644 0:0 one|"]),
    (
        "variables in heredocs",
        "FROM scratch\nENV a=1\nCOPY <<E <<'F' /x/\n$a \"${b:-2}\" \\$a\nE\n$a\nF\n",
        &[],
        &["x/ 0755 0:0", "x/E 0644 0:0 1 \"2\" $a|", "x/F 0644 0:0 $a|"],
    ),
    ("tabs before a heredoc", "FROM scratch\nCOPY <<-E /x\n\t\ta\n\tE\n", &[], &["x 0644 0:0 a|"]),
    (
        "heredocs with files and flags",
        "FROM scratch\nCOPY --chmod=755 --chown=1:2 a <<b /x/\nB\nb\n",
        &[("a", "A")],
        &["x/ 0755 1:2", "x/a 0755 1:2 A", "x/b 0755 1:2 B|"],
    ),
];
