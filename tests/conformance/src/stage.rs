//! Where a plugin is checked: a value that opens a door, and what only the owner of the door can do to it. The kit knows
//! no protocol, so whoever calls it brings this along.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use keyturn_runtime::{AwsIdentity, InputRequest, TlsMode};
use serde_json::Value;

/// What one check starts with.
#[derive(Clone, Default)]
pub struct Scene {
    /// The secret's JSON text. If there is a target, it opens it now.
    pub secret: String,
    /// Absent: the plugin's first strategy.
    pub strategy: Option<String>,
    pub settings: Value,
    /// The companions' JSON texts, by the manifest's names.
    pub companions: BTreeMap<String, String>,
    /// `host:port` of the nodes of each endpoint that no value names.
    pub endpoints: BTreeMap<String, Vec<String>>,
    /// By `host:port` of a server as value or grant name it: the `host:port` where it is reached instead, as through a
    /// tunnel.
    pub reached_at: BTreeMap<String, String>,
    pub tls: Tls,
    /// A value that logs in and lacks the rights that the plugin's `test` demands.
    pub unprivileged: Option<String>,
    /// A value of a place that lets in any credential.
    pub unprotected: Option<String>,
}

/// How the targets are protected.
#[derive(Clone, Default)]
pub struct Tls {
    pub mode: TlsMode,
    pub ca: Option<PathBuf>,
    /// The name to verify instead of the host's.
    pub server_name: Option<String>,
}

/// The answers to prompts, by their names.
pub type Answers = BTreeMap<String, String>;

/// Brings scenes.
#[async_trait]
pub trait Stage: Send + Sync {
    /// Whether the values of its scenes open anything. Without a target the checks that need one are not covered.
    fn has_target(&self) -> bool;

    /// A value to start a check with.
    ///
    /// # Errors
    /// Why there is none (any more): the check is not covered.
    async fn scene(&self) -> Result<Scene, String>;

    /// What an operator answers; each time something else.
    ///
    /// # Errors
    /// Why there is no (further) answer.
    fn answers(&self, asked: &InputRequest) -> Result<Answers, String>;

    /// With what requests are signed that the plugin's manifest wants signed. `None`: nothing is.
    fn identity(&self) -> Option<Arc<dyn AwsIdentity>> {
        None
    }

    /// Told what AWSCURRENT holds after a check.
    fn leave(&self, _current: &str) {}

    /// Ends a value at its vendor, as an operator does. False if it cannot.
    fn end(&self, _value: &str) -> bool {
        false
    }

    /// Makes the target let in any credential, or stop that: where a value cannot name a place that does. False if it
    /// cannot.
    fn open_to_all(&self, _on: bool) -> bool {
        false
    }

    /// Whether a check, by its id, is not made: it stays open.
    fn leaves_out(&self, _check: &str) -> bool {
        false
    }

    /// Makes a replica that is tested and never changed stop following, or follow again. False if it cannot.
    fn lag(&self, _on: bool) -> bool {
        false
    }
}
