//! The strategy `text`: the whole secret is one password, and nothing stands around it. There is no room for the one
//! before it, so whoever uses the value reads it anew.

use keyturn_sdk::password::{self, Constraints};
use keyturn_sdk::{
    Context, CreateRequest, Error, Liveness, Purpose, SecretText, Strategy, TargetEffect, Verdict,
    Version,
};

const TEXT: &str = "text";
/// Shorter ones are guessed.
const LENGTH_MIN: u32 = 16;
/// AWS's bound of GetRandomPassword.
const LENGTH_MAX: u32 = 4096;
const NO_SETTINGS: &str = "{}";

/// What `describe` says about it.
pub(crate) fn strategy() -> Strategy {
    Strategy {
        name: TEXT.to_owned(),
        effect: TargetEffect::None,
        purposes: vec![Purpose::Replace, Purpose::Restore],
        needs_operator: false,
        summary: "The whole secret is one text, and the new value takes its place at once"
            .to_owned(),
    }
}

/// Whether the call is about such a secret.
pub(crate) fn is_meant(ctx: &Context) -> bool {
    ctx.strategy == TEXT
}

/// The secret's whole new text.
///
/// # Errors
/// `invalid-secret` if CURRENT is no such text, `invalid-settings` for settings, which belong to the other strategies.
pub(crate) fn create(ctx: &Context, request: &CreateRequest) -> Result<SecretText, Error> {
    check(ctx, &ctx.current)?;
    match request.purpose {
        Purpose::Replace => password::generate(&Constraints {
            length_min: LENGTH_MIN,
            length_max: LENGTH_MAX,
            exclude: String::new(),
        }),
        Purpose::Restore => {
            let earlier = request.version_to_restore()?;
            check(ctx, earlier)?;
            Ok(earlier.value.clone())
        }
        _ => Err(Error::unsupported(
            "a text can be replaced or restored: it has no room for a second value",
        )),
    }
}

/// Whether a value could be in use.
///
/// # Errors
/// As for [`create`].
pub(crate) fn check(ctx: &Context, version: &Version) -> Result<(), Error> {
    if ctx.settings_json.trim() != NO_SETTINGS {
        return Err(Error::invalid_settings(
            "the strategy text has no settings: the secret's password policy says what a new value is; take them out",
        ));
    }
    let value = version.value.expose().trim_start();
    if value.is_empty() || value.starts_with('{') {
        return Err(Error::invalid_secret(
            "the strategy text is for a secret that is one text and no JSON object; use overlap or key-ring",
        ));
    }
    Ok(())
}

/// Only the text in use is live.
pub(crate) fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
    check(ctx, subject)?;
    let is_current = subject.value.expose() == ctx.current.value.expose();
    Ok(Verdict::new(if is_current {
        Liveness::Live
    } else {
        Liveness::Dead
    }))
}

#[cfg(test)]
mod tests {
    use keyturn_sdk::{Created, ErrorKind, Retirement, Rotator, fake};

    use super::*;
    use crate::Opaque;

    fn create(current: &str, request: &CreateRequest) -> Result<String, Error> {
        let _host = fake::Host::new().password(|_| Ok("NEW".into())).install();
        match Opaque::create(&fake::context(TEXT, current), request)? {
            Created::Value(value) => Ok(value.into_exposed()),
            Created::NeedsInput(_) => panic!("no operator is needed"),
        }
    }

    #[test]
    fn a_text_is_replaced_and_nothing_waits_for_its_end() {
        let replace = fake::create_request(Purpose::Replace, 60);
        assert_eq!(create("old", &replace).unwrap(), "NEW");
        let (ctx, new) = (fake::context(TEXT, "old"), fake::version("new", "NEW"));
        Opaque::test(&ctx, &new).unwrap();
        assert_eq!(Opaque::finish(&ctx, &new).unwrap().how, Retirement::empty());
        let live = |value| Opaque::probe(&ctx, &fake::version("v", value)).unwrap();
        assert_eq!(live("old").liveness, Liveness::Live);
        assert_eq!(live("NEW").liveness, Liveness::Dead);
    }

    #[test]
    fn an_earlier_text_comes_back() {
        let request = CreateRequest {
            restore: Some(fake::version("earlier", "earlier")),
            ..fake::create_request(Purpose::Restore, 0)
        };
        assert_eq!(create("old", &request).unwrap(), "earlier");
    }

    #[test]
    fn what_is_no_such_text_is_refused() {
        let replace = fake::create_request(Purpose::Replace, 0);
        for current in [r#"{"current":{"value":"v"}}"#, " ", " {}"] {
            let error = create(current, &replace).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidSecret, "{current}");
        }
        let announce = fake::create_request(Purpose::Announce, 0);
        assert_eq!(
            create("old", &announce).unwrap_err().kind,
            ErrorKind::Unsupported
        );
        let mut ctx = fake::context(TEXT, "old");
        ctx.settings_json = r#"{"bytes":32}"#.to_owned();
        let error = Opaque::create(&ctx, &replace).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSettings);
    }
}
