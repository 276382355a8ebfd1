//! A credential that was split off its secret stands in two secrets for a while, and one of them rotates it: two that did
//! would end each other's values. Who that is stands in the notes of the other one, which refuses every run of it.

use crate::{credential::Credential, notes::Notes, problem::Problem};

/// Who rotates the credential, if this secret does not.
pub(crate) fn owner(notes: &Notes, credential: &Credential) -> Option<String> {
    let mut moved = notes.moved.iter();
    let found = moved.find(|(member, _)| credential.plugin.owns(member));
    found.map(|(_, owner)| owner.clone())
}

/// Who it is, and the commands that lead out of it.
pub(crate) fn problem(credential: &Credential, owner: &str) -> Problem {
    let secret = &credential.secret;
    let message = if owner.contains('#') {
        // Back where it was: this is the secret that it was split into.
        format!(
            "rotate {owner}, which rotates it since the split was undone; `keyturn secret split {owner} --to {secret}` \
             hands it over to {secret} again"
        )
    } else {
        let part = match credential.name.as_str() {
            "" => "CREDENTIAL",
            name => name,
        };
        let split = format!("keyturn secret split {secret}#{part} --to {owner}");
        format!(
            "rotate {owner}, into which it was split; `{split}` says what is left to do, with --remove it takes the \
             members out of {secret}, with --undo {secret} rotates them again"
        )
    };
    Problem {
        kind: "owned-elsewhere".to_owned(),
        applied: "no".to_owned(),
        code: None,
        message,
        details: Vec::new(),
    }
}
