//! What the server asks of the program around it.

use std::io;

use async_trait::async_trait;
use keyturn_store::{SecretName, VersionId};
use serde::Serialize;

/// Rotates secrets on behalf of RotateSecret.
pub trait Rotator: Send + Sync {
    /// Keeps a place for one rotation of this secret, which is given back when the answer is dropped or the rotation is
    /// over.
    ///
    /// # Errors
    /// [`RotateError`] says why it cannot be rotated, or not now.
    fn admit(&self, name: &SecretName) -> Result<Box<dyn Admitted>, RotateError>;
}

/// A rotation that may begin. `key` is the holder of the access key that asked for it.
#[async_trait]
pub trait Admitted: Send + Sync {
    /// Whether the version is announced under AWSPENDING before the rotation begins, as AWS's service does it.
    fn is_announced(&self) -> bool;

    /// Begins the rotation to the version `token`, or continues it, and answers at once; it goes on by itself.
    fn begin(self: Box<Self>, token: &VersionId, key: &str);

    /// Tries the configuration without a new value, and takes AWSPENDING off the announced version `token` again: what
    /// RotateImmediately=false asks for.
    ///
    /// # Errors
    /// [`RotateError`] says what would keep a rotation from working.
    async fn check(self: Box<Self>, token: &VersionId, key: &str) -> Result<(), RotateError>;
}

/// Why a secret is not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// No rotation of it is configured.
    #[error("no rotation is configured for this secret")]
    NotConfigured,
    /// A rotation of it is under way in this process.
    #[error("a rotation of this secret is under way")]
    UnderWay,
    /// Too many others are.
    #[error("too many rotations are under way")]
    Busy,
    /// In words for the client, without a value.
    #[error("{0}")]
    Refused(String),
}

/// A change that a client makes, for the audit trail.
#[derive(Debug, Clone)]
pub struct Change {
    pub secret: String,
    /// The operation, such as `PutSecretValue`.
    pub operation: &'static str,
    /// The version that it is about; empty if none.
    pub version: String,
    /// The holder of the access key.
    pub key: String,
    pub request_id: String,
}

/// Keeps what clients change: an intent before each change, an outcome after it.
pub trait Trail: Send + Sync {
    /// # Errors
    /// If it could not be written; then the change is not made.
    fn intent(&self, change: &Change) -> io::Result<()>;

    /// It has happened, or it has failed; neither can be undone, so nothing is answered.
    fn outcome(&self, change: &Change, done: bool, duration_ms: f64);
}

/// Hears of each request once it is answered. Must not block: requests wait for it.
pub trait RequestLog: Send + Sync {
    fn record(&self, record: &RequestRecord);
}

/// One request, without any value.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RequestRecord {
    /// Unix milliseconds at which its head had arrived.
    pub at_ms: u64,
    pub request_id: String,
    pub client: String,
    /// The holder of the access key; empty until the signature is verified.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// The id of the access key that it names, where its signature was refused.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub claimed_id: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub operation: &'static str,
    /// The secret, once it is found: what a client writes into its place may be anything.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret: String,
    /// Those whose values a BatchGetSecretValue has told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretName>,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    pub duration_ms: f64,
}
