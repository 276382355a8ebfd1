//! `keyturn secret split`: one credential of a secret gets a secret of its own. In two steps, so that no application is
//! locked out: the members are copied first, and leave the old secret only when everybody reads the new one.

use anyhow::Result;
use keyturn_config::CredentialConfig;
use keyturn_engine::{Credential, Notes, RandomIds, VersionIds};
use keyturn_runtime::{GrantedPlugin, Share};
use keyturn_store::{
    NewSecret, RunGuard, SecretName, SecretStore, StoredVersion, VersionId, Which, labels,
};
use secrecy::ExposeSecret;
use serde_json::json;

use super::secret::said;
use crate::{
    cli::{Global, Split},
    exit::{Code, Failure},
    output,
    session::{Record, Session, refuse, secret_name},
};

/// Where the shortened value waits for its promotion, a compare-and-swap; left behind by a crash, the next split or
/// rotation takes it off.
const STAGED: &str = "KEYTURN_STAGED";
/// On an old value that must be proven dead; a credential may have such a label of its own, with its name behind it.
const RETIRING: &str = "KEYTURN_RETIRING";

/// What both steps work on.
struct Job<'a> {
    store: &'a dyn SecretStore,
    /// NAME, and the credential's part of it.
    from: SecretName,
    part: &'a str,
    to: SecretName,
    credential: Credential,
    /// The other configured credentials of `from`.
    beside: Vec<GrantedPlugin>,
    _alone: RunGuard,
}

pub(crate) async fn run(global: &Global, session: &Session, arguments: &Split) -> Result<()> {
    let Some((secret, part)) = arguments
        .name
        .split_once('#')
        .filter(|(_, part)| !part.is_empty())
    else {
        return Err(refuse(format!(
            "{} names no credential of a secret; give NAME#CREDENTIAL",
            arguments.name
        ))
        .into());
    };
    if arguments.to == secret {
        return Err(refuse(format!("{secret} cannot be split into itself")).into());
    }
    let is_configured = session.config.select(&arguments.name).is_ok();
    if arguments.remove && is_configured {
        return Err(refuse(format!(
            "{} is still configured; make its table one of {} first, so that no rotation misses its members",
            arguments.name, arguments.to
        ))
        .into());
    }
    // Its plugin and settings say which members are meant; after the move they stand in the new table.
    let name = if arguments.remove {
        &arguments.to
    } else {
        &arguments.name
    };
    let mut names = vec![name.clone()];
    let others = session.config.credentials().iter();
    let others = others.filter(|other| other.secret() == secret && other.credential() != part);
    names.extend(others.map(CredentialConfig::display_name));
    let (_, credentials, refused) = session.engine(global, &names, Record::Nothing).await?;
    let is_each_one = credentials.len() == names.len();
    let mut credentials = credentials.into_iter();
    let (Some(credential), true, Code::Done) = (credentials.next(), is_each_one, refused) else {
        return Err(refuse(format!(
            "{name} must be one credential, and it and those beside it configured rightly"
        ))
        .into());
    };
    let store: &dyn SecretStore = session.store.as_ref();
    let from = secret_name(secret)?;
    let Some(alone) = store.begin_run(&from).await? else {
        return Err(busy(&from, "another run is at work on it"));
    };
    let job = Job {
        store,
        from,
        part,
        to: secret_name(&arguments.to)?,
        credential,
        beside: credentials.map(|other| other.plugin).collect(),
        _alone: alone,
    };
    job.drop_leftover(session).await?;
    job.must_be_idle().await?;
    if arguments.remove {
        remove(global, session, &job).await
    } else {
        copy(global, session, &job).await
    }
}

/// A new secret of exactly the credential's members; the old one stays as it is.
async fn copy(global: &Global, session: &Session, job: &Job<'_>) -> Result<()> {
    let Job {
        store,
        from,
        part,
        to,
        ..
    } = job;
    let current = store.get(from, &Which::current()).await?;
    let share = job.share(&current)?;
    if share.names.is_empty() {
        return Err(job.holds_none());
    }
    if store.list().await?.iter().any(|secret| secret.name == *to) {
        // Asked again, it has been done.
        if !job.was_copied(&share).await? {
            return Err(Failure::new(
                Code::Store,
                format!(
                    "there is already a secret named {to}; nothing was changed; choose another name"
                ),
            )
            .into());
        }
    } else {
        create(session, job, &current, &share).await?;
    }
    job.carry_wait().await?;
    let members = share.names.join(", ");
    said(
        global,
        &format!("{to} holds {members} of {from}, which is as it was"),
        json!({"secret": to, "from": from, "members": share.names}),
    )?;
    if !global.json {
        output::to_stderr(&format!(
            "Next:\n  \
             1. In the configuration, make the table [secret.\"{from}\".credential.{part}] one of [secret.\"{to}\"].\n  \
             2. Have every application read {members} from {to}.\n  \
             3. keyturn secret split {from}#{part} --to {to} --remove"
        ));
    }
    Ok(())
}

async fn create(
    session: &Session,
    job: &Job<'_>,
    current: &StoredVersion,
    share: &Share,
) -> Result<()> {
    let Job {
        store,
        from,
        part,
        to,
        ..
    } = job;
    let id = VersionId::new(RandomIds.fresh())?;
    let new = NewSecret {
        id: id.clone(),
        value: share.own.clone(),
        description: Some(format!("split from {from}#{part}")),
    };
    let work = async { Ok(store.create_secret(to, new).await?) };
    session.by_hand(to, "split", id.as_str(), work).await?;
    // It is as old here as it was there.
    let known = Notes::read(*store, from).await?;
    let rotated_at_ms = known.of_version(part, current.id.as_str()).rotated_at_ms;
    Notes::update(*store, to, |notes| {
        notes.version_mut("", id.as_str()).rotated_at_ms = rotated_at_ms;
    })
    .await?;
    Ok(())
}

/// The old secret without the members, by compare-and-swap.
async fn remove(global: &Global, session: &Session, job: &Job<'_>) -> Result<()> {
    let Job {
        store,
        from,
        part,
        to,
        ..
    } = job;
    let current = store.get(from, &Which::current()).await?;
    let share = job.share(&current)?;
    if share.names.is_empty() {
        // Asked again, it has been done.
        if !job.is_held().await? {
            return Err(job.holds_none());
        }
        said(
            global,
            &format!("AWSCURRENT of {from} holds no member of {part} any more, and {to} does"),
            json!({"secret": from, "version": current.id, "members": share.names}),
        )?;
        return Ok(());
    }
    if !job.was_copied(&share).await? {
        return Err(Failure::new(
            Code::Store,
            format!(
                "{to} does not hold the members of {from} as they are now: they were changed after the split. Nothing \
                 was changed; store them in {to} with `keyturn secret put`, or split into another secret"
            ),
        )
        .into());
    }
    job.carry_wait().await?;
    let id = VersionId::new(RandomIds.fresh())?;
    let work = async {
        store.put(from, &id, &share.rest, &[STAGED]).await?;
        Notes::update(*store, from, |notes| {
            notes.prepare_promotion(part, current.id.as_str(), id.as_str());
            notes.credentials.remove(*part);
        })
        .await?;
        store
            .move_label(from, labels::CURRENT, Some(&current.id), Some(&id))
            .await?;
        store.move_label(from, STAGED, Some(&id), None).await?;
        Ok(())
    };
    session.by_hand(from, "split", id.as_str(), work).await?;
    let members = share.names.join(", ");
    said(
        global,
        &format!("{id} is now AWSCURRENT of {from}, without {members}"),
        json!({"secret": from, "version": id, "members": share.names}),
    )?;
    Ok(())
}

impl Job<'_> {
    /// A shortened value whose promotion was cut off, before or after the move. A candidate of a rotation is noted as
    /// that credential's; of this one nobody else knows, and where no table of the secret is left no rotation comes.
    async fn drop_leftover(&self, session: &Session) -> Result<()> {
        let described = self.store.describe(&self.from).await?;
        let Some(staged) = described.holder(STAGED).map(|version| &version.id) else {
            return Ok(());
        };
        let notes = Notes::read(self.store, &self.from).await?;
        if notes.maker(staged.as_str()).is_some() {
            return Ok(());
        }
        let work = async {
            self.store
                .move_label(&self.from, STAGED, Some(staged), None)
                .await?;
            Ok(())
        };
        session
            .by_hand(&self.from, "split", staged.as_str(), work)
            .await
    }

    /// What an operator was asked for is asked for in the new secret, unless that has rotated since.
    async fn carry_wait(&self) -> Result<()> {
        let notes = Notes::read(self.store, &self.from).await?;
        let Some(waiting) = notes.of(self.part).waiting else {
            return Ok(());
        };
        let described = self.store.describe(&self.to).await?;
        let current = described.holder(labels::CURRENT);
        let current = current.map_or("", |version| version.id.as_str());
        Notes::update_if(self.store, &self.to, |notes| {
            let rotated_at_ms = notes.of_version("", current).rotated_at_ms;
            let known = notes.credentials.entry(String::new()).or_default();
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

    /// Nothing may be lost that a rotation has promised: neither a candidate nor an old value in its grace.
    async fn must_be_idle(&self) -> Result<()> {
        let described = self.store.describe(&self.from).await?;
        let notes = Notes::read(self.store, &self.from).await?;
        let current = described.holder(labels::CURRENT).map(|version| &version.id);
        let own = format!("{RETIRING}_{}", self.part);
        let is_unfinished = |label: &&str| {
            let holder = described.holder(label).map(|version| &version.id);
            holder.is_some() && holder != current
        };
        let unfinished = [labels::PENDING, "KEYTURN_INDOUBT", STAGED, RETIRING, &own]
            .into_iter()
            .find(is_unfinished);
        if let Some(label) = unfinished {
            return Err(busy(
                &self.from,
                &format!("a version is still under {label}"),
            ));
        }
        let current = current.map_or("", VersionId::as_str);
        if notes.of_version(self.part, current).owes.is_some() {
            return Err(busy(
                &self.from,
                &format!("the old value of #{} is still in its grace", self.part),
            ));
        }
        if let Some(answered) = notes.of(self.part).unused_answer(current) {
            return Err(busy(
                &self.from,
                &format!(
                    "the operator's answer for #{}, version {}, is not in use yet",
                    self.part, answered.version
                ),
            ));
        }
        Ok(())
    }

    fn share(&self, version: &StoredVersion) -> Result<Share> {
        let plugin = &self.credential.plugin;
        let share = plugin.share(&version.value, &self.beside);
        share.ok_or_else(|| self.holds_none())
    }

    fn holds_none(&self) -> anyhow::Error {
        let problem = format!(
            "AWSCURRENT of {} holds no member that is #{}'s alone; nothing was changed",
            self.from, self.part
        );
        Failure::new(Code::Store, problem).into()
    }

    async fn is_held(&self) -> Result<bool> {
        let current = self.store.get(&self.to, &Which::current()).await?;
        let held = self.credential.plugin.share(&current.value, &self.beside);
        Ok(held.is_some_and(|held| !held.names.is_empty()))
    }

    /// Whether the new secret has held these very members; since then it may have rotated on its own.
    async fn was_copied(&self, share: &Share) -> Result<bool> {
        if !self.is_held().await? {
            return Ok(false);
        }
        for version in self.store.describe(&self.to).await?.versions {
            let which = Which::Id(version.id);
            let Ok(stored) = self.store.get(&self.to, &which).await else {
                continue;
            };
            let theirs = self.credential.plugin.share(&stored.value, &self.beside);
            let alone = share.alone.expose_secret();
            if theirs.is_some_and(|theirs| theirs.alone.expose_secret() == alone) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn busy(secret: &SecretName, why: &str) -> anyhow::Error {
    Failure::new(
        Code::Refused,
        format!(
            "{secret} cannot be split now: {why}. Nothing was changed; bring that to its end with `keyturn rotate` or \
             `keyturn retire`, then run this command again"
        ),
    )
    .into()
}
