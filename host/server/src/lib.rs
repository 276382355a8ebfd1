//! AWS Secrets Manager's wire protocol (AWS JSON 1.1, Signature Version 4) over the embedded store, so that applications
//! keep their AWS SDK where there is no AWS.
//!
//! A request is bounded, verified, checked against what its access key is granted, and only then looked at. The crate
//! knows no plugin and no engine: rotations go through [`Rotator`], what is changed is announced to [`Trail`], and each
//! request to [`RequestLog`]. No value of a secret reaches any of the three.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod access;
mod arn;
mod around;
mod connection;
mod error;
pub mod faults;
mod members;
mod operations;
mod server;
mod service;
mod sigv4;
mod tls;

pub use arn::Place;
pub use around::{Admitted, Change, RequestLog, RequestRecord, RotateError, Rotator, Trail};
pub use connection::Patience;
pub use server::{Ended, Server};
pub use service::{Options, Service};
pub use tls::tls;
