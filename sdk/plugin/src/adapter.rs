//! Between the bindings' trait, which hands plain strings about, and [`Rotator`]. Every export
//! installs the panic hook first: an instance serves one call, so no earlier moment exists.

use std::marker::PhantomData;

use crate::bindings::exports::keyturn::rotation::rotator::Guest;
use crate::bindings::keyturn::rotation::types as wire;
use crate::rotator::Rotator;
use crate::types::{
    Companion, Context, CreateRequest, Created, Descriptor, Finding, Input, MemberReport,
    OtherVersion, Outcome, RetireRequest, RetirementPlan, UsageReport, Verdict, Version,
};
use crate::{Error, SecretText, log};

/// Makes a [`Rotator`] the component's export.
pub struct Adapter<T>(PhantomData<T>);

impl<T: Rotator> Guest for Adapter<T> {
    fn describe() -> Descriptor {
        install_panic_hook();
        T::describe()
    }

    fn create(
        ctx: wire::Context,
        request: wire::CreateRequest,
    ) -> Result<wire::Created, wire::Error> {
        install_panic_hook();
        Ok(T::create(&ctx.into(), &request.into())?.into())
    }

    fn set(ctx: wire::Context, candidate: wire::Version) -> Result<wire::Outcome, wire::Error> {
        install_panic_hook();
        Ok(T::set(&ctx.into(), &candidate.into())?.into())
    }

    fn test(ctx: wire::Context, candidate: wire::Version) -> Result<wire::Outcome, wire::Error> {
        install_panic_hook();
        Ok(T::test(&ctx.into(), &candidate.into())?.into())
    }

    fn finish(ctx: wire::Context, candidate: wire::Version) -> Result<RetirementPlan, wire::Error> {
        install_panic_hook();
        Ok(T::finish(&ctx.into(), &candidate.into())?)
    }

    fn probe(ctx: wire::Context, subject: wire::Version) -> Result<wire::Verdict, wire::Error> {
        install_panic_hook();
        Ok(T::probe(&ctx.into(), &subject.into())?.into())
    }

    fn retire(
        ctx: wire::Context,
        request: wire::RetireRequest,
    ) -> Result<wire::Outcome, wire::Error> {
        install_panic_hook();
        Ok(T::retire(&ctx.into(), &request.into())?.into())
    }

    fn usage(ctx: wire::Context, subject: wire::Version) -> Result<UsageReport, wire::Error> {
        install_panic_hook();
        Ok(T::usage(&ctx.into(), &subject.into())?)
    }

    fn check(ctx: wire::Context) -> Result<Vec<Finding>, wire::Error> {
        install_panic_hook();
        Ok(T::check(&ctx.into())?)
    }
}

/// A panic's place goes to the log before the trap. Its words go along only if they are a literal:
/// formatted ones may hold a secret (`expect` prints the error's `Debug`).
fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let words = info.payload().downcast_ref::<&'static str>().copied();
        log::error!("the plugin panicked"; "at" => place, "words" => words.unwrap_or("withheld: not a literal"));
    }));
}

impl From<wire::Version> for Version {
    fn from(version: wire::Version) -> Self {
        Self {
            id: version.id,
            value: SecretText::from(version.value),
        }
    }
}

impl From<wire::Context> for Context {
    fn from(ctx: wire::Context) -> Self {
        let other = |other: wire::OtherVersion| OtherVersion {
            standing: other.standing,
            version: other.version.into(),
        };
        let companion = |companion: wire::Companion| Companion {
            name: companion.name,
            secret: companion.secret,
            version: companion.version.into(),
        };
        Self {
            secret: ctx.secret,
            credential: ctx.credential,
            environment: ctx.environment,
            rotation_id: ctx.rotation_id,
            attempt: ctx.attempt,
            budget_ms: ctx.budget_ms,
            strategy: ctx.strategy,
            settings_json: ctx.settings,
            current: ctx.current.into(),
            others: ctx.others.into_iter().map(other).collect(),
            companions: ctx.companions.into_iter().map(companion).collect(),
        }
    }
}

impl From<wire::CreateRequest> for CreateRequest {
    fn from(request: wire::CreateRequest) -> Self {
        let input = |input: wire::Input| Input {
            name: input.name,
            value: SecretText::from(input.value),
        };
        Self {
            purpose: request.purpose,
            inputs: request.inputs.into_iter().map(input).collect(),
            overlap_seconds: request.overlap_seconds,
            next_rotation: request.next_rotation,
            restore: request.restore.map(Version::from),
        }
    }
}

impl From<wire::RetireRequest> for RetireRequest {
    fn from(request: wire::RetireRequest) -> Self {
        Self {
            subject: request.subject.into(),
            end_sessions_older_than_ms: request.end_sessions_older_than_ms,
        }
    }
}

impl From<Created> for wire::Created {
    fn from(created: Created) -> Self {
        match created {
            Created::Value(value) => Self::Value(value.into_exposed()),
            Created::NeedsInput(request) => Self::NeedsInput(request),
        }
    }
}

impl From<Error> for wire::Error {
    fn from(error: Error) -> Self {
        Self {
            kind: error.kind,
            applied: error.applied,
            retryable: error.retryable,
            retry_after_ms: error.retry_after_ms,
            code: error.code,
            message: error.message,
            details: error.details,
        }
    }
}

impl From<MemberReport> for wire::MemberReport {
    fn from(report: MemberReport) -> Self {
        Self {
            endpoint: report.endpoint,
            member: report.member,
            applied: report.applied,
            liveness: report.liveness,
            error: report.error.map(wire::Error::from),
        }
    }
}

impl From<Outcome> for wire::Outcome {
    fn from(outcome: Outcome) -> Self {
        Self {
            status: outcome.status,
            members: outcome
                .members
                .into_iter()
                .map(wire::MemberReport::from)
                .collect(),
            findings: outcome.findings,
            opened_with: outcome.opened_with,
        }
    }
}

impl From<Verdict> for wire::Verdict {
    fn from(verdict: Verdict) -> Self {
        Self {
            liveness: verdict.liveness,
            members: verdict
                .members
                .into_iter()
                .map(wire::MemberReport::from)
                .collect(),
        }
    }
}
