//! How a command finds the service, what it says where it does not, and whose rotations it leaves alone.

use std::fs;

use keyturn_store::service::RotationSettings;
use keyturn_store::{SecretName, VersionId};
use serde_json::json;

use crate::support::Workspace;
use crate::tokens::jwt_value;

const JWT: &str = "app-prod/jwt";
const FOREIGN: &str = "11111111-2222-4333-8444-555555555555";

fn jwt() -> Workspace {
    let workspace = Workspace::with(&format!("[secret.\"{JWT}\"]\nplugin = \"jwt\"\n"));
    workspace.create(JWT, &jwt_value().to_string());
    workspace
}

#[test]
fn every_command_works_on_the_service() {
    let workspace = jwt();
    let _served = workspace.serve(&["*"]);
    let run = |arguments: &[&str]| workspace.run(arguments).succeeded();
    run(&["rotate", JWT]);
    run(&["verify", JWT]);
    run(&["status", JWT]);
    run(&["history", JWT]).says(&["rotate started"]);
    run(&["secret", "list"]).says(&[JWT]);
    run(&["secret", "describe", JWT]).says(&["AWSCURRENT", "AWSPREVIOUS"]);
    let create = [
        "secret",
        "create",
        "app-prod/new",
        "--value-stdin",
        "--description",
        "words",
    ];
    workspace.run_with(&create, "first value", &[]).succeeded();
    let put = ["secret", "put", "app-prod/new", "--value-stdin", "--json"];
    let put = workspace
        .run_with(&put, "second value", &[])
        .succeeded()
        .json();
    assert_eq!(put["abandoned"], json!(null));
    run(&["secret", "get", "app-prod/new", "--reveal"]).says(&["second value"]);
    let stage = [
        "secret",
        "get",
        "app-prod/new",
        "--stage",
        "AWSPREVIOUS",
        "--reveal",
    ];
    run(&stage).says(&["first value"]);
    workspace
        .run_with(&create, "another value", &[])
        .failed(4, &["there is already"]);
    let absent = workspace.run(&["secret", "describe", "app-prod/absent"]);
    absent.failed(
        4,
        &["DescribeSecret on app-prod/absent", "nothing was changed"],
    );
}

#[test]
fn the_configuration_names_the_service() {
    let workspace = jwt();
    let _served = workspace.serve(&["*"]);
    let endpoint = workspace.variable("SECRETS_MANAGER_ENDPOINT");
    let config = format!(
        "[store]\nkind = \"aws\"\nregion = \"eu-west-1\"\nendpoint_url = \"{endpoint}\"\n\
         [secret.\"{JWT}\"]\nplugin = \"jwt\"\n"
    );
    fs::write(workspace.path("keyturn.toml"), config).unwrap();
    // The configuration goes before the environment.
    let elsewhere = [
        ("SECRETS_MANAGER_ENDPOINT", "http://127.0.0.1:9"),
        ("AWS_REGION", "us-east-1"),
    ];
    workspace
        .run_with(&["rotate", JWT], "", &elsewhere)
        .succeeded();
}

#[test]
fn what_is_missing_is_said_before_anything_is_sent() {
    let workspace = jwt();
    let served = workspace.serve(&["*"]);
    let with = |environment: &[(&str, &str)]| workspace.run_with(&["rotate", JWT], "", environment);
    with(&[("AWS_REGION", "")]).failed(3, &["no AWS region is known", "AWS_REGION"]);
    let abroad = "http://secrets.internal:8465";
    with(&[("SECRETS_MANAGER_ENDPOINT", abroad)]).failed(3, &["in clear text"]);
    let by_aws = [
        ("SECRETS_MANAGER_ENDPOINT", ""),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://192.0.2.1:8465"),
    ];
    with(&by_aws).failed(4, &["in clear text", "nothing was changed"]);
    with(&[("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")])
        .failed(4, &["there are no AWS credentials", "nothing was changed"]);
    fs::write(
        workspace.path("wrong.key"),
        "[default]\naws_access_key_id = AKIDNOBODY\naws_secret_access_key = canary-of-a-key\n",
    )
    .unwrap();
    let wrong = with(&[("AWS_SHARED_CREDENTIALS_FILE", "wrong.key")]);
    assert!(!format!("{wrong:?}").contains("canary"), "{wrong:?}");
    wrong.failed(
        4,
        &["give keyturn valid AWS credentials", "nothing was changed"],
    );
    drop(served);
    with(&[]).failed(4, &["no connection"]);
}

#[test]
fn a_rotation_of_the_service_is_left_alone() {
    let workspace = jwt();
    workspace.plant(JWT, FOREIGN, &jwt_value().to_string(), &["AWSPENDING"]);
    let _served = workspace.serve(&["*"]);
    let before = workspace.labels(JWT);
    workspace
        .run(&["rotate", JWT])
        .failed(7, &[FOREIGN, "AWSPENDING"]);
    assert_eq!(workspace.labels(JWT), before);
}

#[test]
fn nothing_of_a_secret_is_written_beside_the_store() {
    let workspace = jwt();
    let _served = workspace.serve(&["*"]);
    workspace.run(&["rotate", JWT]).succeeded();
    workspace.run(&["rotate", JWT, "--now"]).succeeded();
    let current = workspace.current(JWT);
    let values = ["secret", "refresh_secret", "previous_secret"];
    let values = values.map(|member| current[member].as_str().unwrap());
    assert_eq!(workspace.scan_for(&values, "").findings, []);
}

/// A function that died before it had a value to store keeps every later rotation away, on AWS as here.
#[test]
fn an_announced_version_without_a_value_is_given_up_on_demand() {
    let workspace = jwt();
    workspace.on_store(|store| async move {
        let name = SecretName::new(JWT).unwrap();
        let id = VersionId::new(FOREIGN).unwrap();
        let settings = RotationSettings {
            enabled: true,
            lambda_arn: None,
            rules: None,
        };
        assert!(store.begin_rotation(&name, &id, &settings).await.unwrap());
    });
    let _served = workspace.serve(&["*"]);
    let before = workspace.current(JWT);
    workspace
        .run(&["rotate", JWT])
        .failed(7, &[FOREIGN, "--unstick"]);
    assert_eq!(workspace.current(JWT), before);
    workspace.run(&["rotate", JWT, "--unstick"]).succeeded();
    assert_ne!(workspace.current(JWT), before);
    let described = workspace.run(&["secret", "describe", JWT]).succeeded();
    assert!(!described.stdout.contains("AWSPENDING"), "{described:?}");
}
