//! What is owed to the value before, and what never gets as far as being stored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// A first adoption, a placeholder, a form of old: nobody could ever prove their end.
#[test]
fn nothing_is_owed_where_the_end_could_never_be_proven() {
    let new = format!("GOCSPX-{}", "n".repeat(28));
    let members = |secret: &str| json!({"google_client_id": "a", "google_client_secret": secret});
    for (old, is_owed) in [
        (json!({"google_client_id": "a"}), false),
        (members("CHANGE_ME"), false),
        (members("abcdefghijklmnopqrstuvwx"), false),
        (members(&format!("GOCSPX-{}", "o".repeat(28))), true),
    ] {
        let ctx = ctx(profile("google"), &old);
        let answers = [("google_client_secret", new.as_str())];
        let next: Value =
            serde_json::from_str(&created(&ctx, Purpose::Replace, &answers, 60).unwrap()).unwrap();
        assert_eq!(next["google_client_secret"], new);
        let keeps_old = !next["previous_google_client_secret"].is_null();
        assert_eq!(keeps_old, is_owed, "{old}");
        let plan = VendorAssisted::finish(&ctx, &fake::version("v2", &next.to_string())).unwrap();
        let how = Retirement::BY_OPERATOR | Retirement::NEW_VERSION;
        let expected = if is_owed { how } else { Retirement::empty() };
        assert_eq!(plan.how, expected, "{old}");
    }
}

/// It might work all the same.
#[test]
fn an_old_secret_that_cannot_be_asked_about_is_told() {
    let new = format!("GOCSPX-{}", "n".repeat(28));
    let members = |secret: &str| json!({"google_client_id": "a", "google_client_secret": secret});
    let _host = sendgrid({
        let new = new.clone();
        move |request| {
            let body = String::from_utf8(request.body.clone().unwrap()).unwrap();
            if body.contains(&new) {
                (400, json!({"error": "invalid_grant"}))
            } else {
                (401, json!({"error": "invalid_client"}))
            }
        }
    })
    .install();
    let ctx = ctx(profile("google"), &members("abcdefghijklmnopqrstuvwx"));
    let candidate = fake::version("v2", &members(&new).to_string());
    let outcome = VendorAssisted::test(&ctx, &candidate).unwrap();
    assert_eq!(outcome.findings[0].id, "end-not-provable");
}

/// One bit of the private exponent is another: it reads well, and signs nothing.
#[test]
fn a_key_whose_parts_do_not_fit_each_other_is_not_stored() {
    let current = json!({"firebase_credentials": service_account("festival")});
    let mut account: Value = serde_json::from_str(&service_account("festival")).unwrap();
    let pem = account["private_key"].as_str().unwrap();
    let digits: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let mut der = STANDARD.decode(digits).unwrap();
    // The public exponent 65537, and behind it the private one.
    let public = [2, 3, 1, 0, 1];
    let at = der.windows(5).position(|bytes| bytes == public).unwrap();
    der[at + 64] ^= 1;
    account["private_key"] = json!(format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD
            .encode(der)
            .as_bytes()
            .chunks(64)
            .map(|line| str::from_utf8(line).unwrap())
            .collect::<Vec<_>>()
            .join("\n")
    ));
    let account = account.to_string();
    let error = created(
        &ctx(profile("firebase"), &current),
        Purpose::Replace,
        &[("firebase_credentials", &account)],
        60,
    )
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSecret);
    assert!(
        error.message.contains("do not fit each other")
            && error.message.contains("nothing was stored"),
        "{error}"
    );
}
