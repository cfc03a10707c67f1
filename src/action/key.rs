//! Keys of actions: what decides a result, and nothing else.
//!
//! A [`CacheKey`] is the SHA-256 of a [`Preimage`] in canonical JSON. The preimage is stored beside the result, so a miss
//! explains itself by the fields in which two preimages differ.
//!
//! | action | input | in the preimage as |
//! |---|---|---|
//! | all | this table's version, and which action it is | `version`, `action` |
//! | layer: the list of its entries to its bytes | encoding, and so the encoders' versions | `encoding` |
//! | | compression | `compression` |
//! | | of each entry: path, mode, owner, time, extended attributes, kind, link target, device numbers | `entries` |
//! | | of each file: size and SHA-256 of its content | `entries` |
//! | import: an image of the workspace or of a registry to one in the store | what kind of place it lies in | `format` |
//! | | of an archive that is not asked for a digest: SHA-256 of the file | `content` |
//! | | the digest asked for; of an image in a registry, the one that the lock gives for the platform | `digest` |
//! | | the platform, which chooses among several images | `platform` |
//! | archive: a tar or zip file to the list of its entries | SHA-256 of the file | `content` |
//! | fetch: a file, or the tar of a commit | the digest that it must have | `sha256` |
//! | run: a command in a root to the entries that it changes | version of the sandbox | `sandbox` |
//! | | of each entry of the root: as of a layer | `root` |
//! | | the command, its environment and working directory; the number of processors | `argv`, `env`, `workdir`, `cpus` |
//! | | as whom it runs, as written: what a name stands for is in the root | `user` |
//! | | whether it has the machine's network; further lines of /etc/hosts | `network`, `hosts` |
//! | | which noise is kept out of the entries, and the version of what finds it | `scrub`, `scrubbers` |
//! | | of each mount and input: its target, and which kind it is | `mounts` |
//! | | of a bind: as of a layer, of each entry of its files; whether it is one file; whether it can be written | `mounts` |
//! | | of a cache: its name, mode and owner, whether it can be written, the files with which it begins | `mounts` |
//! | | of a tmpfs: its size | `mounts` |
//! | | of a secret: its name, variable, mode, owner and version; of one that need not be given, whether it is | `mounts` |
//! | | of an ssh agent: its name, mode and owner; of one that need not be given, whether it is | `mounts` |
//! | | which paths are kept | `outputs` |
//! | | the workspace's epoch, and the platform | `epoch`, `platform` |
//! | image | the spec's fields but for `base`, `layers`, `tags` and `compression` | `spec` |
//! | | digest of the base's manifest, its name if it is of a registry; digest and title of each layer, and whether it is hermetic | `base`, `base_name`, `layers` |
//! | | the workspace's epoch, media types and platform | `epoch`, `media_types`, `platform` |
//! | index | the spec's annotations and media types; digests of the images | `spec`, `images`, `media_types` |
//!
//! | not in | because |
//! |---|---|
//! | where the checkout lies, its owner, its modes but for the owner's executable bit | they differ between checkouts of one commit; composing a layer drops them |
//! | modification times of the checkout | git does not keep them; the layer has the epoch |
//! | where a content's bytes lie | its digest says what they are |
//! | which spec, syntax or builtin named the entries | two specs that mean the same layer share it |
//! | the layers below | what a layer takes over from them, parents and owners, is in its entries |
//! | content of an image that is asked for by digest | the digest says what it is |
//! | URLs of a fetch; repository, ref and commit of a tar; registry, repository and tag of an image | the digest says what they must hold |
//! | what a command gets from the network; the proxies by which it does | nothing pins it: it is what it was when the step ran |
//! | the time and memory that a command may take | it fails, or its result does not depend on it |
//! | what is in a cache of steps, and who shares it | it makes a command faster, and decides nothing that it gives |
//! | the values of secrets, and the keys of ssh agents | nothing keeps them; `version` says that one is another |
//! | by what right the sandbox is made | all give the same |
//! | the compression of what a command changed | it is packed again |
//! | tags | they name a result and do not reach it |
//! | number of threads, processor | the encoders give the same bytes under all |
//! | clock, user, locale, environment | nothing sees them |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::{CacheKey, Digest, Hasher};
use crate::entry::{Entry, Kind, Metadata};
use crate::format::{Compression, MediaTypes};
use crate::oci::canonical_json;
use crate::path::ImagePath;
use crate::platform::Platform;
use crate::target::{Base, ImageSpec, IndexSpec, Network, Run, Scrub, Settings};

/// The version of the table above. Another version is another key.
const VERSION: u32 = 2;

/// Everything that decides the result of an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preimage {
    version: u32,
    #[serde(flatten)]
    pub inputs: Inputs,
}

/// The inputs of each kind of action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Inputs {
    Layer {
        /// The encoding's name and version.
        encoding: String,
        compression: Compression,
        /// SHA-256 over the entries in their order, in the form that [`Preimage::layer`] states. The list itself is the
        /// layer's directory index, which the store has under the layer's diff ID.
        entries: Digest,
    },
    Import {
        /// The builtin's name.
        format: String,
        content: Option<Digest>,
        digest: Option<Digest>,
        platform: Platform,
    },
    Archive {
        content: Digest,
    },
    Fetch {
        sha256: Digest,
    },
    Run {
        /// The sandbox's version.
        sandbox: u32,
        /// SHA-256 over the entries of the tree below, in the form that [`Preimage::layer`] states.
        root: Digest,
        argv: Vec<String>,
        env: BTreeMap<String, String>,
        workdir: ImagePath,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        cpus: u16,
        #[serde(default, skip_serializing_if = "Network::is_hermetic")]
        network: Network,
        /// `NAME=ADDRESS`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hosts: Vec<String>,
        scrub: Scrub,
        /// [`Scrub::VERSION`].
        scrubbers: u32,
        /// By target; a secret that is a variable by its name with `$`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        mounts: BTreeMap<String, MountInput>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        outputs: Vec<ImagePath>,
        epoch: u32,
        platform: Platform,
    },
    Image {
        spec: Value,
        base: Option<Digest>,
        layers: Vec<LayerInput>,
        /// It is in the image's annotations.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_name: Option<String>,
        epoch: u32,
        media_types: MediaTypes,
        platform: Platform,
    },
    Index {
        spec: Value,
        images: Vec<Digest>,
        media_types: MediaTypes,
    },
}

/// What a command sees beside the image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mount", rename_all = "snake_case")]
pub enum MountInput {
    Bind {
        /// SHA-256 over its entries, in the form that [`Preimage::layer`] states.
        files: Digest,
        /// It is a file, not a directory in which there is one.
        #[serde(default, skip_serializing_if = "is_false")]
        is_file: bool,
        writable: bool,
    },
    Cache {
        id: String,
        mode: u32,
        uid: u32,
        gid: u32,
        readonly: bool,
        /// As of a bind, of the files with which it begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<Digest>,
    },
    Tmpfs {
        size: Option<u64>,
    },
    Secret {
        id: String,
        env: Option<String>,
        mode: u32,
        uid: u32,
        gid: u32,
        version: Option<String>,
        given: bool,
    },
    Ssh {
        id: String,
        mode: u32,
        uid: u32,
        gid: u32,
        given: bool,
    },
}

impl MountInput {
    /// SHA-256 over entries, in the form that [`Preimage::layer`] states.
    pub fn files(entries: &[Entry]) -> Digest {
        digest_of(entries)
    }
}

/// A layer in the preimage of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerInput {
    pub digest: Digest,
    /// It is in the image's history.
    pub title: String,
    /// Also in its history, if not.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub hermetic: bool,
}

impl Preimage {
    /// The preimage of the layer that holds `entries`, written in `encoding`.
    ///
    /// An entry is hashed as its path; mode, owner, group and time; the number of extended attributes and the name and
    /// value of each; a byte for its kind; and what that kind has: size and digest, link text, target, or device
    /// numbers. Numbers are 8 bytes, little-endian; texts are preceded by their length, a number; a digest is 32 bytes.
    pub fn layer(entries: &[Entry], encoding: &str, compression: Compression) -> Self {
        let entries = digest_of(entries);
        Preimage::of(Inputs::Layer { encoding: encoding.to_owned(), compression, entries })
    }

    /// The preimage of running a command in `root`, in a sandbox of this version; `mounts` are those of the command and its
    /// inputs.
    pub fn run(
        root: &[Entry],
        run: &Run,
        mounts: BTreeMap<String, MountInput>,
        epoch: u32,
        platform: &Platform,
        sandbox: u32,
    ) -> Self {
        #[rustfmt::skip]
        let Run {
            command, env, workdir, user, cpus, network, hosts, scrub, mut outputs,
            mounts: _, inputs: _, instruction: _, proxies: _, memory: _, timeout: _,
        } = run.clone();
        outputs.sort();
        Preimage::of(Inputs::Run {
            sandbox,
            root: digest_of(root),
            argv: command.argv(),
            env,
            workdir,
            user: user.map(|user| user.value.to_string()),
            cpus: cpus.get(),
            network,
            hosts: hosts.into_iter().map(|(name, address)| format!("{name}={address}")).collect(),
            scrub,
            scrubbers: Scrub::VERSION,
            mounts,
            outputs,
            epoch,
            platform: platform.clone(),
        })
    }

    /// The preimage of importing `base`; `content` is the digest of the archive, where that is what decides.
    pub fn import(base: &Base, content: Option<Digest>, platform: &Platform) -> Self {
        let (format, digest) = match base {
            Base::Oci(oci) => ("oci", oci.reference.digest),
            Base::OciLayout(layout) => ("oci_layout", Some(layout.digest)),
            Base::OciArchive(archive) => ("oci_archive", archive.digest),
            Base::DockerArchive(archive) => ("docker_archive", archive.digest),
            Base::Scratch | Base::Target(_) => ("nothing", None),
        };
        Preimage::of(Inputs::Import { format: format.to_owned(), content, digest, platform: platform.clone() })
    }

    /// The preimage of listing the archive of this digest.
    pub fn archive(content: Digest) -> Self {
        Preimage::of(Inputs::Archive { content })
    }

    /// The preimage of fetching the file of this digest.
    pub fn fetch(sha256: Digest) -> Self {
        Preimage::of(Inputs::Fetch { sha256 })
    }

    /// The preimage of an image.
    pub fn image(spec: &ImageSpec, base: Option<Digest>, layers: Vec<LayerInput>, settings: &Settings) -> Self {
        let Settings { epoch, media_types, platform, .. } = settings.clone();
        let base_name = spec.base_name();
        let spec = without(spec, &["base", "layers", "tags", "compression"]);
        Preimage::of(Inputs::Image { spec, base, base_name, layers, epoch, media_types, platform })
    }

    /// The preimage of an index.
    pub fn index(spec: &IndexSpec, images: Vec<Digest>, settings: &Settings) -> Self {
        let spec = without(spec, &["images", "tags"]);
        Preimage::of(Inputs::Index { spec, images, media_types: settings.media_types })
    }

    fn of(inputs: Inputs) -> Self {
        Preimage { version: VERSION, inputs }
    }

    /// The key.
    pub fn key(&self) -> CacheKey {
        CacheKey(Digest::of(&canonical_json(self)))
    }
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The spec's fields but for these.
fn without(spec: &impl Serialize, fields: &[&str]) -> Value {
    let mut value = serde_json::to_value(spec).expect("a spec has string keys only");
    if let Value::Object(map) = &mut value {
        fields.iter().for_each(|field| drop(map.remove(*field)));
    }
    value
}

/// SHA-256 over the entries of a tree in their order, in the form that [`Preimage::layer`] states.
pub fn digest_of(entries: &[Entry]) -> Digest {
    let mut hasher = Hasher::new();
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.clear();
        put_entry(&mut bytes, entry);
        hasher.update(&bytes);
    }
    hasher.finish()
}

fn put_entry(bytes: &mut Vec<u8>, entry: &Entry) {
    let Metadata { mode, uid, gid, mtime, xattrs } = &entry.metadata;
    put_text(bytes, entry.path.as_bytes());
    for number in [u64::from(*mode), u64::from(*uid), u64::from(*gid), *mtime as u64, xattrs.len() as u64] {
        put_number(bytes, number);
    }
    for (name, value) in xattrs {
        put_text(bytes, name.as_bytes());
        put_text(bytes, value);
    }
    match &entry.kind {
        Kind::File { content } => {
            bytes.push(b'f');
            put_number(bytes, content.size);
            bytes.extend_from_slice(content.digest.as_bytes());
        }
        Kind::Directory => bytes.push(b'd'),
        Kind::Symlink { target } => {
            bytes.push(b's');
            put_text(bytes, target);
        }
        Kind::HardLink { target } => {
            bytes.push(b'h');
            put_text(bytes, target.as_bytes());
        }
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            bytes.push(if matches!(entry.kind, Kind::CharDevice { .. }) { b'c' } else { b'b' });
            put_number(bytes, u64::from(*major));
            put_number(bytes, u64::from(*minor));
        }
        Kind::Fifo => bytes.push(b'p'),
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &[u8]) {
    put_number(bytes, text.len() as u64);
    bytes.extend_from_slice(text);
}

fn put_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::entry::{Content, Origin};
    use crate::path::ImagePath;

    fn entry(change: impl FnOnce(&mut Entry)) -> Entry {
        let mut entry = Entry {
            path: ImagePath::parse("a/b").unwrap(),
            metadata: Metadata::root_owned(0o644, 7),
            kind: Kind::File { content: Content::inline(*b"content") },
        };
        change(&mut entry);
        entry
    }

    fn key(entry: Entry) -> CacheKey {
        Preimage::layer(&[entry], "encoding", Compression::Gzip).key()
    }

    #[test]
    fn every_field_of_an_entry_is_in_the_key() {
        let path = |text: &str| ImagePath::parse(text).unwrap();
        let entries = vec![
            entry(|_| {}),
            entry(|e| e.path = path("a/c")),
            entry(|e| e.metadata.mode = 0o600),
            entry(|e| e.metadata.uid = 1),
            entry(|e| e.metadata.gid = 1),
            entry(|e| e.metadata.mtime = 8),
            entry(|e| drop(e.metadata.xattrs.insert("user.a".into(), b"1".to_vec()))),
            entry(|e| drop(e.metadata.xattrs.insert("user.a".into(), b"2".to_vec()))),
            entry(|e| e.kind = Kind::File { content: Content::inline(*b"CONTENT") }),
            entry(|e| e.kind = Kind::Directory),
            entry(|e| e.kind = Kind::Symlink { target: Arc::from(*b"x") }),
            entry(|e| e.kind = Kind::Symlink { target: Arc::from(*b"y") }),
            entry(|e| e.kind = Kind::HardLink { target: path("x") }),
            entry(|e| e.kind = Kind::CharDevice { major: 1, minor: 2 }),
            entry(|e| e.kind = Kind::CharDevice { major: 2, minor: 2 }),
            entry(|e| e.kind = Kind::CharDevice { major: 1, minor: 3 }),
            entry(|e| e.kind = Kind::BlockDevice { major: 1, minor: 2 }),
            entry(|e| e.kind = Kind::Fifo),
        ];
        let mut keys: Vec<CacheKey> = entries.iter().cloned().map(key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), entries.len(), "two of these entries have the same key");
    }

    #[test]
    fn compression_encoding_and_order_are_in_the_key() {
        let (a, b) = (entry(|_| {}), entry(|e| e.metadata.mode = 0));
        let preimage = |entries: &[Entry], encoding, compression| Preimage::layer(entries, encoding, compression).key();
        let keys = [
            preimage(&[a.clone(), b.clone()], "v1", Compression::Gzip),
            preimage(&[b.clone(), a.clone()], "v1", Compression::Gzip),
            preimage(&[a.clone(), b.clone()], "v1", Compression::Zstd),
            preimage(&[a, b], "v2", Compression::Gzip),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key));
        }
    }

    #[test]
    fn where_the_bytes_lie_is_not_in_the_key() {
        let elsewhere = entry(|e| {
            let Kind::File { content } = &mut e.kind else { return };
            content.origin = Origin::Unknown;
        });
        assert_eq!(key(elsewhere), key(entry(|_| {})));
    }
}
