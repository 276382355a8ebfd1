//! The AUTH token of a replication group. ROTATE adds one beside the latest, so that at most two are accepted; SET
//! leaves the latest alone. ElastiCache tells neither how many there are nor which is the latest. Logins tell which
//! still open, and another one than AWSCURRENT's goes before a new one comes, or AWSCURRENT's could be pushed out.

use super::api::{self, Answer, Call};
use super::{Holder, State};
use crate::secret::{DEFAULT_USER, Login};
use keyturn_sdk::{Error, ErrorKind, Members};
use serde::Deserialize;

const REPLICATION_GROUP_ID: &str = "replication_group_id";

pub(crate) struct Group {
    id: String,
}

#[derive(Deserialize)]
struct DescribeReplicationGroupsResponse {
    #[serde(rename = "DescribeReplicationGroupsResult")]
    result: DescribeReplicationGroupsResult,
}

#[derive(Deserialize)]
struct DescribeReplicationGroupsResult {
    #[serde(rename = "ReplicationGroups")]
    groups: Groups,
}

#[derive(Deserialize)]
struct Groups {
    #[serde(rename = "ReplicationGroup", default)]
    groups: Vec<Described>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    status: String,
    #[serde(default)]
    auth_token_enabled: bool,
    pending_modified_values: Option<PendingModifiedValues>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PendingModifiedValues {
    auth_token_status: Option<String>,
}

#[derive(Deserialize)]
struct ModifyReplicationGroupResponse {
    #[serde(rename = "ModifyReplicationGroupResult")]
    result: Modified,
}

/// That there is one.
#[derive(Deserialize)]
struct Modified {}

impl Group {
    pub(crate) fn of(members: &Members, login: &Login) -> Result<Group, Error> {
        if !login.is_default() {
            return Err(Error::invalid_secret(format!(
                "an AUTH token is the password of the user `{DEFAULT_USER}`, and the secret names the user `{}`; leave \
                 `username` out, or use the strategy `{}`",
                login.user,
                super::USER
            )));
        }
        let id: String = members.require(REPLICATION_GROUP_ID)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if id.is_empty() || !id.chars().all(fits) {
            return Err(Error::invalid_secret(format!(
                "the member `{REPLICATION_GROUP_ID}` is not the name of a replication group"
            )));
        }
        Ok(Group { id })
    }

    fn update(&self, token: &Login, strategy: &str) -> Result<u64, Error> {
        let doing = format!("changing the AUTH token of {} ({strategy})", self.called());
        let call = Call::changing("ModifyReplicationGroup", doing)
            .with("ReplicationGroupId", &self.id)
            .with("ApplyImmediately", "true")
            .with("AuthToken", token.password.expose())
            .with("AuthTokenUpdateStrategy", strategy);
        match call.send::<ModifyReplicationGroupResponse>() {
            Ok(Answer {
                result:
                    ModifyReplicationGroupResponse {
                        result: Modified {},
                    },
                pause_ms,
            }) => Ok(pause_ms),
            Err(error) if api::is_busy(&error) => Ok(api::pause_after(&error)),
            Err(error) => Err(error),
        }
    }
}

impl Holder for Group {
    fn called(&self) -> String {
        format!("the replication group `{}`", self.id)
    }

    fn look(&self) -> Result<State, Error> {
        let doing = format!("reading {}", self.called());
        let call =
            Call::reading("DescribeReplicationGroups", doing).with("ReplicationGroupId", &self.id);
        let answer = call.send::<DescribeReplicationGroupsResponse>()?;
        let [found] = answer.result.result.groups.groups.as_slice() else {
            return Err(Error::protocol(format!(
                "ElastiCache did not describe {} when it was asked to",
                self.called()
            )));
        };
        if !found.auth_token_enabled {
            return Err(Error::unprotected(format!(
                "{} has no AUTH token; nothing changed; give it AWSCURRENT's with ModifyReplicationGroup",
                self.called()
            )));
        }
        let pending = found.pending_modified_values.as_ref();
        let is_pending = pending.is_some_and(|pending| pending.auth_token_status.is_some());
        let is_changing = match found.status.as_str() {
            "available" => is_pending,
            "creating" | "modifying" | "snapshotting" => true,
            other => return Err(self.unusable(other)),
        };
        Ok(State {
            pause_ms: is_changing.then_some(answer.pause_ms),
            passwords: None,
            is_off: false,
        })
    }

    fn admit(&self, current: &Login, wanted: &Login, is_crowded: bool) -> Result<u64, Error> {
        if is_crowded {
            return self.admit_only(current);
        }
        self.update(wanted, "ROTATE")
    }

    fn admit_only(&self, current: &Login) -> Result<u64, Error> {
        match self.update(current, "SET") {
            // Only the latest token can be left alone. Rotated in once more, AWSCURRENT's is the latest.
            Err(error) if api::is_unfit(&error) => {
                self.update(current, "ROTATE").map_err(of_current)
            }
            answer => answer,
        }
    }
}

/// A rejection would be taken for one of the candidate, and bring another.
fn of_current(mut error: Error) -> Error {
    if error.kind == ErrorKind::Rejected {
        error.kind = ErrorKind::Other;
    }
    error
}
