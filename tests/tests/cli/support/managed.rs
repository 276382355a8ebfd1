//! A cache as ElastiCache manages it: its API, which wants signed requests, a real Redis behind it, and a workspace
//! that rotates the password of a user or the AUTH token of a replication group.

use std::net::SocketAddr;
use std::sync::Arc;

use harness::elasticache::{ElastiCacheLike, REGION, Service, arn};
use harness::redis::{LoginFailure, Server, ServerOptions, sha256};
use harness::tls::Authority;
use serde_json::{Value, json};

use super::{Site, Workspace};

pub(crate) const SECRET: &str = "festival-prod/cache";
/// Of the user, or the name of the group.
pub(crate) const ID: &str = "festival-1";
const USER: &str = "festival";
const FIRST_PASSWORD: &str = "First-Password-of-the-managed-cache";

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kept {
    User,
    AuthToken,
}

pub(crate) struct Managed {
    pub(crate) cache: Arc<Server>,
    pub(crate) api: ElastiCacheLike,
    pub(crate) workspace: Workspace,
    kept: Kept,
}

impl Managed {
    pub(crate) fn start(kept: Kept) -> Self {
        let authority = Authority::new("festival's authority").unwrap();
        let identity = authority.issue(&["127.0.0.1"]).unwrap();
        let user = match kept {
            Kept::User => USER,
            Kept::AuthToken => "default",
        };
        // As at ElastiCache, where no user may do what its API is for.
        let rules = format!(
            "{user} on #{} ~* +@all -@dangerous -acl",
            sha256(FIRST_PASSWORD)
        );
        let cache = ServerOptions::new()
            .user(rules)
            .tls(&*identity.certificate_pem, &*identity.key_pem)
            .start()
            .unwrap();
        let cache = Arc::new(cache);
        let mut service = Service::new(Arc::clone(&cache));
        service.add(ID, user, FIRST_PASSWORD);
        let api = ElastiCacheLike::start(&identity, service).unwrap();
        let managed = Self {
            cache,
            api,
            workspace: Workspace::new(),
            kept,
        };
        let ca = authority.certificate_pem();
        std::fs::write(managed.workspace.path("ca.pem"), ca).unwrap();
        let credentials = managed.api.credentials.clone();
        managed.identify(&credentials.key_id, &credentials.secret, &credentials.token);
        managed.configure(managed.api.address(), 1);
        managed
            .workspace
            .create(SECRET, &managed.first().to_string());
        managed
    }

    fn first(&self) -> Value {
        match self.kept {
            // The shape of AWS's own rotation function: where the cache is, it does not tell.
            Kept::User => {
                json!({"username": USER, "password": FIRST_PASSWORD, "user_arn": arn(ID)})
            }
            Kept::AuthToken => json!({
                "host": "127.0.0.1", "port": self.cache.tls_port(), "password": FIRST_PASSWORD,
                "replication_group_id": ID,
            }),
        }
    }

    /// What commands sign with.
    pub(crate) fn identify(&self, key_id: &str, secret: &str, token: &str) {
        self.workspace.surround(&[
            ("AWS_ACCESS_KEY_ID", key_id),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_SESSION_TOKEN", token),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
    }

    /// `api`: where the API is reached.
    pub(crate) fn configure(&self, api: SocketAddr, grace_seconds: u64) {
        let port = self.cache.tls_port();
        let (strategy, nodes) = match self.kept {
            Kept::User => (
                "elasticache-user",
                format!("members = [\"127.0.0.1:{port}\"]"),
            ),
            Kept::AuthToken => (
                "elasticache-auth-token",
                format!("hosts = [\"127.0.0.1\"]\nports = [{port}]"),
            ),
        };
        self.workspace.configure(&format!(
            "[secret.\"{SECRET}\"]\nplugin = \"redis\"\nstrategy = \"{strategy}\"\ngrace_seconds = {grace_seconds}\n\
             [secret.\"{SECRET}\".grant.endpoint.nodes]\n{nodes}\nca = \"ca.pem\"\n\
             [secret.\"{SECRET}\".grant.endpoint.elasticache]\nmembers = [\"{api}\"]\nca = \"ca.pem\"\n\
             sign = true\nregion = \"{REGION}\"\n"
        ));
    }

    pub(crate) fn changes(&self) -> Vec<String> {
        self.api.with(|service| service.changes.clone())
    }

    fn try_login(&self, value: &Value) -> Result<(), LoginFailure> {
        let password = value["password"].as_str().unwrap();
        self.cache.login(value["username"].as_str(), password)
    }

    #[track_caller]
    pub(crate) fn is_dead(&self, value: &Value) {
        let refused = self.try_login(value).unwrap_err();
        assert_eq!(refused.code.as_deref(), Some("WRONGPASS"), "{refused}");
    }
}

impl Site for Managed {
    fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    fn secret(&self) -> &str {
        SECRET
    }

    fn login(&self, value: &Value) -> Result<(), String> {
        self.try_login(value).map_err(|failure| failure.to_string())
    }

    fn end_sessions_of_the_dead(&self) {
        self.cache
            .command(&["CLIENT", "KILL", "TYPE", "normal"])
            .unwrap();
    }
}

/// Whatever a test did to the rotation, no password was written anywhere, and none of the host's own AWS credentials.
impl Drop for Managed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = self.cache.log().unwrap();
        let own = &self.api.credentials;
        for scan in [
            self.workspace.scan(&[SECRET], &log),
            self.workspace.scan_for(&[&own.secret, &own.token], &log),
        ] {
            assert_eq!(scan.findings, []);
            println!(
                "evidence: canary scan: {} bytes searched, 0 found",
                scan.bytes
            );
        }
    }
}
