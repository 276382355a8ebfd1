//! Connections as plugins see them, over scripts and over a real socket: what is read and written,
//! and which kind of error a fault becomes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::TcpListener;

use keyturn_sdk::endpoint::{self, NetErrorKind, Security};
use keyturn_sdk::fake::{Host, Script, Step, Tcp, net_error};
use keyturn_sdk::{Applied, Error, ErrorKind};

#[test]
fn a_script_is_followed_through_the_upgrade() {
    let steps = vec![
        Step::Expect(b"TLS?".to_vec()),
        Step::Reply(b"S".to_vec()),
        Step::StartTls,
        Step::Expect(b"hello".to_vec()),
        Step::Reply(b"world".to_vec()),
    ];
    let _host = Host::new()
        .endpoint("primary", Script::new(Security::UpgradeRequired, [steps]))
        .install();
    let mut connection = endpoint::connect("primary", 0).unwrap();
    assert_eq!(connection.security(), Security::UpgradeRequired);
    connection.write_all(b"TLS?").unwrap();
    connection.read_exact(&mut [0]).unwrap();
    connection.start_tls().unwrap();
    assert_eq!(connection.security(), Security::Encrypted);
    // In two writes: a script counts bytes, not calls.
    connection.write_all(b"hel").unwrap();
    connection.write_all(b"lo").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "world");
    assert_eq!(
        endpoint::connect("primary", 0).unwrap_err().kind,
        NetErrorKind::Refused
    );
}

#[test]
fn faults_keep_their_kind_and_whether_bytes_left() {
    for (kind, expected) in [
        (NetErrorKind::Dns, ErrorKind::Dns),
        (NetErrorKind::Refused, ErrorKind::Unreachable),
        (NetErrorKind::Reset, ErrorKind::Unreachable),
        (NetErrorKind::Timeout, ErrorKind::Timeout),
        (NetErrorKind::Tls, ErrorKind::Tls),
        (NetErrorKind::Denied, ErrorKind::InvalidSettings),
    ] {
        for sent in [false, true] {
            let steps = vec![Step::Fail(net_error(kind, "as scripted", sent))];
            let _host = Host::new()
                .endpoint("primary", Script::new(Security::Plaintext, [steps]))
                .install();
            let error = endpoint::connect("primary", 0)
                .unwrap()
                .write_all(b"x")
                .unwrap_err();
            assert_eq!(endpoint::may_have_been_sent(&error), sent);
            let error = Error::from(error);
            assert_eq!((error.kind, error.applied), (expected, Applied::No));
            assert_eq!(error.details, [("sent".to_owned(), sent.to_string())]);
        }
    }
}

#[test]
fn an_absent_endpoint_is_no_member_or_an_error() {
    let _host = Host::new().install();
    assert!(endpoint::members_if_granted("readers").unwrap().is_empty());
    let error = Error::from(endpoint::members("readers").unwrap_err());
    assert_eq!(
        (error.kind, error.retryable),
        (ErrorKind::InvalidSettings, false)
    );
}

#[test]
fn tcp_leads_to_a_real_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        peer.read_to_end(&mut asked).unwrap();
        peer.write_all(&asked).unwrap();
    });
    let _host = Host::new()
        .endpoint("primary", Tcp::plaintext(&[&address]))
        .install();
    assert_eq!(endpoint::members("primary").unwrap()[0].label, address);
    let mut connection = endpoint::connect("primary", 0).unwrap();
    connection.write_all(b"echo").unwrap();
    connection.shutdown().unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "echo");
    server.join().unwrap();
    let error = Error::from(endpoint::connect("primary", 0).unwrap_err());
    assert_eq!(error.kind, ErrorKind::Unreachable);
}
