//! `RUN --mount`: what a command sees beside the image.

use crate::diagnostic::{Span, Spanned};
use crate::path::ImagePath;
use crate::target::{Base, LayerSpec, Mode, Mount, MountSource, Run, Sharing};

use super::Importer;
use super::code::{Call, Code};
use super::known::Known;
use super::place::octal;
use super::stage::Stage;

impl Importer<'_> {
    /// The mounts of a command. An image that one of them needs is written first.
    pub(super) fn mounts(&mut self, run: &Run, stage: &Stage) -> Option<Code> {
        let mounts: Vec<Code> = run.mounts.iter().map(|mount| Code::Call(self.mount(&mount.value, stage))).collect();
        (!mounts.is_empty()).then(|| Code::list(mounts))
    }

    fn mount(&mut self, mount: &Mount, stage: &Stage) -> Call {
        match mount {
            Mount::Bind(bind) => {
                let call = Call::new("bind").with(self.source(&bind.src, stage)).with(self.path(&bind.target));
                call.optional("source", self.unless_root(&bind.source)).optional("writable", truth(bind.writable))
            }
            Mount::Cache(cache) => {
                let src = cache.src.as_ref().map(|src| self.source(src, stage));
                let sharing = match cache.sharing {
                    Sharing::Shared => None,
                    Sharing::Private => Some("private"),
                    Sharing::Locked => Some("locked"),
                };
                let source = src.as_ref().and_then(|_| self.unless_root(&cache.source));
                Call::new("cache")
                    .with(self.path(&cache.target))
                    .optional("id", cache.id.as_ref().map(|id| self.variables.text(id)))
                    .optional("sharing", sharing.map(Code::text))
                    .optional("mode", unless(cache.mode, 0o755))
                    .optional("uid", number(cache.uid))
                    .optional("gid", number(cache.gid))
                    .optional("readonly", truth(cache.readonly))
                    .optional("src", src)
                    .optional("source", source)
            }
            Mount::Tmpfs(tmpfs) => {
                let size = tmpfs.size.map(|size| Code::Raw(size.to_string()));
                Call::new("tmpfs").with(self.path(&tmpfs.target)).optional("size", size)
            }
            Mount::Secret(secret) => Call::new("secret")
                .with(self.variables.text(&secret.id))
                .optional("target", secret.target.as_ref().map(|target| self.path(target)))
                .optional("env", secret.env.as_ref().map(|env| self.variables.text(env)))
                .optional("required", (!secret.required).then(|| Code::Raw("False".into())))
                .optional("mode", unless(secret.mode, 0o400))
                .optional("uid", number(secret.uid))
                .optional("gid", number(secret.gid)),
            Mount::Ssh(ssh) => {
                let id = (ssh.id != "default").then(|| self.variables.text(&ssh.id));
                Call::new("ssh")
                    .optional("id", id)
                    .optional("target", ssh.target.as_ref().map(|target| self.path(target)))
                    .optional("required", (!ssh.required).then(|| Code::Raw("False".into())))
                    .optional("mode", unless(ssh.mode, 0o600))
                    .optional("uid", number(ssh.uid))
                    .optional("gid", number(ssh.gid))
            }
        }
    }

    /// What a mount takes its files from: an image, a layer, or for several layers an image of them.
    fn source(&mut self, src: &Spanned<MountSource>, stage: &Stage) -> Code {
        let layers = match &src.value {
            MountSource::Image(base) => return self.origin(base, src.span.as_ref()).0,
            MountSource::Layer(layer) => match &**layer {
                LayerSpec::Place(place) => {
                    self.placed(place, stage, &mut Known::nothing()).into_iter().map(|layer| layer.call).collect()
                }
                LayerSpec::Write(write) => {
                    let call =
                        Call::new("write").with(self.path(&write.path)).with(self.variables.text(&write.content));
                    vec![call.optional("mode", unless(write.mode, 0o644))]
                }
                // A Dockerfile binds no others.
                _ => Vec::new(),
            },
        };
        match <[Call; 1]>::try_from(layers) {
            Ok([one]) => Code::Call(one),
            Err(none) if none.is_empty() => Code::Call(Call::new("scratch")),
            Err(several) => {
                let target = self.names.target(&format!("{}-bound", stage.name));
                let variable = self.names.variable(&target);
                let call = Call { tall: true, ..Call::new("image") }.named("name", Code::text(target));
                let call = call.named("layers", Code::list(several.into_iter().map(Code::Call)));
                let code = Code::Call(call).write(0, variable.len() + 3);
                self.text.push_str(&format!("# What a step of {} sees.\n{variable} = {code}\n\n", stage.name));
                Code::Raw(variable)
            }
        }
    }

    /// An image as an argument, and what is known of its files.
    pub(super) fn origin(&self, base: &Base, span: Option<&Span>) -> (Code, Known) {
        match base {
            Base::Target(label) => match self.written.get(&label.to_string()) {
                Some(written) => (Code::Raw(written.variable.clone()), written.known.clone()),
                None => (Code::text(label.to_string()), Known::nothing()),
            },
            Base::Oci(image) => {
                let name = span.map_or_else(|| image.reference.to_string(), |span| span.text().to_owned());
                let known = self.configs.get(&name).map_or_else(Known::nothing, Known::base);
                (Code::text(&name), known)
            }
            _ => (Code::Call(Call::new("scratch")), Known::nothing()),
        }
    }

    fn path(&self, path: &ImagePath) -> Code {
        self.variables.text(&path.to_string())
    }

    fn unless_root(&self, path: &ImagePath) -> Option<Code> {
        (!path.is_root()).then(|| self.path(path))
    }
}

fn truth(truth: bool) -> Option<Code> {
    truth.then(|| Code::Raw("True".into()))
}

fn number(number: u32) -> Option<Code> {
    (number != 0).then(|| Code::Raw(number.to_string()))
}

fn unless(mode: Mode, usual: u32) -> Option<Code> {
    (mode.0 != usual).then(|| octal(mode.0))
}
