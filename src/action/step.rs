//! The steps of a build, as a person counts and names them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::platform::Platform;
use crate::target::Label;

/// A step whose result the store keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The target for which it is done; of several, the first in the plan.
    #[serde(flatten)]
    pub target: StepTarget,
    #[serde(flatten)]
    pub part: Part,
}

/// The target of a step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepTarget {
    #[serde(rename = "target")]
    pub label: Label,
    /// For which of the target's platforms the step is done; absent if it has one only, and for its index.
    #[serde(rename = "target_platform", default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// Which step of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Part {
    /// An image of the workspace or of a registry is read into the store.
    Base { title: String, platform: Platform },
    /// A file is fetched, or the files of a commit.
    Fetch { title: String },
    /// An archive is read, to know what is in it.
    Archive { title: String },
    /// A layer is written.
    Layer {
        /// Counted from 1.
        number: usize,
        /// The layer in a few words ([`LayerSpec::title`](crate::target::LayerSpec::title)).
        title: String,
        /// False if the command that makes it has the network.
        #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
        hermetic: bool,
    },
    /// Config and manifest are written.
    Image,
    /// An index is written.
    Index,
}

impl Part {
    /// True if `other` stands in the same place of its target. A layer is found by its number, so that one whose title
    /// changed is still compared with what it was.
    pub fn is_at_place_of(&self, other: &Part) -> bool {
        match (self, other) {
            (Part::Layer { number: a, .. }, Part::Layer { number: b, .. }) => a == b,
            (Part::Base { title: a, .. }, Part::Base { title: b, .. }) => a == b,
            (a, b) => a == b,
        }
    }
}

/// `//path:name`, or `//path:name (os/architecture)`.
impl fmt::Display for StepTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.label.fmt(f)?;
        self.platform.iter().try_for_each(|platform| write!(f, " ({platform})"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.target, self.part)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Base { title, platform } => write!(f, "import {title} for {platform}"),
            Part::Fetch { title } => write!(f, "fetch {title}"),
            Part::Archive { title } => write!(f, "read {title}"),
            Part::Layer { number, title, hermetic: true } => write!(f, "{number} {title}"),
            Part::Layer { number, title, hermetic: false } => write!(f, "{number} {title} [not hermetic]"),
            Part::Image => f.write_str("image"),
            Part::Index => f.write_str("index"),
        }
    }
}

fn yes() -> bool {
    true
}
