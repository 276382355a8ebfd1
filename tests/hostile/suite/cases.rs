//! The table of hostile deeds: what the guest does, how that must end, and what Keyturn promises
//! about it. Each row is a test.

use std::time::Duration;

use harness::poll::until;
use keyturn_runtime::Applied::{No, Unknown};
use keyturn_runtime::ErrorKind::*;
use keyturn_runtime::Origin::{Host, Plugin};
use keyturn_runtime::Status;

use crate::stage::Ends::{Answering, As};
use crate::stage::Export::{Create, Finish, Probe, Set, Test, Usage};
use crate::stage::{Aftermath, Case, Peer, Port, play};

/// Loopback in plaintext, literally granted.
const PLAIN: &str =
    r#"endpoint.primary = { hosts = ["127.0.0.1"], ports = [PORT], tls = "disable" }"#;
/// The same, with fuel for longer than the second that it gets.
const BRIEF: &str = r#"limits = { wall_seconds = 1, fuel = 1000000000000 }
endpoint.primary = { hosts = ["127.0.0.1"], ports = [PORT], tls = "disable" }"#;
/// Any host, private ones too, at the forbidden port: as careless as a grant can be.
const CARELESS: &str = r#"endpoint.primary = { hosts = ["*"], ports = [PORT, FORBIDDEN], private = true, tls = "disable" }"#;

/// What most rows share: a deed in `set` at a granted listener.
const SET: Case = Case {
    name: "",
    does: "",
    with: "",
    during: Set,
    grant: PLAIN,
    peer: Peer::Echo,
    hosts: &["127.0.0.1"],
    points_to: Port::Granted,
    names: &[],
    credential: "",
    ends: Answering(&[]),
    seen: 0,
    also: |_| {},
};
const CREATE: Case = Case {
    does: "make",
    during: Create,
    ..SET
};
const LEAK: Case = Case {
    does: "leak",
    also: it_was_hidden,
    ..SET
};

macro_rules! cases {
    ($($(#[$about:meta])* $name:ident: $case:expr,)*) => {
        pub(crate) const CASES: &[Case] = &[$(Case { name: stringify!($name), ..$case }),*];
        $($(#[$about])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
        async fn $name() {
            let case = CASES.iter().find(|case| case.name == stringify!($name));
            play(case.unwrap()).await;
        }
        )*
    };
}

cases! {
    // Never ending.
    trap: Case { does: "trap", ends: As(Trap, Host, Unknown, "`unreachable` instruction"), ..SET },
    endless_loop: Case {
        does: "spin",
        grant: r#"limits.fuel = 50000000
endpoint.primary = { hosts = ["127.0.0.1"], ports = [PORT], tls = "disable" }"#,
        ends: As(OutOfFuel, Host, Unknown, "50000000 units"),
        ..SET
    },
    endless_loop_with_fuel_to_burn: Case { does: "spin", grant: BRIEF, ends: As(Timeout, Host, Unknown, "1.0 s"), ..SET },
    /// Each instruction moves 16 MiB and costs one unit: neither fuel nor a look between instructions helps.
    endless_memory_fill: Case { does: "fill", grant: BRIEF, ends: As(Timeout, Host, Unknown, "1.0 s"), ..SET },
    loop_inside_clock_calls: Case { does: "spin-clock", grant: BRIEF, ends: As(Timeout, Host, Unknown, "1.0 s"), ..SET },
    loop_inside_random_calls: Case { does: "spin-random", grant: BRIEF, ends: As(Timeout, Host, Unknown, "1.0 s"), ..SET },
    /// Two megabytes per line: what is dropped must cost nothing either.
    loop_inside_log_calls: Case {
        does: "spin-log",
        grant: BRIEF,
        ends: As(Timeout, Host, Unknown, "1.0 s"),
        also: |after| assert!(after.lines.len() <= 201),
        ..SET
    },
    /// The host remembers each password, to hide it: the number is bounded.
    loop_inside_password_calls: Case { does: "spin-password", ends: As(Trap, Host, Unknown, "at most 64 times"), ..SET },
    /// The host computes them on other threads, where no fuel counts.
    loop_inside_derivations: Case { does: "spin-derive", grant: BRIEF, ends: As(Timeout, Host, Unknown, "1.0 s"), ..SET },
    derivation_without_end: Case { does: "derive", with: "4294967295", ends: As(Trap, Host, Unknown, "1 to 1000000 iterations"), ..SET },
    key_of_a_huge_password: Case { does: "derive-long", with: "3000000", ends: As(TooLarge, Host, Unknown, "2097152 bytes at once"), ..SET },
    /// Nothing resolves, so nothing ever connects; the name server is not asked without end all the same.
    loop_inside_connect_calls: Case {
        does: "spin-connect",
        with: "5000",
        names: &[&[]],
        also: |after| assert_eq!(after.lookups, 8),
        ..SET
    },
    deep_recursion: Case { does: "recurse", ends: As(Trap, Host, Unknown, "nested too deep"), ..SET },

    // Taking all there is.
    memory_bomb: Case { does: "grow", ends: As(OutOfMemory, Host, Unknown, "33554432 bytes of memory"), ..SET },
    memory_bomb_at_once: Case { does: "grow-at-once", with: "60000", ends: As(OutOfMemory, Host, Unknown, "33554432 bytes of memory"), ..SET },
    table_bomb: Case { does: "grow-table", ends: As(OutOfMemory, Host, Unknown, "20000 table elements"), ..SET },
    handle_bomb: Case {
        does: "hoard",
        grant: r#"limits.connections = 100000
endpoint.primary = { hosts = ["127.0.0.1"], ports = [PORT], tls = "disable" }"#,
        ends: As(OutOfMemory, Host, Unknown, "256 open handles"),
        seen: 257,
        ..SET
    },
    huge_answer: Case { does: "answer", with: "3000000", ends: As(TooLarge, Host, Unknown, "2097152 bytes at once"), ..SET },
    large_answer: Case { does: "answer", with: "600000", ends: As(TooLarge, Host, Unknown, "524288 bytes"), ..SET },
    answer_of_many_parts: Case { does: "answer-many", with: "1025", ends: As(TooLarge, Host, Unknown, "524288 bytes"), ..SET },
    /// An error that is too large is not believed in any of its parts: not that nothing was applied either.
    large_error: Case { does: "refuse-hugely", with: "600", ends: As(TooLarge, Host, Unknown, "524288 bytes"), ..SET },
    huge_list_of_log_fields: Case { does: "fields", with: "200000", ends: As(TooLarge, Host, Unknown, "2097152 bytes at once"), ..SET },
    log_flood_with_terminal_escapes: Case { does: "flood", also: the_flood_is_tamed, ..SET },

    // Lies about the value. What `create` answers is stored before anything else, so it is looked at first.
    lie_other_host: Case { with: "other-host", ends: As(IdentityChanged, Host, No, "/host differs"), ..CREATE },
    /// Caught because the manifest calls /username an identity. Where users alternate it cannot, and the
    /// plugin itself must compare the family (postgres does, in `set`).
    lie_other_user: Case { with: "other-user", ends: As(IdentityChanged, Host, No, "/username differs"), ..CREATE },
    /// One reader believes the first, another the last.
    lie_two_hosts: Case { with: "two-hosts", ends: As(InvalidAnswer, Host, No, "twice at or in \"host\""), ..CREATE },
    lie_empty_value: Case { with: "empty", ends: As(InvalidAnswer, Host, No, "an empty value"), ..CREATE },
    lie_nul_byte: Case { with: "nul", ends: As(InvalidAnswer, Host, No, "a NUL byte"), ..CREATE },
    lie_huge_value: Case { with: "huge", ends: As(InvalidAnswer, Host, No, "more than 65536 bytes"), ..CREATE },
    lie_no_object: Case { with: "plain", ends: As(InvalidAnswer, Host, No, "no JSON object"), ..CREATE },
    /// The old value is killed after its grace; were it the new one too, nobody could log in.
    lie_nothing_new: Case { with: "same", ends: As(InvalidAnswer, Host, No, "holds already"), ..CREATE },
    /// Members that its schema does not name stay byte for byte.
    lie_other_credential: Case { with: "other-credential", ends: As(InvalidAnswer, Host, No, "\"vendor_key\" is not as it was"), ..CREATE },
    lie_added_member: Case { with: "added-member", ends: As(InvalidAnswer, Host, No, "is not as it was"), ..CREATE },
    /// The table's own control: a value without a lie is taken.
    no_lie: Case { with: "honest", credential: "database", ends: Answering(&[]), ..CREATE },

    // Lies about the target. Keyturn knows no protocol, so it cannot tell whether a login worked; it
    // knows whether one can have been tried. rotations.rs says what is left of a lie with a connection.
    lie_tested_without_asking: Case { during: Test, ends: As(InvalidAnswer, Host, No, "opened no connection"), ..SET },
    lie_probed_without_asking: Case { during: Probe, ends: As(InvalidAnswer, Host, No, "opened no connection"), ..SET },
    lie_keep_the_old_value_for_ever: Case { does: "keep-for-ever", during: Finish, ends: As(InvalidAnswer, Host, No, "is the most"), ..SET },
    /// A pause may be asked for; its length is the host's to bound, and the core bounds how many.
    lie_pending_for_ever: Case {
        does: "stall",
        with: "18446744073709551615",
        also: |after| assert_eq!(after.status, Some(Status::Pending { after_ms: 60_000 })),
        ..SET
    },
    lie_retry_in_an_age: Case {
        does: "ask-again",
        with: "18446744073709551615",
        ends: As(Other, Plugin, No, "later"),
        also: |after| assert_eq!(after.error.as_ref().unwrap().retry_after_ms, Some(60_000)),
        ..SET
    },

    // Reaching out. The forbidden listener is real, and sees nobody.
    /// Every spelling of 127.0.0.1, under a grant for any host but not for loopback.
    loopback_in_disguise: Case {
        does: "reach",
        with: "c primary",
        grant: CARELESS,
        hosts: &[
            "127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::1", "2001:0:0:0:0:0:80ff:fffe",
            "fe80::5efe:127.0.0.1", "::1", "0.0.0.0", "::", "localhost", "LOCALHOST",
        ],
        points_to: Port::Forbidden,
        ends: Answering(&["NetErrorKind::Denied"]),
        ..SET
    },
    /// What old resolvers take for 127.0.0.1 is no host name, or resolves to loopback.
    loopback_in_numbers: Case {
        does: "reach",
        with: "c primary",
        grant: CARELESS,
        hosts: &["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "[127.0.0.1]", "127.0.0.1%lo"],
        points_to: Port::Forbidden,
        ends: Answering(&["NetErrorKind::D"]),
        ..SET
    },
    metadata_addresses: Case {
        does: "reach",
        with: "c primary",
        grant: CARELESS,
        hosts: &[
            "169.254.169.254", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "168.63.129.16",
        ],
        ends: Answering(&["NetErrorKind::Denied: endpoint \"primary\""]),
        ..SET
    },
    /// The first answer is right and the others are not; within a call the first stays.
    dns_rebinding_within_a_call: Case {
        does: "reach",
        with: "c primary|c primary|c primary",
        grant: r#"endpoint.primary = { hosts = ["localhost"], ports = [PORT], tls = "disable" }"#,
        hosts: &["localhost"],
        names: &[&["127.0.0.1"], &["169.254.169.254"]],
        ends: Answering(&["connected", "connected", "connected"]),
        seen: 3,
        also: |after| assert_eq!(after.lookups, 1),
        ..SET
    },
    /// A public name that turns to this machine: the very address is looked at, in whatever company.
    dns_rebinding_to_loopback: Case {
        does: "reach",
        with: "c primary|c primary|c primary",
        grant: CARELESS,
        hosts: &["db.example.com"],
        points_to: Port::Forbidden,
        names: &[&["127.0.0.1", "::ffff:127.0.0.1"], &["::1", "169.254.169.254"], &["127.0.0.1"]],
        ends: Answering(&["NetErrorKind::Denied", "NetErrorKind::Denied", "NetErrorKind::Denied"]),
        ..SET
    },
    /// The granted API says: go there.
    redirects: Case {
        does: "reach",
        with: "h api GET /|h api GET //127.0.0.1:FORBIDDEN/|h api POST /x",
        grant: r#"endpoint.primary = { hosts = ["127.0.0.1"], ports = [PORT], tls = "disable" }
endpoint.api = { members = ["127.0.0.1:PORT"], tls = "disable" }"#,
        peer: Peer::Redirect,
        ends: Answering(&["307", "307", "307"]),
        seen: 3,
        ..SET
    },
    /// An authority, a Host header and a second request, each smuggled into the first.
    smuggled_requests: Case {
        does: "reach",
        with: "h api GET http://127.0.0.1/|h api GET 127.0.0.1/|h api CONNECT 127.0.0.1:1|h api GET / host=evil.example|h api GET / x=a{crlf}host:evil|h api GET /{crlf}host:evil|h api GET{crlf}x /",
        grant: r#"endpoint.primary = { hosts = ["127.0.0.1"], ports = [PORT], tls = "disable" }
endpoint.api = { members = ["127.0.0.1:PORT"], tls = "disable" }"#,
        peer: Peer::Redirect,
        ends: Answering(&[
            "NetErrorKind::Denied", "NetErrorKind::", "NetErrorKind::", "NetErrorKind::Denied",
            "NetErrorKind::Other", "NetErrorKind::Other", "NetErrorKind::Other",
        ]),
        ..SET
    },
    undeclared_endpoint_names: Case {
        does: "reach",
        with: "c evil|c |c PRIMARY|c primary.|c 127.0.0.1|c api|m evil|h evil GET /|h 127.0.0.1 GET /|c ../primary",
        ends: Answering(&[
            "NetErrorKind::UnknownEndpoint", "NetErrorKind::UnknownEndpoint", "NetErrorKind::UnknownEndpoint",
            "NetErrorKind::UnknownEndpoint", "NetErrorKind::UnknownEndpoint", "NetErrorKind::UnknownEndpoint",
            "NetErrorKind::UnknownEndpoint", "NetErrorKind::UnknownEndpoint", "NetErrorKind::UnknownEndpoint",
            "NetErrorKind::UnknownEndpoint",
        ]),
        ..SET
    },
    /// TLS is demanded. Eight bytes per connection pass before it, the manifest's number; a plugin can put
    /// what it likes into them, which is why the number is as small as the protocol allows.
    plaintext_before_tls: Case {
        does: "drip",
        grant: r#"limits = { connect_seconds = 1 }
endpoint.primary = { hosts = ["127.0.0.1"], ports = [PORT] }"#,
        peer: Peer::Silent,
        ends: Answering(&[
            "NetErrorKind::Denied", "NetErrorKind::Timeout", "NetErrorKind::Closed", "NetErrorKind::Closed", "8 bytes",
        ]),
        seen: 3,
        also: eight_bytes_were_heard,
        ..SET
    },
    /// Names for what `create` and `finish` are not given at all.
    sockets_where_there_are_none: Case {
        does: "hoard",
        during: Create,
        ends: As(Other, Plugin, No, "there is: none"),
        ..SET
    },

    // Taking secrets out. stage.rs looks for every secret in every spelling in whatever a case said.
    leak_in_log_lines: Case { does: "leak-log", also: it_was_hidden, ..SET },
    leak_in_errors: Case { with: "error", ends: As(Auth, Plugin, No, "[secret]"), ..LEAK },
    leak_in_findings_and_members: Case { ..LEAK },
    leak_in_questions: Case { during: Create, ..LEAK },
    leak_in_retirement_steps: Case { during: Finish, ..LEAK },
    leak_in_verdicts: Case { during: Probe, ..LEAK },
    leak_in_usage: Case { during: Usage, ..LEAK },
}

fn it_was_hidden(after: &Aftermath) {
    let all = format!("{}{:?}", after.said, after.lines);
    let hidden = all.matches("[secret]").count();
    assert!(hidden > 20, "it did not even try: {all}");
}

fn the_flood_is_tamed(after: &Aftermath) {
    let mut texts = vec![after.said.replace('\n', "")];
    for line in &after.lines {
        texts.push(line.message.clone());
        for (key, value) in &line.fields {
            texts.extend([key.clone(), value.clone()]);
        }
    }
    let invisible = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{61c}');
    for text in texts {
        assert!(!text.contains(invisible), "{text:?}");
    }
    // The last says that the rest is gone.
    assert!(
        (2..=201).contains(&after.lines.len()),
        "{}",
        after.lines.len()
    );
    let last = &after.lines.last().unwrap().message;
    assert!(
        last.contains("the rest of this call's lines is dropped"),
        "{last}"
    );
}

/// Besides the handshake that it then began, which has no plaintext of the plugin's.
fn eight_bytes_were_heard(after: &Aftermath) {
    let whole = || {
        let heard = after.listener.heard();
        // The fourth is the one who counted.
        let all = heard.iter().filter(|bytes| bytes.len() > 10).count() == 3;
        all.then_some(heard)
    };
    let heard = until(Duration::from_secs(10), whole).expect("three connections with a handshake");
    for bytes in heard.iter().take(3) {
        assert_eq!(bytes[..8], *b"canary+c");
        // A TLS record: handshake, version 3.x.
        assert_eq!(bytes[8..10], [22, 3]);
        let rest = String::from_utf8_lossy(&bytes[8..]).into_owned();
        assert!(
            !rest.contains("canary") && !rest.contains("urrent/"),
            "{rest:?}"
        );
    }
}

#[test]
fn the_table_is_whole() {
    let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES.len());
    assert!(names.len() >= 14);
}
