//! The plugin against real PostgreSQL servers, through the SDK's fake host. One program, so that
//! the harness is linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod alternating;
mod canary;
mod common;
mod faults;
mod gates;
mod logins;
mod single;
mod tls;
