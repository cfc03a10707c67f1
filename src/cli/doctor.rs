//! `ocify doctor`: whether steps can run here, by which right, and if not, why.

use std::fs;

use crate::diagnostic::Diagnostic;
use crate::sandbox::{self, Emulator, Runs, SandboxError, Tier};
use crate::store::Store;

use super::{environment, print};

/// Show whether steps (`run`) can run on this machine, by which right, and how to allow what the kernel refuses.
///
/// A sandbox is made for each right that there is, on the file system of the store. The exit code is 1 if steps cannot run.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify doctor
  ocify doctor --store /mnt/store")]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let store = environment.store_to_look_at()?;
    let mut used = Tier::of_process();
    let mut text = String::new();
    let system = rustix::system::uname();
    let (release, machine) = (system.release().to_string_lossy(), system.machine().to_string_lossy());
    text.push_str(&format!("kernel           Linux {release}, {machine}\n"));
    let mut failure = None;
    for tier in Tier::ALL {
        let use_ = if tier == used { ", used by builds" } else { "" };
        let said = match (tier, used) {
            (Tier::Root, Tier::SubordinateIds | Tier::SingleUser) => "needs root with CAP_SYS_ADMIN".to_owned(),
            _ => match check(tier, &store, None)? {
                None => format!("works{use_}"),
                Some(SandboxError::NoIds(error)) => format!("not there: {error}"),
                Some(error) if tier == Tier::SubordinateIds => {
                    // Builds go on without them.
                    used = if used == tier { Tier::SingleUser } else { used };
                    format!("refused: {}", chain(&error))
                }
                Some(error) => {
                    let said = chain(&error);
                    if tier == used {
                        failure = Some(error);
                    }
                    format!("refused{use_}: {said}")
                }
            },
        };
        text.push_str(&format!("{:16} {said}\n", title(tier)));
    }
    for (name, value) in SETTINGS.iter().filter_map(|name| Some((name, setting(name)?))) {
        text.push_str(&format!("{:16} {name} = {value}\n", "setting"));
    }
    let sockets = match sandbox::keeps_abstract_sockets() {
        true => "kept from steps that have the network",
        false => "within reach of steps that have the network; Linux 6.12 with Landlock keeps them from those",
    };
    text.push_str(&format!("{:16} abstract sockets of this machine are {sockets}\n", "network"));
    text.push_str(&emulation(used, &store)?);
    print(&text)?;
    match failure {
        None => Ok(()),
        Some(error) => {
            let help = match &error {
                SandboxError::Refused { stage, source } => stage.help(source),
                _ => "see that the store can be written",
            };
            Err(Diagnostic::failure("steps cannot run here").caused_by(error).help(help))
        }
    }
}

/// What decides about user namespaces, where it exists.
const SETTINGS: [&str; 4] = [
    "user.max_user_namespaces",
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
    "kernel.apparmor_restrict_unprivileged_unconfined",
];

fn title(tier: Tier) -> &'static str {
    match tier {
        Tier::Root => "root",
        Tier::SubordinateIds => "subordinate ids",
        Tier::SingleUser => "single user",
    }
}

/// Why there can be no sandbox, with an emulator; `None` if there can.
fn check(tier: Tier, store: &Store, emulator: Option<Emulator>) -> Result<Option<SandboxError>, Diagnostic> {
    let place =
        store.workplace().map_err(|error| Diagnostic::failure("the store cannot be written").caused_by(error))?;
    Ok(sandbox::check(tier, place.path(), emulator).err())
}

fn chain(error: &SandboxError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn setting(name: &str) -> Option<String> {
    let value = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
    Some(value.trim().to_owned())
}

/// The platforms that are not the machine's and whose programs run here.
fn emulation(used: Tier, store: &Store) -> Result<String, Diagnostic> {
    let (mut registered, mut own, mut one) = (Vec::new(), Vec::new(), None);
    for (platform, how) in environment::emulators().foreign() {
        match how {
            Runs::By(emulator) => {
                own.push(platform.to_string());
                one = Some(emulator);
            }
            _ => registered.push(platform.to_string()),
        }
    }
    let mut text = String::new();
    let mut say = |said: String| text.push_str(&format!("{:16} {said}\n", "emulation"));
    if !registered.is_empty() {
        say(format!("{}: registered with the machine's binfmt_misc", registered.join(", ")));
    }
    if let Some(emulator) = one {
        // Root has the machine's list only.
        let (tier, how) = match used {
            Tier::Root => {
                (Tier::SingleUser, ", with `--sandbox single-user`; for root, register them with binfmt_misc")
            }
            tier => (tier, ""),
        };
        let platforms = own.join(", ");
        say(match check(tier, store, Some(emulator))? {
            None => format!("{platforms}: by qemu in PATH{how}"),
            Some(error) => format!("not by qemu in PATH, from Linux 6.7 only ({platforms}): {}", chain(&error)),
        });
    }
    if text.is_empty() {
        text = format!("{:16} none; for steps of other platforms, install qemu-user-static\n", "emulation");
    }
    Ok(text)
}
