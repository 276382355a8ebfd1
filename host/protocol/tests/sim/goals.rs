//! What the drivers of the scenarios are asked to reach.

use keyturn_protocol::*;

use super::kind::Kind;
use super::world::World;

pub fn rotate(kind: Kind) -> Goal {
    Goal::Rotate {
        now: false,
        lead_ms: kind.lead_ms(),
        unstick: false,
        anew: false,
    }
}

pub fn retire(now: bool) -> Goal {
    Goal::Retire {
        now,
        vouched: false,
        declared: None,
    }
}

/// The operator's word about what that version keeps, which does not hurry anything.
pub fn declare(version: &VersionId) -> Goal {
    Goal::Retire {
        now: false,
        vouched: false,
        declared: Some(version.clone()),
    }
}

/// Every goal that makes sense in that world.
pub fn goals(world: &World) -> Vec<Goal> {
    let kind = world.kind;
    let lead_ms = kind.lead_ms();
    let mut goals = vec![
        rotate(kind),
        Goal::Rotate {
            now: true,
            lead_ms,
            unstick: false,
            anew: false,
        },
    ];
    if world.holder(Label::Previous).is_some() {
        if kind == Kind::KeyRing {
            goals.push(declare(world.current()));
        } else {
            goals.extend([retire(false), retire(true)]);
        }
        let supports = |purpose| kind.facts().purposes.contains(purpose);
        if supports(Purpose::Extend) {
            goals.push(Goal::Extend);
        }
        if supports(Purpose::Restore) && kind != Kind::Alternating {
            goals.push(Goal::Restore {
                version: VersionId::new("first"),
                now: true,
            });
        }
    }
    goals
}
