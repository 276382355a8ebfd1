//! The operator's yes: what a plugin may use, and where its endpoints may lead. The types
//! deserialise from the configuration's `grant` table; every key that is not known is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::limits::LimitsOverride;
use crate::password::PasswordPolicy;

/// What the operator grants for one secret (or one credential of it).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Restricts the plugin to these imports. Absent: random, password, clock and log, and
    /// endpoint and http as soon as an endpoint is granted.
    #[serde(default)]
    pub capabilities: Option<BTreeSet<Capability>>,
    /// By the manifest's name: the secrets that may be handed over. `"*"` allows any.
    #[serde(default, rename = "companion")]
    pub companions: BTreeMap<String, Vec<String>>,
    /// By the manifest's name.
    #[serde(default, rename = "endpoint")]
    pub endpoints: BTreeMap<String, EndpointGrant>,
    #[serde(default)]
    pub limits: LimitsOverride,
    /// Set from the secret's own table, beside `grant`.
    #[serde(skip)]
    pub password: PasswordPolicy,
    /// Set from the secret's own table, beside `grant`. Null counts as an empty object.
    #[serde(skip)]
    pub settings: serde_json::Value,
}

/// Where one endpoint may lead, and how it is protected.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EndpointGrant {
    /// Exact names or addresses, `*.suffix`, or `*`. The host in the value must match one.
    pub hosts: Vec<String>,
    /// Empty: the manifest's `port_default` or fixed port alone.
    pub ports: Vec<u16>,
    /// Any port that the value names, where nobody could list them: for grants that no file holds.
    #[serde(skip)]
    pub any_port: bool,
    /// `host:port` of each node, for endpoints that the manifest takes from the grant; for those that it takes from the
    /// secret's value, the nodes where the value names no host.
    pub members: Vec<String>,
    /// Allows private, shared (CGNAT) and unique-local addresses.
    pub private: bool,
    pub tls: TlsMode,
    /// PEM bundle; absent: the system's roots.
    pub ca: Option<PathBuf>,
    /// A PEM bundle to be trusted beside the system's roots: for grants that no file holds.
    #[serde(skip)]
    pub ca_beside_system: Option<PathBuf>,
    /// The name to verify instead of the host's.
    pub server_name: Option<String>,
    /// For a companion's endpoint: other names of the server that the secret's host names.
    pub same_server_as: Vec<String>,
    /// Has the host sign every request there with its own AWS credentials. The manifest must ask for it.
    pub sign: bool,
    /// The region to sign for; absent: the one in the host's name.
    pub region: Option<String>,
}

/// The TLS floor, weakest first. A secret's `sslmode` or `ssl` may raise it, never lower it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Plaintext.
    Disable,
    /// Encrypted, the server unverified: an active attacker reads everything.
    Require,
    /// The chain is verified, the name is not.
    VerifyCa,
    #[default]
    VerifyFull,
}
