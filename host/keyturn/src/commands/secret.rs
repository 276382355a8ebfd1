//! `keyturn secret …`: values come from a file or standard input and leave only with `--reveal`.

use std::process::ExitCode;

use anyhow::Result;
use comfy_table::{Table, TableStyle};
use keyturn_engine::{Notes, RandomIds, VersionIds};
use keyturn_store::{
    Clock, NewSecret, Put, SecretDescription, SecretName, SecretStore, SystemClock, VersionId,
    Which, labels,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::{
    cli::{Global, Secret, ValueSource},
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
            reveal,
        } => get(global, session, &name, stage, reveal).await?,
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
    store.describe(&secret).await?;
    let work = replace_current(store, &secret, &id, &value);
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

async fn replace_current(
    store: &dyn SecretStore,
    secret: &SecretName,
    id: &VersionId,
    value: &SecretString,
) -> Result<Put> {
    // Notes count only while their version is current, so they can be written first.
    let before = carry_notes(store, secret, id, labels::CURRENT).await?;
    let put = store.put(secret, id, value, &[labels::CURRENT]).await?;
    // A rotation may have been promoted between the two: what it owes is owed now.
    let described = store.describe(secret).await?;
    let previous = described
        .holder(labels::PREVIOUS)
        .map(|version| &version.id);
    if previous != before.as_ref() {
        carry_notes(store, secret, id, labels::PREVIOUS).await?;
    }
    Ok(put)
}

/// Notes for the version `to` what is owed by the one under a label; answers which that is.
async fn carry_notes(
    store: &dyn SecretStore,
    secret: &SecretName,
    to: &VersionId,
    label: &str,
) -> Result<Option<VersionId>> {
    let described = store.describe(secret).await?;
    let Some(from) = described.holder(label).map(|version| version.id.clone()) else {
        return Ok(None);
    };
    let now_ms = SystemClock.now_ms();
    Notes::update(store, secret, |notes| {
        notes.prepare_put(from.as_str(), to.as_str(), now_ms);
        notes.prune(&described);
    })
    .await?;
    Ok(Some(from))
}

async fn get(
    global: &Global,
    session: &Session,
    name: &str,
    stage: String,
    reveal: bool,
) -> Result<()> {
    let secret = secret_name(name)?;
    let version = session.store.get(&secret, &Which::Label(stage)).await?;
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
