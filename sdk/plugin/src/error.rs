//! The error that every export answers with. It says where a thing broke, whether the target
//! changed and what to do next. The host scrubs its texts, but a plugin never puts a secret into
//! one in the first place: use codes (SQLSTATE, HTTP status), not the target's own words.

use std::fmt;

use crate::types::Applied;

pub use crate::bindings::keyturn::rotation::types::ErrorKind;

/// A failure of one call. Built by kind, then refined:
///
/// ```
/// use keyturn_sdk::{Applied, Error, ErrorKind};
/// let error = Error::auth("the admin's login was refused; check the secret behind masterarn")
///     .code("28P01")
///     .detail("companion", "admin");
/// assert_eq!((error.kind, error.applied, error.retryable), (ErrorKind::Auth, Applied::No, false));
/// ```
///
/// `Display` shows the message and the code, never the details.
#[derive(Clone, Debug)]
pub struct Error {
    /// Where it broke.
    pub kind: ErrorKind,
    /// Did the target change? `No` unless said otherwise.
    pub applied: Applied,
    /// May the same call succeed later without anybody's help? By default: the network's faults,
    /// throttling and conflicts.
    pub retryable: bool,
    /// The target's own wish, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// SQLSTATE, Redis error word, HTTP status.
    pub code: Option<String>,
    /// One sentence: what failed and what to do next.
    pub message: String,
    /// Read by people only; `companion` = a companion's name says whose login failed.
    pub details: Vec<(String, String)>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        impl Error {
            $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self { Self::new(ErrorKind::$kind, message) })*
        }
    };
}

constructors! {
    /// The secret's value has not the shape that the plugin needs.
    invalid_secret => InvalidSecret;
    /// The operator's settings do not fit.
    invalid_settings => InvalidSettings;
    /// The target or this plugin cannot do what was asked.
    unsupported => Unsupported;
    /// The name did not resolve.
    dns => Dns;
    /// No connection to the target.
    unreachable => Unreachable;
    /// The TLS handshake or its verification failed, or TLS was refused.
    tls => Tls;
    /// The target refused the login.
    auth => Auth;
    /// The login worked, the right is missing.
    permission => Permission;
    /// The target refused the new value (a password policy, say).
    rejected => Rejected;
    /// A wrong credential was accepted.
    unprotected => Unprotected;
    /// The two identities of a pair differ.
    drift => Drift;
    /// Somebody else changed the same thing meanwhile.
    conflict => Conflict;
    /// The target asks for patience.
    throttled => Throttled;
    /// The target did not answer in time.
    timeout => Timeout;
    /// The target answered what its protocol does not allow.
    protocol => Protocol;
    /// A fault of the plugin itself.
    internal => Internal;
    /// None of the others.
    other => Other;
}

impl Error {
    /// An error of `kind`, with the target unchanged.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let retryable = matches!(
            kind,
            ErrorKind::Dns
                | ErrorKind::Unreachable
                | ErrorKind::Conflict
                | ErrorKind::Throttled
                | ErrorKind::Timeout
        );
        Self {
            kind,
            applied: Applied::No,
            retryable,
            retry_after_ms: None,
            code: None,
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// Says whether the target changed.
    #[must_use]
    pub fn applied(mut self, applied: Applied) -> Self {
        self.applied = applied;
        self
    }

    /// Overrides the kind's own answer.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// The target's own wish; makes the error retryable.
    #[must_use]
    pub fn retry_after_ms(mut self, milliseconds: u64) -> Self {
        self.retryable = true;
        self.retry_after_ms = Some(milliseconds);
        self
    }

    /// SQLSTATE, Redis error word, HTTP status.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds a detail that people may read.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.push((name.into(), value.into()));
        self
    }

    /// Puts words in front of the message: `"while reading the roles"`.
    #[must_use]
    pub fn context(mut self, words: &str) -> Self {
        self.message = format!("{words}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.code {
            Some(code) => write!(f, " [{code}]"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
