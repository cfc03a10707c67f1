//! Targets for one platform each. What an image is may depend on its platform, and so may what it stands on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{At, Diagnostic, Span, Spanned};
use crate::platform::Platform;
use crate::target::{Base, ImageSpec, IndexSpec, Label, Rule, Settings, Target};

/// What a target is called once its platform is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfiguredLabel {
    pub label: Label,
    /// The platform of an image; `None` for an index, one that is written as such or that of an image's platforms.
    pub platform: Option<Platform>,
}

/// A target for its platform.
#[derive(Clone, Debug)]
pub struct ConfiguredTarget {
    pub span: Option<Span>,
    pub rule: ConfiguredRule,
    /// The targets that it names directly, in the order of their appearance, and what each of them is here: for an image,
    /// that of an index is the one for its platform.
    pub dependencies: Vec<(Label, ConfiguredLabel)>,
}

/// What a target is on its platform.
#[derive(Clone, Debug)]
pub enum ConfiguredRule {
    Image(Box<ImageSpec>),
    Index(IndexSpec),
}

/// What decides which platforms targets are configured for.
pub struct Configuration<'a> {
    pub settings: &'a Settings,
    pub targets: &'a BTreeMap<Label, Target>,
    /// What was found out about them.
    pub fixed: &'a RefCell<BTreeMap<Label, Option<Platform>>>,
}

impl ConfiguredLabel {
    /// Not behind any other of the same label.
    pub fn first_of(label: &Label) -> Self {
        ConfiguredLabel { label: label.clone(), platform: None }
    }

    fn image(label: &Label, platform: &Platform) -> Self {
        ConfiguredLabel { label: label.clone(), platform: Some(platform.clone()) }
    }
}

impl ConfiguredTarget {
    /// What the target of this label, which this one names, is here.
    pub fn dependency(&self, label: &Label) -> Option<&ConfiguredLabel> {
        self.dependencies.iter().find(|(named, _)| named == label).map(|(_, is)| is)
    }
}

impl ConfiguredRule {
    /// The labels in it, each with its place.
    pub fn named(&self) -> Vec<(Option<Span>, Label)> {
        match self {
            ConfiguredRule::Image(spec) => {
                let named = |base: Spanned<&Base>| Some((base.span.clone(), base.value.target()?.clone()));
                spec.bases().filter_map(named).collect()
            }
            ConfiguredRule::Index(spec) => {
                spec.images.iter().map(|image| (image.span.clone(), image.value.clone())).collect()
            }
        }
    }
}

impl Configuration<'_> {
    /// What a target is where it is asked for by its label, and of an image with several platforms the index.
    ///
    /// An image that stands on another target which has a platform of its own has that one. With `platforms`, an image is
    /// for those of its own that are among them, and one that names none for all of them; if only one is given there is
    /// no index, as with `docker buildx build --platform`.
    ///
    /// # Errors
    /// If the image is for none of `platforms`; as [`Rule::image_on`].
    pub fn root(
        &self,
        target: &Target,
        platforms: &[Platform],
    ) -> Result<(ConfiguredLabel, Option<ConfiguredTarget>), Diagnostic> {
        let Target { label, rule, .. } = target;
        let Some(head) = rule.head() else { return Ok((ConfiguredLabel::first_of(label), None)) };
        if let Some(platform) = self.fixed(label) {
            return Ok((ConfiguredLabel::image(label, &platform), None));
        }
        let named = if head.platforms.is_empty() { &self.settings.platforms } else { &head.platforms };
        let named = named.iter().map(|platform| &platform.value);
        let wanted: Vec<&Platform> = match platforms {
            [] => named.collect(),
            some if head.platforms.is_empty() => some.iter().collect(),
            some => named.filter(|platform| some.contains(platform)).collect(),
        };
        match (wanted.as_slice(), platforms) {
            ([], []) => Ok((ConfiguredLabel::image(label, &self.settings.platform), None)),
            ([], some) => Err(not_for(target, some)),
            ([one], [_]) => Ok((ConfiguredLabel::image(label, one), None)),
            (several, _) => Ok((ConfiguredLabel::first_of(label), Some(self.whole(target, head, several)?))),
        }
    }

    /// The index of an image's platforms. Its annotations are those that the spec gives to every one of the images.
    fn whole(
        &self,
        target: &Target,
        head: &ImageSpec,
        platforms: &[&Platform],
    ) -> Result<ConfiguredTarget, Diagnostic> {
        let mut common: Option<BTreeMap<String, String>> = None;
        for platform in platforms {
            let own = target.rule.image_on(platform)?.map(|image| image.annotations).unwrap_or_default();
            common = Some(match common {
                None => own,
                Some(mut common) => {
                    common.retain(|key, value| own.get(key) == Some(value));
                    common
                }
            });
        }
        let spec = IndexSpec {
            images: Vec::new(),
            annotations: common.unwrap_or_default(),
            tags: head.tags.clone(),
            media_types: head.media_types,
        };
        Ok(ConfiguredTarget {
            span: target.span.clone(),
            rule: ConfiguredRule::Index(spec),
            dependencies: platforms
                .iter()
                .map(|platform| (target.label.clone(), ConfiguredLabel::image(&target.label, platform)))
                .collect(),
        })
    }

    /// What a target is as `id`.
    ///
    /// # Errors
    /// As [`Rule::image_on`].
    pub fn rule(&self, target: &Target, id: &ConfiguredLabel) -> Result<ConfiguredRule, Diagnostic> {
        if let Rule::Index(spec) = &target.rule {
            return Ok(ConfiguredRule::Index(spec.clone()));
        }
        let platform = id.platform.as_ref().unwrap_or(&self.settings.platform);
        let spec = target.rule.image_on(platform).at(target.span.as_ref())?;
        Ok(ConfiguredRule::Image(Box::new(spec.expect("what is not an index is an image"))))
    }

    /// The target that `id` names, made by the call at `span`: `rule` is known, and everything in it is among the targets.
    ///
    /// # Errors
    /// If it names a target that is not for its platform.
    pub fn target(
        &self,
        rule: ConfiguredRule,
        span: Option<Span>,
        id: &ConfiguredLabel,
    ) -> Result<ConfiguredTarget, Diagnostic> {
        let mut dependencies = Vec::new();
        for (place, label) in rule.named() {
            let dependency = match &id.platform {
                Some(platform) => self.on(&label, platform),
                None => self.listed(&label),
            };
            let dependency = dependency.at(place.as_ref().or(span.as_ref()))?;
            dependencies.push((label, dependency));
        }
        Ok(ConfiguredTarget { span, rule, dependencies })
    }

    /// The image of `label` for an image of `platform` that names it.
    fn on(&self, label: &Label, platform: &Platform) -> Result<ConfiguredLabel, Diagnostic> {
        let Some(target) = self.targets.get(label) else { return Ok(ConfiguredLabel::first_of(label)) };
        match &target.rule {
            Rule::Index(spec) => {
                let listed: Result<Vec<ConfiguredLabel>, _> =
                    spec.images.iter().map(|image| self.listed(&image.value)).collect();
                let listed = listed?;
                match listed.iter().find(|image| image.platform.as_ref() == Some(platform)) {
                    Some(image) => Ok(image.clone()),
                    None => Err(lacks(label, [platform], listed.iter().filter_map(|image| image.platform.as_ref()))),
                }
            }
            rule => {
                let own = rule.head().map_or(&[][..], |head| &head.platforms);
                if let Some(fixed) = self.fixed(label) {
                    return Ok(ConfiguredLabel::image(label, &fixed));
                }
                if !own.is_empty() && !own.iter().any(|own| own.value == *platform) {
                    return Err(lacks(label, [platform], own.iter().map(|own| &own.value)));
                }
                Ok(ConfiguredLabel::image(label, platform))
            }
        }
    }

    /// The image of `label` in an index that lists it.
    fn listed(&self, label: &Label) -> Result<ConfiguredLabel, Diagnostic> {
        let head = self.targets.get(label).and_then(|target| target.rule.head());
        let refused = |what: &str, help: &str| {
            Err(Diagnostic::spec(format!("an index lists images, and `{label}` is {what}")).help(help))
        };
        match head {
            None => refused("an index itself", "list its images instead"),
            Some(head) if !head.platforms.is_empty() => refused(
                "for several platforms",
                "it is an index already; to list it with others, make an image for each",
            ),
            Some(_) => {
                let platform = self.fixed(label).unwrap_or_else(|| self.settings.platform.clone());
                Ok(ConfiguredLabel::image(label, &platform))
            }
        }
    }

    /// The platform that an image has whatever is asked for: its own, else that of the target on which it stands.
    fn fixed(&self, label: &Label) -> Option<Platform> {
        let mut known = self.fixed.borrow_mut();
        // The images on the way are asked for as well, and each may be the top of a long chain.
        let mut passed = BTreeSet::new();
        let mut at = label;
        let platform = loop {
            if let Some(platform) = known.get(at) {
                break platform.clone();
            }
            // What depends on itself is found later.
            if !passed.insert(at) {
                break None;
            }
            let head = self.targets.get(at).and_then(|target| target.rule.head());
            let Some(head) = head.filter(|head| head.platforms.is_empty()) else { break None };
            if head.platform.is_some() {
                break head.platform.clone();
            }
            match head.base.as_ref().and_then(|base| base.value.target()) {
                Some(base) => at = base,
                None => break None,
            }
        };
        known.extend(passed.into_iter().map(|label| (label.clone(), platform.clone())));
        platform
    }

    /// True for an image that is made for several platforms when nothing else is asked for.
    pub fn is_for_several(&self, label: &Label) -> bool {
        let head = self.targets.get(label).and_then(|target| target.rule.head());
        let several = |head: &ImageSpec| !head.platforms.is_empty() || !self.settings.platforms.is_empty();
        head.is_some_and(several) && self.fixed(label).is_none()
    }
}

fn not_for(target: &Target, asked: &[Platform]) -> Diagnostic {
    let own = target.rule.head().map_or(&[][..], |head| &head.platforms);
    let error = lacks(&target.label, asked, own.iter().map(|own| &own.value));
    error.at(own.first().and_then(|own| own.span.clone()).or(target.span.clone()))
}

fn lacks<'a>(
    label: &Label,
    asked: impl IntoIterator<Item = &'a Platform>,
    has: impl IntoIterator<Item = &'a Platform>,
) -> Diagnostic {
    let listed = |platforms: Vec<String>, last: &str| match platforms.split_last() {
        Some((end, rest @ [_, ..])) => format!("{} {last} {end}", rest.join(", ")),
        _ => platforms.concat(),
    };
    let asked = listed(asked.into_iter().map(Platform::to_string).collect(), "or");
    let has = listed(has.into_iter().map(Platform::to_string).collect(), "and");
    Diagnostic::spec(format!("`{label}` is not for {asked}")).help(format!("it is for {has}"))
}
