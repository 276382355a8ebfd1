//! Where Keyturn keeps secrets.
//!
//! [`SecretStore`] is the one door between the rotation engine and a store, and it speaks the language of AWS
//! Secrets Manager: secrets, immutable versions, staging labels that sit on at most one version, error codes.
//! [`embedded::EmbeddedStore`] keeps everything in one SQLite file; [`memory::MemoryStore`] keeps the same semantics
//! in memory for simulations; [`aws::AwsStore`] is AWS Secrets Manager itself, or whatever speaks like it. All run the
//! same contract suite, and the first two decide through the same pure rules. What only a service keeps of a secret
//! ([`service`]) is the embedded store's alone.
//!
//! The crate never talks to a rotation target, never reads a value except to hand it back, and never prints one.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)
)]

mod clock;
#[cfg(test)]
mod contract_tests;
mod error;
#[cfg(test)]
mod model_tests;
mod rules;
mod store;
mod tags;
mod types;

pub mod aws;
#[cfg(any(test, feature = "contract-suite"))]
pub mod contract;
pub mod embedded;
pub mod labels;
pub mod limits;
pub mod memory;
pub mod service;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{Changed, ErrorKind, StoreError};
pub use store::{RunGuard, SecretStore};
pub use types::{
    NewSecret, Notes, Put, SecretDescription, SecretName, StoredVersion, VersionDescription,
    VersionId, Which,
};
