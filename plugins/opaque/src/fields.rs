//! The members of the secret that this plugin owns: the key in use and the others, each an object of its own whose
//! further members stay with it. Other credentials may stand beside them; their text is never touched.

use keyturn_sdk::{Error, Members, SecretText, timestamp};

use crate::keeping::Keeping;

const CURRENT: &str = "current";
const PREVIOUS: &str = "previous";
const RING: &str = "ring";
const ID: &str = "id";
const VALUE: &str = "value";
const CREATED_AT: &str = "created_at";
/// Says that a key is the next one and not an older one.
const ANNOUNCED_AT: &str = "announced_at";
pub(crate) const ROTATION_TIMESTAMP: &str = "rotation_timestamp";
pub(crate) const NEXT_ROTATION: &str = "next_rotation";

/// A secret's members with the keys read.
pub(crate) struct Fields {
    keeping: Keeping,
    pub(crate) members: Members,
    pub(crate) current: Key,
    /// The previous one, or those of the ring; among them the next one while it is announced.
    pub(crate) others: Vec<Key>,
}

/// One key: its object, and its id where it is one of a ring.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: Option<String>,
    object: Members,
    value: SecretText,
}

impl Fields {
    /// Reads a secret's text.
    ///
    /// # Errors
    /// `invalid-secret` if an owned member is missing, is not of its type, or is another strategy's.
    pub(crate) fn parse(keeping: Keeping, value: &SecretText) -> Result<Self, Error> {
        let members = Members::parse(value.expose())?;
        let current = members.get_members(CURRENT)?;
        let mut current = Key::read(CURRENT, current.unwrap_or_default())?;
        // Copied from an announcement by hand, it would pass for the next one as soon as it is an older one.
        current.object.remove(ANNOUNCED_AT);
        let previous = members.get_members(PREVIOUS)?.unwrap_or_default();
        // An empty one is what a first value is often given.
        let has_previous = previous
            .get::<String>(VALUE)?
            .is_some_and(|text| !text.is_empty());
        let ring = members.get_members(RING)?.unwrap_or_default();
        let mut others = Vec::new();
        match keeping {
            Keeping::Previous if ring.names().next().is_some() => {
                return Err(Error::invalid_secret(
                    "the secret holds older keys in `ring`, which the strategy overlap would forget; use key-ring",
                ));
            }
            Keeping::Previous if has_previous => others.push(Key::read(PREVIOUS, previous)?),
            Keeping::Previous => {}
            Keeping::Ring if has_previous => {
                return Err(Error::invalid_secret(
                    "the secret has a member `previous`, which no key ring has; move it into `ring` under its id, or \
                     retire it by the strategy overlap",
                ));
            }
            Keeping::Ring => {
                current.take_id()?;
                for id in ring.names() {
                    let object = ring.get_members(id)?.unwrap_or_default();
                    let mut key = Key::read("a key of `ring`", object)?;
                    key.id = Some(id.to_owned());
                    if key.id == current.id {
                        return Err(Error::invalid_secret(
                            "the key in `current` stands in `ring` as well; take it out there",
                        ));
                    }
                    others.push(key);
                }
            }
        }
        Ok(Self {
            keeping,
            members,
            current,
            others,
        })
    }

    /// The secret's whole text with the keys as they are now.
    ///
    /// # Errors
    /// `internal` if a key has no JSON form.
    pub(crate) fn write(mut self) -> Result<SecretText, Error> {
        let mut current = self.current.object;
        if let Some(id) = &self.current.id {
            current.set(ID, id)?;
        }
        self.members.set_members(CURRENT, &current)?;
        let mut ring = Members::new();
        let mut previous = None;
        for key in self.others {
            match key.id {
                Some(id) => ring.set_members(&id, &key.object)?,
                None => previous = Some(key.object),
            }
        }
        match previous {
            Some(previous) => self.members.set_members(PREVIOUS, &previous)?,
            None => drop(self.members.remove(PREVIOUS)),
        }
        if ring.names().next().is_some() {
            self.members.set_members(RING, &ring)?;
        } else {
            self.members.remove(RING);
        }
        Ok(self.members.to_secret())
    }

    pub(crate) fn keeping(&self) -> Keeping {
        self.keeping
    }

    /// The keys that were in use before.
    pub(crate) fn older(&self) -> impl Iterator<Item = &Key> {
        self.others.iter().filter(|key| !key.is_announced())
    }

    /// Takes the next key out, if one is announced.
    pub(crate) fn take_announced(&mut self) -> Option<Key> {
        let announced = self.others.iter().position(Key::is_announced)?;
        let mut key = self.others.remove(announced);
        key.object.remove(ANNOUNCED_AT);
        Some(key)
    }

    /// What was announced counts as an older key from now on.
    pub(crate) fn settle_announced(&mut self) {
        for key in &mut self.others {
            key.object.remove(ANNOUNCED_AT);
        }
    }

    /// Does whoever reads this secret accept, or decrypt with, that key?
    pub(crate) fn accepts(&self, key: &Key) -> bool {
        self.current.is(key) || self.others.iter().any(|other| other.is(key))
    }

    /// A timestamp among the owned members.
    ///
    /// # Errors
    /// `invalid-secret` if it is there and is none.
    pub(crate) fn time(&self, member: &str) -> Result<Option<u64>, Error> {
        time(&self.members, member)
    }

    /// When the key in use came into use, as far as the secret says.
    ///
    /// # Errors
    /// `invalid-secret` if that is no time.
    pub(crate) fn in_use_since(&self) -> Result<Option<u64>, Error> {
        match self.time(ROTATION_TIMESTAMP)? {
            Some(since) => Ok(Some(since)),
            None => time(&self.current.object, CREATED_AT),
        }
    }
}

impl Key {
    /// A key that is made now.
    ///
    /// # Errors
    /// `internal` if it has no JSON form.
    pub(crate) fn new(id: Option<String>, value: SecretText, now: u64) -> Result<Self, Error> {
        let mut object = Members::new();
        object.set(VALUE, value.expose())?;
        object.set(CREATED_AT, &timestamp::format(now))?;
        Ok(Self { id, object, value })
    }

    fn read(place: &str, object: Members) -> Result<Self, Error> {
        let value = object.get_secret(VALUE)?;
        let value = value.filter(|value| !value.expose().is_empty());
        let value = value
            .ok_or_else(|| Error::invalid_secret(format!("{place} has no `value`; store one")))?;
        let id = None;
        Ok(Self { id, object, value })
    }

    fn take_id(&mut self) -> Result<(), Error> {
        let id = self.object.get::<String>(ID)?.filter(|id| !id.is_empty());
        self.id = Some(id.ok_or_else(|| {
            Error::invalid_secret(
                "current has no `id`; give the key the one by which encrypted data names it, or any",
            )
        })?);
        self.object.remove(ID);
        Ok(())
    }

    /// Publishes it before it is used.
    ///
    /// # Errors
    /// `internal` if the time has no JSON form.
    pub(crate) fn announce(&mut self, now: u64) -> Result<(), Error> {
        self.object.set(ANNOUNCED_AT, &timestamp::format(now))
    }

    pub(crate) fn is_announced(&self) -> bool {
        let announced = self.object.raw(ANNOUNCED_AT);
        announced.is_some_and(|time| time != "null")
    }

    /// The same key; no constant time, because this runs where both are known.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.id == other.id && self.value.expose() == other.value.expose()
    }
}

fn time(members: &Members, member: &str) -> Result<Option<u64>, Error> {
    match members.get::<String>(member)? {
        Some(text) => timestamp::parse(member, &text).map(Some),
        None => Ok(None),
    }
}
