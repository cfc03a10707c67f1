//! What COPY and ADD take.

use crate::diagnostic::human_size;
use crate::dockerfile::{Body, Copy, Word};
use crate::lint::context::clean;
use crate::lint::finding::{Edit, Finding};
use crate::lint::rule::{Origin, Rule, Severity};
use crate::source::IgnorePatterns;

use super::Checked;
use super::stage::Step;

pub(in crate::lint) const COPY_IGNORED_FILE: Rule = Rule {
    name: "CopyIgnoredFile",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "No source of COPY or ADD is excluded by `.dockerignore`.",
    why: "What is ignored is not in the context: the build fails. A `.dockerignore` with `!` in it is not looked at, since \
          only the files tell what it leaves.",
    bad: "",
    good: "",
};

pub(in crate::lint) const ADD_OF_LOCAL_FILE: Rule = Rule {
    name: "AddOfLocalFile",
    origin: Origin::Ocify,
    severity: Severity::Warning,
    summary: "What lies in the context and is no archive is copied with COPY.",
    why: "ADD fetches what looks like a URL and unpacks what looks like an archive. COPY does what it says.",
    bad: "FROM debian:12\nADD app.py /app/\n",
    good: "FROM debian:12\nCOPY app.py /app/\n",
};

pub(in crate::lint) const UNIGNORED_FILE: Rule = Rule {
    name: "UnignoredFile",
    origin: Origin::Ocify,
    severity: Severity::Warning,
    summary: "A COPY of the whole context does not take `.git`, `.env`, `node_modules` and the like along.",
    why: "`.env` and keys have secrets in them, `.git` all that ever was in the repository. Installed dependencies are for the \
          machine on which they were installed. A `.dockerignore` leaves them out. ocify itself never copies `.git`; other \
          builders do.",
    bad: "",
    good: "",
};

/// Names, wherever they are in the context, that nobody means to copy.
const UNWANTED: [&str; 12] = [
    ".aws",
    ".env",
    ".env.local",
    ".env.production",
    ".mypy_cache",
    ".pytest_cache",
    ".ssh",
    ".venv",
    "__pycache__",
    "id_ed25519",
    "id_rsa",
    "node_modules",
];

/// Ends of names of archives that ADD unpacks.
const ARCHIVES: [&str; 11] =
    [".tar", ".tar.bz2", ".tar.gz", ".tar.xz", ".tar.zst", ".tbz", ".tbz2", ".tgz", ".txz", ".tzst", ".tar.lzma"];

pub(super) fn check(checked: &Checked, findings: &mut Vec<Finding>) {
    for step in checked.stages.iter().flat_map(|stage| &stage.steps) {
        let Body::Copy(copy) = &step.instruction.body else { continue };
        if step.instruction.flag("from").is_some() {
            continue;
        }
        for source in &copy.sources {
            ignored(checked, step, source, findings);
            unwanted(checked, step, source, findings);
        }
        add(checked, step, copy, findings);
    }
}

/// True for what ADD fetches.
pub(super) fn is_remote(source: &str) -> bool {
    source.contains("://") || source.starts_with("git@")
}

fn ignored(checked: &Checked, step: &Step, source: &Word, findings: &mut Vec<Finding>) {
    let Ok(patterns) = IgnorePatterns::new(checked.subject.ignore) else { return };
    let (Some(path), Some(span)) = (step.before.expand(source).value, &source.span) else { return };
    if patterns.takes_back()
        || is_remote(&path)
        || !patterns.is_ignored(clean(&path).as_bytes())
        || clean(&path).is_empty()
    {
        return;
    }
    let found = Finding::new(&COPY_IGNORED_FILE, span.clone(), format!("`{path}` is excluded by .dockerignore"));
    findings.push(found.help("take the pattern out of .dockerignore, or copy something else"));
}

fn unwanted(checked: &Checked, step: &Step, source: &Word, findings: &mut Vec<Finding>) {
    let (Some(path), Some(span)) = (step.before.expand(source).value, &source.span) else { return };
    if !clean(&path).is_empty() && clean(&path) != "*" {
        return;
    }
    let excluded: Vec<String> = step
        .instruction
        .flags
        .iter()
        .filter(|flag| flag.name.value == "exclude")
        .filter_map(|flag| flag.value.as_ref())
        .map(|value| clean(&value.value))
        .collect();
    let excluded = IgnorePatterns::new(&excluded).unwrap_or_default();
    let taken = checked.context.taken(&path);
    let mut names: Vec<(String, u64)> = Vec::new();
    for taken in taken.iter().filter(|taken| !excluded.is_ignored(taken.file.path.as_bytes())) {
        let mut components = taken.file.path.split('/');
        let Some(name) = components.find(|name| UNWANTED.contains(name)) else { continue };
        match names.iter_mut().find(|(other, _)| other == name) {
            Some((_, size)) => *size += taken.file.size,
            None => names.push((name.to_owned(), taken.file.size)),
        }
    }
    names.sort();
    let mut said: Vec<String> = names.iter().map(|(name, size)| format!("`{name}` ({})", human_size(*size))).collect();
    if checked.context.has(".git") && !excluded.is_ignored(b".git") {
        said.insert(0, "`.git`".to_owned());
        names.insert(0, (".git".to_owned(), 0));
    }
    if said.is_empty() {
        return;
    }
    let found = Finding::new(&UNIGNORED_FILE, span.clone(), format!("this takes {} along", said.join(", ")));
    let lines: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    findings.push(found.help(
        format!("write into .dockerignore, a line each: {}", lines.iter().map(|name| match *name {
        ".git" => ".git".to_owned(),
        name => format!("**/{name}"),
    }).collect::<Vec<_>>().join(" ")),
    ));
}

fn add(checked: &Checked, step: &Step, copy: &Copy, findings: &mut Vec<Finding>) {
    let special = ["checksum", "keep-git-dir", "unpack"].iter().any(|flag| step.instruction.flag(flag).is_some());
    if !copy.add || special || copy.sources.is_empty() {
        return;
    }
    for source in &copy.sources {
        let Some(path) = step.before.expand(source).value else { return };
        let is_archive = |path: &str| ARCHIVES.iter().any(|end| path.to_ascii_lowercase().ends_with(end));
        let taken = checked.context.taken(&path);
        // What is unpacked is told by its content, not by its name.
        let unpacked = taken.iter().any(|taken| !taken.is_nested && checked.context.is_archive(taken.file));
        if is_remote(&path) || is_archive(&path) || unpacked {
            return;
        }
    }
    let keyword = &step.instruction.keyword;
    let Some(span) = keyword.span.clone() else { return };
    let right = if keyword.value.chars().all(|c| c.is_ascii_lowercase()) { "copy" } else { "COPY" };
    let found = Finding::new(&ADD_OF_LOCAL_FILE, span.clone(), "COPY is enough for files of the context");
    let seen = copy
        .sources
        .iter()
        .all(|source| step.before.expand(source).value.is_some_and(|path| !checked.context.taken(&path).is_empty()));
    findings.push(match seen {
        true => found.fixed_by(format!("write `{right}`"), vec![Edit::replace(span, right)]),
        false => found.help("write COPY"),
    });
}
