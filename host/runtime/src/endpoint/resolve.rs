//! From a host name to addresses. A trait, so that a test can play a name server that changes its
//! answers.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// A lookup under way.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Looks names up. What it answers is filtered; it is asked once per member and call.
pub trait Resolver: Send + Sync {
    /// The addresses of `host`, each with `port`.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;

    /// Where the host program stands itself in the place of that server. It is neither looked up nor checked, and
    /// still is the server by its name: in the grant, for TLS, in HTTP, to the plugin. Nowhere unless told.
    fn stands_in(&self, _host: &str, _port: u16) -> Option<SocketAddr> {
        None
    }
}

/// The operating system's resolver.
pub(crate) struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
