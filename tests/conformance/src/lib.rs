//! The conformance kit: whether a plugin may hold production credentials. It loads the plugin into the real sandbox,
//! runs it under the real engine, breaks what it talks to, and reports numbered checks. The command line ships it as
//! `keyturn plugin check`; the first-party plugins' suites call the same function.
//!
//! It knows no protocol of any target. What it can tell is what the plugin says of itself, what passes through the
//! [`gate`]s that it puts between plugin and target, and whether the two agree. `catalogue` lists the checks.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod catalogue;
mod checks;
mod doors;
mod gate;
mod junit;
mod kit;
mod leaving;
mod report;
mod sample;
mod stage;
mod value;
mod watch;
mod world;

pub use catalogue::{CHECKS, Check};
pub use kit::check;
pub use report::{Entry, Report, Ruling, Verdict};
pub use sample::{Sample, SampleError, Target};
pub use stage::{Answers, Scene, Stage, Tls};
