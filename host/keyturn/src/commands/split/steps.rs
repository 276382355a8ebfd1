//! The steps, each of which can be asked for again, and goes on where a run before it was cut off.

use anyhow::Result;
use keyturn_engine::{Notes, RandomIds, VersionIds};
use keyturn_runtime::Share;
use keyturn_store::{NewSecret, StoredVersion, VersionId, Which, labels};
use serde_json::json;

use super::job::{Job, locked, store_failure};
use crate::{cli::Global, commands::secret::said, output};

/// A new secret of exactly the credential's members, which rotates them from now on; the old one keeps what it holds.
pub(super) async fn copy(global: &Global, job: &Job<'_>) -> Result<()> {
    let Job {
        store,
        from,
        part,
        to,
        ..
    } = job;
    let current = store.get(from, &Which::current()).await?;
    let share = job.share(&current)?;
    if share.secrets.is_empty() {
        return Err(job.holds_none());
    }
    let owner = to.to_string();
    let _alone = if job.new_exists().await? {
        let alone = locked(*store, to).await?;
        // Asked again, it has been done, and may have rotated since. Otherwise it must not take over what it does not
        // hold.
        let was_given = job.owner().await?.is_some();
        let is_copy = match was_given {
            true => job.was_copied(&share).await?,
            false => job.is_in_step(&share).await?,
        };
        if !is_copy {
            let way_out = if was_given {
                format!(
                    "it was split into that before: store those members in {to} with `keyturn secret put`, or take the \
                     split back with --undo where {to} holds none of them; then run this command again"
                )
            } else {
                "choose another name".to_owned()
            };
            return Err(store_failure(format!(
                "there is already a secret named {to}, and it does not hold what {from} holds of #{part}; nothing was \
                 changed; {way_out}"
            )));
        }
        job.give(from, owner, &share.secrets).await?;
        alone
    } else {
        // Another one may have it already.
        job.owner().await?;
        job.give(from, owner, &share.secrets).await?;
        create(job, &share).await?;
        job.locked_once_made().await?
    };
    job.note_split_off(true).await?;
    job.carry_rotated_at(&current).await?;
    job.carry_wait().await?;
    job.take(to, &job.old_name()).await?;
    let members = share.names.join(", ");
    said(
        global,
        &format!(
            "{to} holds {members} of {from} and rotates them from now on; {from} is as it was, and does not"
        ),
        json!({"secret": to, "from": from, "members": share.names}),
    )?;
    if !global.json {
        output::to_stderr(&format!(
            "Next:\n  \
             1. In the configuration, make the table [secret.\"{from}\".credential.{part}] one of [secret.\"{to}\"].\n  \
             2. Have every application read {members} from {to}. Until step 3, nothing that {from} holds of it is ended: \
             do not delete it at its vendor.\n  \
             3. keyturn secret split {from}#{part} --to {to} --remove\n\
             Or, to go back: keyturn secret split {from}#{part} --to {to} --undo"
        ));
    }
    Ok(())
}

async fn create(job: &Job<'_>, share: &Share) -> Result<()> {
    let Job {
        session,
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
    session.by_hand(to, "split", id.as_str(), work).await
}

/// The old secret without the members, by compare-and-swap.
pub(super) async fn remove(global: &Global, job: &Job<'_>) -> Result<()> {
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
        job.forget().await?;
        said(
            global,
            &format!("AWSCURRENT of {from} holds no member of {part} any more, and {to} does"),
            json!({"secret": from, "version": current.id, "members": share.names}),
        )?;
        return Ok(());
    }
    if job.owner().await?.is_none() {
        return Err(job.was_not_split());
    }
    let _alone = locked(*store, to).await?;
    if !job.was_copied(&share).await? {
        return Err(store_failure(format!(
            "{to} does not hold the members of {from} as they are now: they were changed after the split. Nothing was \
             changed; store them in {to} with `keyturn secret put`, or take them back with --undo"
        )));
    }
    job.carry_wait().await?;
    let id = shorten(job, &current, &share).await?;
    let members = share.names.join(", ");
    said(
        global,
        &format!("{id} is now AWSCURRENT of {from}, without {members}"),
        json!({"secret": from, "version": id, "members": share.names}),
    )?;
    Ok(())
}

async fn shorten(job: &Job<'_>, current: &StoredVersion, share: &Share) -> Result<VersionId> {
    let Job {
        session,
        store,
        from,
        part,
        ..
    } = job;
    let id = VersionId::new(RandomIds.fresh())?;
    let work = async {
        store.put(from, &id, &share.rest, &[labels::STAGED]).await?;
        Notes::update(*store, from, |notes| {
            let is_same = |name: &str| name != *part;
            notes.prepare_promotion(current.id.as_str(), id.as_str(), is_same);
        })
        .await?;
        store
            .move_label(from, labels::CURRENT, Some(&current.id), Some(&id))
            .await?;
        store
            .move_label(from, labels::STAGED, Some(&id), None)
            .await?;
        Ok(())
    };
    session.by_hand(from, "split", id.as_str(), work).await?;
    // Not before: until then the members stand here, and must not be rotated here.
    job.forget().await?;
    Ok(id)
}

/// The old secret rotates the credential again; the new one keeps what it holds, and does not.
pub(super) async fn undo(global: &Global, job: &Job<'_>) -> Result<()> {
    let Job {
        store,
        from,
        part,
        to,
        ..
    } = job;
    let current = store.get(from, &Which::current()).await?;
    let share = job.share(&current)?;
    if share.secrets.is_empty() {
        return Err(job.holds_none());
    }
    let owner = job.owner().await?;
    if job.new_exists().await? {
        let _alone = locked(*store, to).await?;
        let given_back = job.is_given_back(&share).await?;
        if owner.is_none() && !given_back {
            return Err(job.was_not_split());
        }
        // A secret that holds none of the members has nothing to lose, and nothing to be in step with.
        if !given_back && job.is_held().await? {
            job.new_must_be_idle().await?;
            if !job.is_in_step(&share).await? {
                return Err(store_failure(format!(
                    "{to} holds other members than {from}: one of them has changed since the split. Nothing was \
                     changed; store those of {to} in {from} with `keyturn secret put`, then run this command again"
                )));
            }
        }
        job.give(to, job.old_name(), &share.secrets).await?;
        job.note_split_off(false).await?;
    } else if owner.is_none() {
        // Where the split was cut off before the new one was made, there is an owner all the same.
        return Err(job.new_is_unknown());
    }
    job.take(from, to.as_str()).await?;
    said(
        global,
        &format!(
            "{from}#{part} is rotated by {from} again; {to} is as it was, and does not rotate it"
        ),
        json!({"secret": from, "from": to, "members": share.names}),
    )?;
    if !global.json {
        let members = share.names.join(", ");
        let table = if job.is_configured {
            format!("take the table [secret.\"{to}\"] out of the configuration, if it is there")
        } else {
            format!(
                "in the configuration, make the table [secret.\"{to}\"] [secret.\"{from}\".credential.{part}] again"
            )
        };
        output::to_stderr(&format!(
            "Next: have every application read {members} from {from} again, and {table}."
        ));
    }
    Ok(())
}
