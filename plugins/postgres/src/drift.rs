//! The drift gate: would the application see the same world under the other user? It exists
//! because alternating users come to own different objects unless something holds them together,
//! and then the next rotation breaks the application with "permission denied". It only reads
//! catalogs that every role may read, and it decides from facts, so the decision is tested
//! without a server.

mod facts;

pub(crate) use facts::{acting_query, detail_query, parse_acting, parse_details};

use crate::sql::{ident, set_role};
use std::collections::BTreeSet;

/// As whom a login works after `ALTER ROLE … SET role`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acting {
    pub(crate) user: String,
    /// The `role` setting that applies in this database, if any.
    pub(crate) role_setting: Option<String>,
    /// The database, if the setting stands for that one only.
    pub(crate) role_setting_database: Option<String>,
    /// The user may really take that role; otherwise the server warns at login and goes on.
    pub(crate) may_take_role: bool,
}

impl Acting {
    /// The role that owns what this user creates.
    pub(crate) fn effective(&self) -> &str {
        match &self.role_setting {
            Some(role) if self.may_take_role && role != "none" => role,
            _ => &self.user,
        }
    }
}

/// What one user has that the other must have too, when neither acts as the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// "3 objects, such as table orders"; `None` if it owns nothing.
    pub(crate) owns: Option<String>,
    /// Attributes, memberships, settings, grants, default privileges, row policies: each as one
    /// line that reads the same for both users.
    pub(crate) traits: BTreeSet<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Drift {
    /// Both act as this role: whatever either creates belongs to it.
    SharedOwner(String),
    /// Two separate users that own nothing and have the same rights.
    Twins,
    /// The users differ. `fix` is SQL for an administrator.
    Apart {
        differences: Vec<String>,
        fix: String,
    },
}

/// The first question, which needs the acting roles only. `None`: the details decide.
pub(crate) fn shared_owner(a: &Acting, b: &Acting) -> Option<Drift> {
    (a.effective() == b.effective()).then(|| Drift::SharedOwner(a.effective().to_owned()))
}

/// The second question. `first` is the user without the suffix, `clone` the other.
pub(crate) fn compare(first: (&Acting, &Details), clone: (&Acting, &Details)) -> Drift {
    let mut differences = Vec::new();
    for (acting, details) in [first, clone] {
        if let Some(owned) = &details.owns {
            differences.push(format!("{} owns {owned}", ident(&acting.user)));
        }
        if let (Some(role), false) = (&acting.role_setting, acting.may_take_role) {
            differences.push(format!(
                "{} is set to act as {} and may not",
                ident(&acting.user),
                ident(role)
            ));
        }
    }
    differences.extend(only_in(first, clone));
    differences.extend(only_in(clone, first));
    if differences.is_empty() {
        return Drift::Twins;
    }
    Drift::Apart {
        differences,
        fix: repair(first.0, clone),
    }
}

fn only_in(one: (&Acting, &Details), other: (&Acting, &Details)) -> Vec<String> {
    one.1
        .traits
        .difference(&other.1.traits)
        .map(|line| format!("only {} has {line}", ident(&one.0.user)))
        .collect()
}

/// SQL that makes `clone` act as whatever `first` acts as.
fn repair(first: &Acting, (clone, clone_details): (&Acting, &Details)) -> String {
    let mut statements = Vec::new();
    // Two users that act as each other crosswise: the first is put back on its own feet.
    let owner = if first.effective() == clone.user {
        statements.push(reset_role(first));
        first.user.as_str()
    } else {
        first.effective()
    };
    statements.push(format!("GRANT {} TO {}", ident(owner), ident(&clone.user)));
    if clone.role_setting_database.is_some() {
        statements.push(reset_role(clone));
    }
    statements.push(set_role(&clone.user, owner));
    if clone_details.owns.is_some() {
        statements.push(format!(
            "REASSIGN OWNED BY {} TO {}",
            ident(&clone.user),
            ident(owner)
        ));
    }
    statements.join("; ") + ";"
}

fn reset_role(acting: &Acting) -> String {
    let user = ident(&acting.user);
    match &acting.role_setting_database {
        Some(database) => format!(
            "ALTER ROLE {user} IN DATABASE {} RESET role",
            ident(database)
        ),
        None => format!("ALTER ROLE {user} RESET role"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acting(user: &str, role: Option<&str>) -> Acting {
        Acting {
            user: user.into(),
            role_setting: role.map(str::to_owned),
            role_setting_database: None,
            may_take_role: true,
        }
    }

    fn has(owns: Option<&str>, traits: &[&str]) -> Details {
        Details {
            owns: owns.map(str::to_owned),
            traits: traits.iter().map(|s| (*s).to_owned()).collect(),
        }
    }

    #[track_caller]
    fn check_shared(a: Option<&str>, b: Option<&str>, owner: Option<&str>) {
        let drift = shared_owner(&acting("app", a), &acting("app_clone", b));
        assert_eq!(drift, owner.map(|o| Drift::SharedOwner(o.into())));
    }

    #[test]
    fn one_acts_as_the_other() {
        check_shared(None, Some("app"), Some("app"));
        check_shared(Some("app_clone"), None, Some("app_clone"));
    }

    #[test]
    fn both_act_as_one_owner() {
        check_shared(Some("owner"), Some("owner"), Some("owner"));
    }

    #[test]
    fn different_owners_are_not_shared() {
        check_shared(None, None, None);
        check_shared(Some("owner"), Some("app"), None);
        check_shared(Some("app_clone"), Some("app"), None);
        check_shared(Some("none"), None, None);
    }

    #[test]
    fn a_role_that_may_not_be_taken_does_not_count() {
        let mut clone = acting("app_clone", Some("app"));
        clone.may_take_role = false;
        assert_eq!(clone.effective(), "app_clone");
        assert_eq!(shared_owner(&acting("app", None), &clone), None);
        let drift = compare(
            (&acting("app", None), &has(None, &[])),
            (&clone, &has(None, &[])),
        );
        assert!(matches!(drift, Drift::Apart { differences, .. } if differences.len() == 1));
    }

    fn compared(first: Details, clone: Details) -> Drift {
        compare(
            (&acting("app", None), &first),
            (&acting("app_clone", None), &clone),
        )
    }

    #[test]
    fn equal_users_that_own_nothing_are_twins() {
        let rights = ["membership in app_rw", "SELECT on table orders"];
        assert_eq!(
            compared(has(None, &rights), has(None, &rights)),
            Drift::Twins
        );
    }

    #[test]
    fn owning_something_is_drift_even_with_equal_rights() {
        let Drift::Apart { differences, fix } =
            compared(has(None, &[]), has(Some("1 object, such as table t"), &[]))
        else {
            panic!("no drift found");
        };
        assert_eq!(
            differences,
            [r#""app_clone" owns 1 object, such as table t"#]
        );
        assert_eq!(
            fix,
            r#"GRANT "app" TO "app_clone"; ALTER ROLE "app_clone" SET role = 'app'; REASSIGN OWNED BY "app_clone" TO "app";"#
        );
    }

    #[test]
    fn a_missing_right_is_named() {
        let Drift::Apart { differences, .. } =
            compared(has(None, &["SELECT on table orders"]), has(None, &[]))
        else {
            panic!("no drift found");
        };
        assert_eq!(differences, [r#"only "app" has SELECT on table orders"#]);
    }

    #[test]
    fn users_that_act_as_each_other_are_untangled() {
        let fix = repair(
            &acting("app", Some("app_clone")),
            (&acting("app_clone", Some("app")), &has(None, &[])),
        );
        assert!(fix.starts_with(r#"ALTER ROLE "app" RESET role; GRANT "app" TO "app_clone";"#));
    }
}
