//! Every purpose through the plugin's public face, on the fake host.

use keyturn_sdk::{
    Context, CreateRequest, Created, ErrorKind, Liveness, Members, Purpose, Retirement, Rotator,
    fake,
};
use proptest::prelude::*;

use crate::ApiKey;
use crate::hash::Form;

const OLD_KEY: &str = "festival_sk_live_abc123";

fn current(labelled: bool) -> String {
    let form = if labelled { Form::Labelled } else { Form::Bare };
    format!(
        r#"{{"sendgrid_api_key":"SG.\u0061\/b","internal_api_key":"{OLD_KEY}","internal_api_key_hash":"{}","key_version":2,"created_at":"2025-07-06T00:00:00Z","expires_at":"2026-01-02T00:00:00Z","limits":[1.0e3, 2]}}"#,
        form.hash(OLD_KEY)
    )
}

fn create(ctx: &Context, request: &CreateRequest) -> Result<String, keyturn_sdk::Error> {
    match ApiKey::create(ctx, request)? {
        Created::Value(value) => Ok(value.into_exposed()),
        Created::NeedsInput(request) => panic!("asked for input: {request:?}"),
    }
}

fn make(current: &str, purpose: Purpose, overlap_seconds: u64) -> String {
    create(
        &fake::context("overlap", current),
        &fake::create_request(purpose, overlap_seconds),
    )
    .unwrap()
}

fn text(value: &str, member: &str) -> Option<String> {
    Members::parse(value).unwrap().get(member).unwrap()
}

fn test(current: &str, candidate: &str) -> Result<(), keyturn_sdk::Error> {
    ApiKey::test(
        &fake::context("overlap", current),
        &fake::version("candidate", candidate),
    )
    .map(|_| ())
}

fn probe(current: &str, subject: &str) -> Liveness {
    ApiKey::probe(
        &fake::context("overlap", current),
        &fake::version("subject", subject),
    )
    .unwrap()
    .liveness
}

fn retirement(current: &str, candidate: &str) -> Retirement {
    ApiKey::finish(
        &fake::context("overlap", current),
        &fake::version("candidate", candidate),
    )
    .unwrap()
    .how
}

#[test]
fn replace_renews_all_fields_and_keeps_the_old_key() {
    let _host = fake::Host::new().install();
    for labelled in [false, true] {
        let old = current(labelled);
        let new = make(&old, Purpose::Replace, 604_800);
        let key = text(&new, "internal_api_key").unwrap();
        assert!(
            key.starts_with("festival_sk_live_") && key.len() == "festival_sk_live_".len() + 43
        );
        let form = if labelled { Form::Labelled } else { Form::Bare };
        assert_eq!(
            text(&new, "internal_api_key_hash").unwrap(),
            form.hash(&key)
        );
        assert_eq!(text(&new, "previous_internal_api_key").unwrap(), OLD_KEY);
        assert_eq!(
            text(&new, "previous_internal_api_key_hash").unwrap(),
            form.hash(OLD_KEY)
        );
        assert_eq!(Members::parse(&new).unwrap().raw("key_version"), Some("3"));
        assert_eq!(text(&new, "created_at").unwrap(), "2026-01-02T00:00:00Z");
        assert_eq!(
            text(&new, "rotation_timestamp").unwrap(),
            "2026-01-02T00:00:00Z"
        );
        // 180 days, as before.
        assert_eq!(text(&new, "expires_at").unwrap(), "2026-07-01T00:00:00Z");
        assert!(new.starts_with(r#"{"sendgrid_api_key":"SG.\u0061\/b","internal_api_key":"#));
        assert!(new.contains(r#""limits":[1.0e3, 2]"#));
        test(&old, &new).unwrap();
        assert_eq!(probe(&new, &old), Liveness::Live);
        assert_eq!(probe(&old, &new), Liveness::Dead);
        assert_eq!(retirement(&old, &new), Retirement::NEW_VERSION);
    }
}

#[test]
fn the_next_rotation_is_the_end() {
    let _host = fake::Host::new().install();
    let request = CreateRequest {
        next_rotation: Some(1_782_950_400),
        ..fake::create_request(Purpose::Replace, 1)
    };
    let new = create(&fake::context("overlap", &current(false)), &request).unwrap();
    assert_eq!(text(&new, "expires_at").unwrap(), "2026-07-02T00:00:00Z");
}

#[test]
fn overlap_zero_revokes() {
    let _host = fake::Host::new().install();
    let old = make(&current(false), Purpose::Replace, 60);
    let new = make(&old, Purpose::Replace, 0);
    for name in [
        "previous_internal_api_key",
        "previous_internal_api_key_hash",
    ] {
        assert!(!Members::parse(&new).unwrap().contains(name));
    }
    test(&old, &new).unwrap();
    assert_eq!(probe(&new, &old), Liveness::Dead);
    assert_eq!(retirement(&old, &new), Retirement::empty());
}

#[test]
fn announce_then_activate() {
    let _host = fake::Host::new().install();
    let old = current(true);
    let announced = make(&old, Purpose::Announce, 60);
    let next = text(&announced, "previous_internal_api_key").unwrap();
    assert_eq!(text(&announced, "internal_api_key").unwrap(), OLD_KEY);
    assert_eq!(text(&announced, "created_at"), text(&old, "created_at"));
    test(&old, &announced).unwrap();
    assert_eq!(retirement(&old, &announced), Retirement::empty());
    let active = make(&announced, Purpose::Activate, 60);
    assert_eq!(text(&active, "internal_api_key").unwrap(), next);
    assert_eq!(text(&active, "previous_internal_api_key").unwrap(), OLD_KEY);
    assert_eq!(text(&active, "announced_at"), None);
    test(&announced, &active).unwrap();
    let error = create(
        &fake::context("overlap", &active),
        &fake::create_request(Purpose::Activate, 60),
    )
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
}

#[test]
fn retire_drops_the_previous_key_only() {
    let _host = fake::Host::new().install();
    let old = make(&current(false), Purpose::Replace, 60);
    let new = make(&old, Purpose::Retire, 0);
    let mut expected = Members::parse(&old).unwrap();
    expected.remove("previous_internal_api_key");
    expected.remove("previous_internal_api_key_hash");
    assert_eq!(new, expected.to_secret().into_exposed());
    assert_eq!(make(&new, Purpose::Retire, 0), new);
    test(&old, &new).unwrap();
    assert_eq!(probe(&new, &current(false)), Liveness::Dead);
}

#[test]
fn restore_brings_the_key_back_under_a_higher_version() {
    let _host = fake::Host::new().install();
    let first = current(false);
    let bad = make(&first, Purpose::Replace, 60);
    let restore = CreateRequest {
        restore: Some(fake::version("first", &first)),
        ..fake::create_request(Purpose::Restore, 60)
    };
    let back = create(&fake::context("overlap", &bad), &restore).unwrap();
    assert_eq!(text(&back, "internal_api_key").unwrap(), OLD_KEY);
    assert_eq!(
        text(&back, "previous_internal_api_key"),
        text(&bad, "internal_api_key")
    );
    assert_eq!(Members::parse(&back).unwrap().raw("key_version"), Some("4"));
    test(&bad, &back).unwrap();
}

#[test]
fn the_prefix_can_name_the_environment() {
    let _host = fake::Host::new().install();
    let mut ctx = fake::context("overlap", &current(false));
    ctx.settings_json = r#"{"prefix":"acme_{mode}_"}"#.to_owned();
    ctx.environment = "prod".to_owned();
    let new = create(&ctx, &fake::create_request(Purpose::Replace, 60)).unwrap();
    assert!(
        text(&new, "internal_api_key")
            .unwrap()
            .starts_with("acme_live_")
    );
    ApiKey::test(&ctx, &fake::version("candidate", &new)).unwrap();
    ctx.settings_json = r#"{"prefix":"other_"}"#.to_owned();
    let error = ApiKey::test(&ctx, &fake::version("candidate", &new)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected);
}

#[test]
fn test_refuses_what_would_break_validators() {
    let _host = fake::Host::new().install();
    let old = current(false);
    let new = make(&old, Purpose::Replace, 60);
    let change = |member: &str, value: &str| {
        let mut members = Members::parse(&new).unwrap();
        members.set(member, value).unwrap();
        members.to_secret().into_exposed()
    };
    let check =
        |candidate: String, kind| assert_eq!(test(&old, &candidate).unwrap_err().kind, kind);
    check(
        change("internal_api_key_hash", &Form::Bare.hash("x")),
        ErrorKind::InvalidSecret,
    );
    check(
        change("previous_internal_api_key_hash", &Form::Bare.hash("x")),
        ErrorKind::InvalidSecret,
    );
    check(change("internal_api_key", ""), ErrorKind::InvalidSecret);
    check(
        new.replace("\"key_version\":3", "\"key_version\":2"),
        ErrorKind::Rejected,
    );
    let stranger = make(&make(&old, Purpose::Replace, 60), Purpose::Replace, 60);
    check(stranger, ErrorKind::Drift);
}

#[test]
fn a_secret_of_minimal_shape_rotates() {
    let _host = fake::Host::new().install();
    let old = r#"{"internal_api_key":"k","previous_internal_api_key":"","previous_internal_api_key_hash":""}"#;
    let new = make(old, Purpose::Replace, 60);
    assert_eq!(Members::parse(&new).unwrap().raw("key_version"), Some("1"));
    assert_eq!(text(&new, "expires_at"), None);
    test(old, &new).unwrap();
}

#[test]
fn what_cannot_be_done_says_so() {
    let _host = fake::Host::new().install();
    let fails = |current: &str, purpose| {
        create(
            &fake::context("overlap", current),
            &fake::create_request(purpose, 60),
        )
        .unwrap_err()
        .kind
    };
    assert_eq!(
        fails(&current(false), Purpose::Extend),
        ErrorKind::Unsupported
    );
    assert_eq!(fails("{}", Purpose::Replace), ErrorKind::InvalidSecret);
    assert_eq!(
        fails(r#"{"internal_api_key":7}"#, Purpose::Replace),
        ErrorKind::InvalidSecret
    );
    let no_start = r#"{"internal_api_key":"k_1","expires_at":"2026-01-02T00:00:00Z"}"#;
    assert_eq!(fails(no_start, Purpose::Replace), ErrorKind::InvalidSecret);
    assert_eq!(
        fails(
            r#"{"internal_api_key":"k_1","key_version":18446744073709551615}"#,
            Purpose::Replace
        ),
        ErrorKind::InvalidSecret
    );
}

#[test]
fn keys_reach_neither_logs_nor_errors() {
    let host = fake::Host::new().install();
    let old = current(false);
    let new = make(&old, Purpose::Replace, 60);
    let broken = new.replace(&Form::Bare.hash(OLD_KEY), &Form::Bare.hash("x"));
    let shown = format!("{:?} {:?}", host.logs(), test(&old, &broken).unwrap_err());
    assert!(!host.logs().is_empty());
    for secret in [OLD_KEY.to_owned(), text(&new, "internal_api_key").unwrap()] {
        assert!(!shown.contains(&secret));
    }
}

proptest! {
    #[test]
    fn others_members_survive(number in "-?[1-9][0-9]{0,25}(\\.[0-9]{1,12})?", name in "[a-z]{1,8}\\\\u00e9", seed in any::<u64>()) {
        let _host = fake::Host::new().seed(seed).install();
        let old = format!(r#"{{"{name}":{number},"internal_api_key":"p_1","z":{{"a" : "\/"}}}}"#);
        for purpose in [Purpose::Replace, Purpose::Announce, Purpose::Retire] {
            let new = make(&old, purpose, 60);
            let start = format!(r#"{{"{name}":{number},"#);
            prop_assert!(new.starts_with(&start));
            let untouched = new.contains(r#""z":{"a" : "\/"}"#);
            prop_assert!(untouched);
        }
    }

    #[test]
    fn malformed_secrets_give_errors(value in ".*") {
        let _host = fake::Host::new().install();
        let ctx = fake::context("overlap", &value);
        prop_assert!(ApiKey::create(&ctx, &fake::create_request(Purpose::Replace, 60)).is_err());
        prop_assert!(ApiKey::probe(&ctx, &fake::version("v", &value)).is_err());
    }
}
