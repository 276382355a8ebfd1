//! `create`: asks the operator for the new value, and makes the next version of the answer. It reaches nobody; every
//! member that is not the credential's keeps its text.

use keyturn_sdk::{
    Context, CreateRequest, Created, Error, InputRequest, Prompt, Purpose, SecretText, Version,
};

use crate::holding::{self, Belongs, Holding};
use crate::profile::{Vendor, previous};

/// An operator has a week.
const EXPIRES_AFTER_SECONDS: u64 = 7 * 86_400;

pub(crate) fn create(ctx: &Context, request: &CreateRequest) -> Result<Created, Error> {
    let vendor = Vendor::of(ctx)?;
    let current = Holding::read(&vendor, &ctx.current, "AWSCURRENT")?;
    match request.purpose {
        Purpose::Replace if request.inputs.is_empty() => {
            // What is missing besides is said before anybody makes a key that is shown once.
            current.owner(&vendor, "AWSCURRENT")?;
            Ok(Created::NeedsInput(questions(&vendor)))
        }
        Purpose::Replace => {
            let answers = answers(&vendor, request)?;
            replace(&vendor, current, answers, request)
        }
        Purpose::Restore => {
            let version = request.version_to_restore()?;
            let earlier = Holding::read(&vendor, version, "the version to restore")?;
            let texts = earlier.held.into_iter().map(|held| held.text).collect();
            replace(&vendor, current, texts, request)
        }
        Purpose::Retire => {
            let mut next = current.members;
            for held in &current.held {
                next.remove(&previous(&held.member));
            }
            Ok(Created::Value(next.to_secret()))
        }
        Purpose::Announce | Purpose::Activate | Purpose::Extend => Err(Error::unsupported(
            "a vendor's key can be replaced, restored or retired; when the old one ends is decided at the vendor",
        )),
    }
}

/// One for each field; `None` keeps what AWSCURRENT has.
fn answers(vendor: &Vendor, request: &CreateRequest) -> Result<Vec<Option<SecretText>>, Error> {
    let answer = |name: &str| {
        let given = request.inputs.iter().find(|input| input.name == name);
        // Copied from a page, it may have a blank around it.
        let text = given.map(|input| input.value.expose().trim());
        text.filter(|text| !text.is_empty()).map(SecretText::from)
    };
    let answers = vendor.profile.fields.iter().map(|field| {
        let answer = answer(&field.member);
        match &answer {
            None if !field.optional => Err(Error::invalid_secret(format!(
                "the answer to \"{}\" is empty; nothing was stored",
                field.label
            ))),
            Some(text) => match field.format.parts(text.expose()) {
                Ok(_) => Ok(answer),
                Err(form) => Err(Error::invalid_secret(format!(
                    "the answer to \"{}\" is not {form}; nothing was stored",
                    field.label
                ))),
            },
            None => Ok(None),
        }
    });
    answers.collect()
}

fn replace(
    vendor: &Vendor,
    current: Holding,
    texts: Vec<Option<SecretText>>,
    request: &CreateRequest,
) -> Result<Created, Error> {
    // What can never be proven dead would never be taken out again.
    let keeps_old = vendor.profile.end.is_some()
        && request.overlap_seconds > 0
        && current.can_be_proven_dead(vendor);
    let mut next = current.members.clone();
    for (held, text) in current.held.iter().zip(texts) {
        let new = text.filter(|text| held.exposed() != Some(text.expose()));
        let previous = previous(&held.member);
        match held.exposed() {
            Some(old) if new.is_some() && keeps_old => next.set(&previous, old)?,
            // It would be the one before the last.
            _ => drop(next.remove(&previous)),
        }
        if let Some(new) = new {
            next.set(&held.member, new.expose())?;
        }
    }
    let made = Version {
        id: String::new(),
        value: next.to_secret(),
    };
    let new = Holding::read(vendor, &made, "the new value")?;
    if new.secret() == current.secret() {
        return Err(Error::invalid_secret(
            "this is what AWSCURRENT holds already; make a new one; nothing was stored",
        ));
    }
    new.must_be_whole(vendor, "the new value")
        .map_err(|error| Error::invalid_secret(format!("{}; nothing was stored", error.message)))?;
    if let Belongs::Apart(called) = holding::compare(vendor, &new, &current) {
        return Err(Error::invalid_secret(format!(
            "this is of another {called} than the one that the secret is for; nothing was stored"
        )));
    }
    Ok(Created::Value(made.value))
}

fn questions(vendor: &Vendor) -> InputRequest {
    let profile = &vendor.profile;
    let prompts = profile.fields.iter().map(|field| Prompt {
        name: field.member.clone(),
        label: field.label.clone(),
        sensitive: field.sensitive,
        multiline: field.multiline,
        pattern: field.format.pattern(),
        example: field.example.clone(),
    });
    InputRequest {
        title: profile.make.title.clone(),
        link: Some(profile.make.link.clone()),
        checklist: profile.make.checklist.clone(),
        prompts: prompts.collect(),
        expires_after_seconds: EXPIRES_AFTER_SECONDS,
    }
}
