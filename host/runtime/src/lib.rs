//! Loads, limits and calls Keyturn plugins: the only crate that knows wasmtime, and the only code
//! whose sockets a plugin can reach.
//!
//! A plugin is a WebAssembly component that exports `keyturn:rotation/rotator`. It gets values,
//! never names of secrets, and reaches what two parties said yes to: its own [`Manifest`] and the
//! operator's [`Grant`]. The path through this crate is [`Runtime::load`] → [`Plugin::grant`] →
//! the calls of [`GrantedPlugin`]. Each call runs in a fresh instance under a deadline, and
//! whatever the plugin does, it ends in an answer or in a typed [`CallError`] whose text is
//! scrubbed of every secret that the call saw.
//!
//! This crate never reads a store, never decides what to rotate, and keeps nothing between calls.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod ambient;
mod bindings;
mod call;
mod contract;
mod endpoint;
mod error;
mod granted;
mod host;
mod http;
mod invoke;
mod limits;
mod loader;
mod log;
mod members;
mod outcome;
mod ownership;
mod plugin;
mod runtime;
mod sandbox;
mod signature;
mod source;
mod value;
mod watch;

use keyturn_policy::{capability, grant, manifest, password, scrub, settings, signing, text};

pub use ambient::Clock;
pub use call::{
    Call, Companion, CompanionNeed, CreateRequest, Input, OtherVersion, Purpose, RetireRequest,
    Standing, Version,
};
pub use capability::Capability;
pub use endpoint::{Resolver, Resolving, Stage, Way};
pub use error::{Applied, CallError, ErrorKind, GrantError, LoadError, Origin};
pub use grant::{EndpointGrant, Grant, TlsMode};
pub use granted::{GrantedPlugin, Share};
pub use keyturn_policy::limits::LimitsOverride;
pub use limits::Limits;
pub use loader::{Precompiled, componentize, precompile};
pub use log::{LogRecord, LogSink, Severity};
pub use manifest::{
    CompanionManifest, EndpointManifest, EndpointSource, Manifest, ManifestError, PreTlsBytesMax,
    Protocol, SecretManifest, ValueSource,
};
pub use outcome::{
    Consumer, Created, Descriptor, Finding, InputRequest, Level, Liveness, MemberReport, Outcome,
    Prompt, Retirement, RetirementPlan, Status, Strategy, TargetEffect, Trace, UsageReport,
    Verdict,
};
pub use password::{PasswordPolicy, RandomUnavailable, SecureRandom};
pub use plugin::Plugin;
pub use runtime::{Runtime, RuntimeOptions};
pub use signature::{AwsIdentity, Identifying};
pub use source::{BundledPlugin, PluginSource};
pub use watch::{Entering, ImportWatch};
