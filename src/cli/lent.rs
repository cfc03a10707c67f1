//! `--secret` and `--ssh`: what is lent to steps.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use crate::build::Secrets;
use crate::diagnostic::{Diagnostic, nearest};

use super::environment;

/// More bytes than this no secret has; as BuildKit has it.
const LARGEST: u64 = 500 << 10;

/// Arguments of commands that run steps, or say which would run.
#[derive(clap::Args)]
pub(super) struct Lent {
    /// Lend a secret to steps that name it: id=NAME,src=FILE or id=NAME,env=VARIABLE
    #[arg(long = "secret", value_name = "id=NAME,...")]
    secrets: Vec<String>,
    /// Lend an ssh agent to steps that name it: default, or NAME=SOCKET
    #[arg(long = "ssh", value_name = "NAME[=SOCKET]")]
    agents: Vec<String>,
}

impl Lent {
    /// The arguments, as they were given: names of secrets and of where they are.
    pub(super) fn words(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let secrets = self.secrets.iter().map(|text| ("--secret", text.as_str()));
        secrets.chain(self.agents.iter().map(|text| ("--ssh", text.as_str())))
    }

    /// The values, which are read now.
    ///
    /// # Errors
    /// A text that names no secret or agent; a file or variable that is not there.
    pub(super) fn secrets(&self) -> Result<Secrets, Diagnostic> {
        Ok(Secrets {
            values: self.secrets.iter().map(|text| secret(text)).collect::<Result<BTreeMap<_, _>, _>>()?,
            agents: self.agents.iter().map(|text| agent(text)).collect::<Result<BTreeMap<_, _>, _>>()?,
        })
    }
}

fn secret(text: &str) -> Result<(String, Vec<u8>), Diagnostic> {
    let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
    for field in text.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        match key {
            "id" => id = Some(value),
            "src" | "source" => file = Some(value),
            "env" => variable = Some(value),
            "type" if matches!(value, "file" | "env") => kind = Some(value),
            _ => {
                let error = Diagnostic::spec(format!("`--secret {text}` cannot be read: `{field}`"));
                return Err(error.help(match nearest(key, ["id", "src", "env", "type"]) {
                    Some(near) if near != key => format!("did you mean `{near}`?"),
                    _ => "write id=NAME,src=FILE or id=NAME,env=VARIABLE".into(),
                }));
            }
        }
    }
    let Some(id) = id.filter(|id| !id.is_empty()) else {
        let error = Diagnostic::spec(format!("`--secret {text}` has no name"));
        return Err(error.help("write id=NAME,src=FILE or id=NAME,env=VARIABLE"));
    };
    let variable = if kind == Some("env") { variable.or(file.take()) } else { variable };
    let value = match (file, variable) {
        (Some(_), Some(_)) => {
            let error = Diagnostic::spec(format!("the secret `{id}` is given as a file and as a variable"));
            return Err(error.help("take `src` or `env` away"));
        }
        (Some(file), None) => read(id, file)?,
        (None, Some(variable)) => environment::secret(variable).ok_or_else(|| {
            let error = Diagnostic::spec(format!("the secret `{id}` is not there: `{variable}` is not set"));
            error.help("set and export the variable, or give a file with `src`")
        })?,
        (None, None) => environment::secret(id).ok_or_else(|| {
            let error =
                Diagnostic::spec(format!("the secret `{id}` has neither `src` nor `env`, and `{id}` is not set"));
            error.help(format!("write id={id},src=FILE or id={id},env=VARIABLE"))
        })?,
    };
    match value.len() as u64 > LARGEST {
        true => Err(Diagnostic::spec(format!("the secret `{id}` has more than {LARGEST} bytes"))
            .help("is it the right file? large files are sources of a layer or of a bind")),
        false => Ok((id.to_owned(), value)),
    }
}

fn read(id: &str, file: &str) -> Result<Vec<u8>, Diagnostic> {
    let mut value = Vec::new();
    let read = File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut value));
    let unreadable = |error| {
        let error = Diagnostic::spec(format!("the secret `{id}` cannot be read from `{file}`")).caused_by(error);
        error.help("paths are relative to the working directory")
    };
    read.map(|_| value).map_err(unreadable)
}

fn agent(text: &str) -> Result<(String, PathBuf), Diagnostic> {
    let (id, socket) = text.split_once('=').map_or((text, None), |(id, socket)| (id, Some(socket)));
    let socket = match socket {
        Some(socket) => PathBuf::from(socket),
        None => environment::agent().ok_or_else(|| {
            let error = Diagnostic::spec(format!("there is no ssh agent for `--ssh {text}`: SSH_AUTH_SOCK is not set"));
            error.help(format!("start one, or name its socket: `--ssh {id}=SOCKET`"))
        })?,
    };
    let unfit = |what: &str| {
        let error = Diagnostic::spec(format!("`{}` of `--ssh {text}` {what}", socket.display()));
        error.help("name the socket of an agent; keys in files are added to one with `ssh-add FILE`")
    };
    match std::fs::metadata(&socket) {
        Ok(metadata) if metadata.file_type().is_socket() => Ok((id.to_owned(), socket)),
        Ok(_) => Err(unfit("is no socket")),
        Err(error) => Err(unfit("cannot be found").caused_by(error)),
    }
}
