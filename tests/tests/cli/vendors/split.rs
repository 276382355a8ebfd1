//! One credential of a secret gets a secret of its own.

use keyturn_engine::Notes;
use keyturn_store::{SecretStore, VersionId};
use serde_json::{Value, json};

use super::{SECRET, Vendors, keys};
use crate::support::{Workspace, own_id, secret};

const NEW: &str = "festival-prod/sendgrid";

impl Vendors {
    fn split(&self, more: &[&str]) -> crate::support::Ended {
        let name = format!("{SECRET}#sendgrid");
        let mut arguments = vec!["secret", "split", &name, "--to", NEW];
        arguments.extend(more);
        self.workspace.run(&arguments)
    }

    fn put(&self, name: &str, value: &str) {
        let arguments = ["secret", "put", name, "--value-stdin"];
        let put = self.workspace.run_with(&arguments, value, &[]);
        put.succeeded();
    }

    /// The operator makes the table of the credential one of the new secret.
    fn move_table(&self) {
        let internal = format!("[secret.\"{SECRET}\".credential.internal]\nplugin = \"api-key\"\n");
        let own = self.table(&format!("secret.\"{NEW}\""), "sendgrid", "");
        self.workspace.configure(&(internal + &own));
    }
}

fn members(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_credential_moves_to_a_secret_of_its_own_and_nothing_is_lost() {
    let sendgrid = keys::sendgrid();
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let before = vendors.current();
    let told = vendors.split(&[]).succeeded();
    told.says(&["sendgrid_api_key"]);
    assert!(told.stderr.contains("--remove"), "{told:?}");
    assert_eq!(vendors.current(), before, "applications read it here still");
    assert_eq!(vendors.workspace.current(NEW), sendgrid.old);
    // Again, as after a crash.
    vendors.split(&[]).succeeded();

    // Not before the table is moved, or a rotation would miss its members.
    vendors
        .split(&["--remove"])
        .failed(3, &["is still configured"]);
    vendors.move_table();
    vendors.split(&["--remove"]).succeeded();
    let after = vendors.current();
    assert!(after["sendgrid_api_key"].is_null());
    let mut expected = before.clone();
    expected.as_object_mut().unwrap().remove("sendgrid_api_key");
    assert_eq!(after, expected);
    // AWSPREVIOUS has it still, and what is left rotates.
    assert!(
        vendors
            .workspace
            .text(SECRET, "AWSPREVIOUS")
            .contains("sendgrid_api_key")
    );
    assert_eq!(
        members(&vendors.workspace.current(NEW)),
        ["sendgrid_api_key"]
    );
    vendors.rotate("internal").succeeded();
    let history = vendors.workspace.audit();
    assert!(history.contains("\"effect\":\"split\""));
}

#[test]
fn the_new_secret_rotates_on_its_own_before_the_old_one_is_cleared() {
    let sendgrid = keys::sendgrid();
    let vendors = Vendors::start(&[keys::sendgrid()]);
    vendors.split(&[]).succeeded();
    vendors.move_table();
    vendors.hand_out(&sendgrid, &sendgrid.new);
    let answer = sendgrid.answer(&sendgrid.new);
    let arguments = ["assist", NEW, "--value-stdin"];
    vendors
        .workspace
        .run_with(&arguments, &answer, &[])
        .succeeded();
    vendors.split(&["--remove"]).succeeded();
    assert!(vendors.current()["sendgrid_api_key"].is_null());
    let current = vendors.workspace.current(NEW);
    assert_eq!(
        current["sendgrid_api_key"],
        sendgrid.new["sendgrid_api_key"]
    );
}

/// The new secret has never held it, so removing it would lose it.
#[test]
fn what_changed_after_the_split_is_not_removed() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    vendors.split(&[]).succeeded();
    let mut value = vendors.current();
    value["sendgrid_api_key"] = json!("SG.changed-after-the-split");
    vendors.put(SECRET, &value.to_string());
    vendors.move_table();
    vendors
        .split(&["--remove"])
        .failed(4, &["changed after the split"]);
    assert_eq!(vendors.current(), value);
    // And a secret that is something else is not taken for the new one.
    vendors.workspace.configure("");
    vendors.split(&[]).failed(3, &["is not configured"]);
}

#[test]
fn nothing_is_split_while_a_rotation_is_under_way() {
    let sendgrid = keys::sendgrid();
    let vendors = Vendors::start(&[keys::sendgrid()]);
    vendors.hand_out(&sendgrid, &sendgrid.new);
    vendors.server.have_trouble(Some(503));
    vendors.assist(&sendgrid, &sendgrid.new).failed(5, &[]);
    vendors
        .split(&[])
        .failed(7, &["AWSPENDING", "Nothing was changed"]);
    vendors.server.have_trouble(None);
    vendors.rotate("sendgrid").succeeded();
    // Its old key is not dead yet, and only here is known that it has to die.
    vendors.split(&[]).failed(7, &["KEYTURN_RETIRING_sendgrid"]);
    vendors.take_back(&sendgrid, &sendgrid.old);
    vendors.retire_now(&sendgrid).succeeded();
    vendors.split(&[]).succeeded();
}

/// It may be the same credential, from when it had that name.
#[test]
fn nothing_is_split_while_an_old_key_waits_under_a_former_name() {
    let sendgrid = keys::sendgrid();
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let called = |name: &str| {
        let table = format!("secret.\"{SECRET}\".credential.{name}");
        vendors
            .workspace
            .configure(&vendors.table(&table, "sendgrid", ""));
    };
    called("mail");
    let name = format!("{SECRET}#mail");
    vendors.hand_out(&sendgrid, &sendgrid.new);
    let answer = sendgrid.answer(&sendgrid.new);
    let arguments = ["assist", &name, "--value-stdin"];
    let assisted = vendors.workspace.run_with(&arguments, &answer, &[]);
    assisted.succeeded();
    called("sendgrid");
    vendors.split(&[]).failed(7, &["KEYTURN_RETIRING_mail"]);
    // Noted, but under no label.
    let labels = vendors.workspace.labels(SECRET);
    let subject = VersionId::new(labels["KEYTURN_RETIRING_mail"].clone()).unwrap();
    let secret = secret(SECRET);
    vendors.workspace.on_store(|store| async move {
        let label = "KEYTURN_RETIRING_mail";
        let removed = store.move_label(&secret, label, Some(&subject), None);
        removed.await.unwrap();
    });
    let refused = vendors.split(&[]);
    refused.failed(7, &["old value of #mail is still in its grace"]);

    // Done under that name, it is in nobody's way.
    called("mail");
    vendors.take_back(&sendgrid, &sendgrid.old);
    let retire = ["retire", &name, "--now"];
    vendors.workspace.run(&retire).succeeded();
    called("sendgrid");
    vendors.split(&[]).succeeded();
}

/// The moments at which `--remove` can be killed: before its value is promoted, and before the label behind it is off.
#[test]
fn a_removal_that_was_cut_off_is_finished_by_the_same_command() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let workspace = &vendors.workspace;
    vendors.split(&[]).succeeded();
    let mut shortened = vendors.current();
    shortened
        .as_object_mut()
        .unwrap()
        .remove("sendgrid_api_key");
    // The only table that there was: no rotation of the old secret takes anything off.
    workspace.configure(&vendors.table(&format!("secret.\"{NEW}\""), "sendgrid", ""));
    workspace.plant(
        SECRET,
        &own_id(1),
        &shortened.to_string(),
        &["KEYTURN_STAGED"],
    );
    vendors.split(&["--remove"]).succeeded();
    assert_eq!(vendors.current(), shortened);
    let labels = workspace.labels(SECRET);
    assert_eq!(labels.get("KEYTURN_STAGED"), None);

    let (name, current) = (secret(SECRET), labels["AWSCURRENT"].clone());
    workspace.on_store(|store| async move {
        let id = VersionId::new(current).unwrap();
        let moved = store.move_label(&name, "KEYTURN_STAGED", None, Some(&id));
        moved.await.unwrap();
    });
    let again = vendors.split(&["--remove"]).succeeded();
    again.says(&["no member of sendgrid any more"]);
    let mut after = workspace.labels(SECRET);
    assert_eq!(after.remove("KEYTURN_STAGED"), None);
    assert_eq!(after, labels);
    // Where neither of them holds it, nothing has been done.
    vendors.put(NEW, "{}");
    vendors.split(&["--remove"]).failed(4, &["holds no member"]);
}

/// Another credential's round uses the same label, and is not over.
#[test]
fn what_a_rotation_has_staged_is_not_dropped() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let workspace = &vendors.workspace;
    let value = vendors.current().to_string();
    let id = own_id(1);
    workspace.plant(SECRET, &id, &value, &["KEYTURN_STAGED"]);
    let (name, claimed) = (secret(SECRET), id.clone());
    workspace.on_store(|store| async move {
        let claim = |notes: &mut Notes| notes.version_mut("internal", &claimed).made = true;
        Notes::update(&store, &name, claim).await.unwrap();
    });
    vendors.split(&[]).failed(7, &["KEYTURN_STAGED"]);
    assert_eq!(workspace.labels(SECRET)["KEYTURN_STAGED"], id);
}

#[test]
fn an_operator_who_was_asked_is_asked_for_the_new_secret() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    vendors.rotate("sendgrid").succeeded();
    vendors.split(&[]).succeeded();
    vendors.move_table();
    let waits = || {
        let status = vendors.workspace.run(&["status", NEW, "--json"]);
        status.succeeded().json()[0]["waiting"]["expires_at_ms"].as_u64()
    };
    let until = waits();
    assert!(until.is_some());
    vendors.split(&["--remove"]).succeeded();
    assert_eq!(waits(), until);
}

/// In the new secret it may have a name of its own.
#[test]
fn an_operator_who_has_answered_is_not_waited_for_again() {
    let sendgrid = keys::sendgrid();
    let vendors = Vendors::start(&[keys::sendgrid()]);
    vendors.rotate("sendgrid").succeeded();
    vendors.split(&[]).succeeded();
    let own = vendors.table(&format!("secret.\"{NEW}\".credential.mail"), "sendgrid", "");
    vendors.workspace.configure(&own);
    let waiting = || {
        let status = vendors.workspace.run(&["status", NEW, "--json"]);
        status.succeeded().json()[0]["waiting"].clone()
    };
    vendors.hand_out(&sendgrid, &sendgrid.new);
    let name = format!("{NEW}#mail");
    let answer = sendgrid.answer(&sendgrid.new);
    let answered = vendors
        .workspace
        .run_with(&["assist", &name, "--value-stdin"], &answer, &[]);
    answered.succeeded();
    assert_eq!(waiting(), Value::Null);
    vendors.split(&["--remove"]).succeeded();
    assert_eq!(waiting(), Value::Null);
}

/// A change by hand took AWSPENDING off it, and it waits for the next rotation.
#[test]
fn an_answer_that_is_not_in_use_is_not_left_behind() {
    let sendgrid = keys::sendgrid();
    let vendors = Vendors::start(&[keys::sendgrid()]);
    vendors.hand_out(&sendgrid, &sendgrid.new);
    vendors.server.have_trouble(Some(503));
    vendors.assist(&sendgrid, &sendgrid.new).failed(5, &[]);
    let mut value = vendors.current();
    value["n"] = json!(2);
    vendors.put(SECRET, &value.to_string());
    vendors.split(&[]).failed(7, &["answer for #sendgrid"]);
    vendors.server.have_trouble(None);
    vendors.rotate("sendgrid").succeeded();
    let current = vendors.current();
    assert_eq!(
        current["sendgrid_api_key"],
        sendgrid.new["sendgrid_api_key"]
    );
}

/// Every credential writes the dates of its rotations under the same names.
#[test]
fn dates_that_belong_to_a_neighbour_too_stay_with_it() {
    let (old, new) = ("festival-prod/keys", "festival-prod/ring");
    let (internal, ring) = (
        format!(
            "[secret.\"{old}\".credential.internal]\nplugin = \"api-key\"\ngrace_seconds = 0\n"
        ),
        "plugin = \"opaque\"\nstrategy = \"key-ring\"\n",
    );
    let workspace = Workspace::with(&format!(
        "{internal}[secret.\"{old}\".credential.ring]\n{ring}"
    ));
    let value = json!({
        "current": {"id": "first", "value": "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="},
        "internal_api_key": format!("festival_sk_live_{}", "k".repeat(43)),
        "rotation_timestamp": "2026-01-02T00:00:00Z",
    });
    workspace.create(old, &value.to_string());
    let name = format!("{old}#ring");
    let split = ["secret", "split", &name, "--to", new];
    workspace.run(&split).succeeded();
    let copied = workspace.current(new);
    assert_eq!(members(&copied), ["current", "rotation_timestamp"]);
    workspace
        .run(&["rotate", &format!("{old}#internal")])
        .succeeded();
    let rotated = workspace.current(old);
    assert_ne!(rotated["rotation_timestamp"], value["rotation_timestamp"]);
    workspace.run(&split).succeeded();
    workspace.configure(&format!("{internal}[secret.\"{new}\"]\n{ring}"));
    let removed = [&split[..], &["--remove"]].concat();
    workspace.run(&removed).succeeded();
    let mut expected = rotated;
    expected.as_object_mut().unwrap().remove("current");
    assert_eq!(workspace.current(old), expected);
    workspace.run(&["rotate", new]).succeeded();
}

#[test]
fn only_a_credential_of_several_is_split() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let arguments = ["secret", "split", SECRET, "--to", NEW];
    vendors
        .workspace
        .run(&arguments)
        .failed(3, &["names no credential"]);
    let name = format!("{SECRET}#sendgrid");
    let arguments = ["secret", "split", &name, "--to", SECRET];
    vendors
        .workspace
        .run(&arguments)
        .failed(3, &["into itself"]);
    vendors.workspace.create(NEW, r#"{"something":"else"}"#);
    vendors
        .split(&[])
        .failed(4, &["there is already a secret named"]);
}
