//! Key rings: the newest key encrypts, every older one decrypts until the operator declares that it is not needed. No
//! time, no haste and no further rotation takes a key out.

use std::sync::Mutex;

use harness::poll;
use harness::prober::{Kind, Vault};
use serde_json::{Value, json};

use crate::endurance::{
    ATTEMPTS, CACHE, LEAD_SECONDS, PATIENCE, nobody_is_refused, rotate_in_turn, while_used,
};
use crate::interruption::{KILLS_MIN, finish, kill, start_and_kill, sweep_single, while_probed};
use crate::support::{Site, Workspace, secret};

const NAME: &str = "app-prod/encryption";
const ROTATIONS: usize = 5;
const FIRST: &str = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=";

fn ring(keys: &str) -> Workspace {
    let workspace = Workspace::with(&format!(
        "[secret.\"{NAME}\"]\nplugin = \"opaque\"\nstrategy = \"key-ring\"\n\
         settings = {{ profile = \"encryption\" }}\n{keys}\n"
    ));
    let first = json!({"current": {"id": "first", "value": FIRST}, "other": 1.5});
    workspace.create(NAME, &first.to_string());
    workspace
}

fn older(workspace: &Workspace) -> Vec<String> {
    let value = workspace.current(NAME);
    let ring = value["ring"].as_object();
    ring.map_or(Vec::new(), |ring| ring.keys().cloned().collect())
}

fn newest(workspace: &Workspace) -> String {
    let value = workspace.current(NAME);
    value["current"]["id"].as_str().unwrap().to_owned()
}

/// What `retire` asks for: the option that declares the keys of that moment not to be needed.
fn word(workspace: &Workspace, name: &str) -> String {
    let refused = workspace.run(&["retire", name]);
    let told = &refused.failed(7, &["--declare-dead="]).stderr;
    let (_, told) = told.split_once("--declare-dead=").unwrap();
    format!("--declare-dead={}", told.split_once('`').unwrap().0)
}

/// A year later, as far as notes can tell: their times are long past.
fn let_time_pass(workspace: &Workspace) {
    let name = secret(NAME);
    workspace.on_store(|store| async move {
        keyturn_engine::Notes::update(&store, &name, |notes| {
            for known in notes.credentials.get_mut("").unwrap().versions.values_mut() {
                known.rotated_at_ms = known.rotated_at_ms.map(|_| 1);
                if let Some(owed) = &mut known.owes {
                    owed.due_at_ms = 1;
                }
            }
        })
        .await
        .unwrap();
    });
}

#[test]
fn whatever_was_encrypted_decrypts_through_rotations_and_time_until_the_operator_declares() {
    let workspace = ring(&format!("grace_seconds = 1\nlead_seconds = {LEAD_SECONDS}"));
    let report = while_used(&workspace, vec![(Kind::KeyRing, NAME)], CACHE, |prober| {
        for _ in 0..ROTATIONS {
            // Nothing is refused because of a grace.
            rotate_in_turn(&workspace, &[NAME], 1);
            let newest = workspace.labels(NAME)["AWSCURRENT"].clone();
            let used = || prober.report().of(NAME).unwrap().last_version.clone();
            assert!(poll::until_true(PATIENCE, || used().as_ref() == Some(&newest)));
        }
        let_time_pass(&workspace);
        let keys = older(&workspace);
        assert_eq!(keys.len(), ROTATIONS);
        for arguments in [&["retire", NAME][..], &["retire", NAME, "--now"]] {
            let refused = workspace.run(arguments);
            let refused = refused.failed(
                7,
                &["until you declare", "--declare-dead", "was not changed"],
            );
            for key in &keys {
                assert!(refused.stderr.contains(key), "{refused:?}");
            }
        }
        rotate_in_turn(&workspace, &[NAME], 1);
        assert_eq!(older(&workspace).len(), ROTATIONS + 1);
        let seen = prober.report().logins;
        assert!(poll::until_true(PATIENCE, || prober.report().logins > seen + 100));
    });
    nobody_is_refused("a key ring behind a cache", ROTATIONS as u64 + 1, &report);

    let (before, keys) = (workspace.current(NAME), older(&workspace));
    let word = word(&workspace, NAME);
    let declared = workspace.run(&["retire", NAME, &word]).succeeded();
    for key in &keys {
        assert!(declared.stderr.contains(key), "{declared:?}");
    }
    let after = workspace.current(NAME);
    assert_eq!(after["current"], before["current"]);
    assert_eq!((after.get("ring"), &after["other"]), (None, &json!(1.5)));
    workspace
        .run(&["retire", NAME, &word])
        .succeeded()
        .says(&["no old value waits"]);
    workspace.run(&["history", NAME]).succeeded().says(&[
        "retire --declare-dead started (key-ring) by",
        "note: nothing can be decrypted any more with the keys first, ",
    ]);
    // And on it goes, with the one key that is left.
    workspace.run(&["rotate", NAME]).succeeded();
    assert_eq!(
        older(&workspace),
        [before["current"]["id"].as_str().unwrap()]
    );
}

#[test]
fn status_says_that_only_a_word_ends_an_older_key() {
    let workspace = ring("");
    workspace
        .run(&["retire", NAME])
        .succeeded()
        .says(&["no old value waits"]);
    workspace.run(&["rotate", NAME]).succeeded();
    let status = workspace
        .run(&["status", NAME, "--json"])
        .succeeded()
        .json();
    let retirement = &status[0]["retirement"];
    assert_eq!(retirement["by_word"], true);
    let steps = retirement["operator_steps"]["title"].as_str().unwrap();
    assert!(steps.contains("first"), "{steps}");
    assert_eq!(
        (&status[0]["automatic"], &status[0]["grace_left_seconds"]),
        (&json!(true), &json!(0))
    );
    workspace
        .run(&["status"])
        .succeeded()
        .says(&["key-ring", "you declare its end"]);
    let next = workspace.current(NAME)["next_rotation"].clone();
    let now = workspace.current(NAME)["rotation_timestamp"].clone();
    let year = |time: &Value| time.as_str().unwrap()[..4].parse::<u32>().unwrap();
    assert_eq!(year(&next), year(&now) + 1, "365 days");
    workspace.run(&["verify", NAME]).succeeded();
}

/// What the operator has to declare is not forgotten with the version that it was noted for.
#[test]
fn a_value_put_by_hand_keeps_its_older_keys() {
    let workspace = ring("");
    workspace.run(&["rotate", NAME]).succeeded();
    let mut value = workspace.current(NAME);
    value["other"] = json!(2);
    workspace
        .run_with(
            &["secret", "put", NAME, "--value-stdin"],
            &value.to_string(),
            &[],
        )
        .succeeded();
    workspace
        .run(&["retire", NAME])
        .failed(7, &["first", "--declare-dead"]);
    workspace.run(&["rotate", NAME]).succeeded();
    assert_eq!(older(&workspace).len(), 2);
}

/// The operator has re-encrypted what they were told to, and nothing else.
#[test]
fn a_word_ends_no_key_that_came_after_it() {
    let workspace = ring("");
    workspace.run(&["rotate", NAME]).succeeded();
    let (early, second) = (word(&workspace, NAME), newest(&workspace));
    workspace.run(&["rotate", NAME]).succeeded();
    let told = |declared: &str, keys: &[&str]| {
        let before = workspace.text(NAME, "AWSCURRENT");
        workspace.run(&["retire", NAME, declared]).failed(7, keys);
        assert_eq!(workspace.text(NAME, "AWSCURRENT"), before);
    };
    told(&early, &["first", &second, "--declare-dead="]);
    told("--declare-dead", &["first", &second, "--declare-dead="]);
    // One that came by hand is named as well, though no rotation has noted it.
    let late = word(&workspace, NAME);
    let mut value = workspace.current(NAME);
    value["ring"]["by-hand"] = json!({"value": FIRST});
    let put = ["secret", "put", NAME, "--value-stdin"];
    workspace
        .run_with(&put, &value.to_string(), &[])
        .succeeded();
    told(&late, &["first", &second, "by-hand"]);
    let status = workspace.run(&["status", NAME, "--json"]).json();
    let steps = &status[0]["retirement"]["operator_steps"]["title"];
    assert!(steps.as_str().unwrap().contains("by-hand"), "{steps}");
    let word = word(&workspace, NAME);
    workspace.run(&["retire", NAME, &word]).succeeded();
    assert_eq!(older(&workspace), Vec::<String>::new());
}

/// A ring that somebody made, so that no rotation owes its end.
#[test]
fn a_ring_that_was_made_by_hand_ends_by_the_same_word() {
    let workspace = ring("");
    let made = json!({
        "current": {"id": "second", "value": FIRST},
        "ring": {"first": {"value": FIRST}},
    });
    let put = ["secret", "put", NAME, "--value-stdin"];
    workspace.run_with(&put, &made.to_string(), &[]).succeeded();
    let status = workspace.run(&["status", NAME, "--json"]).json();
    assert_eq!(status[0]["retirement"]["by_word"], true);
    workspace.run(&["retire", NAME]).failed(7, &["first"]);
    let word = word(&workspace, NAME);
    workspace.run(&["retire", NAME, &word]).succeeded();
    assert_eq!(older(&workspace), Vec::<String>::new());
    assert_eq!(newest(&workspace), "second");
    workspace
        .run(&["retire", NAME])
        .succeeded()
        .says(&["no old value waits"]);
}

/// The next key is published and not in use: what was owed before is owed still.
#[test]
fn while_a_key_is_announced_the_older_ones_wait_for_the_same_word() {
    let workspace = ring("");
    workspace.run(&["rotate", NAME]).succeeded();
    workspace.configure(&format!(
        "[secret.\"{NAME}\"]\nplugin = \"opaque\"\nstrategy = \"key-ring\"\nlead_seconds = 3600\n"
    ));
    let mut child = workspace.start(&["rotate", NAME]);
    let announced = || {
        let status = workspace.run(&["status", NAME, "--json"]).succeeded();
        status.json()[0]["announced_at_ms"].is_u64()
    };
    assert!(poll::until_true(PATIENCE, announced));
    assert!(kill(&mut child));
    assert_eq!(older(&workspace).len(), 2, "one older, one announced");
    let key = newest(&workspace);
    workspace.run(&["retire", NAME]).failed(7, &["first"]);
    let word = word(&workspace, NAME);
    workspace.run(&["retire", NAME, &word]).succeeded();
    // The announced key was not spoken of.
    let left = older(&workspace);
    assert_eq!((left.len(), newest(&workspace)), (1, key));
    assert_ne!(left, ["first"]);
}

/// What one credential's keys wait for holds up no other credential, and no other rotation forgets it.
#[test]
fn beside_other_credentials_a_ring_waits_for_its_own_word() {
    let name = "app-prod/shared";
    let workspace = Workspace::with(&format!(
        "[secret.\"{name}\".credential.keys]\nplugin = \"opaque\"\nstrategy = \"key-ring\"\n\
         [secret.\"{name}\".credential.internal]\nplugin = \"api-key\"\ngrace_seconds = 0\n"
    ));
    let value = json!({
        "current": {"id": "first", "value": FIRST},
        "internal_api_key": format!("festival_sk_live_{}", "k".repeat(43)),
    });
    workspace.create(name, &value.to_string());
    let (keys, internal) = (format!("{name}#keys"), format!("{name}#internal"));
    for credential in [&keys, &internal, &keys, &internal] {
        workspace.run(&["rotate", credential]).succeeded();
    }
    workspace.run(&["retire", &keys]).failed(7, &["first"]);
    let before = workspace.current(name);
    assert_eq!(before["ring"].as_object().unwrap().len(), 2);
    let word = word(&workspace, &keys);
    workspace.run(&["retire", &keys, &word]).succeeded();
    let mut expected = before;
    expected.as_object_mut().unwrap().remove("ring");
    assert_eq!(workspace.current(name), expected);
}

/// Either strategy would forget what the other one keeps.
#[test]
fn a_ring_does_not_become_a_window_nor_a_window_a_ring() {
    let workspace = ring("");
    workspace.run(&["rotate", NAME]).succeeded();
    let before = workspace.text(NAME, "AWSCURRENT");
    let (key, word) = (newest(&workspace), word(&workspace, NAME));
    workspace.configure(&format!("[secret.\"{NAME}\"]\nplugin = \"opaque\"\n"));
    for arguments in [
        &["rotate", NAME][..],
        &["rotate", NAME, "--now"],
        &["retire", NAME, &word],
    ] {
        workspace
            .run(arguments)
            .failed(5, &["key-ring", "was not changed"]);
    }
    workspace
        .run(&["retire", NAME, "--now"])
        .failed(7, &["do not declare anything", "key-ring"]);
    assert_eq!(workspace.text(NAME, "AWSCURRENT"), before);
    assert_eq!(newest(&workspace), key);
}

/// A reader's cache has not heard of the key that encrypts: the check of the first test can fail.
#[test]
fn without_a_lead_a_cached_reader_misses_the_newest_key() {
    let workspace = ring("");
    let report = while_used(
        &workspace,
        vec![(Kind::KeyRing, NAME)],
        2 * CACHE,
        |prober| {
            for _ in 0..ATTEMPTS {
                rotate_in_turn(&workspace, &[NAME], 1);
                if poll::until_true(2 * CACHE, || prober.report().failed > 0) {
                    break;
                }
            }
        },
    );
    assert!(report.failed > 0, "{report:?}");
}

#[test]
fn no_key_is_written_anywhere() {
    let workspace = ring("");
    workspace.run(&["rotate", NAME]).succeeded();
    let word = word(&workspace, NAME);
    workspace.run(&["retire", NAME, &word]).succeeded();
    let made = workspace.current(NAME)["current"]["value"].clone();
    let scan = workspace.scan_for(&[FIRST, made.as_str().unwrap()], "");
    assert_eq!(scan.findings, []);
    println!(
        "evidence: canary scan: {} bytes searched, 0 found",
        scan.bytes
    );
}

/// Whoever reads the ring has to decrypt what was ever encrypted with it.
struct Readers {
    workspace: Workspace,
    vault: Mutex<Vault>,
}

impl Readers {
    fn start() -> Self {
        Self {
            workspace: ring(""),
            vault: Mutex::default(),
        }
    }
}

impl Site for Readers {
    fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    fn secret(&self) -> &str {
        NAME
    }

    fn login(&self, value: &Value) -> Result<(), String> {
        let text = value.to_string();
        let mut vault = self.vault.lock().unwrap();
        vault.log_in(&text, &text).map(drop)
    }

    /// There are none: whoever encrypts reads the secret and connects to nobody.
    fn end_sessions_of_the_dead(&self) {}
}

#[test]
fn a_rotation_killed_at_any_line_loses_no_key() {
    let readers = Readers::start();
    while_probed("a key ring", &readers, || sweep_single(&readers));
}

/// Killed at any line, it has dropped all older keys or none, and the next run ends what was declared.
#[test]
fn a_declaration_killed_at_any_line_is_whole() {
    let readers = Readers::start();
    let workspace = &readers.workspace;
    let mut kills = 0;
    loop {
        finish(&readers);
        let word = word(workspace, NAME);
        let declare = ["retire", NAME, &word];
        let (kept, key) = (older(workspace), newest(workspace));
        let killed = start_and_kill(&readers, &declare, |lines| lines.len() > kills);
        let left = older(workspace);
        assert!(left.is_empty() || left == kept, "{left:?} of {kept:?}");
        assert_eq!(newest(workspace), key);
        workspace.run(&declare).succeeded();
        assert_eq!((older(workspace), newest(workspace)), (Vec::new(), key));
        if killed.is_none() {
            break;
        }
        kills += 1;
    }
    assert!(kills >= KILLS_MIN, "{kills} kills");
    println!("evidence: a declaration, killed at the trail: {kills} kills");
}
