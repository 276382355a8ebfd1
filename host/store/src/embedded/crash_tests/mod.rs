//! The store under kill -9. A child process (this test binary again) works on a store file; the parent kills it
//! between any two statements, or at random times, or lets two of them work at once, and then reads the file. What
//! must be in it is told by the memory store, which ran the same script.

mod at_service;
mod at_statements;
mod at_upgrade;
mod under_load;

use std::env;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::{EmbeddedStore, MasterKey};
use crate::clock::ManualClock;
use crate::error::ErrorKind;
use crate::labels::{CURRENT, PENDING, PREVIOUS};
use crate::limits;
use crate::memory::MemoryStore;
use crate::store::SecretStore;
use crate::types::{NewSecret, Notes, SecretDescription, SecretName, VersionId, Which};

/// Tells the child which folder it works in; without it the child tests are not meant.
const FOLDER: &str = "KEYTURN_STORE_TEST_FOLDER";

const START_MS: u64 = 1_700_000_000_000;
const SIGKILL: i32 = 9;

/// One call of the script. Versions are numbered.
#[derive(Debug, Clone, Copy)]
enum Step {
    Create,
    Put(u32, &'static [&'static str]),
    Move(&'static str, Option<u32>, Option<u32>),
    Reserve(u32),
    Notes(u64),
    /// A put into the secret that has more old versions than are kept.
    PutIntoFull(u32),
}

/// Two rotations, a hand edit during a third, a service's version, a rollback, and a removal of old versions.
const SCRIPT: &[Step] = &[
    Step::Create,
    Step::Put(2, &[PENDING]),
    Step::Move("KEYTURN_INDOUBT", None, Some(2)),
    Step::Move(CURRENT, Some(1), Some(2)),
    Step::Move(PENDING, Some(2), None),
    Step::Notes(0),
    Step::Put(3, &[PENDING, "KEYTURN_BASE"]),
    Step::Put(4, &[]),
    Step::Reserve(5),
    Step::Put(5, &[PENDING]),
    Step::Move(CURRENT, Some(4), Some(2)),
    Step::Notes(1),
    Step::PutIntoFull(200),
];

/// Both stores of this crate, with what the trait does not have.
enum Store {
    Embedded(EmbeddedStore),
    Memory(MemoryStore),
}

impl Store {
    fn calls(&self) -> &dyn SecretStore {
        match self {
            Self::Embedded(store) => store,
            Self::Memory(store) => store,
        }
    }

    async fn close(&self) {
        if let Self::Embedded(store) = self {
            store.close().await;
        }
    }

    /// A secret whose versions 1 and 2 will be too old and too many, once a day has passed.
    async fn fill(&self) {
        let count = u32::try_from(limits::VERSIONS_KEPT).unwrap() + 2;
        self.calls()
            .create_secret(&full(), new_secret())
            .await
            .unwrap();
        for number in 2..=count {
            self.calls()
                .put(&full(), &id(number), &value(number), &["NEWEST"])
                .await
                .unwrap();
        }
        let (from, to) = (id(1), id(count));
        self.calls()
            .move_label(&full(), CURRENT, Some(&from), Some(&to))
            .await
            .unwrap();
        self.calls()
            .move_label(&full(), PREVIOUS, Some(&from), None)
            .await
            .unwrap();
    }

    async fn perform(&self, step: Step) {
        let store = self.calls();
        match step {
            Step::Create => store.create_secret(&name(), new_secret()).await.unwrap(),
            Step::Put(number, labels) => {
                assert!(
                    store
                        .put(&name(), &id(number), &value(number), labels)
                        .await
                        .unwrap()
                        .stored
                );
            }
            Step::Move(label, from, to) => {
                let (from, to) = (from.map(id), to.map(id));
                store
                    .move_label(&name(), label, from.as_ref(), to.as_ref())
                    .await
                    .unwrap();
            }
            Step::Reserve(number) => match self {
                Self::Embedded(store) => store.reserve(&name(), &id(number)).await.unwrap(),
                Self::Memory(store) => store.reserve(&name(), &id(number)).await.unwrap(),
            },
            Step::Notes(revision) => {
                let json = format!(r#"{{"after":{revision}}}"#);
                store.write_notes(&name(), revision, &json).await.unwrap();
            }
            Step::PutIntoFull(number) => {
                store
                    .put(&full(), &id(number), &value(number), &[PENDING])
                    .await
                    .unwrap();
            }
        }
    }

    /// Everything that every store can tell: one in memory counts no rotations.
    async fn state(&self) -> Vec<(SecretDescription, Vec<Option<String>>, Notes)> {
        let mut state = Vec::new();
        for secret in self.calls().list().await.unwrap() {
            let mut values = Vec::new();
            for version in &secret.versions {
                let which = Which::Id(version.id.clone());
                values.push(match self.calls().get(&secret.name, &which).await {
                    Ok(version) => Some(version.value.expose_secret().to_owned()),
                    Err(error) => {
                        assert_eq!(
                            (error.kind(), version.has_value),
                            (ErrorKind::NotFound, false)
                        );
                        None
                    }
                });
            }
            let notes = self.calls().notes(&secret.name).await.unwrap();
            let secret = SecretDescription {
                last_rotated_at_ms: None,
                ..secret
            };
            state.push((secret, values, notes));
        }
        state
    }

    /// The invariant in its own words, apart from any comparison.
    async fn assert_one_current_each(&self) {
        for secret in self.calls().list().await.unwrap() {
            let holds = |label: &&String| label.as_str() == CURRENT;
            let labels = secret.versions.iter().flat_map(|version| &version.labels);
            assert_eq!(labels.filter(holds).count(), 1, "{secret:?}");
            self.calls()
                .get(&secret.name, &Which::current())
                .await
                .unwrap();
        }
    }
}

fn name() -> SecretName {
    SecretName::new("shop/database").unwrap()
}

fn full() -> SecretName {
    SecretName::new("shop/full").unwrap()
}

fn id(number: u32) -> VersionId {
    VersionId::new(format!("keyturn-{number:036}")).unwrap()
}

fn value(number: u32) -> SecretString {
    SecretString::from(format!("value {number}"))
}

fn new_secret() -> NewSecret {
    NewSecret {
        id: id(1),
        value: value(1),
        description: None,
    }
}

/// A clock at the time of a step, so that parent and child write the same times. The script starts a day after the
/// full secret was filled.
fn clock_at(step: usize) -> Arc<ManualClock> {
    Arc::new(ManualClock::at_ms(time_ms(step)))
}

fn time_ms(step: usize) -> u64 {
    START_MS + limits::VERSION_AGE_SECONDS_MIN * 1_000 + step as u64 * 1_000
}

struct Folder(PathBuf);

impl Folder {
    fn of_child() -> Option<Self> {
        env::var_os(FOLDER).map(|path| Self(path.into()))
    }

    fn store(&self) -> PathBuf {
        self.0.join("store.db")
    }

    fn key(&self) -> PathBuf {
        self.0.join("master.key")
    }

    fn master(&self) -> MasterKey {
        MasterKey::from_file(&self.key()).unwrap()
    }

    async fn open(&self, clock: Arc<ManualClock>) -> Store {
        let store = EmbeddedStore::open(&self.store(), &self.master(), clock);
        Store::Embedded(store.unwrap())
    }

    fn spawn(&self, child: &str, variables: &[(&str, String)]) -> Child {
        let test = format!("embedded::crash_tests::{child}");
        Command::new(env::current_exe().unwrap())
            .args([
                test.as_str(),
                "--exact",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(FOLDER, &self.0)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs a child to its end or death and answers what it acknowledged.
    fn run(&self, child: &str, variables: &[(&str, String)]) -> (ExitStatus, Vec<String>) {
        let mut child = self.spawn(child, variables);
        let said = BufReader::new(child.stderr.take().unwrap());
        let said = said.lines().map(Result::unwrap).collect();
        (child.wait().unwrap(), said)
    }
}

/// The child's one way to say that a call returned. Standard error is not buffered.
fn acknowledge(what: &str) {
    writeln!(io::stderr(), "{what}").unwrap();
}

/// The folder of a closed store with the full secret, and its key.
async fn template(path: &Path) -> Folder {
    let folder = Folder(path.to_owned());
    let master = MasterKey::generate().unwrap();
    master.write_new_file(&folder.key()).unwrap();
    let clock = Arc::new(ManualClock::at_ms(START_MS));
    let store = EmbeddedStore::create(&folder.store(), &master, clock).unwrap();
    let store = Store::Embedded(store);
    store.fill().await;
    store.close().await;
    folder
}
