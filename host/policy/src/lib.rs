//! What a plugin asks for (plugin.toml), what the operator grants, and how foreign settings, text
//! and addresses are judged: the pure half of the sandbox's trust decisions.
//!
//! It stands apart from keyturn-runtime so that it can be tested and fuzzed in seconds, without
//! wasmtime. It opens no socket, reads no file, asks no clock and draws no randomness.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod address;
pub mod capability;
pub mod grant;
pub mod limits;
pub mod manifest;
pub mod password;
pub mod scrub;
pub mod settings;
pub mod signing;
pub mod text;
