//! The store that is AWS Secrets Manager, through aws-sdk and real HTTP, against Keyturn's own endpoint.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod contract;
mod faults;
mod ids;
mod support;
