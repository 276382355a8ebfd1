//! The one error of every store. Callers branch on [`ErrorKind`]; people read the message, which says what failed,
//! whether the store changed and what to do next. It never holds a secret value.

use std::error::Error;
use std::fmt;

/// What went wrong, with AWS's name for it in [`ErrorKind::code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No such secret, no such version, or a version that has no value yet.
    NotFound,
    /// A secret of this name, or a version of this id with another value, is already there.
    AlreadyExists,
    /// An argument breaks a rule, or names a version that does not hold the label.
    InvalidParameter,
    /// The request does not fit the state that the secret is in.
    InvalidRequest,
    /// One of the quotas in [`crate::limits`] would be exceeded.
    LimitExceeded,
    /// A compare-and-swap lost: someone else wrote since the caller read.
    PreconditionNotMet,
    /// A list cannot go on where the caller says.
    InvalidNextToken,
    /// A resource policy does not have the form of one.
    MalformedPolicy,
    /// A resource policy would let everybody in.
    PublicPolicy,
    /// Whoever asks may not do that. The message names the right that is missing.
    AccessDenied,
    /// The store does not know who asks: no credentials, or ones that are wrong or have expired.
    Unauthenticated,
    /// A value could not be sealed.
    Encryption,
    /// A value could not be opened: it was altered, or sealed for another place.
    Decryption,
    /// The store cannot answer right now (locked for too long, disk full, input/output error).
    Unavailable,
    /// The store contradicts itself. A bug, or a damaged file.
    Internal,
}

impl ErrorKind {
    /// The AWS Secrets Manager error name.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotFound => "ResourceNotFoundException",
            Self::AlreadyExists => "ResourceExistsException",
            Self::InvalidParameter => "InvalidParameterException",
            Self::InvalidRequest => "InvalidRequestException",
            Self::LimitExceeded => "LimitExceededException",
            Self::PreconditionNotMet => "PreconditionNotMetException",
            Self::InvalidNextToken => "InvalidNextTokenException",
            Self::MalformedPolicy => "MalformedPolicyDocumentException",
            Self::PublicPolicy => "PublicPolicyException",
            Self::AccessDenied => "AccessDeniedException",
            Self::Unauthenticated => "UnrecognizedClientException",
            Self::Encryption => "EncryptionFailure",
            Self::Decryption => "DecryptionFailure",
            Self::Unavailable | Self::Internal => "InternalServiceError",
        }
    }

    /// Whether it is the store that failed, and not the request.
    pub fn is_the_stores(self) -> bool {
        matches!(self, Self::Unavailable | Self::Internal)
    }
}

/// Did the failed call change the store?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Changed {
    /// Nothing changed.
    No,
    /// The call may or may not have taken effect as a whole; never in part. Read before acting on it.
    Unknown,
}

/// A store call that failed.
pub struct StoreError {
    kind: ErrorKind,
    what: String,
    for_clients: Option<String>,
    changed: Changed,
    next: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// `what` failed with nothing changed; `next` tells the reader what to do. Neither may hold a secret value.
    pub fn new(kind: ErrorKind, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            for_clients: None,
            changed: Changed::No,
            next: next.into(),
            source: None,
        }
    }

    /// The same error for a call whose effect is not known.
    #[must_use]
    pub fn with_change_unknown(mut self) -> Self {
        self.changed = Changed::Unknown;
        self
    }

    /// The same error with its cause. The cause may not hold a secret value either.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// The same error with the words in which AWS says it: what a client reads that was written for AWS.
    #[must_use]
    pub fn for_clients(mut self, words: impl Into<String>) -> Self {
        self.for_clients = Some(words.into());
        self
    }

    /// What to tell a client that was written for AWS: AWS's words where they are known, else only what failed.
    pub fn client_message(&self) -> &str {
        self.for_clients.as_deref().unwrap_or(&self.what)
    }

    /// What went wrong; branch on this.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The AWS Secrets Manager error name, such as `ResourceNotFoundException`.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// Whether the failed call changed the store.
    pub fn changed(&self) -> Changed {
        self.changed
    }

    /// Whether the same call, repeated later, may succeed although nobody did anything in between.
    pub fn is_retryable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed = match self.changed {
            Changed::No => "nothing was changed",
            Changed::Unknown => "it is not known whether the change took effect",
        };
        write!(f, "{}; {changed}; {}", self.what, self.next)
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreError({}: {self}", self.code())?;
        if let Some(source) = &self.source {
            write!(f, "; cause: {source}")?;
        }
        f.write_str(")")
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
