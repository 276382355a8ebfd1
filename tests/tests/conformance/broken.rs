//! For each check a plugin that fails it and no other: a check that can't fail says nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use harness::guests;
use keyturn_conformance::{CHECKS, Report, Ruling, Scene, Tls};
use keyturn_runtime::TlsMode;
use serde_json::{Value, json};
use wasm_encoder::{ComponentSection as _, CustomSection};

use crate::door::{Door, User};
use crate::support::{Place, checked, is_fit};

const MARKER: &[u8] = b"keyturn-defect:none.";
const PASSWORD: &str = "first-password-of-the-door";

/// What is wrong with it.
#[derive(Clone, Copy)]
enum Defect {
    Nothing,
    /// In its code.
    Marked(&'static str),
    /// In its manifest: this text instead of that one, of the same length.
    Manifest(&'static str, &'static str),
    /// It is padded with so many bytes.
    Padded(usize),
}

/// Three nodes and a replica.
struct Site {
    nodes: Vec<Door>,
    replica: Door,
}

impl Site {
    fn start() -> Self {
        let user = |may_work, is_open| User {
            passwords: [PASSWORD.to_owned()].into(),
            may_work,
            is_open,
        };
        let users = [
            ("app", user(true, false)),
            ("shut_out", user(false, false)),
            ("open_to_all", user(true, true)),
        ];
        let nodes: Vec<Door> = (0..3).map(|_| Door::start(&users)).collect();
        let replica = nodes[0].replica();
        Self { nodes, replica }
    }

    fn value(&self, user: &str) -> String {
        let places = self.nodes.iter();
        let places = places.map(|node| json!({"host": "127.0.0.1", "port": node.port()}));
        value_at(places.collect(), user)
    }

    /// Its nodes by names that nobody knows, at a port that no value says.
    fn scene_by_names(&self) -> Scene {
        let names: Vec<_> = (0..self.nodes.len())
            .map(|node| format!("door-{node}.invalid"))
            .collect();
        let places: Vec<_> = names.iter().map(|name| json!({"host": name})).collect();
        let value = |user| value_at(places.clone(), user);
        let reached_at = names.iter().zip(&self.nodes);
        let reached_at = reached_at
            .map(|(name, node)| (format!("{name}:1"), format!("127.0.0.1:{}", node.port())));
        Scene {
            secret: value("app"),
            reached_at: reached_at.collect(),
            unprivileged: Some(value("shut_out")),
            unprotected: Some(value("open_to_all")),
            ..self.scene()
        }
    }

    fn scene(&self) -> Scene {
        let readers = vec![format!("127.0.0.1:{}", self.replica.port())];
        Scene {
            secret: self.value("app"),
            settings: json!({}),
            endpoints: BTreeMap::from([("readers".to_owned(), readers)]),
            tls: Tls {
                mode: TlsMode::Disable,
                ..Tls::default()
            },
            unprivileged: Some(self.value("shut_out")),
            unprotected: Some(self.value("open_to_all")),
            ..Scene::default()
        }
    }
}

/// The first node's place is the value's own, too.
fn value_at(places: Vec<Value>, user: &str) -> String {
    let mut value = places[0].clone();
    value["nodes"] = Value::Array(places);
    value["username"] = json!(user);
    value["password"] = json!(PASSWORD);
    value.to_string()
}

/// Each check has a site of its own, so that none finds what another one has left.
fn report_of(defect: Defect, scene_of: fn(&Site) -> Scene, left_out: &[&'static str]) -> Report {
    let sites = Arc::new(Mutex::new(Vec::new()));
    let mut place = Place::of(Scene::default(), true);
    place.left_out = left_out.to_vec();
    let last = Arc::clone(&sites);
    place.lag = Some(Box::new(move |on| {
        let sites: MutexGuard<'_, Vec<Site>> = last.lock().unwrap();
        sites.last().unwrap().replica.lag(on);
    }));
    place.fresh = Some(Box::new(move || {
        let site = Site::start();
        let scene = scene_of(&site);
        sites.lock().unwrap().push(site);
        scene
    }));
    checked("door", plugin(defect), &place)
}

fn plugin(defect: Defect) -> Vec<u8> {
    static CORE: OnceLock<Vec<u8>> = OnceLock::new();
    let core = CORE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/guest");
        guests::core(&folder, "keyturn_plugin_door")
    });
    let mut core = core.clone();
    match defect {
        Marked(name) => {
            let mut text = MARKER[..MARKER.len() - "none.".len()].to_vec();
            text.extend_from_slice(format!("{name}.").as_bytes());
            replace(&mut core, MARKER, &text);
        }
        Manifest(from, to) => {
            assert_eq!(from.len(), to.len());
            replace(&mut core, from.as_bytes(), to.as_bytes());
        }
        Defect::Nothing | Padded(_) => {}
    }
    let mut component = guests::component(&core);
    if let Padded(bytes) = defect {
        let (name, data) = ("padding".into(), vec![0; bytes].into());
        CustomSection { name, data }.append_to_component(&mut component);
    }
    component
}

/// Wherever it stands: the manifest is there twice.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let places: Vec<usize> = (0..=bytes.len() - from.len())
        .filter(|at| bytes[*at..].starts_with(from))
        .collect();
    assert!(!places.is_empty(), "{:?}", String::from_utf8_lossy(from));
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to);
    }
}

#[test]
fn a_sound_plugin_passes_every_check() {
    passes_every_check(&report_of(Defect::Nothing, Site::scene, &[]));
}

#[test]
fn a_plugin_whose_values_say_no_port_passes_every_check() {
    let fixed = Manifest(r#"port = "/port""#, "port_default=1");
    passes_every_check(&report_of(fixed, Site::scene_by_names, &[]));
}

#[track_caller]
fn passes_every_check(report: &Report) {
    is_fit(report, &[]);
    assert_eq!(
        report.count(|ruling| *ruling == Ruling::Passed),
        CHECKS.len(),
        "a check that does not apply is none that can fail here"
    );
}

macro_rules! broken {
    ($($name:ident: $check:literal by $defect:expr,)*) => {
        const BROKEN: &[&str] = &[$($check),*];
        $(#[test]
        fn $name() {
            fails_only($check, $defect);
        })*
    };
}

/// They take up to a hundred rotations each, or wait, so a plugin that is broken elsewhere is spared them. The sound
/// one is not.
const SLOW: [&str; 5] = ["cut", "crash", "crash-retire", "crash-steps", "limits"];

#[track_caller]
fn fails_only(check: &str, defect: Defect) {
    // What is said to a silent peer has to be searched, too.
    let is_spared = |slow: &&str| *slow != check && (*slow != "limits" || check != "canary");
    let others: Vec<_> = SLOW.into_iter().filter(is_spared).collect();
    let report = report_of(defect, Site::scene, &others);
    let failed: Vec<_> = report.failures().map(|entry| entry.id).collect();
    assert_eq!(failed, [check]);
    println!("evidence: conformance, broken on purpose: 1 broken plugins");
}

use Defect::{Manifest, Marked, Padded};

broken! {
    too_large: "component" by Padded(3 << 20),
    an_import_that_its_manifest_lacks: "imports" by Manifest(
        "    \"clock\",\n",
        "            \n",
    ),
    a_wish_that_it_does_not_need: "imports" by Manifest(
        "    \"clock\",\n    \"log\",\n]",
        "\"clock\",\"log\",\"http\"]    ",
    ),
    another_version_of_the_contract: "contract" by Manifest(r#"contract = "0.1.1""#, r#"contract = "0.1.0""#),
    another_description_each_time: "describe" by Marked("describe"),
    no_example: "example" by Marked("example"),
    a_second_delivery_that_is_refused: "one-token" by Marked("one-token"),
    a_purpose_that_is_listed_and_missing: "purposes" by Marked("purposes-missing"),
    a_purpose_that_is_there_and_not_listed: "purposes" by Marked("purposes-unlisted"),
    a_leaked_password_that_is_handed_on: "overlap-zero" by Marked("overlap-zero"),
    an_extension_with_another_password: "own-round" by Marked("own-round"),
    a_retirement_that_keeps_the_old_password: "own-round" by Marked("own-round-keeps"),
    a_number_that_is_spelled_anew: "foreign-members" by Marked("foreign-members"),
    a_panic_where_a_member_is_missing: "malformed" by Marked("malformed"),
    another_plan_each_time: "finish" by Marked("finish"),
    a_host_that_is_no_identity: "foreign-identity" by Manifest(
        "identity = [\"/host\", \"/port\"]",
        "identity = [         \"/port\"]",
    ),
    a_user_that_is_not_compared: "foreign-identity" by Marked("foreign-user"),
    a_change_that_is_made_again: "set-twice" by Marked("set-twice"),
    a_probe_that_adds_what_it_probes: "probe-harmless" by Marked("probe-harmless"),
    a_failure_in_a_password_that_works: "probe-harmless" by Marked("check-fails"),
    drift_that_is_not_told: "wrong-current" by Marked("wrong-current"),
    a_refusal_that_does_not_know: "all-wrong" by Marked("all-wrong"),
    current_retired: "retire" by Marked("retire"),
    a_retirement_that_kills_nothing: "retire" by Marked("retire-keeps"),
    a_login_without_a_look_at_rights: "permission" by Marked("permission"),
    a_test_without_a_wrong_password: "negative-control" by Marked("negative-control"),
    a_refused_connection_as_a_refused_login: "target-down" by Marked("target-down"),
    a_panic_at_nonsense: "bad-peer" by Marked("bad-peer"),
    half_an_answer_as_a_refusal: "bad-peer" by Marked("bad-peer-half"),
    a_change_that_is_denied: "cut" by Marked("cut"),
    a_retirement_that_is_denied: "cut" by Marked("cut-retire"),
    a_mark_that_a_crash_leaves: "crash" by Marked("crash"),
    a_mark_of_a_retirement: "crash-retire" by Marked("crash-retire"),
    a_mark_under_a_token_of_awss: "crash-steps" by Marked("crash-steps"),
    a_node_that_is_left_out: "node-down" by Marked("node-down"),
    half_alive_as_alive: "mixed" by Marked("mixed"),
    a_replica_that_is_not_asked: "lagging-replica" by Marked("lagging-replica"),
    a_password_in_the_log: "canary" by Marked("canary"),
    a_password_in_the_error_after_silence: "canary" by Marked("canary-timeout"),
    patience_without_end: "limits" by Marked("limits"),
}

#[test]
fn every_check_has_a_plugin_that_fails_it() {
    for check in CHECKS {
        assert!(BROKEN.contains(&check.id), "nobody fails {}", check.id);
    }
}
