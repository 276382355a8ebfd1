//! The harness's PostgreSQL clusters: they start, they refuse what they must, and they leave nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use harness::poll::until_true;
use harness::postgres::{Cluster, ClusterOptions};

const ROLE: &str = "CREATE ROLE app LOGIN PASSWORD 'right'";

#[test]
fn a_cluster_lets_in_the_right_password_only_and_says_why() {
    let cluster = Cluster::start().unwrap();
    cluster.query(ROLE).unwrap();
    cluster.login("app", "right", "postgres").unwrap();
    let wrong = cluster.login("app", "wrong", "postgres").unwrap_err();
    assert_eq!(wrong.sqlstate.as_deref(), Some("28P01"), "{wrong}");
    let nobody = cluster.login("nobody", "right", "postgres").unwrap_err();
    assert_eq!(nobody.sqlstate.as_deref(), Some("28P01"), "{nobody}");
    assert!(cluster.version_major() >= 12);
}

#[test]
fn set_up_queries_answer_rows_and_stop_at_the_first_error() {
    let cluster = Cluster::start().unwrap();
    assert_eq!(
        cluster.query("SELECT 1, 'a'; SELECT 2, 'b'").unwrap(),
        "1|a\n2|b"
    );
    let error = cluster
        .query("SELECT nonsense; CREATE ROLE later")
        .unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
    let later = cluster
        .query("SELECT count(*) FROM pg_roles WHERE rolname = 'later'")
        .unwrap();
    assert_eq!(later, "0");
    cluster.query(ROLE).unwrap();
    let user = cluster
        .query_as("app", "right", "postgres", "SELECT current_user")
        .unwrap();
    assert_eq!(user, "app");
}

#[test]
fn a_cluster_survives_restart_and_crash_on_the_same_port() {
    let cluster = ClusterOptions::new().durable().start().unwrap();
    let port = cluster.port();
    cluster.query(ROLE).unwrap();
    cluster.restart().unwrap();
    cluster.login("app", "right", "postgres").unwrap();
    cluster.query("ALTER ROLE app PASSWORD 'newer'").unwrap();
    cluster.crash().unwrap();
    let down = cluster.login("app", "newer", "postgres").unwrap_err();
    assert_eq!(down.sqlstate, None, "{down}");
    cluster.start_again().unwrap();
    cluster.login("app", "newer", "postgres").unwrap();
    assert_eq!(cluster.port(), port);
}

#[test]
fn options_reach_the_server() {
    let cluster = ClusterOptions::new()
        .log_everything()
        .conf("work_mem = '1234kB'")
        .hba("host all guest all trust")
        .start()
        .unwrap();
    cluster
        .query("CREATE ROLE guest LOGIN; SELECT 'canary-in-the-log'")
        .unwrap();
    assert_eq!(cluster.query("SHOW work_mem").unwrap(), "1234kB");
    cluster.login("guest", "anything", "postgres").unwrap();
    assert!(cluster.log().unwrap().contains("canary-in-the-log"));
}

#[test]
fn dropping_a_cluster_ends_its_server_and_removes_its_folder() {
    let cluster = Cluster::start().unwrap();
    let folder = cluster.folder().to_owned();
    let pid_file = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    let pid = pid_file.lines().next().unwrap().to_owned();
    assert!(is_running(&pid));
    drop(cluster);
    assert!(!folder.exists());
    let patience = Duration::from_secs(5);
    assert!(
        until_true(patience, || !is_running(&pid)),
        "the server still runs"
    );
}

/// A zombie has ended; that nobody collected it is its new parent's affair.
fn is_running(pid: &str) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", pid])
        .output()
        .unwrap();
    let state = String::from_utf8_lossy(&output.stdout);
    !state.trim().is_empty() && !state.starts_with('Z')
}

/// Not a test of its own: the process that the next test kills.
#[test]
#[ignore = "started by the next test, which kills it"]
fn holds_a_cluster_until_killed() {
    let cluster = Cluster::start().unwrap();
    println!("folder={}", cluster.folder().display());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn killing_the_process_with_kill_9_ends_its_server_too() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "holds_a_cluster_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let folder = lines
        .map(Result::unwrap)
        .find_map(|line| {
            line.split_once("folder=")
                .map(|(_, folder)| PathBuf::from(folder))
        })
        .unwrap();
    let pid_file = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    let pid = pid_file.lines().next().unwrap();
    assert!(is_running(pid));
    holder.kill().unwrap(); // SIGKILL: no destructor runs
    holder.wait().unwrap();
    let patience = Duration::from_secs(20);
    assert!(
        until_true(patience, || !folder.exists()),
        "the folder stays"
    );
    assert!(
        until_true(patience, || !is_running(pid)),
        "the server still runs"
    );
}
