//! How much a plugin may use. The manifest asks, the host has ceilings, and only the operator's
//! grant goes beyond them: a plugin alone never raises a limit past its ceiling.

use keyturn_policy::limits::LimitsOverride;
use serde::Serialize;

use crate::error::GrantError;

/// The most memory that any plugin may have, granted or not: the engine reserves this much
/// address space per instance.
pub(crate) const MEMORY_BYTES_CEILING: usize = 64 << 20;

/// The most that one message from plugin to host may carry, whatever the call.
pub(crate) const MESSAGE_BYTES_MAX: usize = 2 << 20;

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
    /// Attempts in one call: failed and closed ones count.
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

impl Limits {
    /// For `describe`, which has nothing to do but answer.
    pub(crate) fn of_describe() -> Self {
        Self {
            fuel: 200_000_000,
            wall_seconds: 5,
            connections: 0,
            log_lines: 10,
            answer_bytes: 128 << 10,
            ..Self::default()
        }
    }

    /// Default, then what the manifest asks for (up to the ceilings), then what the grant sets.
    // Long because each limit stands here with its ceiling, once.
    pub(crate) fn agreed(
        plugin: &str,
        asked: &LimitsOverride,
        granted: &LimitsOverride,
    ) -> Result<Self, GrantError> {
        let mut limits = Self::default();
        let agree = |key, asked: Option<u64>, granted: Option<u64>, ceiling: u64, of_default| match (
            asked, granted,
        ) {
            (_, Some(granted)) => Ok(granted),
            (Some(asked), None) if asked > ceiling => {
                let plugin = plugin.to_owned();
                Err(GrantError::Limit {
                    plugin,
                    key,
                    asked,
                    ceiling,
                })
            }
            (Some(asked), None) => Ok(asked),
            (None, None) => Ok(of_default),
        };
        let memory = |bytes: Option<usize>| bytes.map(|bytes| bytes as u64);
        let memory_bytes = agree(
            "memory_bytes",
            memory(asked.memory_bytes),
            memory(granted.memory_bytes),
            MEMORY_BYTES_CEILING as u64,
            limits.memory_bytes as u64,
        )?;
        limits.fuel = agree(
            "fuel",
            asked.fuel,
            granted.fuel,
            100_000_000_000,
            limits.fuel,
        )?;
        limits.wall_seconds = agree(
            "wall_seconds",
            asked.wall_seconds,
            granted.wall_seconds,
            120,
            limits.wall_seconds,
        )?;
        limits.connections = agree(
            "connections",
            asked.connections.map(u64::from),
            granted.connections.map(u64::from),
            64,
            limits.connections.into(),
        )?
        .min(u32::MAX.into()) as u32;
        limits.connection_bytes = agree(
            "connection_bytes",
            asked.connection_bytes,
            granted.connection_bytes,
            64 << 20,
            limits.connection_bytes,
        )?;
        limits.connect_seconds = agree(
            "connect_seconds",
            asked.connect_seconds,
            granted.connect_seconds,
            30,
            limits.connect_seconds,
        )?;
        if memory_bytes > MEMORY_BYTES_CEILING as u64 {
            return Err(GrantError::LimitImpossible {
                key: "memory_bytes",
                ceiling: MEMORY_BYTES_CEILING as u64,
            });
        }
        limits.memory_bytes = memory_bytes as usize;
        Ok(limits)
    }
}
