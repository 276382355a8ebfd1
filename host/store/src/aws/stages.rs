//! The one call that is not safe to repeat: a label that has been moved is not where it was taken from. So it is
//! repeated only after a look at where the label is now.

use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::config::retry::RetryConfig;

use super::errors::{Action, Fault};
use super::recent::LAG_MAX;
use super::{ATTEMPTS_MAX, AwsStore, PAUSE_FIRST, PAUSE_MAX, replicas};
use crate::error::{ErrorKind, StoreError};
use crate::labels;
use crate::rules;
use crate::types::{SecretName, VersionId};

const MOVE: Action = Action::write("UpdateSecretVersionStage");

impl AwsStore {
    /// The rules are asked first, for their words and because the service's own texts differ on what happens to a label
    /// that is held elsewhere; the service has the last word.
    pub(super) async fn swap(
        &self,
        name: &SecretName,
        label: &str,
        from: Option<&VersionId>,
        to: Option<&VersionId>,
    ) -> Result<(), StoreError> {
        rules::check_label(label)?;
        let mut call = self.for_one_call();
        let seen = call.look(name).await?;
        replicas::check_writable(&seen)?;
        let before = seen.held.clone();
        // Whether a version exists and has a value, the service knows.
        let after = rules::move_label(&before, |_| Some(true), label, from, to)?;
        if from.is_some() && from == to {
            return Ok(());
        }
        if label == labels::CURRENT {
            self.wait_for_replicas(name, seen).await?;
            call = self.for_one_call();
        }
        self.recent.release_labels(name, &before, &after);
        call.send_until_known(name, label, from, to).await?;
        self.recent.put_labels(name, &before, &after);
        Ok(())
    }

    async fn send_until_known(
        &self,
        name: &SecretName,
        label: &str,
        from: Option<&VersionId>,
        to: Option<&VersionId>,
    ) -> Result<(), StoreError> {
        let until = self.until();
        let mut pause = PAUSE_FIRST;
        let mut attempts = 0;
        let mut unknown = false;
        loop {
            let Err(fault) = self.send_move(name, label, from, to).await else {
                return Ok(());
            };
            attempts += 1;
            let failed = fault.on(MOVE, name);
            if !fault.is_passing() {
                if unknown && self.took_effect(name, label, from, to).await {
                    return Ok(());
                }
                let refused = self.explained(name, label, from, to, failed).await;
                // Somebody may have moved the label on since.
                return Err(if unknown {
                    refused.with_change_unknown()
                } else {
                    refused
                });
            }
            unknown |= fault != Fault::Throttled;
            let rest = jittered(pause);
            let is_last = attempts == ATTEMPTS_MAX || Instant::now() + rest >= until;
            if !is_last {
                tokio::time::sleep(rest).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            if unknown
                && let Ok(seen) = self.look(name).await
                && seen.held.get(label) == to
            {
                return Ok(());
            }
            if is_last {
                return Err(failed);
            }
        }
    }

    /// Whether a call whose answer was lost is why its repetition was refused. Reads may not show that at once.
    async fn took_effect(
        &self,
        name: &SecretName,
        label: &str,
        from: Option<&VersionId>,
        to: Option<&VersionId>,
    ) -> bool {
        let mut lag = self.lag(LAG_MAX);
        loop {
            match self.look(name).await {
                Ok(seen) if seen.held.get(label) == to => return true,
                Ok(seen) if seen.held.get(label) != from => return false,
                Ok(_) | Err(_) => {}
            }
            if !lag.wait().await {
                return false;
            }
        }
    }

    async fn send_move(
        &self,
        name: &SecretName,
        label: &str,
        from: Option<&VersionId>,
        to: Option<&VersionId>,
    ) -> Result<(), Fault> {
        let id = |id: &VersionId| id.as_str().to_owned();
        let request = self
            .client
            .update_secret_version_stage()
            .secret_id(self.arns.id(name))
            .version_stage(label)
            .set_remove_from_version_id(from.map(id))
            .set_move_to_version_id(to.map(id));
        let once = self.limits().retry_config(RetryConfig::disabled());
        let answer = request.customize().config_override(once).send();
        answer.await.map(drop).map_err(|error| Fault::of(&error))
    }

    /// A refusal in the words of the rules, where the label has moved meanwhile.
    async fn explained(
        &self,
        name: &SecretName,
        label: &str,
        from: Option<&VersionId>,
        to: Option<&VersionId>,
        refusal: StoreError,
    ) -> StoreError {
        if refusal.kind() != ErrorKind::InvalidParameter {
            return refusal;
        }
        let Ok(seen) = self.look(name).await else {
            return refusal;
        };
        match rules::move_label(&seen.held, |_| Some(true), label, from, to) {
            Err(explained) if explained.kind() == refusal.kind() => explained,
            _ => refusal,
        }
    }
}

/// Between half of the pause and all of it, so that those who were throttled together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let share = getrandom::u32().unwrap_or(u32::MAX);
    pause.mul_f64(0.5 + 0.5 * f64::from(share) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pauses_are_spread_over_their_second_half() {
        let pauses: BTreeSet<_> = (0..100).map(|_| jittered(PAUSE_MAX)).collect();
        assert!(pauses.len() > 50);
        assert!(
            pauses
                .iter()
                .all(|pause| (PAUSE_MAX / 2..=PAUSE_MAX).contains(pause))
        );
    }
}
