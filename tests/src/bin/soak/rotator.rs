//! One `keyturn` process. What it writes goes into a file, so that it never waits for a reader and
//! everything can be scanned at the end.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::poll;

use crate::Failure;
use crate::site::text;

const SIGKILL: i32 = 9;

static STARTED: AtomicUsize = AtomicUsize::new(0);

pub(crate) struct Rotator {
    child: Child,
    started: Instant,
    output: PathBuf,
    status: Option<ExitStatus>,
}

impl Rotator {
    pub(crate) fn start(binary: &Path, folder: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let outputs = folder.join("outputs");
        fs::create_dir_all(&outputs).map_err(text)?;
        let output = outputs.join(number.to_string());
        let stdout = File::create(&output).map_err(text)?;
        let stderr = stdout.try_clone().map_err(text)?;
        let child = Command::new(binary)
            .args(arguments)
            .current_dir(folder)
            .env_remove("KEYTURN_CONFIG")
            .env_remove("KEYTURN_PLUGIN_DIR")
            .env_remove("KEYTURN_MASTER_KEY")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(|error| format!("starting {}: {error}", binary.display()))?;
        Ok(Self {
            child,
            started: Instant::now(),
            output,
            status: None,
        })
    }

    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            // An error means that it was waited for already, which sets the status.
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Ends it with SIGKILL. False if it had ended by itself.
    pub(crate) fn kill(&mut self) -> bool {
        if self.ended().is_some() {
            return false;
        }
        // An error means that it has just ended, which its status tells.
        let _ = self.child.kill();
        self.status = self.child.wait().ok();
        self.was_killed()
    }

    pub(crate) fn was_killed(&self) -> bool {
        self.status.and_then(|status| status.signal()) == Some(SIGKILL)
    }

    /// `None` if it runs on beyond that patience; then it is killed.
    pub(crate) fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let ended = poll::until(patience, || self.ended());
        if ended.is_none() {
            self.kill();
        }
        ended
    }

    /// Everything that it wrote.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }
}

/// The harness's own failures must leave nothing running.
impl Drop for Rotator {
    fn drop(&mut self) {
        self.kill();
    }
}
