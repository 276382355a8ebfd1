//! One real server set up exactly as the README says, the fake host pointed at it, and the values
//! that a rotation passes around.

use harness::postgres::{Cluster, ClusterOptions};
use keyturn_plugin_postgres::Postgres;
use keyturn_sdk::fake::{self, Host, Installed, Tcp};
use keyturn_sdk::{
    Companion, Context, Created, Error, OtherVersion, Outcome, Purpose, RetireRequest, Rotator,
    Standing, Verdict, Version,
};

pub(crate) const DATABASE: &str = "festival";
pub(crate) const FIRST: &str = "first-password-Aa1";
pub(crate) const ADMIN: &str = "admin-password-Aa1";

/// The SQL block that the README marks as the set-up.
pub(crate) fn setup_sql() -> String {
    let readme = include_str!("../../README.md");
    let marked = readme
        .split("<!-- setup -->")
        .nth(1)
        .expect("the README marks its set-up");
    let block = marked
        .split("```sql")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    block.expect("the set-up is an sql block").to_owned()
}

pub(crate) fn bare(options: ClusterOptions) -> Cluster {
    let cluster = options.start().expect("a server");
    cluster
        .query(&format!("CREATE DATABASE {DATABASE}"))
        .expect("the database");
    cluster
}

/// A server after the README's set-up, with the two first passwords.
pub(crate) fn set_up(options: ClusterOptions) -> Cluster {
    let cluster = bare(options);
    cluster
        .query_in(DATABASE, &setup_sql())
        .expect("the README's set-up");
    let verifier = |p| postgres_protocol::password::scram_sha_256(str::as_bytes(p));
    for (role, password) in [("festival_app", FIRST), ("festival_rotation", ADMIN)] {
        let sql = format!("ALTER ROLE {role} PASSWORD '{}'", verifier(password));
        cluster.query(&sql).expect("a first password");
    }
    cluster
}

pub(crate) fn address(cluster: &Cluster) -> String {
    format!("{}:{}", cluster.host(), cluster.port())
}

/// A host whose `primary` and `admin` are this server.
pub(crate) fn host(cluster: &Cluster) -> Installed {
    let address = address(cluster);
    Host::new()
        .endpoint("primary", Tcp::plaintext(&[&address]))
        .endpoint("admin", Tcp::plaintext(&[&address]))
        .install()
}

pub(crate) fn value(user: &str, password: &str) -> String {
    format!(
        r#"{{"host":"db","port":5432,"dbname":"{DATABASE}","username":"{user}","password":"{password}","x":1.50}}"#
    )
}

pub(crate) fn context(strategy: &str) -> Context {
    let mut ctx = fake::context(strategy, &value("festival_app", FIRST));
    if strategy == "alternating" {
        ctx.companions = vec![admin(ADMIN)];
    }
    ctx
}

pub(crate) fn admin(password: &str) -> Companion {
    Companion {
        name: "admin".into(),
        secret: "festival-test/database-admin".into(),
        version: fake::version(
            "admin-1",
            &format!(r#"{{"host":"db","username":"festival_rotation","password":"{password}"}}"#),
        ),
    }
}

pub(crate) fn create(ctx: &Context, id: &str) -> Version {
    let request = fake::create_request(Purpose::Replace, 3600);
    match Postgres::create(ctx, &request).expect("a new value") {
        Created::Value(value) => Version {
            id: id.to_owned(),
            value,
        },
        Created::NeedsInput(_) => panic!("a password needs no operator"),
    }
}

pub(crate) fn set(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    Postgres::set(ctx, candidate)
}

pub(crate) fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    Postgres::test(ctx, candidate)
}

pub(crate) fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
    Postgres::probe(ctx, subject)
}

pub(crate) fn retire(ctx: &Context, subject: &Version) -> Result<Outcome, Error> {
    Postgres::retire(
        ctx,
        &RetireRequest {
            subject: subject.clone(),
            end_sessions_older_than_ms: None,
        },
    )
}

/// What the engine does at promotion: the candidate becomes CURRENT, CURRENT becomes previous.
pub(crate) fn promote(ctx: &mut Context, candidate: Version) {
    let old = std::mem::replace(&mut ctx.current, candidate);
    ctx.others = vec![OtherVersion {
        standing: Standing::Previous,
        version: old,
    }];
}

pub(crate) fn member(version: &Version, name: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(version.value.expose()).expect("JSON");
    value[name].as_str().unwrap_or_default().to_owned()
}

/// Does this value log in, asked by a client that is not Keyturn's?
pub(crate) fn logs_in(cluster: &Cluster, version: &Version) -> bool {
    let login = cluster.login(
        &member(version, "username"),
        &member(version, "password"),
        DATABASE,
    );
    match login {
        Ok(()) => true,
        Err(failure) if failure.sqlstate.as_deref() == Some("28P01") => false,
        Err(failure) => panic!("{failure:?}"),
    }
}
