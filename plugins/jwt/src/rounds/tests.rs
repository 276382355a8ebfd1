//! Every purpose through the plugin's public face, on the fake host. What the plugin signs is
//! checked by another library as well.

use jsonwebtoken::{DecodingKey, Validation};
use keyturn_sdk::{
    Context, CreateRequest, Created, Error, ErrorKind, Liveness, Members, Purpose, Retirement,
    Rotator, fake,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::Jwt;
use crate::fields::Fields;
use crate::token;

const ACCESS: &str = "access-0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrs";
const REFRESH: &str = "refresh-123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrs";
const WEEK: u64 = 604_800;
const ALGORITHMS: [&str; 5] = ["HS256", "HS384", "HS512", "EdDSA", "ES256"];

fn first() -> String {
    format!(
        r#"{{"issuer":"https:\/\/festival.test","secret":"{ACCESS}","refresh_secret":"{REFRESH}","algorithm":"HS256","access_token_expiry":"15m","refresh_token_expiry":"7d","skew":1.0e1}}"#
    )
}

fn create(ctx: &Context, request: &CreateRequest) -> Result<String, Error> {
    match Jwt::create(ctx, request)? {
        Created::Value(value) => Ok(value.into_exposed()),
        Created::NeedsInput(request) => panic!("asked for input: {request:?}"),
    }
}

fn try_make(current: &str, purpose: Purpose, overlap_seconds: u64) -> Result<String, Error> {
    create(
        &fake::context("overlap", current),
        &fake::create_request(purpose, overlap_seconds),
    )
}

fn make(current: &str, purpose: Purpose, overlap_seconds: u64) -> String {
    try_make(current, purpose, overlap_seconds).unwrap()
}

/// A value whose keys are of that algorithm.
fn first_of(algorithm: &str) -> String {
    let mut ctx = fake::context("overlap", &first());
    ctx.settings_json = format!(r#"{{"algorithm":"{algorithm}"}}"#);
    create(&ctx, &fake::create_request(Purpose::Replace, 0)).unwrap()
}

fn text(value: &str, member: &str) -> Option<String> {
    Members::parse(value).unwrap().get(member).unwrap()
}

fn set(value: &str, member: &str, text: &str) -> String {
    let mut members = Members::parse(value).unwrap();
    members.set(member, text).unwrap();
    members.to_secret().into_exposed()
}

fn test(current: &str, candidate: &str) -> Result<(), Error> {
    Jwt::test(
        &fake::context("overlap", current),
        &fake::version("candidate", candidate),
    )
    .map(|_| ())
}

fn probe(current: &str, subject: &str) -> Liveness {
    Jwt::probe(
        &fake::context("overlap", current),
        &fake::version("subject", subject),
    )
    .unwrap()
    .liveness
}

fn finish(current: &str, candidate: &str) -> (Retirement, u64) {
    let plan = Jwt::finish(
        &fake::context("overlap", current),
        &fake::version("candidate", candidate),
    )
    .unwrap();
    (plan.how, plan.after_seconds)
}

fn public_kids(value: &str) -> Vec<String> {
    let jwks: Option<Value> = Members::parse(value).unwrap().get("jwks").unwrap();
    let Some(jwks) = jwks else { return Vec::new() };
    jwks["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn replace_keeps_the_old_keys_and_the_operators_lifetimes() {
    let _host = fake::Host::new().install();
    let old = first();
    let new = make(&old, Purpose::Replace, WEEK);
    assert_eq!(text(&new, "previous_secret").unwrap(), ACCESS);
    assert_eq!(text(&new, "previous_refresh_secret").unwrap(), REFRESH);
    let (access, refresh) = (
        text(&new, "secret").unwrap(),
        text(&new, "refresh_secret").unwrap(),
    );
    assert!(access.len() == 86 && refresh.len() == 86 && access != refresh);
    assert_eq!(
        text(&new, "rotation_timestamp").unwrap(),
        "2026-01-02T00:00:00Z"
    );
    assert_eq!(
        text(&new, "rotation_complete_at").unwrap(),
        "2026-01-09T00:01:00Z"
    );
    assert_eq!(
        Members::parse(&new).unwrap().raw("access_token_expiry"),
        Some("\"15m\"")
    );
    assert!(
        new.starts_with(r#"{"issuer":"https:\/\/festival.test","#)
            && new.contains(r#""skew":1.0e1"#)
    );
    test(&old, &new).unwrap();
    assert_eq!(finish(&old, &new), (Retirement::NEW_VERSION, WEEK));
    assert_eq!(
        text(
            &make(&old, Purpose::Replace, 2 * WEEK),
            "rotation_complete_at"
        )
        .unwrap(),
        "2026-01-16T00:01:00Z"
    );
}

#[test]
fn the_window_ends_the_old_keys() {
    let host = fake::Host::new().install();
    let old = first();
    let new = make(&old, Purpose::Replace, WEEK);
    assert_eq!(probe(&new, &old), Liveness::Live);
    host.advance_ms((WEEK + 60) * 1000 - 1);
    assert_eq!(probe(&new, &old), Liveness::Live);
    host.advance_ms(1);
    assert_eq!(probe(&new, &old), Liveness::Dead);
}

/// The old key signs until the promotion, so a version that an interrupted rotation left lying is
/// made again rather than promoted with a window that is too short.
#[test]
fn a_version_that_was_made_too_long_ago_is_rejected() {
    let host = fake::Host::new().install();
    let old = first();
    let new = make(&old, Purpose::Replace, WEEK);
    host.advance_ms(60_000);
    test(&old, &new).unwrap();
    host.advance_ms(1_000);
    assert_eq!(test(&old, &new).unwrap_err().kind, ErrorKind::Rejected);
}

#[test]
fn a_grace_shorter_than_the_tokens_is_refused() {
    let _host = fake::Host::new().install();
    for purpose in [Purpose::Replace, Purpose::Announce] {
        let error = try_make(&first(), purpose, WEEK - 1).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSettings);
        assert!(error.message.contains("604800"), "{error}");
    }
}

#[test]
fn overlap_zero_revokes() {
    let _host = fake::Host::new().install();
    let old = make(&first(), Purpose::Replace, WEEK);
    let new = make(&old, Purpose::Replace, 0);
    for name in ["previous_secret", "previous_refresh_secret"] {
        assert!(!Members::parse(&new).unwrap().contains(name));
    }
    test(&old, &new).unwrap();
    assert_eq!(probe(&new, &old), Liveness::Dead);
    assert_eq!(finish(&old, &new), (Retirement::empty(), 0));
}

#[test]
fn announce_then_activate_with_every_algorithm() {
    let host = fake::Host::new().install();
    for algorithm in ALGORITHMS {
        let old = first_of(algorithm);
        let announced = make(&old, Purpose::Announce, WEEK);
        assert_eq!(text(&announced, "secret"), text(&old, "secret"));
        test(&old, &announced).unwrap();
        assert_eq!(finish(&old, &announced).0, Retirement::empty());
        host.advance_ms(300_000);
        let active = make(&announced, Purpose::Activate, WEEK);
        assert_eq!(text(&active, "secret"), text(&announced, "previous_secret"));
        assert_eq!(text(&active, "previous_secret"), text(&old, "secret"));
        assert_eq!(text(&active, "announced_at"), None);
        test(&announced, &active).unwrap();
        assert_eq!(
            probe(&announced, &active),
            Liveness::Live,
            "{algorithm}: known before it signs"
        );
        assert_eq!(probe(&active, &old), Liveness::Live);
        assert_eq!(finish(&announced, &active), (Retirement::NEW_VERSION, WEEK));
        assert_eq!(
            try_make(&active, Purpose::Activate, WEEK).unwrap_err().kind,
            ErrorKind::Conflict
        );
    }
}

#[test]
fn extend_and_retire_change_only_their_fields() {
    let host = fake::Host::new().install();
    let old = make(&first(), Purpose::Replace, WEEK);
    host.advance_ms(6 * 86_400_000);
    let extended = make(&old, Purpose::Extend, 172_800);
    assert_eq!(
        extended,
        set(&old, "rotation_complete_at", "2026-01-10T00:00:00Z")
    );
    // Never to an earlier end.
    assert_eq!(make(&old, Purpose::Extend, 60), old);
    host.advance_ms(3 * 86_400_000);
    let mut expected = Members::parse(&extended).unwrap();
    expected.remove("previous_secret");
    expected.remove("previous_refresh_secret");
    let retired = make(&extended, Purpose::Retire, 0);
    assert_eq!(retired, expected.to_secret().into_exposed());
    assert_eq!(make(&retired, Purpose::Retire, 0), retired);
    test(&extended, &retired).unwrap();
    assert_eq!(
        try_make(&retired, Purpose::Extend, 60).unwrap_err().kind,
        ErrorKind::Conflict
    );
}

#[test]
fn retiring_early_closes_the_window() {
    let _host = fake::Host::new().install();
    let retired = make(&make(&first(), Purpose::Replace, WEEK), Purpose::Retire, 0);
    assert_eq!(
        text(&retired, "rotation_complete_at").unwrap(),
        "2026-01-02T00:00:00Z"
    );
}

#[test]
fn restore_lets_the_old_keys_sign_and_the_bad_ones_verify() {
    let _host = fake::Host::new().install();
    let old = first();
    let bad = make(&old, Purpose::Replace, WEEK);
    let mut request = fake::create_request(Purpose::Restore, WEEK);
    request.restore = Some(fake::version("old", &old));
    let back = create(&fake::context("overlap", &bad), &request).unwrap();
    assert_eq!(text(&back, "secret").unwrap(), ACCESS);
    assert_eq!(text(&back, "previous_secret"), text(&bad, "secret"));
    test(&bad, &back).unwrap();
    request.overlap_seconds = 0;
    let revoked = create(&fake::context("overlap", &bad), &request).unwrap();
    assert_eq!(text(&revoked, "previous_secret"), None);
    assert_eq!(probe(&revoked, &bad), Liveness::Dead);
    request.restore = None;
    assert_eq!(
        create(&fake::context("overlap", &bad), &request)
            .unwrap_err()
            .kind,
        ErrorKind::Internal
    );
}

#[test]
fn public_keys_of_current_and_previous_are_published() {
    let _host = fake::Host::new().install();
    for algorithm in ["EdDSA", "ES256"] {
        let old = first_of(algorithm);
        let new = make(&old, Purpose::Replace, WEEK);
        let expected = [&new, &old]
            .map(|value| ["kid", "refresh_kid"].map(|name| text(value, name).unwrap()))
            .concat();
        assert_eq!(public_kids(&new), expected);
        let raw = Members::parse(&new)
            .unwrap()
            .raw("jwks")
            .unwrap()
            .to_owned();
        assert!(!raw.contains("\"d\""), "no private half");
        let retired = make(&new, Purpose::Retire, 0);
        assert_eq!(public_kids(&retired), expected[..2]);
        let broken = set(&new, "kid", "x");
        assert_eq!(test(&old, &broken).unwrap_err().kind, ErrorKind::Rejected);
        // Back to a shared secret: the public keys of the old pair stay for its window, then go.
        let mut ctx = fake::context("overlap", &old);
        ctx.settings_json = r#"{"algorithm":"HS256"}"#.to_owned();
        let shared = create(&ctx, &fake::create_request(Purpose::Replace, WEEK)).unwrap();
        assert_eq!(text(&shared, "previous_algorithm").unwrap(), algorithm);
        assert_eq!(public_kids(&shared), expected[2..]);
        test(&old, &shared).unwrap();
        assert_eq!(probe(&shared, &old), Liveness::Live);
        let retired = make(&shared, Purpose::Retire, 0);
        assert!(
            ["jwks", "kid", "refresh_kid", "previous_algorithm"]
                .iter()
                .all(|name| !retired.contains(&format!("\"{name}\"")))
        );
    }
}

#[test]
fn another_library_accepts_the_tokens() {
    let _host = fake::Host::new().install();
    for algorithm in ALGORITHMS {
        let value = first_of(algorithm);
        let fields = Fields::parse(&value.as_str().into()).unwrap();
        let key = &fields.signing_keys().unwrap()[0];
        let signed = token::sign(key, 0, 4_102_444_800);
        let mut validation = Validation::new(algorithm.parse().unwrap());
        validation.validate_aud = false;
        let decoding_key =
            |value: &str| match Members::parse(value).unwrap().get::<Value>("jwks").unwrap() {
                Some(jwks) => {
                    DecodingKey::from_jwk(&serde_json::from_value(jwks["keys"][0].clone()).unwrap())
                        .unwrap()
                }
                None => DecodingKey::from_secret(text(value, "secret").unwrap().as_bytes()),
            };
        let decoded =
            jsonwebtoken::decode::<Value>(&signed, &decoding_key(&value), &validation).unwrap();
        assert_eq!(decoded.claims["sub"], "keyturn-self-test");
        let stranger = decoding_key(&make(&value, Purpose::Replace, 0));
        assert!(jsonwebtoken::decode::<Value>(&signed, &stranger, &validation).is_err());
        // And the other way round, through the stored key's own form.
        let secret = text(&value, "secret").unwrap();
        let encoding_key = match algorithm {
            "EdDSA" => jsonwebtoken::EncodingKey::from_ed_pem(secret.as_bytes()).unwrap(),
            "ES256" => jsonwebtoken::EncodingKey::from_ec_pem(secret.as_bytes()).unwrap(),
            _ => jsonwebtoken::EncodingKey::from_secret(secret.as_bytes()),
        };
        let claims = serde_json::json!({ "exp": 4_102_444_800_u64 });
        let header = jsonwebtoken::Header::new(algorithm.parse().unwrap());
        let theirs = jsonwebtoken::encode(&header, &claims, &encoding_key).unwrap();
        assert_eq!(token::verify(key, &theirs, 0), Ok(()));
        assert_eq!(
            token::verify(key, &theirs, 4_102_444_800),
            Err(token::Refusal::Expired)
        );
        assert_eq!(token::verify(key, "a.b", 0), Err(token::Refusal::Malformed));
    }
}

#[test]
fn an_algorithm_is_never_taken_from_the_token() {
    let _host = fake::Host::new().install();
    let keys = ["HS256", "HS512"].map(|name| {
        let value = set(&first(), "algorithm", name);
        Fields::parse(&value.into())
            .unwrap()
            .signing_keys()
            .unwrap()
            .remove(0)
    });
    let signed = token::sign(&keys[0], 0, 10);
    assert_eq!(token::verify(&keys[0], &signed, 0), Ok(()));
    assert_eq!(
        token::verify(&keys[1], &signed, 0),
        Err(token::Refusal::WrongAlgorithm)
    );
}

#[test]
fn short_secrets_are_refused_but_can_be_replaced() {
    let _host = fake::Host::new().install();
    let short = set(&first(), "secret", &ACCESS[..63]);
    let error = try_make(&short, Purpose::Replace, WEEK).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSecret);
    assert!(
        error.message.contains("`secret`")
            && error.message.contains("63")
            && error.message.contains("64"),
        "{error}"
    );
    assert_eq!(
        test(&first(), &short).unwrap_err().kind,
        ErrorKind::InvalidSecret
    );
    let new = make(&short, Purpose::Replace, 0);
    test(&short, &new).unwrap();
    let short = set(&first(), "previous_secret", "x");
    assert_eq!(
        test(&first(), &short).unwrap_err().kind,
        ErrorKind::InvalidSecret
    );
    test(&short, &make(&short, Purpose::Retire, 0)).unwrap();
}

#[test]
fn a_candidate_must_know_the_keys_in_use() {
    let _host = fake::Host::new().install();
    let two_ahead = make(
        &make(&first(), Purpose::Replace, WEEK),
        Purpose::Replace,
        WEEK,
    );
    assert_eq!(
        test(&first(), &two_ahead).unwrap_err().kind,
        ErrorKind::Drift
    );
    let new = make(&first(), Purpose::Replace, WEEK);
    let closed = set(&new, "rotation_complete_at", "2026-01-01T00:00:00Z");
    assert_eq!(
        test(&first(), &closed).unwrap_err().kind,
        ErrorKind::Rejected
    );
}

#[test]
fn a_secret_of_minimal_shape_rotates() {
    let _host = fake::Host::new().install();
    let old = format!(r#"{{"secret":"{ACCESS}","previous_secret":"","access_token_expiry":3600}}"#);
    let new = make(&old, Purpose::Replace, 3600);
    assert_eq!(text(&new, "refresh_secret"), None);
    assert_eq!(
        text(&new, "rotation_complete_at").unwrap(),
        "2026-01-02T01:01:00Z"
    );
    test(&old, &new).unwrap();
    let ctx = fake::context("overlap", &new);
    assert_eq!(
        Jwt::probe(&ctx, &ctx.current).unwrap().liveness,
        Liveness::Live
    );
    assert_eq!(Jwt::check(&ctx).unwrap()[0].id, "current-live");
}

#[test]
fn what_does_not_fit_says_so() {
    let _host = fake::Host::new().install();
    let fails = |current: &str| try_make(current, Purpose::Replace, WEEK).unwrap_err().kind;
    assert_eq!(fails("{}"), ErrorKind::InvalidSecret);
    assert_eq!(
        fails(&set(&first(), "algorithm", "RS256")),
        ErrorKind::Unsupported
    );
    assert_eq!(
        fails(&set(&first(), "refresh_token_expiry", "soon")),
        ErrorKind::InvalidSecret
    );
    assert_eq!(
        fails(&set(&first(), "algorithm", "EdDSA")),
        ErrorKind::InvalidSecret
    );
    let mut ctx = fake::context("overlap", &first());
    for settings in [r#"{"algorithm":"none"}"#, r#"{"typo":1}"#] {
        ctx.settings_json = settings.to_owned();
        let error = create(&ctx, &fake::create_request(Purpose::Replace, WEEK)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSettings);
    }
}

#[test]
fn keys_reach_neither_logs_nor_errors() {
    let host = fake::Host::new().install();
    let new = make(&first(), Purpose::Replace, WEEK);
    let broken = set(&new, "algorithm", "ES256");
    let shown = format!(
        "{:?} {:?}",
        host.logs(),
        test(&first(), &broken).unwrap_err()
    );
    assert!(!host.logs().is_empty());
    for secret in [ACCESS.to_owned(), text(&new, "secret").unwrap()] {
        assert!(!shown.contains(&secret));
    }
}

proptest! {
    #[test]
    fn malformed_secrets_give_errors(value in ".*") {
        let _host = fake::Host::new().install();
        prop_assert!(try_make(&value, Purpose::Replace, WEEK).is_err());
        prop_assert!(test(&first(), &value).is_err());
    }

    #[test]
    fn no_token_makes_verify_panic(text in "[A-Za-z0-9_.=-]{0,80}") {
        let fields = Fields::parse(&first().into()).unwrap();
        for key in fields.signing_keys().unwrap() {
            prop_assert!(token::verify(&key, &text, 0).is_err());
        }
    }
}
