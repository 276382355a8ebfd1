//! A process killed at random times while it writes, and several processes with one file open at once.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rustix::fs::{FlockOperation, fcntl_lock};
use secrecy::ExposeSecret;

use super::{Folder, SIGKILL, Step};
use super::{acknowledge, clock_at, full, id, name, template, value};
use crate::error::ErrorKind;
use crate::labels::{CURRENT, PENDING};
use crate::types::{Notes, Which};

/// Tells apart two children at once, and the rounds of one after the other.
const SHARE: &str = "KEYTURN_STORE_TEST_SHARE";

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

const ROUNDS: u32 = 8;

#[tokio::test]
async fn killed_at_random_under_load() {
    let home = tempfile::tempdir().unwrap();
    let folder = template(home.path()).await;
    let mut stored = Vec::new();
    for round in 1..=ROUNDS {
        let mut child = folder.spawn(
            "under_load::child_writes_until_it_is_killed",
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
    println!("evidence: store, killed under load: {ROUNDS} kills at random");
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
            move || {
                folder.run(
                    "under_load::child_writes_its_share",
                    &[(SHARE, share.to_string())],
                )
            }
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
    println!("evidence: store, two writers: {writes} writes of two processes");
}

#[test]
#[ignore = "the child of opening_twice_in_one_process_takes_no_lock_away"]
fn child_tries_to_lock_the_file() {
    let Some(folder) = Folder::of_child() else {
        return;
    };
    let file = File::options()
        .read(true)
        .write(true)
        .open(folder.store())
        .unwrap();
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => acknowledge("free"),
        Err(_) => acknowledge("locked"),
    }
}

/// The lock tells other processes that they are not the last to close the file, and must leave the log.
#[tokio::test]
async fn opening_twice_in_one_process_takes_no_lock_away() {
    let home = tempfile::tempdir().unwrap();
    let folder = template(home.path()).await;
    let store = folder.open(clock_at(0)).await;
    folder.open(clock_at(0)).await.close().await;
    let child = "under_load::child_tries_to_lock_the_file";
    assert_eq!(folder.run(child, &[]).1, ["locked"]);
    store.close().await;
    assert_eq!(folder.run(child, &[]).1, ["free"]);
}
