//! Engine configuration. Both engines must agree on everything but the target, or bundled plugins
//! would be refused as stale.

use std::num::NonZeroU32;

use wasmtime::{Config, Enabled, Engine, PoolingAllocationConfig, Result};

use super::limiter::{INSTANCES_MAX, MEMORIES_MAX, TABLES_MAX};
use crate::limits::{Limits, MEMORY_BYTES_CEILING};

/// Depth of a plugin's own stack. Rust plugins need a tenth; recursion without end traps here.
const WASM_STACK_BYTES: usize = 512 << 10;
/// Host functions run on the same fiber, below the plugin's frames.
const ASYNC_STACK_BYTES: usize = 2 << 20;

/// What a place keeps in memory for its next call, instead of having the kernel take it and give it back page by
/// page: what a plugin usually touches. It is wiped after each call, kept or not.
const MEMORY_BYTES_KEPT: usize = 2 << 20;
const TABLE_BYTES_KEPT: usize = 8 << 10;
const STACK_BYTES_KEPT: usize = 64 << 10;
/// The engine's own records of an instance; a plugin of the largest size that is loaded fits.
const INSTANCE_BYTES_MAX: usize = 16 << 20;

/// The engine that runs plugins and compiles third-party ones for exactly this machine. It has places for so many
/// calls at once.
pub(crate) fn running_engine(calls_at_once: NonZeroU32) -> Result<Engine> {
    let mut config = config();
    config
        .allocation_strategy(pool(calls_at_once.get()))
        // What host functions had on a call's stack must not be there for the next plugin.
        .async_stack_zeroing(true);
    Engine::new(&config)
}

/// The engine that compiles bundled plugins, for a target or else for this machine's. The explicit target keeps the features of the build
/// machine's CPU out of the artefact, which an older CPU would refuse.
pub(crate) fn compiling_engine(target: Option<&str>) -> Result<Engine> {
    let mut config = config();
    config.target(target.unwrap_or(&host_triple()))?;
    Engine::new(&config)
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Determinism and a small surface: no plugin needs these, and each is code that could be
        // wrong.
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_wide_arithmetic(false)
        // CPU by fuel. Epochs only make a running plugin yield, so that the deadline can fire even
        // inside long instructions such as memory.fill, which cost one unit of fuel.
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        // The default reserves 4 GiB of address space per memory.
        .memory_reservation(MEMORY_BYTES_CEILING as u64)
        .memory_reservation_for_growth(0)
        .memory_guard_size(64 << 10)
        // A trap's text must not carry the plugin's symbol names into errors.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false);
    config
}

/// Address space for each call's memories, tables and stack, reserved once: mapping it anew for each call costs more
/// than most calls do.
fn pool(calls_at_once: u32) -> PoolingAllocationConfig {
    let of_calls = |each: usize| calls_at_once.saturating_mul(each as u32);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls_at_once)
        .total_stacks(calls_at_once)
        .total_core_instances(of_calls(INSTANCES_MAX))
        .total_memories(of_calls(MEMORIES_MAX))
        .total_tables(of_calls(TABLES_MAX))
        .max_core_instances_per_component(INSTANCES_MAX as u32)
        .max_memories_per_component(MEMORIES_MAX as u32)
        .max_tables_per_component(TABLES_MAX as u32)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .max_memory_size(MEMORY_BYTES_CEILING)
        .table_elements(Limits::default().table_elements)
        // Where the kernel can say which pages a call has written, only those are wiped.
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(MEMORY_BYTES_KEPT)
        .table_keep_resident(TABLE_BYTES_KEPT)
        .async_stack_keep_resident(STACK_BYTES_KEPT);
    pool
}

fn host_triple() -> String {
    let arch = std::env::consts::ARCH;
    match std::env::consts::OS {
        "macos" => format!("{arch}-apple-darwin"),
        os => {
            let environment = if cfg!(target_env = "musl") {
                "musl"
            } else {
                "gnu"
            };
            format!("{arch}-unknown-{os}-{environment}")
        }
    }
}
