//! Which passwords ElastiCache takes, and `create`: the value keeps the shape that it has, for applications and AWS's
//! own rotation function read it, too.

use super::Kind;
use crate::create::next_password;
use crate::secret::{Login, PASSWORD, PREVIOUS_PASSWORD, members};
use keyturn_sdk::password::Constraints;
use keyturn_sdk::{Context, CreateRequest, Created, Error};

const LENGTH_MIN: usize = 16;
const LENGTH_MAX: usize = 128;
/// What AWS's own rotation function leaves out, and the comma that separates passwords on a command line.
const NOT_IN_PASSWORDS: &str = " /@\"'\\,";
const IN_TOKENS: &str = "!&#$^<>-";

pub(crate) fn create(ctx: &Context, request: &CreateRequest, kind: Kind) -> Result<Created, Error> {
    let current = Login::read(&ctx.current, "AWSCURRENT")?;
    let password = next_password(request, &current, &constraints(kind))?;
    let mut next = members(&ctx.current, "AWSCURRENT")?;
    next.set(PASSWORD, password.expose())?;
    // Another strategy's: it opens nothing here.
    next.remove(PREVIOUS_PASSWORD);
    Ok(Created::Value(next.to_secret()))
}

/// # Errors
/// `invalid-secret` before ElastiCache would refuse it, and with it the other password that is sent.
pub(super) fn must_fit(kind: Kind, login: &Login, whose: &str) -> Result<(), Error> {
    let password = login.password.expose();
    let (fits, marks): (fn(char) -> bool, _) = match kind {
        Kind::User => (
            |c| c == ' ' || c.is_ascii_graphic(),
            "printable ASCII characters",
        ),
        Kind::AuthToken => (
            |c| c.is_ascii_alphanumeric() || IN_TOKENS.contains(c),
            "letters, digits and !&#$^<>-",
        ),
    };
    if (LENGTH_MIN..=LENGTH_MAX).contains(&password.len()) && password.chars().all(fits) {
        return Ok(());
    }
    Err(Error::invalid_secret(format!(
        "{whose}: the member `password` must be {LENGTH_MIN} to {LENGTH_MAX} {marks}, or ElastiCache does not take it; \
         nothing changed"
    )))
}

fn constraints(kind: Kind) -> Constraints {
    let exclude = match kind {
        Kind::User => NOT_IN_PASSWORDS.to_owned(),
        Kind::AuthToken => {
            let printable = ' '..='~';
            let excluded = |c: &char| !c.is_ascii_alphanumeric() && !IN_TOKENS.contains(*c);
            printable.filter(excluded).collect()
        }
    };
    Constraints {
        length_min: LENGTH_MIN as u32,
        length_max: LENGTH_MAX as u32,
        exclude,
    }
}
