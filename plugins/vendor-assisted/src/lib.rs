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

use keyturn_sdk::{
    Context, CreateRequest, Created, Descriptor, Error, InputRequest, Outcome, Retirement,
    RetirementPlan, Rotator, Verdict, Version,
};
use profile::Vendor;

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
        let profile = Vendor::of(ctx)?.profile;
        let Some(end) = profile.end else {
            return Ok(RetirementPlan {
                how: Retirement::empty(),
                after_seconds: 0,
                operator_steps: None,
            });
        };
        Ok(RetirementPlan {
            how: Retirement::BY_OPERATOR | Retirement::NEW_VERSION,
            // Where it died when the new one was made, nobody has to wait for anything.
            after_seconds: if profile.coexist {
                END_AFTER_SECONDS
            } else {
                0
            },
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
}

keyturn_sdk::export!(VendorAssisted);
