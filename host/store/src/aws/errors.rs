//! What an answer of the service that is not a success means: whose fault it is, whether the request may have taken
//! effect, and what to do. Branches on error codes and on how far a request came, never on the service's words, and
//! never keeps a request or an answer: both may hold a value.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};

use super::options::WrongEndpoint;
use crate::error::{ErrorKind, StoreError};
use crate::types::SecretName;

/// Longest text of the service's that is passed on, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// One operation of the service, which is also the name of the right that it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Action {
    name: &'static str,
    writes: bool,
}

impl Action {
    pub(super) const fn read(name: &'static str) -> Self {
        Self {
            name,
            writes: false,
        }
    }

    pub(super) const fn write(name: &'static str) -> Self {
        Self { name, writes: true }
    }
}

/// Why one request, with all its retries, was no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The service answered with an error that it would repeat.
    Refused { kind: ErrorKind, message: String },
    /// Too many requests, for longer than they were repeated.
    Throttled,
    /// The service failed itself.
    Outage { message: String },
    /// No answer in time.
    Timeout,
    /// No connection, or one that broke.
    Connection { cause: String },
    /// An answer that is none of the service's.
    Unreadable,
    /// Nobody gave credentials, so nothing was sent. `later`: whoever gives them may do so in a moment.
    NoCredentials { cause: String, later: bool },
    /// It would have gone where it must not go, so nothing was sent.
    Endpoint(WrongEndpoint),
    /// The request could not be made.
    Unsendable { cause: String },
}

impl Fault {
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(missing) = no_credentials(error) {
            return missing;
        }
        if let Some(wrong) = chain(error).find_map(|cause| cause.downcast_ref()) {
            return Self::Endpoint(*wrong);
        }
        match error {
            // A success that cannot be read.
            SdkError::ServiceError(answer) if answer.raw().status().is_success() => {
                Self::Unreadable
            }
            SdkError::ServiceError(answer) => {
                let meta = answer.err().meta();
                let code = meta.code().unwrap_or_default();
                let message = meta.message().unwrap_or("no reason was given");
                of_code(code, message, answer.raw().status().as_u16())
            }
            SdkError::TimeoutError(_) => Self::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::Timeout,
            SdkError::DispatchFailure(_) => Self::Connection {
                cause: root_cause(error),
            },
            SdkError::ConstructionFailure(_) => Self::Unsendable {
                cause: root_cause(error),
            },
            _ => Self::Unreadable,
        }
    }

    /// Whether the same request may succeed a moment later. It may also have taken effect already: even of a throttled
    /// one, those before that were repeated for another reason.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Throttled
            | Self::Outage { .. }
            | Self::Timeout
            | Self::Connection { .. }
            | Self::Unreadable => true,
            Self::Refused { .. }
            | Self::NoCredentials { .. }
            | Self::Endpoint(_)
            | Self::Unsendable { .. } => false,
        }
    }

    /// Whether the service refused for this reason.
    pub(super) fn is(&self, wanted: ErrorKind) -> bool {
        matches!(self, Self::Refused { kind, .. } if *kind == wanted)
    }

    /// The error for people, about one action on one secret.
    pub(super) fn on(&self, action: Action, secret: &SecretName) -> StoreError {
        self.about(action, &format!("on {secret}"))
    }

    pub(super) fn about(&self, action: Action, what: &str) -> StoreError {
        let name = action.name;
        let (kind, said) = match self {
            Self::Refused { kind, message } => (*kind, format!("refused: {message}")),
            Self::Throttled => (
                ErrorKind::Unavailable,
                "throttled: too many requests, for longer than they were repeated".to_owned(),
            ),
            Self::Outage { message } => (ErrorKind::Unavailable, format!("failed: {message}")),
            Self::Timeout => (ErrorKind::Unavailable, "no answer in time".to_owned()),
            Self::Connection { cause } => {
                (ErrorKind::Unavailable, format!("no connection: {cause}"))
            }
            Self::Unreadable => (
                ErrorKind::Unavailable,
                "the answer is none of Secrets Manager's".to_owned(),
            ),
            Self::NoCredentials { cause, later } => (
                if *later {
                    ErrorKind::Unavailable
                } else {
                    ErrorKind::Unauthenticated
                },
                format!("there are no AWS credentials: {cause}"),
            ),
            Self::Endpoint(wrong) => {
                let what = format!("{name} {what}: {wrong}");
                return StoreError::new(ErrorKind::InvalidParameter, what, WrongEndpoint::NEXT);
            }
            Self::Unsendable { cause } => (ErrorKind::Internal, cause.clone()),
        };
        let error = StoreError::new(kind, format!("{name} {what}: {said}"), next(kind, name));
        if action.writes && self.is_passing() {
            error.with_change_unknown()
        } else {
            error
        }
    }
}

/// Codes: the API reference of Secrets Manager with its common errors, and the codes that AWS's SDKs take for throttling.
fn of_code(code: &str, message: &str, status: u16) -> Fault {
    let kind = match code {
        "ResourceNotFoundException" => ErrorKind::NotFound,
        "ResourceExistsException" => ErrorKind::AlreadyExists,
        "InvalidParameterException" | "ValidationException" | "SerializationException" => {
            ErrorKind::InvalidParameter
        }
        "InvalidRequestException" => ErrorKind::InvalidRequest,
        "LimitExceededException" => ErrorKind::LimitExceeded,
        "PreconditionNotMetException" => ErrorKind::PreconditionNotMet,
        "InvalidNextTokenException" => ErrorKind::InvalidNextToken,
        "EncryptionFailure" => ErrorKind::Encryption,
        "DecryptionFailure" => ErrorKind::Decryption,
        "AccessDeniedException" | "AccessDenied" => ErrorKind::AccessDenied,
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "OptInRequired" => ErrorKind::Unauthenticated,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "SlowDown" => return Fault::Throttled,
        _ if status == 429 => return Fault::Throttled,
        _ if status >= 500 => {
            return Fault::Outage {
                message: one_line(&format!("{message} [{code}, {status}]")),
            };
        }
        _ => {
            return Fault::Refused {
                kind: ErrorKind::InvalidRequest,
                message: one_line(&format!("{message} [{code}, {status}]")),
            };
        }
    };
    Fault::Refused {
        kind,
        message: one_line(message),
    }
}

fn next(kind: ErrorKind, action: &str) -> String {
    match kind {
        ErrorKind::NotFound => {
            "check the name, the region and the account; describe the secret to see its versions"
                .to_owned()
        }
        ErrorKind::AlreadyExists => {
            "choose another name, or a new version id for a new value".to_owned()
        }
        ErrorKind::InvalidParameter => "describe the secret and decide again".to_owned(),
        ErrorKind::InvalidRequest => {
            "put the secret into a state that allows this, then try again".to_owned()
        }
        ErrorKind::LimitExceeded => {
            "wait until old versions are removed (24 hours after they were made), or ask AWS for more"
                .to_owned()
        }
        ErrorKind::PreconditionNotMet
        | ErrorKind::InvalidNextToken
        | ErrorKind::MalformedPolicy
        | ErrorKind::PublicPolicy => "read again and repeat the change".to_owned(),
        ErrorKind::AccessDenied => format!(
            "allow secretsmanager:{action} on this secret to whoever keyturn runs as; where the secret has a KMS key \
             of its own, kms:Decrypt and kms:GenerateDataKey on that too"
        ),
        ErrorKind::Unauthenticated => {
            "give keyturn valid AWS credentials: environment, profile, container or instance role".to_owned()
        }
        ErrorKind::Encryption | ErrorKind::Decryption => {
            "look whether the secret's KMS key is enabled and may be used".to_owned()
        }
        ErrorKind::Unavailable => "try again; the state of the secret tells what is left to do".to_owned(),
        ErrorKind::Internal => "this is a fault of keyturn, please report it".to_owned(),
    }
}

fn no_credentials(error: &(dyn Error + 'static)) -> Option<Fault> {
    let missing = chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    Some(Fault::NoCredentials {
        cause: root_cause(missing),
        // A busy metadata service, for one.
        later: matches!(
            missing,
            CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_)
        ),
    })
}

/// What lies at the bottom of an error of the SDK, such as "connection refused". Requests and answers are not in it.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let deepest = chain(error).last();
    one_line(&deepest.map_or_else(String::new, ToString::to_string))
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE_CHARS_MAX)
        .collect()
}
