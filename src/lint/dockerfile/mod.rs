//! The rules of Dockerfiles: a file a family.

pub(super) mod base;
pub(super) mod config;
pub(super) mod copy;
pub(super) mod deleted;
pub(super) mod form;
pub(super) mod keyword;
pub(super) mod order;
pub(super) mod package;
pub(super) mod run;
mod script;
mod stage;
pub(super) mod stage_name;
mod state;
pub(super) mod variable;

use crate::diagnostic::Diagnostic;
use crate::dockerfile::Dockerfile;

use super::Subject;
use super::context::Context;
use super::finding::Finding;
use stage::{Stage, stages};

/// What the rules look at.
struct Checked<'a> {
    dockerfile: &'a Dockerfile,
    subject: &'a Subject<'a>,
    context: Context<'a>,
    stages: Vec<Stage<'a>>,
    /// The stages of which the image consists that is built, the lowest first.
    shipped: Vec<usize>,
}

/// Everything that the rules find.
///
/// # Errors
/// There is no FROM, something stands before it, or the stage that is asked for is missing.
pub(super) fn check<'a>(dockerfile: &'a Dockerfile, subject: &'a Subject<'a>) -> Result<Vec<Finding>, Diagnostic> {
    let stages = stages(dockerfile, subject)?;
    let shipped = stage::shipped(&stages, subject.target)?;
    let context = Context::new(subject.context, subject.ignore);
    let checked = Checked { dockerfile, subject, context, stages, shipped };
    let families: [fn(&Checked, &mut Vec<Finding>); 11] = [
        base::check,
        config::check,
        copy::check,
        deleted::check,
        form::check,
        keyword::check,
        order::check,
        package::check,
        run::check,
        stage_name::check,
        variable::check,
    ];
    let mut findings = Vec::new();
    families.iter().for_each(|family| family(&checked, &mut findings));
    Ok(findings)
}

impl Checked<'_> {
    /// The stages that are in the image.
    fn shipped_stages(&self) -> impl Iterator<Item = &Stage<'_>> {
        self.shipped.iter().map(|&at| &self.stages[at])
    }
}
