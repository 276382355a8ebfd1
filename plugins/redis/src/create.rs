//! `create`: the next value. It reaches no server; every member that this plugin does not own keeps its
//! text.

use crate::secret::{
    Login, PASSWORD, PASSWORD_BYTES_MAX, PREVIOUS_PASSWORD, ROTATION_TIMESTAMP, members,
};
use keyturn_sdk::password::Constraints;
use keyturn_sdk::{
    Context, CreateRequest, Created, Error, Purpose, SecretText, clock, password, timestamp,
};

const PASSWORD_LENGTH_MIN: u32 = 16;

/// `dual`: the old password stays accepted beside the new one.
pub(crate) fn create(ctx: &Context, request: &CreateRequest, dual: bool) -> Result<Created, Error> {
    let current = Login::read(&ctx.current, "AWSCURRENT")?;
    let constraints = Constraints {
        length_min: PASSWORD_LENGTH_MIN,
        length_max: PASSWORD_BYTES_MAX as u32,
        exclude: String::new(),
    };
    let password = next_password(request, &current, &constraints)?;
    let mut next = members(&ctx.current, "AWSCURRENT")?;
    next.set(PASSWORD, password.expose())?;
    if dual && request.overlap_seconds > 0 {
        next.set(PREVIOUS_PASSWORD, current.password.expose())?;
    } else {
        // Single: the old password opens nothing. Overlap 0: it is about to open nothing.
        next.remove(PREVIOUS_PASSWORD);
    }
    next.set(
        ROTATION_TIMESTAMP,
        &timestamp::format(clock::now_ms() / 1000),
    )?;
    Ok(Created::Value(next.to_secret()))
}

/// A fresh one that the target can bear, or an earlier one.
pub(crate) fn next_password(
    request: &CreateRequest,
    current: &Login,
    constraints: &Constraints,
) -> Result<SecretText, Error> {
    match request.purpose {
        Purpose::Replace => password::generate(constraints),
        Purpose::Restore => earlier(request, current),
        _ => Err(Error::unsupported(
            "a Redis password can be replaced or restored; the other purposes are for values without a target",
        )),
    }
}

/// An earlier password comes back into today's value: what others own in it stays as it is.
fn earlier(request: &CreateRequest, current: &Login) -> Result<SecretText, Error> {
    let earlier = Login::read(request.version_to_restore()?, "the version to restore")?;
    if earlier.user != current.user {
        return Err(Error::invalid_secret(
            "this version belongs to another user than AWSCURRENT; store it by hand if that is meant",
        ));
    }
    if earlier.same_as(current) {
        return Err(
            Error::conflict("AWSCURRENT holds this user and password already").retryable(false),
        );
    }
    Ok(earlier.password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyturn_sdk::{ErrorKind, fake};

    const GUIDE: &str = r#"{"host":"h", "port":6379,"password":"old-one","x":1.50,"y":"\u00e9"}"#;

    fn text(dual: bool, current: &str, overlap_seconds: u64) -> String {
        let _host = fake::Host::new().password(|_| Ok("NEW".into())).install();
        let ctx = fake::context("dual", current);
        let request = fake::create_request(Purpose::Replace, overlap_seconds);
        match create(&ctx, &request, dual).unwrap() {
            Created::Value(value) => value.expose().to_owned(),
            Created::NeedsInput(_) => panic!("no operator is needed"),
        }
    }

    #[test]
    fn foreign_members_keep_their_text() {
        assert_eq!(
            text(true, GUIDE, 60),
            r#"{"host":"h","port":6379,"password":"NEW","x":1.50,"y":"\u00e9","previous_password":"old-one","rotation_timestamp":"2026-01-02T00:00:00Z"}"#
        );
    }

    #[test]
    fn overlap_zero_and_single_carry_no_previous_password() {
        let rotated = text(true, GUIDE, 60);
        for next in [text(true, &rotated, 0), text(false, &rotated, 60)] {
            assert!(!next.contains("previous"), "{next}");
        }
    }

    #[test]
    fn an_earlier_password_comes_back_into_todays_value() {
        let _host = fake::Host::new().install();
        let ctx = fake::context("dual", r#"{"host":"h","password":"b-b-b-b-b","other":2}"#);
        let mut request = fake::create_request(Purpose::Restore, 0);
        request.restore = Some(fake::version(
            "earlier",
            r#"{"other":1,"password":"a-a-a-a-a"}"#,
        ));
        let Created::Value(value) = create(&ctx, &request, true).unwrap() else {
            panic!("no operator is needed")
        };
        assert_eq!(
            value.expose(),
            r#"{"host":"h","password":"a-a-a-a-a","other":2,"rotation_timestamp":"2026-01-02T00:00:00Z"}"#
        );
        request.restore = Some(fake::version(
            "earlier",
            r#"{"username":"other","password":"a-a-a-a-a"}"#,
        ));
        let error = create(&ctx, &request, true).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSecret);
    }

    #[test]
    fn purposes_without_a_target_are_refused() {
        let _host = fake::Host::new().install();
        let ctx = fake::context("dual", GUIDE);
        for purpose in [
            Purpose::Announce,
            Purpose::Activate,
            Purpose::Extend,
            Purpose::Retire,
        ] {
            let error = create(&ctx, &fake::create_request(purpose, 1), true).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsupported);
        }
    }
}
