//! What stages stand on: the image of FROM, its platform, the ARGs in its name.

use crate::diagnostic::{Span, nearest};
use crate::dockerfile::{Body, Word};
use crate::lint::finding::{Edit, Finding};
use crate::lint::rule::{Origin, Rule, Severity};
use crate::oci::Reference;
use crate::platform::Platform;
use crate::source::Lock;
use crate::target::OciReference;

use super::Checked;
use super::stage::{Stage, find};

pub(in crate::lint) const UNDEFINED_ARG_IN_FROM: Rule = Rule {
    name: "UndefinedArgInFrom",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "FROM uses only ARGs that are declared before the first FROM.",
    why: "A variable that nobody declared expands to nothing, often because its name was mistyped. `--build-arg` cannot set it \
          either.",
    bad: "ARG VERSION=12\nFROM debian:${VERSOIN}\n",
    good: "ARG VERSION=12\nFROM debian:${VERSION}\n",
};

pub(in crate::lint) const INVALID_DEFAULT_ARG_IN_FROM: Rule = Rule {
    name: "InvalidDefaultArgInFrom",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "With the defaults of its ARGs, FROM names an image.",
    why: "Else nobody can build the Dockerfile without knowing which `--build-arg` it wants.",
    bad: "ARG TAG\nFROM debian:${TAG}\n",
    good: "ARG TAG=12\nFROM debian:${TAG}\n",
};

pub(in crate::lint) const REDUNDANT_TARGET_PLATFORM: Rule = Rule {
    name: "RedundantTargetPlatform",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "FROM does not say `--platform=$TARGETPLATFORM`.",
    why: "That is the platform without the flag too.",
    bad: "FROM --platform=$TARGETPLATFORM debian:12\n",
    good: "FROM debian:12\n",
};

pub(in crate::lint) const FROM_PLATFORM_FLAG_CONST_DISALLOWED: Rule = Rule {
    name: "FromPlatformFlagConstDisallowed",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "The `--platform` of FROM has a variable in it, or the stage's name says the platform.",
    why: "With a fixed platform the Dockerfile builds for that one only, whatever `--platform` says on the command line.",
    bad: "FROM --platform=linux/amd64 debian:12 AS build\n",
    good: "FROM --platform=$BUILDPLATFORM debian:12 AS build\n",
};

pub(in crate::lint) const INVALID_BASE_IMAGE_PLATFORM: Rule = Rule {
    name: "InvalidBaseImagePlatform",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "The base is an image for the platform that is built.",
    why: "Its programs would not run there. It is checked as far as the lock and the store know the base; no registry is \
          asked, so a base that was never built on is not checked.",
    bad: "",
    good: "",
};

pub(in crate::lint) const UNPINNED_BASE: Rule = Rule {
    name: "UnpinnedBase",
    origin: Origin::Ocify,
    severity: Severity::Warning,
    summary: "Every image that is built on is pinned, by `ocify.lock` or by a digest in its name.",
    why: "A tag names another image tomorrow, and `latest` does so without notice: what was tested is not what is built next. \
          `ocify build -f` writes the lock beside the Dockerfile; builds of others need the digest in the name.",
    bad: "FROM debian:latest\n",
    good: "FROM debian:12@sha256:264ff1e4b47b4bb2da4c3b1de8a0b3eb0e1d9d4b8c1e5c7b9b2f1e6d3a5c4b7e\n",
};

pub(super) fn check(checked: &Checked, findings: &mut Vec<Finding>) {
    for (at, stage) in checked.stages.iter().enumerate() {
        names(stage, checked, findings);
        platform_flag(stage, findings);
        wrong_platform(stage, checked, findings);
        if let Some((reference, span)) = stage.reference.as_ref().zip(stage.image.span.as_ref()) {
            unpinned(reference, span, checked, findings);
        }
        for step in &stage.steps {
            let Body::Copy(_) = &step.instruction.body else { continue };
            let from = step.instruction.flag("from").and_then(|flag| flag.value.as_ref());
            let Some(word) = from else { continue };
            let is_stage = word.value.parse::<usize>().is_ok() || find(&checked.stages[..at], &word.value).is_some();
            if is_stage || word.value == "scratch" || checked.subject.contexts.contains(&word.value) {
                continue;
            }
            if let (Ok(oci), Some(span)) = (OciReference::parse(&word.value), &word.span) {
                unpinned(&oci.reference, span, checked, findings);
            }
        }
    }
}

fn names(stage: &Stage, checked: &Checked, findings: &mut Vec<Finding>) {
    let Some(span) = &stage.image.span else { return };
    let mut undefined = stage.globals.expand(stage.image).undefined;
    if let Some(word) = platform_word(stage) {
        undefined.extend(stage.globals.expand(word).undefined);
    }
    for name in &undefined {
        let place = if stage.image.value.contains(name.as_str()) { span } else { &stage.from.span };
        let found = Finding::new(
            &UNDEFINED_ARG_IN_FROM,
            place.clone(),
            format!("FROM uses `{name}`, which no ARG before it declares"),
        );
        findings.push(found.help(match nearest(name, stage.globals.names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write `ARG {name}=...` before the first FROM"),
        }));
    }
    // With the defaults: what the command line gives does not count.
    let defaults = super::stage::defaults(checked.dockerfile, checked.subject);
    let Some(name) = defaults.expand_as_built(stage.image) else { return };
    if name != "scratch" && OciReference::parse(&name).is_err() {
        let said = if name.is_empty() { "nothing".to_owned() } else { format!("`{name}`, which is no image") };
        let message = format!("without `--build-arg`, `{}` is {said}", stage.image.value);
        let found = Finding::new(&INVALID_DEFAULT_ARG_IN_FROM, span.clone(), message);
        findings.push(found.help("give its ARG a default, or write one here: `${NAME:-default}`"));
    }
}

fn platform_word<'a>(stage: &Stage<'a>) -> Option<&'a Word> {
    stage.from.flag("platform").and_then(|flag| flag.value.as_ref())
}

fn platform_flag(stage: &Stage, findings: &mut Vec<Finding>) {
    let Some((word, span)) = platform_word(stage).and_then(|word| Some((word, word.span.clone()?))) else { return };
    if matches!(word.value.trim_matches('"'), "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
        let found = Finding::new(&REDUNDANT_TARGET_PLATFORM, span, "that is the platform without the flag too");
        let flag = flag_span(stage);
        findings.push(match flag {
            Some(flag) => found.fixed_by("take the flag away", vec![Edit::replace(flag, "")]),
            None => found.help("take the flag away"),
        });
        return;
    }
    let Ok(platform) = word.value.parse::<Platform>() else { return };
    let name = stage.name.map_or(String::new(), |name| name.value.to_lowercase());
    if name.contains(&platform.os) || name.contains(&platform.architecture) {
        return;
    }
    let message = format!("`--platform={}` is the same whatever is built for", word.value);
    let found = Finding::new(&FROM_PLATFORM_FLAG_CONST_DISALLOWED, span, message);
    findings.push(found.help("leave the flag out, write `$BUILDPLATFORM`, or name the stage after the platform"));
}

/// The flag and the blanks behind it, if it is the only one.
fn flag_span(stage: &Stage) -> Option<Span> {
    let [flag] = stage.from.flags.as_slice() else { return None };
    let (name, image) = (flag.name.span.as_ref()?, stage.image.span.as_ref()?);
    let start = name.start.checked_sub(2)?;
    let text = name.source.text.get(start..image.start)?;
    (text.starts_with("--") && !text.contains('\n')).then(|| Span {
        source: name.source.clone(),
        start,
        end: image.start,
    })
}

fn wrong_platform(stage: &Stage, checked: &Checked, findings: &mut Vec<Finding>) {
    let (Some(reference), Some(platform), Some(span)) = (&stage.reference, &stage.platform, &stage.image.span) else {
        return;
    };
    let differs = |found: &Platform| found.os != platform.os || found.architecture != platform.architecture;
    let pin = checked.subject.lock.images.get(reference).filter(|_| reference.digest.is_none());
    let others: Vec<String> = match (pin, &stage.config) {
        (Some(pin), _) if pin.platforms.keys().all(differs) => pin.platforms.keys().map(Platform::to_string).collect(),
        (None, Some(config)) if differs(&config.platform()) => vec![config.platform().to_string()],
        _ => return,
    };
    let message = format!("`{}` is for {}, and {platform} is built", stage.image.value, others.join(", "));
    let found = Finding::new(&INVALID_BASE_IMAGE_PLATFORM, span.clone(), message);
    findings.push(found.help("build for another platform with `--platform`, or on another base"));
}

fn unpinned(reference: &Reference, span: &Span, checked: &Checked, findings: &mut Vec<Finding>) {
    if let Some(message) = unpinned_message(span.text(), reference, checked.subject.lock) {
        let found = Finding::new(&UNPINNED_BASE, span.clone(), message);
        findings
            .push(found.help("`ocify build -f` pins it in ocify.lock; or write its digest behind it: `@sha256:...`"));
    }
}

/// What is to be said of an image, by its whole name and as it was written, if nothing pins it.
pub(in crate::lint) fn unpinned_message(written: &str, reference: &Reference, lock: &Lock) -> Option<String> {
    if reference.digest.is_some() || lock.images.contains_key(reference) {
        return None;
    }
    Some(match reference.tag.as_deref() {
        None | Some("latest") => format!("`{written}` is whatever is newest on the day of the build"),
        Some(tag) => format!("nothing pins `{written}`: the tag `{tag}` may name another image tomorrow"),
    })
}
