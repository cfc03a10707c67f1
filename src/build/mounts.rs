//! What a command sees beside the image: which of it decides about the key, and what of it is there when the command runs.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::Path;

use crate::action::key::MountInput;
use crate::diagnostic::{At, Diagnostic};
use crate::entry::{Entry, Kind};
use crate::path::ImagePath;
use crate::sandbox::{self, Hidden, MountKind, SandboxError, Tier};
use crate::store::{CacheUse, StepCache, Store, StoredRoot};
use crate::target::{CacheMount, Mount, MountSource, PlacedMount, Run, Sharing};
use crate::tree::{Changeset, Tree};

use super::execute::unwritable;
use super::filesystem::{FileSystem, Layers};
use super::level::Level;
use super::relay::Relay;
use super::secrets::Secrets;

/// The variable that names the socket of an ssh agent.
const AGENT: &str = "SSH_AUTH_SOCK";

/// The mounts of a command.
pub(super) struct Mounts {
    list: Vec<(PlacedMount, Option<Part>)>,
}

/// The files of a mount.
struct Part {
    tree: Tree,
    /// It is one file, which has this name.
    file: Option<ImagePath>,
    layers: Layers,
}

impl Mounts {
    /// The mounts of `run`; `sources` are the trees of its sources.
    ///
    /// # Errors
    /// A path of a source that is not in it; a source that cannot be read.
    pub(super) fn new(run: &Run, sources: &[FileSystem], store: &Store) -> Result<Self, Diagnostic> {
        let mut list = Vec::new();
        for placed in run.mounted()? {
            let path = match &placed.mount {
                Mount::Bind(bind) => bind.source.clone(),
                Mount::Cache(cache) => cache.source.clone(),
                Mount::Tmpfs(_) | Mount::Secret(_) | Mount::Ssh(_) => ImagePath::root(),
            };
            let source = placed.source.and_then(|at| sources.get(at));
            let part = source.map(|files| Part::of(files, &path, store)).transpose().at(placed.span.as_ref())?;
            if let (Mount::Cache(_), Some(Part { file: Some(_), .. })) = (&placed.mount, &part) {
                let error = Diagnostic::spec(format!("a cache cannot begin with `{path}`, which is a file"));
                return Err(error.at(placed.span.clone()).help("name the directory in which it is"));
            }
            list.push((placed, part));
        }
        Ok(Mounts { list })
    }

    /// What of them is in the key.
    pub(super) fn inputs(&self, secrets: &Secrets) -> BTreeMap<String, MountInput> {
        let input = |(placed, part): &(PlacedMount, Option<Part>)| {
            let files = || part.as_ref().map(|part| MountInput::files(&part.tree.entries().collect::<Vec<_>>()));
            let input = match &placed.mount {
                Mount::Bind(bind) => {
                    let files = files().unwrap_or_else(|| MountInput::files(&[]));
                    let is_file = part.as_ref().is_some_and(|part| part.file.is_some());
                    MountInput::Bind { files, is_file, writable: bind.writable }
                }
                Mount::Cache(cache) => {
                    let CacheMount { mode, uid, gid, readonly, .. } = *cache;
                    MountInput::Cache { id: cache.name(), mode: mode.0, uid, gid, readonly, files: files() }
                }
                Mount::Tmpfs(tmpfs) => MountInput::Tmpfs { size: tmpfs.size },
                Mount::Secret(secret) => MountInput::Secret {
                    id: secret.id.clone(),
                    env: secret.env.clone(),
                    mode: secret.mode.0,
                    uid: secret.uid,
                    gid: secret.gid,
                    version: secret.version.clone(),
                    given: secret.required || secrets.values.contains_key(&secret.id),
                },
                Mount::Ssh(ssh) => MountInput::Ssh {
                    id: ssh.id.clone(),
                    mode: ssh.mode.0,
                    uid: ssh.uid,
                    gid: ssh.gid,
                    given: ssh.required || secrets.agents.contains_key(&ssh.id),
                },
            };
            (placed.name(), input)
        };
        self.list.iter().map(input).collect()
    }

    /// The names of the secrets among them.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &String> {
        self.list.iter().filter_map(|(placed, _)| match &placed.mount {
            Mount::Secret(secret) => Some(&secret.id),
            _ => None,
        })
    }

    /// What `run` finds beside the image where `below` has nothing to mount on.
    ///
    /// # Errors
    /// As [`sandbox::stubs`].
    pub(super) fn stubs(&self, run: &Run, below: &Tree) -> Result<Vec<ImagePath>, SandboxError> {
        let targets = self.list.iter().filter_map(|(placed, _)| placed.target.as_ref());
        sandbox::stubs(below, targets, !run.network.is_hermetic(), &run.hosts)
    }

    /// Gets hold of all of them for the time of the command; what is made for it lies in `place`. `waiting` is called if a
    /// cache has to be waited for.
    ///
    /// # Errors
    /// A secret or agent is not given; a tree cannot be read; the store cannot be written.
    pub(super) fn held<'a>(
        &'a self,
        (store, secrets): (&Store, &'a Secrets),
        below: &Tree,
        (place, tier): (&Path, Tier),
        waiting: &dyn Fn(),
    ) -> Result<HeldMounts<'a>, Diagnostic> {
        self.check_given(secrets)?;
        let (mut trees, mut kept) = (Vec::new(), Vec::new());
        let are_nested = self.are_nested(below);
        for (placed, part) in &self.list {
            let is_kept = is_of_image(&placed.mount) && !are_nested;
            let on_disk =
                part.as_ref().filter(|_| is_kept).map(|part| part.on_disk(tier, store)).transpose()?.flatten();
            let readable = |part: &Part| part.layers.with_contents(&part.tree, store, |_| true);
            trees.push(part.as_ref().filter(|_| on_disk.is_none()).map(readable).transpose()?);
            kept.push(on_disk);
        }
        let caches = self.caches(store, &trees, tier, waiting)?;
        let mut agents = Vec::new();
        for (number, (placed, _)) in self.list.iter().enumerate() {
            let given = match &placed.mount {
                Mount::Ssh(ssh) => secrets.agents.get(&ssh.id).map(|agent| (ssh, agent)),
                _ => None,
            };
            let relay = given.map(|(ssh, agent)| {
                Relay::open(&place.join(format!("agent-{number}")), agent, ssh.mode.0, (ssh.uid, ssh.gid))
            });
            agents.push(relay.transpose().map_err(|error| unwritable().caused_by(error))?);
        }
        Ok(HeldMounts { list: &self.list, trees, kept, caches, agents, secrets })
    }

    /// True if one of them lies in another, or may, as a place for it may then be made there.
    fn are_nested(&self, below: &Tree) -> bool {
        let names = sandbox::NAMES.map(|name| ImagePath::parse(name).expect("a plain path"));
        let targets = self.list.iter().filter_map(|(placed, _)| placed.target.as_ref()).chain(&names);
        let targets: Vec<ImagePath> = targets.filter_map(|target| below.follow(target).ok()).collect();
        targets.iter().any(|one| targets.iter().any(|other| one != other && one.starts_with(other)))
    }

    fn check_given(&self, secrets: &Secrets) -> Result<(), Diagnostic> {
        for (placed, _) in &self.list {
            let error = match &placed.mount {
                Mount::Secret(secret) if secret.required && !secrets.values.contains_key(&secret.id) => {
                    let id = &secret.id;
                    Diagnostic::spec(format!("the secret `{id}` is not given"))
                        .help(format!("give it with `--secret id={id},src=FILE` or `--secret id={id},env=VARIABLE`"))
                }
                Mount::Ssh(ssh) if ssh.required && !secrets.agents.contains_key(&ssh.id) => {
                    let id = &ssh.id;
                    Diagnostic::spec(format!("the ssh agent `{id}` is not given"))
                        .help(format!("give it with `--ssh {id}`, or with its socket: `--ssh {id}=SOCKET`"))
                }
                _ => continue,
            };
            return Err(error.at(placed.span.clone()));
        }
        Ok(())
    }

    /// The caches by name, each once, in an order in which nobody waits for who waits for him.
    fn caches(
        &self,
        store: &Store,
        trees: &[Option<Tree>],
        tier: Tier,
        waiting: &dyn Fn(),
    ) -> Result<BTreeMap<String, StepCache>, Diagnostic> {
        let mut wanted: BTreeMap<_, (&CacheMount, Sharing, Option<&Tree>)> = BTreeMap::new();
        for ((placed, _), tree) in self.list.iter().zip(trees) {
            if let Mount::Cache(cache) = &placed.mount {
                let one =
                    wanted.entry(StepCache::order(&id(cache, tier))).or_insert((cache, cache.sharing, tree.as_ref()));
                one.1 = one.1.max(cache.sharing);
                one.2 = one.2.or(tree.as_ref());
            }
        }
        let mut caches = BTreeMap::new();
        for (cache, sharing, tree) in wanted.into_values() {
            let wanted = match sharing {
                Sharing::Shared => CacheUse::Shared,
                Sharing::Private => CacheUse::Private,
                Sharing::Locked => CacheUse::Locked,
            };
            let made = store.step_cache(&id(cache, tier), wanted, waiting, |path| make_cache(path, cache, tree, tier));
            caches.insert(cache.name(), made.map_err(|error| unwritable().caused_by(error))?);
        }
        Ok(caches)
    }
}

/// True for files to which nothing is written and that are not the workspace's: they are the same in the next build, and put on disk
/// once for all steps.
fn is_of_image(mount: &Mount) -> bool {
    matches!(mount, Mount::Bind(bind) if !bind.writable && matches!(bind.src.value, MountSource::Image(_)))
}

/// What a cache is called in the store. With subordinate ids it is one of its own, as only they can enter all of it.
fn id(cache: &CacheMount, tier: Tier) -> String {
    match tier {
        Tier::SubordinateIds => format!("{} ({tier})", cache.name()),
        Tier::Root | Tier::SingleUser => cache.name(),
    }
}

fn make_cache(path: &Path, cache: &CacheMount, tree: Option<&Tree>, tier: Tier) -> io::Result<()> {
    match tree {
        Some(tree) => drop(sandbox::extract(&tree.clone().into(), tier, path).map_err(io::Error::other)?),
        None => DirBuilder::new().mode(0o700).create(path)?,
    }
    if rustix::process::geteuid().is_root() {
        chown(path, Some(cache.uid), Some(cache.gid))?;
    }
    // One that its owner could not write to could not be given its name.
    fs::set_permissions(path, Permissions::from_mode(cache.mode.0 | 0o700))
}

impl Part {
    /// What lies at `path`, with links followed, as a tree of its own.
    fn of(files: &FileSystem, path: &ImagePath, store: &Store) -> Result<Self, Diagnostic> {
        let tree = &*files.tree(store)?;
        let missing = |error| {
            let error = Diagnostic::spec(format!("there is no `{path}` in what is mounted")).caused_by(error);
            error.help("`source` is a path of the mounted layer or image")
        };
        let found = tree.resolve(path).map_err(missing)?;
        let layers = files.layers.clone();
        let node = tree.get(&found);
        if let Some(node) = node.filter(|node| !node.kind.is_directory()) {
            let name = found.file_name().unwrap_or_default();
            let name = ImagePath::parse(name).map_err(|error| Diagnostic::spec(error.to_string()))?;
            let entry = Entry { path: name.clone(), metadata: node.metadata.clone(), kind: node.kind.clone() };
            return Part::new(vec![entry], Some(name), layers);
        }
        let root = |node: &crate::tree::Node| Entry {
            path: ImagePath::root(),
            metadata: node.metadata.clone(),
            kind: Kind::Directory,
        };
        let below = |path: &ImagePath| path.strip_prefix(&found).unwrap_or_else(|| path.clone());
        let moved = |mut entry: Entry| {
            entry.path = below(&entry.path);
            if let Kind::HardLink { target } = &mut entry.kind {
                *target = below(target);
            }
            entry
        };
        let entries = node.map(root).into_iter().chain(tree.below(&found, |_| true).map(moved)).collect();
        Part::new(entries, None, layers)
    }

    fn new(entries: Vec<Entry>, file: Option<ImagePath>, layers: Layers) -> Result<Self, Diagnostic> {
        let unfit = |error| Diagnostic::failure("what is mounted cannot be put on disk").caused_by(error);
        let mut files = Changeset::new();
        entries.into_iter().try_for_each(|entry| files.insert(entry)).map_err(unfit)?;
        Ok(Part { tree: Tree::of_layer(files).map_err(unfit)?, file, layers })
    }

    /// The files as the store has them on disk; `None` if there are none, or the tier cannot have them so.
    fn on_disk(&self, tier: Tier, store: &Store) -> Result<Option<StoredRoot<Hidden>>, Diagnostic> {
        let level = Level::whole(&self.tree).filter(|level| level.suits(tier, &[]));
        Ok(level.map(|level| self.layers.directory(&level, tier, store)).transpose()?.and_then(Result::ok))
    }
}

/// Mounts while their command runs.
pub(super) struct HeldMounts<'a> {
    list: &'a [(PlacedMount, Option<Part>)],
    /// Those that are put on disk for the command alone.
    trees: Vec<Option<Tree>>,
    kept: Vec<Option<StoredRoot<Hidden>>>,
    caches: BTreeMap<String, StepCache>,
    agents: Vec<Option<Relay>>,
    secrets: &'a Secrets,
}

impl HeldMounts<'_> {
    /// What the sandbox mounts.
    pub(super) fn mounts(&self) -> Vec<sandbox::Mount<'_>> {
        let empty = || MountKind::Memory { size: None };
        let mut mounts = Vec::new();
        let found = self.trees.iter().zip(&self.kept);
        for (((placed, part), (tree, kept)), agent) in self.list.iter().zip(found).zip(&self.agents) {
            let file = part.as_ref().and_then(|part| part.file.clone());
            let Some(target) = placed.target.clone() else { continue };
            let kind = match &placed.mount {
                Mount::Bind(bind) => match (tree, part, kept) {
                    (_, Some(Part { tree, .. }), Some(StoredRoot { path, note: hidden, .. })) => {
                        MountKind::Kept { tree, file, path, hidden }
                    }
                    (Some(tree), ..) => MountKind::Files { tree, file, writable: bind.writable },
                    (None, ..) => empty(),
                },
                Mount::Cache(cache) => match self.caches.get(&cache.name()) {
                    Some(held) => MountKind::Directory {
                        path: held.path(),
                        writable: !cache.readonly,
                        owner: (cache.uid, cache.gid),
                    },
                    None => empty(),
                },
                Mount::Tmpfs(tmpfs) => MountKind::Memory { size: tmpfs.size },
                Mount::Secret(secret) => match self.secrets.values.get(&secret.id) {
                    Some(bytes) => MountKind::File { bytes, mode: secret.mode.0, owner: (secret.uid, secret.gid) },
                    None => continue,
                },
                Mount::Ssh(ssh) => match agent {
                    Some(relay) => MountKind::Socket { path: relay.path(), owner: (ssh.uid, ssh.gid) },
                    None => continue,
                },
            };
            mounts.push(sandbox::Mount { target, kind });
        }
        mounts
    }

    /// The variables that they set.
    ///
    /// # Errors
    /// A secret cannot be the value of one.
    pub(super) fn variables(&self) -> Result<Vec<(String, String)>, Diagnostic> {
        let mut variables = Vec::new();
        for ((placed, _), agent) in self.list.iter().zip(&self.agents) {
            match (&placed.mount, agent, &placed.target) {
                (Mount::Ssh(_), Some(_), Some(target)) if variables.iter().all(|(name, _)| name != AGENT) => {
                    variables.push((AGENT.to_owned(), target.to_string()));
                }
                (Mount::Secret(secret), _, _) => {
                    let (Some(name), Some(value)) = (&secret.env, self.secrets.values.get(&secret.id)) else {
                        continue;
                    };
                    let text = String::from_utf8(value.clone()).ok().filter(|text| !text.contains('\0'));
                    let text = text.ok_or_else(|| {
                        let error = Diagnostic::spec(format!("the secret `{}` is no text for a variable", secret.id));
                        error.at(placed.span.clone()).help("mount it as a file: leave `env` away")
                    })?;
                    variables.push((name.clone(), text));
                }
                _ => {}
            }
        }
        Ok(variables)
    }
}
