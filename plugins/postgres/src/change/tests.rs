//! Where the transaction breaks, and what is said about it.

use super::*;
use crate::client::Security;
use crate::client::tests::{Peer, frame, open, welcome};
use keyturn_sdk::ErrorKind;

fn tag(tag: &[u8]) -> Vec<u8> {
    [frame(b'C', &[tag, b"\0"].concat()), frame(b'Z', b"I")].concat()
}

fn refusal(severity: &str, code: &str) -> Vec<u8> {
    let body = format!("S{severity}\0V{severity}\0C{code}\0Mx\0\0");
    [frame(b'E', body.as_bytes()), frame(b'Z', b"E")].concat()
}

/// One change against these answers to BEGIN, ALTER and COMMIT.
fn change(answers: [&[u8]; 3], fail_write: Option<(usize, bool)>) -> Result<(), Error> {
    let welcome = welcome();
    let [begin, alter, commit] = answers;
    let mut peer = Peer::new(Security::Plaintext, &[&welcome, begin, alter, commit]);
    // The first write is the startup message.
    peer.fail_write = fail_write.map(|(statement, sent)| (statement + 1, sent));
    let mut session = open(peer).unwrap();
    in_transaction(&mut session, "the change", |session| {
        statement(session, "the change", "ALTER").map(drop)
    })
}

#[track_caller]
fn check(answers: [&[u8]; 3], fail_write: Option<(usize, bool)>, expected: Applied) {
    let error = change(answers, fail_write).unwrap_err();
    assert_eq!(error.applied, expected, "{error}");
}

#[test]
fn a_commit_is_a_commit() {
    change([&tag(b"BEGIN"), &tag(b"ALTER ROLE"), &tag(b"COMMIT")], None).unwrap();
}

#[test]
fn before_commit_nothing_is_applied() {
    let (begin, alter, commit) = (tag(b"BEGIN"), tag(b"ALTER ROLE"), tag(b"COMMIT"));
    check([b"", &alter, &commit], None, Applied::No);
    check([&begin, b"", &commit], None, Applied::No);
    check(
        [&begin, &refusal("ERROR", "42501"), &commit],
        None,
        Applied::No,
    );
    check(
        [&begin, &refusal("FATAL", "57P01"), &commit],
        None,
        Applied::No,
    );
    for statement in [1, 2] {
        for sent in [false, true] {
            check(
                [&begin, &alter, &commit],
                Some((statement, sent)),
                Applied::No,
            );
        }
    }
}

#[test]
fn commit_decides_from_its_first_byte_to_its_answer() {
    let (begin, alter, commit) = (tag(b"BEGIN"), tag(b"ALTER ROLE"), tag(b"COMMIT"));
    check([&begin, &alter, &commit], Some((3, false)), Applied::No);
    check([&begin, &alter, &commit], Some((3, true)), Applied::Unknown);
    check([&begin, &alter, b""], None, Applied::Unknown);
    check([&begin, &alter, b"\x01garbage"], None, Applied::Unknown);
    check(
        [&begin, &alter, &refusal("FATAL", "57P01")],
        None,
        Applied::Unknown,
    );
}

#[test]
fn a_commit_that_the_server_refused_did_not_happen() {
    let (begin, alter) = (tag(b"BEGIN"), tag(b"ALTER ROLE"));
    check(
        [&begin, &alter, &refusal("ERROR", "40001")],
        None,
        Applied::No,
    );
    let error = change([&begin, &alter, &tag(b"ROLLBACK")], None).unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (ErrorKind::Conflict, Applied::No)
    );
}
