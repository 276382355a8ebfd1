//! A credential's share of a value that several credentials have in common, so that it can move to a secret of its own.
//! Every member keeps its text. Some members, the public dates of a rotation, belong to several credentials at once:
//! they are copied, and stay for the others.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};

use super::GrantedPlugin;
use crate::members::{Member, members, text_of};
use crate::ownership::is_public;

const NAME_BYTES_MAX: usize = 64;

/// A value in two: what one credential owns of it, and all the rest.
pub struct Share {
    /// The names of what it owns alone.
    pub names: Vec<String>,
    /// Those of them that may be secret: whoever has the right to change these owns the credential.
    pub secrets: Vec<String>,
    /// All that it owns.
    pub own: SecretString,
    /// What it owns alone: no other credential changes that.
    pub alone: SecretString,
    /// All but what it owns alone.
    pub rest: SecretString,
}

impl GrantedPlugin {
    /// None if the value is no JSON object, or if the plugin's schema does not say what it owns.
    /// `beside`: the other credentials that the value holds.
    pub fn share(&self, value: &SecretString, beside: &[GrantedPlugin]) -> Option<Share> {
        let owned = self.owned()?;
        let others: BTreeSet<&str> = beside
            .iter()
            .filter_map(GrantedPlugin::owned)
            .flatten()
            .collect();
        let members = members(value.expose_secret())?;
        let is_own = |member: &&Member<'_>| owned.contains(member.name.as_str());
        let is_alone =
            |member: &&Member<'_>| is_own(member) && !others.contains(member.name.as_str());
        let alone = || members.iter().filter(is_alone);
        let rest = members.iter().filter(|member| !is_alone(member));
        let plugin = &self.inner.plugin;
        let may_be_secret = |member: &&Member<'_>| !is_public(plugin, &member.name);
        Some(Share {
            names: alone().map(|member| shown(&member.name)).collect(),
            secrets: alone()
                .filter(may_be_secret)
                .map(|member| shown(&member.name))
                .collect(),
            own: text_of(members.iter().filter(is_own)).into(),
            alone: text_of(alone()).into(),
            rest: text_of(rest).into(),
        })
    }

    /// Whether a member, as a [`Share`] names it, is the credential's. One whose plugin does not say what it owns owns all.
    pub fn owns(&self, name: &str) -> bool {
        let owned = self.owned();
        owned.is_none_or(|owned| owned.into_iter().any(|own| shown(own) == name))
    }
}

fn shown(name: &str) -> String {
    crate::text::line(name, NAME_BYTES_MAX)
}
