//! The vocabulary in which plugins describe strategies and answer calls, reduced to what planning
//! needs. The core plans from these facts and never from a strategy's or a plugin's name.

/// What applying a candidate does to the credential in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// There is no target: nothing is ever applied, so nothing can be in doubt.
    None,
    /// The current credential keeps working.
    Additive,
    /// The current credential stops working: a gap until promotion.
    Replacing,
}

/// What a new version is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A new value.
    Replace,
    /// Publish the next value before it is used.
    Announce,
    /// Start using what was announced.
    Activate,
    /// The same values, the old one accepted for longer.
    Extend,
    /// The same values without the old one.
    Retire,
    /// An earlier value comes back as a new version.
    Restore,
}

impl Purpose {
    /// Every purpose, in the order of the enum.
    pub const ALL: [Purpose; 6] = [
        Purpose::Replace,
        Purpose::Announce,
        Purpose::Activate,
        Purpose::Extend,
        Purpose::Retire,
        Purpose::Restore,
    ];

    /// Whether a version of this purpose brings a credential that the target may not know yet.
    /// The other purposes rearrange what the value already holds.
    pub const fn brings_credential(self) -> bool {
        matches!(self, Purpose::Replace | Purpose::Restore)
    }

    /// Whether promoting such a version says anew what becomes of the value that it follows.
    pub const fn plans_retirement(self) -> bool {
        !matches!(self, Purpose::Announce | Purpose::Retire)
    }
}

/// A set of purposes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purposes(u8);

impl Purposes {
    /// The set of the given purposes.
    pub fn of(purposes: &[Purpose]) -> Self {
        Purposes(
            purposes
                .iter()
                .fold(0, |set, purpose| set | 1 << *purpose as u8),
        )
    }

    /// Whether the purpose is in the set.
    pub const fn contains(self, purpose: Purpose) -> bool {
        self.0 & (1 << purpose as u8) != 0
    }
}

/// What a plugin says about one of its strategies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrategyFacts {
    /// What `set` does to the credential in use.
    pub effect: Effect,
    /// The purposes that `create` understands.
    pub purposes: Purposes,
    /// Whether `create` may ask an operator for input.
    pub needs_operator: bool,
}

impl StrategyFacts {
    /// Whether the credential lives in the secret's values alone: no target accepts it, and no vendor keeps it.
    pub const fn is_within_the_secret(self) -> bool {
        matches!(self.effect, Effect::None) && !self.needs_operator
    }

    /// Whether a superseded value's death must be proven, so that its version has to stay under a label until then.
    pub const fn needs_proof(self, how: How) -> bool {
        (how.at_target || how.by_operator) && !self.ends_by_word(how)
    }

    /// Whether a superseded value ends by the operator's word and by nothing else: an operator ends it, and there is
    /// nobody who could be asked whether it is dead. No time ends it, and a further rotation takes nothing from it.
    pub const fn ends_by_word(self, how: How) -> bool {
        how.by_operator && !how.at_target && self.is_within_the_secret()
    }
}

/// One step of the four-step protocol of AWS Secrets Manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// `createSecret`
    Create,
    /// `setSecret`
    Set,
    /// `testSecret`
    Test,
    /// `finishSecret`
    Finish,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

    /// The step as AWS spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Step::Create => "createSecret",
            Step::Set => "setSecret",
            Step::Test => "testSecret",
            Step::Finish => "finishSecret",
        }
    }
}

/// Does a version's value open the door right now?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Liveness {
    /// On every member.
    Live,
    /// On none, proven by a wrong-credential answer.
    Dead,
    /// On some members only.
    Mixed,
    /// The answer proves nothing.
    Unknown,
}

/// Did the target change? `Yes` also when only some members did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Applied {
    /// Nothing changed.
    No,
    /// Something changed.
    Yes,
    /// The answer was lost; whoever plans must assume either.
    Unknown,
}

impl Applied {
    /// What two calls in a row amount to: one known change is a change, whatever else is unknown.
    pub const fn and(self, later: Applied) -> Applied {
        match (self, later) {
            (Applied::Yes, _) | (_, Applied::Yes) => Applied::Yes,
            (Applied::Unknown, _) | (_, Applied::Unknown) => Applied::Unknown,
            (Applied::No, Applied::No) => Applied::No,
        }
    }
}

/// How a superseded value comes to its end; several may hold at once, none if nothing is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct How {
    /// `retire` kills it at the target.
    pub at_target: bool,
    /// A new version without it is made.
    pub new_version: bool,
    /// An operator deletes it at the vendor; where nobody could be asked about that, declares that it is not needed.
    pub by_operator: bool,
}
