//! `keyturn secret split`: one credential of a secret gets a secret of its own. In two steps, so that no application is
//! locked out: the members are copied first, and leave the old secret only when everybody reads the new one.
//!
//! In between both hold the credential, and one of them rotates it. Who that is stands in the notes of the other one
//! (`Notes::moved`). It is written before the new one may rotate, and taken off the new one after it is on the old one:
//! whatever dies when, never do both rotate it, and where neither does each says which command goes on.

mod job;
mod steps;

use anyhow::Result;
use keyturn_config::CredentialConfig;
use keyturn_store::SecretStore;

use crate::{
    cli::{Global, Split},
    exit::Code,
    session::{Record, Session, refuse, secret_name},
};
use job::{Job, locked};

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
        return Err(still_configured(arguments));
    }
    // Its plugin and settings say which members are meant; after the move they stand in the new table.
    let name = if arguments.remove || arguments.undo && !is_configured {
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
    let (beside, others) = credentials.map(|other| (other.plugin, other.name)).unzip();
    let store: &dyn SecretStore = session.store.as_ref();
    let from = secret_name(secret)?;
    let mut in_new = session.config.credentials().iter();
    let in_new = in_new.find(|config| config.secret() == arguments.to);
    let _alone = locked(store, &from).await?;
    let job = Job {
        session,
        store,
        from,
        part,
        to: secret_name(&arguments.to)?,
        new_part: in_new.map_or("", CredentialConfig::credential),
        plugin: credential.plugin,
        beside,
        others,
        is_configured,
    };
    job.drop_leftover().await?;
    job.must_be_idle().await?;
    if arguments.remove {
        steps::remove(global, &job).await
    } else if arguments.undo {
        steps::undo(global, &job).await
    } else {
        steps::copy(global, &job).await
    }
}

fn still_configured(arguments: &Split) -> anyhow::Error {
    refuse(format!(
        "{name} is still configured; `keyturn secret split {name} --to {new}` comes first, if that is not done, and then \
         its table becomes one of {new}, so that no rotation misses its members",
        name = arguments.name,
        new = arguments.to
    ))
    .into()
}
