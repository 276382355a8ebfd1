//! Throwaway PostgreSQL clusters: real servers in a scratch folder, on a free port of 127.0.0.1 and
//! on a Unix socket that only we can reach. Over TCP nothing but SCRAM-SHA-256 is let in; over the
//! socket everybody is the superuser, which serves set-up and nothing else. A cluster ends with its
//! [`Cluster`] value or with the process that made it, whichever comes first.

mod binaries;
mod login;
mod options;
mod standby;

pub use binaries::{Binaries, HOW_TO_GET_ONE};
pub use login::{LoginFailure, login};
pub use options::ClusterOptions;

use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::local::free_port;
use crate::scratch::{RunAs, Scratch};

/// What the postgres plugin's README tells a DBA to run once, in a database named `festival`: the
/// roles `festival_app`, `festival_app_clone` and `festival_rotation`, none with a password.
/// `None` if the README has lost its mark.
pub fn documented_setup() -> Option<&'static str> {
    const README: &str = include_str!("../../plugins/postgres/README.md");
    let (_, rest) = README.split_once("<!-- setup -->")?;
    let (_, rest) = rest.split_once("```sql\n")?;
    rest.split_once("```").map(|(block, _)| block)
}

/// The superuser's name: it logs in over the socket only, until a test gives it a password.
pub const SUPERUSER: &str = "postgres";

/// How often another port is tried when somebody else took the free one before the server did.
const PORT_ATTEMPTS: u32 = 5;

#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error("no PostgreSQL server programs found (looked in {looked_in}). {HOW_TO_GET_ONE}")]
    NotFound { looked_in: String },
    /// A program of PostgreSQL's failed: its own words, and the server's log where there is one.
    #[error("{what} failed: {output}")]
    Program { what: &'static str, output: String },
    #[error("{what}: {source}")]
    Io {
        what: &'static str,
        source: io::Error,
    },
}

/// A running cluster. Dropping it stops the server and removes its folder.
#[derive(Debug)]
pub struct Cluster {
    binaries: Binaries,
    run_as: RunAs,
    scratch: Scratch,
    port: u16,
}

impl Cluster {
    /// With the default options.
    pub fn start() -> Result<Self, PostgresError> {
        ClusterOptions::new().start()
    }

    fn start_with(options: &ClusterOptions) -> Result<Self, PostgresError> {
        let mut cluster = Self::empty()?;
        cluster.initdb()?;
        cluster.write_configuration(options)?;
        cluster.start_on_a_free_port()?;
        Ok(cluster)
    }

    /// A folder and its watchdog, nothing in it.
    fn empty() -> Result<Self, PostgresError> {
        let binaries = Binaries::find()?;
        let run_as = RunAs::unprivileged().map_err(io_error("choosing the server's user"))?;
        let stop_script = format!(
            "{} stop -D data -m immediate -t 20",
            shell_quoted(&binaries.program("pg_ctl"))
        );
        let scratch = Scratch::guarded("keyturn-pg", run_as, &stop_script)
            .map_err(io_error("making the cluster's folder"))?;
        Ok(Self {
            binaries,
            run_as,
            scratch,
            port: 0,
        })
    }

    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's major version, e.g. 15.
    pub fn version_major(&self) -> u32 {
        self.binaries.version_major
    }

    /// Folder of the Unix socket, for a client that should come in as superuser without a password.
    pub fn socket_dir(&self) -> PathBuf {
        self.scratch.path().join("socket")
    }

    /// Everything that the server and its programs wrote lies in here: scan it for canaries.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The server's log so far.
    pub fn log(&self) -> Result<String, PostgresError> {
        fs::read(self.log_file())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(io_error("reading the server's log"))
    }

    /// Runs SQL as superuser in database `postgres`; answers rows as lines, columns joined by `|`.
    /// Several statements are several transactions unless the text says BEGIN; the first error ends it.
    pub fn query(&self, sql: &str) -> Result<String, PostgresError> {
        self.query_in("postgres", sql)
    }

    /// The same in another database.
    pub fn query_in(&self, database: &str, sql: &str) -> Result<String, PostgresError> {
        let mut psql = without_pg_variables(Command::new(self.binaries.program("psql")));
        psql.arg("-h").arg(self.socket_dir());
        run_psql(psql, self.port, (SUPERUSER, database), sql)
    }

    /// Runs SQL over TCP with a password, as an application or a DBA without superuser rights would.
    pub fn query_as(
        &self,
        user: &str,
        password: &str,
        database: &str,
        sql: &str,
    ) -> Result<String, PostgresError> {
        let mut psql = without_pg_variables(Command::new(self.binaries.program("psql")));
        psql.args(["-h", self.host()]).env("PGPASSWORD", password);
        run_psql(psql, self.port, (user, database), sql)
    }

    /// Logs in over TCP with a client that is not Keyturn's and asks `SELECT 1`.
    pub fn login(&self, user: &str, password: &str, database: &str) -> Result<(), LoginFailure> {
        login::login_blocking(self.host(), self.port, user, password, database)
    }

    /// Orderly shutdown; open sessions are ended.
    pub fn stop(&self) -> Result<(), PostgresError> {
        self.pg_ctl("stopping the server", &["stop", "-m", "fast"])
    }

    /// Stops as a crash would: no checkpoint, sessions cut; the next start replays the log.
    /// Rejected: `kill -9` on the postmaster, which leaves its children holding the shared memory.
    pub fn crash(&self) -> Result<(), PostgresError> {
        self.pg_ctl("crashing the server", &["stop", "-m", "immediate"])
    }

    /// Starts a stopped server on the port that it had.
    pub fn start_again(&self) -> Result<(), PostgresError> {
        self.pg_ctl("starting the server", &["start"])
    }

    pub fn restart(&self) -> Result<(), PostgresError> {
        self.stop()?;
        self.start_again()
    }

    /// Reads the configuration anew, e.g. after [`Self::append_conf`].
    pub fn reload(&self) -> Result<(), PostgresError> {
        self.pg_ctl("reloading the configuration", &["reload"])
    }

    /// Adds a line to postgresql.conf; takes effect with [`Self::reload`] or [`Self::restart`].
    pub fn append_conf(&self, line: &str) -> Result<(), PostgresError> {
        self.append("data/postgresql.conf", line)
    }

    fn initdb(&self) -> Result<(), PostgresError> {
        let output = self
            .command("initdb")
            .args(["-D", "data", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"])
            .args(["--locale=C", "--no-sync", "--no-instructions"])
            .output();
        checked("initdb", output).map(drop)
    }

    fn write_configuration(&self, options: &ClusterOptions) -> Result<(), PostgresError> {
        self.make_socket_dir()?;
        let socket = self.socket_dir();
        if let Some((certificate, key)) = &options.tls {
            self.write_private("server.crt", certificate)?;
            self.write_private("server.key", key)?;
        }
        self.append(
            "data/postgresql.conf",
            &options.postgresql_conf(self.host(), &socket),
        )?;
        fs::write(self.data_file("pg_hba.conf"), options.pg_hba_conf())
            .map_err(io_error("writing pg_hba.conf"))
    }

    fn make_socket_dir(&self) -> Result<(), PostgresError> {
        let socket = self.socket_dir();
        fs::create_dir(&socket)
            .and_then(|()| self.run_as.own(&socket))
            .map_err(io_error("making the socket's folder"))
    }

    fn start_on_a_free_port(&mut self) -> Result<(), PostgresError> {
        for attempt in 1.. {
            self.port = free_port().map_err(io_error("looking for a free port"))?;
            self.append("data/postgresql.conf", &format!("port = {}", self.port))?;
            match self.start_again() {
                Ok(()) => break,
                // Asked of the port, not of the error's text: did somebody take it meanwhile?
                Err(error) if attempt == PORT_ATTEMPTS || !self.port_is_taken() => {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn port_is_taken(&self) -> bool {
        TcpListener::bind((self.host(), self.port)).is_err()
    }

    fn pg_ctl(&self, what: &'static str, arguments: &[&str]) -> Result<(), PostgresError> {
        // Files, not pipes: the server inherits them, and a pipe would stay open as long as it runs.
        let said = self.scratch.path().join("pg_ctl.out");
        let out = fs::File::create(&said).map_err(io_error("making pg_ctl's output file"))?;
        let err = out
            .try_clone()
            .map_err(io_error("making pg_ctl's output file"))?;
        let status = self
            .command("pg_ctl")
            .args(arguments)
            .args(["-w", "-t", "60", "-D", "data", "-l"])
            .arg(self.log_file())
            .stdout(out)
            .stderr(err)
            .status()
            .map_err(io_error("running pg_ctl"))?;
        if status.success() {
            return Ok(());
        }
        let said = fs::read_to_string(said).unwrap_or_default();
        let log = self.log().unwrap_or_default();
        Err(PostgresError::Program {
            what,
            output: format!("{said}\nserver log:\n{}", last_lines(&log, 20)),
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command =
            without_pg_variables(self.run_as.command(&self.binaries.program(program)));
        command.current_dir(self.scratch.path());
        command
    }

    fn append(&self, file: &str, text: &str) -> Result<(), PostgresError> {
        fs::OpenOptions::new()
            .append(true)
            .open(self.scratch.path().join(file))
            .and_then(|mut file| writeln!(file, "{text}"))
            .map_err(io_error("writing the server's configuration"))
    }

    fn write_private(&self, name: &str, text: &str) -> Result<(), PostgresError> {
        let path = self.data_file(name);
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
            .and_then(|()| self.run_as.own(&path))
            .map_err(io_error("writing the server's certificate"))
    }

    fn data_file(&self, name: &str) -> PathBuf {
        self.scratch.path().join("data").join(name)
    }

    fn log_file(&self) -> PathBuf {
        self.scratch.path().join("server.log")
    }
}

/// `as_whom`: user and database.
fn run_psql(
    mut psql: Command,
    port: u16,
    (user, database): (&str, &str),
    sql: &str,
) -> Result<String, PostgresError> {
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
        .args(["-U", user, "-d", database, "-p"])
        .arg(port.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = psql.spawn().map_err(io_error("running psql"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A broken pipe means that psql gave up early; its exit status and words tell why.
        let _ = stdin.write_all(sql.as_bytes());
    }
    let output = checked("psql", child.wait_with_output())?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

/// PGHOST, PGDATA and the like in the caller's environment are for another server.
fn without_pg_variables(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command
}

fn checked(what: &'static str, output: io::Result<Output>) -> Result<Output, PostgresError> {
    let output = output.map_err(io_error(what))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(PostgresError::Program { what, output: said })
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn shell_quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

fn io_error(what: &'static str) -> impl Fn(io::Error) -> PostgresError {
    move |source| PostgresError::Io { what, source }
}
