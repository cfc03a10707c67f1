//! Files that one layer brings and a later one deletes.

use crate::diagnostic::human_size;
use crate::dockerfile::{Body, Copy};
use crate::lint::finding::Finding;
use crate::lint::rule::{Origin, Rule, Severity};
use crate::source::PathPattern;

use super::Checked;
use super::copy::is_remote;
use super::script::{Script, is_at_or_below};
use super::stage::Step;

pub(in crate::lint) const DELETED_IN_LATER_LAYER: Rule = Rule {
    name: "DeletedInLaterLayer",
    origin: Origin::Ocify,
    severity: Severity::Warning,
    summary: "No RUN deletes what an instruction before it brought.",
    why: "The layer below keeps its bytes: deleting hides files, and makes the image larger. Whoever has the image can still read \
          them. What COPY, ADD and downloads to a named file bring is compared with what `rm` takes away, in the stages that are \
          in the image.",
    bad: "FROM debian:12\nCOPY src.tar /tmp/src.tar\nRUN tar -xf /tmp/src.tar -C /opt && rm /tmp/src.tar\n",
    good: "FROM debian:12\nRUN --mount=type=bind,source=src.tar,target=/tmp/src.tar tar -xf /tmp/src.tar -C /opt\n",
};

/// A path of the image, and who brought it.
struct Brought {
    path: String,
    /// In bytes, if it is known.
    size: Option<u64>,
    line: usize,
    by: String,
    /// All that lies below it came with it.
    is_directory: bool,
}

pub(super) fn check(checked: &Checked, findings: &mut Vec<Finding>) {
    let mut brought: Vec<Brought> = Vec::new();
    for step in checked.shipped_stages().flat_map(|stage| &stage.steps) {
        match &step.instruction.body {
            Body::Copy(copy) => copied(checked, step, copy, &mut brought),
            Body::Run { .. } => {
                let Some(script) = Script::of(step.instruction) else { continue };
                deleted(step, &script, &mut brought, findings);
                downloaded(step, &script, &mut brought);
            }
            _ => {}
        }
    }
}

fn copied(checked: &Checked, step: &Step, copy: &Copy, brought: &mut Vec<Brought>) {
    let Some(dest) = step.before.expand(&copy.dest).value else { return };
    let Some(path) = step.before.absolute(&dest) else { return };
    let is_directory = dest.ends_with('/') || dest == "." || copy.sources.len() > 1;
    let (line, by) = (step.instruction.span.line(), step.instruction.name());
    let is_local = step.instruction.flag("from").is_none() && step.instruction.flag("parents").is_none();
    let mut put = |path: String, size, is_directory| {
        brought.push(Brought { path, size, line, by: by.clone(), is_directory });
    };
    for source in &copy.sources {
        let Some(source) = step.before.expand(source).value else { continue };
        let name = source.trim_end_matches('/').rsplit('/').next().unwrap_or("").to_owned();
        let inside = |below: &str| format!("{}/{below}", path.trim_end_matches('/'));
        if !is_local || is_remote(&source) {
            put(if is_directory && !name.is_empty() { inside(&name) } else { path.clone() }, None, !is_remote(&source));
            continue;
        }
        for taken in checked.context.taken(&source) {
            // An archive that is unpacked is not at its own name.
            if copy.add && !taken.is_nested && checked.context.is_archive(taken.file) {
                continue;
            }
            let at = if is_directory || taken.is_nested { inside(taken.below) } else { path.clone() };
            put(at, Some(taken.file.size), false);
        }
        if checked.subject.context.is_none() {
            put(if is_directory { inside(&name) } else { path.clone() }, None, true);
        }
    }
}

/// Files that curl and wget write where they are told to.
fn downloaded(step: &Step, script: &Script, brought: &mut Vec<Brought>) {
    for call in &script.calls {
        let (letter, long) = match call.program() {
            "curl" => ('o', "--output"),
            "wget" => ('O', "--output-document"),
            _ => continue,
        };
        // Also at the end of several, as in `-fsSLo`.
        let is_flag =
            |text: &str| text == long || (text.starts_with('-') && !text.starts_with("--") && text.ends_with(letter));
        let mut words = call.arguments().windows(2).filter(|pair| is_flag(&pair[0].text));
        let Some(path) = words.next().and_then(|pair| step.before.absolute(&pair[1].text)) else { continue };
        // What the same RUN takes away again is in no layer.
        let is_gone = removed(script).any(|(_, text)| step.before.absolute(text).as_ref() == Some(&path));
        if !is_gone {
            let (line, by) = (step.instruction.span.line(), "RUN".to_owned());
            brought.push(Brought { path, size: None, line, by, is_directory: false });
        }
    }
}

/// The paths that `rm` is given.
fn removed<'a>(script: &'a Script) -> impl Iterator<Item = (&'a crate::lint::shell::ShellWord, &'a str)> {
    let calls = script.calls.iter().filter(|call| matches!(call.program(), "rm" | "unlink"));
    calls.flat_map(|call| call.operands(&[])).map(|word| (word, word.text.as_str()))
}

fn deleted(step: &Step, script: &Script, brought: &mut Vec<Brought>, findings: &mut Vec<Finding>) {
    // After a `cd`, relative paths are not known.
    let moves = script.calls.iter().any(|call| matches!(call.program(), "cd" | "pushd"));
    for (word, text) in removed(script) {
        if text.contains('$') || (moves && !text.starts_with('/')) {
            continue;
        }
        let Some(path) = step.before.absolute(text) else { continue };
        let Ok(pattern) = PathPattern::new(path.trim_start_matches('/')) else { continue };
        let depth = path.split('/').count();
        let is_gone = |found: &Brought| {
            let head: Vec<&str> = found.path.split('/').take(depth).collect();
            let is_below = head.len() == depth && pattern.matches(head.join("/").trim_start_matches('/').as_bytes());
            is_below || (found.is_directory && is_at_or_below(&path, &found.path))
        };
        let (gone, kept): (Vec<Brought>, Vec<Brought>) = std::mem::take(brought).into_iter().partition(is_gone);
        *brought = kept;
        let Some(first) = gone.first() else { continue };
        let size = gone.iter().map(|gone| gone.size).sum::<Option<u64>>();
        let bytes = match size {
            Some(bytes) => format!("its {} stay", human_size(bytes)),
            None => "it stays".to_owned(),
        };
        let message = format!(
            "`{text}` is in the layer of {} in line {}: deleted here, {bytes} in the image",
            first.by, first.line
        );
        let found = Finding::new(&DELETED_IN_LATER_LAYER, script.span(word.range.clone()), message);
        findings.push(found.help(match first.by.as_str() {
            "RUN" => "delete it in the RUN that downloads it",
            _ => "leave it out of the copy, or see it in one RUN only, with --mount=type=bind",
        }));
    }
}
