//! Keyturn's plugin for the keys that sign JSON Web Tokens. There is no target: verifiers read the
//! secret's value, which holds the keys that sign and, for as long as tokens of theirs live, the
//! keys that signed before.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod algorithm;
mod expiry;
mod fields;
mod rounds;
mod token;
mod verify;

use keyturn_sdk::{
    Context, CreateRequest, Created, Descriptor, Error, Liveness, Outcome, Purpose, Retirement,
    RetirementPlan, Rotator, Strategy, TargetEffect, Verdict, Version, clock, log,
};

use crate::fields::Fields;

/// The plugin.
pub struct Jwt;

impl Rotator for Jwt {
    fn describe() -> Descriptor {
        Descriptor {
            name: "jwt".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Keys that sign JSON Web Tokens, with the previous ones still verified"
                .to_owned(),
            strategies: vec![Strategy {
                name: "overlap".to_owned(),
                effect: TargetEffect::None,
                purposes: vec![
                    Purpose::Replace,
                    Purpose::Announce,
                    Purpose::Activate,
                    Purpose::Extend,
                    Purpose::Retire,
                    Purpose::Restore,
                ],
                needs_operator: false,
                summary:
                    "New keys sign; the previous ones are verified until their last token has ended"
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

    fn finish(ctx: &Context, candidate: &Version) -> Result<RetirementPlan, Error> {
        let fields = Fields::parse(&candidate.value)?;
        // Announced keys wait in the same members; they are not there to be retired.
        if fields.previous.is_none() || fields.is_announced() {
            return Ok(RetirementPlan {
                how: Retirement::empty(),
                after_seconds: 0,
                operator_steps: None,
            });
        }
        // From now on the old key signs nothing; the host adds the operator's grace.
        let current = Fields::parse(&ctx.current.value)?;
        let after_seconds = current
            .token_seconds_max()?
            .max(fields.token_seconds_max()?);
        Ok(RetirementPlan {
            how: Retirement::NEW_VERSION,
            after_seconds,
            operator_steps: None,
        })
    }

    /// CURRENT is live if it is sound; another value is live if CURRENT still accepts its tokens.
    fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
        let subject_fields = Fields::parse(&subject.value)?;
        verify::self_test(&subject_fields)?;
        if subject.id == ctx.current.id {
            return Ok(Verdict::new(Liveness::Live));
        }
        let current = Fields::parse(&ctx.current.value)?;
        let accepted = verify::accepts_keys(
            &current,
            &subject_fields.signing_keys()?,
            clock::now_seconds(),
        )?;
        Ok(Verdict::new(if accepted {
            Liveness::Live
        } else {
            Liveness::Dead
        }))
    }
}

keyturn_sdk::export!(Jwt);
