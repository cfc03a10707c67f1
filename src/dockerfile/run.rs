//! RUN: what is run in a stage, and as whom, where and with what.

use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::path::ImagePath;
use crate::target::{self, LayerSpec, Mount, Run};

use super::build::{StageBuild, absolute, owner};
use super::config::value;
use super::heredoc::{self, Heredoc};
use super::instruction::{Body, Command, Instruction};
use super::{mount, network};

/// Seconds after which a command is ended: a day.
const TIMEOUT: u32 = 86_400;

impl StageBuild<'_> {
    /// What RUN runs, and the script that it is, if that has to be a file.
    pub(super) fn run_command(
        &self,
        instruction: &Instruction,
        command: &Command,
        heredocs: &[Heredoc],
    ) -> Result<(target::Command, Option<Spanned<Mount>>), Diagnostic> {
        let text = match command {
            Command::Exec(words) if words.first().is_some_and(|program| !program.is_empty()) => {
                return Ok((target::Command::Argv(words.clone()), None));
            }
            Command::Exec(_) => {
                let error = Diagnostic::spec("RUN needs a program").at(instruction.span.clone());
                return Err(error.help("write RUN [\"program\", \"argument\"]"));
            }
            Command::Shell(text) => text,
        };
        let alone = heredoc::opening(&text.value).is_some();
        let script = match heredocs {
            [only] if alone && only.content.starts_with("#!") => {
                let (script, path) = mount::script(only, &text.span)?;
                return Ok((target::Command::Argv(vec![path]), Some(script)));
            }
            [only] if alone => only.content.clone(),
            some => some
                .iter()
                .fold(text.value.clone(), |text, heredoc| format!("{text}\n{}{}", heredoc.content, heredoc.name)),
        };
        Ok((target::Command::Argv(self.shell.iter().cloned().chain([script]).collect()), None))
    }

    /// Adds the layer of a RUN.
    pub(super) fn run(
        &mut self,
        instruction: &Instruction,
        command: target::Command,
        mounts: Vec<Spanned<Mount>>,
    ) -> Result<(), Diagnostic> {
        let mut network = network::default(self.options);
        for flag in &instruction.flags {
            let name = &flag.name;
            let refuse = |help: &str| {
                Err(Diagnostic::spec(format!("`--{}` of RUN cannot be had yet", name.value))
                    .at(name.span.clone())
                    .help(help))
            };
            match (name.value.as_str(), flag.value.as_ref().map(|value| value.value.as_str())) {
                ("mount", _) | ("security", Some("sandbox")) => {}
                ("network", _) => network = network::asked(value(flag)?, self.options)?,
                ("security", _) => return refuse("commands run in a sandbox"),
                _ => return refuse("commands see no devices of the machine"),
            }
        }
        let user = match self.user.value.as_str() {
            "" => None,
            user => {
                // What the base says has no place of its own.
                let span = self.user.span.clone().unwrap_or_else(|| instruction.span.clone());
                Some(Spanned { value: owner(user).at(Some(&span))?, span: Some(span) })
            }
        };
        let workdir =
            ImagePath::parse(absolute("/", &self.workdir)).map_err(|error| Diagnostic::spec(error.to_string()))?;
        let mut env = self.env.clone();
        env.extend(self.args.clone());
        let (hosts, proxies) = (self.options.hosts.clone(), network::proxies(network, self.options));
        let given = Run { env, workdir, mounts, user, network, hosts, proxies, ..Run::new(command) };
        let run = Run { timeout: TIMEOUT, instruction: Some(written(instruction)), ..given };
        self.spec.layers.push(Spanned { value: LayerSpec::Run(run), span: Some(instruction.span.clone()) });
        Ok(())
    }
}

/// RUN as it is written, in one line; of a heredoc also its first line, as BuildKit shows it.
fn written(instruction: &Instruction) -> String {
    let text = instruction.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Body::Run { heredocs, .. } = &instruction.body else { return text };
    let lines = heredocs.iter().flat_map(|heredoc| heredoc.content.lines()).map(str::trim);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with("#!"));
    match (lines.next(), lines.next()) {
        (Some(only), None) => format!("{text} ({only})"),
        (Some(first), Some(_)) => format!("{text} ({first}...)"),
        (None, _) => text,
    }
}
