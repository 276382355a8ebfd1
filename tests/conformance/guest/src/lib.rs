//! A login with two passwords at a server of the tests' own: each node knows the user's passwords, a password can be
//! added and dropped. Sound as it is built; the tests write the name of a defect into its marker.

mod door;
mod value;

use std::hint::black_box;

use keyturn_sdk::{
    Context, CreateRequest, Created, Descriptor, Error, Finding, Level, Liveness, Members, Outcome,
    Purpose, RetireRequest, Retirement, RetirementPlan, Rotator, Strategy, TargetEffect, Verdict,
    Version, clock, log, random, timestamp,
};

use value::Login;

/// What stands behind the colon is the tests' to write.
#[used]
static MARKER: [u8; 40] = *b"keyturn-defect:none.....................";

pub(crate) fn has(defect: &str) -> bool {
    let marker = black_box(&MARKER);
    let name = &marker["keyturn-defect:".len()..];
    name.starts_with(defect.as_bytes()) && name.get(defect.len()) == Some(&b'.')
}

const SETTINGS: &str = r#"{"type":"object","additionalProperties":false,"properties":{}}"#;
const PROPERTIES: &str = r#""type":"object","required":["host","username","password"],"properties":{
    "host":{"type":"string"},"port":{"type":"integer"},"nodes":{"type":"array"},"username":{"type":"string"},
    "password":{"type":"string"},"previous_password":{"type":"string"},"previous_until":{"type":"string"}}"#;
const EXAMPLE: &str = r#""examples":[{"host":"door.example.com","port":4000,"username":"app","password":"made-up-password"}]"#;

struct Door;

impl Rotator for Door {
    fn describe() -> Descriptor {
        let example = if has("example") {
            String::new()
        } else {
            format!(",{EXAMPLE}")
        };
        let summary = if has("describe") {
            format!("a door, and {:?}", random::bytes(4))
        } else {
            "a door".to_owned()
        };
        let mut purposes = vec![Purpose::Replace, Purpose::Extend, Purpose::Retire];
        if !has("purposes-unlisted") {
            purposes.push(Purpose::Restore);
        }
        if has("purposes-missing") {
            purposes.push(Purpose::Announce);
        }
        Descriptor {
            name: "door".to_owned(),
            version: "0.0.0".to_owned(),
            summary,
            strategies: vec![Strategy {
                name: "dual".to_owned(),
                effect: TargetEffect::Additive,
                purposes,
                needs_operator: false,
                summary: "two passwords".to_owned(),
            }],
            settings_schema: SETTINGS.to_owned(),
            secret_schema: format!("{{{PROPERTIES}{example}}}"),
        }
    }

    fn create(ctx: &Context, request: &CreateRequest) -> Result<Created, Error> {
        if has("one-token") && ctx.attempt > 1 {
            return Err(Error::conflict("it was made already"));
        }
        let current = Login::of(&ctx.current)?;
        let mut members = Members::parse(ctx.current.value.expose())?;
        let until = timestamp::format(clock::now_seconds().saturating_add(request.overlap_seconds));
        let password = match request.purpose {
            Purpose::Replace => fresh(),
            Purpose::Restore => Login::of(request.version_to_restore()?)?.password,
            Purpose::Extend => {
                members.set("previous_until", &until)?;
                if has("own-round") {
                    members.set("password", &fresh())?;
                }
                return Ok(Created::Value(members.to_secret()));
            }
            Purpose::Retire => {
                members.remove("previous_until");
                if !has("own-round-keeps") {
                    members.remove("previous_password");
                }
                return Ok(Created::Value(members.to_secret()));
            }
            _ => {
                return Err(Error::unsupported(
                    "a door can be replaced, extended, retired and restored",
                ));
            }
        };
        members.set("password", &password)?;
        if request.overlap_seconds > 0 || has("overlap-zero") {
            members.set("previous_password", &current.password)?;
            members.set("previous_until", &until)?;
        } else {
            members.remove("previous_password");
            members.remove("previous_until");
        }
        let made = members.to_secret();
        if has("foreign-members") {
            return Ok(Created::Value(made.expose().replace("1.50", "1.5").into()));
        }
        Ok(Created::Value(made))
    }

    fn set(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        door::set(ctx, candidate)
    }

    fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        let login = Login::of(candidate)?;
        if has("canary") {
            log::info!("about to test"; "password" => &login.password);
        }
        door::test(ctx, candidate, &login)
    }

    fn finish(_ctx: &Context, _candidate: &Version) -> Result<RetirementPlan, Error> {
        Ok(RetirementPlan {
            how: Retirement::AT_TARGET,
            after_seconds: if has("finish") {
                // Two are never the same by chance, and none is longer than the host allows.
                let bytes = random::bytes(3);
                bytes
                    .iter()
                    .fold(0, |all, byte| all << 8 | u64::from(*byte))
            } else {
                0
            },
            operator_steps: None,
        })
    }

    fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
        door::probe(ctx, &Login::of(subject)?)
    }

    fn check(ctx: &Context) -> Result<Vec<Finding>, Error> {
        let verdict = door::probe(ctx, &Login::of(&ctx.current)?)?;
        let level = match verdict.liveness {
            Liveness::Live if has("check-fails") => Level::Failure,
            Liveness::Live => Level::Ok,
            _ => Level::Failure,
        };
        Ok(vec![Finding {
            id: "current-live".to_owned(),
            level,
            summary: "what the door says to CURRENT".to_owned(),
            fix: None,
        }])
    }

    fn retire(ctx: &Context, request: &RetireRequest) -> Result<Outcome, Error> {
        door::retire(ctx, &Login::of(&request.subject)?)
    }
}

fn fresh() -> String {
    random::bytes(16)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

keyturn_sdk::export!(Door);
