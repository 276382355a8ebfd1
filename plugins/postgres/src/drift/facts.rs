//! The catalog queries behind the drift gate and the reading of their rows. Only catalogs that
//! PUBLIC may read are used, so that the candidate itself can run them. Works on PostgreSQL 12
//! to 18; what differs between them is chosen by `server_version_num`.

use super::{Acting, Details};
use crate::sql::literal;
use crate::wire::{Row, WireError};

/// From this version on memberships carry SET and INHERIT options.
const MEMBERSHIP_OPTIONS_SINCE: u32 = 160_000;
/// From this version on there are grants on parameters.
const PARAMETER_GRANTS_SINCE: u32 = 150_000;

/// Rows: user, role setting or NULL, the setting's database or NULL, may take the role.
pub(crate) fn acting_query(users: [&str; 2], server_version: u32) -> String {
    let privilege = if server_version >= MEMBERSHIP_OPTIONS_SINCE {
        "SET"
    } else {
        "MEMBER"
    };
    // The order is the server's own: user in database, user, database, everywhere.
    format!(
        "SELECT r.rolname, s.role, s.database, coalesce(pg_catalog.pg_has_role(r.oid, t.oid, '{privilege}'), false) \
         FROM pg_catalog.pg_roles r \
         LEFT JOIN LATERAL ( \
           SELECT substr(c, 6) AS role, d.datname AS database \
           FROM pg_catalog.pg_db_role_setting g \
           CROSS JOIN LATERAL unnest(g.setconfig) AS c \
           LEFT JOIN pg_catalog.pg_database d ON d.oid = g.setdatabase \
           WHERE c LIKE 'role=%' AND g.setrole IN (r.oid, 0) \
             AND (g.setdatabase = 0 OR d.datname = current_database()) \
           ORDER BY g.setrole = 0, g.setdatabase = 0 LIMIT 1) s ON true \
         LEFT JOIN pg_catalog.pg_roles t ON t.rolname = s.role \
         WHERE r.rolname IN ({}, {})",
        literal(users[0]),
        literal(users[1])
    )
}

/// One [`Acting`] per user, in the order asked; `None` for a user that does not exist.
pub(crate) fn parse_acting(
    rows: &[Row],
    users: [&str; 2],
) -> Result<[Option<Acting>; 2], WireError> {
    let find = |user: &str| -> Result<Option<Acting>, WireError> {
        for row in rows {
            let [Some(name), role, database, Some(may)] = row.as_slice() else {
                return Err(WireError("a row of roles has another shape".into()));
            };
            if name == user {
                return Ok(Some(Acting {
                    user: user.to_owned(),
                    role_setting: role.clone(),
                    role_setting_database: database.clone(),
                    may_take_role: may == "t",
                }));
            }
        }
        Ok(None)
    };
    Ok([find(users[0])?, find(users[1])?])
}

/// Rows: user, kind (`owns` or a trait), text.
pub(crate) fn detail_query(users: [&str; 2], server_version: u32) -> String {
    let mut parts = vec![
        ATTRIBUTES,
        SETTINGS,
        OWNED,
        GRANTS,
        DEFAULTS_BY,
        DEFAULTS_TO,
        POLICIES,
    ];
    parts.push(if server_version >= MEMBERSHIP_OPTIONS_SINCE {
        MEMBERSHIPS_WITH_OPTIONS
    } else {
        MEMBERSHIPS
    });
    if server_version >= PARAMETER_GRANTS_SINCE {
        parts.push(PARAMETER_GRANTS);
    }
    format!(
        "WITH pair AS (SELECT * FROM pg_catalog.pg_roles WHERE rolname IN ({}, {})), \
         here AS (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) {}",
        literal(users[0]),
        literal(users[1]),
        parts.join(" UNION ALL ")
    )
}

/// One [`Details`] per user, in the order asked.
pub(crate) fn parse_details(rows: &[Row], users: [&str; 2]) -> Result<[Details; 2], WireError> {
    let mut details = [Details::default(), Details::default()];
    for row in rows {
        let [Some(user), Some(kind), Some(text)] = row.as_slice() else {
            return Err(WireError(
                "a row of the drift gate has another shape".into(),
            ));
        };
        let Some(index) = users.iter().position(|u| u == user) else {
            return Err(WireError(
                "a row of the drift gate names another user".into(),
            ));
        };
        if kind == "owns" {
            details[index].owns = Some(text.clone());
        } else {
            details[index].traits.insert(text.clone());
        }
    }
    Ok(details)
}

const ATTRIBUTES: &str = "SELECT p.rolname::text, 'trait', 'attribute ' || a.name FROM pair p \
    CROSS JOIN LATERAL (VALUES ('SUPERUSER', p.rolsuper), ('INHERIT', p.rolinherit), \
    ('CREATEROLE', p.rolcreaterole), ('CREATEDB', p.rolcreatedb), \
    ('REPLICATION', p.rolreplication), ('BYPASSRLS', p.rolbypassrls)) AS a (name, given) WHERE a.given";

const SETTINGS: &str = "SELECT p.rolname::text, 'trait', \
    format('setting %s in %s', c, coalesce(quote_ident(d.datname), 'every database')) \
    FROM pair p JOIN pg_catalog.pg_db_role_setting s ON s.setrole = p.oid \
    CROSS JOIN LATERAL unnest(s.setconfig) AS c \
    LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase";

const MEMBERSHIPS: &str = "SELECT p.rolname::text, 'trait', \
    format('membership in %s (admin %s)', m.roleid::regrole, m.admin_option) \
    FROM pair p JOIN pg_catalog.pg_auth_members m ON m.member = p.oid";

const MEMBERSHIPS_WITH_OPTIONS: &str = "SELECT p.rolname::text, 'trait', \
    format('membership in %s (admin %s, inherit %s, set %s)', m.roleid::regrole, \
    bool_or(m.admin_option), bool_or(m.inherit_option), bool_or(m.set_option)) \
    FROM pair p JOIN pg_catalog.pg_auth_members m ON m.member = p.oid GROUP BY p.rolname, m.roleid";

// Temporary tables belong to sessions of this very moment, and default privileges are compared on
// their own.
const OWNED: &str = "SELECT p.rolname::text, 'owns', format('%s object(s), such as %s', count(*), \
    coalesce(min(pg_catalog.pg_describe_object(o.classid, o.objid, o.objsubid)), 'one elsewhere')) \
    FROM pair p CROSS JOIN LATERAL ( \
      SELECT d.classid, d.objid, d.objsubid FROM pg_catalog.pg_shdepend d \
      WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = p.oid \
        AND d.deptype = 'o' AND d.dbid IN (0, (SELECT oid FROM here)) \
        AND d.classid <> 'pg_catalog.pg_default_acl'::regclass \
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE d.classid = 'pg_catalog.pg_class'::regclass \
          AND c.oid = d.objid AND c.relpersistence = 't') \
      LIMIT 100) o GROUP BY p.rolname";

const GRANTS: &str = "SELECT p.rolname::text, 'trait', format('%s on %s%s', x.privilege_type, \
    pg_catalog.pg_describe_object(g.class, g.object, g.sub), \
    CASE WHEN x.is_grantable THEN ' with grant option' ELSE '' END) \
    FROM (SELECT 'pg_catalog.pg_class'::regclass AS class, oid AS object, 0 AS sub, relacl AS acl FROM pg_catalog.pg_class \
    UNION ALL SELECT 'pg_catalog.pg_class'::regclass, attrelid, attnum, attacl FROM pg_catalog.pg_attribute \
    UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid, 0, proacl FROM pg_catalog.pg_proc \
    UNION ALL SELECT 'pg_catalog.pg_namespace'::regclass, oid, 0, nspacl FROM pg_catalog.pg_namespace \
    UNION ALL SELECT 'pg_catalog.pg_database'::regclass, oid, 0, datacl FROM pg_catalog.pg_database WHERE datname = current_database() \
    UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid, 0, typacl FROM pg_catalog.pg_type \
    UNION ALL SELECT 'pg_catalog.pg_language'::regclass, oid, 0, lanacl FROM pg_catalog.pg_language \
    UNION ALL SELECT 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid, 0, fdwacl FROM pg_catalog.pg_foreign_data_wrapper \
    UNION ALL SELECT 'pg_catalog.pg_foreign_server'::regclass, oid, 0, srvacl FROM pg_catalog.pg_foreign_server \
    UNION ALL SELECT 'pg_catalog.pg_tablespace'::regclass, oid, 0, spcacl FROM pg_catalog.pg_tablespace \
    UNION ALL SELECT 'pg_catalog.pg_largeobject'::regclass, oid, 0, lomacl FROM pg_catalog.pg_largeobject_metadata) g \
    CROSS JOIN LATERAL pg_catalog.aclexplode(g.acl) x JOIN pair p ON p.oid = x.grantee WHERE g.acl IS NOT NULL";

const PARAMETER_GRANTS: &str = "SELECT p.rolname::text, 'trait', \
    format('%s on parameter %s', x.privilege_type, g.parname) \
    FROM pg_catalog.pg_parameter_acl g CROSS JOIN LATERAL pg_catalog.aclexplode(g.paracl) x \
    JOIN pair p ON p.oid = x.grantee";

const DEFAULTS_BY: &str = "SELECT p.rolname::text, 'trait', \
    format('default privilege on its new %s in %s: %s to %s', d.defaclobjtype, \
    coalesce(n.nspname, 'every schema'), x.privilege_type, x.grantee) \
    FROM pair p JOIN pg_catalog.pg_default_acl d ON d.defaclrole = p.oid \
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace \
    CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) x WHERE x.grantee <> p.oid";

const DEFAULTS_TO: &str = "SELECT p.rolname::text, 'trait', \
    format('default privilege on new %s of %s in %s: %s', d.defaclobjtype, d.defaclrole::regrole, \
    coalesce(n.nspname, 'every schema'), x.privilege_type) \
    FROM pg_catalog.pg_default_acl d \
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace \
    CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) x JOIN pair p ON p.oid = x.grantee \
    WHERE d.defaclrole <> p.oid";

const POLICIES: &str = "SELECT p.rolname::text, 'trait', \
    format('row policy %I of %s', l.polname, l.polrelid::regclass) \
    FROM pg_catalog.pg_policy l JOIN pair p ON p.oid = ANY (l.polroles)";

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[Option<&str>]) -> Row {
        values.iter().map(|v| v.map(str::to_owned)).collect()
    }

    #[test]
    fn a_missing_user_is_none() {
        let rows = [row(&[Some("app"), None, None, Some("f")])];
        let [first, clone] = parse_acting(&rows, ["app", "app_clone"]).unwrap();
        assert_eq!(first.unwrap().effective(), "app");
        assert!(clone.is_none());
    }

    #[test]
    fn rows_of_another_shape_or_user_are_refused() {
        assert!(parse_acting(&[row(&[Some("app")])], ["app", "b"]).is_err());
        assert!(parse_details(&[row(&[Some("x"), Some("owns"), Some("y")])], ["a", "b"]).is_err());
        assert!(parse_details(&[row(&[Some("a"), None, Some("y")])], ["a", "b"]).is_err());
    }

    #[test]
    fn details_are_sorted_by_user_and_kind() {
        let rows = [
            row(&[Some("a"), Some("owns"), Some("1 object(s)")]),
            row(&[Some("b"), Some("trait"), Some("SELECT on table t")]),
        ];
        let [a, b] = parse_details(&rows, ["a", "b"]).unwrap();
        assert_eq!(a.owns.as_deref(), Some("1 object(s)"));
        assert!(b.traits.contains("SELECT on table t"));
    }

    #[test]
    fn the_queries_follow_the_server_version() {
        assert!(acting_query(["a", "b"], 150_018).contains("'MEMBER'"));
        assert!(acting_query(["a", "b"], 160_000).contains("'SET'"));
        assert!(!detail_query(["a", "b"], 140_000).contains("pg_parameter_acl"));
        assert!(detail_query(["a", "b"], 180_000).contains("set_option"));
    }

    #[test]
    fn user_names_are_quoted() {
        assert!(acting_query(["o'brien", "b"], 150_000).contains("'o''brien'"));
    }
}
