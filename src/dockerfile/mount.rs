//! `RUN --mount`: its options, and what they mount.

use std::collections::BTreeMap;

use crate::diagnostic::{At, Diagnostic, Span, Spanned, nearest};
use crate::path::ImagePath;
use crate::target::{
    self, BindMount, CacheMount, LayerSpec, Mode, Mount, MountSource, Place, SecretMount, Sharing, SshMount,
    TmpfsMount, Write,
};

use super::build::{Builds, StageBuild, absolute};
use super::config::value;
use super::heredoc::Heredoc;
use super::instruction::{Flag, Instruction};
use super::lower::Bases;
use super::named_context::NamedContext;
use super::scope::Scope;
use super::stage::{From, Stage, from};
use super::word::{Word, part};

/// What each kind of mount takes. BuildKit knows nothing of some of these either, and lets them stand.
const KINDS: [(&str, &[&str]); 5] = [
    ("bind", &["type", "from", "source", "target", "readonly", "readwrite", "id"]),
    ("cache", &["type", "from", "source", "target", "readonly", "readwrite", "id", "sharing", "mode", "uid", "gid"]),
    ("tmpfs", &["type", "from", "source", "target", "readonly", "readwrite", "id", "size"]),
    ("secret", &["type", "source", "target", "readonly", "readwrite", "id", "env", "required", "mode", "uid", "gid"]),
    ("ssh", &["type", "from", "source", "target", "readonly", "readwrite", "id", "required", "mode", "uid", "gid"]),
];

/// Other names of options.
const ALIASES: [(&str, &str); 5] =
    [("src", "source"), ("dst", "target"), ("destination", "target"), ("ro", "readonly"), ("rw", "readwrite")];

/// Where the script of a heredoc lies that is run by itself.
const SCRIPTS: &str = "/run/heredoc";

/// The stages or images of which the mounts of an instruction have files.
pub(super) fn sources(instruction: &Instruction) -> Vec<Word> {
    let flags = instruction.flags.iter().filter(|flag| flag.name.value == "mount");
    let fields = flags.filter_map(|flag| flag.value.as_ref()).flat_map(fields);
    fields.filter(|(key, _)| key.value.eq_ignore_ascii_case("from")).filter_map(|(_, value)| value).collect()
}

impl<'a> StageBuild<'a> {
    /// What a `--mount` mounts.
    ///
    /// # Errors
    /// An unknown kind, option or value; a stage that does not come before.
    pub(super) fn mount(
        &self,
        flag: &Flag,
        builds: &Builds<'a>,
        stages: &[Stage],
        bases: &mut dyn Bases,
    ) -> Result<Spanned<Mount>, Diagnostic> {
        let word = value(flag)?;
        let options = Options::read(word, &self.scope)?;
        let source = options.text("source").map_or_else(|| "/".to_owned(), |source| absolute("/", source));
        let value = match options.kind {
            "cache" => Mount::Cache(CacheMount {
                target: self.target(&options)?,
                id: options.owned("id"),
                sharing: options.sharing()?,
                mode: options.mode(0o755)?,
                uid: options.number("uid")?,
                gid: options.number("gid")?,
                readonly: options.is_read_only(false)?,
                src: match options.values.get("from") {
                    Some(name) => Some(self.source(name, &source, builds, stages, bases)?),
                    None => None,
                },
                source: options.path(&source)?,
            }),
            "tmpfs" => Mount::Tmpfs(TmpfsMount { target: self.target(&options)?, size: options.size()? }),
            "secret" => {
                let target = options.values.get("target").map(|_| self.target(&options)).transpose()?;
                let name = target.as_ref().and_then(ImagePath::file_name);
                let name = name.map(|name| String::from_utf8_lossy(name).into_owned());
                let id = options.owned("id").or(options.owned("source")).or(name).ok_or_else(|| {
                    options
                        .wrong("a secret needs a name", "write --mount=type=secret,id=NAME, as in `--secret id=NAME`")
                })?;
                Mount::Secret(SecretMount {
                    id,
                    target,
                    env: options.owned("env"),
                    required: options.truth("required")?.unwrap_or(false),
                    mode: options.mode(0o400)?,
                    uid: options.number("uid")?,
                    gid: options.number("gid")?,
                    version: None,
                })
            }
            "ssh" => Mount::Ssh(SshMount {
                id: options.owned("id").unwrap_or_else(|| "default".into()),
                target: options.values.get("target").map(|_| self.target(&options)).transpose()?,
                required: options.truth("required")?.unwrap_or(false),
                mode: options.mode(0o600)?,
                uid: options.number("uid")?,
                gid: options.number("gid")?,
            }),
            _ => {
                let src = match options.values.get("from") {
                    Some(name) => self.source(name, &source, builds, stages, bases)?,
                    None => {
                        let context = Place { ignore: self.options.ignore.clone(), ..Place::at("/".into()) };
                        context_source(context, &source, &options.span)
                    }
                };
                Mount::Bind(BindMount {
                    src,
                    target: self.target(&options)?,
                    source: options.path(&source)?,
                    writable: !options.is_read_only(true)?,
                })
            }
        };
        Ok(Spanned { value, span: word.span.clone() })
    }

    /// What a `from` names.
    fn source(
        &self,
        name: &Word,
        path: &str,
        builds: &Builds<'a>,
        stages: &[Stage],
        bases: &mut dyn Bases,
    ) -> Result<Spanned<MountSource>, Diagnostic> {
        match from(stages, self.at, name, &self.options.contexts)? {
            From::Context(NamedContext::Directory { directory, ignore }) => {
                let (directory, ignore) = (Some(directory.clone()), ignore.clone());
                Ok(context_source(Place { directory, ignore, ..Place::at("/".into()) }, path, &name.span))
            }
            found => {
                let base = self.base_of(found, name, builds, bases)?;
                Ok(Spanned { value: MountSource::Image(base.value), span: base.span })
            }
        }
    }

    fn target(&self, options: &Options) -> Result<ImagePath, Diagnostic> {
        let text = options.text("target").unwrap_or_default();
        let span = options.values.get("target").and_then(|word| word.span.clone()).or(options.span.clone());
        target::mount_target(&absolute(&absolute("/", &self.workdir), text)).at(span.as_ref())
    }
}

/// Files of a context as a layer: what lies at `path`, where it lies.
fn context_source(context: Place, path: &str, span: &Option<Span>) -> Spanned<MountSource> {
    // A pattern that stands for this path only.
    let pattern: String =
        path.chars().flat_map(|c| "*?[\\".contains(c).then_some('\\').into_iter().chain([c])).collect();
    let srcs = vec![Spanned { value: pattern, span: span.clone() }];
    let place = Place { srcs, parents: path != "/", ..context };
    Spanned { value: MountSource::Layer(Box::new(LayerSpec::Place(Box::new(place)))), span: span.clone() }
}

/// The script of a heredoc as a file that can be executed, and its path.
pub(super) fn script(heredoc: &Heredoc, span: &Option<Span>) -> Result<(Spanned<Mount>, String), Diagnostic> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let name = if heredoc.name.chars().all(plain) { heredoc.name.as_str() } else { "script" };
    let path = |text: &str| ImagePath::parse(text).map_err(|error| Diagnostic::spec(error.to_string()));
    let (file, target) = (path(name)?, format!("{SCRIPTS}/{name}"));
    let write = Write { path: file.clone(), content: heredoc.content.clone(), mode: Mode(0o755), owner: None };
    let src = Spanned { value: MountSource::Layer(Box::new(LayerSpec::Write(write))), span: span.clone() };
    let bind = BindMount { src, target: target::mount_target(&target)?, source: file, writable: false };
    Ok((Spanned { value: Mount::Bind(bind), span: span.clone() }, target))
}

/// The options of one mount, expanded.
struct Options {
    kind: &'static str,
    /// By name; one without a value has an empty one.
    values: BTreeMap<&'static str, Word>,
    span: Option<Span>,
}

impl Options {
    fn read(word: &Word, scope: &Scope) -> Result<Options, Diagnostic> {
        let mut options = Options { kind: "bind", values: BTreeMap::new(), span: word.span.clone() };
        for (key, value) in fields(word) {
            let name = key.value.to_ascii_lowercase();
            let canonical = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.as_str(), |(_, name)| *name);
            let known = || KINDS.iter().flat_map(|(_, options)| options.iter().copied());
            let Some(known) = known().find(|known| *known == canonical) else {
                let error = Diagnostic::spec(format!("a mount has no option `{}`", key.value)).at(key.span);
                let names = known().chain(ALIASES.map(|(alias, _)| alias));
                return Err(error.help(match nearest(&name, names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write type=bind, cache, tmpfs, secret or ssh, and the options of that kind".into(),
                }));
            };
            let is_switch = matches!(known, "readonly" | "readwrite" | "required");
            let value = match value {
                // What it names is looked for before the variables are known; `from` says so.
                Some(value) if known == "from" => value,
                Some(value) => Word { value: scope.expand(&value)?, span: value.span },
                None if is_switch => Word { value: String::new(), span: key.span.clone() },
                None => {
                    let error = Diagnostic::spec(format!("`{}` needs a value", key.value)).at(key.span);
                    return Err(error.help(format!("write {}=VALUE", key.value)));
                }
            };
            options.values.insert(known, value);
        }
        let kinds = || KINDS.iter().map(|(kind, _)| *kind);
        if let Some(word) = options.values.get("type") {
            let name = word.value.to_ascii_lowercase();
            options.kind = kinds().find(|kind| *kind == name).ok_or_else(|| {
                let error =
                    Diagnostic::spec(format!("there is no mount of type `{}`", word.value)).at(word.span.clone());
                error.help(match nearest(&name, kinds()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are {}", kinds().collect::<Vec<_>>().join(", ")),
                })
            })?;
        }
        let own = KINDS.iter().find(|(kind, _)| *kind == options.kind).map_or(&[][..], |(_, own)| own);
        match options.values.iter().find(|(name, _)| !own.contains(*name)) {
            None => Ok(options),
            Some((name, word)) => {
                let error = Diagnostic::spec(format!("`{name}` is no option of a {} mount", options.kind));
                Err(error.at(word.span.clone()).help(format!("it takes {}", own.join(", "))))
            }
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|word| word.value.as_str())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn wrong(&self, message: &str, help: &str) -> Diagnostic {
        Diagnostic::spec(message).at(self.span.clone()).help(help)
    }

    /// The error for the value of an option.
    fn unfit(&self, name: &str, help: &str) -> Diagnostic {
        let word = self.values.get(name);
        let text = word.map_or("", |word| word.value.as_str());
        let error = Diagnostic::spec(format!("`{text}` cannot be the `{name}` of a mount"));
        error.at(word.and_then(|word| word.span.clone())).help(help)
    }

    fn path(&self, text: &str) -> Result<ImagePath, Diagnostic> {
        ImagePath::parse(text).map_err(|error| Diagnostic::spec(error.to_string()).at(self.span.clone()))
    }

    fn truth(&self, name: &str) -> Result<Option<bool>, Diagnostic> {
        match self.text(name) {
            None => Ok(None),
            // As Go reads them.
            Some("" | "1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Some(true)),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Some(false)),
            Some(_) => Err(self.unfit(name, "write `true` or `false`, or the option alone")),
        }
    }

    fn is_read_only(&self, default: bool) -> Result<bool, Diagnostic> {
        let writable = self.truth("readwrite")?.map(|writable| !writable);
        Ok(self.truth("readonly")?.or(writable).unwrap_or(default))
    }

    fn mode(&self, default: u32) -> Result<Mode, Diagnostic> {
        let mode = self.text("mode").map(str::parse::<Mode>).transpose();
        mode.map(|mode| mode.unwrap_or(Mode(default)))
            .map_err(|_| self.unfit("mode", "write it in octal, such as 0400"))
    }

    fn number(&self, name: &str) -> Result<u32, Diagnostic> {
        let number = self.text(name).map(str::parse).transpose();
        number.map(Option::unwrap_or_default).map_err(|_| self.unfit(name, "write a number, such as 1000"))
    }

    fn sharing(&self) -> Result<Sharing, Diagnostic> {
        match self.text("sharing").map(str::to_ascii_lowercase).as_deref() {
            None | Some("shared") => Ok(Sharing::Shared),
            Some("private") => Ok(Sharing::Private),
            Some("locked") => Ok(Sharing::Locked),
            Some(other) => Err(match nearest(other, ["shared", "private", "locked"]) {
                Some(near) => self.unfit("sharing", &format!("did you mean `{near}`?")),
                None => self.unfit("sharing", "write shared, private or locked"),
            }),
        }
    }

    /// Bytes; units are powers of 1024, as in Docker.
    fn size(&self) -> Result<Option<u64>, Diagnostic> {
        let Some(text) = self.text("size") else { return Ok(None) };
        let lower = text.to_ascii_lowercase();
        let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
        let unit = lower[digits..].trim().trim_end_matches('b').trim_end_matches('i');
        let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == unit);
        let number = lower[..digits].parse::<u64>().ok().zip(power);
        let size = number.and_then(|(number, power)| number.checked_mul(1 << (10 * power))).filter(|size| *size > 0);
        size.map(Some).ok_or_else(|| self.unfit("size", "write a number of bytes, or such as 64m or 1g"))
    }
}

/// The options as written; commas in quotes separate none.
fn fields(word: &Word) -> Vec<(Word, Option<Word>)> {
    let (mut start, mut quote, mut ranges) = (0, None, Vec::new());
    for (at, c) in word.value.char_indices() {
        match (quote, c) {
            (None, ',') => {
                ranges.push(start..at);
                start = at + 1;
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    ranges.push(start..word.value.len());
    let field = |range: std::ops::Range<usize>| match word.value[range.clone()].find('=') {
        Some(at) => (part(word, range.start..range.start + at), Some(part(word, range.start + at + 1..range.end))),
        None => (part(word, range), None),
    };
    ranges.into_iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<Options, Diagnostic> {
        Options::read(&Word { value: text.to_owned(), span: None }, &Scope::new('\\'))
    }

    #[test]
    fn options_are_read_in_every_spelling() {
        assert!(options("\"id=a\"").is_err(), "a name in quotes is none");
        let read = options("TYPE=Cache,dst=/x,ro,id=\"a\",src='b,c'").unwrap();
        assert_eq!((read.kind, read.text("target"), read.text("source")), ("cache", Some("/x"), Some("b,c")));
        assert_eq!((read.text("id"), read.is_read_only(false).unwrap()), (Some("a"), true));
        for (text, read_only) in [("", true), ("rw", false), ("readonly=false", false), ("rw=0", true), ("ro=1", true)]
        {
            let text = format!("target=/x{}{text}", if text.is_empty() { "" } else { "," });
            assert_eq!(options(&text).unwrap().is_read_only(true).unwrap(), read_only, "{text}");
        }
    }

    #[test]
    fn sizes_are_docker_s() {
        for (text, size) in [
            ("64", Some(64)),
            ("64b", Some(64)),
            ("2k", Some(2048)),
            ("2KiB", Some(2048)),
            ("3mb", Some(3 << 20)),
            ("1g", Some(1 << 30)),
            ("", None),
            ("x", None),
            ("0", None),
            ("-1", None),
            ("99999999p", None),
        ] {
            assert_eq!(options(&format!("type=tmpfs,size={text}")).unwrap().size().ok().flatten(), size, "{text}");
        }
    }
}
