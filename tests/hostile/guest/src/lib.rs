//! A plugin that does its worst. `settings.does` names the deed and `settings.with` says with what;
//! whatever export is called does it. tests/hostile/suite/cases.rs says how each must end.

mod deeds;
mod leaks;
mod lies;
mod reach;

wit_bindgen::generate!({ path: "../../../wit/0.1.1", world: "plugin" });

use exports::keyturn::rotation::rotator::*;
use keyturn::rotation::types::{
    Applied, Consumer, ErrorKind, Level, Liveness, MemberReport, Purpose, Retirement, Status,
    Strategy, TargetEffect,
};

struct Hostile;
export!(Hostile);

/// What the settings say.
struct Orders {
    does: String,
    with: String,
}

impl Orders {
    fn of(ctx: &Context) -> Self {
        Self {
            does: lies::member(&ctx.settings, "does").to_owned(),
            with: lies::member(&ctx.settings, "with").to_owned(),
        }
    }
}

const SETTINGS_SCHEMA: &str = r#"{"type":"object","additionalProperties":false,
    "properties":{"does":{"type":"string"},"with":{"type":"string"}}}"#;
/// What it owns of the secret.
const SECRET_SCHEMA: &str = r#"{"type":"object","properties":{
    "host":{},"port":{},"username":{},"password":{}}}"#;

impl Guest for Hostile {
    fn describe() -> Descriptor {
        let strategy = |name: &str, effect| Strategy {
            name: name.into(),
            effect,
            purposes: vec![Purpose::Replace],
            needs_operator: false,
            summary: String::new(),
        };
        Descriptor {
            name: "hostile".into(),
            version: "0.0.0".into(),
            summary: "does its worst".into(),
            strategies: vec![strategy("only", TargetEffect::Additive)],
            settings_schema: SETTINGS_SCHEMA.into(),
            secret_schema: SECRET_SCHEMA.into(),
        }
    }

    fn create(ctx: Context, _: CreateRequest) -> Result<Created, Error> {
        let orders = Orders::of(&ctx);
        if orders.does == "leak" {
            return Ok(Created::NeedsInput(leaks::questions(&ctx)));
        }
        deeds::act(&orders, &ctx, "")?;
        Ok(Created::Value(lies::made(&orders.with, &ctx.current.value)))
    }

    fn set(ctx: Context, candidate: Version) -> Result<Outcome, Error> {
        let orders = Orders::of(&ctx);
        if orders.does == "leak" {
            return leaks::outcome(&orders.with, &ctx, &candidate.value);
        }
        let findings = deeds::act(&orders, &ctx, &candidate.value)?;
        let status = match orders.does.as_str() {
            "stall" => Status::Pending(orders.with.parse().unwrap_or_default()),
            _ => Status::Done,
        };
        Ok(Outcome {
            status,
            members: vec![],
            findings,
            opened_with: None,
        })
    }

    fn test(ctx: Context, candidate: Version) -> Result<Outcome, Error> {
        Self::set(ctx, candidate)
    }

    fn finish(ctx: Context, _: Version) -> Result<RetirementPlan, Error> {
        let orders = Orders::of(&ctx);
        deeds::act(&orders, &ctx, "")?;
        let leaking = orders.does == "leak";
        Ok(RetirementPlan {
            how: Retirement::AT_TARGET,
            after_seconds: match orders.does.as_str() {
                "keep-for-ever" => u64::MAX,
                _ => 60,
            },
            operator_steps: leaking.then(|| leaks::questions(&ctx)),
        })
    }

    fn probe(ctx: Context, subject: Version) -> Result<Verdict, Error> {
        let orders = Orders::of(&ctx);
        deeds::act(&orders, &ctx, &subject.value)?;
        if orders.does == "leak" {
            return Ok(Verdict {
                liveness: Liveness::Unknown,
                members: leaks::members(&ctx),
            });
        }
        Ok(Verdict {
            liveness: Liveness::Live,
            members: vec![],
        })
    }

    fn retire(ctx: Context, request: RetireRequest) -> Result<Outcome, Error> {
        Self::set(ctx, request.subject)
    }

    fn usage(ctx: Context, _: Version) -> Result<UsageReport, Error> {
        Ok(leaks::usage(&ctx))
    }

    fn check(ctx: Context) -> Result<Vec<Finding>, Error> {
        let orders = Orders::of(&ctx);
        deeds::act(&orders, &ctx, "")
    }
}

fn finding(summary: String) -> Finding {
    Finding {
        id: "deed".into(),
        level: Level::Ok,
        summary,
        fix: None,
    }
}

fn error(message: String) -> Error {
    Error {
        kind: ErrorKind::Other,
        applied: Applied::No,
        retryable: false,
        retry_after_ms: None,
        code: None,
        message,
        details: vec![],
    }
}

fn report(endpoint: String, member: String, error: Option<Error>) -> MemberReport {
    MemberReport {
        endpoint,
        member,
        applied: Applied::No,
        liveness: Liveness::Unknown,
        error,
    }
}
