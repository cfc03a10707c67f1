//! What a command sees beside the image below it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::path::ImagePath;

use super::base::Base;
use super::decode::HELP;
use super::field::Mode;
use super::layer::LayerSpec;
use super::run::Run;

/// One of the `mounts` of a command.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mount {
    Bind(BindMount),
    Cache(CacheMount),
    Tmpfs(TmpfsMount),
    Secret(SecretMount),
    Ssh(SshMount),
}

/// Files that a command sees beside the image: those of a layer, such as `files(...)`, or of another image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum MountSource {
    Layer(Box<LayerSpec>),
    Image(Base),
}

/// Files of a layer or of another image, which the command sees at `target`; nothing of them gets into the layer. They
/// decide by their content whether the command runs again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BindMount {
    /// A layer, such as `files(...)` or `archive(...)`, or an image or target, as for `copy`.
    pub src: Spanned<MountSource>,
    /// Where the command sees the files; what the image has there is covered.
    #[serde(deserialize_with = "target")]
    #[schemars(with = "String")]
    pub target: ImagePath,
    /// The directory or file of `src` that is seen there.
    #[serde(default = "ImagePath::root")]
    #[schemars(with = "String")]
    pub source: ImagePath,
    /// The command may write there. What it writes is thrown away.
    #[serde(default)]
    pub writable: bool,
}

/// A directory that outlives the command, for what is downloaded or compiled: the next command that names it finds there what
/// this one left. What is in it decides nothing about the cache of steps, so a command has to give the same whatever it finds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheMount {
    /// Where the command sees the directory.
    #[serde(deserialize_with = "target")]
    #[schemars(with = "String")]
    pub target: ImagePath,
    /// The cache's name, under which commands of all images find it; by default the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `"shared"` by several commands at the same time; `"locked"`, one waits for the other; `"private"`, each gets one of its
    /// own.
    #[serde(default)]
    pub sharing: Sharing,
    /// The directory's mode when it is made.
    #[serde(default = "directory_mode")]
    pub mode: Mode,
    /// The directory's owner when it is made.
    #[serde(default)]
    pub uid: u32,
    /// The directory's group when it is made.
    #[serde(default)]
    pub gid: u32,
    /// The command may not write there.
    #[serde(default)]
    pub readonly: bool,
    /// A layer or image with whose files the cache begins when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<Spanned<MountSource>>,
    /// The directory of `src` with which it begins.
    #[serde(default = "ImagePath::root")]
    #[schemars(with = "String")]
    pub source: ImagePath,
}

/// Who has a cache at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    #[default]
    Shared,
    Private,
    Locked,
}

/// An empty directory in memory, which is gone when the command ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TmpfsMount {
    /// Where the command sees the directory.
    #[serde(deserialize_with = "target")]
    #[schemars(with = "String")]
    pub target: ImagePath,
    /// As many bytes may be in it; by default as the machine has it, half of its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// A password or the like, given with `ocify build --secret id=...`, as a file or a variable. Its value is in no layer, cache
/// key, record or message; its name is in the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretMount {
    /// The name by which it is given.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// The file; by default `/run/secrets/ID`, and none with `env`.
    #[serde(default, deserialize_with = "optional_target", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub target: Option<ImagePath>,
    /// The environment variable that gets the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Whether it is an error that it is not given; else there is no file and no variable then.
    #[serde(default = "yes")]
    pub required: bool,
    /// The file's mode.
    #[serde(default = "secret_mode")]
    pub mode: Mode,
    /// The file's owner.
    #[serde(default)]
    pub uid: u32,
    /// The file's group.
    #[serde(default)]
    pub gid: u32,
    /// Anything: another text runs the command again, as another value of the secret does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The socket of an ssh agent of the machine, given with `ocify build --ssh ...`, which `SSH_AUTH_SOCK` names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshMount {
    /// The name by which it is given.
    #[serde(default = "default_agent", deserialize_with = "id")]
    pub id: String,
    /// The socket; by default `/run/buildkit/ssh_agent.N`, counted from 0.
    #[serde(default, deserialize_with = "optional_target", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub target: Option<ImagePath>,
    /// Whether it is an error that it is not given; else there is no socket then.
    #[serde(default = "yes")]
    pub required: bool,
    /// The socket's mode.
    #[serde(default = "agent_mode")]
    pub mode: Mode,
    /// The socket's owner.
    #[serde(default)]
    pub uid: u32,
    /// The socket's group.
    #[serde(default)]
    pub gid: u32,
}

/// A mount in its place.
#[derive(Clone, Debug)]
pub struct PlacedMount {
    /// `None` for a secret that is a variable only.
    pub target: Option<ImagePath>,
    pub mount: Mount,
    /// Which of [`Run::sources`] it takes its files from.
    pub source: Option<usize>,
    pub span: Option<Span>,
}

impl PlacedMount {
    /// The target, or the variable. No other mount of the command has the same.
    pub fn name(&self) -> String {
        match (&self.target, &self.mount) {
            (Some(target), _) => target.to_string(),
            (None, Mount::Secret(SecretMount { env: Some(env), .. })) => format!("${env}"),
            (None, _) => String::new(),
        }
    }
}

impl Mount {
    fn source(&self) -> Option<&Spanned<MountSource>> {
        match self {
            Mount::Bind(bind) => Some(&bind.src),
            Mount::Cache(cache) => cache.src.as_ref(),
            Mount::Tmpfs(_) | Mount::Secret(_) | Mount::Ssh(_) => None,
        }
    }
}

impl CacheMount {
    /// The name under which it is found.
    pub fn name(&self) -> String {
        self.id.clone().unwrap_or_else(|| self.target.to_string())
    }
}

impl SecretMount {
    /// The file in which the command finds it, if it is one.
    ///
    /// # Errors
    /// The name cannot be that of a file.
    pub fn file(&self) -> Result<Option<ImagePath>, Diagnostic> {
        match (&self.target, &self.env) {
            (Some(target), _) => Ok(Some(target.clone())),
            (None, Some(_)) => Ok(None),
            (None, None) => {
                // As in BuildKit: an id can be a path.
                let name = self.id.rsplit('/').next().unwrap_or_default();
                let path =
                    ImagePath::parse(format!("run/secrets/{name}")).ok().filter(|path| path.components().count() == 3);
                path.map(Some).ok_or_else(|| {
                    Diagnostic::spec(format!("the secret `{}` needs a `target`", self.id))
                        .help("its name cannot be that of a file")
                })
            }
        }
    }
}

impl Run {
    /// What the command takes its files from beside the image below, in the order of `mounts`, then of `inputs`.
    pub fn sources(&self) -> impl Iterator<Item = &Spanned<MountSource>> {
        self.mounts.iter().filter_map(|mount| mount.value.source()).chain(self.inputs.values())
    }

    /// All that is mounted, the mounts and then the inputs, each in its place.
    ///
    /// # Errors
    /// Two have one target.
    pub fn mounted(&self) -> Result<Vec<PlacedMount>, Diagnostic> {
        let mut mounted: Vec<PlacedMount> = Vec::new();
        let (mut agents, mut sources) = (0, 0);
        let mut add = |target: Option<ImagePath>, mount: Mount, span: &Option<Span>| {
            let placed = PlacedMount { target, source: mount.source().map(|_| sources), mount, span: span.clone() };
            sources += usize::from(placed.source.is_some());
            if let Some(same) = mounted.iter().find(|other| other.name() == placed.name()) {
                return Err(Diagnostic::spec(format!("two mounts have the target `{}`", same.name()))
                    .at(span.clone())
                    .label("the second")
                    .help("give one of them another target"));
            }
            mounted.push(placed);
            Ok(())
        };
        for Spanned { value, span } in &self.mounts {
            let target = match value {
                Mount::Bind(bind) => Some(bind.target.clone()),
                Mount::Cache(cache) => Some(cache.target.clone()),
                Mount::Tmpfs(tmpfs) => Some(tmpfs.target.clone()),
                Mount::Secret(secret) => secret.file().map_err(|error| error.at(span.clone()))?,
                Mount::Ssh(ssh) => {
                    agents += 1;
                    let usual = || ImagePath::parse(format!("run/buildkit/ssh_agent.{}", agents - 1));
                    let target = ssh.target.clone().map_or_else(usual, Ok);
                    Some(target.map_err(|error| Diagnostic::spec(error.to_string()))?)
                }
            };
            add(target, value.clone(), span)?;
        }
        for (target, src) in &self.inputs {
            let (source, writable) = (ImagePath::root(), false);
            let bind = BindMount { src: src.clone(), target: target.clone(), source, writable };
            add(Some(target.clone()), Mount::Bind(bind), &src.span)?;
        }
        Ok(mounted)
    }
}

/// A place where something can be mounted.
///
/// # Errors
/// The root, what the sandbox mounts itself, or what is no path.
pub fn mount_target(text: &str) -> Result<ImagePath, Diagnostic> {
    let path = ImagePath::parse(text).map_err(|error| Diagnostic::spec(error.to_string()))?;
    check_target(&path).map(|()| path).map_err(|message| match message.split_once(HELP) {
        Some((message, help)) => Diagnostic::spec(message).help(help),
        None => Diagnostic::spec(message),
    })
}

/// Where something can be mounted.
///
/// # Errors
/// The root, or what the sandbox mounts itself.
fn check_target(path: &ImagePath) -> Result<(), String> {
    let own = ["dev", "proc", "sys"].into_iter().find(|own| path.components().next() == Some(own.as_bytes()));
    match own {
        _ if path.is_root() => Err(format!("nothing can be mounted on the root{HELP}name a directory in it")),
        Some(own) => Err(format!(
            "nothing can be mounted on `{path}`{HELP}/{own} is the sandbox's own; choose a target elsewhere"
        )),
        None => Ok(()),
    }
}

fn target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ImagePath, D::Error> {
    let path = ImagePath::deserialize(deserializer)?;
    check_target(&path).map(|()| path).map_err(D::Error::custom)
}

fn optional_target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ImagePath>, D::Error> {
    target(deserializer).map(Some)
}

/// The `inputs` of a command.
pub(super) fn inputs<'de, D>(deserializer: D) -> Result<BTreeMap<ImagePath, Spanned<MountSource>>, D::Error>
where
    D: Deserializer<'de>,
{
    let inputs = BTreeMap::<ImagePath, Spanned<MountSource>>::deserialize(deserializer)?;
    inputs.keys().try_for_each(check_target).map_err(D::Error::custom)?;
    Ok(inputs)
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    match id.is_empty() || id.contains([',', '\0']) {
        true => Err(D::Error::custom(format!("`{id}` is not a name that can be given"))),
        false => Ok(id),
    }
}

fn directory_mode() -> Mode {
    Mode(0o755)
}

fn secret_mode() -> Mode {
    Mode(0o400)
}

fn agent_mode() -> Mode {
    Mode(0o600)
}

fn default_agent() -> String {
    "default".into()
}

fn yes() -> bool {
    true
}
