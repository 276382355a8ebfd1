//! Names and ARNs. Clients may name a secret by its name, by its ARN, or by its ARN without the six random characters.

use keyturn_store::SecretName;

use crate::error::{Answer, ApiError};

/// Where this server says that its secrets are.
#[derive(Debug, Clone)]
pub struct Place {
    /// As clients sign for it, such as `eu-west-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

/// Characters that AWS puts behind the name in an ARN, and the hyphen before them.
const SUFFIX_BYTES: usize = 6;

/// How a request names a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SecretId<'a> {
    /// The name, or what an ARN has behind `secret:`.
    pub(crate) text: &'a str,
    pub(crate) is_arn: bool,
}

impl Place {
    pub(crate) fn arn(&self, name: &SecretName, suffix: &str) -> String {
        self.arn_of(&format!("{name}-{suffix}"))
    }

    /// The ARN that has this behind `secret:`.
    pub(crate) fn arn_of(&self, text: &str) -> String {
        let Self { region, account } = self;
        format!("arn:aws:secretsmanager:{region}:{account}:secret:{text}")
    }

    /// The ARN of whoever holds an access key, as AWS names its users in refusals.
    pub(crate) fn user(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:user/{name}", self.account)
    }

    /// # Errors
    /// ResourceNotFoundException for an ARN of another place.
    pub(crate) fn secret_id<'a>(&self, id: &'a str) -> Answer<SecretId<'a>> {
        if !id.starts_with("arn:") {
            return Ok(SecretId {
                text: id,
                is_arn: false,
            });
        }
        let text = id
            .strip_prefix(&self.arn_of(""))
            .ok_or_else(ApiError::no_secret)?;
        Ok(SecretId { text, is_arn: true })
    }
}

impl SecretId<'_> {
    /// The name that it means, for whoever asks about one that is not there.
    pub(crate) fn name(&self) -> &str {
        let split = self.text.len().checked_sub(SUFFIX_BYTES + 1);
        match split.and_then(|at| self.text.split_at_checked(at)) {
            Some((name, suffix)) if self.is_arn && suffix.starts_with('-') => name,
            _ => self.text,
        }
    }
}
