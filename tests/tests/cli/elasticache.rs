//! `keyturn rotate` through ElastiCache's API, whose requests the host signs, with a real Redis behind it: killed
//! within every effect and anywhere in its requests, throttled, and with credentials that are not good enough.

use harness::poll;
use harness::proxy::Proxy;

use crate::interruption::{
    PATIENCE, continues_alternating, continues_alternating_by, finish, finish_now, kill_at,
    while_probed,
};
use crate::interruption_on_the_wire::kill_everywhere;
use crate::support::managed::{ID, Kept, Managed, SECRET};
use crate::support::{Site as _, end};

/// A change is asked for, and looked at until it is through; the line of a pause follows at once.
const EFFECTS: &[&str] = &[
    "intent retire",
    "waiting",
    "intent create",
    "outcome create",
    "intent set",
    "intent finish",
    "intent promote",
];

const USER: &str = "two passwords of an ElastiCache user";
const AUTH_TOKEN: &str = "two AUTH tokens of ElastiCache";

#[test]
fn the_password_of_a_user_is_rotated_and_the_old_one_dies_after_its_grace() {
    rotates(Kept::User, ["ModifyUser 2", "ModifyUser 1"]);
}

#[test]
fn the_auth_token_of_a_group_is_rotated_and_the_old_one_dies_after_its_grace() {
    let changes = [
        "ModifyReplicationGroup ROTATE",
        "ModifyReplicationGroup SET",
    ];
    rotates(Kept::AuthToken, changes);
}

fn rotates(kept: Kept, changes: [&str; 2]) {
    let managed = Managed::start(kept);
    let workspace = &managed.workspace;
    workspace.run(&["verify", SECRET]).succeeded();
    let first = workspace.current(SECRET);
    finish(&managed);
    managed.current_logs_in();
    managed.login(&first).unwrap();
    let current = workspace.current(SECRET);
    let names = |value: &serde_json::Value| {
        let members = value.as_object().unwrap().keys();
        members.cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&current), names(&first));
    let retired = poll::until(PATIENCE, || {
        let ended = workspace.run(&["retire", SECRET]);
        (ended.code != Some(7)).then_some(ended)
    });
    retired.expect("refused for too long").succeeded();
    managed.current_logs_in();
    managed.is_dead(&first);
    assert_eq!(managed.changes(), changes);
    workspace.run(&["verify", SECRET]).succeeded();
}

#[test]
fn a_user_continues_after_a_kill_within_each_effect() {
    killed_within_each_effect(USER, Kept::User);
}

#[test]
fn a_group_continues_after_a_kill_within_each_effect() {
    killed_within_each_effect(AUTH_TOKEN, Kept::AuthToken);
}

fn killed_within_each_effect(what: &str, kept: Kept) {
    let managed = Managed::start(kept);
    while_probed(what, &managed, || {
        finish(&managed);
        for effect in EFFECTS {
            kill_at(&managed, effect, || continues_alternating(&managed));
        }
        EFFECTS.len()
    });
}

#[test]
fn a_user_continues_after_a_kill_anywhere_in_its_requests() {
    killed_on_the_wire(USER, Kept::User);
}

#[test]
fn a_group_continues_after_a_kill_anywhere_in_its_requests() {
    killed_on_the_wire(AUTH_TOKEN, Kept::AuthToken);
}

fn killed_on_the_wire(what: &str, kept: Kept) {
    let managed = Managed::start(kept);
    let proxy = Proxy::start(managed.api.address()).unwrap();
    managed.configure(proxy.address(), 1);
    finish(&managed);
    let kills = kill_everywhere(&managed, &proxy, |managed| {
        continues_alternating_by(managed, finish_now);
    });
    println!("evidence: {what}, killed on the wire: {kills} kills");
}

/// Somebody changes the user in AWS's console at that moment.
#[test]
fn a_change_that_is_under_way_is_waited_for() {
    let managed = Managed::start(Kept::User);
    let before = managed.workspace.current(SECRET);
    let arguments = ["rotate", SECRET];
    managed
        .api
        .with(|service| service.refusals = (2, "InvalidUserState"));
    let ended = end(managed.workspace.start(&arguments), &arguments);
    managed.workspace.keep(&ended);
    ended.succeeded();
    managed.current_logs_in();
    managed.login(&before).unwrap();
    assert_eq!(managed.api.with(|service| service.refusals.0), 0);
}

#[test]
fn throttling_is_outwaited_and_in_the_end_reported() {
    let managed = Managed::start(Kept::User);
    managed
        .api
        .with(|service| service.refusals = (2, "Throttling"));
    finish(&managed);
    assert_eq!(managed.api.with(|service| service.refusals.0), 0);

    managed
        .api
        .with(|service| service.refusals = (u32::MAX, "Throttling"));
    let ended = managed.workspace.run(&["rotate", SECRET, "--now"]);
    ended.failed(5, &["too many requests", "Throttling", "was not changed"]);
    managed.current_logs_in();
    managed.api.with(|service| service.refusals = (0, ""));
    finish_now(&managed);
    managed.current_logs_in();
}

#[test]
fn a_signature_of_another_key_is_refused() {
    let managed = Managed::start(Kept::User);
    let own = managed.api.credentials.clone();
    let asked = managed.api.requests().len();
    let fixes = ["does not accept this host's credentials", "was not changed"];
    managed.identify(
        &own.key_id,
        "made-up/Secret+of+somebody+else+0123456789",
        &own.token,
    );
    let rotate = || managed.workspace.run(&["rotate", SECRET]);
    rotate().failed(5, &[fixes[0], fixes[1], "SignatureDoesNotMatch"]);
    managed.identify("ASIAKEYTURNMADEUP002", &own.secret, &own.token);
    rotate().failed(5, &[fixes[0], fixes[1], "InvalidClientTokenId"]);
    managed.identify(
        &own.key_id,
        &own.secret,
        "another-Session+token/0123456789==",
    );
    rotate().failed(5, &[fixes[0], fixes[1], "InvalidClientTokenId"]);
    assert!(managed.api.requests().len() >= asked + 3, "they were asked");
    assert!(managed.changes().is_empty());
    managed.current_logs_in();
}

#[test]
fn without_credentials_nothing_is_sent() {
    let managed = Managed::start(Kept::User);
    managed.identify("", "", "");
    let ended = managed.workspace.run(&["rotate", SECRET]);
    ended.failed(
        3,
        &["has to be signed", "no AWS credentials", "was not changed"],
    );
    assert!(managed.api.requests().is_empty());
    managed.current_logs_in();
}

#[test]
fn a_missing_right_is_named() {
    let managed = Managed::start(Kept::AuthToken);
    managed
        .api
        .with(|service| service.refusals = (u32::MAX, "AccessDenied"));
    let ended = managed.workspace.run(&["rotate", SECRET]);
    ended.failed(
        5,
        &["elasticache:DescribeReplicationGroups", "was not changed"],
    );
    managed.current_logs_in();
}

/// Both must say yes, and a grant that would not be enough is found before anything is done.
#[test]
fn signing_has_to_be_granted() {
    let managed = Managed::start(Kept::User);
    let path = managed.workspace.path("keyturn.toml");
    let granted = std::fs::read_to_string(&path).unwrap();
    for (instead, words) in [
        ("", "sign = true"),
        ("sign = true\n", "grant.endpoint.elasticache.region"),
    ] {
        let signing = "sign = true\nregion = \"eu-west-1\"\n";
        std::fs::write(&path, granted.replace(signing, instead)).unwrap();
        managed
            .workspace
            .run(&["rotate", SECRET])
            .failed(3, &[words]);
    }
    std::fs::write(&path, &granted).unwrap();
    assert!(managed.api.requests().is_empty());
    let known = managed.api.with(|service| service.passwords(ID));
    assert_eq!(known.len(), 1);
}
