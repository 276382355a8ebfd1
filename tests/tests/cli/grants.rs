//! Where the operator's grant ends: each refusal comes before a connection, names what is missing and
//! the line that would allow it.

use serde_json::{Value, json};

use crate::support::Workspace;

const SECRET: &str = "app-prod/database";
const ADMIN: &str = "app-prod/database-admin";

fn value(host: &str, port: u16) -> Value {
    json!({"engine": "postgres", "host": host, "port": port, "username": "app", "password": "p4ssw0rd-of-nobody"})
}

/// The rotation is refused with these words, and the secret is as it was.
#[track_caller]
fn denied(grant: &str, value: &Value, words: &[&str]) {
    let workspace = Workspace::with(&format!(
        "[secret.\"{SECRET}\"]\nplugin = \"postgres\"\n{grant}\n"
    ));
    workspace.create(SECRET, &value.to_string());
    workspace.create(ADMIN, &value.to_string());
    let current = workspace.labels(SECRET)["AWSCURRENT"].clone();
    workspace
        .run(&["rotate", SECRET])
        .failed(3, words)
        .failed(3, &[SECRET, "The target was not changed."]);
    assert_eq!(workspace.labels(SECRET)["AWSCURRENT"], current);
    assert_eq!(workspace.current(SECRET), *value);
}

#[test]
fn a_host_that_is_not_granted() {
    denied(
        "grant.endpoint.primary = { hosts = [\"db.internal\", \"*.example\"] }",
        &value("127.0.0.1", 5432),
        &["127.0.0.1", "grant.endpoint.primary", "hosts"],
    );
}

/// Found when the configuration is read, before a secret is.
#[test]
fn a_capability_that_is_not_granted() {
    let workspace = Workspace::with(&format!(
        "[secret.\"{SECRET}\"]\nplugin = \"postgres\"\ngrant.capabilities = [\"endpoint\", \"random\", \"password\", \"log\"]\ngrant.endpoint.primary = {{ hosts = [\"127.0.0.1\"] }}\n"
    ));
    workspace.create(SECRET, &value("127.0.0.1", 5432).to_string());
    workspace.run(&["rotate", SECRET]).failed(
        3,
        &[
            "keyturn:rotation/key-derivation@0.1.1, which is not granted",
            "add \"key-derivation\" to grant.capabilities",
        ],
    );
}

#[test]
fn a_port_that_is_not_granted() {
    denied(
        "grant.endpoint.primary = { hosts = [\"127.0.0.1\"], ports = [5432] }",
        &value("127.0.0.1", 6000),
        &["6000", "grant.endpoint.primary", "ports"],
    );
}

#[test]
fn a_private_address_that_is_not_granted() {
    denied(
        "grant.endpoint.primary = { hosts = [\"10.255.255.1\"] }",
        &value("10.255.255.1", 5432),
        &["10.255.255.1 is a private address", "private = true"],
    );
}

#[test]
fn a_metadata_address_is_never_granted() {
    for address in ["169.254.169.254", "::ffff:169.254.169.254"] {
        denied(
            "grant.endpoint.primary = { hosts = [\"*\"], private = true }",
            &value(address, 5432),
            &["metadata address, which no plugin may reach"],
        );
    }
}

#[test]
fn a_companion_that_is_not_granted() {
    for grant in ["", "grant.companion.admin = [\"app-prod/other\"]\n"] {
        let mut value = value("127.0.0.1", 5432);
        value["masterarn"] = json!(ADMIN);
        denied(
            &format!("{grant}grant.endpoint.primary = {{ hosts = [\"127.0.0.1\"] }}"),
            &value,
            &[
                ADMIN,
                "/masterarn",
                "not granted",
                "grant.companion.admin = [\"app-prod/database-admin\"]",
            ],
        );
    }
}
