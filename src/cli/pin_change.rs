//! What it means that a pin moved, as a person reads it.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::git::{Pin, RemoteRef};
use crate::image::{self, Image, Registry};
use crate::oci::Reference;
use crate::platform::Platform;
use crate::source::ImagePin;
use crate::store::Store;
use crate::target::Settings;

use super::dpkg;
use super::size::human_size;

/// What is looked at to show a change.
pub(super) struct Shown<'a> {
    pub(super) registry: &'a dyn Registry,
    pub(super) store: &'a Store,
    pub(super) settings: &'a Settings,
    /// Packages are compared even if layers have to be brought for that.
    pub(super) packages: bool,
}

/// How the image of a name changed: its digest and platforms; and in detail the image for the workspace's platform, else for
/// the first that both have. An image that cannot be had any more is no reason not to move on from it.
///
/// # Errors
/// Packages were asked for and cannot be read.
pub(super) fn image(name: &Reference, pins: (&ImagePin, &ImagePin), shown: &Shown) -> Result<String, Diagnostic> {
    let (old, new) = pins;
    let mut text = String::new();
    put(&mut text, format_args!("{name}\n  digest: {} -> {}\n", old.digest, new.digest));
    put_platforms(&mut text, old, new);
    let both = |platform: &&Platform| old.platforms.contains_key(platform) && new.platforms.contains_key(platform);
    let first = || new.platforms.keys().find(both);
    let Some(platform) = Some(&shown.settings.platform).filter(both).or_else(first) else { return Ok(text) };
    let read = |digest: &Digest| image::read_registry(shown.registry, name, digest, shown.store).ok();
    let images = [old, new].map(|pin| read(&pin.platforms[platform]));
    let of = |value: &dyn Fn(&Image) -> Option<String>| images.each_ref().map(|image| value(image.as_ref()?));
    put_change(&mut text, &format!("{platform} created"), of(&|image| image.config().created.clone()));
    put_change(&mut text, &format!("{platform} layers"), of(&|image| Some(image.layers().len().to_string())));
    put_change(&mut text, &format!("{platform} size"), of(&|image| Some(human_size(compressed(image)))));
    if let [Some(old), Some(new)] = images {
        put_packages(&mut text, [&old, &new], shown)?;
    }
    Ok(text)
}

/// How a file changed.
pub(super) fn file(name: &str, digests: [&Digest; 2], store: &Store) -> String {
    let mut text = String::new();
    put(&mut text, format_args!("{name}\n  digest: {} -> {}\n", digests[0], digests[1]));
    put_change(&mut text, "size", digests.map(|digest| store.contains(digest).map(human_size)));
    text
}

/// How the commit of a ref changed.
pub(super) fn commit(name: &RemoteRef, pins: [&Pin; 2], store: &Store) -> String {
    let mut text = String::new();
    put(&mut text, format_args!("{name}\n"));
    put_change(&mut text, "commit", pins.map(|pin| Some(pin.commit.to_string())));
    put_change(&mut text, "tag", pins.map(|pin| pin.tag.as_ref().map(ToString::to_string)));
    let digests = pins.map(|pin| &pin.sha256);
    put_change(&mut text, "digest", digests.map(|digest| Some(digest.to_string())));
    put_change(&mut text, "size", digests.map(|digest| store.contains(digest).map(human_size)));
    text
}

/// Platforms that are new, gone, or have another image.
fn put_platforms(text: &mut String, old: &ImagePin, new: &ImagePin) {
    let all: BTreeSet<&Platform> = old.platforms.keys().chain(new.platforms.keys()).collect();
    let change = |platform: &Platform| match (old.platforms.get(platform), new.platforms.get(platform)) {
        (None, _) => Some(format!("+{platform}")),
        (_, None) => Some(format!("-{platform}")),
        (Some(old), Some(new)) => (old != new).then(|| platform.to_string()),
    };
    let changes: Vec<String> = all.into_iter().filter_map(change).collect();
    if !changes.is_empty() {
        put(text, format_args!("  platforms: {}\n", changes.join(", ")));
    }
}

fn put_packages(
    text: &mut String,
    images: [&Image; 2],
    Shown { store, packages, .. }: &Shown,
) -> Result<(), Diagnostic> {
    let is_there =
        |image: &&Image| image.layers().iter().all(|layer| store.contains(&layer.descriptor.digest).is_some());
    if !packages && !images.iter().all(is_there) {
        return Ok(());
    }
    let read = |image: &Image| {
        let unreadable = || Diagnostic::failure(format!("the packages of {} cannot be read", image.digest()));
        dpkg::packages(store, image).map_err(|error| unreadable().caused_by(error))
    };
    let (old, new): (BTreeMap<String, String>, _) = (read(images[0])?, read(images[1])?);
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) => put(text, format_args!("  package {name}: {old} -> {new}\n")),
            (Some(old), None) => put(text, format_args!("  package -{name}: {old}\n")),
            (None, new) => put(text, format_args!("  package +{name}: {}\n", new.map_or("", String::as_str))),
        }
    }
    Ok(())
}

/// Bytes of all layers as they are in the registry.
fn compressed(image: &Image) -> u64 {
    image.layers().iter().map(|layer| layer.descriptor.size).sum()
}

fn put_change(text: &mut String, what: &str, [old, new]: [Option<String>; 2]) {
    if old != new {
        let [old, new] = [old, new].map(|value| value.unwrap_or_else(|| "(unknown)".to_owned()));
        put(text, format_args!("  {what}: {old} -> {new}\n"));
    }
}

/// Others wrote dates, names and versions: what would steer a terminal is not shown.
fn put(text: &mut String, part: std::fmt::Arguments) {
    let part = part.to_string();
    text.extend(part.chars().map(|c| if c.is_control() && c != '\n' { '?' } else { c }));
}
