//! What the operator configured for one credential of one secret: the unit of rotation.

use std::borrow::Cow;

use keyturn_protocol::{Effect, Label, Purpose, Purposes, StrategyFacts};
use keyturn_runtime::{CreateRequest, GrantedPlugin, Strategy, TargetEffect};
use keyturn_store::SecretName;

/// How long the old value stays accepted where the operator says nothing: a day for a login that the
/// target keeps, a week for values that only their verifiers know (the longest token of the usual
/// set-up lives that long).
pub const GRACE_SECONDS_WITH_TARGET: u64 = 86_400;
pub const GRACE_SECONDS_WITHOUT_TARGET: u64 = 604_800;

/// One credential, its plugin under the operator's grant, and its times.
#[derive(Clone)]
pub struct Credential {
    pub secret: SecretName,
    /// Empty unless the secret holds several credentials.
    pub name: String,
    /// The names of the other configured credentials of the secret.
    pub beside: Vec<String>,
    /// prod, staging, …; empty if unknown.
    pub environment: String,
    pub plugin: GrantedPlugin,
    /// One of the plugin's strategies.
    pub strategy: Strategy,
    /// `None`: the default of the strategy's effect.
    pub grace_seconds: Option<u64>,
    /// How long a new key is published before it is used.
    pub lead_seconds: u64,
    /// Days between two rotations; `None`: on demand only.
    pub rotate_after_days: Option<u32>,
}

impl Credential {
    /// `NAME` or `NAME#CREDENTIAL`.
    pub fn display_name(&self) -> String {
        if self.name.is_empty() {
            self.secret.to_string()
        } else {
            format!("{}#{}", self.secret, self.name)
        }
    }

    /// Whether it, or another credential of the secret, has that name.
    pub(crate) fn is_configured(&self, name: &str) -> bool {
        name == self.name || self.beside.iter().any(|other| other == name)
    }

    /// How long a superseded value stays accepted, in seconds.
    pub fn grace_seconds(&self) -> u64 {
        // A vendor keeps the old key, as a target does, and a person deletes it there.
        let default = match self.facts().is_within_the_secret() {
            true => GRACE_SECONDS_WITHOUT_TARGET,
            false => GRACE_SECONDS_WITH_TARGET,
        };
        self.grace_seconds.unwrap_or(default)
    }

    /// The store's name of a label. Where an operator has to end the old value, that may take days, in which the other
    /// credentials of the secret must not wait for the one label: each such credential has its own.
    pub(crate) fn label(&self, label: Label) -> Cow<'static, str> {
        if self.has_own(label) {
            format!("{label}_{}", self.name).into()
        } else {
            label.as_str().into()
        }
    }

    pub(crate) fn has_own(&self, label: Label) -> bool {
        label == Label::Retiring && self.strategy.needs_operator && !self.name.is_empty()
    }

    /// What `create` is asked for, without answers and without an earlier version.
    pub(crate) fn create_request(&self, purpose: Purpose, now_ms: u64) -> CreateRequest {
        CreateRequest {
            purpose: runtime_purpose(purpose),
            inputs: Vec::new(),
            overlap_seconds: self.grace_seconds(),
            next_rotation: self.next_rotation_ms(now_ms).map(|ms| ms / 1000),
            restore: None,
        }
    }

    pub(crate) fn facts(&self) -> StrategyFacts {
        let purposes: Vec<Purpose> = self
            .strategy
            .purposes
            .iter()
            .map(|purpose| purpose_of(*purpose))
            .collect();
        StrategyFacts {
            effect: match self.strategy.effect {
                TargetEffect::None => Effect::None,
                TargetEffect::Additive => Effect::Additive,
                TargetEffect::Replacing => Effect::Replacing,
            },
            purposes: Purposes::of(&purposes),
            needs_operator: self.strategy.needs_operator,
        }
    }

    /// Unix milliseconds of the rotation after one at `rotated_at_ms`.
    pub(crate) fn next_rotation_ms(&self, rotated_at_ms: u64) -> Option<u64> {
        const DAY_MS: u64 = 86_400_000;
        self.rotate_after_days
            .map(|days| rotated_at_ms.saturating_add(u64::from(days) * DAY_MS))
    }
}

fn purpose_of(purpose: keyturn_runtime::Purpose) -> Purpose {
    match purpose {
        keyturn_runtime::Purpose::Replace => Purpose::Replace,
        keyturn_runtime::Purpose::Announce => Purpose::Announce,
        keyturn_runtime::Purpose::Activate => Purpose::Activate,
        keyturn_runtime::Purpose::Extend => Purpose::Extend,
        keyturn_runtime::Purpose::Retire => Purpose::Retire,
        keyturn_runtime::Purpose::Restore => Purpose::Restore,
    }
}

fn runtime_purpose(purpose: Purpose) -> keyturn_runtime::Purpose {
    match purpose {
        Purpose::Replace => keyturn_runtime::Purpose::Replace,
        Purpose::Announce => keyturn_runtime::Purpose::Announce,
        Purpose::Activate => keyturn_runtime::Purpose::Activate,
        Purpose::Extend => keyturn_runtime::Purpose::Extend,
        Purpose::Retire => keyturn_runtime::Purpose::Retire,
        Purpose::Restore => keyturn_runtime::Purpose::Restore,
    }
}
