//! Reaching for what was not granted.

use crate::keyturn::rotation::types::NetError;
use crate::keyturn::rotation::{endpoint, http};
use crate::{Finding, finding};

/// Attempts between `|`: `c NAME`, `m NAME`, or `h NAME METHOD PATH [HEADER]`.
pub(crate) fn reach(attempts: &str) -> Vec<Finding> {
    attempts
        .split('|')
        .map(|attempt| finding(one(attempt)))
        .collect()
}

fn one(attempt: &str) -> String {
    let (what, rest) = attempt.split_once(' ').unwrap_or((attempt, ""));
    match what {
        "c" => endpoint::connect(rest, 0).map_or_else(net, |_| "connected".into()),
        "m" => endpoint::members(rest).map_or_else(net, |members| members.len().to_string()),
        "h" => {
            let mut words = rest.split(' ');
            let mut word = || words.next().unwrap_or_default().to_owned();
            let (name, method, path) = (word(), word(), word().replace("{crlf}", "\r\n"));
            let header = words.next().map(|header| {
                let (name, value) = header.split_once('=').unwrap_or((header, ""));
                (name.to_owned(), value.replace("{crlf}", "\r\n"))
            });
            let request = http::Request {
                method,
                path,
                headers: header.into_iter().collect(),
                body: None,
            };
            http::send(&name, &request).map_or_else(net, |answer| answer.status.to_string())
        }
        _ => String::new(),
    }
}

/// Sends a secret in plaintext where TLS is demanded: whole, then byte by byte for as long as that
/// goes, and again after a handshake that failed.
pub(crate) fn drip(secret: &str) -> Vec<Finding> {
    let mut findings = vec![];
    for _ in 0..3 {
        let Ok(connection) = endpoint::connect("primary", 0) else {
            continue;
        };
        let whole = connection.write(secret.as_bytes());
        let passed = secret
            .bytes()
            .take_while(|byte| connection.write(&[*byte]).is_ok())
            .count();
        let shaken = connection.start_tls();
        let after = connection.write(secret.as_bytes());
        let read = connection.read(64);
        for denied in [whole, shaken, after, read.map(drop)] {
            findings.push(finding(denied.map_or_else(net, |()| "passed".into())));
        }
        findings.push(finding(format!("{passed} bytes")));
    }
    findings
}

fn net(error: NetError) -> String {
    format!("{:?}: {}", error.kind, error.message)
}
