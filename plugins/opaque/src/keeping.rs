//! The two strategies that keep older keys, by what becomes of one when another takes its place.

use keyturn_sdk::{Context, Error, Purpose, Retirement, Strategy, TargetEffect};

const OVERLAP: &str = "overlap";
const KEY_RING: &str = "key-ring";

/// What becomes of a key when another one takes its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// It stays in `previous` until the grace is over.
    Previous,
    /// It stays in `ring` until the operator declares that nothing is encrypted with it any more.
    Ring,
}

impl Keeping {
    /// That of the call's strategy.
    ///
    /// # Errors
    /// `unsupported` for one that the plugin does not have.
    pub(crate) fn of(ctx: &Context) -> Result<Self, Error> {
        match ctx.strategy.as_str() {
            OVERLAP => Ok(Self::Previous),
            KEY_RING => Ok(Self::Ring),
            _ => Err(Error::unsupported(
                "the plugin has the strategies overlap, key-ring and text",
            )),
        }
    }

    /// How what was kept comes to its end.
    pub(crate) fn end(self) -> Retirement {
        match self {
            Self::Previous => Retirement::NEW_VERSION,
            Self::Ring => Retirement::NEW_VERSION | Retirement::BY_OPERATOR,
        }
    }
}

/// What `describe` says about them.
pub(crate) fn strategies() -> Vec<Strategy> {
    let strategy = |name: &str, summary: &str| Strategy {
        name: name.to_owned(),
        effect: TargetEffect::None,
        purposes: vec![
            Purpose::Replace,
            Purpose::Announce,
            Purpose::Activate,
            Purpose::Retire,
            Purpose::Restore,
        ],
        needs_operator: false,
        summary: summary.to_owned(),
    };
    vec![
        strategy(
            OVERLAP,
            "The new and the previous value are both accepted until the grace ends",
        ),
        strategy(
            KEY_RING,
            "The newest key encrypts; older ones stay until you declare that nothing is encrypted with them",
        ),
    ]
}
