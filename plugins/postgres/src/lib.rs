//! Keyturn's plugin for PostgreSQL: two users that alternate, or one whose password is replaced.
//! This file maps the contract's calls to the modules that answer them and decides nothing else.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod access;
pub mod auth;
mod change;
mod check;
mod client;
mod create;
mod door;
mod drift;
mod errors;
mod knocking;
mod probe;
mod retire;
mod salted;
mod scram;
mod secret;
mod server;
mod sessions;
mod set;
mod settings;
mod sql;
mod trial;
pub mod verifier;
pub mod wire;

use keyturn_sdk::{
    Context, CreateRequest, Created, Descriptor, Error, Finding, Outcome, Purpose, RetireRequest,
    Rotator, Strategy, TargetEffect, UsageReport, Verdict, Version,
};

const ALTERNATING: &str = "alternating";
const SINGLE: &str = "single";

/// The plugin.
pub struct Postgres;

impl Rotator for Postgres {
    fn describe() -> Descriptor {
        let strategy = |name: &str, effect, summary: &str| Strategy {
            name: name.into(),
            effect,
            purposes: vec![Purpose::Replace, Purpose::Restore],
            needs_operator: false,
            summary: summary.into(),
        };
        Descriptor {
            name: "postgres".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "PostgreSQL roles".into(),
            strategies: vec![
                strategy(
                    ALTERNATING,
                    TargetEffect::Additive,
                    "two users take turns; the one in use is never touched",
                ),
                strategy(
                    SINGLE,
                    TargetEffect::Replacing,
                    "one user replaces its own password; a gap until the new value is read",
                ),
            ],
            settings_schema: settings::SETTINGS_SCHEMA.into(),
            secret_schema: settings::SECRET_SCHEMA.into(),
        }
    }

    fn create(ctx: &Context, request: &CreateRequest) -> Result<Created, Error> {
        create::create(ctx, request, alternating(ctx)?)
    }

    fn set(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        if alternating(ctx)? {
            set::alternating(ctx, candidate)
        } else {
            set::single(ctx, candidate)
        }
    }

    fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        trial::test(ctx, candidate, alternating(ctx)?)
    }

    fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
        probe::probe(ctx, subject)
    }

    fn retire(ctx: &Context, request: &RetireRequest) -> Result<Outcome, Error> {
        retire::retire(ctx, request)
    }

    fn usage(ctx: &Context, subject: &Version) -> Result<UsageReport, Error> {
        sessions::usage(ctx, subject)
    }

    fn check(ctx: &Context) -> Result<Vec<Finding>, Error> {
        check::check(ctx, alternating(ctx)?)
    }
}

keyturn_sdk::export!(Postgres);

fn alternating(ctx: &Context) -> Result<bool, Error> {
    match ctx.strategy.as_str() {
        ALTERNATING => Ok(true),
        SINGLE => Ok(false),
        other => Err(Error::invalid_settings(format!(
            "the plugin knows no strategy `{other}`; use `{ALTERNATING}` or `{SINGLE}`"
        ))),
    }
}
