//! What is tried before an operator is asked for a new secret.

use keyturn_sdk::{Finding, Level};

use super::*;

const SECRET: &str = "0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b";

/// Facebook, which knows one app.
fn facebook(app: &'static str) -> fake::Host {
    sendgrid(move |request| {
        let body = String::from_utf8(request.body.clone().unwrap()).unwrap();
        if body.contains(&format!("client_id={app}&client_secret={SECRET}")) {
            return (200, json!({"access_token": "app|token"}));
        }
        let error = json!({
            "type": "OAuthException", "code": 1, "message": "Error validating client secret.",
        });
        (400, json!({"error": error}))
    })
}

fn checked(host: fake::Host, settings: Value, current: &Value) -> Result<Finding, Error> {
    let _host = host.install();
    let mut findings = VendorAssisted::check(&ctx(settings, current))?;
    assert_eq!(findings.len(), 1);
    Ok(findings.remove(0))
}

/// The app is a wrong one, or the secret was reset already: nobody can tell which.
#[test]
fn where_the_old_secret_dies_it_must_be_seen_to_work() {
    let value = |app: &str| json!({"facebook_app_secret": SECRET, "facebook_app_id": app});
    let checked = |app| checked(facebook("app"), profile("facebook"), &value(app)).unwrap();
    assert_eq!(checked("app").level, Level::Ok);
    let refused = checked("other");
    assert_eq!(refused.level, Level::Failure);
    let fix = refused.fix.unwrap();
    assert!(fix.contains("the member `facebook_app_id`"), "{fix}");
}

/// Where both live side by side, asking for another takes nothing from anybody.
#[test]
fn where_it_lives_on_it_is_only_said() {
    let value = json!({"sendgrid_api_key": OLD});
    let level = |host| checked(host, profile("sendgrid"), &value).unwrap().level;
    assert_eq!(level(scopes(&[(OLD, &[])])), Level::Ok);
    assert_eq!(level(scopes(&[])), Level::Warning);
}

#[test]
fn a_wrong_way_is_found_first() {
    let value = json!({"sendgrid_api_key": OLD});
    let kind = |host| {
        let checked = checked(host, profile("sendgrid"), &value);
        checked.unwrap_err().kind
    };
    assert_eq!(kind(fake::Host::new()), ErrorKind::InvalidSettings);
    let takes_everything = sendgrid(|_| (200, json!({"scopes": ALL})));
    assert_eq!(kind(takes_everything), ErrorKind::Unprotected);
    let busy = sendgrid(|_| (503, Value::Null));
    assert_eq!(kind(busy), ErrorKind::Unreachable);
}

/// A first adoption, or a vendor without a harmless question: there is nothing that could be tried.
#[test]
fn what_cannot_be_asked_about_keeps_nobody_waiting() {
    let facebooks = json!({"facebook_app_secret": "CHANGE_ME", "facebook_app_id": "app"});
    let sentrys = json!({"sentry_dsn": "https://aa@o1.ingest.sentry.io/7"});
    let legacy = json!({"firebase_server_key": format!("AAAA{}", "x".repeat(140))});
    for (name, value) in [
        ("facebook", facebooks),
        ("facebook", json!({"facebook_app_id": "app"})),
        ("sentry", sentrys),
        ("firebase", legacy),
    ] {
        let found = checked(fake::Host::new(), profile(name), &value).unwrap();
        assert_eq!(found.level, Level::Note, "{name}");
    }
}
