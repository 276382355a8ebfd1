//! plugin.toml: what a plugin asks for. It travels inside the component as the custom section
//! `keyturn:manifest`, so a `.wasm` alone can be inspected and checked. Asking is not getting: the
//! operator's grant decides.

mod parse;
mod raw;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::capability::Capability;
use crate::limits::LimitsOverride;

/// Name of the custom section that carries plugin.toml.
pub const SECTION: &str = "keyturn:manifest";

/// A checked manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Manifest {
    pub name: String,
    /// Version of the contract, such as `0.1.1`.
    pub contract: String,
    pub capabilities: BTreeSet<Capability>,
    pub secret: SecretManifest,
    pub companions: BTreeMap<String, CompanionManifest>,
    pub endpoints: BTreeMap<String, EndpointManifest>,
    pub limits: LimitsOverride,
}

impl Manifest {
    /// Parses plugin.toml; the error points at line and key.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        parse::parse(text)
    }
}

/// JSON pointers (RFC 6901) into the secret's value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SecretManifest {
    /// Must be equal in candidate and CURRENT; absent equals absent.
    pub identity: Vec<String>,
    /// Not secret: the only strings that are not scrubbed from logs and errors.
    pub public: Vec<String>,
}

/// Another secret that the plugin wants to see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CompanionManifest {
    /// Where CURRENT may name it.
    pub pointer: String,
    pub optional: bool,
}

/// One place that the plugin wants to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointManifest {
    pub from: EndpointSource,
    pub protocol: Protocol,
    pub pre_tls_bytes_max: PreTlsBytesMax,
    pub optional: bool,
    /// At most that many nodes.
    pub members_max: u32,
    /// The AWS service as whose client the host signs each request, if the grant says yes, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign: Option<String>,
}

/// Where an endpoint's host and port come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointSource {
    /// The secret's CURRENT value.
    Secret(ValueSource),
    /// A companion's value.
    Companion { companion: String, at: ValueSource },
    /// The grant's `members`, or its only host and port.
    Grant,
    /// Fixed in the manifest.
    Fixed { host: String, port: u16 },
}

/// JSON pointers to hosts and ports in a value. `list` absent in the value: one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueSource {
    /// Pointer to an array of members; `host` and `port` then count from each element.
    pub list: Option<String>,
    pub host: String,
    pub port: Option<String>,
    pub port_default: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Protocol {
    /// Plaintext start, then TLS in band (PostgreSQL).
    #[serde(rename = "tcp+upgrade")]
    TcpUpgrade,
    /// TLS from the first byte, or plaintext where the grant says so (Redis).
    #[serde(rename = "tcp|tls")]
    TcpOrTls,
    #[serde(rename = "https")]
    Https,
}

/// How many plaintext bytes pass before in-band TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PreTlsBytesMax {
    pub out: u32,
    #[serde(rename = "in")]
    pub into: u32,
}

/// Where and why plugin.toml is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{cause}", line.map_or(String::new(), |line| format!("line {line}: ")), if key.is_empty() { String::new() } else { format!("{key}: ") })]
pub struct ManifestError {
    pub line: Option<usize>,
    /// Dotted path of the key, or empty.
    pub key: String,
    pub cause: String,
}
