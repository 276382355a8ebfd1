//! `test`, `probe` and `check`: what a secret is worth, asked of the vendor itself, and where it belongs.

use keyturn_sdk::{
    Context, Error, Finding, Level, Liveness, MemberReport, Outcome, Verdict, Version,
};
use serde_json::Value;

use crate::ask;
use crate::holding::{self, Belongs, Holding};
use crate::profile::{Check, Meaning, Profile, Vendor};
use crate::values::Values;

/// What becomes of a new secret that could not be judged.
const KEPT: &str = "the new secret is kept: `keyturn rotate` asks about it again, \
                    `keyturn assist` gives it up for another one";

/// The candidate is of AWSCURRENT's place, works, and may do what it is for; a secret that nobody has does not work.
pub(crate) fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    let vendor = Vendor::of(ctx)?;
    let profile = &vendor.profile;
    let current = Holding::read(&vendor, &ctx.current, "AWSCURRENT")?;
    let new = Holding::read(&vendor, candidate, "the candidate")?;
    let values = new.values(&vendor, "the candidate")?;
    // The same secret in another value: nothing is new about it.
    let is_current = new.secret() == current.secret();
    let mut outcome = Outcome::done();
    match holding::compare(&vendor, &new, &current) {
        Belongs::Apart(called) => {
            return Err(Error::rejected(format!(
                "the new value is of another {called} than the one that the secret is for; AWSCURRENT stays"
            )));
        }
        Belongs::Unknown(parts) if !is_current => outcome = outcome.finding(unverified(&parts)),
        Belongs::Unknown(_) | Belongs::Together => {}
    }
    let Some(check) = &profile.check else {
        return Ok(outcome.finding(unasked(profile)));
    };
    if !is_current && current.secret().is_some() && !current.can_be_proven_dead(&vendor) {
        outcome = outcome.finding(unprovable(profile));
    }
    ask::wrong_is_refused(profile, check, &values)?;
    let whose = if is_current {
        "AWSCURRENT's secret"
    } else {
        "the new secret"
    };
    let (meaning, answer) = ask::check(profile, check, &values, whose)?;
    if meaning == Meaning::Dead
        && !is_current
        && liveness_of_current(&vendor, check, &current)? == Liveness::Dead
    {
        return Err(undecided(profile));
    }
    accept(
        profile,
        meaning,
        "it lacks the right to be asked about",
        is_current,
    )?;
    let missing = missing_rights(&vendor, check, &answer)?;
    if is_current {
        // It is in use already; what has become of its rights is no reason to keep an old one.
        return Ok(match missing {
            Some(missing) => outcome.finding(lacks(profile, &missing)),
            None => outcome,
        });
    }
    if let Some(missing) = missing {
        return Err(Error::permission(format!(
            "{missing}; AWSCURRENT stays; give it what is missing, or bring another one"
        )));
    }
    try_out(&vendor, &values)?;
    Ok(outcome)
}

fn accept(profile: &Profile, meaning: Meaning, lacks: &str, is_current: bool) -> Result<(), Error> {
    let vendor = &profile.vendor;
    match meaning {
        Meaning::Live => Ok(()),
        Meaning::Forbidden => Err(Error::permission(format!(
            "{vendor} knows the secret, but {lacks}; AWSCURRENT stays; give it that right, or bring another one"
        ))
        .code("403")),
        Meaning::Dead if is_current => Err(Error::auth(format!(
            "{vendor} refuses AWSCURRENT's secret; nothing was changed"
        ))),
        // Not a rejection, which would throw it away: a vendor may need a while to know its own new secret, and some
        // are shown once.
        Meaning::Dead => Err(Error::auth(format!(
            "{vendor} refuses the new secret: it is not known there yet, mistyped, of something else, or ended already; \
             AWSCURRENT stays, and {KEPT}"
        ))),
    }
}

/// A wrong clock or a wrong name has every secret refused, the best one too.
fn undecided(profile: &Profile) -> Error {
    let vendor = &profile.vendor;
    Error::auth(format!(
        "{vendor} refuses the new secret, but AWSCURRENT's too, so that this says nothing about the new one; look at \
         {}; AWSCURRENT stays, and {KEPT}",
        suspects(profile)
    ))
}

/// What makes a vendor refuse every secret.
fn suspects(profile: &Profile) -> String {
    let mut suspects = vec!["whether AWSCURRENT's was ended".to_owned()];
    if profile.sign.is_some() {
        suspects.push("the clock of this machine".to_owned());
    }
    let members = profile.reads.iter();
    suspects.extend(members.map(|member| format!("the member `{member}`")));
    suspects.push("grant.endpoint.api".to_owned());
    suspects.join(", ")
}

/// What a secret lacks of the rights that it needs, in words.
fn missing_rights(vendor: &Vendor, check: &Check, answer: &Value) -> Result<Option<String>, Error> {
    let Some(rights) = &check.rights else {
        return Ok(None);
    };
    let listed = answer.pointer(&rights.list).and_then(Value::as_array);
    let listed = listed.ok_or_else(|| {
        Error::protocol(format!(
            "the answer of {} does not list what the secret may do; look at grant.endpoint.api",
            vendor.profile.vendor
        ))
    })?;
    let wanted = vendor.list(&rights.setting);
    let wanted = wanted.unwrap_or_else(|| rights.all.iter().map(String::as_str).collect());
    let missing: Vec<_> = wanted
        .into_iter()
        .filter(|right| !listed.iter().any(|one| one == right))
        .collect();
    Ok((!missing.is_empty()).then(|| {
        format!(
            "the secret lacks {} at {} (what is demanded is the setting `{}`)",
            missing.join(", "),
            vendor.profile.vendor,
            rights.setting
        )
    }))
}

/// Only where everything that it needs is configured.
fn try_out(vendor: &Vendor, values: &Values) -> Result<(), Error> {
    let profile = &vendor.profile;
    let Some(trial) = &profile.trial else {
        return Ok(());
    };
    if !trial
        .needs
        .iter()
        .all(|name| vendor.setting(name).is_some())
    {
        return Ok(());
    }
    let (meaning, _) = ask::trial(profile, trial, values)?;
    accept(
        profile,
        meaning,
        &format!("{} was refused", trial.does),
        false,
    )
}

/// Dead is only what is refused where AWSCURRENT's secret is accepted: a wrong clock or a wrong name has every secret
/// refused. A secret that lacks a right is one all the same.
pub(crate) fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
    let vendor = Vendor::of(ctx)?;
    let profile = &vendor.profile;
    let holding = Holding::read(&vendor, subject, "the value to probe")?;
    if holding.is_switched_off(&vendor) {
        return Ok(Verdict::new(Liveness::Dead));
    }
    let values = holding.values(&vendor, "the value to probe")?;
    let Some(check) = &profile.check else {
        return Ok(Verdict::new(Liveness::Unknown));
    };
    if is_accepted(profile, check, &values, "the secret in question")? {
        return Ok(Verdict::new(Liveness::Live));
    }
    let current = Holding::read(&vendor, &ctx.current, "AWSCURRENT")?;
    if holding.secret() != current.secret()
        && liveness_of_current(&vendor, check, &current)? != Liveness::Live
    {
        let why = Error::auth(format!(
            "{} refuses the secret in question, but does not accept AWSCURRENT's either, which proves nothing; look at {}",
            profile.vendor,
            suspects(profile)
        ));
        let host = profile.host.as_deref().unwrap_or_default();
        let report = MemberReport::unknown("api", host, why);
        return Ok(Verdict::of_members(vec![report]));
    }
    ask::wrong_is_refused(profile, check, &values)?;
    Ok(Verdict::new(Liveness::Dead))
}

/// Before an operator is asked for a new secret. Where making it ends the present one, that one must be seen to work by
/// the way and the name that the new one will be asked about with: a wrong one would show when nothing works any more.
pub(crate) fn check(ctx: &Context) -> Result<Vec<Finding>, Error> {
    let vendor = Vendor::of(ctx)?;
    let profile = &vendor.profile;
    let current = Holding::read(&vendor, &ctx.current, "AWSCURRENT")?;
    let Some(check) = &profile.check else {
        return Ok(vec![unasked(profile)]);
    };
    if current.is_switched_off(&vendor) || !current.can_be_proven_dead(&vendor) {
        return Ok(vec![no_question(profile)]);
    }
    let whose = "AWSCURRENT's secret";
    let values = current.values(&vendor, whose)?;
    ask::wrong_is_refused(profile, check, &values)?;
    let is_accepted = is_accepted(profile, check, &values, whose)?;
    Ok(vec![if is_accepted {
        accepted(profile)
    } else {
        refused(profile)
    }])
}

/// By the vendor's word alone; unknown where it cannot be asked about.
fn liveness_of_current(
    vendor: &Vendor,
    check: &Check,
    current: &Holding,
) -> Result<Liveness, Error> {
    let whose = "AWSCURRENT's secret";
    if current.must_be_whole(vendor, whose).is_err() {
        return Ok(Liveness::Unknown);
    }
    let values = current.values(vendor, whose)?;
    Ok(if is_accepted(&vendor.profile, check, &values, whose)? {
        Liveness::Live
    } else {
        Liveness::Dead
    })
}

fn is_accepted(
    profile: &Profile,
    check: &Check,
    values: &Values,
    whose: &str,
) -> Result<bool, Error> {
    let (meaning, _) = ask::check(profile, check, values, whose)?;
    Ok(meaning != Meaning::Dead)
}

fn accepted(profile: &Profile) -> Finding {
    Finding {
        id: "current-live".to_owned(),
        level: Level::Ok,
        summary: format!("{} accepts AWSCURRENT's secret", profile.vendor),
        fix: None,
    }
}

fn refused(profile: &Profile) -> Finding {
    let vendor = &profile.vendor;
    let (level, cost) = if profile.coexist {
        (Level::Warning, "a new one would be refused, too")
    } else {
        (
            Level::Failure,
            "making a new one ends a secret that works, and the new one is refused, too",
        )
    };
    Finding {
        id: "current-refused".to_owned(),
        level,
        summary: format!(
            "{vendor} refuses AWSCURRENT's secret: it was ended, or it is asked about wrongly, and then {cost}"
        ),
        fix: Some(format!("look at {}", suspects(profile))),
    }
}

/// A placeholder, or a key of a form of old.
fn no_question(profile: &Profile) -> Finding {
    Finding {
        id: "current-not-asked".to_owned(),
        level: Level::Note,
        summary: format!(
            "{} cannot be asked about what AWSCURRENT holds, so that the way there is tried with the new secret only",
            profile.vendor
        ),
        fix: None,
    }
}

fn unverified(parts: &[String]) -> Finding {
    let parts = parts.join(" and ");
    Finding {
        id: "place-unverified".to_owned(),
        level: Level::Warning,
        summary: format!(
            "AWSCURRENT does not tell its {parts}, so that nothing was there to compare the new value with"
        ),
        fix: Some("name it in the settings of the secret, for the next time".to_owned()),
    }
}

fn unprovable(profile: &Profile) -> Finding {
    let vendor = &profile.vendor;
    Finding {
        id: "end-not-provable".to_owned(),
        level: Level::Warning,
        summary: format!(
            "{vendor} cannot be asked about AWSCURRENT's secret, because of its form or of what is missing beside it; \
             nothing will watch over its end"
        ),
        fix: Some(format!("if it still works, end it at {vendor} yourself")),
    }
}

fn lacks(profile: &Profile, missing: &str) -> Finding {
    Finding {
        id: "rights-missing".to_owned(),
        level: Level::Warning,
        summary: missing.to_owned(),
        fix: Some(format!("give it what is missing at {}", profile.vendor)),
    }
}

fn unasked(profile: &Profile) -> Finding {
    Finding {
        id: "not-asked".to_owned(),
        level: Level::Note,
        summary: format!(
            "{} has no harmless question that only a right secret answers, so that only its form was looked at",
            profile.vendor
        ),
        fix: None,
    }
}
