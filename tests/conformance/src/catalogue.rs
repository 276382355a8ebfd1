//! The checks: numbers and ids stay what they are for good, so that reports of different releases can be compared.
//! Numbers below 10 look at the file, below 20 at values, below 30 at a target, below 40 at faults, the rest at all calls.

/// What is checked, and what to do if it fails.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    pub number: u32,
    pub id: &'static str,
    pub title: &'static str,
    pub fix: &'static str,
}

/// Looks through what all others have made the plugin say.
pub(crate) const LAST: &str = "canary";

macro_rules! checks {
    ($($number:literal $id:literal: $title:literal, $fix:literal;)*) => {
        /// All checks by number, in the order in which they run, but for [`LAST`].
        pub const CHECKS: &[Check] = &[$(Check { number: $number, id: $id, title: $title, fix: $fix }),*];
    };
}

checks! {
    1 "component": "the file is a component of a bearable size",
        "build it with `keyturn plugin build`, for wasm32-unknown-unknown and for size";
    2 "imports": "it imports what its manifest declares, and nothing else",
        "list in `capabilities` of plugin.toml what the plugin uses, and remove dependencies that import anything else";
    3 "contract": "it speaks a version of the contract that this host knows, the one that its manifest names",
        "rebuild it with the keyturn-sdk of this release and write that version into `contract` of plugin.toml";
    4 "describe": "`describe` is valid and says the same each time",
        "build the descriptor from constants; its name is that of plugin.toml, its schemas are JSON Schema";
    5 "example": "its secret schema names the members that it owns, and has an example of a secret",
        "list the members under `properties`, and a made-up secret under `examples`";
    10 "one-token": "createSecret delivered twice with one token stores one value, and `create` may be called again",
        "`create` may be called again with the same arguments at any time; let it depend on nothing but them";
    11 "purposes": "every purpose that the strategy lists works, and any other is answered `unsupported`",
        "list in `describe` exactly the purposes that `create` serves";
    12 "overlap-zero": "with an overlap of 0 the new value holds no earlier credential",
        "with `overlap_seconds` 0 write no previous value: it was revoked because it leaked";
    13 "own-round": "extend and retire leave the credential in use alone, and retire removes the one before it",
        "take CURRENT's members and change only the previous value and the dates";
    14 "foreign-members": "members that the plugin does not own keep their text byte for byte",
        "change `Members`; never parse the whole secret and write it anew";
    15 "malformed": "200 malformed secrets are refused with an error, and none ends in a trap",
        "check what you read; an unexpected shape is `invalid-secret` and names the member, never a panic";
    16 "finish": "`finish` opens no connection and answers the same each time",
        "decide from the two values alone what becomes of the old one";
    20 "foreign-identity": "a candidate of another host or user is refused before any connection is opened",
        "name host and port under `identity` in plugin.toml, and compare the user in `set` before you connect";
    21 "set-twice": "`set` twice is one effect: CURRENT and the candidate work, and the second answer is `unchanged`",
        "log in with the candidate first, and answer `unchanged` if that works";
    22 "probe-harmless": "`probe` tells live from dead and changes nothing, and `check` finds no failure in a live CURRENT",
        "keep failures for what a rotation would come to grief at; only log in; answer `dead` to the target's own word for a wrong credential, after a wrong one was refused too";
    23 "wrong-current": "where CURRENT opens nothing and the previous value does, the target is repaired and that is said, or it is refused with nothing changed",
        "try the other values; name the one that opened the door in `opened_with`, or refuse with `applied: no`";
    24 "all-wrong": "where no value opens the door, `set` is refused with nothing changed",
        "log in before you change anything, and refuse with `applied: no` if no value works";
    25 "retire": "`retire` refuses what CURRENT holds, kills the old value, and `probe` finds it dead",
        "compare the subject with CURRENT first; answer `done` only when the value is refused by every node";
    26 "permission": "`test` fails where the login works and a right is missing",
        "let `test` do one thing that the application needs, and answer `permission` if it may not";
    27 "negative-control": "`test` fails where any credential is let in",
        "let `test` and `probe` try a wrong credential as well, and answer `unprotected` if it works";
    30 "target-down": "a target that is down is `unreachable`, and never a refused login or a dead value",
        "turn what the network says into `unreachable`, `dns`, `tls` or `timeout`; `auth` is the target's word alone";
    31 "bad-peer": "a peer that hangs up, talks nonsense or says nothing ends in an error, in time",
        "check every byte that comes from the peer, and give up when reading fails";
    32 "cut": "a connection that breaks around the change is never taken for `applied: no`, and the next run resolves it",
        "once the change may have been sent, errors are `applied: unknown`; `endpoint::may_have_been_sent` tells";
    33 "crash": "after a crash at any import of a rotation the next run ends it, and CURRENT works all the time",
        "each call starts from what it is given and what the target says, and may find half of its work done";
    34 "node-down": "with one node of several down nothing is promoted and nothing is said to be dead",
        "report each node; an unreachable one is an error, not a verdict";
    35 "mixed": "a value that works on some nodes only is `mixed`, neither live nor dead",
        "ask every node, and combine the answers with `Verdict::of_members`";
    36 "lagging-replica": "a replica that lags is waited for, and what it does not know yet is not dead",
        "probe where `set` applies; `test` answers `pending` while a replica lags";
    37 "crash-retire": "after a crash at any import of a retirement the next one ends the old value, and CURRENT works all the time",
        "`retire` may find its work half done; let it end whatever is left, with CURRENT's login";
    38 "crash-steps": "after a crash at any import of one of AWS's four steps the same step ends it when it is delivered again, and CURRENT works all the time",
        "a step knows nothing of the invocation before it; start from what the call is given and what the target says, whoever made the token";
    40 "canary": "no secret is written to a log or put into an answer",
        "keep secrets in `SecretText`, and codes instead of the target's words in errors";
    41 "limits": "the plugin stays within the limits of its manifest, and ends by itself before they end it",
        "ask for what the work needs in `limits` of plugin.toml, and stop waiting when `budget_ms` is over";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// README.md documents each, in the words of the report, and nothing that is none.
    #[test]
    fn the_readme_has_every_check() {
        let row = |check: &Check| {
            let Check {
                number,
                id,
                title,
                fix,
            } = check;
            format!("| {number} | `{id}` | {title} | {fix} |")
        };
        let known: Vec<_> = CHECKS.iter().map(row).collect();
        let readme = include_str!("../README.md");
        let is_numbered = |line: &&str| {
            let cell = line.strip_prefix("| ");
            cell.is_some_and(|cell| cell.starts_with(|first: char| first.is_ascii_digit()))
        };
        let written: Vec<_> = readme.lines().filter(is_numbered).collect();
        assert_eq!(written, known);
    }

    #[test]
    fn numbers_rise_and_ids_are_distinct() {
        assert!(
            CHECKS
                .windows(2)
                .all(|pair| pair[0].number < pair[1].number)
        );
        let ids: BTreeSet<_> = CHECKS.iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), CHECKS.len());
    }
}
