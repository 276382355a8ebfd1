//! A user of ElastiCache's (role-based access control). `ModifyUser` says which passwords it has, at most two, and
//! takes away whatever it does not name.

use super::api::{self, Answer, Call};
use super::{Holder, State};
use crate::secret::Login;
use keyturn_sdk::{Error, Members};
use serde::Deserialize;

/// The member that AWS's own rotation function reads, too.
const USER_ARN: &str = "user_arn";

pub(crate) struct User {
    arn: String,
    id: String,
    region: String,
    /// What clients log in as.
    name: String,
}

#[derive(Deserialize)]
struct DescribeUsersResponse {
    #[serde(rename = "DescribeUsersResult")]
    result: DescribeUsersResult,
}

#[derive(Deserialize)]
struct DescribeUsersResult {
    #[serde(rename = "Users")]
    users: Users,
}

#[derive(Deserialize)]
struct Users {
    #[serde(default)]
    member: Vec<Described>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    #[serde(rename = "ARN")]
    arn: String,
    user_name: String,
    status: String,
    access_string: String,
    authentication: Authentication,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Authentication {
    r#type: String,
    password_count: Option<usize>,
}

#[derive(Deserialize)]
struct ModifyUserResponse {
    #[serde(rename = "ModifyUserResult")]
    result: Modified,
}

/// That there is one.
#[derive(Deserialize)]
struct Modified {}

impl User {
    pub(crate) fn of(members: &Members, login: &Login) -> Result<User, Error> {
        let arn: String = members.require(USER_ARN)?;
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", _, "elasticache", region, _, "user", id] = parts.as_slice() else {
            return Err(Error::invalid_secret(format!(
                "the member `{USER_ARN}` is not the ARN of an ElastiCache user, such as \
                 arn:aws:elasticache:eu-west-1:123456789012:user:app"
            )));
        };
        Ok(User {
            arn: arn.clone(),
            id: (*id).to_owned(),
            region: (*region).to_owned(),
            name: login.user.clone(),
        })
    }

    /// From now on it has these passwords and no others.
    fn set_passwords(&self, passwords: &[&Login]) -> Result<u64, Error> {
        let doing = format!("changing the passwords of {}", self.called());
        let mut call = Call::changing("ModifyUser", doing).with("UserId", &self.id);
        for (number, login) in (1..).zip(passwords) {
            let name = format!("Passwords.member.{number}");
            call = call.with(&name, login.password.expose());
        }
        match call.send::<ModifyUserResponse>() {
            Ok(Answer {
                result:
                    ModifyUserResponse {
                        result: Modified {},
                    },
                pause_ms,
            }) => Ok(pause_ms),
            Err(error) if api::is_busy(&error) => Ok(api::pause_after(&error)),
            Err(error) => Err(error),
        }
    }

    /// The grant's endpoint may be another region's, where a user of the same id may be.
    fn must_be_named(&self, found: &Described) -> Result<(), Error> {
        if found.arn != self.arn {
            return Err(Error::invalid_secret(format!(
                "the endpoint `elasticache` of the grant answers for {}, and the secret's `{USER_ARN}` is {}; nothing \
                 changed; let both name one region and account",
                found.arn, self.arn
            )));
        }
        if found.user_name == self.name {
            return Ok(());
        }
        Err(Error::invalid_secret(format!(
            "{} logs in as `{}`, and the secret's `username` is `{}`; nothing changed; correct one of `{USER_ARN}` and \
             `username`",
            self.called(),
            found.user_name,
            self.name
        )))
    }

    fn must_have_passwords(&self, found: &Described) -> Result<(), Error> {
        match found.authentication.r#type.as_str() {
            "password" => Ok(()),
            "iam" => Err(Error::unsupported(format!(
                "{} logs in with IAM and has no password to rotate; nothing changed",
                self.called()
            ))),
            _ => Err(Error::unprotected(format!(
                "{} needs no password, so that any opens it; nothing changed; give it AWSCURRENT's with ModifyUser",
                self.called()
            ))),
        }
    }
}

impl Holder for User {
    fn called(&self) -> String {
        format!("the ElastiCache user `{}` in {}", self.id, self.region)
    }

    fn look(&self) -> Result<State, Error> {
        let doing = format!("reading {}", self.called());
        let call = Call::reading("DescribeUsers", doing).with("UserId", &self.id);
        let answer = call.send::<DescribeUsersResponse>()?;
        let [found] = answer.result.result.users.member.as_slice() else {
            return Err(Error::protocol(format!(
                "ElastiCache did not describe {} when it was asked to",
                self.called()
            )));
        };
        self.must_be_named(found)?;
        self.must_have_passwords(found)?;
        let is_changing = match found.status.as_str() {
            "active" => false,
            "modifying" => true,
            other => return Err(self.unusable(other)),
        };
        Ok(State {
            pause_ms: is_changing.then_some(answer.pause_ms),
            passwords: found.authentication.password_count,
            is_off: found
                .access_string
                .split_whitespace()
                .any(|rule| rule == "off"),
        })
    }

    fn admit(&self, current: &Login, wanted: &Login, _: bool) -> Result<u64, Error> {
        self.set_passwords(&[wanted, current])
    }

    fn admit_only(&self, current: &Login) -> Result<u64, Error> {
        self.set_passwords(&[current])
    }
}
