//! What staging labels cannot carry: when the old value is due to die, what was announced, when the
//! last rotation succeeded. One small JSON object per secret, written by compare-and-swap. Notes
//! hold version ids and times, never values; losing them loses no credential, unless one is being split off, for nothing
//! else says which secret rotates it.

use std::collections::{BTreeMap, BTreeSet};

use keyturn_protocol::{How, Label, VersionId};
use keyturn_runtime::InputRequest;
use keyturn_store::{ErrorKind, SecretDescription, SecretName, SecretStore, StoreError};
use serde::{Deserialize, Serialize};

/// How often a write that lost the race is made again on what the winner wrote.
const WRITE_ATTEMPTS_MAX: u32 = 8;

/// The notes of one secret, by credential ("" for a secret that holds one).
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    #[serde(default)]
    pub credentials: BTreeMap<String, CredentialNotes>,
    /// Members that stand here and that another secret's rotations change, with who does: NAME, or NAME#CREDENTIAL. By
    /// member and not by credential, for a credential may get another name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub moved: BTreeMap<String, String>,
    /// NAME#CREDENTIAL in the secret that this one was split off, for as long as applications may read the credential
    /// there: what stands there must not be ended from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_off: Option<String>,
}

/// What is known about the versions of one credential. Keyed by version, so that a note counts only
/// while its version is AWSCURRENT: it may be written before AWSCURRENT moves, and a move that never
/// comes leaves it without meaning.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialNotes {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, VersionNotes>,
    /// The rotation that waits for an operator; nothing of it is stored yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// The version that holds an operator's answer, for as long as no promotion has used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answered>,
    /// How long AWSCURRENT did not log in during the last rotation (replacing strategies only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<u64>,
}

/// Where an operator's answer is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    pub version: String,
    /// The version that was current when it was stored.
    pub base: String,
}

impl Answered {
    pub(crate) fn new(version: &VersionId, base: &VersionId) -> Self {
        Self {
            version: version.to_string(),
            base: base.to_string(),
        }
    }
}

/// All times are Unix milliseconds.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionNotes {
    /// This credential's rotation made the version. Written before the version is stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub made: bool,
    /// When the value that this version holds came into use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<u64>,
    /// When this version published the next value, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_at_ms: Option<u64>,
    /// The value that this version superseded and that still has to die.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owes: Option<Obligation>,
    /// How many calls of `set` on this version were not answered with `applied: no`: 0 says that it
    /// never reached the target, nothing that nobody knows. Counted up before each call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sets_unanswered: Option<u32>,
    /// By which strategy the first of those calls was made: what it has changed, no other one knows how to end. Empty: no
    /// call, or one of a time when that was not noted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub strategy: String,
    /// When the first of those calls began, where AWSCURRENT may not log in from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_began_at_ms: Option<u64>,
    /// It was given up before it reached the target, and may not be applied any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

impl CredentialNotes {
    /// What is owed to that version, by whichever superseded it.
    pub(crate) fn obligation(&self, subject: &str) -> Option<&Obligation> {
        let owed = self.versions.values();
        owed.filter_map(|notes| notes.owes.as_ref())
            .find(|owed| owed.subject == subject)
    }

    /// The operator's answer that is stored and not in use. That it is used is noted after the promotion, so that the
    /// note may lag behind.
    pub fn unused_answer(&self, current: &str) -> Option<&Answered> {
        let answered = self.answered.as_ref();
        answered.filter(|answered| answered.version != current)
    }

    /// A version that is, or was, AWSCURRENT is no answer that waits.
    pub(crate) fn use_answer(&mut self, version: &str) {
        self.answered.take_if(|known| known.version == version);
    }

    /// The credential is the same in both versions, so what is known of it goes along.
    fn carry(&mut self, from: &str, to: &str) {
        if let Some(known) = self.versions.get(from).cloned() {
            let known = VersionNotes {
                made: false,
                sets_unanswered: None,
                strategy: String::new(),
                gap_began_at_ms: None,
                ..known
            };
            self.versions.insert(to.to_owned(), known);
        }
    }
}

impl VersionNotes {
    /// Whether it is known never to have reached the target.
    pub fn never_applied(&self) -> bool {
        self.sets_unanswered == Some(0)
    }
}

/// A superseded value that must die.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligation {
    /// The version whose value that is.
    pub subject: String,
    pub at_target: bool,
    pub new_version: bool,
    pub by_operator: bool,
    /// The end of its grace.
    pub due_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_steps: Option<OperatorSteps>,
}

impl Obligation {
    pub(crate) fn how(&self) -> How {
        How {
            at_target: self.at_target,
            new_version: self.new_version,
            by_operator: self.by_operator,
        }
    }

    /// As planning needs it.
    pub(crate) fn as_of(&self, now_ms: u64) -> keyturn_protocol::Obligation {
        keyturn_protocol::Obligation {
            how: self.how(),
            subject: VersionId::new(self.subject.as_str()),
            // Rounded up: a grace never ends early.
            grace_left_seconds: self.due_at_ms.saturating_sub(now_ms).div_ceil(1000),
        }
    }
}

/// A rotation that waits for what only an operator can bring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub since_ms: u64,
    /// From then on nobody waits any more; the next rotation asks anew.
    pub expires_at_ms: u64,
    pub steps: OperatorSteps,
}

/// What a person has to do at a vendor.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorSteps {
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    #[serde(default)]
    pub checklist: Vec<String>,
}

impl OperatorSteps {
    pub(crate) fn of(asked: &InputRequest) -> Self {
        Self {
            title: asked.title.clone(),
            link: asked.link.clone(),
            checklist: asked.checklist.clone(),
        }
    }

    /// Title, link and steps as one sentence.
    pub fn in_one_line(&self) -> String {
        let mut line = self.title.clone();
        if let Some(link) = &self.link {
            line += &format!(" ({link})");
        }
        for (number, step) in (1..).zip(&self.checklist) {
            line += &format!("; {number}. {step}");
        }
        line
    }
}

impl Notes {
    /// Reads a secret's notes.
    ///
    /// # Errors
    /// The store's; notes that are not ours (`Internal`), which nobody may overwrite unread.
    pub async fn read(store: &dyn SecretStore, secret: &SecretName) -> Result<Self, StoreError> {
        Self::parse(secret, &store.notes(secret).await?.json)
    }

    /// Changes the notes, again and again on what others wrote meanwhile.
    ///
    /// # Errors
    /// The store's; `PreconditionNotMet` if the race was lost every time.
    pub async fn update(
        store: &dyn SecretStore,
        secret: &SecretName,
        change: impl Fn(&mut Notes),
    ) -> Result<(), StoreError> {
        let changed = |notes: &mut Notes| {
            change(notes);
            true
        };
        Self::update_if(store, secret, changed).await.map(drop)
    }

    /// The same for a change that depends on what the notes say: it answers whether it is to be
    /// written, and that answer comes back.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn update_if(
        store: &dyn SecretStore,
        secret: &SecretName,
        change: impl Fn(&mut Notes) -> bool,
    ) -> Result<bool, StoreError> {
        let mut attempt = 1;
        loop {
            let stored = store.notes(secret).await?;
            let mut notes = Self::parse(secret, &stored.json)?;
            if !change(&mut notes) {
                return Ok(false);
            }
            let json = serde_json::to_string(&notes).map_err(|error| unreadable(secret, error))?;
            match store.write_notes(secret, stored.revision, &json).await {
                Ok(_) => return Ok(true),
                Err(error)
                    if error.kind() == ErrorKind::PreconditionNotMet
                        && attempt < WRITE_ATTEMPTS_MAX =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The notes of one credential; empty ones if there are none.
    pub fn of(&self, credential: &str) -> CredentialNotes {
        self.credentials
            .get(credential)
            .cloned()
            .unwrap_or_default()
    }

    /// The notes of one version of a credential; empty ones if there are none.
    pub fn of_version(&self, credential: &str, version: &str) -> VersionNotes {
        self.credentials
            .get(credential)
            .and_then(|notes| notes.versions.get(version))
            .cloned()
            .unwrap_or_default()
    }

    /// The entry to write to for one version of a credential.
    pub fn version_mut(&mut self, credential: &str, version: &str) -> &mut VersionNotes {
        let notes = self.credentials.entry(credential.to_owned()).or_default();
        notes.versions.entry(version.to_owned()).or_default()
    }

    /// The credential whose rotation made a version, where a secret holds several: labels belong to the
    /// secret, so this note is what keeps one credential's run from taking up another's candidate.
    pub fn maker(&self, version: &str) -> Option<&str> {
        let mut credentials = self.credentials.iter();
        let made = credentials.find(|(_, notes)| {
            let known = notes.versions.get(version);
            known.is_some_and(|known| known.made)
        });
        made.map(|(name, _)| name.as_str())
    }

    /// What was noted before the secret's only credential had a name is noted under it, where that says nothing newer.
    pub(crate) fn name_the_unnamed(&mut self, name: &str) {
        let Some(unnamed) = self.credentials.remove("") else {
            return;
        };
        let CredentialNotes {
            versions,
            waiting,
            answered,
            gap_ms,
        } = unnamed;
        let named = self.credentials.entry(name.to_owned()).or_default();
        let rotations = named.versions.values();
        let rotated_at_ms = rotations.filter_map(|known| known.rotated_at_ms).max();
        let waiting =
            waiting.filter(|asked| rotated_at_ms.is_none_or(|at_ms| at_ms <= asked.since_ms));
        for (id, known) in versions {
            named.versions.entry(id).or_insert(known);
        }
        named.waiting = named.waiting.take().or(waiting);
        named.answered = named.answered.take().or(answered);
        named.gap_ms = named.gap_ms.or(gap_ms);
    }

    /// The credential that owes the end of a version's value.
    pub fn debtor(&self, subject: &str) -> Option<&str> {
        let mut credentials = self.credentials.iter();
        let owing = credentials.find(|(_, notes)| notes.obligation(subject).is_some());
        owing.map(|(name, _)| name.as_str())
    }

    /// Prepares a value that is written by hand over `from`: what is owed to older values stays owed,
    /// and, as on AWS, it counts as a rotation, of every credential that is not known to be untouched. An
    /// announced key of such a one may not be in it any more, and what was waited for may be.
    pub fn prepare_put(
        &mut self,
        from: &str,
        to: &str,
        now_ms: u64,
        is_untouched: impl Fn(&str) -> bool,
    ) {
        for (name, notes) in &mut self.credentials {
            notes.use_answer(from);
            if is_untouched(name) {
                notes.carry(from, to);
                continue;
            }
            notes.waiting = None;
            if let Some(known) = notes.versions.get(from) {
                let carried = VersionNotes {
                    rotated_at_ms: Some(now_ms),
                    owes: known.owes.clone(),
                    ..VersionNotes::default()
                };
                notes.versions.insert(to.to_owned(), carried);
            }
        }
    }

    /// Prepares a move of AWSCURRENT from one version to another: what is known of the credentials that
    /// are the same in both goes along.
    pub fn prepare_promotion(&mut self, from: &str, to: &str, is_same: impl Fn(&str) -> bool) {
        for (name, notes) in &mut self.credentials {
            notes.use_answer(from);
            if is_same(name) {
                notes.carry(from, to);
            }
        }
    }

    /// Forgets the versions of which nothing can come any more: those that are older than AWSCURRENT,
    /// and so were not made from it, and hold no label, unless they owe the end of a value that still
    /// waits for it.
    pub fn prune(&mut self, secret: &SecretDescription) {
        let older = secret.versions.iter().take_while(|version| {
            let is_current = |label: &String| label == Label::Current.as_str();
            !version.labels.iter().any(is_current)
        });
        let unlabelled: BTreeSet<_> = older
            .filter(|version| version.labels.is_empty())
            .map(|version| version.id.as_str())
            .collect();
        // A credential may have such a label of its own.
        let is_retiring = |label: &String| label.starts_with(Label::Retiring.as_str());
        let retiring: BTreeSet<_> = secret
            .versions
            .iter()
            .filter(|version| version.labels.iter().any(is_retiring))
            .map(|version| version.id.as_str())
            .collect();
        for notes in self.credentials.values_mut() {
            notes.versions.retain(|id, known| {
                let owes = known.owes.as_ref().map(|owed| owed.subject.as_str());
                let waits = owes.is_some_and(|subject| retiring.contains(subject));
                !unlabelled.contains(id.as_str()) || waits
            });
        }
    }

    fn parse(secret: &SecretName, json: &str) -> Result<Self, StoreError> {
        serde_json::from_str(json).map_err(|error| unreadable(secret, error))
    }
}

fn unreadable(secret: &SecretName, error: serde_json::Error) -> StoreError {
    StoreError::new(
        ErrorKind::Internal,
        format!("the notes of {secret} are not in Keyturn's form"),
        "look at who else writes them; they hold no value, only when the old one is due to die",
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::{Notes, OperatorSteps, Waiting};

    fn noted(notes: &mut Notes, name: &str, rotated_at_ms: u64, gap_ms: Option<u64>) {
        notes.version_mut(name, "v2").rotated_at_ms = Some(rotated_at_ms);
        notes.version_mut(name, name).rotated_at_ms = Some(rotated_at_ms);
        let known = notes.credentials.entry(name.to_owned()).or_default();
        known.gap_ms = gap_ms;
    }

    fn asked(notes: &mut Notes, name: &str, since_ms: u64) {
        let known = notes.credentials.entry(name.to_owned()).or_default();
        known.waiting = Some(Waiting {
            since_ms,
            expires_at_ms: since_ms,
            steps: OperatorSteps::default(),
        });
    }

    #[test]
    fn what_is_noted_under_the_name_is_newer() {
        let mut notes = Notes::default();
        noted(&mut notes, "", 1, Some(10));
        asked(&mut notes, "", 2);
        noted(&mut notes, "a", 3, Some(30));
        notes.name_the_unnamed("a");
        assert_eq!(notes.of_version("a", "v2").rotated_at_ms, Some(3));
        assert_eq!(notes.of_version("a", "").rotated_at_ms, Some(1));
        assert_eq!(notes.of("a").gap_ms, Some(30));
        assert_eq!(notes.of("a").waiting, None, "answered by that rotation");
        assert!(!notes.credentials.contains_key(""));
    }

    #[test]
    fn what_is_noted_under_no_name_alone_is_taken_over() {
        let mut notes = Notes::default();
        noted(&mut notes, "", 1, Some(10));
        asked(&mut notes, "", 2);
        let unnamed = notes.of("");
        notes.name_the_unnamed("a");
        assert_eq!(notes.of("a"), unnamed);
    }
}
