//! No secret value leaves the store but through `--reveal`: everything that the commands and the
//! server wrote is searched for every value that there was, in every disguise that the scanner knows.

use std::fs;

use harness::canary::{Canary, Scan};
use harness::postgres::ClusterOptions;
use serde_json::{Value, json};

use crate::support::Ended;
use crate::support::festival::{
    ADMIN_PASSWORD, ADMIN_SECRET, FIRST_PASSWORD, Festival, SECRET, USER,
};

const JWT: &str = "festival-prod/jwt";

#[test]
fn no_value_is_written_anywhere_but_sealed() {
    let festival = Festival::start_with(ClusterOptions::new().log_everything(), "alternating", 1);
    let jwt_key = "jwt-Key/of the+application=".repeat(3);
    add_jwt(&festival, &jwt_key);
    let mut secrets = vec![
        FIRST_PASSWORD.to_owned(),
        ADMIN_PASSWORD.to_owned(),
        jwt_key,
    ];
    let mut written: Vec<Ended> = Vec::new();
    let mut run = |arguments: &[&str]| {
        let ended = festival.workspace.run(arguments);
        written.push(ended);
    };

    for output in [&[][..], &["--json"]] {
        run(&[&["rotate", SECRET, "--now"], output].concat());
        run(&[&["rotate", JWT, "--now"], output].concat());
        secrets.extend(values_of(&festival));
    }
    run(&["retire", SECRET, "--now"]);
    for command in ["status", "verify", "history"] {
        run(&[command]);
        run(&[command, "--json"]);
    }
    for command in ["get", "describe"] {
        run(&["secret", command, SECRET]);
        run(&["secret", command, SECRET, "--json"]);
    }
    // And the ways that fail: a password that no longer opens the door, and a server that is gone.
    festival
        .cluster
        .query(&format!(
            "ALTER ROLE {USER} NOLOGIN; ALTER ROLE festival_rotation NOLOGIN"
        ))
        .unwrap();
    run(&["rotate", SECRET, "--now"]);
    run(&["verify", SECRET]);
    festival.cluster.stop().unwrap();
    run(&["rotate", SECRET, "--now", "--json"]);
    secrets.extend(values_of(&festival));
    secrets.sort();
    secrets.dedup();
    assert!(secrets.len() >= 8, "{} secrets", secrets.len());
    assert!(written.iter().any(|ended| ended.code == Some(0)));
    assert!(written.iter().any(|ended| ended.code != Some(0)));

    let scan = scan(&festival, &secrets, &written);
    assert_eq!(scan.findings, []);
    assert!(scan.bytes > 100_000 && scan.files > 10, "{scan:?}");
    assert!(festival.cluster.log().unwrap().contains("SCRAM-SHA-256$"));
    // It went through everything once for each secret.
    let bytes = scan.bytes / secrets.len() as u64;
    println!("evidence: canary scan: {bytes} bytes searched, 0 found");

    the_scanner_finds_what_is_revealed(&festival);
}

/// Every secret against everything that the processes printed, and the files of both sides.
fn scan(festival: &Festival, secrets: &[String], written: &[Ended]) -> Scan {
    let mut scan = Scan::default();
    for secret in secrets {
        let canary = Canary::new(secret).unwrap();
        for (number, ended) in written.iter().enumerate() {
            canary.scan_bytes(
                &format!("stdout {number}"),
                ended.stdout.as_bytes(),
                &mut scan,
            );
            canary.scan_bytes(
                &format!("stderr {number}"),
                ended.stderr.as_bytes(),
                &mut scan,
            );
        }
        canary
            .scan_path(festival.workspace.folder(), &mut scan)
            .unwrap();
        canary
            .scan_path(festival.cluster.folder(), &mut scan)
            .unwrap();
    }
    scan
}

/// Without this the scan above could be one that finds nothing at all.
fn the_scanner_finds_what_is_revealed(festival: &Festival) {
    let revealed = festival
        .workspace
        .run(&["secret", "get", SECRET, "--reveal"])
        .succeeded();
    let current = festival.workspace.current(SECRET);
    let canary = Canary::new(current["password"].as_str().unwrap()).unwrap();
    let mut scan = Scan::default();
    canary.scan_bytes("revealed", revealed.stdout.as_bytes(), &mut scan);
    assert_eq!(scan.findings.len(), 1);
}

fn add_jwt(festival: &Festival, key: &str) {
    let path = festival.workspace.path("keyturn.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        format!("{config}[secret.\"{JWT}\"]\nplugin = \"jwt\"\n"),
    )
    .unwrap();
    let value = json!({"secret": key, "refresh_secret": "b".repeat(64), "algorithm": "HS256"});
    festival.workspace.create(JWT, &value.to_string());
}

/// Every sensitive text of every labelled version.
fn values_of(festival: &Festival) -> Vec<String> {
    let mut found = Vec::new();
    for name in [SECRET, ADMIN_SECRET, JWT] {
        for label in festival.workspace.labels(name).keys() {
            let value: Value = serde_json::from_str(&festival.workspace.text(name, label)).unwrap();
            for member in ["password", "previous_password", "secret", "previous_secret"] {
                found.extend(value[member].as_str().map(str::to_owned));
            }
        }
    }
    found
}
