//! This host's own AWS credentials, with which the runtime signs what manifest and grant have signed: from where AWS's
//! own tools take them, and kept until shortly before they expire. Nothing is looked for before the first such request.

use std::time::{Duration, SystemTime};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use keyturn_runtime::{AwsIdentity, Identifying};
use tokio::sync::Mutex;

/// Longer than a request is under way.
const LEFT_MIN: Duration = Duration::from_secs(120);

#[derive(Default)]
pub(crate) struct DefaultIdentity(Mutex<Known>);

#[derive(Default)]
struct Known {
    source: Option<SharedCredentialsProvider>,
    credentials: Option<Credentials>,
}

impl AwsIdentity for DefaultIdentity {
    fn credentials(&self) -> Identifying<'_> {
        Box::pin(async {
            // Whoever comes at the same time waits for the one answer.
            let mut known = self.0.lock().await;
            known
                .at(SystemTime::now())
                .await
                .map_err(|error| why_none(&error))
        })
    }
}

impl Known {
    async fn at(&mut self, now: SystemTime) -> Result<Credentials, CredentialsError> {
        if let Some(credentials) = &self.credentials
            && credentials
                .expiry()
                .is_none_or(|expiry| expiry > now + LEFT_MIN)
        {
            return Ok(credentials.clone());
        }
        let source = match &mut self.source {
            Some(source) => source,
            none => {
                let chain = DefaultCredentialsChain::builder().build().await;
                none.insert(SharedCredentialsProvider::new(chain))
            }
        };
        let credentials = source.provide_credentials().await?;
        self.credentials = Some(credentials.clone());
        Ok(credentials)
    }
}

fn why_none(error: &CredentialsError) -> String {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            "none are set; give this process a role, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".into()
        }
        CredentialsError::ProviderTimedOut(_) => {
            "where they come from does not answer in time; try again".into()
        }
        other => format!("{other}; look at the profile or role that this process runs with"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn credentials(id: &str, expiry: Option<SystemTime>) -> Credentials {
        Credentials::new(id, "made-up", None, expiry, "test")
    }

    /// Which ones are used at a time when the kept ones expire so much later.
    async fn used(left: Option<Duration>) -> String {
        let mut known = Known {
            source: Some(SharedCredentialsProvider::new(credentials("fresh", None))),
            credentials: Some(credentials("kept", left.map(|left| NOW + left))),
        };
        let used = known.at(NOW).await.unwrap();
        used.access_key_id().to_owned()
    }

    #[tokio::test]
    async fn credentials_are_kept_until_they_are_about_to_expire() {
        assert_eq!(used(None).await, "kept");
        assert_eq!(used(Some(LEFT_MIN + Duration::from_secs(1))).await, "kept");
        assert_eq!(used(Some(LEFT_MIN)).await, "fresh");
        assert_eq!(used(Some(Duration::ZERO)).await, "fresh");
    }
}
