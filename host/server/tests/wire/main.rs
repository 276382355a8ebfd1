//! The endpoint from outside: every operation, every refusal, and requests that no SDK would send.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod faults;
mod grants;
mod lists;
mod rotation;
mod service;
mod signatures;
mod support;
mod tls;
mod transport;
mod values;
