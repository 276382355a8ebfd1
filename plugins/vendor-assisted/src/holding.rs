//! What a stored value holds of the credential: the profile's fields under the names that this value uses,
//! whose secret it is, and the parts that tell where a secret belongs.

use keyturn_sdk::{Error, Members, SecretText, Version};

use crate::profile::{Field, Vendor};
use crate::sign;
use crate::values::Values;

pub(crate) struct Holding {
    pub(crate) members: Members,
    /// One for each of the profile's fields.
    pub(crate) held: Vec<Held>,
}

pub(crate) struct Held {
    /// The member's name here: an old one is kept where it is.
    pub(crate) member: String,
    pub(crate) text: Option<SecretText>,
}

impl Held {
    pub(crate) fn exposed(&self) -> Option<&str> {
        self.text.as_ref().map(SecretText::expose)
    }
}

impl Holding {
    /// `whose` names the version in errors: "AWSCURRENT", "the candidate". Whether the texts have their forms is not
    /// looked at.
    pub(crate) fn read(vendor: &Vendor, version: &Version, whose: &str) -> Result<Self, Error> {
        let named = |error: Error| error.context(whose);
        let members = Members::parse(version.value.expose()).map_err(named)?;
        let held = vendor.profile.fields.iter().map(|field| {
            let names = || std::iter::once(&field.member).chain(&field.aliases);
            let member = names().find(|name| members.contains(name));
            let member = member.unwrap_or(&field.member).clone();
            let text = members.get_secret(&member).map_err(named)?;
            Ok(Held { member, text })
        });
        let held = held.collect::<Result<Vec<_>, Error>>()?;
        Ok(Self { members, held })
    }

    /// The secret itself.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.held.first()?.exposed()
    }

    /// Whether the vendor can say of the secret that it is dead.
    pub(crate) fn can_be_proven_dead(&self, vendor: &Vendor) -> bool {
        let is_whole = || self.must_be_whole(vendor, "the old value").is_ok();
        self.is_switched_off(vendor) || vendor.profile.check.is_some() && is_whole()
    }

    /// What has not its form, or is a key whose parts do not fit each other, can never be asked about.
    pub(crate) fn must_be_whole(&self, vendor: &Vendor, whose: &str) -> Result<(), Error> {
        let values = self.values(vendor, whose)?;
        if let Some(sign) = &vendor.profile.sign {
            sign::assertion(sign, &values, false)?;
        }
        Ok(())
    }

    /// Of a form that the vendor has ended for good.
    pub(crate) fn is_switched_off(&self, vendor: &Vendor) -> bool {
        let field = vendor.profile.fields.first();
        let form = field.and_then(|field| field.switched_off.as_ref());
        let fits = form.zip(self.secret()).map(|(form, text)| form.fits(text));
        fits.unwrap_or_default()
    }

    /// Everything that requests are filled with.
    pub(crate) fn values(&self, vendor: &Vendor, whose: &str) -> Result<Values, Error> {
        let mut values = Values::default();
        for (field, held) in vendor.profile.fields.iter().zip(&self.held) {
            let Some(text) = held.exposed() else {
                return Err(Error::invalid_secret(format!(
                    "{whose} has no member `{}`",
                    held.member
                )));
            };
            add(&mut values, field, text).map_err(|form| {
                Error::invalid_secret(format!("`{}` of {whose} is not {form}", held.member))
            })?;
        }
        for name in vendor.profile.settings.keys() {
            if let Some(text) = vendor.setting(name) {
                values.add(name, text.to_owned());
            }
        }
        for (member, text) in self.owner(vendor, whose)? {
            values.add(member, text);
        }
        Ok(values)
    }

    /// Whose secret it is, by name. That stands in the value and in no setting: asked about under the name that a setting
    /// has now, a secret of the name before would look dead.
    pub(crate) fn owner<'a>(
        &self,
        vendor: &'a Vendor,
        whose: &str,
    ) -> Result<Vec<(&'a str, String)>, Error> {
        let owner = vendor.profile.reads.iter().map(|member| {
            let text: Option<String> = self.members.get(member)?;
            let text = text.filter(|text| !text.is_empty()).ok_or_else(|| {
                Error::invalid_secret(format!(
                    "{whose} has no member `{member}`, which says whose it is at {}; `keyturn secret put` adds it to \
                     AWSCURRENT, and to no older version",
                    vendor.profile.vendor
                ))
            })?;
            Ok((member.as_str(), text))
        });
        owner.collect()
    }

    /// A part that says where the secret belongs, if it can be read.
    pub(crate) fn part(&self, vendor: &Vendor, part: &str) -> Option<String> {
        let mut values = Values::default();
        for (field, held) in vendor.profile.fields.iter().zip(&self.held) {
            // What has another form, such as a key of a kind that is no more, tells nothing.
            let _ = add(&mut values, field, held.exposed().unwrap_or_default());
        }
        values.find(part).map(str::to_owned)
    }
}

fn add(values: &mut Values, field: &Field, text: &str) -> Result<(), String> {
    for (part, text) in field.format.parts(text)? {
        values.add(&format!("{}.{part}", field.member), text);
    }
    values.add(&field.member, text.to_owned());
    Ok(())
}

/// Where a new value and the one in use belong.
pub(crate) enum Belongs {
    /// To the same place.
    Together,
    /// These parts of AWSCURRENT cannot be read, and no setting says what they should be.
    Unknown(Vec<String>),
    /// This part differs.
    Apart(String),
}

pub(crate) fn compare(vendor: &Vendor, new: &Holding, current: &Holding) -> Belongs {
    let mut unknown = Vec::new();
    for same in &vendor.profile.same {
        let wanted = match vendor.setting(&same.setting) {
            Some(wanted) => Some(wanted.to_owned()),
            None => current.part(vendor, &same.part),
        };
        match wanted {
            None => unknown.push(same.called.clone()),
            Some(_) if new.part(vendor, &same.part) == wanted => {}
            Some(_) => return Belongs::Apart(same.called.clone()),
        }
    }
    if unknown.is_empty() {
        Belongs::Together
    } else {
        Belongs::Unknown(unknown)
    }
}
