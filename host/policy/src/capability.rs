//! The names of what a plugin may import, shared by manifest, grant and loader so that an error,
//! a configuration key and an interface are always spelled alike.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One import interface of the contract. `types` is not among them: it carries no function and is
/// always allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    Endpoint,
    Http,
    Random,
    Password,
    KeyDerivation,
    Clock,
    Log,
}

impl Capability {
    pub const ALL: [Self; 7] = [
        Self::Endpoint,
        Self::Http,
        Self::Random,
        Self::Password,
        Self::KeyDerivation,
        Self::Clock,
        Self::Log,
    ];

    /// The name in manifest, grant and WIT.
    pub fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Http => "http",
            Self::Random => "random",
            Self::Password => "password",
            Self::KeyDerivation => "key-derivation",
            Self::Clock => "clock",
            Self::Log => "log",
        }
    }

    /// The capability with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.name() == name)
    }

    /// Whether this capability opens connections, and therefore needs a granted endpoint.
    pub fn reaches_out(self) -> bool {
        matches!(self, Self::Endpoint | Self::Http)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
