//! What the image's history says of an instruction, in BuildKit's words.

use crate::diagnostic::Diagnostic;

use super::build::StageBuild;
use super::config::ports;
use super::instruction::{Body, Command, Instruction};
use super::word::Word;

impl StageBuild<'_> {
    /// The entry's `created_by`; none for an instruction that has no entry. Asked before the instruction is taken up, as it sees
    /// the variables that are there then.
    pub(super) fn created_by(&self, instruction: &Instruction) -> Result<Option<String>, Diagnostic> {
        let expand = |word: &Word| self.scope.expand(word);
        let listed = |words: Vec<String>| format!("[{}]", words.join(" "));
        Ok(Some(match &instruction.body {
            Body::From { .. } | Body::Onbuild(_) => return Ok(None),
            Body::Arg(arguments) => {
                let said = arguments.iter().map(|(name, default)| self.argument(name, default.as_ref()));
                let said: Vec<String> = said.collect::<Result<_, _>>()?;
                format!("ARG {}", said.join(" "))
            }
            Body::Env(pairs) => format!("ENV {}", self.said_pairs(pairs)?),
            Body::Label(pairs) => format!("LABEL {}", self.said_pairs(pairs)?),
            Body::Run { command, heredocs } => {
                let script = heredocs.iter().map(|heredoc| format!("\n{}{}", heredoc.content, heredoc.name));
                let argv = [self.said_args(), self.argv(command)].concat();
                format!("RUN {}{}", argv.join(" "), script.collect::<String>())
            }
            Body::Copy(_) => instruction.text.clone(),
            Body::Cmd(command) => format!("CMD {}", quoted(&self.argv(command))),
            Body::Entrypoint(command) => format!("ENTRYPOINT {}", quoted(&self.argv(command))),
            Body::Shell(words) => format!("SHELL {}", listed(words.clone())),
            Body::Healthcheck(None) => "HEALTHCHECK NONE".to_owned(),
            Body::Healthcheck(Some(Command::Shell(text))) => format!("HEALTHCHECK CMD {}", text.value),
            Body::Healthcheck(Some(Command::Exec(words))) => format!("HEALTHCHECK CMD {}", quoted(words)),
            Body::Expose(words) => {
                let mut found = Vec::new();
                for word in words {
                    for text in expand(word)?.split_whitespace() {
                        found.extend(ports(text, word)?);
                    }
                }
                found.sort();
                format!("EXPOSE {}", listed(found))
            }
            Body::Volume(words) => format!("VOLUME {}", listed(words.iter().map(expand).collect::<Result<_, _>>()?)),
            Body::User(word) => format!("USER {}", expand(word)?),
            Body::Workdir(word) => format!("WORKDIR {}", self.entered(&expand(word)?)),
            Body::Stopsignal(word) => format!("STOPSIGNAL {}", expand(word)?),
            Body::Maintainer(word) => format!("MAINTAINER {}", word.value),
        }))
    }

    fn said_pairs(&self, pairs: &[(Word, Word)]) -> Result<String, Diagnostic> {
        let said = self.pairs(pairs)?.into_iter().map(|(name, value)| format!("{name}={value}"));
        Ok(said.collect::<Vec<_>>().join(" "))
    }

    /// An argument with the value that it gets.
    fn argument(&self, name: &Word, default: Option<&Word>) -> Result<String, Diagnostic> {
        let name = self.scope.expand(name)?;
        let default = default.map(|word| self.scope.expand(word)).transpose()?;
        Ok(self.argument_value(&name, default).map_or(name.clone(), |value| format!("{name}={value}")))
    }

    /// The arguments that a command sees, counted.
    fn said_args(&self) -> Vec<String> {
        let args: Vec<String> = self.args.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if args.is_empty() { args } else { [vec![format!("|{}", args.len())], args].concat() }
    }
}

/// A list as Go's `%q` writes it.
fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| serde_json::Value::from(word.as_str()).to_string()).collect();
    format!("[{}]", words.join(" "))
}
