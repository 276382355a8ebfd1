//! `keyturn secret …`: values come from a file or standard input and leave only with `--reveal`.

use std::process::ExitCode;

use anyhow::Result;
use comfy_table::{Table, TableStyle};
use keyturn_engine::{Credential, Notes, RandomIds, VersionIds};
use keyturn_store::{
    Clock, ErrorKind, NewSecret, Put, SecretDescription, SecretName, SecretStore, SystemClock,
    VersionId, Which, labels,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::{
    cli::{Global, Secret, ValueSource},
    exit::{Code, Failure},
    output,
    session::{Session, secret_name},
};

pub(crate) async fn run(global: &Global, session: &Session, command: Secret) -> Result<ExitCode> {
    match command {
        Secret::Create {
            name,
            value,
            description,
        } => {
            let id = VersionId::new(RandomIds.fresh())?;
            let description = (!description.is_empty()).then_some(description);
            let new = NewSecret {
                id: id.clone(),
                value: crate::value::read(value.value_file.as_deref())?,
                description,
            };
            let secret = secret_name(&name)?;
            let work = async { Ok(session.store.create_secret(&secret, new).await?) };
            session
                .by_hand(&secret, "create", id.as_str(), work)
                .await?;
            said(
                global,
                &format!("created {name}"),
                json!({"secret": name, "version": id}),
            )?;
        }
        Secret::Put { name, value } => put(global, session, &name, &value).await?,
        Secret::Split(arguments) => super::split::run(global, session, &arguments).await?,
        Secret::Get {
            name,
            stage,
            id,
            reveal,
        } => {
            let which = match id {
                Some(id) => Which::Id(VersionId::new(id)?),
                None => Which::Label(stage),
            };
            get(global, session, &name, &which, reveal).await?;
        }
        Secret::List => list(global, &session.store.list().await?)?,
        Secret::Describe { name } => {
            describe(global, &session.store.describe(&secret_name(&name)?).await?)?
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn put(global: &Global, session: &Session, name: &str, value: &ValueSource) -> Result<()> {
    let id = VersionId::new(RandomIds.fresh())?;
    let (secret, value) = (
        secret_name(name)?,
        crate::value::read(value.value_file.as_deref())?,
    );
    let store = session.store.as_ref();
    let Some(_alone) = store.begin_run(&secret).await? else {
        return Err(Failure::new(
            Code::Refused,
            format!(
                "another run is at work on {name}. Nothing was changed; wait until it has ended, or stop it (the same \
                 command goes on with it later), then put the value again"
            ),
        )
        .into());
    };
    let new = ByHand {
        store,
        secret: &secret,
        id: &id,
        value: &value,
        credentials: session.credentials_of(global, name).await,
    };
    let work = new.replace_current();
    let put = session.by_hand(&secret, "put", id.as_str(), work).await?;
    let abandoned = put.abandoned.as_ref().map_or(String::new(), |version| {
        format!("; the rotation to {version} was under way and has lost AWSPENDING")
    });
    said(
        global,
        &format!("{id} is now AWSCURRENT of {name}{abandoned}"),
        json!({"secret": name, "version": id, "abandoned": put.abandoned}),
    )?;
    Ok(())
}

/// A value that somebody writes over AWSCURRENT.
struct ByHand<'a> {
    store: &'a dyn SecretStore,
    secret: &'a SecretName,
    id: &'a VersionId,
    value: &'a SecretString,
    /// Those of the secret that are configured rightly.
    credentials: Vec<Credential>,
}

impl ByHand<'_> {
    async fn replace_current(&self) -> Result<Put> {
        let Self {
            store, secret, id, ..
        } = self;
        // Notes count only while their version is current, so they can be written first.
        let before = self.carry_notes(labels::CURRENT).await?;
        let put = store
            .put(secret, id, self.value, &[labels::CURRENT])
            .await?;
        // Where no lock keeps it away, a rotation may have been promoted between the two: what it owes is owed now.
        let described = store.describe(secret).await?;
        let previous = described
            .holder(labels::PREVIOUS)
            .map(|version| &version.id);
        if previous != before.as_ref() {
            self.carry_notes(labels::PREVIOUS).await?;
        }
        Ok(put)
    }

    /// Notes what is owed by the version under a label; answers which that is.
    async fn carry_notes(&self, label: &str) -> Result<Option<VersionId>> {
        let Self { store, secret, .. } = self;
        let described = store.describe(secret).await?;
        let Some(from) = described.holder(label).map(|version| version.id.clone()) else {
            return Ok(None);
        };
        let before = store.get(secret, &Which::Id(from.clone())).await?;
        let untouched: Vec<_> = self
            .credentials
            .iter()
            .filter(|known| known.plugin.is_untouched(&before.value, self.value))
            .flat_map(|known| {
                // No run may have taken over yet what the only one left before it had a name.
                let unnamed = known.beside.is_empty().then_some("");
                unnamed.into_iter().chain([known.name.as_str()])
            })
            .collect();
        let now_ms = SystemClock.now_ms();
        let carried = Notes::update(*store, secret, |notes| {
            let is_untouched = |name: &str| untouched.contains(&name);
            notes.prepare_put(from.as_str(), self.id.as_str(), now_ms, is_untouched);
            notes.prune(&described);
        });
        match carried.await {
            // Whoever may write values and no notes is not kept from that: what is owed stands under its label all the
            // same.
            Err(error) if error.kind() == ErrorKind::AccessDenied => {
                output::to_stderr(&format!("keyturn: no note of this change is kept: {error}"));
            }
            carried => carried?,
        }
        Ok(Some(from))
    }
}

async fn get(
    global: &Global,
    session: &Session,
    name: &str,
    which: &Which,
    reveal: bool,
) -> Result<()> {
    let secret = secret_name(name)?;
    let version = session.store.get(&secret, which).await?;
    if reveal {
        let id = version.id.as_str();
        session
            .by_hand(&secret, "reveal", id, async { Ok(()) })
            .await?;
    }
    let mut shown = json!({
        "secret": name,
        "version": version.id,
        "labels": version.labels,
        "created_at": output::time(version.created_at_ms),
    });
    if global.json {
        if reveal {
            shown["value"] = json!(version.value.expose_secret());
        }
        output::to_stdout(&shown.to_string())?;
    } else if reveal {
        output::to_stdout(version.value.expose_secret())?;
    } else {
        let labels = version.labels.join(" ");
        output::to_stdout(&format!(
            "{}  {labels}  (--reveal prints the value)",
            version.id
        ))?;
    }
    Ok(())
}

pub(super) fn said(
    global: &Global,
    words: &str,
    data: serde_json::Value,
) -> Result<(), output::Unwritten> {
    output::to_stdout(&if global.json {
        data.to_string()
    } else {
        words.to_owned()
    })
}

fn list(global: &Global, secrets: &[SecretDescription]) -> Result<()> {
    if global.json {
        return Ok(output::to_stdout(&serde_json::to_string(secrets)?)?);
    }
    if secrets.is_empty() {
        output::to_stderr("The store holds no secret yet; `keyturn secret create` makes one.");
    }
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_header(["NAME", "VERSIONS", "CHANGED", "DESCRIPTION"]);
    for secret in secrets {
        table.add_row([
            secret.name.to_string(),
            secret.versions.len().to_string(),
            output::time(secret.changed_at_ms),
            secret.description.clone().unwrap_or_default(),
        ]);
    }
    Ok(output::to_stdout(&table.to_string())?)
}

fn describe(global: &Global, secret: &SecretDescription) -> Result<()> {
    if global.json {
        return Ok(output::to_stdout(&serde_json::to_string(secret)?)?);
    }
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_header(["VERSION", "CREATED", "LABELS"]);
    for version in &secret.versions {
        let empty = if version.has_value { "" } else { " (no value)" };
        table.add_row([
            version.id.to_string(),
            output::time(version.created_at_ms),
            format!("{}{empty}", version.labels.join(" ")),
        ]);
    }
    Ok(output::to_stdout(&format!("{}\n{table}", secret.name))?)
}
