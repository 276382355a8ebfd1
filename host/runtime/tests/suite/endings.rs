//! How hostile plugins end: each as its own typed error, before the deadline.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use keyturn_runtime::{
    Applied, CallError, CreateRequest, Created, ErrorKind, Origin, Purpose, RuntimeOptions,
};

use crate::support::*;

async fn ends(toml: &str, script: &str) -> CallError {
    let (plugin, _) = load().await;
    let began = Instant::now();
    let error = set(
        &plugin,
        grant(&format!("{toml}\n{}", plain(1)), script),
        &current(1),
    )
    .await
    .unwrap_err();
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{script} took {:?}",
        began.elapsed()
    );
    assert_eq!(
        (error.applied, error.origin),
        (Applied::Unknown, Origin::Host),
        "{script}"
    );
    error
}

async fn check(toml: &str, script: &str, kind: ErrorKind, what: &str) {
    let error = ends(toml, script).await;
    let expected = format!("`set` of plugin scripted {what}");
    assert_eq!((error.kind, error.message), (kind, expected));
}

const UNKNOWN: &str = "whether the target changed is not known";
const REPORT: &str = "this is a fault of the plugin, report it to its author";

#[tokio::test]
async fn a_panic_is_a_trap() {
    let what = format!(
        "trapped (wasm trap: wasm `unreachable` instruction executed); {UNKNOWN}; {REPORT}"
    );
    check("", "trap", ErrorKind::Trap, &what).await;
}

#[tokio::test]
async fn recursion_is_a_trap() {
    check(
        "",
        "recurse",
        ErrorKind::Trap,
        &format!("trapped (its calls nested too deep); {UNKNOWN}; {REPORT}"),
    )
    .await;
}

#[tokio::test]
async fn an_endless_loop_runs_out_of_fuel() {
    let what = format!(
        "used more than 50000000 units of fuel; {UNKNOWN}; raise grant.limits.fuel if that much work is expected"
    );
    check(
        "limits.fuel = 50000000",
        "loop",
        ErrorKind::OutOfFuel,
        &what,
    )
    .await;
}

#[tokio::test]
async fn an_endless_loop_is_cut_off_in_time() {
    let what = format!(
        "was cut off after 1.0 s; {UNKNOWN}; run it again, and raise grant.limits.wall_seconds if it needs longer"
    );
    for script in ["loop", "hostloop", "fill"] {
        let limits = "limits = { wall_seconds = 1, fuel = 1000000000000 }";
        check(limits, script, ErrorKind::Timeout, &what).await;
    }
}

#[tokio::test]
async fn a_memory_bomb_is_out_of_memory() {
    let what = format!(
        "wanted more than 33554432 bytes of memory; {UNKNOWN}; raise grant.limits.memory_bytes if the plugin is trusted with that"
    );
    check("", "grow", ErrorKind::OutOfMemory, &what).await;
}

#[tokio::test]
async fn huge_answers_are_too_large() {
    let what = format!("answered more than 524288 bytes; {UNKNOWN}; {REPORT}");
    check("", "huge 600000", ErrorKind::TooLarge, &what).await;
    check("", "many 2000", ErrorKind::TooLarge, &what).await;
    let what = format!("handed over more than 2097152 bytes at once; {UNKNOWN}; {REPORT}");
    check("", "huge 3000000", ErrorKind::TooLarge, &what).await;
    check("", "shout 3000000", ErrorKind::TooLarge, &what).await;
}

#[tokio::test]
async fn too_much_randomness_is_a_trap() {
    let (plugin, _) = load().await;
    let toml = plain(1);
    assert_eq!(
        steps(&plugin, &toml, "bytes 65536", &current(1)).await,
        ["65536"]
    );
    let what = format!(
        "trapped (random.bytes gives at most 65536 bytes at a time, 65537 were asked for); {UNKNOWN}; {REPORT}"
    );
    check("", "bytes 65537", ErrorKind::Trap, &what).await;
}

#[tokio::test]
async fn a_call_without_effects_changed_nothing_when_it_is_cut_off() {
    let (plugin, _) = load().await;
    let granted = plugin.grant(grant(&plain(1), "trap")).unwrap();
    let error = granted.check(&call(&current(1))).await.unwrap_err();
    assert_eq!(error.applied, Applied::No);
}

/// Both on one worker thread, so that only the plugin's yielding lets the other through.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn neighbours_are_not_affected() {
    let (plugin, _) = load().await;
    let limits = "limits = { wall_seconds = 2, fuel = 1000000000000 }";
    let toml = format!("{limits}\n{}", plain(1));
    let hostile = plugin.grant(grant(&toml, "loop")).unwrap();
    let good = plugin.grant(grant(&plain(1), "bytes 8")).unwrap();
    let hostile = tokio::spawn(async move { hostile.check(&call(&current(1))).await });
    let counting = tokio::spawn(async move {
        let mut answered = 0;
        while !hostile.is_finished() {
            good.check(&call(&current(1))).await.unwrap();
            answered += 1;
            tokio::task::yield_now().await;
        }
        (hostile.await.unwrap(), answered)
    });
    let (ended, answered) = counting.await.unwrap();
    assert_eq!(ended.unwrap_err().kind, ErrorKind::Timeout);
    // On a loaded machine few get their turn; without the yielding, none would.
    assert!(answered > 0, "no call went through beside the loop");
}

async fn create(script: &str) -> Result<Created, CallError> {
    let (plugin, _) = load().await;
    let granted = plugin.grant(grant(&plain(1), script)).unwrap();
    let request = CreateRequest {
        purpose: Purpose::Replace,
        inputs: vec![],
        overlap_seconds: 60,
        next_rotation: None,
        restore: None,
    };
    granted.create(&call(&current(1)), &request).await
}

#[tokio::test]
async fn created_values_are_looked_at() {
    let invalid = |what: &str| format!("`create` of plugin scripted answered {what}; {REPORT}");
    let check = async |script: &str, kind: ErrorKind, expected: String| {
        let error = create(script).await.unwrap_err();
        assert_eq!(
            (error.kind, error.applied, error.message),
            (kind, Applied::No, expected)
        );
    };
    check("make ", ErrorKind::InvalidAnswer, invalid("an empty value")).await;
    check(
        "make {'host':'{nul}'}",
        ErrorKind::InvalidAnswer,
        invalid("a value with a NUL byte"),
    )
    .await;
    check(
        "make plain",
        ErrorKind::InvalidAnswer,
        invalid("a value that is no JSON object, though CURRENT is one"),
    )
    .await;
    let other =
        "its /host differs from CURRENT's, and only where CURRENT points a connection is made";
    check(
        "make {'host':'evil','port':1}",
        ErrorKind::IdentityChanged,
        other.into(),
    )
    .await;
    let Created::Value(_) = create("make {'host':'127.0.0.1','port':1}").await.unwrap() else {
        panic!("no value")
    };
}

/// Its schema names no members, so it would be free to change every one.
#[tokio::test]
async fn a_plugin_that_names_no_members_shares_no_secret() {
    let (plugin, _) = load().await;
    let script = "make {'host':'127.0.0.1','port':1}";
    let granted = plugin.grant(grant(&plain(1), script)).unwrap();
    let request = CreateRequest {
        purpose: Purpose::Replace,
        inputs: vec![],
        overlap_seconds: 60,
        next_rotation: None,
        restore: None,
    };
    let mut call = call(&current(1));
    granted.create(&call, &request).await.unwrap();
    call.credential = "database".into();
    let error = granted.create(&call, &request).await.unwrap_err();
    let expected = "plugin scripted does not say which members of a value it owns (`properties` of its secret schema), so it cannot share a secret with other credentials; give this credential a secret of its own";
    assert_eq!(
        (error.kind, error.applied, error.message.as_str()),
        (ErrorKind::Unsupported, Applied::No, expected)
    );
}

#[tokio::test]
async fn create_and_finish_get_no_sockets() {
    let server = servers::echo().await;
    let (plugin, lines) = load().await;
    let script = format!(
        "connect primary 0;make {{'host':'127.0.0.1','port':{}}}",
        server.port
    );
    let granted = plugin.grant(grant(&plain(server.port), &script)).unwrap();
    let value = current(server.port);
    let request = CreateRequest {
        purpose: Purpose::Replace,
        inputs: vec![],
        overlap_seconds: 60,
        next_rotation: None,
        restore: None,
    };
    granted.create(&call(&value), &request).await.unwrap();
    granted
        .finish(&call(&value), &version("v2", &value))
        .await
        .unwrap();
    assert_eq!(server.seen(), 0);
    assert_eq!(lines.take(), []);
}

#[test]
fn calls_can_be_spawned() {
    fn is_send<T: Send>(
        _: impl Fn(
            &'static keyturn_runtime::GrantedPlugin,
            &'static keyturn_runtime::Call,
            &'static keyturn_runtime::Version,
        ) -> T,
    ) {
    }
    is_send(|plugin, call, version| plugin.set(call, version));
    is_send(|plugin, call, version| plugin.probe(call, version));
}

/// With one place, a second call waits. If the first one hangs for longer than the second may take, it never starts.
#[tokio::test]
async fn calls_beyond_the_places_wait_for_their_turn() {
    let options = RuntimeOptions {
        calls_at_once: NonZeroU32::MIN,
        ..RuntimeOptions::default()
    };
    let (plugin, _) = load_with(options, MANIFEST).await;
    let granted = |limits: &str, script: &str| {
        let toml = format!("{limits}\n{}", plain(1));
        plugin.grant(grant(&toml, script)).unwrap()
    };
    let hanging = granted(
        "limits = { wall_seconds = 2, fuel = 1000000000000 }",
        "loop",
    );
    let (brief, patient) = (granted("limits.wall_seconds = 2", ""), granted("", ""));
    let (call, candidate) = (call(&current(1)), version("candidate", &current(1)));
    let (hung, refused, served) = tokio::join!(
        biased;
        hanging.set(&call, &candidate),
        brief.set(&call, &candidate),
        patient.set(&call, &candidate),
    );
    assert_eq!(hung.unwrap_err().kind, ErrorKind::Timeout);
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.kind, refused.applied, refused.retryable),
        (ErrorKind::Timeout, Applied::No, true)
    );
    assert!(
        refused.message.contains("did not start within 1.0 s"),
        "{}",
        refused.message
    );
    served.unwrap();
}
