//! ADD of what is elsewhere.

use crate::target::{Fetch, Git, PlaceSource};

use super::code::{Call, Code};
use super::place::{Helper, Layer, Placing, octal};

impl Placing<'_> {
    /// The layers of a source that is fetched; none for one of the context.
    pub(super) fn remote(&mut self, source: &PlaceSource, helper: &mut Helper) -> Vec<Layer> {
        let mut layers = Vec::new();
        match source {
            PlaceSource::Path(_) => {}
            PlaceSource::Fetch { fetch, unpack: false } => {
                layers.extend(self.made(false));
                // The destination alone says the name where the URL has none.
                let to = self.destination(fetch.file_name().unwrap_or("file"));
                self.known.file(&self.variables.plain(&to));
                let mode = self.place.chmod.as_ref().map_or(0o600, |chmod| chmod.apply(0o600, false));
                let srcs = Code::Dict(vec![(self.variables.text(&to), self.fetched(fetch))]);
                let files = Call::new("files").named("srcs", srcs).named("mode", octal(mode));
                layers.push(Layer::new(files.optional("owner", self.owner())));
            }
            PlaceSource::Fetch { fetch, unpack: true } => {
                let src = self.fetched(fetch);
                layers.extend(self.unpacked(src));
            }
            PlaceSource::Git { git, directory } => {
                let Git { url, name, commit, keep_git_dir, .. } = &git.value;
                let call = Call::new("git").named("url", self.variables.text(&url.to_string()));
                let name = (name.as_str() != "HEAD").then(|| self.variables.text(name.as_str()));
                let commit = commit.as_ref().map(|commit| self.variables.text(commit.as_str()));
                let call = call.optional("ref", name).optional("commit", commit);
                let commit = Code::Call(call.optional("keep_git_dir", keep_git_dir.then(|| Code::Raw("True".into()))));
                let Some(directory) = directory else {
                    layers.extend(self.unpacked(commit));
                    return layers;
                };
                // An archive is unpacked whole: the directory is copied out of an image that has the commit.
                let image = helper("commit", None, None, Call::new("archive").named("src", commit));
                layers.extend(self.made(true));
                let directory = self.variables.text(&directory.to_string());
                let copy = Call::new("copy").with(image).with(Code::list([directory.clone()]));
                let copy = copy.named("strip_prefix", directory).optional("dest", self.dest_argument());
                layers.push(Layer::new(copy.optional("owner", self.owner())));
            }
        }
        layers
    }

    fn unpacked(&mut self, src: Code) -> Vec<Layer> {
        let mut layers = self.made(true);
        let archive = Call::new("archive").named("src", src).optional("dest", self.dest_argument());
        layers.push(Layer::new(archive.optional("owner", self.owner())));
        layers
    }

    fn fetched(&self, fetch: &Fetch) -> Code {
        let url = fetch.urls.first().map_or("", String::as_str);
        let call = Call::new("fetch").named("url", self.variables.text(url));
        Code::Call(call.optional("sha256", fetch.sha256.map(|digest| Code::text(digest.hex()))))
    }
}
