//! COPY and ADD of files in the context.

use std::io::BufReader;

use crate::archive::read::is_tar;
use crate::source::IgnorePatterns;
use crate::target::PlaceSource;

use super::code::{Call, Code};
use super::excluded::{Chosen, chosen, to_glob};
use super::known::parent;
use super::listing::{Found, relative};
use super::place::{Helper, Layer, Placing, octal};

/// Sources that one call of `files` takes.
#[derive(Debug, Default)]
struct Group {
    /// The leading part of the paths that is taken away, with marks.
    strip: String,
    /// Paths, each a string.
    listed: Vec<Code>,
    /// Patterns of one `glob`, and what it leaves out.
    patterns: Vec<Code>,
    without: Vec<String>,
    /// Further calls of `glob`.
    globs: Vec<Code>,
    allow_empty: bool,
    /// Destination and source; such a group has nothing else.
    mapped: Vec<(Code, Code)>,
    /// Code that makes such a map.
    mapping: Option<Code>,
    has_directories: bool,
    /// Whether all files are executed by their owner, if that is known.
    executable: Option<bool>,
    /// Directories that no file brings, below the destination.
    empty: Vec<String>,
    remarks: Vec<String>,
}

impl Placing<'_> {
    /// The layers of an instruction that copies from the context, or from elsewhere.
    pub(super) fn of_context(&mut self, helper: &mut Helper) -> Vec<Layer> {
        let mut layers = Vec::new();
        let mut groups: Vec<Group> = Vec::new();
        for source in &self.place.srcs {
            let PlaceSource::Path(source) = &source.value else {
                layers.extend(self.remote(&source.value, helper));
                continue;
            };
            let (above, rest) = match source.split_once("/./").filter(|_| self.place.parents) {
                Some((above, rest)) => (relative("", above), rest),
                None => (String::new(), source.as_str()),
            };
            let path = relative(&above, rest);
            let plain = self.variables.plain(&path);
            let is_pattern = plain.contains(['*', '?', '[', '\\']);
            if let (true, false, Some((real, Found::File { .. }))) =
                (self.place.unpack, is_pattern, self.listing.resolve(&plain))
                && self.listing.open(&real).is_some_and(|file| is_tar(BufReader::new(file)))
            {
                layers.extend(self.made(true));
                let src = if real == plain { self.variables.text(&path) } else { Code::text(real) };
                let archive = Call::new("archive").named("src", src).optional("dest", self.dest_argument());
                layers.push(Layer::new(archive.optional("owner", self.owner())));
                continue;
            }
            match (self.place.parents, is_pattern) {
                (true, _) => groups.push(self.with_parents(&path, above, is_pattern)),
                (false, true) => groups.extend(self.pattern(&path)),
                (false, false) => groups.push(self.literal(&path)),
            }
        }
        for group in merged(groups) {
            layers.extend(self.layers(group));
        }
        for (file, content) in &self.place.contents {
            layers.extend(self.made(false));
            let path = self.destination(file);
            self.known.file(&self.variables.plain(&path));
            let write = Call::new("write").with(self.variables.text(&path)).with(self.variables.text(content));
            layers.push(Layer::new(write.optional("mode", self.modes()[0].map(octal)).optional("owner", self.owner())));
        }
        layers
    }

    fn literal(&self, path: &str) -> Group {
        let plain = self.variables.plain(path);
        match self.listing.get(&plain) {
            Some(Found::Directory) => self.directory(path, &plain),
            Some(Found::File { executable }) => self.file(path, Some(executable)),
            Some(Found::Link(_)) => match self.listing.resolve(&plain) {
                Some((real, Found::Directory)) => self.directory(&real, &real),
                Some((real, Found::File { executable })) => Group {
                    mapped: vec![(self.variables.text(&self.destination(path)), Code::text(real))],
                    executable: Some(executable),
                    ..Group::default()
                },
                _ => self.remarked(self.file(path, None), "the link leads to nothing that is in the context."),
            },
            None => self.remarked(
                self.file(path, None),
                format!(
                    "`{plain}` is not in the context, or the .dockerignore leaves it out; Docker's build fails here."
                ),
            ),
        }
    }

    fn remarked(&self, mut group: Group, remark: impl Into<String>) -> Group {
        group.remarks.push(remark.into());
        group
    }

    fn file(&self, path: &str, executable: Option<bool>) -> Group {
        let source = self.variables.text(path);
        let group = Group { executable, ..Group::default() };
        match self.is_into() {
            true => Group { strip: parent(path).to_owned(), listed: vec![source], ..group },
            false => Group { mapped: vec![(self.variables.text(&self.destination(path)), source)], ..group },
        }
    }

    /// What is in a directory; `path` has marks.
    fn directory(&self, path: &str, plain: &str) -> Group {
        let group = Group { strip: path.to_owned(), has_directories: true, ..Group::default() };
        let Some(chosen) = chosen(plain, &self.place.exclude, self.own, self.listing) else {
            return Group { listed: vec![self.variables.text(path)], ..group };
        };
        self.of_chosen(chosen, plain, group)
    }

    fn of_chosen(&self, Chosen { globs, empty, listed }: Chosen, plain: &str, group: Group) -> Group {
        let empty = empty.into_iter().map(|path| relative("", path.strip_prefix(plain).unwrap_or(&path))).collect();
        let group = Group { empty, ..group };
        if let Some(files) = listed {
            let remark = "the files of today; no `glob` says what the .dockerignore says.";
            return self.remarked(Group { listed: files.into_iter().map(Code::text).collect(), ..group }, remark);
        }
        let several = globs.len() > 1;
        let call = |(include, exclude): (Vec<String>, Vec<String>)| {
            let is_empty = self.listing.glob(&include, &exclude).is_none_or(|found| found.is_empty());
            glob(include.into_iter().map(Code::text).collect(), exclude, is_empty || several)
        };
        Group { globs: globs.into_iter().map(call).collect(), ..group }
    }

    fn pattern(&self, path: &str) -> Vec<Group> {
        let plain = self.variables.plain(path);
        let matched = self.listing.matching(&plain, false);
        let glob_text = self.variables.text(&to_glob(path));
        if matched
            .iter()
            .any(|(_, found)| **found != Found::File { executable: false } && !matches!(found, Found::File { .. }))
        {
            let paths: Vec<String> = matched.iter().map(|(path, _)| (*path).to_owned()).collect();
            let mut groups: Vec<Group> = paths.iter().map(|path| self.literal(path)).collect();
            if let Some(first) = groups.first_mut() {
                first.remarks.push(format!("`{plain}` matches these today, directories or links among them."));
            }
            return groups;
        }
        let executable =
            match matched.iter().map(|(_, found)| **found == Found::File { executable: true }).collect::<Vec<_>>() {
                flags if flags.iter().all(|flag| *flag) && !flags.is_empty() => Some(true),
                flags if flags.iter().all(|flag| !flag) => Some(false),
                _ => None,
            };
        let group = Group { executable, ..Group::default() };
        if let ([(only, _)], false) = (matched.as_slice(), self.is_into()) {
            let to = self.variables.text(&self.destination(path));
            let group = Group { mapped: vec![(to, Code::text(*only))], ..group };
            return vec![self.remarked(group, format!("the one file that `{plain}` matches today."))];
        }
        let include = [to_glob(&plain)];
        let found = self.listing.glob(&include, &[]).unwrap_or_default();
        let without: Vec<String> =
            found.into_iter().filter(|path| !matched.iter().any(|(other, _)| other == path)).collect();
        let strip = parent(path).to_owned();
        if self.variables.plain(&strip).contains(['*', '?', '[']) {
            let call = glob(vec![glob_text], without, matched.is_empty()).write(0, 0);
            let mapping = Code::Raw(format!("{{path.split(\"/\")[-1]: path for path in {call}}}"));
            return vec![Group { mapping: Some(mapping), ..group }];
        }
        vec![Group { strip, patterns: vec![glob_text], without, allow_empty: matched.is_empty(), ..group }]
    }

    /// With `--parents`: everything keeps its path below `above`.
    fn with_parents(&self, path: &str, above: String, is_pattern: bool) -> Group {
        let plain = self.variables.plain(path);
        let group = Group { strip: above, has_directories: true, ..Group::default() };
        if !is_pattern {
            return match self.listing.get(&plain) {
                Some(Found::Directory) => Group { strip: group.strip, ..self.directory(path, &plain) },
                _ => Group { listed: vec![self.variables.text(path)], ..group },
            };
        }
        let matched = self.listing.matching(&plain, true);
        let none = IgnorePatterns::default();
        let mut patterns = vec![self.variables.text(&to_glob(path))];
        if matched.iter().any(|(_, found)| **found == Found::Directory) {
            patterns.push(self.variables.text(&format!("{}/**", to_glob(path))));
        }
        let below: Vec<&str> = matched
            .iter()
            .flat_map(|(path, _)| self.listing.below(path, &none).into_iter().map(|(path, _)| path).chain([*path]))
            .collect();
        let include = [to_glob(&plain), format!("{}/**", to_glob(&plain))];
        let found = self.listing.glob(&include, &[]).unwrap_or_default();
        let without = found.into_iter().filter(|path| !below.contains(&path.as_str())).collect();
        Group { patterns, without, allow_empty: below.is_empty(), ..group }
    }

    pub(super) fn dest_argument(&self) -> Option<Code> {
        let dest = super::known::clean(&self.place.dest);
        (dest != "/").then(|| self.variables.text(&dest))
    }

    fn layers(&mut self, group: Group) -> Vec<Layer> {
        let is_map = !group.mapped.is_empty();
        let mut layers = self.made(!is_map);
        let [plain, executable, directory] = self.modes();
        let (mode, remark) = match (plain, executable) {
            _ if group.executable == Some(false) => (plain, None),
            _ if group.executable == Some(true) => (executable, None),
            (Some(a), Some(b)) if a == b => (Some(a), None),
            (None, None) => (None, None),
            (a, b) => (a.or(b), Some("every file gets this mode; with `--chmod` it depends on who may execute it.")),
        };
        let srcs = match (group.mapping, is_map) {
            (Some(mapping), _) => mapping,
            (None, true) => Code::Dict(group.mapped),
            (None, false) => {
                let mut parts = Vec::new();
                if !group.listed.is_empty() {
                    parts.push(Code::list(group.listed));
                }
                if !group.patterns.is_empty() {
                    parts.push(glob(group.patterns, group.without, group.allow_empty));
                }
                parts.extend(group.globs);
                if parts.len() == 1 { parts.remove(0) } else { Code::Joined("+", parts) }
            }
        };
        let dest = if is_map { None } else { self.dest_argument() };
        let strip = (!group.strip.is_empty()).then(|| self.variables.text(&group.strip));
        let call = Call::new("files")
            .named("srcs", srcs)
            .optional("strip_prefix", strip)
            .optional("dest", dest)
            .optional("mode", mode.map(octal))
            .optional("dir_mode", directory.filter(|_| group.has_directories).map(octal))
            .optional("owner", self.owner());
        let mut layer = Layer::new(call);
        for remark in group.remarks.into_iter().chain(remark.map(str::to_owned)) {
            layer = layer.remarked(remark);
        }
        layers.push(layer);
        let dest = super::known::clean(&self.place.dest);
        for path in group.empty {
            let path = if dest == "/" { format!("/{path}") } else { format!("{dest}/{path}") };
            self.known.directory(&self.variables.plain(&path));
            let dir = Call::new("dir").with(self.variables.text(&path));
            layers.push(Layer::new(dir.optional("mode", directory.map(octal)).optional("owner", self.owner())));
        }
        self.learn();
        layers
    }

    /// What is in the image now.
    fn learn(&mut self) {
        let dest = self.dest();
        for source in self.place.paths() {
            let plain = self.variables.plain(&relative("", source));
            match self.listing.resolve(&plain) {
                Some((directory, Found::Directory)) => {
                    self.known.directory(&dest);
                    for (path, found) in self.listing.below(&directory, &IgnorePatterns::default()) {
                        let below = path.strip_prefix(&directory).unwrap_or(path).trim_start_matches('/');
                        if *found == Found::Directory {
                            self.known.directory(&format!("{}/{below}", dest.trim_end_matches('/')));
                        }
                    }
                }
                Some(_) => {
                    let to = self.variables.plain(&self.destination(source));
                    self.known.file(&to);
                }
                None => {}
            }
        }
    }
}

fn glob(include: Vec<Code>, exclude: Vec<String>, allow_empty: bool) -> Code {
    let exclude = (!exclude.is_empty()).then(|| Code::list(exclude.into_iter().map(Code::text)));
    let allow_empty = allow_empty.then(|| Code::Raw("True".into()));
    Code::Call(
        Call::new("glob").with(Code::list(include)).optional("exclude", exclude).optional("allow_empty", allow_empty),
    )
}

/// Neighbours that one call can take, as one.
fn merged(groups: Vec<Group>) -> Vec<Group> {
    let mut merged: Vec<Group> = Vec::new();
    for mut group in groups {
        match merged.last_mut() {
            Some(last) if last.takes(&group) => {
                last.listed.append(&mut group.listed);
                last.patterns.append(&mut group.patterns);
                last.without.append(&mut group.without);
                last.globs.append(&mut group.globs);
                last.mapped.append(&mut group.mapped);
                last.empty.append(&mut group.empty);
                last.remarks.append(&mut group.remarks);
                last.allow_empty |= group.allow_empty;
                last.has_directories |= group.has_directories;
                last.executable = last.executable.filter(|_| last.executable == group.executable);
            }
            _ => merged.push(group),
        }
    }
    merged
}

impl Group {
    fn takes(&self, other: &Group) -> bool {
        let is_map = |group: &Group| !group.mapped.is_empty();
        let distinct = |pair: &(Code, Code)| self.mapped.iter().all(|own| own.0 != pair.0);
        let same_kind = is_map(self) == is_map(other) && self.mapping.is_none() && other.mapping.is_none();
        same_kind && self.strip == other.strip && other.mapped.iter().all(distinct)
    }
}
