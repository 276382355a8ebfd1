//! What this store has written a moment ago, and so must see when it reads: reads of the service lag behind its writes,
//! and a caller that has just moved a label must not plan from the label's old place. It holds ids and labels, no value,
//! and forgets everything after a few seconds, because then others may have written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::rules::Held;
use crate::types::{SecretName, VersionId, Which};

/// For how long a write binds later reads, and for how long a read that does not show it is repeated. AWS names no
/// bound; reads that lag for seconds have been reported.
pub(super) const LAG_MAX: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Recent(Mutex<BTreeMap<SecretName, Writes>>);

#[derive(Default)]
struct Writes {
    labels: BTreeMap<String, (Option<VersionId>, Instant)>,
    notes: Option<(u64, Instant)>,
    /// Versions that are known to have a value, which never changes.
    filled: BTreeSet<VersionId>,
    /// Versions whose value was waited for in vain.
    empty: BTreeSet<VersionId>,
}

impl Recent {
    /// Labels were moved.
    pub(super) fn put_labels(&self, secret: &SecretName, before: &Held, after: &Held) {
        let now = Instant::now();
        let mut all = self.lock();
        let writes = all.entry(secret.clone()).or_default();
        for label in moved(before, after) {
            let holder = after.get(label).cloned();
            writes.labels.insert(label.clone(), (holder, now));
        }
    }

    /// Labels are about to be moved: until that is known to be done, they may be here or there.
    pub(super) fn release_labels(&self, secret: &SecretName, before: &Held, after: &Held) {
        let mut all = self.lock();
        if let Some(writes) = all.get_mut(secret) {
            for label in moved(before, after) {
                writes.labels.remove(label);
            }
        }
    }

    pub(super) fn put_notes(&self, secret: &SecretName, revision: u64) {
        let mut all = self.lock();
        all.entry(secret.clone()).or_default().notes = Some((revision, Instant::now()));
    }

    pub(super) fn fill(&self, secret: &SecretName, version: &VersionId) {
        let mut all = self.lock();
        let writes = all.entry(secret.clone()).or_default();
        writes.filled.insert(version.clone());
    }

    pub(super) fn is_filled(&self, secret: &SecretName, version: &VersionId) -> bool {
        let all = self.lock();
        all.get(secret)
            .is_some_and(|writes| writes.filled.contains(version))
    }

    /// A version's value was waited for; the next time nobody waits.
    pub(super) fn give_up(&self, secret: &SecretName, version: &VersionId) {
        let mut all = self.lock();
        let writes = all.entry(secret.clone()).or_default();
        writes.empty.insert(version.clone());
    }

    pub(super) fn is_given_up(&self, secret: &SecretName, version: &VersionId) -> bool {
        let all = self.lock();
        all.get(secret)
            .is_some_and(|writes| writes.empty.contains(version))
    }

    /// Whether a secret that was read like this shows everything that was written of late.
    pub(super) fn is_shown(&self, secret: &SecretName, held: &Held, notes: Option<u64>) -> bool {
        let all = self.lock();
        let Some(writes) = all.get(secret) else {
            return true;
        };
        let labels = writes.labels.iter();
        let shown = labels
            .filter(|(_, (_, at))| at.elapsed() < LAG_MAX)
            .all(|(label, (holder, _))| held.get(label) == holder.as_ref());
        let older = writes.notes.is_some_and(|(revision, at)| {
            at.elapsed() < LAG_MAX && notes.is_some_and(|notes| notes < revision)
        });
        shown && !older
    }

    /// The version that a read of `which` has to answer, as far as recent writes say so.
    pub(super) fn expected(&self, secret: &SecretName, which: &Which) -> Option<VersionId> {
        let all = self.lock();
        let writes = all.get(secret)?;
        match which {
            Which::Id(id) | Which::IdWithLabel(id, _) => {
                writes.filled.contains(id).then(|| id.clone())
            }
            Which::Label(label) => {
                let (holder, at) = writes.labels.get(label)?;
                let holder = holder.as_ref().filter(|_| at.elapsed() < LAG_MAX)?;
                writes.filled.contains(holder).then(|| holder.clone())
            }
        }
    }

    /// Nobody may be bound by what could not be seen in time.
    pub(super) fn forget(&self, secret: &SecretName) {
        let mut all = self.lock();
        if let Some(writes) = all.get_mut(secret) {
            writes.labels.clear();
            writes.notes = None;
        }
    }

    /// Whole entries are whole after a panic, too.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<SecretName, Writes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moved<'a>(before: &'a Held, after: &'a Held) -> impl Iterator<Item = &'a String> {
    let labels: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let is_moved = move |label: &&String| before.get(*label) != after.get(*label);
    labels.into_iter().filter(is_moved)
}
