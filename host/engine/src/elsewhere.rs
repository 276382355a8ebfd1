//! What keeps a run from beginning because it is somebody else's: another credential's, another secret's, another
//! strategy's. Each says which command comes first.

use keyturn_protocol::{Reason, VersionId};

use crate::{credential::Credential, moved, problem::Problem};

/// What is somebody else's to do first, or at all.
pub(crate) enum Elsewhere {
    /// A version that another credential's rotation has to finish, and that credential.
    Unfinished(VersionId, String),
    /// A version that may have reached the target by another strategy of the credential, and that strategy.
    Begun(VersionId, String),
    /// The credential itself, and who rotates it.
    Owned(String),
    /// A version that waits for its end, and who else's AWSCURRENT holds its credential.
    StillRead(VersionId, String),
}

impl Elsewhere {
    /// Why the run is refused, with the kind and the words of its problem.
    pub(crate) fn refusal(self, credential: &Credential) -> (Reason, &'static str, String) {
        let secret = &credential.secret;
        match self {
            Self::Unfinished(version, maker) => {
                let renamed = match credential.is_configured(&maker) {
                    true => "",
                    false => "give its table that name again and ",
                };
                let cause = format!(
                    "another credential of this secret, #{maker}, is not finished with it; {renamed}run `keyturn rotate \
                     {secret}#{maker}` or `keyturn retire {secret}#{maker}` first"
                );
                (Reason::Unfinished(version), Problem::ELSEWHERE, cause)
            }
            // What the one has changed at the target, the other one would leave there.
            Self::Begun(version, strategy) => {
                let name = credential.display_name();
                let cause = format!(
                    "it was begun with the strategy {strategy}; set strategy = \"{strategy}\" again and run `keyturn rotate \
                     {name}` first; change the strategy when that is done"
                );
                (Reason::Unfinished(version), Problem::ELSEWHERE, cause)
            }
            Self::Owned(owner) => {
                let cause = moved::problem(credential, &owner);
                (Reason::OwnedElsewhere, moved::OWNED, cause)
            }
            Self::StillRead(version, holder) => {
                let cause = moved::in_use(credential, &holder);
                (Reason::StillRead(version), moved::OWNED, cause)
            }
        }
    }
}
