//! `--filter KEY=VALUE` of `ocify images`.

use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use jiff::Timestamp;

use crate::diagnostic::{Diagnostic, nearest};
use crate::image::Image;
use crate::oci::{Reference, Repository};
use crate::store::Store;

use super::name;

/// One `--filter`.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    Reference(Pattern),
    /// A label's key, and its value if that matters.
    Label(String, Option<String>),
    Before(String),
    Since(String),
    Dangling(bool),
}

const KEYS: [&str; 5] = ["reference", "label", "before", "since", "dangling"];

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let value = || match value {
            "" => Err(format!("it should look like {key}=VALUE")),
            value => Ok(value.to_owned()),
        };
        match key {
            "reference" => Ok(Filter::Reference(value()?.parse()?)),
            "label" => Ok(match value()?.split_once('=') {
                Some((key, value)) => Filter::Label(key.to_owned(), Some(value.to_owned())),
                None => Filter::Label(value()?, None),
            }),
            "before" => Ok(Filter::Before(value()?)),
            "since" => Ok(Filter::Since(value()?)),
            "dangling" => match value()?.as_str() {
                "true" => Ok(Filter::Dangling(true)),
                "false" => Ok(Filter::Dangling(false)),
                _ => Err("`dangling` is `true` or `false`".into()),
            },
            _ => Err(match nearest(key, KEYS) {
                Some(near) => format!("there is no filter `{key}`; did you mean `{near}`?"),
                None => format!("there is no filter `{key}`; known are {}", KEYS.join(", ")),
            }),
        }
    }
}

/// A name with `*` and `?`, neither of which stands for a `/`.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: String,
    glob: GlobMatcher,
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        let glob = glob.map_err(|error| format!("`{text}` is not a pattern: {}", error.kind()))?;
        Ok(Pattern { text: text.to_owned(), glob: glob.compile_matcher() })
    }
}

impl Pattern {
    /// True if the pattern fits the name in one of its spellings, with or without its tag.
    fn fits(&self, name: &str) -> bool {
        if self.text == name || self.glob.is_match(name) {
            return true;
        }
        let Ok(reference) = name.parse::<Reference>() else { return false };
        let whole = reference.canonical();
        let repository = Repository::of(&reference).to_string();
        let tag = whole.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let bare = Reference { tag: None, digest: None, ..reference }.to_string();
        let short = repository.strip_prefix("docker.io/").unwrap_or(&repository);
        let shorter = short.strip_prefix("library/").unwrap_or(short);
        let repositories = [bare.as_str(), &repository, short, shorter];
        repositories.iter().any(|name| self.glob.is_match(name) || self.glob.is_match(format!("{name}{tag}")))
    }
}

/// What is filtered.
pub(super) struct Subject<'a> {
    /// `None` for an image without a name.
    pub(super) name: Option<&'a str>,
    pub(super) created: Option<&'a str>,
    pub(super) images: Vec<&'a Image>,
}

/// All filters of a command line: of `reference` one has to fit, of the others each.
pub(super) struct Filters<'a> {
    references: Vec<&'a Pattern>,
    named: Option<Pattern>,
    labels: Vec<(&'a str, Option<&'a str>)>,
    before: Vec<Timestamp>,
    since: Vec<Timestamp>,
    dangling: Vec<bool>,
}

impl<'a> Filters<'a> {
    /// `named` is a pattern as well, which a name has to fit besides.
    ///
    /// # Errors
    /// There is no image of the name that `before` or `since` has, or it has no time; `named` is not a pattern.
    pub(super) fn new(filters: &'a [Filter], named: Option<&str>, store: &Store) -> Result<Self, Diagnostic> {
        let named = named.map(str::parse).transpose().map_err(Diagnostic::spec)?;
        let mut all = Filters {
            references: Vec::new(),
            named,
            labels: Vec::new(),
            before: Vec::new(),
            since: Vec::new(),
            dangling: Vec::new(),
        };
        for filter in filters {
            match filter {
                Filter::Reference(pattern) => all.references.push(pattern),
                Filter::Label(key, value) => all.labels.push((key, value.as_deref())),
                Filter::Before(image) => all.before.push(time_of(image, store)?),
                Filter::Since(image) => all.since.push(time_of(image, store)?),
                Filter::Dangling(dangling) => all.dangling.push(*dangling),
            }
        }
        Ok(all)
    }

    pub(super) fn accept(&self, subject: &Subject) -> bool {
        let fits = |pattern: &Pattern| subject.name.is_some_and(|name| pattern.fits(name));
        let created = || subject.created.and_then(|time| time.parse::<Timestamp>().ok());
        let has = |&(key, value): &(&str, Option<&str>)| {
            let labels = subject.images.iter().map(|image| &image.config().config.labels);
            let mut found = labels.filter_map(|labels| labels.get(key));
            found.any(|label| value.is_none_or(|value| label == value))
        };
        (self.references.is_empty() || self.references.iter().any(|pattern| fits(pattern)))
            && self.named.as_ref().is_none_or(fits)
            && self.labels.iter().all(has)
            && self.before.iter().all(|time| created().is_some_and(|created| created < *time))
            && self.since.iter().all(|time| created().is_some_and(|created| created > *time))
            && self.dangling.iter().all(|dangling| *dangling == subject.name.is_none())
    }
}

fn time_of(text: &str, store: &Store) -> Result<Timestamp, Diagnostic> {
    let (_, loaded) = name::load(text, store)?;
    let created = name::runnable(&loaded).first().and_then(|image| image.config().created.clone());
    let time = created.and_then(|created| created.parse().ok());
    time.ok_or_else(|| Diagnostic::spec(format!("`{text}` does not say when it was created")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_a_name_in_any_spelling() {
        for (pattern, name, fits) in [
            ("nginx", "docker.io/library/nginx:1.24", true),
            ("nginx:1.24", "docker.io/library/nginx:1.24", true),
            ("docker.io/library/nginx", "nginx:1", true),
            ("library/nginx:latest", "nginx", true),
            ("nginx:1.2*", "nginx:1.24", true),
            ("ng*", "nginx:1", true),
            ("nginx:1", "nginx:2", false),
            ("example.com/*", "example.com/shop/web:1", false),
            ("example.com/*/web", "example.com/shop/web:1", true),
            ("web", "example.com/shop/web:1", false),
            ("//x", "app:web", false),
        ] {
            assert_eq!(pattern.parse::<Pattern>().unwrap().fits(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_filter_that_is_none_says_what_there_is() {
        let error = |text: &str| text.parse::<Filter>().unwrap_err();
        assert!(error("labl=x").contains("did you mean `label`?"));
        assert!(error("colour=red").contains("known are reference, label"));
        assert!(error("dangling=maybe").contains("`true` or `false`"));
        assert!(error("before").contains("before=VALUE"));
        assert!(error("reference=[").contains("not a pattern"));
    }
}
