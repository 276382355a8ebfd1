//! Notes where the store may refuse to keep any. Where whoever runs this has no right to write notes (on AWS, AWS's own
//! policy for rotation functions has none), a credential is rotated all the same, and only what nothing but notes could
//! carry is off: it is said once a run, and nothing is promised that would be forgotten.

use std::sync::OnceLock;

use keyturn_runtime::{Finding, Level};
use keyturn_store::{ErrorKind, StoreError};

use crate::{effect::Effects, notes::Notes};

/// Why the store keeps no notes, once it has refused to.
#[derive(Default)]
pub(crate) struct Refusal(OnceLock<String>);

impl Refusal {
    pub(crate) fn is_met(&self) -> bool {
        self.0.get().is_some()
    }

    /// What the operator has to know about it.
    pub(crate) fn finding(&self) -> Option<Finding> {
        let why = self.0.get()?;
        Some(Finding {
            level: Level::Warning,
            id: "notes-not-kept".to_owned(),
            summary: format!(
                "the store keeps no notes, so the superseded value is not retired, no grace is kept from the next \
                 rotation, and neither a wait for an operator nor an emergency is marked: {why}"
            ),
            fix: Some(
                "allow whoever runs this to write notes (on AWS: secretsmanager:TagResource and UntagResource), and \
                 until then end the superseded value by hand"
                    .to_owned(),
            ),
        })
    }
}

impl Effects<'_> {
    /// Changes the notes, or goes on without where the store keeps none.
    pub(crate) async fn note(&self, change: impl Fn(&mut Notes)) -> Result<(), StoreError> {
        let changed = |notes: &mut Notes| {
            change(notes);
            true
        };
        self.note_if(changed).await.map(drop)
    }

    /// The same for a change that answers whether it is to be written. What could not be kept counts as written: it
    /// was what the caller wanted to go on with.
    pub(crate) async fn note_if(
        &self,
        change: impl Fn(&mut Notes) -> bool,
    ) -> Result<bool, StoreError> {
        let source = &self.source;
        match Notes::update_if(source.store, &source.credential.secret, change).await {
            Err(error) if error.kind() == ErrorKind::AccessDenied => {
                self.notes_refused.0.get_or_init(|| error.to_string());
                Ok(true)
            }
            changed => changed,
        }
    }
}
