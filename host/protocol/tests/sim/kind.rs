//! The strategies that are tried, by their facts and by what becomes of a superseded value.

use keyturn_protocol::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Alternating,
    Dual,
    Single,
    Overlap,
    Announced,
    /// No target, and the operator deletes the old value at the vendor.
    Assisted,
    /// No target: old keys stay in the value until the operator declares that they are not needed.
    KeyRing,
}

impl Kind {
    pub const ALL: [Kind; 7] = [
        Kind::Alternating,
        Kind::Dual,
        Kind::Single,
        Kind::Overlap,
        Kind::Announced,
        Kind::Assisted,
        Kind::KeyRing,
    ];

    pub fn facts(self) -> StrategyFacts {
        let (effect, purposes) = match self {
            Kind::Alternating | Kind::Dual => (
                Effect::Additive,
                Purposes::of(&[Purpose::Replace, Purpose::Restore]),
            ),
            Kind::Single => (
                Effect::Replacing,
                Purposes::of(&[Purpose::Replace, Purpose::Restore]),
            ),
            Kind::Overlap | Kind::Announced => (Effect::None, Purposes::of(&Purpose::ALL)),
            Kind::Assisted => (
                Effect::None,
                Purposes::of(&[Purpose::Replace, Purpose::Retire]),
            ),
            Kind::KeyRing => (
                Effect::None,
                Purposes::of(&[
                    Purpose::Replace,
                    Purpose::Announce,
                    Purpose::Activate,
                    Purpose::Retire,
                    Purpose::Restore,
                ]),
            ),
        };
        StrategyFacts {
            effect,
            purposes,
            needs_operator: self == Kind::Assisted,
        }
    }

    pub fn how(self) -> How {
        How {
            at_target: matches!(self, Kind::Alternating | Kind::Dual),
            new_version: self.facts().effect == Effect::None,
            by_operator: matches!(self, Kind::Assisted | Kind::KeyRing),
        }
    }

    pub fn has_target(self) -> bool {
        self.facts().effect != Effect::None
    }

    pub fn lead_ms(self) -> u64 {
        match self {
            Kind::Announced | Kind::KeyRing => LEAD_MS,
            _ => 0,
        }
    }
}

pub const LEAD_MS: u64 = 300_000;
