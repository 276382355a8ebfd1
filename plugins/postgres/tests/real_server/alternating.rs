//! Alternating users against a real server, set up exactly as the README says.

use crate::common::*;
use harness::postgres::{Cluster, ClusterOptions};
use keyturn_plugin_postgres::Postgres;
use keyturn_sdk::fake;
use keyturn_sdk::{
    Applied, Created, Error, ErrorKind, Level, Liveness, Purpose, RetireRequest, Retirement,
    Rotator, Status,
};

#[test]
fn the_readmes_setup_rotates_and_rotates_again() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let mut ctx = context("alternating");
    for round in 1..=3 {
        let candidate = create(&ctx, &format!("v{round}"));
        let outcome = set(&ctx, &candidate).unwrap();
        assert!(matches!(outcome.status, Status::Done));
        assert_eq!(
            outcome.opened_with.as_deref(),
            Some(ctx.current.id.as_str())
        );
        assert_eq!(outcome.members[0].applied, Applied::Yes);
        assert!(logs_in(&cluster, &ctx.current), "CURRENT must keep working");
        let outcome = test(&ctx, &candidate).unwrap();
        assert!(matches!(outcome.status, Status::Done));
        assert_eq!(outcome.findings[0].id, "no-drift");
        let plan = Postgres::finish(&ctx, &candidate).unwrap();
        assert_eq!(plan.how, Retirement::AT_TARGET);
        promote(&mut ctx, candidate);
        assert!(logs_in(&cluster, &ctx.current));
    }
    assert_eq!(member(&ctx.current, "username"), "festival_app_clone");
    assert_eq!(member(&ctx.current, "previous_username"), "festival_app");
    assert!(ctx.current.value.expose().contains("\"x\":1.50"));
}

#[test]
fn set_twice_is_unchanged_and_probe_agrees() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let ctx = context("alternating");
    let candidate = create(&ctx, "v1");
    assert_eq!(probe(&ctx, &candidate).unwrap().liveness, Liveness::Dead);
    set(&ctx, &candidate).unwrap();
    assert_eq!(probe(&ctx, &candidate).unwrap().liveness, Liveness::Live);
    let again = set(&ctx, &candidate).unwrap();
    assert!(matches!(again.status, Status::Unchanged));
    assert_eq!(again.opened_with.as_deref(), Some("v1"));
}

#[test]
fn retirement_kills_the_old_user_and_proves_it() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let mut ctx = context("alternating");
    let candidate = create(&ctx, "v1");
    set(&ctx, &candidate).unwrap();
    // What AWSCURRENT holds, under whatever version, is never killed.
    let mut again = ctx.current.clone();
    again.id = "put back by hand".into();
    let outcome = retire(&ctx, &again).unwrap();
    assert!(matches!(outcome.status, Status::Unchanged));
    assert_eq!(outcome.findings[0].id, "in-use-again");
    assert!(logs_in(&cluster, &ctx.current));
    promote(&mut ctx, candidate);
    let old = ctx.others[0].version.clone();
    let outcome = retire(&ctx, &old).unwrap();
    assert!(matches!(outcome.status, Status::Done));
    assert_eq!(outcome.members[0].liveness, Liveness::Dead);
    assert!(!logs_in(&cluster, &old) && logs_in(&cluster, &ctx.current));
    assert!(matches!(
        retire(&ctx, &old).unwrap().status,
        Status::Unchanged
    ));
}

#[test]
fn retirement_spares_the_last_value_that_works() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let mut ctx = context("alternating");
    promote(
        &mut ctx,
        fake::version("v1", &value("festival_app_clone", "never-set")),
    );
    let old = ctx.others[0].version.clone();
    let error = retire(&ctx, &old).unwrap_err();
    assert_eq!((error.kind, error.applied), (ErrorKind::Auth, Applied::No));
    assert!(logs_in(&cluster, &old));
    // Nor does a rotation replace it, and another family's user is out of reach.
    let candidate = create(&ctx, "v2");
    let error = set(&ctx, &candidate).unwrap_err();
    assert_eq!((error.kind, error.applied), (ErrorKind::Auth, Applied::No));
    assert!(logs_in(&cluster, &old));
    let foreign = fake::version("v0", &value("festival_rotation", "x"));
    assert_eq!(retire(&ctx, &foreign).unwrap_err().kind, ErrorKind::Auth);
}

#[test]
fn the_second_user_is_made_on_first_use() {
    let cluster = bare(ClusterOptions::new());
    let sql = format!(
        "CREATE ROLE festival_app LOGIN CONNECTION LIMIT 7 PASSWORD '{FIRST}';
         ALTER ROLE festival_app SET search_path = app, \"odd, name\";
         ALTER ROLE festival_app IN DATABASE {DATABASE} SET work_mem = '8MB';
         CREATE ROLE festival_rotation LOGIN CREATEROLE PASSWORD '{ADMIN}';
         GRANT CREATE ON DATABASE {DATABASE} TO festival_app;"
    );
    cluster.query(&sql).unwrap();
    let _host = host(&cluster);
    let mut ctx = context("alternating");
    let candidate = create(&ctx, "v1");
    if cluster.version_major() >= 16 {
        let error = set(&ctx, &candidate).unwrap_err();
        assert_eq!(
            (error.kind, error.applied),
            (ErrorKind::Permission, Applied::No)
        );
        administers(&cluster, "festival_rotation", "festival_app", &error);
    }
    let outcome = set(&ctx, &candidate).unwrap();
    assert_eq!(outcome.findings[0].id, "second-user-made");
    test(&ctx, &candidate).unwrap();
    promote(&mut ctx, candidate);
    // What the second creates belongs to the first, and it sees the same settings.
    let password = member(&ctx.current, "password");
    let created = cluster
        .query_as(
            "festival_app_clone",
            &password,
            DATABASE,
            "CREATE SCHEMA app; CREATE TABLE app.t (); SELECT current_user, current_setting('search_path'), \
             current_setting('work_mem'), tableowner FROM pg_tables WHERE tablename = 't'",
        )
        .unwrap();
    assert_eq!(created, "festival_app|app, \"odd, name\"|8MB|festival_app");
    let limit =
        cluster.query("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'festival_app_clone'");
    assert_eq!(limit.unwrap(), "7");
    // And back again.
    let candidate = create(&ctx, "v2");
    set(&ctx, &candidate).unwrap();
    test(&ctx, &candidate).unwrap();
}

/// From PostgreSQL 16 on CREATEROLE alone reaches no role that somebody else made: runs what the error
/// says.
fn administers(cluster: &Cluster, admin: &str, role: &str, error: &Error) {
    let sql = format!("GRANT \"{role}\" TO \"{admin}\" WITH ADMIN OPTION;");
    assert!(error.message.contains(&sql), "{error}");
    cluster.query(&sql).unwrap();
}

#[test]
fn without_an_admin_the_users_own_rights_serve() {
    let cluster = set_up(ClusterOptions::new());
    cluster.query("ALTER ROLE festival_app CREATEROLE").unwrap();
    let address = address(&cluster);
    let _host = fake::Host::new()
        .endpoint("primary", fake::Tcp::plaintext(&[&address]))
        .install();
    let mut ctx = context("alternating");
    ctx.companions.clear();
    let candidate = create(&ctx, "v1");
    if cluster.version_major() >= 16 {
        let error = set(&ctx, &candidate).unwrap_err();
        assert_eq!(
            (error.kind, error.applied),
            (ErrorKind::Permission, Applied::No)
        );
        administers(&cluster, "festival_app", "festival_app_clone", &error);
    }
    assert!(matches!(
        set(&ctx, &candidate).unwrap().status,
        Status::Done
    ));
    cluster
        .query("ALTER ROLE festival_app NOCREATEROLE")
        .unwrap();
    let candidate = create(&ctx, "v2");
    let error = set(&ctx, &candidate).unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (ErrorKind::Permission, Applied::No)
    );
    assert!(error.message.contains("CREATEROLE"), "{error}");
}

#[test]
fn a_refused_admin_is_named() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let mut ctx = context("alternating");
    ctx.companions = vec![admin("wrong")];
    let candidate = create(&ctx, "v1");
    let error = set(&ctx, &candidate).unwrap_err();
    assert_eq!((error.kind, error.applied), (ErrorKind::Auth, Applied::No));
    assert!(
        error
            .details
            .contains(&("companion".into(), "admin".into()))
    );
}

#[test]
fn sessions_of_the_old_user_are_seen_and_ended() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let mut ctx = context("alternating");
    let candidate = create(&ctx, "v1");
    set(&ctx, &candidate).unwrap();
    promote(&mut ctx, candidate);
    let old = ctx.others[0].version.clone();
    std::thread::scope(|scope| {
        let sleeper = scope
            .spawn(|| cluster.query_as("festival_app", FIRST, DATABASE, "SELECT pg_sleep(60)"));
        let seen = harness::poll::until(std::time::Duration::from_secs(20), || {
            let report = Postgres::usage(&ctx, &old).unwrap();
            report.consumers.into_iter().find(|c| c.name == "psql")
        });
        assert_eq!(
            seen.expect("the session is reported").address.as_deref(),
            Some("127.0.0.1")
        );
        let request = |age| RetireRequest {
            subject: old.clone(),
            end_sessions_older_than_ms: Some(age),
        };
        // Younger than an hour: spared.
        Postgres::retire(&ctx, &request(3_600_000)).unwrap();
        assert!(!Postgres::usage(&ctx, &old).unwrap().consumers.is_empty());
        Postgres::retire(&ctx, &request(0)).unwrap();
        assert!(sleeper.join().unwrap().is_err());
    });
}

#[test]
fn an_earlier_value_of_the_other_user_can_be_restored() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let mut ctx = context("alternating");
    let candidate = create(&ctx, "v1");
    set(&ctx, &candidate).unwrap();
    promote(&mut ctx, candidate);
    let mut request = fake::create_request(Purpose::Restore, 3600);
    request.restore = Some(ctx.others[0].version.clone());
    let Created::Value(restored) = Postgres::create(&ctx, &request).unwrap() else {
        panic!("a value");
    };
    let restored = keyturn_sdk::Version {
        id: "v2".into(),
        value: restored,
    };
    assert_eq!(member(&restored, "password"), FIRST);
    assert!(matches!(
        set(&ctx, &restored).unwrap().status,
        Status::Unchanged
    ));
    test(&ctx, &restored).unwrap();
    request.restore = Some(fake::version("v0", &value("festival_app_clone", "older")));
    assert_eq!(
        Postgres::create(&ctx, &request).unwrap_err().kind,
        ErrorKind::Unsupported
    );
}

#[test]
fn check_says_what_is_missing() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let mut ctx = context("alternating");
    let findings = Postgres::check(&ctx).unwrap();
    let ids: Vec<&str> = findings.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(ids, ["shape", "login", "privileges", "drift"]);
    assert!(
        findings.iter().all(|f| f.level == Level::Ok),
        "{findings:?}"
    );
    cluster
        .query("ALTER ROLE festival_rotation NOCREATEROLE")
        .unwrap();
    cluster
        .query("ALTER ROLE festival_app_clone RESET role")
        .unwrap();
    let failed: Vec<_> = Postgres::check(&ctx)
        .unwrap()
        .into_iter()
        .filter(|f| f.level == Level::Failure)
        .collect();
    assert_eq!(
        failed.iter().map(|f| f.id.as_str()).collect::<Vec<_>>(),
        ["privileges", "drift"]
    );
    assert!(failed.iter().all(|f| f.fix.is_some()));
    ctx.current = fake::version("v", &value("festival_app", "wrong"));
    let last = Postgres::check(&ctx).unwrap().pop().unwrap();
    assert_eq!((last.id.as_str(), last.level), ("login", Level::Failure));
}
