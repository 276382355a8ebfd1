//! Engine configuration. Both engines must agree on everything but the target, or bundled plugins
//! would be refused as stale.

use wasmtime::{Config, Engine, Result};

use crate::limits::MEMORY_BYTES_CEILING;

/// Depth of a plugin's own stack. Rust plugins need a tenth; recursion without end traps here.
const WASM_STACK_BYTES: usize = 512 << 10;
/// Host functions run on the same fiber, below the plugin's frames.
const ASYNC_STACK_BYTES: usize = 2 << 20;

/// The engine that runs plugins and compiles third-party ones for exactly this machine.
pub(crate) fn running_engine() -> Result<Engine> {
    Engine::new(&config())
}

/// The engine that compiles bundled plugins. The explicit target keeps the features of the build
/// machine's CPU out of the artefact, which an older CPU would refuse.
pub(crate) fn compiling_engine() -> Result<Engine> {
    let mut config = config();
    config.target(&host_triple())?;
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
