//! ElastiCache's Query API, version 2015-02-02: a form goes out, XML comes back. The host signs, so no AWS key is seen
//! here. One table leads from AWS's error codes to kind and advice; AWS's own words are a detail for people.

use form_urlencoded::Serializer;
use keyturn_sdk::endpoint::NetErrorKind;
use keyturn_sdk::http::{self, Request, Response};
use keyturn_sdk::{Applied, Error, ErrorKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;

const ENDPOINT: &str = "elasticache";
const VERSION: &str = "2015-02-02";
/// A change takes from seconds to minutes. As often as the host lets a call be pending, this is as long as AWS's own
/// rotation function waits.
const PAUSE_MS: u64 = 20_000;
const RETRY_AFTER_SECONDS_MAX: u64 = 60;

/// A user or group is not in a state in which it can be changed: mostly, it is being changed.
const BUSY: [&str; 2] = ["InvalidUserState", "InvalidReplicationGroupState"];
/// What was asked for does not go together with what is there.
const UNFIT: [&str; 2] = ["InvalidParameterValue", "InvalidParameterCombination"];

/// One action, about to be asked for.
pub(crate) struct Call {
    action: &'static str,
    /// What an error begins with: "reading the user `app`".
    doing: String,
    changes: bool,
    form: Serializer<'static, String>,
}

/// What was answered, and how long to wait before the next look.
pub(crate) struct Answer<T> {
    pub(crate) result: T,
    pub(crate) pause_ms: u64,
}

#[derive(Deserialize)]
struct ErrorResponse {
    #[serde(rename = "Error")]
    error: ErrorBody,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorBody {
    code: String,
    message: Option<String>,
}

impl Call {
    pub(crate) fn reading(action: &'static str, doing: String) -> Self {
        Self::new(action, doing, false)
    }

    /// Until it is answered, nobody knows whether it changed anything.
    pub(crate) fn changing(action: &'static str, doing: String) -> Self {
        Self::new(action, doing, true)
    }

    fn new(action: &'static str, doing: String, changes: bool) -> Self {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", action)
            .append_pair("Version", VERSION);
        Self {
            action,
            doing,
            changes,
            form,
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.form.append_pair(name, value);
        self
    }

    pub(crate) fn send<T: DeserializeOwned>(mut self) -> Result<Answer<T>, Error> {
        let request = Request::post("/", self.form.finish().into_bytes()).header(
            "Content-Type",
            "application/x-www-form-urlencoded; charset=utf-8",
        );
        let response = http::send(ENDPOINT, &request).map_err(|error| {
            if error.kind == NetErrorKind::UnknownEndpoint {
                return not_granted(&self.doing);
            }
            let applied = self.applied_if(error.sent);
            Error::from(error).context(&self.doing).applied(applied)
        })?;
        let retry_after_ms = retry_after_ms(&response);
        if response.status != 200 {
            let error = self.refused(&response);
            return Err(match retry_after_ms {
                Some(pause_ms) if error.retryable => error.retry_after_ms(pause_ms),
                _ => error,
            });
        }
        let result = quick_xml::de::from_reader(response.body.as_slice()).map_err(|_| {
            Error::protocol(format!(
                "{}: the answer is not one of ElastiCache's; look at grant.endpoint.{ENDPOINT}",
                self.doing
            ))
            .applied(self.applied_if(true))
        })?;
        Ok(Answer {
            result,
            pause_ms: retry_after_ms.unwrap_or(PAUSE_MS),
        })
    }

    fn applied_if(&self, may_have_arrived: bool) -> Applied {
        if self.changes && may_have_arrived {
            Applied::Unknown
        } else {
            Applied::No
        }
    }

    fn refused(&self, response: &Response) -> Error {
        let (status, doing) = (response.status, &self.doing);
        let said: Result<ErrorResponse, _> = quick_xml::de::from_reader(response.body.as_slice());
        let Ok(ErrorResponse { error: said }) = said else {
            let kind = match status {
                429 => ErrorKind::Throttled,
                500..=599 => ErrorKind::Unreachable,
                _ => ErrorKind::Protocol,
            };
            let advice = "the answer is not one of ElastiCache's; look at grant.endpoint";
            return Error::new(kind, format!("{doing} failed: {advice}.{ENDPOINT}"))
                .code(status.to_string())
                .applied(self.applied_if(true));
        };
        let (kind, advice) = classify(&said.code, status);
        let mut error = Error::new(kind, format!("{doing} failed: {advice}"))
            .code(&*said.code)
            // What AWS refuses by name, it has not done.
            .applied(self.applied_if(status >= 500));
        if kind == ErrorKind::Permission {
            error.message = format!("{} elasticache:{}", error.message, self.action);
        }
        error.detail("elasticache", said.message.unwrap_or_default())
    }
}

/// Somebody's change is under way.
pub(crate) fn is_busy(error: &Error) -> bool {
    error
        .code
        .as_deref()
        .is_some_and(|code| BUSY.contains(&code))
}

pub(crate) fn is_unfit(error: &Error) -> bool {
    error
        .code
        .as_deref()
        .is_some_and(|code| UNFIT.contains(&code))
}

/// A pause as the error asks for one, or the usual one.
pub(crate) fn pause_after(error: &Error) -> u64 {
    error.retry_after_ms.unwrap_or(PAUSE_MS)
}

fn classify(code: &str, status: u16) -> (ErrorKind, &'static str) {
    if BUSY.contains(&code) {
        return (ErrorKind::Conflict, "ElastiCache is changing it; try again");
    }
    if UNFIT.contains(&code) {
        return (
            ErrorKind::Rejected,
            "ElastiCache does not take the value; what it says stands in the details",
        );
    }
    match code {
        "UserNotFound" | "ReplicationGroupNotFoundFault" => (
            ErrorKind::InvalidSecret,
            "there is none in the account and region that the request was signed for; correct the secret, or the \
             region in grant.endpoint.elasticache",
        ),
        "AccessDenied" | "AccessDeniedException" | "NotAuthorized" | "UnauthorizedOperation" => (
            ErrorKind::Permission,
            "the role of this host lacks the right to",
        ),
        "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "MissingAuthenticationToken"
        | "ExpiredToken"
        | "ExpiredTokenException" => (
            ErrorKind::Auth,
            "AWS does not accept this host's credentials; look at the role or profile that it runs with, and at the \
             region in grant.endpoint.elasticache",
        ),
        "RequestExpired" => (
            ErrorKind::Auth,
            "the request was signed at another time than AWS's; set this host's clock",
        ),
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => {
            (ErrorKind::Throttled, "too many requests; try again")
        }
        _ if status >= 500 => (
            ErrorKind::Unreachable,
            "ElastiCache has trouble of its own; try again",
        ),
        _ => (
            ErrorKind::Other,
            "ElastiCache refused it; what it says stands in the details",
        ),
    }
}

/// In seconds (RFC 9110); a date, which AWS does not send, counts for nothing.
fn retry_after_ms(response: &Response) -> Option<u64> {
    let seconds: u64 = response.header("retry-after")?.parse().ok()?;
    Some(seconds.min(RETRY_AFTER_SECONDS_MAX) * 1000)
}

fn not_granted(doing: &str) -> Error {
    Error::invalid_settings(format!(
        "{doing} failed: no way to ElastiCache's API is granted; nothing changed; set grant.endpoint.{ENDPOINT} = {{ \
         members = [\"elasticache.REGION.amazonaws.com:443\"], sign = true }}"
    ))
}
