//! The store under kill -9. A child process (this test binary again) works on a store file; the parent kills it
//! between any two statements, or at random times, or lets two of them work at once, and then reads the file. What
//! must be in it is told by the memory store, which ran the same script.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::failpoint::under_test::KILL_AT;
use super::{EmbeddedStore, MasterKey, OpenError};
use crate::clock::{ManualClock, SystemClock};
use crate::error::ErrorKind;
use crate::labels::{CURRENT, PENDING, PREVIOUS};
use crate::limits;
use crate::memory::MemoryStore;
use crate::store::SecretStore;
use crate::types::{NewSecret, Notes, SecretDescription, SecretName, VersionId, Which};

/// Tells the child which folder it works in; without it the child tests are not meant.
const FOLDER: &str = "KEYTURN_STORE_TEST_FOLDER";
/// Tells apart two children at once, and the rounds of one after the other.
const SHARE: &str = "KEYTURN_STORE_TEST_SHARE";

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

    /// Everything that a store can tell.
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
        let store = EmbeddedStore::open(&self.store(), &self.master(), clock).await;
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
    let store = EmbeddedStore::create(&folder.store(), &master, clock)
        .await
        .unwrap();
    let store = Store::Embedded(store);
    store.fill().await;
    if let Store::Embedded(store) = store {
        store.close().await;
    }
    folder
}

#[tokio::test]
#[ignore = "the child of killed_between_any_two_statements"]
async fn child_runs_the_script() {
    let Some(folder) = Folder::of_child() else {
        return;
    };
    let clock = clock_at(0);
    let store = folder.open(clock.clone()).await;
    for (number, step) in SCRIPT.iter().enumerate() {
        clock.set_ms(time_ms(number));
        store.perform(*step).await;
        acknowledge("done");
    }
}

#[tokio::test]
async fn killed_between_any_two_statements() {
    let home = tempfile::tempdir().unwrap();
    let template = template(home.path()).await;
    let clock = Arc::new(ManualClock::at_ms(START_MS));
    let memory = Store::Memory(MemoryStore::new(clock.clone()));
    memory.fill().await;
    let mut expected = vec![memory.state().await];
    for (number, step) in SCRIPT.iter().enumerate() {
        clock.set_ms(time_ms(number));
        memory.perform(*step).await;
        expected.push(memory.state().await);
    }
    assert_eq!(expected[0][0].1.len(), 102);
    assert_eq!(
        expected[SCRIPT.len()][1].1.len(),
        100,
        "the last step removes old versions"
    );

    let (mut kills, mut before_commit, mut after_commit) = (0, 0, 0);
    loop {
        let run = tempfile::tempdir().unwrap();
        let folder = Folder(run.path().to_owned());
        fs::copy(template.store(), folder.store()).unwrap();
        fs::copy(template.key(), folder.key()).unwrap();
        let kill_at = kills + 1;
        let (status, said) = folder.run("child_runs_the_script", &[(KILL_AT, kill_at.to_string())]);
        if status.success() {
            assert_eq!(said.len(), SCRIPT.len());
            break;
        }
        assert_eq!(status.signal(), Some(SIGKILL), "kill {kill_at}: {said:?}");
        kills += 1;
        let done = said.len();
        let store = folder.open(clock_at(done)).await;
        store.assert_one_current_each().await;
        let state = store.state().await;
        if state == expected[done] {
            before_commit += 1;
            store.perform(SCRIPT[done]).await;
            assert_eq!(store.state().await, expected[done + 1], "kill {kill_at}");
        } else {
            after_commit += 1;
            assert_eq!(
                state,
                expected[done + 1],
                "kill {kill_at} in {:?}",
                SCRIPT[done]
            );
        }
    }
    acknowledge(&format!(
        "{kills} kills: {before_commit} before a commit, {after_commit} after"
    ));
    // Each step has one place after its commit, and several before.
    assert_eq!(after_commit, SCRIPT.len());
    assert!(
        before_commit > 4 * SCRIPT.len(),
        "{before_commit} of {kills}"
    );
}

#[tokio::test]
#[ignore = "the child of killed_while_a_store_is_created"]
async fn child_creates_a_store() {
    let Some(folder) = Folder::of_child() else {
        return;
    };
    let clock = Arc::new(SystemClock);
    EmbeddedStore::create(&folder.store(), &folder.master(), clock)
        .await
        .unwrap();
    acknowledge("created");
}

#[tokio::test]
async fn killed_while_a_store_is_created() {
    let (mut absent, mut whole) = (0, 0);
    for kill_at in 1.. {
        let run = tempfile::tempdir().unwrap();
        let folder = Folder(run.path().to_owned());
        let master = MasterKey::generate().unwrap();
        master.write_new_file(&folder.key()).unwrap();
        let (status, said) = folder.run("child_creates_a_store", &[(KILL_AT, kill_at.to_string())]);
        if status.success() {
            assert_eq!(said, ["created"]);
            break;
        }
        assert_eq!(status.signal(), Some(SIGKILL), "kill {kill_at}: {said:?}");
        let path = folder.store();
        let open = || EmbeddedStore::open(&path, &master, Arc::new(SystemClock));
        match open().await {
            Ok(_) => whole += 1,
            Err(OpenError::Missing { .. }) => {
                absent += 1;
                let clock = Arc::new(SystemClock);
                EmbeddedStore::create(&folder.store(), &master, clock)
                    .await
                    .unwrap();
            }
            Err(error) => panic!("kill {kill_at}: {error}"),
        }
        let store = open().await.unwrap();
        store.create_secret(&name(), new_secret()).await.unwrap();
    }
    assert!(absent >= 5 && whole >= 1, "{absent} absent, {whole} whole");
}

#[tokio::test]
#[ignore = "the child of killed_at_random_under_load"]
async fn child_writes_until_it_is_killed() {
    let Some(folder) = Folder::of_child() else {
        return;
    };
    let round: u32 = env::var(SHARE).unwrap().parse().unwrap();
    let store = folder.open(clock_at(0)).await;
    let store = store.calls();
    let mut revision = store.notes(&full()).await.unwrap().revision;
    for number in round * 10_000.. {
        let id = id(number);
        store
            .put(&full(), &id, &value(number), &[PENDING])
            .await
            .unwrap();
        acknowledge(&format!("put {number}"));
        let current = store.get(&full(), &Which::current()).await.unwrap().id;
        store
            .move_label(&full(), CURRENT, Some(&current), Some(&id))
            .await
            .unwrap();
        acknowledge(&format!("current {number}"));
        revision = store.write_notes(&full(), revision, "{}").await.unwrap();
        acknowledge(&format!("notes {revision}"));
    }
}

#[tokio::test]
async fn killed_at_random_under_load() {
    let home = tempfile::tempdir().unwrap();
    let folder = template(home.path()).await;
    let mut stored = Vec::new();
    for round in 1..=8_u32 {
        let mut child = folder.spawn(
            "child_writes_until_it_is_killed",
            &[(SHARE, round.to_string())],
        );
        let mut said = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let mut random = [0; 2];
        getrandom::fill(&mut random).unwrap();
        let mut lines: Vec<String> = said
            .by_ref()
            .take(1 + usize::from(random[0] % 32))
            .collect();
        // Anywhere inside the next calls, not at the moment of an acknowledgement.
        std::thread::sleep(Duration::from_micros(u64::from(random[1]) * 20));
        child.kill().unwrap();
        lines.extend(said);
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGKILL), "round {round}: {lines:?}");

        let last = |word: &str| {
            let line = lines.iter().rev().find_map(|line| line.strip_prefix(word));
            line.map(|number| number.trim().parse::<u32>().unwrap())
        };
        let acknowledged = lines.iter().filter_map(|line| line.strip_prefix("put "));
        stored.extend(acknowledged.map(|number| number.parse::<u32>().unwrap()));
        let store = folder.open(clock_at(0)).await;
        store.assert_one_current_each().await;
        for number in &stored {
            let version = store
                .calls()
                .get(&full(), &Which::Id(id(*number)))
                .await
                .unwrap();
            assert_eq!(
                version.value.expose_secret(),
                value(*number).expose_secret()
            );
        }
        let current = store
            .calls()
            .get(&full(), &Which::current())
            .await
            .unwrap()
            .id;
        if let Some(number) = last("current ") {
            let next = last("put ").filter(|put| *put > number).unwrap_or(number);
            assert!(
                current == id(number) || current == id(next),
                "{current}: {lines:?}"
            );
        }
        if let Some(revision) = last("notes ") {
            let found = store.calls().notes(&full()).await.unwrap().revision;
            let revision = u64::from(revision);
            assert!(
                found == revision || found == revision + 1,
                "{found}: {lines:?}"
            );
        }
    }
    assert!(stored.len() >= 8, "{}", stored.len());
}

/// How many times each of two processes writes.
const SHARE_WRITES: u32 = 40;

#[tokio::test]
#[ignore = "the child of two_processes_write_at_once"]
async fn child_writes_its_share() {
    let Some(folder) = Folder::of_child() else {
        return;
    };
    let share: u32 = env::var(SHARE).unwrap().parse().unwrap();
    let store = folder.open(clock_at(0)).await;
    let store = store.calls();
    // Each waits for the other's first label, so that they are at work together.
    let (mine, other) = (format!("SHARE_{share}"), format!("SHARE_{}", 3 - share));
    store
        .put(&name(), &id(share * 1_000), &value(share * 1_000), &[&mine])
        .await
        .unwrap();
    while store
        .describe(&name())
        .await
        .unwrap()
        .holder(&other)
        .is_none()
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for number in share * 1_000 + 1..=share * 1_000 + SHARE_WRITES {
        let id = id(number);
        store
            .put(&name(), &id, &value(number), &[&mine])
            .await
            .unwrap();
        // An increment that is lost if two of them read the same notes and both write.
        loop {
            let notes = store.notes(&name()).await.unwrap();
            let count: u32 = notes
                .json
                .trim_matches(['{', '}', '"', 'n', ':'])
                .parse()
                .unwrap_or(0);
            let json = format!(r#"{{"n":{}}}"#, count + 1);
            match store.write_notes(&name(), notes.revision, &json).await {
                Ok(_) => break,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::PreconditionNotMet, "{error}");
                    acknowledge("lost");
                }
            }
        }
        let current = store.get(&name(), &Which::current()).await.unwrap().id;
        match store
            .move_label(&name(), CURRENT, Some(&current), Some(&id))
            .await
        {
            Ok(()) => acknowledge("promoted"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidParameter, "{error}");
                acknowledge("lost");
            }
        }
    }
}

#[tokio::test]
async fn two_processes_write_at_once() {
    let home = tempfile::tempdir().unwrap();
    let folder = template(home.path()).await;
    let store = folder.open(clock_at(0)).await;
    store.perform(Step::Create).await;
    let (one, other) = std::thread::scope(|scope| {
        let run = |share: u32| {
            let folder = &folder;
            move || folder.run("child_writes_its_share", &[(SHARE, share.to_string())])
        };
        let (one, other) = (scope.spawn(run(1)), scope.spawn(run(2)));
        (one.join().unwrap(), other.join().unwrap())
    });
    for (status, said) in [one, other] {
        assert!(status.success(), "{status}: {said:?}");
    }
    // This process had the store open all the time.
    store.assert_one_current_each().await;
    let notes = store.calls().notes(&name()).await.unwrap();
    let writes = 2 * u64::from(SHARE_WRITES);
    assert_eq!(
        notes,
        Notes {
            json: format!(r#"{{"n":{writes}}}"#),
            revision: writes
        }
    );
    let versions = store.calls().describe(&name()).await.unwrap().versions;
    assert_eq!(versions.len() as u64, 1 + 2 + writes);
}
