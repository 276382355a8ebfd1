//! While a credential stands in two secrets, one of them rotates it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use keyturn_engine::Notes;
use serde_json::json;

use super::{SECRET, Vendors, keys};
use crate::interruption;
use crate::support::{Ended, Workspace, secret};

const NEW: &str = "festival-prod/sendgrid";
const OLD_NAME: &str = "festival-prod/api-keys#sendgrid";
/// The process runs on between a line of the trail and the signal, so that the aim may be missed.
const ATTEMPTS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

impl Vendors {
    fn split_into(&self, new: &str, more: &[&str]) -> Ended {
        let arguments = ["secret", "split", OLD_NAME, "--to", new];
        self.workspace.run(&[&arguments, more].concat())
    }

    /// Tables of these for the credential, beside the one of its neighbour.
    fn configure_at(&self, old: &[&str], new: &[&str]) {
        let old = old
            .iter()
            .map(|part| format!("secret.\"{SECRET}\".credential.{part}"));
        let new = new.iter().map(|new| format!("secret.\"{new}\""));
        let tables: String = old
            .chain(new)
            .map(|name| self.table(&name, "sendgrid", ""))
            .collect();
        let internal = format!("[secret.\"{SECRET}\".credential.internal]\nplugin = \"api-key\"\n");
        self.workspace.configure(&(internal + &tables));
    }

    fn assist_at(&self, name: &str, answer: &str) -> Ended {
        let arguments = ["assist", name, "--value-stdin"];
        self.workspace.run_with(&arguments, answer, &[])
    }

    /// Whether a rotation of it begins; a refusal says by which command it would.
    #[track_caller]
    fn rotates(&self, name: &str) -> bool {
        let ended = self.workspace.run(&["rotate", name]);
        if ended.code == Some(7) {
            ended.failed(7, &["keyturn secret split", OLD_NAME]);
            return false;
        }
        ended.succeeded().says(&["waits for an operator"]);
        true
    }
}

#[test]
fn what_was_split_off_is_rotated_by_the_new_secret_alone() {
    let sendgrid = keys::sendgrid();
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let workspace = &vendors.workspace;
    vendors.split_into(NEW, &[]).succeeded();
    vendors.configure_at(&["sendgrid"], &[NEW]);
    vendors.hand_out(&sendgrid, &sendgrid.new);
    let answer = sendgrid.answer(&sendgrid.new);
    let (before, labels) = (vendors.current(), workspace.labels(SECRET));
    let words = ["does not rotate", NEW, "--remove", "--undo", "not changed"];
    for arguments in [
        &["rotate", OLD_NAME][..],
        &["rotate", OLD_NAME, "--now"],
        &["retire", OLD_NAME],
        &["retire", OLD_NAME, "--now"],
        &["retire", OLD_NAME, "--declare-dead"],
        &["assist", OLD_NAME],
        &["assist", OLD_NAME, "--without-preflight"],
    ] {
        workspace.run(arguments).failed(7, &words);
    }
    vendors.assist_at(OLD_NAME, &answer).failed(7, &words);
    assert_eq!(
        (vendors.current(), workspace.labels(SECRET)),
        (before, labels)
    );
    let owner = |name: &str| {
        let status = workspace.run(&["status", name, "--json"]).succeeded();
        status.json()[0]["owned_by"].clone()
    };
    assert_eq!((owner(OLD_NAME), owner(NEW)), (json!(NEW), json!(null)));
    workspace
        .run(&["status", OLD_NAME])
        .succeeded()
        .says(&["split off"]);
    // To say whether it works takes nothing from anybody.
    workspace.run(&["verify", OLD_NAME]).succeeded();

    // Its neighbour goes on, and neither another name nor another secret makes it its own again.
    vendors.rotate("internal").succeeded();
    vendors.configure_at(&["mail"], &[NEW]);
    vendors.rotate("mail").failed(7, &words);
    vendors.configure_at(&["sendgrid"], &[NEW]);
    let another = vendors.split_into("festival-prod/another", &[]);
    another.failed(7, &["was split into", NEW]);
    let secrets = workspace.run(&["secret", "list"]).succeeded();
    assert!(!secrets.stdout.contains("another"), "{secrets:?}");

    vendors.assist_at(NEW, &answer).succeeded();
    vendors.configure_at(&[], &[NEW]);
    vendors.split_into(NEW, &["--remove"]).succeeded();
    // What comes later under the old name is something else.
    vendors.configure_at(&["sendgrid"], &[NEW]);
    assert_eq!(owner(OLD_NAME), json!(null));
}

#[test]
fn a_split_is_undone_while_both_hold_the_same() {
    let sendgrid = keys::sendgrid();
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let workspace = &vendors.workspace;
    vendors.configure_at(&["sendgrid"], &[NEW]);
    let undo = || vendors.split_into(NEW, &["--undo"]);
    // There is a secret that holds the same; nobody has split anything.
    workspace.create(NEW, &sendgrid.old.to_string());
    undo().failed(7, &["was not split"]);
    vendors.split_into(NEW, &[]).succeeded();
    assert!(!vendors.rotates(OLD_NAME) && vendors.rotates(NEW));

    let next = undo().succeeded();
    assert!(next.stderr.contains("read sendgrid_api_key"), "{next:?}");
    undo().succeeded();
    assert!(vendors.rotates(OLD_NAME) && !vendors.rotates(NEW));
    vendors.configure_at(&[], &[NEW]);
    vendors
        .split_into(NEW, &["--remove"])
        .failed(7, &["was not split"]);

    // And once more; then the new one rotates, and the old one lags behind.
    vendors.configure_at(&["sendgrid"], &[NEW]);
    vendors.split_into(NEW, &[]).succeeded();
    assert!(!vendors.rotates(OLD_NAME) && vendors.rotates(NEW));
    vendors.hand_out(&sendgrid, &sendgrid.new);
    let answer = sendgrid.answer(&sendgrid.new);
    vendors.assist_at(NEW, &answer).succeeded();
    undo().failed(7, &["still under KEYTURN_RETIRING", NEW]);
    let put = |key: &serde_json::Value| {
        let mut value = vendors.current();
        value["sendgrid_api_key"] = key["sendgrid_api_key"].clone();
        let arguments = ["secret", "put", SECRET, "--value-stdin"];
        let put = workspace.run_with(&arguments, &value.to_string(), &[]);
        put.succeeded();
    };
    // Nobody reads the old key any more once that is in both.
    put(&sendgrid.new);
    vendors.take_back(&sendgrid, &sendgrid.old);
    workspace.run(&["retire", NEW, "--now"]).succeeded();
    put(&sendgrid.old);
    undo().failed(4, &["has changed since the split", "Nothing was changed"]);
    assert!(!vendors.rotates(OLD_NAME) && vendors.rotates(NEW));
    put(&sendgrid.new);
    undo().succeeded();
    assert!(vendors.rotates(OLD_NAME) && !vendors.rotates(NEW));
}

/// Applications read the old key in the old secret until it is taken out there.
#[test]
fn what_the_old_secret_still_holds_is_not_ended_from_the_new_one() {
    let sendgrid = keys::sendgrid();
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let workspace = &vendors.workspace;
    let told = vendors.split_into(NEW, &[]).succeeded();
    assert!(told.stderr.contains("do not delete it"), "{told:?}");
    vendors.configure_at(&[], &[NEW]);
    vendors.hand_out(&sendgrid, &sendgrid.new);
    let answer = sendgrid.answer(&sendgrid.new);
    let told = vendors.assist_at(NEW, &answer).succeeded();
    for words in ["--remove", "not before that"] {
        assert!(told.stderr.contains(words), "{told:?}");
    }
    let (labels, asked) = (workspace.labels(NEW), vendors.server.requests().len());
    for arguments in [
        &["retire", NEW, "--now"][..],
        &["retire", NEW, "--declare-dead"],
        &["rotate", NEW, "--now"],
        &["assist", NEW, "--now", "--without-preflight"],
    ] {
        let refused = workspace.run(arguments);
        let words = ["must not end yet", SECRET, "do not end it", "--remove"];
        refused.failed(7, &words);
    }
    let asked_since = vendors.server.requests().len() - asked;
    assert_eq!((workspace.labels(NEW), asked_since), (labels, 0));
    let holder = || {
        let status = workspace.run(&["status", NEW, "--json"]).succeeded();
        status.json()[0]["retirement"]["still_read_as"].clone()
    };
    assert_eq!(holder(), json!(OLD_NAME));
    let status = workspace.run(&["status", NEW]).succeeded();
    status.says(&["--remove"]);

    vendors.split_into(NEW, &["--remove"]).succeeded();
    assert_eq!(holder(), json!(null));
    let owed = workspace.run(&["retire", NEW, "--now"]);
    owed.failed(5, &["still works"]);
    vendors.take_back(&sendgrid, &sendgrid.old);
    workspace.run(&["retire", NEW, "--now"]).succeeded();
}

/// Whichever value stands in the old secret again is its own business then.
#[test]
fn what_was_split_off_is_forgotten_with_the_split() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    vendors.configure_at(&["sendgrid"], &[NEW]);
    let split_off = || {
        let name = secret(NEW);
        let notes = vendors
            .workspace
            .on_store(|store| async move { Notes::read(&store, &name).await.unwrap() });
        notes.split_off
    };
    vendors.split_into(NEW, &[]).succeeded();
    assert_eq!(split_off().as_deref(), Some(OLD_NAME));
    vendors.split_into(NEW, &["--undo"]).succeeded();
    assert_eq!(split_off(), None);
    vendors.split_into(NEW, &[]).succeeded();
    vendors.configure_at(&[], &[NEW]);
    vendors.split_into(NEW, &["--remove"]).succeeded();
    assert_eq!(split_off(), None);
}

#[test]
fn a_split_is_undone_after_its_table_was_moved() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    vendors.split_into(NEW, &[]).succeeded();
    vendors.configure_at(&[], &[NEW]);
    let next = vendors.split_into(NEW, &["--undo"]).succeeded();
    let table = format!("[secret.\"{SECRET}\".credential.sendgrid] again");
    assert!(next.stderr.contains(&table), "{next:?}");
    assert!(!vendors.rotates(NEW));
    vendors.configure_at(&["sendgrid"], &[]);
    assert!(vendors.rotates(OLD_NAME));
}

/// The split was cut off, and somebody took the name for something else.
#[test]
fn a_split_into_a_secret_that_holds_something_else_is_undone() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    vendors.configure_at(&["sendgrid"], &[]);
    let name = secret(SECRET);
    vendors.workspace.on_store(|store| async move {
        let give = |notes: &mut Notes| {
            let member = "sendgrid_api_key".to_owned();
            notes.moved.insert(member, NEW.to_owned());
        };
        Notes::update(&store, &name, give).await.unwrap();
    });
    vendors.workspace.create(NEW, r#"{"something":"else"}"#);
    vendors
        .split_into(NEW, &[])
        .failed(4, &["split into that before", "--undo"]);
    assert!(!vendors.rotates(OLD_NAME));
    vendors.split_into(NEW, &["--undo"]).succeeded();
    assert!(vendors.rotates(OLD_NAME));
}

/// Nothing is undone there, and nobody is to believe it was.
#[test]
fn an_undoing_that_names_another_secret_is_refused() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let undo = || vendors.split_into("festival-prod/sendgird", &["--undo"]);
    undo().failed(
        7,
        &[
            "there is no secret festival-prod/sendgird",
            "festival-prod/api-keys rotates it",
        ],
    );
    vendors.configure_at(&["sendgrid"], &[NEW]);
    vendors.split_into(NEW, &[]).succeeded();
    undo().failed(7, &["was split into festival-prod/sendgrid already"]);
    assert!(!vendors.rotates(OLD_NAME) && vendors.rotates(NEW));
}

/// What the new secret held before the split was undone may be dead by now.
#[test]
fn a_secret_that_lags_behind_does_not_take_over() {
    let sendgrid = keys::sendgrid();
    let vendors = Vendors::start(&[keys::sendgrid()]);
    vendors.configure_at(&["sendgrid"], &[NEW]);
    vendors.split_into(NEW, &[]).succeeded();
    vendors.split_into(NEW, &["--undo"]).succeeded();
    vendors.hand_out(&sendgrid, &sendgrid.new);
    vendors.assist(&sendgrid, &sendgrid.new).succeeded();
    vendors.take_back(&sendgrid, &sendgrid.old);
    vendors.retire_now(&sendgrid).succeeded();
    vendors
        .split_into(NEW, &[])
        .failed(4, &["does not hold what", "nothing was changed"]);
    assert!(vendors.rotates(OLD_NAME) && !vendors.rotates(NEW));
}

/// Killed with SIGKILL at each line that it writes into the audit trail, which has one before and after each step.
#[test]
fn a_split_that_is_killed_goes_on_by_the_same_command() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let fresh = fresh_names();
    let prepare = || {
        let new = fresh();
        vendors.configure_at(&["sendgrid"], &[&new]);
        new
    };
    let kills = sweep(&vendors.workspace, &[], prepare, |new| {
        at_most_one_rotates(&vendors, new);
        vendors.split_into(new, &[]).succeeded();
        assert!(!vendors.rotates(OLD_NAME) && vendors.rotates(new));
        vendors.split_into(new, &["--undo"]).succeeded();
    });
    assert!(kills >= 3, "{kills} kills");
}

#[test]
fn an_undoing_that_is_killed_goes_on_either_way() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let back = Cell::new(false);
    let prepare = || {
        vendors.configure_at(&["sendgrid"], &[NEW]);
        vendors.split_into(NEW, &[]).succeeded();
        NEW.to_owned()
    };
    let kills = sweep(&vendors.workspace, &["--undo"], prepare, |new| {
        at_most_one_rotates(&vendors, new);
        // Once on, once back to where the new one rotates it.
        let way: &[&str] = if back.replace(!back.get()) {
            &[]
        } else {
            &["--undo"]
        };
        vendors.split_into(new, way).succeeded();
        let is_back = way.is_empty();
        assert_eq!(
            (vendors.rotates(OLD_NAME), vendors.rotates(new)),
            (!is_back, is_back)
        );
    });
    assert!(kills >= 3, "{kills} kills");
}

#[test]
fn a_removal_that_is_killed_leaves_the_new_secret_in_charge() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let workspace = &vendors.workspace;
    let whole = vendors.current().to_string();
    let fresh = fresh_names();
    let prepare = || {
        let new = fresh();
        let arguments = ["secret", "put", SECRET, "--value-stdin"];
        workspace.run_with(&arguments, &whole, &[]).succeeded();
        vendors.configure_at(&["sendgrid"], &[&new]);
        vendors.split_into(&new, &[]).succeeded();
        vendors.configure_at(&[], &[&new]);
        new
    };
    let kills = sweep(workspace, &["--remove"], prepare, |new| {
        vendors.configure_at(&["sendgrid"], &[new]);
        let holds = vendors.current()["sendgrid_api_key"].is_string();
        // Without the member, it would be another credential that is adopted there.
        assert!(!holds || !vendors.rotates(OLD_NAME));
        assert!(vendors.rotates(new));
        vendors.configure_at(&[], &[new]);
        vendors.split_into(new, &["--remove"]).succeeded();
        assert!(vendors.current()["sendgrid_api_key"].is_null());
        let labels = workspace.labels(SECRET);
        assert!(!labels.contains_key("KEYTURN_STAGED"), "{labels:?}");
        vendors.configure_at(&["sendgrid"], &[new]);
        let status = workspace.run(&["status", OLD_NAME, "--json"]).succeeded();
        assert!(status.json()[0]["owned_by"].is_null(), "{status:?}");
    });
    assert!(kills >= 3, "{kills} kills");
}

/// Names of secrets that are not there yet.
fn fresh_names() -> impl Fn() -> String {
    let made = Cell::new(0);
    move || {
        made.set(made.get() + 1);
        format!("{NEW}-{}", made.get())
    }
}

#[track_caller]
fn at_most_one_rotates(vendors: &Vendors, new: &str) {
    let secrets = vendors.workspace.run(&["secret", "list", "--json"]);
    let exists = secrets.succeeded().stdout.contains(&format!("\"{new}\""));
    let both = vendors.rotates(OLD_NAME) && exists && vendors.rotates(new);
    assert!(!both, "two secrets rotate one credential");
}

/// Kills the command at every line of the trail, of which an undisturbed run says how many there are. Answers how many.
fn sweep(
    workspace: &Workspace,
    more: &[&str],
    prepare: impl Fn() -> String,
    goes_on: impl Fn(&str),
) -> usize {
    let lines_of = |line: Option<usize>| {
        let new = prepare();
        let arguments = ["secret", "split", OLD_NAME, "--to", &new];
        let arguments = [&arguments, more].concat();
        let before = workspace.audit().lines().count();
        let lines = match line {
            Some(line) => run_and_kill(workspace, &arguments, line),
            None => {
                workspace.run(&arguments).succeeded();
                Some(workspace.audit().lines().count() - before)
            }
        };
        goes_on(&new);
        lines
    };
    let lines = lines_of(None).unwrap_or_default();
    for line in 0..lines {
        // Between an outcome and the intent that follows nothing happens.
        let is_met = |met: usize| met == line || met == line + 1;
        let mut attempts = (0..ATTEMPTS).filter_map(|_| lines_of(Some(line)));
        assert!(attempts.any(is_met), "no kill at line {line} of {lines}");
    }
    lines
}

/// Kills the command once its lines of the trail are as many, and answers how many they were then; `None` if it ended
/// before.
fn run_and_kill(workspace: &Workspace, arguments: &[&str], lines: usize) -> Option<usize> {
    let before = workspace.audit().len();
    let written = || workspace.audit()[before..].lines().count();
    let mut child = workspace.start(arguments);
    let deadline = Instant::now() + PATIENCE;
    // No pause between two looks: the moment between two lines may be short.
    while child.try_wait().unwrap().is_none() && written() < lines {
        assert!(Instant::now() < deadline, "still running: {arguments:?}");
        std::thread::yield_now();
    }
    let killed = interruption::kill(&mut child);
    workspace.keep_words_of(&mut child);
    killed.then(written)
}
