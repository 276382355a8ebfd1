//! What this plugin reads in a secret's value: AWS's names (engine, host, port, dbname, username,
//! password, masterarn) and guide-style ones (previous_username, previous_password) alike. The
//! address is the host's business and is not read here. Also the rule by which two users alternate.

use keyturn_sdk::{Error, Members, SecretText, Version};

pub(crate) const USERNAME: &str = "username";
pub(crate) const PASSWORD: &str = "password";
pub(crate) const PREVIOUS_USERNAME: &str = "previous_username";
pub(crate) const PREVIOUS_PASSWORD: &str = "previous_password";

/// AWS's templates use the same suffix, so that secrets that they rotated go on as they are.
const CLONE_SUFFIX: &str = "_clone";
/// NAMEDATALEN - 1: the server cuts longer names silently.
const NAME_BYTES_MAX: usize = 63;
/// Where `dbname` is absent; AWS's templates do the same.
const DATABASE_DEFAULT: &str = "postgres";
const ENGINES: [&str; 3] = ["postgres", "postgresql", "aurora-postgresql"];

/// A user, its password and the database that it uses.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: SecretText,
    pub(crate) database: String,
    /// The value names `engine`, as AWS's templates demand.
    pub(crate) has_engine: bool,
    /// The value carries `previous_username` or `previous_password`.
    pub(crate) has_previous: bool,
}

/// The members of a version, for changing them.
pub(crate) fn members(version: &Version, whose: &str) -> Result<Members, Error> {
    Members::parse(version.value.expose()).map_err(|error| error.context(whose))
}

impl Login {
    /// `whose` names the version in errors: "AWSCURRENT", "the candidate".
    pub(crate) fn read(version: &Version, whose: &str) -> Result<Login, Error> {
        Self::of(&members(version, whose)?).map_err(|error| error.context(whose))
    }

    fn of(members: &Members) -> Result<Login, Error> {
        let engine: Option<String> = members.get("engine")?;
        if engine
            .as_ref()
            .is_some_and(|engine| !ENGINES.contains(&engine.as_str()))
        {
            return Err(Error::invalid_secret(
                "the member `engine` does not name PostgreSQL; use the plugin for that engine",
            ));
        }
        let user: String = members.require(USERNAME)?;
        valid_name(USERNAME, &user)?;
        let password = SecretText::new(members.require::<String>(PASSWORD)?);
        if password.expose().is_empty() || password.expose().contains('\0') {
            return Err(Error::invalid_secret(
                "the member `password` is empty or holds a NUL; PostgreSQL takes neither",
            ));
        }
        let database = members
            .get("dbname")?
            .unwrap_or_else(|| DATABASE_DEFAULT.to_owned());
        valid_name("dbname", &database)?;
        Ok(Login {
            user,
            password,
            database,
            has_engine: engine.is_some(),
            has_previous: members.contains(PREVIOUS_USERNAME)
                || members.contains(PREVIOUS_PASSWORD),
        })
    }

    pub(crate) fn in_database(mut self, database: &str) -> Login {
        database.clone_into(&mut self.database);
        self
    }

    pub(crate) fn with_password(&self, password: SecretText) -> Login {
        Login {
            password,
            ..self.clone()
        }
    }

    /// The user whose turn is next: `app` and `app_clone` in turn.
    pub(crate) fn partner(&self) -> Result<String, Error> {
        let base = family(&self.user);
        if base != self.user {
            return Ok(base.to_owned());
        }
        let clone = format!("{base}{CLONE_SUFFIX}");
        if clone.len() > NAME_BYTES_MAX {
            return Err(Error::invalid_secret(format!(
                "`{clone}` would be {} bytes long and PostgreSQL takes {NAME_BYTES_MAX}; use a shorter `username` \
                 or the strategy `single`",
                clone.len()
            )));
        }
        Ok(clone)
    }

    pub(crate) fn is_of_the_family_of(&self, other: &Login) -> bool {
        family(&self.user) == family(&other.user)
    }

    /// A candidate of other users was not made by this plugin; it is refused before it logs in.
    pub(crate) fn must_be_of_the_family_of(&self, current: &Login) -> Result<(), Error> {
        if self.is_of_the_family_of(current) {
            return Ok(());
        }
        Err(Error::invalid_secret(format!(
            "the candidate's user is `{}`, which is neither AWSCURRENT's `{}` nor its partner; nothing changed",
            self.user, current.user
        )))
    }

    /// The rule of alternating users; a candidate that breaks it would cut CURRENT off.
    pub(crate) fn must_be_partner_of(&self, current: &Login) -> Result<(), Error> {
        if self.user == current.partner()? {
            return Ok(());
        }
        Err(Error::invalid_secret(format!(
            "the candidate's user is `{}` and AWSCURRENT's is `{}`: alternating users take turns as `x` and \
             `x{CLONE_SUFFIX}`; nothing changed",
            self.user, current.user
        )))
    }
}

/// The two users of a pair, the one without the suffix first.
pub(crate) fn in_order<'a>(a: &'a str, b: &'a str) -> [&'a str; 2] {
    if family(a) == a { [a, b] } else { [b, a] }
}

/// The name without the suffix; a name that is nothing but the suffix has none.
pub(crate) fn family(user: &str) -> &str {
    match user.strip_suffix(CLONE_SUFFIX) {
        Some("") | None => user,
        Some(base) => base,
    }
}

fn valid_name(member: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
        return Err(Error::invalid_secret(format!(
            "the member `{member}` must be 1 to {NAME_BYTES_MAX} bytes long and hold no NUL"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyturn_sdk::ErrorKind;

    fn read(value: &str) -> Result<Login, Error> {
        let version = Version {
            id: "v1".into(),
            value: SecretText::new(value),
        };
        Login::read(&version, "AWSCURRENT")
    }

    fn user(name: &str) -> Login {
        read(&format!(r#"{{"username":"{name}","password":"x"}}"#)).unwrap()
    }

    #[test]
    fn both_shapes_are_understood() {
        let aws = read(
            r#"{"engine":"postgres","host":"h","username":"u","password":"p","dbname":"d","port":5432,"masterarn":"arn:x"}"#,
        )
        .unwrap();
        assert_eq!((aws.user.as_str(), aws.database.as_str()), ("u", "d"));
        assert!(aws.has_engine && !aws.has_previous);
        let guide = read(
            r#"{"username":"u","password":"p","host":"h","port":"5432","dbname":"d","previous_username":"v","previous_password":"w"}"#,
        )
        .unwrap();
        assert!(!guide.has_engine && guide.has_previous);
        assert_eq!(user("u").database, "postgres");
    }

    #[track_caller]
    fn check_refused(value: &str) {
        let error = read(value).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSecret);
        assert!(error.message.starts_with("AWSCURRENT: "));
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn values_that_postgresql_cannot_take_are_refused() {
        check_refused("hunter2");
        check_refused(r#"{"username":"u"}"#);
        check_refused(r#"{"username":"u","password":""}"#);
        check_refused(r#"{"username":"u","password":"hunter2\u0000"}"#);
        check_refused(r#"{"username":"","password":"hunter2"}"#);
        check_refused(r#"{"username":"u","password":"hunter2","engine":"mysql"}"#);
        check_refused(&format!(
            r#"{{"username":"{}","password":"p"}}"#,
            "u".repeat(64)
        ));
    }

    #[test]
    fn the_users_take_turns() {
        assert_eq!(user("app").partner().unwrap(), "app_clone");
        assert_eq!(user("app_clone").partner().unwrap(), "app");
        assert_eq!(user("_clone").partner().unwrap(), "_clone_clone");
        assert_eq!(user(&"u".repeat(57)).partner().unwrap().len(), 63);
        let error = user(&"u".repeat(58)).partner().unwrap_err();
        assert!(error.message.contains("64 bytes"));
    }

    #[test]
    fn the_limit_counts_bytes() {
        assert!(user(&"é".repeat(29)).partner().is_err());
    }

    #[test]
    fn only_the_partner_may_follow() {
        let app = user("app");
        assert!(user("app_clone").must_be_partner_of(&app).is_ok());
        assert!(user("app").must_be_partner_of(&app).is_err());
        assert!(user("postgres").must_be_partner_of(&app).is_err());
        assert_eq!(in_order("app_clone", "app"), ["app", "app_clone"]);
        assert_eq!(in_order("app", "app_clone"), ["app", "app_clone"]);
    }
}
