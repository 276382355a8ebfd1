//! The conformance kit on the plugins that Keyturn ships, at real servers, and on plugins that are broken on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod broken;
mod door;
mod first_party;
mod managed;
mod support;
mod vendors;
