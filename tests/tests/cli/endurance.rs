//! Many rotations in a row under applications that use the secret all the time: some read it anew for
//! each login, some through a cache as guide.md §2.4's does, with a scaled-down lifetime. And the
//! settings with which the cached ones are locked out, so that the check is known to be able to fail.

use std::sync::Arc;
use std::time::Duration;

use harness::poll;
use harness::prober::{Kind, Prober, Report};
use keyturn_store::embedded::{EmbeddedStore, MasterKey};
use keyturn_store::{SecretStore, SystemClock};
use serde_json::{Value, json};

use crate::support::Site as _;
use crate::support::festival::{Festival, SECRET};
use crate::support::{Workspace, secret};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Stands for guide.md's 300 s.
pub(crate) const CACHE: Duration = Duration::from_millis(500);
const LIFETIME: &str = "1s";
/// Tokens that were signed at the end of the cache's life have to be accepted until they expire.
const TOKEN_GRACE_SECONDS: u64 = 2;
/// At least the cache's life.
pub(crate) const LEAD_SECONDS: u64 = 1;
/// A validator counts its window from the announcement on, in whole seconds, so that it has to cover the
/// lead and the cache's life; the rest is for a busy machine.
pub(crate) const KEY_GRACE_SECONDS: u64 = 4;
pub(crate) const ATTEMPTS: usize = 10;

#[test]
fn a_hundred_rotations_lock_nobody_out() {
    let festival = Festival::start("alternating", 1);
    let targets = vec![(Kind::Postgres, SECRET)];
    let report = while_used(&festival.workspace, targets, Duration::ZERO, |_| {
        for _ in 0..100 {
            let ended = festival.workspace.run(&["rotate", SECRET, "--now"]);
            ended.succeeded();
        }
    });
    nobody_is_refused("rotations in a row", 100, &report);
    assert!(report.of(SECRET).unwrap().versions > 50, "{report:?}");
}

#[test]
fn a_database_client_behind_a_cache_is_never_refused() {
    let festival = Festival::start("alternating", 1);
    let targets = vec![(Kind::Postgres, SECRET)];
    let report = while_used(&festival.workspace, targets, CACHE, |_| {
        rotate_in_turn(&festival.workspace, &[SECRET], 20);
    });
    nobody_is_refused("postgres behind a cache", 20, &report);
}

#[test]
fn token_services_behind_a_cache_are_never_refused() {
    let names = [
        "festival-prod/jwt-1",
        "festival-prod/jwt-2",
        "festival-prod/jwt-3",
        "festival-prod/jwt-4",
    ];
    let workspace = tokens("jwt", &names, LEAD_SECONDS, &jwt_value());
    let targets = names.map(|name| (Kind::Jwt, name)).to_vec();
    let report = while_used(&workspace, targets, CACHE, |_| {
        rotate_in_turn(&workspace, &names, 5);
    });
    nobody_is_refused("jwt behind a cache", 20, &report);
}

#[test]
fn api_key_callers_behind_a_cache_are_never_refused() {
    let names = [
        "festival-prod/keys-1",
        "festival-prod/keys-2",
        "festival-prod/keys-3",
        "festival-prod/keys-4",
    ];
    let workspace = tokens("api-key", &names, LEAD_SECONDS, &api_key_value());
    let targets = names.map(|name| (api_key(), name)).to_vec();
    let report = while_used(&workspace, targets, CACHE, |_| {
        rotate_in_turn(&workspace, &names, 5);
    });
    nobody_is_refused("api-key behind a cache", 20, &report);
}

/// The new key signs before the verifier's cache has heard of it.
#[test]
fn without_a_lead_a_cached_verifier_refuses() {
    for (plugin, kind, value) in [
        ("jwt", Kind::Jwt, jwt_value()),
        ("api-key", api_key(), api_key_value()),
    ] {
        let name = "festival-prod/keys";
        let workspace = tokens(plugin, &[name], 0, &value);
        let report = while_used(&workspace, vec![(kind, name)], 2 * CACHE, |prober| {
            // Where the verifier happens to read first, one rotation passes unnoticed.
            for _ in 0..ATTEMPTS {
                rotate_in_turn(&workspace, &[name], 1);
                if poll::until_true(2 * CACHE, || prober.report().failed > 0) {
                    break;
                }
            }
        });
        assert!(report.failed > 0, "{plugin}: {report:?}");
    }
}

/// The old user's password is gone while the client's cache still holds it.
#[test]
fn with_a_grace_that_is_cut_short_a_cached_client_is_refused() {
    let festival = Festival::start("alternating", 1);
    let targets = vec![(Kind::Postgres, SECRET)];
    let report = while_used(&festival.workspace, targets, 20 * CACHE, |prober| {
        for _ in 0..2 {
            let ended = festival.workspace.run(&["rotate", SECRET, "--now"]);
            ended.succeeded();
        }
        festival.current_logs_in();
        let _ = poll::until_true(20 * CACHE, || prober.report().failed > 0);
    });
    assert!(report.failed > 0, "{report:?}");
}

fn api_key() -> Kind {
    Kind::ApiKey {
        window: Duration::from_secs(KEY_GRACE_SECONDS),
    }
}

fn jwt_value() -> Value {
    json!({
        "secret": "a".repeat(64), "refresh_secret": "b".repeat(64), "algorithm": "HS256",
        "access_token_expiry": LIFETIME, "refresh_token_expiry": LIFETIME,
    })
}

fn api_key_value() -> Value {
    let key = format!("festival_sk_live_{}", "k".repeat(43));
    json!({"internal_api_key_hash": crate::tokens::sha256(&key), "internal_api_key": key, "key_version": 1})
}

/// A workspace with secrets of this kind and value.
fn tokens(plugin: &str, names: &[&str], lead_seconds: u64, value: &Value) -> Workspace {
    let grace_seconds = match plugin {
        "jwt" => TOKEN_GRACE_SECONDS,
        _ => KEY_GRACE_SECONDS,
    };
    let tables: String = names
        .iter()
        .map(|name| {
            format!(
                "[secret.\"{name}\"]\nplugin = \"{plugin}\"\ngrace_seconds = {grace_seconds}\n\
                 lead_seconds = {lead_seconds}\n"
            )
        })
        .collect();
    let workspace = Workspace::with(&tables);
    for name in names {
        workspace.create(name, &value.to_string());
    }
    workspace
}

/// So many rotations of each, all at once; only a grace may keep one waiting.
pub(crate) fn rotate_in_turn(workspace: &Workspace, names: &[&str], rotations: usize) {
    std::thread::scope(|scope| {
        for name in names {
            scope.spawn(move || {
                for _ in 0..rotations {
                    let ended = poll::until(PATIENCE, || {
                        let ended = workspace.run(&["rotate", name]);
                        (ended.code != Some(7)).then_some(ended)
                    });
                    ended.expect("refused for too long").succeeded();
                }
            });
        }
    });
}

/// What the applications of these secrets met while `work` was done.
pub(crate) fn while_used(
    workspace: &Workspace,
    targets: Vec<(Kind, &str)>,
    cache: Duration,
    work: impl FnOnce(&Prober),
) -> Report {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let key = MasterKey::from_file(&workspace.path("master.key")).unwrap();
    let path = workspace.path("store.db");
    let store = EmbeddedStore::open(&path, &key, Arc::new(SystemClock)).unwrap();
    let store: Arc<dyn SecretStore> = Arc::new(store);
    let targets = targets
        .into_iter()
        .map(|(kind, name)| (kind, secret(name)))
        .collect();
    let prober = {
        let _inside = runtime.enter();
        Prober::start_cached(&store, targets, cache)
    };
    assert!(poll::until_true(PATIENCE, || prober.is_ready()));
    work(&prober);
    runtime.block_on(prober.stop())
}

#[track_caller]
pub(crate) fn nobody_is_refused(what: &str, rotations: u64, report: &Report) {
    let earlier: u64 = report.secrets.iter().map(|of| of.earlier_accepted).sum();
    // A database has one password; tokens and keys have a window.
    let earlier = match earlier {
        0 => String::new(),
        accepted => format!(", {accepted} earlier tokens and keys accepted"),
    };
    println!(
        "evidence: {what}: {rotations} rotations, {} logins, {} failed{earlier}",
        report.logins, report.failed
    );
    assert_eq!(report.failed, 0, "{report:?}");
    assert!(report.logins > rotations, "{report:?}");
    for secret in &report.secrets {
        assert!(secret.versions > 1, "{report:?}");
    }
}
