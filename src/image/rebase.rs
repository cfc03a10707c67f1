//! An image on another base, without building it again.
//!
//! The layers of the old base give way to those of the new one; those above stay as they are, byte for byte. The config is
//! what a build on the new base would have given: what the image has from its old base is the new base's, what it
//! set itself stays. A value that the image set to what its base had anyway cannot be told apart from one that it took over.
//! crane's `rebase` is the model; it keeps the config whole, and looks at no file.

use std::collections::BTreeMap;

use crate::digest::{DiffId, Digest};
use crate::format::MediaTypes;
use crate::oci::{BASE_DIGEST, BASE_NAME, ContainerConfig, Descriptor, History, ImageConfig, Manifest, MediaType};
use crate::platform::Platform;
use crate::store::Store;
use crate::tree::{Changeset, Misfit, Tree, TreeError, misfits};

use super::assemble::{merge_env, relabelled, without_build};
use super::{Image, ImageError, contents, document};

/// The bases of an image, before and after.
#[derive(Clone, Copy, Debug)]
pub struct Bases<'a> {
    pub old: &'a Image,
    pub new: &'a Image,
    /// What the new one is called, for the annotation.
    pub new_name: Option<&'a str>,
}

/// What [`rebase`] made.
#[derive(Clone, Debug)]
pub struct Rebased {
    /// Not in the store yet.
    pub image: Image,
    /// How many layers the old base has, and how many are on it.
    pub replaced: usize,
    pub kept: usize,
    /// What the layers do otherwise on the new base, with the digest of the layer. None of them is fatal.
    pub misfits: Vec<(Digest, Misfit)>,
}

/// Why an image cannot be rebased.
#[derive(Debug, thiserror::Error)]
pub enum RebaseError {
    #[error("the {which} is for {found}, and the image for {wanted}")]
    OtherPlatform { which: &'static str, found: Box<Platform>, wanted: Box<Platform> },
    #[error("the old base has {base} layers, and the image only {image}")]
    FewerLayers { base: usize, image: usize },
    #[error("layer {number} of the image is {found}, and of the old base {expected}")]
    OtherLayer { number: usize, expected: Digest, found: Digest },
    #[error("layer {number} holds the tar stream {found} in the image, and {expected} in the old base")]
    OtherDiffId { number: usize, expected: DiffId, found: DiffId },
    #[error("layer {digest} does not fit on the new base")]
    Tree { digest: Digest, source: TreeError },
    #[error("layer {digest} does not fit on the new base: {misfit}")]
    Misfit { digest: Digest, misfit: Misfit },
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Puts the layers of `image` that lie on `bases.old` onto `bases.new`. Layers are read, in the store, for what they do on
/// either base.
///
/// # Errors
/// One of the three is for another platform; the layers of the old base are not the lowest of the image; a layer would
/// take away what the new base alone has, or does not fit on it at all; a layer cannot be read.
pub fn rebase(image: &Image, bases: Bases, store: &Store) -> Result<Rebased, RebaseError> {
    let Bases { old, new, new_name } = bases;
    for (which, base) in [("old base", old), ("new base", new)] {
        if base.platform() != image.platform() {
            let (found, wanted) = (Box::new(base.platform()), Box::new(image.platform()));
            return Err(RebaseError::OtherPlatform { which, found, wanted });
        }
    }
    check_prefix(image, old)?;
    let replaced = old.layers().len();
    let misfits = check_files(image, old, new, store)?;

    let family = match document::manifest_type(image.manifest()) {
        MediaType::Manifest(family) => family,
        _ => MediaTypes::Oci,
    };
    let below = new.layers().iter().map(|layer| relabelled(&layer.descriptor, family));
    let own = image.layers()[replaced..].iter().map(|layer| layer.descriptor.clone());
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::Manifest(family)),
        // Digest and size are filled in with the config's bytes.
        config: Descriptor::new(MediaType::Config(family), image.id(), 0),
        layers: below.chain(own).collect(),
        annotations: annotations(image, old, new, new_name, family),
    };
    let image = Image::from_parts(manifest, config(image, old, new)).map_err(ImageError::Assembled)?;
    let kept = image.layers().len() - new.layers().len();
    Ok(Rebased { image, replaced, kept, misfits })
}

fn check_prefix(image: &Image, old: &Image) -> Result<(), RebaseError> {
    let (base, found) = (old.layers().len(), image.layers().len());
    if base > found {
        return Err(RebaseError::FewerLayers { base, image: found });
    }
    for (at, (expected, found)) in old.layers().iter().zip(image.layers()).enumerate() {
        let number = at + 1;
        if expected.diff_id != found.diff_id {
            return Err(RebaseError::OtherDiffId { number, expected: expected.diff_id, found: found.diff_id });
        }
        let (expected, found) = (&expected.descriptor, &found.descriptor);
        if (expected.digest, expected.size) != (found.digest, found.size) {
            return Err(RebaseError::OtherLayer { number, expected: expected.digest, found: found.digest });
        }
    }
    Ok(())
}

/// What the layers above the old base do otherwise on the new one.
fn check_files(image: &Image, old: &Image, new: &Image, store: &Store) -> Result<Vec<(Digest, Misfit)>, RebaseError> {
    let (mut below, mut onto): (Tree, Tree) = (contents::tree(store, old)?, contents::tree(store, new)?);
    let mut found = Vec::new();
    for layer in &image.layers()[old.layers().len()..] {
        let digest = layer.descriptor.digest;
        let unreadable = |source| RebaseError::Image(ImageError::Tree { digest, source });
        let changes = Changeset::from_layer(contents::layer_entries(store, layer)?).map_err(unreadable)?;
        for misfit in misfits(&changes, &below, &onto) {
            match misfit.kind.is_fatal() {
                true => return Err(RebaseError::Misfit { digest, misfit }),
                false => found.push((digest, misfit)),
            }
        }
        below.apply(&changes).map_err(unreadable)?;
        onto.apply(&changes).map_err(|source| RebaseError::Tree { digest, source })?;
    }
    Ok(found)
}

fn annotations(
    image: &Image,
    old: &Image,
    new: &Image,
    new_name: Option<&str>,
    family: MediaTypes,
) -> BTreeMap<String, String> {
    // Docker's manifests have no place for any.
    if family == MediaTypes::Docker {
        return BTreeMap::new();
    }
    let of = |image: &Image| image.manifest().annotations.clone();
    let mut all = merged_keys(of(image), &of(old), of(new));
    all.insert(BASE_DIGEST.to_owned(), new.digest().to_string());
    match new_name {
        Some(name) => all.insert(BASE_NAME.to_owned(), name.to_owned()),
        None => all.remove(BASE_NAME),
    };
    all
}

fn config(image: &Image, old: &Image, new: &Image) -> ImageConfig {
    let [own, before, after] = [image, old, new].map(|image| without_build(image.config()));
    let mut rootfs = after.rootfs;
    rootfs.diff_ids.extend(image.layers()[old.layers().len()..].iter().map(|layer| layer.diff_id));
    ImageConfig {
        history: history(image, old, new),
        author: merged(own.author, &before.author, after.author),
        os_version: merged(own.os_version, &before.os_version, after.os_version),
        config: container(own.config, &before.config, after.config),
        created: own.created,
        architecture: own.architecture,
        os: own.os,
        variant: own.variant,
        rootfs,
        other: merged_keys(own.other, &before.other, after.other),
    }
}

fn container(own: ContainerConfig, before: &ContainerConfig, after: ContainerConfig) -> ContainerConfig {
    // A new entrypoint clears the command that was meant for the old one, so with it the command is the image's own.
    let cmd = match own.entrypoint == before.entrypoint {
        true => merged(own.cmd, &before.cmd, after.cmd),
        false => own.cmd,
    };
    ContainerConfig {
        cmd,
        entrypoint: merged(own.entrypoint, &before.entrypoint, after.entrypoint),
        env: env(&own.env, &before.env, after.env),
        exposed_ports: merged_keys(own.exposed_ports, &before.exposed_ports, after.exposed_ports),
        healthcheck: merged(own.healthcheck, &before.healthcheck, after.healthcheck),
        labels: merged_keys(own.labels, &before.labels, after.labels),
        shell: merged(own.shell, &before.shell, after.shell),
        stop_signal: merged(own.stop_signal, &before.stop_signal, after.stop_signal),
        user: merged(own.user, &before.user, after.user),
        volumes: merged_keys(own.volumes, &before.volumes, after.volumes),
        working_dir: merged(own.working_dir, &before.working_dir, after.working_dir),
        other: merged_keys(own.other, &before.other, after.other),
    }
}

/// The new base's value if the image took over the old one's, else its own.
fn merged<T: PartialEq>(own: T, before: &T, after: T) -> T {
    if own == *before { after } else { own }
}

/// The same, key by key. A key that the image lacks although its old base had it, it removed.
fn merged_keys<M, V>(own: M, before: &M, after: M) -> M
where
    M: Clone + IntoIterator<Item = (String, V)> + FromIterator<(String, V)>,
    V: PartialEq,
{
    let before: BTreeMap<String, V> = before.clone().into_iter().collect();
    let own: BTreeMap<String, V> = own.into_iter().collect();
    let mut all: BTreeMap<String, V> = after.into_iter().collect();
    all.retain(|key, _| own.contains_key(key) || !before.contains_key(key));
    all.extend(own.into_iter().filter(|(key, value)| before.get(key) != Some(value)));
    all.into_iter().collect()
}

/// The same for variables, in the order of the new base, with the image's own behind those.
fn env(own: &[String], before: &[String], mut after: Vec<String>) -> Vec<String> {
    let pair = |variable: &String| {
        let (key, value) = variable.split_once('=').unwrap_or((variable, ""));
        (key.to_owned(), value.to_owned())
    };
    let values = |variables: &[String]| variables.iter().map(pair).collect::<BTreeMap<_, _>>();
    let (mine, theirs) = (values(own), values(before));
    after.retain(|variable| {
        let (key, _) = pair(variable);
        mine.contains_key(&key) || !theirs.contains_key(&key)
    });
    let set = own.iter().map(pair).filter(|(key, value)| theirs.get(key) != Some(value));
    merge_env(&mut after, &set.collect::<Vec<_>>());
    after
}

/// The new base's history with the image's own entries behind it. Where a history does not account for the layers, no
/// entry can be told to belong to one, and the image gets none, as in a build.
fn history(image: &Image, old: &Image, new: &Image) -> Vec<History> {
    let of = |image: &Image| {
        let history = image.config().history.clone();
        let accounts = history.iter().filter(|entry| !entry.empty_layer).count() == image.layers().len();
        accounts.then_some(history)
    };
    let (Some(own), Some(after)) = (of(image), of(new)) else { return Vec::new() };
    let before = &old.config().history;
    let begin = match own.starts_with(before) {
        true if of(old).is_some() => before.len(),
        // What made the old base's layers, with what changed no file before the next one.
        _ => {
            let layers = old.layers().len();
            let mut ends = own.iter().enumerate().filter(|(_, entry)| !entry.empty_layer).map(|(at, _)| at + 1);
            match layers {
                0 => 0,
                layers => ends.nth(layers - 1).unwrap_or(own.len()),
            }
        }
    };
    after.into_iter().chain(own.into_iter().skip(begin)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn list(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn what_was_taken_over_follows_the_base_and_what_was_set_stays() {
        let before = map(&[("same", "1"), ("changed", "1"), ("removed", "1"), ("dropped", "1")]);
        let own = map(&[("same", "1"), ("changed", "mine"), ("own", "1"), ("dropped", "1")]);
        let after = map(&[("same", "2"), ("changed", "2"), ("removed", "2"), ("new", "2")]);
        let merged = merged_keys(own, &before, after);
        assert_eq!(merged, map(&[("same", "2"), ("changed", "mine"), ("own", "1"), ("new", "2")]));
    }

    #[test]
    fn variables_have_the_order_of_the_new_base() {
        let before = list(&["PATH=/bin", "LANG=C", "OLD=1"]);
        let own = list(&["PATH=/app:/bin", "LANG=C", "OLD=1", "APP=x"]);
        let after = list(&["LANG=C.UTF-8", "PATH=/usr/bin", "NEW=1"]);
        assert_eq!(env(&own, &before, after), ["LANG=C.UTF-8", "PATH=/app:/bin", "NEW=1", "APP=x"]);
    }

    #[test]
    fn a_command_belongs_to_its_entrypoint() {
        let config = |entrypoint: Option<&str>, cmd: Option<&str>| ContainerConfig {
            entrypoint: entrypoint.map(|word| list(&[word])),
            cmd: cmd.map(|word| list(&[word])),
            ..ContainerConfig::default()
        };
        let (before, after) = (config(None, Some("sh")), config(Some("init"), Some("bash")));
        let rebased = |own| container(own, &before, after.clone());
        assert_eq!(rebased(before.clone()), after);
        assert_eq!(rebased(config(Some("app"), None)), config(Some("app"), None), "not the base's command");
        assert_eq!(rebased(config(None, Some("mine"))), config(Some("init"), Some("mine")));
    }
}
