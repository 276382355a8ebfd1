//! The harness's faults do what they say, exactly, and count themselves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use harness::poll::until_true;
use harness::postgres::{Cluster, ClusterOptions};
use harness::proxy::{Direction, Fault, Proxy};
use harness::scratch::Scratch;
use harness::tls::{Authority, Identity};

const PATIENCE: Duration = Duration::from_secs(10);

/// A server that answers every byte with itself plus one until its client's end, then reports all
/// that it read.
fn echo_server() -> (Proxy, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).unwrap();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut all, mut buffer) = (Vec::new(), [0; 64]);
        loop {
            let read = socket.read(&mut buffer).unwrap();
            if read == 0 {
                return all;
            }
            all.extend_from_slice(&buffer[..read]);
            let answer: Vec<u8> = buffer[..read].iter().map(|byte| byte + 1).collect();
            socket.write_all(&answer).unwrap();
        }
    });
    (proxy, server)
}

fn connect(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

#[test]
fn without_a_fault_everything_passes_and_is_kept() {
    let (proxy, server) = echo_server();
    let mut client = connect(&proxy);
    client.write_all(b"abc").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"bcd");
    assert_eq!(server.join().unwrap(), b"abc");
    assert_eq!(proxy.transcript(0, Direction::ToServer).unwrap(), b"abc");
    assert_eq!(proxy.transcript(0, Direction::ToClient).unwrap(), b"bcd");
    assert_eq!((proxy.connections(), proxy.fired()), (1, 0));
}

/// That is how the connections of a killed process end where it had not read everything yet.
#[test]
fn a_reset_by_the_client_reaches_the_server_as_the_end() {
    let (proxy, server) = echo_server();
    let mut client = connect(&proxy);
    client.write_all(b"abc").unwrap();
    let answered = || (client.peek(&mut [0; 3]).ok() == Some(3)).then_some(());
    harness::poll::until(PATIENCE, answered).unwrap();
    drop(client);
    assert_eq!(server.join().unwrap(), b"abc");
}

#[test]
fn a_cut_towards_the_server_lets_exactly_n_bytes_through() {
    for bytes in 0..=8 {
        let (proxy, server) = echo_server();
        proxy.break_all(Fault::CutAfter {
            direction: Direction::ToServer,
            bytes,
        });
        let mut client = connect(&proxy);
        client.write_all(b"12345678").unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(server.join().unwrap(), b"12345678"[..bytes]);
        assert_eq!(proxy.fired(), 1, "after {bytes} bytes");
    }
}

#[test]
fn a_cut_towards_the_client_lets_exactly_n_bytes_through() {
    for bytes in 0..=8 {
        let (proxy, server) = echo_server();
        proxy.break_all(Fault::CutAfter {
            direction: Direction::ToClient,
            bytes,
        });
        let mut client = connect(&proxy);
        client.write_all(b"12345678").unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"23456789"[..bytes]);
        assert_eq!(proxy.fired(), 1, "after {bytes} bytes");
        drop(client);
        server.join().unwrap();
    }
}

#[test]
fn only_the_connection_aimed_at_is_broken_and_a_miss_is_visible() {
    let cluster = Cluster::start().unwrap();
    cluster
        .query("CREATE ROLE app LOGIN PASSWORD 'right'")
        .unwrap();
    let proxy = Proxy::start(([127, 0, 0, 1], cluster.port()).into()).unwrap();
    let login = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(harness::postgres::login(
                "127.0.0.1",
                proxy.address().port(),
                "app",
                "right",
                "postgres",
            ))
    };
    proxy.break_connection(
        1,
        Fault::CutAfter {
            direction: Direction::ToServer,
            bytes: 40,
        },
    );
    login().unwrap();
    assert_eq!(proxy.fired(), 0);
    assert_eq!(login().unwrap_err().sqlstate, None);
    assert_eq!(proxy.fired(), 1);
    login().unwrap();
    proxy.break_all(Fault::CutAfter {
        direction: Direction::ToServer,
        bytes: 1_000_000,
    });
    login().unwrap();
    assert_eq!(
        (proxy.connections(), proxy.fired()),
        (4, 1),
        "a cut beyond the exchange never fires"
    );
}

#[test]
fn a_black_hole_answers_nothing_and_closes_nothing() {
    let (proxy, server) = echo_server();
    proxy.break_all(Fault::BlackHoleAfter {
        direction: Direction::ToServer,
        bytes: 2,
    });
    let mut client = connect(&proxy);
    client.write_all(b"abcd").unwrap();
    assert!(until_true(PATIENCE, || proxy.fired() == 1));
    client
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut answer = Vec::new();
    let error = client.read_to_end(&mut answer).unwrap_err();
    assert!(matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    ));
    assert!(answer.len() <= 2, "at most the answer to what had passed");
    drop(proxy);
    assert_eq!(server.join().unwrap(), b"ab");
}

#[test]
fn a_delay_holds_each_piece_back() {
    let (proxy, server) = echo_server();
    let by = Duration::from_millis(50);
    proxy.break_all(Fault::Delay {
        direction: Direction::ToClient,
        by,
    });
    let mut client = connect(&proxy);
    let before = Instant::now();
    client.write_all(b"x").unwrap();
    client.read_exact(&mut [0; 1]).unwrap();
    assert!(before.elapsed() >= by);
    assert_eq!(proxy.fired(), 1);
    drop(client);
    server.join().unwrap();
}

/// psql with libpq's own verification: an implementation that shares nothing with Keyturn's.
fn verified_login(cluster: &Cluster, ca_pem: &str) -> bool {
    let scratch = Scratch::new("keyturn-ca").unwrap();
    let ca = scratch.path().join("ca.pem");
    fs::write(&ca, ca_pem).unwrap();
    let url = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user=app dbname=postgres sslmode=verify-full sslrootcert={}",
        cluster.port(),
        ca.display()
    );
    let psql = harness::postgres::Binaries::find().unwrap().program("psql");
    let output = Command::new(psql)
        .args(["-X", "-c", "SELECT 1", &url])
        .env("PGPASSWORD", "right")
        .output();
    output.unwrap().status.success()
}

fn with_identity(identity: Identity) -> Cluster {
    let options = ClusterOptions::new().tls(identity.certificate_pem, identity.key_pem);
    let cluster = options.start().unwrap();
    cluster
        .query("CREATE ROLE app LOGIN PASSWORD 'right'")
        .unwrap();
    cluster
}

#[test]
fn certificates_are_good_or_bad_as_asked_for() {
    let ours = Authority::new("ours").unwrap();
    let theirs = Authority::new("theirs").unwrap();
    let good = with_identity(ours.issue(&["localhost", "127.0.0.1"]).unwrap());
    assert!(verified_login(&good, &ours.certificate_pem()));
    assert!(
        !verified_login(&good, &theirs.certificate_pem()),
        "unknown authority"
    );
    let wrong_name = with_identity(ours.issue(&["elsewhere.example"]).unwrap());
    assert!(
        !verified_login(&wrong_name, &ours.certificate_pem()),
        "wrong name"
    );
    let expired = with_identity(ours.issue_expired(&["localhost"]).unwrap());
    assert!(
        !verified_login(&expired, &ours.certificate_pem()),
        "expired"
    );
}
