//! `create`: the next value. It reaches no server; every member that this plugin does not own
//! keeps its text.

use crate::secret::{Login, PASSWORD, PREVIOUS_PASSWORD, PREVIOUS_USERNAME, USERNAME, members};
use crate::settings::{PreviousMembers, Settings};
use keyturn_sdk::password::Constraints;
use keyturn_sdk::{Context, CreateRequest, Created, Error, Members, Purpose, password};

/// What PostgreSQL can bear: every printable character. Clients before version 14 cut a password
/// typed at a prompt at 99 bytes.
const PASSWORD_LENGTH_MIN: u32 = 8;
const PASSWORD_LENGTH_MAX: u32 = 99;

pub(crate) fn create(
    ctx: &Context,
    request: &CreateRequest,
    alternating: bool,
) -> Result<Created, Error> {
    let current = Login::read(&ctx.current, "AWSCURRENT")?;
    let mut next = match request.purpose {
        Purpose::Replace => replaced(ctx, &current, alternating)?,
        Purpose::Restore => restored(ctx, request, &current, alternating)?,
        _ => {
            return Err(Error::unsupported(
                "a database password can be replaced or restored; the other purposes are for values without a target",
            ));
        }
    };
    if alternating && request.overlap_seconds > 0 && keeps_previous(ctx, &current)? {
        next.set(PREVIOUS_USERNAME, &current.user)?;
        next.set(PREVIOUS_PASSWORD, current.password.expose())?;
    } else {
        // Single: the old password opens nothing. Overlap 0: it is about to open nothing.
        next.remove(PREVIOUS_USERNAME);
        next.remove(PREVIOUS_PASSWORD);
    }
    Ok(Created::Value(next.to_secret()))
}

fn replaced(ctx: &Context, current: &Login, alternating: bool) -> Result<Members, Error> {
    let password = password::generate(&Constraints {
        length_min: PASSWORD_LENGTH_MIN,
        length_max: PASSWORD_LENGTH_MAX,
        exclude: String::new(),
    })?;
    let mut next = members(&ctx.current, "AWSCURRENT")?;
    if alternating {
        next.set(USERNAME, &current.partner()?)?;
    }
    next.set(PASSWORD, password.expose())?;
    Ok(next)
}

/// The earlier login in today's value: what others own in it stays as it is. With alternating users
/// it must be the other user's: AWSCURRENT's own user cannot take its old password back without
/// taking the current one away.
fn restored(
    ctx: &Context,
    request: &CreateRequest,
    current: &Login,
    alternating: bool,
) -> Result<Members, Error> {
    let version = request.version_to_restore()?;
    let earlier = Login::read(version, "the version to restore")?;
    if earlier.user == current.user && earlier.password.expose() == current.password.expose() {
        return Err(
            Error::conflict("AWSCURRENT holds this user and password already").retryable(false),
        );
    }
    if alternating && earlier.user == current.user {
        return Err(Error::unsupported(
            "this version holds an older password of the user that AWSCURRENT names: restoring it would cut off \
             AWSCURRENT; restore a version of the other user, or rotate anew",
        ));
    }
    if !earlier.is_of_the_family_of(current) {
        return Err(Error::invalid_secret(
            "this version belongs to other users than AWSCURRENT; store it by hand if that is meant",
        ));
    }
    let earlier = members(version, "the version to restore")?;
    let mut next = members(&ctx.current, "AWSCURRENT")?;
    next.copy_from(&earlier, USERNAME);
    next.copy_from(&earlier, PASSWORD);
    Ok(next)
}

fn keeps_previous(ctx: &Context, current: &Login) -> Result<bool, Error> {
    Ok(match ctx.settings::<Settings>()?.previous_members {
        PreviousMembers::Always => true,
        PreviousMembers::Never => false,
        PreviousMembers::Auto => current.has_previous || !current.has_engine,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyturn_sdk::{ErrorKind, fake};

    const AWS: &str = r#"{"engine":"postgres", "host":"h","username":"app","password":"old-one","x":1.50,"y":"\u00e9"}"#;
    const GUIDE: &str = r#"{"username":"app_clone","password":"old-one","host":"h","previous_username":"app","previous_password":"z"}"#;

    fn text(
        strategy: &str,
        current: &str,
        settings: &str,
        overlap_seconds: u64,
    ) -> Result<String, Error> {
        let _host = fake::Host::new().password(|_| Ok("NEW".into())).install();
        let mut ctx = fake::context(strategy, current);
        ctx.settings_json = settings.into();
        let request = fake::create_request(Purpose::Replace, overlap_seconds);
        match create(&ctx, &request, strategy == "alternating")? {
            Created::Value(value) => Ok(value.expose().to_owned()),
            Created::NeedsInput(_) => panic!("no operator is needed"),
        }
    }

    #[track_caller]
    fn check(strategy: &str, current: &str, settings: &str, overlap_seconds: u64, expected: &str) {
        assert_eq!(
            text(strategy, current, settings, overlap_seconds).unwrap(),
            expected
        );
    }

    #[test]
    fn aws_shape_stays_and_foreign_members_keep_their_text() {
        let next = r#"{"engine":"postgres","host":"h","username":"app_clone","password":"NEW","x":1.50,"y":"\u00e9"}"#;
        check("alternating", AWS, "{}", 60, next);
    }

    #[test]
    fn the_guides_shape_carries_the_previous_login() {
        let next = r#"{"username":"app","password":"NEW","host":"h","previous_username":"app_clone","previous_password":"old-one"}"#;
        check("alternating", GUIDE, "{}", 60, next);
    }

    #[test]
    fn overlap_zero_and_single_carry_none() {
        check(
            "alternating",
            GUIDE,
            "{}",
            0,
            r#"{"username":"app","password":"NEW","host":"h"}"#,
        );
        check(
            "single",
            GUIDE,
            "{}",
            60,
            r#"{"username":"app_clone","password":"NEW","host":"h"}"#,
        );
    }

    #[test]
    fn the_setting_overrides_the_shape() {
        let never = text("alternating", GUIDE, r#"{"previous_members":"never"}"#, 60).unwrap();
        assert!(!never.contains("previous"));
        let always = text("alternating", AWS, r#"{"previous_members":"always"}"#, 60).unwrap();
        assert!(always.ends_with(r#""previous_username":"app","previous_password":"old-one"}"#));
        let error = text("alternating", AWS, r#"{"previous_member":"always"}"#, 60).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSettings);
    }

    #[test]
    fn an_earlier_login_comes_back_into_todays_value() {
        let _host = fake::Host::new().install();
        let ctx = fake::context(
            "alternating",
            r#"{"host":"h","username":"app_clone","password":"b-b-b-b-b","other":2}"#,
        );
        let mut request = fake::create_request(Purpose::Restore, 0);
        let earlier = r#"{"other":1,"password":"a-a-a-a-a","username":"app","host":"h"}"#;
        request.restore = Some(fake::version("earlier", earlier));
        let Created::Value(value) = create(&ctx, &request, true).unwrap() else {
            panic!("no operator is needed")
        };
        let expected = r#"{"host":"h","username":"app","password":"a-a-a-a-a","other":2}"#;
        assert_eq!(value.expose(), expected);
    }

    #[test]
    fn purposes_without_a_target_are_refused() {
        let _host = fake::Host::new().install();
        let ctx = fake::context("alternating", AWS);
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
