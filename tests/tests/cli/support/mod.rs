//! Runs the `keyturn` binary in a folder of its own and looks into its store from outside. A command
//! that does not end within its patience is killed and fails the test.

pub(crate) mod cache;
pub(crate) mod festival;
pub(crate) mod managed;
pub(crate) mod served;
pub(crate) mod terminal;

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::canary::{CanarySet, Scan};
use harness::poll;
use harness::scratch::Scratch;
use keyturn_store::embedded::{EmbeddedStore, MasterKey};
use keyturn_store::{SecretDescription, SecretName, SecretStore, SystemClock, VersionId, Which};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// Far longer than any command takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A target that is rotated in a workspace, as far as the suites about interruptions have to know it.
pub(crate) trait Site: Sync {
    fn workspace(&self) -> &Workspace;

    /// The secret's name.
    fn secret(&self) -> &str;

    /// Logs in with what a version holds, by a client that is not Keyturn's.
    fn login(&self, value: &Value) -> Result<(), String>;

    /// A proxy keeps the server's side open; in truth a dead process's connections end with it.
    fn end_sessions_of_the_dead(&self);

    /// AWSCURRENT opens the door.
    #[track_caller]
    fn current_logs_in(&self) {
        let current = self.workspace().current(self.secret());
        if let Err(error) = self.login(&current) {
            let user = &current["username"];
            panic!("AWSCURRENT ({user}) does not log in: {error}");
        }
    }
}

/// A folder with a store, its key and a configuration.
pub(crate) struct Workspace {
    folder: Scratch,
    /// What the commands wrote that were not asked to reveal anything.
    written: Mutex<String>,
    /// What commands find in their environment.
    environment: Mutex<Vec<(String, String)>>,
}

/// How a command ended and what it wrote.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary that `cargo build --workspace --bins` put beside this crate's own.
pub(crate) fn binary() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_keyturn-prober")).with_file_name("keyturn");
    assert!(
        binary.is_file(),
        "{} is missing; `make build` makes it",
        binary.display()
    );
    binary
}

impl Workspace {
    /// A folder in which `keyturn init` has not run.
    pub(crate) fn empty() -> Self {
        Self {
            folder: Scratch::new("keyturn-cli").unwrap(),
            written: Mutex::default(),
            environment: Mutex::default(),
        }
    }

    /// A folder as `keyturn init` leaves it.
    pub(crate) fn new() -> Self {
        let workspace = Self::empty();
        workspace.run(&["init"]).succeeded();
        workspace
    }

    /// The same with further tables in keyturn.toml.
    pub(crate) fn with(tables: &str) -> Self {
        let workspace = Self::new();
        workspace.configure(tables);
        workspace
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes keyturn.toml: the store and these tables. `[store]` takes the lines 1 to 4.
    pub(crate) fn configure(&self, tables: &str) {
        let store =
            "[store]\nkind = \"embedded\"\npath = \"store.db\"\nmaster_key_file = \"master.key\"\n";
        fs::write(self.path("keyturn.toml"), format!("{store}{tables}")).unwrap();
    }

    /// From now on commands find this in their environment, beside nothing of ours.
    pub(crate) fn surround(&self, environment: &[(&str, &str)]) {
        let pairs = environment.iter();
        *self.environment.lock().unwrap() = pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "", &[])
    }

    /// The same with standard input and environment variables.
    pub(crate) fn run_with(
        &self,
        arguments: &[&str],
        stdin: &str,
        environment: &[(&str, &str)],
    ) -> Ended {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        command.envs(environment.iter().copied());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may end before this is written.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let ended = end(child, arguments);
        if !arguments.contains(&"--reveal") {
            self.keep(&ended);
        }
        ended
    }

    /// For the scan: what a command wrote that was started and waited for.
    pub(crate) fn keep(&self, ended: &Ended) {
        let mut written = self.written.lock().unwrap();
        written.extend([ended.stdout.as_str(), &ended.stderr]);
    }

    /// What one that was started and killed had written.
    pub(crate) fn keep_words_of(&self, child: &mut Child) {
        let mut written = self.written.lock().unwrap();
        // Bytes that are no text are none of ours; the pipe's end came with the process's.
        if let Some(mut stdout) = child.stdout.take() {
            let _ = stdout.read_to_string(&mut written);
        }
        if let Some(mut stderr) = child.stderr.take() {
            let _ = stderr.read_to_string(&mut written);
        }
    }

    /// Looks for every password that a version of these secrets has ever held, in everything that the
    /// commands wrote, in the folder, and in what the server wrote into its log.
    pub(crate) fn scan(&self, names: &[&str], server_log: &str) -> Scan {
        let mut passwords = Vec::new();
        for name in names {
            let description = self.describe(name);
            for version in description.versions {
                let (name, which) = (secret(name), Which::Id(version.id));
                let value = self.on_store(|store| async move { store.get(&name, &which).await });
                let value = value.unwrap();
                let value: Value = serde_json::from_str(value.value.expose_secret()).unwrap();
                passwords.extend(value["password"].as_str().map(str::to_owned));
            }
        }
        assert!(!passwords.is_empty());
        let passwords: Vec<_> = passwords.iter().map(String::as_str).collect();
        self.scan_for(&passwords, server_log)
    }

    /// The same for values that the test knows.
    pub(crate) fn scan_for(&self, values: &[&str], server_log: &str) -> Scan {
        let canaries = CanarySet::new(values.iter().copied()).unwrap();
        let mut scan = Scan::default();
        canaries.scan_path(self.folder(), &mut scan).unwrap();
        let written = self.written.lock().unwrap();
        canaries.scan_bytes("the commands' output", written.as_bytes(), &mut scan);
        canaries.scan_bytes("the server's log", server_log.as_bytes(), &mut scan);
        scan
    }

    /// Starts a command and leaves it running.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, _) in std::env::vars().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        command.envs(self.environment.lock().unwrap().iter().cloned());
        command
    }

    /// `secret create` with a value from a file that only we can read.
    pub(crate) fn create(&self, name: &str, value: &str) {
        let file = self.value_file(value);
        self.run(&[
            "secret",
            "create",
            name,
            "--value-file",
            file.to_str().unwrap(),
        ])
        .succeeded();
        fs::remove_file(file).unwrap();
    }

    pub(crate) fn value_file(&self, value: &str) -> PathBuf {
        let path = self.path("value.json");
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(value.as_bytes()))
            .unwrap();
        path
    }

    /// Works on the store from outside, as another process would.
    pub(crate) fn on_store<T, F: Future<Output = T>>(
        &self,
        work: impl FnOnce(EmbeddedStore) -> F,
    ) -> T {
        let key = MasterKey::from_file(&self.path("master.key")).unwrap();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                let store =
                    EmbeddedStore::open(&self.path("store.db"), &key, Arc::new(SystemClock))
                        .unwrap();
                work(store).await
            })
    }

    pub(crate) fn describe(&self, name: &str) -> SecretDescription {
        let name = secret(name);
        self.on_store(|store| async move { store.describe(&name).await.unwrap() })
    }

    /// Staging label to version id.
    pub(crate) fn labels(&self, name: &str) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for version in self.describe(name).versions {
            for label in version.labels {
                labels.insert(label, version.id.to_string());
            }
        }
        labels
    }

    /// The value under a label, as its text.
    pub(crate) fn text(&self, name: &str, label: &str) -> String {
        let (name, which) = (secret(name), Which::Label(label.to_owned()));
        self.on_store(|store| async move {
            let version = store.get(&name, &which).await.unwrap();
            version.value.expose_secret().to_owned()
        })
    }

    /// AWSCURRENT's value, parsed.
    pub(crate) fn current(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name, "AWSCURRENT")).unwrap()
    }

    /// Puts a version under labels of the test's choice, as a half-done or a foreign rotation would.
    pub(crate) fn plant(&self, name: &str, id: &str, value: &str, labels: &[&str]) {
        let (name, id) = (secret(name), VersionId::new(id).unwrap());
        let value = SecretString::from(value);
        self.on_store(|store| async move {
            store.put(&name, &id, &value, labels).await.unwrap();
        });
    }

    /// Puts a label where a half-done rotation would have left it.
    pub(crate) fn attach(&self, name: &str, label: &str, id: &str) {
        let (name, id) = (secret(name), VersionId::new(id).unwrap());
        self.on_store(|store| async move {
            store
                .move_label(&name, label, None, Some(&id))
                .await
                .unwrap();
        });
    }

    pub(crate) fn audit(&self) -> String {
        let environment = self.environment.lock().unwrap();
        let is_on_aws = environment.iter().any(|(name, _)| name == "KEYTURN_STORE");
        let trail = if is_on_aws {
            "keyturn.audit.jsonl"
        } else {
            "store.audit.jsonl"
        };
        fs::read_to_string(self.path(trail)).unwrap_or_default()
    }
}

/// What this machine's environment must not decide.
fn is_ours(name: &str) -> bool {
    name == "SECRETS_MANAGER_ENDPOINT"
        || ["KEYTURN_", "AWS_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

impl Ended {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// Ended with this exit code and with all of these words on standard error.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(
                self.stderr.contains(word),
                "standard error lacks {word:?}: {self:#?}"
            );
        }
        self
    }

    /// The one JSON object on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not one JSON value ({error}): {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn says(&self, words: &[&str]) {
        for word in words {
            assert!(
                self.stdout.contains(word),
                "standard output lacks {word:?}: {self:#?}"
            );
        }
    }
}

/// Waits for a command and reads what it wrote.
pub(crate) fn end(child: Child, arguments: &[&str]) -> Ended {
    end_within(PATIENCE, child, arguments)
}

/// The same with more patience.
pub(crate) fn end_within(patience: Duration, mut child: Child, arguments: &[&str]) -> Ended {
    // What a command writes fits into a pipe, so it can be read when it has ended.
    if poll::until(patience, || child.try_wait().unwrap()).is_none() {
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        panic!("keyturn {arguments:?} did not end within {patience:?}: {output:?}");
    }
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn secret(name: &str) -> SecretName {
    SecretName::new(name).unwrap()
}

/// An id of the standalone driver's own form.
pub(crate) fn own_id(number: u32) -> String {
    format!("keyturn-00000000-0000-4000-8000-{number:012}")
}

/// What a run notes before it promotes `successor`: that a person ends the value of `subject`.
pub(crate) fn note_that_it_owes(
    workspace: &Workspace,
    name: &str,
    credential: &str,
    successor: &str,
    subject: &str,
) {
    use keyturn_engine::{Notes, Obligation};
    let secret = secret(name);
    let owed = Obligation {
        subject: subject.to_owned(),
        at_target: false,
        new_version: true,
        by_operator: true,
        due_at_ms: 0,
        operator_steps: None,
    };
    workspace.on_store(|store| async move {
        Notes::update(&store, &secret, |notes| {
            notes.version_mut(credential, successor).owes = Some(owed.clone());
        })
        .await
        .unwrap();
    });
}
