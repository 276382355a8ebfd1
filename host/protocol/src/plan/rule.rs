//! The names of the plan's rules. A name says why a command was chosen: it goes into logs, and the
//! tests demand that every rule decides somewhere.

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Why the plan chose a command.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Rule {
            /// Every rule, in the order of the phases.
            pub const ALL: &[Rule] = &[$(Rule::$name,)+];

            /// The rule's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Rule::$name => stringify!($name),)+
                }
            }
        }
    };
}

rules! {
    /// No version is current, or it has no value.
    NothingIsCurrent,
    /// Rotation is switched off.
    RotationIsOff,
    /// The invocation's token names no version.
    TokenIsUnknown,
    /// `AWSPENDING` is not on the invocation's token.
    TokenIsNotPending,
    /// The invocation's candidate was made from a version that is no longer current.
    CandidateWasAbandoned,
    /// The target rejected the value, and no other may be tried.
    ValueWasRejected,
    /// `AWSPENDING` belongs to somebody else.
    PendingIsForeign,
    /// The operator asked to free an empty `AWSPENDING`.
    UnstickEmptyPending,
    /// Without a candidate, `testSecret` tries the configuration.
    TryConfiguration,
    /// It works.
    ConfigurationWorks,
    /// The current version does not open the door.
    ConfigurationFails,
    /// `KEYTURN_BASE` is not on the current version, so nothing can be promoted by it.
    BaseIsSpent,
    /// A version is about to retire that is current and has no successor in the making.
    CurrentNeverRetires,
    /// What was about to retire is what the current version holds again.
    RetiringIsInUse,
    /// The same, and what was in use meanwhile retires instead.
    AnotherWasInUse,
    /// The version in doubt is current.
    DoubtEndsByPromotion,
    /// The staged version is current.
    StageIsSpent,
    /// The pending version is current.
    PendingIsSpent,
    /// The goal's version is current.
    Promoted,
    /// The invocation's token is current.
    TokenIsCurrent,
    /// A step came before the one that it needs.
    StepIsOutOfOrder,
    /// `retire` and `extend` wait for an unfinished rotation.
    RotationIsUnfinished,
    /// A version is in doubt under a strategy that has no target.
    DoubtHasNoTarget,
    /// Identity is compared before any login with a version.
    IdentityBeforeLogin,
    /// A version of another place: no login is tried with it.
    IdentityDiffers,
    /// In doubt, of another place, and never applied there: give it up.
    DoubtNeverApplied,
    /// Of another place, or of a form that cannot be asked about, and the operator vouches that it opens nothing.
    OperatorVouches,
    /// Probe the version in doubt and the current one.
    AskWhatIsLive,
    /// A verdict proves nothing; stop.
    LivenessIsUnknown,
    /// In doubt and dead, current live: the doubt is over.
    DoubtIsDead,
    /// In doubt and live, current live: kill it.
    DoubtIsSuperfluous,
    /// In doubt and live, current not: it becomes current.
    DoubtIsTheOnlyKey,
    /// In doubt and half live, current not whole either: apply it to the end, then promote it.
    DoubtIsCompleted,
    /// In doubt and dead, current half live: stop.
    CurrentIsHalfDead,
    /// Both dead: probe the previous one.
    AskPrevious,
    /// Only the previous one is live: it becomes current.
    PreviousIsTheOnlyKey,
    /// Nothing opens the door: stop.
    NothingOpens,
    /// A candidate that cannot be promoted any more loses its stage.
    AbandonCandidate,
    /// The predecessor is still in its grace.
    GraceIsNotOver,
    /// Its grace is over: kill it.
    GraceIsOver,
    /// It is proven dead: its label goes.
    RetiredIsDead,
    /// Ask whether it is dead, which only an operator can bring about.
    OperatorMayHaveActed,
    /// The plugin cannot ask about it, and AWSCURRENT is not known to work or the operator has not vouched for its end.
    RetiringIsUnaskable,
    /// The operator has not.
    OperatorHasNotActed,
    /// Only the operator's word about the current version ends it, and that was not given.
    OperatorHasNotDeclared,
    /// What was owed is done.
    Retired,
    /// Nothing is owed.
    NothingIsOwed,
    /// The strategy, or the version to restore, does not allow the round.
    StrategyCannot,
    /// The current value is tried before an operator is asked for another one.
    PreflightBeforeAsking,
    /// An announced key is used only when every verifier has it.
    VerifiersFetchFirst,
    /// The base is labelled before anything is made from it.
    BaseBeforeCreate,
    /// Each value has its own id.
    OneTokenOneValue,
    /// A value is stored before it is used.
    StoreBeforeUse,
    /// A version is in doubt before it is first applied.
    DoubtBeforeSet,
    /// Apply the candidate.
    SetCandidate,
    /// Only a tested version is promoted.
    TestBeforePromotion,
    /// What becomes of the old value is written down before promotion.
    ObligationBeforePromotion,
    /// What has to be proven dead is labelled before promotion.
    RetiringBeforePromotion,
    /// Promote.
    PromoteTested,
    /// The invocation's step is done.
    StepIsDone,
}
