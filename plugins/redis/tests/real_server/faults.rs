//! The path breaks on purpose, at every byte around the command that decides.

use crate::common::*;
use harness::poll;
use harness::proxy::{Direction, Fault, Proxy};
use harness::redis::{Program, Server, ServerOptions};
use keyturn_sdk::{Applied, Context, Error, ErrorKind, Liveness, Outcome, Verdict, Version, fake};
use std::time::Duration;

/// A strategy on its server, with the words that begin its deciding command.
struct Stage {
    name: &'static str,
    server: Server,
    ctx: Context,
    deciding: &'static [u8],
}

impl Stage {
    fn dual() -> Stage {
        Stage {
            name: "dual",
            server: options().start().unwrap(),
            ctx: context(),
            // With a rule: the one without is the test of the right.
            deciding: b"*4\r\n$3\r\nACL\r\n$7\r\nSETUSER\r\n",
        }
    }

    fn single() -> Stage {
        Stage {
            name: "single",
            server: ServerOptions::new()
                .program(Program::before_acl().unwrap())
                .conf(format!("requirepass {FIRST}"))
                .start()
                .unwrap(),
            ctx: default_context("single"),
            deciding: b"*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n",
        }
    }

    fn set_through(&self, fault: Option<Fault>, id: &str) -> Cut {
        let proxy = Proxy::start(self.server.address()).unwrap();
        if let Some(fault) = fault {
            proxy.break_all(fault);
        }
        let _host = fake::Host::new()
            .seed(id.bytes().map(u64::from).sum::<u64>() * 7919)
            .endpoint(
                "nodes",
                fake::Tcp::plaintext(&[&proxy.address().to_string()]),
            )
            .install();
        let candidate = create(&self.ctx, id);
        let result = set(&self.ctx, &candidate);
        Cut {
            result,
            proxy,
            candidate,
        }
    }

    fn opens(&self, version: &Version) -> bool {
        attempt(&self.server, version).is_ok()
    }

    /// After a cut some known value works, whatever it left; then the stage is as it was at first.
    fn reset(&self, candidate: &Version) {
        let first = self.opens(&self.ctx.current);
        if self.name == "dual" {
            assert!(first);
            let first = format!(">{FIRST}");
            let words = ["ACL", "SETUSER", USER, "resetpass", &first];
            self.server.command(&words).unwrap();
        } else if !first {
            let password = member(candidate, "password").unwrap();
            let words = ["CONFIG", "SET", "requirepass", FIRST];
            self.server.command_as(None, &password, &words).unwrap();
        }
        assert!(self.opens(&self.ctx.current));
    }
}

struct Cut {
    result: Result<Outcome, Error>,
    proxy: Proxy,
    candidate: Version,
}

/// Where the deciding command begins and ends in what passes to the server, and where its answer begins and ends.
struct Places {
    begins: usize,
    ends: usize,
    answer: usize,
}

fn places(stage: &Stage) -> Places {
    // The first rotation of a server differs: it has never refused anybody before.
    let first = stage.set_through(None, "first");
    stage.reset(&first.candidate);
    let clean = stage.set_through(None, "clean");
    clean.result.unwrap();
    let sent = clean.proxy.transcript(0, Direction::ToServer).unwrap();
    let begins = sent
        .windows(stage.deciding.len())
        .position(|window| window == stage.deciding)
        .expect("it passed");
    let ends = begins + command_length(&sent[begins..]);
    // Its answer is an OK, after which the answers to what follows in one turn each come.
    let after = commands(&sent[ends..]);
    let received = clean.proxy.transcript(0, Direction::ToClient).unwrap();
    let answer = reply_ends(&received, after + 1);
    stage.reset(&clean.candidate);
    Places {
        begins,
        ends,
        answer,
    }
}

/// Bytes of the command at the beginning.
fn command_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    let line = |at: &mut usize| {
        let length = bytes[*at..]
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .unwrap();
        let line = std::str::from_utf8(&bytes[*at..*at + length]).unwrap();
        *at += length + 2;
        line[1..].parse::<usize>().unwrap()
    };
    for _ in 0..line(&mut at) {
        let length = line(&mut at);
        at += length + 2;
    }
    at
}

fn commands(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while !bytes.is_empty() {
        bytes = &bytes[command_length(bytes)..];
        count += 1;
    }
    count
}

/// Where the last but `count` - 1 reply begins.
fn reply_ends(received: &[u8], count: usize) -> usize {
    let mut starts = Vec::new();
    let mut replies = keyturn_plugin_redis::resp::Replies::default();
    let mut at = 0;
    for (index, byte) in received.iter().enumerate() {
        replies.push(&[*byte]);
        if replies.next_reply().unwrap().is_some() {
            starts.push(at);
            at = index + 1;
        }
    }
    starts[starts.len() - count]
}

#[test]
fn cut_on_the_way_to_the_server_around_the_change() {
    for stage in [Stage::dual(), Stage::single()] {
        let Places { begins, ends, .. } = places(&stage);
        let cuts = begins - 20..=ends;
        println!(
            "evidence: redis {}, cut: {} cuts",
            stage.name,
            cuts.clone().count()
        );
        for bytes in cuts {
            let fault = Fault::CutAfter {
                direction: Direction::ToServer,
                bytes,
            };
            let cut = stage.set_through(Some(fault), &format!("to-server-{bytes}"));
            assert!(
                cut.proxy.fired() > 0,
                "the cut after {bytes} bytes did not happen"
            );
            let live = stage.opens(&cut.candidate);
            let error = cut.result.unwrap_err();
            if bytes < begins {
                assert_eq!(error.applied, Applied::No, "{bytes}: {error}");
            } else if bytes > begins {
                assert_ne!(error.applied, Applied::No, "{bytes}: {error}");
            }
            // A command that did not arrive whole was not carried out.
            assert_eq!(live, bytes == ends, "{bytes}");
            stage.reset(&cut.candidate);
        }
    }
}

/// What is asked before the change (INFO, CLIENT LIST) is never answered with the same number of bytes twice, so that
/// the cuts sweep over the place of the answer, again and again until it was met.
#[test]
fn cut_on_the_way_back_leaves_a_doubt_that_probing_resolves() {
    const SWEEPS_MAX: usize = 20;
    for stage in [Stage::dual(), Stage::single()] {
        let Places { answer, .. } = places(&stage);
        let cuts = answer - 90..answer + 90;
        println!(
            "evidence: redis {}, cut: {} cuts",
            stage.name,
            cuts.clone().count()
        );
        let met = (0..SWEEPS_MAX).any(|_| {
            let doubts = cuts
                .clone()
                .filter(|bytes| leaves_a_doubt(&stage, *bytes))
                .count();
            doubts > 0
        });
        assert!(met, "{}: no answer was cut", stage.name);
    }
}

/// Cuts a `set` on the way back: what it says must be true, and a probe must find out the rest. Did it leave a doubt
/// about a change that was made?
fn leaves_a_doubt(stage: &Stage, bytes: usize) -> bool {
    let fault = Fault::CutAfter {
        direction: Direction::ToClient,
        bytes,
    };
    let cut = stage.set_through(Some(fault), &format!("to-client-{bytes}"));
    // Behind the last byte nothing is left to be cut.
    assert!(cut.proxy.fired() > 0 || cut.result.is_ok());
    let live = stage.opens(&cut.candidate);
    let doubt = match cut.result {
        Ok(_) => {
            assert!(live, "{bytes}");
            false
        }
        Err(error) if live => {
            assert_ne!(error.applied, Applied::No, "{bytes}: {error}");
            error.applied == Applied::Unknown
        }
        Err(error) => {
            assert_ne!(error.applied, Applied::Yes, "{bytes}: {error}");
            false
        }
    };
    let _host = host(&[&stage.server]);
    let verdict = probed(stage, &cut.candidate);
    let expected = if live { Liveness::Live } else { Liveness::Dead };
    assert_eq!(verdict.liveness, expected, "{bytes}");
    stage.reset(&cut.candidate);
    doubt
}

/// The server may hear of the cut a moment later: until then the connection may still change something.
fn probed(stage: &Stage, candidate: &Version) -> Verdict {
    let verdict = poll::until(Duration::from_secs(10), || {
        match probe(&stage.ctx, candidate) {
            Err(error) if error.kind == ErrorKind::Conflict => None,
            answer => Some(answer.unwrap()),
        }
    });
    verdict.expect("the connection never ended")
}

/// The process is gone and its command still on its way: a refusal is no proof yet.
#[test]
fn a_change_that_is_still_on_its_way_keeps_a_value_from_being_called_dead() {
    let stage = Stage::dual();
    let Places { begins, .. } = places(&stage);
    let fault = Fault::HoldAfter {
        direction: Direction::ToServer,
        bytes: begins,
    };
    let proxy = Proxy::start(stage.server.address()).unwrap();
    proxy.break_connection(0, fault);
    let tcp =
        fake::Tcp::plaintext(&[&proxy.address().to_string()]).timeout(Duration::from_millis(300));
    let candidate = {
        let _host = fake::Host::new().seed(5).endpoint("nodes", tcp).install();
        let candidate = create(&stage.ctx, "late");
        let error = set(&stage.ctx, &candidate).unwrap_err();
        assert_eq!(error.applied, Applied::Unknown, "{error}");
        candidate
    };
    assert_eq!(proxy.fired(), 1);
    let _host = host(&[&stage.server]);
    let error = probe(&stage.ctx, &candidate).unwrap_err();
    assert_eq!(
        (error.kind, error.retryable),
        (ErrorKind::Conflict, true),
        "{error}"
    );
    proxy.release();
    let live = poll::until_true(Duration::from_secs(10), || {
        probe(&stage.ctx, &candidate).is_ok_and(|verdict| verdict.liveness == Liveness::Live)
    });
    assert!(live);
}
