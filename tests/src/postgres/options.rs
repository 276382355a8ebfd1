//! What a cluster is started with, and the configuration files that follow from it. It starts
//! nothing.

use std::path::Path;

use super::{Cluster, PostgresError};

/// What a cluster is started with. The default: scram-sha-256 over TCP, no TLS, no fsync, quiet log.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    conf: Vec<String>,
    hba: Vec<String>,
    pub(super) tls: Option<(String, String)>,
    durable: bool,
}

impl ClusterOptions {
    pub fn new() -> Self {
        Self::default()
    }

    /// A line for postgresql.conf; a later line wins over an earlier one and over the harness's own.
    pub fn conf(mut self, line: impl Into<String>) -> Self {
        self.conf.push(line.into());
        self
    }

    /// A line for pg_hba.conf that stands before the harness's own (the first match wins there).
    pub fn hba(mut self, line: impl Into<String>) -> Self {
        self.hba.push(line.into());
        self
    }

    /// Offers TLS with this certificate chain and key (both PEM).
    pub fn tls(mut self, certificate_pem: impl Into<String>, key_pem: impl Into<String>) -> Self {
        self.tls = Some((certificate_pem.into(), key_pem.into()));
        self
    }

    /// Writes every statement, connection and disconnection into the server's log: what a canary
    /// scan reads.
    pub fn log_everything(self) -> Self {
        self.conf("log_statement = 'all'")
            .conf("log_connections = on")
            .conf("log_disconnections = on")
            .conf("log_min_messages = 'debug1'")
            .conf("log_min_error_statement = 'debug1'")
    }

    /// Leaves fsync on: for tests that crash the server.
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Makes the cluster and starts it; returns when it answers.
    pub fn start(self) -> Result<Cluster, PostgresError> {
        Cluster::start_with(&self)
    }

    pub(super) fn postgresql_conf(&self, host: &str, socket: &Path) -> String {
        let mut lines = vec![
            format!("listen_addresses = '{host}'"),
            format!("unix_socket_directories = '{}'", socket.display()),
            format!("fsync = {}", if self.durable { "on" } else { "off" }),
            "password_encryption = 'scram-sha-256'".to_owned(),
            // Enough for a prober beside a pool, small enough for several clusters on one machine.
            "max_connections = 60".to_owned(),
            "shared_buffers = '16MB'".to_owned(),
        ];
        if self.tls.is_some() {
            lines.push("ssl = on".to_owned());
        }
        lines.extend(self.conf.iter().cloned());
        lines.join("\n")
    }

    pub(super) fn pg_hba_conf(&self) -> String {
        let mut lines = vec!["local all all trust".to_owned()];
        lines.extend(self.hba.iter().cloned());
        lines.push("host all all all scram-sha-256".to_owned());
        lines.push("host replication all all scram-sha-256".to_owned());
        lines.join("\n") + "\n"
    }
}
