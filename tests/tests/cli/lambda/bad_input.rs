//! Events, tokens, secrets and surroundings that are wrong: each is told by its type, and nothing is changed.

use std::time::Duration;

use keyturn_store::service::RotationSettings;
use serde_json::{Value, json};

use super::{OnLambda, end, failed, succeeded};
use crate::support::Workspace;
use crate::tokens::jwt_value;

const JWT: &str = "festival-prod/jwt";
const FOREIGN: &str = "99999999-0000-4000-8000-000000000000";

fn jwt() -> Workspace {
    let workspace = Workspace::new();
    workspace.create(JWT, &jwt_value().to_string());
    workspace
}

#[test]
fn an_event_that_is_none_changes_nothing_and_is_not_repeated() {
    let workspace = jwt();
    let site = OnLambda::new(&workspace);
    let mut function = site.function(&[]);
    let token = site.announce(JWT);
    let before = workspace.describe(JWT);
    let sound = site.event(JWT, "createSecret", &token);
    let changed = |member: &str, value: Value| {
        let mut event = sound.clone();
        event[member] = value;
        event
    };
    for (event, word) in [
        (json!([]), "no JSON object"),
        (json!({}), "no Step"),
        (
            changed("Step", json!("createsecret")),
            "its Step is none of",
        ),
        (changed("Step", json!(1)), "its Step is no text"),
        (changed("SecretId", json!(null)), "no SecretId"),
        (changed("SecretId", json!({})), "its SecretId is no text"),
        (changed("SecretId", json!("s".repeat(3000))), "3000 bytes"),
        (
            changed("ClientRequestToken", json!("short-hunter2")),
            "its ClientRequestToken",
        ),
        (
            changed("RotationToken", json!("hunter2")),
            "its RotationToken",
        ),
        (changed("action", json!("hunter2")), "its action is none of"),
    ] {
        let answer = function.invoke(&event).unwrap();
        failed(
            &answer,
            "Keyturn.InvalidEvent",
            &[word, "nothing was changed"],
        );
    }
    assert_eq!(workspace.describe(JWT), before);
    // It is none the worse for all that.
    succeeded(
        &site.step(&mut function, JWT, "createSecret", &token),
        "createSecret",
    );
    end(function, &["hunter2"]);
}

#[test]
fn tokens_and_steps_at_the_wrong_time_are_told_apart() {
    let workspace = jwt();
    let site = OnLambda::new(&workspace);
    let mut function = site.function(&[]);
    let first = workspace.labels(JWT)["AWSCURRENT"].clone();
    let unknown = site.step(&mut function, JWT, "createSecret", FOREIGN);
    failed(&unknown, "Keyturn.UnknownToken", &[]);
    let token = site.announce(JWT);
    let before = workspace.describe(JWT);
    for step in ["setSecret", "finishSecret"] {
        let early = site.step(&mut function, JWT, step, &token);
        failed(&early, "Keyturn.OutOfOrder", &[]);
    }
    assert_eq!(workspace.describe(JWT), before);
    for step in super::STEPS {
        succeeded(&site.step(&mut function, JWT, step, &token), step);
    }
    let old = site.step(&mut function, JWT, "finishSecret", &first);
    failed(&old, "Keyturn.NotPending", &[]);
    assert_eq!(workspace.labels(JWT)["AWSCURRENT"], token);
    end(function, &[]);
}

#[test]
fn a_secret_that_is_not_there_or_not_what_it_should_be_is_told() {
    let workspace = Workspace::new();
    workspace.create("broken/jwt", "hunter2 is no JSON");
    let site = OnLambda::new(&workspace);
    let mut function = site.function(&[]);
    let token = site.announce("broken/jwt");
    let broken = site.step(&mut function, "broken/jwt", "createSecret", &token);
    failed(
        &broken,
        "Keyturn.InvalidSecret",
        &["The target was not changed"],
    );
    assert!(!workspace.describe("broken/jwt").versions[1].has_value);
    assert_eq!(
        workspace.text("broken/jwt", "AWSCURRENT"),
        "hunter2 is no JSON"
    );
    let mut event = site.event("broken/jwt", "createSecret", &token);
    event["SecretId"] = json!(site.arn("broken/jwt").replace("broken", "nobodys"));
    let nobody = function.invoke(&event).unwrap();
    failed(&nobody, "Keyturn.Store", &["nothing was changed"]);
    end(function, &["hunter2"]);
}

#[test]
fn rotation_that_is_off_stays_off() {
    let workspace = jwt();
    let site = OnLambda::new(&workspace);
    let mut function = site.function(&[]);
    let token = site.announce(JWT);
    let name = crate::support::secret(JWT);
    let off = RotationSettings {
        enabled: false,
        lambda_arn: None,
        rules: None,
    };
    workspace.on_store(|store| async move { store.set_rotation(&name, &off).await.unwrap() });
    let off = site.step(&mut function, JWT, "createSecret", &token);
    failed(&off, "Keyturn.RotationDisabled", &[]);
    end(function, &[]);
}

/// What is wrong with the function itself is its answer to everybody, and no crash that nobody can read.
#[test]
fn surroundings_that_are_wrong_are_the_answer() {
    let workspace = jwt();
    let site = OnLambda::new(&workspace);
    let token = site.announce(JWT);
    let before = workspace.describe(JWT);
    for (name, text) in [
        ("PASSWORD_LENGTH", "long"),
        ("KEYTURN_CONFIG", "/nowhere/keyturn.toml"),
        ("SECRETS_MANAGER_ENDPOINT", "http://secrets.example"),
    ] {
        let mut function = site.function(&[(name, text)]);
        for _ in 0..2 {
            let answer = site.step(&mut function, JWT, "createSecret", &token);
            failed(&answer, "Keyturn.Configuration", &[]);
        }
        end(function, &[]);
    }
    assert_eq!(workspace.describe(JWT), before);
}

#[test]
fn a_lead_is_not_passed_over_in_silence() {
    let workspace = jwt();
    workspace.configure(&format!(
        "[secret.\"{JWT}\"]\nplugin = \"jwt\"\nlead_seconds = 300\n"
    ));
    let site = OnLambda::new(&workspace);
    let mut function = site.configured_function();
    let token = site.announce(JWT);
    let refused = site.step(&mut function, JWT, "createSecret", &token);
    failed(
        &refused,
        "Keyturn.Configuration",
        &["lead_seconds", "nothing was changed"],
    );
    end(function, &[]);
}

/// A server that takes connections and says nothing: the answer comes before the service would end the process.
#[test]
fn a_step_that_cannot_end_in_time_says_so() {
    const REDIS: &str = "festival-prod/redis";
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let workspace = Workspace::new();
    workspace.configure(&format!(
        "[secret.\"{REDIS}\"]\nplugin = \"redis\"\nstrategy = \"dual\"\n\
         grant.endpoint.nodes = {{ hosts = [\"127.0.0.1\"], ports = [{port}] }}\n"
    ));
    let value = json!({
        "host": "127.0.0.1", "port": port, "username": "app", "password": "first-Password",
    });
    workspace.create(REDIS, &value.to_string());
    let site = OnLambda::new(&workspace);
    let mut function = site.configured_function();
    let token = site.announce(REDIS);
    succeeded(
        &site.step(&mut function, REDIS, "createSecret", &token),
        "createSecret",
    );
    let event = site.event(REDIS, "setSecret", &token);
    let answer = function
        .invoke_within(&event, Duration::from_secs(4))
        .unwrap();
    failed(&answer, "Keyturn.OutOfTime", &["invoke it again"]);
    // The same process answers the next event.
    let answer = function.invoke(&json!({})).unwrap();
    failed(&answer, "Keyturn.InvalidEvent", &[]);
    assert!(silent.accept().is_ok(), "nobody has connected");
    end(function, &["first-Password"]);
}
