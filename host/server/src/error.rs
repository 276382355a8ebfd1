//! What a client is told when a request fails: AWS's error name, its status and a message. A message never quotes a
//! member's value, because that may be a secret.

use hyper::StatusCode;
use keyturn_store::StoreError;

/// A refused or failed request.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) code: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

const NOT_FOUND: &str = "ResourceNotFoundException";

pub(crate) type Answer<T = serde_json::Value> = Result<T, ApiError>;

impl ApiError {
    /// The caller's fault. AWS's JSON services answer 400 for all of these, refused signatures and rights included.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A member breaks a rule of AWS's model; the words are those of its generated checks.
    pub(crate) fn constraint(member: &str, constraint: &str) -> Self {
        let message = format!(
            "1 validation error detected: Value at '{}' failed to satisfy constraint: Member must {constraint}",
            lower_camel(member)
        );
        Self::new("ValidationException", message)
    }

    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self::new("InvalidRequestException", message)
    }

    /// A member has another type than the model's, or the body is no JSON object.
    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", message)
    }

    pub(crate) fn no_secret() -> Self {
        Self::new(
            NOT_FOUND,
            "Secrets Manager can't find the specified secret.",
        )
    }

    pub(crate) fn invalid_name() -> Self {
        Self::new(
            "ValidationException",
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
        )
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.code == NOT_FOUND
    }

    /// This server's own fault. The message is all that the client is told.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new("InternalServiceError", message).with_status(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let status = if error.kind().is_the_stores() {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::BAD_REQUEST
        };
        Self::new(error.code(), error.client_message()).with_status(status)
    }
}

fn lower_camel(member: &str) -> String {
    let mut chars = member.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_ascii_lowercase().to_string() + chars.as_str()
    })
}
