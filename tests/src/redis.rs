//! Throwaway Redis servers: real ones in a scratch folder, on free ports of 127.0.0.1, each with its own
//! configuration file, so that CONFIG REWRITE and a restart can be tried. A server ends with its [`Server`] value or
//! with the process that made it, whichever comes first.

mod client;
mod options;
mod program;

pub use client::{LoginFailure, Session, Value, sha256, text};
pub use options::ServerOptions;
pub use program::{HOW_TO_GET_ONE, Program};

use std::fs;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::time::Duration;

use crate::local::{free_port, lock};
use crate::poll;
use crate::scratch::{RunAs, Scratch};

/// What the redis plugin's README tells an operator to set up for a user, in the words of ACL LIST, with this password
/// (`>text` or `#hash`). Empty if the README has lost its mark.
pub fn documented_user(name: &str, password: &str) -> String {
    const README: &str = include_str!("../../plugins/redis/README.md");
    let begins = format!("ACL SETUSER {name} ");
    let setup = README.split("<!-- setup -->").nth(1).unwrap_or_default();
    let rules = setup.lines().find_map(|line| line.strip_prefix(&begins));
    let words = rules.unwrap_or_default().split(' ');
    let words: Vec<&str> = words
        .map(|word| {
            if word.starts_with('>') {
                password
            } else {
                word
            }
        })
        .collect();
    format!("{name} {}", words.join(" "))
}

/// The harness's own user, which every server since Redis 6 has: for set-up and for looking from outside.
pub const HARNESS_USER: &str = "harness";
const HARNESS_PASSWORD: &str = "of the harness alone";

/// How often other ports are tried when somebody else took the free ones before the server did.
const PORT_ATTEMPTS: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    #[error("no {wanted} found on PATH. {HOW_TO_GET_ONE}")]
    NotFound { wanted: &'static str },
    #[error("the server did not start: {log}")]
    Start { log: String },
    #[error("{what}: {source}")]
    Io {
        what: &'static str,
        source: io::Error,
    },
}

/// A running server. Dropping it stops the server and removes its folder.
#[derive(Debug)]
pub struct Server {
    program: Program,
    scratch: Scratch,
    port: u16,
    tls_port: Option<u16>,
    /// Its configuration file, or the configuration itself.
    arguments: Vec<String>,
    process: Mutex<Option<Child>>,
}

impl Server {
    /// With the default options.
    pub fn start() -> Result<Self, RedisError> {
        ServerOptions::new().start()
    }

    fn start_with(options: &ServerOptions) -> Result<Self, RedisError> {
        let program = match &options.program {
            Some(program) => program.clone(),
            None => Program::newest()?,
        };
        // The process is a child of ours; only if we die without dropping this is there something to kill.
        let stop_script = "[ -s redis.pid ] && kill -9 \"$(cat redis.pid)\" 2>/dev/null";
        let scratch = Scratch::guarded("keyturn-redis", RunAs::Ourselves, stop_script)
            .map_err(io_error("making the server's folder"))?;
        let mut server = Self {
            program,
            scratch,
            port: 0,
            tls_port: None,
            arguments: Vec::new(),
            process: Mutex::new(None),
        };
        for attempt in 1.. {
            let a_port = || free_port().map_err(io_error("looking for a free port"));
            server.port = a_port()?;
            server.tls_port = options.tls.is_some().then(a_port).transpose()?;
            server.write_configuration(options)?;
            match server.start_again() {
                Ok(()) => break,
                Err(error) if attempt == PORT_ATTEMPTS || !server.a_port_is_taken() => {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        Ok(server)
    }

    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Without TLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// # Panics
    /// If it was started without a certificate.
    #[allow(
        clippy::expect_used,
        reason = "a test that asks for what it did not set up is wrong"
    )]
    pub fn tls_port(&self) -> u16 {
        self.tls_port.expect("the server was started without TLS")
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Everything that the server wrote lies in here: scan it for canaries.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The server's log so far.
    pub fn log(&self) -> Result<String, RedisError> {
        fs::read(self.file("server.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(io_error("reading the server's log"))
    }

    /// Runs a command as the harness's own user.
    pub fn command(&self, words: &[&str]) -> Result<Value, LoginFailure> {
        self.command_as(Some(HARNESS_USER), HARNESS_PASSWORD, words)
    }

    /// Runs a command after a login with a client that is not Keyturn's; without a user name, in the form that
    /// servers before Redis 6 know.
    pub fn command_as(
        &self,
        user: Option<&str>,
        password: &str,
        words: &[&str],
    ) -> Result<Value, LoginFailure> {
        client::command(self.address(), user, password, words)
    }

    /// Logs in and does what every application does first.
    pub fn login(&self, user: Option<&str>, password: &str) -> Result<(), LoginFailure> {
        self.command_as(user, password, &["PING"]).map(drop)
    }

    /// Orderly shutdown.
    pub fn stop(&self) -> Result<(), RedisError> {
        self.end("-TERM")
    }

    /// `kill -9`.
    pub fn crash(&self) -> Result<(), RedisError> {
        self.end("-KILL")
    }

    /// Starts a stopped server on the ports that it had, from its own configuration file.
    pub fn start_again(&self) -> Result<(), RedisError> {
        let child = RunAs::Ourselves
            .command(&self.program.path)
            .args(&self.arguments)
            .current_dir(self.folder())
            .stdout(io_null("opening /dev/null")?)
            .stderr(io_null("opening /dev/null")?)
            .spawn()
            .map_err(io_error("running the server"))?;
        *lock(&self.process) = Some(child);
        let answered = poll::until(PATIENCE, || {
            if client::answers(self.address()) {
                return Some(true);
            }
            let ended = lock(&self.process)
                .as_mut()
                .is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            ended.then_some(false)
        });
        if answered == Some(true) {
            return Ok(());
        }
        Err(RedisError::Start {
            log: self.log().unwrap_or_default(),
        })
    }

    pub fn restart(&self) -> Result<(), RedisError> {
        self.stop()?;
        self.start_again()
    }

    /// Its configuration file, as the server last wrote it.
    pub fn configuration(&self) -> PathBuf {
        self.file("redis.conf")
    }

    fn end(&self, signal: &str) -> Result<(), RedisError> {
        let Some(mut child) = lock(&self.process).take() else {
            return Ok(());
        };
        let kill = std::process::Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        kill.and_then(|_| child.wait())
            .map(drop)
            .map_err(io_error("stopping the server"))
    }

    fn write_configuration(&mut self, options: &ServerOptions) -> Result<(), RedisError> {
        if let Some((certificate, key)) = &options.tls {
            self.write("server.crt", certificate)?;
            self.write("server.key", key)?;
        }
        if let Some(users) = options.acl_file() {
            self.write("users.acl", &users)?;
        }
        let conf = options.redis_conf(self.port, self.tls_port);
        if options.without_file {
            self.arguments = options::as_arguments(&conf);
            return Ok(());
        }
        self.arguments = vec!["redis.conf".to_owned()];
        self.write("redis.conf", &conf)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), RedisError> {
        fs::File::create(self.file(name))
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(io_error("writing the server's configuration"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn a_port_is_taken(&self) -> bool {
        std::iter::once(self.port)
            .chain(self.tls_port)
            .any(|port| TcpListener::bind((self.host(), port)).is_err())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The folder's watchdog comes after it.
        let _ = self.crash();
    }
}

fn io_null(what: &'static str) -> Result<fs::File, RedisError> {
    fs::OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .map_err(io_error(what))
}

fn io_error(what: &'static str) -> impl Fn(io::Error) -> RedisError {
    move |source| RedisError::Io { what, source }
}
