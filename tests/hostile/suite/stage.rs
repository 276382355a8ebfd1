//! Plays one case and holds it to what every case promises: it ends as its row says and before its
//! deadline, the host's memory stays bounded, the neighbour answers during and after, the forbidden
//! listener sees nobody, and no secret comes out in any text.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::canary::{Canary, Scan};
use harness::listeners::{self, Listener};
use harness::poll::until_true;
use keyturn_runtime::*;

use crate::memory::{ALLOWANCE_BYTES, Watch};
use crate::support::*;

/// One deed of the hostile guest.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) does: &'static str,
    pub(crate) with: &'static str,
    /// The call in which it does it.
    pub(crate) during: Export,
    /// The operator's grant; `PORT` and `FORBIDDEN` are the listeners' ports.
    pub(crate) grant: &'static str,
    /// What stands behind `PORT`.
    pub(crate) peer: Peer,
    /// Where CURRENT points, one after the other.
    pub(crate) hosts: &'static [&'static str],
    pub(crate) points_to: Port,
    /// What the name server answers, one after the other; none: it is the system's.
    pub(crate) names: &'static [&'static [&'static str]],
    pub(crate) credential: &'static str,
    pub(crate) ends: Ends,
    /// How many connections the granted listener sees.
    pub(crate) seen: usize,
    /// What else must hold.
    pub(crate) also: fn(&Aftermath),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Export {
    Create,
    Set,
    Test,
    Finish,
    Probe,
    Usage,
}

#[derive(Clone, Copy)]
pub(crate) enum Peer {
    Echo,
    Silent,
    /// Answers HTTP with a redirect to the forbidden listener.
    Redirect,
}

#[derive(Clone, Copy)]
pub(crate) enum Port {
    Granted,
    Forbidden,
}

#[derive(Clone, Copy)]
pub(crate) enum Ends {
    /// As this error, whose message holds this.
    As(ErrorKind, Origin, Applied, &'static str),
    /// With an answer; its findings hold these, in order.
    Answering(&'static [&'static str]),
}

/// What is left when a case is over.
pub(crate) struct Aftermath {
    pub(crate) lines: Vec<LogRecord>,
    /// Everything that the call said, as JSON and as Debug.
    pub(crate) said: String,
    pub(crate) status: Option<Status>,
    pub(crate) error: Option<CallError>,
    pub(crate) listener: Listener,
    pub(crate) lookups: usize,
}

/// An answer, as far as cases look at it.
struct Answer {
    findings: Vec<Finding>,
    status: Option<Status>,
    said: String,
}

impl Answer {
    fn of(answer: &(impl std::fmt::Debug + serde::Serialize)) -> Self {
        let json = serde_json::to_string(answer).unwrap();
        Self {
            findings: vec![],
            status: None,
            said: format!("{answer:?}\n{json}"),
        }
    }
}

/// Plays a case, at each of its hosts.
pub(crate) async fn play(case: &Case) {
    let names = Arc::new(Names::new(case.names));
    let sandbox = Sandbox::new(names.clone());
    let (plugin, neighbour) = (sandbox.hostile().await, sandbox.neighbour().await);
    neighbour.answers().await;
    for host in case.hosts {
        at_host(case, host, &sandbox, &plugin, &neighbour, &names).await;
    }
    println!("evidence: hostile guests: 1 hostile deeds");
}

async fn at_host(
    case: &Case,
    host: &str,
    sandbox: &Sandbox,
    plugin: &Plugin,
    neighbour: &Neighbour,
    names: &Names,
) {
    let forbidden = listeners::silent().await;
    let listener = peer(case.peer, &forbidden).await;
    let toml = case.grant.replace("PORT", &listener.port.to_string());
    let toml = toml.replace("FORBIDDEN", &forbidden.port.to_string());
    let granted = plugin.grant(grant(&toml, case.does, case.with)).unwrap();
    let value = current(
        host,
        match case.points_to {
            Port::Granted => listener.port,
            Port::Forbidden => forbidden.port,
        },
    );
    let memory_bytes = granted.limits().memory_bytes;

    let watch = Watch::begin();
    let began = Instant::now();
    let (credential, during) = (case.credential.to_owned(), case.during);
    let deed = async move { call_export(&granted, during, &value, credential).await };
    let ended = beside(neighbour.clone(), deed).await;
    assert!(began.elapsed() < BUDGET, "it ended after its deadline");
    if let Some(watch) = watch {
        let (grown, most) = (watch.grown(), memory_bytes + ALLOWANCE_BYTES);
        println!("{}: the host grew by {} KiB", case.name, grown >> 10);
        assert!(
            grown < most,
            "the host grew by {grown} bytes, {most} are the most"
        );
    }
    neighbour.answers().await;

    let lines = sandbox.lines.hostile();
    let (answer, error) = match ended {
        Ok(answer) => (answer, None),
        Err(error) => (Answer::of(&error), Some(error)),
    };
    check_end(case.ends, host, &answer, error.as_ref());
    assert_eq!(
        visitors(&forbidden).await,
        0,
        "{host}: somebody came to the forbidden listener"
    );
    assert_eq!(
        visitors(&listener).await,
        case.seen,
        "{host}: connections to the granted one"
    );
    assert_nothing_leaked(&format!(
        "{lines:?}\n{}",
        serde_json::to_string(&lines).unwrap()
    ));
    assert_nothing_leaked(&answer.said);
    (case.also)(&Aftermath {
        lines,
        said: answer.said,
        status: answer.status,
        error,
        listener,
        lookups: names.asked(),
    });
}

async fn peer(peer: Peer, forbidden: &Listener) -> Listener {
    match peer {
        Peer::Echo => listeners::echo().await,
        Peer::Silent => listeners::silent().await,
        Peer::Redirect => {
            let to = format!("http://127.0.0.1:{}/", forbidden.port);
            let head = format!("HTTP/1.1 307 Elsewhere\r\nlocation: {to}\r\n");
            listeners::http(format!("{head}content-length: 0\r\n\r\n")).await
        }
    }
}

/// How many came before this function did: listeners accept in the order of arrival, so once it has been
/// seen itself, all earlier ones have been.
pub(crate) async fn visitors(listener: &Listener) -> usize {
    let before = listener.seen();
    let address = ("127.0.0.1", listener.port);
    let own = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut seen = before;
    let patience = Duration::from_secs(10);
    // The last is this one as soon as nobody else follows it.
    let arrived = until_true(patience, || {
        let (last, now) = (seen, listener.seen());
        seen = now;
        now > before && now == last
    });
    assert!(arrived, "the listener does not accept");
    drop(own);
    seen - 1
}

async fn call_export(
    plugin: &GrantedPlugin,
    during: Export,
    value: &str,
    credential: String,
) -> Result<Answer, CallError> {
    let call = Call {
        credential,
        ..call(value)
    };
    let candidate = version("v2", &value.replace(PASSWORD, CANDIDATE));
    match during {
        Export::Create => match plugin.create(&call, &replace()).await? {
            Created::NeedsInput(questions) => Ok(Answer::of(&questions)),
            Created::Value(_) => Ok(Answer::of(&"a value")),
        },
        Export::Set => plugin.set(&call, &candidate).await.map(outcome),
        Export::Test => plugin.test(&call, &candidate).await.map(outcome),
        Export::Finish => Ok(Answer::of(&plugin.finish(&call, &candidate).await?)),
        Export::Probe => Ok(Answer::of(&plugin.probe(&call, &candidate).await?)),
        Export::Usage => Ok(Answer::of(&plugin.usage(&call, &candidate).await?)),
    }
}

fn outcome(outcome: Outcome) -> Answer {
    let said = Answer::of(&outcome).said;
    Answer {
        findings: outcome.findings,
        status: Some(outcome.status),
        said,
    }
}

/// Runs a deed on the one worker thread on which the neighbour answers over and over: each of its
/// answers has a deadline of its own, and must come.
async fn beside<T: Send + 'static>(
    neighbour: Neighbour,
    deed: impl Future<Output = T> + Send + 'static,
) -> T {
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let neighbouring = tokio::spawn(async move {
        let mut answers = 0;
        while !seen.load(Ordering::SeqCst) {
            neighbour.answers().await;
            answers += 1;
            tokio::task::yield_now().await;
        }
        answers
    });
    let began = Instant::now();
    let done = tokio::spawn(deed).await.unwrap();
    let took = began.elapsed();
    over.store(true, Ordering::SeqCst);
    let answers: u32 = neighbouring.await.unwrap();
    // A deed that is over at once may not have had anybody beside it.
    let patient = took < Duration::from_millis(900);
    assert!(
        answers > 0 || patient,
        "no neighbour got a turn in {took:?}"
    );
    done
}

fn check_end(ends: Ends, host: &str, answer: &Answer, error: Option<&CallError>) {
    match (ends, error) {
        (Ends::As(kind, origin, applied, part), Some(error)) => {
            let found = (error.kind, error.origin, error.applied);
            assert_eq!(found, (kind, origin, applied), "{host}: {error}");
            assert!(error.message.contains(part), "{host}: {error}");
        }
        (Ends::Answering(parts), None) => {
            for (number, part) in parts.iter().enumerate() {
                let finding = answer.findings.get(number);
                let summary = finding.map_or("nothing", |finding| finding.summary.as_str());
                assert!(
                    summary.contains(part),
                    "{host}: {part:?} is not in {summary:?}"
                );
            }
        }
        (Ends::As(kind, ..), None) => panic!("{host}: {kind} expected, not {}", answer.said),
        (Ends::Answering(_), Some(error)) => panic!("{host}: an answer expected, not {error}"),
    }
}

fn assert_nothing_leaked(text: &str) {
    for secret in [PASSWORD, CANDIDATE, PREVIOUS, VENDOR_KEY] {
        let mut scan = Scan::default();
        let canary = Canary::new(secret).unwrap();
        canary.scan_bytes("what came out", text.as_bytes(), &mut scan);
        let found: Vec<_> = scan.findings.iter().map(|finding| finding.form).collect();
        assert!(found.is_empty(), "a secret came out as {found:?} in {text}");
    }
}
