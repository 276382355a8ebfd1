//! How much a plugin may use. The manifest asks, the host has ceilings, and the operator's grant
//! may go beyond both: a limit is never raised by the plugin alone.

use serde::{Deserialize, Serialize};

/// The limits of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// All linear memories together.
    pub memory_bytes: usize,
    /// All tables together.
    pub table_elements: usize,
    /// Roughly one unit per instruction.
    pub fuel: u64,
    pub wall_seconds: u64,
    /// Opened in one call, closed ones included.
    pub connections: u32,
    /// Each way, per connection.
    pub connection_bytes: u64,
    pub connect_seconds: u64,
    pub log_lines: u32,
    pub log_bytes: usize,
    /// All strings and lists of one answer together.
    pub answer_bytes: usize,
    /// Request and response body, each.
    pub http_body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 32 << 20,
            table_elements: 20_000,
            fuel: 20_000_000_000,
            wall_seconds: 30,
            connections: 8,
            connection_bytes: 16 << 20,
            connect_seconds: 5,
            log_lines: 200,
            log_bytes: 64 << 10,
            answer_bytes: 512 << 10,
            http_body_bytes: 1 << 20,
        }
    }
}

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
