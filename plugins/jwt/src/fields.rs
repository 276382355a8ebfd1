//! The members of the secret that this plugin owns: a pair of keys that sign (access and refresh),
//! a second pair that is only verified (the last one, or the next one while it is announced), and
//! the dates. Other members are never touched.

use keyturn_sdk::{Error, Members, SecretText, timestamp};
use serde_json::{Value, json};

use crate::algorithm::{Algorithm, Key};
use crate::expiry;

pub(crate) const ROTATION_TIMESTAMP: &str = "rotation_timestamp";
pub(crate) const ROTATION_COMPLETE_AT: &str = "rotation_complete_at";
/// Ours: says that the previous_* members hold the next keys, not the last ones.
pub(crate) const ANNOUNCED_AT: &str = "announced_at";
const ALGORITHM: &str = "algorithm";
/// Ours, and there only where it differs: the algorithm of the previous_* members.
const PREVIOUS_ALGORITHM: &str = "previous_algorithm";
const ACCESS_EXPIRY: &str = "access_token_expiry";
const REFRESH_EXPIRY: &str = "refresh_token_expiry";
const KID: &str = "kid";
const REFRESH_KID: &str = "refresh_kid";
const JWKS: &str = "jwks";

/// The lifetimes of tokens whose secret names none.
const ACCESS_SECONDS_DEFAULT: u64 = 900;
const REFRESH_SECONDS_DEFAULT: u64 = 604_800;

const SIGNING: Names = Names {
    access: "secret",
    refresh: "refresh_secret",
};
const PREVIOUS: Names = Names {
    access: "previous_secret",
    refresh: "previous_refresh_secret",
};

struct Names {
    access: &'static str,
    refresh: &'static str,
}

/// An access key and, where the secret has one, a refresh key of the same algorithm.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) algorithm: Algorithm,
    pub(crate) access: SecretText,
    pub(crate) refresh: Option<SecretText>,
}

impl Pair {
    /// New keys in the shape of this pair.
    ///
    /// # Errors
    /// As [`Algorithm::generate`].
    pub(crate) fn successor(&self, algorithm: Algorithm) -> Result<Self, Error> {
        Ok(Self {
            algorithm,
            access: algorithm.generate()?,
            refresh: self
                .refresh
                .as_ref()
                .map(|_| algorithm.generate())
                .transpose()?,
        })
    }

    /// Are these the same keys?
    pub(crate) fn equals(&self, other: &Self) -> bool {
        let refresh = |pair: &Self| pair.refresh.as_ref().map(|key| key.expose().to_owned());
        self.algorithm == other.algorithm
            && self.access.expose() == other.access.expose()
            && refresh(self) == refresh(other)
    }

    fn keys(&self, names: &Names) -> Result<Vec<Key>, Error> {
        let access = self.algorithm.read(names.access, &self.access)?;
        let refresh = self
            .refresh
            .as_ref()
            .map(|key| self.algorithm.read(names.refresh, key))
            .transpose()?;
        Ok([access].into_iter().chain(refresh).collect())
    }
}

/// A secret's members with the owned ones read.
pub(crate) struct Fields {
    pub(crate) members: Members,
    pub(crate) signing: Pair,
    pub(crate) previous: Option<Pair>,
}

impl Fields {
    /// Reads a secret's text. The keys themselves are read by those who use them, so that a weak
    /// key can still be replaced.
    ///
    /// # Errors
    /// `invalid-secret` if an owned member is missing or of another type, `unsupported` for another
    /// algorithm.
    pub(crate) fn parse(value: &SecretText) -> Result<Self, Error> {
        let members = Members::parse(value.expose())?;
        let algorithm = read_algorithm(&members, ALGORITHM)?.unwrap_or(Algorithm::Hs256);
        let previous_algorithm = read_algorithm(&members, PREVIOUS_ALGORITHM)?.unwrap_or(algorithm);
        let signing = read_pair(&members, &SIGNING, algorithm)?.ok_or_else(|| {
            Error::invalid_secret("the member `secret` of the secret is missing; add it")
        })?;
        let previous = read_pair(&members, &PREVIOUS, previous_algorithm)?;
        Ok(Self {
            members,
            signing,
            previous,
        })
    }

    /// The keys that sign: access, then refresh.
    ///
    /// # Errors
    /// As [`Algorithm::read`].
    pub(crate) fn signing_keys(&self) -> Result<Vec<Key>, Error> {
        self.signing.keys(&SIGNING)
    }

    /// The keys that are only verified: access, then refresh.
    ///
    /// # Errors
    /// As [`Algorithm::read`].
    pub(crate) fn previous_keys(&self) -> Result<Vec<Key>, Error> {
        self.previous
            .as_ref()
            .map_or(Ok(Vec::new()), |pair| pair.keys(&PREVIOUS))
    }

    /// Do the previous_* members hold the next keys?
    pub(crate) fn is_announced(&self) -> bool {
        self.members.contains(ANNOUNCED_AT)
    }

    /// How long the longest-lived token lives.
    ///
    /// # Errors
    /// `invalid-secret` if a lifetime is none.
    pub(crate) fn token_seconds_max(&self) -> Result<u64, Error> {
        let access = expiry::read(&self.members, ACCESS_EXPIRY)?.unwrap_or(ACCESS_SECONDS_DEFAULT);
        let refresh = match expiry::read(&self.members, REFRESH_EXPIRY)? {
            Some(seconds) => seconds,
            None if self.signing.refresh.is_some() => REFRESH_SECONDS_DEFAULT,
            None => 0,
        };
        Ok(access.max(refresh))
    }

    /// A timestamp among the owned members.
    ///
    /// # Errors
    /// `invalid-secret` if it is there and is none.
    pub(crate) fn time(&self, member: &str) -> Result<Option<u64>, Error> {
        match self.members.get::<String>(member)? {
            Some(text) => timestamp::parse(member, &text).map(Some),
            None => Ok(None),
        }
    }

    /// Writes the pairs and what follows from them: algorithms, `kid`s and JWKS.
    ///
    /// # Errors
    /// As [`Algorithm::read`].
    pub(crate) fn write_keys(&mut self) -> Result<(), Error> {
        write_pair(&mut self.members, &SIGNING, Some(&self.signing))?;
        self.members.set(ALGORITHM, self.signing.algorithm.name())?;
        write_pair(&mut self.members, &PREVIOUS, self.previous.as_ref())?;
        match &self.previous {
            Some(previous) if previous.algorithm != self.signing.algorithm => {
                self.members
                    .set(PREVIOUS_ALGORITHM, previous.algorithm.name())?;
            }
            _ => {
                self.members.remove(PREVIOUS_ALGORITHM);
            }
        }
        self.write_public_keys()
    }

    /// Does the secret publish exactly the public halves of its keys?
    ///
    /// # Errors
    /// `rejected` if it does not.
    pub(crate) fn check_public_keys(&self) -> Result<(), Error> {
        let jwks = self.public_jwks()?;
        if jwks.is_empty() {
            return Ok(());
        }
        let kids: Vec<Option<String>> = self.signing_keys()?.iter().map(Key::kid).collect();
        let mut stored_kids = vec![
            self.members.get::<String>(KID)?,
            self.members.get::<String>(REFRESH_KID)?,
        ];
        stored_kids.truncate(kids.len());
        if self.members.get::<Value>(JWKS)? == Some(json!({ "keys": jwks })) && stored_kids == kids
        {
            return Ok(());
        }
        Err(Error::rejected(
            "`jwks` and `kid` are not those of the keys in the secret; rotate to renew them",
        ))
    }

    fn write_public_keys(&mut self) -> Result<(), Error> {
        let jwks = self.public_jwks()?;
        if jwks.is_empty() {
            // A secret that never had public keys may have a `kid` of the operator's own.
            if self.members.remove(JWKS) {
                self.members.remove(KID);
                self.members.remove(REFRESH_KID);
            }
            return Ok(());
        }
        self.members.set(JWKS, &json!({ "keys": jwks }))?;
        let kids: Vec<Option<String>> = self.signing_keys()?.iter().map(Key::kid).collect();
        for (name, kid) in [KID, REFRESH_KID]
            .into_iter()
            .zip(kids.into_iter().chain([None]))
        {
            match kid {
                Some(kid) => self.members.set(name, &kid)?,
                None => {
                    self.members.remove(name);
                }
            }
        }
        Ok(())
    }

    fn public_jwks(&self) -> Result<Vec<Value>, Error> {
        let keys = self
            .signing_keys()?
            .into_iter()
            .chain(self.previous_keys()?);
        Ok(keys.filter_map(|key| key.public_jwk()).collect())
    }
}

fn read_algorithm(members: &Members, member: &str) -> Result<Option<Algorithm>, Error> {
    let Some(name) = members.get::<String>(member)? else {
        return Ok(None);
    };
    Algorithm::from_name(&name).map(Some).ok_or_else(|| {
        Error::unsupported(format!(
            "the member `{member}` of the secret names an algorithm that is not supported; use HS256, HS384, HS512, \
             EdDSA or ES256"
        ))
    })
}

fn read_pair(
    members: &Members,
    names: &Names,
    algorithm: Algorithm,
) -> Result<Option<Pair>, Error> {
    // Rotations by hand leave empty texts where there is no previous key.
    let text = |name| {
        Ok::<_, Error>(
            members
                .get::<String>(name)?
                .filter(|text| !text.is_empty())
                .map(SecretText::from),
        )
    };
    let refresh = text(names.refresh)?;
    Ok(text(names.access)?.map(|access| Pair {
        algorithm,
        access,
        refresh,
    }))
}

fn write_pair(members: &mut Members, names: &Names, pair: Option<&Pair>) -> Result<(), Error> {
    let keys = [
        (names.access, pair.map(|pair| &pair.access)),
        (names.refresh, pair.and_then(|pair| pair.refresh.as_ref())),
    ];
    for (name, key) in keys {
        match key {
            Some(key) => members.set(name, key.expose())?,
            None => {
                members.remove(name);
            }
        }
    }
    Ok(())
}
