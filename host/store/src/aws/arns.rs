//! Under which ARN a secret is asked for, where it was named by one. The service takes a name for one of the caller's own
//! account and region, so that a secret of another account would be missed, or another one of that name be met.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::error::{ErrorKind, StoreError};
use crate::types::SecretName;

#[derive(Default)]
pub(super) struct Arns(Mutex<BTreeMap<SecretName, String>>);

impl Arns {
    /// From now on the secret of this name is the one with that ARN.
    ///
    /// # Errors
    /// `InvalidRequest` if another account's or region's has that name already: labels and notes are kept by name.
    pub(super) fn learn(&self, name: &SecretName, arn: &str) -> Result<(), StoreError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = known.get(name).filter(|other| place(other) != place(arn)) {
            return Err(StoreError::new(
                ErrorKind::InvalidRequest,
                format!("two secrets are named {name}: {other} and {arn}"),
                "give one of them another name, or let each be rotated in its own account and region",
            ));
        }
        known.insert(name.clone(), arn.to_owned());
        Ok(())
    }

    /// What stands for the secret in a request.
    pub(super) fn id(&self, name: &SecretName) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(name)
            .map_or(name.as_str(), String::as_str)
            .to_owned()
    }
}

/// Partition, service, region and account: one that was made anew under its name has another end.
fn place(arn: &str) -> Vec<&str> {
    arn.split(':').take(5).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_was_named_by_an_arn_is_asked_for_by_it() {
        let (arns, name) = (Arns::default(), SecretName::new("prod/admin").unwrap());
        assert_eq!(arns.id(&name), "prod/admin");
        let arn = |account, end| {
            format!("arn:aws:secretsmanager:eu-west-1:{account}:secret:prod/admin-{end}")
        };
        arns.learn(&name, &arn("111111111111", "AbCdEf")).unwrap();
        assert_eq!(arns.id(&name), arn("111111111111", "AbCdEf"));
        arns.learn(&name, &arn("111111111111", "GhIjKl")).unwrap();
        assert_eq!(arns.id(&name), arn("111111111111", "GhIjKl"));
        let refused = arns
            .learn(&name, &arn("222222222222", "AbCdEf"))
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
        assert!(refused.to_string().contains("222222222222"), "{refused}");
    }
}
