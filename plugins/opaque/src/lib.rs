//! Keyturn's plugin for secrets that only have to be random: one value and the one before it for as long as the grace
//! lasts, or a ring of keys of which the newest encrypts, or a text that is the whole secret. There is no target:
//! everything happens inside the secret's value, and members that belong to others stay as they are.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod fields;
mod keeping;
mod rounds;
mod settings;
mod text;
mod verify;

use keyturn_sdk::{
    Context, CreateRequest, Created, Descriptor, Error, Finding, InputRequest, Level, Liveness,
    Outcome, Retirement, RetirementPlan, Rotator, Verdict, Version, log,
};

use crate::fields::Fields;
use crate::keeping::Keeping;

/// The plugin.
pub struct Opaque;

impl Rotator for Opaque {
    fn describe() -> Descriptor {
        Descriptor {
            name: "opaque".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Secrets that only have to be random, and key rings".to_owned(),
            strategies: [keeping::strategies(), vec![text::strategy()]].concat(),
            settings_schema: include_str!("../schema/settings.json").to_owned(),
            secret_schema: include_str!("../schema/secret.json").to_owned(),
        }
    }

    fn create(ctx: &Context, request: &CreateRequest) -> Result<Created, Error> {
        let value = if text::is_meant(ctx) {
            text::create(ctx, request)?
        } else {
            rounds::create(ctx, request)?
        };
        log::info!("value made"; "purpose" => format!("{:?}", request.purpose));
        Ok(Created::Value(value))
    }

    fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        if text::is_meant(ctx) {
            return text::check(ctx, candidate).map(|()| Outcome::done());
        }
        let candidate = Fields::parse(Keeping::of(ctx)?, &candidate.value)?;
        let dropped = verify::candidate(ctx, &candidate)?;
        if dropped.is_empty() {
            return Ok(Outcome::done());
        }
        Ok(Outcome::done().finding(Finding {
            id: "keys-dropped".to_owned(),
            level: Level::Note,
            summary: format!("nothing can be decrypted any more with {}", keys(&dropped)),
            fix: None,
        }))
    }

    /// What ends a key of a ring is the operator's word; the host asks for it with these steps.
    fn finish(ctx: &Context, candidate: &Version) -> Result<RetirementPlan, Error> {
        if text::is_meant(ctx) {
            return Ok(RetirementPlan {
                how: Retirement::empty(),
                after_seconds: 0,
                operator_steps: None,
            });
        }
        let keeping = Keeping::of(ctx)?;
        let fields = Fields::parse(keeping, &candidate.value)?;
        let how = match fields.older().next() {
            Some(_) => keeping.end(),
            None => Retirement::empty(),
        };
        let ids: Vec<String> = fields.older().filter_map(|key| key.id.clone()).collect();
        let operator_steps = (!ids.is_empty()).then(|| InputRequest {
            title: format!(
                "Re-encrypt with the newest key what is encrypted with {}",
                keys(&ids)
            ),
            link: None,
            checklist: Vec::new(),
            prompts: Vec::new(),
            expires_after_seconds: 0,
        });
        Ok(RetirementPlan {
            how,
            after_seconds: 0,
            operator_steps,
        })
    }

    /// CURRENT is live if it can be read; another value is live if CURRENT still holds its key.
    fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
        if text::is_meant(ctx) {
            return text::probe(ctx, subject);
        }
        let keeping = Keeping::of(ctx)?;
        let subject = Fields::parse(keeping, &subject.value)?;
        let accepted = Fields::parse(keeping, &ctx.current.value)?.accepts(&subject.current);
        Ok(Verdict::new(if accepted {
            Liveness::Live
        } else {
            Liveness::Dead
        }))
    }
}

fn keys(ids: &[String]) -> String {
    let plural = if ids.len() == 1 { "key" } else { "keys" };
    format!("the {plural} {}", ids.join(", "))
}

keyturn_sdk::export!(Opaque);
