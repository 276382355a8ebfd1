//! The path of a plugin's author, walked as the SDK's README describes it, and the usual mistakes, each made for real:
//! with the author's cargo and compiler, and the `keyturn` binary. Nothing is fetched: what the crates depend on is in
//! the workspace's own lock file.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod building;
mod component;
mod mistakes;
mod naming;
mod profiles;
mod readme;
mod support;
