//! The shape of keyturn.toml, as serde reads it. Unknown keys are errors; what a value may mean is
//! checked in the parent module, which knows the plugins.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use keyturn_runtime::{Capability, Grant, PasswordPolicy};
use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) store: Store,
    #[serde(default)]
    pub(crate) audit: Audit,
    #[serde(default)]
    pub(crate) plugin: BTreeMap<String, Spanned<Plugin>>,
    #[serde(default)]
    pub(crate) secret: BTreeMap<String, Secret>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) kind: StoreKind,
    pub(crate) path: PathBuf,
    /// Absent: the key comes from the environment variable KEYTURN_MASTER_KEY.
    pub(crate) master_key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoreKind {
    Embedded,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audit {
    /// Absent: beside the store, with the ending `.audit.jsonl`.
    pub(crate) path: Option<PathBuf>,
}

/// What the operator lets a plugin of --plugin-dir do, and which file it must be.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plugin {
    /// Lower-case hex of the component's SHA-256.
    pub(crate) sha256: Option<String>,
    pub(crate) capabilities: Option<BTreeSet<Capability>>,
}

/// Either one credential (the fields stand here) or several (`credential.NAME`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secret {
    pub(crate) environment: Option<String>,
    pub(crate) plugin: Option<Spanned<String>>,
    pub(crate) strategy: Option<Spanned<String>>,
    pub(crate) grace_seconds: Option<u64>,
    pub(crate) lead_seconds: Option<u64>,
    pub(crate) rotate_after_days: Option<Spanned<u32>>,
    pub(crate) password: Option<PasswordPolicy>,
    pub(crate) settings: Option<toml::Table>,
    pub(crate) grant: Option<Grant>,
    #[serde(default)]
    pub(crate) credential: BTreeMap<String, Credential>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credential {
    pub(crate) plugin: Spanned<String>,
    pub(crate) strategy: Option<Spanned<String>>,
    pub(crate) grace_seconds: Option<u64>,
    pub(crate) lead_seconds: Option<u64>,
    pub(crate) rotate_after_days: Option<Spanned<u32>>,
    pub(crate) password: Option<PasswordPolicy>,
    pub(crate) settings: Option<toml::Table>,
    pub(crate) grant: Option<Grant>,
}

impl Secret {
    /// The table of a secret that holds one credential.
    pub(crate) fn single(&self) -> Option<Credential> {
        Some(Credential {
            plugin: self.plugin.clone()?,
            strategy: self.strategy.clone(),
            grace_seconds: self.grace_seconds,
            lead_seconds: self.lead_seconds,
            rotate_after_days: self.rotate_after_days.clone(),
            password: self.password.clone(),
            settings: self.settings.clone(),
            grant: self.grant.clone(),
        })
    }
}
