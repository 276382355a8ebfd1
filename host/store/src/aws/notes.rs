//! Notes, kept in tags. A write reads, compares the revision, writes all tags in one request and reads back. Two
//! processes that do so within the same moment may both see their own write before the other's lands: that window is as
//! long as one request, and what it can lose is a note, never a credential.

use super::AwsStore;
use super::{replicas, tags};
use crate::error::{ErrorKind, StoreError};
use crate::rules;
use crate::types::{Notes, SecretName};

impl AwsStore {
    pub(super) async fn read_notes(&self, name: &SecretName) -> Result<Notes, StoreError> {
        tags::read(&self.look(name).await?.tags)
    }

    pub(super) async fn replace_notes(
        &self,
        name: &SecretName,
        expected_revision: u64,
        json: &str,
    ) -> Result<u64, StoreError> {
        let _turn = self.notes_turn.lock().await;
        let seen = self.look(name).await?;
        replicas::check_writable(&seen)?;
        let before = tags::read(&seen.tags)?;
        if before.revision != expected_revision {
            return Err(rules::notes_revision_differs(
                expected_revision,
                before.revision,
            ));
        }
        let notes = Notes {
            json: json.to_owned(),
            revision: expected_revision + 1,
        };
        let written = tags::write(&seen.tags, &notes)?;
        self.tag(name, &written).await?;
        self.recent.put_notes(name, notes.revision);
        let after = self.look(name).await?;
        let found = tags::read(&after.tags)?;
        if found != notes {
            return Err(StoreError::new(
                ErrorKind::PreconditionNotMet,
                "someone else wrote the notes at the same moment",
                "read the notes again and repeat the change on what they say now",
            ));
        }
        let left_over = tags::left_over(&after.tags, &written);
        if !left_over.is_empty() {
            // Nobody reads beyond the head's count, so what cannot be removed is in nobody's way.
            let _ = self.untag(name, left_over).await;
        }
        Ok(notes.revision)
    }
}
