//! Names for targets and variables.

use std::collections::BTreeSet;

/// Words that no variable can be called: Starlark's own, its functions, and the builtins of specs.
const TAKEN: [&str; 78] = [
    "False",
    "None",
    "True",
    "abs",
    "accounts",
    "all",
    "and",
    "any",
    "archive",
    "arg",
    "as",
    "assert",
    "async",
    "await",
    "bool",
    "break",
    "class",
    "continue",
    "copy",
    "def",
    "del",
    "dict",
    "dir",
    "docker_archive",
    "elif",
    "else",
    "enumerate",
    "except",
    "fail",
    "fetch",
    "files",
    "finally",
    "float",
    "for",
    "from",
    "getattr",
    "git",
    "glob",
    "global",
    "hasattr",
    "hash",
    "if",
    "image",
    "import",
    "in",
    "index",
    "int",
    "is",
    "lambda",
    "len",
    "list",
    "load",
    "max",
    "min",
    "nonlocal",
    "not",
    "oci",
    "oci_archive",
    "oci_layout",
    "or",
    "pass",
    "platform",
    "print",
    "raise",
    "range",
    "repr",
    "return",
    "reversed",
    "run",
    "scratch",
    "select",
    "sorted",
    "str",
    "symlink",
    "tuple",
    "type",
    "write",
    "zip",
];
/// As many words of a comment can be a name.
const MOST_WORDS: usize = 2;

/// Names that are given, so that none is given twice.
#[derive(Debug, Default)]
pub(super) struct Names {
    variables: BTreeSet<String>,
    targets: BTreeSet<String>,
}

impl Names {
    /// A variable of this name, or of the nearest that is free.
    pub(super) fn variable(&mut self, wanted: &str) -> String {
        let plain: String = wanted.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let plain = if plain.starts_with(|c: char| c.is_ascii_digit()) { format!("_{plain}") } else { plain };
        let plain = if TAKEN.contains(&plain.as_str()) { format!("{plain}_") } else { plain };
        free(&mut self.variables, plain, '_')
    }

    /// A target of this name, or of the nearest that is free.
    pub(super) fn target(&mut self, wanted: &str) -> String {
        free(&mut self.targets, wanted.to_owned(), '-')
    }
}

fn free(given: &mut BTreeSet<String>, wanted: String, separator: char) -> String {
    let numbered = (2..).map(|number| format!("{wanted}{separator}{number}"));
    let name = [wanted.clone()].into_iter().chain(numbered).find(|name| !given.contains(name)).unwrap_or_default();
    given.insert(name.clone());
    name
}

/// What a comment calls the stage below it: `# Stage 2: build` and `# ---- build ----` are `build`. `None` if it is a
/// sentence rather than a name.
pub(super) fn of_comment(comments: &[String]) -> Option<String> {
    let [comment] = comments else { return None };
    let lower = comment.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
    let is_said =
        |word: &&str| !matches!(*word, "stage" | "the" | "a" | "image" | "layer") && word.parse::<u32>().is_err();
    let words: Vec<&str> = words.filter(is_said).collect();
    let is_name = (1..=MOST_WORDS).contains(&words.len()) && words[0].starts_with(|c: char| c.is_ascii_lowercase());
    (is_name && !lower.trim_end().ends_with('.') && !lower.contains(['\'', '=', '$'])).then(|| words.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_once_and_can_be_written() {
        let mut names = Names::default();
        assert_eq!(names.variable("build-env"), "build_env");
        assert_eq!(names.variable("build.env"), "build_env_2");
        assert_eq!((names.variable("run").as_str(), names.variable("1").as_str()), ("run_", "_1"));
        assert_eq!((names.target("a").as_str(), names.target("a").as_str()), ("a", "a-2"));
    }

    #[test]
    fn short_comments_name_stages() {
        for (comment, name) in [
            ("# Stage 1: Build", Some("build")),
            ("# ---- Release image ----", Some("release")),
            ("# Final image", Some("final")),
            ("# install the dependencies of the application first", None),
            ("# We use Alpine.", None),
            ("# FOO=bar", None),
            ("#", None),
        ] {
            assert_eq!(of_comment(&[comment.to_owned()]).as_deref(), name, "{comment}");
        }
    }
}
