//! What must be found before anything is changed, and what each refusal says.

use crate::common::*;
use harness::redis::{Server, ServerOptions};
use keyturn_plugin_redis::Redis;
use keyturn_sdk::{Applied, Context, Error, ErrorKind, Level, Liveness, Rotator, fake};

/// `set` fails so, and the server's users are what they were.
#[track_caller]
fn check_refused(server: &Server, ctx: &Context, kind: ErrorKind, words: &[&str]) -> Error {
    let before = server.command(&["ACL", "LIST"]).unwrap();
    let _host = host(&[server]);
    let error = set(ctx, &create(ctx, "v2")).unwrap_err();
    assert_eq!((error.kind, error.applied), (kind, Applied::No), "{error}");
    for word in words {
        assert!(error.message.contains(word), "{error}");
    }
    assert_eq!(server.command(&["ACL", "LIST"]).unwrap(), before);
    error
}

#[test]
fn a_user_without_a_password_is_unprotected() {
    let server = ServerOptions::new()
        .user(format!("{USER} on nopass ~* +@all"))
        .start()
        .unwrap();
    let mut ctx = context();
    ctx.companions.clear();
    check_refused(
        &server,
        &ctx,
        ErrorKind::Unprotected,
        &["wrong password", "nopass"],
    );
    let _host = host(&[&server]);
    for error in [
        test(&ctx, &ctx.current).unwrap_err(),
        probe(&ctx, &ctx.current).unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Unprotected);
    }
}

#[test]
fn a_server_without_requirepass_is_unprotected() {
    let server = ServerOptions::new().start().unwrap();
    for strategy in ["dual", "single"] {
        let ctx = default_context(strategy);
        check_refused(
            &server,
            &ctx,
            ErrorKind::Unprotected,
            &["without any login"],
        );
    }
}

#[test]
fn a_user_that_is_off_is_found_and_proves_nothing() {
    let server = options().start().unwrap();
    server.command(&["ACL", "SETUSER", USER, "off"]).unwrap();
    let ctx = context();
    check_refused(
        &server,
        &ctx,
        ErrorKind::Permission,
        &["is off", "ACL SETUSER festival on"],
    );
    let _host = host(&[&server]);
    assert_eq!(
        probe(&ctx, &ctx.current).unwrap().liveness,
        Liveness::Unknown
    );
    let stranger = fake::version("v9", &value(Some(USER), "never-was-a-password"));
    assert_eq!(probe(&ctx, &stranger).unwrap().liveness, Liveness::Unknown);
}

#[test]
fn a_user_that_does_not_exist_is_not_created() {
    let server = options().start().unwrap();
    let mut ctx = context();
    ctx.current = fake::version("v1", &value(Some("nobody"), FIRST));
    check_refused(
        &server,
        &ctx,
        ErrorKind::InvalidSecret,
        &["no user `nobody`"],
    );
}

#[test]
fn a_server_that_cannot_keep_its_users_is_refused_unless_that_is_known() {
    // Its configuration comes from the command line, as in a container.
    let server = options().without_a_file().start().unwrap();
    let mut ctx = context();
    check_refused(
        &server,
        &ctx,
        ErrorKind::InvalidSettings,
        &["if-possible", "restart"],
    );
    ctx.settings_json = r#"{"persistence":"if-possible"}"#.into();
    let _host = host(&[&server]);
    let candidate = create(&ctx, "v2");
    let outcome = set(&ctx, &candidate).unwrap();
    assert_eq!(outcome.findings[0].id, "not-kept");
    assert!(logs_in(&server, &candidate));
}

#[test]
fn a_file_that_cannot_be_written_is_found_before_the_change() {
    let server = options().with_acl_file().start().unwrap();
    // A folder in the file's place: rename(2) cannot put a file there.
    std::fs::remove_file(server.folder().join("users.acl")).unwrap();
    std::fs::create_dir(server.folder().join("users.acl")).unwrap();
    std::fs::write(server.folder().join("users.acl/keep"), "").unwrap();
    check_refused(&server, &context(), ErrorKind::Other, &["ACL SAVE"]);
}

#[test]
fn a_missing_right_is_found_before_the_change_and_named_by_its_kind() {
    let server = ServerOptions::new()
        .user(documented_user(USER, FIRST))
        .start()
        .unwrap();
    let mut ctx = context();
    ctx.companions.clear();
    let error = check_refused(
        &server,
        &ctx,
        ErrorKind::Permission,
        &["the right to it", "+"],
    );
    assert_eq!(error.code.as_deref(), Some("NOPERM"));
    let _host = host(&[&server]);
    let findings = Redis::check(&ctx).unwrap();
    assert!(
        findings
            .iter()
            .any(|finding| finding.level == Level::Failure),
        "{findings:?}"
    );
}

#[test]
fn each_right_of_the_documented_admin_is_needed() {
    let set_up = documented_user("rotation", "admin-password-Aa1");
    let optional = [
        "+client|kill",
        "+client|id",
        "+config|set",
        "+cluster|info",
        "+auth",
        "+ping",
    ];
    let rights: Vec<&str> = set_up
        .split(' ')
        .filter(|rule| rule.starts_with('+') && !optional.contains(rule))
        .collect();
    assert!(rights.len() >= 8, "{rights:?}");
    let server = options().start().unwrap();
    let ctx = context();
    for right in rights {
        if right == "+command" || right == "+acl|save" {
            // Without the first nothing is known of the commands, which then tell; and users are in the other file.
            continue;
        }
        server
            .command(&["ACL", "SETUSER", "rotation", &right.replace('+', "-")])
            .unwrap();
        check_refused(&server, &ctx, ErrorKind::Permission, &[right]);
        server
            .command(&["ACL", "SETUSER", "rotation", right])
            .unwrap();
    }
    let _host = host(&[&server]);
    set(&ctx, &create(&ctx, "v3")).unwrap();
}

#[test]
fn a_login_that_may_do_nothing_is_no_success() {
    let server = options().start().unwrap();
    let _host = host(&[&server]);
    let ctx = context();
    let candidate = create(&ctx, "v2");
    set(&ctx, &candidate).unwrap();
    server.command(&["ACL", "SETUSER", USER, "-ping"]).unwrap();
    let error = test(&ctx, &candidate).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permission);
    assert!(error.message.contains("+ping"), "{error}");
}

#[test]
fn a_service_that_takes_acl_or_config_away_is_named_as_such() {
    let without = |command: &str| {
        options()
            .with_acl_file()
            .conf(format!("rename-command {command} \"\""))
            .start()
            .unwrap()
    };
    let server = without("ACL");
    let _host = host(&[&server]);
    let ctx = context();
    let error = set(&ctx, &create(&ctx, "v2")).unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (ErrorKind::Unsupported, Applied::No)
    );
    for words in [
        "managed services",
        "elasticache-user",
        "elasticache-auth-token",
    ] {
        assert!(error.message.contains(words), "{error}");
    }

    // Without CONFIG users can be changed and kept all the same, where there is an ACL file.
    let server = without("CONFIG");
    let _host = host(&[&server]);
    let mut ctx = context();
    let old = rotate(&mut ctx, "v2");
    server.restart().unwrap();
    assert!(logs_in(&server, &ctx.current) && !logs_in(&server, &old));

    // Where there is none, a restart would undo the change.
    let server = options()
        .conf("rename-command CONFIG \"\"")
        .start()
        .unwrap();
    let words = [
        "lets nobody run CONFIG",
        "if-possible",
        "interface of its own",
    ];
    check_refused(&server, &context(), ErrorKind::Unsupported, &words);
    let mut ctx = context();
    ctx.settings_json = r#"{"persistence":"if-possible"}"#.into();
    let _host = host(&[&server]);
    let candidate = create(&ctx, "v2");
    set(&ctx, &candidate).unwrap();
    assert!(logs_in(&server, &candidate));
}

#[test]
fn requirepass_cannot_be_changed_where_config_is_taken_away() {
    let server = ServerOptions::new()
        .conf(format!("requirepass {FIRST}"))
        .conf("rename-command ACL \"\"")
        .conf("rename-command CONFIG \"\"")
        .start()
        .unwrap();
    let _host = host(&[&server]);
    let ctx = default_context("single");
    let error = set(&ctx, &create(&ctx, "v2")).unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (ErrorKind::Unsupported, Applied::No)
    );
    assert!(error.message.contains("CONFIG"), "{error}");
    assert!(logs_in(&server, &ctx.current));
}

#[test]
fn what_is_no_redis_and_what_is_down_are_two_errors() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let web = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 64]);
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
    });
    let ctx = context();
    let _host = host_at(std::slice::from_ref(&address));
    let error = probe(&ctx, &ctx.current).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol);
    web.join().unwrap();
    let error = probe(&ctx, &ctx.current).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains(&address), "{error}");
}

#[test]
fn a_candidate_of_another_user_opens_no_connection() {
    let _host = host_at(&["127.0.0.1:1".to_owned()]);
    let ctx = context();
    let foreign = fake::version("v2", &value(Some("somebody"), "p"));
    for error in [
        set(&ctx, &foreign).unwrap_err(),
        test(&ctx, &foreign).unwrap_err(),
        retire(&ctx, &foreign).unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::InvalidSecret, "{error}");
    }
}

#[test]
fn a_server_under_two_names_is_changed_under_none() {
    let server = options().start().unwrap();
    let port = server.port();
    let _host = host_at(&[format!("127.0.0.1:{port}"), format!("localhost:{port}")]);
    let ctx = context();
    let error = set(&ctx, &create(&ctx, "v2")).unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (ErrorKind::InvalidSecret, Applied::No)
    );
    assert!(error.message.contains("localhost"), "{error}");
}

/// Without CONFIG a failing ACL SAVE looks like a missing file; both would be undone by a restart.
#[test]
fn a_disk_that_fails_is_found_where_config_is_taken_away_too() {
    let server = options()
        .with_acl_file()
        .conf("rename-command CONFIG \"\"")
        .start()
        .unwrap();
    std::fs::remove_file(server.folder().join("users.acl")).unwrap();
    std::fs::create_dir(server.folder().join("users.acl")).unwrap();
    std::fs::write(server.folder().join("users.acl/keep"), "").unwrap();
    check_refused(&server, &context(), ErrorKind::Unsupported, &["ACL file"]);
}

/// Who would see a change that is still on its way is the admin: refused, it is no excuse for not looking.
#[test]
fn a_refused_admin_keeps_a_value_from_being_called_dead() {
    let server = options().start().unwrap();
    let _host = host(&[&server]);
    let mut ctx = context();
    server
        .command(&[
            "ACL",
            "SETUSER",
            "rotation",
            "resetpass",
            ">another-password",
        ])
        .unwrap();
    let stranger = fake::version("v9", &value(Some(USER), "never-was-a-password"));
    let error = probe(&ctx, &stranger).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(
        error
            .details
            .contains(&("companion".into(), "admin".into())),
        "{error:?}"
    );
    // Without one, nobody but the user itself could have changed it.
    ctx.companions.clear();
    assert_eq!(probe(&ctx, &stranger).unwrap().liveness, Liveness::Dead);
}

#[test]
fn a_sentinel_that_logs_in_as_the_user_is_reported() {
    let server = options().start().unwrap();
    let mut sentinel = harness::redis::Session::open(server.address(), Some(USER), FIRST).unwrap();
    // The README's user may name itself.
    sentinel
        .command(&["CLIENT", "SETNAME", "sentinel-1a2b3c4d-cmd"])
        .unwrap();
    let _host = host(&[&server]);
    let ctx = context();
    let outcome = set(&ctx, &create(&ctx, "v2")).unwrap();
    assert_eq!(outcome.findings[0].id, "sentinel");
}

/// A replica without its primary answers nothing but who is who.
#[test]
fn a_replica_that_serves_no_stale_data_is_tested_all_the_same() {
    let server = options()
        .conf("replicaof 127.0.0.1 1")
        .conf("replica-serve-stale-data no")
        .start()
        .unwrap();
    let _host = host(&[&server]);
    let ctx = context();
    test(&ctx, &ctx.current).unwrap();
}
