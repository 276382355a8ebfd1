//! What the steps work on, and what they ask and note.

use anyhow::Result;
use keyturn_engine::Notes;
use keyturn_runtime::{GrantedPlugin, Share};
use keyturn_store::{
    RunGuard, SecretDescription, SecretName, SecretStore, StoredVersion, VersionId, Which, labels,
};
use secrecy::ExposeSecret;

use crate::{
    exit::{Code, Failure},
    session::Session,
};

/// On an old value that must be proven dead; a credential may have such a label of its own, with its name behind it.
const RETIRING: &str = "KEYTURN_RETIRING";

pub(super) struct Job<'a> {
    pub(super) session: &'a Session,
    pub(super) store: &'a dyn SecretStore,
    /// NAME, and the credential's part of it.
    pub(super) from: SecretName,
    pub(super) part: &'a str,
    pub(super) to: SecretName,
    /// What the credential is called there; "" where its table has no name, or is not there yet.
    pub(super) new_part: &'a str,
    pub(super) plugin: GrantedPlugin,
    /// The other configured credentials of `from`, and their names.
    pub(super) beside: Vec<GrantedPlugin>,
    pub(super) others: Vec<String>,
    /// Whether the credential's table is one of `from`.
    pub(super) is_configured: bool,
}

impl Job<'_> {
    /// NAME#CREDENTIAL.
    pub(super) fn old_name(&self) -> String {
        format!("{}#{}", self.from, self.part)
    }

    /// Notes that another secret rotates these members of this one.
    pub(super) async fn give(
        &self,
        secret: &SecretName,
        owner: String,
        members: &[String],
    ) -> Result<()> {
        let given = members.iter().map(|name| (name.clone(), owner.clone()));
        let notes = Notes::read(self.store, secret).await?;
        if given
            .clone()
            .all(|(name, owner)| notes.moved.get(&name) == Some(&owner))
        {
            return Ok(());
        }
        let work = async {
            Notes::update(self.store, secret, |notes| {
                notes.moved.extend(given.clone())
            })
            .await?;
            Ok(())
        };
        let what = format!("to {owner}");
        self.session.by_hand(secret, "split", &what, work).await
    }

    /// This secret rotates again what it had given to that one.
    pub(super) async fn take(&self, secret: &SecretName, owner: &str) -> Result<()> {
        let notes = Notes::read(self.store, secret).await?;
        if notes.moved.values().all(|other| other != owner) {
            return Ok(());
        }
        let work = async {
            Notes::update(self.store, secret, |notes| {
                notes.moved.retain(|_, other| other != owner);
            })
            .await?;
            Ok(())
        };
        let what = format!("back from {owner}");
        self.session.by_hand(secret, "split", &what, work).await
    }

    /// Notes in the new secret that the old one holds the credential, too, or does not any more: what stands there must
    /// not be ended from here.
    pub(super) async fn note_split_off(&self, is_held: bool) -> Result<()> {
        let split_off = is_held.then(|| self.old_name());
        Notes::update_if(self.store, &self.to, |notes| {
            let before = std::mem::replace(&mut notes.split_off, split_off.clone());
            before != split_off
        })
        .await?;
        Ok(())
    }

    /// Nothing of the credential is left in the old secret.
    pub(super) async fn forget(&self) -> Result<()> {
        self.note_split_off(false).await?;
        Notes::update(self.store, &self.from, |notes| {
            notes.credentials.remove(self.part);
        })
        .await?;
        self.take(&self.from, self.to.as_str()).await
    }

    /// The new secret, if it was said to rotate what the old one holds.
    ///
    /// # Errors
    /// If another one was.
    pub(super) async fn owner(&self) -> Result<Option<String>> {
        let notes = Notes::read(self.store, &self.from).await?;
        let mut moved = notes.moved.into_iter();
        let found = moved.find(|(member, _)| self.plugin.owns(member));
        let Some((_, owner)) = found else {
            return Ok(None);
        };
        if owner != self.to.as_str() {
            return Err(Failure::new(
                Code::Refused,
                format!(
                    "{name} was split into {owner} already; nothing was changed; finish that with `keyturn secret split \
                     {name} --to {owner} --remove`, or take it back with --undo",
                    name = self.old_name()
                ),
            )
            .into());
        }
        Ok(Some(owner))
    }

    /// Whether the new secret was made to stop rotating what the old one holds.
    ///
    /// # Errors
    /// If it was because of another secret.
    pub(super) async fn is_given_back(&self, share: &Share) -> Result<bool> {
        let notes = Notes::read(self.store, &self.to).await?;
        let mut owners = share
            .secrets
            .iter()
            .filter_map(|name| notes.moved.get(name));
        match owners.next() {
            None => Ok(false),
            Some(owner) if *owner == self.old_name() => Ok(true),
            Some(owner) => Err(Failure::new(
                Code::Refused,
                format!(
                    "{} does not rotate the members itself, {owner} does; nothing was changed; take them back from there \
                     first",
                    self.to
                ),
            )
            .into()),
        }
    }

    pub(super) async fn new_exists(&self) -> Result<bool> {
        let secrets = self.store.list().await?;
        Ok(secrets.iter().any(|secret| secret.name == self.to))
    }

    /// No run may work on the new secret, which has just been made.
    pub(super) async fn locked_once_made(&self) -> Result<RunGuard> {
        let Self { to, .. } = self;
        let alone = self.store.begin_run(to).await?;
        alone.ok_or_else(|| {
            let problem = format!(
                "{to} holds the credential now and rotates it, but another run is at work on it, so that it was not noted \
                 what {from} still holds; run this command again when that run has ended",
                from = self.from
            );
            Failure::new(Code::Refused, problem).into()
        })
    }

    /// A shortened value whose promotion was cut off, before or after the move. A candidate of a rotation is noted as
    /// that credential's; of this one nobody else knows, and where no table of the secret is left no rotation comes.
    pub(super) async fn drop_leftover(&self) -> Result<()> {
        let described = self.store.describe(&self.from).await?;
        let Some(staged) = described.holder(labels::STAGED).map(|version| &version.id) else {
            return Ok(());
        };
        let notes = Notes::read(self.store, &self.from).await?;
        if notes.maker(staged.as_str()).is_some() {
            return Ok(());
        }
        let work = async {
            self.store
                .move_label(&self.from, labels::STAGED, Some(staged), None)
                .await?;
            Ok(())
        };
        self.session
            .by_hand(&self.from, "split", staged.as_str(), work)
            .await
    }

    /// It is as old in the new secret as it was in the old one.
    pub(super) async fn carry_rotated_at(&self, current: &StoredVersion) -> Result<()> {
        let known = Notes::read(self.store, &self.from).await?;
        let known = known.of_version(self.part, current.id.as_str());
        let described = self.store.describe(&self.to).await?;
        let [first] = &described.versions[..] else {
            return Ok(());
        };
        Notes::update_if(self.store, &self.to, |notes| {
            let first = notes.version_mut(self.new_part, first.id.as_str());
            let is_news = first.rotated_at_ms.is_none() && known.rotated_at_ms.is_some();
            first.rotated_at_ms = first.rotated_at_ms.or(known.rotated_at_ms);
            is_news
        })
        .await?;
        Ok(())
    }

    /// What an operator was asked for is asked for in the new secret, unless that has rotated since.
    pub(super) async fn carry_wait(&self) -> Result<()> {
        let notes = Notes::read(self.store, &self.from).await?;
        let Some(waiting) = notes.of(self.part).waiting else {
            return Ok(());
        };
        let described = self.store.describe(&self.to).await?;
        let current = described.holder(labels::CURRENT);
        let current = current.map_or("", |version| version.id.as_str());
        Notes::update_if(self.store, &self.to, |notes| {
            let rotated_at_ms = notes.of_version(self.new_part, current).rotated_at_ms;
            let name = self.new_part.to_owned();
            let known = notes.credentials.entry(name).or_default();
            let is_open = known.waiting.is_none()
                && rotated_at_ms.is_none_or(|at_ms| at_ms <= waiting.since_ms);
            if is_open {
                known.waiting = Some(waiting.clone());
            }
            is_open
        })
        .await?;
        Ok(())
    }

    /// Nothing may be lost that a rotation has promised: neither a candidate nor an old value in its grace. What stands
    /// under a name that is not configured may be this credential's, from when it was called that.
    pub(super) async fn must_be_idle(&self) -> Result<()> {
        let is_own = |name: &str| self.others.iter().all(|other| other != name);
        let is_own_retiring = |label: &str| {
            let name = label.strip_prefix(RETIRING);
            name.is_some_and(|name| name.is_empty() || name.strip_prefix('_').is_some_and(is_own))
        };
        self.idle(&self.from, is_own_retiring, is_own).await
    }

    /// The new secret holds nothing but the credential, whatever that is called there.
    pub(super) async fn new_must_be_idle(&self) -> Result<()> {
        let is_own = |label: &str| label.starts_with(RETIRING);
        self.idle(&self.to, is_own, |_| true).await
    }

    async fn idle(
        &self,
        secret: &SecretName,
        is_own_retiring: impl Fn(&str) -> bool,
        is_own: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let described = self.store.describe(secret).await?;
        let notes = Notes::read(self.store, secret).await?;
        let current = described.holder(labels::CURRENT).map(|version| &version.id);
        let is_unfinished = |label: &str| {
            [labels::PENDING, "KEYTURN_INDOUBT", labels::STAGED].contains(&label)
                || is_own_retiring(label)
        };
        if let Some(label) = other_labels(&described).find(|label| is_unfinished(label)) {
            return Err(busy(secret, &format!("a version is still under {label}")));
        }
        let current = current.map_or("", VersionId::as_str);
        for (name, known) in notes.credentials.iter().filter(|(name, _)| is_own(name)) {
            let whose = match name.as_str() {
                "" => secret.to_string(),
                name => format!("#{name}"),
            };
            // What has to be proven dead is settled once its label is off, whatever the notes say.
            let owes = known.versions.get(current);
            let owes = owes.and_then(|known| known.owes.as_ref());
            if owes.is_some_and(|owed| owed.new_version) {
                return Err(busy(
                    secret,
                    &format!("the old value of {whose} is still in its grace"),
                ));
            }
            if let Some(answered) = known.unused_answer(current) {
                return Err(busy(
                    secret,
                    &format!(
                        "the operator's answer for {whose}, version {}, is not in use yet",
                        answered.version
                    ),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn share(&self, version: &StoredVersion) -> Result<Share> {
        let share = self.plugin.share(&version.value, &self.beside);
        share.ok_or_else(|| self.holds_none())
    }

    pub(super) fn holds_none(&self) -> anyhow::Error {
        store_failure(format!(
            "AWSCURRENT of {} holds no member that is #{}'s alone; nothing was changed",
            self.from, self.part
        ))
    }

    pub(super) fn was_not_split(&self) -> anyhow::Error {
        let Self { to, .. } = self;
        let name = self.old_name();
        let problem = format!(
            "{name} was not split into {to}, or that was undone, so that both could rotate it; nothing was changed; \
             `keyturn secret split {name} --to {to}` comes first"
        );
        Failure::new(Code::Refused, problem).into()
    }

    pub(super) fn new_is_unknown(&self) -> anyhow::Error {
        let Self { from, to, .. } = self;
        let problem = format!(
            "there is no secret {to}, and {} was not split into it: {from} rotates it; nothing was changed",
            self.old_name()
        );
        Failure::new(Code::Refused, problem).into()
    }

    pub(super) async fn is_held(&self) -> Result<bool> {
        let current = self.store.get(&self.to, &Which::current()).await?;
        let held = self.plugin.share(&current.value, &self.beside);
        Ok(held.is_some_and(|held| !held.names.is_empty()))
    }

    /// Whether AWSCURRENT of the new secret holds these very members.
    pub(super) async fn is_in_step(&self, share: &Share) -> Result<bool> {
        let current = self.store.get(&self.to, &Which::current()).await?;
        Ok(self.holds(&current, share))
    }

    /// Whether the new secret has held these very members; since then it may have rotated on its own.
    pub(super) async fn was_copied(&self, share: &Share) -> Result<bool> {
        if !self.is_held().await? {
            return Ok(false);
        }
        for version in self.store.describe(&self.to).await?.versions {
            let which = Which::Id(version.id);
            if let Ok(stored) = self.store.get(&self.to, &which).await
                && self.holds(&stored, share)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn holds(&self, stored: &StoredVersion, share: &Share) -> bool {
        let theirs = self.plugin.share(&stored.value, &self.beside);
        let alone = share.alone.expose_secret();
        theirs.is_some_and(|theirs| theirs.alone.expose_secret() == alone)
    }
}

/// Those of the versions that are not AWSCURRENT.
fn other_labels(described: &SecretDescription) -> impl Iterator<Item = &str> {
    let is_current = |labels: &[String]| labels.iter().any(|label| label == labels::CURRENT);
    let others = described.versions.iter();
    others
        .filter(move |version| !is_current(&version.labels))
        .flat_map(|version| version.labels.iter().map(String::as_str))
}

/// No run may work on it meanwhile.
pub(super) async fn locked(store: &dyn SecretStore, secret: &SecretName) -> Result<RunGuard> {
    let alone = store.begin_run(secret).await?;
    alone.ok_or_else(|| busy(secret, "another run is at work on it"))
}

pub(super) fn store_failure(problem: String) -> anyhow::Error {
    Failure::new(Code::Store, problem).into()
}

fn busy(secret: &SecretName, why: &str) -> anyhow::Error {
    Failure::new(
        Code::Refused,
        format!(
            "{secret} cannot be split now: {why}. Nothing was changed; finish it first: a rotation with `keyturn rotate`, an \
             old value with `keyturn retire` once its grace is over (or with --now, which locks out whoever still uses it); \
             then run this command again"
        ),
    )
    .into()
}
