//! Who is told of a plugin's imports: the conformance kit, which ends calls at each of them, as a crash would.

use std::future::Future;
use std::pin::Pin;

/// What [`ImportWatch::enter`] answers.
pub type Entering<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Told of each import before it is carried out.
pub trait ImportWatch: Send + Sync {
    /// `import` is the contract's name for it, such as `random.bytes`. The import is carried out when this is over; a
    /// future that never ends holds the call there until its deadline, or until whoever awaits the call gives it up.
    fn enter<'a>(&'a self, import: &'static str) -> Entering<'a>;
}
