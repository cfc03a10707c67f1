//! The network of RUN.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::target::Network;

use super::Options;
use super::scope::is_proxy;
use super::word::Word;

/// What RUN has where it says nothing: as with BuildKit, the network.
pub(super) fn default(options: &Options) -> Network {
    if options.hermetic { Network::None } else { Network::Host }
}

/// What `--network` says.
///
/// # Errors
/// No network of BuildKit; one at all where the build is to be hermetic.
pub(super) fn asked(word: &Word, options: &Options) -> Result<Network, Diagnostic> {
    let (error, help) = match word.value.as_str() {
        "none" => return Ok(Network::None),
        // The machine's in both cases: one of its own would need a program that forwards.
        "default" | "host" if !options.hermetic => return Ok(Network::Host),
        "default" | "host" => (
            "the command wants the network, and the build is to be hermetic".to_owned(),
            "take the flag away, or build without `--hermetic` and `hermetic` in ocify.toml",
        ),
        other => (format!("`{other}` is not a network"), "write `default`, `host` or `none`"),
    };
    Err(Diagnostic::spec(error).at(word.span.clone()).help(help))
}

/// The proxies of the command line, under both names by which programs look for them.
pub(super) fn proxies(network: Network, options: &Options) -> BTreeMap<String, String> {
    let given = options.args.iter().filter(|(name, _)| !network.is_hermetic() && is_proxy(name));
    let both = given.flat_map(|(name, value)| {
        [name.to_ascii_lowercase(), name.to_ascii_uppercase()].map(|name| (name, value.clone()))
    });
    both.collect()
}
