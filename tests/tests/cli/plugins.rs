//! What needs no store: plugins, completions, help.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::Workspace;

#[test]
fn the_shipped_plugins_are_listed() {
    let workspace = Workspace::empty();
    let listed = workspace
        .run(&["plugin", "list", "--json"])
        .succeeded()
        .json();
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|plugin| {
            assert_eq!(plugin["source"], "shipped");
            assert_ne!(plugin["version"], "-", "{plugin}");
            plugin["name"].as_str().unwrap()
        })
        .collect();
    let shipped = [
        "api-key",
        "jwt",
        "opaque",
        "postgres",
        "redis",
        "stripe-assisted",
        "vendor-assisted",
    ];
    assert_eq!(names, shipped);
    workspace
        .run(&["plugin", "list"])
        .succeeded()
        .says(&["NAME", "postgres", "jwt", "api-key", "shipped"]);
}

#[test]
fn inspect_shows_what_a_plugin_asks_for() {
    let workspace = Workspace::empty();
    let shown = workspace
        .run(&["plugin", "inspect", "postgres", "--json"])
        .succeeded()
        .json();
    assert_eq!(shown["manifest"]["name"], "postgres");
    let strategies = shown["descriptor"]["strategies"].as_array().unwrap();
    let strategies: Vec<_> = strategies
        .iter()
        .map(|strategy| {
            (
                strategy["name"].as_str().unwrap(),
                strategy["effect"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        strategies,
        [("alternating", "additive"), ("single", "replacing")]
    );
    let imports = shown["imports"].to_string();
    assert!(
        imports.contains("endpoint") && !imports.contains("http"),
        "{imports}"
    );
    assert_eq!(shown["sha256"].as_str().unwrap().len(), 64);
    for name in ["jwt", "api-key", "opaque"] {
        let shown = workspace
            .run(&["plugin", "inspect", name, "--json"])
            .succeeded()
            .json();
        let imports = shown["imports"].to_string();
        assert!(!imports.contains("endpoint"), "{name}: {imports}");
    }
}

#[test]
fn an_unknown_plugin_or_file_is_refused() {
    let workspace = Workspace::empty();
    workspace.run(&["plugin", "inspect", "mongodb"]).failed(
        3,
        &[
            "there is no plugin mongodb",
            "api-key, jwt, opaque, postgres, redis, stripe-assisted",
        ],
    );
    workspace
        .run(&["plugin", "inspect", "./none.wasm"])
        .failed(3, &["none.wasm"]);
    std::fs::write(workspace.path("text.wasm"), "no component").unwrap();
    workspace
        .run(&["plugin", "inspect", "./text.wasm"])
        .failed(3, &["text.wasm"]);
}

/// Whoever put the file there may believe that it is the one in use.
#[test]
fn a_file_with_the_name_of_a_shipped_plugin_is_refused_and_bothers_no_other() {
    let workspace = Workspace::with(
        "[secret.\"app-prod/jwt\"]\nplugin = \"jwt\"\n[secret.\"app-prod/key\"]\nplugin = \"api-key\"\n",
    );
    let key = r#"{"internal_api_key":"festival_sk_live_0123456789abcdef"}"#;
    workspace.create("app-prod/key", key);
    std::fs::write(workspace.path("jwt.wasm"), "no component").unwrap();
    std::fs::write(workspace.path("mine.wasm"), "no component").unwrap();
    let listed = workspace
        .run(&["--plugin-dir", ".", "plugin", "list", "--json"])
        .succeeded()
        .json();
    let of = |name: &str| {
        let plugins = listed.as_array().unwrap();
        plugins
            .iter()
            .find(|plugin| plugin["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(of("jwt")["source"], "shipped, and ./jwt.wasm");
    assert_eq!(of("api-key")["source"], "shipped");
    for (name, words) in [
        ("jwt", "has the name of a plugin that this keyturn ships"),
        ("mine", "is not WebAssembly"),
    ] {
        let broken = of(name)["summary"].as_str().unwrap().to_owned();
        assert!(broken.starts_with("cannot be loaded: "), "{broken}");
        assert!(broken.contains(words), "{broken}");
    }
    let words = ["./jwt.wasm", "neither is used", "out of --plugin-dir"];
    for command in [
        &["plugin", "inspect", "jwt"][..],
        &["plugin", "check", "jwt"],
        &["rotate", "app-prod/jwt"],
    ] {
        let arguments = [&["--plugin-dir", "."], command].concat();
        workspace.run(&arguments).failed(3, &words);
    }
    workspace
        .run(&["--plugin-dir", ".", "rotate", "app-prod/key"])
        .succeeded();
}

#[test]
fn completions_parse() {
    let workspace = Workspace::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = workspace.run(&["completions", shell]).succeeded().stdout;
        assert!(
            script.contains("keyturn") && script.contains("rotate"),
            "{shell}"
        );
    }
    let script = workspace.run(&["completions", "bash"]).stdout;
    let mut bash = Command::new("bash")
        .args(["-n"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    assert!(bash.wait().unwrap().success());
}

#[test]
fn help_is_no_failure_and_a_wrong_command_line_is_exit_code_2() {
    let workspace = Workspace::empty();
    workspace
        .run(&["--help"])
        .succeeded()
        .says(&["Exit codes:", "5  failed, and the target did not change"]);
    for command in [
        "init",
        "secret",
        "rotate",
        "retire",
        "verify",
        "status",
        "history",
        "plugin",
        "completions",
    ] {
        workspace
            .run(&[command, "--help"])
            .succeeded()
            .says(&["Usage: keyturn"]);
    }
    workspace
        .run(&["--version"])
        .succeeded()
        .says(&["keyturn "]);
    for wrong in [
        &[][..],
        &["rotat"],
        &["rotate"],
        &["rotate", "--all", "a"],
        &["secret", "create", "a"],
        &["secret", "create", "a", "--value", "x"],
        &["secret", "put", "a", "--value-stdin", "--value-file", "x"],
    ] {
        workspace.run(wrong).failed(2, &["Usage"]);
    }
    workspace
        .run(&["completions", "csh4"])
        .failed(2, &["csh4", "bash"]);
}
