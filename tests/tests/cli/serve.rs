//! `keyturn serve` as a process: what it refuses to start with, what it says, how it ends, and that RotateSecret is a
//! rotation by the engine.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use harness::poll;
use harness::signed::{Answered, Key, Request};
use harness::tls::Authority;
use keyturn_store::{Which, labels};
use serde_json::{Value, json};

use crate::support::{Workspace, secret};

pub(crate) const REGION: &str = "eu-west-1";
const PATIENCE: Duration = Duration::from_secs(60);

/// A server over the store of a workspace; killed when it is dropped.
pub(crate) struct Serving {
    process: Child,
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    said: Option<JoinHandle<String>>,
}

/// What a workspace needs to be served, with one key that may do everything in `admin.key`.
pub(crate) fn served(tables: &str) -> Workspace {
    served_with("", tables)
}

/// The same with further keys of `[serve]`.
pub(crate) fn served_with(keys: &str, tables: &str) -> Workspace {
    let workspace = Workspace::with(&(table(keys) + tables));
    workspace.run(&["access-key", "admin.key"]).succeeded();
    workspace
}

/// The tables of a server on a free port.
pub(crate) fn table(keys: &str) -> String {
    format!(
        "[serve]\naddress = \"127.0.0.1:0\"\nregion = \"{REGION}\"\n{keys}\
         [serve.access.admin]\ncredentials_file = \"admin.key\"\nsecrets = [\"*\"]\nactions = [\"*\"]\n"
    )
}

impl Serving {
    pub(crate) fn start(workspace: &Workspace) -> Self {
        Self::start_with(workspace, &["serve"])
    }

    fn start_with(workspace: &Workspace, arguments: &[&str]) -> Self {
        let mut serving = Self::unheard(workspace, arguments);
        let mut stderr = serving.process.stderr.take().unwrap();
        serving.said = Some(thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        }));
        serving
    }

    /// Nobody reads what it says on standard error.
    fn unheard(workspace: &Workspace, arguments: &[&str]) -> Self {
        let mut process = workspace.start(arguments);
        let mut line = String::new();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("serving ").unwrap_or_default();
        let address = url
            .split_once("://")
            .and_then(|(_, text)| text.parse().ok());
        let Some(address) = address else {
            let _ = process.kill();
            panic!("{line:?} {:?}", process.wait_with_output());
        };
        Self {
            process,
            address,
            url: url.to_owned(),
            said: None,
        }
    }

    /// Asks as the holder of `admin.key`.
    pub(crate) fn ask(&self, workspace: &Workspace, operation: &str, body: &Value) -> Answered {
        let key = key(workspace, "admin.key");
        let request = Request::signed(
            self.address,
            REGION,
            &key,
            SystemTime::now(),
            operation,
            &body.to_string(),
        );
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(request.unwrap().send(self.address))
            .unwrap()
    }

    /// Sends a signal and waits for the end; answers the exit code and what stood on standard error.
    pub(crate) fn stop(&mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let ended = poll::until(PATIENCE, || self.process.try_wait().unwrap());
        let said = self.said.take().map(|said| said.join().unwrap());
        let code = ended.expect("it did not end").code();
        (code, said.unwrap_or_default())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn key(workspace: &Workspace, file: &str) -> Key {
    let text = fs::read_to_string(workspace.path(file)).unwrap();
    let mut lines: HashMap<_, _> = text
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .collect();
    Key {
        id: lines.remove("aws_access_key_id").unwrap().to_owned(),
        secret: lines.remove("aws_secret_access_key").unwrap().to_owned(),
    }
}

fn token(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

#[test]
fn a_new_access_key_is_shown_to_nobody() {
    let workspace = Workspace::new();
    let made = workspace.run(&["access-key", "app.key"]).succeeded();
    let Key { id, secret } = key(&workspace, "app.key");
    made.says(&[&id, "AWS_SHARED_CREDENTIALS_FILE=app.key"]);
    assert!(!made.stdout.contains(&secret) && !made.stderr.contains(&secret));
    workspace
        .run(&["access-key", "app.key"])
        .failed(3, &["app.key exists already"]);
    assert_eq!(key(&workspace, "app.key").secret, secret);
}

#[test]
fn what_is_configured_wrongly_is_not_served() {
    let access = "[serve.access.app]\ncredentials_file = \"app.key\"\nsecrets = [\"*\"]\n";
    let actions = "actions = [\"Get*\"]\n";
    let loopback = "[serve]\nregion = \"eu-west-1\"\n";
    let open = "[serve]\naddress = \"0.0.0.0:0\"\nregion = \"eu-west-1\"\n";
    let tls = "tls = { certificate = \"no.pem\", private_key = \"no.pem\" }\n";
    for (tables, words) in [
        (String::new(), vec!["no table [serve]"]),
        (
            format!("{open}{access}{actions}"),
            vec!["keyturn.toml:6: serve.address", "serve.tls"],
        ),
        (format!("{open}{tls}{access}{actions}"), vec!["no.pem"]),
        (
            loopback.to_owned(),
            vec!["serve.access", "keyturn access-key"],
        ),
        (format!("{loopback}{access}"), vec!["actions"]),
        (
            format!("{loopback}{access}actions = [\"ReadSecret\"]\n"),
            vec!["there is no action \"ReadSecret\""],
        ),
        (
            format!("{loopback}{access}{actions}").replace("\"*\"", "\"*/db\""),
            vec!["no secret can be called \"*/db\""],
        ),
        (
            format!("{loopback}{access}{actions}").replace("app.key", "none.key"),
            vec!["none.key", "keyturn access-key"],
        ),
        (
            format!(
                "{loopback}{access}{actions}{}",
                access.replace("app]", "two]")
            ) + actions,
            vec!["app and two have the same access key"],
        ),
    ] {
        let workspace = Workspace::with(&tables);
        workspace.run(&["access-key", "app.key"]).succeeded();
        workspace.run(&["serve"]).failed(3, &words);
    }
    let workspace = Workspace::with(&format!("{loopback}{access}{actions}"));
    workspace.run(&["access-key", "app.key"]).succeeded();
    let shown = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644);
    fs::set_permissions(workspace.path("app.key"), shown).unwrap();
    workspace
        .run(&["serve"])
        .failed(3, &["can be read by others (mode 0644)", "chmod 600"]);
    let authority = Authority::new("keyturn serve").unwrap();
    let identity = authority.issue(&["127.0.0.1"]).unwrap();
    let tls = "tls = { certificate = \"tls.pem\", private_key = \"tls.key\" }\n";
    let workspace = Workspace::with(&format!("{loopback}{tls}{access}{actions}"));
    workspace.run(&["access-key", "app.key"]).succeeded();
    fs::write(workspace.path("tls.pem"), &identity.certificate_pem).unwrap();
    fs::write(workspace.path("tls.key"), &identity.key_pem).unwrap();
    let shown = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o640);
    fs::set_permissions(workspace.path("tls.key"), shown).unwrap();
    let refused = workspace.run(&["serve"]);
    refused.failed(
        3,
        &["tls.key can be read by others (mode 0640)", "chmod 600"],
    );
}

#[test]
fn it_serves_the_store_and_ends_in_order() {
    for signal in ["-TERM", "-INT"] {
        let workspace = served("");
        workspace.create("app-prod/key", "the value");
        let mut serving = Serving::start(&workspace);
        let read = serving.ask(
            &workspace,
            "GetSecretValue",
            &json!({"SecretId": "app-prod/key"}),
        );
        assert_eq!(read.body["SecretString"], "the value");
        let put = json!({"SecretId": "app-prod/key", "SecretString": "a new one", "ClientRequestToken": token(2)});
        assert_eq!(serving.ask(&workspace, "PutSecretValue", &put).status, 200);
        // Other commands work beside it.
        assert_eq!(workspace.text("app-prod/key", labels::CURRENT), "a new one");
        let (code, said) = serving.stop(signal);
        assert_eq!(code, Some(0), "{said}");
        let lines: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let operations: Vec<_> = lines.iter().map(|line| &line["operation"]).collect();
        assert_eq!(operations, ["GetSecretValue", "PutSecretValue"]);
        assert_eq!(lines[1]["secret"], "app-prod/key");
        assert!(
            !said.contains("the value") && !said.contains("a new one"),
            "{said}"
        );
        let audit = workspace.audit();
        let intent = audit
            .lines()
            .find(|line| line.contains("PutSecretValue"))
            .unwrap();
        assert!(
            intent.contains("\"intent\"")
                && intent.contains("key:admin")
                && intent.contains(&token(2)),
            "{audit}"
        );
    }
}

#[test]
fn rotate_secret_is_a_rotation_by_the_engine() {
    let workspace = served("[secret.\"app-prod/jwt\"]\nplugin = \"jwt\"\n");
    let value =
        json!({"secret": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"});
    workspace.create("app-prod/jwt", &value.to_string());
    let mut serving = Serving::start(&workspace);
    let id = json!({"SecretId": "app-prod/jwt"});
    let before = workspace.current("app-prod/jwt");
    let rotate = json!({"SecretId": "app-prod/jwt", "ClientRequestToken": token(2)});
    let answer = serving.ask(&workspace, "RotateSecret", &rotate);
    assert_eq!(answer.body["VersionId"], token(2), "{}", answer.body);
    let is_current = || workspace.labels("app-prod/jwt").get(labels::CURRENT) == Some(&token(2));
    assert!(
        poll::until_true(PATIENCE, is_current),
        "{:?}",
        workspace.labels("app-prod/jwt")
    );
    let after = serving.ask(&workspace, "GetSecretValue", &id).body;
    let after: Value = serde_json::from_str(after["SecretString"].as_str().unwrap()).unwrap();
    assert_ne!(after["secret"], before["secret"]);
    assert_eq!(after["previous_secret"], before["secret"]);
    let described = serving.ask(&workspace, "DescribeSecret", &id).body;
    assert_eq!(described["RotationEnabled"], true);
    assert!(described["LastRotatedDate"].is_f64(), "{described}");
    assert!(workspace.audit().contains("key:admin"));
    let (code, said) = serving.stop("-TERM");
    assert_eq!(code, Some(0), "{said}");
    let name = secret("app-prod/jwt");
    let pending = Which::Label(labels::PENDING.to_owned());
    let pending = workspace.on_store(|store| async move {
        keyturn_store::SecretStore::get(&store, &name, &pending).await
    });
    assert!(pending.is_err() || is_current());
}

#[test]
fn what_an_operator_has_to_rotate_is_said_at_once() {
    let workspace = served(
        "[secret.\"app-prod/stripe\"]\nplugin = \"stripe-assisted\"\n\
         grant.endpoint.api = { hosts = [\"127.0.0.1\"], ports = [1], tls = \"disable\" }\n",
    );
    workspace.create(
        "app-prod/stripe",
        &json!({"secret_key": "sk_test_0123456789abcdefABCDEF"}).to_string(),
    );
    workspace.create("app-prod/other", "value");
    let serving = Serving::start(&workspace);
    for (name, words) in [
        ("app-prod/stripe", "keyturn assist app-prod/stripe"),
        (
            "app-prod/other",
            "No Lambda rotation function ARN is associated with this secret.",
        ),
    ] {
        let rotate = json!({"SecretId": name, "ClientRequestToken": token(2)});
        let refused = serving.ask(&workspace, "RotateSecret", &rotate);
        assert_eq!(refused.code(), "InvalidRequestException");
        assert!(refused.message().contains(words), "{}", refused.message());
        assert_eq!(workspace.labels(name).len(), 1);
    }
}

#[test]
fn faults_are_made_only_on_demand_and_said() {
    let workspace = served("");
    workspace.create("app-prod/key", "the value");
    fs::write(
        workspace.path("faults.json"),
        r#"[{"operation": "Get*", "kind": "throttle"}]"#,
    )
    .unwrap();
    let mut serving = Serving::start_with(&workspace, &["serve", "--faults", "faults.json"]);
    let read = json!({"SecretId": "app-prod/key"});
    let hit = serving.ask(&workspace, "GetSecretValue", &read);
    assert_eq!(hit.code(), "ThrottlingException");
    assert_eq!(serving.ask(&workspace, "GetSecretValue", &read).status, 200);
    let (_, said) = serving.stop("-TERM");
    assert!(said.contains("makes faults on purpose"), "{said}");
    fs::write(workspace.path("faults.json"), "[{}]").unwrap();
    let refused = workspace.run(&["serve", "--faults", "faults.json"]);
    refused.failed(3, &["--faults faults.json"]);
}

#[test]
fn a_log_that_nobody_reads_keeps_no_server_from_ending() {
    let workspace = served("");
    workspace.create("app-prod/key", "the value");
    let mut serving = Serving::unheard(&workspace, &["serve"]);
    let requests = 600;
    for _ in 0..requests {
        let read = json!({"SecretId": "app-prod/key"});
        assert_eq!(serving.ask(&workspace, "GetSecretValue", &read).status, 200);
    }
    let (code, _) = serving.stop("-TERM");
    assert_eq!(code, Some(0));
    let mut said = String::new();
    let mut stderr = serving.process.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    // The pipe was full: that is what it did not wait for.
    assert!(said.lines().count() < requests, "{}", said.len());
}
