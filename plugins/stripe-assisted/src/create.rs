//! `create`: asks the operator for the new key, and makes the next value of the answer. It reaches nobody; every member
//! that this plugin does not own keeps its text.

use crate::fields::{self, PREVIOUS_SECRET_KEY, ROTATION_TIMESTAMP, SECRET_KEY};
use crate::key::{Key, Mode};
use keyturn_sdk::{
    Context, CreateRequest, Created, Error, InputRequest, Members, Prompt, Purpose, clock,
    timestamp,
};

/// An operator has a week.
const EXPIRES_AFTER_SECONDS: u64 = 7 * 86_400;

pub(crate) fn create(ctx: &Context, request: &CreateRequest) -> Result<Created, Error> {
    let current = fields::key(&ctx.current, "AWSCURRENT")?;
    let mut next = fields::members(&ctx.current, "AWSCURRENT")?;
    match request.purpose {
        Purpose::Replace => {
            let Some(answer) = request.inputs.iter().find(|input| input.name == SECRET_KEY) else {
                return Ok(Created::NeedsInput(questions(current.mode)));
            };
            // Copied from a page, it may have a blank around it.
            let key = Key::parse(answer.value.expose().trim().into(), "the new key")?;
            key.must_fit(ctx, &current)?;
            replace(&mut next, &current, &key, request)?;
        }
        Purpose::Restore => {
            let earlier = fields::key(request.version_to_restore()?, "the version to restore")?;
            earlier.must_fit(ctx, &current)?;
            replace(&mut next, &current, &earlier, request)?;
        }
        Purpose::Retire => {
            next.remove(PREVIOUS_SECRET_KEY);
        }
        Purpose::Announce | Purpose::Activate | Purpose::Extend => {
            return Err(Error::unsupported(
                "a Stripe key can be replaced, restored or retired; when the old one ends is decided in the dashboard",
            ));
        }
    }
    Ok(Created::Value(next.to_secret()))
}

fn replace(
    next: &mut Members,
    current: &Key,
    key: &Key,
    request: &CreateRequest,
) -> Result<(), Error> {
    if key.text.expose() == current.text.expose() {
        return Err(Error::invalid_secret(
            "this is the key that AWSCURRENT holds already; make a new one; nothing was stored",
        ));
    }
    next.set(SECRET_KEY, key.text.expose())?;
    if request.overlap_seconds > 0 {
        next.set(PREVIOUS_SECRET_KEY, current.text.expose())?;
    } else {
        next.remove(PREVIOUS_SECRET_KEY);
    }
    next.set(
        ROTATION_TIMESTAMP,
        &timestamp::format(clock::now_ms() / 1000),
    )
}

fn questions(mode: Mode) -> InputRequest {
    let mode_name = mode.name();
    InputRequest {
        title: format!("Make a new {mode_name} secret key at Stripe"),
        link: Some(dashboard(mode)),
        checklist: vec![
            "Create a secret key, or a restricted key with the rights of the present one and the right to read the account"
                .to_owned(),
            "Keep the old key: you delete it when the new one has been in use for a day".to_owned(),
            "Copy the new key, which is shown once".to_owned(),
        ],
        prompts: vec![Prompt {
            name: SECRET_KEY.to_owned(),
            label: "The new secret key".to_owned(),
            sensitive: true,
            multiline: false,
            pattern: Some(format!("^[sr]k_{mode_name}_[A-Za-z0-9]+$")),
            example: Some(format!("sk_{mode_name}_…")),
        }],
        expires_after_seconds: EXPIRES_AFTER_SECONDS,
    }
}

pub(crate) fn dashboard(mode: Mode) -> String {
    match mode {
        Mode::Live => "https://dashboard.stripe.com/apikeys".to_owned(),
        Mode::Test => "https://dashboard.stripe.com/test/apikeys".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyturn_sdk::{ErrorKind, Input, fake};

    const OLD: &str = "sk_live_0000000000000000old";
    const NEW: &str = "rk_live_0000000000000000new";

    fn made(
        purpose: Purpose,
        current: &str,
        answer: Option<&str>,
        overlap: u64,
    ) -> Result<Created, Error> {
        let _host = fake::Host::new().install();
        let mut ctx = fake::context("assisted", current);
        ctx.environment = "prod".into();
        let mut request = fake::create_request(purpose, overlap);
        request.inputs = answer
            .map(|answer| Input {
                name: SECRET_KEY.into(),
                value: answer.into(),
            })
            .into_iter()
            .collect();
        create(&ctx, &request)
    }

    fn text(created: Created) -> String {
        match created {
            Created::Value(value) => value.expose().to_owned(),
            Created::NeedsInput(_) => panic!("it was answered"),
        }
    }

    fn secret(more: &str) -> String {
        format!(r#"{{"publishable_key":"pk_live_x", "secret_key":"{OLD}","n":1.50{more}}}"#)
    }

    #[test]
    fn without_an_answer_it_asks() {
        let asked = made(Purpose::Replace, &secret(""), None, 60).unwrap();
        let Created::NeedsInput(asked) = asked else {
            panic!("nobody can make a key but Stripe")
        };
        assert_eq!(
            asked.link.as_deref(),
            Some("https://dashboard.stripe.com/apikeys")
        );
        assert!(asked.prompts[0].sensitive && asked.expires_after_seconds > 0);
    }

    #[test]
    fn the_answer_becomes_the_key_and_the_old_one_stays_beside_it() {
        let next = text(made(Purpose::Replace, &secret(""), Some(NEW), 60).unwrap());
        let expected = format!(
            r#"{{"publishable_key":"pk_live_x","secret_key":"{NEW}","n":1.50,"previous_secret_key":"{OLD}","rotation_timestamp":"2026-01-02T00:00:00Z"}}"#
        );
        assert_eq!(next, expected);
        let retired = text(made(Purpose::Retire, &expected, None, 0).unwrap());
        assert!(!retired.contains(OLD) && retired.contains(NEW));
        let at_once = text(made(Purpose::Replace, &secret(""), Some(NEW), 0).unwrap());
        assert!(!at_once.contains(OLD));
    }

    #[test]
    fn a_wrong_answer_stores_nothing() {
        for wrong in ["nonsense", OLD, "sk_test_0000000000000000new"] {
            let error = made(Purpose::Replace, &secret(""), Some(wrong), 60).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidSecret, "{wrong}");
        }
    }
}
