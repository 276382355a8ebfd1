//! Does what `settings.script` says, step by step (`;` between steps), and answers with one
//! finding per step. It is as hostile as its script.

// The first version of the contract, for good: this guest proves that plugins of it still run.
wit_bindgen::generate!({ path: "../../../../wit/0.1.0", world: "plugin" });

use exports::keyturn::rotation::rotator::*;
use keyturn::rotation::types::{
    Applied, ErrorKind, Level, Liveness, NetError, Purpose, Retirement, Status, Strategy,
    TargetEffect,
};
use keyturn::rotation::{clock, endpoint, http, log, password, random};

struct Scripted;
export!(Scripted);

struct Run {
    current: String,
    candidate: String,
    generated: String,
    connection: Option<endpoint::Connection>,
    kept: Vec<endpoint::Connection>,
    findings: Vec<Finding>,
    made: Option<String>,
}

impl Guest for Scripted {
    fn describe() -> Descriptor {
        Descriptor {
            name: "scripted".into(),
            version: "0.0.0".into(),
            summary: "does what its settings say".into(),
            strategies: vec![Strategy {
                name: "only".into(),
                effect: TargetEffect::Additive,
                purposes: vec![Purpose::Replace],
                needs_operator: false,
                summary: String::new(),
            }],
            settings_schema: r#"{"type":"object","properties":{"script":{"type":"string"}},"additionalProperties":false}"#.into(),
            secret_schema: "{}".into(),
        }
    }

    fn create(ctx: Context, _: CreateRequest) -> Result<Created, Error> {
        Ok(Created::Value(run(&ctx, "")?.made.unwrap_or_default()))
    }

    fn set(ctx: Context, candidate: Version) -> Result<Outcome, Error> {
        let run = run(&ctx, &candidate.value)?;
        Ok(Outcome {
            status: Status::Done,
            members: vec![],
            findings: run.findings,
            opened_with: None,
        })
    }

    fn test(ctx: Context, candidate: Version) -> Result<Outcome, Error> {
        Self::set(ctx, candidate)
    }

    fn finish(ctx: Context, candidate: Version) -> Result<RetirementPlan, Error> {
        run(&ctx, &candidate.value)?;
        Ok(RetirementPlan {
            how: Retirement::AT_TARGET,
            after_seconds: 60,
            operator_steps: None,
        })
    }

    fn probe(ctx: Context, subject: Version) -> Result<Verdict, Error> {
        run(&ctx, &subject.value)?;
        Ok(Verdict {
            liveness: Liveness::Live,
            members: vec![],
        })
    }

    fn retire(ctx: Context, request: RetireRequest) -> Result<Outcome, Error> {
        Self::set(ctx, request.subject)
    }

    fn usage(ctx: Context, _: Version) -> Result<UsageReport, Error> {
        run(&ctx, "")?;
        Ok(UsageReport {
            observable: false,
            consumers: vec![],
            note: None,
        })
    }

    fn check(ctx: Context) -> Result<Vec<Finding>, Error> {
        Ok(run(&ctx, "")?.findings)
    }
}

fn run(ctx: &Context, candidate: &str) -> Result<Run, Error> {
    let mut run = Run {
        current: ctx.current.value.clone(),
        candidate: candidate.into(),
        generated: String::new(),
        connection: None,
        kept: vec![],
        findings: vec![],
        made: None,
    };
    let script = ctx
        .settings
        .split_once(r#""script":""#)
        .and_then(|(_, rest)| rest.rsplit_once('"'));
    for step in script
        .map_or("", |(script, _)| script)
        .split(';')
        .filter(|step| !step.is_empty())
    {
        let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
        let summary = run.step(word, rest)?;
        run.findings.push(Finding {
            id: word.into(),
            level: Level::Ok,
            summary,
            fix: None,
        });
    }
    Ok(run)
}

impl Run {
    // Long because it is the table of what a script can say.
    fn step(&mut self, word: &str, rest: &str) -> Result<String, Error> {
        let number = || rest.parse::<u32>().unwrap_or_default();
        let text = rest
            .replace("{current}", &self.current)
            .replace("{candidate}", &self.candidate)
            .replace("{generated}", &self.generated)
            .replace("{esc}", "\u{1b}[31m");
        Ok(match word {
            "trap" => panic!("as told"),
            "loop" => loop {
                std::hint::black_box(&text);
            },
            // One unit of fuel fills megabytes: only the epoch can interrupt this.
            "fill" => {
                let mut block = vec![0_u8; 16 << 20];
                loop {
                    block.fill(std::hint::black_box(1));
                }
            }
            "hostloop" => loop {
                clock::now_ms();
            },
            "grow" => {
                let mut all = vec![];
                loop {
                    all.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&all);
                }
            }
            "recurse" => recurse(0).to_string(),
            "huge" => "x".repeat(number() as usize),
            "many" => {
                let empty = Finding {
                    id: String::new(),
                    level: Level::Ok,
                    summary: String::new(),
                    fix: None,
                };
                self.findings.resize(number() as usize, empty);
                String::new()
            }
            "fail" => return Err(error(text)),
            "log" => {
                log::write(log::Severity::Info, &text, &[("key".into(), text.clone())]);
                String::new()
            }
            "flood" => {
                for _ in 0..number() {
                    log::write(log::Severity::Warn, "flood", &[]);
                }
                String::new()
            }
            "shout" => {
                log::write(log::Severity::Warn, &"x".repeat(number() as usize), &[]);
                String::new()
            }
            "bytes" => random::bytes(number()).len().to_string(),
            "password" => {
                let target = password::Constraints {
                    length_min: 1,
                    length_max: 100,
                    exclude: "".into(),
                };
                self.generated = password::generate(&target).unwrap_or_default();
                self.generated.len().to_string()
            }
            "make" => {
                self.made = Some(text.replace("{nul}", "\0").replace('\'', "\""));
                String::new()
            }
            "members" => match endpoint::members(rest) {
                Ok(members) => members
                    .iter()
                    .map(|m| format!("{}={}", m.index, m.label))
                    .collect::<Vec<_>>()
                    .join(","),
                Err(error) => net(error),
            },
            "connect" => {
                let (name, member) = rest.split_once(' ').unwrap_or((rest, "0"));
                match endpoint::connect(name, member.parse().unwrap_or_default()) {
                    Ok(connection) => {
                        self.kept.extend(self.connection.replace(connection));
                        "ok".into()
                    }
                    Err(error) => net(error),
                }
            }
            "http" => {
                let mut words = rest.split(' ');
                let mut next = || words.next().unwrap_or_default().to_owned();
                let (name, method, path) = (next(), next(), next());
                let headers = words
                    .next()
                    .map(|name| (name.to_owned(), "x".to_owned()))
                    .into_iter()
                    .collect();
                match http::send(
                    &name,
                    &http::Request {
                        method,
                        path,
                        headers,
                        body: None,
                    },
                ) {
                    Ok(answer) => format!(
                        "{} {}",
                        answer.status,
                        String::from_utf8_lossy(&answer.body)
                    ),
                    Err(error) => net(error),
                }
            }
            _ => self.on_connection(word, &text, number()),
        })
    }

    fn on_connection(&mut self, word: &str, text: &str, number: u32) -> String {
        let Some(connection) = &self.connection else {
            return "no connection".into();
        };
        match word {
            "write" => connection
                .write(text.as_bytes())
                .map_or_else(net, |()| "ok".into()),
            "read" => connection
                .read(number)
                .map_or_else(net, |bytes| String::from_utf8_lossy(&bytes).into_owned()),
            "tls" => connection.start_tls().map_or_else(net, |()| "ok".into()),
            "security" => format!("{:?}", connection.security()),
            "binding" => {
                let length = |kind| {
                    connection
                        .channel_binding(kind)
                        .map_or(0, |binding| binding.len())
                };
                format!(
                    "{} {}",
                    length(endpoint::Binding::TlsServerEndPoint),
                    length(endpoint::Binding::TlsExporter)
                )
            }
            "close" => connection.shutdown().map_or_else(net, |()| "ok".into()),
            _ => format!("no step {word}"),
        }
    }
}

fn net(error: NetError) -> String {
    format!("{:?}, sent {}: {}", error.kind, error.sent, error.message)
}

fn error(message: String) -> Error {
    Error {
        kind: ErrorKind::Auth,
        applied: Applied::No,
        retryable: false,
        retry_after_ms: None,
        code: Some("28P01".into()),
        details: vec![
            ("companion".into(), "admin".into()),
            ("said".into(), message.clone()),
        ],
        message,
    }
}

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth + 1))) + 1
}
