//! The demo's secrets: their first values in the shapes of the applications that read them, and the
//! operator's configuration. Graces are seconds here, because a rotation inside the grace of the
//! one before is refused and three in a row should not take days; the demo says so.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use harness::prober::Kind;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Failure;
use crate::cache::{self, Cache};
use crate::database::{ADMIN, APPLICATION, DATABASE, Database};
use crate::keyturn::Keyturn;
use crate::screen::Screen;
use crate::vendor::Vendor;

const DATABASE_SECRET: &str = "festival-demo/database";
const ADMIN_SECRET: &str = "festival-demo/database-admin";
const CACHE_SECRET: &str = "festival-demo/redis";
const CACHE_ADMIN_SECRET: &str = "festival-demo/redis-admin";
const JWT_SECRET: &str = "festival-demo/jwt";
const API_KEYS_SECRET: &str = "festival-demo/api-keys";
const WEBHOOK_SECRET: &str = "festival-demo/webhook";
const ENCRYPTION_SECRET: &str = "festival-demo/encryption";

const DATABASE_GRACE_SECONDS: u64 = 2;
const CACHE_GRACE_SECONDS: u64 = 2;
const API_KEY_GRACE_SECONDS: u64 = 3;
const WEBHOOK_GRACE_SECONDS: u64 = 3;
/// One more than the longest token lives: the window has whole seconds and opens when the new value
/// is made, while the old key signs until the promotion a moment later.
const JWT_GRACE_SECONDS: u64 = 3;
const JWT_LEAD_SECONDS: u64 = 1;

/// A secret that is rotated and probed.
pub(crate) struct Secret {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What the demo's configuration sets for it, in words.
    settings: String,
}

/// Creates the secrets through the CLI and writes keyturn.toml.
pub(crate) fn create(
    keyturn: &Keyturn,
    folder: &Path,
    database: Option<&Database>,
    cache: Option<&Cache>,
    vendor: &Vendor,
) -> Result<Vec<Secret>, Failure> {
    let mut secrets = Vec::new();
    let mut configuration = format!(
        "[store]\nkind = \"embedded\"\npath = {:?}\nmaster_key_file = {:?}\n",
        keyturn.store, keyturn.master_key_file
    );
    if let Some(database) = database {
        let ca = write_ca(folder, "database-ca.pem", &database.ca_pem)?;
        configuration += &database_configuration(database.cluster.port(), &ca);
        secrets.push(Secret {
            name: DATABASE_SECRET,
            kind: Kind::Postgres,
            settings: format!("grace {DATABASE_GRACE_SECONDS} s: the previous user's password keeps working that long"),
        });
    }
    if let Some(cache) = cache {
        let ca = write_ca(folder, "redis-ca.pem", &cache.ca_pem)?;
        configuration += &cache_configuration(cache.server.tls_port(), &ca);
        secrets.push(Secret {
            name: CACHE_SECRET,
            kind: Kind::Redis,
            settings: format!(
                "grace {CACHE_GRACE_SECONDS} s: the previous password keeps working that long"
            ),
        });
    }
    configuration += &token_configuration();
    configuration += &vendor.configuration(folder)?;
    secrets.extend(token_secrets());
    fs::write(keyturn.configuration(), configuration)
        .map_err(|error| format!("writing keyturn.toml: {error}"))?;
    if let Some(database) = database {
        create_one(keyturn, folder, ADMIN_SECRET, &admin_value(database))?;
        create_one(
            keyturn,
            folder,
            DATABASE_SECRET,
            &application_value(database),
        )?;
    }
    if let Some(cache) = cache {
        let admin = json!({"username": cache::ADMIN, "password": cache.admin_password});
        create_one(keyturn, folder, CACHE_ADMIN_SECRET, &admin)?;
        create_one(keyturn, folder, CACHE_SECRET, &cache_value(cache))?;
    }
    create_one(keyturn, folder, JWT_SECRET, &jwt_value()?)?;
    create_one(keyturn, folder, API_KEYS_SECRET, &api_keys_value()?)?;
    let webhook = json!({"current": {"value": random_text(32)?}});
    create_one(keyturn, folder, WEBHOOK_SECRET, &webhook)?;
    create_one(keyturn, folder, ENCRYPTION_SECRET, &encryption_value()?)?;
    vendor.create(keyturn, folder)?;
    Ok(secrets)
}

fn token_secrets() -> [Secret; 4] {
    [
        Secret {
            name: JWT_SECRET,
            kind: Kind::Jwt,
            settings: format!(
                "access tokens live 1 s, refresh tokens 2 s, lead {JWT_LEAD_SECONDS} s, grace {JWT_GRACE_SECONDS} s"
            ),
        },
        Secret {
            name: API_KEYS_SECRET,
            kind: Kind::ApiKey {
                window: Duration::from_secs(API_KEY_GRACE_SECONDS),
            },
            settings: format!(
                "grace {API_KEY_GRACE_SECONDS} s: the previous key is accepted that long"
            ),
        },
        Secret {
            name: WEBHOOK_SECRET,
            kind: Kind::Webhook {
                window: Duration::from_secs(WEBHOOK_GRACE_SECONDS),
            },
            settings: format!(
                "grace {WEBHOOK_GRACE_SECONDS} s: signatures with the previous secret are accepted that long"
            ),
        },
        Secret {
            name: ENCRYPTION_SECRET,
            kind: Kind::KeyRing,
            settings: "no grace: every older key decrypts until the operator declares its end"
                .to_owned(),
        },
    ]
}

/// Why this run is so quick.
pub(crate) fn explain_settings(screen: &Screen, secrets: &[Secret]) {
    screen.line("\nSet so that three rotations in a row take seconds; a production system has hours or days here:");
    for secret in secrets {
        screen.line(&format!("  {:<24} {}", secret.name, secret.settings));
    }
}

/// URL-safe base64 of this many random bytes.
pub(crate) fn random_text(bytes: usize) -> Result<String, Failure> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes(bytes)?))
}

fn random_bytes(length: usize) -> Result<Vec<u8>, Failure> {
    let mut buffer = vec![0; length];
    fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut buffer))
        .map_err(|error| format!("reading /dev/urandom: {error}"))?;
    Ok(buffer)
}

/// Values reach the CLI through files that only we can read, never through arguments.
pub(crate) fn create_one(
    keyturn: &Keyturn,
    folder: &Path,
    name: &str,
    value: &Value,
) -> Result<(), Failure> {
    let file = value_file(folder, &value.to_string())?;
    let created = keyturn.create_secret(name, &file);
    fs::remove_file(&file).map_err(|error| format!("removing the value's file: {error}"))?;
    created.map_err(|error| format!("creating {name}: {error}"))
}

/// A file that only we can read.
pub(crate) fn value_file(folder: &Path, text: &str) -> Result<PathBuf, Failure> {
    let file = folder.join("value.json");
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("writing a value's file: {error}"))?;
    Ok(file)
}

fn database_configuration(port: u16, ca: &Path) -> String {
    let endpoint =
        format!("hosts = [\"127.0.0.1\"]\nports = [{port}]\ntls = \"verify-full\"\nca = {ca:?}\n");
    format!(
        "
[secret.\"{DATABASE_SECRET}\"]
plugin = \"postgres\"
strategy = \"alternating\"
grace_seconds = {DATABASE_GRACE_SECONDS}
grant.companion.admin = [\"{ADMIN_SECRET}\"]
[secret.\"{DATABASE_SECRET}\".grant.endpoint.primary]
{endpoint}[secret.\"{DATABASE_SECRET}\".grant.endpoint.admin]
{endpoint}"
    )
}

fn cache_configuration(port: u16, ca: &Path) -> String {
    format!(
        "
[secret.\"{CACHE_SECRET}\"]
plugin = \"redis\"
grace_seconds = {CACHE_GRACE_SECONDS}
grant.companion.admin = [\"{CACHE_ADMIN_SECRET}\"]
[secret.\"{CACHE_SECRET}\".grant.endpoint.nodes]
hosts = [\"127.0.0.1\"]
ports = [{port}]
tls = \"verify-full\"
ca = {ca:?}
"
    )
}

pub(crate) fn write_ca(folder: &Path, name: &str, pem: &str) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    fs::write(&path, pem).map_err(|error| format!("writing the CA: {error}"))?;
    Ok(path)
}

fn token_configuration() -> String {
    format!(
        "
[secret.\"{JWT_SECRET}\"]
plugin = \"jwt\"
grace_seconds = {JWT_GRACE_SECONDS}
lead_seconds = {JWT_LEAD_SECONDS}

[secret.\"{API_KEYS_SECRET}\"]
plugin = \"api-key\"
grace_seconds = {API_KEY_GRACE_SECONDS}

[secret.\"{WEBHOOK_SECRET}\"]
plugin = \"opaque\"
grace_seconds = {WEBHOOK_GRACE_SECONDS}
settings = {{ profile = \"webhook-signing\" }}

[secret.\"{ENCRYPTION_SECRET}\"]
plugin = \"opaque\"
strategy = \"key-ring\"
settings = {{ profile = \"encryption\" }}
"
    )
}

fn application_value(database: &Database) -> Value {
    json!({
        "engine": "postgres",
        "host": database.cluster.host(),
        "port": database.cluster.port(),
        "username": APPLICATION,
        "password": database.application_password,
        "dbname": DATABASE,
        "masterarn": ADMIN_SECRET,
    })
}

fn admin_value(database: &Database) -> Value {
    json!({
        "engine": "postgres",
        "host": database.cluster.host(),
        "port": database.cluster.port(),
        "username": ADMIN,
        "password": database.admin_password,
        "dbname": DATABASE,
    })
}

/// The prober's client knows no TLS: `port` is its way, and `nodes` is Keyturn's.
fn cache_value(cache: &Cache) -> Value {
    json!({
        "host": cache.server.host(),
        "port": cache.server.port(),
        "nodes": [{"host": cache.server.host(), "port": cache.server.tls_port()}],
        "username": cache::APPLICATION,
        "password": cache.application_password,
        "masterarn": CACHE_ADMIN_SECRET,
    })
}

fn jwt_value() -> Result<Value, Failure> {
    Ok(json!({
        "secret": random_text(64)?,
        "refresh_secret": random_text(64)?,
        "algorithm": "HS256",
        "access_token_expiry": "1s",
        "refresh_token_expiry": "2s",
    }))
}

fn encryption_value() -> Result<Value, Failure> {
    let key = STANDARD.encode(random_bytes(32)?);
    Ok(json!({"current": {"id": "first", "value": key}}))
}

fn api_keys_value() -> Result<Value, Failure> {
    let key = format!("festival_sk_live_{}", random_text(32)?);
    let hash: String = Sha256::digest(key.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let now = OffsetDateTime::now_utc();
    let written = |time: OffsetDateTime| time.format(&Rfc3339).map_err(|error| error.to_string());
    Ok(json!({
        "internal_api_key": key,
        "internal_api_key_hash": hash,
        "key_version": 1,
        "created_at": written(now)?,
        "expires_at": written(now + time::Duration::days(180))?,
    }))
}
