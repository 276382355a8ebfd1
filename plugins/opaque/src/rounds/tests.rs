//! Every purpose through the plugin's public face, on the fake host.

use std::collections::BTreeMap;

use keyturn_sdk::{
    Context, CreateRequest, Created, Error, ErrorKind, Liveness, Members, Purpose, Retirement,
    RetirementPlan, Rotator, fake,
};
use proptest::prelude::*;

use crate::Opaque;

const OLD: &str = "b2xkLW9sZC1vbGQ";
/// guide.md's structure, with a neighbour.
const WINDOW: &str = r#"{"sendgrid_api_key":"SG.\u0061\/b","current":{"value":"b2xkLW9sZC1vbGQ","created_at":"2025-12-03T00:00:00Z","note":1.50},"rotation_timestamp":"2025-12-03T00:00:00Z","next_rotation":"2026-01-02T00:00:00Z","limits":[1.0e3, 2]}"#;
const RING: &str = r#"{"current":{"id":"first","value":"b2xkLW9sZC1vbGQ"}}"#;

fn context(strategy: &str, current: &str, settings: &str) -> Context {
    let mut ctx = fake::context(strategy, current);
    ctx.settings_json = settings.to_owned();
    ctx
}

fn create(ctx: &Context, request: &CreateRequest) -> Result<String, Error> {
    match Opaque::create(ctx, request)? {
        Created::Value(value) => Ok(value.into_exposed()),
        Created::NeedsInput(request) => panic!("asked for input: {request:?}"),
    }
}

/// What that purpose makes, which has to pass its own test.
fn make(strategy: &str, current: &str, purpose: Purpose, overlap_seconds: u64) -> String {
    let request = fake::create_request(purpose, overlap_seconds);
    let made = create(&fake::context(strategy, current), &request).unwrap();
    test(strategy, current, &made).unwrap();
    made
}

fn restore(strategy: &str, current: &str, earlier: &str) -> String {
    let request = CreateRequest {
        restore: Some(fake::version("earlier", earlier)),
        ..fake::create_request(Purpose::Restore, 60)
    };
    let made = create(&fake::context(strategy, current), &request).unwrap();
    test(strategy, current, &made).unwrap();
    made
}

/// The findings.
fn test(strategy: &str, current: &str, candidate: &str) -> Result<Vec<String>, Error> {
    let ctx = fake::context(strategy, current);
    let outcome = Opaque::test(&ctx, &fake::version("candidate", candidate))?;
    let findings = outcome.findings.into_iter();
    Ok(findings.map(|finding| finding.summary).collect())
}

fn finish(strategy: &str, current: &str, candidate: &str) -> RetirementPlan {
    let ctx = fake::context(strategy, current);
    Opaque::finish(&ctx, &fake::version("candidate", candidate)).unwrap()
}

fn probe(strategy: &str, current: &str, subject: &str) -> Liveness {
    let ctx = fake::context(strategy, current);
    let verdict = Opaque::probe(&ctx, &fake::version("subject", subject));
    verdict.unwrap().liveness
}

fn object(value: &str, path: &[&str]) -> Option<Members> {
    path.iter()
        .try_fold(Members::parse(value).unwrap(), |at, name| {
            at.get_members(name).unwrap()
        })
}

fn text(value: &str, path: &[&str]) -> Option<String> {
    let (member, path) = path.split_last().unwrap();
    object(value, path)?.get(member).unwrap()
}

fn ids(value: &str) -> Vec<String> {
    let ring = object(value, &["ring"]).unwrap_or_default();
    ring.names().map(str::to_owned).collect()
}

fn id(value: &str) -> String {
    text(value, &["current", "id"]).unwrap()
}

/// Every key of a ring, the one in use and the announced one among them, with its value.
fn keys(value: &str) -> BTreeMap<String, String> {
    let ring = ids(value).into_iter();
    let mut keys: BTreeMap<_, _> = ring
        .map(|id| (id.clone(), text(value, &["ring", &id, "value"]).unwrap()))
        .collect();
    keys.insert(id(value), text(value, &["current", "value"]).unwrap());
    keys
}

#[test]
fn replace_renews_the_value_and_keeps_the_old_one() {
    let _host = fake::Host::new().install();
    let new = make("overlap", WINDOW, Purpose::Replace, 604_800);
    // 32 bytes in base64.
    let value = text(&new, &["current", "value"]).unwrap();
    assert_eq!((value.len(), value.ends_with('=')), (44, true));
    let now = "2026-01-02T00:00:00Z";
    assert_eq!(text(&new, &["current", "created_at"]).unwrap(), now);
    assert_eq!(text(&new, &["rotation_timestamp"]).unwrap(), now);
    // 30 days, as before.
    assert_eq!(
        text(&new, &["next_rotation"]).unwrap(),
        "2026-02-01T00:00:00Z"
    );
    assert_eq!(
        object(&new, &["previous"]).unwrap().to_secret().expose(),
        format!(r#"{{"value":"{OLD}","created_at":"2025-12-03T00:00:00Z","note":1.50}}"#)
    );
    assert!(new.starts_with(r#"{"sendgrid_api_key":"SG.\u0061\/b","current":{"#));
    assert!(new.contains(r#""limits":[1.0e3, 2]"#));
    assert_eq!(probe("overlap", &new, WINDOW), Liveness::Live);
    assert_eq!(probe("overlap", WINDOW, &new), Liveness::Dead);
    assert_eq!(finish("overlap", WINDOW, &new).how, Retirement::NEW_VERSION);
}

#[test]
fn overlap_zero_revokes() {
    let _host = fake::Host::new().install();
    let old = make("overlap", WINDOW, Purpose::Replace, 60);
    let new = make("overlap", &old, Purpose::Replace, 0);
    assert!(object(&new, &["previous"]).is_none());
    assert_eq!(probe("overlap", &new, &old), Liveness::Dead);
    assert_eq!(finish("overlap", &old, &new).how, Retirement::empty());
}

#[test]
fn announce_then_activate() {
    let _host = fake::Host::new().install();
    for (strategy, old, next) in [("overlap", WINDOW, "previous"), ("key-ring", RING, "ring")] {
        let announced = make(strategy, old, Purpose::Announce, 60);
        assert_eq!(text(&announced, &["current", "value"]).unwrap(), OLD);
        assert!(object(&announced, &[next]).is_some());
        assert!(announced.contains("announced_at"));
        assert_eq!(finish(strategy, old, &announced).how, Retirement::empty());
        let active = make(strategy, &announced, Purpose::Activate, 60);
        assert!(!active.contains("announced_at"));
        // Whoever had read the announcement knows the key already.
        assert_eq!(probe(strategy, &announced, &active), Liveness::Live);
        assert_eq!(probe(strategy, &active, old), Liveness::Live);
        let request = fake::create_request(Purpose::Activate, 60);
        let error = create(&fake::context(strategy, &active), &request).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict);
    }
}

#[test]
fn retire_drops_the_previous_value_only() {
    let _host = fake::Host::new().install();
    let old = make("overlap", WINDOW, Purpose::Replace, 60);
    let new = make("overlap", &old, Purpose::Retire, 0);
    let mut expected = Members::parse(&old).unwrap();
    expected.remove("previous");
    assert_eq!(new, expected.to_secret().into_exposed());
    assert_eq!(probe("overlap", &new, WINDOW), Liveness::Dead);
}

#[test]
fn restore_brings_the_value_back() {
    let _host = fake::Host::new().install();
    let bad = make("overlap", WINDOW, Purpose::Replace, 60);
    let back = restore("overlap", &bad, WINDOW);
    assert_eq!(text(&back, &["current", "value"]).unwrap(), OLD);
    assert_eq!(
        text(&back, &["previous", "value"]),
        text(&bad, &["current", "value"])
    );
}

/// Neither rotations nor an overlap of 0 take a key out of a ring.
#[test]
fn a_ring_keeps_every_key_until_it_is_retired() {
    let _host = fake::Host::new().install();
    let mut value = RING.to_owned();
    let mut used = vec!["first".to_owned()];
    for overlap_seconds in [604_800, 0, 60, 0, 1] {
        let next = make("key-ring", &value, Purpose::Replace, overlap_seconds);
        assert_eq!(ids(&next), used);
        used.push(id(&next));
        let plan = finish("key-ring", &value, &next);
        assert_eq!(plan.how, Retirement::NEW_VERSION | Retirement::BY_OPERATOR);
        let steps = plan.operator_steps.unwrap().title;
        for id in ids(&next) {
            assert!(steps.contains(&id), "{steps}");
        }
        value = next;
    }
    assert_eq!(text(&value, &["ring", "first", "value"]).unwrap(), OLD);
    let request = fake::create_request(Purpose::Retire, 0);
    let retired = create(&fake::context("key-ring", &value), &request).unwrap();
    let found = test("key-ring", &value, &retired).unwrap();
    assert!(
        used[..5].iter().all(|id| found[0].contains(id)),
        "{found:?}"
    );
    assert!(!found[0].contains(&used[5]));
    assert_eq!((ids(&retired).len(), id(&retired)), (0, used[5].clone()));
    assert_eq!(
        finish("key-ring", &value, &retired).how,
        Retirement::empty()
    );
}

/// Whatever a person left in a key's object, it is not taken for one that nobody uses yet.
#[test]
fn a_key_in_use_is_never_an_announced_one() {
    let _host = fake::Host::new().install();
    let by_hand = r#"{"current":{"id":"b","value":"y","announced_at":"2026-01-01T00:00:00Z"},"ring":{"a":{"value":"x","announced_at":null}}}"#;
    let once = make("key-ring", by_hand, Purpose::Replace, 60);
    let twice = make("key-ring", &once, Purpose::Replace, 60);
    assert_eq!(ids(&twice), ["a".to_owned(), "b".to_owned(), id(&once)]);
}

/// It encrypted before its announcement was put back by hand, so there is data under it.
#[test]
fn an_announcement_that_came_back_loses_no_key() {
    let _host = fake::Host::new().install();
    let announced = make("key-ring", RING, Purpose::Announce, 60);
    let used = ids(&announced);
    let kept = |next: &str| {
        assert!(keys(next).contains_key(&used[0]), "{next}");
        let marked = text(next, &["ring", &used[0], "announced_at"]);
        assert_eq!(marked, None);
        next.to_owned()
    };
    let again = kept(&make("key-ring", &announced, Purpose::Announce, 60));
    assert_eq!(again.matches("announced_at").count(), 1);
    let steps = finish("key-ring", &announced, &again).operator_steps;
    assert!(steps.unwrap().title.contains(&used[0]));
    kept(&make("key-ring", &announced, Purpose::Replace, 60));
    kept(&restore("key-ring", &announced, RING));
    kept(&restore("key-ring", RING, &announced));
    // Nobody was told to re-encrypt from the announced one.
    let retired = make("key-ring", &again, Purpose::Retire, 60);
    assert_eq!(ids(&retired).len(), 1);
    assert!(retired.contains("announced_at"));
    let mut without = Members::parse(&announced).unwrap();
    without.remove("ring");
    let error = test("key-ring", &announced, without.to_secret().expose()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Drift);
}

/// The declaration was a mistake: what an earlier version held decrypts again.
#[test]
fn a_restored_ring_has_the_keys_of_both() {
    let _host = fake::Host::new().install();
    let full = make("key-ring", RING, Purpose::Replace, 60);
    let retired = make("key-ring", &full, Purpose::Retire, 0);
    let newest = make("key-ring", &retired, Purpose::Replace, 60);
    let back = restore("key-ring", &newest, &full);
    assert_eq!(id(&back), id(&full));
    assert_eq!(ids(&back), [id(&newest), "first".to_owned()]);
    assert_eq!(text(&back, &["ring", "first", "value"]).unwrap(), OLD);
}

#[test]
fn test_refuses_what_would_lose_a_key() {
    let _host = fake::Host::new().install();
    let refused = |strategy, current: &str, candidate: &str, kind| {
        let error = test(strategy, current, candidate).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    };
    let once = make("overlap", WINDOW, Purpose::Replace, 60);
    let stranger = make("overlap", &once, Purpose::Replace, 60);
    refused("overlap", WINDOW, &stranger, ErrorKind::Drift);

    let once = make("key-ring", RING, Purpose::Replace, 60);
    let twice = make("key-ring", &once, Purpose::Replace, 60);
    let without = |value: &str, id: &str| {
        let mut members = Members::parse(value).unwrap();
        let mut ring = members.get_members("ring").unwrap().unwrap();
        ring.remove(id);
        members.set_members("ring", &ring).unwrap();
        members.to_secret().into_exposed()
    };
    refused(
        "key-ring",
        &once,
        &without(&twice, "first"),
        ErrorKind::Drift,
    );
    refused(
        "key-ring",
        &once,
        &without(&twice, &id(&once)),
        ErrorKind::Drift,
    );
    refused(
        "key-ring",
        &twice,
        &without(&twice, "first"),
        ErrorKind::Drift,
    );
    let retired = make("key-ring", &once, Purpose::Retire, 60);
    let next = make("key-ring", &retired, Purpose::Replace, 60);
    refused("key-ring", &once, &next, ErrorKind::Drift);
}

#[test]
fn the_settings_say_how_a_value_looks() {
    let _host = fake::Host::new().install();
    for (settings, length) in [
        (r#"{"bytes":16}"#, 24),
        (r#"{"bytes":64,"encoding":"base64url"}"#, 86),
        (r#"{"bytes":20,"encoding":"hex"}"#, 40),
    ] {
        let ctx = context("overlap", WINDOW, settings);
        let new = create(&ctx, &fake::create_request(Purpose::Replace, 60)).unwrap();
        assert_eq!(text(&new, &["current", "value"]).unwrap().len(), length);
    }
}

#[test]
fn the_next_rotation_is_the_configured_one_else_the_profiles() {
    let _host = fake::Host::new().install();
    let next = |ctx: &Context, next_rotation| {
        let request = CreateRequest {
            next_rotation,
            ..fake::create_request(Purpose::Replace, 1)
        };
        text(&create(ctx, &request).unwrap(), &["next_rotation"])
    };
    let webhook = context("overlap", WINDOW, r#"{"profile":"webhook-signing"}"#);
    assert_eq!(next(&webhook, None).unwrap(), "2026-04-02T00:00:00Z");
    assert_eq!(
        next(&webhook, Some(1_782_950_400)).unwrap(),
        "2026-07-02T00:00:00Z"
    );
    let encryption = context("key-ring", RING, r#"{"profile":"encryption"}"#);
    assert_eq!(next(&encryption, None).unwrap(), "2027-01-02T00:00:00Z");
    assert_eq!(next(&fake::context("key-ring", RING), None), None);
}

#[test]
fn a_profile_is_refused_under_the_others_strategy() {
    let _host = fake::Host::new().install();
    for (strategy, value, profile) in [
        ("overlap", WINDOW, "encryption"),
        ("key-ring", RING, "webhook-signing"),
    ] {
        let ctx = context(strategy, value, &format!(r#"{{"profile":"{profile}"}}"#));
        let request = fake::create_request(Purpose::Replace, 60);
        let error = create(&ctx, &request).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSettings);
        assert!(error.message.contains(profile), "{error}");
        assert!(Opaque::test(&ctx, &ctx.current).is_err());
    }
}

#[test]
fn what_cannot_be_done_says_so() {
    let _host = fake::Host::new().install();
    let fails = |strategy, current: &str, purpose, expected| {
        let request = fake::create_request(purpose, 60);
        let error = create(&fake::context(strategy, current), &request).unwrap_err();
        assert_eq!(error.kind, expected, "{error}");
    };
    let invalid = ErrorKind::InvalidSecret;
    fails("overlap", WINDOW, Purpose::Extend, ErrorKind::Unsupported);
    fails("single", WINDOW, Purpose::Replace, ErrorKind::Unsupported);
    for value in [
        "{}",
        r#"{"current":"x"}"#,
        r#"{"current":{"value":""}}"#,
        r#"{"current":{"value":7}}"#,
        r#"{"current":{"value":"x","value":"y"}}"#,
        r#"{"current":{"value":"x"},"ring":{"a":{"value":"y"}}}"#,
        r#"{"current":{"value":"x"},"next_rotation":"2026-01-02T00:00:00Z"}"#,
    ] {
        fails("overlap", value, Purpose::Replace, invalid);
    }
    for value in [
        r#"{"current":{"value":"x"}}"#,
        r#"{"current":{"id":"a","value":"x"},"previous":{"value":"y"}}"#,
        r#"{"current":{"id":"a","value":"x"},"ring":{"b":{}}}"#,
        r#"{"current":{"id":"a","value":"x"},"ring":[]}"#,
        r#"{"current":{"id":"a","value":"x"},"ring":{"a":{"value":"y"}}}"#,
    ] {
        fails("key-ring", value, Purpose::Replace, invalid);
    }
}

#[test]
fn a_secret_of_minimal_shape_rotates() {
    let _host = fake::Host::new().install();
    let old = r#"{"current":{"value":"x"},"previous":{"value":"","created_at":""}}"#;
    let new = make("overlap", old, Purpose::Replace, 60);
    assert_eq!(text(&new, &["next_rotation"]), None);
    assert_eq!(text(&new, &["previous", "value"]).unwrap(), "x");
}

#[test]
fn values_reach_neither_logs_nor_errors() {
    let host = fake::Host::new().install();
    let once = make("overlap", WINDOW, Purpose::Replace, 60);
    let stranger = make("overlap", &once, Purpose::Replace, 60);
    let error = test("overlap", WINDOW, &stranger).unwrap_err();
    let shown = format!("{:?} {error:?}", host.logs());
    assert!(!host.logs().is_empty());
    for value in [&once, &stranger].map(|value| text(value, &["current", "value"]).unwrap()) {
        assert!(!shown.contains(&value));
    }
    assert!(!shown.contains(OLD));
}

proptest! {
    #[test]
    fn others_members_survive(number in "-?[1-9][0-9]{0,25}(\\.[0-9]{1,12})?", name in "[a-z]{1,8}\\\\u00e9", seed in any::<u64>()) {
        let _host = fake::Host::new().seed(seed).install();
        let old = format!(r#"{{"{name}":{number},"current":{{"id":"a","value":"x"}},"z":{{"a" : "\/"}}}}"#);
        for strategy in ["overlap", "key-ring"] {
            for purpose in [Purpose::Replace, Purpose::Announce, Purpose::Retire] {
                let new = make(strategy, &old, purpose, 60);
                let start = format!(r#"{{"{name}":{number},"#);
                prop_assert!(new.starts_with(&start));
                let untouched = new.contains(r#""z":{"a" : "\/"}"#);
                prop_assert!(untouched);
            }
        }
    }

    /// Any sequence of rounds, declarations apart, and of earlier values that are put back by hand: every key that the
    /// value at AWSCURRENT holds is there afterwards.
    #[test]
    fn no_round_but_retire_takes_a_key_out_of_a_ring(rounds in proptest::collection::vec(0..5_u8, 1..12), seed in any::<u64>()) {
        let _host = fake::Host::new().seed(seed).install();
        let mut versions = vec![RING.to_owned()];
        for round in rounds {
            let current = versions.last().unwrap().clone();
            let next = match round {
                0 => restore("key-ring", &current, &versions[versions.len() / 2]),
                1 => make("key-ring", &current, Purpose::Announce, 0),
                4 => {
                    versions.push(versions[versions.len() / 2].clone());
                    continue;
                }
                2 if current.contains("announced_at") => make("key-ring", &current, Purpose::Activate, 0),
                _ => make("key-ring", &current, Purpose::Replace, 0),
            };
            let left = keys(&next);
            for (id, value) in keys(&current) {
                prop_assert_eq!(left.get(&id), Some(&value));
            }
            versions.push(next);
        }
    }

    #[test]
    fn malformed_secrets_give_errors(value in ".*") {
        let _host = fake::Host::new().install();
        for strategy in ["overlap", "key-ring"] {
            let ctx = fake::context(strategy, &value);
            prop_assert!(Opaque::create(&ctx, &fake::create_request(Purpose::Replace, 60)).is_err());
            prop_assert!(Opaque::probe(&ctx, &fake::version("v", &value)).is_err());
        }
    }
}
