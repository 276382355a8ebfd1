//! Each kind of secret through the four steps, by its name or its tags alone: no file is there.

use serde_json::json;

use super::{OnLambda, STEPS, end, failed, succeeded};
use crate::support::Workspace;
use crate::tokens::jwt_value;

const JWT: &str = "festival-prod/jwt";
const KEYS: &str = "festival-prod/api-keys";

fn jwt() -> Workspace {
    let workspace = Workspace::new();
    workspace.create(JWT, &jwt_value().to_string());
    workspace
}

#[test]
fn a_token_rotates_by_its_name_with_the_policy_of_awss_functions() {
    let workspace = jwt();
    let site = OnLambda::with_template_policy(&workspace);
    let before = workspace.current(JWT);
    let mut function = site.function(&[]);
    let token = site.rotate(&mut function, JWT);
    let current = workspace.current(JWT);
    assert_eq!(current["previous_secret"], before["secret"]);
    // All of them once more: the service may repeat a step whose answer it has not seen.
    for step in STEPS {
        succeeded(&site.step(&mut function, JWT, step, &token), step);
    }
    assert_eq!(workspace.current(JWT), current);
    let secret = current["secret"].as_str().unwrap();
    let lines = end(function, &[secret, before["secret"].as_str().unwrap()]);
    let ends: Vec<_> = lines
        .iter()
        .filter(|line| line["outcome"] == "done")
        .collect();
    assert_eq!(ends.len(), 8);
    for (line, step) in ends.iter().zip(STEPS) {
        assert_eq!(line["step"], step, "{line}");
        assert_eq!(line["secret_id"], site.arn(JWT));
        assert_eq!(
            (&line["secret"], &line["version"]),
            (&json!(JWT), &json!(token))
        );
        assert!(
            line["duration_ms"].is_f64() && line["request_id"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn a_process_for_each_step_is_as_good() {
    let workspace = jwt();
    let site = OnLambda::new(&workspace);
    let token = site.announce(JWT);
    for step in STEPS {
        let mut function = site.function(&[]);
        succeeded(&site.step(&mut function, JWT, step, &token), step);
    }
    assert_eq!(workspace.labels(JWT)["AWSCURRENT"], token);
}

#[test]
fn an_api_key_rotates_by_its_name_and_by_a_tag() {
    let workspace = Workspace::new();
    let value = r#"{"internal_api_key": "festival_sk_live_0123456789abcdef", "other": 1.50}"#;
    for name in [KEYS, "shop/key"] {
        workspace.create(name, value);
    }
    let site = OnLambda::new(&workspace);
    let mut function = site.function(&[]);
    let token = site.announce("shop/key");
    let refused = site.step(&mut function, "shop/key", "createSecret", &token);
    failed(
        &refused,
        "Keyturn.UnknownKind",
        &["keyturn:plugin", "nothing was changed"],
    );
    assert!(!workspace.describe("shop/key").versions[1].has_value);
    site.tag("shop/key", "keyturn:plugin", "api-key");
    for step in STEPS {
        succeeded(&site.step(&mut function, "shop/key", step, &token), step);
    }
    site.rotate(&mut function, KEYS);
    for name in [KEYS, "shop/key"] {
        assert!(workspace.text(name, "AWSCURRENT").contains("1.50"));
        assert_ne!(
            workspace.current(name)["internal_api_key"],
            "festival_sk_live_0123456789abcdef"
        );
    }
    end(function, &["festival_sk_live_"]);
}

/// What AWS's generic template leaves: a password and nothing around it.
#[test]
fn a_plain_text_rotates_under_the_variables_of_awss_functions() {
    const PLAIN: &str = "shop/generic";
    let workspace = Workspace::new();
    workspace.create(PLAIN, "first-Password/of a generic secret");
    let site = OnLambda::new(&workspace);
    site.tag(PLAIN, "keyturn:plugin", "opaque");
    site.tag(PLAIN, "keyturn:strategy", "text");
    let mut function =
        site.function(&[("PASSWORD_LENGTH", "48"), ("EXCLUDE_CHARACTERS", "abc.-_~")]);
    for _ in 0..2 {
        let before = workspace.text(PLAIN, "AWSCURRENT");
        site.rotate(&mut function, PLAIN);
        let after = workspace.text(PLAIN, "AWSCURRENT");
        assert_ne!(after, before);
        assert_eq!(after.len(), 48);
        assert!(!after.contains(['a', 'b', 'c']), "{after}");
    }
    let last = workspace.text(PLAIN, "AWSCURRENT");
    end(function, &["first-Password", &last]);
}

#[test]
fn a_secret_of_an_operators_waits_and_nothing_is_stored() {
    const SENTRY: &str = "festival-prod/sentry";
    let workspace = Workspace::new();
    workspace.configure(&format!(
        "[secret.\"{SENTRY}\"]\nplugin = \"vendor-assisted\"\nsettings = {{ profile = \"sentry\" }}\n"
    ));
    let dsn = "https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/2";
    workspace.create(SENTRY, &json!({"sentry_dsn": dsn}).to_string());
    let site = OnLambda::new(&workspace);
    let mut function = site.configured_function();
    let token = site.announce(SENTRY);
    let waits = site.step(&mut function, SENTRY, "createSecret", &token);
    failed(
        &waits,
        "Keyturn.WaitingForOperator",
        &["nothing was stored", "keyturn assist"],
    );
    assert!(!workspace.describe(SENTRY).versions[1].has_value);
    let lines = end(function, &[dsn]);
    let last = lines
        .iter()
        .rfind(|line| line["outcome"] == "failed")
        .unwrap();
    assert_eq!(last["error_type"], "Keyturn.WaitingForOperator");
}

/// RotateImmediately=false: the service tests on a version of its own, which stays empty.
#[test]
fn a_test_of_an_empty_version_tries_the_configuration_and_makes_nothing() {
    let workspace = jwt();
    let site = OnLambda::new(&workspace);
    let mut function = site.function(&[]);
    let token = site.announce(JWT);
    succeeded(
        &site.step(&mut function, JWT, "testSecret", &token),
        "testSecret",
    );
    let versions = workspace.describe(JWT).versions;
    assert_eq!((versions.len(), versions[1].has_value), (2, false));
    let current = workspace.labels(JWT)["AWSCURRENT"].clone();
    let tested = site.step(&mut function, JWT, "testSecret", &current);
    succeeded(&tested, "testSecret");
    end(function, &[]);
}

#[test]
fn a_binary_called_bootstrap_needs_no_argument() {
    let workspace = jwt();
    let site = OnLambda::new(&workspace);
    let bootstrap = site.task_root().join("bootstrap");
    std::os::unix::fs::symlink(crate::support::binary(), &bootstrap).unwrap();
    let mut command = harness::lambda::command(&bootstrap, &site.task_root());
    command
        .envs(workspace.variables())
        .env_remove("KEYTURN_STORE");
    let mut function = harness::lambda::Function::start(&mut command).unwrap();
    site.rotate(&mut function, JWT);
    end(function, &[]);
}

/// A file beside the binary wins over names, and gives what only it can give.
#[test]
fn a_file_beside_the_binary_wins() {
    let workspace = jwt();
    let site = OnLambda::new(&workspace);
    let table = format!("[secret.\"{JWT}\"]\nplugin = \"opaque\"\n");
    std::fs::write(site.task_root().join("keyturn.toml"), table).unwrap();
    let mut function = site.function(&[]);
    let token = site.announce(JWT);
    let refused = site.step(&mut function, JWT, "createSecret", &token);
    failed(
        &refused,
        "Keyturn.InvalidSecret",
        &["current has no `value`"],
    );
    site.tag(JWT, "keyturn:plugin", "jwt");
    let refused = site.step(&mut function, JWT, "createSecret", &token);
    failed(
        &refused,
        "Keyturn.Configuration",
        &["opaque", "make them say the same"],
    );
    end(function, &[]);
}
