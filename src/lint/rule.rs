//! The rules: their names, and what is said of each in the reference.

use super::dockerfile::{base, config, copy, deleted, form, keyword, order, package, run, stage_name, variable};
use super::suppress;

/// A rule, as the reference has it. The check itself is beside the constant.
#[derive(Debug)]
pub struct Rule {
    /// As in `check=skip=` and `# ocify: ignore=`.
    pub name: &'static str,
    pub origin: Origin,
    pub severity: Severity,
    /// What it asks for, in one sentence.
    pub summary: &'static str,
    /// Why one would want that.
    pub why: &'static str,
    /// A Dockerfile that breaks the rule.
    pub bad: &'static str,
    /// The same, as it should be.
    pub good: &'static str,
}

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `docker build --check` has it under the same name.
    BuildKit,
    /// As [`Origin::BuildKit`], and only done if `check=experimental=` or the command line names it.
    Experimental,
    /// Only ocify has it.
    Ocify,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something will go wrong, or costs something, sooner or later.
    Warning,
    /// A matter of judgement.
    Note,
}

impl Severity {
    /// The word for it in every format; SARIF has the same.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// Every rule: those of BuildKit first, each kind in the order of names.
pub const RULES: [&Rule; 35] = [
    &keyword::CONSISTENT_INSTRUCTION_CASING,
    &copy::COPY_IGNORED_FILE,
    &stage_name::DUPLICATE_STAGE_NAME,
    &config::EXPOSE_INVALID_FORMAT,
    &config::EXPOSE_PROTO_CASING,
    &keyword::FROM_AS_CASING,
    &base::FROM_PLATFORM_FLAG_CONST_DISALLOWED,
    &base::INVALID_BASE_IMAGE_PLATFORM,
    &base::INVALID_DEFAULT_ARG_IN_FROM,
    &form::INVALID_DEFINITION_DESCRIPTION,
    &config::JSON_ARGS_RECOMMENDED,
    &form::LEGACY_KEY_VALUE_FORMAT,
    &form::MAINTAINER_DEPRECATED,
    &config::MULTIPLE_INSTRUCTIONS_DISALLOWED,
    &form::NO_EMPTY_CONTINUATION,
    &base::REDUNDANT_TARGET_PLATFORM,
    &stage_name::RESERVED_STAGE_NAME,
    &variable::SECRETS_USED_IN_ARG_OR_ENV,
    &stage_name::STAGE_NAME_CASING,
    &base::UNDEFINED_ARG_IN_FROM,
    &variable::UNDEFINED_VAR,
    &config::WORKDIR_RELATIVE_PATH,
    &copy::ADD_OF_LOCAL_FILE,
    &package::APT_INSTALL_RECOMMENDS,
    &package::APT_INSTALL_WITHOUT_YES,
    &package::APT_UPDATE_ALONE,
    &order::COPY_BEFORE_INSTALL,
    &deleted::DELETED_IN_LATER_LAYER,
    &run::DOWNLOAD_PIPED_TO_SHELL,
    &run::MANY_RUN_LAYERS,
    &package::PACKAGE_LISTS_LEFT,
    &config::ROOT_USER,
    &suppress::UNKNOWN_RULE,
    &copy::UNIGNORED_FILE,
    &base::UNPINNED_BASE,
];

/// The rule of this name; case counts.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.into_iter().find(|rule| rule.name == name)
}
