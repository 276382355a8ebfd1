//! What can go wrong, sorted by when: loading bytes, granting, calling. Each message names the
//! cause and the fix. No error holds a secret: text from a plugin is scrubbed before it gets here.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::contract;
use crate::manifest::ManifestError;

/// Did the target change? Only `No` permits another value; `Unknown` forces a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applied {
    No,
    Yes,
    Unknown,
}

/// Who says so: the plugin, or the host that ended its call or refused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    Plugin,
    Host,
}

/// What went wrong. The first group is the contract's, the second only the host says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    InvalidSecret,
    InvalidSettings,
    Unsupported,
    Dns,
    Unreachable,
    Tls,
    Auth,
    Permission,
    Rejected,
    Unprotected,
    Drift,
    Conflict,
    Throttled,
    /// The deadline passed. With [`Origin::Host`]: the call was cut off.
    Timeout,
    Protocol,
    Internal,
    Other,

    /// The plugin trapped (a panic, a fault, recursion too deep).
    Trap,
    /// It used more instructions than it may.
    OutOfFuel,
    /// It wanted more memory or table elements than it may.
    OutOfMemory,
    /// Its answer, or a message to the host, was larger than it may be.
    TooLarge,
    /// Its answer breaks the contract (an empty value, another host in a created value).
    InvalidAnswer,
    /// Candidate and CURRENT differ in an identity pointer: refused before the plugin ran.
    IdentityChanged,
    /// A companion or endpoint that is not granted: refused before the plugin ran.
    Denied,
}

impl ErrorKind {
    /// The name in logs and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidSecret => "invalid-secret",
            Self::InvalidSettings => "invalid-settings",
            Self::Unsupported => "unsupported",
            Self::Dns => "dns",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::Rejected => "rejected",
            Self::Unprotected => "unprotected",
            Self::Drift => "drift",
            Self::Conflict => "conflict",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
            Self::Other => "other",
            Self::Trap => "trap",
            Self::OutOfFuel => "out-of-fuel",
            Self::OutOfMemory => "out-of-memory",
            Self::TooLarge => "too-large",
            Self::InvalidAnswer => "invalid-answer",
            Self::IdentityChanged => "identity-changed",
            Self::Denied => "denied",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a call gave no answer. All text is scrubbed, escaped and capped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    pub kind: ErrorKind,
    pub applied: Applied,
    pub retryable: bool,
    pub retry_after_ms: Option<u64>,
    /// SQLSTATE, Redis error word, HTTP status.
    pub code: Option<String>,
    /// One sentence: what failed and what to do next.
    pub message: String,
    /// Read by people only, but for `companion`: the companion whose login failed.
    pub details: Vec<(String, String)>,
    pub origin: Origin,
}

impl CallError {
    /// An error that the host itself raises.
    pub(crate) fn by_host(kind: ErrorKind, applied: Applied, message: String) -> Self {
        Self {
            kind,
            applied,
            retryable: false,
            retry_after_ms: None,
            code: None,
            message,
            details: Vec::new(),
            origin: Origin::Host,
        }
    }

    /// The companion whose login failed, if the plugin said so: re-read it once and call again.
    pub fn failed_companion(&self) -> Option<&str> {
        let (_, name) = self.details.iter().find(|(key, _)| key == "companion")?;
        (self.kind == ErrorKind::Auth).then_some(name.as_str())
    }
}

/// Why a plugin cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    #[error("cannot read the plugin {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{plugin} is larger than the {bytes_max} bytes that a plugin may have; build it for size: opt-level = \"s\", lto = true and strip = true under [profile.release]"
    )]
    TooLarge { plugin: String, bytes_max: u64 },
    #[error(
        "{plugin} has the sha256 {actual}, but {expected} is pinned; if the change is intended, pin the new hash"
    )]
    Sha256 {
        plugin: String,
        expected: String,
        actual: String,
    },
    #[error("the pinned sha256 of {plugin} is not 64 hexadecimal digits: {expected}")]
    Sha256Malformed { plugin: String, expected: String },
    #[error(
        "{plugin} is not WebAssembly: it does not begin with the bytes `\\0asm`; give the .wasm file that `keyturn plugin build` writes"
    )]
    NotWasm { plugin: String },
    #[error("{plugin} is a core module, not a component; make it one with `keyturn plugin build`")]
    CoreModule { plugin: String },
    #[error(
        "{plugin} is a precompiled file; Keyturn runs native code only from its own binary, so give the .wasm component that it was made from"
    )]
    Precompiled { plugin: String },
    #[error("{plugin} is not a valid component: {cause}; rebuild it with `keyturn plugin build`")]
    Invalid { plugin: String, cause: String },
    #[error(
        "{plugin} speaks {found}, and this host speaks {}; rebuild it with the keyturn-sdk of this release",
        contract::spoken()
    )]
    ContractVersion { plugin: String, found: String },
    #[error(
        "{plugin} speaks keyturn:rotation@{found}, but its manifest says contract = \"{declared}\"; write contract = \"{found}\" into plugin.toml"
    )]
    ContractMismatch {
        plugin: String,
        found: String,
        declared: String,
    },
    #[error(
        "{plugin} does not export keyturn:rotation/rotator; implement `Rotator` and call the SDK's export macro"
    )]
    NoRotator { plugin: String },
    #[error(
        "{plugin} imports {import}, which its manifest does not declare; add \"{capability}\" to `capabilities` in plugin.toml"
    )]
    ImportUndeclared {
        plugin: String,
        import: String,
        capability: Capability,
    },
    #[error(
        "{plugin} imports {import}, and plugins have no WASI; build it with `keyturn plugin build`, which takes wasm32-unknown-unknown and no wasi target; if a dependency calls WASI on that target too, `cargo tree --target wasm32-unknown-unknown` shows who brings wasi, wasip1 or wasip2: do without it"
    )]
    ImportWasi { plugin: String, import: String },
    #[error(
        "{plugin} imports {import}: a dependency takes it for part of a web page (wasm-bindgen); `cargo tree --target wasm32-unknown-unknown --invert wasm-bindgen` shows which: turn off its feature for browsers (`js`, `wasm_js`, `wasmbind`), or do without it"
    )]
    ImportBrowser { plugin: String, import: String },
    #[error(
        "{plugin} imports the function {symbol}, which nothing defines: it, or a dependency, declares it as `extern` and expects C code or an operating system; do without that dependency or feature"
    )]
    ImportUndefined { plugin: String, symbol: String },
    #[error(
        "no component can be made of {plugin}: {cause}; its imports and exports must be those of one version of keyturn-sdk, whose export macro makes it a plugin"
    )]
    NoComponent { plugin: String, cause: String },
    #[error(
        "{plugin} imports {import}, which is not part of keyturn:rotation@{contract}; remove the dependency that imports it"
    )]
    ImportUnknown {
        plugin: String,
        import: String,
        contract: &'static str,
    },
    #[error(
        "{plugin} carries no manifest (custom section `keyturn:manifest`); the SDK's export macro embeds plugin.toml, so build it with the macro"
    )]
    NoManifest { plugin: String },
    #[error(
        "{plugin} carries {count} different manifests (custom section `keyturn:manifest`); call the SDK's export macro once"
    )]
    ManyManifests { plugin: String, count: usize },
    #[error("the manifest of {plugin} is invalid: {source}")]
    Manifest {
        plugin: String,
        source: ManifestError,
    },
    #[error("`describe` of {plugin} failed: {source}")]
    DescribeFailed { plugin: String, source: CallError },
    #[error("`describe` of {plugin} is invalid: {cause}")]
    Descriptor { plugin: String, cause: String },
    #[error(
        "the bundled plugin {plugin} was compiled for another build of Keyturn or another machine ({cause}); rebuild with `make`"
    )]
    Stale { plugin: String, cause: String },
    #[error("the sandbox cannot be set up: {cause}; please report this")]
    Engine { cause: String },
}

/// Why a plugin cannot have what the configuration gives it, or lacks what it needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    #[error("plugin {plugin} imports {import}, which is not granted; {fix}")]
    ImportNotGranted {
        plugin: String,
        import: String,
        fix: String,
    },
    #[error("plugin {plugin} declares no endpoint \"{endpoint}\", but the grant has one; {known}")]
    EndpointUnknown {
        plugin: String,
        endpoint: String,
        known: String,
    },
    #[error(
        "plugin {plugin} needs the endpoint \"{endpoint}\", which is not granted; add [grant.endpoint.{endpoint}] with {needs}"
    )]
    EndpointMissing {
        plugin: String,
        endpoint: String,
        needs: String,
    },
    #[error("grant.endpoint.{endpoint}.{key} is invalid: {cause}")]
    Endpoint {
        endpoint: String,
        key: &'static str,
        cause: String,
    },
    #[error(
        "plugin {plugin} declares no companion \"{companion}\", but the grant has one; {known}"
    )]
    CompanionUnknown {
        plugin: String,
        companion: String,
        known: String,
    },
    #[error(
        "plugin {plugin} needs the companion \"{companion}\", which is not granted; add grant.companion.{companion} = [\"<name of the secret>\"]"
    )]
    CompanionMissing { plugin: String, companion: String },
    #[error("settings of plugin {plugin} are invalid at {at}: {cause}")]
    Settings {
        plugin: String,
        at: String,
        cause: String,
    },
    #[error("password policy: {cause}")]
    Password { cause: String },
    #[error(
        "plugin {plugin} asks for {key} = {asked}, more than the {ceiling} that plugins get; if it is trusted with that, set grant.limits.{key} = {asked}"
    )]
    Limit {
        plugin: String,
        key: &'static str,
        asked: u64,
        ceiling: u64,
    },
    #[error(
        "grant.limits.{key} may be at most {ceiling}, which the sandbox reserves per call; lower it"
    )]
    LimitImpossible { key: &'static str, ceiling: u64 },
    #[error("the sandbox cannot link plugin {plugin}: {cause}; please report this")]
    Link { plugin: String, cause: String },
}
