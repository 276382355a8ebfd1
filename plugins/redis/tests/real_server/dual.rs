//! Two passwords of one user, on healthy servers.

use crate::common::*;
use harness::redis::{Program, Server, ServerOptions};
use keyturn_plugin_redis::Redis;
use keyturn_sdk::{
    Applied, ErrorKind, Level, Liveness, OtherVersion, RetireRequest, Rotator, Standing, Status,
    fake,
};

fn both() -> [Program; 2] {
    [Program::newest().unwrap(), Program::valkey().unwrap()]
}

#[test]
fn both_passwords_work_until_the_old_one_is_retired() {
    for program in both() {
        let server = options().program(program).start().unwrap();
        let _host = host(&[&server]);
        let mut ctx = context();
        let candidate = create(&ctx, "v2");
        assert_eq!(
            member(&candidate, "previous_password").as_deref(),
            Some(FIRST)
        );

        let outcome = set(&ctx, &candidate).unwrap();
        assert!(matches!(outcome.status, Status::Done));
        assert_eq!(outcome.members[0].applied, Applied::Yes);
        assert_eq!(
            outcome.opened_with.as_deref(),
            Some(ctx.current.id.as_str())
        );
        assert!(logs_in(&server, &candidate) && logs_in(&server, &ctx.current));
        let tested = test(&ctx, &candidate).unwrap();
        assert_eq!(tested.members[0].liveness, Liveness::Live);

        let again = set(&ctx, &candidate).unwrap();
        assert!(matches!(again.status, Status::Unchanged));
        assert_eq!(again.opened_with.as_deref(), Some("v2"));

        let old = ctx.current.clone();
        promote(&mut ctx, candidate);
        assert_eq!(probe(&ctx, &old).unwrap().liveness, Liveness::Live);
        let retired = retire(&ctx, &old).unwrap();
        assert!(matches!(retired.status, Status::Done));
        assert_eq!(retired.members[0].liveness, Liveness::Dead);
        assert!(!logs_in(&server, &old) && logs_in(&server, &ctx.current));
        assert_eq!(probe(&ctx, &old).unwrap().liveness, Liveness::Dead);
        assert_eq!(probe(&ctx, &ctx.current).unwrap().liveness, Liveness::Live);
        assert!(matches!(
            retire(&ctx, &old).unwrap().status,
            Status::Unchanged
        ));
    }
}

#[test]
fn a_restart_keeps_the_new_password_and_the_old_one_dead() {
    for program in both() {
        for server in [
            options().program(program.clone()),
            options().program(program.clone()).with_acl_file(),
        ] {
            let server = server.start().unwrap();
            let _host = host(&[&server]);
            let mut ctx = context();
            let old = rotate(&mut ctx, "v2");
            server.restart().unwrap();
            assert!(logs_in(&server, &ctx.current) && !logs_in(&server, &old));
        }
    }
}

/// With `requirepass` in the configuration file, which CONFIG REWRITE keeps as it was.
#[test]
fn the_user_default_rotates_itself_and_its_requirepass_stays_without_effect() {
    for program in both() {
        for acl_file in [false, true] {
            let mut options = ServerOptions::new()
                .program(program.clone())
                .conf(format!("requirepass {FIRST}"));
            if acl_file {
                // A file without this user would leave it without a password, whatever requirepass says.
                let default = format!("default on >{FIRST} ~* &* +@all");
                options = options.with_acl_file().user(default);
            }
            let server = options.start().unwrap();
            let _host = host(&[&server]);
            let mut ctx = default_context("dual");
            let candidate = create(&ctx, "v2");
            set(&ctx, &candidate).unwrap();
            server.restart().unwrap();
            assert!(logs_in(&server, &ctx.current) && logs_in(&server, &candidate));
            let old = ctx.current.clone();
            promote(&mut ctx, candidate);
            retire(&ctx, &old).unwrap();
            server.restart().unwrap();
            assert!(logs_in(&server, &ctx.current), "{acl_file}");
            assert!(!logs_in(&server, &old), "{acl_file}");
        }
    }
}

#[test]
fn twenty_rotations_leave_one_password() {
    let server = options().start().unwrap();
    let _host = host(&[&server]);
    let mut ctx = context();
    for number in 0..20 {
        rotate(&mut ctx, &format!("v{number}"));
    }
    assert_eq!(passwords(&server), 1);
    assert!(logs_in(&server, &ctx.current));
}

fn passwords(server: &Server) -> usize {
    let user = server.command(&["ACL", "GETUSER", USER]).unwrap();
    let fields: Vec<harness::redis::Value> = user.into_sequence().unwrap();
    let at = fields
        .iter()
        .position(|field| *field == harness::redis::Value::BulkString(b"passwords".to_vec()))
        .unwrap();
    fields[at + 1].as_sequence().unwrap().len()
}

/// The store is wrong and the server is right: whoever reads AWSCURRENT is locked out already, and whoever has the
/// older value must not be locked out as well.
#[test]
fn a_wrong_current_does_not_cost_the_older_value_that_works() {
    let server = options().start().unwrap();
    let _host = host(&[&server]);
    let mut ctx = context();
    let right = ctx.current.clone();
    ctx.current = fake::version("v2", &value(Some(USER), "never-was-a-password"));
    ctx.others = vec![OtherVersion {
        standing: Standing::Previous,
        version: right.clone(),
    }];
    let candidate = create(&ctx, "v3");
    let error = set(&ctx, &candidate).unwrap_err();
    assert_eq!((error.kind, error.applied), (ErrorKind::Auth, Applied::No));
    assert!(error.message.contains(&right.id), "{error}");
    assert!(logs_in(&server, &right) && !logs_in(&server, &candidate));
}

#[test]
fn nothing_known_opens_and_nothing_is_changed() {
    let server = options().start().unwrap();
    let _host = host(&[&server]);
    let mut ctx = context();
    ctx.companions.clear();
    ctx.current = fake::version("v2", &value(Some(USER), "never-was-a-password"));
    let before = server.command(&["ACL", "LIST"]).unwrap();
    let candidate = create(&ctx, "v3");
    let error = set(&ctx, &candidate).unwrap_err();
    assert_eq!((error.kind, error.applied), (ErrorKind::Auth, Applied::No));
    assert_eq!(server.command(&["ACL", "LIST"]).unwrap(), before);
}

#[test]
fn what_keyturn_does_not_know_is_left_and_reported() {
    let server = options().start().unwrap();
    server
        .command(&["ACL", "SETUSER", USER, ">somebody-elses-password"])
        .unwrap();
    let _host = host(&[&server]);
    let ctx = context();
    let outcome = set(&ctx, &create(&ctx, "v2")).unwrap();
    let finding = &outcome.findings[0];
    assert_eq!(
        (finding.id.as_str(), finding.level),
        ("strange-passwords", Level::Warning)
    );
    server.login(Some(USER), "somebody-elses-password").unwrap();
}

#[test]
fn retiring_spares_what_current_holds_and_where_current_is_dead() {
    let server = options().start().unwrap();
    let _host = host(&[&server]);
    let mut ctx = context();
    let held = fake::version("v0", &value(Some(USER), FIRST));
    let outcome = retire(&ctx, &held).unwrap();
    assert!(matches!(outcome.status, Status::Unchanged));
    assert_eq!(outcome.findings[0].id, "in-use-again");

    ctx.current = fake::version("v2", &value(Some(USER), "never-was-a-password"));
    let error = retire(&ctx, &held).unwrap_err();
    assert_eq!((error.kind, error.applied), (ErrorKind::Auth, Applied::No));
    assert!(error.message.contains("kept"), "{error}");
    assert!(logs_in(&server, &held));
}

#[test]
fn old_sessions_end_where_that_is_asked_for() {
    let server = options().start().unwrap();
    let _host = host(&[&server]);
    let mut ctx = context();
    let mut session = harness::redis::Session::open(server.address(), Some(USER), FIRST).unwrap();
    // Whoever watches all commands has a session, too.
    let mut thief = std::net::TcpStream::connect(server.address()).unwrap();
    let words = format!("AUTH {USER} {FIRST}\r\nMONITOR\r\n");
    std::io::Write::write_all(&mut thief, words.as_bytes()).unwrap();
    let candidate = create(&ctx, "v2");
    set(&ctx, &candidate).unwrap();
    let old = ctx.current.clone();
    promote(&mut ctx, candidate);
    let request = |age| RetireRequest {
        subject: old.clone(),
        end_sessions_older_than_ms: Some(age),
    };
    Redis::retire(&ctx, &request(3_600_000)).unwrap();
    session.command(&["PING"]).unwrap();
    let outcome = Redis::retire(&ctx, &request(0)).unwrap();
    assert!(
        outcome.findings[0].summary.starts_with("2 session(s)"),
        "{outcome:?}"
    );
    session.command(&["PING"]).unwrap_err();
}

#[test]
fn an_earlier_password_is_added_again() {
    let server = options().start().unwrap();
    let _host = host(&[&server]);
    let mut ctx = context();
    let old = rotate(&mut ctx, "v2");
    let mut request = fake::create_request(keyturn_sdk::Purpose::Restore, 60);
    request.restore = Some(old.clone());
    let keyturn_sdk::Created::Value(text) = Redis::create(&ctx, &request).unwrap() else {
        panic!("no operator is needed")
    };
    let restored = keyturn_sdk::Version {
        id: "v3".into(),
        value: text,
    };
    set(&ctx, &restored).unwrap();
    test(&ctx, &restored).unwrap();
    assert!(logs_in(&server, &old) && logs_in(&server, &ctx.current));
}

#[test]
fn check_finds_a_healthy_server_healthy_and_changes_nothing() {
    let server = options().start().unwrap();
    let _host = host(&[&server]);
    let before = server.command(&["ACL", "LIST"]).unwrap();
    let findings = Redis::check(&context()).unwrap();
    assert!(
        findings
            .iter()
            .all(|finding| finding.level != Level::Failure),
        "{findings:?}"
    );
    assert!(findings.iter().any(|finding| finding.id == "rights"));
    assert!(findings.iter().any(|finding| finding.id == "default-open"));
    assert_eq!(server.command(&["ACL", "LIST"]).unwrap(), before);
}
