//! Which members of a secret a plugin owns: those that its own secret schema names under
//! `properties`. A plugin that names none owns the whole value.

use std::collections::BTreeSet;

use crate::outcome::Descriptor;
use crate::plugin::Plugin;

/// The members that a plugin may change; None if its schema names none.
pub(crate) fn owned(descriptor: &Descriptor) -> Option<BTreeSet<&str>> {
    let properties = descriptor.secret_schema.get("properties")?.as_object()?;
    Some(properties.keys().map(String::as_str).collect())
}

/// A member that both plugins own and that may be secret, so that they cannot serve one secret: either
/// could overwrite the other's credential. Dates and the like, which both manifests call public, are
/// nobody's credential.
pub(crate) fn contested(one: &Plugin, other: &Plugin) -> Option<String> {
    let (ours, theirs) = (owned(one.descriptor())?, owned(other.descriptor())?);
    let public = |plugin: &Plugin, member: &str| {
        let pointer = format!("/{}", member.replace('~', "~0").replace('/', "~1"));
        plugin.manifest().secret.public.contains(&pointer)
    };
    let contested = |member: &&&str| !(public(one, member) && public(other, member));
    let member = ours.intersection(&theirs).find(contested)?;
    Some(crate::text::line(member, 64))
}
