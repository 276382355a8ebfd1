//! The prober as a process of its own, against a real server and a real store file.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use harness::poll::until;
use harness::postgres::{Cluster, ClusterOptions};
use harness::prober::Report;
use harness::scratch::Scratch;
use keyturn_store::embedded::{EmbeddedStore, MasterKey};
use keyturn_store::{NewSecret, SecretName, SecretStore, SystemClock, VersionId};
use secrecy::SecretString;

const NAME: &str = "festival-test/database";
const PATIENCE: Duration = Duration::from_secs(20);

fn value(cluster: &Cluster, password: &str) -> SecretString {
    let (host, port) = (cluster.host(), cluster.port());
    SecretString::from(format!(
        r#"{{"engine":"postgres","host":"{host}","port":{port},"username":"app","password":"{password}","dbname":"postgres"}}"#
    ))
}

fn id(number: u32) -> VersionId {
    VersionId::new(format!("00000000-0000-0000-0000-{number:012}")).unwrap()
}

struct Files {
    folder: Scratch,
}

impl Files {
    fn store(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("master.key")
    }

    async fn create(cluster: &Cluster) -> (Self, EmbeddedStore) {
        let files = Self {
            folder: Scratch::new("keyturn-prober").unwrap(),
        };
        let key = MasterKey::generate().unwrap();
        key.write_new_file(&files.key()).unwrap();
        let store = EmbeddedStore::create(&files.store(), &key, Arc::new(SystemClock)).unwrap();
        let new = NewSecret {
            id: id(1),
            value: value(cluster, "first"),
            description: None,
        };
        store
            .create_secret(&SecretName::new(NAME).unwrap(), new)
            .await
            .unwrap();
        (files, store)
    }
}

struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(files: &Files, extra: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyturn-prober"))
            .args(["--postgres", NAME, "--store"])
            .arg(files.store())
            .arg("--master-key-file")
            .arg(files.key())
            .args(extra)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn report(&mut self) -> Report {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        serde_json::from_str(&self.line()).unwrap()
    }

    fn report_when(&mut self, condition: impl Fn(&Report) -> bool) -> Report {
        until(PATIENCE, || {
            Some(self.report()).filter(|report| condition(report))
        })
        .unwrap()
    }

    fn finish(mut self) -> (Report, i32) {
        drop(self.child.stdin.take());
        let report = serde_json::from_str(&self.line()).unwrap();
        (report, self.child.wait().unwrap().code().unwrap())
    }
}

#[tokio::test]
async fn it_follows_promotions_without_a_failure_and_notices_a_broken_promise() {
    let cluster = Cluster::start().unwrap();
    cluster
        .query("CREATE ROLE app LOGIN PASSWORD 'first'")
        .unwrap();
    let (files, store) = Files::create(&cluster).await;
    let mut prober = Running::start(&files, &["--stdin"]);
    assert_eq!(prober.line(), "ready");
    let report = prober.report_when(|report| report.logins >= 5);
    assert_eq!((report.failed, report.secrets[0].versions), (0, 1));

    // Another version, equally good: the prober must move on to it.
    let name = SecretName::new(NAME).unwrap();
    let same = SecretString::from(
        secrecy::ExposeSecret::expose_secret(&value(&cluster, "first")).to_owned() + " ",
    );
    store.put(&name, &id(2), &same, &[]).await.unwrap();
    let second = id(2).to_string();
    let report =
        prober.report_when(|report| report.secrets[0].last_version.as_ref() == Some(&second));
    assert_eq!((report.failed, report.secrets[0].versions), (0, 2));

    // The target changes and AWSCURRENT does not: that is what it is there to notice.
    cluster.query("ALTER ROLE app PASSWORD 'other'").unwrap();
    prober.report_when(|report| report.failed > 0);
    let (report, code) = prober.finish();
    assert_eq!(code, 1);
    assert!(
        report.secrets[0].first_failures[0].contains("28P01"),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_server_that_lets_everybody_in_is_a_failure() {
    let cluster = ClusterOptions::new()
        .hba("host all app all trust")
        .start()
        .unwrap();
    cluster
        .query("CREATE ROLE app LOGIN PASSWORD 'first'")
        .unwrap();
    let (files, _store) = Files::create(&cluster).await;
    let mut prober = Running::start(&files, &["--stdin"]);
    let report = prober.report_when(|report| report.failed > 0);
    assert!(
        report.secrets[0].first_failures[0].contains("prove nothing"),
        "{report:?}"
    );
    assert_eq!(prober.finish().1, 1);
}

#[tokio::test]
async fn sigterm_ends_it_with_a_report() {
    let cluster = Cluster::start().unwrap();
    cluster
        .query("CREATE ROLE app LOGIN PASSWORD 'first'")
        .unwrap();
    let (files, _store) = Files::create(&cluster).await;
    let mut prober = Running::start(&files, &[]);
    assert_eq!(prober.line(), "ready");
    let pid = prober.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let (report, code) = prober.finish();
    assert_eq!((report.failed, code), (0, 0));
    assert!(report.logins > 0);
}

#[test]
fn wrong_arguments_and_a_missing_store_end_with_status_2() {
    for arguments in [
        &["--postgres"][..],
        &["--nonsense", "x"],
        &["--store", "x", "--master-key-file", "x"],
    ] {
        assert_eq!(status_of(arguments), 2, "{arguments:?}");
    }
    let missing = Path::new("/nonexistent/store.db").display().to_string();
    assert_eq!(
        status_of(&[
            "--store",
            &missing,
            "--master-key-file",
            &missing,
            "--jwt",
            "a/b"
        ]),
        2
    );
}

fn status_of(arguments: &[&str]) -> i32 {
    let mut prober = Command::new(env!("CARGO_BIN_EXE_keyturn-prober"));
    prober
        .args(arguments)
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .code()
        .unwrap()
}
