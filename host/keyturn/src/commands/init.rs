//! `keyturn init`: an empty store, its master key, and a configuration to start from. Nothing that
//! is there already is touched.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use keyturn_store::{
    SystemClock,
    embedded::{EmbeddedStore, MasterKey},
};
use serde_json::json;

use crate::{
    cli::{Global, Init},
    exit::{Code, Failure},
    output,
    session::refuse,
};

/// What a new configuration says; every key that is shown is commented where it is a choice.
const TEMPLATE: &str = include_str!("init.toml");

pub(crate) async fn run(global: &Global, arguments: &Init) -> Result<ExitCode> {
    let dir = &arguments.dir;
    fs::create_dir_all(dir).map_err(|error| refuse(format!("{}: {error}", dir.display())))?;
    let (config, key_file, store) = (
        dir.join("keyturn.toml"),
        dir.join("master.key"),
        dir.join("store.db"),
    );
    for path in [&config, &key_file, &store] {
        if path.exists() {
            return Err(refuse(format!(
                "{} is there already; nothing was changed. Choose an empty folder, or move it away",
                path.display()
            ))
            .into());
        }
    }
    let key = MasterKey::generate().map_err(refuse)?;
    key.write_new_file(&key_file).map_err(refuse)?;
    let opened = EmbeddedStore::create(&store, &key, Arc::new(SystemClock))
        .map_err(|error| Failure::new(Code::Store, error.to_string()))?;
    opened.close().await;
    write_new(&config)?;
    if global.json {
        output::to_stdout(
            &json!({"config": config, "master_key": key_file, "store": store}).to_string(),
        )?;
    } else {
        let read_by_others = global.config.canonicalize().ok() == config.canonicalize().ok();
        let config_option = match read_by_others {
            true => String::new(),
            false => format!(" --config {}", config.display()),
        };
        output::to_stdout(&format!(
            "Made {}, {} and {}.\nKeep the master key where backups of the store are not: who has both has every secret.\n\
             Next: `keyturn{config_option} secret create NAME --value-file FILE`, then name NAME and its plugin in {}.",
            store.display(),
            key_file.display(),
            config.display(),
            config.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_new(config: &Path) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(config)
        .with_context(|| format!("{} cannot be made", config.display()))?;
    file.write_all(TEMPLATE.as_bytes())?;
    Ok(file.sync_all()?)
}
