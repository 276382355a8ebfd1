//! Where ids come from: a parameter, so that a test can name its versions.

use keyturn_protocol::VersionId;
use uuid::Uuid;

/// Mints ids of versions and rotations.
pub trait VersionIds: Send + Sync {
    /// A fresh id, `keyturn-` and 36 characters of a UUID.
    fn fresh(&self) -> String;
}

/// Random UUIDs (version 4) from the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl VersionIds for RandomIds {
    fn fresh(&self) -> String {
        format!("{}{}", VersionId::OWN_PREFIX, Uuid::new_v4())
    }
}
