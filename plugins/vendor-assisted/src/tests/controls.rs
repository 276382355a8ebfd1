//! What a refusal proves: nothing, where the vendor refuses AWSCURRENT's secret as well; and which answers are a
//! vendor's at all.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

use super::*;

const DAY_MS: u64 = 86_400_000;

fn google_secret(which: &str) -> String {
    format!("GOCSPX-{}", which.repeat(8))
}

/// Google, with these clients and their secrets.
fn google(known: &[(&str, &str)]) -> fake::Host {
    let known: Vec<_> = known
        .iter()
        .map(|(client, which)| {
            let secret = google_secret(which);
            format!("&client_id={client}&client_secret={secret}&")
        })
        .collect();
    sendgrid(move |request| {
        let body = String::from_utf8(request.body.clone().unwrap()).unwrap();
        let body = format!("&{body}&");
        if known.iter().any(|client| body.contains(client)) {
            (400, json!({"error": "invalid_grant"}))
        } else {
            (401, json!({"error": "invalid_client"}))
        }
    })
}

/// Google's token endpoint, which knows the keys of these values and keeps the real time.
fn token_endpoint(known: &[&Value]) -> fake::Host {
    let key = |value: &&Value| {
        let account = value["firebase_credentials"].as_str().unwrap();
        let account: Value = serde_json::from_str(account).unwrap();
        let pair = KeyPair::from_pem(account["private_key"].as_str().unwrap()).unwrap();
        DecodingKey::from_rsa_pem(pair.public_key_pem().as_bytes()).unwrap()
    };
    let keys: Vec<_> = known.iter().map(key).collect();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    sendgrid(move |request| {
        let body = String::from_utf8(request.body.clone().unwrap()).unwrap();
        let (_, assertion) = body.split_once("assertion=").unwrap();
        let assertion = assertion.split('&').next().unwrap();
        let opened = |key| decode::<Value>(assertion, key, &validation).ok();
        let claims = keys.iter().find_map(opened).map(|token| token.claims);
        let issued_at = claims.and_then(|claims| claims["iat"].as_u64());
        if issued_at.is_some_and(|at| at.abs_diff(fake::START_MS / 1000) < 300) {
            (200, json!({"access_token": "ya29.token"}))
        } else {
            (400, json!({"error": "invalid_grant"}))
        }
    })
}

fn probed(host: fake::Host, ctx: &Context, subject: &Value) -> Liveness {
    let _host = host.install();
    let subject = fake::version("v0", &subject.to_string());
    let verdict = VendorAssisted::probe(ctx, &subject).unwrap();
    let says_why = verdict.members.iter().any(|report| {
        let error = report.error.as_ref();
        error.is_some_and(|error| error.message.contains("proves nothing"))
    });
    assert_eq!(verdict.liveness == Liveness::Unknown, says_why);
    verdict.liveness
}

fn judged(host: fake::Host, ctx: &Context, candidate: &Value) -> Result<Outcome, Error> {
    let _host = host.install();
    VendorAssisted::test(ctx, &fake::version("v2", &candidate.to_string()))
}

#[test]
fn where_every_secret_is_refused_none_is_proven_dead() {
    let ctx = ctx(profile("sendgrid"), &json!({"sendgrid_api_key": NEW}));
    let old = json!({"sendgrid_api_key": OLD});
    assert_eq!(probed(scopes(&[]), &ctx, &old), Liveness::Unknown);
    assert_eq!(probed(scopes(&[(NEW, ALL)]), &ctx, &old), Liveness::Dead);
    assert_eq!(probed(scopes(&[(OLD, ALL)]), &ctx, &old), Liveness::Live);
    // Of itself AWSCURRENT's is not asked twice.
    let current = json!({"sendgrid_api_key": NEW});
    assert_eq!(probed(scopes(&[]), &ctx, &current), Liveness::Dead);
}

#[test]
fn a_wrong_clock_kills_no_key_and_throws_none_away() {
    let [old, new] = [0, 1].map(|_| json!({"firebase_credentials": service_account("festival")}));
    let both = || token_endpoint(&[&old, &new]);
    let fast = || both().now(fake::START_MS + DAY_MS);
    let rotated = ctx(profile("firebase"), &new);
    assert_eq!(probed(fast(), &rotated, &old), Liveness::Unknown);
    assert_eq!(probed(both(), &rotated, &old), Liveness::Live);
    let only_new = || token_endpoint(&[&new]);
    assert_eq!(probed(only_new(), &rotated, &old), Liveness::Dead);

    let before = ctx(profile("firebase"), &old);
    let error = judged(fast(), &before, &new).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(
        error.message.contains("AWSCURRENT's too") && error.message.contains("the clock"),
        "{error}"
    );
    judged(both(), &before, &new).unwrap();
    // AWSCURRENT's is dead already, and the new one opens.
    judged(only_new(), &before, &new).unwrap();
}

#[test]
fn a_secret_is_asked_about_under_the_name_that_is_stored_with_it() {
    let value = |which: &str, client: &str| {
        let secret = google_secret(which);
        json!({"google_client_secret": secret, "google_client_id": client})
    };
    // Another client's secret is AWSCURRENT since.
    let ctx = ctx(profile("google"), &value("new", "b"));
    let old = value("old", "a");
    let host = || google(&[("a", "old"), ("b", "new")]);
    assert_eq!(probed(host(), &ctx, &old), Liveness::Live);
    assert_eq!(probed(google(&[("b", "new")]), &ctx, &old), Liveness::Dead);
}

#[test]
fn a_name_that_became_wrong_is_told_where_nothing_is_accepted() {
    let value = |which: &str| json!({"google_client_secret": google_secret(which), "google_client_id": "wrong"});
    let ctx = ctx(profile("google"), &value("old"));
    let host = || google(&[("right", "old"), ("right", "new")]);
    assert_eq!(probed(host(), &ctx, &value("older")), Liveness::Unknown);
    let error = judged(host(), &ctx, &value("new")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(
        error.message.contains("the member `google_client_id`"),
        "{error}"
    );
}

/// The vendor may need a while, and what it showed once would be gone.
#[test]
fn a_new_secret_that_is_refused_is_kept() {
    let error = tested(scopes(&[(OLD, ALL)]), profile("sendgrid")).unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (ErrorKind::Auth, keyturn_sdk::Applied::No)
    );
    for words in ["`keyturn rotate` asks", "`keyturn assist` gives it up"] {
        assert!(error.message.contains(words), "{error}");
    }
}

/// A proxy's page has a status, too.
#[test]
fn an_answer_of_another_shape_is_no_verdict() {
    let sendgrids = json!({"sendgrid_api_key": OLD});
    let facebooks = json!({"facebook_app_secret": "0a".repeat(16), "facebook_app_id": "1"});
    let busy = json!({"error": {"type": "OAuthException", "code": 1, "message": "An unknown error occurred"}});
    for (name, value, status, body) in [
        ("sendgrid", &sendgrids, 200, json!("<html>")),
        ("sendgrid", &sendgrids, 401, json!("<html>")),
        ("sendgrid", &sendgrids, 403, json!("<html>")),
        ("facebook", &facebooks, 200, json!("<html>")),
        ("facebook", &facebooks, 400, busy),
    ] {
        let _host = sendgrid(move |_| (status, body.clone())).install();
        let ctx = ctx(profile(name), value);
        let error = VendorAssisted::probe(&ctx, &ctx.current).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol, "{name} {status}");
    }
}
