//! What a server is started with, and the configuration files that follow from it. It starts nothing.

use super::{HARNESS_PASSWORD, HARNESS_USER, Program, RedisError, Server};

/// What a server is started with. The default: no TLS, no data on disk, users in the configuration file, and of
/// these only the harness's own.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    pub(super) program: Option<Program>,
    conf: Vec<String>,
    users: Vec<String>,
    acl_file: bool,
    pub(super) without_file: bool,
    pub(super) tls: Option<(String, String)>,
}

impl ServerOptions {
    pub fn new() -> Self {
        Self::default()
    }

    /// Another program than the newest one.
    pub fn program(mut self, program: Program) -> Self {
        self.program = Some(program);
        self
    }

    /// A line for redis.conf.
    pub fn conf(mut self, line: impl Into<String>) -> Self {
        self.conf.push(line.into());
        self
    }

    /// A user, in the words of ACL LIST: `app on >password ~* +@all`.
    pub fn user(mut self, line: impl Into<String>) -> Self {
        self.users.push(line.into());
        self
    }

    /// Keeps users in an ACL file instead of the configuration file.
    pub fn with_acl_file(mut self) -> Self {
        self.acl_file = true;
        self
    }

    /// Configured by its command line, as in a container: it has no file that it could write.
    pub fn without_a_file(mut self) -> Self {
        self.without_file = true;
        self
    }

    /// Listens with TLS on a second port, with this certificate and key (both PEM).
    pub fn tls(mut self, certificate_pem: impl Into<String>, key_pem: impl Into<String>) -> Self {
        self.tls = Some((certificate_pem.into(), key_pem.into()));
        self
    }

    /// Replicates from this server.
    pub fn replica_of(self, primary: &Server) -> Self {
        let line = format!("replicaof {} {}", primary.host(), primary.port());
        self.conf(line)
    }

    /// Starts it; returns when it answers.
    pub fn start(self) -> Result<Server, RedisError> {
        Server::start_with(&self)
    }

    pub(super) fn redis_conf(&self, port: u16, tls_port: Option<u16>) -> String {
        let mut lines: Vec<String> = [
            "bind 127.0.0.1",
            "protected-mode no",
            "daemonize no",
            "pidfile redis.pid",
            "logfile server.log",
            "loglevel debug",
            "save \"\"",
            "repl-diskless-sync-delay 0",
            // What is told to the server is looked for in what it keeps.
            "slowlog-log-slower-than 0",
        ]
        .map(str::to_owned)
        .to_vec();
        lines.push(format!("port {port}"));
        if let Some(port) = tls_port {
            lines.push(format!(
                "tls-port {port}\ntls-cert-file server.crt\ntls-key-file server.key\ntls-ca-cert-file server.crt\n\
                 tls-auth-clients no"
            ));
        }
        if self.acl_file {
            lines.push("aclfile users.acl".to_owned());
        } else if self.knows_users() {
            lines.extend(self.user_lines());
        }
        lines.extend(self.conf.iter().cloned());
        lines.join("\n") + "\n"
    }

    pub(super) fn acl_file(&self) -> Option<String> {
        self.acl_file
            .then(|| self.user_lines().collect::<Vec<_>>().join("\n") + "\n")
    }

    fn knows_users(&self) -> bool {
        self.program
            .as_ref()
            .is_none_or(|program| program.version_major >= 6)
    }

    fn user_lines(&self) -> impl Iterator<Item = String> {
        // A hash, because a line of a configuration file is split at spaces.
        let harness = format!(
            "{HARNESS_USER} on #{} ~* +@all",
            super::client::sha256(HARNESS_PASSWORD)
        );
        std::iter::once(harness)
            .chain(self.users.iter().cloned())
            .map(|user| format!("user {user}"))
    }
}

/// `port 1` as `--port 1`. Quotes go: nothing splits an argument at its spaces.
pub(super) fn as_arguments(conf: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    for line in conf.lines() {
        let mut words = line.split(' ');
        arguments.extend(words.next().map(|name| format!("--{name}")));
        arguments.extend(words.map(|word| word.trim_matches('"').to_owned()));
    }
    arguments
}
