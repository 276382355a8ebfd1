//! Each plugin that ships, with each of its strategies.

use std::collections::{BTreeMap, BTreeSet};

use harness::postgres::{ClusterOptions, documented_setup};
use harness::redis::{Server, ServerOptions, documented_user, sha256};
use harness::scratch::Scratch;
use harness::tls::Authority;
use keyturn_conformance::{Ruling, Scene, Tls};
use keyturn_runtime::TlsMode;
use serde_json::{Value, json};

use crate::support::{Place, checked, is_fit, shipped};
use crate::{managed, vendors};

const PASSWORD: &str = "first-Password/of the+application=42";
const ADMIN_PASSWORD: &str = "rotation-Admin/of the+festival=4711";

/// The authority whose certificates the servers have, in a file as the grant wants it.
pub(crate) struct Trust {
    pub(crate) authority: Authority,
    folder: Scratch,
}

impl Trust {
    pub(crate) fn new() -> Self {
        let authority = Authority::new("conformance's authority").unwrap();
        let folder = Scratch::new("keyturn-conformance").unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.certificate_pem()).unwrap();
        Self { authority, folder }
    }

    pub(crate) fn tls(&self) -> Tls {
        Tls {
            mode: TlsMode::VerifyFull,
            ca: Some(self.folder.path().join("ca.pem")),
            server_name: None,
        }
    }
}

macro_rules! strategies {
    ($($name:ident: $plugin:literal with $strategy:literal by $check:ident,)*) => {
        /// By plugin.
        const STRATEGIES: &[(&str, &str)] = &[$(($plugin, $strategy)),*];
        $(
            #[test]
            fn $name() {
                $check($strategy);
            }
        )*
    };
}

strategies! {
    jwt_is_fit: "jwt" with "overlap" by jwt,
    api_key_is_fit: "api-key" with "overlap" by api_key,
    opaque_with_an_overlap_is_fit: "opaque" with "overlap" by opaque,
    opaque_with_a_key_ring_is_fit: "opaque" with "key-ring" by opaque,
    opaque_with_a_text_is_fit: "opaque" with "text" by opaque_text,
    postgres_with_alternating_users_is_fit: "postgres" with "alternating" by postgres,
    postgres_with_a_single_user_is_fit: "postgres" with "single" by postgres,
    redis_with_two_passwords_is_fit: "redis" with "dual" by redis_dual,
    redis_with_requirepass_is_fit: "redis" with "single" by redis_single,
}

fn all_strategies() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    STRATEGIES
        .iter()
        .chain(vendors::STRATEGIES)
        .chain(managed::STRATEGIES)
}

/// `open`: the checks that nobody can make there.
#[track_caller]
pub(crate) fn shipped_is_fit(name: &str, strategy: &str, place: &Place, open: &[&str]) {
    place.scene.lock().unwrap().strategy = Some(strategy.to_owned());
    assert!(all_strategies().any(|known| *known == (name, strategy)));
    let report = checked(name, shipped(name), place);
    is_fit(&report, open);
    for other in &report.other_strategies {
        let is_checked = all_strategies().any(|known| *known == (name, other));
        assert!(is_checked, "nobody checks {name} with {other}");
    }
    let passed = report.count(|ruling| *ruling == Ruling::Passed);
    println!("evidence: conformance of shipped plugins: {passed} checks");
}

fn without_target(secret: &str) -> Place {
    Place::of(
        Scene {
            secret: secret.to_owned(),
            settings: json!({}),
            ..Scene::default()
        },
        false,
    )
}

#[test]
fn every_plugin_is_checked() {
    let files = std::fs::read_dir(env!("KEYTURN_PLUGINS")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let components = paths.filter(|path| path.extension().is_some_and(|wasm| wasm == "wasm"));
    let shipped = components.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let checked = all_strategies().map(|(plugin, _)| (*plugin).to_owned());
    assert_eq!(shipped.collect::<BTreeSet<_>>(), checked.collect());
}

fn jwt(strategy: &str) {
    let key = "k".repeat(64);
    let secret = json!({
        "secret": key, "refresh_secret": key.replace('k', "r"), "algorithm": "HS256",
        "access_token_expiry": "15m", "refresh_token_expiry": "7d",
    });
    let place = without_target(&secret.to_string());
    shipped_is_fit("jwt", strategy, &place, &[]);
}

fn api_key(strategy: &str) {
    let place = without_target(r#"{"internal_api_key":"festival_sk_live_0123456789abcdef"}"#);
    shipped_is_fit("api-key", strategy, &place, &[]);
}

const BYTES: &str = "bWFkZS11cC1ieXRlcy1tYWRlLXVwLWJ5dGVzLTEyMzQ=";

fn opaque(strategy: &str) {
    let mut secret = json!({"current": {"value": BYTES, "created_at": "2026-01-02T00:00:00Z"}});
    if strategy == "key-ring" {
        let old =
            json!({"value": BYTES.replace("bWFk", "QUFB"), "created_at": "2025-01-02T00:00:00Z"});
        secret["current"]["id"] = json!("k1");
        secret["ring"] = json!({"k0": old});
    }
    let place = without_target(&secret.to_string());
    shipped_is_fit("opaque", strategy, &place, &[]);
}

fn opaque_text(strategy: &str) {
    let place = without_target("first-Password/of a generic secret");
    shipped_is_fit("opaque", strategy, &place, &[]);
}

/// A primary and a standby that is only read from.
fn postgres(strategy: &str) {
    let trust = Trust::new();
    let identity = trust.authority.issue(&["127.0.0.1", "localhost"]).unwrap();
    let primary = ClusterOptions::new()
        .tls(identity.certificate_pem, identity.key_pem)
        .hba("hostssl all open_to_all 127.0.0.1/32 trust")
        .streams()
        .start()
        .unwrap();
    primary.query("CREATE DATABASE festival").unwrap();
    primary
        .query_in("festival", documented_setup().unwrap())
        .unwrap();
    primary
        .query_in(
            "festival",
            &format!(
                "ALTER ROLE festival_app PASSWORD '{PASSWORD}';\
                 ALTER ROLE festival_rotation PASSWORD '{ADMIN_PASSWORD}';\
                 CREATE ROLE open_to_all LOGIN PASSWORD '{PASSWORD}';\
                 CREATE ROLE shut_out LOGIN PASSWORD '{PASSWORD}';\
                 REVOKE CONNECT ON DATABASE festival FROM PUBLIC;\
                 GRANT CONNECT ON DATABASE festival TO festival_app, festival_rotation, open_to_all"
            ),
        )
        .unwrap();
    let standby = primary.start_standby().unwrap();
    let value = |user: &str, password: &str| {
        json!({
            "engine": "postgres", "host": "127.0.0.1", "port": primary.port(), "dbname": "festival",
            "username": user, "password": password, "masterarn": "festival-prod/database-admin",
        })
    };
    let admin = value("festival_rotation", ADMIN_PASSWORD).to_string();
    let scene = Scene {
        secret: value("festival_app", PASSWORD).to_string(),
        settings: json!({}),
        companions: BTreeMap::from([("admin".to_owned(), admin)]),
        endpoints: BTreeMap::from([(
            "readers".to_owned(),
            vec![format!("127.0.0.1:{}", standby.port())],
        )]),
        tls: trust.tls(),
        unprivileged: Some(value("shut_out", PASSWORD).to_string()),
        unprotected: Some(value("open_to_all", PASSWORD).to_string()),
        ..Scene::default()
    };
    let mut place = Place::of(scene, true);
    place.lag = Some(Box::new(move |on| {
        let replay = if on { "pause" } else { "resume" };
        standby
            .query(&format!("SELECT pg_wal_replay_{replay}()"))
            .unwrap();
    }));
    shipped_is_fit("postgres", strategy, &place, &[]);
}

/// Three servers that know nothing of each other, as the shards of a client do.
fn redis_dual(strategy: &str) {
    let trust = Trust::new();
    let servers: Vec<Server> = (0..3)
        .map(|_| redis_server(&trust, |options| options))
        .collect();
    let place = redis(&trust, &servers, json!("festival"));
    shipped_is_fit("redis", strategy, &place, &[]);
}

fn redis_single(strategy: &str) {
    let trust = Trust::new();
    let servers: Vec<Server> = (0..2)
        .map(|_| {
            redis_server(&trust, |options| {
                options
                    .conf("rename-command ACL \"\"")
                    .conf(format!("requirepass \"{PASSWORD}\""))
            })
        })
        .collect();
    let place = redis(&trust, &servers, Value::Null);
    shipped_is_fit("redis", strategy, &place, &[]);
}

fn redis_server(trust: &Trust, more: impl Fn(ServerOptions) -> ServerOptions) -> Server {
    let identity = trust.authority.issue(&["127.0.0.1", "localhost"]).unwrap();
    let options = ServerOptions::new()
        .tls(identity.certificate_pem, identity.key_pem)
        .user(documented_user(
            "festival",
            &format!("#{}", sha256(PASSWORD)),
        ))
        .user(documented_user(
            "rotation",
            &format!("#{}", sha256(ADMIN_PASSWORD)),
        ))
        .user("open_to_all on nopass ~* +@all")
        .user(format!("shut_out on #{} ~* -@all +auth", sha256(PASSWORD)));
    more(options).start().unwrap()
}

fn redis(trust: &Trust, servers: &[Server], user: Value) -> Place {
    let nodes: Vec<Value> = servers
        .iter()
        .map(|server| json!({"host": "127.0.0.1", "port": server.tls_port()}))
        .collect();
    let value = |user: &Value| {
        let mut value = json!({
            "host": "127.0.0.1", "port": servers[0].tls_port(), "nodes": nodes, "password": PASSWORD,
        });
        if !user.is_null() {
            value["username"] = user.clone();
            value["masterarn"] = json!("festival-prod/redis-admin");
        }
        value.to_string()
    };
    let companions = match user {
        Value::Null => BTreeMap::new(),
        _ => BTreeMap::from([(
            "admin".to_owned(),
            json!({"username": "rotation", "password": ADMIN_PASSWORD}).to_string(),
        )]),
    };
    let scene = Scene {
        secret: value(&user),
        settings: json!({}),
        companions,
        tls: trust.tls(),
        unprivileged: Some(value(&json!("shut_out"))),
        unprotected: Some(value(&json!("open_to_all"))),
        ..Scene::default()
    };
    Place::of(scene, true)
}
