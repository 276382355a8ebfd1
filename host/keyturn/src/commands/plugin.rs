//! `keyturn plugin …`: how a plugin is made, what it is and what it asks for, before anything is granted. Needs no
//! store.

mod build;
mod cargo;
mod check;
mod new;

use std::{num::NonZeroU32, path::Path, process::ExitCode, sync::Arc};

use anyhow::Result;
use comfy_table::{Table, TableStyle};
use keyturn_config::Config;
use keyturn_runtime::{LogRecord, LogSink, Plugin as LoadedPlugin};
use serde_json::{Value, json};

use crate::{
    cli::{Global, Plugin},
    output,
    plugins::{Place, Plugins},
    session::refuse,
};

pub(crate) async fn run(global: &Global, command: Plugin) -> Result<ExitCode> {
    // Pins and capabilities of the configuration hold here too, if there is one. Authors need none.
    let authoring = matches!(command, Plugin::New(_) | Plugin::Build(_));
    let tables = if !authoring && global.config.exists() {
        Config::read(&global.config).map_err(refuse)?.plugins
    } else {
        Default::default()
    };
    let plugins = Plugins::new(
        global.plugin_dir.clone(),
        Arc::new(Quiet),
        &tables,
        NonZeroU32::MIN,
    )?;
    match command {
        Plugin::List => list(global, &plugins).await,
        Plugin::Inspect { plugin } => inspect(global, &plugins, &plugin).await,
        Plugin::New(arguments) => new::run(global, &arguments),
        Plugin::Build(arguments) => build::run(global, &plugins, &arguments).await,
        Plugin::Check(arguments) => check::run(global, &plugins, &arguments).await,
    }
}

async fn list(global: &Global, plugins: &Plugins<'_>) -> Result<ExitCode> {
    let mut rows = Vec::new();
    for (name, place) in plugins.names()? {
        let source = match place {
            Place::Shipped => "shipped".to_owned(),
            Place::File(path) => path.display().to_string(),
            Place::Both(path) => format!("shipped, and {}", path.display()),
        };
        let (version, summary) = match plugins.load(&name).await {
            Ok(plugin) => (
                plugin.descriptor().version.clone(),
                plugin.descriptor().summary.clone(),
            ),
            Err(error) => ("-".to_owned(), format!("cannot be loaded: {error:#}")),
        };
        rows.push([name, version, source, summary]);
    }
    if global.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|[name, version, source, summary]| {
                json!({"name": name, "version": version, "source": source, "summary": summary})
            })
            .collect();
        output::to_stdout(&json!(rows).to_string())?;
    } else {
        let mut table = Table::new();
        table
            .load_style(TableStyle::new())
            .set_header(["NAME", "VERSION", "SOURCE", "SUMMARY"])
            .add_rows(rows);
        output::to_stdout(&table.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn inspect(global: &Global, plugins: &Plugins<'_>, name: &str) -> Result<ExitCode> {
    let is_file = name.ends_with(".wasm") || name.contains('/');
    let loaded = if is_file {
        plugins.load_file(Path::new(name)).await
    } else {
        plugins.load(name).await
    };
    let plugin = loaded.map_err(|error| refuse(format!("{error:#}")))?;
    let shown = description(&plugin);
    let text = if global.json {
        shown.to_string()
    } else {
        serde_json::to_string_pretty(&shown)?
    };
    output::to_stdout(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn description(plugin: &LoadedPlugin) -> Value {
    json!({
        "manifest": plugin.manifest(),
        "descriptor": plugin.descriptor(),
        "imports": plugin.imports(),
        "sha256": plugin.sha256(),
    })
}

/// Looking at a plugin is no occasion for it to speak.
struct Quiet;

impl LogSink for Quiet {
    fn write(&self, _record: LogRecord) {}
}
