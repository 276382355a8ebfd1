//! Scratch folders that outlive nothing: each has a watchdog, a small shell process that holds the
//! read end of a pipe whose write end only this process owns. When this process ends, however it
//! ends (return, panic, Ctrl-C, `kill -9`), the pipe closes, and the watchdog stops what runs in the
//! folder and removes it. Dropping the folder goes the very same way, so the path is tried in every
//! test. Rejected: `PR_SET_PDEATHSIG`, which exists on Linux only and fires when the *thread* that
//! started the child ends.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The operating-system user that runs a server: PostgreSQL's programs refuse root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunAs {
    /// The user that we are.
    Ourselves,
    /// Another user; only root can switch.
    Other { uid: u32, gid: u32 },
}

impl RunAs {
    /// Ourselves, or, when we are root, `postgres` or else `nobody`.
    pub fn unprivileged() -> io::Result<Self> {
        if our_uid()? != 0 {
            return Ok(Self::Ourselves);
        }
        let accounts = fs::read_to_string("/etc/passwd")?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| account(&accounts, name))
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::NotFound,
                    "running as root, and neither a user \"postgres\" nor \"nobody\" exists to run the server as",
                )
            })
    }

    /// A command that will run as this user. Standard input is empty.
    pub fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Hands a file or folder to this user.
    pub fn own(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Ourselves => Ok(()),
            Self::Other { uid, gid } => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
        }
    }
}

/// A folder under the system's temporary directory, mode 0700, guarded by a watchdog.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    watchdog: Child,
}

impl Scratch {
    /// A folder of our own, in which nothing runs.
    pub fn new(prefix: &str) -> io::Result<Self> {
        Self::guarded(prefix, RunAs::Ourselves, "")
    }

    /// A folder that belongs to `run_as`. Before the folder is removed, the watchdog runs
    /// `stop_script` in it with `/bin/sh`, as that user; the script must be safe to run when
    /// nothing was started.
    pub fn guarded(prefix: &str, run_as: RunAs, stop_script: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("{prefix}-"))
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()?;
        run_as.own(folder.path())?;
        // The second round is for a process that still wrote into the folder while it was removed.
        let script = format!(
            "cat >/dev/null; cd \"$1\" || exit 0\n{stop_script}\ncd /; rm -rf \"$1\" || {{ sleep 1; rm -rf \"$1\"; }}"
        );
        let watchdog = run_as
            .command(Path::new("/bin/sh"))
            .args(["-c", &script, "watchdog"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: Ctrl-C in a terminal and a test runner's kill reach the group of
            // the test, and the watchdog must survive both.
            .process_group(0)
            .spawn()?;
        // From here on the watchdog removes it.
        let path = folder.keep();
        Ok(Self { path, watchdog })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        // An error means that the watchdog was already waited for; there is nothing left to do.
        let _ = self.watchdog.wait();
    }
}

/// Our effective user, read from a file that we made: std has no `geteuid`.
fn our_uid() -> io::Result<u32> {
    Ok(tempfile::tempfile()?.metadata()?.uid())
}

fn account(passwd: &str, name: &str) -> Option<RunAs> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(RunAs::Other {
        uid: fields.next()?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_passwd() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:PG,,,:/v:/bin/bash\n";
        assert_eq!(
            account(passwd, "postgres"),
            Some(RunAs::Other { uid: 101, gid: 104 })
        );
        assert_eq!(account(passwd, "nobody"), None);
    }

    #[test]
    fn dropping_a_scratch_folder_runs_its_stop_script_and_removes_it() {
        let witness = Scratch::new("keyturn-witness").unwrap();
        let stop = format!("echo stopped > {}/stopped", witness.path().display());
        let scratch = Scratch::guarded("keyturn-scratch", RunAs::Ourselves, &stop).unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        drop(scratch);
        assert!(!path.exists());
        assert_eq!(
            fs::read_to_string(witness.path().join("stopped")).unwrap(),
            "stopped\n"
        );
    }
}
