//! The requests, one function for each operation of the service, with the waiting that reads need.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::config::{self, Config};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SecretVersionsListEntry, Tag};
use secrecy::{ExposeSecret, SecretString};

use super::described::{Seen, milliseconds};
use super::errors::{Action, Fault};
use super::options::NoClearText;
use super::recent::LAG_MAX;
use super::tags::Tags;
use super::{ATTEMPTS_MAX, AwsStore, PAUSE_FIRST, PAUSE_MAX};
use crate::error::{ErrorKind, StoreError};
use crate::labels;
use crate::types::{NewSecret, SecretDescription, SecretName, StoredVersion, VersionId, Which};

const CREATE: Action = Action::write("CreateSecret");
const DESCRIBE: Action = Action::read("DescribeSecret");
const GET: Action = Action::read("GetSecretValue");
const LIST: Action = Action::read("ListSecrets");
const LIST_VERSIONS: Action = Action::read("ListSecretVersionIds");
const PUT: Action = Action::write("PutSecretValue");
const TAG: Action = Action::write("TagResource");
const UNTAG: Action = Action::write("UntagResource");

/// One call of a store with all its requests, where nobody is in more of a hurry; and one request. A list takes as many
/// calls as it has requests.
const CALL_MAX: Duration = Duration::from_secs(20);
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// The pause before a read that lags is repeated, at first; it doubles.
const LAG_PAUSE: Duration = Duration::from_millis(50);
const PAGE: i32 = 100;

impl AwsStore {
    /// The same store for the call that begins now: all its requests and pauses share one bound.
    pub(super) fn for_one_call(&self) -> Self {
        Self {
            until: Some(self.until()),
            ..self.clone()
        }
    }

    /// When the call that is under way has to be over, or one that began now.
    pub(super) fn until(&self) -> Instant {
        self.until.unwrap_or_else(|| self.within_deadline(CALL_MAX))
    }

    /// So much later, or at the deadline of the invocation.
    pub(super) fn within_deadline(&self, most: Duration) -> Instant {
        let own = Instant::now() + most;
        let deadline = self.invocation.deadline;
        deadline.map_or(own, |deadline| deadline.min(own))
    }

    /// Patience with reads that lag, within the call.
    pub(super) fn lag(&self, most: Duration) -> Lag {
        Lag::until((Instant::now() + most).min(self.until()))
    }

    /// The same as the SDK understands it.
    pub(super) fn limits(&self) -> config::Builder {
        let left = self.until().saturating_duration_since(Instant::now());
        // A timeout of zero would be none at all.
        let left = left.max(Duration::from_millis(1));
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(left)
            .operation_attempt_timeout(left.min(REQUEST_MAX))
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS_MAX)
            .with_initial_backoff(PAUSE_FIRST)
            .with_max_backoff(PAUSE_MAX);
        // By default all clients of a process share a budget of retries, which a few calls use up in an outage; then one
        // throttled request would fail at once. Attempts and time bound them here.
        let unbudgeted = RetryPartition::custom("keyturn")
            .token_bucket(TokenBucket::unlimited())
            .build();
        Config::builder()
            .timeout_config(timeouts)
            .retry_config(retries)
            .retry_partition(unbudgeted)
            .interceptor(NoClearText)
    }

    /// The secret without values, as it was after this store's own writes.
    pub(super) async fn look(&self, name: &SecretName) -> Result<Seen, StoreError> {
        let mut lag = self.lag(LAG_MAX);
        loop {
            let request = self.client.describe_secret().secret_id(self.arns.id(name));
            let answer = request.customize().config_override(self.limits()).send();
            let seen = answer
                .await
                .map_err(|error| Fault::of(&error).on(DESCRIBE, name))?;
            let seen = Seen::of(name, seen)?;
            if self
                .recent
                .is_shown(name, &seen.held, seen.notes_revision())
            {
                return Ok(seen);
            }
            if !lag.wait().await {
                // Somebody else has written since, or nothing will ever show it.
                self.recent.forget(name);
                return Ok(seen);
            }
        }
    }

    /// The name of the secret with this ARN. It is never cut out of the ARN: six random characters follow it there, and a
    /// name may end like that, too.
    pub(super) async fn name_behind(&self, arn: &str) -> Result<SecretName, StoreError> {
        let request = self.client.describe_secret().secret_id(arn);
        let answer = request.customize().config_override(self.limits()).send();
        let seen = answer
            .await
            .map_err(|error| Fault::of(&error).about(DESCRIBE, "on the secret of that ARN"))?;
        let name = SecretName::new(seen.name.unwrap_or_default())?;
        self.arns.learn(&name, arn)?;
        Ok(name)
    }

    /// All secrets that are not marked for deletion, or those of them that have a tag whose key begins so.
    pub(super) async fn secrets(&self, tag_prefix: Option<&str>) -> Result<Vec<Seen>, StoreError> {
        let tagged = tag_prefix.map(|prefix| {
            let filter = Filter::builder().key(FilterNameStringType::TagKey);
            vec![filter.values(prefix).build()]
        });
        let mut secrets = Vec::new();
        let mut token = None;
        loop {
            let request = self
                .client
                .list_secrets()
                .set_filters(tagged.clone())
                .max_results(PAGE)
                .set_next_token(token);
            let answer = request.customize().config_override(self.limits()).send();
            let page = answer
                .await
                .map_err(|error| Fault::of(&error).about(LIST, "on the account"))?;
            for entry in page.secret_list.unwrap_or_default() {
                secrets.push(Seen::listed(entry)?);
            }
            token = page.next_token;
            if token.is_none() {
                return Ok(secrets);
            }
        }
    }

    /// Every version, those without a label included; `None` where that may not be asked: AWS's own rotation functions
    /// have no such right.
    pub(super) async fn versions(
        &self,
        name: &SecretName,
    ) -> Result<Option<Vec<SecretVersionsListEntry>>, StoreError> {
        let unlisted = || self.unlisted.lock().unwrap_or_else(PoisonError::into_inner);
        if unlisted().contains(name) {
            return Ok(None);
        }
        let mut versions = Vec::new();
        let mut token = None;
        loop {
            let request = self
                .client
                .list_secret_version_ids()
                .secret_id(self.arns.id(name))
                .include_deprecated(true)
                .max_results(PAGE)
                .set_next_token(token);
            let answer = request.customize().config_override(self.limits()).send();
            match answer.await {
                Ok(page) => {
                    versions.extend(page.versions.unwrap_or_default());
                    token = page.next_token;
                }
                Err(error) => {
                    let fault = Fault::of(&error);
                    // In a list, a secret may be gone by now; whoever described it hears of that without this.
                    if fault.is(ErrorKind::NotFound) {
                        return Ok(None);
                    }
                    if fault.is(ErrorKind::AccessDenied) {
                        unlisted().insert(name.clone());
                        return Ok(None);
                    }
                    return Err(fault.on(LIST_VERSIONS, name));
                }
            }
            if token.is_none() {
                return Ok(Some(versions));
            }
        }
    }

    /// Adds to what one answer shows the versions, and whether the pending one has a value: only reading it tells.
    pub(super) async fn complete(
        &self,
        seen: Seen,
        listed: Option<Vec<SecretVersionsListEntry>>,
    ) -> Result<SecretDescription, StoreError> {
        let pending = seen.pending().cloned();
        let empty = match &pending {
            Some(pending) if !self.has_value(&seen.name, pending).await? => Some(pending),
            _ => None,
        };
        Ok(seen.describe(listed, empty))
    }

    async fn has_value(&self, name: &SecretName, pending: &VersionId) -> Result<bool, StoreError> {
        if self.recent.is_filled(name, pending) {
            return Ok(true);
        }
        let patience = match self.recent.is_given_up(name, pending) {
            true => Duration::ZERO,
            false => self.invocation.pending_patience,
        };
        let mut lag = self.lag(patience);
        let which = Which::IdWithLabel(pending.clone(), labels::PENDING.to_owned());
        loop {
            match self.request_value(name, &which).await {
                Ok(_) => {
                    self.recent.fill(name, pending);
                    return Ok(true);
                }
                Err(fault) if fault.is(ErrorKind::NotFound) => {
                    if !lag.wait().await {
                        // Where nobody waits, a later invocation may have to.
                        if !patience.is_zero() {
                            self.recent.give_up(name, pending);
                        }
                        return Ok(false);
                    }
                }
                // It is not pending any more, or nobody here may read it: what it is does not matter to them.
                Err(fault)
                    if fault.is(ErrorKind::InvalidRequest) || fault.is(ErrorKind::AccessDenied) =>
                {
                    return Ok(true);
                }
                Err(fault) => return Err(fault.on(GET, name)),
            }
        }
    }

    /// One version with its value. What this store knows to be there is asked for again until it shows.
    pub(super) async fn read(
        &self,
        name: &SecretName,
        which: &Which,
    ) -> Result<StoredVersion, StoreError> {
        let mut lag = self.lag(LAG_MAX);
        loop {
            let expected = self.recent.expected(name, which);
            let (answer, is_expected) = match self.request_value(name, which).await {
                Ok(answer) => {
                    let version = stored(name, answer)?;
                    let is_expected = expected.is_none_or(|expected| expected == version.id);
                    (Ok(version), is_expected)
                }
                Err(fault) => {
                    let may_lag =
                        fault.is(ErrorKind::NotFound) || fault.is(ErrorKind::InvalidRequest);
                    (Err(fault.on(GET, name)), !may_lag || expected.is_none())
                }
            };
            if is_expected || !lag.wait().await {
                if let Ok(version) = &answer {
                    self.recent.fill(name, &version.id);
                }
                return answer;
            }
        }
    }

    /// Never without saying which: what the service answers then depends on who wrote last.
    async fn request_value(
        &self,
        name: &SecretName,
        which: &Which,
    ) -> Result<GetSecretValueOutput, Fault> {
        let request = self.client.get_secret_value().secret_id(self.arns.id(name));
        let request = match which {
            Which::Label(label) => request.version_stage(label),
            Which::Id(id) => request.version_id(id.as_str()),
            Which::IdWithLabel(id, label) => request.version_id(id.as_str()).version_stage(label),
        };
        let answer = request.customize().config_override(self.limits()).send();
        answer.await.map_err(|error| Fault::of(&error))
    }

    pub(super) async fn send_create(
        &self,
        name: &SecretName,
        new: &NewSecret,
    ) -> Result<(), StoreError> {
        let request = self
            .client
            .create_secret()
            .name(name.as_str())
            .client_request_token(new.id.as_str())
            .secret_string(new.value.expose_secret())
            .set_description(new.description.clone().filter(|text| !text.is_empty()));
        let answer = request.customize().config_override(self.limits()).send();
        answer
            .await
            .map(drop)
            .map_err(|error| Fault::of(&error).on(CREATE, name))
    }

    /// Answers the labels of the version, sorted. The token makes it safe to repeat.
    pub(super) async fn send_put(
        &self,
        name: &SecretName,
        id: &VersionId,
        value: &SecretString,
        labels: &[&str],
    ) -> Result<Vec<String>, StoreError> {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let token = self.invocation.rotation_token.as_ref();
        let request = self
            .client
            .put_secret_value()
            .secret_id(self.arns.id(name))
            .client_request_token(id.as_str())
            .secret_string(value.expose_secret())
            .set_version_stages(Some(labels))
            .set_rotation_token(token.map(|token| token.expose().to_owned()));
        let answer = request.customize().config_override(self.limits()).send();
        let answer = answer
            .await
            .map_err(|error| Fault::of(&error).on(PUT, name))?;
        let mut labels = answer.version_stages.unwrap_or_default();
        labels.sort();
        Ok(labels)
    }

    pub(super) async fn tag(&self, name: &SecretName, tags: &Tags) -> Result<(), StoreError> {
        let tags = tags
            .iter()
            .map(|(key, value)| Tag::builder().key(key).value(value).build());
        let request = self
            .client
            .tag_resource()
            .secret_id(self.arns.id(name))
            .set_tags(Some(tags.collect()));
        let answer = request.customize().config_override(self.limits()).send();
        answer
            .await
            .map(drop)
            .map_err(|error| Fault::of(&error).on(TAG, name))
    }

    pub(super) async fn untag(
        &self,
        name: &SecretName,
        keys: Vec<String>,
    ) -> Result<(), StoreError> {
        let request = self
            .client
            .untag_resource()
            .secret_id(self.arns.id(name))
            .set_tag_keys(Some(keys));
        let answer = request.customize().config_override(self.limits()).send();
        answer
            .await
            .map(drop)
            .map_err(|error| Fault::of(&error).on(UNTAG, name))
    }
}

/// Pauses between reads that lag, until patience is at its end.
pub(super) struct Lag {
    until: Instant,
    pause: Duration,
}

impl Lag {
    pub(super) fn until(until: Instant) -> Self {
        Self {
            until,
            pause: LAG_PAUSE,
        }
    }

    /// Waits; false if there is no time left for that.
    pub(super) async fn wait(&mut self) -> bool {
        if Instant::now() + self.pause > self.until {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        true
    }
}

fn stored(name: &SecretName, answer: GetSecretValueOutput) -> Result<StoredVersion, StoreError> {
    let id = VersionId::new(answer.version_id.unwrap_or_default())?;
    let Some(value) = answer.secret_string else {
        return Err(StoreError::new(
            ErrorKind::InvalidRequest,
            format!("version {id} of {name} is binary (SecretBinary), and keyturn rotates text"),
            "store the secret as text (SecretString), such as JSON",
        ));
    };
    let mut labels = answer.version_stages.unwrap_or_default();
    labels.sort();
    Ok(StoredVersion {
        id,
        value: SecretString::from(value),
        labels,
        created_at_ms: milliseconds(answer.created_date.as_ref()),
    })
}
