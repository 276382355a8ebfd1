//! The profiles against servers that answer as the vendors do, without a network: what is asked, and what is made of
//! each answer. tests/tests/cli/vendors.rs does the same through the binary and HTTPS.

use keyturn_sdk::http::{Request, Response};
use keyturn_sdk::{Created, ErrorKind, Input, Liveness, Outcome, Purpose, Rotator as _, fake};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use super::*;

mod controls;
mod ends;
mod preflight;

const OLD: &str = "SG.0000000000000000000000.old";
const NEW: &str = "SG.0000000000000000000000.new";

fn ctx(settings: Value, current: &Value) -> Context {
    let mut ctx = fake::context("assisted", &current.to_string());
    ctx.settings_json = settings.to_string();
    ctx
}

fn created(
    ctx: &Context,
    purpose: Purpose,
    answers: &[(&str, &str)],
    overlap: u64,
) -> Result<String, Error> {
    let _host = fake::Host::new().install();
    let mut request = fake::create_request(purpose, overlap);
    request.inputs = answers
        .iter()
        .map(|(name, value)| Input {
            name: (*name).into(),
            value: (*value).into(),
        })
        .collect();
    match VendorAssisted::create(ctx, &request)? {
        Created::Value(value) => Ok(value.expose().to_owned()),
        Created::NeedsInput(_) => panic!("it was answered"),
    }
}

fn sendgrid(answer: impl Fn(&Request) -> (u16, Value) + Send + Sync + 'static) -> fake::Host {
    fake::Host::new().http("api", move |request: &Request| {
        let (status, body) = answer(request);
        Ok(Response {
            status,
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        })
    })
}

/// Known keys with these scopes; any other is refused.
fn scopes(keys: &'static [(&'static str, &'static [&'static str])]) -> fake::Host {
    sendgrid(move |request| {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("GET", "/v3/scopes")
        );
        let names: Vec<_> = request
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert!(names.contains(&"User-Agent"), "{names:?}");
        let given = request
            .headers
            .iter()
            .find(|(name, _)| name == "Authorization");
        let (_, given) = given.expect("a key");
        match keys
            .iter()
            .find(|(key, _)| *given == format!("Bearer {key}"))
        {
            Some((_, scopes)) => (200, json!({"scopes": scopes})),
            None => (
                401,
                json!({"errors": [{"field": null, "message": "authorization required"}]}),
            ),
        }
    })
}

const ALL: &[&str] = &[
    "mail.send",
    "templates.create",
    "templates.read",
    "templates.update",
    "templates.delete",
];

fn tested(host: fake::Host, settings: Value) -> Result<Outcome, Error> {
    let _host = host.install();
    let ctx = ctx(settings, &json!({"sendgrid_api_key": OLD}));
    let new = json!({"sendgrid_api_key": NEW}).to_string();
    VendorAssisted::test(&ctx, &fake::version("v2", &new))
}

fn profile(name: &str) -> Value {
    json!({"profile": name})
}

#[test]
fn without_an_answer_it_asks() {
    let ctx = ctx(profile("sendgrid"), &json!({"sendgrid_api_key": OLD}));
    let asked = VendorAssisted::create(&ctx, &fake::create_request(Purpose::Replace, 60)).unwrap();
    let Created::NeedsInput(asked) = asked else {
        panic!("nobody can make a key but SendGrid")
    };
    assert_eq!(asked.title, "Make a new API key at SendGrid");
    assert!(asked.prompts[0].sensitive && asked.expires_after_seconds > 0);
}

#[test]
fn the_answer_becomes_the_key_and_every_other_member_keeps_its_text() {
    let current = format!(r#"{{"internal":"x", "sendgrid_api_key":"{OLD}","n":1.50}}"#);
    let mut ctx = fake::context("assisted", &current);
    ctx.settings_json = profile("sendgrid").to_string();
    let answers = [("sendgrid_api_key", NEW)];
    assert_eq!(
        created(&ctx, Purpose::Replace, &answers, 60).unwrap(),
        format!(
            r#"{{"internal":"x","sendgrid_api_key":"{NEW}","n":1.50,"previous_sendgrid_api_key":"{OLD}"}}"#
        )
    );
    // Without an overlap nothing of the old one stays.
    assert_eq!(
        created(&ctx, Purpose::Replace, &answers, 0).unwrap(),
        format!(r#"{{"internal":"x","sendgrid_api_key":"{NEW}","n":1.50}}"#)
    );
}

#[test]
fn what_is_no_new_key_is_refused_and_not_shown() {
    let ctx = ctx(profile("sendgrid"), &json!({"sendgrid_api_key": OLD}));
    for answer in ["", "nonsense-nonsense", OLD, "SG.short"] {
        let error =
            created(&ctx, Purpose::Replace, &[("sendgrid_api_key", answer)], 60).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSecret);
        assert!(error.message.contains("nothing was stored"), "{error}");
        assert!(
            answer.is_empty() || !error.message.contains(answer),
            "{error}"
        );
    }
}

#[test]
fn the_previous_key_goes_with_its_retirement() {
    let value = json!({"sendgrid_api_key": NEW, "previous_sendgrid_api_key": OLD});
    let ctx = ctx(profile("sendgrid"), &value);
    let next = created(&ctx, Purpose::Retire, &[], 0).unwrap();
    assert_eq!(next, json!({"sendgrid_api_key": NEW}).to_string());
}

#[test]
fn a_key_with_the_scopes_passes_and_one_without_is_told_which() {
    tested(scopes(&[(NEW, ALL)]), profile("sendgrid")).unwrap();
    let error = tested(scopes(&[(NEW, &["mail.send"])]), profile("sendgrid")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permission);
    assert!(
        error.message.contains("templates.create, templates.read"),
        "{error}"
    );
    let settings = json!({"profile": "sendgrid", "scopes": ["mail.send"]});
    tested(scopes(&[(NEW, &["mail.send"])]), settings).unwrap();
}

#[test]
fn a_server_that_takes_every_key_proves_nothing() {
    let host = sendgrid(|_| (200, json!({"scopes": ALL})));
    let error = tested(host, profile("sendgrid")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unprotected);
}

#[test]
fn trouble_is_no_verdict() {
    for (status, kind) in [
        (500, ErrorKind::Unreachable),
        (429, ErrorKind::Throttled),
        (404, ErrorKind::Protocol),
    ] {
        let _host = sendgrid(move |_| (status, Value::Null)).install();
        let value = json!({"sendgrid_api_key": OLD});
        let ctx = ctx(profile("sendgrid"), &value);
        let error = VendorAssisted::probe(&ctx, &ctx.current).unwrap_err();
        assert_eq!(error.kind, kind);
    }
}

#[test]
fn without_a_way_to_the_vendor_the_host_to_grant_is_named() {
    let error = tested(fake::Host::new(), profile("sendgrid")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSettings);
    assert!(
        error
            .message
            .contains(r#"members = ["api.sendgrid.com:443"]"#),
        "{error}"
    );
}

#[test]
fn a_key_of_apples_comes_with_its_id_and_stays_in_its_team() {
    let key = |_| {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .unwrap()
            .serialize_pem()
    };
    let [old, new] = [0, 1].map(key);
    let current = json!({
        "apple_private_key": old,
        "apple_key_id": "OLDOLDOLD1",
        "apple_team_id": "TEAMTEAM01",
        "apple_client_id": "org.example.app",
    });
    let ctx = ctx(profile("apple"), &current);
    let answers = |team| {
        [
            ("apple_private_key", new.as_str()),
            ("apple_key_id", "NEWNEWNEW1"),
            ("apple_team_id", team),
        ]
    };
    // An empty answer keeps the team.
    let next: Value =
        serde_json::from_str(&created(&ctx, Purpose::Replace, &answers(""), 60).unwrap()).unwrap();
    assert_eq!(next["apple_team_id"], "TEAMTEAM01");
    assert_eq!(next["apple_key_id"], "NEWNEWNEW1");
    assert_eq!(next["previous_apple_key_id"], "OLDOLDOLD1");
    assert_eq!(next["previous_apple_private_key"], old);
    assert!(next["previous_apple_team_id"].is_null());
    let error = created(&ctx, Purpose::Replace, &answers("TEAMTEAM02"), 60).unwrap_err();
    assert!(error.message.contains("another team"), "{error}");
}

fn service_account(project: &str) -> String {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    json!({
        "type": "service_account",
        "project_id": project,
        "private_key_id": "0123456789abcdef",
        "private_key": key.serialize_pem(),
        "client_email": format!("firebase@{project}.iam.gserviceaccount.com"),
    })
    .to_string()
}

/// The old member's name is kept, and a legacy key, which opens nothing any more, is replaced by a service account.
#[test]
fn a_legacy_server_key_of_firebase_is_replaced_under_its_old_name() {
    let legacy = format!("AAAA{}", "x".repeat(140));
    let ctx = ctx(profile("firebase"), &json!({"firebase_server_key": legacy}));
    let account = service_account("festival");
    let answers = [("firebase_credentials", account.as_str())];
    let next: Value =
        serde_json::from_str(&created(&ctx, Purpose::Replace, &answers, 60).unwrap()).unwrap();
    assert_eq!(next["firebase_server_key"], account);
    assert_eq!(next["previous_firebase_server_key"], legacy);
    assert!(next["firebase_credentials"].is_null());
    // It can be called dead without asking, and its project is not known.
    let verdict = VendorAssisted::probe(&ctx, &ctx.current).unwrap();
    assert_eq!(verdict.liveness, Liveness::Dead);
    let _host = sendgrid(|request| {
        let body = String::from_utf8(request.body.clone().unwrap()).unwrap();
        assert!(body.contains("assertion=ey"), "{body}");
        (400, json!({"error": "invalid_grant"}))
    })
    .install();
    let error = VendorAssisted::test(&ctx, &fake::version("v2", &next.to_string())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    // The legacy key cannot be asked about, so it says nothing of the clock.
    assert!(!error.message.contains("AWSCURRENT's too"), "{error}");
}

#[test]
fn a_service_account_of_another_project_is_refused() {
    let current = json!({"firebase_credentials": service_account("festival")});
    let other = service_account("other");
    let answers = [("firebase_credentials", other.as_str())];
    let error = created(
        &ctx(profile("firebase"), &current),
        Purpose::Replace,
        &answers,
        60,
    )
    .unwrap_err();
    assert!(error.message.contains("another project"), "{error}");
    // The setting is stronger than what AWSCURRENT says.
    let settings = json!({"profile": "firebase", "project": "other"});
    created(&ctx(settings, &current), Purpose::Replace, &answers, 60).unwrap();
}

/// Nothing can be asked of Sentry, so no old value is kept whose death nobody could prove.
#[test]
fn a_dsn_is_checked_by_its_form_and_place() {
    let dsn = |key: &str, project: u32| {
        format!("https://{}@o1.ingest.sentry.io/{project}", key.repeat(16))
    };
    let ctx = ctx(profile("sentry"), &json!({"sentry_dsn": dsn("aa", 7)}));
    let new = dsn("bb", 7);
    let next = created(&ctx, Purpose::Replace, &[("sentry_dsn", &new)], 60).unwrap();
    assert_eq!(next, json!({"sentry_dsn": new}).to_string());
    let outcome = VendorAssisted::test(&ctx, &fake::version("v2", &next)).unwrap();
    assert_eq!(outcome.findings[0].id, "not-asked");
    let plan = VendorAssisted::finish(&ctx, &fake::version("v2", &next)).unwrap();
    assert_eq!(plan.how, Retirement::empty());
    for wrong in [dsn("bb", 8), new.replace("o1.", "o2.")] {
        let error = created(&ctx, Purpose::Replace, &[("sentry_dsn", &wrong)], 60).unwrap_err();
        assert!(error.message.contains("of another"), "{error}");
    }
    let verdict = VendorAssisted::probe(&ctx, &ctx.current).unwrap();
    assert_eq!(verdict.liveness, Liveness::Unknown);
}

/// It is said before the operator makes a secret that is shown once.
#[test]
fn a_client_must_be_named_in_the_value() {
    for value in [
        json!({"google_client_secret": "old"}),
        json!({"google_client_secret": "old", "google_client_id": ""}),
    ] {
        let ctx = ctx(profile("google"), &value);
        let asked = VendorAssisted::create(&ctx, &fake::create_request(Purpose::Replace, 60));
        let error = asked.err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidSecret);
        assert!(
            error
                .message
                .contains("AWSCURRENT has no member `google_client_id`"),
            "{error}"
        );
    }
}

/// What is put by hand is AWSCURRENT: an older version gets no member by that.
#[test]
fn an_old_key_without_its_client_is_not_to_be_put_right_by_hand() {
    let key = format!("GOCSPX-{}", "n".repeat(28));
    let whole = json!({"google_client_secret": key, "google_client_id": "a"});
    let ctx = ctx(profile("google"), &whole);
    let old = json!({"google_client_secret": format!("GOCSPX-{}", "o".repeat(28))});
    let old = fake::version("v0", &old.to_string());
    let _host = fake::Host::new().install();
    let error = VendorAssisted::probe(&ctx, &old).err().unwrap();
    assert_eq!(error.kind, ErrorKind::InvalidSecret);
    for words in ["the value to probe has no member", "to no older version"] {
        assert!(error.message.contains(words), "{error}");
    }
}
