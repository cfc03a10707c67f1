//! Errors as a person reads them.

use std::io::{self, IsTerminal};

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::diagnostic::{COMMAND, Diagnostic};

/// With colours and the terminal's width on a terminal, plain text of 100 columns elsewhere.
pub(super) fn render(error: &Diagnostic) -> String {
    let coloured = io::stderr().is_terminal();
    let handler = match coloured {
        true => GraphicalReportHandler::new(),
        false => GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100),
    };
    let mut report = String::new();
    match handler.render_report(&mut report, error) {
        Ok(()) => harmless(&with_commands(&report, error), coloured),
        Err(_) => harmless(&format!("error: {error}\n"), false),
    }
}

/// The report with the command lines in their places, as long as they are.
fn with_commands(report: &str, error: &Diagnostic) -> String {
    let mut commands = error.commands().into_iter();
    let mut text = String::with_capacity(report.len());
    for line in report.split_inclusive('\n') {
        match line.trim().chars().eq([COMMAND]) {
            true => text.push_str(&line.replace(COMMAND, commands.next().unwrap_or_default())),
            false => text.push_str(line),
        }
    }
    text
}

/// A report without what makes terminals do things: errors quote what registries, archives and specs of others say. Only
/// colours stay, where there are some.
pub(super) fn harmless(report: &str, coloured: bool) -> String {
    let mut text = String::with_capacity(report.len());
    let mut rest = report;
    while let Some(c) = rest.chars().next() {
        let length = colour(rest).filter(|_| coloured).unwrap_or(c.len_utf8());
        match c {
            '\n' => text.push(c),
            c if c.is_control() && length == c.len_utf8() => text.push(' '),
            _ => text.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    text
}

/// The length of the sequence that sets a colour, if `text` begins with one (ECMA-48, 8.3.117, SGR).
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_stay_in_one_piece() {
        let long =
            |name: &str| format!("ocify shell --arg 'NAME=a value of many words {}' {name}", "x-y/z ".repeat(40));
        let other = Diagnostic::failure("b").help("about b:").command(long("//:b"));
        let error = Diagnostic::failure("a").help("about a:").command(long("//:a"));
        let report = render(&error.and([Diagnostic::failure("none"), other]));
        for name in ["a", "b"] {
            assert!(report.contains(&format!("about {name}:\n        {}\n", long(&format!("//:{name}")))), "{report}");
        }
        assert!(!report.contains(COMMAND));
    }

    #[test]
    fn only_colours_reach_the_terminal() {
        let report = "a\u{1b}[31;1mb\u{1b}[0m\u{1b}]0;title\u{7}\u{1b}[2J\r\u{9b}2J\té\n\u{1b}[";
        assert_eq!(harmless(report, true), "a\u{1b}[31;1mb\u{1b}[0m ]0;title  [2J  2J é\n [");
        assert_eq!(harmless(report, false), "a [31;1mb [0m ]0;title  [2J  2J é\n [");
    }
}
