//! The harness that Keyturn's suites, its demo and its prober share: real servers in scratch
//! folders, certificates, faults on the wire, a prober and a canary scanner. It checks Keyturn from
//! outside: it never calls into the engine, and it never reads a clock or a label that Keyturn
//! computed where it can ask the server or the store itself.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod poll;
pub mod postgres;
pub mod scratch;
