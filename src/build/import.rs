//! Images of the workspace and of registries into the store.

use crate::action::Action;
use crate::action::key::Preimage;
use crate::action::record::StepResult;
use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::digest::Digest;
use crate::image::{self, Image, ImageError};
use crate::path::WorkspacePath;
use crate::platform::Platform;
use crate::store::Store;
use crate::target::Base;

use super::execute::Executor;
use super::output::{Done, Output};
use super::schedule::How;

impl Executor<'_> {
    /// `Import`. An image that the store has whole is not read again.
    pub(super) fn import(
        &self,
        action: &Action,
        base: &Spanned<Base>,
        platform: &Platform,
    ) -> Result<(Done, How), Diagnostic> {
        let preimage = Preimage::import(&base.value, self.deciding_archive(base)?, platform);
        let store = self.context.store;
        let find = || {
            let result: Option<StepResult> = self.cache.find(&preimage)?;
            Ok(result.and_then(|result| Some((whole(store, &result.digest)?, result))))
        };
        let make = || {
            let (image, micros) = self.cache.timed(|| self.read_image(base, platform))?;
            let result = image_result(&image, micros);
            // What is built on the image has its uppermost layer, and to be built again needs to know the rest of it.
            let top = image.manifest().layers.last().map(|layer| layer.digest);
            let outputs = [result.digest].into_iter().chain(top).collect();
            let documents = vec![result.digest, image.manifest().config.digest];
            self.cache.put_with(&preimage, result, outputs, documents)?;
            Ok((image, result))
        };
        let ((image, result), miss) = self.found_or_made(action, &preimage, None, find, make)?;
        Ok(self.done(action, Output::Image(image.into()), preimage, Some(result), miss))
    }

    /// The digest of an archive, unless the image in it is asked for by its own.
    fn deciding_archive(&self, base: &Spanned<Base>) -> Result<Option<Digest>, Diagnostic> {
        let path = match &base.value {
            Base::OciArchive(archive) if archive.digest.is_none() => archive.package.join(&archive.path),
            Base::DockerArchive(archive) if archive.digest.is_none() => archive.package.join(&archive.path),
            _ => return Ok(None),
        };
        self.hash(&path).at(base.span.as_ref()).map(|content| Some(content.digest))
    }

    fn read_image(&self, base: &Spanned<Base>, platform: &Platform) -> Result<Image, Diagnostic> {
        let (workspace, store) = (self.context.workspace, self.context.store);
        let on_disk = |package: &WorkspacePath, path| {
            workspace.locate(&package.join(path)).map_err(Diagnostic::from).at(base.span.as_ref())
        };
        let imported = match &base.value {
            Base::Oci(oci) => {
                let (reference, registry) = (&oci.reference, self.context.registry);
                let digest = reference.digest.as_ref().expect("the plan pins what it imports");
                image::import_registry(registry, reference, digest, platform, store)
            }
            Base::OciLayout(l) => {
                let path = match &l.directory {
                    Some(directory) => directory.root.clone(),
                    None => on_disk(&l.package, &l.path)?,
                };
                image::import_layout(&path, &l.digest, platform, store)
            }
            Base::OciArchive(a) => {
                image::import_oci_archive(&on_disk(&a.package, &a.path)?, a.digest.as_ref(), platform, store)
            }
            Base::DockerArchive(a) => {
                image::import_docker_archive(&on_disk(&a.package, &a.path)?, a.digest.as_ref(), platform, store)
            }
            Base::Scratch | Base::Target(_) => unreachable!("the plan imports only what no target makes"),
        };
        imported.map_err(|error| unreadable(&base.value, error).at(base.span.clone()))
    }
}

fn unreadable(base: &Base, error: ImageError) -> Diagnostic {
    let Base::Oci(oci) = base else {
        return Diagnostic::failure(format!("the base `{}` cannot be read", base.title())).caused_by(error);
    };
    let help = match &error {
        ImageError::Missing { .. } => Some("`ocify update` pins the image that the name stands for now".to_owned()),
        error => error.help(),
    };
    let diagnostic = Diagnostic::failure(format!("the image `{}` cannot be had", oci.reference)).caused_by(error);
    help.into_iter().fold(diagnostic, Diagnostic::help)
}

/// The image, if the store has all of it, or knows where its layers are; one that is damaged is not there. Layers are
/// verified when they are read.
fn whole(store: &Store, digest: &Digest) -> Option<Image> {
    let image = image::load_image(store, digest).ok()?;
    let there = |layer: &image::Layer| store.has_or_can_bring(&layer.descriptor);
    image.layers().iter().all(there).then_some(image)
}

/// What a step that gave this image is recorded with: the manifest's digest, and the size of all blobs together.
pub(super) fn image_result(image: &Image, micros: u64) -> StepResult {
    let layers = image.layers().iter().map(|layer| layer.descriptor.size);
    let size = layers.chain([image.descriptor().size, image.manifest().config.size]).sum();
    StepResult { digest: image.digest(), size, diff_id: None, micros }
}
