//! `RUN --mount`: what a command sees beside the image.

use crate::target::{
    Base, BindMount, CacheMount, LayerSpec, Mount, MountSource, Place, SecretMount, Sharing, SshMount, TmpfsMount,
};

use super::code::{Call, Code};
use super::place::octal;
use super::variables::Variables;

/// The call for a mount. `image` is the code of an image, `layer` that of what COPY would place.
pub(super) fn call(
    mount: &Mount,
    variables: &Variables,
    image: &dyn Fn(&Base) -> Code,
    layer: &mut dyn FnMut(&Place) -> Option<Code>,
) -> Code {
    let path = |path: &crate::path::ImagePath| variables.text(&path.to_string());
    let below = |source: &crate::path::ImagePath| (!source.is_root()).then(|| path(source));
    let number = |number: u32| (number > 0).then(|| Code::Raw(number.to_string()));
    let truth = |is: bool, usual: bool| (is != usual).then(|| Code::Raw(if is { "True" } else { "False" }.to_owned()));
    let mut from = |src: &MountSource| match src {
        MountSource::Image(base) => image(base),
        MountSource::Layer(spec) => match &**spec {
            LayerSpec::Place(place) => layer(place).unwrap_or_else(|| Code::Call(Call::new("scratch"))),
            // A Dockerfile makes no others.
            _ => Code::Call(Call::new("scratch")),
        },
    };
    Code::Call(match mount {
        Mount::Bind(BindMount { src, target, source, writable }) => Call::new("bind")
            .named("src", from(&src.value))
            .named("target", path(target))
            .optional("source", below(source))
            .optional("writable", truth(*writable, false)),
        Mount::Cache(CacheMount { target, id, sharing, mode, uid, gid, readonly, src, source }) => Call::new("cache")
            .named("target", path(target))
            .optional("id", id.as_ref().filter(|id| **id != target.to_string()).map(|id| variables.text(id)))
            .optional(
                "sharing",
                match sharing {
                    Sharing::Shared => None,
                    Sharing::Private => Some(Code::text("private")),
                    Sharing::Locked => Some(Code::text("locked")),
                },
            )
            .optional("mode", (mode.0 != 0o755).then(|| octal(mode.0)))
            .optional("uid", number(*uid))
            .optional("gid", number(*gid))
            .optional("readonly", truth(*readonly, false))
            .optional("src", src.as_ref().map(|src| from(&src.value)))
            .optional("source", below(source)),
        Mount::Tmpfs(TmpfsMount { target, size }) => Call::new("tmpfs")
            .named("target", path(target))
            .optional("size", size.map(|size| Code::Raw(size.to_string()))),
        Mount::Secret(SecretMount { id, target, env, required, mode, uid, gid, version }) => Call::new("secret")
            .named("id", variables.text(id))
            .optional("target", target.as_ref().map(path))
            .optional("env", env.as_ref().map(|env| variables.text(env)))
            .optional("required", truth(*required, true))
            .optional("mode", (mode.0 != 0o400).then(|| octal(mode.0)))
            .optional("uid", number(*uid))
            .optional("gid", number(*gid))
            .optional("version", version.as_ref().map(|version| variables.text(version))),
        Mount::Ssh(SshMount { id, target, required, mode, uid, gid }) => Call::new("ssh")
            .named("id", variables.text(id))
            .optional("target", target.as_ref().map(path))
            .optional("required", truth(*required, true))
            .optional("mode", (mode.0 != 0o600).then(|| octal(mode.0)))
            .optional("uid", number(*uid))
            .optional("gid", number(*gid)),
    })
}
