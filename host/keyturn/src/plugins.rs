//! Where plugins come from: those that this binary ships, and those of --plugin-dir. A shipped
//! plugin cannot be shadowed by a file, and where one tries, neither is used.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::ErrorKind,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Error, Result, anyhow, bail};
use keyturn_config::PluginTable;
use keyturn_runtime::{BundledPlugin, LogSink, Plugin, PluginSource, Runtime, RuntimeOptions};

use crate::{identity::DefaultIdentity, session::refuse};

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

pub(crate) struct Plugins<'a> {
    runtime: Runtime,
    dir: Option<PathBuf>,
    tables: &'a BTreeMap<String, PluginTable>,
    /// Several credentials may name one plugin.
    loaded: RefCell<BTreeMap<String, Plugin>>,
}

impl<'a> Plugins<'a> {
    pub(crate) fn new(
        dir: Option<PathBuf>,
        log: Arc<dyn LogSink>,
        tables: &'a BTreeMap<String, PluginTable>,
        calls_at_once: NonZeroU32,
    ) -> Result<Self> {
        Ok(Self {
            runtime: Runtime::new(RuntimeOptions {
                log,
                calls_at_once,
                identity: Arc::new(DefaultIdentity::default()),
                ..RuntimeOptions::default()
            })?,
            dir,
            tables,
            loaded: RefCell::default(),
        })
    }

    /// Every name, and where its plugin comes from.
    pub(crate) fn names(&self) -> Result<BTreeMap<String, Place>> {
        let shipped = BUNDLED.iter().map(|plugin| plugin.name.to_owned());
        let mut names: BTreeMap<_, _> = shipped.map(|name| (name, Place::Shipped)).collect();
        if let Some(dir) = &self.dir {
            let entries = std::fs::read_dir(dir)
                .map_err(|error| refuse(format!("--plugin-dir {}: {error}", dir.display())))?;
            for entry in entries {
                let path = entry?.path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "wasm")
                    && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
                {
                    let place = if is_shipped(name) {
                        Place::Both(path.clone())
                    } else {
                        Place::File(path.clone())
                    };
                    names.insert(name.to_owned(), place);
                }
            }
        }
        Ok(names)
    }

    /// A plugin's table that would hold for nothing, and why: whoever pins a file must not believe in vain that it is
    /// the one in use.
    pub(crate) fn idle_table(&self) -> Result<Option<(&str, String)>> {
        if self.tables.is_empty() {
            return Ok(None);
        }
        let names = self.names()?;
        let idle = self.tables.iter().find_map(|(name, table)| {
            let problem = match names.get(name) {
                None => unknown(name, &names),
                Some(Place::Shipped | Place::Both(_)) if table.sha256.is_some() => {
                    format!("{name} comes with this binary and cannot be pinned; take `sha256` out")
                }
                Some(_) => return None,
            };
            Some((name.as_str(), problem))
        });
        Ok(idle)
    }

    /// Loads a plugin by its name.
    pub(crate) async fn load(&self, name: &str) -> Result<Plugin> {
        if let Some(plugin) = self.loaded.borrow().get(name) {
            return Ok(plugin.clone());
        }
        let names = self.names()?;
        let source = match names.get(name) {
            Some(Place::File(path)) => self.file(path.clone(), name),
            Some(Place::Shipped) => bundled(name)
                .map(PluginSource::Bundled)
                .context("not shipped")?,
            Some(Place::Both(path)) => return Err(ambiguous(path)),
            None => bail!("{}", unknown(name, &names)),
        };
        let plugin = self.load_from(source).await?;
        if plugin.manifest().name != name {
            bail!(
                "the file {name}.wasm holds the plugin {}; name the file after it",
                plugin.manifest().name
            );
        }
        self.loaded
            .borrow_mut()
            .insert(name.to_owned(), plugin.clone());
        Ok(plugin)
    }

    /// Loads a plugin from a file that is named on the command line.
    pub(crate) async fn load_file(&self, path: &Path) -> Result<Plugin> {
        self.load_from(self.file(path.to_owned(), "")).await
    }

    /// A plugin's name for reports, and its component: one by its name, or a file.
    pub(crate) fn bytes(&self, plugin: &str) -> Result<(String, Vec<u8>)> {
        let names = self.names()?;
        let path = match names.get(plugin) {
            Some(Place::Shipped) => {
                let bundled = bundled(plugin).context("not shipped")?;
                return Ok((plugin.to_owned(), bundled.wasm.to_vec()));
            }
            Some(Place::Both(path)) => return Err(ambiguous(path)),
            Some(Place::File(path)) => path.clone(),
            None => PathBuf::from(plugin),
        };
        let shown = path.display();
        let wasm = std::fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow!(
                "there is no file {shown}, and no plugin of that name; known are {}; `keyturn plugin build` makes a \
                 file of a plugin's crate and says where it is",
                listed(&names)
            ),
            _ => anyhow!("{shown}: {error}"),
        })?;
        Ok((shown.to_string(), wasm))
    }

    pub(crate) async fn load_bytes(&self, label: &str, wasm: Vec<u8>) -> Result<Plugin> {
        let name = label.to_owned();
        self.load_from(PluginSource::Bytes { name, wasm }).await
    }

    /// Loads a plugin from wherever it is.
    pub(crate) async fn load_from(&self, source: PluginSource) -> Result<Plugin> {
        // The message names its cause already.
        let loaded = self.runtime.load(source).await;
        loaded.map_err(|error| anyhow!("{error}"))
    }

    fn file(&self, path: PathBuf, name: &str) -> PluginSource {
        PluginSource::File {
            path,
            sha256: self
                .tables
                .get(name)
                .and_then(|table| Some(table.sha256.as_ref()?.get_ref().clone())),
        }
    }
}

/// Where a name's plugin is.
pub(crate) enum Place {
    Shipped,
    File(PathBuf),
    /// A file has the name of a shipped plugin. Whoever put it there may mean either.
    Both(PathBuf),
}

fn ambiguous(path: &Path) -> Error {
    anyhow!(
        "{} has the name of a plugin that this keyturn ships, and no file replaces one, so neither is used; take the \
         file out of --plugin-dir, or give its plugin another name, in its plugin.toml and as the file's",
        path.display()
    )
}

fn unknown(name: &str, names: &BTreeMap<String, Place>) -> String {
    format!(
        "there is no plugin {name}; known are {}; --plugin-dir adds a folder with others",
        listed(names)
    )
}

fn listed(names: &BTreeMap<String, Place>) -> String {
    let names: Vec<_> = names.keys().map(String::as_str).collect();
    names.join(", ")
}

/// Whether this binary has a plugin of that name, which no file replaces.
pub(crate) fn is_shipped(name: &str) -> bool {
    bundled(name).is_some()
}

/// The shipped plugin of that name.
fn bundled(name: &str) -> Option<BundledPlugin> {
    BUNDLED.iter().find(|plugin| plugin.name == name).copied()
}
