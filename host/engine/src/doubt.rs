//! What the notes say beside KEYTURN_INDOUBT: whether a version was ever applied, and whether it still may
//! be. Every note is written before the effect that it speaks of, so that a crash leaves too much caution
//! and never too little.

use keyturn_protocol::{Event, Label, VersionId};
use keyturn_runtime::TargetEffect;
use keyturn_store::StoreError;

use crate::{
    call::CallSource, effect::Effects, notes::Notes, problem::Failed, snapshot::labels_of,
};

impl Effects<'_> {
    /// Notes that an answer to `set` is awaited; false if another run has brought the version to its end.
    pub(crate) async fn begin_set(&self, candidate: &VersionId) -> Result<bool, StoreError> {
        let CallSource {
            store, credential, ..
        } = self.source;
        let replaces = credential.strategy.effect == TargetEffect::Replacing;
        let now_ms = self.options.clock.now_ms();
        let noted = self
            .note_if(|notes| {
                let known = notes.version_mut(&credential.name, candidate.as_str());
                let unanswered = known.sets_unanswered.unwrap_or(0);
                known.sets_unanswered = Some(unanswered.saturating_add(1));
                if known.strategy.is_empty() {
                    known.strategy.clone_from(&credential.strategy.name);
                }
                if replaces {
                    known.gap_began_at_ms.get_or_insert(now_ms);
                }
                !known.withdrawn
            })
            .await?;
        // Looked at after the note: whoever withdraws it from now on sees that a call has begun.
        let labels = labels_of(&store.describe(&credential.secret).await?, credential);
        let promoted = labels.is_on(Label::Current, candidate);
        let fenced = labels.is_on(Label::InDoubt, candidate) && !promoted;
        if noted && !fenced {
            self.end_set(candidate).await;
        }
        Ok(noted && fenced)
    }

    /// Notes that it came and that nothing was applied. If that cannot be written, the version stays
    /// in doubt, and only an operator can give it up once the secret has moved to another place.
    pub(crate) async fn end_set(&self, candidate: &VersionId) {
        let credential = self.source.credential;
        let _ = self
            .note(|notes| {
                let known = notes.version_mut(&credential.name, candidate.as_str());
                known.sets_unanswered = known.sets_unanswered.map(|count| count.saturating_sub(1));
                if known.never_applied() {
                    known.gap_began_at_ms = None;
                }
            })
            .await;
    }

    pub(crate) async fn withdraw(&self, subject: &VersionId) -> Result<Event, Box<Failed>> {
        let CallSource {
            store, credential, ..
        } = self.source;
        // Not where no note is kept: nothing else would forbid a later call.
        let withdrawn = Notes::update_if(store, &credential.secret, |notes| {
            let known = notes.version_mut(&credential.name, subject.as_str());
            known.withdrawn = true;
            known.never_applied()
        })
        .await?;
        if !withdrawn {
            return Ok(Event::Refused);
        }
        self.swap_label(Label::InDoubt, Some(subject), None).await
    }

    /// Once it is not in doubt any more, no run that slept meanwhile may apply a version.
    pub(crate) async fn forbid_set(&self, subject: &VersionId) -> Result<(), StoreError> {
        let CallSource {
            store, credential, ..
        } = self.source;
        let labels = labels_of(&store.describe(&credential.secret).await?, credential);
        if labels.is_on(Label::Current, subject) {
            return Ok(());
        }
        self.note(|notes| {
            let known = notes.version_mut(&credential.name, subject.as_str());
            known.withdrawn = true;
        })
        .await
    }
}
