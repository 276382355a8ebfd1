//! Sessions with a scripted peer: what a server must never be able to make this client do.

use super::opening::{Credentials, Opening, Progress};
use super::*;
use std::collections::VecDeque;

/// A peer that answers each write with the next piece, and remembers what it was sent.
pub(crate) struct Peer {
    pub(crate) security: Security,
    pub(crate) replies: VecDeque<Vec<u8>>,
    pub(crate) unread: Vec<u8>,
    pub(crate) written: Vec<u8>,
    pub(crate) upgraded: bool,
    /// The write with this number fails, with `sent` as given.
    pub(crate) fail_write: Option<(usize, bool)>,
    pub(crate) writes: usize,
}

impl Peer {
    pub(crate) fn new(security: Security, replies: &[&[u8]]) -> Peer {
        Peer {
            security,
            replies: replies.iter().map(|r| r.to_vec()).collect(),
            unread: Vec::new(),
            written: Vec::new(),
            upgraded: false,
            fail_write: None,
            writes: 0,
        }
    }
}

impl Stream for Peer {
    fn security(&self) -> Security {
        self.security
    }

    fn read(&mut self, max: usize) -> Result<Vec<u8>, NetFault> {
        let count = max.min(self.unread.len());
        Ok(self.unread.drain(..count).collect())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), NetFault> {
        self.writes += 1;
        if let Some((number, sent)) = self.fail_write
            && number == self.writes
        {
            return Err(NetFault {
                error: Error::unreachable("cut"),
                sent,
            });
        }
        self.written.extend_from_slice(bytes);
        self.unread
            .extend(self.replies.pop_front().unwrap_or_default());
        Ok(())
    }

    fn start_tls(&mut self) -> Result<(), NetFault> {
        if !self.unread.is_empty() {
            return Err(NetFault {
                error: Error::tls("plaintext is buffered"),
                sent: false,
            });
        }
        self.upgraded = true;
        Ok(())
    }

    fn channel_binding(&self) -> Option<Vec<u8>> {
        None
    }
}

pub(crate) fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// AuthenticationOk and ReadyForQuery: a server that trusts everybody.
pub(crate) fn welcome() -> Vec<u8> {
    [frame(b'R', &[0; 4]), frame(b'Z', b"I")].concat()
}

/// A whole login, one step after the other.
pub(crate) fn open(peer: Peer) -> Result<Session<Peer>, LoginFailure> {
    let credentials = Credentials {
        user: "u".into(),
        password: "canary-pw".into(),
        database: "db".into(),
        nonce: "a-nonce".into(),
    };
    let mut opening = Opening::begin(peer, credentials)?;
    loop {
        match opening.step()? {
            Progress::Waiting(next) => opening = next,
            Progress::Opened(session) => return Ok(session),
        }
    }
}

fn path_error(result: Result<Session<Peer>, LoginFailure>) -> Error {
    match result {
        Err(LoginFailure::Path(error)) => error,
        Err(LoginFailure::Refused { error, .. }) => panic!("refused: {error:?}"),
        Ok(_) => panic!("opened"),
    }
}

#[test]
fn nothing_but_the_ssl_request_passes_in_plaintext() {
    let session = open(Peer::new(Security::UpgradeRequired, &[b"S", &welcome()])).unwrap();
    assert!(session.stream.upgraded);
    assert_eq!(session.stream.written[..8], wire::ssl_request());
}

#[test]
fn a_refusal_of_tls_is_no_reason_to_go_on() {
    for (answer, kind) in [
        (&b"N"[..], keyturn_sdk::ErrorKind::Tls),
        (b"E", keyturn_sdk::ErrorKind::Unreachable),
        (b"H", keyturn_sdk::ErrorKind::Protocol),
        (b"", keyturn_sdk::ErrorKind::Unreachable),
    ] {
        let error = path_error(open(Peer::new(
            Security::UpgradeRequired,
            &[answer, &welcome()],
        )));
        assert_eq!(error.kind, kind);
    }
}

#[test]
fn plaintext_injected_behind_the_upgrade_is_not_read() {
    let injected = [b"S".to_vec(), welcome()].concat();
    let error = path_error(open(Peer::new(Security::UpgradeRequired, &[&injected])));
    assert_eq!(error.kind, keyturn_sdk::ErrorKind::Tls);
}

#[test]
fn a_refusal_after_the_challenge_tells_that_the_password_was_right() {
    let refusal = frame(b'E', b"SFATAL\0VFATAL\0C28000\0Mno\0\0");
    let md5 = frame(b'R', b"\0\0\0\x05salt");
    let accepted = [frame(b'R', &[0; 4]), refusal.clone()].concat();
    for (replies, right) in [
        (vec![refusal.as_slice()], false),
        (vec![md5.as_slice(), refusal.as_slice()], false),
        (vec![md5.as_slice(), accepted.as_slice()], true),
        (vec![accepted.as_slice()], false),
    ] {
        match open(Peer::new(Security::Encrypted, &replies)) {
            Err(LoginFailure::Refused {
                error,
                password_was_right,
            }) => {
                assert_eq!((error.code.as_str(), password_was_right), ("28000", right));
            }
            other => panic!("{:?}", other.err()),
        }
    }
}

fn query(reply: &[u8]) -> Result<Reply, QueryFailure> {
    let mut session = open(Peer::new(Security::Plaintext, &[&welcome(), reply])).unwrap();
    session.run("SELECT 1")
}

#[test]
fn a_query_yields_rows_and_the_last_tag() {
    let row = [&1u16.to_be_bytes()[..], &1i32.to_be_bytes(), b"x"].concat();
    let reply = [
        frame(b'C', b"BEGIN\0"),
        frame(b'D', &row),
        frame(b'C', b"SELECT 1\0"),
        frame(b'Z', b"I"),
    ]
    .concat();
    let reply = query(&reply).unwrap();
    assert_eq!(reply.rows, vec![vec![Some("x".to_owned())]]);
    assert_eq!(reply.tag, "SELECT 1");
}

#[test]
fn an_endless_result_ends() {
    let row = frame(b'D', &0u16.to_be_bytes());
    let failure = query(&row.repeat(wire::ROWS_MAX + 1)).unwrap_err();
    assert!(matches!(failure.cause, Cause::Path(e) if e.kind == keyturn_sdk::ErrorKind::Protocol));
}

#[test]
fn an_early_end_is_a_broken_path() {
    let failure = query(&frame(b'C', b"SELECT 1\0")).unwrap_err();
    assert!(failure.sent);
    assert!(
        matches!(failure.cause, Cause::Path(e) if e.kind == keyturn_sdk::ErrorKind::Unreachable)
    );
}

#[test]
fn copy_is_not_expected() {
    assert!(query(&frame(b'H', &[0, 0, 0])).is_err());
}

#[test]
fn debug_shows_no_row_and_no_password() {
    let session = open(Peer::new(Security::Plaintext, &[&welcome()])).unwrap();
    assert!(!format!("{:?}", session.frames).contains("canary"));
}
