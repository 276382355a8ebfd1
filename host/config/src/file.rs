//! The shape of keyturn.toml, as serde reads it. Unknown keys are errors; what a value may mean is
//! checked in the parent module and, against the plugins, by the binary.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use keyturn_policy::{capability::Capability, grant::Grant, password::PasswordPolicy};
use serde::Deserialize;
use toml::Spanned;

use crate::serve::ServeTable;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Absent: the command line names one that needs no more than that.
    pub store: Option<Spanned<Store>>,
    #[serde(default)]
    pub audit: Audit,
    pub serve: Option<ServeTable>,
    #[serde(default)]
    pub plugin: BTreeMap<String, Spanned<Plugin>>,
    #[serde(default)]
    pub secret: BTreeMap<String, Secret>,
}

/// Which keys belong to which kind is checked in the parent module.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub kind: StoreKind,
    pub path: Option<PathBuf>,
    /// Absent: the key comes from the environment variable KEYTURN_MASTER_KEY.
    pub master_key_file: Option<PathBuf>,
    pub region: Option<String>,
    pub endpoint_url: Option<String>,
    pub profile: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    Embedded,
    Aws,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audit {
    /// Absent: beside an embedded store, with the ending `.audit.jsonl`; else `keyturn.audit.jsonl` beside the
    /// configuration.
    pub path: Option<PathBuf>,
}

/// What the operator lets a plugin of --plugin-dir do, and which file it must be.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// Lower-case hex of the component's SHA-256.
    pub sha256: Option<Spanned<String>>,
    pub capabilities: Option<BTreeSet<Capability>>,
}

/// Either one credential (the fields stand here) or several (`credential.NAME`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secret {
    pub environment: Option<Spanned<String>>,
    pub plugin: Option<Spanned<String>>,
    pub strategy: Option<Spanned<String>>,
    pub grace_seconds: Option<Spanned<u64>>,
    pub lead_seconds: Option<Spanned<u64>>,
    pub rotate_after_days: Option<Spanned<u32>>,
    pub password: Option<PasswordPolicy>,
    pub settings: Option<toml::Table>,
    pub grant: Option<Grant>,
    #[serde(default)]
    pub credential: BTreeMap<String, Credential>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credential {
    pub plugin: Spanned<String>,
    pub strategy: Option<Spanned<String>>,
    pub grace_seconds: Option<Spanned<u64>>,
    pub lead_seconds: Option<Spanned<u64>>,
    pub rotate_after_days: Option<Spanned<u32>>,
    pub password: Option<PasswordPolicy>,
    pub settings: Option<toml::Table>,
    pub grant: Option<Grant>,
}

impl Secret {
    /// The table of a secret that holds one credential.
    pub(crate) fn single(&self) -> Option<Credential> {
        Some(Credential {
            plugin: self.plugin.clone()?,
            strategy: self.strategy.clone(),
            grace_seconds: self.grace_seconds.clone(),
            lead_seconds: self.lead_seconds.clone(),
            rotate_after_days: self.rotate_after_days.clone(),
            password: self.password.clone(),
            settings: self.settings.clone(),
            grant: self.grant.clone(),
        })
    }
}
