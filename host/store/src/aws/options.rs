//! How to reach AWS Secrets Manager, and what one invocation of a rotation function brings along.

use std::fmt;
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_secretsmanager::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_secretsmanager::error::BoxError;
use secrecy::{ExposeSecret, SecretString};

use crate::error::{ErrorKind, StoreError};

/// Where and as whom. Whatever is absent comes from where AWS's own tools look for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsOptions {
    pub region: Option<String>,
    /// Another endpoint than the region's own: a VPC endpoint, or `keyturn serve`.
    pub endpoint_url: Option<String>,
    /// A profile of AWS's configuration files.
    pub profile: Option<String>,
}

/// What binds the calls of one invocation of a rotation function, or of one run from the command line.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Passed on where the API takes it; only an invocation by the service has one.
    pub rotation_token: Option<RotationToken>,
    /// No call goes on after it.
    pub deadline: Option<Instant>,
    /// How long a version under AWSPENDING that seems to be empty is asked for its value again, because reads lag
    /// behind writes. Zero where an empty one is what is expected: in createSecret.
    pub pending_patience: Duration,
}

impl Default for Invocation {
    fn default() -> Self {
        Self {
            rotation_token: None,
            deadline: None,
            pending_patience: Duration::from_secs(2),
        }
    }
}

/// What AWS's service hands to a rotation function so that it may write in another role or account. It opens doors, so
/// it is never printed.
#[derive(Clone)]
pub struct RotationToken(SecretString);

impl RotationToken {
    /// Checks and takes a token: 36 to 256 letters, digits and hyphens.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`]; the text is not repeated.
    pub fn new(token: SecretString) -> Result<Self, StoreError> {
        let text = token.expose_secret();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !(36..=256).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(StoreError::new(
                ErrorKind::InvalidParameter,
                "this is not a rotation token",
                "pass on the RotationToken of the event as it is: 36 to 256 letters, digits and hyphens",
            ));
        }
        Ok(Self(token))
    }

    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for RotationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RotationToken(redacted)")
    }
}

/// Why values are not sent to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint of the store: {0}")]
pub(super) struct WrongEndpoint(&'static str);

impl WrongEndpoint {
    pub(super) const NEXT: &str = "give https://HOST[:PORT], or http:// to this machine itself, such as http://127.0.0.1:8200";
}

impl From<WrongEndpoint> for StoreError {
    fn from(wrong: WrongEndpoint) -> Self {
        let what = wrong.to_string();
        Self::new(ErrorKind::InvalidParameter, what, WrongEndpoint::NEXT)
    }
}

/// Looks at each request where it is about to go: AWS's own variables and profiles name endpoints, too, and nobody but
/// the SDK reads all of them.
#[derive(Debug)]
pub(super) struct NoClearText;

impl Intercept for NoClearText {
    fn name(&self) -> &'static str {
        "NoClearText"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Ok(check_endpoint(context.request().uri())?)
    }
}

/// Values travel to this address, so it is encrypted or does not leave the machine.
pub(super) fn check_endpoint(url: &str) -> Result<(), WrongEndpoint> {
    if url.starts_with("https://") {
        return Ok(());
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(WrongEndpoint("this is no address of Secrets Manager"));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let local = host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    if local && !authority.contains('@') {
        Ok(())
    } else {
        Err(WrongEndpoint(
            "secret values would cross a network in clear text",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_token_is_checked_and_never_shown() {
        let text = "0123abcd-0123-0123-0123-0123456789ab";
        let token = RotationToken::new(text.into()).unwrap();
        let invocation = Invocation {
            rotation_token: Some(token),
            ..Invocation::default()
        };
        assert!(!format!("{invocation:?}").contains("0123abcd"));
        for wrong in [&text[1..], &format!("{text}_"), &"a".repeat(257)] {
            let error = RotationToken::new(wrong.into()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidParameter);
            assert!(!format!("{error:?}").contains(wrong), "{error:?}");
        }
    }

    #[test]
    fn values_do_not_cross_a_network_in_clear_text() {
        for good in [
            "https://secretsmanager.eu-west-1.amazonaws.com",
            "http://127.0.0.1:8200",
            "http://[::1]:8200/",
            "http://localhost:4566",
        ] {
            check_endpoint(good).unwrap();
        }
        for bad in [
            "http://keyturn.internal:8200",
            "http://127.0.0.1@evil.example/",
            "http://localhost.evil.example",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "127.0.0.1:8200",
            "",
        ] {
            assert!(check_endpoint(bad).is_err(), "{bad}");
        }
    }
}
