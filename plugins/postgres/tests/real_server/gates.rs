//! What must keep a candidate from being promoted, and what must never be taken for a proof.

use crate::common::*;
use harness::postgres::{Cluster, ClusterOptions};
use keyturn_sdk::{Applied, ErrorKind, Liveness, fake};

fn refused_by_the_gate(cluster: &Cluster) -> String {
    let ctx = context("alternating");
    let candidate = create(&ctx, "v1");
    set(&ctx, &candidate).unwrap();
    let error = test(&ctx, &candidate).unwrap_err();
    assert_eq!((error.kind, error.applied), (ErrorKind::Drift, Applied::No));
    let fix = error
        .details
        .iter()
        .find(|(name, _)| name == "fix")
        .unwrap()
        .1
        .clone();
    // The repair repairs.
    cluster.query_in(DATABASE, &fix).unwrap();
    test(&ctx, &candidate).unwrap();
    error.message
}

#[test]
fn users_that_own_different_objects_are_drift() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    cluster
        .query("ALTER ROLE festival_app RESET role; ALTER ROLE festival_app_clone RESET role")
        .unwrap();
    let own = "CREATE SCHEMA s AUTHORIZATION festival_app_clone; CREATE TABLE s.orders (); \
               ALTER TABLE s.orders OWNER TO festival_app_clone";
    cluster.query_in(DATABASE, own).unwrap();
    let message = refused_by_the_gate(&cluster);
    assert!(
        message.contains("\"festival_app_clone\" owns 2 object(s)"),
        "{message}"
    );
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'orders'";
    assert_eq!(cluster.query_in(DATABASE, owner).unwrap(), "festival_app");
}

#[test]
fn unequal_rights_are_drift_and_equal_ones_are_not() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    cluster
        .query("ALTER ROLE festival_app RESET role; ALTER ROLE festival_app_clone RESET role")
        .unwrap();
    let ctx = context("alternating");
    let candidate = create(&ctx, "v1");
    set(&ctx, &candidate).unwrap();
    let outcome = test(&ctx, &candidate).unwrap();
    assert!(outcome.findings[0].summary.contains("equal rights"));

    for (sql, named) in [
        (
            "CREATE TABLE t (a int); GRANT SELECT ON t TO festival_app",
            "SELECT on table",
        ),
        (
            "REVOKE ALL ON t FROM festival_app; GRANT UPDATE (a) ON t TO festival_app_clone",
            "UPDATE on column",
        ),
        (
            "DROP TABLE t; ALTER ROLE festival_app SET work_mem = '9MB'",
            "setting work_mem",
        ),
        (
            "ALTER ROLE festival_app RESET work_mem; GRANT pg_monitor TO festival_app",
            "membership in pg_monitor",
        ),
        (
            "REVOKE pg_monitor FROM festival_app; ALTER ROLE festival_app CREATEDB",
            "attribute CREATEDB",
        ),
        (
            "ALTER ROLE festival_app NOCREATEDB; ALTER DEFAULT PRIVILEGES FOR ROLE festival_app GRANT SELECT ON TABLES TO PUBLIC",
            "default privilege on its new",
        ),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE festival_app REVOKE SELECT ON TABLES FROM PUBLIC; \
             CREATE TABLE t (); CREATE POLICY p ON t TO festival_app_clone",
            "row policy p",
        ),
    ] {
        cluster.query_in(DATABASE, sql).unwrap();
        let error = test(&ctx, &candidate).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Drift);
        assert!(error.message.contains(named), "{named}: {error}");
    }
    refused_by_the_gate(&cluster);
}

#[test]
fn a_server_that_trusts_is_found_before_anything_changes() {
    for strategy in ["alternating", "single"] {
        let cluster = set_up(
            ClusterOptions::new().hba("host festival festival_app,festival_app_clone all trust"),
        );
        let _host = host(&cluster);
        let ctx = context(strategy);
        let candidate = create(&ctx, "v1");
        let before = cluster
            .query("SELECT rolname, rolpassword FROM pg_authid ORDER BY 1")
            .unwrap();
        for error in [
            set(&ctx, &candidate).unwrap_err(),
            test(&ctx, &candidate).unwrap_err(),
            probe(&ctx, &candidate).unwrap_err(),
        ] {
            assert_eq!(
                (error.kind, error.applied),
                (ErrorKind::Unprotected, Applied::No),
                "{error}"
            );
        }
        assert_eq!(
            before,
            cluster
                .query("SELECT rolname, rolpassword FROM pg_authid ORDER BY 1")
                .unwrap()
        );
    }
}

#[test]
fn cleartext_is_never_sent_and_md5_needs_tls() {
    for (method, word) in [("password", "clear text"), ("md5", "MD5")] {
        let cluster =
            set_up(ClusterOptions::new().hba(format!("host festival festival_app all {method}")));
        if method == "md5" {
            let sql = format!(
                "SET password_encryption = 'md5'; ALTER ROLE festival_app PASSWORD '{FIRST}'"
            );
            cluster.query(&sql).unwrap();
        }
        let _host = host(&cluster);
        let ctx = context("single");
        let error = probe(&ctx, &ctx.current).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.message.contains(word), "{error}");
    }
}

#[test]
fn nologin_and_missing_hba_lines_are_unknown_and_not_dead() {
    let cluster = set_up(ClusterOptions::new().hba("host festival festival_app_clone all reject"));
    let _host = host(&cluster);
    let ctx = context("alternating");
    let barred = fake::version("v1", &value("festival_app_clone", "whatever"));
    assert_eq!(probe(&ctx, &barred).unwrap().liveness, Liveness::Unknown);
    cluster.query("ALTER ROLE festival_app NOLOGIN").unwrap();
    assert_eq!(
        probe(&ctx, &ctx.current).unwrap().liveness,
        Liveness::Unknown
    );
    cluster
        .query("ALTER ROLE festival_app LOGIN PASSWORD NULL")
        .unwrap();
    assert_eq!(probe(&ctx, &ctx.current).unwrap().liveness, Liveness::Dead);
}

#[test]
fn a_role_that_no_password_opens_gets_none() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let ctx = context("alternating");
    for (attribute, fix) in [
        ("VALID UNTIL '2020-01-01'", "infinity"),
        ("VALID UNTIL 'infinity' NOLOGIN", "LOGIN"),
    ] {
        cluster
            .query(&format!("ALTER ROLE festival_app_clone {attribute}"))
            .unwrap();
        let candidate = create(&ctx, "v1");
        let error = set(&ctx, &candidate).unwrap_err();
        assert_eq!(
            (error.kind, error.applied),
            (ErrorKind::Permission, Applied::No)
        );
        assert!(error.message.contains(fix), "{error}");
    }
    let unset = "SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'festival_app_clone'";
    assert_eq!(cluster.query(unset).unwrap(), "t");
}

#[test]
fn an_expired_role_loses_its_password_at_retirement() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let mut ctx = context("alternating");
    let candidate = create(&ctx, "v1");
    set(&ctx, &candidate).unwrap();
    promote(&mut ctx, candidate);
    cluster
        .query("ALTER ROLE festival_app VALID UNTIL '2020-01-01'")
        .unwrap();
    let old = ctx.others[0].version.clone();
    assert_eq!(probe(&ctx, &old).unwrap().liveness, Liveness::Dead);
    retire(&ctx, &old).unwrap();
    cluster
        .query("ALTER ROLE festival_app VALID UNTIL 'infinity'")
        .unwrap();
    assert!(!logs_in(&cluster, &old));
}

#[test]
fn a_candidate_of_another_user_never_logs_in() {
    let cluster = set_up(ClusterOptions::new().log_everything());
    let _host = host(&cluster);
    let foreign = fake::version("v1", &value("festival_rotation", ADMIN));
    for strategy in ["alternating", "single"] {
        let ctx = context(strategy);
        for error in [
            set(&ctx, &foreign).unwrap_err(),
            test(&ctx, &foreign).unwrap_err(),
        ] {
            assert_eq!(
                (error.kind, error.applied),
                (ErrorKind::InvalidSecret, Applied::No)
            );
        }
    }
    assert!(
        !cluster
            .log()
            .unwrap()
            .contains("festival_rotation database")
    );
}

#[test]
fn alternating_never_replaces_the_password_in_use() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let ctx = context("alternating");
    let same_user = fake::version("v1", &value("festival_app", "another-password"));
    let error = set(&ctx, &same_user).unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (ErrorKind::InvalidSecret, Applied::No)
    );
    assert!(logs_in(&cluster, &ctx.current));
}
