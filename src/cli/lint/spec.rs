//! Targets that are checked.

use crate::diagnostic::Diagnostic;
use crate::lint::{Finding, SpecImage, lint_targets};

use super::super::selection::Selected;
use super::Arguments;

pub(super) fn run(arguments: &Arguments) -> Result<Vec<Finding>, Diagnostic> {
    let Selected { lock, targets, roots, .. } = arguments.selection.load()?;
    let platform = targets.settings.platform.clone();
    let mut images = Vec::new();
    for target in targets.in_build_order(&roots) {
        // An image with platforms of its own is checked as it is for the first of them.
        let own = target.rule.head().and_then(|head| head.platforms.first().map(|first| first.value.clone()));
        let selected = target.rule.selected_platforms().into_iter().next();
        let platform = own.or(selected).unwrap_or_else(|| platform.clone());
        if let Some(spec) = target.rule.image_on(&platform)? {
            images.push(SpecImage { label: target.label.clone(), span: target.span.clone(), spec });
        }
    }
    Ok(lint_targets(&images, &lock))
}
