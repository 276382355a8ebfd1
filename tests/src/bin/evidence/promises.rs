//! What is promised, in the order of README.md's table, and which evidence each promise rests on. Every
//! figure that a test prints belongs to a row, and every row's figures have to be printed by some test.

/// One row.
pub(crate) struct Row {
    pub(crate) promise: &'static str,
    pub(crate) tested: &'static str,
    pub(crate) cases: &'static [Cases],
    /// Its run is too long for each change, or takes what is not to be had everywhere: without one, the row stays as the
    /// last run left it.
    pub(crate) seldom: bool,
}

/// One figure of a row: what lines with these keys counted of this unit, added up.
pub(crate) struct Cases {
    pub(crate) unit: &'static str,
    pub(crate) keys: &'static [&'static str],
    /// Whether each run counts the same, so that another number means that a test changed.
    pub(crate) exact: bool,
}

const fn exact(unit: &'static str, keys: &'static [&'static str]) -> Cases {
    Cases {
        unit,
        keys,
        exact: true,
    }
}

const fn varying(unit: &'static str, keys: &'static [&'static str]) -> Cases {
    Cases {
        unit,
        keys,
        exact: false,
    }
}

const fn row(promise: &'static str, tested: &'static str, cases: &'static [Cases]) -> Row {
    Row {
        promise,
        tested,
        cases,
        seldom: false,
    }
}

const CRASHES: &[&str] = &["enumerated crashes", "enumerated cancelled"];
const FAILURES: &[&str] = &["enumerated failing calls", "enumerated failing store"];
const RIVALS: &[&str] = &["enumerated two rotators", "enumerated a sleeper"];
const PEOPLE: &[&str] = &["enumerated edited by hand", "enumerated corrected place"];
const REJECTED: &[&str] = &["enumerated rejected values"];
const SEQUENCES: &[&str] = &["enumerated step sequences"];
const ALTERNATING_KILLED: &[&str] = &[
    "alternating users, killed at the trail",
    "alternating users, killed on the wire",
];
const SINGLE_KILLED: &[&str] = &[
    "a single user, killed at the trail",
    "a single user, killed on the wire",
];
const DUAL_KILLED: &[&str] = &[
    "two passwords of a Redis user, killed at the trail",
    "two passwords of a Redis user, killed on the wire",
];
const MANAGED_KILLED: &[&str] = &[
    "two passwords of an ElastiCache user, killed at the trail",
    "two passwords of an ElastiCache user, killed on the wire",
    "two AUTH tokens of ElastiCache, killed at the trail",
    "two AUTH tokens of ElastiCache, killed on the wire",
];
const MANAGED_USED: &[&str] = &[
    "two passwords of an ElastiCache user, killed at the trail",
    "two AUTH tokens of ElastiCache, killed at the trail",
];
const KEY_RING_KILLED: &[&str] = &[
    "a key ring, killed at the trail",
    "a declaration, killed at the trail",
];
const REQUIREPASS_KILLED: &[&str] = &[
    "requirepass, killed at the trail",
    "requirepass, killed on the wire",
];
const UNDER_USE: &[&str] = &[
    "rotations in a row",
    "redis, rotations in a row",
    "postgres behind a cache",
    "jwt behind a cache",
    "api-key behind a cache",
    "webhooks behind a cache",
    "a key ring behind a cache",
];
const TOKENS_BEHIND_A_CACHE: &[&str] = &[
    "jwt behind a cache",
    "api-key behind a cache",
    "webhooks behind a cache",
    "a key ring behind a cache",
];
const CUT: &[&str] = &[
    "alternating users, cut",
    "a single user, cut",
    "redis dual, cut",
    "redis single, cut",
];
const STORE_KILLED: &[&str] = &[
    "store, killed between statements",
    "store, service killed between statements",
    "store, killed while created",
    "store, killed while brought up to date",
];
const STORE_KILLED_AT_RANDOM: &[&str] = &["store, killed under load"];
const ENDED: &[&str] = &[
    "endpoint, killed under load",
    "endpoint, stopped under load",
];
const CLIENTS: &[&str] = &["endpoint, clients"];
const LOAD: &[&str] = &["endpoint, load"];
const FUZZ: &[&str] = &[
    "fuzz secret_json",
    "fuzz postgres_wire",
    "fuzz redis_wire",
    "fuzz plugin_output",
    "fuzz endpoint_address",
    "fuzz configuration",
];
const SEEDED: &[&str] = &[
    "seeded inputs, secret_json",
    "seeded inputs, postgres_wire",
    "seeded inputs, redis_wire",
    "seeded inputs, plugin_output",
    "seeded inputs, endpoint_address",
    "seeded inputs, configuration",
];
const SOAK: &[&str] = &["soak"];
const SHORT_SOAK: &[&str] = &["short soak"];

pub(crate) const ROWS: &[Row] = &[
    row(
        "What AWSCURRENT names works at every instant and nothing that may work is lost, wherever a run crashes or is cancelled",
        "every schedule with up to two such faults, for every strategy, against a model of store and target",
        &[
            exact("schedules", CRASHES),
            exact("states", CRASHES),
            exact("faults fired", CRASHES),
        ],
    ),
    row(
        "The same when calls of the plugin or the store fail, before or after their effect",
        "every schedule with up to two failures, likewise",
        &[
            exact("schedules", FAILURES),
            exact("states", FAILURES),
            exact("faults fired", FAILURES),
        ],
    ),
    row(
        "The same for real: with alternating users, no login with AWSCURRENT fails",
        "`keyturn rotate` killed with SIGKILL at each line of its trail, while a client logs in without pause, and at points of its connections",
        &[
            varying("kills", ALTERNATING_KILLED),
            varying("logins", &["alternating users, killed at the trail"]),
            varying("failed", &["alternating users, killed at the trail"]),
        ],
    ),
    row(
        "Likewise with two passwords of a Redis user, at a primary and its replica",
        "the same kills; a client logs in at both",
        &[
            varying("kills", DUAL_KILLED),
            varying(
                "logins",
                &["two passwords of a Redis user, killed at the trail"],
            ),
            varying(
                "failed",
                &["two passwords of a Redis user, killed at the trail"],
            ),
        ],
    ),
    row(
        "Likewise with two passwords of an ElastiCache user, and two AUTH tokens",
        "the same kills within each effect, and at points of the requests to its API",
        &[
            varying("kills", MANAGED_KILLED),
            varying("logins", MANAGED_USED),
            varying("failed", MANAGED_USED),
        ],
    ),
    row(
        "What a key of a ring has encrypted decrypts until its end is declared, wherever a rotation or the declaration dies",
        "the same kills; a vault decrypts all that it has encrypted with any key",
        &[
            varying("kills", KEY_RING_KILLED),
            varying("logins", &["a key ring, killed at the trail"]),
            varying("failed", &["a key ring, killed at the trail"]),
        ],
    ),
    row(
        "With a single user, some labelled version works at every instant",
        "the same kills; after each one the labelled passwords are tried",
        &[varying("kills", SINGLE_KILLED)],
    ),
    row(
        "Likewise with requirepass",
        "the same kills",
        &[varying("kills", REQUIREPASS_KILLED)],
    ),
    row(
        "No application notices a rotation, even behind a cache",
        "PostgreSQL and Redis logins, tokens, API keys, signatures and ciphertexts under rotations in a row; settings that must fail do fail",
        &[
            exact("rotations", UNDER_USE),
            varying("logins", UNDER_USE),
            varying("failed", UNDER_USE),
        ],
    ),
    row(
        "An old value lives for its grace, a ring's key until its end is declared",
        "earlier tokens and keys are presented while the rotations above go on",
        &[varying(
            "earlier tokens and keys accepted",
            TOKENS_BEHIND_A_CACHE,
        )],
    ),
    row(
        "One rotation of a secret at a time takes effect",
        "every order of two rotators' steps, and of one that slept, in the model",
        &[
            exact("schedules", RIVALS),
            exact("states", RIVALS),
            exact("faults fired", &["enumerated a sleeper"]),
        ],
    ),
    row(
        "Two operators at once lock nobody out",
        "pairs of processes rotate the same secret; a client logs in without pause",
        &[
            exact("pairs", &["rivals"]),
            varying("runs went through", &["rivals"]),
            varying("runs refused", &["rivals"]),
            varying("logins", &["logins beside rivals"]),
            varying("failed", &["logins beside rivals"]),
        ],
    ),
    row(
        "An edit by hand is never overwritten; another place is never logged in to",
        "an edit or a move of the secret at every point of a rotation, with a crash, in the model",
        &[
            exact("schedules", PEOPLE),
            exact("states", PEOPLE),
            exact("faults fired", PEOPLE),
        ],
    ),
    row(
        "A refused value is replaced at most three times",
        "a target that refuses the first one to four values, with a crash, in the model",
        &[
            exact("schedules", REJECTED),
            exact("states", REJECTED),
            exact("faults fired", REJECTED),
        ],
    ),
    row(
        "A step that is repeated, late or not ours changes nothing",
        "every sequence of up to six steps with three tokens; every answer in every state that it does not belong to",
        &[
            exact("schedules", SEQUENCES),
            exact("states", SEQUENCES),
            exact("illegal answers", &["illegal answers"]),
        ],
    ),
    row(
        "These checks can fail, and leave nothing out",
        "the scheme broken on purpose, each break caught; each transition taken, each rule decided",
        &[
            exact("broken schemes caught", &["sabotage"]),
            exact("transitions", &["coverage"]),
            exact("rules", &["coverage"]),
        ],
    ),
    row(
        "The store is whole after kill -9: one AWSCURRENT, nothing acknowledged lost",
        "killed at each statement of each write, and at random under load; two processes at once; random calls compared with a model",
        &[
            exact("kills at statements", STORE_KILLED),
            exact("kills at random", STORE_KILLED_AT_RANDOM),
            exact("writes of two processes", &["store, two writers"]),
            exact("sequences of calls", &["store, against its model"]),
        ],
    ),
    row(
        "AWS Secrets Manager is a store like the embedded one, whatever it throttles, fails or shows late",
        "the same contract through `keyturn serve`; each request of a rotation hit by each fault",
        &[
            exact("cases", &["aws store, contract"]),
            exact("requests hit", &["aws store, faults"]),
        ],
    ),
    row(
        "An access key does what it is granted and nothing else",
        "each operation without its grant, and with a grant of other secrets",
        &[exact("refused", &["endpoint, ungranted operations"])],
    ),
    row(
        "No write that `keyturn serve` has answered is lost",
        "the server killed with SIGKILL, and stopped, among writes",
        &[
            exact("kills", &["endpoint, killed under load"]),
            exact("stops", &["endpoint, stopped under load"]),
            varying("writes answered", ENDED),
        ],
    ),
    row(
        "500 reads and 50 writes a second are answered",
        "20 readers and 5 writers, each over a connection of its own (`make load`: for a minute)",
        &[
            varying("reads", LOAD),
            varying("writes", LOAD),
            varying("failed", LOAD),
        ],
    ),
    Row {
        seldom: true,
        promise: "AWS's own clients cannot tell `keyturn serve` from AWS",
        tested: "boto3, the AWS CLI, the JavaScript SDK in an application's reading path, AWS's agent with its cache",
        cases: &[varying("clients", CLIENTS)],
    },
    row(
        "What the network does is never taken for an answer: unknown stays unknown",
        "connections to real servers cut at and around the bytes that decide, or held at COMMIT",
        &[
            exact("cuts", CUT),
            varying("cuts after the change", &["a single user, cut"]),
            exact("commits held back", &["commits held back"]),
        ],
    ),
    row(
        "After a failover that forgot a password, what still opens the door is kept",
        "a standby becomes the primary without the change",
        &[exact("failovers", &["failovers"])],
    ),
    row(
        "No secret is written anywhere",
        "what commands, store, audit trail and the server wrote is searched for every password, plain and encoded",
        &[
            varying("bytes searched", &["canary scan"]),
            varying("found", &["canary scan"]),
        ],
    ),
    row(
        "A plugin is contained",
        "a hostile plugin in the real sandbox: traps, hangs, memory, forbidden addresses, lies, leaks",
        &[exact("hostile deeds", &["hostile guests"])],
    ),
    row(
        "A plugin that `keyturn plugin check` calls fit keeps these promises, and so do the shipped ones",
        "each shipped plugin with each strategy at real servers; for each check a plugin that fails it and no other",
        &[
            exact("checks", &["conformance of shipped plugins"]),
            exact("broken plugins", &["conformance, broken on purpose"]),
        ],
    ),
    row(
        "No input breaks a parser",
        "each corpus, and seeded mutations of it",
        &[exact("inputs", SEEDED)],
    ),
    row(
        "No input that fuzzing finds breaks a parser",
        "`make fuzz` on six targets, guided by coverage",
        &[varying("executions", FUZZ)],
    ),
    row(
        "All of this at once, briefly",
        "`keyturn-soak` with a known seed: random kills, two rotators, broken connections",
        &[
            exact("rounds", SHORT_SOAK),
            varying("kills", SHORT_SOAK),
            varying("kills within an effect", SHORT_SOAK),
            varying("broken connections", SHORT_SOAK),
            varying("rotations", SHORT_SOAK),
            varying("logins", SHORT_SOAK),
            varying("bytes searched", SHORT_SOAK),
            varying("found", SHORT_SOAK),
            varying("broken invariants", SHORT_SOAK),
        ],
    ),
    Row {
        seldom: true,
        promise: "All of this at once, for long",
        tested: "`make soak` with a new seed",
        cases: &[
            varying("rounds", SOAK),
            varying("kills", SOAK),
            varying("kills within an effect", SOAK),
            varying("broken connections", SOAK),
            varying("rotations", SOAK),
            varying("logins", SOAK),
            varying("bytes searched", SOAK),
            varying("found", SOAK),
            varying("broken invariants", SOAK),
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_are_told_apart_and_fit_into_a_table() {
        let promises: BTreeSet<_> = ROWS.iter().map(|row| row.promise).collect();
        assert_eq!(promises.len(), ROWS.len());
        for row in ROWS {
            assert!(!row.cases.is_empty(), "{}", row.promise);
            assert!(
                !row.promise.contains('|') && !row.tested.contains('|'),
                "{}",
                row.promise
            );
        }
    }

    /// A figure in two rows would count twice.
    #[test]
    fn each_figure_belongs_to_one_row() {
        let mut seen = BTreeSet::new();
        for cases in ROWS.iter().flat_map(|row| row.cases) {
            for key in cases.keys {
                assert!(seen.insert((key, cases.unit)), "{key}: {}", cases.unit);
            }
        }
    }
}
