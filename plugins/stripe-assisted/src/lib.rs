//! Keyturn's plugin for Stripe's API keys. Stripe has no interface that makes one, so an operator brings it from the
//! dashboard; this plugin checks it against Stripe before it is used, and proves the old one dead afterwards.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod account;
mod create;
mod fields;
mod key;
mod verify;

use keyturn_sdk::{
    Context, CreateRequest, Created, Descriptor, Error, Finding, InputRequest, Outcome, Purpose,
    Retirement, RetirementPlan, Rotator, Strategy, TargetEffect, Verdict, Version,
};

/// The old key works for a day, for whoever still holds it.
const DELETE_AFTER_SECONDS: u64 = 86_400;

/// The plugin.
pub struct StripeAssisted;

impl Rotator for StripeAssisted {
    fn describe() -> Descriptor {
        Descriptor {
            name: "stripe-assisted".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Stripe's API keys, made by an operator in the dashboard".to_owned(),
            strategies: vec![Strategy {
                name: "assisted".to_owned(),
                effect: TargetEffect::None,
                purposes: vec![Purpose::Replace, Purpose::Retire, Purpose::Restore],
                needs_operator: true,
                summary: "the old key works until the operator deletes it at Stripe".to_owned(),
            }],
            settings_schema: include_str!("../schema/settings.json").to_owned(),
            secret_schema: include_str!("../schema/secret.json").to_owned(),
        }
    }

    fn create(ctx: &Context, request: &CreateRequest) -> Result<Created, Error> {
        create::create(ctx, request)
    }

    fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        verify::test(ctx, candidate)
    }

    fn finish(ctx: &Context, _candidate: &Version) -> Result<RetirementPlan, Error> {
        let old = fields::key(&ctx.current, "AWSCURRENT")?;
        Ok(RetirementPlan {
            how: Retirement::BY_OPERATOR | Retirement::NEW_VERSION,
            after_seconds: DELETE_AFTER_SECONDS,
            operator_steps: Some(InputRequest {
                title: "Delete the old secret key at Stripe".to_owned(),
                link: Some(create::dashboard(old.mode)),
                checklist: vec![
                    "See in the logs of the dashboard that nobody uses the old key any more"
                        .to_owned(),
                    "Delete it".to_owned(),
                ],
                prompts: Vec::new(),
                expires_after_seconds: 0,
            }),
        })
    }

    fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
        verify::probe(ctx, subject)
    }

    fn check(ctx: &Context) -> Result<Vec<Finding>, Error> {
        verify::check(ctx)
    }
}

keyturn_sdk::export!(StripeAssisted);
