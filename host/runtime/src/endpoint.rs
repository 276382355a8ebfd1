//! The only socket code that plugins reach. Names become targets by value and grant (`policy`,
//! `target`), targets become addresses once (`resolve`) and every address is checked (keyturn-policy);
//! the connection goes to that very address, and TLS is the host's (`tls`, `verifier`). Only where the host program
//! stands in a server's place itself is nothing looked up.

mod binding;
mod connection;
mod net_error;
mod network;
mod policy;
mod resolve;
mod target;
mod tls;
mod verifier;
mod way;

// `pub`, because the generated bindings re-export it inside this crate.
#[allow(unreachable_pub)]
pub use connection::Connection;
pub(crate) use connection::{Binding, Security};
pub(crate) use net_error::{NetError, NetErrorKind};
pub(crate) use network::Network;
pub(crate) use policy::EndpointPolicy;
pub(crate) use resolve::SystemResolver;
pub use resolve::{Resolver, Resolving};
pub(crate) use target::{Target, resolve_targets};
pub(crate) use tls::TlsTrust;
pub use way::{Stage, Way};
