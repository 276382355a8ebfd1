//! Puts a credential's table and its plugin together into what the engine runs.

use keyturn_config::{Config, ConfigError, CredentialConfig};
use keyturn_engine::Credential;
use keyturn_runtime::{Plugin, Strategy};
use keyturn_store::SecretName;

use crate::{exit::Failure, plugins::Plugins, session::refuse};

/// With the seven labels of the protocol at most 19 of AWS's 20, which leaves one to the operator.
const ENDED_BY_OPERATOR_MAX: usize = 12;

/// # Errors
/// A plugin that cannot be loaded, a table that does not fit it, or one that does not go together with those of the
/// secret's other credentials.
pub(crate) async fn configured(
    config: &Config,
    plugins: &Plugins<'_>,
    table: &CredentialConfig,
) -> Result<Credential, Failure> {
    let plugin = plugins
        .load(table.plugin())
        .await
        .map_err(|error| refuse(table.plugin_error(config, format!("{error:#}"))))?;
    let settings = config.grant(table).map_err(refuse)?.settings;
    let mut beside = Vec::new();
    for other in config.beside(table) {
        // One that cannot be loaded is reported in its own turn, and changes nothing.
        if let Ok(neighbour) = plugins.load(other.plugin()).await {
            beside.push((other, neighbour));
        }
    }
    must_have_labels_left(config, table, &plugin, &beside)?;
    for (other, neighbour) in beside {
        if let Ok(theirs) = config.grant(other)
            && let Some(member) = plugin.contests(&settings, &neighbour, &theirs.settings)
        {
            let problem = format!(
                "the member \"{member}\" of {} is also written by the plugin of {}; give each \
                 credential a secret of its own",
                table.secret(),
                other.display_name()
            );
            return Err(refuse(table.plugin_error(config, problem)));
        }
    }
    credential(config, table, &plugin).map_err(refuse)
}

/// Each old value that an operator ends has a label of its own. Said before an operator is asked for anything: the
/// store would refuse the label at the last step.
fn must_have_labels_left(
    config: &Config,
    table: &CredentialConfig,
    plugin: &Plugin,
    beside: &[(&CredentialConfig, Plugin)],
) -> Result<(), Failure> {
    let ended_by_operator = |table: &CredentialConfig, plugin: &Plugin| {
        strategy(table, plugin).is_some_and(|strategy| strategy.needs_operator)
    };
    let others = beside
        .iter()
        .filter(|(other, plugin)| ended_by_operator(other, plugin))
        .count();
    if !ended_by_operator(table, plugin) || others < ENDED_BY_OPERATOR_MAX {
        return Ok(());
    }
    let problem = format!(
        "{} holds {} credentials whose old values an operator ends, and each needs a label; AWS allows 20 labels for \
         a secret, so that {ENDED_BY_OPERATOR_MAX} such credentials can share one; give the others a secret of their own",
        table.secret(),
        others + 1
    );
    Err(refuse(table.error(config, problem)))
}

/// # Errors
/// A strategy that the plugin does not have, or a grant that it refuses.
fn credential(
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
fn strategy<'a>(table: &CredentialConfig, plugin: &'a Plugin) -> Option<&'a Strategy> {
    match table.strategy() {
        None => plugin.descriptor().strategies.first(),
        Some(name) => plugin.descriptor().strategy(name),
    }
}
