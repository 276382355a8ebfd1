//! Where the soak takes place: a PostgreSQL with TLS that logs everything, a proxy before it, and a
//! workspace with one secret per strategy. Keyturn reaches the server through the proxy only; the
//! witness and the set-up do not.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use harness::postgres::{Cluster, ClusterOptions, documented_setup};
use harness::proxy::Proxy;
use harness::scratch::Scratch;
use harness::tls::Authority;
use keyturn_store::embedded::{EmbeddedStore, MasterKey};
use keyturn_store::{SecretName, SystemClock};
use serde_json::json;

use crate::Failure;
use crate::rotator::Rotator;

pub(crate) const DATABASE: &str = "festival";
const ADMIN_SECRET: &str = "soak/admin";
/// The single user; alternating ones and the admin are those of the plugin's README.
const SINGLE_USER: &str = "soak_single";
/// Long enough to be told from chance when everything is scanned for them.
const FIRST_PASSWORDS: [(&str, &str); 3] = [
    ("festival_app", "first-Password/of the+application=42"),
    (SINGLE_USER, "first-Password/of the+single=user=43"),
    ("festival_rotation", "rotation-Admin/of the+festival=4711"),
];

/// Whose credential a rotation concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    Alternating,
    Single,
}

impl Victim {
    pub(crate) const BOTH: [Self; 2] = [Self::Alternating, Self::Single];

    /// The secret's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Alternating => "soak/alternating",
            Self::Single => "soak/single",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Alternating => Self::Single,
            Self::Single => Self::Alternating,
        }
    }
}

pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    pub(crate) proxy: Proxy,
    scratch: Scratch,
    binary: PathBuf,
}

impl Site {
    pub(crate) fn start() -> Result<Self, Failure> {
        let authority = Authority::new("the soak's authority").map_err(text)?;
        let identity = authority.issue(&["127.0.0.1"]).map_err(text)?;
        let cluster = ClusterOptions::new()
            .log_everything()
            .tls(identity.certificate_pem, identity.key_pem)
            .start()
            .map_err(text)?;
        let proxy =
            Proxy::start(SocketAddr::from(([127, 0, 0, 1], cluster.port()))).map_err(text)?;
        let site = Self {
            cluster,
            proxy,
            scratch: Scratch::new("keyturn-soak").map_err(text)?,
            binary: std::env::current_exe()
                .map_err(text)?
                .with_file_name("keyturn"),
        };
        site.set_up_roles()?;
        site.set_up_workspace(&authority.certificate_pem())?;
        Ok(site)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn trail(&self) -> PathBuf {
        self.folder().join("store.audit.jsonl")
    }

    pub(crate) fn rotator(&self, arguments: &[&str]) -> Result<Rotator, Failure> {
        Rotator::start(&self.binary, self.folder(), arguments)
    }

    /// The store as another process sees it.
    pub(crate) fn store(&self) -> Result<EmbeddedStore, Failure> {
        let key = MasterKey::from_file(&self.folder().join("master.key")).map_err(text)?;
        let clock = Arc::new(SystemClock);
        EmbeddedStore::open(&self.folder().join("store.db"), &key, clock).map_err(text)
    }

    fn set_up_roles(&self) -> Result<(), Failure> {
        let query = |database: &str, sql: &str| {
            let answer = self.cluster.query_in(database, sql);
            answer.map(drop).map_err(text)
        };
        query("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        query(
            DATABASE,
            documented_setup().ok_or("the README has lost its set-up")?,
        )?;
        // The first passwords go in as text, so they must stay out of the log that is scanned.
        let mut sql = format!(
            "SET log_statement = 'none'; SET log_min_duration_statement = -1;
             SET log_min_error_statement = 'panic'; SET log_min_messages = 'panic';
             CREATE ROLE {SINGLE_USER} LOGIN;"
        );
        for (role, password) in FIRST_PASSWORDS {
            sql.push_str(&format!("ALTER ROLE {role} PASSWORD '{password}';"));
        }
        query(DATABASE, &sql)
    }

    fn set_up_workspace(&self, ca_pem: &str) -> Result<(), Failure> {
        let port = self.proxy.address().port();
        self.succeeds(&["init"])?;
        fs::write(self.folder().join("ca.pem"), ca_pem).map_err(text)?;
        let endpoint = format!(
            "{{ hosts = [\"127.0.0.1\"], ports = [{port}], tls = \"verify-full\", ca = \"ca.pem\" }}"
        );
        let mut config = String::from(
            "[store]\nkind = \"embedded\"\npath = \"store.db\"\nmaster_key_file = \"master.key\"\n",
        );
        for (victim, strategy) in [
            (Victim::Alternating, "alternating"),
            (Victim::Single, "single"),
        ] {
            let name = victim.name();
            config.push_str(&format!(
                "[secret.\"{name}\"]\nplugin = \"postgres\"\nstrategy = \"{strategy}\"\ngrace_seconds = 1\n\
                 grant.endpoint.primary = {endpoint}\n"
            ));
            if victim == Victim::Alternating {
                config.push_str(&format!(
                    "grant.endpoint.admin = {endpoint}\ngrant.companion.admin = [\"{ADMIN_SECRET}\"]\n"
                ));
            }
        }
        fs::write(self.folder().join("keyturn.toml"), config).map_err(text)?;
        let names = [
            Victim::Alternating.name(),
            Victim::Single.name(),
            ADMIN_SECRET,
        ];
        for (name, (user, password)) in names.into_iter().zip(FIRST_PASSWORDS) {
            self.create_secret(name, user, password)?;
        }
        Ok(())
    }

    fn create_secret(&self, name: &str, user: &str, password: &str) -> Result<(), Failure> {
        let mut value = json!({
            "engine": "postgres", "host": "127.0.0.1", "port": self.proxy.address().port(),
            "dbname": DATABASE, "username": user, "password": password,
        });
        if name == Victim::Alternating.name() {
            value["masterarn"] = json!(ADMIN_SECRET);
        }
        let file = self.folder().join("value.json");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut written = options.open(&file).map_err(text)?;
        std::io::Write::write_all(&mut written, value.to_string().as_bytes()).map_err(text)?;
        self.succeeds(&["secret", "create", name, "--value-file", "value.json"])?;
        fs::remove_file(&file).map_err(text)
    }

    fn succeeds(&self, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = self.rotator(arguments)?;
        match command.wait(crate::round::SETTLING_PATIENCE) {
            Some(status) if status.success() => Ok(()),
            status => Err(format!(
                "keyturn {arguments:?}: {status:?}: {}",
                command.said()
            )),
        }
    }
}

/// The first values' passwords, for the scan at the end.
pub(crate) fn first_passwords() -> impl Iterator<Item = &'static str> {
    FIRST_PASSWORDS.into_iter().map(|(_, password)| password)
}

/// The witness's names of what the store holds.
pub(crate) fn secret(victim: Victim) -> Result<SecretName, Failure> {
    SecretName::new(victim.name()).map_err(text)
}

pub(crate) fn text(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}
