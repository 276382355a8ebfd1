//! `keyturn plugin check`: what its user reads, its files and exit codes, with and without servers.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::time::Duration;

use harness::redis::{Server, ServerOptions, documented_user, sha256};
use harness::stripe::StripeLike;
use harness::tls::Authority;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Workspace, end, end_within};

/// For a crash at every import of calls that ask servers, on a loaded machine.
const SWEEPS: Duration = Duration::from_secs(400);
const PASSWORD: &str = "first-Password/of-the-cache=42";
const ADMIN_PASSWORD: &str = "rotation-Admin/of-the-cache=4711";

fn ruling<'a>(report: &'a Value, id: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == id);
    &check.unwrap_or_else(|| panic!("no check {id}"))["ruling"]
}

#[test]
fn a_plugin_without_a_target_needs_nothing_and_is_fit() {
    let workspace = Workspace::empty();
    let (json, junit) = (workspace.path("report.json"), workspace.path("report.xml"));
    let checked = workspace
        .run(&[
            "plugin",
            "check",
            "api-key",
            "--json-file",
            json.to_str().unwrap(),
            "--junit",
            junit.to_str().unwrap(),
        ])
        .succeeded();
    checked.says(&[
        "ok    10  createSecret",
        "n/a   32",
        "it is fit to hold production credentials",
    ]);
    let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(report["verdict"], "fit");
    assert_eq!(report["plugin"], "api-key");
    assert_eq!(ruling(&report, "crash"), "passed");
    let junit = fs::read_to_string(junit).unwrap();
    assert!(
        junit.starts_with("<?xml") && junit.contains("failures=\"0\" errors=\"0\""),
        "{junit}"
    );
    for property in [
        r#"name="verdict" value="fit""#,
        r#"name="strategy" value="overlap""#,
    ] {
        assert!(junit.contains(property), "{property}: {junit}");
    }
    assert!(junit.contains("classname=\"api-key.crash\""), "{junit}");
}

#[test]
fn without_its_target_much_stays_open() {
    let workspace = Workspace::empty();
    let checked = workspace.run(&["plugin", "check", "redis", "--junit", "report.xml"]);
    assert_eq!(checked.code, Some(7), "{checked:?}");
    checked.says(&["open  33", "give --target", "is not known to be fit"]);
    // Nothing failed, and it must not look green.
    let junit = fs::read_to_string(workspace.path("report.xml")).unwrap();
    for part in [
        r#"failures="0" errors="1""#,
        r#"name="verdict" value="incomplete""#,
        r#"name="other_strategies" value="single, elasticache-user, elasticache-auth-token""#,
        "checks are open; it is not known to be fit",
    ] {
        assert!(junit.contains(part), "{part}: {junit}");
    }
}

/// Its readers are the operator's to name, or to leave out.
#[test]
fn what_an_operator_may_leave_out_leaves_nothing_open() {
    let workspace = Workspace::empty();
    let checked = workspace.run(&["plugin", "check", "postgres"]);
    assert_eq!(checked.code, Some(7), "{checked:?}");
    checked.says(&["n/a   34", "n/a   36", "may be left out and are"]);
}

#[test]
fn a_real_server_is_given_by_its_url() {
    let server = ServerOptions::new()
        .user(documented_user(
            "festival",
            &format!("#{}", sha256(PASSWORD)),
        ))
        .user(documented_user(
            "rotation",
            &format!("#{}", sha256(ADMIN_PASSWORD)),
        ))
        .user("open_to_all on nopass ~* +@all")
        .user(format!("shut_out on #{} ~* -@all +auth", sha256(PASSWORD)))
        .start()
        .unwrap();
    let workspace = Workspace::empty();
    let value = |user: &str| json!({"host": "", "port": 0, "username": user, "password": PASSWORD});
    let sample = json!({
        "companions": {"admin": {"username": "rotation", "password": ADMIN_PASSWORD}},
        "unprivileged": value("shut_out"), "unprotected": value("open_to_all"),
    });
    fs::write(workspace.path("sample.json"), sample.to_string()).unwrap();
    let url = format!(
        "redis://festival:{}@127.0.0.1:{}?tls=disable",
        PASSWORD.replace('/', "%2F"),
        server.port()
    );
    let arguments = [
        "plugin",
        "check",
        "redis",
        "--sample",
        "sample.json",
        "--json",
        "--target",
        &url,
    ];
    let checked = end_within(SWEEPS, workspace.start(&arguments), &arguments);
    workspace.keep(&checked);
    // One node is none of several.
    assert_eq!(checked.code, Some(7), "{checked:?}");
    let report = checked.json();
    assert_eq!(report["verdict"], "incomplete");
    for id in [
        "set-twice",
        "wrong-current",
        "retire",
        "permission",
        "negative-control",
        "cut",
        "crash",
        "canary",
    ] {
        assert_eq!(ruling(&report, id), "passed", "{id}: {report}");
    }
    for id in ["node-down", "mixed"] {
        assert_eq!(ruling(&report, id), "not-covered", "{id}");
    }
    // The password that was given is put back, so that the same check can be made again.
    server.login(Some("festival"), PASSWORD).unwrap();
    let found = workspace.scan_for(&[ADMIN_PASSWORD], &server.log().unwrap());
    // The sample holds it, and nothing else does.
    assert_eq!(found.findings.len(), 1, "{found:?}");
    assert!(!checked.stdout.contains(PASSWORD) && !checked.stderr.contains(PASSWORD));
}

/// Three that know nothing of each other, each by its own URL.
#[test]
fn with_several_real_servers_nothing_is_open() {
    let servers = [(); 3].map(|()| {
        ServerOptions::new()
            .user("open_to_all on nopass ~* +@all")
            .user(format!("shut_out on #{} ~* -@all +auth", sha256(PASSWORD)))
            .conf("rename-command ACL \"\"")
            .conf(format!("requirepass \"{PASSWORD}\""))
            .start()
            .unwrap()
    });
    let workspace = Workspace::empty();
    let value = |user: &str| json!({"host": "", "port": 0, "username": user, "password": PASSWORD});
    let sample = json!({
        "strategy": "single", "secret": {"host": "", "port": 0, "password": PASSWORD},
        "unprivileged": value("shut_out"), "unprotected": value("open_to_all"),
    });
    fs::write(workspace.path("sample.json"), sample.to_string()).unwrap();
    let urls = servers.each_ref().map(Server::port);
    let urls = urls.map(|port| format!("redis://127.0.0.1:{port}?tls=disable"));
    let mut arguments = vec!["plugin", "check", "redis", "--sample", "sample.json"];
    arguments.extend(urls.iter().flat_map(|url| ["--target", url]));
    let ended = end_within(SWEEPS, workspace.start(&arguments), &arguments);
    ended.succeeded().says(&[
        "ok    33",
        "ok    34",
        "ok    35",
        "0 failed, 0 open",
        "it is fit to hold production credentials; not checked: dual",
    ]);
    for server in &servers {
        server.login(None, PASSWORD).unwrap();
    }
}

/// A vendor whose server tells its hosts apart by their names, and whose certificate has its name alone.
#[test]
fn a_vendor_is_asked_by_its_own_name() {
    let name = "api.stripe.com";
    let authority = Authority::new("the vendor's authority").unwrap();
    let stripe = StripeLike::start(&authority.issue(&[name]).unwrap()).unwrap();
    let workspace = Workspace::empty();
    fs::write(workspace.path("ca.pem"), authority.certificate_pem()).unwrap();
    let keys: Vec<_> = (0..60)
        .map(|number| format!("sk_test_{number:020}"))
        .collect();
    for key in &keys {
        stripe.add_key(key, "acct_1festival", true);
    }
    let answer = |key: &String| json!({"secret_key": key});
    let answers: Vec<_> = keys[1..].iter().map(answer).collect();
    let sample = json!({"secret": answer(&keys[0]), "answers": answers});
    fs::write(workspace.path("sample.json"), sample.to_string()).unwrap();
    let url = format!("https://{name}?ca=ca.pem&connect={}", stripe.address());
    let arguments = [
        "plugin",
        "check",
        "stripe-assisted",
        "--sample",
        "sample.json",
    ];
    let checked = workspace.run(&[&arguments[..], &["--json", "--target", &url]].concat());
    // Nobody ends keys here.
    assert_eq!(checked.code, Some(7), "{checked:?}");
    let report = checked.json();
    for id in ["probe-harmless", "target-down", "bad-peer"] {
        assert_eq!(ruling(&report, id), "passed", "{id}: {report}");
    }
    let names = [name, name].map(str::to_owned);
    assert_eq!(stripe.names(), [names].into(), "in TLS and in HTTP");
}

#[test]
fn what_is_no_plugin_is_not_fit_and_says_why() {
    let workspace = Workspace::empty();
    fs::write(workspace.path("text.wasm"), "no plugin").unwrap();
    workspace
        .run(&["plugin", "check", "text.wasm"])
        .failed(5, &[])
        .says(&[
            "FAIL   1",
            "is not WebAssembly",
            "fix: build it with `keyturn plugin build`",
        ]);
    for missing in ["nowhere.wasm", "nosuch"] {
        let missing = workspace.run(&["plugin", "check", missing]);
        missing.failed(
            3,
            &[
                "there is no file no",
                "api-key, jwt",
                "`keyturn plugin build`",
            ],
        );
    }
}

/// It is no rotation that could be continued.
#[test]
fn an_interrupted_check_says_what_it_leaves() {
    let workspace = Workspace::empty();
    // Whoever connects there waits.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "redis://festival:nobody@{}?tls=disable",
        silent.local_addr().unwrap()
    );
    let arguments = ["plugin", "check", "redis", "--target", &url];
    let mut checking = workspace.start(&arguments);
    let mut first = String::new();
    let mut said = BufReader::new(checking.stdout.take().unwrap());
    said.read_line(&mut first).unwrap();
    assert!(first.starts_with("ok     1"), "{first}");
    let pid = Pid::from_child(&checking);
    kill_process(pid, Signal::INT).unwrap();
    let ended = end(checking, &arguments);
    let ended = ended.failed(
        130,
        &[
            "interrupted",
            "says nothing about the plugin",
            "make that server anew",
        ],
    );
    assert!(!ended.stderr.contains("continues"), "{ended:?}");
}

#[test]
fn a_wrong_target_or_sample_is_named_without_its_secrets() {
    let workspace = Workspace::empty();
    let target = [
        "plugin",
        "check",
        "redis",
        "--target",
        "redis://app:canary-password@",
    ];
    let refused = workspace.run(&target).failed(3, &["--target"]);
    assert!(!refused.stderr.contains("canary-password"), "{refused:?}");
    let unknown = [
        "plugin",
        "check",
        "redis",
        "--target",
        "redis://a:b@localhost:1?sslmode=off",
    ];
    workspace
        .run(&unknown)
        .failed(3, &["tls, ca, server_name and connect"]);
    let sample = ["plugin", "check", "redis", "--sample", "sample.json"];
    for (written, words) in [
        (
            r#"{"secrets":"canary-password", "strategy":"dual", "answer":[]}"#,
            [
                "\"answer\", \"secrets\", which nothing",
                "known members are secret",
            ],
        ),
        (
            r#"{"companions":{"administrator":{"password":"canary-password"}}}"#,
            [
                "\"administrator\", which nothing",
                "known companions are admin",
            ],
        ),
        (
            r#"{"endpoints":{"node":["localhost:1"]}}"#,
            [
                "\"node\", which nothing",
                "known endpoints are elasticache, nodes",
            ],
        ),
        ("[]", ["line 1", "it is a JSON object with secret"]),
        (
            "{\n\"answers\":\"canary-password\"}",
            ["line 2", "unprotected"],
        ),
        ("\"canary-password\"", ["line 1", "it is a JSON object"]),
    ] {
        fs::write(workspace.path("sample.json"), written).unwrap();
        let refused = workspace.run(&sample).failed(3, &["sample.json"]);
        let refused = refused.failed(3, &words);
        assert!(!refused.stderr.contains("canary-password"), "{refused:?}");
    }
}
