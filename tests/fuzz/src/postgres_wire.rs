//! What a PostgreSQL server sends: messages are cut where their lengths say, nothing that a server
//! announces is believed before it arrives, and no login counts as proven unless the server signed it
//! with the password's verifier. It panics otherwise.

mod scram;

use keyturn_plugin_postgres::Postgres;
use keyturn_plugin_postgres::auth::{AuthError, Authentication, Proof, Step};
use keyturn_plugin_postgres::wire::{self, Frames, MESSAGE_BYTES_MAX};
use keyturn_sdk::endpoint::Security;
use keyturn_sdk::{Rotator, fake};
use postgres_protocol::message::backend::Message;

use crate::repeating_server::RepeatingServer;
use scram::Conversation;

const PASSWORD: &str = "pencil";
const SECRET: &str = r#"{"host":"db","username":"app","password":"pencil"}"#;

pub(crate) fn run(input: &[u8]) {
    check_framing(input);
    check_names(input);
    for is_encrypted in [false, true] {
        for is_signed in [false, true] {
            check_login(input, is_encrypted, is_signed);
        }
    }
    check_plugin(input);
}

/// A server's message, cut by hand: tag, body.
fn cut(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = input.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length))
        .ok()?
        .checked_sub(4)?;
    let (body, rest) = rest.split_at_checked(length)?;
    Some((*tag, body, rest))
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

fn check_framing(input: &[u8]) {
    let mut whole = Frames::default();
    whole.push(input);
    let mut pieces = Frames::default();
    let mut rest = input;
    let mut next = input.iter();
    loop {
        let before = whole.buffered();
        let answer = whole.next_message();
        // Byte by byte, the same messages come out, and none of them early.
        let mut piecewise = pieces.next_message();
        while matches!(piecewise, Ok(None))
            && let Some(byte) = next.next()
        {
            pieces.push(&[*byte]);
            piecewise = pieces.next_message();
        }
        match (answer, piecewise) {
            (Ok(Some(message)), Ok(Some(_))) => {
                let (tag, body, after) = cut(rest).expect("a message was whole");
                assert_eq!(
                    before - whole.buffered(),
                    body.len() + 5,
                    "consumed more than the message"
                );
                assert!(body.len() < MESSAGE_BYTES_MAX);
                check_content(tag, body, &message);
                rest = after;
            }
            (Ok(None), Ok(None)) => break,
            (Err(_), Err(_)) => break,
            (answer, _) => panic!(
                "in pieces it is another conversation (whole: {})",
                answer.is_ok()
            ),
        }
    }
}

fn check_content(tag: u8, body: &[u8], message: &Message) {
    match message {
        Message::DataRow(row) => {
            let Ok(row) = wire::row(row) else { return };
            let bytes: usize = row.iter().flatten().map(String::len).sum();
            // Three bytes stand in for one that is no UTF-8.
            assert!(
                bytes <= 3 * body.len() && row.len() <= body.len(),
                "a row larger than its message"
            );
        }
        Message::ErrorResponse(fields) => {
            assert_eq!(tag, b'E');
            let Ok(error) = wire::server_error(fields.fields()) else {
                return;
            };
            assert!(error.code.len() == 5 && error.code.bytes().all(|b| b.is_ascii_alphanumeric()));
            assert_eq!(error.ends_session(), error.severity != "ERROR");
        }
        _ => {}
    }
}

/// What we send ends where its length says, and no name or statement reaches into the next field.
fn check_names(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (user, database) = text.split_at(text.floor_char_boundary(text.len() / 2));
    if let Ok(bytes) = wire::startup(user, database) {
        let length = bytes
            .first_chunk::<4>()
            .map(|length| u32::from_be_bytes(*length) as usize);
        assert_eq!(length, Some(bytes.len()));
        let fields: Vec<&[u8]> = bytes[8..].split(|byte| *byte == 0).collect();
        let expected = [
            b"user" as &[u8],
            user.as_bytes(),
            b"database",
            database.as_bytes(),
            b"client_encoding",
            b"UTF8",
            b"application_name",
            b"keyturn",
            b"",
            b"",
        ];
        assert_eq!(fields, expected);
    } else {
        assert!(text.contains('\0'));
    }
    if let Ok(bytes) = wire::query(&text) {
        let expected = message(b'Q', &[text.as_bytes(), b"\0"].concat());
        assert_eq!(bytes, expected);
    } else {
        assert!(text.contains('\0'));
    }
}

/// The input's messages as the answers to a login, with our nonce where they have a nonce. If
/// `is_signed`, a final message carries the signature of a server that knows the verifier.
fn check_login(mut input: &[u8], is_encrypted: bool, is_signed: bool) {
    let binding = is_encrypted.then(|| b"hash of the certificate".to_vec());
    let mut login = Authentication::new("app", PASSWORD, is_encrypted, binding, "a-nonce".into());
    let mut conversation = Conversation::default();
    while let Some((tag, body, rest)) = cut(input) {
        input = rest;
        let body = conversation.answer(tag, body, is_signed);
        let mut frames = Frames::default();
        frames.push(&message(tag, &body));
        let Ok(Some(parsed)) = frames.next_message() else {
            return;
        };
        match login.on(parsed) {
            Ok(Step::Send(bytes)) => {
                assert!(
                    !contains(&bytes, PASSWORD.as_bytes()),
                    "the password itself was sent"
                );
                conversation.sent(&bytes);
            }
            Ok(Step::Wait) => conversation.check_final(tag, &body, true),
            Ok(Step::Done(proof)) => {
                let is_scram = matches!(proof, Proof::Scram | Proof::ScramPlus);
                assert_eq!(is_scram, conversation.is_proven(), "{proof:?}");
                assert!(
                    proof != Proof::Md5 || is_encrypted,
                    "an MD5 response without TLS"
                );
                assert!(
                    proof != Proof::ScramPlus || is_encrypted,
                    "bound to no channel"
                );
                return;
            }
            Err(AuthError::Refused(_)) => return,
            Err(_) => {
                conversation.check_final(tag, &body, false);
                // A login that failed cannot be taken up again.
                let mut frames = Frames::default();
                frames.push(&message(b'R', &[0; 4]));
                if let Ok(Some(parsed)) = frames.next_message() {
                    assert!(login.on(parsed).is_err(), "a failed login went on");
                }
                return;
            }
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The whole plugin against a server that says just this on every connection.
fn check_plugin(input: &[u8]) {
    for security in [Security::Plaintext, Security::UpgradeRequired] {
        let server = RepeatingServer::new(input, security);
        let _host = fake::Host::new().endpoint("primary", server).install();
        let ctx = fake::context("single", SECRET);
        let candidate = fake::version("candidate", SECRET);
        let _ = Postgres::probe(&ctx, &ctx.current);
        let tested = Postgres::test(&ctx, &candidate);
        assert!(
            tested.is_err(),
            "a server that gives the same answers to a wrong password passed the test"
        );
        if let Err(error) = tested {
            assert!(!format!("{error:?}").contains(PASSWORD), "{error:?}");
        }
    }
}
