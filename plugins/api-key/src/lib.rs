//! Keyturn's plugin for internal API keys: a random key, its SHA-256 for those who check it, and
//! the previous key for as long as the grace window lasts. There is no target: everything happens
//! inside the secret's value, and members that belong to others stay as they are.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod fields;
mod hash;
mod key;
mod rounds;
mod verify;

use keyturn_sdk::{
    Context, CreateRequest, Created, Descriptor, Error, Liveness, Outcome, Purpose, Retirement,
    RetirementPlan, Rotator, Strategy, TargetEffect, Verdict, Version, log,
};

use crate::fields::Fields;

/// The plugin.
pub struct ApiKey;

impl Rotator for ApiKey {
    fn describe() -> Descriptor {
        Descriptor {
            name: "api-key".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Internal API keys with their hashes and a grace window".to_owned(),
            strategies: vec![Strategy {
                name: "overlap".to_owned(),
                effect: TargetEffect::None,
                purposes: vec![
                    Purpose::Replace,
                    Purpose::Announce,
                    Purpose::Activate,
                    Purpose::Retire,
                    Purpose::Restore,
                ],
                needs_operator: false,
                summary: "The new and the previous key are both accepted until the grace ends"
                    .to_owned(),
            }],
            settings_schema: include_str!("../schema/settings.json").to_owned(),
            secret_schema: include_str!("../schema/secret.json").to_owned(),
        }
    }

    fn create(ctx: &Context, request: &CreateRequest) -> Result<Created, Error> {
        let value = rounds::create(ctx, request)?;
        log::info!("value made"; "purpose" => format!("{:?}", request.purpose));
        Ok(Created::Value(value))
    }

    fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        verify::candidate(ctx, &Fields::parse(&candidate.value)?)?;
        Ok(Outcome::done())
    }

    fn finish(_ctx: &Context, candidate: &Version) -> Result<RetirementPlan, Error> {
        let fields = Fields::parse(&candidate.value)?;
        // An announced key waits in the same members; it is not there to be retired.
        let how = if fields.previous.is_some() && !fields.is_announced() {
            Retirement::NEW_VERSION
        } else {
            Retirement::empty()
        };
        Ok(RetirementPlan {
            how,
            after_seconds: 0,
            operator_steps: None,
        })
    }

    /// CURRENT is live if it is sound; another value is live if CURRENT still accepts its key.
    fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
        let subject_fields = Fields::parse(&subject.value)?;
        verify::consistent(&subject_fields)?;
        if subject.id == ctx.current.id {
            return Ok(Verdict::new(Liveness::Live));
        }
        let accepted = Fields::parse(&ctx.current.value)?.accepts(subject_fields.key.expose());
        Ok(Verdict::new(if accepted {
            Liveness::Live
        } else {
            Liveness::Dead
        }))
    }
}

keyturn_sdk::export!(ApiKey);
