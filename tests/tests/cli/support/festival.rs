//! A PostgreSQL with TLS and the roles of the postgres plugin's README, and a workspace that rotates
//! its application's login. The SQL is the README's own block.

use harness::poll;
use harness::postgres::{Cluster, ClusterOptions, LoginFailure, documented_setup};
use harness::tls::Authority;
use serde_json::{Value, json};

use super::{Site, Workspace};
use crate::interruption::PATIENCE;

pub(crate) const SECRET: &str = "festival-prod/database";
pub(crate) const ADMIN_SECRET: &str = "festival-prod/database-admin";
pub(crate) const DATABASE: &str = "festival";
pub(crate) const USER: &str = "festival_app";
pub(crate) const CLONE: &str = "festival_app_clone";
pub(crate) const ADMIN: &str = "festival_rotation";
/// Long enough to be told from chance when everything is scanned for them.
pub(crate) const FIRST_PASSWORD: &str = "first-Password/of the+application=42";
pub(crate) const ADMIN_PASSWORD: &str = "rotation-Admin/of the+festival=4711";

/// A running database and the workspace of its operator.
pub(crate) struct Festival {
    pub(crate) cluster: Cluster,
    pub(crate) workspace: Workspace,
    /// What the secrets and grants say: the server's, or that of a proxy before it.
    port: u16,
}

impl Festival {
    /// With this strategy and grace.
    pub(crate) fn start(strategy: &str, grace_seconds: u64) -> Self {
        Self::start_with(ClusterOptions::new(), strategy, grace_seconds)
    }

    /// The same with options of the server.
    pub(crate) fn start_with(options: ClusterOptions, strategy: &str, grace_seconds: u64) -> Self {
        let authority = Authority::new("festival's authority").unwrap();
        let identity = authority.issue(&["127.0.0.1", "localhost"]).unwrap();
        let cluster = options
            .tls(identity.certificate_pem, identity.key_pem)
            .start()
            .unwrap();
        let festival = Self::without_tls(cluster);
        festival.trust(&authority);
        festival.configure(strategy, grace_seconds, "");
        festival
    }

    /// On a server that may refuse TLS; nothing is configured yet.
    pub(crate) fn without_tls(cluster: Cluster) -> Self {
        let port = cluster.port();
        Self::reached_at(cluster, port)
    }

    /// The same for a server that is reached at another port.
    pub(crate) fn reached_at(cluster: Cluster, port: u16) -> Self {
        let festival = Self {
            cluster,
            workspace: Workspace::new(),
            port,
        };
        festival.set_up();
        festival
            .workspace
            .create(ADMIN_SECRET, &festival.admin_value().to_string());
        festival
            .workspace
            .create(SECRET, &festival.value().to_string());
        festival
    }

    /// Writes the CA that the grant names.
    pub(crate) fn trust(&self, authority: &Authority) {
        std::fs::write(self.workspace.path("ca.pem"), authority.certificate_pem()).unwrap();
    }

    /// keyturn.toml with the usual grants; `more` are further lines of the secret's own table.
    pub(crate) fn configure(&self, strategy: &str, grace_seconds: u64, more: &str) {
        self.configure_with(&self.endpoint(), strategy, grace_seconds, more);
    }

    /// The same where the server can be reached at several ports.
    pub(crate) fn configure_at(&self, ports: &[u16], strategy: &str, grace_seconds: u64) {
        self.configure_with(&endpoint_at(ports), strategy, grace_seconds, "");
    }

    fn configure_with(&self, endpoint: &str, strategy: &str, grace_seconds: u64, more: &str) {
        self.workspace.configure(&format!(
            "[secret.\"{SECRET}\"]\nplugin = \"postgres\"\nstrategy = \"{strategy}\"\n\
             grace_seconds = {grace_seconds}\ngrant.companion.admin = [\"{ADMIN_SECRET}\"]\n{more}\n\
             [secret.\"{SECRET}\".grant.endpoint.primary]\n{endpoint}\n\
             [secret.\"{SECRET}\".grant.endpoint.admin]\n{endpoint}\n"
        ));
    }

    /// What both endpoints are granted.
    pub(crate) fn endpoint(&self) -> String {
        endpoint_at(&[self.port])
    }

    /// The application's first value.
    pub(crate) fn value(&self) -> Value {
        json!({
            "engine": "postgres", "host": "127.0.0.1", "port": self.port,
            "dbname": DATABASE, "username": USER, "password": FIRST_PASSWORD,
            "masterarn": ADMIN_SECRET,
        })
    }

    pub(crate) fn admin_value(&self) -> Value {
        json!({
            "engine": "postgres", "host": "127.0.0.1", "port": self.port,
            "dbname": DATABASE, "username": ADMIN, "password": ADMIN_PASSWORD,
        })
    }

    /// Logs in with what a version holds.
    pub(crate) fn login(&self, value: &Value) -> Result<(), LoginFailure> {
        let text = |member: &str| value[member].as_str().unwrap().to_owned();
        self.cluster
            .login(&text("username"), &text("password"), &text("dbname"))
    }

    /// This value's user has no password any more: nothing else counts as dead.
    #[track_caller]
    pub(crate) fn is_dead(&self, value: &Value) {
        let refused = self.login(value).unwrap_err();
        assert_eq!(refused.sqlstate.as_deref(), Some("28P01"), "{refused}");
    }

    fn set_up(&self) {
        let query = |database: &str, sql: &str| self.cluster.query_in(database, sql).unwrap();
        query("postgres", &format!("CREATE DATABASE {DATABASE}"));
        query(DATABASE, documented_setup().unwrap());
        // Over the superuser's socket and with logging off, so that the first passwords, which the
        // README sends as verifiers, are not in the server's log.
        query(
            DATABASE,
            &format!(
                "SET log_statement = 'none'; SET log_min_duration_statement = -1;
                 SET log_min_error_statement = 'panic'; SET log_min_messages = 'panic';
                 ALTER ROLE {USER} PASSWORD '{FIRST_PASSWORD}';
                 ALTER ROLE {ADMIN} PASSWORD '{ADMIN_PASSWORD}';
                 SET ROLE festival_owner;
                 CREATE TABLE tickets (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, holder text NOT NULL);"
            ),
        );
    }
}

fn endpoint_at(ports: &[u16]) -> String {
    format!("hosts = [\"127.0.0.1\"]\nports = {ports:?}\ntls = \"verify-full\"\nca = \"ca.pem\"")
}

impl Site for Festival {
    fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    fn secret(&self) -> &str {
        SECRET
    }

    fn login(&self, value: &Value) -> Result<(), String> {
        Festival::login(self, value).map_err(|failure| failure.to_string())
    }

    fn end_sessions_of_the_dead(&self) {
        let ended = poll::until_true(PATIENCE, || {
            let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE client_addr IS NOT NULL";
            self.cluster.query(sql).unwrap() == "0"
        });
        assert!(ended, "sessions of a dead process do not end");
    }
}

/// Whatever a test did to the rotation, no password was written anywhere.
impl Drop for Festival {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = self.cluster.log().unwrap();
        let scan = self.workspace.scan(&[SECRET, ADMIN_SECRET], &log);
        assert_eq!(scan.findings, []);
        println!(
            "evidence: canary scan: {} bytes searched, 0 found",
            scan.bytes
        );
    }
}
