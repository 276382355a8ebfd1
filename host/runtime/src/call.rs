//! What the engine hands to a call: names for logs, the values that the plugin may see, and the
//! time that it has. Nothing here names a store; values are handed over, never fetched.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// One call's context. Settings, limits and endpoints come from the grant, not from here.
#[derive(Clone, Debug)]
pub struct Call {
    /// The secret's name, for logs.
    pub secret: String,
    /// Empty unless the secret holds several credentials.
    pub credential: String,
    /// `prod`, `staging`, …; empty if unknown.
    pub environment: String,
    pub rotation_id: String,
    /// From 1.
    pub attempt: u32,
    /// Time left for this call; the grant's `wall_seconds` may shorten it.
    pub budget: Duration,
    /// One of those that the descriptor lists.
    pub strategy: String,
    /// The version that AWSCURRENT names when the step starts. Endpoints resolve from it alone.
    pub current: Version,
    /// Older values that may still open the door.
    pub others: Vec<OtherVersion>,
    /// The secrets that [`GrantedPlugin::companions_needed`](crate::GrantedPlugin::companions_needed)
    /// asked for, each at its AWSCURRENT.
    pub companions: Vec<Companion>,
}

/// A stored value, the secret's whole text, under its version id.
#[derive(Clone)]
pub struct Version {
    pub id: String,
    pub value: SecretString,
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Why an older value is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    Previous,
    InDoubt,
    Retiring,
}

/// An older value that may still open the door.
#[derive(Clone, Debug)]
pub struct OtherVersion {
    pub standing: Standing,
    pub version: Version,
}

/// Another secret that manifest and grant both name, at its AWSCURRENT.
#[derive(Clone, Debug)]
pub struct Companion {
    /// The manifest's name for it, such as `admin`.
    pub name: String,
    /// The secret's name in the store.
    pub secret: String,
    pub version: Version,
}

/// A secret that the engine must read at AWSCURRENT before it calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CompanionNeed {
    pub name: String,
    pub secret: String,
}

/// What `create` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    Replace,
    Announce,
    Activate,
    Extend,
    Retire,
    Restore,
}

#[derive(Clone, Debug)]
pub struct CreateRequest {
    pub purpose: Purpose,
    /// Answers to an earlier [`InputRequest`](crate::InputRequest), else empty.
    pub inputs: Vec<Input>,
    /// How long the old value stays accepted; 0 = revoke at once, keep no previous value.
    pub overlap_seconds: u64,
    /// Unix seconds.
    pub next_rotation: Option<u64>,
    /// Only with [`Purpose::Restore`].
    pub restore: Option<Version>,
}

/// One answer of the operator.
#[derive(Clone)]
pub struct Input {
    pub name: String,
    pub value: SecretString,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub struct RetireRequest {
    /// The value to kill; CURRENT must not hold it.
    pub subject: Version,
    /// An age, so that no two clocks are compared.
    pub end_sessions_older_than: Option<Duration>,
}
