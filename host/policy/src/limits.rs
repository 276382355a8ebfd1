//! The limits that a manifest asks for and a grant sets. What they come to, with the defaults and
//! the ceilings, is the sandbox's business.

use serde::{Deserialize, Serialize};

/// Limits that a manifest asks for or a grant sets; absent fields keep the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsOverride {
    pub memory_bytes: Option<usize>,
    pub fuel: Option<u64>,
    pub wall_seconds: Option<u64>,
    pub connections: Option<u32>,
    pub connection_bytes: Option<u64>,
    pub connect_seconds: Option<u64>,
}
