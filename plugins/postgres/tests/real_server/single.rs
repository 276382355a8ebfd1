//! The single-user strategy against a real server.

use crate::common::*;
use harness::postgres::ClusterOptions;
use keyturn_plugin_postgres::Postgres;
use keyturn_sdk::{
    Applied, ErrorKind, Liveness, OtherVersion, Retirement, Rotator, Standing, Status, fake,
};

#[test]
fn a_user_that_acts_as_another_role_replaces_its_own_password() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let mut ctx = context("single");
    for round in 1..=2 {
        let candidate = create(&ctx, &format!("v{round}"));
        assert_eq!(member(&candidate, "username"), "festival_app");
        assert_eq!(member(&candidate, "previous_password"), "");
        let outcome = set(&ctx, &candidate).unwrap();
        assert!(matches!(outcome.status, Status::Done));
        assert_eq!(
            outcome.opened_with.as_deref(),
            Some(ctx.current.id.as_str())
        );
        assert!(!logs_in(&cluster, &ctx.current) && logs_in(&cluster, &candidate));
        assert!(matches!(
            set(&ctx, &candidate).unwrap().status,
            Status::Unchanged
        ));
        test(&ctx, &candidate).unwrap();
        assert_eq!(
            Postgres::finish(&ctx, &candidate).unwrap().how,
            Retirement::empty()
        );
        assert_eq!(probe(&ctx, &ctx.current).unwrap().liveness, Liveness::Dead);
        promote(&mut ctx, candidate);
        let old = ctx.others[0].version.clone();
        assert!(matches!(
            retire(&ctx, &old).unwrap().status,
            Status::Unchanged
        ));
    }
}

#[test]
fn an_older_value_opens_the_door_when_current_does_not() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let mut ctx = context("single");
    ctx.current = fake::version("wrong", &value("festival_app", "not-this-one"));
    ctx.others = vec![OtherVersion {
        standing: Standing::InDoubt,
        version: fake::version("doubt", &value("festival_app", FIRST)),
    }];
    let candidate = create(&ctx, "v1");
    let outcome = set(&ctx, &candidate).unwrap();
    assert_eq!(outcome.opened_with.as_deref(), Some("doubt"));
    assert_eq!(outcome.findings[0].id, "opened-with-other");
    assert!(logs_in(&cluster, &candidate));
}

#[test]
fn when_no_value_opens_nothing_changes_and_the_repair_is_named() {
    let cluster = set_up(ClusterOptions::new());
    let _host = host(&cluster);
    let mut ctx = context("single");
    ctx.current = fake::version("wrong", &value("festival_app", "not-this-one"));
    let candidate = create(&ctx, "v1");
    let error = set(&ctx, &candidate).unwrap_err();
    assert_eq!((error.kind, error.applied), (ErrorKind::Auth, Applied::No));
    assert_eq!(error.code.as_deref(), Some("28P01"));
    assert!(error.message.contains("\\password"), "{error}");
    assert_eq!(probe(&ctx, &ctx.current).unwrap().liveness, Liveness::Dead);
    assert!(logs_in(&cluster, &context("single").current));
}

#[test]
fn a_password_beyond_ascii_is_prepared_as_the_server_does() {
    let cluster = set_up(ClusterOptions::new());
    let _host = fake::Host::new()
        .endpoint("primary", fake::Tcp::plaintext(&[&address(&cluster)]))
        // SASLprep: a no-break space becomes a space, the soft hyphen vanishes.
        .password(|_| Ok("pä\u{a0}ss\u{ad}wörd-\u{1f511}'\\\"".to_owned()))
        .install();
    let ctx = context("single");
    let candidate = create(&ctx, "v1");
    set(&ctx, &candidate).unwrap();
    assert!(logs_in(&cluster, &candidate));
    test(&ctx, &candidate).unwrap();
}
