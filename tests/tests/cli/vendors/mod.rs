//! Vendors' keys in one secret, beside the internal API key: each profile through the binary against a server that
//! answers as the vendor does.

mod base_moved;
mod by_hand;
mod keys;
mod owed;
mod owner;
mod preflight;
mod prompts;
mod refused;
mod renamed;
mod split;

use std::fs;

use harness::tls::Authority;
use harness::vendors::VendorsLike;
use harness::vendors::kinds::{self, SCOPES};
use serde_json::{Value, json};

use crate::support::{Ended, Workspace};
use keys::Keys;

const SECRET: &str = "festival-prod/api-keys";

struct Vendors {
    server: VendorsLike,
    workspace: Workspace,
}

impl Vendors {
    /// One secret with the internal key and the present keys of these vendors, all of them handed out.
    fn start(kinds: &[Keys]) -> Self {
        let authority = Authority::new("a vendor's authority").unwrap();
        let identity = authority.issue(&["127.0.0.1"]).unwrap();
        let server = VendorsLike::start(&identity).unwrap();
        let workspace = Workspace::new();
        fs::write(workspace.path("ca.pem"), authority.certificate_pem()).unwrap();
        let vendors = Self { server, workspace };
        vendors.configure(kinds, "");
        let mut value = kinds::beside();
        value["internal_api_key"] = json!(format!("festival_sk_live_{}", "k".repeat(43)));
        value["n"] = json!(1.5);
        for keys in kinds {
            vendors.hand_out(keys, &keys.old);
            for (member, text) in keys.old.as_object().unwrap() {
                value[member] = text.clone();
            }
        }
        vendors.workspace.create(SECRET, &value.to_string());
        vendors
    }

    /// `settings`: further ones of the first vendor.
    fn configure(&self, kinds: &[Keys], settings: &str) {
        let mut tables =
            format!("[secret.\"{SECRET}\".credential.internal]\nplugin = \"api-key\"\n");
        let mut settings = settings;
        for keys in kinds {
            tables += &self.table(
                &format!("secret.\"{SECRET}\".credential.{}", keys.part),
                keys.part,
                settings,
            );
            settings = "";
        }
        self.workspace.configure(&tables);
    }

    fn table(&self, name: &str, profile: &str, settings: &str) -> String {
        let port = self.server.address().port();
        let granted = if profile == "sentry" {
            String::new()
        } else {
            format!(
                "grant.endpoint.api = {{ members = [\"127.0.0.1:{port}\"], ca = \"ca.pem\" }}\n"
            )
        };
        format!(
            "[{name}]\nplugin = \"vendor-assisted\"\nsettings = {{ profile = \"{profile}\"{settings} }}\n{granted}"
        )
    }

    fn hand_out(&self, keys: &Keys, which: &Value) {
        self.server.change(|issued| (keys.hand_out)(issued, which));
    }

    fn take_back(&self, keys: &Keys, which: &Value) {
        self.server.change(|issued| (keys.take_back)(issued, which));
    }

    fn assist(&self, keys: &Keys, answer: &Value) -> Ended {
        let name = format!("{SECRET}#{}", keys.part);
        let arguments = ["assist", &name, "--value-stdin"];
        self.workspace
            .run_with(&arguments, &keys.answer(answer), &[])
    }

    fn retire_now(&self, keys: &Keys) -> Ended {
        let name = format!("{SECRET}#{}", keys.part);
        self.workspace.run(&["retire", &name, "--now"])
    }

    fn rotate(&self, part: &str) -> Ended {
        self.workspace.run(&["rotate", &format!("{SECRET}#{part}")])
    }

    fn status(&self, part: &str) -> Value {
        let name = format!("{SECRET}#{part}");
        let shown = self.workspace.run(&["status", &name, "--json"]);
        shown.succeeded().json()[0].clone()
    }

    fn current(&self) -> Value {
        self.workspace.current(SECRET)
    }
}

/// In one secret, one after the other: each new key is checked and promoted, each old one ends with proof, and no
/// rotation undoes another's.
#[test]
fn every_vendor_rotates_in_one_secret_and_undoes_nothing() {
    let kinds = keys::all();
    let vendors = Vendors::start(&kinds);
    let mut expected = vendors.current();
    for keys in kinds.iter().filter(|keys| keys.part != "sentry") {
        vendors.hand_out(keys, &keys.new);
        if keys.part == "facebook" {
            vendors.take_back(keys, &keys.old);
        }
        vendors
            .assist(keys, &keys.new)
            .succeeded()
            .says(&["rotated to"]);
        for (member, text) in keys.new.as_object().unwrap() {
            if expected[member] != *text {
                expected[format!("previous_{member}")] = expected[member].clone();
                expected[member] = text.clone();
            }
        }
        assert_eq!(vendors.current(), expected, "{}", keys.part);
        if keys.part != "facebook" {
            vendors.retire_now(keys).failed(5, &["still works"]);
            vendors.take_back(keys, &keys.old);
        }
        vendors.retire_now(keys).succeeded().says(&["is retired"]);
        for member in keys.old.as_object().unwrap().keys() {
            let members = expected.as_object_mut().unwrap();
            members.remove(&format!("previous_{member}"));
        }
        assert_eq!(vendors.current(), expected, "{}", keys.part);
    }
    // Between them, what needs no operator.
    vendors.rotate("internal").succeeded();
    let rotated = vendors.current();
    assert_ne!(rotated["internal_api_key"], expected["internal_api_key"]);
    for (member, text) in expected.as_object().unwrap() {
        assert!(
            member.starts_with("internal") || rotated[member] == *text,
            "{member}"
        );
    }
    // Sentry is not asked, so nothing of the old value is kept.
    let sentry = keys::sentry();
    let before = vendors.server.requests().len();
    let said = vendors.assist(&sentry, &sentry.new).succeeded();
    assert!(
        said.stderr.contains("only its form was looked at"),
        "{said:?}"
    );
    let current = vendors.current();
    assert_eq!(current["sentry_dsn"], sentry.new["sentry_dsn"]);
    assert!(current["previous_sentry_dsn"].is_null());
    assert_eq!(vendors.server.requests().len(), before);
    let verify = |part: &str, words: [&str; 2]| {
        let verified = vendors
            .workspace
            .run(&["verify", &format!("{SECRET}#{part}")])
            .succeeded();
        for word in words {
            assert!(verified.stdout.contains(word), "{verified:?}");
        }
        assert_eq!(verified.stdout.contains("logs in"), part != "sentry");
    };
    verify(
        "sentry",
        ["nobody was asked", "only its form was looked at"],
    );
    assert_eq!(vendors.server.requests().len(), before);
    verify("google", ["AWSCURRENT", "logs in"]);
}

#[test]
fn a_key_of_another_place_is_refused_before_anybody_is_asked() {
    let mut apple = keys::apple();
    apple.new["apple_team_id"] = json!("OTHERTEAM1");
    let mut sentry = keys::sentry();
    sentry.new =
        json!({"sentry_dsn": sentry.old["sentry_dsn"].as_str().unwrap().replace("/7", "/8")});
    for (keys, part) in [
        (apple, "another team"),
        (keys::firebase("another-project"), "another project"),
        (sentry, "another project"),
    ] {
        let vendors = Vendors::start(std::slice::from_ref(&keys));
        vendors.hand_out(&keys, &keys.new);
        let before = vendors.current();
        vendors
            .assist(&keys, &keys.new)
            .failed(5, &[part, "nothing was stored"]);
        assert_eq!(vendors.current(), before);
        assert_eq!(vendors.server.requests(), Vec::<String>::new());
    }
}

#[test]
fn a_key_without_the_scopes_waits_for_them() {
    let keys = keys::sendgrid();
    let vendors = Vendors::start(std::slice::from_ref(&keys));
    let new = keys.new["sendgrid_api_key"].as_str().unwrap();
    let scopes = |scopes: &[&str]| {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        vendors
            .server
            .change(|issued| issued.sendgrid.insert(new.to_owned(), scopes));
    };
    scopes(&["mail.send"]);
    vendors
        .assist(&keys, &keys.new)
        .failed(5, &["lacks templates.create", "goes on with it"]);
    assert_eq!(
        vendors.current()["sendgrid_api_key"],
        keys.old["sendgrid_api_key"]
    );
    scopes(SCOPES);
    vendors.rotate("sendgrid").succeeded();
    assert_eq!(vendors.current()["sendgrid_api_key"], new);
    // In use, it is not refused for what somebody took from it; that is said.
    scopes(&["mail.send"]);
    vendors
        .workspace
        .run(&["verify", &format!("{SECRET}#sendgrid")])
        .succeeded()
        .says(&["lacks templates.create"]);
}

#[test]
fn a_test_mail_is_sent_where_sender_and_recipient_are_configured() {
    let keys = keys::sendgrid();
    let vendors = Vendors::start(std::slice::from_ref(&keys));
    vendors.configure(
        std::slice::from_ref(&keys),
        ", sender = \"from@example.org\", recipient = \"to@example.org\"",
    );
    vendors.hand_out(&keys, &keys.new);
    vendors.assist(&keys, &keys.new).succeeded();
    let mails = vendors.server.change(|issued| issued.mails.clone());
    assert_eq!(
        mails,
        [("from@example.org".to_owned(), "to@example.org".to_owned())]
    );
}

/// The operator reads it before doing what cannot be undone.
#[test]
fn a_vendor_that_kills_the_old_key_at_once_is_announced() {
    let keys = keys::facebook();
    let vendors = Vendors::start(std::slice::from_ref(&keys));
    let waits = vendors.rotate("facebook").succeeded();
    waits.says(&[
        "waits for an operator",
        "the old one dies at that very moment",
    ]);
}

#[test]
fn without_a_grant_the_host_is_named_and_the_answer_is_kept() {
    let keys = keys::google();
    let vendors = Vendors::start(std::slice::from_ref(&keys));
    vendors.hand_out(&keys, &keys.new);
    vendors.workspace.configure(&format!(
        "[secret.\"{SECRET}\".credential.google]\nplugin = \"vendor-assisted\"\nsettings = {{ profile = \"google\" }}\n"
    ));
    vendors.assist(&keys, &keys.new).failed(
        3,
        &[
            "members = [\"oauth2.googleapis.com:443\"]",
            "goes on with it",
        ],
    );
    vendors.configure(std::slice::from_ref(&keys), "");
    vendors.rotate("google").succeeded();
    assert_eq!(
        vendors.current()["google_client_secret"],
        keys.new["google_client_secret"]
    );
}

/// One plugin may serve one secret twice, though not with one profile.
#[test]
fn two_credentials_of_one_profile_do_not_share_a_secret() {
    let keys = keys::sendgrid();
    let vendors = Vendors::start(std::slice::from_ref(&keys));
    let one = vendors.table(
        &format!("secret.\"{SECRET}\".credential.one"),
        "sendgrid",
        "",
    );
    let other = vendors.table(
        &format!("secret.\"{SECRET}\".credential.other"),
        "sendgrid",
        "",
    );
    vendors.workspace.configure(&(one + &other));
    vendors
        .rotate("one")
        .failed(3, &["sendgrid_api_key", "is also written by", "#other"]);
}

/// The store would refuse the label of the last one only after its operator has made a key.
#[test]
fn more_credentials_of_operators_than_labels_are_refused_before_anybody_is_asked() {
    let keys = keys::sentry();
    let vendors = Vendors::start(std::slice::from_ref(&keys));
    let tables = |count: usize| {
        let table = |number| {
            let name = format!("secret.\"{SECRET}\".credential.c{number}");
            vendors.table(&name, "sentry", "")
        };
        (0..count).map(table).collect::<String>()
    };
    let internal = format!("[secret.\"{SECRET}\".credential.internal]\nplugin = \"api-key\"\n");
    vendors.workspace.configure(&(tables(13) + &internal));
    vendors
        .rotate("c0")
        .failed(3, &["holds 13 credentials", "20 labels", "12 such"]);
    vendors.rotate("internal").succeeded();
    // With one less it is only the member that they share.
    vendors.workspace.configure(&(tables(12) + &internal));
    vendors.rotate("c0").failed(3, &["is also written by"]);
}

/// An operator may take days to end an old key. Nobody else of the secret waits for that, and each old key stays under
/// a label until it is proven dead, whichever ends first.
#[test]
fn the_old_keys_of_several_vendors_wait_for_their_ends_side_by_side() {
    let kinds = [keys::sendgrid(), keys::google()];
    let vendors = Vendors::start(&kinds);
    let [sendgrid, google] = &kinds;
    for keys in &kinds {
        vendors.hand_out(keys, &keys.new);
        vendors.assist(keys, &keys.new).succeeded();
    }
    vendors.rotate("internal").succeeded();
    let labels = vendors.workspace.labels(SECRET);
    for part in ["sendgrid", "google"] {
        assert!(
            labels.contains_key(&format!("KEYTURN_RETIRING_{part}")),
            "{labels:?}"
        );
    }
    vendors.take_back(google, &google.old);
    vendors.retire_now(sendgrid).failed(5, &["still works"]);
    vendors.retire_now(google).succeeded().says(&["is retired"]);
    let current = vendors.current();
    assert!(current["previous_google_client_secret"].is_null());
    assert_eq!(
        current["previous_sendgrid_api_key"],
        sendgrid.old["sendgrid_api_key"]
    );
    vendors.take_back(sendgrid, &sendgrid.old);
    vendors
        .retire_now(sendgrid)
        .succeeded()
        .says(&["is retired"]);
    let current = vendors.current();
    assert!(current["previous_sendgrid_api_key"].is_null());
    for keys in &kinds {
        assert_eq!(current[keys.secret], keys.new[keys.secret]);
    }
}

/// What was not asked for is what the operator leaves as it is.
#[test]
fn an_answer_that_is_left_out_keeps_what_is_there() {
    let keys = keys::apple();
    let vendors = Vendors::start(std::slice::from_ref(&keys));
    vendors.hand_out(&keys, &keys.new);
    let mut answer = keys.new.clone();
    let left_out = answer.as_object_mut().unwrap().remove("apple_key_id");
    vendors
        .assist(&keys, &answer)
        .failed(5, &["Key ID\" is empty"]);
    answer["apple_key_id"] = left_out.unwrap();
    answer.as_object_mut().unwrap().remove("apple_team_id");
    vendors.assist(&keys, &answer).succeeded();
    assert_eq!(
        vendors.current()["apple_team_id"],
        keys.old["apple_team_id"]
    );
}

/// Firebase has switched them off, so that no operator has to end one.
#[test]
fn a_legacy_key_of_firebase_is_replaced_under_its_old_name() {
    let keys = keys::firebase("festival");
    let vendors = Vendors::start(std::slice::from_ref(&keys));
    let legacy = format!("AAAAlegacy:{}", "x".repeat(130));
    let mut value = vendors.current();
    value.as_object_mut().unwrap().remove(keys.secret);
    value["firebase_server_key"] = json!(legacy);
    let arguments = ["secret", "put", SECRET, "--value-stdin"];
    vendors
        .workspace
        .run_with(&arguments, &value.to_string(), &[])
        .succeeded();
    vendors.hand_out(&keys, &keys.new);
    let said = vendors.assist(&keys, &keys.new).succeeded();
    assert!(
        said.stderr.contains("does not tell its project"),
        "{said:?}"
    );
    let current = vendors.current();
    assert_eq!(current["firebase_server_key"], keys.new[keys.secret]);
    assert_eq!(current["previous_firebase_server_key"], legacy);
    assert!(current[keys.secret].is_null());
    vendors.retire_now(&keys).succeeded().says(&["is retired"]);
    let current = vendors.current();
    assert!(current["previous_firebase_server_key"].is_null());
    vendors
        .workspace
        .run(&["verify", &format!("{SECRET}#firebase")])
        .succeeded();
}

#[test]
fn no_key_is_written_anywhere() {
    let kinds = keys::all();
    let vendors = Vendors::start(&kinds);
    for keys in &kinds {
        // First what the vendor refuses, then what it accepts.
        vendors.assist(keys, &keys.new);
        vendors.hand_out(keys, &keys.new);
        vendors.assist(keys, &keys.new);
        vendors.take_back(keys, &keys.old);
        vendors.retire_now(keys);
        assert_eq!(
            vendors.current()[keys.secret],
            keys.new[keys.secret],
            "{}",
            keys.part
        );
    }
    let values = kinds
        .iter()
        .flat_map(|keys| [&keys.old, &keys.new].map(|which| which[keys.secret].as_str().unwrap()));
    let texts: Vec<String> = values.flat_map(secret_texts).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let scan = vendors.workspace.scan_for(&texts, "");
    assert_eq!(scan.findings, []);
    println!(
        "evidence: canary scan: {} bytes searched, 0 found",
        scan.bytes
    );
}

/// A key as a whole, and what of it would be enough to leak: the private key in an account, and each line of one.
fn secret_texts(value: &str) -> Vec<String> {
    let account: Option<Value> = serde_json::from_str(value).ok();
    let inner = account.and_then(|account| Some(account["private_key"].as_str()?.to_owned()));
    let pem = inner.unwrap_or_else(|| value.to_owned());
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    let mut texts = vec![value.to_owned(), pem.clone()];
    texts.extend(lines.filter(|line| line.len() >= 32).map(str::to_owned));
    texts
}
