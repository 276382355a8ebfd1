//! What persons and the rotation service do to the store from outside.

use keyturn_protocol::*;

use super::world::{Version, World, id};

impl World {
    /// A person stores a value by hand: the service removes `AWSPENDING` (RotationAbandoned).
    pub fn edit_by_hand(&mut self, other_credential: bool) {
        let mut value = self.value(self.current()).clone();
        let old = value.credential();
        value.edits += 1;
        if other_credential {
            value.key = self.new_key();
            // On a target with one password the person replaces whatever it is by now.
            self.accepts.retain(|(user, _)| *user != old.0);
            self.accepts.insert(value.credential());
        }
        let edited = id(&format!("edit-{}", self.versions.len()));
        // What was owed stays owed; what the person took away was theirs to take.
        let owed = self.notes.get(self.current()).cloned();
        self.notes.extend(owed.map(|owed| (edited.clone(), owed)));
        if other_credential {
            self.promised
                .retain(|credential, _| credential.0 != old.0 || !self.kind.has_target());
        }
        self.versions.insert(
            edited.clone(),
            Version {
                value: Some(value),
                base: None,
            },
        );
        self.labels.put(Label::Pending, None);
        self.put_current(&edited);
    }

    /// A person corrects the host by hand.
    pub fn correct_place(&mut self) {
        self.edit_by_hand(false);
        let (current, place) = (self.current().clone(), self.place);
        let version = self.versions.get_mut(&current);
        version.and_then(|v| v.value.as_mut()).unwrap().host = place;
    }

    /// `RotateSecret`: an empty version under `AWSPENDING`, unless a rotation is in progress.
    pub fn begin_service_rotation(&mut self) -> VersionId {
        let token = id(&format!("token-{}", self.versions.len()));
        self.versions.insert(
            token.clone(),
            Version {
                value: None,
                base: None,
            },
        );
        self.labels.put(Label::Pending, Some(token.clone()));
        token
    }
}
