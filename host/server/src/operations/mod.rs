//! The operations, each a function from its members to its answer. An operation first finds its secret, which also says
//! whether the key may do this with it; what it then changes stands in the audit trail before and after.

mod batch;
mod labels;
mod list;
mod password;
mod policies;
mod rotation;
mod secrets;
mod values;

use std::ops::RangeInclusive;
use std::time::Instant;

use keyturn_store::service::SecretRecord;
use keyturn_store::{ErrorKind, SecretName, StoreError, VersionId};
use serde_json::{Value, json};
use tokio::sync::SemaphorePermit;

use crate::access::AccessKey;
use crate::around::Change;
use crate::error::{Answer, ApiError};
use crate::members::Members;
use crate::service::{Options, Service};

/// AWS's bounds of what names a secret, a version and other things.
pub(crate) const SECRET_ID_CHARS: RangeInclusive<usize> = 1..=2048;
const TOKEN_CHARS: RangeInclusive<usize> = 32..=64;
const STAGE_CHARS: RangeInclusive<usize> = 1..=256;
const KMS_KEY_CHARS: RangeInclusive<usize> = 0..=2048;
const LAMBDA_CHARS: RangeInclusive<usize> = 0..=2048;

macro_rules! operations {
    ($($name:ident => $run:path,)*) => {
        /// What can be asked, by AWS's names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Operation { $($name,)* }

        impl Operation {
            pub(crate) const NAMES: &[&str] = &[$(stringify!($name),)*];

            pub(crate) fn named(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }

        /// Carries out an operation that the key may do at all.
        pub(crate) async fn run(call: &mut Call<'_>) -> Answer {
            call.check_action()?;
            match call.operation { $(Operation::$name => $run(call).await,)* }
        }
    };
}

operations! {
    BatchGetSecretValue => batch::get,
    CancelRotateSecret => rotation::cancel,
    CreateSecret => secrets::create,
    DeleteResourcePolicy => policies::delete,
    DeleteSecret => secrets::delete,
    DescribeSecret => secrets::describe,
    GetRandomPassword => password::random,
    GetResourcePolicy => policies::get,
    GetSecretValue => values::get,
    ListSecretVersionIds => list::versions,
    ListSecrets => list::list,
    PutResourcePolicy => policies::put,
    PutSecretValue => values::put,
    RestoreSecret => secrets::restore,
    RotateSecret => rotation::rotate,
    TagResource => secrets::tag,
    UntagResource => secrets::untag,
    UpdateSecret => secrets::update,
    UpdateSecretVersionStage => labels::update,
    ValidateResourcePolicy => policies::validate,
}

/// One request while it is carried out.
pub(crate) struct Call<'a> {
    pub(crate) service: &'a Service,
    pub(crate) key: &'a AccessKey,
    pub(crate) operation: Operation,
    pub(crate) members: Members,
    pub(crate) request_id: String,
    /// The secret that it is about, once that is known.
    pub(crate) secret: Option<SecretName>,
    /// Those whose values it has told, where it is about several.
    pub(crate) told: Vec<SecretName>,
    /// By a fault: so many reads will not see what this call changes.
    pub(crate) stale_reads: u32,
    /// Given back with the call.
    pub(crate) _turn: SemaphorePermit<'a>,
}

impl Call<'_> {
    fn options(&self) -> &Options {
        &self.service.options
    }

    fn check_action(&self) -> Answer<()> {
        self.check_also(self.operation, "")
    }

    fn check_grant(&self, name: &str) -> Answer<()> {
        if self.key.grant.allows_secret(name) {
            Ok(())
        } else {
            Err(self.denied(self.operation, name))
        }
    }

    /// As on AWS: whoever asks for what another operation does has to be allowed that as well.
    fn check_also(&self, operation: Operation, resource: &str) -> Answer<()> {
        if self.key.grant.allows_action(operation.name()) {
            Ok(())
        } else {
            Err(self.denied(operation, resource))
        }
    }

    fn denied(&self, operation: Operation, resource: &str) -> ApiError {
        let user = self.options().place.user(&self.key.name);
        let action = format!("secretsmanager:{}", operation.name());
        let on = if resource.is_empty() {
            String::new()
        } else {
            format!(" on resource: {resource}")
        };
        ApiError::new(
            "AccessDeniedException",
            format!(
                "User: {user} is not authorized to perform: {action}{on} because no identity-based policy allows the \
                 {action} action"
            ),
        )
    }

    /// The name that SecretId means, and that the key may do this with.
    async fn name(&self) -> Answer<SecretName> {
        let id = self.members.required_text("SecretId", SECRET_ID_CHARS)?;
        self.find(id).await
    }

    /// The same of a secret that is there, with the end of its ARN.
    ///
    /// # Errors
    /// InvalidRequestException if it is marked for deletion.
    async fn existing(&mut self) -> Answer<(SecretName, String)> {
        let name = self.name().await?;
        let arn_suffix = match self.options().store.arn_suffix(&name).await {
            Ok(arn_suffix) => arn_suffix,
            Err(error) => return Err(self.refusal(&name, error).await),
        };
        self.secret = Some(name.clone());
        Ok((name, arn_suffix))
    }

    /// What the store refuses, in its words; but a secret whose time is over is as good as gone.
    async fn refusal(&self, name: &SecretName, error: StoreError) -> ApiError {
        if error.kind() == ErrorKind::InvalidRequest
            && let Ok(record) = self.options().store.record(name).await
            && self.is_due(&record)
        {
            return ApiError::no_secret();
        }
        error.into()
    }

    fn is_due(&self, record: &SecretRecord) -> bool {
        let now_ms = self.options().clock.now_ms();
        record
            .deletion
            .is_some_and(|deletion| deletion.due_at_ms <= now_ms)
    }

    /// The name that an id means. Whether there is a secret of that name is not known yet, unless an ARN told it.
    ///
    /// # Errors
    /// AccessDeniedException where the key may not do this with it, whether or not it is there: whoever may not learns
    /// nothing.
    async fn find(&self, id: &str) -> Answer<SecretName> {
        let named = self.options().place.secret_id(id)?;
        // Refused in the client's own words: which secret an ARN means is already something about it.
        let check = |name: &str| match self.key.grant.allows_secret(name) {
            true => Ok(()),
            false => Err(self.denied(self.operation, named.text)),
        };
        if !named.is_arn {
            check(named.text)?;
            return SecretName::new(named.text).map_err(|_| ApiError::invalid_name());
        }
        match self.options().store.name_in_arn(named.text).await {
            Ok(name) => {
                check(name.as_str())?;
                Ok(name)
            }
            // Either could have been meant.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                check(named.name())?;
                check(named.text)?;
                Err(ApiError::no_secret())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What is known of the secret that SecretId names.
    ///
    /// # Errors
    /// InvalidRequestException if it is marked for deletion.
    async fn record(&mut self) -> Answer<SecretRecord> {
        let record = self.record_marked().await?;
        if record.deletion.is_some() {
            return Err(ApiError::request(
                "You can't perform this operation on the secret because it was marked for deletion.",
            ));
        }
        Ok(record)
    }

    /// The same, marked for deletion or not.
    async fn record_marked(&mut self) -> Answer<SecretRecord> {
        let name = self.name().await?;
        let record = self.options().store.record(&name).await?;
        self.secret = Some(name);
        if self.is_due(&record) {
            return Err(ApiError::no_secret());
        }
        Ok(record)
    }

    /// The same as a read sees it: by a fault it may not see the last change yet.
    async fn record_seen(&mut self) -> Answer<SecretRecord> {
        let record = self.record_marked().await?;
        let stale = self.options().faults.stale(&record.description.name);
        Ok(stale.unwrap_or(record))
    }

    /// What every answer about one secret begins with.
    fn naming(&self, name: &SecretName, arn_suffix: &str) -> Value {
        json!({"ARN": self.options().place.arn(name, arn_suffix), "Name": name})
    }

    /// The id of the version that a request makes.
    fn token(&self) -> Answer<VersionId> {
        let token = self.members.text("ClientRequestToken", TOKEN_CHARS)?;
        let token = token.ok_or_else(|| {
            ApiError::request(
                "You must provide a ClientRequestToken value. We recommend a UUID-type value.",
            )
        })?;
        Ok(VersionId::new(token)?)
    }

    /// Makes a change between an intent and an outcome in the audit trail.
    async fn change<T>(
        &self,
        secret: &SecretName,
        version: &str,
        work: impl Future<Output = Answer<T>>,
    ) -> Answer<T> {
        let trail = &self.options().trail;
        let change = Change {
            secret: secret.to_string(),
            operation: self.operation.name(),
            version: version.to_owned(),
            key: self.key.name.clone(),
            request_id: self.request_id.clone(),
        };
        trail.intent(&change).map_err(|_| {
            ApiError::internal(
                "The server's audit trail cannot be written, so nothing was changed. Tell its operator.",
            )
        })?;
        if self.stale_reads > 0
            && let Ok(before) = self.options().store.record(secret).await
        {
            self.options().faults.keep(before, self.stale_reads);
        }
        let began = Instant::now();
        let worked = work.await;
        trail.outcome(
            &change,
            worked.is_ok(),
            began.elapsed().as_secs_f64() * 1000.0,
        );
        worked
    }
}

/// As AWS's JSON has times: seconds with a fraction.
fn seconds(unix_ms: u64) -> Value {
    json!(unix_ms as f64 / 1000.0)
}
