//! wasmtime's configuration, in one place: the engine that runs plugins, the engine that compiles
//! the bundled ones, and what bounds a store. No other module sets a wasmtime option.

mod engine;
mod limiter;
mod ticker;

pub(crate) use engine::{compiling_engine, running_engine};
pub(crate) use limiter::{LimitHit, MemoryLimiter};
pub(crate) use ticker::{ActiveCall, Ticker};
