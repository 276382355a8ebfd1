//! `retire_due`: what is owed stands with the secrets, and whichever invocation finds it due does it.

use std::time::Duration;

use harness::lambda::Answer;
use harness::poll;
use serde_json::{Value, json};

use super::{OnLambda, end, failed};
use crate::support::Site as _;
use crate::support::Workspace;
use crate::support::festival::{ADMIN_PASSWORD, Festival, SECRET};
use crate::tokens::jwt_value;

const JWT: &str = "festival-prod/jwt";
const PATIENCE: Duration = Duration::from_secs(30);

fn lines(answer: &Answer) -> Vec<(String, String)> {
    let Answer::Response(response) = answer else {
        panic!("{answer:?}");
    };
    let text = |line: &Value, member: &str| line[member].as_str().unwrap().to_owned();
    let body: Vec<Value> = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
    let pair = |line: &Value| (text(line, "secret"), text(line, "outcome"));
    body.iter().map(pair).collect()
}

fn became(name: &str, outcome: &str) -> (String, String) {
    (name.to_owned(), outcome.to_owned())
}

#[test]
fn the_old_user_dies_when_its_grace_is_over_and_not_before() {
    let festival = Festival::start("alternating", 3600);
    let site = OnLambda::new(&festival.workspace);
    let mut function = site.configured_function();
    let first = festival.workspace.current(SECRET);
    site.rotate(&mut function, SECRET);
    let event = json!({"action": "retire_due"});
    // The admin secret carries no tag of keyturn's, so it is not among them.
    let early = function.invoke(&event).unwrap();
    assert_eq!(lines(&early), [became(SECRET, "nothing-due")]);
    festival.login(&first).unwrap();
    end(function, &[]);

    let festival = Festival::start("alternating", 1);
    let site = OnLambda::new(&festival.workspace);
    let mut function = site.configured_function();
    let first = festival.workspace.current(SECRET);
    site.rotate(&mut function, SECRET);
    let event = json!({"action": "retire_due", "secrets": [site.arn(SECRET)]});
    let retired = poll::until_true(PATIENCE, || {
        lines(&function.invoke(&event).unwrap()) == [became(SECRET, "retired")]
    });
    assert!(retired);
    festival.is_dead(&first);
    festival.current_logs_in();
    assert_eq!(
        lines(&function.invoke(&event).unwrap()),
        [became(SECRET, "nothing-due")]
    );
    end(function, &[ADMIN_PASSWORD]);
}

#[test]
fn an_announced_key_comes_into_use_when_its_lead_is_over() {
    let workspace = Workspace::new();
    let table = |lead| format!("[secret.\"{JWT}\"]\nplugin = \"jwt\"\nlead_seconds = {lead}\n");
    workspace.configure(&table(3600));
    workspace.create(JWT, &jwt_value().to_string());
    let site = OnLambda::new(&workspace);
    // It announces, and is interrupted while it waits.
    let mut rotating = workspace.start(&["rotate", JWT]);
    let announced = poll::until_true(PATIENCE, || {
        workspace.current(JWT).get("announced_at").is_some()
    });
    assert!(announced);
    rotating.kill().unwrap();
    rotating.wait().unwrap();
    let next = workspace.current(JWT);
    let event = json!({"action": "retire_due", "secrets": [JWT]});
    let mut function = site.configured_function();
    let early = function.invoke(&event).unwrap();
    assert_eq!(lines(&early), [became(JWT, "nothing-due")]);
    end(function, &[]);

    workspace.configure(&table(1));
    let mut function = site.configured_function();
    let activated = poll::until_true(PATIENCE, || {
        lines(&function.invoke(&event).unwrap()) == [became(JWT, "activated")]
    });
    assert!(activated);
    assert_eq!(workspace.current(JWT)["secret"], next["previous_secret"]);
    end(function, &[next["secret"].as_str().unwrap()]);
}

#[test]
fn what_cannot_be_done_is_an_error_that_alarms_hear_of() {
    let workspace = Workspace::new();
    workspace.create(JWT, &jwt_value().to_string());
    workspace.create("shop/unknown", "value");
    let site = OnLambda::new(&workspace);
    let mut function = site.function(&[]);
    let event = json!({"action": "retire_due", "secrets": ["shop/unknown", JWT, "nobody/jwt"]});
    let answer = function.invoke(&event).unwrap();
    failed(
        &answer,
        "Keyturn.UnknownKind",
        &["shop/unknown", "nobody/jwt", "nothing-due"],
    );
    // Where nobody has asked about it, a tag alone is no fault.
    site.tag("shop/unknown", "keyturn:environment", "prod");
    let answer = function.invoke(&json!({"action": "retire_due"})).unwrap();
    assert_eq!(lines(&answer), [became("shop/unknown", "nothing-due")]);
    end(function, &[]);
}
