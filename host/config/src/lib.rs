//! keyturn.toml: reads it and checks its form. An error names the file, the line and the key.
//!
//! It knows neither plugins nor stores: what a table means to a plugin, the binary asks the plugin.
//! Without them it can be tested and fuzzed in seconds.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod file;
mod read;
mod serve;
mod store;

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use file::Credential as CredentialTable;
use keyturn_policy::grant::Grant;
use keyturn_policy::password::PasswordPolicy;
use keyturn_policy::text;
use toml::Spanned;

pub use file::{Plugin as PluginTable, StoreKind};
pub use serve::{Access, Serve, TlsFiles};
pub use store::StoreConfig;

const KEY_BYTES_MAX: usize = 512;
const PROBLEM_BYTES_MAX: usize = 2048;

/// A label has the name of a credential in it, and at most 256 characters on AWS.
const CREDENTIAL_CHARS_MAX: usize = 200;

/// AWS's bounds of AutomaticallyAfterDays.
const ROTATE_AFTER_DAYS: std::ops::RangeInclusive<u32> = 1..=1000;

/// Ten years: whoever writes more has mistaken the unit.
const SECONDS_MAX: u64 = 315_360_000;

const SHA256_DIGITS: usize = 64;

/// A configuration whose form is right. Relative paths are relative to its file.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    text: String,
    store: Option<StoreConfig>,
    audit: Option<PathBuf>,
    /// `None`: there is no such table, and nothing is served.
    pub serve: Option<Serve>,
    pub plugins: BTreeMap<String, PluginTable>,
    /// The policy of new passwords where a table has none.
    pub password: PasswordPolicy,
    credentials: Vec<CredentialConfig>,
}

/// One credential's table, with its place in the file.
#[derive(Debug)]
pub struct CredentialConfig {
    secret: String,
    credential: String,
    environment: Option<String>,
    table: CredentialTable,
    key: String,
}

/// What is wrong, where.
#[derive(Debug)]
pub struct ConfigError {
    path: PathBuf,
    line: Option<usize>,
    key: String,
    problem: String,
}

impl Config {
    /// Reads and checks the file. Plugins are not looked at yet.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            path: path.to_owned(),
            line: None,
            key: String::new(),
            problem: format!("{error}; `keyturn init` makes a configuration to start from, --config names another"),
        })?;
        Self::parse(path, text)
    }

    /// As [`read`](Self::read), from the file's text.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn parse(path: &Path, text: String) -> Result<Self, ConfigError> {
        let file = read::read(path, &text)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let mut config = Self {
            path: path.to_owned(),
            text,
            store: None,
            audit: file.audit.path.map(|audit| base.join(audit)),
            serve: None,
            plugins: file
                .plugin
                .into_iter()
                .map(|(name, table)| (name, table.into_inner()))
                .collect(),
            password: PasswordPolicy::default(),
            credentials: Vec::new(),
        };
        if let Some(table) = file.serve {
            let serve = table.check(base);
            config.serve = Some(
                serve
                    .map_err(|(span, key, problem)| config.error(span, key.to_owned(), problem))?,
            );
        }
        if let Some(store) = file.store {
            config.set_store(store, base)?;
        }
        config.check_pins()?;
        for (name, secret) in file.secret {
            config.add_secret(&name, secret)?;
        }
        Ok(config)
    }

    fn check_pins(&self) -> Result<(), ConfigError> {
        for (name, plugin) in &self.plugins {
            let Some(pin) = &plugin.sha256 else { continue };
            let digits = pin.get_ref();
            let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if digits.len() != SHA256_DIGITS || !digits.bytes().all(is_digit) {
                return Err(self.error(
                    Some(pin.span()),
                    format!("plugin.\"{name}\".sha256"),
                    format!(
                        "give the file's SHA-256 as {SHA256_DIGITS} lower-case hexadecimal digits"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// An error about the table of a plugin.
    pub fn plugin_table_error(&self, name: &str, problem: String) -> ConfigError {
        let pin = self
            .plugins
            .get(name)
            .and_then(|table| table.sha256.as_ref());
        self.error(
            pin.map(Spanned::span),
            format!("plugin.\"{name}\""),
            problem,
        )
    }

    /// Every configured credential, in the order of their names.
    pub fn credentials(&self) -> &[CredentialConfig] {
        &self.credentials
    }

    /// The other credentials of the same secret.
    pub fn beside<'a>(
        &'a self,
        config: &'a CredentialConfig,
    ) -> impl Iterator<Item = &'a CredentialConfig> {
        let others = self.credentials.iter();
        others
            .filter(|other| other.secret == config.secret && other.credential != config.credential)
    }

    /// The credentials that `NAME` or `NAME#CREDENTIAL` means.
    ///
    /// # Errors
    /// If there is none.
    pub fn select(&self, name: &str) -> Result<Vec<&CredentialConfig>, ConfigError> {
        let (secret, credential) = name
            .split_once('#')
            .map_or((name, None), |(secret, part)| (secret, Some(part)));
        let found: Vec<_> = self
            .credentials
            .iter()
            .filter(|config| {
                config.secret == secret && credential.is_none_or(|part| config.credential == part)
            })
            .collect();
        if found.is_empty() {
            let known: Vec<_> = self
                .credentials
                .iter()
                .map(CredentialConfig::display_name)
                .collect();
            return Err(self.error(
                None,
                format!("secret.\"{secret}\""),
                format!(
                    "{name} is not configured; configured are: {}",
                    known.join(", ")
                ),
            ));
        }
        Ok(found)
    }

    /// The operator's grant of one credential, with what stands beside it in the file.
    ///
    /// # Errors
    /// Settings that have no JSON form.
    pub fn grant(&self, config: &CredentialConfig) -> Result<Grant, ConfigError> {
        let table = &config.table;
        let mut grant = table.grant.clone().unwrap_or_default();
        grant.password = table.password.as_ref().unwrap_or(&self.password).clone();
        if let Some(settings) = &table.settings {
            grant.settings = serde_json::to_value(settings).map_err(|error| {
                self.error(
                    Some(table.plugin.span()),
                    format!("{}.settings", config.key),
                    error.to_string(),
                )
            })?;
        }
        // CA files are named relative to the configuration.
        let base = self.path.parent().unwrap_or(Path::new(""));
        for endpoint in grant.endpoints.values_mut() {
            endpoint.ca = endpoint.ca.take().map(|ca| base.join(ca));
        }
        if grant.capabilities.is_none() {
            grant.capabilities = self
                .plugins
                .get(table.plugin.get_ref())
                .and_then(|plugin| plugin.capabilities.clone());
        }
        Ok(grant)
    }

    fn add_secret(&mut self, name: &str, secret: file::Secret) -> Result<(), ConfigError> {
        let key = format!("secret.\"{name}\"");
        let file::Secret {
            environment,
            credential,
            plugin,
            ..
        } = &secret;
        match (plugin, credential.is_empty()) {
            (Some(plugin), false) => {
                return Err(self.error(
                    Some(plugin.span()),
                    key,
                    "give either `plugin` (one credential) or [credential.NAME] tables (several), not both".to_owned(),
                ));
            }
            (None, true) => {
                return Err(self.error(
                    None,
                    key,
                    "`plugin` is missing; `keyturn plugin list` shows the plugins".to_owned(),
                ));
            }
            (Some(_), true) | (None, false) => {}
        }
        let is_plain = |name: &Spanned<String>| {
            let text = name.get_ref();
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !text.is_empty() && text.bytes().all(allowed)
        };
        if let Some(odd) = environment.as_ref().filter(|name| !is_plain(name)) {
            return Err(self.error(
                Some(odd.span()),
                format!("{key}.environment"),
                "give one name, of letters, digits, `-`, `_` and `.`".to_owned(),
            ));
        }
        let environment = environment.clone().map(Spanned::into_inner);
        if let Some(table) = secret.single() {
            self.add_credential(name, "", environment, table, key)?;
        } else {
            for (part, table) in secret.credential {
                let key = format!("{key}.credential.{part}");
                self.add_credential(name, &part, environment.clone(), table, key)?;
            }
        }
        Ok(())
    }

    fn add_credential(
        &mut self,
        secret: &str,
        credential: &str,
        environment: Option<String>,
        table: CredentialTable,
        key: String,
    ) -> Result<(), ConfigError> {
        let chars = credential.chars().count();
        if chars > CREDENTIAL_CHARS_MAX {
            return Err(self.error(
                Some(table.plugin.span()),
                key,
                format!(
                    "the credential's name has {chars} characters; give it at most {CREDENTIAL_CHARS_MAX}, because a \
                     label of the secret has it in its name"
                ),
            ));
        }
        if let Some(days) = &table.rotate_after_days
            && !ROTATE_AFTER_DAYS.contains(days.get_ref())
        {
            return Err(self.error(
                Some(days.span()),
                format!("{key}.rotate_after_days"),
                format!(
                    "give {} to {} days",
                    ROTATE_AFTER_DAYS.start(),
                    ROTATE_AFTER_DAYS.end()
                ),
            ));
        }
        for (name, seconds) in [
            ("grace_seconds", &table.grace_seconds),
            ("lead_seconds", &table.lead_seconds),
        ] {
            if let Some(seconds) = seconds
                && *seconds.get_ref() > SECONDS_MAX
            {
                return Err(self.error(
                    Some(seconds.span()),
                    format!("{key}.{name}"),
                    format!("give at most {SECONDS_MAX} seconds, which are ten years"),
                ));
            }
        }
        self.credentials.push(CredentialConfig {
            secret: secret.to_owned(),
            credential: credential.to_owned(),
            environment,
            table,
            key,
        });
        Ok(())
    }

    fn error(&self, span: Option<Range<usize>>, key: String, problem: String) -> ConfigError {
        ConfigError {
            path: self.path.clone(),
            line: span.map(|span| line_of(&self.text, &span)),
            key,
            problem,
        }
    }
}

impl CredentialConfig {
    /// The secret's name, as configured.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The credential's name; empty where the secret holds one.
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// The plugin's name.
    pub fn plugin(&self) -> &str {
        self.table.plugin.get_ref()
    }

    /// The strategy, if the operator names one. It is never guessed.
    pub fn strategy(&self) -> Option<&str> {
        self.table
            .strategy
            .as_ref()
            .map(|name| name.get_ref().as_str())
    }

    /// As configured, else what follows the last hyphen of the name's first segment.
    pub fn environment(&self) -> &str {
        let configured = self.environment.as_deref();
        configured.unwrap_or_else(|| environment_of(&self.secret))
    }

    /// How long the old value stays accepted, if the operator says so.
    pub fn grace_seconds(&self) -> Option<u64> {
        let seconds = self.table.grace_seconds.as_ref();
        seconds.map(|seconds| *seconds.get_ref())
    }

    /// How long a new key is published before it is used.
    pub fn lead_seconds(&self) -> u64 {
        let seconds = self.table.lead_seconds.as_ref();
        seconds.map_or(0, |seconds| *seconds.get_ref())
    }

    /// The interval of rotations, if there is one.
    pub fn rotate_after_days(&self) -> Option<u32> {
        self.table
            .rotate_after_days
            .as_ref()
            .map(|days| *days.get_ref())
    }

    /// `NAME`, or `NAME#CREDENTIAL` where the secret holds several.
    pub fn display_name(&self) -> String {
        display_name(&self.secret, &self.credential)
    }

    /// An error about the whole table.
    pub fn error(&self, config: &Config, problem: String) -> ConfigError {
        config.error(Some(self.table.plugin.span()), self.key.clone(), problem)
    }

    /// An error about the plugin that this table names.
    pub fn plugin_error(&self, config: &Config, problem: String) -> ConfigError {
        config.error(
            Some(self.table.plugin.span()),
            format!("{}.plugin", self.key),
            problem,
        )
    }

    /// An error about the strategy that this table names.
    pub fn strategy_error(&self, config: &Config, problem: String) -> ConfigError {
        config.error(
            self.table.strategy.as_ref().map(Spanned::span),
            format!("{}.strategy", self.key),
            problem,
        )
    }
}

/// `NAME`, or `NAME#CREDENTIAL` where a secret holds several.
pub fn display_name(secret: &str, credential: &str) -> String {
    if credential.is_empty() {
        secret.to_owned()
    } else {
        format!("{secret}#{credential}")
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        // Both may quote the file, and it may hold anything.
        if !self.key.is_empty() {
            write!(f, ": {}", text::line(&self.key, KEY_BYTES_MAX))?;
        }
        write!(f, ": {}", text::line(&self.problem, PROBLEM_BYTES_MAX))
    }
}

impl std::error::Error for ConfigError {}

/// `prod` for `festival-prod/database`: what follows the last hyphen of the first segment.
pub fn environment_of(secret: &str) -> &str {
    let segment = secret.split('/').next().unwrap_or("");
    segment
        .rsplit_once('-')
        .map_or("", |(_, environment)| environment)
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    1 + text
        .bytes()
        .take(span.start)
        .filter(|byte| *byte == b'\n')
        .count()
}

#[cfg(test)]
mod tests;
