//! What is said of the rules: one of them on a terminal, all of them as a page.

use super::rule::{Origin, RULES, Rule, Severity};

/// The page of all rules, in Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# Lint rules\n\n<!-- Made from the rules by the tests: OCIFY_BLESS=1 writes it. -->\n\n\
         [Checking Dockerfiles and specs](../lint.md) says how the checks are run, fixed and left out.\n\n\
         | rule | asks for |\n|---|---|\n",
    );
    for rule in RULES {
        page.push_str(&format!("| [{0}](#{1}) | {2} |\n", rule.name, rule.name.to_lowercase(), rule.summary));
    }
    for rule in RULES {
        page.push_str(&format!("\n## {}", self::page(rule)));
    }
    page
}

/// What there is to say of a rule, in Markdown; the first line is its name.
pub fn page(rule: &Rule) -> String {
    let origin = match rule.origin {
        Origin::BuildKit => "`docker build --check` has it too.",
        Origin::Experimental => {
            "`docker build --check` has it too. It is only checked where `check=experimental=` names it, or `all`."
        }
        Origin::Ocify => "A rule of ocify.",
    };
    let severity = match rule.severity {
        Severity::Warning => "",
        Severity::Note => " A note: `--deny warnings` lets it pass.",
    };
    let mut text = format!("{}\n\n{}\n\n{}\n\n{origin}{severity}\n", rule.name, rule.summary, rule.why);
    for (title, example) in [("Instead of", rule.bad), ("write", rule.good)] {
        if !example.is_empty() {
            text.push_str(&format!("\n{title}\n\n```dockerfile\n{example}```\n"));
        }
    }
    text
}
