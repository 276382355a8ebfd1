//! Standbys that stream from a cluster, for what a failover can lose. The primary must have been
//! started with [`ClusterOptions::streams`]; the standby is a cluster like any other, with the same
//! certificate, and ends like one.

use std::time::Duration;

use crate::poll;

use super::{Cluster, ClusterOptions, PostgresError, SUPERUSER, checked, io_error};

/// Far longer than a promotion on a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

impl ClusterOptions {
    /// Lets standbys stream from this cluster.
    pub fn streams(self) -> Self {
        self.hba("local replication all trust")
    }
}

impl Cluster {
    /// A standby of this cluster that follows it.
    pub fn start_standby(&self) -> Result<Self, PostgresError> {
        let mut standby = Self::empty()?;
        let copied = standby
            .command("pg_basebackup")
            .args([
                "-D",
                "data",
                "-X",
                "stream",
                "-c",
                "fast",
                "-R",
                "--no-sync",
            ])
            .arg("-h")
            .arg(self.socket_dir())
            .args(["-p", &self.port.to_string(), "-U", SUPERUSER])
            .output();
        checked("pg_basebackup", copied)?;
        standby.make_socket_dir()?;
        let socket = standby.socket_dir().display().to_string();
        standby.append(
            "data/postgresql.conf",
            &format!("unix_socket_directories = '{socket}'"),
        )?;
        standby.start_on_a_free_port()?;
        Ok(standby)
    }

    /// Whether everything that this standby's primary has written so far was replayed here.
    pub fn has_caught_up_with(&self, primary: &Self) -> Result<bool, PostgresError> {
        let written = primary.query("SELECT pg_current_wal_lsn()")?;
        let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
        Ok(self.query(&sql)? == "t")
    }

    /// What the primary writes from now on does not arrive here any more. (To pause the replay would
    /// not do: a promotion replays whatever has arrived.)
    pub fn cut_off(&self) -> Result<(), PostgresError> {
        self.query("ALTER SYSTEM SET primary_conninfo = ''")?;
        self.reload()?;
        let receivers = "SELECT count(*) FROM pg_stat_wal_receiver";
        let ended = poll::until_true(PATIENCE, || {
            self.query(receivers).is_ok_and(|count| count == "0")
        });
        if ended {
            return Ok(());
        }
        Err(io_error("cutting the standby off")(
            std::io::ErrorKind::TimedOut.into(),
        ))
    }

    /// Becomes a primary with what has arrived; returns when it takes changes.
    pub fn promote(&self) -> Result<(), PostgresError> {
        self.query("SELECT pg_promote()").map(drop)
    }
}
