//! `ocify build -f`: a Dockerfile instead of targets.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{At, Diagnostic, SourceText, Spanned};
use crate::dockerfile::{self, Bases, Lowered, Options};
use crate::fetch::{self, Client};
use crate::image;
use crate::oci::{ImageConfig, Reference};
use crate::path::WorkspacePath;
use crate::plan::TargetGraph;
use crate::platform::Platform;
use crate::source::{IgnorePatterns, Lock, SourceError, Workspace};
use crate::target::OciReference;
use crate::tomlspec;

use super::environment;
use super::locked::{self, Locked};
use super::registries::{Supplied, supplied};
use super::resolver::Resolver;
use super::selection::{Selected, Selection, key_value};

/// Arguments for a Dockerfile.
#[derive(clap::Args)]
pub(super) struct Dockerfile {
    /// Build a Dockerfile, `-` for stdin; in place of TARGET stands the directory of its context [default: .]
    #[arg(short, long, value_name = "DOCKERFILE")]
    file: Option<PathBuf>,
    /// Of a Dockerfile, the stage to build [default: the last]
    #[arg(long, value_name = "STAGE", requires = "file")]
    target: Option<String>,
    /// Name of the image of a Dockerfile
    #[arg(short, long = "tag", value_name = "NAME", requires = "file")]
    tags: Vec<String>,
    /// Label of the image of a Dockerfile; it wins over one of LABEL
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value, requires = "file")]
    labels: Vec<(String, String)>,
}

impl Dockerfile {
    /// A Dockerfile is to be built.
    pub(super) fn is_given(&self) -> bool {
        self.file.is_some()
    }

    /// The stages of the Dockerfile as targets, in the context as their workspace. Images that it names and nothing pins are
    /// pinned, in the lock beside it.
    pub(super) fn load(
        &self,
        selection: &Selection,
        locked: &Locked,
        environment: &environment::Arguments,
        offline: bool,
    ) -> Result<Selected, Diagnostic> {
        let context = context(selection, "ocify build -f Dockerfile DIRECTORY")?;
        let workspace = Workspace::at(&context)
            .map_err(|error| Diagnostic::from(error).help("behind the options stands the directory of the context"))?;
        let file = self.file.as_deref().unwrap_or(Path::new("Dockerfile"));
        let (source, home) = read(file, &workspace)?;
        let (settings, _) = tomlspec::load(&workspace)?;
        let platform = match selection.platforms.as_slice() {
            [] => settings.platform.clone(),
            [one] => one.clone(),
            several => {
                let error = Diagnostic::spec(format!("a Dockerfile is built for one platform, not {}", several.len()));
                return Err(error.help("build it once for each, and list the images with `ocify index`"));
            }
        };
        let options = Options {
            args: selection.args.iter().cloned().collect(),
            target: self.target.clone(),
            build_platform: settings.platform.clone(),
            platform: platform.clone(),
            labels: self.labels.clone(),
            tags: self.tags.clone(),
            ignore: ignore(file, &workspace)?,
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
        let client = Client::new(fetch::Options { offline, ..fetch::Options::default() });
        let resolver = Resolver { registry: &*registry, client: &client, workspace: &workspace, store: &store };
        let lock = Lock::load(&home)?;
        let mut bases = Pinned { resolver, lock, locked, added: false };
        let parsed = dockerfile::parse(&source)?;
        let Lowered { targets, root, unused } = dockerfile::lower(&parsed, &options, &mut bases)?;
        for name in unused.iter().filter(|name| *name != "SOURCE_DATE_EPOCH") {
            eprintln!("warning: the Dockerfile has no ARG `{name}`");
        }
        let Pinned { lock, added, .. } = bases;
        if added {
            locked::write(&lock, &home)?;
        }
        let targets = TargetGraph::of(&workspace, settings, targets, &root, &platform)?;
        Ok(Selected { workspace, lock, targets, roots: vec![root], is_whole: false })
    }
}

/// The directory of the context, which stands in the place of targets; `usage` is how the command is written.
pub(super) fn context(selection: &Selection, usage: &str) -> Result<PathBuf, Diagnostic> {
    match selection.targets.as_slice() {
        [none] if none == ":all" => Ok(PathBuf::from(".")),
        [one] => Ok(PathBuf::from(one)),
        several => {
            let error = Diagnostic::spec(format!("a Dockerfile has one context, not {}", several.len()));
            Err(error.help(format!("write `{usage}`")))
        }
    }
}

/// The Dockerfile's text, and the directory in which its lock lies: its own, or the context's.
pub(super) fn read(file: &Path, context: &Workspace) -> Result<(Arc<SourceText>, Workspace), Diagnostic> {
    let unreadable = |error: io::Error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let diagnostic = Diagnostic::spec(format!("`{}` cannot be read", file.display())).caused_by(error);
        if missing {
            diagnostic.help("name the Dockerfile with `-f`, relative to the working directory")
        } else {
            diagnostic
        }
    };
    let mut bytes = Vec::new();
    let (from, home): (Box<dyn Read>, Workspace) = match file.to_str() {
        Some("-") => (Box::new(io::stdin()), context.clone()),
        _ => {
            let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            (Box::new(File::open(file).map_err(unreadable)?), Workspace::at(directory)?)
        }
    };
    from.take(Workspace::SPEC_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > Workspace::SPEC_LIMIT {
        let error = Diagnostic::spec(format!("`{}` is larger than {} bytes", file.display(), Workspace::SPEC_LIMIT));
        return Err(error.help("is this the right file?"));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        Diagnostic::spec(format!("`{}` is not UTF-8 text", file.display())).help("save the file as UTF-8")
    })?;
    let name = file.file_name().map_or("Dockerfile".into(), |name| name.to_string_lossy().into_owned());
    Ok((Arc::new(SourceText { name, text }), home))
}

/// The patterns of `<Dockerfile>.dockerignore`, else of `.dockerignore` in the context.
pub(super) fn ignore(file: &Path, context: &Workspace) -> Result<Vec<String>, Diagnostic> {
    let mut own = file.as_os_str().to_owned();
    own.push(".dockerignore");
    let text = match std::fs::read_to_string(&own) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let path = WorkspacePath::parse(".dockerignore").map_err(|error| Diagnostic::spec(error.to_string()))?;
            match context.read_spec(&path) {
                Ok(source) => source.text.clone(),
                Err(SourceError::NotFound { .. }) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            }
        }
        Err(error) => {
            return Err(Diagnostic::spec(format!("`{}` cannot be read", own.display())).caused_by(error));
        }
    };
    let patterns = IgnorePatterns::lines(&text);
    IgnorePatterns::new(&patterns).map_err(|error| {
        Diagnostic::spec(format!("in the .dockerignore, {error}")).help("`!` needs a pattern behind it, `[` a `]`")
    })?;
    Ok(patterns)
}

/// Images of registries as the lock has them; what it lacks is looked up.
struct Pinned<'a> {
    resolver: Resolver<'a>,
    lock: Lock,
    locked: &'a Locked,
    added: bool,
}

impl Bases for Pinned<'_> {
    fn config(&mut self, image: &Spanned<OciReference>, platform: &Platform) -> Result<ImageConfig, Diagnostic> {
        let reference = &image.value.reference;
        let span = image.span.as_ref();
        let digest = match reference.digest {
            Some(digest) => digest,
            None => {
                if !self.lock.images.contains_key(reference) {
                    self.locked.allow(&[format!("+ {reference}")], "ocify build -f").at(span)?;
                    let pin = self.resolver.image(reference).at(span)?;
                    self.lock.images.insert(reference.clone(), pin);
                    self.added = true;
                }
                let pin = &self.lock.images[reference];
                *pin.platforms.get(platform).ok_or_else(|| {
                    let has: Vec<String> = pin.platforms.keys().map(Platform::to_string).collect();
                    let error = Diagnostic::spec(format!("the image `{reference}` is not for {platform}"));
                    error
                        .at(image.span.clone())
                        .help(format!("it is for {}; say which with `--platform`", has.join(", ")))
                })?
            }
        };
        let named = Reference { digest: Some(digest), ..reference.clone() };
        let Resolver { registry, store, .. } = self.resolver;
        let image = image::import_registry(registry, &named, &digest, platform, store)
            .map_err(|error| Diagnostic::failure(format!("the image `{reference}` cannot be had")).caused_by(error))
            .at(span)?;
        Ok(image.config().clone())
    }
}
