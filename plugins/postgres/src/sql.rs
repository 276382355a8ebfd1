//! Quoting, and the statements that change a role. Names come from a secret, so each one passes
//! through [`ident`] or [`literal`]; nothing here reads a server. A password never appears in a
//! statement, only its verifier.

use postgres_protocol::escape::{escape_identifier, escape_literal};

/// `"name"`, quotes doubled.
pub(crate) fn ident(name: &str) -> String {
    escape_identifier(name)
}

/// `'text'`, or `E'text'` where it holds a backslash, so that it reads the same whatever
/// `standard_conforming_strings` says.
pub(crate) fn literal(text: &str) -> String {
    escape_literal(text)
}

/// Opens a transaction in the login's own name. `SET LOCAL ROLE NONE` because a user that acts as
/// an owner (`ALTER ROLE … SET role`) may not even change its own password as that owner;
/// `search_path` so that no function or operator planted in `public` is called; the two timeouts
/// so that a lock held by somebody else ends as an error while nothing has changed yet.
/// LOCAL, because a pooler may hand the session to somebody else afterwards.
pub(crate) const BEGIN: &str = "BEGIN READ WRITE; SET LOCAL ROLE NONE; SET LOCAL search_path = pg_catalog; \
     SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '15s'";

/// The same for reading.
pub(crate) const BEGIN_READ: &str = "BEGIN READ ONLY; SET LOCAL ROLE NONE; SET LOCAL search_path = pg_catalog; \
     SET LOCAL statement_timeout = '15s'";

pub(crate) fn set_password(role: &str, verifier: &str) -> String {
    format!("ALTER ROLE {} PASSWORD {}", ident(role), literal(verifier))
}

/// Not NOLOGIN: a login without a password is answered 28P01, which proves the value dead, while
/// NOLOGIN is answered 28000, which proves nothing.
pub(crate) fn remove_password(role: &str) -> String {
    format!("ALTER ROLE {} PASSWORD NULL", ident(role))
}

/// One `ALTER ROLE … SET`, as pg_db_role_setting holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// `None`: in every database.
    pub(crate) database: Option<String>,
    pub(crate) name: String,
    /// The stored text; a list of quoted names for [`LIST_SETTINGS`].
    pub(crate) value: String,
}

impl Setting {
    /// From one element of `setconfig`, `name=value`.
    pub(crate) fn parse(database: Option<&str>, text: &str) -> Option<Setting> {
        let (name, value) = text.split_once('=')?;
        Some(Setting {
            database: database.map(str::to_owned),
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }

    /// The statement that gives `role` this setting.
    pub(crate) fn statement(&self, role: &str) -> String {
        let scope = match &self.database {
            Some(database) => format!(" IN DATABASE {}", ident(database)),
            None => String::new(),
        };
        let value = if LIST_SETTINGS.contains(&self.name.as_str()) {
            let items: Vec<String> = list_items(&self.value).iter().map(|i| literal(i)).collect();
            items.join(", ")
        } else {
            literal(&self.value)
        };
        let name = ident(&self.name);
        format!("ALTER ROLE {}{scope} SET {name} TO {value}", ident(role))
    }
}

/// Settings whose stored text is a list of names quoted one by one (GUC_LIST_QUOTE). Given as one
/// literal they would become one long name. The list is pg_dump's (`variable_is_guc_list_quote`).
const LIST_SETTINGS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// Splits `a, "b, c", "d""e"` into its names. An empty list is the one empty name that SET takes.
fn list_items(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        // `items` starts with one element and only grows.
        let Some(item) = items.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                item.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => items.push(String::new()),
            ' ' if !quoted => {}
            c => item.push(c),
        }
    }
    items
}

/// What the second user copies from the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) name: String,
    pub(crate) inherits: bool,
    /// -1: unlimited.
    pub(crate) connection_limit: i32,
    pub(crate) settings: Vec<Setting>,
}

/// Makes `clone` the double of `template`: a member of it, with its settings, acting as the same
/// role, so that what either creates belongs to one owner.
pub(crate) fn create_double(clone: &str, template: &Template, verifier: &str) -> Vec<String> {
    let mut statements = vec![format!(
        "CREATE ROLE {} LOGIN {} CONNECTION LIMIT {} PASSWORD {} IN ROLE {}",
        ident(clone),
        if template.inherits {
            "INHERIT"
        } else {
            "NOINHERIT"
        },
        template.connection_limit,
        literal(verifier),
        ident(&template.name),
    )];
    statements.extend(template.settings.iter().map(|s| s.statement(clone)));
    if !template
        .settings
        .iter()
        .any(|s| s.name == "role" && s.database.is_none())
    {
        statements.push(set_role(clone, &template.name));
    }
    statements
}

/// From its next login on, `role` acts as `owner`.
pub(crate) fn set_role(role: &str, owner: &str) -> String {
    format!("ALTER ROLE {} SET role = {}", ident(role), literal(owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_names() {
        let name = r#"x"; DROP ROLE postgres; --"#;
        assert_eq!(
            remove_password(name),
            r#"ALTER ROLE "x""; DROP ROLE postgres; --" PASSWORD NULL"#
        );
        assert_eq!(literal("a'b"), "'a''b'");
        assert_eq!(literal(r"a\'b"), r" E'a\\''b'");
    }

    #[track_caller]
    fn check_setting(database: Option<&str>, config: &str, expected: &str) {
        let setting = Setting::parse(database, config).unwrap();
        assert_eq!(setting.statement("c"), expected);
    }

    #[test]
    fn plain_settings_are_one_literal() {
        check_setting(
            None,
            "work_mem=64MB",
            r#"ALTER ROLE "c" SET "work_mem" TO '64MB'"#,
        );
        check_setting(
            None,
            "my.flag=a=b",
            r#"ALTER ROLE "c" SET "my.flag" TO 'a=b'"#,
        );
    }

    #[test]
    fn lists_are_given_item_by_item() {
        check_setting(
            Some("app"),
            r#"search_path=app, "$user", "odd, name", "q""q""#,
            r#"ALTER ROLE "c" IN DATABASE "app" SET "search_path" TO 'app', '$user', 'odd, name', 'q"q'"#,
        );
        check_setting(
            None,
            "search_path=\"\"",
            r#"ALTER ROLE "c" SET "search_path" TO ''"#,
        );
    }

    fn template(settings: Vec<Setting>) -> Template {
        Template {
            name: "app".into(),
            inherits: true,
            connection_limit: 20,
            settings,
        }
    }

    #[test]
    fn the_double_acts_as_the_first_user() {
        let statements = create_double("app_clone", &template(vec![]), "SCRAM-SHA-256$x");
        assert_eq!(
            statements,
            [
                r#"CREATE ROLE "app_clone" LOGIN INHERIT CONNECTION LIMIT 20 PASSWORD 'SCRAM-SHA-256$x' IN ROLE "app""#,
                r#"ALTER ROLE "app_clone" SET role = 'app'"#,
            ]
        );
    }

    #[test]
    fn a_first_user_that_acts_as_an_owner_passes_that_on() {
        let owner = Setting::parse(None, "role=app_owner").unwrap();
        let statements = create_double("app_clone", &template(vec![owner]), "v");
        assert_eq!(
            statements[1..],
            [r#"ALTER ROLE "app_clone" SET "role" TO 'app_owner'"#]
        );
    }
}
