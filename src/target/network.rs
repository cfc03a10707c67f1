//! What a command reaches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The network of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// A loopback interface of its own, and nothing else.
    #[default]
    None,
    /// That of the machine. What the command gets from there, nothing pins.
    Host,
}

impl Network {
    /// True if all that the command sees is declared.
    pub fn is_hermetic(&self) -> bool {
        *self == Network::None
    }
}
