//! `keyturn serve` under load: 500 reads and 50 writes a second without an error, and an end in the middle of writes, by
//! kill -9 or in order, after which every write that was answered is there. LOAD_SECONDS makes it last longer
//! (`make load`).

use std::collections::BTreeMap;
use std::env;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use harness::signed::{Connection, Key, Request};
use keyturn_store::{SecretStore, VersionId, Which};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::serve::{REGION, Serving, key, served};
use crate::support::{Workspace, secret};

const READS_PER_SECOND: u32 = 500;
const WRITES_PER_SECOND: u32 = 50;
/// Each sends one request after the other, as one process of an application would.
const READERS: u32 = 20;
const WRITERS: u32 = 5;
const SECRETS: u32 = 10;
/// How often a server ends among writes.
const ENDS: u32 = 3;

fn seconds() -> u64 {
    env::var("LOAD_SECONDS").map_or(3, |seconds| seconds.parse().unwrap())
}

fn stocked() -> Workspace {
    let workspace = served("");
    for number in 0..SECRETS {
        workspace.create(&name(number), &"x".repeat(400));
    }
    workspace
}

fn name(number: u32) -> String {
    format!("app-prod/secret-{number}")
}

fn token(writer: u32, number: u32) -> String {
    format!("{writer:08}-0000-4000-8000-{number:012}")
}

fn signed(address: SocketAddr, key: &Key, operation: &str, body: &Value) -> Request {
    let now = SystemTime::now();
    Request::signed(address, REGION, key, now, operation, &body.to_string()).unwrap()
}

/// One client: so many requests a second until `until`, each of which has to succeed. Answers how long each took.
async fn client(
    address: SocketAddr,
    key: Key,
    operation: &'static str,
    per_second: u32,
    until: Instant,
    body: impl Fn(u32) -> Value,
) -> Vec<Duration> {
    let mut connection = Connection::open(address).await.unwrap();
    let mut ticks = interval(Duration::from_secs(1) / per_second);
    // One that is late makes up for it: the rate is a promise to be kept.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut took = Vec::new();
    while Instant::now() < until {
        ticks.tick().await;
        let number = u32::try_from(took.len()).unwrap();
        let request = signed(address, &key, operation, &body(number));
        let began = Instant::now();
        let answered = connection.ask(&request).await.unwrap();
        assert_eq!(answered.status, 200, "{operation}: {}", answered.body);
        took.push(began.elapsed());
    }
    took
}

#[test]
fn it_bears_its_load_without_an_error() {
    let workspace = stocked();
    let mut serving = Serving::start(&workspace);
    let (address, key) = (serving.address, key(&workspace, "admin.key"));
    let until = Instant::now() + Duration::from_secs(seconds());
    let (reads, writes) = Runtime::new().unwrap().block_on(async {
        let (mut readers, mut writers) = (JoinSet::new(), JoinSet::new());
        for reader in 0..READERS {
            let body = move |number| json!({"SecretId": name((reader + number) % SECRETS)});
            let per_second = READS_PER_SECOND / READERS;
            readers.spawn(client(
                address,
                key.clone(),
                "GetSecretValue",
                per_second,
                until,
                body,
            ));
        }
        for writer in 0..WRITERS {
            let body = move |number: u32| {
                json!({
                    "SecretId": name((writer + number) % SECRETS),
                    "SecretString": format!("{writer} {number}"),
                    "ClientRequestToken": token(writer, number),
                })
            };
            let per_second = WRITES_PER_SECOND / WRITERS;
            writers.spawn(client(
                address,
                key.clone(),
                "PutSecretValue",
                per_second,
                until,
                body,
            ));
        }
        (
            readers.join_all().await.concat(),
            writers.join_all().await.concat(),
        )
    });
    println!(
        "evidence: endpoint, load: {} reads, {} writes, 0 failed",
        reads.len(),
        writes.len()
    );
    for (what, mut took) in [("reads", reads), ("writes", writes)] {
        took.sort_unstable();
        println!(
            "{} {what} in {} s, half of them within {:?}, 99 % within {:?}, none failed",
            took.len(),
            seconds(),
            took[took.len() / 2],
            took[took.len() * 99 / 100],
        );
    }
    let (code, _) = serving.stop("-TERM");
    assert_eq!(code, Some(0));
}

#[test]
fn a_kill_loses_no_write_that_was_answered() {
    let answered = ended_among_writes("-KILL", |code, _| assert_eq!(code, None));
    println!("evidence: endpoint, killed under load: {ENDS} kills, {answered} writes answered");
}

#[test]
fn a_stop_loses_no_write_that_was_answered() {
    let answered = ended_among_writes("-TERM", |code, said| {
        assert_eq!(code, Some(0));
        assert!(!said.contains("stopped before every request"), "{said}");
    });
    println!("evidence: endpoint, stopped under load: {ENDS} stops, {answered} writes answered");
}

/// Ends servers somewhere among writes; every write that was answered has to be there. Answers how many those are.
fn ended_among_writes(signal: &str, check: impl Fn(Option<i32>, &str)) -> usize {
    let workspace = stocked();
    let key = key(&workspace, "admin.key");
    let mut answered = BTreeMap::new();
    for round in 0..ENDS {
        let mut serving = Serving::start(&workspace);
        let address = serving.address;
        let runtime = Runtime::new().unwrap();
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let key = key.clone();
            writers.spawn_on(
                write_until_it_ends(address, key, round * WRITERS + writer),
                runtime.handle(),
            );
        }
        let moment = Duration::from_millis(500 * seconds() / 3);
        runtime.block_on(async {
            // Somewhere among the writes.
            tokio::time::sleep(moment).await;
        });
        let (code, said) = serving.stop(signal);
        check(code, &said);
        let of_this_round = runtime.block_on(writers.join_all());
        answered.extend(of_this_round.into_iter().flatten());
    }
    let writes = answered.len();
    assert!(writes > 10, "{writes}");
    workspace.on_store(|store| async move {
        for (id, (name, value)) in answered {
            let which = Which::Id(VersionId::new(id).unwrap());
            let version = store.get(&secret(&name), &which).await.unwrap();
            assert_eq!(version.value.expose_secret(), value);
        }
    });
    writes
}

/// Writes as fast as it is answered; answers what was answered, by version.
async fn write_until_it_ends(
    address: SocketAddr,
    key: Key,
    writer: u32,
) -> Vec<(String, (String, String))> {
    let mut done = Vec::new();
    let Ok(mut connection) = Connection::open(address).await else {
        return done;
    };
    loop {
        let number = u32::try_from(done.len()).unwrap();
        let (id, name) = (token(writer, number), name((writer + number) % SECRETS));
        let value = format!("{writer} {number}");
        let body = json!({"SecretId": name, "SecretString": value, "ClientRequestToken": id});
        match connection
            .ask(&signed(address, &key, "PutSecretValue", &body))
            .await
        {
            Ok(answered) if answered.status == 200 => done.push((id, (name, value))),
            Ok(answered) => panic!("{}", answered.body),
            Err(_) => return done,
        }
    }
}
