//! Puts a credential's table and its plugin together into what the engine runs.

use keyturn_config::{Config, ConfigError, CredentialConfig};
use keyturn_engine::Credential;
use keyturn_runtime::{Plugin, Strategy};
use keyturn_store::SecretName;

/// # Errors
/// A strategy that the plugin does not have, or a grant that it refuses.
pub(crate) fn credential(
    config: &Config,
    table: &CredentialConfig,
    plugin: &Plugin,
) -> Result<Credential, ConfigError> {
    let Some(strategy) = strategy(table, plugin) else {
        let strategies = plugin.descriptor().strategies.iter();
        let known: Vec<_> = strategies.map(|strategy| strategy.name.as_str()).collect();
        let problem = format!(
            "plugin {} has the strategies {}",
            plugin.manifest().name,
            known.join(", ")
        );
        return Err(table.strategy_error(config, problem));
    };
    let refused = |problem: String| table.error(config, problem);
    let granted = plugin
        .grant(config.grant(table)?)
        .map_err(|error| refused(error.to_string()))?;
    let secret = SecretName::new(table.secret()).map_err(|error| refused(error.to_string()))?;
    Ok(Credential {
        environment: table.environment().to_owned(),
        secret,
        name: table.credential().to_owned(),
        beside: config
            .beside(table)
            .map(|other| other.credential().to_owned())
            .collect(),
        plugin: granted,
        strategy: strategy.clone(),
        grace_seconds: table.grace_seconds(),
        lead_seconds: table.lead_seconds(),
        rotate_after_days: table.rotate_after_days(),
    })
}

/// The operator names the strategy; absent, it is the plugin's first. It is never guessed.
pub(crate) fn strategy<'a>(table: &CredentialConfig, plugin: &'a Plugin) -> Option<&'a Strategy> {
    match table.strategy() {
        None => plugin.descriptor().strategies.first(),
        Some(name) => plugin.descriptor().strategy(name),
    }
}
