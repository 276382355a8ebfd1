//! What Keyturn's parsers promise about any input, as plain functions that panic where a promise is
//! broken. libFuzzer (`libfuzzer/`) and the seeded mutator (`tests/replay.rs`) call the same ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a target reports"
)]

pub mod corpus;
pub mod mutator;
pub mod random;
pub mod runner;

mod configuration;
mod endpoint_address;
mod plugin_output;
mod postgres_wire;
mod redis_wire;
mod repeating_server;
mod secret_json;

/// A fuzz target.
pub struct Target {
    /// Also the name of its folder in `corpus/` and its file in `dictionaries/`.
    pub name: &'static str,
    /// Panics if the input breaks a promise.
    pub run: fn(&[u8]),
    /// Mutations per run of the test suite: a few seconds in an unoptimised build.
    pub mutations: u64,
}

/// Members of secrets: parsing, changing, and what the plugins make of them.
pub const SECRET_JSON: Target = Target {
    name: "secret_json",
    run: secret_json::run,
    mutations: 1_000,
};
/// What a PostgreSQL server sends.
pub const POSTGRES_WIRE: Target = Target {
    name: "postgres_wire",
    run: postgres_wire::run,
    mutations: 10_000,
};
/// What a Redis server sends.
pub const REDIS_WIRE: Target = Target {
    name: "redis_wire",
    run: redis_wire::run,
    mutations: 10_000,
};
/// What a plugin says: messages, manifest, schema.
pub const PLUGIN_OUTPUT: Target = Target {
    name: "plugin_output",
    run: plugin_output::run,
    mutations: 5_000,
};
/// Which addresses a plugin reaches.
pub const ENDPOINT_ADDRESS: Target = Target {
    name: "endpoint_address",
    run: endpoint_address::run,
    mutations: 10_000,
};
/// keyturn.toml.
pub const CONFIGURATION: Target = Target {
    name: "configuration",
    run: configuration::run,
    mutations: 50_000,
};

/// All of them.
pub const TARGETS: [Target; 6] = [
    SECRET_JSON,
    POSTGRES_WIRE,
    REDIS_WIRE,
    PLUGIN_OUTPUT,
    ENDPOINT_ADDRESS,
    CONFIGURATION,
];
