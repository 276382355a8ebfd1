//! Checks what `describe` says: later code relies on these facts without looking again.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::bindings::keyturn::rotation::types as t;
use crate::call::Purpose;
use crate::host::Answers;
use crate::manifest::Manifest;
use crate::outcome::{Descriptor, Strategy, TargetEffect};
use crate::{ownership, settings};

/// Takes the generated type over; the inner error is a schema that is no JSON.
pub(super) fn take(answers: &Answers<'_>, raw: t::Descriptor) -> Result<Descriptor, String> {
    let strategy = |strategy: t::Strategy| Strategy {
        name: answers.name(&strategy.name),
        effect: match strategy.effect {
            t::TargetEffect::None => TargetEffect::None,
            t::TargetEffect::Additive => TargetEffect::Additive,
            t::TargetEffect::Replacing => TargetEffect::Replacing,
        },
        purposes: strategy.purposes.into_iter().map(purpose).collect(),
        needs_operator: strategy.needs_operator,
        summary: answers.text(&strategy.summary),
    };
    Ok(Descriptor {
        name: answers.name(&raw.name),
        version: answers.name(&raw.version),
        summary: answers.text(&raw.summary),
        strategies: answers.list(raw.strategies, strategy),
        settings_schema: schema(answers, "settings-schema", &raw.settings_schema)?,
        secret_schema: schema(answers, "secret-schema", &raw.secret_schema)?,
    })
}

pub(super) fn check(
    descriptor: Result<Descriptor, String>,
    manifest: &Manifest,
) -> Result<Descriptor, String> {
    let descriptor = descriptor?;
    if descriptor.name != manifest.name {
        let (own, declared) = (&descriptor.name, &manifest.name);
        return Err(format!(
            "it is called \"{own}\", and \"{declared}\" in plugin.toml; make them equal"
        ));
    }
    if descriptor.strategies.is_empty() {
        return Err("it has no strategies; a plugin needs at least one".into());
    }
    let mut names = BTreeSet::new();
    for strategy in &descriptor.strategies {
        let name = &strategy.name;
        if name.is_empty() || !names.insert(name) {
            return Err(format!(
                "the strategy name \"{name}\" is empty or used twice; make it distinct"
            ));
        }
        if strategy.purposes.is_empty() {
            return Err(format!(
                "the strategy \"{name}\" serves no purpose; list at least replace"
            ));
        }
    }
    settings::check_schema(&descriptor.settings_schema)
        .map_err(|cause| format!("settings-schema: {cause}"))?;
    ownership::check_schema(&descriptor).map_err(|cause| format!("secret-schema: {cause}"))?;
    Ok(descriptor)
}

fn schema(answers: &Answers<'_>, which: &str, text: &str) -> Result<Value, String> {
    answers.count(text.len());
    serde_json::from_str(text).map_err(|error| format!("{which} is not JSON: {error}"))
}

fn purpose(purpose: t::Purpose) -> Purpose {
    match purpose {
        t::Purpose::Replace => Purpose::Replace,
        t::Purpose::Announce => Purpose::Announce,
        t::Purpose::Activate => Purpose::Activate,
        t::Purpose::Extend => Purpose::Extend,
        t::Purpose::Retire => Purpose::Retire,
        t::Purpose::Restore => Purpose::Restore,
    }
}
