//! requirepass: one password that is replaced, on the last server without users and on one of today.

use crate::common::*;
use harness::poll;
use harness::redis::{Program, Server, ServerOptions};
use keyturn_plugin_redis::Redis;
use keyturn_sdk::{Applied, ErrorKind, Level, Liveness, Rotator, Status, Version, fake};
use std::time::Duration;

fn programs() -> [Program; 3] {
    [
        Program::before_acl().unwrap(),
        Program::newest().unwrap(),
        Program::valkey().unwrap(),
    ]
}

/// One of today's on which nobody may run ACL is like one of before.
fn options_of(program: &Program) -> ServerOptions {
    let options = ServerOptions::new()
        .program(program.clone())
        .conf(format!("requirepass {FIRST}"));
    if program.version_major < 6 {
        return options;
    }
    options.conf("rename-command ACL \"\"")
}

/// Asked in the form that all versions know; a wrong password has a word of its own since Redis 6.
fn opens(server: &Server, version: &Version) -> bool {
    match attempt(server, version) {
        Ok(_) => true,
        Err(failure) => {
            let code = failure.code.as_deref();
            assert!(matches!(code, Some("WRONGPASS" | "ERR")), "{failure:?}");
            false
        }
    }
}

#[test]
fn the_password_is_replaced_and_a_restart_keeps_it() {
    for program in programs() {
        let server = options_of(&program).start().unwrap();
        let _host = host(&[&server]);
        let mut ctx = default_context("single");
        let candidate = create(&ctx, "v2");
        assert_eq!(member(&candidate, "previous_password"), None);
        assert!(matches!(
            set(&ctx, &candidate).unwrap().status,
            Status::Done
        ));
        assert!(opens(&server, &candidate) && !opens(&server, &ctx.current));
        test(&ctx, &candidate).unwrap();
        assert!(matches!(
            set(&ctx, &candidate).unwrap().status,
            Status::Unchanged
        ));
        let old = ctx.current.clone();
        promote(&mut ctx, candidate);
        assert_eq!(probe(&ctx, &old).unwrap().liveness, Liveness::Dead);
        assert!(matches!(
            retire(&ctx, &old).unwrap().status,
            Status::Unchanged
        ));
        server.restart().unwrap();
        assert!(
            opens(&server, &ctx.current) && !opens(&server, &old),
            "{program:?}"
        );
    }
}

#[test]
fn a_replica_is_given_the_new_password_to_log_in_with() {
    for program in programs() {
        let primary = options_of(&program).start().unwrap();
        let replica = options_of(&program)
            .conf(format!("masterauth {FIRST}"))
            .replica_of(&primary)
            .start()
            .unwrap();
        let _host = host(&[&primary, &replica]);
        let mut ctx = default_context("single");
        let is_linked = |ctx: &keyturn_sdk::Context| {
            poll::until_true(Duration::from_secs(30), || {
                let password = member(&ctx.current, "password").unwrap();
                let info = replica.command_as(None, &password, &["INFO", "replication"]);
                info.is_ok_and(|info| harness::redis::text(&info).contains("master_link_status:up"))
            })
        };
        assert!(is_linked(&ctx));
        let candidate = create(&ctx, "v2");
        set(&ctx, &candidate).unwrap();
        promote(&mut ctx, candidate);
        primary.restart().unwrap();
        assert!(is_linked(&ctx), "{program:?}");
    }
}

#[test]
fn a_server_without_users_names_the_strategy_that_it_needs() {
    let server = options_of(&Program::before_acl().unwrap()).start().unwrap();
    let _host = host(&[&server]);
    let ctx = default_context("dual");
    let error = set(&ctx, &create(&ctx, "v2")).unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (ErrorKind::Unsupported, Applied::No)
    );
    assert!(error.message.contains("strategy = \"single\""), "{error}");

    let named = fake::context("single", &value(Some(USER), FIRST));
    let error = set(&named, &create(&named, "v2")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSettings);
    assert!(error.message.contains("`dual`"), "{error}");
    let named = fake::context("dual", &value(Some(USER), FIRST));
    let error = probe(&named, &named.current).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
}

#[test]
fn wrong_passwords_change_nothing() {
    for program in programs() {
        let server = options_of(&program).start().unwrap();
        let _host = host(&[&server]);
        let mut ctx = default_context("single");
        let right = ctx.current.clone();
        ctx.current = fake::version("v2", &value(None, "never-was-a-password"));
        let error = set(&ctx, &create(&ctx, "v3")).unwrap_err();
        assert_eq!((error.kind, error.applied), (ErrorKind::Auth, Applied::No));
        assert!(opens(&server, &right));
    }
}

#[test]
fn check_finds_it_healthy() {
    for program in programs() {
        let server = options_of(&program).start().unwrap();
        let _host = host(&[&server]);
        let findings = Redis::check(&default_context("single")).unwrap();
        assert!(
            findings.iter().all(|finding| finding.level == Level::Ok),
            "{findings:?}"
        );
    }
}
