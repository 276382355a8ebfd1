//! Keyturn's plugin for Redis and Valkey: two passwords of one ACL user, `requirepass`, or what ElastiCache keeps for
//! its caches. This file maps the contract's calls to the modules that answer them and decides nothing else.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod access;
mod changes;
mod check;
mod client;
mod clients;
mod create;
mod dual;
mod elasticache;
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
                strategy(
                    elasticache::USER,
                    TargetEffect::Additive,
                    "ElastiCache adds the new password to its user; the old one works until it is retired",
                ),
                strategy(
                    elasticache::AUTH_TOKEN,
                    TargetEffect::Additive,
                    "ElastiCache rotates the AUTH token of a replication group; the old one works until it is retired",
                ),
            ],
            settings_schema: settings::SETTINGS_SCHEMA.into(),
            secret_schema: settings::SECRET_SCHEMA.into(),
        }
    }

    fn create(ctx: &Context, request: &CreateRequest) -> Result<Created, Error> {
        match way(ctx)? {
            Way::Dual => create::create(ctx, request, true),
            Way::Single => create::create(ctx, request, false),
            Way::ElastiCache(kind) => elasticache::create(ctx, request, kind),
        }
    }

    fn set(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        match way(ctx)? {
            Way::Dual => dual::set(ctx, candidate),
            Way::Single => single::set(ctx, candidate),
            Way::ElastiCache(kind) => elasticache::set(ctx, candidate, kind),
        }
    }

    fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        match way(ctx)? {
            Way::Dual | Way::Single => trial::test(ctx, candidate),
            Way::ElastiCache(kind) => elasticache::test(ctx, candidate, kind),
        }
    }

    fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
        match way(ctx)? {
            Way::Dual | Way::Single => probe::probe(ctx, subject),
            Way::ElastiCache(kind) => elasticache::probe(ctx, subject, kind),
        }
    }

    fn retire(ctx: &Context, request: &RetireRequest) -> Result<Outcome, Error> {
        match way(ctx)? {
            Way::Dual => retire::retire(ctx, request, true),
            Way::Single => retire::retire(ctx, request, false),
            Way::ElastiCache(kind) => elasticache::retire(ctx, request, kind),
        }
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
        match way(ctx)? {
            Way::Dual => check::check(ctx, true),
            Way::Single => check::check(ctx, false),
            Way::ElastiCache(kind) => elasticache::check(ctx, kind),
        }
    }
}

keyturn_sdk::export!(Redis);

/// What changes passwords.
enum Way {
    Dual,
    Single,
    ElastiCache(elasticache::Kind),
}

fn way(ctx: &Context) -> Result<Way, Error> {
    match ctx.strategy.as_str() {
        DUAL => Ok(Way::Dual),
        SINGLE => Ok(Way::Single),
        elasticache::USER => Ok(Way::ElastiCache(elasticache::Kind::User)),
        elasticache::AUTH_TOKEN => Ok(Way::ElastiCache(elasticache::Kind::AuthToken)),
        other => Err(Error::invalid_settings(format!(
            "the plugin knows no strategy `{other}`; use `{DUAL}`, `{SINGLE}`, `{}` or `{}`",
            elasticache::USER,
            elasticache::AUTH_TOKEN
        ))),
    }
}
