//! The lock's text.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::git::{Pin, RemoteRef};

use super::{ImagePin, Lock};

/// The whole file. The bytes are part of what people commit, so a test holds them fast.
pub(super) fn text(lock: &Lock) -> String {
    let mut text = format!("# Written by `ocify lock`; commit it.\nversion = {}\n", Lock::VERSION);
    for (reference, pin) in &lock.images {
        let ImagePin { digest, platforms } = pin;
        put(
            &mut text,
            format_args!("\n[[image]]\nreference = \"{reference}\"\ndigest = \"{digest}\"\n[image.platforms]\n"),
        );
        for (platform, digest) in platforms {
            // A platform of any fields can be made; its text is a key of TOML if it is one of JSON.
            let platform = Json::from(platform.to_string());
            put(&mut text, format_args!("{platform} = \"{digest}\"\n"));
        }
    }
    for (url, sha256) in &lock.fetches {
        // Every escape of a JSON string means the same in a basic string of TOML.
        let url = Json::from(url.as_str());
        put(&mut text, format_args!("\n[[fetch]]\nurl = {url}\nsha256 = \"{}\"\n", sha256.hex()));
    }
    for (RemoteRef { url, name, keep_git_dir }, Pin { commit, tag, sha256 }) in &lock.commits {
        let [url, name] = [url.to_string(), name.to_string()].map(Json::from);
        put(&mut text, format_args!("\n[[git]]\nurl = {url}\nref = {name}\n"));
        if *keep_git_dir {
            put(&mut text, format_args!("keep_git_dir = true\n"));
        }
        put(&mut text, format_args!("commit = \"{commit}\"\n"));
        if let Some(tag) = tag {
            put(&mut text, format_args!("tag = \"{tag}\"\n"));
        }
        put(&mut text, format_args!("sha256 = \"{}\"\n", sha256.hex()));
    }
    text
}

fn put(text: &mut String, part: std::fmt::Arguments) {
    text.write_fmt(part).expect("a string can be written to");
}
