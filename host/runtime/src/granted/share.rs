//! A credential's share of a value that several credentials have in common, so that it can move to a secret of its own.
//! Every member keeps its text.

use secrecy::{ExposeSecret, SecretString};

use super::GrantedPlugin;
use crate::members::{Member, members, text_of};

/// A value in two: what one credential owns of it, and all the rest.
pub struct Share {
    /// The names of what it owns.
    pub names: Vec<String>,
    pub own: SecretString,
    pub rest: SecretString,
}

impl GrantedPlugin {
    /// None if the value is no JSON object, or if the plugin's schema does not say what it owns.
    pub fn share(&self, value: &SecretString) -> Option<Share> {
        let owned = self.owned()?;
        let members = members(value.expose_secret())?;
        let is_own = |member: &&Member<'_>| owned.contains(member.name.as_str());
        let own = || members.iter().filter(is_own);
        let rest = members.iter().filter(|member| !is_own(member));
        Some(Share {
            names: own()
                .map(|member| crate::text::line(&member.name, 64))
                .collect(),
            own: text_of(own()).into(),
            rest: text_of(rest).into(),
        })
    }
}
