//! `keyturn secret`: values come from files and standard input and leave only with `--reveal`.

use serde_json::json;

use crate::support::{Workspace, own_id};

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
