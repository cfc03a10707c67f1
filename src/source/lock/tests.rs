//! The lock's text: golden, and what is refused of it.

use std::sync::Arc;

use proptest::prelude::*;

use crate::diagnostic::{Class, SourceText};

use super::*;

fn parse(text: &str) -> Result<Lock, Diagnostic> {
    parse::parse(&Arc::new(SourceText { name: Lock::FILE.into(), text: text.into() }))
}

fn lock() -> Lock {
    let digest = |text: &str| Digest::of(text.as_bytes());
    let platforms = |names: &[&str]| names.iter().map(|name| (name.parse().unwrap(), digest(name))).collect();
    let pin = |name: &str, names: &[&str]| {
        (name.parse().unwrap(), ImagePin { digest: digest(name), platforms: platforms(names) })
    };
    let commit = |url: &str, name: &str, commit: &str| {
        let remote = RemoteRef { url: url.parse().unwrap(), name: name.parse().unwrap(), keep_git_dir: false };
        (remote, Pin { commit: commit.parse().unwrap(), tag: None, sha256: digest("tar") })
    };
    let (remote, plain) = commit("https://example.com/lib.git", "v1.4", &"0123456789".repeat(4));
    let kept = (RemoteRef { keep_git_dir: true, ..remote }, Pin { tag: "a".repeat(40).parse().ok(), ..plain });
    Lock {
        images: BTreeMap::from([
            pin("registry.example.com:5000/shop/base:1", &["linux/arm/v7"]),
            pin("docker.io/library/python:3.12-slim", &["linux/arm64", "linux/amd64"]),
            pin("docker.io/library/python:3.9", &["linux/amd64"]),
        ]),
        fetches: BTreeMap::from([
            ("https://example.com/tool?a=\"b\"\\".to_owned(), digest("tool")),
            ("file://vendor/a".to_owned(), digest("a")),
        ]),
        commits: BTreeMap::from([
            commit("https://example.com/lib.git", "v1.4", &"0123456789".repeat(4)),
            commit("https://example.com/lib.git", "main", &digest("lib").hex()),
            commit("file://vendor/lib", "HEAD", &"f".repeat(40)),
            kept,
        ]),
    }
}

const GOLDEN: &str = r#"# Written by `ocify lock`; commit it.
version = 1

[[image]]
reference = "docker.io/library/python:3.12-slim"
digest = "sha256:ea59dc550ffd7fa7cb400f9672cfa8ecb593f62c713ef73433a765b32dab4bac"
[image.platforms]
"linux/amd64" = "sha256:baf0239e48ff4c47ebac3ba02b5cf1506b69cd5a0c0d0c825a53ba65976fb942"
"linux/arm64" = "sha256:b3e3ab55f887c56c0bd8bec3743b0fb54daaa17861e03db5133ef2835eb0da5a"

[[image]]
reference = "docker.io/library/python:3.9"
digest = "sha256:7cf367a86e072974e825b3fca695a9a378e8f8ac5b456dcc477cd7a467dee0d6"
[image.platforms]
"linux/amd64" = "sha256:baf0239e48ff4c47ebac3ba02b5cf1506b69cd5a0c0d0c825a53ba65976fb942"

[[image]]
reference = "registry.example.com:5000/shop/base:1"
digest = "sha256:e5d370c0632da169de1367575b26c161c21458618c7d5bfa35490dc948f9f749"
[image.platforms]
"linux/arm/v7" = "sha256:35df9beb9b1c4fe630707bc51e4360b94b506b4e6d5372d5d0d52a385350621b"

[[fetch]]
url = "file://vendor/a"
sha256 = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"

[[fetch]]
url = "https://example.com/tool?a=\"b\"\\"
sha256 = "7c9bbe5ec9b3fb774e8fa0f54247e93c34ddf8e5d16fe3073420de0ae81a262d"

[[git]]
url = "file://vendor/lib"
ref = "HEAD"
commit = "ffffffffffffffffffffffffffffffffffffffff"
sha256 = "90aebae315675cbf04612de4f7d5874850f48e0b8dd82becbeaa47ca93f5ebfb"

[[git]]
url = "https://example.com/lib.git"
ref = "main"
commit = "76b5a357391276b282a516f54f48ef3c207f46d8192dc58c208d5183d38415f8"
sha256 = "90aebae315675cbf04612de4f7d5874850f48e0b8dd82becbeaa47ca93f5ebfb"

[[git]]
url = "https://example.com/lib.git"
ref = "v1.4"
commit = "0123456789012345678901234567890123456789"
sha256 = "90aebae315675cbf04612de4f7d5874850f48e0b8dd82becbeaa47ca93f5ebfb"

[[git]]
url = "https://example.com/lib.git"
ref = "v1.4"
keep_git_dir = true
commit = "0123456789012345678901234567890123456789"
tag = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
sha256 = "90aebae315675cbf04612de4f7d5874850f48e0b8dd82becbeaa47ca93f5ebfb"
"#;

#[test]
fn the_text_is_golden_and_read_back() {
    let text = lock().text();
    assert_eq!(text, GOLDEN);
    assert_eq!(parse(&text).unwrap(), lock());
    assert_eq!(parse(&Lock::default().text()).unwrap(), Lock::default());
}

#[test]
fn what_is_no_lock_is_refused_at_its_place() {
    let image = "[[image]]\nreference = \"a.b/c:1\"\ndigest = \"sha256:DIGEST\"\n[image.platforms]\n\"linux/amd64\" = \"sha256:DIGEST\"\n";
    let fetch = "[[fetch]]\nurl = \"https://a.b/c\"\nsha256 = \"DIGEST\"\n";
    let git = "[[git]]\nurl = \"https://a.b/c\"\nref = \"v1\"\ncommit = \"COMMIT\"\nsha256 = \"DIGEST\"\n";
    let git = git.replace("COMMIT", &"0".repeat(40));
    let commit = |from: &str, to: &str| format!("version = 1\n{git}").replacen(from, to, 1);
    let with = |from: &str, to: &str| format!("version = 1\n{image}{fetch}").replacen(from, to, 1);
    for (text, message, place) in [
        ("".to_owned(), "`version` is missing", ""),
        ("version = 2\n[[surprise]]\n".into(), "the lock has version 2, and this ocify reads version 1", "2"),
        ("version = 0\n".into(), "this is not the version of a lock", "0"),
        ("version = \"1\"\n".into(), "this is not the version of a lock", "\"1\""),
        (format!("<<<<<<< HEAD\nversion = 1\n=======\n{image}"), "the lock has a merge conflict", "<<<<<<< HEAD"),
        (with("[[fetch]]", ">>>>>>> branch\n[[fetch]]"), "the lock has a merge conflict", ">>>>>>> branch"),
        (with("version = 1", "version = 1\nname = \"x\""), "unknown field `name`, expected", "name"),
        (with("https://a.b/c", "https://a.b/\\u001b[2J"), "the URL has a control character", ""),
        (with("[[fetch]]", "[[fetch]]\nsize = 1"), "unknown field `size`, expected `url` or `sha256`", "size"),
        (with("url = \"https://a.b/c\"\n", ""), "missing field `url`", "[[fetch]]"),
        (with("a.b/c:1", "c:1"), "`c:1` is not the whole name of an image", "\"c:1\""),
        (with("a.b/c:1", "a.b/c"), "`a.b/c` is not the whole name of an image", "\"a.b/c\""),
        (with("a.b/c:1", "a.b/c:1@sha256:DIGEST"), "`a.b/c:1@sha256:DIGEST` is not the whole name", ""),
        (with("a.b/c:1", "../../etc"), "`../../etc` is not the name of an image", "\"../../etc\""),
        (with("linux/amd64", "linux/x86_64"), "`linux/x86_64` is written `linux/amd64`", "\"linux/x86_64\""),
        (with("linux/amd64", "linux"), "`linux` is not a platform", "\"linux\""),
        (with("\"linux/amd64\" = \"sha256:DIGEST\"\n", ""), "`a.b/c:1` is pinned for no platform", ""),
        (with("sha256:DIGEST", "sha512:DIGEST"), "`sha512` is not supported", ""),
        (with("sha256 = \"DIGEST\"", "sha256 = \"DIGES\""), "", "\"DIGES\""),
        (format!("version = 1\n{image}{image}"), "the image is pinned twice", "\"a.b/c:1\""),
        (format!("version = 1\n{fetch}{fetch}"), "the URL is pinned twice", "\"https://a.b/c\""),
        (format!("version = 1\n{git}{git}"), "the ref is pinned twice", "\"https://a.b/c\""),
        (commit("https://a.b", "ext::sh"), "begins with none of `https://`", "\"ext::sh/c\""),
        (commit("\"v1\"", "\"--upload-pack=x\""), "begins with `-`", "\"--upload-pack=x\""),
        (commit("\"00", "\"0"), "is not the ID of a commit", ""),
        (commit("sha256", "tag = \"v1\"\nsha256"), "a tag is pinned only beside `keep_git_dir`", "\"v1\""),
        (commit("\"DIGEST", "\"x"), "", "\"x\""),
        (with("\"linux/amd64\"", "\"linux/amd64\" = 1\n\"linux/amd64\""), "duplicate key", "\"linux/amd64\""),
        (format!("version = {}\n", "[".repeat(10_000)), "", ""),
    ] {
        let digest = Digest::of(b"").hex();
        let error = parse(&text.replace("DIGEST", &digest)).expect_err(&text);
        let (message, place) = (message.replace("DIGEST", &digest), place.replace("DIGEST", &digest));
        assert!(error.to_string().contains(&message), "{text}: {error}");
        let found = error.span().expect("every error has a place").text();
        assert!(place.is_empty() || found == place, "{text}: {found}");
        assert_eq!(error.class(), Class::Spec);
    }
}

#[test]
fn the_order_of_a_merged_lock_does_not_matter() {
    let text = lock().text();
    let (head, entries) = text.split_once("\n\n").unwrap();
    let mut entries: Vec<&str> = entries.trim_end().split("\n\n").collect();
    entries.reverse();
    let merged = parse(&format!("{head}\n\n{}\n", entries.join("\n\n"))).unwrap();
    assert_eq!(merged.text(), text);
}

#[test]
fn a_lock_nested_without_end_is_refused() {
    for text in ["[".repeat(100_000), format!("a = {}", "[".repeat(100_000)), format!("a = {}", "{b = ".repeat(50_000))]
    {
        assert!(parse(&format!("version = 1\n{text}")).is_err());
    }
}

#[test]
fn a_platform_of_any_fields_pins_nothing_else() {
    let mut made = lock();
    let before = made.images.len();
    let pin = made.images.values_mut().next().unwrap();
    let evil = "amd64\" = \"\"\n[[image]]\nreference = \"docker.io/library/debian:12\"\n";
    pin.platforms.insert(Platform::new("linux", evil, None), pin.digest);
    assert!(parse(&made.text()).is_err());
    pin_only_sound(&mut made);
    assert_eq!(parse(&made.text()).unwrap().images.len(), before);
}

fn pin_only_sound(lock: &mut Lock) {
    for pin in lock.images.values_mut() {
        pin.platforms.retain(|platform, _| platform.to_string().parse().as_ref() == Ok(platform));
    }
}

proptest! {
    #[test]
    fn a_lock_that_was_tampered_with_is_a_lock_or_refused(
        at in 0..GOLDEN.len(),
        length in 0..80_usize,
        put in prop_oneof![any::<String>(), "[\\[\\]\"=.a-z0-9:/\n\\\\]{0,30}"],
    ) {
        let end = (at + length).min(GOLDEN.len());
        let text = [&GOLDEN[..at], &put, &GOLDEN[end..]].concat();
        if let Ok(lock) = parse(&text) {
            prop_assert_eq!(parse(&lock.text()).unwrap(), lock);
        }
    }

    #[test]
    fn any_url_is_read_back(url in any::<String>()) {
        let mut made = lock();
        made.fetches.insert(url.clone(), Digest::of(b""));
        match parse(&made.text()) {
            Ok(lock) => prop_assert_eq!(lock, made),
            Err(_) => prop_assert!(url.contains(char::is_control)),
        }
    }
}
