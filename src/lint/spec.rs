//! The rules that make sense for targets of specs, be they Starlark or TOML.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Span, Spanned};
use crate::source::Lock;
use crate::target::{Base, Command, FileSource, ImageSpec, Label, LayerSpec, Mount, Run, Scrubber, Sources};

use super::dockerfile::{base, config, order, package, run, variable};
use super::finding::Finding;
use super::shell::{self, Call, ShellWord};
use super::sorted;
use super::suppress::Asked;

/// An image of a spec, and where it is said.
pub struct SpecImage {
    pub label: Label,
    pub span: Option<Span>,
    pub spec: ImageSpec,
}

/// Checks images of specs: names that nothing pins, root, secrets, what commands leave behind.
pub fn lint_targets(images: &[SpecImage], lock: &Lock) -> Vec<Finding> {
    let by_label: BTreeMap<&Label, &SpecImage> = images.iter().map(|image| (&image.label, image)).collect();
    let mut findings = Vec::new();
    for image in images {
        unpinned(image, lock, &mut findings);
        root(image, &by_label, &mut findings);
        secrets(image, &mut findings);
        commands(image, &mut findings);
        order(image, &mut findings);
    }
    let mut kept = Vec::new();
    let sources: BTreeSet<String> = findings.iter().map(|finding: &Finding| finding.span.source.name.clone()).collect();
    let anchors: Vec<Span> = images.iter().filter_map(|image| image.span.clone()).collect();
    for name in sources {
        let (mut own, rest): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|finding| finding.span.source.name == name);
        findings = rest;
        if let Some(source) = own.first().map(|finding| finding.span.source.clone()) {
            let anchors: Vec<Span> = anchors.iter().filter(|anchor| anchor.source.name == name).cloned().collect();
            Asked::of(&source).apply(&mut own, &anchors);
        }
        kept.extend(own);
    }
    sorted(kept)
}

fn unpinned(image: &SpecImage, lock: &Lock, findings: &mut Vec<Finding>) {
    for Spanned { value, span } in image.spec.bases() {
        let (Base::Oci(oci), Some(span)) = (value, span.as_ref().or(image.span.as_ref())) else { continue };
        if let Some(message) = base::unpinned_message(&oci.reference.to_string(), &oci.reference, lock) {
            let found = Finding::new(&base::UNPINNED_BASE, span.clone(), message);
            findings.push(found.help("`ocify lock` writes what it names now into ocify.lock"));
        }
    }
}

/// As whom an image runs, as far as the specs say, and whether it runs anything.
fn runs_as<'a>(image: &'a SpecImage, images: &BTreeMap<&Label, &'a SpecImage>) -> (Option<&'a str>, bool) {
    let below = image.spec.base.as_ref().and_then(|base| base.value.target()).and_then(|label| images.get(label));
    // Targets do not stand on themselves: the graph was checked.
    let (user, runs) = below.map_or((None, false), |below| runs_as(below, images));
    let has = |words: &Option<Vec<String>>| words.as_ref().is_some_and(|words| !words.is_empty());
    (image.spec.user.as_deref().or(user), has(&image.spec.entrypoint) || has(&image.spec.cmd) || runs)
}

fn root(image: &SpecImage, images: &BTreeMap<&Label, &SpecImage>, findings: &mut Vec<Finding>) {
    let Some(span) = &image.span else { return };
    let message = match runs_as(image, images) {
        (Some(user), true) if config::is_root(user) => "the image runs as root",
        (None, true) => "no `user` says as whom the image runs; most bases mean root",
        _ => return,
    };
    let found = Finding::new(&config::ROOT_USER, span.clone(), message);
    findings.push(found.help("give it the number of a user: user = \"1000:1000\""));
}

fn secrets(image: &SpecImage, findings: &mut Vec<Finding>) {
    let mut names: Vec<(&str, Option<&Span>)> =
        image.spec.env.iter().map(|(name, _)| (name.as_str(), image.span.as_ref())).collect();
    for (run, span) in runs(image) {
        names.extend(run.env.keys().map(|name| (name.as_str(), span)));
    }
    for (name, span) in names.into_iter().filter(|(name, _)| variable::is_secret(name)) {
        let Some(span) = span else { continue };
        let message = format!("whoever has the image or its spec can read the value of `{name}`");
        let found = Finding::new(&variable::SECRETS_USED_IN_ARG_OR_ENV, span.narrowed_to(name), message);
        findings.push(found.help("give it to the container when it is run"));
    }
}

fn runs(image: &SpecImage) -> impl Iterator<Item = (&Run, Option<&Span>)> {
    image.spec.layers.iter().filter_map(|layer| match &layer.value {
        LayerSpec::Run(run) => Some((run, layer.span.as_ref().or(image.span.as_ref()))),
        _ => None,
    })
}

fn commands(image: &SpecImage, findings: &mut Vec<Finding>) {
    for (run, span) in runs(image) {
        let Some(span) = span else { continue };
        let calls = calls(&run.command);
        // Lists of apt that a scrubber or a cache keeps out are in no layer.
        let is_kept_out = run.scrub.iter().any(|scrubber| scrubber == Scrubber::AptLists)
            || run
                .mounts
                .iter()
                .any(|mount| matches!(&mount.value, Mount::Cache(cache) if package::is_on_lists(&cache.target)));
        for fault in package::faults(&calls) {
            if is_kept_out && fault.rule.name == package::PACKAGE_LISTS_LEFT.name {
                continue;
            }
            findings.push(Finding::new(fault.rule, span.clone(), fault.message).help(fault.help));
        }
        if let Some((from, to)) = run::piped_download(&calls) {
            let message = format!("if `{}` fails, `{}` runs what there is", from.program(), to.program());
            let found = Finding::new(&run::DOWNLOAD_PIPED_TO_SHELL, span.clone(), message);
            findings.push(found.help("bring the file with `fetch`, which pins it, and run it"));
        }
    }
    for row in image.spec.layers.chunk_by(|a, b| [a, b].iter().all(|layer| matches!(layer.value, LayerSpec::Run(_)))) {
        if let (true, Some(span)) = (row.len() >= run::MANY, row[0].span.as_ref().or(image.span.as_ref())) {
            let message = format!("{} `run`s in a row make {} layers", row.len(), row.len());
            let found = Finding::new(&run::MANY_RUN_LAYERS, span.clone(), message);
            findings.push(found.help("join them to one script with `&&`"));
        }
    }
}

fn order(image: &SpecImage, findings: &mut Vec<Finding>) {
    for (at, layer) in image.spec.layers.iter().enumerate() {
        let (LayerSpec::Files(files), Some(span)) = (&layer.value, layer.span.as_ref().or(image.span.as_ref())) else {
            continue;
        };
        let sources: Vec<&FileSource> = match &files.srcs {
            Sources::List(list) => list.iter().map(|source| &source.value).collect(),
            Sources::Map(pairs) => pairs.iter().map(|(_, source)| &source.value).collect(),
        };
        let is_broad =
            |source: &&FileSource| matches!(source, FileSource::Path(path) if order::is_broad(path.as_str()));
        if !sources.iter().any(is_broad) {
            continue;
        }
        let install = image.spec.layers[at + 1..].iter().find_map(|later| match &later.value {
            LayerSpec::Run(run) => order::installs(&calls(&run.command)).map(|call| call.program().to_owned()),
            _ => None,
        });
        if let Some(program) = install {
            let message = format!("any edit of these files runs `{program}` again");
            let found = Finding::new(&order::COPY_BEFORE_INSTALL, span.clone(), message);
            findings.push(found.help("put what it needs into a layer before it, and the rest behind it"));
        }
    }
}

fn calls(command: &Command) -> Vec<Call> {
    match command {
        Command::Shell(text) => shell::calls(text),
        Command::Argv(words) => match words.as_slice() {
            [program, flag, text] if program.ends_with("sh") && flag.ends_with('c') => shell::calls(text),
            words => {
                let words = words.iter().map(|text| ShellWord { text: text.clone(), range: 0..0 }).collect();
                vec![Call { words, is_piped: false, end: 0 }]
            }
        },
    }
}
