//! COPY of files of another stage or image.

use super::code::{Call, Code};
use super::known::{Known, clean, name, parent};
use super::place::{Helper, Layer, Placing, octal};

/// Where a pattern's files are gathered.
const GATHERED: &str = "/ocify";

/// What files are copied from.
pub(super) struct Origin<'a> {
    /// The image in the spec.
    pub(super) image: Code,
    pub(super) known: &'a Known,
}

impl Placing<'_> {
    /// The layers of an instruction that copies from `origin`.
    pub(super) fn of_image(&mut self, origin: &Origin, helper: &mut Helper) -> Vec<Layer> {
        let (mut pairs, mut either, mut layers) = (Vec::new(), Vec::new(), Vec::new());
        let mut is_directory = false;
        for source in self.place.paths() {
            let plain = self.variables.plain(source);
            if plain.contains(['*', '?', '[']) {
                layers.extend(self.gathered(&plain, origin, helper));
                continue;
            }
            let from = clean(&source.replace("/./", "/"));
            if self.place.parents {
                let pivot = source.split_once("/./").map_or("", |(above, _)| above);
                let kept = from.strip_prefix(&clean(pivot)).unwrap_or(&from).trim_start_matches('/').to_owned();
                pairs.push((format!("{}/{kept}", clean(&self.place.dest).trim_end_matches('/')), from));
                continue;
            }
            let is_tree = match origin.known.source(&plain) {
                // What a step made may be a file or a directory, and comes to lie in one or the other way.
                None if self.is_into() => {
                    either.push(from);
                    continue;
                }
                // It comes to lie in the same place.
                None => Known::looks_like_directory(&plain),
                Some(is_tree) => is_tree,
            };
            is_directory |= is_tree;
            let to = if is_tree { clean(&self.place.dest) } else { self.destination(&from) };
            pairs.push((to, from));
        }
        if pairs.is_empty() && either.is_empty() {
            return layers;
        }
        let mut above = self.made(is_directory);
        for (to, from) in &pairs {
            let (to, from) = (self.variables.plain(to), self.variables.plain(from));
            match origin.known.source(&from).unwrap_or(Known::looks_like_directory(&from)) {
                true => self.known.directory(&to),
                false => self.known.directory(parent(&to)),
            }
            if origin.known.source(&from) == Some(false) {
                self.known.file(&to);
            }
        }
        above.append(&mut layers);
        // A map names what a directory is called, and the root is called nothing.
        let (onto_root, pairs): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(to, _)| to == "/");
        let onto_root = onto_root.into_iter().map(|(_, from)| {
            let from = self.variables.text(&from);
            self.with_look(
                Call::new("copy")
                    .with(origin.image.clone())
                    .with(Code::list([from.clone()]))
                    .named("strip_prefix", from),
            )
        });
        let mapped = (!pairs.is_empty()).then(|| self.copy(origin.image.clone(), &pairs));
        let either = (!either.is_empty()).then(|| {
            let sources = Code::list(either.iter().map(|from| self.variables.text(from)));
            let into = self.variables.text(&clean(&self.place.dest));
            self.with_look(Call::new("copy").with(origin.image.clone()).with(sources).named("into", into))
        });
        above.extend(onto_root.chain(mapped).chain(either).map(Layer::new));
        above
    }

    /// Files that a pattern names: found by the image's own shell.
    fn gathered(&mut self, pattern: &str, origin: &Origin, helper: &mut Helper) -> Vec<Layer> {
        let pattern = clean(pattern);
        let into = self.is_into();
        let place = if into { format!("{GATHERED}/") } else { format!("{GATHERED}/{}", name(&self.dest())) };
        let run = Call::new("run").with(Code::text(format!("mkdir {GATHERED} && cp -a {pattern} {place}")));
        let remark = "`copy` takes paths, so a step finds what the pattern names.";
        let image = helper("copied", Some(remark), Some(origin.image.clone()), run);
        let from = if into { GATHERED.to_owned() } else { place };
        let mut layers = self.made(into);
        let dest = clean(&self.place.dest);
        if !into {
            self.known.file(&self.variables.plain(&dest));
        }
        layers.push(Layer::new(self.copy(image, &[(dest, from)])));
        layers
    }

    fn copy(&self, image: Code, pairs: &[(String, String)]) -> Call {
        let text = |path: &String| self.variables.text(path);
        let srcs = match pairs.iter().all(|(to, from)| to == from) {
            true => Code::list(pairs.iter().map(|(_, from)| text(from))),
            false => Code::Dict(pairs.iter().map(|(to, from)| (text(to), text(from))).collect()),
        };
        self.with_look(Call::new("copy").with(image).with(srcs))
    }

    /// The call with the mode and owner of the instruction.
    fn with_look(&self, call: Call) -> Call {
        // The mode of a file that somebody executes: what is copied out of a build mostly is.
        let mode = self.modes()[1].or(self.modes()[0]);
        call.optional("mode", mode.map(octal)).optional("owner", self.owner())
    }
}
