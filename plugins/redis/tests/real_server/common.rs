//! Real servers with the users of the README, the fake host pointed at them, and the values that a rotation passes
//! around.

use harness::redis::{LoginFailure, Server, ServerOptions, Value};
use keyturn_plugin_redis::Redis;
use keyturn_sdk::fake::{self, Host, Installed, Tcp};
use keyturn_sdk::{
    Companion, Context, Created, Error, OtherVersion, Outcome, Purpose, RetireRequest, Rotator,
    Standing, Verdict, Version,
};
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const USER: &str = "festival";
pub(crate) const FIRST: &str = "first-password-Aa1";
const ADMIN_USER: &str = "rotation";
const ADMIN: &str = "admin-password-Aa1";

/// A user as the README sets it up.
pub(crate) fn documented_user(name: &str, password: &str) -> String {
    harness::redis::documented_user(name, &format!(">{password}"))
}

/// Options of a server with the README's users.
pub(crate) fn options() -> ServerOptions {
    ServerOptions::new()
        .user(documented_user(USER, FIRST))
        .user(documented_user(ADMIN_USER, ADMIN))
}

pub(crate) fn address(server: &Server) -> String {
    server.address().to_string()
}

/// A host whose `nodes` are these servers.
pub(crate) fn host(servers: &[&Server]) -> Installed {
    let addresses: Vec<_> = servers.iter().map(|server| address(server)).collect();
    host_at(&addresses)
}

pub(crate) fn host_at(addresses: &[String]) -> Installed {
    // Each host makes other passwords than the one before it.
    static SEED: AtomicU64 = AtomicU64::new(1);
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    Host::new()
        .seed(SEED.fetch_add(1, Ordering::Relaxed))
        .endpoint("nodes", Tcp::plaintext(&addresses))
        .install()
}

pub(crate) fn value(user: Option<&str>, password: &str) -> String {
    let user = user.map_or(String::new(), |user| format!(r#""username":"{user}","#));
    format!(r#"{{"host":"redis",{user}"password":"{password}","x":1.50}}"#)
}

/// The application's user and the admin secret.
pub(crate) fn context() -> Context {
    let mut ctx = fake::context("dual", &value(Some(USER), FIRST));
    ctx.companions = vec![Companion {
        name: "admin".into(),
        secret: "festival-test/redis-admin".into(),
        version: fake::version("admin-1", &value(Some(ADMIN_USER), ADMIN)),
    }];
    ctx
}

/// The user `default` without an admin secret.
pub(crate) fn default_context(strategy: &str) -> Context {
    fake::context(strategy, &value(None, FIRST))
}

pub(crate) fn create(ctx: &Context, id: &str) -> Version {
    let request = fake::create_request(Purpose::Replace, 3600);
    match Redis::create(ctx, &request).expect("a new value") {
        Created::Value(value) => Version {
            id: id.to_owned(),
            value,
        },
        Created::NeedsInput(_) => panic!("a password needs no operator"),
    }
}

pub(crate) fn set(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    Redis::set(ctx, candidate)
}

pub(crate) fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    Redis::test(ctx, candidate)
}

pub(crate) fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
    Redis::probe(ctx, subject)
}

pub(crate) fn retire(ctx: &Context, subject: &Version) -> Result<Outcome, Error> {
    Redis::retire(
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

/// The text member of a version; `None` if it is absent.
pub(crate) fn member(version: &Version, name: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(version.value.expose()).expect("JSON");
    value[name].as_str().map(str::to_owned)
}

/// Does this value log in, asked by a client that is not Keyturn's?
pub(crate) fn logs_in(server: &Server, version: &Version) -> bool {
    match attempt(server, version) {
        Ok(_) => true,
        Err(failure) if failure.code.as_deref() == Some("WRONGPASS") => false,
        Err(failure) => panic!("{failure:?}"),
    }
}

pub(crate) fn attempt(server: &Server, version: &Version) -> Result<Value, LoginFailure> {
    let user = member(version, "username");
    let password = member(version, "password").expect("a password");
    server.command_as(user.as_deref(), &password, &["PING"])
}

/// A whole rotation, its old password removed at the end.
pub(crate) fn rotate(ctx: &mut Context, id: &str) -> Version {
    let candidate = create(ctx, id);
    set(ctx, &candidate).expect("set");
    test(ctx, &candidate).expect("test");
    let old = ctx.current.clone();
    promote(ctx, candidate);
    retire(ctx, &old).expect("retire");
    ctx.others.clear();
    old
}
