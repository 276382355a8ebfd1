//! `keyturn secret`: values come from files and standard input and leave only with `--reveal`.

use keyturn_store::SecretStore as _;
use serde_json::json;

use crate::support::{Workspace, binary, end, own_id};

const VALUE: &str = "{\"password\":\"s3cret-value-of-the-test\"}";

#[test]
fn a_value_comes_from_a_file_or_from_standard_input() {
    let workspace = Workspace::new();
    workspace.create("app/file", VALUE);
    workspace
        .run_with(
            &["secret", "create", "app/stdin", "--value-stdin"],
            VALUE,
            &[],
        )
        .succeeded();
    for name in ["app/file", "app/stdin"] {
        assert_eq!(workspace.text(name, "AWSCURRENT"), VALUE);
    }
}

#[test]
fn one_trailing_newline_is_the_editors_and_the_rest_is_the_values() {
    for (written, stored) in [
        ("value\n", "value"),
        ("value\r\n", "value"),
        ("value\n\n", "value\n"),
        (" value ", " value "),
        ("a\nb", "a\nb"),
    ] {
        let workspace = Workspace::new();
        workspace.create("app/file", written);
        workspace
            .run_with(
                &["secret", "create", "app/stdin", "--value-stdin"],
                written,
                &[],
            )
            .succeeded();
        for name in ["app/file", "app/stdin"] {
            assert_eq!(workspace.text(name, "AWSCURRENT"), stored, "{written:?}");
        }
    }
}

#[test]
fn an_empty_or_unreadable_value_is_refused() {
    let workspace = Workspace::new();
    workspace
        .run_with(&["secret", "create", "app/x", "--value-stdin"], "\n", &[])
        .failed(4, &["value"]);
    workspace
        .run(&["secret", "create", "app/x", "--value-file", "none.json"])
        .failed(3, &["none.json"]);
    assert_eq!(
        workspace.run(&["secret", "list", "--json"]).json(),
        json!([])
    );
}

#[test]
fn a_value_leaves_only_with_reveal() {
    let workspace = Workspace::new();
    workspace.create("app/x", VALUE);
    let put = ["secret", "put", "app/x", "--value-stdin"];
    let other = "another-secret-value-of-the-test";
    let mut silent = vec![workspace.run_with(&put, other, &[])];
    for command in [
        &["secret", "get", "app/x"][..],
        &["secret", "get", "app/x", "--json"],
        &["secret", "get", "app/x", "--stage", "AWSPREVIOUS"],
        &["secret", "list"],
        &["secret", "list", "--json"],
        &["secret", "describe", "app/x"],
        &["secret", "describe", "app/x", "--json"],
    ] {
        silent.push(workspace.run(command));
    }
    for ended in silent {
        let ended = ended.succeeded();
        for value in [other, "s3cret-value-of-the-test"] {
            assert!(!ended.stdout.contains(value) && !ended.stderr.contains(value));
        }
    }
    let revealed = workspace
        .run(&["secret", "get", "app/x", "--reveal"])
        .succeeded();
    assert_eq!(revealed.stdout, format!("{other}\n"));
    let previous = [
        "secret",
        "get",
        "app/x",
        "--stage",
        "AWSPREVIOUS",
        "--reveal",
        "--json",
    ];
    assert_eq!(workspace.run(&previous).succeeded().json()["value"], VALUE);
}

#[test]
fn the_shapes_of_json() {
    let workspace = Workspace::new();
    let file = workspace.value_file(VALUE);
    let created = workspace
        .run(&[
            "secret",
            "create",
            "app/x",
            "--json",
            "--description",
            "for the test",
            "--value-file",
            file.to_str().unwrap(),
        ])
        .succeeded()
        .json();
    let first = created["version"].as_str().unwrap().to_owned();
    assert_eq!(created, json!({"secret": "app/x", "version": first}));
    assert!(first.starts_with("keyturn-"), "{first}");

    let put = workspace
        .run_with(
            &["secret", "put", "app/x", "--json", "--value-stdin"],
            "two",
            &[],
        )
        .succeeded()
        .json();
    let second = put["version"].as_str().unwrap().to_owned();
    assert_eq!(
        put,
        json!({"secret": "app/x", "version": second, "abandoned": null})
    );

    let got = workspace
        .run(&["secret", "get", "app/x", "--json"])
        .succeeded()
        .json();
    assert_eq!(got["version"], second);
    assert_eq!(got["labels"], json!(["AWSCURRENT"]));
    assert!(got.get("value").is_none());

    let described = workspace
        .run(&["secret", "describe", "app/x", "--json"])
        .succeeded()
        .json();
    assert_eq!(described["name"], "app/x");
    assert_eq!(described["description"], "for the test");
    let versions: Vec<_> = described["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| (version["id"].as_str().unwrap(), version["labels"].clone()))
        .collect();
    assert_eq!(
        versions,
        [
            (first.as_str(), json!(["AWSPREVIOUS"])),
            (second.as_str(), json!(["AWSCURRENT"]))
        ]
    );
    workspace
        .run(&["secret", "describe", "app/x"])
        .succeeded()
        .says(&[&first, &second, "AWSCURRENT", "AWSPREVIOUS"]);
}

#[test]
fn the_list_names_each_secret() {
    let workspace = Workspace::new();
    workspace.create("app/x", VALUE);
    let listed = workspace
        .run(&["secret", "list", "--json"])
        .succeeded()
        .json();
    assert_eq!(listed[0]["name"], "app/x");
}

#[test]
fn a_secret_is_created_once_and_found_by_its_name() {
    let workspace = Workspace::new();
    workspace.create("app/x", VALUE);
    workspace
        .run_with(
            &["secret", "create", "app/x", "--value-stdin"],
            "other",
            &[],
        )
        .failed(4, &["already a secret named app/x", "nothing was changed"]);
    assert_eq!(workspace.text("app/x", "AWSCURRENT"), VALUE);
    for command in [
        &["secret", "get", "app/y"][..],
        &["secret", "describe", "app/y"],
    ] {
        workspace.run(command).failed(4, &["app/y"]);
    }
    workspace
        .run_with(&["secret", "put", "app/y", "--value-stdin"], "x", &[])
        .failed(4, &["app/y"]);
    workspace
        .run(&["secret", "get", "app/x", "--stage", "AWSPENDING"])
        .failed(4, &["AWSPENDING"]);
    workspace
        .run(&["secret", "get", "no name"])
        .failed(4, &["not the name of a secret"]);
}

#[test]
fn a_value_put_by_hand_during_a_rotation_ends_that_rotation() {
    let workspace = Workspace::new();
    workspace.create("app/x", "one");
    let pending = own_id(7);
    workspace.plant("app/x", &pending, "half-done", &["AWSPENDING"]);
    let put = workspace
        .run_with(&["secret", "put", "app/x", "--value-stdin"], "by hand", &[])
        .succeeded();
    put.says(&["has lost AWSPENDING", &pending]);
    let labels = workspace.labels("app/x");
    assert!(!labels.contains_key("AWSPENDING"), "{labels:?}");
    assert_eq!(workspace.text("app/x", "AWSCURRENT"), "by hand");
    assert_eq!(workspace.text("app/x", "AWSPREVIOUS"), "one");

    workspace.plant("app/x", &own_id(8), "half-done again", &["AWSPENDING"]);
    let put = workspace
        .run_with(
            &["secret", "put", "app/x", "--value-stdin", "--json"],
            "again",
            &[],
        )
        .succeeded();
    assert_eq!(put.json()["abandoned"], own_id(8));
}

/// The rotation would go on with what is not there any more.
#[test]
fn no_value_is_put_by_hand_while_a_run_is_at_work() {
    let workspace = Workspace::new();
    workspace.create("app/x", "one");
    let put = || {
        let arguments = ["secret", "put", "app/x", "--value-stdin"];
        workspace.run_with(&arguments, "two", &[])
    };
    let name = crate::support::secret("app/x");
    workspace.on_store(|store| async move {
        let run = store.begin_run(&name).await.unwrap();
        assert!(run.is_some());
        put().failed(7, &["another run is at work", "Nothing was changed"]);
        drop(run);
        put().succeeded();
    });
    assert_eq!(workspace.text("app/x", "AWSCURRENT"), "two");
}

#[test]
fn what_is_done_by_hand_is_in_the_audit_trail_before_it_is_done() {
    let workspace = Workspace::with("[secret.\"app-prod/key\"]\nplugin = \"api-key\"\n");
    workspace.create("app-prod/key", "{\"hand\":\"written-by-hand-1\"}");
    workspace
        .run_with(
            &["secret", "put", "app-prod/key", "--value-stdin"],
            "{\"hand\":\"written-by-hand-2\"}",
            &[],
        )
        .succeeded();
    workspace
        .run(&["secret", "get", "app-prod/key"])
        .succeeded();
    workspace
        .run(&["secret", "get", "app-prod/key", "--reveal"])
        .succeeded();
    let current = workspace
        .labels("app-prod/key")
        .remove("AWSCURRENT")
        .unwrap();
    let history = workspace.run(&["history", "app-prod/key"]).succeeded();
    let effects: Vec<_> = history
        .stdout
        .lines()
        .filter_map(|line| line.split_once("about to ")?.1.split(' ').next())
        .collect();
    assert_eq!(effects, ["create", "put", "reveal"], "{history:#?}");
    history.says(&[
        &format!("reveal {current} by cli:"),
        &format!("put {current}: done in"),
    ]);
    assert!(!history.stdout.contains("written-by-hand"));

    // A trail that cannot be written: nothing is stored and nothing revealed.
    std::fs::remove_file(workspace.path("store.audit.jsonl")).unwrap();
    std::fs::create_dir(workspace.path("store.audit.jsonl")).unwrap();
    for command in [
        &["put", "app-prod/key", "--value-stdin"][..],
        &["get", "app-prod/key", "--reveal"],
    ] {
        let ended = workspace.run_with(&[&["secret"], command].concat(), "{}", &[]);
        assert!(!ended.stdout.contains("written-by-hand"), "{ended:#?}");
        ended.failed(3, &["the audit trail", "nothing was changed"]);
    }
    assert_eq!(workspace.labels("app-prod/key")["AWSCURRENT"], current);
}

#[test]
fn history_says_which_command_ran_and_why_it_ended() {
    let workspace = Workspace::with("[secret.\"app-prod/key\"]\nplugin = \"api-key\"\n");
    workspace.create(
        "app-prod/key",
        "{\"internal_api_key\":\"festival_sk_0123456789abcdef0123\"}",
    );
    workspace.run(&["rotate", "app-prod/key"]).succeeded();
    workspace.run(&["rotate", "app-prod/key"]).failed(7, &[]);
    workspace
        .run(&["history", "app-prod/key"])
        .succeeded()
        .says(&[
            "rotate started (overlap) by cli:",
            "rotated in",
            "refused in",
            "promised to work for another",
        ]);
    workspace
        .run(&["history", "nobody"])
        .failed(0, &["no entry of that name"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_no_fault_of_keyturn() {
    let workspace = Workspace::with("[secret.\"app-prod/key\"]\nplugin = \"api-key\"\n");
    workspace.create(
        "app-prod/key",
        "{\"internal_api_key\":\"festival_sk_0123456789abcdef0123\"}",
    );
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let child = std::process::Command::new(binary())
        .args(["rotate", "app-prod/key"])
        .current_dir(workspace.folder())
        .stdout(full)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let ended = end(child, &["rotate", "app-prod/key"]);
    assert!(!ended.stderr.contains("fault of keyturn"), "{ended:#?}");
    ended.failed(
        1,
        &[
            "could not be written to standard output",
            "what the command did stands",
        ],
    );
    assert!(workspace.labels("app-prod/key").contains_key("AWSPREVIOUS"));
}
