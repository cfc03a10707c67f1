//! Images of registries on which stages stand.

use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::dockerfile::Bases;
use crate::image;
use crate::oci::{ImageConfig, Reference};
use crate::platform::Platform;
use crate::source::Lock;
use crate::target::{Base, OciLayout, OciReference};

use super::super::locked::Locked;
use super::super::resolver::Resolver;
use super::super::unpinned::image_line;

/// Images of registries as the lock has them; what it lacks is looked up.
pub(in crate::cli) struct Pinned<'a> {
    pub(in crate::cli) resolver: Resolver<'a>,
    pub(in crate::cli) lock: Lock,
    pub(in crate::cli) locked: &'a Locked,
    /// A line for each name that was looked up.
    pub(in crate::cli) added: Vec<String>,
}

impl Bases for Pinned<'_> {
    fn config(&mut self, image: &Spanned<Base>, platform: &Platform) -> Result<ImageConfig, Diagnostic> {
        let reference = match &image.value {
            Base::Oci(OciReference { reference }) => reference,
            Base::OciLayout(OciLayout { directory: Some(directory), digest, .. }) => {
                let layout = image::import_layout(&directory.root, digest, platform, self.resolver.store);
                let unreadable = || Diagnostic::failure(format!("the image `{}` cannot be read", directory.name));
                let layout = layout.map_err(|error| unreadable().caused_by(error)).at(image.span.as_ref())?;
                return Ok(layout.config().clone());
            }
            other => unreachable!("no Dockerfile names {other:?}"),
        };
        let span = image.span.as_ref();
        let digest = match reference.digest {
            Some(digest) => digest,
            None => {
                if !self.lock.images.contains_key(reference) {
                    self.locked.allow(&[format!("+ {reference}")], "ocify lock -f").at(span)?;
                    let pin = self.resolver.image(reference).at(span)?;
                    self.added.push(image_line(reference, &pin));
                    self.lock.images.insert(reference.clone(), pin);
                }
                let pin = &self.lock.images[reference];
                *pin.platforms.get(platform).ok_or_else(|| {
                    let has: Vec<String> = pin.platforms.keys().map(Platform::to_string).collect();
                    let error = Diagnostic::spec(format!("the image `{reference}` is not for {platform}"));
                    error
                        .at(image.span.clone())
                        .help(format!("it is for {}; say which with `--platform`", has.join(", ")))
                })?
            }
        };
        let named = Reference { digest: Some(digest), ..reference.clone() };
        let Resolver { registry, store, .. } = self.resolver;
        let image = image::import_registry(registry, &named, &digest, platform, store)
            .map_err(|error| Diagnostic::failure(format!("the image `{reference}` cannot be had")).caused_by(error))
            .at(span)?;
        Ok(image.config().clone())
    }
}
