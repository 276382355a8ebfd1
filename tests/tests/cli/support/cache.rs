//! Redis servers with TLS and the users of the redis plugin's README, and a workspace that rotates the application's
//! password. The rules of the users are the README's own.

use harness::canary::Scan;
use harness::poll;
use harness::redis::{LoginFailure, Server, ServerOptions, documented_user, sha256, text};
use harness::tls::Authority;
use serde_json::{Value, json};

use super::{Site, Workspace};
use crate::interruption::PATIENCE;

pub(crate) const SECRET: &str = "festival-prod/redis";
pub(crate) const ADMIN_SECRET: &str = "festival-prod/redis-admin";
pub(crate) const USER: &str = "festival";
pub(crate) const ADMIN: &str = "rotation";
/// Long enough to be told from chance when everything is scanned for them.
pub(crate) const FIRST_PASSWORD: &str = "first-Password/of the+cache=42";
const ADMIN_PASSWORD: &str = "rotation-Admin/of the+cache=4711";

/// Running servers and the workspace of their operator.
pub(crate) struct Cache {
    /// The first is the primary.
    pub(crate) servers: Vec<Server>,
    pub(crate) workspace: Workspace,
    authority: Authority,
}

impl Cache {
    /// A primary and so many replicas, which log in to it as the application's user.
    pub(crate) fn start(replicas: usize, grace_seconds: u64) -> Self {
        let authority = Authority::new("festival's authority").unwrap();
        let replicates = (replicas > 0).then_some("+psync +replconf");
        let options = || options(&authority, replicates);
        let mut servers = vec![options().start().unwrap()];
        for _ in 0..replicas {
            let replica = options()
                .conf(format!("masteruser {USER}"))
                .conf(format!("masterauth \"{FIRST_PASSWORD}\""))
                .replica_of(&servers[0]);
            servers.push(replica.start().unwrap());
        }
        let cache = Self {
            servers,
            workspace: Workspace::new(),
            authority,
        };
        cache.set_up(json!(USER));
        cache.configure("dual", grace_seconds, &cache.tls_ports(), "");
        cache
    }

    /// One server on which nobody may run ACL, as before Redis 6, rotated by replacing requirepass.
    pub(crate) fn single() -> Self {
        let authority = Authority::new("festival's authority").unwrap();
        let server = options(&authority, None)
            .conf("rename-command ACL \"\"")
            .conf(format!("requirepass \"{FIRST_PASSWORD}\""))
            .start()
            .unwrap();
        let cache = Self {
            servers: vec![server],
            workspace: Workspace::new(),
            authority,
        };
        cache.set_up(Value::Null);
        cache.configure("single", 1, &cache.tls_ports(), "");
        cache
    }

    pub(crate) fn primary(&self) -> &Server {
        &self.servers[0]
    }

    pub(crate) fn tls_ports(&self) -> Vec<u16> {
        self.servers.iter().map(Server::tls_port).collect()
    }

    /// keyturn.toml; `more` are further lines of the secret's own table.
    pub(crate) fn configure(&self, strategy: &str, grace_seconds: u64, ports: &[u16], more: &str) {
        let admin = match strategy {
            "dual" => format!("grant.companion.admin = [\"{ADMIN_SECRET}\"]"),
            _ => String::new(),
        };
        self.workspace.configure(&format!(
            "[secret.\"{SECRET}\"]\nplugin = \"redis\"\nstrategy = \"{strategy}\"\n\
             grace_seconds = {grace_seconds}\n{admin}\n{more}\n\
             [secret.\"{SECRET}\".grant.endpoint.nodes]\nhosts = [\"127.0.0.1\"]\nports = {ports:?}\n\
             tls = \"verify-full\"\nca = \"ca.pem\"\n"
        ));
    }

    /// The value with other nodes.
    pub(crate) fn put_nodes(&self, ports: &[u16]) {
        let mut value = self.workspace.current(SECRET);
        value["nodes"] = nodes(ports);
        let arguments = ["secret", "put", SECRET, "--value-stdin"];
        let put = self.workspace.run_with(&arguments, &value.to_string(), &[]);
        put.succeeded();
    }

    /// Logs in at one server with what a version holds.
    pub(crate) fn login_at(&self, server: &Server, value: &Value) -> Result<(), LoginFailure> {
        let password = value["password"].as_str().unwrap();
        server.login(value["username"].as_str(), password)
    }

    #[track_caller]
    pub(crate) fn is_dead(&self, value: &Value) {
        for server in &self.servers {
            let refused = self.login_at(server, value).unwrap_err();
            assert_eq!(refused.code.as_deref(), Some("WRONGPASS"), "{refused}");
        }
    }

    fn set_up(&self, user: Value) {
        let ca = self.authority.certificate_pem();
        std::fs::write(self.workspace.path("ca.pem"), ca).unwrap();
        let mut value = json!({
            "host": "127.0.0.1", "port": self.primary().port(), "nodes": nodes(&self.tls_ports()),
            "password": FIRST_PASSWORD,
        });
        if !user.is_null() {
            value["username"] = user;
            value["masterarn"] = json!(ADMIN_SECRET);
            let admin = json!({"username": ADMIN, "password": ADMIN_PASSWORD});
            self.workspace.create(ADMIN_SECRET, &admin.to_string());
        }
        self.workspace.create(SECRET, &value.to_string());
    }

    fn scan(&self) -> Scan {
        // What replicas log in with, and requirepass, stand in the configuration file as Redis wants it.
        let only_hashes =
            self.servers.len() == 1 && self.workspace.current(SECRET)["username"].is_string();
        let mut log = String::new();
        for server in &self.servers {
            log += &server.log().unwrap();
            // The harness's servers log every command as a slow one.
            for words in [["SLOWLOG", "GET", "1000"], ["ACL", "LOG", "1000"]] {
                if let Ok(answer) = server.command(&words) {
                    log += &text(&answer);
                }
            }
            if only_hashes {
                log += &std::fs::read_to_string(server.configuration()).unwrap();
            }
        }
        let secrets: &[&str] = match self.workspace.current(SECRET)["masterarn"].is_string() {
            true => &[SECRET, ADMIN_SECRET],
            false => &[SECRET],
        };
        self.workspace.scan(secrets, &log)
    }
}

/// The users with hashes, so that no file holds a password that nobody has to write there.
fn options(authority: &Authority, more_rights: Option<&str>) -> ServerOptions {
    let identity = authority.issue(&["127.0.0.1"]).unwrap();
    let user = |name, password: &str| documented_user(name, &format!("#{}", sha256(password)));
    ServerOptions::new()
        .user(format!(
            "{} {}",
            user(USER, FIRST_PASSWORD),
            more_rights.unwrap_or_default()
        ))
        .user(user(ADMIN, ADMIN_PASSWORD))
        .tls(identity.certificate_pem, identity.key_pem)
}

fn nodes(ports: &[u16]) -> Value {
    ports
        .iter()
        .map(|port| json!({"host": "127.0.0.1", "port": port}))
        .collect()
}

impl Site for Cache {
    fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    fn secret(&self) -> &str {
        SECRET
    }

    /// At every server.
    fn login(&self, value: &Value) -> Result<(), String> {
        self.servers
            .iter()
            .try_for_each(|server| self.login_at(server, value))
            .map_err(|failure| failure.to_string())
    }

    fn end_sessions_of_the_dead(&self) {
        for server in &self.servers {
            server
                .command(&["CLIENT", "KILL", "TYPE", "normal"])
                .unwrap();
        }
    }
}

/// Whatever a test did to the rotation, replication lives and no password was written anywhere.
impl Drop for Cache {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for replica in &self.servers[1..] {
            let linked = poll::until_true(PATIENCE, || {
                let info = replica.command(&["INFO", "replication"]);
                info.is_ok_and(|info| text(&info).contains("master_link_status:up"))
            });
            assert!(linked, "a replica has lost its primary");
        }
        let scan = self.scan();
        assert_eq!(scan.findings, []);
        println!(
            "evidence: canary scan: {} bytes searched, 0 found",
            scan.bytes
        );
    }
}
