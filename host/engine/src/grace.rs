//! The grace of a value that is killed before its time.

use std::cell::RefCell;

use keyturn_protocol::VersionId;
use keyturn_store::StoreError;

use crate::{call::CallSource, effect::Effects, notes::Notes};

/// A promise that was taken back: the version that owes it, and when it would have ended.
pub(crate) struct CutShort {
    version: String,
    due_at_ms: u64,
}

impl Effects<'_> {
    /// A value that is killed before its time has no grace any more: a run that is cut off from here on must not leave
    /// the promise that it works, and the next one goes on without being told again.
    pub(crate) async fn end_grace(&self, subject: &VersionId) -> Result<Vec<CutShort>, StoreError> {
        let credential = self.source.credential;
        let now_ms = self.options.clock.now_ms();
        let cut = RefCell::new(Vec::new());
        self.note_if(|notes| {
            let mut cut = cut.borrow_mut();
            cut.clear();
            let known = notes.credentials.get_mut(&credential.name);
            let versions = known.into_iter().flat_map(|known| &mut known.versions);
            for (version, known) in versions {
                if let Some(owed) = &mut known.owes
                    && owed.subject == subject.as_str()
                    && owed.due_at_ms > now_ms
                {
                    let due_at_ms = std::mem::replace(&mut owed.due_at_ms, now_ms);
                    let version = version.clone();
                    cut.push(CutShort { version, due_at_ms });
                }
            }
            !cut.is_empty()
        })
        .await?;
        Ok(cut.into_inner())
    }

    /// After the call that cut it short was answered with `applied: no`; none before it can have killed the value, for
    /// that one would have cut it short. Otherwise a later run would end the value without having been told to. Where
    /// this cannot be written, the value works and is promised to nobody.
    pub(crate) async fn give_grace_back(&self, subject: &VersionId, cut: &[CutShort]) {
        if cut.is_empty() {
            return;
        }
        let CallSource {
            store, credential, ..
        } = self.source;
        let _ = Notes::update_if(store, &credential.secret, |notes| {
            let Some(known) = notes.credentials.get_mut(&credential.name) else {
                return false;
            };
            let mut given = false;
            for CutShort { version, due_at_ms } in cut {
                let known = known.versions.get_mut(version);
                if let Some(owed) = known.and_then(|known| known.owes.as_mut())
                    && owed.subject == subject.as_str()
                {
                    owed.due_at_ms = *due_at_ms;
                    given = true;
                }
            }
            given
        })
        .await;
    }
}
