//! What is not granted, and what the operator is told.

use keyturn_runtime::{CallError, ErrorKind, GrantedPlugin, Origin};
use serde_json::json;

use crate::support::*;

async fn refused(toml: &str, expected: &str) {
    let (plugin, _) = load().await;
    let error = plugin.grant(grant(toml, "")).err().unwrap();
    assert_eq!(error.to_string(), expected);
}

async fn granted(toml: &str) -> GrantedPlugin {
    let (plugin, _) = load().await;
    plugin.grant(grant(toml, "")).unwrap()
}

const PRIMARY: &str = "endpoint.primary = { hosts = [\"db.internal\"] }\n";

#[tokio::test]
async fn an_ungranted_import_is_refused() {
    // Without any of its endpoints, all of which are optional, it has the imports and nowhere to go.
    granted("").await;
    let toml = format!(
        "capabilities = [\"endpoint\", \"http\", \"random\", \"clock\", \"log\"]\n{PRIMARY}"
    );
    refused(&toml, "plugin scripted imports keyturn:rotation/password@0.1.0, which is not granted; add \"password\" to grant.capabilities").await;
}

#[tokio::test]
async fn what_the_plugin_does_not_declare_is_refused() {
    refused("endpoint.replica = { hosts = [\"db\"] }", "plugin scripted declares no endpoint \"replica\", but the grant has one; it declares admin, api, nodes, primary").await;
    refused(
        &format!("companion.root = [\"r\"]\n{PRIMARY}"),
        "plugin scripted declares no companion \"root\", but the grant has one; it declares admin",
    )
    .await;
}

#[tokio::test]
async fn what_the_plugin_needs_is_demanded() {
    let manifest = MANIFEST.replacen(
        "optional = true\n[endpoint.primary]",
        "[endpoint.primary]",
        1,
    );
    let (plugin, _) = load_with(Default::default(), &manifest).await;
    let error = plugin.grant(grant(PRIMARY, "")).err().unwrap();
    assert_eq!(
        error.to_string(),
        "plugin scripted needs the companion \"admin\", which is not granted; add grant.companion.admin = [\"<name of the secret>\"]"
    );
    let manifest = MANIFEST.replacen("optional = true\n[endpoint.admin]", "[endpoint.admin]", 1);
    let (plugin, _) = load_with(Default::default(), &manifest).await;
    let error = plugin
        .grant(grant("endpoint.nodes = { members = [\"a:1\"] }", ""))
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "plugin scripted needs the endpoint \"primary\", which is not granted; add [grant.endpoint.primary] with hosts"
    );
}

#[tokio::test]
async fn endpoints_are_checked_when_they_are_granted() {
    refused("endpoint.primary = {}", "grant.endpoint.primary.hosts is invalid: empty; name the hosts that the secret's value may point to").await;
    refused("endpoint.primary = { hosts = [\"http://x\"] }", "grant.endpoint.primary.hosts is invalid: \"http://x\" is not a host; write a name, an address, *.suffix or *").await;
    refused("endpoint.nodes = {}", "grant.endpoint.nodes.members is invalid: empty; write \"host:port\" for each node, or one exact host and one port").await;
    refused(
        "endpoint.nodes = { members = [\"a:1\", \"b:1\", \"c:1\", \"d:1\"] }",
        "grant.endpoint.nodes.members is invalid: the plugin takes at most 3",
    )
    .await;
    refused(
        "endpoint.primary = { hosts = [\"db\"], server_name = \"-\" }",
        "grant.endpoint.primary.server_name is invalid: not a host name",
    )
    .await;
    refused("endpoint.primary = { hosts = [\"db\"], ca = \"/nonexistent.pem\" }", "grant.endpoint.primary.ca is invalid: cannot read /nonexistent.pem: No such file or directory (os error 2)").await;
}

#[tokio::test]
async fn settings_follow_the_schema() {
    let (plugin, _) = load().await;
    let mut wrong = grant(PRIMARY, "");
    wrong.settings = json!({ "scirpt": "" });
    let error = plugin.grant(wrong).err().unwrap();
    assert_eq!(
        error.to_string(),
        "settings of plugin scripted are invalid at /scirpt: unknown; the plugin takes script"
    );
}

#[tokio::test]
async fn limits_beyond_the_ceiling_need_the_grant() {
    let manifest = format!("{MANIFEST}\n[limits]\nwall_seconds = 600\n");
    let (plugin, _) = load_with(Default::default(), &manifest).await;
    let error = plugin.grant(grant(PRIMARY, "")).err().unwrap();
    assert_eq!(
        error.to_string(),
        "plugin scripted asks for wall_seconds = 600, more than the 120 that plugins get; if it is trusted with that, set grant.limits.wall_seconds = 600"
    );
    let raised = plugin
        .grant(grant(&format!("limits.wall_seconds = 600\n{PRIMARY}"), ""))
        .unwrap();
    assert_eq!(raised.limits().wall_seconds, 600);
}

fn denied(error: CallError, expected: &str) {
    assert_eq!(error.message, expected);
    assert_eq!(
        (error.kind, error.origin),
        (ErrorKind::Denied, Origin::Host)
    );
}

#[tokio::test]
async fn companions_come_from_current_and_grant() {
    let plugin = granted(&format!("companion.admin = [\"db-admin\"]\n{PRIMARY}")).await;
    let needs = |value: &str| plugin.companions_needed(&value.to_owned().into());
    let named = needs(r#"{"masterarn":"db-admin"}"#).unwrap();
    assert_eq!(
        (named[0].name.as_str(), named[0].secret.as_str()),
        ("admin", "db-admin")
    );
    assert_eq!(needs("{}").unwrap(), named, "the only granted one");
    denied(
        needs(r#"{"masterarn":"other"}"#).unwrap_err(),
        "CURRENT names \"other\" at /masterarn as its admin secret, which is not granted; if that is intended, add it: grant.companion.admin = [\"other\"]",
    );
    let without = granted(PRIMARY).await;
    assert_eq!(
        without.companions_needed(&"{}".to_owned().into()).unwrap(),
        []
    );
}

/// Which name an ARN means, the store tells; until then nothing is known of it.
#[tokio::test]
async fn a_companion_behind_an_arn_is_granted_by_its_name() {
    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-admin-AbCdEf";
    let value = format!(r#"{{"masterarn":"{ARN}"}}"#);
    let plugin = granted(&format!("companion.admin = [\"db-admin\"]\n{PRIMARY}")).await;
    let needed = plugin.companions_needed(&value.clone().into()).unwrap();
    assert_eq!(needed[0].secret, ARN);
    plugin.check_companion("admin", "db-admin").unwrap();
    for (name, secret) in [
        ("admin", "db-admin-AbCdEf"),
        ("admin", ARN),
        ("other", "db-admin"),
    ] {
        let error = plugin.check_companion(name, secret).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{name} {secret}");
    }
    let without = granted(PRIMARY).await;
    let error = without.companions_needed(&value.into()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
}

#[tokio::test]
async fn an_ungranted_companion_is_not_handed_over() {
    let (plugin, _) = load().await;
    let plugin = plugin.grant(grant(PRIMARY, "")).unwrap();
    let mut call = call(r#"{"host":"db.internal"}"#);
    call.companions.push(keyturn_runtime::Companion {
        name: "admin".into(),
        secret: "db-admin".into(),
        version: version("a1", "{}"),
    });
    denied(
        plugin.check(&call).await.unwrap_err(),
        "the secret \"db-admin\" may not be handed to plugin scripted as \"admin\": manifest and grant must both name it; set grant.companion.admin = [\"db-admin\"]",
    );
}
