//! The versions of the contract that this host speaks. It is built from the newest one alone: a later version only
//! adds, and wasmtime gives a component whatever it names under an older version of the same minor number.

use crate::capability::Capability;

pub(crate) const PACKAGE: &str = "keyturn:rotation";

/// Oldest first.
pub(crate) const VERSIONS: [&str; 2] = ["0.1.0", "0.1.1"];

/// Whether a plugin of this version may import that: wasmtime would also give it what came later.
pub(crate) fn has(version: &str, capability: Capability) -> bool {
    let since = match capability {
        Capability::Endpoint
        | Capability::Http
        | Capability::Random
        | Capability::Password
        | Capability::Clock
        | Capability::Log => "0.1.0",
        Capability::KeyDerivation => "0.1.1",
    };
    let age = |wanted: &str| VERSIONS.iter().position(|known| *known == wanted);
    age(version) >= age(since)
}

/// An interface as a plugin of this version names it.
pub(crate) fn interface(name: &str, version: &str) -> String {
    format!("{PACKAGE}/{name}@{version}")
}

/// All versions, for errors.
pub(crate) fn spoken() -> String {
    format!("{PACKAGE}@{}", VERSIONS.join(" and "))
}
