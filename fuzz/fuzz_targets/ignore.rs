//! Patterns of a `.dockerignore`, of which the last line is a path to ask about.

#![no_main]

use libfuzzer_sys::fuzz_target;

use crate::ignore::{IgnorePatterns, PathPattern};

#[path = "../../src/source/ignore.rs"]
#[allow(dead_code, reason = "builds use the rest")]
mod ignore;

fuzz_target!(|text: &str| {
    let (patterns, path) = text.rsplit_once('\n').unwrap_or((text, ""));
    let mut lines = IgnorePatterns::lines(patterns);
    let Ok(of_lines) = IgnorePatterns::new(&lines) else {
        assert!(lines.iter().any(|line| PathPattern::new(line.trim_start_matches('!')).is_err() || line == "!"));
        return;
    };
    let path = path.trim_matches('/');
    let ignored = of_lines.is_ignored(path.as_bytes());
    // What the last pattern matches, it decides.
    for (last, decides) in [("**", true), ("!**", false)] {
        lines.push(last.to_owned());
        assert_eq!(IgnorePatterns::new(&lines).unwrap().is_ignored(path.as_bytes()), decides, "{lines:?} {path:?}");
    }
    assert!(!ignored || lines.iter().any(|line| !line.starts_with('!')));
    is_itself(path);
});

/// A path with a `\` before each character is a pattern that matches it and what is below it.
fn is_itself(path: &str) {
    let pattern: String = path.chars().flat_map(|c| if c == '/' { vec![c] } else { vec!['\\', c] }).collect();
    let pattern = PathPattern::new(&pattern).unwrap();
    assert!(pattern.matches(path.as_bytes()), "{pattern:?} {path:?}");
    assert!(pattern.matches_or_above(format!("{path}/x").as_bytes()), "{pattern:?} {path:?}");
    assert!(!pattern.matches(format!("{path}x").as_bytes()), "{pattern:?} {path:?}");
}
