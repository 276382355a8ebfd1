//! Style rules as tests: what a reviewer should not have to say twice. Each rule names the file and
//! the line, and where a rule may be broken for a reason, the reason stands in the file.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod profiles;
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use source::{root, sources};

/// A function or file may be longer if a comment near its top begins so.
const LONG_BECAUSE: &str = "Long because";
const FILE_LINES_MAX: usize = 500;
const FILE_LINES_MEDIAN_MAX: usize = 200;
const FUNCTION_LINES_MAX: usize = 70;

#[track_caller]
fn assert_none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn no_leftovers() {
    // Put together here, so that this file does not break its own rule.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    let macros = [
        concat!("dbg", "!("),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    let mut broken = Vec::new();
    for source in sources() {
        for (number, line) in source.lines.iter().enumerate() {
            if words
                .iter()
                .chain(&macros)
                .any(|leftover| line.contains(leftover))
            {
                broken.push(source.place(number));
            }
        }
    }
    assert_none(
        "finish it or file an issue; nothing half-done is committed",
        broken,
    );
}

#[test]
fn every_module_says_why_it_exists() {
    let broken = sources()
        .into_iter()
        .filter(|source| !source.is_test_file() && !source.lines.is_empty())
        .filter(|source| {
            !source
                .lines
                .iter()
                .take(3)
                .any(|line| line.starts_with("//!"))
        })
        .map(|source| source.path)
        .collect();
    assert_none(
        "a module opens with a paragraph (//!): why it exists, what it never does",
        broken,
    );
}

#[test]
fn files_are_short_or_say_why_not() {
    let sources = sources();
    let broken = sources
        .iter()
        .filter(|source| source.lines.len() > FILE_LINES_MAX)
        .filter(|source| {
            !source
                .lines
                .iter()
                .take(30)
                .any(|line| line.contains(LONG_BECAUSE))
        })
        .map(|source| format!("{} has {} lines", source.path, source.lines.len()))
        .collect();
    assert_none(
        "over 500 lines: split it, or begin a comment at its top with \"Long because\"",
        broken,
    );

    let mut lengths: Vec<usize> = sources.iter().map(|source| source.lines.len()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(
        median <= FILE_LINES_MEDIAN_MAX,
        "the median file has {median} lines"
    );
}

#[test]
fn functions_are_short_or_say_why_not() {
    let mut broken = Vec::new();
    for source in sources() {
        for (start, line) in source.code() {
            let indent = &line[..line.len() - line.trim_start().len()];
            if !is_function(line.trim_start()) || line.trim_end().ends_with([';', '}']) {
                continue;
            }
            // A trait declares without a body.
            let mut head = source.lines[start..].iter().map(|line| line.trim_end());
            if head
                .find(|line| line.ends_with(['{', ';']))
                .is_some_and(|line| line.ends_with(';'))
            {
                continue;
            }
            let end = format!("{indent}}}");
            let length = source.lines[start..]
                .iter()
                .position(|line| *line == end)
                .unwrap_or(0);
            let excused = source.lines[start.saturating_sub(8)..start]
                .iter()
                .any(|line| line.contains(LONG_BECAUSE));
            if length >= FUNCTION_LINES_MAX && !excused {
                broken.push(format!("{} ({} lines)", source.place(start), length + 1));
            }
        }
    }
    assert_none(
        "over 70 lines: split it, or begin a comment above it with \"Long because\"",
        broken,
    );
}

fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| {
        word.starts_with("pub") || ["const", "async", "unsafe", "crate)", "super)"].contains(word)
    });
    words.next() == Some("fn")
}

#[test]
fn panics_outside_tests_name_their_invariant() {
    let calls = [
        concat!(".unwrap", "()"),
        concat!(".expect", "("),
        concat!("panic", "!("),
        concat!("unreachable", "!("),
    ];
    let mut broken = Vec::new();
    for source in sources() {
        // A library for tests, such as a fake, may answer with panics if its module says so.
        if source.documents_panics() {
            continue;
        }
        for (number, line) in source
            .code()
            .take_while(|(number, _)| *number < source.tests_from)
        {
            let above = &source.lines[number.saturating_sub(6)..=number];
            let has_reason = above
                .iter()
                .any(|line| line.contains("// ") || line.contains("reason ="));
            if calls.iter().any(|call| line.contains(call)) && !has_reason {
                broken.push(source.place(number));
            }
        }
    }
    assert_none(
        "return an error, or write the invariant that rules it out in a comment above",
        broken,
    );
}

#[test]
fn tests_poll_and_never_sleep() {
    let calls = [concat!("thread::", "sleep"), concat!("time::", "sleep")];
    let mut broken = Vec::new();
    for source in sources() {
        for (number, line) in source
            .code()
            .skip_while(|(number, _)| *number < source.tests_from)
        {
            let above = &source.lines[number.saturating_sub(8)..number];
            // Between two looks at a condition, or with its reason (a random moment to kill at).
            let polls = above
                .iter()
                .any(|line| line.trim_start().starts_with("while ") || line.contains("loop {"));
            let has_reason = above
                .last()
                .is_some_and(|line| line.trim_start().starts_with("// "));
            if calls.iter().any(|call| line.contains(call)) && !polls && !has_reason {
                broken.push(source.place(number));
            }
        }
    }
    assert_none(
        "wait for a condition (harness::poll), not for a time",
        broken,
    );
}

#[test]
fn top_level_folders_are_fixed() {
    let allowed = BTreeSet::from(["host", "plugins", "wit", "sdk", "tests", "target"]);
    let broken = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && !allowed.contains(name.as_str()))
        .collect();
    assert_none("ARCHITECTURE.md fixes the top-level folders", broken);
}

#[test]
fn the_contract_is_the_same_wherever_it_ships() {
    let frozen = fs::read(root().join("wit/0.1.1/rotation.wit")).unwrap();
    let shipped = fs::read(root().join("sdk/plugin/wit/rotation.wit")).unwrap();
    assert!(
        frozen == shipped,
        "sdk/plugin/wit/rotation.wit differs from wit/0.1.1/rotation.wit"
    );
}

#[test]
fn plugin_folders_have_the_same_shape() {
    let needed = ["Cargo.toml", "README.md", "plugin.toml", "src/lib.rs"];
    let allowed = BTreeSet::from([
        "Cargo.toml",
        "README.md",
        "plugin.toml",
        // What a plugin knows of each vendor, as data, and what makes it part of the plugin.
        "profiles",
        "build.rs",
        "schema",
        "src",
        "tests",
    ]);
    let mut broken = Vec::new();
    for plugin in fs::read_dir(root().join("plugins")).unwrap() {
        let plugin = plugin.unwrap().path();
        let missing = needed.iter().filter(|file| !plugin.join(file).is_file());
        broken.extend(missing.map(|file| format!("{} is missing", plugin.join(file).display())));
        for entry in fs::read_dir(&plugin).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !allowed.contains(name.as_str()) {
                broken.push(format!(
                    "{} has no place there",
                    plugin.join(name).display()
                ));
            }
        }
    }
    assert_none("who knows one plugin folder knows all", broken);
}

#[test]
fn documents_are_there_and_the_map_is_short() {
    let needed = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "LICENSE",
    ];
    let missing = needed.iter().filter(|name| !root().join(name).is_file());
    assert_none("missing", missing.map(|name| (*name).to_owned()).collect());
    let lines = fs::read_to_string(root().join("ARCHITECTURE.md"))
        .unwrap()
        .lines()
        .count();
    assert!(lines <= 250, "ARCHITECTURE.md has {lines} lines");
}

#[test]
fn there_is_one_crypto_provider() {
    // Not Cargo.lock: it also lists what no build of ours takes.
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--offline",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(crates.contains("aws-lc-rs"));
    let others = ["ring", "openssl", "openssl-sys", "native-tls", "boring"];
    let found = others.into_iter().filter(|name| crates.contains(name));
    assert_none(
        "aws-lc-rs is the one provider",
        found.map(str::to_owned).collect(),
    );
}

/// The arrows between crates: who may name whom.
#[test]
fn crates_depend_in_one_direction() {
    let ours: [(&str, &[&str]); 11] = [
        ("host/protocol", &[]),
        ("host/store", &[]),
        ("host/policy", &[]),
        ("host/config", &["keyturn-policy"]),
        ("host/runtime", &["keyturn-policy"]),
        (
            "host/engine",
            &["keyturn-protocol", "keyturn-store", "keyturn-runtime"],
        ),
        ("host/server", &["keyturn-policy", "keyturn-store"]),
        ("plugins/postgres", &["keyturn-sdk"]),
        ("plugins/jwt", &["keyturn-sdk"]),
        ("plugins/api-key", &["keyturn-sdk"]),
        ("plugins/opaque", &["keyturn-sdk"]),
    ];
    let mut broken = Vec::new();
    for (folder, allowed) in ours {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = toml::from_str(&manifest).unwrap();
        let Some(dependencies) = manifest.get("dependencies").and_then(toml::Value::as_table)
        else {
            continue;
        };
        if folder == "host/protocol" {
            broken.extend(
                dependencies
                    .keys()
                    .map(|name| format!("{folder} depends on {name}")),
            );
        }
        let wrong = dependencies
            .keys()
            .filter(|name| name.starts_with("keyturn") && !allowed.contains(&name.as_str()));
        broken.extend(wrong.map(|name| format!("{folder} depends on {name}")));
    }
    assert_none("the arrows between the crates point one way", broken);
}
