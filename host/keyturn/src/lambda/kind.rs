//! What kind of secret it is that the function was invoked for: by its tags, the configuration, or its name, in this
//! order. Nothing is guessed from the value.

use std::collections::BTreeMap;

use keyturn_config::{CredentialConfig, environment_of};
use keyturn_engine::Credential;
use keyturn_store::SecretDescription;

use super::failure::Failure;

const PLUGIN_TAG: &str = "keyturn:plugin";
pub(super) const STRATEGY_TAG: &str = "keyturn:strategy";
const ENVIRONMENT_TAG: &str = "keyturn:environment";

/// The last segments of names that tell a plugin.
const BY_NAME: [(&str, &str); 5] = [
    ("api-keys", "api-key"),
    ("database", "postgres"),
    ("jwt", "jwt"),
    ("redis", "redis"),
    ("stripe", "stripe-assisted"),
];

/// The plugin of a secret that no table is about.
///
/// # Errors
/// If nothing tells it.
pub(super) fn plugin(secret: &SecretDescription) -> Result<&str, Failure> {
    if let Some(plugin) = tag(&secret.tags, PLUGIN_TAG) {
        return Ok(plugin);
    }
    let name = secret.name.as_str();
    let last = name.rsplit('/').next().unwrap_or(name);
    let known = BY_NAME.iter().find(|(segment, _)| *segment == last);
    known.map(|(_, plugin)| *plugin).ok_or_else(|| {
        let segments: Vec<_> = BY_NAME.iter().map(|(segment, _)| *segment).collect();
        Failure::unknown_kind(format!(
            "{name}: nothing tells how this secret is rotated; nothing was changed; tag it {PLUGIN_TAG} = NAME \
             (`keyturn plugin list` shows the names), configure it, or end its name in /{}",
            segments.join(", /")
        ))
    })
}

/// A tag and a table of the same secret must not mean two plugins: the table's grant fits only its own.
pub(super) fn check(secret: &SecretDescription, table: &CredentialConfig) -> Result<(), Failure> {
    match tag(&secret.tags, PLUGIN_TAG) {
        Some(plugin) if plugin != table.plugin() => Err(Failure::configuration(format!(
            "{}: the tag {PLUGIN_TAG} says {plugin}, the configuration {}; nothing was changed; make them say the same",
            table.display_name(),
            table.plugin()
        ))),
        _ => Ok(()),
    }
}

/// The strategy that the operator has chosen by a tag.
pub(super) fn strategy(secret: &SecretDescription) -> Option<&str> {
    tag(&secret.tags, STRATEGY_TAG)
}

/// That strategy becomes the credential's.
pub(super) fn choose_strategy(
    secret: &SecretDescription,
    credential: &mut Credential,
) -> Result<(), Failure> {
    let Some(name) = strategy(secret) else {
        return Ok(());
    };
    let descriptor = credential.plugin.plugin().descriptor();
    let Some(chosen) = descriptor.strategy(name).cloned() else {
        let strategies = descriptor.strategies.iter();
        let known: Vec<_> = strategies.map(|known| known.name.as_str()).collect();
        return Err(Failure::configuration(format!(
            "{}: plugin {} has no strategy as the tag {STRATEGY_TAG} names it; nothing was changed; give one of {}",
            secret.name,
            descriptor.name,
            known.join(", ")
        )));
    };
    credential.strategy = chosen;
    Ok(())
}

/// `configured`: what a table says. `default`: of secrets that do not tell theirs.
pub(super) fn environment(
    secret: &SecretDescription,
    configured: Option<&str>,
    default: &str,
) -> String {
    let by_name = || environment_of(secret.name.as_str());
    let told =
        tag(&secret.tags, ENVIRONMENT_TAG).unwrap_or_else(|| configured.unwrap_or_else(by_name));
    if told.is_empty() { default } else { told }.to_owned()
}

fn tag<'a>(tags: &'a BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    let told = tags.get(key).map(String::as_str);
    told.filter(|told| !told.is_empty())
}

#[cfg(test)]
mod tests {
    use keyturn_store::SecretName;

    use super::*;

    fn secret(name: &str, tags: &[(&str, &str)]) -> SecretDescription {
        let tags = tags.iter();
        SecretDescription {
            name: SecretName::new(name).unwrap(),
            description: None,
            created_at_ms: 0,
            changed_at_ms: 0,
            tags: tags
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            rotation_enabled: None,
            last_rotated_at_ms: None,
            next_rotation_at_ms: None,
            versions: Vec::new(),
        }
    }

    fn check(name: &str, tags: &[(&str, &str)], expected: Option<&str>) {
        assert_eq!(
            plugin(&secret(name, tags)).ok(),
            expected,
            "{name} {tags:?}"
        );
    }

    #[test]
    fn a_tag_tells_the_plugin_else_the_last_segment_of_the_name() {
        check("festival-prod/database", &[], Some("postgres"));
        check("festival-prod/api-keys", &[], Some("api-key"));
        check("jwt", &[], Some("jwt"));
        check("a/b/redis", &[], Some("redis"));
        check("festival-prod/stripe", &[], Some("stripe-assisted"));
        check(
            "festival-prod/jwt",
            &[("keyturn:plugin", "opaque")],
            Some("opaque"),
        );
        check("festival-prod/jwt", &[("keyturn:plugin", "")], Some("jwt"));
        // Compared whole.
        check("festival-prod/database-admin", &[], None);
        check("festival-prod/mydatabase", &[], None);
        check("database/readme", &[], None);
        check("festival-prod/Database", &[], None);
    }

    #[test]
    fn a_tag_tells_the_environment_else_table_name_and_variable() {
        let check = |name, tags, configured, expected| {
            let told = environment(&secret(name, tags), configured, "fallback");
            assert_eq!(told, expected);
        };
        check("festival-prod/jwt", &[], None, "prod");
        check("festival-prod/jwt", &[], Some("live"), "live");
        check(
            "festival-prod/jwt",
            &[("keyturn:environment", "blue")],
            Some("live"),
            "blue",
        );
        check("shop/jwt-prod", &[], None, "fallback");
        check("shop/jwt-prod", &[], Some(""), "fallback");
    }
}
