//! Several credentials in one secret: the unit of rotation is the credential, the unit of labels is the
//! secret.

use keyturn_store::{SecretName, SecretStore};
use serde_json::json;

use crate::support::Workspace;
use crate::tokens::jwt_value;

#[test]
fn two_credentials_of_one_secret_rotate_one_at_a_time() {
    let name = "app-prod/both";
    let workspace = Workspace::with(&format!(
        "[secret.\"{name}\".credential.tokens]\nplugin = \"jwt\"\ngrace_seconds = 604800\n\
         [secret.\"{name}\".credential.internal]\nplugin = \"api-key\"\ngrace_seconds = 604800\n"
    ));
    let mut value = jwt_value();
    value["internal_api_key"] = json!(format!("festival_sk_live_{}", "k".repeat(43)));
    workspace.create(name, &value.to_string());
    let internal = format!("{name}#internal");
    let shown = workspace
        .run(&["rotate", &internal, "--json"])
        .succeeded()
        .json();
    assert_eq!(shown["credential"], "internal");
    let rotated = workspace.current(name);
    assert_eq!(rotated["secret"], value["secret"]);
    assert_ne!(rotated["internal_api_key"], value["internal_api_key"]);

    // The grace of one is no grace of the other.
    workspace
        .run(&["rotate", &format!("{name}#tokens")])
        .succeeded();
    workspace
        .run(&["rotate", &internal])
        .failed(7, &[&internal]);
    let both = workspace.current(name);
    assert_eq!(both["internal_api_key"], rotated["internal_api_key"]);
    assert_eq!(both["previous_secret"], value["secret"]);
    let status = workspace
        .run(&["status", name, "--json"])
        .succeeded()
        .json();
    for one in status.as_array().unwrap() {
        assert!(one["last_rotation_ms"].is_u64(), "{one}");
        assert!(
            one["grace_left_seconds"].as_u64().unwrap() > 604_000,
            "{one}"
        );
    }
}

/// Labels belong to the secret. A candidate that one credential's rotation left behind is that one's to
/// finish: taken up by another, it would be promoted without its own plugin's test.
#[test]
fn a_credential_leaves_anothers_candidate_alone() {
    let name = "app-prod/both";
    let workspace = Workspace::with(&format!(
        "[secret.\"{name}\".credential.tokens]\nplugin = \"jwt\"\n\
         [secret.\"{name}\".credential.internal]\nplugin = \"api-key\"\n"
    ));
    let mut value = jwt_value();
    value["internal_api_key"] = json!(format!("festival_sk_live_{}", "k".repeat(43)));
    workspace.create(name, &value.to_string());
    // As a rotation of #tokens leaves the secret when it is killed after createSecret.
    let id = "keyturn-00000000-0000-4000-8000-000000000009";
    let current = workspace.labels(name)["AWSCURRENT"].clone();
    workspace.attach(name, "KEYTURN_BASE", &current);
    let notes = json!({"credentials": {"tokens": {"versions": {id: {"made": true}}}}}).to_string();
    workspace.on_store(|store| async move {
        let name = SecretName::new("app-prod/both").unwrap();
        store.write_notes(&name, 0, &notes).await.unwrap();
    });
    workspace.plant(name, id, &value.to_string(), &["AWSPENDING"]);

    let refused = workspace.run(&["rotate", &format!("{name}#internal")]);
    let refused = refused.failed(7, &[id, &format!("keyturn rotate {name}#tokens")]);
    assert!(
        !refused
            .stderr
            .contains(&format!("keyturn rotate {name}#internal")),
        "the refused command is no way out: {refused:?}"
    );
    let status = workspace
        .run(&["status", name, "--json"])
        .succeeded()
        .json();
    for one in status.as_array().unwrap() {
        let pending = one["pending"].as_str();
        assert_eq!(
            pending,
            (one["credential"] == "tokens").then_some(id),
            "{one}"
        );
    }
    let labels = workspace.labels(name);
    assert_eq!(
        (&labels["AWSCURRENT"], labels["AWSPENDING"].as_str()),
        (&current, id)
    );
}

/// Whatever a plugin owns of a secret, no other credential's plugin may own too, or either could overwrite
/// what applications log in with. Dates that both call public are shared, as the tests above show.
#[test]
fn two_plugins_that_own_the_same_member_do_not_share_a_secret() {
    let name = "app-prod/both";
    let workspace = Workspace::with(&format!(
        "[secret.\"{name}\".credential.one]\nplugin = \"jwt\"\n\
         [secret.\"{name}\".credential.other]\nplugin = \"jwt\"\n"
    ));
    workspace.create(name, &jwt_value().to_string());
    let current = workspace.labels(name)["AWSCURRENT"].clone();
    workspace.run(&["rotate", &format!("{name}#one")]).failed(
        3,
        &[
            "credential.one.plugin",
            "is also written by the plugin of",
            "#other",
        ],
    );
    assert_eq!(workspace.labels(name)["AWSCURRENT"], current);
}
