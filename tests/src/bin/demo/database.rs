//! The demo's PostgreSQL: a throwaway cluster with TLS and the roles of the postgres plugin's README:
//! two users that act as one role, and a rotation admin with the least rights. Where no server can be had, it says how to get one, and the
//! demo goes on without.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::postgres::{Binaries, Cluster, ClusterOptions, HOW_TO_GET_ONE, documented_setup};
use harness::tls::Authority;

use crate::Failure;
use crate::screen::Screen;

pub(crate) const DATABASE: &str = "festival";
pub(crate) const APPLICATION: &str = "festival_app";
pub(crate) const ADMIN: &str = "festival_rotation";

/// A running server with its first passwords.
pub(crate) struct Database {
    pub(crate) cluster: Cluster,
    pub(crate) ca_pem: String,
    pub(crate) application_password: String,
    pub(crate) admin_password: String,
}

impl Database {
    /// `None` where no server can be had; the reason and the remedy are printed.
    pub(crate) fn start(screen: &Screen) -> Result<Option<Self>, Failure> {
        if Binaries::find().is_err() {
            install_on_debian(screen);
        }
        if let Err(error) = Binaries::find() {
            screen.event("PostgreSQL", "none: going on without.");
            screen.detail("", HOW_TO_GET_ONE);
            screen.detail(
                "",
                &format!("({error})")
                    .replace(HOW_TO_GET_ONE, "")
                    .replace(". )", ")"),
            );
            return Ok(None);
        }
        let authority = Authority::new("Keyturn demo").map_err(|error| error.to_string())?;
        let identity = authority
            .issue(&["127.0.0.1", "localhost"])
            .map_err(|error| error.to_string())?;
        let cluster = ClusterOptions::new()
            .tls(identity.certificate_pem, identity.key_pem)
            .start()
            .map_err(|error| error.to_string())?;
        let database = Self {
            ca_pem: authority.certificate_pem(),
            application_password: crate::secrets::random_text(24)?,
            admin_password: crate::secrets::random_text(24)?,
            cluster,
        };
        database.make_roles()?;
        screen.event(
            "PostgreSQL",
            &format!(
                "{} on {}:{}, TLS with a certificate made for this run",
                database.cluster.version_major(),
                database.cluster.host(),
                database.cluster.port()
            ),
        );
        Ok(Some(database))
    }

    /// The very set-up that the plugin's README tells a DBA to run, then first passwords and a table.
    fn make_roles(&self) -> Result<(), Failure> {
        let (application, admin) = (&self.application_password, &self.admin_password);
        self.query("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        // The demo runs what is documented and nothing else.
        let setup =
            documented_setup().ok_or("the postgres plugin's README has lost its set-up block")?;
        self.query(DATABASE, setup)?;
        self.query(
            DATABASE,
            &format!(
                "ALTER ROLE {APPLICATION} PASSWORD '{application}';
                 ALTER ROLE {ADMIN} PASSWORD '{admin}';
                 SET ROLE festival_owner;
                 CREATE TABLE tickets (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, holder text NOT NULL);"
            ),
        )
    }

    fn query(&self, database: &str, sql: &str) -> Result<(), Failure> {
        let answer = self.cluster.query_in(database, sql);
        answer
            .map(drop)
            .map_err(|error| format!("setting up the database: {error}"))
    }
}

/// As root on Debian the demo may install a server. Failing is not an error: the demo goes on.
fn install_on_debian(screen: &Screen) {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n");
    if !is_root || !Path::new("/etc/debian_version").exists() || !apt_get_exists() {
        return;
    }
    screen.event(
        "PostgreSQL",
        "none found; installing Debian's (apt-get install -y postgresql)",
    );
    quietly("apt-get", &["update", "-q"]);
    quietly("apt-get", &["install", "-q", "-y", "postgresql"]);
    // The package starts a server of its own on machines with an init system. There was none
    // before, so this one is ours to stop: the demo leaves nothing running.
    quietly("service", &["postgresql", "stop"]);
}

fn apt_get_exists() -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| fs::metadata(folder.join("apt-get")).is_ok())
    })
}

/// Whether it worked shows in whether a server is found afterwards.
fn quietly(program: &str, arguments: &[&str]) {
    let _ = Command::new(program)
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
