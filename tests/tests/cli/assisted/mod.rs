//! Rotations that wait for an operator, with Stripe's plugin against a server that answers as Stripe does: parked,
//! resumed, asked on a terminal, checked, and brought to their end at the vendor.

mod ended;

use std::fs;
use std::time::Duration;

use harness::stripe::StripeLike;
use harness::tls::Authority;
use serde_json::{Value, json};

use crate::support::terminal::Terminal;
use crate::support::{Ended, Workspace};

const SECRET: &str = "festival-prod/stripe";
const OLD: &str = "sk_live_0000000000000000old0key";
const NEW: &str = "sk_live_0000000000000000new0key";
const ACCOUNT: &str = "acct_1festival";

struct Vendor {
    stripe: StripeLike,
    workspace: Workspace,
}

impl Vendor {
    fn start() -> Self {
        let authority = Authority::new("a vendor's authority").unwrap();
        let identity = authority.issue(&["127.0.0.1"]).unwrap();
        let stripe = StripeLike::start(&identity).unwrap();
        stripe.add_key(OLD, ACCOUNT, true);
        let workspace = Workspace::new();
        fs::write(workspace.path("ca.pem"), authority.certificate_pem()).unwrap();
        let vendor = Self { stripe, workspace };
        vendor.configure("");
        let value = json!({"publishable_key": "pk_live_x", "secret_key": OLD});
        vendor.workspace.create(SECRET, &value.to_string());
        vendor
    }

    fn configure(&self, more: &str) {
        let port = self.stripe.address().port();
        self.workspace.configure(&format!(
            "[secret.\"{SECRET}\"]\nplugin = \"stripe-assisted\"\n{more}\n\
             grant.endpoint.api = {{ hosts = [\"127.0.0.1\"], ports = [{port}], ca = \"ca.pem\" }}\n"
        ));
    }

    fn assist(&self, answer: &str) -> Ended {
        let arguments = ["assist", SECRET, "--value-stdin"];
        self.workspace.run_with(&arguments, answer, &[])
    }

    fn put_by_hand(&self, value: &str) {
        let arguments = ["secret", "put", SECRET, "--value-stdin"];
        self.workspace.run_with(&arguments, value, &[]).succeeded();
    }

    fn status(&self) -> Value {
        let shown = self
            .workspace
            .run(&["status", SECRET, "--json"])
            .succeeded()
            .json();
        shown[0].clone()
    }

    fn key(&self) -> String {
        let current = self.workspace.current(SECRET);
        current["secret_key"].as_str().unwrap().to_owned()
    }
}

#[test]
fn it_waits_for_an_operator_and_stores_nothing_meanwhile() {
    let vendor = Vendor::start();
    let versions = vendor.workspace.describe(SECRET).versions.len();
    let waits = vendor.workspace.run(&["rotate", SECRET]).succeeded();
    waits.says(&[
        "waits for an operator",
        "Make a new live secret key at Stripe",
        "keyturn assist",
    ]);
    assert_eq!(vendor.workspace.describe(SECRET).versions.len(), versions);
    // Whether the present key is accepted, and one that nobody has refused.
    let asked = vendor.stripe.requests();
    assert_eq!(asked, ["GET /v1/account", "GET /v1/account"]);

    // Another process, as after a restart.
    let waiting = vendor.status();
    assert_eq!(waiting["automatic"], false);
    assert_eq!(waiting["wait_expired"], false);
    assert_eq!(
        waiting["waiting"]["steps"]["link"],
        "https://dashboard.stripe.com/apikeys"
    );
    let shown = vendor.workspace.run(&["status", SECRET]).succeeded();
    shown.says(&["waits for an operator until"]);

    // Asked again, it waits for as long as it was told first.
    let again = vendor
        .workspace
        .run(&["rotate", SECRET, "--json"])
        .succeeded()
        .json();
    assert_eq!(again["outcome"], "waiting-for-operator");
    assert_eq!(again["asks"]["prompts"][0]["sensitive"], true);
    assert_eq!(vendor.status()["waiting"], waiting["waiting"]);
}

#[test]
fn the_answer_is_checked_promoted_and_the_old_key_ends_with_proof() {
    let vendor = Vendor::start();
    vendor.workspace.run(&["rotate", SECRET]).succeeded();
    vendor.stripe.add_key(NEW, ACCOUNT, true);
    let rotated = vendor.assist(&format!("{NEW}\n")).succeeded();
    rotated.says(&["rotated to"]);
    assert!(
        rotated
            .stderr
            .contains("Delete the old secret key at Stripe"),
        "{rotated:?}"
    );
    let current = vendor.workspace.current(SECRET);
    assert_eq!(
        (
            current["secret_key"].as_str(),
            current["previous_secret_key"].as_str()
        ),
        (Some(NEW), Some(OLD))
    );
    assert_eq!(current["publishable_key"], "pk_live_x");
    assert!(vendor.workspace.text(SECRET, "AWSPREVIOUS").contains(OLD));
    assert!(vendor.status()["waiting"].is_null());

    // A day has to pass; then it is the operator who ends it, and Stripe who says so.
    vendor
        .workspace
        .run(&["retire", SECRET])
        .failed(7, &["promised to work"]);
    let owes = vendor.workspace.run(&["retire", SECRET, "--now"]);
    owes.failed(
        5,
        &[
            "still works",
            "Delete the old secret key at Stripe",
            "2. Delete it",
        ],
    );
    vendor.stripe.revoke(OLD);
    vendor
        .workspace
        .run(&["retire", SECRET, "--now"])
        .succeeded()
        .says(&["is retired"]);
    let current = vendor.workspace.current(SECRET);
    assert_eq!(current["secret_key"], NEW);
    assert!(
        current["previous_secret_key"].is_null(),
        "the dead key is still in the value"
    );
    vendor.workspace.run(&["verify", SECRET]).succeeded();
    assert!(
        vendor
            .stripe
            .requests()
            .iter()
            .all(|asked| asked == "GET /v1/account")
    );
}

#[test]
fn what_the_vendor_does_not_accept_changes_nothing_and_another_answer_may_follow() {
    let vendor = Vendor::start();
    for (answer, code, words) in [
        ("nonsense", 5, "no secret key of Stripe's"),
        (OLD, 5, "holds already"),
        ("sk_test_0000000000000000new0key", 5, "demands a live key"),
        (
            "sk_live_0000000000000000unknown",
            5,
            "Stripe refuses the new key",
        ),
    ] {
        vendor
            .assist(answer)
            .failed(code, &[words, "was not changed"]);
        assert_eq!(vendor.key(), OLD);
        assert!(
            !vendor.workspace.labels(SECRET).contains_key("AWSPENDING"),
            "{answer}"
        );
    }
    let other = "sk_live_0000000000000000other0a";
    vendor.stripe.add_key(other, "acct_2somebody", true);
    vendor.assist(other).failed(5, &["acct_2somebody", ACCOUNT]);
    assert_eq!(vendor.key(), OLD);
    vendor.stripe.add_key(NEW, ACCOUNT, true);
    vendor.assist(NEW).succeeded();
    assert_eq!(vendor.key(), NEW);
}

#[test]
fn a_restricted_key_that_lacks_a_right_waits_for_it() {
    let vendor = Vendor::start();
    let restricted = "rk_live_0000000000000000new0key";
    vendor.stripe.add_key(restricted, ACCOUNT, false);
    vendor
        .assist(restricted)
        .failed(5, &["rak_accounts_kyc_basic_read", "goes on with it"]);
    assert_eq!(vendor.key(), OLD);
    vendor.stripe.add_key(restricted, ACCOUNT, true);
    let rotated = vendor.workspace.run(&["rotate", SECRET]).succeeded();
    assert_eq!(vendor.key(), restricted);
    // Whoever brought the key is told what is left to do, as by `assist`.
    let remains = ["Delete the old secret key at Stripe", "keyturn retire"];
    assert!(
        remains.iter().all(|words| rotated.stderr.contains(words)),
        "{rotated:?}"
    );
}

/// What was brought first and could not be checked is not what is used in the end.
#[test]
fn another_answer_takes_the_place_of_one_that_waits() {
    let vendor = Vendor::start();
    let restricted = "rk_live_0000000000000000new0key";
    vendor.stripe.add_key(restricted, ACCOUNT, false);
    vendor.assist(restricted).failed(5, &["asks for another"]);
    vendor.stripe.add_key(NEW, ACCOUNT, true);
    vendor.assist(NEW).succeeded();
    assert_eq!(vendor.key(), NEW);
    assert!(!vendor.workspace.labels(SECRET).contains_key("AWSPENDING"));
}

/// Nothing is to retire, and the answer loses its label: that is said, and the answer is not lost.
#[test]
fn retiring_sets_an_answer_aside_and_says_so() {
    let vendor = Vendor::start();
    let restricted = "rk_live_0000000000000000new0key";
    vendor.stripe.add_key(restricted, ACCOUNT, false);
    for arguments in [&["retire", SECRET][..], &["retire", SECRET, "--json"]] {
        vendor.assist(restricted).failed(5, &["goes on with it"]);
        let retired = vendor.workspace.run(arguments).succeeded();
        let said = match arguments.contains(&"--json") {
            true => retired.json()["findings"][0]["summary"].to_string(),
            false => retired.stderr,
        };
        assert!(said.contains("set aside and not lost"), "{said}");
        let shown = vendor.workspace.run(&["status", SECRET]).succeeded();
        shown.says(&["answered: `keyturn rotate festival-prod/stripe` goes on with it"]);
    }
    vendor.stripe.add_key(restricted, ACCOUNT, true);
    vendor.workspace.run(&["rotate", SECRET]).succeeded();
    assert_eq!(vendor.key(), restricted);
}

/// Whoever only looks at the questions, or brings something wrong, gives nothing up.
#[test]
fn an_answer_that_waits_is_kept_until_there_is_another() {
    let vendor = Vendor::start();
    vendor.stripe.add_key(NEW, ACCOUNT, true);
    vendor.stripe.have_trouble(Some(503));
    vendor.assist(NEW).failed(5, &["goes on with it"]);
    let labels = vendor.workspace.labels(SECRET);
    assert!(labels.contains_key("AWSPENDING"));

    let arguments = ["assist", SECRET, "--value-file", "nowhere"];
    vendor.workspace.run(&arguments).failed(3, &["nowhere"]);
    let looks = vendor.workspace.run(&["assist", SECRET]);
    looks.failed(3, &["1. Create a secret key"]);
    let mut terminal = Terminal::run(&vendor.workspace, &["assist", SECRET]);
    terminal.waits_for("The new secret key");
    assert!(terminal.waits_until_echo_is(false));
    terminal.interrupt();
    assert_eq!(terminal.end().0, Some(130));
    assert_eq!(vendor.workspace.labels(SECRET), labels);

    vendor
        .assist("nonsense")
        .failed(5, &["no secret key of Stripe's"]);
    vendor.stripe.have_trouble(None);
    vendor.workspace.run(&["rotate", SECRET]).succeeded();
    assert_eq!(vendor.key(), NEW);
}

#[test]
fn a_vendor_in_trouble_is_no_verdict_and_the_answer_is_not_lost() {
    let vendor = Vendor::start();
    vendor.stripe.add_key(NEW, ACCOUNT, true);
    vendor.stripe.have_trouble(Some(503));
    vendor
        .assist(NEW)
        .failed(5, &["trouble of its own", "goes on with it"]);
    assert_eq!(vendor.key(), OLD);
    vendor.stripe.have_trouble(None);
    // It is stored: nobody has to be asked again.
    vendor.workspace.run(&["rotate", SECRET]).succeeded();
    assert_eq!(vendor.key(), NEW);
}

#[test]
fn a_person_is_asked_on_the_terminal_and_nothing_that_is_typed_is_shown() {
    let vendor = Vendor::start();
    vendor.stripe.add_key(NEW, ACCOUNT, true);
    let mut terminal = Terminal::run(&vendor.workspace, &["assist", SECRET]);
    terminal.waits_for("The new secret key");
    terminal.types(&format!("{NEW}\n"));
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.contains("1. Create a secret key") && shown.contains("rotated to"),
        "{shown}"
    );
    assert!(!shown.contains(NEW), "the key was shown");
    assert_eq!(vendor.key(), NEW);
}

#[test]
fn an_interrupted_prompt_leaves_the_terminal_as_it_was() {
    let vendor = Vendor::start();
    let mut terminal = Terminal::run(&vendor.workspace, &["assist", SECRET]);
    terminal.waits_for("The new secret key");
    assert!(terminal.waits_until_echo_is(false));
    terminal.interrupt();
    assert!(terminal.waits_until_echo_is(true), "no echo any more");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(130), "{shown}");
    assert_eq!(vendor.key(), OLD);
}

#[test]
fn without_a_terminal_it_says_how_to_answer() {
    let vendor = Vendor::start();
    let ended = vendor.workspace.run(&["assist", SECRET]);
    ended.failed(3, &["--value-stdin", "1. Create a secret key"]);
    let file = vendor.workspace.value_file(&format!("{NEW}\n"));
    vendor.stripe.add_key(NEW, ACCOUNT, true);
    let arguments = ["assist", SECRET, "--value-file", file.to_str().unwrap()];
    vendor.workspace.run(&arguments).succeeded();
    fs::remove_file(file).unwrap();
    assert_eq!(vendor.key(), NEW);
}

/// A wait of days is not what a slip of the operator's leaves behind.
#[test]
fn an_answer_that_is_none_begins_no_wait() {
    let vendor = Vendor::start();
    let arguments = ["assist", SECRET, "--value-file", "nowhere"];
    vendor.workspace.run(&arguments).failed(3, &["nowhere"]);
    assert_eq!(vendor.status()["waiting"], Value::Null);
    vendor.assist("nonsense").failed(5, &["no secret key"]);
    assert_eq!(vendor.status()["waiting"], Value::Null);
    vendor.assist("").failed(5, &[]);
    assert_eq!(vendor.status()["waiting"], Value::Null);
    // One that was there goes on.
    vendor.workspace.run(&["rotate", SECRET]).succeeded();
    let waiting = vendor.status()["waiting"].clone();
    vendor.assist("nonsense").failed(5, &["no secret key"]);
    assert_eq!(vendor.status()["waiting"], waiting);
}

#[test]
fn what_needs_no_operator_is_not_assisted() {
    let workspace = Workspace::with("[secret.\"a\"]\nplugin = \"api-key\"\n");
    let key = format!("festival_sk_live_{}", "k".repeat(43));
    workspace.create("a", &json!({"internal_api_key": key}).to_string());
    workspace
        .run(&["assist", "a"])
        .failed(3, &["needs no operator", "keyturn rotate a"]);
}

#[test]
fn no_key_is_written_anywhere() {
    let vendor = Vendor::start();
    vendor.workspace.run(&["rotate", SECRET]).succeeded();
    vendor
        .assist("sk_live_0000000000000000mistyped")
        .failed(5, &[]);
    vendor.stripe.add_key(NEW, ACCOUNT, true);
    vendor.assist(NEW).succeeded();
    vendor
        .workspace
        .run(&["retire", SECRET, "--now"])
        .failed(5, &[]);
    let scan = vendor
        .workspace
        .scan_for(&[OLD, NEW, "sk_live_0000000000000000mistyped"], "");
    assert_eq!(scan.findings, []);
    println!(
        "evidence: canary scan: {} bytes searched, 0 found",
        scan.bytes
    );
}

/// The wait is a note; its end is only a matter of the clock.
#[test]
fn a_wait_that_nobody_answered_ends() {
    let vendor = Vendor::start();
    vendor.workspace.run(&["rotate", SECRET]).succeeded();
    let name = crate::support::secret(SECRET);
    vendor.workspace.on_store(|store| async move {
        use keyturn_engine::Notes;
        Notes::update(&store, &name, |notes| {
            let waiting = &mut notes.credentials.get_mut("").unwrap().waiting;
            waiting.as_mut().unwrap().expires_at_ms = 1;
        })
        .await
        .unwrap();
    });
    assert_eq!(vendor.status()["wait_expired"], true);
    vendor
        .workspace
        .run(&["status", SECRET])
        .succeeded()
        .says(&["nobody answered until"]);
    vendor.workspace.run(&["rotate", SECRET]).succeeded();
    assert_eq!(vendor.status()["wait_expired"], false);
    assert!(
        Duration::from_millis(
            vendor.status()["waiting"]["expires_at_ms"]
                .as_u64()
                .unwrap()
        ) > Duration::from_secs(3600)
    );
}
