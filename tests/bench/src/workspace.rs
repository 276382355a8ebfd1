//! A folder with a store and a configuration, and the `keyturn` binary that works in it as an operator's would.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::scratch::Scratch;
use keyturn_store::embedded::{EmbeddedStore, MasterKey};
use keyturn_store::{SecretName, SecretStore as _, SystemClock, Which};
use secrecy::ExposeSecret as _;

use crate::Result;

pub(crate) struct Workspace {
    folder: Scratch,
    binary: PathBuf,
}

impl Workspace {
    /// As `keyturn init` leaves it, with these tables in keyturn.toml.
    pub(crate) fn new(tables: &str) -> Result<Self> {
        let binary = std::env::current_exe()?.with_file_name("keyturn");
        if !binary.is_file() {
            return Err(format!("{} is missing; `make bench` makes it", binary.display()).into());
        }
        let workspace = Self {
            folder: Scratch::new("keyturn-bench")?,
            binary,
        };
        workspace.run(&["init"])?;
        workspace.configure(tables)?;
        Ok(workspace)
    }

    /// Writes keyturn.toml: the store and these tables.
    pub(crate) fn configure(&self, tables: &str) -> Result<()> {
        let store =
            "[store]\nkind = \"embedded\"\npath = \"store.db\"\nmaster_key_file = \"master.key\"\n";
        Ok(fs::write(
            self.path("keyturn.toml"),
            format!("{store}{tables}"),
        )?)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn create(&self, name: &str, value: &str) -> Result<()> {
        self.hand_over("create", name, value)
    }

    pub(crate) fn put(&self, name: &str, value: &str) -> Result<()> {
        self.hand_over("put", name, value)
    }

    fn hand_over(&self, command: &str, name: &str, value: &str) -> Result<()> {
        let file = write_private(self.folder.path(), "value.json", value)?;
        self.run(&["secret", command, name, "--value-file", "value.json"])?;
        Ok(fs::remove_file(file)?)
    }

    /// The value under a label.
    pub(crate) fn value(&self, name: &str, label: &str) -> Result<String> {
        let key = MasterKey::from_file(&self.path("master.key"))?;
        let (name, which) = (SecretName::new(name)?, Which::Label(label.to_owned()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let path = self.path("store.db");
            let store = EmbeddedStore::open(&path, &key, Arc::new(SystemClock))?;
            let stored = store.get(&name, &which).await?;
            Ok(stored.value.expose_secret().to_owned())
        })
    }

    /// The audit trail so far.
    pub(crate) fn trail(&self) -> Result<String> {
        Ok(fs::read_to_string(self.path("store.audit.jsonl"))?)
    }

    /// A command that is ready to run here, quiet and with nothing on its standard input.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        for name in ["KEYTURN_CONFIG", "KEYTURN_PLUGIN_DIR", "KEYTURN_MASTER_KEY"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command to its end and answers what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("keyturn {arguments:?}: {}: {said}", output.status).into())
    }
}

/// How long a command takes that must succeed.
pub(crate) fn timed(command: &mut Command) -> Result<Duration> {
    let began = Instant::now();
    let output = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    let took = began.elapsed();
    if output.status.success() {
        return Ok(took);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {said}", output.status).into())
}

/// A file that only we can read.
pub(crate) fn write_private(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&path)?.write_all(text.as_bytes())?;
    Ok(path)
}
