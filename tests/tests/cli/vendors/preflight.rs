//! What is tried before an operator is asked to make a new key, which may end the present one; and how a key that is lost
//! is replaced all the same.

use keyturn_engine::{Answered, Notes};
use serde_json::{Value, json};

use super::{SECRET, Vendors, keys};
use crate::support::terminal::Terminal;
use crate::support::{Ended, own_id, secret};

const NAME: &str = "festival-prod/api-keys#facebook";
/// Of the operator's steps.
const STEP: &str = "reset the app secret";

impl Vendors {
    fn facebook() -> Self {
        Self::start(&[keys::facebook()])
    }

    fn put_member(&self, member: &str, text: &str) {
        let mut value = self.current();
        value[member] = json!(text);
        let arguments = ["secret", "put", SECRET, "--value-stdin"];
        let put = self.workspace.run_with(&arguments, &value.to_string(), &[]);
        put.succeeded();
    }

    /// As an earlier run has left it.
    fn note_answer(&self, version: &str, base: &str) {
        let (version, base) = (version.to_owned(), base.to_owned());
        let (name, answered) = (secret(SECRET), Answered { version, base });
        self.workspace.on_store(|store| async move {
            let noted = Notes::update(&store, &name, |notes| {
                let known = notes.credentials.entry("facebook".to_owned());
                known.or_default().answered = Some(answered.clone());
            });
            noted.await.unwrap();
        });
    }

    fn waiting(&self) -> Value {
        let status = self.workspace.run(&["status", NAME, "--json"]).succeeded();
        status.json()[0]["waiting"].clone()
    }

    /// Neither `rotate` nor `assist` shows what an operator has to do, and none is waited for.
    #[track_caller]
    fn asks_nobody(&self, code: i32, words: &[&str]) {
        let (current, labels) = (self.current(), self.workspace.labels(SECRET));
        for command in ["rotate", "assist"] {
            let ended = self.workspace.run(&[command, NAME]);
            let shown = format!("{}{}", ended.stdout, ended.stderr);
            assert!(!shown.contains(STEP), "{shown}");
            // Whether making a new one ends the present one only the vendor knows.
            assert!(!shown.contains("may end the present one"), "{shown}");
            let ended = ended.failed(code, words);
            ended.failed(
                code,
                &["was not changed", "Nobody was asked", "--without-preflight"],
            );
        }
        assert_eq!(self.waiting(), Value::Null);
        assert_eq!(
            (self.current(), self.workspace.labels(SECRET)),
            (current, labels)
        );
    }

    #[track_caller]
    fn asks(&self, arguments: &[&str]) -> Ended {
        let ended = self.workspace.run(&[&["assist", NAME], arguments].concat());
        ended.failed(3, &["there is no terminal", STEP])
    }
}

#[test]
fn what_would_refuse_the_new_key_is_found_before_the_old_one_dies() {
    let facebook = keys::facebook();
    let vendors = Vendors::facebook();
    vendors.put_member("facebook_app_id", "another-app");
    vendors.asks_nobody(
        5,
        &[
            "Facebook refuses AWSCURRENT's secret",
            "the member `facebook_app_id`",
        ],
    );
    vendors.put_member("facebook_app_id", "facebook-app");

    let granted = format!("[secret.\"{SECRET}\".credential.facebook]");
    vendors.workspace.configure(&format!(
        "{granted}\nplugin = \"vendor-assisted\"\nsettings = {{ profile = \"facebook\" }}\n"
    ));
    // What has to change there is the configuration.
    vendors.asks_nobody(3, &["members = [\"graph.facebook.com:443\"]"]);
    vendors.configure(std::slice::from_ref(&facebook), "");

    vendors.server.have_trouble(Some(503));
    vendors.asks_nobody(5, &["trouble of its own"]);
    vendors.server.have_trouble(None);
    let everybody = |whether| {
        vendors
            .server
            .change(|issued| issued.takes_everything = whether);
    };
    everybody(true);
    vendors.asks_nobody(5, &["accepts a secret that nobody has"]);
    everybody(false);

    vendors.asks(&[]);
    assert_ne!(vendors.waiting(), Value::Null);
}

/// It leaked, and was ended at once; or the operator has made the new one already.
#[test]
fn a_dead_key_is_replaced_all_the_same() {
    let facebook = keys::facebook();
    let new = facebook.new["facebook_app_secret"].as_str().unwrap();
    let vendors = Vendors::facebook();
    vendors.take_back(&facebook, &facebook.old);
    vendors.asks_nobody(5, &["was ended"]);
    vendors
        .workspace
        .run(&["verify", NAME])
        .failed(8, &["is dead", "--without-preflight"]);
    vendors.hand_out(&facebook, &facebook.new);
    let arguments = ["assist", NAME, "--without-preflight"];
    let mut terminal = Terminal::run(&vendors.workspace, &arguments);
    terminal.waits_for("The new app secret");
    terminal.types(&format!("{new}\n"));
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(vendors.current()["facebook_app_secret"], new);

    // Whoever brings the answer along is not asked, and needs no word for that.
    let vendors = Vendors::facebook();
    vendors.take_back(&facebook, &facebook.old);
    vendors.hand_out(&facebook, &facebook.new);
    vendors.assist(&facebook, &facebook.new).succeeded();
}

/// The vendor is out of reach, and the key has to go.
#[test]
fn an_answer_is_taken_where_the_vendor_is_out_of_reach() {
    let facebook = keys::facebook();
    let vendors = Vendors::facebook();
    vendors.server.have_trouble(Some(503));
    vendors.asks(&["--without-preflight"]);
    vendors
        .assist(&facebook, &facebook.new)
        .failed(5, &["trouble of its own", "goes on with it"]);
    vendors.take_back(&facebook, &facebook.old);
    vendors.hand_out(&facebook, &facebook.new);
    // It lost its AWSPENDING, and is not to be asked for again: the old one is dead by now.
    vendors.put_member("another_member", "by hand");
    vendors.server.have_trouble(None);
    vendors.rotate("facebook").succeeded().says(&["rotated to"]);
    let current = vendors.current();
    assert_eq!(
        current["facebook_app_secret"],
        facebook.new["facebook_app_secret"]
    );
    assert_eq!(current["another_member"], "by hand");
}

/// Whoever makes a new key on being asked must be able to use it: an answer that waits does not let the question pass
/// where another credential has to be finished first.
#[test]
fn nobody_is_asked_where_another_credential_comes_first() {
    let (facebook, sendgrid) = (keys::facebook(), keys::sendgrid());
    let vendors = Vendors::start(&[keys::facebook(), keys::sendgrid()]);
    vendors.server.have_trouble(Some(503));
    vendors
        .assist(&facebook, &facebook.new)
        .failed(5, &["Your answer is stored"]);
    vendors.put_member("another_member", "by hand");
    vendors.assist(&sendgrid, &sendgrid.new).failed(5, &[]);
    let labels = vendors.workspace.labels(SECRET);
    let asked = vendors.workspace.run(&["assist", NAME]);
    assert!(!asked.stderr.contains(STEP), "{asked:?}");
    for refused in [asked, vendors.assist(&facebook, &facebook.new)] {
        let refused = refused.failed(
            7,
            &[
                "is not finished with it",
                "#sendgrid",
                "The earlier answer is still stored",
            ],
        );
        assert!(!refused.stderr.contains("Your answer"), "{refused:?}");
    }
    assert_eq!(vendors.workspace.labels(SECRET), labels);
}

/// Another one takes nothing from anybody.
#[test]
fn where_both_keys_live_a_dead_one_is_only_told() {
    let sendgrid = keys::sendgrid();
    let vendors = Vendors::start(std::slice::from_ref(&sendgrid));
    vendors.take_back(&sendgrid, &sendgrid.old);
    let waits = vendors.rotate("sendgrid").succeeded();
    waits.says(&["waits for an operator"]);
    assert!(
        waits.stderr.contains("refuses AWSCURRENT's secret"),
        "{waits:?}"
    );
}

/// Whose a key is stands beside it: another client's key in AWSCURRENT does not make it look dead.
#[test]
fn an_old_key_is_asked_about_under_its_own_client() {
    let google = keys::google();
    let vendors = Vendors::start(std::slice::from_ref(&google));
    vendors.hand_out(&google, &google.new);
    vendors.assist(&google, &google.new).succeeded();
    let others = "GOCSPX-Other_Other_Other_Other";
    vendors.server.change(|issued| {
        let client = ("other-client".to_owned(), others.to_owned());
        issued.google.insert(client)
    });
    let mut value = vendors.current();
    value["google_client_id"] = json!("other-client");
    value["google_client_secret"] = json!(others);
    let arguments = ["secret", "put", SECRET, "--value-stdin"];
    let put = vendors
        .workspace
        .run_with(&arguments, &value.to_string(), &[]);
    put.succeeded();
    vendors
        .workspace
        .run(&["verify", &format!("{SECRET}#google")])
        .succeeded();
    vendors.retire_now(&google).failed(5, &["still works"]);
    vendors.take_back(&google, &google.old);
    vendors
        .retire_now(&google)
        .succeeded()
        .says(&["is retired"]);

    // No setting says it, for a setting speaks of the present key alone.
    vendors.configure(
        std::slice::from_ref(&google),
        ", client_id = \"other-client\"",
    );
    vendors.rotate("google").failed(3, &["client_id"]);
}

/// A run that was killed right after AWSCURRENT had moved: the note of the answer says nothing about the next one.
#[test]
fn an_answer_that_is_in_use_spares_nobody_the_preflight() {
    let facebook = keys::facebook();
    let vendors = Vendors::facebook();
    let version = vendors.workspace.labels(SECRET)["AWSCURRENT"].clone();
    vendors.note_answer(&version, &version);
    vendors.take_back(&facebook, &facebook.old);
    vendors.asks_nobody(5, &["was ended"]);
}

/// It waits for the next rotation, and its credential was changed by hand meanwhile.
#[test]
fn an_answer_of_no_use_spares_nobody_the_preflight() {
    let facebook = keys::facebook();
    let vendors = Vendors::facebook();
    let base = vendors.workspace.labels(SECRET)["AWSCURRENT"].clone();
    let mut value = vendors.current();
    value["facebook_app_secret"] = facebook.new["facebook_app_secret"].clone();
    let answer = own_id(1);
    vendors
        .workspace
        .plant(SECRET, &answer, &value.to_string(), &["app-answer"]);
    vendors.put_member("facebook_app_secret", "0123456789abcdef0123456789abcdef");
    vendors.note_answer(&answer, &base);
    let ended = vendors.workspace.run(&["rotate", NAME]);
    assert!(!ended.stderr.contains(STEP), "{ended:?}");
    let words = ["refuses AWSCURRENT's secret", "Nobody was asked"];
    ended.failed(5, &words);
    assert_eq!(vendors.waiting(), Value::Null);
    assert_eq!(vendors.status("facebook")["answered"], false);
}

/// The old key died with the rotation, and the new one was ended after a leak: the one can't be told from the other.
#[test]
fn where_no_rotation_can_begin_the_way_out_is_named() {
    let facebook = keys::facebook();
    let vendors = Vendors::facebook();
    vendors.hand_out(&facebook, &facebook.new);
    vendors.take_back(&facebook, &facebook.old);
    vendors.assist(&facebook, &facebook.new).succeeded();
    vendors.take_back(&facebook, &facebook.new);
    let put = format!("`keyturn secret put {SECRET}`");
    for arguments in [
        &["rotate", NAME, "--now"][..],
        &["assist", NAME, "--now", "--without-preflight"],
        &["retire", NAME, "--now"],
        &["retire", NAME, "--now", "--declare-dead"],
    ] {
        let refused = vendors.workspace.run(arguments);
        refused.failed(5, &["cannot be told now", &put, "was not changed"]);
    }
    let third = json!({"facebook_app_secret": "0123456789abcdef0123456789abcdef"});
    vendors.hand_out(&facebook, &third);
    vendors.put_member("facebook_app_secret", "0123456789abcdef0123456789abcdef");
    let retired = vendors.workspace.run(&["retire", NAME, "--now"]);
    retired.succeeded().says(&["is retired"]);
}
