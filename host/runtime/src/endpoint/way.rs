//! How far each server was reached in one call: what is known where a path breaks, whatever the plugin makes of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::net_error::NetError;

/// The way to one member of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    pub endpoint: String,
    /// `host:port`
    pub member: String,
    /// Its name has an address that may be connected to.
    pub dns: Stage,
    pub tcp: Stage,
    pub tls: Stage,
}

/// What was seen of one stage. A failure stays, whatever a later connection of the same call sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", content = "error", rename_all = "kebab-case")]
pub enum Stage {
    /// An earlier stage failed, or nobody wanted it.
    NotTried,
    /// The grant and the value ask for none.
    Off,
    Passed,
    /// What failed and what to do.
    Failed(String),
}

/// The ways of one call. Its connections have a part in it, because some begin TLS long after they were opened.
#[derive(Clone, Default)]
pub(crate) struct Ways(Arc<Mutex<BTreeMap<(String, String), Way>>>);

/// The stages of a [`Way`].
#[derive(Clone, Copy)]
pub(super) enum Reached {
    Dns,
    Tcp,
    Tls,
}

impl Ways {
    /// In the order of endpoints and members.
    pub(crate) fn all(&self) -> Vec<Way> {
        self.lock().values().cloned().collect()
    }

    /// No TLS is asked for, so that none will be seen.
    pub(super) fn without_tls(&self, endpoint: &str, member: &str) {
        let key = (endpoint.to_owned(), member.to_owned());
        if let Some(way) = self.lock().get_mut(&key) {
            way.tls = Stage::Off;
        }
    }

    pub(super) fn is_known(&self, endpoint: &str, member: &str) -> bool {
        let key = (endpoint.to_owned(), member.to_owned());
        self.lock().contains_key(&key)
    }

    /// Passes a stage's result on, and keeps what it was.
    pub(super) fn note<T>(
        &self,
        endpoint: &str,
        member: &str,
        stage: Reached,
        result: Result<T, NetError>,
    ) -> Result<T, NetError> {
        let key = (endpoint.to_owned(), member.to_owned());
        let mut ways = self.lock();
        let way = ways
            .entry(key)
            .or_insert_with_key(|(endpoint, member)| Way {
                endpoint: endpoint.clone(),
                member: member.clone(),
                dns: Stage::NotTried,
                tcp: Stage::NotTried,
                tls: Stage::NotTried,
            });
        let seen = match stage {
            Reached::Dns => &mut way.dns,
            Reached::Tcp => &mut way.tcp,
            Reached::Tls => &mut way.tls,
        };
        if !matches!(seen, Stage::Failed(_)) {
            *seen = match &result {
                Ok(_) => Stage::Passed,
                Err(error) => Stage::Failed(error.message.clone()),
            };
        }
        result
    }

    /// Whole entries are whole after a panic, too.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Way>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::NetErrorKind;

    #[test]
    fn a_failure_stays_whatever_comes_after_it() {
        let ways = Ways::default();
        let refused = || Err::<(), _>(NetError::new(NetErrorKind::Refused, "refused"));
        assert!(!ways.is_known("primary", "db:5432"));
        ways.note("primary", "db:5432", Reached::Dns, Ok(()))
            .unwrap();
        ways.note("primary", "db:5432", Reached::Tcp, refused())
            .unwrap_err();
        ways.note("primary", "db:5432", Reached::Tcp, Ok(()))
            .unwrap();
        ways.without_tls("primary", "db:5432");
        assert!(ways.is_known("primary", "db:5432"));
        let way = ways.all().pop().unwrap();
        assert_eq!(
            serde_json::to_value(way).unwrap(),
            serde_json::json!({
                "endpoint": "primary",
                "member": "db:5432",
                "dns": {"status": "passed"},
                "tcp": {"status": "failed", "error": "refused"},
                "tls": {"status": "off"},
            })
        );
    }
}
