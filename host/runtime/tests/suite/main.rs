//! The runtime against a plugin that does what it is told, real listeners, and components that no
//! honest toolchain would build. Every denial is held to its exact text.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contract;
mod endings;
mod granting;
mod loading;
mod network;
mod secrets;
mod signing;
mod support;
mod tls;
