//! All that the author of a Keyturn plugin needs.
//!
//! A plugin knows one kind of credential. It implements [`Rotator`] for a type of its own and hands
//! that type to [`export!`], which turns the crate into a plugin and embeds its `plugin.toml`:
//!
//! ```ignore
//! struct Opaque;
//! impl keyturn_sdk::Rotator for Opaque { /* describe, create, test, probe */ }
//! keyturn_sdk::export!(Opaque);
//! ```
//!
//! The capabilities that a grant can name are one module each: [`endpoint`], [`http`], [`random`],
//! [`password`], [`key_derivation`], [`clock`] and [`log`](mod@log). Secrets are JSON objects, read and changed through
//! [`Members`], which keeps the text of every member that the plugin does not own.
//!
//! Natively the same calls reach the [`fake`] host, so that `cargo test` in a plugin crate needs
//! neither WebAssembly nor a running Keyturn. The crate never reaches the operating system from
//! WebAssembly: a plugin's only imports are those of the contract. There it also brings the global allocator.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
// The cfg by which getrandom's users choose its backend; no feature of ours.
#![allow(unexpected_cfgs, reason = "getrandom_backend belongs to getrandom")]

mod adapter;
#[cfg(target_arch = "wasm32")]
mod allocator;
#[doc(hidden)]
pub mod bindings;
mod error;
mod host;
mod secret;
mod types;

pub mod clock;
pub mod endpoint;
#[cfg(not(target_arch = "wasm32"))]
pub mod fake;
#[cfg(target_arch = "wasm32")]
mod getrandom_hook;
pub mod http;
pub mod key_derivation;
pub mod log;
pub mod members;
pub mod password;
pub mod random;
pub mod rotator;
pub mod timestamp;

pub use error::{Error, ErrorKind};
pub use members::Members;
pub use rotator::Rotator;
pub use secret::SecretText;
pub use types::{
    Applied, Companion, Consumer, Context, CreateRequest, Created, Descriptor, Finding, Input,
    InputRequest, Level, Liveness, MemberReport, OtherVersion, Outcome, Prompt, Purpose,
    RetireRequest, Retirement, RetirementPlan, Standing, Status, Strategy, TargetEffect,
    UsageReport, Verdict, Version,
};

/// Makes the crate a plugin: exports `$plugin`'s [`Rotator`] and embeds the `plugin.toml` that
/// stands beside the crate's `Cargo.toml`. Call it once, in `lib.rs`.
///
/// Natively it only checks that the manifest exists and that `$plugin` is a [`Rotator`].
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        const _: () = {
            // A custom section travels in the .wasm, so that the file alone can be inspected.
            #[cfg_attr(target_arch = "wasm32", unsafe(link_section = "keyturn:manifest"))]
            #[used]
            static MANIFEST: [u8; include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/plugin.toml")).len()] =
                *include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/plugin.toml"));

            type KeyturnPlugin = $crate::__private::Adapter<$plugin>;

            #[cfg(target_arch = "wasm32")]
            $crate::__private::export_bindings!(KeyturnPlugin with_types_in $crate::__private::bindings);

            #[cfg(not(target_arch = "wasm32"))]
            const fn assert_is_rotator<T: $crate::Rotator>() {}
            #[cfg(not(target_arch = "wasm32"))]
            const _: () = assert_is_rotator::<$plugin>();
            #[cfg(not(target_arch = "wasm32"))]
            const _: Option<KeyturnPlugin> = None;
        };
    };
}

/// What [`export!`] expands to; no part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::adapter::Adapter;
    pub use crate::bindings;
    pub use crate::bindings::export_bindings;
}
