//! One call through the sandbox, against instantiating and calling an empty component under the same limits.

use std::time::Instant;

use keyturn_runtime::{Grant, RuntimeOptions};
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Enabled, Engine, PoolingAllocationConfig, ResourceLimiter, Store};

use crate::Result;
use crate::measure::{self, Pair};
use crate::plugins;
use crate::report::Row;

const CALLS: u32 = 400;
const ROUNDS: usize = 25;
const MEMORY_BYTES_MAX: usize = 32 << 20;
const TABLE_ELEMENTS_MAX: usize = 20_000;
const FUEL: u64 = 20_000_000_000;

/// One memory, one function: the least that a component can be and still be limited.
const EMPTY: &str = r#"
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "run")))
  (core instance $i (instantiate $m))
  (func (export "run") (canon lift (core func $i "run"))))
"#;

/// # Errors
/// A plugin that was not built, or a call that fails.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut rows = Vec::new();
    for (plugin, value) in [("api-key", crate::API_KEY), ("jwt", crate::JWT)] {
        let what = || format!("sandbox: one call (`finish` of {plugin})");
        let pair = runtime.block_on(against_empty(plugin, value, Memory::Reserved))?;
        rows.push(
            Row::new(what(), &pair)
                .against("instantiating and calling an empty component")
                .mark(2.0),
        );
        let pair = runtime.block_on(against_empty(plugin, value, Memory::Mapped))?;
        rows.push(
            Row::new(what(), &pair).against("the same with wasmtime's default, memory mapped anew"),
        );
    }
    Ok(rows)
}

/// Where the empty component's memory comes from.
enum Memory {
    /// From a pool, as in the sandbox.
    Reserved,
    /// From the kernel, for each call.
    Mapped,
}

async fn against_empty(plugin: &'static str, value: &str, memory: Memory) -> Result<Pair> {
    let plugin = plugins::granted(RuntimeOptions::default(), plugin, Grant::default()).await?;
    let (call, candidate) = (
        plugins::call("overlap", value),
        plugins::version("candidate", value),
    );
    let empty = Empty::new(memory)?;
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let began = Instant::now();
        for _ in 0..CALLS {
            plugin.finish(&call, &candidate).await?;
        }
        let of_ours = began.elapsed() / CALLS;
        let began = Instant::now();
        for _ in 0..CALLS {
            empty.call().await?;
        }
        if round > 0 {
            ours.push(of_ours);
            floor.push(began.elapsed() / CALLS);
        }
    }
    Ok(Pair {
        ours: measure::median(ours),
        floor: measure::median(floor),
    })
}

/// A plain wasmtime program with the sandbox's settings, as far as they cost time.
struct Empty {
    engine: Engine,
    pre: InstancePre<Limits>,
}

impl Empty {
    fn new(memory: Memory) -> Result<Self> {
        let mut config = Config::new();
        if let Memory::Reserved = memory {
            let mut pool = PoolingAllocationConfig::new();
            pool.total_component_instances(64)
                .total_stacks(64)
                .max_memory_size(64 << 20)
                .table_elements(TABLE_ELEMENTS_MAX)
                .pagemap_scan(Enabled::Auto)
                .linear_memory_keep_resident(2 << 20)
                .table_keep_resident(8 << 10)
                .async_stack_keep_resident(64 << 10);
            config.allocation_strategy(pool).async_stack_zeroing(true);
        }
        config
            .wasm_component_model(true)
            .consume_fuel(true)
            .epoch_interruption(true)
            .max_wasm_stack(512 << 10)
            .async_stack_size(2 << 20)
            .memory_reservation(64 << 20)
            .memory_reservation_for_growth(0)
            .memory_guard_size(64 << 10);
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, wat::parse_str(EMPTY)?)?;
        let pre = Linker::new(&engine).instantiate_pre(&component)?;
        Ok(Self { engine, pre })
    }

    async fn call(&self) -> Result<()> {
        let mut store = Store::new(&self.engine, Limits);
        store.limiter(|limits| limits);
        store.set_fuel(FUEL)?;
        store.epoch_deadline_async_yield_and_update(1);
        store.set_epoch_deadline(1);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
        run.call_async(&mut store, ()).await?;
        Ok(())
    }
}

struct Limits;

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MEMORY_BYTES_MAX)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}
