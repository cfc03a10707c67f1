//! `ocify login`: keep a user name and a password for a registry.

use std::io::{self, BufRead, IsTerminal, Read};

use crate::diagnostic::Diagnostic;
use crate::registry::{Client, Credential, Credentials, HostError, Options, RegistryError, Secret, registry_name};

use super::{environment, password};

/// The longest password, in bytes; tokens of cloud registries have some thousands.
const LONGEST: u64 = 64 << 10;

/// Check a user name and a password with a registry, and keep them where docker and podman look, too.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify login -u me registry.example.com
  ocify login -u me --password-stdin ghcr.io < token.txt

The password is asked for, or comes from stdin: on a command line, others could read it. It is kept by the helper
that `credsStore` or `credHelpers` names, else in the file: $REGISTRY_AUTH_FILE, or config.json in
$DOCKER_CONFIG or ~/.docker.")]
pub(super) struct Arguments {
    /// The registry: HOST or HOST:PORT
    registry: String,
    /// The user name; `<token>` says that the password is an identity token
    #[arg(short, long, value_name = "USER")]
    username: Option<String>,
    /// Read the password from stdin
    #[arg(long, requires = "username")]
    password_stdin: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let registry = named(&arguments.registry)?;
    let credential = credential(arguments)?;
    let hosts = environment.hosts(None)?;
    Client::new(Options::default(), hosts, Credentials::given(&registry, credential.clone())).ping(&registry)?;
    let place = environment.credentials().store(&registry, &credential).map_err(RegistryError::from)?;
    eprintln!("logged in to {registry}; the credentials are kept in {place}");
    Ok(())
}

/// The registry that a command line names.
pub(super) fn named(name: &str) -> Result<String, Diagnostic> {
    registry_name(name).ok_or_else(|| RegistryError::Host(HostError::Name { name: name.to_owned() }).into())
}

fn credential(arguments: &Arguments) -> Result<Credential, Diagnostic> {
    if !arguments.password_stdin && !io::stdin().is_terminal() {
        return Err(Diagnostic::spec("stdin is no terminal, so nobody can be asked for the password")
            .help("give `--username USER --password-stdin` to read it from there"));
    }
    let unreadable = |error| Diagnostic::failure("stdin cannot be read").caused_by(error);
    let user = match &arguments.username {
        Some(user) => user.clone(),
        None => {
            eprint!("User name: ");
            let mut line = String::new();
            io::stdin().lock().take(LONGEST).read_line(&mut line).map_err(unreadable)?;
            line.trim().to_owned()
        }
    };
    // RFC 7617, 2: the first colon ends the user name.
    if user.is_empty() || user.contains(':') {
        return Err(Diagnostic::spec("a user name has at least one character, and no `:`"));
    }
    let secret = match arguments.password_stdin {
        true => {
            let mut text = String::new();
            io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
            text
        }
        false => password::ask("Password: ").map_err(unreadable)?,
    };
    let secret = secret.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.len() as u64 > LONGEST {
        return Err(Diagnostic::spec(format!("a password has 1 to {LONGEST} bytes")));
    }
    Ok(Credential::of(user, Secret::new(secret)))
}
