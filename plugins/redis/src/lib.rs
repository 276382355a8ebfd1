//! Keyturn's plugin for Redis and Valkey: two passwords of one ACL user, or `requirepass`. This file maps the
//! contract's calls to the modules that answer them and decides nothing else.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod access;
mod changes;
mod check;
mod client;
mod clients;
mod create;
mod dual;
mod errors;
mod facts;
mod masterauth;
mod node;
mod persistence;
mod preparation;
mod probe;
pub mod resp;
mod retire;
mod secret;
mod session;
mod settings;
mod single;
mod topology;
mod trial;
mod user;

use keyturn_sdk::{
    Context, CreateRequest, Created, Descriptor, Error, Finding, Outcome, Purpose, RetireRequest,
    Rotator, Strategy, TargetEffect, UsageReport, Verdict, Version,
};

const DUAL: &str = "dual";
const SINGLE: &str = "single";

/// The plugin.
pub struct Redis;

impl Rotator for Redis {
    fn describe() -> Descriptor {
        let strategy = |name: &str, effect, summary: &str| Strategy {
            name: name.into(),
            effect,
            purposes: vec![Purpose::Replace, Purpose::Restore],
            needs_operator: false,
            summary: summary.into(),
        };
        Descriptor {
            name: "redis".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Redis and Valkey passwords".into(),
            strategies: vec![
                strategy(
                    DUAL,
                    TargetEffect::Additive,
                    "the new password is added to the user; the old one works until it is retired",
                ),
                strategy(
                    SINGLE,
                    TargetEffect::Replacing,
                    "requirepass is replaced; a gap until the new value is read",
                ),
            ],
            settings_schema: settings::SETTINGS_SCHEMA.into(),
            secret_schema: settings::SECRET_SCHEMA.into(),
        }
    }

    fn create(ctx: &Context, request: &CreateRequest) -> Result<Created, Error> {
        create::create(ctx, request, dual(ctx)?)
    }

    fn set(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        if dual(ctx)? {
            dual::set(ctx, candidate)
        } else {
            single::set(ctx, candidate)
        }
    }

    fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        trial::test(ctx, candidate)
    }

    fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
        probe::probe(ctx, subject)
    }

    fn retire(ctx: &Context, request: &RetireRequest) -> Result<Outcome, Error> {
        retire::retire(ctx, request, dual(ctx)?)
    }

    fn usage(_ctx: &Context, subject: &Version) -> Result<UsageReport, Error> {
        let user = secret::Login::read(subject, "the value in question")?.user;
        Ok(UsageReport {
            observable: false,
            consumers: Vec::new(),
            note: Some(format!(
                "all of its passwords open the same user `{user}`, and Redis does not tell with which one a session began"
            )),
        })
    }

    fn check(ctx: &Context) -> Result<Vec<Finding>, Error> {
        check::check(ctx, dual(ctx)?)
    }
}

keyturn_sdk::export!(Redis);

fn dual(ctx: &Context) -> Result<bool, Error> {
    match ctx.strategy.as_str() {
        DUAL => Ok(true),
        SINGLE => Ok(false),
        other => Err(Error::invalid_settings(format!(
            "the plugin knows no strategy `{other}`; use `{DUAL}` or `{SINGLE}`"
        ))),
    }
}
