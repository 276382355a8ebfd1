//! The trait that a plugin implements. Each call runs in a fresh instance: nothing can be
//! remembered between calls, and every call may be repeated. The defaults are those that follow
//! from the facts in `describe`; a plugin overrides one only where its kind can say more.

use crate::error::Error;
use crate::types::{
    Context, CreateRequest, Created, Descriptor, Finding, Level, Liveness, Outcome, Purpose,
    RetireRequest, Retirement, RetirementPlan, TargetEffect, UsageReport, Verdict, Version,
};

/// One kind of credential.
pub trait Rotator {
    /// What the plugin is and which strategies it knows; the first is the default. Its secret schema names
    /// under `properties` every member that the plugin writes: the host refuses a created value in
    /// which any other member changed, and a plugin that names none where a secret holds several
    /// credentials. A property with `"x-keyturn-when": {"SETTING": VALUE}` belongs only to credentials
    /// whose settings have that value (all of them, if several are named): that is how one plugin
    /// serves several credentials of one secret.
    fn describe() -> Descriptor;

    /// A whole new value, or a request for operator input. Reaches no target, and need not be
    /// deterministic: the host stores the answer before anything else happens. Purpose restore also puts an
    /// operator's earlier answer on top of a value that was changed by hand meanwhile.
    ///
    /// # Errors
    /// `unsupported` for a purpose that the strategy does not list.
    fn create(ctx: &Context, request: &CreateRequest) -> Result<Created, Error>;

    /// Makes the target accept `candidate`. Logs in with candidate first (already applied:
    /// `unchanged`), then current, then others.
    ///
    /// The default serves strategies whose effect is `none`.
    ///
    /// # Errors
    /// Whatever broke, with `applied` set truly: only `no` permits another value.
    fn set(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        let _ = candidate;
        match effect_of::<Self>(ctx)? {
            TargetEffect::None => Ok(Outcome::done()),
            TargetEffect::Additive | TargetEffect::Replacing => Err(Error::internal(format!(
                "strategy `{}` changes a target, but the plugin does not implement `set`",
                ctx.strategy
            ))),
        }
    }

    /// Fresh login on every member, one permitted action, one wrong value refused, drift gate.
    ///
    /// # Errors
    /// Whatever keeps the candidate from being promoted.
    fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error>;

    /// Called before AWSCURRENT moves; changes nothing and opens no connection. Says what becomes
    /// of the value in `ctx.current`. `after_seconds` is the plugin's own least; the host waits for
    /// the longer of it and the operator's grace. Where an operator ends it and there is neither a
    /// target nor a vendor to ask (effect `none`, `needs_operator` false), it ends by the operator's
    /// word alone: `operator_steps` say what is declared by it.
    ///
    /// The default: an additive strategy retires at the target, one without a target that lists
    /// purpose retire by a new version, and otherwise nothing is left to kill.
    ///
    /// # Errors
    /// Whatever the plan depends on and could not be read.
    fn finish(ctx: &Context, candidate: &Version) -> Result<RetirementPlan, Error> {
        let _ = candidate;
        let how = match strategy_of::<Self>(ctx)? {
            strategy if strategy.effect == TargetEffect::Additive => Retirement::AT_TARGET,
            strategy
                if strategy.effect == TargetEffect::None
                    && strategy.purposes.contains(&Purpose::Retire) =>
            {
                Retirement::NEW_VERSION
            }
            _ => Retirement::empty(),
        };
        Ok(RetirementPlan {
            how,
            after_seconds: 0,
            operator_steps: None,
        })
    }

    /// Does this value open the door right now? No side effects. `dead` only if a wrong-credential
    /// answer is proven where `set` applies, and a wrong value is refused on the same path.
    ///
    /// # Errors
    /// A broken path is an error, not a verdict.
    fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error>;

    /// Kills a value that `ctx.current` does not hold; `done` only with the proof.
    ///
    /// The default refuses: nothing can be killed at a target that does not exist.
    ///
    /// # Errors
    /// `unsupported` by default; whatever broke, with `applied` set truly.
    fn retire(ctx: &Context, request: &RetireRequest) -> Result<Outcome, Error> {
        let _ = request;
        Err(Error::unsupported(format!(
            "strategy `{}` has no target at which a value could be retired",
            ctx.strategy
        )))
    }

    /// Who still uses this value's identity. The default: not observable.
    ///
    /// # Errors
    /// Whatever broke.
    fn usage(ctx: &Context, subject: &Version) -> Result<UsageReport, Error> {
        let _ = (ctx, subject);
        Ok(UsageReport {
            observable: false,
            consumers: Vec::new(),
            note: None,
        })
    }

    /// Preflight without a candidate: shape, path, login, privileges, feasibility, drift. The
    /// default probes CURRENT.
    ///
    /// # Errors
    /// Whatever kept the preflight from coming to an answer.
    fn check(ctx: &Context) -> Result<Vec<Finding>, Error> {
        let liveness = Self::probe(ctx, &ctx.current)?.liveness;
        let finding = |level, summary: &str, fix: Option<&str>| Finding {
            id: "current-live".to_owned(),
            level,
            summary: summary.to_owned(),
            fix: fix.map(str::to_owned),
        };
        Ok(vec![match liveness {
            Liveness::Live => finding(Level::Ok, "AWSCURRENT is accepted", None),
            Liveness::Mixed => finding(
                Level::Failure,
                "AWSCURRENT is accepted by some members only",
                Some("bring the members that refuse it back in line, then rotate"),
            ),
            Liveness::Dead => finding(
                Level::Failure,
                "AWSCURRENT is refused",
                Some("store the value that works, then rotate"),
            ),
            Liveness::Unknown => finding(
                Level::Warning,
                "whether AWSCURRENT is accepted could not be told",
                None,
            ),
        }])
    }
}

fn effect_of<T: Rotator + ?Sized>(ctx: &Context) -> Result<TargetEffect, Error> {
    strategy_of::<T>(ctx).map(|strategy| strategy.effect)
}

fn strategy_of<T: Rotator + ?Sized>(ctx: &Context) -> Result<crate::Strategy, Error> {
    T::describe()
        .strategies
        .into_iter()
        .find(|strategy| strategy.name == ctx.strategy)
        .ok_or_else(|| {
            Error::invalid_settings(format!(
                "the plugin knows no strategy `{}`; choose one that `describe` lists",
                ctx.strategy
            ))
        })
}
