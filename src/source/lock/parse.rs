//! The lock's text read back, strictly: what was changed by hand or by a merge is taken only if it is a whole lock.

use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use crate::diagnostic::{Diagnostic, SourceText, Span};
use crate::digest::Digest;
use crate::git::{NameError, Pin, RemoteRef};
use crate::oci::Reference;
use crate::platform::Platform;

use super::{ImagePin, Lock};

/// The lock in `source`.
///
/// # Errors
/// Marks of a merge, another version, a syntax error, an unknown or missing key, a name or digest that is none, two
/// entries of one name; each at its place.
pub(super) fn parse(source: &Arc<SourceText>) -> Result<Lock, Diagnostic> {
    let reader = Reader { source };
    reader.check_merged()?;
    reader.check_version()?;
    let file: File = reader.decode()?;
    let mut lock = Lock::default();
    for entry in &file.image {
        let (reference, pin) = reader.image(entry)?;
        if lock.images.insert(reference, pin).is_some() {
            return Err(reader.twice("the image", entry.get_ref().reference.span()));
        }
    }
    for FetchEntry { url, sha256 } in file.fetch {
        let digest = Digest::from_hex(sha256.get_ref())
            .map_err(|error| reader.wrong(error.to_string(), sha256.span()).help(REWRITE))?;
        let place = url.span();
        if url.get_ref().contains(char::is_control) {
            return Err(reader.wrong("the URL has a control character", place).help(REWRITE));
        }
        if lock.fetches.insert(url.into_inner(), digest).is_some() {
            return Err(reader.twice("the URL", place));
        }
    }
    for GitEntry { url, name, keep_git_dir, commit, tag, sha256 } in file.git {
        let place = url.span();
        let remote = RemoteRef { url: reader.parsed(&url)?, name: reader.parsed(&name)?, keep_git_dir };
        if let (Some(tag), false) = (&tag, keep_git_dir) {
            let error = reader.wrong("a tag is pinned only beside `keep_git_dir`", tag.span());
            return Err(error.help(REWRITE));
        }
        let tag = tag.map(|tag| reader.parsed(&tag)).transpose()?;
        let sha256 = Digest::from_hex(sha256.get_ref())
            .map_err(|error| reader.wrong(error.to_string(), sha256.span()).help(REWRITE))?;
        let pin = Pin { commit: reader.parsed(&commit)?, tag, sha256 };
        if lock.commits.insert(remote, pin).is_some() {
            return Err(reader.twice("the ref", place));
        }
    }
    Ok(lock)
}

const REWRITE: &str =
    "this file is written by `ocify lock`: delete the entry, then run `ocify lock`, which pins it anew";

#[derive(Deserialize)]
struct AnyVersion {
    version: Option<Spanned<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "version")]
    _version: u32,
    #[serde(default)]
    image: Vec<Spanned<ImageEntry>>,
    #[serde(default)]
    fetch: Vec<FetchEntry>,
    #[serde(default)]
    git: Vec<GitEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageEntry {
    reference: Spanned<String>,
    digest: Digest,
    platforms: BTreeMap<Spanned<String>, Digest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FetchEntry {
    url: Spanned<String>,
    sha256: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GitEntry {
    url: Spanned<String>,
    #[serde(rename = "ref")]
    name: Spanned<String>,
    #[serde(default)]
    keep_git_dir: bool,
    commit: Spanned<String>,
    tag: Option<Spanned<String>>,
    sha256: Spanned<String>,
}

struct Reader<'a> {
    source: &'a Arc<SourceText>,
}

impl Reader<'_> {
    /// git's marks would be syntax errors that say nothing of a merge.
    fn check_merged(&self) -> Result<(), Diagnostic> {
        let mut start = 0;
        for line in self.source.text.split_inclusive('\n') {
            let end = start + line.trim_end().len();
            if ["<<<<<<<", "|||||||", "=======", ">>>>>>>"].iter().any(|mark| line.starts_with(mark)) {
                let error = self.wrong("the lock has a merge conflict", start..end).label("left by the merge");
                return Err(error.help(
                    "keep the entries of both sides and delete the marks; where both sides pin the same name, keep one, \
                     or neither: then `ocify lock` pins it anew",
                ));
            }
            start += line.len();
        }
        Ok(())
    }

    /// A newer form may have anything in it, so its version is all that is said of it.
    fn check_version(&self) -> Result<(), Diagnostic> {
        let AnyVersion { version } = self.decode()?;
        let Some(version) = version else {
            return Err(Diagnostic::spec("`version` is missing").at(self.span(0..0)).help(format!(
                "a lock begins with `version = {}`; to make a new one, delete the file and run `ocify lock`",
                Lock::VERSION
            )));
        };
        match version.get_ref().as_integer() {
            Some(number) if number == i64::from(Lock::VERSION) => Ok(()),
            Some(number) if number > i64::from(Lock::VERSION) => {
                let message = format!("the lock has version {number}, and this ocify reads version {}", Lock::VERSION);
                Err(self.wrong(message, version.span()).help("use the ocify that wrote it, or a newer one"))
            }
            _ => Err(self.wrong("this is not the version of a lock", version.span()).help(REWRITE)),
        }
    }

    fn image(&self, entry: &Spanned<ImageEntry>) -> Result<(Reference, ImagePin), Diagnostic> {
        let ImageEntry { reference: name, digest, platforms: named } = entry.get_ref();
        let wrong = |message: String, place: Range<usize>| self.wrong(message, place).help(REWRITE);
        let reference: Reference = name.get_ref().parse().map_err(|error| wrong(format!("{error}"), name.span()))?;
        if reference.digest.is_some() || reference.canonical() != reference {
            let message = format!("`{reference}` is not the whole name of an image, with a tag and without a digest");
            return Err(wrong(message, name.span()));
        }
        if named.is_empty() {
            return Err(wrong(format!("`{reference}` is pinned for no platform"), entry.span()));
        }
        let mut platforms = BTreeMap::new();
        for (name, digest) in named {
            let platform: Platform = name.get_ref().parse().map_err(|error| wrong(format!("{error}"), name.span()))?;
            if platform.to_string() != *name.get_ref() {
                return Err(wrong(format!("`{}` is written `{platform}`", name.get_ref()), name.span()));
            }
            platforms.insert(platform, *digest);
        }
        Ok((reference, ImagePin { digest: *digest, platforms }))
    }

    fn parsed<T: FromStr<Err = NameError>>(&self, text: &Spanned<String>) -> Result<T, Diagnostic> {
        text.get_ref().parse().map_err(|error: NameError| self.wrong(error.to_string(), text.span()).help(REWRITE))
    }

    fn twice(&self, what: &str, place: Range<usize>) -> Diagnostic {
        let error = self.wrong(format!("{what} is pinned twice"), place).label("the second");
        error.help("keep one of the entries, or neither: then `ocify lock` pins it anew")
    }

    fn decode<T: for<'de> Deserialize<'de>>(&self) -> Result<T, Diagnostic> {
        toml::from_str(&self.source.text).map_err(|error| {
            let message = error.message().trim().replace('\n', "; ");
            self.wrong(message, error.span().unwrap_or_default()).help(REWRITE)
        })
    }

    fn wrong(&self, message: impl Into<String>, place: Range<usize>) -> Diagnostic {
        Diagnostic::spec(message).at(self.span(place))
    }

    fn span(&self, place: Range<usize>) -> Span {
        Span { source: self.source.clone(), start: place.start, end: place.end }
    }
}
