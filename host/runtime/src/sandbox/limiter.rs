//! Bounds what a store allocates. wasmtime asks per memory and per table; the sums are kept here,
//! because a plugin may have several of each.

use std::fmt;

use wasmtime::{Error, ResourceLimiter, Result};

use crate::limits::Limits;

/// A component of a Rust plugin has three core instances (module, shim, fixups).
pub(super) const INSTANCES_MAX: usize = 16;
pub(super) const MEMORIES_MAX: usize = 4;
pub(super) const TABLES_MAX: usize = 16;

/// Why an allocation was refused; ends the call, so that a plugin cannot try on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitHit {
    Memory { bytes_max: usize },
    Table { elements_max: usize },
    Handles { handles_max: usize },
}

impl fmt::Display for LimitHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { bytes_max } => write!(f, "more than {bytes_max} bytes of memory"),
            Self::Table { elements_max } => write!(f, "more than {elements_max} table elements"),
            Self::Handles { handles_max } => write!(f, "more than {handles_max} open handles"),
        }
    }
}

impl std::error::Error for LimitHit {}

/// The sums of one store.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    memory_bytes: usize,
    memory_bytes_max: usize,
    table_elements: usize,
    table_elements_max: usize,
}

impl MemoryLimiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: 0,
            memory_bytes_max: limits.memory_bytes,
            table_elements: 0,
            table_elements_max: limits.table_elements,
        }
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let total = self
            .memory_bytes
            .saturating_add(desired.saturating_sub(current));
        if total > self.memory_bytes_max {
            return Err(Error::new(LimitHit::Memory {
                bytes_max: self.memory_bytes_max,
            }));
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let total = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        if total > self.table_elements_max {
            return Err(Error::new(LimitHit::Table {
                elements_max: self.table_elements_max,
            }));
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
