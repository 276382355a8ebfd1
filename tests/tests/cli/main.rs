//! The `keyturn` binary end to end: every test runs it as an operator would, with a folder of its own,
//! the embedded store and, where a database is rotated, a PostgreSQL of its own. What the store holds
//! is read through keyturn-store and what a password opens through another client, never from what
//! the command says about itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod support;

mod assisted;
mod at_once;
mod aws;
mod canary;
mod configuration;
mod credentials;
mod database;
mod elasticache;
mod endurance;
mod examples;
mod failover;
mod failures;
mod full_disk;
mod grants;
mod init;
mod interruption;
mod interruption_on_the_wire;
mod key_ring;
mod lambda;
mod localstripe;
mod moved;
mod opaque;
mod plugin_check;
mod plugins;
mod redis;
mod rivals;
mod secrets;
mod serve;
mod serve_agent;
mod serve_clients;
mod serve_load;
mod serve_rotation;
mod tokens;
mod vendors;
