//! The plugin against real servers, through the fake host: no sandbox and no engine, so that each fault can be aimed
//! at one byte of one command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;
mod dual;
mod elasticache;
mod faults;
mod gates;
mod replication;
mod single;
