//! The harness that Keyturn's suites, its demo and its prober share: real servers in scratch
//! folders, certificates, faults on the wire, a prober and a canary scanner. It checks Keyturn from
//! outside: it never calls into the engine, and it never trusts a label or a time that Keyturn
//! reports where it can ask the server or the store itself.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod canary;
pub mod elasticache;
pub mod endpoint;
pub mod guests;
pub mod http;
pub mod https;
pub mod lambda;
pub mod listeners;
mod local;
pub mod poll;
pub mod postgres;
pub mod prober;
pub mod proxy;
pub mod redis;
pub mod scratch;
pub mod signature;
pub mod signed;
pub mod sns;
pub mod stripe;
pub mod tls;
pub mod vendors;
