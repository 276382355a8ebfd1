//! RotateSecret by the real engine: a database's password rotates as AWS's service would have it done, fails, is
//! cancelled, is cut off by kill -9 and goes on. All the while what AWSCURRENT holds logs in.

use std::cell::RefCell;
use std::thread;
use std::time::Duration;

use harness::poll;
use harness::postgres::Cluster;
use keyturn_store::labels::{CURRENT, PENDING, PREVIOUS};
use serde_json::{Value, json};

use crate::serve::{Serving, served, table};
use crate::support::festival::{ADMIN, CLONE, Festival, SECRET};
use crate::support::{Site as _, Workspace};
use crate::tokens::jwt_value;

const PATIENCE: Duration = Duration::from_secs(60);
const IN_DOUBT: &str = "KEYTURN_INDOUBT";

fn token(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A database whose secret is served.
fn database() -> Festival {
    let festival = Festival::start("alternating", 1);
    festival.configure("alternating", 1, &table(""));
    festival
        .workspace
        .run(&["access-key", "admin.key"])
        .succeeded();
    festival
}

/// Asks for the rotation of `name` under a token and answers the error's name, if there is one.
fn rotate(serving: &Serving, workspace: &Workspace, name: &str, number: u32) -> String {
    let body = json!({"SecretId": name, "ClientRequestToken": token(number)});
    let answered = serving.ask(workspace, "RotateSecret", &body);
    answered.code().to_owned()
}

#[track_caller]
fn becomes_current(workspace: &Workspace, name: &str, number: u32) {
    let is_current = || workspace.labels(name)[CURRENT] == token(number);
    let labels = || workspace.labels(name);
    assert!(poll::until_true(PATIENCE, is_current), "{:?}", labels());
}

/// While it lives, nobody changes a role.
struct Locked<'a>(&'a Cluster);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
        self.0.query(end).unwrap();
    }
}

/// Works while a rotation that `begin` has asked for waits at the database for a role that it may not change yet.
fn within_set(cluster: &Cluster, begin: impl FnOnce(), work: impl FnOnce()) {
    thread::scope(|scope| {
        scope.spawn(|| {
            // Ended by the other side.
            let _ = cluster.query(
                "BEGIN; LOCK TABLE pg_authid IN SHARE ROW EXCLUSIVE MODE; SELECT pg_sleep(600)",
            );
        });
        let _locked = Locked(cluster);
        let is_one = |sql: &str| poll::until_true(PATIENCE, || cluster.query(sql).unwrap() == "1");
        let locks =
            "SELECT count(*) FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND granted";
        assert!(is_one(locks));
        begin();
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        assert!(is_one(waits), "set was never reached");
        work();
    });
}

/// Whether a run has ended without success, and why stands in the trail.
fn has_failed(workspace: &Workspace) -> bool {
    workspace.audit().contains("\"reason\":")
}

/// Asks for the same rotation until it has gone through: one that is just ending is not begun again.
#[track_caller]
fn goes_on(serving: &Serving, workspace: &Workspace, name: &str, number: u32) {
    let is_current = || {
        assert_eq!(rotate(serving, workspace, name, number), "");
        workspace.labels(name)[CURRENT] == token(number)
    };
    let labels = || workspace.labels(name);
    assert!(poll::until_true(PATIENCE, is_current), "{:?}", labels());
}

#[test]
fn a_password_is_rotated_as_aws_does_it() {
    let festival = database();
    let workspace = &festival.workspace;
    let before = workspace.current(SECRET);
    let serving = Serving::start(workspace);
    assert_eq!(rotate(&serving, workspace, SECRET, 2), "");
    becomes_current(workspace, SECRET, 2);
    let after = workspace.current(SECRET);
    assert_eq!(after["username"], CLONE);
    festival.current_logs_in();
    Festival::login(&festival, &before).unwrap();
    // The same call again is the same rotation.
    assert_eq!(rotate(&serving, workspace, SECRET, 2), "");
    assert_eq!(workspace.current(SECRET), after);
}

#[test]
fn what_only_a_dba_can_put_right_ends_a_rotation_that_the_next_call_continues() {
    let festival = database();
    let (workspace, cluster) = (&festival.workspace, &festival.cluster);
    let first = workspace.labels(SECRET)[CURRENT].clone();
    cluster
        .query(&format!("ALTER ROLE {ADMIN} NOLOGIN"))
        .unwrap();
    let mut serving = Serving::start(workspace);
    assert_eq!(rotate(&serving, workspace, SECRET, 2), "");
    assert!(poll::until_true(PATIENCE, || has_failed(workspace)));
    // The value is stored, so the version stays, as on AWS.
    let labels = workspace.labels(SECRET);
    assert_eq!((&labels[CURRENT], &labels[PENDING]), (&first, &token(2)));
    festival.current_logs_in();
    let beside = poll::until(PATIENCE, || {
        let beside = workspace.run(&["rotate", SECRET]);
        (beside.code == Some(7)).then_some(beside)
    });
    let words = [&token(2), "RotateSecret", "UpdateSecretVersionStage"];
    beside.unwrap().failed(7, &words);
    let other = rotate(&serving, workspace, SECRET, 3);
    assert_eq!(other, "InvalidRequestException");
    cluster.query(&format!("ALTER ROLE {ADMIN} LOGIN")).unwrap();
    goes_on(&serving, workspace, SECRET, 2);
    festival.current_logs_in();
    let (_, said) = serving.stop("-TERM");
    assert!(said.contains("rotation_failed"), "{said}");
}

#[test]
fn a_version_that_got_no_value_is_taken_back() {
    let workspace = served("[secret.\"app-prod/jwt\"]\nplugin = \"jwt\"\n");
    workspace.create("app-prod/jwt", "no JSON at all");
    let mut serving = Serving::start(&workspace);
    assert_eq!(rotate(&serving, &workspace, "app-prod/jwt", 2), "");
    let is_alone = || workspace.describe("app-prod/jwt").versions.len() == 1;
    assert!(poll::until_true(PATIENCE, is_alone));
    // Nothing is in the way of another one.
    let value = jwt_value().to_string();
    let put =
        json!({"SecretId": "app-prod/jwt", "SecretString": value, "ClientRequestToken": token(3)});
    let put = serving.ask(&workspace, "PutSecretValue", &put);
    assert_eq!(put.status, 200, "{}", put.body);
    goes_on(&serving, &workspace, "app-prod/jwt", 4);
    let (_, said) = serving.stop("-TERM");
    assert!(said.contains("rotation_failed"), "{said}");
}

/// The statement may still take effect after the process is gone: nobody knows, and nothing is lost.
#[test]
fn a_kill_within_set_is_made_up_for_by_the_next_start() {
    let festival = database();
    let workspace = &festival.workspace;
    let first = workspace.labels(SECRET)[CURRENT].clone();
    let serving = RefCell::new(Serving::start(workspace));
    within_set(
        &festival.cluster,
        || assert_eq!(rotate(&serving.borrow(), workspace, SECRET, 2), ""),
        || {
            assert_eq!(workspace.labels(SECRET)[IN_DOUBT], token(2));
            serving.borrow_mut().stop("-KILL");
        },
    );
    festival.end_sessions_of_the_dead();
    festival.current_logs_in();
    assert_eq!(workspace.labels(SECRET)[CURRENT], first);
    let serving = Serving::start(workspace);
    becomes_current(workspace, SECRET, 2);
    assert_eq!(rotate(&serving, workspace, SECRET, 2), "");
    festival.current_logs_in();
    assert_eq!(workspace.labels(SECRET)[PREVIOUS], first);
}

#[test]
fn a_rotation_that_is_cancelled_meanwhile_moves_nothing_more() {
    let festival = database();
    let workspace = &festival.workspace;
    let first = workspace.labels(SECRET)[CURRENT].clone();
    let mut serving = Serving::start(workspace);
    within_set(
        &festival.cluster,
        || assert_eq!(rotate(&serving, workspace, SECRET, 2), ""),
        || {
            let id = json!({"SecretId": SECRET});
            let cancelled = serving.ask(workspace, "CancelRotateSecret", &id);
            assert_eq!(cancelled.body["VersionId"], token(2));
        },
    );
    assert!(poll::until_true(PATIENCE, || has_failed(workspace)));
    let labels = workspace.labels(SECRET);
    assert_eq!((&labels[CURRENT], &labels[PENDING]), (&first, &token(2)));
    festival.current_logs_in();
    // Asked for again it is switched on again, and goes on.
    goes_on(&serving, workspace, SECRET, 2);
    let (code, _) = serving.stop("-TERM");
    assert_eq!(code, Some(0));
}

#[test]
fn without_immediately_the_login_is_tried_and_nothing_is_left_behind() {
    let festival = database();
    let (workspace, cluster) = (&festival.workspace, &festival.cluster);
    let before = workspace.labels(SECRET);
    let serving = Serving::start(workspace);
    let ask = |number| {
        let body = json!({"SecretId": SECRET, "ClientRequestToken": token(number), "RotateImmediately": false,
                          "RotationRules": {"AutomaticallyAfterDays": 30}});
        serving.ask(workspace, "RotateSecret", &body)
    };
    let tried = ask(2);
    assert_eq!(tried.status, 200, "{}", tried.body);
    assert_eq!(workspace.labels(SECRET), before);
    cluster
        .query(&format!("ALTER ROLE {ADMIN} NOLOGIN"))
        .unwrap();
    let refused = ask(3);
    assert_eq!(
        refused.code(),
        "InvalidRequestException",
        "{}",
        refused.body
    );
    assert!(refused.message().contains(ADMIN), "{}", refused.message());
    assert_eq!(workspace.labels(SECRET), before);
    let shown = serving.ask(workspace, "DescribeSecret", &json!({"SecretId": SECRET}));
    assert_eq!(shown.body["RotationEnabled"], true);
}

#[test]
fn a_secret_of_several_credentials_says_how_each_is_rotated() {
    let name = "app-prod/both";
    let workspace = served(&format!(
        "[secret.\"{name}\".credential.tokens]\nplugin = \"jwt\"\n\
         [secret.\"{name}\".credential.internal]\nplugin = \"api-key\"\n"
    ));
    let mut value = jwt_value();
    value["internal_api_key"] = json!(format!("festival_sk_live_{}", "k".repeat(43)));
    workspace.create(name, &value.to_string());
    let serving = Serving::start(&workspace);
    let body = json!({"SecretId": name, "ClientRequestToken": token(2)});
    let refused = serving.ask(&workspace, "RotateSecret", &body);
    assert_eq!(refused.code(), "InvalidRequestException");
    for words in [
        "keyturn rotate",
        "app-prod/both#tokens",
        "app-prod/both#internal",
    ] {
        assert!(refused.message().contains(words), "{}", refused.message());
    }
    assert_eq!(workspace.labels(name).len(), 1);
}

/// Announced first, used later: two versions, neither of which AWSPENDING ever shows.
#[test]
fn a_lead_takes_two_rounds_and_goes_on_after_a_kill() {
    let name = "app-prod/jwt";
    let workspace = served(&format!(
        "[secret.\"{name}\"]\nplugin = \"jwt\"\nlead_seconds = 3\n"
    ));
    workspace.create(name, &jwt_value().to_string());
    let key = workspace.current(name)["secret"].clone();
    let mut serving = Serving::start(&workspace);
    assert_eq!(rotate(&serving, &workspace, name, 2), "");
    becomes_current(&workspace, name, 2);
    assert_eq!(workspace.current(name)["secret"], key);
    serving.stop("-KILL");
    let serving = Serving::start(&workspace);
    assert_eq!(rotate(&serving, &workspace, name, 2), "");
    let is_used = || workspace.current(name)["secret"] != key;
    assert!(poll::until_true(PATIENCE, is_used));
    let labels = workspace.labels(name);
    assert_eq!((&labels[PREVIOUS], labels.get(PENDING)), (&token(2), None));
    let shown = serving.ask(&workspace, "DescribeSecret", &json!({"SecretId": name}));
    assert!(shown.body["LastRotatedDate"].is_f64(), "{}", shown.body);
    // It has ended with that.
    let after: Value = workspace.current(name);
    assert_eq!(rotate(&serving, &workspace, name, 2), "");
    assert_eq!(workspace.current(name), after);
}
