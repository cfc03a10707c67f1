//! Images and indexes into the store.

use crate::action::key::{LayerInput, Preimage};
use crate::action::record::StepResult;
use crate::action::{Action, ActionId, Part, StepTarget};
use crate::diagnostic::{Diagnostic, Span};
use crate::image::{self, Image, Layer};
use crate::oci::History;
use crate::platform::Platform;
use crate::store::StoreError;
use crate::target::{ImageSpec, IndexSpec, Settings};

use super::execute::{Executor, step, unwritable};
use super::import::image_result;
use super::output::{Done, Output};
use super::schedule::{How, Results};

/// A target with the place of its call.
type Named<'a> = (&'a StepTarget, Option<&'a Span>);

impl Executor<'_> {
    /// `Image`. To assemble costs less than to look up what that gave before, so it is always done, and what it gives is
    /// what is looked for in the store.
    pub(super) fn image(
        &self,
        action: &Action,
        (target, span): Named,
        (spec, platform): (&ImageSpec, &Platform),
        (base, layers): (Option<ActionId>, &[ActionId]),
        results: &Results<Done>,
    ) -> Result<(Done, How), Diagnostic> {
        let settings = &Settings { platform: platform.clone(), ..self.context.settings.clone() };
        let store = self.context.store;
        let base = base.map(|id| results.image(id));
        let inputs: Vec<LayerInput> =
            layers.iter().map(|&id| layer_input(results.layer(id), results.get(id))).collect();
        let added =
            layers.iter().zip(&inputs).map(|(&id, input)| (results.layer(id).clone(), history(input))).collect();
        let preimage = Preimage::image(spec, base.map(Image::digest), inputs, settings);
        let assemble = || {
            image::assemble(base, spec, added, settings)
                .map_err(|error| Diagnostic::spec(format!("image `{target}`: {error}")).at(span.cloned()))
        };
        let (image, micros) = self.cache.timed(assemble)?;
        // The layers were found or made just now.
        if image.documents_are_in(store).map_err(in_store)? {
            let result = image_result(&image, micros);
            return Ok(self.done(action, Output::Image(image.into()), preimage, Some(result), None));
        }
        let miss = Some(self.cache.miss(&step(action), &preimage, None)?);
        if self.explaining {
            return Ok(self.done(action, Output::Unmade(vec![step(action)]), preimage, None, miss));
        }
        image.save(store).map_err(in_store)?;
        let problems = image::validate_documents(store, &image).into_iter();
        let mut problems = problems.map(|problem| Diagnostic::failure(problem.to_string()));
        if let Some(first) = problems.next() {
            return Err(first.at(span.cloned()).and(problems));
        }
        let result = image_result(&image, micros);
        Ok(self.done(action, Output::Image(image.into()), preimage, Some(result), miss))
    }

    /// `Index`, as [`Executor::image`].
    pub(super) fn index(
        &self,
        action: &Action,
        (target, span): Named,
        spec: &IndexSpec,
        images: &[ActionId],
        results: &Results<Done>,
    ) -> Result<(Done, How), Diagnostic> {
        let (settings, store) = (self.context.settings, self.context.store);
        let images: Vec<Image> = images.iter().map(|&id| results.image(id).clone()).collect();
        let preimage = Preimage::index(spec, images.iter().map(Image::digest).collect(), settings);
        let assemble = || {
            image::assemble_index(&images, spec, settings)
                .map_err(|error| Diagnostic::spec(format!("index `{target}`: {error}")).at(span.cloned()))
        };
        let (index, micros) = self.cache.timed(assemble)?;
        let descriptor = index.descriptor();
        let result = StepResult { digest: descriptor.digest, size: descriptor.size, diff_id: None, micros };
        if store.holds(&descriptor).map_err(in_store)? {
            return Ok(self.done(action, Output::Index(index.into()), preimage, Some(result), None));
        }
        let miss = Some(self.cache.miss(&step(action), &preimage, None)?);
        if self.explaining {
            return Ok(self.done(action, Output::Unmade(vec![step(action)]), preimage, None, miss));
        }
        index.save(store).map_err(in_store)?;
        Ok(self.done(action, Output::Index(index.into()), preimage, Some(result), miss))
    }
}

fn in_store(error: StoreError) -> Diagnostic {
    unwritable().caused_by(error)
}

/// What an image has of a layer, which was reported as one.
fn layer_input(layer: &Layer, done: &Done) -> LayerInput {
    match done.report.as_ref().map(|report| &report.step.part) {
        Some(Part::Layer { title, hermetic, .. }) => {
            LayerInput { digest: layer.descriptor.digest, title: title.clone(), hermetic: *hermetic }
        }
        _ => unreachable!("a layer is reported as one"),
    }
}

fn history(LayerInput { title, hermetic, .. }: &LayerInput) -> History {
    let comment = (!hermetic).then(|| "not hermetic: the command had the network".to_owned());
    History { created_by: Some(format!("ocify: {title}")), comment, ..History::default() }
}
