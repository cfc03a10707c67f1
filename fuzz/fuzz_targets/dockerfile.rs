//! Whatever a Dockerfile says, it is read or there are errors, all of which lie in it and can be shown; and words expand or
//! say why not.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use miette::{JSONReportHandler, NarratableReportHandler};

use crate::diagnostic::{Diagnostic, SourceText, Span};

#[path = "../../src/diagnostic.rs"]
#[allow(dead_code, reason = "the parser uses a part of it")]
mod diagnostic;

#[path = "../../src/dockerfile"]
#[allow(dead_code, unused_imports, reason = "what comes behind the parser uses the rest")]
mod dockerfile {
    mod directive;
    mod expand;
    mod file;
    mod heredoc;
    mod instruction;
    mod line;
    mod word;

    pub use expand::{expand, expand_heredoc};
    pub use file::parse;
    pub use instruction::Instruction;
}

fuzz_target!(|text: &str| {
    let source = Arc::new(SourceText { name: "Dockerfile".to_owned(), text: text.to_owned() });
    match dockerfile::parse(&source) {
        Ok(file) => file.instructions.iter().for_each(lies_within),
        Err(error) => is_shown(&error),
    }
    for escape in ['\\', '`'] {
        let value = |name: &str| (!name.starts_with('u')).then(|| format!("{name}*"));
        for line in text.lines() {
            let _ = dockerfile::expand(line, escape, &value);
        }
        let _ = dockerfile::expand_heredoc(text, escape, &value);
    }
});

fn lies_within(instruction: &dockerfile::Instruction) {
    is_of_source(&instruction.span);
    let of_flags = instruction.flags.iter().flat_map(|flag| [Some(&flag.name), flag.value.as_ref()]);
    let words = of_flags.flatten().chain([&instruction.keyword]);
    words.filter_map(|word| word.span.as_ref()).for_each(is_of_source);
}

fn is_of_source(span: &Span) {
    assert!(span.start <= span.end && span.source.text.get(span.start..span.end).is_some(), "{span:?}");
}

fn is_shown(error: &Diagnostic) {
    error.span().into_iter().for_each(is_of_source);
    assert!(!error.to_string().is_empty());
    let mut shown = String::new();
    NarratableReportHandler::new().render_report(&mut shown, error).unwrap();
    JSONReportHandler::new().render_report(&mut shown, error).unwrap();
}
