//! What is true from outside: which versions the store holds, and which of them open the server's
//! door, asked past the proxy with a client that is not Keyturn's. One thread logs in without pause
//! as an application would; the rounds ask the same questions between strikes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use harness::postgres::login;
use keyturn_store::embedded::EmbeddedStore;
use keyturn_store::{SecretName, SecretStore, Which, labels};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use crate::Failure;
use crate::site::{DATABASE, Site, Victim, secret, text};

/// The answer to a wrong password, and to nothing else that may happen here.
const INVALID_PASSWORD: &str = "28P01";
/// With one user, the versions of which one opens the door at every instant, the oldest first: if
/// AWSCURRENT is refused, the change has been committed, and from then on the new value works.
const ONE_OPENS: [&str; 3] = ["AWSCURRENT", "AWSPENDING", "KEYTURN_INDOUBT"];

#[derive(Deserialize)]
struct Value {
    username: String,
    password: String,
}

/// Version id to labels.
type Labels = BTreeMap<String, Vec<String>>;

pub(crate) struct Witness {
    store: Arc<EmbeddedStore>,
    runtime: tokio::runtime::Runtime,
    port: u16,
}

/// What the thread has seen.
#[derive(Default)]
pub(crate) struct Watched {
    pub(crate) stop: AtomicBool,
    pub(crate) logins: AtomicUsize,
    pub(crate) findings: Mutex<Vec<String>>,
}

impl Witness {
    pub(crate) fn new(site: &Site) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(text)?;
        Ok(Self {
            store: Arc::new(site.store()?),
            runtime,
            port: site.cluster.port(),
        })
    }

    /// Logs in as each application in turn, until told to stop.
    pub(crate) fn watch(&self, watched: &Watched) {
        while !watched.stop.load(Ordering::Relaxed) {
            for victim in Victim::BOTH {
                let seen = self.promise_holds(victim);
                watched.logins.fetch_add(1, Ordering::Relaxed);
                if let Err(finding) = seen {
                    let mut findings = watched
                        .findings
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    findings.push(format!("{}: {finding}", victim.name()));
                }
            }
        }
    }

    /// The strategy's promise at this instant. A refusal counts only if the labels did not move
    /// between the look before it and the look after it.
    pub(crate) fn promise_holds(&self, victim: Victim) -> Result<(), Failure> {
        let name = secret(victim)?;
        let may_open = match victim {
            Victim::Alternating => &ONE_OPENS[..1],
            Victim::Single => &ONE_OPENS[..],
        };
        loop {
            let before = self.labels(&name)?;
            let mut refusals = Vec::new();
            for label in may_open {
                let Some((id, _)) = before
                    .iter()
                    .find(|(_, held)| held.iter().any(|l| l == label))
                else {
                    continue;
                };
                match self.logs_in(&name, id)? {
                    None => return Ok(()),
                    Some(refusal) => refusals.push(format!("{label} {id}: {refusal}")),
                }
            }
            if self.labels(&name)? == before {
                return Err(format!("locked out: {refusals:?} with {before:?}"));
            }
        }
    }

    /// AWSCURRENT itself opens the door, and no label of an unfinished rotation is left.
    pub(crate) fn is_settled(&self, victim: Victim) -> Result<(), Failure> {
        let name = secret(victim)?;
        let labels = self.labels(&name)?;
        let allowed: &[&str] = match victim {
            Victim::Alternating => &[labels::CURRENT, labels::PREVIOUS, "KEYTURN_RETIRING"],
            Victim::Single => &[labels::CURRENT, labels::PREVIOUS],
        };
        let left = labels
            .values()
            .flatten()
            .find(|l| !allowed.contains(&l.as_str()));
        if let Some(left) = left {
            return Err(format!("{left} is left behind: {labels:?}"));
        }
        let current = labels
            .iter()
            .find(|(_, held)| held.iter().any(|l| l == labels::CURRENT));
        let (id, _) = current.ok_or("nothing is AWSCURRENT")?;
        match self.logs_in(&name, id)? {
            None => Ok(()),
            Some(refusal) => Err(format!("AWSCURRENT {id} does not log in: {refusal}")),
        }
    }

    /// No version that came after the first `known` ones opens the door without standing under a
    /// label. Must be called when no rotator runs. Answers how many versions there are.
    pub(crate) fn none_is_lost(&self, victim: Victim, known: usize) -> Result<usize, Failure> {
        let name = secret(victim)?;
        let description = self
            .runtime
            .block_on(self.store.describe(&name))
            .map_err(text)?;
        for version in description.versions.iter().skip(known) {
            if version.labels.is_empty() && self.logs_in(&name, version.id.as_str())?.is_none() {
                return Err(format!("version {} logs in and has no label", version.id));
            }
        }
        Ok(description.versions.len())
    }

    /// Every password that there ever was; the store keeps young versions without labels too.
    pub(crate) fn passwords(&self) -> Result<Vec<String>, Failure> {
        let mut passwords = Vec::new();
        for victim in Victim::BOTH {
            let name = secret(victim)?;
            let description = self
                .runtime
                .block_on(self.store.describe(&name))
                .map_err(text)?;
            for version in &description.versions {
                passwords.push(self.value(&name, version.id.as_str())?.password);
            }
        }
        Ok(passwords)
    }

    /// The one that carries AWSCURRENT is one, or that is a finding of its own.
    fn labels(&self, name: &SecretName) -> Result<Labels, Failure> {
        let description = self
            .runtime
            .block_on(self.store.describe(name))
            .map_err(text)?;
        let labels: Labels = description
            .versions
            .into_iter()
            .filter(|version| !version.labels.is_empty())
            .map(|version| (version.id.to_string(), version.labels))
            .collect();
        let current = labels.values().flatten().filter(|l| *l == labels::CURRENT);
        match current.count() {
            1 => Ok(labels),
            count => Err(format!("{count} versions are AWSCURRENT: {labels:?}")),
        }
    }

    /// `None` if this version opens the door, else the server's refusal of its password. Everything
    /// else is a failure.
    fn logs_in(&self, name: &SecretName, id: &str) -> Result<Option<String>, Failure> {
        let value = self.value(name, id)?;
        let (user, password) = (&value.username, &value.password);
        let answer = login("127.0.0.1", self.port, user, password, DATABASE);
        match self.runtime.block_on(answer) {
            Ok(()) => Ok(None),
            Err(refusal) if refusal.sqlstate.as_deref() == Some(INVALID_PASSWORD) => {
                Ok(Some(refusal.to_string()))
            }
            Err(other) => Err(format!("the witness cannot log in: {other}")),
        }
    }

    fn value(&self, name: &SecretName, id: &str) -> Result<Value, Failure> {
        let id = keyturn_store::VersionId::new(id).map_err(text)?;
        let version = self.runtime.block_on(self.store.get(name, &Which::Id(id)));
        let version = version.map_err(text)?;
        serde_json::from_str(version.value.expose_secret())
            .map_err(|_| format!("a version of {name} is incomplete"))
    }
}
