//! Commands with `-f`: a Dockerfile instead of targets.

mod bases;
mod context;
mod host;
mod named_context;
mod text;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::dockerfile::{self, Lowered, NamedContexts, Options};
use crate::plan::{Names, TargetGraph};
use crate::source::Lock;
use crate::tomlspec;

use super::environment;
use super::locked::{self, Locked};
use super::registries::{Supplied, supplied};
use super::resolver::Resolver;
use super::selection::{Selected, Selection, key_value};
use super::unpinned::Unpinned;

use named_context::named_contexts;

pub(super) use bases::Pinned;
use context::{Bringing, BuildContext, is_elsewhere};
pub(super) use text::{context, home, ignore, read};

/// Arguments for a Dockerfile.
#[derive(clap::Args)]
pub(super) struct Dockerfile {
    /// A Dockerfile, `-` for stdin; in place of TARGET stands the directory of its context [default: .]
    #[arg(short, long, value_name = "DOCKERFILE")]
    file: Option<PathBuf>,
    /// Of a Dockerfile, the stage that is meant [default: the last]
    #[arg(long, value_name = "STAGE", requires = "file")]
    target: Option<String>,
    /// Label of the image of a Dockerfile; it wins over one of LABEL
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value, requires = "file")]
    labels: Vec<(String, String)>,
    /// For RUN of a Dockerfile, a line of /etc/hosts: NAME:ADDRESS or NAME=ADDRESS
    #[arg(long = "add-host", value_name = "NAME:ADDRESS", value_parser = host::host, requires = "file")]
    hosts: Vec<(String, IpAddr)>,
    /// What a stage or image of this name is: a directory, oci-layout://DIR[:TAG|@DIGEST] or docker-image://NAME
    #[arg(long = "build-context", value_name = "NAME=PLACE", value_parser = key_value, requires = "file")]
    contexts: Vec<(String, String)>,
}

/// With what a Dockerfile is read.
pub(super) struct Reading<'a> {
    pub(super) selection: &'a Selection,
    /// Whether names that nothing pins may be pinned, in the lock beside it.
    pub(super) locked: &'a Locked,
    pub(super) environment: &'a environment::Arguments,
    pub(super) offline: bool,
    /// No step may have the network.
    pub(super) hermetic: bool,
    /// Names of the image.
    pub(super) tags: &'a [String],
}

/// What a Dockerfile amounts to.
pub(super) struct Loaded {
    /// The stages as targets, in the context as their workspace.
    pub(super) selected: Selected,
    /// A line for each name that was pinned.
    pub(super) pinned: Vec<String>,
}

impl Dockerfile {
    /// The targets of the Dockerfile, if there is one; else those of the specs.
    pub(super) fn or_specs(&self, reading: &Reading) -> Result<Selected, Diagnostic> {
        if self.is_given() {
            return Ok(self.load(reading)?.selected);
        }
        let mut selected = reading.selection.load()?;
        selected.targets.settings.hermetic |= reading.hermetic;
        Ok(selected)
    }

    /// A Dockerfile is meant.
    pub(super) fn is_given(&self) -> bool {
        self.file.is_some()
    }

    /// The Dockerfile, as it was named.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The stage that is meant, if one was named.
    pub(super) fn stage(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// Stages and images that are something else.
    pub(super) fn replaced(&self) -> &[(String, String)] {
        &self.contexts
    }

    /// What `--add-host` says.
    pub(super) fn hosts(&self) -> impl Iterator<Item = String> + '_ {
        self.hosts.iter().map(|(name, address)| format!("{name}={address}"))
    }

    /// The named contexts, as they were given.
    pub(super) fn contexts(&self) -> impl Iterator<Item = String> {
        self.contexts.iter().map(|(name, place)| format!("{name}={place}"))
    }

    /// Reads the Dockerfile. Names in it that nothing pins are pinned, in the lock beside it.
    pub(super) fn load(&self, reading: &Reading) -> Result<Loaded, Diagnostic> {
        let Reading { selection, locked, environment, offline, hermetic, tags } = *reading;
        let context = context(&selection.targets, "ocify build -f Dockerfile DIRECTORY")?;
        let file = self.file.as_deref().unwrap_or(Path::new("Dockerfile"));
        let context = match is_elsewhere(context) {
            true => {
                let (client, store) = (&environment::fetcher(offline), &environment.store()?);
                BuildContext::bring(context, file, &Bringing { client, store, locked })?
            }
            false => BuildContext::directory(Path::new(context))?,
        };
        let BuildContext { workspace, unpacked } = context;
        // Of a context that is unpacked, the Dockerfile is a part.
        let (source, home, ignore) = match &unpacked {
            Some(_) if !text::is_stdin(file) => text::inside(file, &workspace)?,
            _ => {
                let (source, home) = read(file, &workspace)?;
                (source, home, ignore(file, &workspace)?)
            }
        };
        let (settings, _) = tomlspec::load(&workspace)?;
        let platforms = match selection.distinct_platforms() {
            none if none.is_empty() && settings.platforms.is_empty() => vec![settings.platform.clone()],
            none if none.is_empty() => settings.platforms.iter().map(|platform| platform.value.clone()).collect(),
            some => some,
        };
        let options = Options {
            args: selection.args.iter().cloned().collect(),
            target: self.target.clone(),
            build_platform: settings.platform.clone(),
            platforms,
            labels: self.labels.clone(),
            tags: tags.to_vec(),
            contexts: NamedContexts::default(),
            ignore,
            hosts: self.hosts.clone(),
            hermetic: hermetic || settings.hermetic,
            whole: false,
        };
        let settings = match options.args.get("SOURCE_DATE_EPOCH") {
            None => settings,
            Some(text) => {
                let epoch = text.parse().map_err(|_| {
                    let error = Diagnostic::spec(format!("`{text}` is no SOURCE_DATE_EPOCH"));
                    error.help(format!("it is a number of seconds since 1970, at most {}", u32::MAX))
                })?;
                crate::target::Settings { epoch, ..settings }
            }
        };

        let Supplied { registry, store, .. } = supplied(environment, &settings, offline)?;
        let options = Options { contexts: named_contexts(&self.contexts, &store)?, ..options };
        let client = environment::fetcher(offline);
        let resolver = Resolver { registry: &*registry, client: &client, workspace: &workspace, store: &store };
        let mut bases = Pinned { resolver, lock: Lock::load(&home)?, locked, added: Vec::new() };
        let parsed = dockerfile::parse(&source)?;
        let Lowered { targets, root, unused, .. } = dockerfile::lower(&parsed, &options, &mut bases)?;
        for name in unused.iter().filter(|name| *name != "SOURCE_DATE_EPOCH") {
            eprintln!("warning: the Dockerfile has no ARG `{name}`");
        }
        let targets = TargetGraph::of(&workspace, settings, targets, &root)?;
        let Pinned { resolver, mut lock, added: mut pinned, .. } = bases;
        let names = Names::of(&targets, std::slice::from_ref(&root));
        let unpinned = Unpinned::of(&names, &lock);
        locked.allow(&unpinned.lines(), "ocify lock -f")?;
        pinned.extend(unpinned.pin(&mut lock, &resolver)?);
        match pinned.as_slice() {
            [] => {}
            some if unpacked.is_some() => {
                some.iter().for_each(|line| eprintln!("warning: pinned for this build only: {line}"));
            }
            _ => locked::write(&lock, &home)?,
        }
        let selected = Selected { workspace, lock, targets, roots: vec![root], unpacked, is_whole: false };
        Ok(Loaded { selected, pinned })
    }
}
