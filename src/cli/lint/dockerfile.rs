//! A Dockerfile that is checked, and mended with `--fix`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText};
use crate::image;
use crate::lint::{Finding, Report, Subject, fixed, lint_dockerfile};
use crate::oci::{ImageConfig, Reference};
use crate::platform::Platform;
use crate::source::{Lock, Workspace};
use crate::store::Store;
use crate::tomlspec;

use super::super::dockerfile::{context, ignore, read};
use super::super::environment;
use super::Arguments;

/// One fix can make another possible; more rounds than this are two fixes that undo each other.
const ROUNDS: usize = 20;

pub(super) fn run(
    file: &Path,
    arguments: &Arguments,
    environment: &environment::Arguments,
) -> Result<Report, Diagnostic> {
    let directory = context(&arguments.selection.targets, "ocify lint -f Dockerfile DIRECTORY")?;
    let workspace = Workspace::at(directory)
        .map_err(|error| Diagnostic::from(error).help("behind the options stands the directory of the context"))?;
    let (source, home) = read(file, &workspace)?;
    let source = Arc::new(SourceText { name: shown(file, &source.name), text: source.text.clone() });
    let (settings, _) = tomlspec::load(&workspace)?;
    let selection = &arguments.selection;
    let mut args: BTreeMap<String, String> = selection.args.iter().cloned().collect();
    let check = args.remove("BUILDKIT_DOCKERFILE_CHECK");
    let (contexts, ignore) =
        (arguments.contexts.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), ignore(file, &workspace)?);
    let lock = Lock::load(&home)?;
    // Without a store less is known of bases; that is no reason to check nothing.
    let store = environment.store_to_look_at().ok();
    let config = |reference: &Reference, platform: &Platform| config(reference, platform, &lock, store.as_ref());
    let subject = Subject {
        args: &args,
        target: arguments.target.as_deref(),
        platform: selection.platforms.first().unwrap_or(&settings.platform),
        build_platform: &settings.platform,
        contexts: &contexts,
        ignore: &ignore,
        context: Some(&workspace),
        lock: &lock,
        config: &config,
        check: check.as_deref(),
    };
    if !arguments.fix {
        return lint_dockerfile(&source, &subject);
    }
    if file.to_str() == Some("-") {
        return Err(Diagnostic::spec("stdin cannot be mended").help("name a file with `-f`"));
    }
    mend(file, source, &subject, arguments)
}

/// Applies fixes until there are none left, and writes the file if there were any.
fn mend(file: &Path, source: Arc<SourceText>, subject: &Subject, arguments: &Arguments) -> Result<Report, Diagnostic> {
    let (mut source, mut mended) = (source, 0);
    for _ in 0..ROUNDS {
        let report = lint_dockerfile(&source, subject)?;
        let wanted: Vec<Finding> =
            report.findings.iter().filter(|finding| arguments.is_wanted(finding)).cloned().collect();
        let (text, count) = fixed(&source.text, &wanted, arguments.unsafe_fixes);
        if count == 0 {
            break;
        }
        mended += count;
        source = Arc::new(SourceText { name: source.name.clone(), text });
    }
    if mended > 0 {
        write(file, &source.text)
            .map_err(|error| Diagnostic::failure(format!("`{}` cannot be written", file.display())).caused_by(error))?;
        eprintln!("mended {mended} in {}", source.name);
    }
    lint_dockerfile(&source, subject)
}

/// Writes the file whole or not at all; a link stays one.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let file = fs::canonicalize(file)?;
    let directory = file.parent().map_or(PathBuf::from("."), Path::to_owned);
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(fs::metadata(&file)?.permissions())?;
    new.as_file().sync_all()?;
    new.persist(&file)?;
    Ok(())
}

/// The Dockerfile's name in findings: as it was given, unless that is a path of this machine.
fn shown(file: &Path, name: &str) -> String {
    let file = file.strip_prefix("./").unwrap_or(file);
    let is_below = file.components().all(|component| matches!(component, Component::Normal(_)));
    match file.to_str() {
        Some("-") => "Dockerfile".to_owned(),
        Some(path) if is_below => path.to_owned(),
        _ => name.to_owned(),
    }
}

/// The config of an image that is pinned and in the store.
fn config(reference: &Reference, platform: &Platform, lock: &Lock, store: Option<&Store>) -> Option<ImageConfig> {
    let pinned = || lock.images.get(reference).and_then(|pin| pin.platforms.get(platform)).copied();
    let digest = reference.digest.or_else(pinned)?;
    Some(image::load_image(store?, &digest).ok()?.config().clone())
}
