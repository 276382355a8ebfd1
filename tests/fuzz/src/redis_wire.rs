//! What a Redis server sends: replies end where they say, whole or byte by byte, nothing that a server announces is
//! believed before it arrives, and no test passes unless a wrong password was refused first. What ElastiCache's API
//! answers: on its word alone nothing is done or passed. It panics otherwise.

use keyturn_plugin_redis::Redis;
use keyturn_plugin_redis::resp::{self, ELEMENTS_MAX, Replies, Reply};
use keyturn_sdk::endpoint::Security;
use keyturn_sdk::http::{Request, Response};
use keyturn_sdk::{Applied, Error, RetireRequest, Rotator, Status, fake};

use crate::repeating_server::RepeatingServer;

const PASSWORD: &str = "pencil-pencil";
const SECRET: &str = r#"{"host":"cache","password":"pencil-pencil"}"#;
const NAMED: &str = r#"{"host":"cache","username":"app","password":"pencil-pencil"}"#;

const MANAGED: [(&str, &str); 2] = [
    (
        "elasticache-user",
        r#"{"username":"app","password":"pencil-pencil-pencil","user_arn":"arn:aws:elasticache:r:1:user:app"}"#,
    ),
    (
        "elasticache-auth-token",
        r#"{"password":"pencil-pencil-pencil","replication_group_id":"cache"}"#,
    ),
];

pub(crate) fn run(input: &[u8]) {
    check_framing(input);
    check_command(input);
    for (strategy, secret) in MANAGED {
        for status in [200, 400, 503] {
            check_api(input, status, strategy, secret);
        }
    }
    for strategy in ["dual", "single"] {
        for secret in [SECRET, NAMED] {
            check_plugin(input, strategy, secret);
        }
    }
}

fn check_framing(input: &[u8]) {
    let mut whole = Replies::default();
    whole.push(input);
    let mut pieces = Replies::default();
    let mut next = input.iter();
    loop {
        let before = whole.buffered();
        let answer = whole.next_reply();
        // Byte by byte, the same replies come out, and none of them early.
        let mut piecewise = pieces.next_reply();
        while matches!(piecewise, Ok(None))
            && let Some(byte) = next.next()
        {
            pieces.push(&[*byte]);
            piecewise = pieces.next_reply();
        }
        match (answer, piecewise) {
            (Ok(Some(reply)), Ok(Some(same))) => {
                assert!(reply == same, "in pieces it is another reply");
                let mut size = Size::default();
                size.add(&reply);
                // Three bytes stand in for one that is no UTF-8.
                assert!(size.bytes <= 3 * (before - whole.buffered()));
                assert!(size.elements <= ELEMENTS_MAX);
            }
            (Ok(None), Ok(None)) | (Err(_), Err(_)) => break,
            (answer, _) => panic!(
                "in pieces it is another conversation (whole: {})",
                answer.is_ok()
            ),
        }
    }
}

#[derive(Default)]
struct Size {
    bytes: usize,
    elements: usize,
}

impl Size {
    fn add(&mut self, reply: &Reply) {
        self.elements += 1;
        match reply {
            Reply::Text(text) => self.bytes += text.len(),
            Reply::Error(error) => {
                self.bytes += error.message.len();
                assert!(error.code.bytes().all(|byte| byte.is_ascii_uppercase()));
                assert!(!error.code.is_empty());
            }
            Reply::List(items) => items.iter().for_each(|item| self.add(item)),
            Reply::Integer(_) | Reply::Null => {}
        }
    }
}

/// Whatever the words hold, the server reads these words and nothing behind them.
fn check_command(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let words: Vec<&str> = text.split('|').take(64).collect();
    let mut replies = Replies::default();
    replies.push(&resp::command(&words));
    let expected = words.iter().map(|word| Reply::Text((*word).to_owned()));
    let read = replies.next_reply().expect("our own command is whole");
    assert!(read == Some(Reply::List(expected.collect())));
    assert_eq!(replies.buffered(), 0);
}

/// The whole plugin against a server that says just this on every connection.
fn check_plugin(input: &[u8], strategy: &str, secret: &str) {
    let server = RepeatingServer::new(input, Security::Encrypted);
    let _host = fake::Host::new().endpoint("nodes", server).install();
    let ctx = fake::context(strategy, secret);
    let candidate = fake::version("candidate", &secret.replace("pencil-", "other-"));
    let request = RetireRequest {
        subject: candidate.clone(),
        end_sessions_older_than_ms: Some(1),
    };
    let errors = [
        Redis::set(&ctx, &candidate).err(),
        Redis::probe(&ctx, &candidate).err(),
        Redis::retire(&ctx, &request).err(),
        Redis::check(&ctx).err(),
    ];
    for error in errors.iter().flatten() {
        check_error(error);
    }
    match Redis::test(&ctx, &ctx.current) {
        Ok(_) => check_passed(input, secret),
        Err(error) => {
            assert!(
                matches!(error.applied, Applied::No),
                "a test changes nothing"
            );
            check_error(&error);
        }
    }
}

/// The whole plugin against an API that says just this, where no node can be asked.
fn check_api(input: &[u8], status: u16, strategy: &str, secret: &str) {
    let _host = answering(input, status);
    let ctx = fake::context(strategy, secret);
    let candidate = fake::version("candidate", &secret.replace("pencil-", "other-"));
    let request = RetireRequest {
        subject: candidate.clone(),
        end_sessions_older_than_ms: None,
    };
    for answer in [
        Redis::set(&ctx, &candidate),
        Redis::test(&ctx, &candidate),
        Redis::retire(&ctx, &request),
    ] {
        match answer {
            Ok(outcome) => assert!(matches!(outcome.status, Status::Pending(_))),
            Err(error) => {
                assert!(matches!(error.applied, Applied::No), "nothing was sent");
                check_error(&error);
            }
        }
    }
    assert!(Redis::probe(&ctx, &candidate).is_err(), "nobody was asked");
    assert!(Redis::check(&ctx).is_ok(), "a finding tells it");
}

fn answering(input: &[u8], status: u16) -> fake::Installed {
    let body = input.to_vec();
    let api = move |_: &Request| {
        Ok(Response {
            status,
            headers: Vec::new(),
            body: body.clone(),
        })
    };
    let host = fake::Host::new().signed_http("elasticache", "elasticache", api);
    host.install()
}

fn check_error(error: &Error) {
    assert!(!format!("{error:?}").contains(PASSWORD), "{error:?}");
}

/// A test that passed has seen: an answer to a command before any login, which is a refusal where the user is the one
/// that needs no name; a wrong password refused; the right one accepted; and a command answered.
fn check_passed(input: &[u8], secret: &str) {
    let mut replies = Replies::default();
    replies.push(input);
    let mut is_error = || {
        let reply = replies.next_reply().ok().flatten();
        matches!(reply.expect("a test passed on it"), Reply::Error(_))
    };
    let greeted = is_error();
    assert!(greeted || secret == NAMED, "an open door passed");
    let answers = [is_error(), is_error(), is_error()];
    assert_eq!(answers, [true, false, false], "a test passed");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A corpus that gets no further than the first refusal would check next to nothing.
    #[test]
    fn the_corpus_goes_through_a_whole_test_and_a_whole_change() {
        let inputs = crate::corpus::inputs("redis_wire");
        let input = |wanted: &str| {
            let found = inputs.iter().find(|(name, _)| name == wanted);
            &found.expect("it is in the corpus").1
        };
        let ctx = fake::context("dual", SECRET);
        let candidate = fake::version("candidate", &SECRET.replace("pencil-", "other-"));
        let on = |input: &[u8]| {
            let server = RepeatingServer::new(input, Security::Encrypted);
            fake::Host::new().endpoint("nodes", server).install()
        };
        {
            let _host = on(input("test-that-passes"));
            Redis::test(&ctx, &ctx.current).expect("it passes");
        }
        let _host = on(input("set-that-changes"));
        let outcome = Redis::set(&ctx, &candidate).expect("it is changed");
        assert!(matches!(outcome.members[0].applied, Applied::Yes));
    }

    /// Nor would one in which ElastiCache says nothing that is understood.
    #[test]
    fn the_corpus_has_changes_of_elasticaches_that_are_under_way() {
        let inputs = crate::corpus::inputs("redis_wire");
        let names = ["elasticache-user-modifying", "elasticache-token-rotating"];
        for (wanted, (strategy, secret)) in names.into_iter().zip(MANAGED) {
            let found = inputs.iter().find(|(name, _)| name == wanted);
            let _host = answering(&found.expect("it is in the corpus").1, 200);
            let ctx = fake::context(strategy, secret);
            let outcome = Redis::test(&ctx, &ctx.current).expect("it is understood");
            assert!(matches!(outcome.status, Status::Pending(_)), "{wanted}");
        }
    }
}
