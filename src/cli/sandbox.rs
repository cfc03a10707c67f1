//! By what right steps run.

use crate::diagnostic::Diagnostic;
use crate::sandbox::Tier;

use super::environment;

/// Flags about the sandbox of steps.
#[derive(Default, clap::Args)]
pub(super) struct Sandbox {
    /// By what right steps run: root, subordinate-ids or single-user; the output does not depend on it [env: OCIFY_SANDBOX]
    /// [default: the first of them that is there, see `ocify doctor`]
    #[arg(long, value_name = "TIER")]
    sandbox: Option<Tier>,
}

impl Sandbox {
    /// The tier that is asked for.
    ///
    /// # Errors
    /// The variable says something else.
    pub(super) fn tier(&self) -> Result<Option<Tier>, Diagnostic> {
        let of_variable = |text: String| {
            text.parse().map_err(|what| Diagnostic::spec(format!("OCIFY_SANDBOX is `{text}`")).help(what))
        };
        let tier = match self.sandbox {
            None => environment::sandbox().map(of_variable).transpose()?,
            tier => tier,
        };
        if tier == Some(Tier::Root) && Tier::of_process() != Tier::Root {
            let error = Diagnostic::spec("steps cannot run by root's right, as this process does not have it");
            return Err(error.help("run ocify as root with CAP_SYS_ADMIN, or choose another tier"));
        }
        Ok(tier)
    }
}
