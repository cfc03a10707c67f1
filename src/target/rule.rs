//! Targets, and what an image is on one platform.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::path::WorkspacePath;
use crate::platform::Platform;

use super::base::Base;
use super::decode::decode;
use super::image::{ImageSpec, IndexSpec};
use super::label::Label;
use super::value::Value;

/// One named thing that can be built.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    pub label: Label,
    #[serde(skip)]
    pub span: Option<Span>,
    #[serde(flatten)]
    pub rule: Rule,
}

/// What a target is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// An image that is described in the same words for every platform.
    Image(Box<ImageSpec>),
    /// An image in whose arguments something is selected by platform.
    #[serde(rename = "image")]
    Selected(Box<SelectedImage>),
    Index(IndexSpec),
}

/// An image that is described in other words on other platforms.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct SelectedImage {
    /// The arguments that are the same everywhere.
    #[serde(skip)]
    head: ImageSpec,
    arguments: Spanned<Value>,
    #[serde(skip)]
    package: WorkspacePath,
}

/// Arguments that say what the target is as a whole.
pub(super) const OF_THE_WHOLE: [&str; 4] = ["media_types", "platform", "platforms", "tags"];

impl Rule {
    /// The image with these arguments, of which the name was taken.
    ///
    /// # Errors
    /// As [`decode`], on each platform that the image names; platforms that contradict each other; a `select` where what
    /// stands there cannot depend on the platform.
    pub fn image(arguments: Spanned<Value>, package: &WorkspacePath) -> Result<Rule, Diagnostic> {
        if !arguments.value.is_selected() {
            let spec: ImageSpec = decode(&arguments, package)?;
            check_platforms(&spec, &arguments)?;
            return Ok(Rule::Image(Box::new(spec)));
        }
        let Value::Map(pairs) = &arguments.value else {
            return Err(Diagnostic::spec(format!("expected a map, found {}", arguments.value.describe()))
                .at(arguments.span)
                .help("`select` stands for a value, not for all arguments"));
        };
        let (selected, same): (Vec<_>, Vec<_>) =
            pairs.iter().cloned().partition(|(_, value)| value.value.is_selected());
        if let Some((key, value)) = selected.iter().find(|(key, _)| OF_THE_WHOLE.contains(&key.value.as_str())) {
            let error = Diagnostic::spec(format!("`{}` cannot depend on the platform", key.value));
            return Err(error.at(value.span.clone()).help("it says what the target is on all platforms together"));
        }
        let head: ImageSpec = decode(&Spanned { value: Value::Map(same), span: arguments.span.clone() }, package)?;
        check_platforms(&head, &arguments)?;
        let rule = Rule::Selected(Box::new(SelectedImage { head, arguments, package: package.clone() }));
        if let Some(head) = rule.head() {
            for platform in head.platforms.iter().map(|platform| &platform.value).chain(&head.platform) {
                rule.image_on(platform)?;
            }
        }
        Ok(rule)
    }

    /// Of an image, what is the same on every platform.
    pub fn head(&self) -> Option<&ImageSpec> {
        match self {
            Rule::Image(spec) => Some(spec),
            Rule::Selected(image) => Some(&image.head),
            Rule::Index(_) => None,
        }
    }

    /// Of an image, what it is on `platform`. Where it names that platform, or anything was selected by it, the image is
    /// held to it; else one that stands on an archive has the archive's.
    ///
    /// # Errors
    /// If a `select` has nothing for the platform, or what it has is wrong.
    pub fn image_on(&self, platform: &Platform) -> Result<Option<ImageSpec>, Diagnostic> {
        let (spec, held) = match self {
            Rule::Image(spec) => (ImageSpec::clone(spec), !spec.platforms.is_empty()),
            Rule::Selected(image) => (decode(&image.arguments.resolve(platform)?, &image.package)?, true),
            Rule::Index(_) => return Ok(None),
        };
        let own = if held { Some(platform.clone()) } else { spec.platform };
        Ok(Some(ImageSpec { platform: own, platforms: Vec::new(), ..spec }))
    }

    /// Of an image that names no platform, those for which it says something of its own.
    pub fn selected_platforms(&self) -> BTreeSet<Platform> {
        let mut found = BTreeSet::new();
        match self {
            Rule::Selected(image) if image.head.platform.is_none() && image.head.platforms.is_empty() => {
                image.arguments.value.find_platforms(&mut found);
            }
            _ => {}
        }
        found
    }

    /// The names under which the target is listed.
    pub fn tags(&self) -> &[String] {
        match self {
            Rule::Index(index) => &index.tags,
            rule => rule.head().map_or(&[], |head| &head.tags),
        }
    }
}

impl Target {
    /// The targets that this one names directly on every platform, in the order of their appearance and each once.
    pub fn dependencies(&self) -> Vec<Label> {
        let named: Vec<&Label> = match &self.rule {
            Rule::Index(index) => index.images.iter().map(|image| &image.value).collect(),
            rule => rule.head().into_iter().flat_map(ImageSpec::bases).filter_map(|base| base.value.target()).collect(),
        };
        let mut labels = Vec::new();
        for label in named {
            if !labels.contains(label) {
                labels.push(label.clone());
            }
        }
        labels
    }
}

impl Base {
    /// The target that it is.
    pub fn target(&self) -> Option<&Label> {
        match self {
            Base::Target(label) => Some(label),
            _ => None,
        }
    }
}

/// Checks a list of platforms.
///
/// # Errors
/// A platform that is listed twice, also in another spelling.
pub fn distinct(platforms: &[Spanned<Platform>]) -> Result<(), Diagnostic> {
    for (at, platform) in platforms.iter().enumerate() {
        if platforms[..at].contains(platform) {
            let error = Diagnostic::spec(format!("`platforms` lists {} twice", platform.value));
            return Err(error.at(platform.span.clone()).label("the second").help("take one of them away"));
        }
    }
    Ok(())
}

fn check_platforms(head: &ImageSpec, arguments: &Spanned<Value>) -> Result<(), Diagnostic> {
    let argument = |name: &str| match &arguments.value {
        Value::Map(pairs) => pairs.iter().find(|(key, _)| key.value == name).map(|(_, value)| value),
        _ => None,
    };
    if let (Some(_), Some(platform)) =
        (head.platforms.first(), argument("platform").filter(|_| head.platform.is_some()))
    {
        let error = Diagnostic::spec("`platform` and `platforms` are both given").at(platform.span.clone());
        return Err(error.help("an image is for one `platform`, or for each of several `platforms`"));
    }
    match argument("platforms") {
        Some(Spanned { value: Value::List(items), span }) if items.is_empty() => {
            let error = Diagnostic::spec("`platforms` lists none").at(span.clone());
            Err(error.help("leave it out, for the platform that is asked for"))
        }
        _ => distinct(&head.platforms),
    }
}
