//! A process killed before and after every statement of every write, and of the creation of a store.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

use super::{Folder, SCRIPT, SIGKILL, START_MS, Store};
use super::{acknowledge, clock_at, name, new_secret, template, time_ms};
use crate::clock::{ManualClock, SystemClock};
use crate::embedded::failpoint::under_test::KILL_AT;
use crate::embedded::{EmbeddedStore, MasterKey, OpenError};
use crate::memory::MemoryStore;
use crate::store::SecretStore;

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
        let (status, said) = folder.run(
            "at_statements::child_runs_the_script",
            &[(KILL_AT, kill_at.to_string())],
        );
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
    println!("evidence: store, killed between statements: {kills} kills at statements");
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
    EmbeddedStore::create(&folder.store(), &folder.master(), clock).unwrap();
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
        let (status, said) = folder.run(
            "at_statements::child_creates_a_store",
            &[(KILL_AT, kill_at.to_string())],
        );
        if status.success() {
            assert_eq!(said, ["created"]);
            break;
        }
        assert_eq!(status.signal(), Some(SIGKILL), "kill {kill_at}: {said:?}");
        let path = folder.store();
        let open = || EmbeddedStore::open(&path, &master, Arc::new(SystemClock));
        match open() {
            Ok(_) => whole += 1,
            Err(OpenError::Missing { .. }) => {
                absent += 1;
                let clock = Arc::new(SystemClock);
                EmbeddedStore::create(&folder.store(), &master, clock).unwrap();
            }
            Err(error) => panic!("kill {kill_at}: {error}"),
        }
        let store = open().unwrap();
        store.create_secret(&name(), new_secret()).await.unwrap();
    }
    assert!(absent >= 5 && whole >= 1, "{absent} absent, {whole} whole");
    let kills = absent + whole;
    println!("evidence: store, killed while created: {kills} kills at statements");
}
