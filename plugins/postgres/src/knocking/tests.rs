//! Several logins at once: who is heard when, and what becomes of those that nobody asks for any more.

use super::*;
use crate::client::tests::frame;
use crate::wire;
use keyturn_sdk::endpoint::{Binding, NetError, NetErrorKind, Security};
use keyturn_sdk::fake::{self, Connector, Host, Installed, Stream};
use keyturn_sdk::{ErrorKind, SecretText};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What happened on which connection, in order.
type Heard = Rc<RefCell<Vec<(usize, Event)>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Connect,
    Write,
    Tls,
    Read,
    Terminate,
}

/// Its connections, by number, answer each write with the next piece. One without pieces is refused.
struct Server {
    security: Security,
    replies: Vec<Vec<Vec<u8>>>,
    opened: Cell<usize>,
    heard: Heard,
}

struct Connection {
    number: usize,
    security: Security,
    replies: std::vec::IntoIter<Vec<u8>>,
    unread: Vec<u8>,
    heard: Heard,
}

impl Connector for Server {
    fn labels(&self) -> Vec<String> {
        vec!["listening:1".to_owned()]
    }

    fn connect(&self, _member: u32) -> Result<Box<dyn Stream>, NetError> {
        let number = self.opened.replace(self.opened.get() + 1);
        self.heard.borrow_mut().push((number, Event::Connect));
        let replies = self.replies[number].clone();
        if replies.is_empty() {
            return Err(fake::net_error(
                NetErrorKind::Refused,
                "nobody listens",
                false,
            ));
        }
        Ok(Box::new(Connection {
            number,
            security: self.security,
            replies: replies.into_iter(),
            unread: Vec::new(),
            heard: Rc::clone(&self.heard),
        }))
    }
}

impl Connection {
    fn note(&self, event: Event) {
        self.heard.borrow_mut().push((self.number, event));
    }
}

impl Stream for Connection {
    fn security(&self) -> Security {
        self.security
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NetError> {
        self.note(Event::Read);
        let count = buffer.len().min(self.unread.len());
        buffer[..count].copy_from_slice(&self.unread[..count]);
        self.unread.drain(..count);
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        if bytes == wire::terminate() {
            self.note(Event::Terminate);
            return Ok(());
        }
        self.note(Event::Write);
        self.unread.extend(self.replies.next().unwrap_or_default());
        Ok(())
    }

    fn start_tls(&mut self) -> Result<(), NetError> {
        self.note(Event::Tls);
        self.security = Security::Encrypted;
        Ok(())
    }

    fn channel_binding(&self, _kind: Binding) -> Option<Vec<u8>> {
        None
    }

    fn shutdown(&mut self) -> Result<(), NetError> {
        Ok(())
    }
}

fn challenge() -> Vec<u8> {
    frame(b'R', b"\0\0\0\x05salt")
}

fn welcome() -> Vec<u8> {
    [frame(b'R', &[0; 4]), frame(b'Z', b"I")].concat()
}

fn refusal(code: &str) -> Vec<u8> {
    frame(b'E', format!("SFATAL\0VFATAL\0C{code}\0Mno\0\0").as_bytes())
}

fn server(security: Security, replies: &[&[Vec<u8>]]) -> (Installed, Heard) {
    let heard = Heard::default();
    let server = Server {
        security,
        replies: replies.iter().map(|pieces| pieces.to_vec()).collect(),
        opened: Cell::new(0),
        heard: Rc::clone(&heard),
    };
    (Host::new().endpoint("primary", server).install(), heard)
}

fn logins<const N: usize>() -> [Knocking; N] {
    let door = Door::primary().unwrap();
    std::array::from_fn(|number| {
        door.knocking(&Login {
            user: format!("u{number}"),
            password: SecretText::new("p"),
            database: "d".into(),
            has_engine: false,
            has_previous: false,
        })
    })
}

fn place(heard: &Heard, number: usize, event: Event) -> usize {
    let heard = heard.borrow();
    let found = heard
        .iter()
        .position(|happened| *happened == (number, event));
    found.unwrap_or_else(|| panic!("no {event:?} on {number}: {heard:?}"))
}

#[test]
fn the_second_sends_before_the_first_is_answered() {
    for (security, hello) in [
        (Security::Encrypted, None),
        (Security::UpgradeRequired, Some(b"S".to_vec())),
    ] {
        let pieces: Vec<_> = hello.into_iter().chain([challenge(), welcome()]).collect();
        let (_host, heard) = server(security, &[&pieces, &pieces]);
        let [mut first, mut second] = logins();
        take_turns([&mut first, &mut second]);
        assert!(place(&heard, 1, Event::Write) < place(&heard, 0, Event::Read));
        // Nothing is left to be done when the answers are asked for.
        let turns = heard.borrow().len();
        let (first, second) = (first.answer().unwrap(), second.answer().unwrap());
        assert!(matches!(
            (first, second),
            (Knock::Opened(_), Knock::Opened(_))
        ));
        assert_eq!(heard.borrow().len(), turns);
    }
}

#[test]
fn a_login_that_got_no_turn_is_not_begun_before_its_answer_is_asked_for() {
    let (_host, heard) = server(Security::Encrypted, &[&[challenge(), welcome()]]);
    let [login] = logins();
    assert_eq!(heard.borrow().len(), 0);
    assert!(matches!(login.answer(), Ok(Knock::Opened(_))));
}

#[test]
fn a_verdict_leaves_the_others_their_turns() {
    let refused = [challenge(), refusal("28P01")];
    let (_host, heard) = server(
        Security::Encrypted,
        &[&refused, &[challenge(), welcome()], &refused],
    );
    let [mut first, mut second, mut third] = logins();
    take_turns([&mut first, &mut second, &mut third]);
    assert!(first.answer().unwrap().found_wrong_password());
    assert!(!second.answer().unwrap().found_wrong_password());
    // It had opened and was asked about its password only.
    place(&heard, 1, Event::Terminate);
    assert!(third.answer().unwrap().found_wrong_password());
}

#[test]
fn a_failure_closes_the_sessions_of_the_others_in_order() {
    // Enough notices that the second has opened before the first fails.
    let late = [frame(b'N', b"\0").repeat(9), refusal("57P03")].concat();
    let (_host, heard) = server(
        Security::Encrypted,
        &[&[challenge(), late], &[challenge(), welcome()]],
    );
    let [mut first, mut second] = logins();
    take_turns([&mut first, &mut second]);
    let error = first.answer().err().unwrap();
    assert_eq!(error.kind, ErrorKind::Throttled);
    drop(second);
    place(&heard, 1, Event::Terminate);
    assert!(!heard.borrow().contains(&(0, Event::Terminate)));
}

#[test]
fn what_is_broken_is_not_tried_three_times() {
    let (_host, heard) = server(Security::Encrypted, &[&[]]);
    let [mut first, mut second, mut third] = logins();
    take_turns([&mut first, &mut second, &mut third]);
    assert_eq!(first.answer().err().unwrap().kind, ErrorKind::Unreachable);
    drop((second, third));
    assert_eq!(*heard.borrow(), [(0, Event::Connect)]);
}

#[test]
fn a_failure_behind_it_leaves_a_login_its_answer() {
    let (_host, _) = server(Security::Encrypted, &[&[challenge(), welcome()], &[]]);
    let [mut first, mut second] = logins();
    take_turns([&mut first, &mut second]);
    assert!(matches!(first.answer(), Ok(Knock::Opened(_))));
    assert!(second.answer().is_err());
}
