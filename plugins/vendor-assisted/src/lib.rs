//! Keyturn's plugin for keys that only an operator can make, in a vendor's console. What is special about a vendor is
//! a profile (`profiles/*.json`), never code: how the operator makes the new key and ends the old one, which form it
//! has, and which harmless question tells a right key from a wrong one.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod ask;
mod create;
mod describe;
mod format;
mod holding;
mod profile;
mod sign;
#[cfg(test)]
mod tests;
mod values;
mod verify;

use holding::Holding;
use keyturn_sdk::{
    Context, CreateRequest, Created, Descriptor, Error, Finding, InputRequest, Outcome, Retirement,
    RetirementPlan, Rotator, Verdict, Version,
};
use profile::{Profile, Vendor};

/// The old key works for a day, for whoever still holds it.
const END_AFTER_SECONDS: u64 = 86_400;

/// The plugin.
pub struct VendorAssisted;

impl Rotator for VendorAssisted {
    fn describe() -> Descriptor {
        describe::describe()
    }

    fn create(ctx: &Context, request: &CreateRequest) -> Result<Created, Error> {
        create::create(ctx, request)
    }

    fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        verify::test(ctx, candidate)
    }

    fn finish(ctx: &Context, _candidate: &Version) -> Result<RetirementPlan, Error> {
        let vendor = Vendor::of(ctx)?;
        let old = Holding::read(&vendor, &ctx.current, "AWSCURRENT")?;
        let is_owed = old.can_be_proven_dead(&vendor);
        let Profile { end, coexist, .. } = vendor.profile;
        // A placeholder, or a key of a form that cannot be asked about: its end would stay owed for ever.
        let Some(end) = end.filter(|_| is_owed) else {
            return Ok(RetirementPlan {
                how: Retirement::empty(),
                after_seconds: 0,
                operator_steps: None,
            });
        };
        Ok(RetirementPlan {
            how: Retirement::BY_OPERATOR | Retirement::NEW_VERSION,
            // Where it died when the new one was made, nobody has to wait for anything.
            after_seconds: if coexist { END_AFTER_SECONDS } else { 0 },
            operator_steps: Some(InputRequest {
                title: end.title,
                link: Some(end.link),
                checklist: end.checklist,
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

keyturn_sdk::export!(VendorAssisted);
