//! `keyturn init`, and what becomes of a command when key or store are not what they were.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::Workspace;

#[test]
fn init_makes_three_files_and_only_the_operator_reads_key_and_store() {
    let workspace = Workspace::empty();
    let ended = workspace.run(&["init", "--json"]).succeeded();
    assert_eq!(ended.json()["store"], "./store.db");
    for name in ["master.key", "store.db"] {
        let mode = fs::metadata(workspace.path(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(workspace.path("keyturn.toml").is_file());
    assert_eq!(
        workspace
            .run(&["secret", "list", "--json"])
            .succeeded()
            .json(),
        serde_json::json!([])
    );
}

#[test]
fn init_makes_the_folder_that_it_is_given() {
    let workspace = Workspace::empty();
    workspace.run(&["init", "deep/folder"]).succeeded();
    let config = ["--config", "deep/folder/keyturn.toml"];
    workspace
        .run(&[config[0], config[1], "secret", "list"])
        .succeeded();
}

#[test]
fn init_touches_nothing_that_is_there() {
    for existing in ["keyturn.toml", "master.key", "store.db"] {
        let workspace = Workspace::empty();
        fs::write(workspace.path(existing), "mine").unwrap();
        workspace
            .run(&["init"])
            .failed(3, &[existing, "is there already", "nothing was changed"]);
        assert_eq!(
            fs::read_to_string(workspace.path(existing)).unwrap(),
            "mine"
        );
        assert_eq!(fs::read_dir(workspace.folder()).unwrap().count(), 1);
    }
}

#[test]
fn another_master_key_opens_nothing_and_changes_nothing() {
    let workspace = Workspace::new();
    workspace.create("a/b", "value-of-a");
    let other = Workspace::new();
    let before = fs::read(workspace.path("store.db")).unwrap();
    fs::copy(other.path("master.key"), workspace.path("master.key")).unwrap();
    workspace
        .run(&["secret", "get", "a/b", "--reveal"])
        .failed(4, &["master key"]);
    assert_eq!(fs::read(workspace.path("store.db")).unwrap(), before);
}

#[test]
fn a_master_key_that_others_can_read_is_refused() {
    let workspace = Workspace::new();
    let key = workspace.path("master.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    workspace
        .run(&["secret", "list"])
        .failed(3, &["master.key", "600"]);
}

#[test]
fn the_master_key_may_come_from_the_environment() {
    let workspace = Workspace::new();
    workspace.create("a/b", "value-of-a");
    let key = fs::read_to_string(workspace.path("master.key")).unwrap();
    fs::remove_file(workspace.path("master.key")).unwrap();
    fs::write(
        workspace.path("keyturn.toml"),
        "[store]\nkind = \"embedded\"\npath = \"store.db\"\n",
    )
    .unwrap();
    workspace
        .run(&["secret", "list"])
        .failed(3, &["KEYTURN_MASTER_KEY"]);
    let environment = [("KEYTURN_MASTER_KEY", key.trim())];
    workspace
        .run_with(&["secret", "list"], "", &environment)
        .succeeded()
        .says(&["a/b"]);
}

#[test]
fn a_truncated_store_is_refused_and_left_alone() {
    let workspace = Workspace::new();
    workspace.create("a/b", "value-of-a");
    let store = workspace.path("store.db");
    let bytes = fs::read(&store).unwrap();
    for length in [100, bytes.len() / 2] {
        let cut = &bytes[..length];
        fs::write(&store, cut).unwrap();
        let ended = workspace
            .run(&["secret", "get", "a/b", "--reveal"])
            .failed(4, &["store.db"]);
        assert!(!ended.stdout.contains("value-of-a"));
        assert_eq!(fs::read(&store).unwrap(), cut, "{length}");
    }
}

#[test]
fn a_foreign_file_is_no_store() {
    let workspace = Workspace::new();
    fs::write(workspace.path("store.db"), "not a database at all").unwrap();
    workspace.run(&["secret", "list"]).failed(4, &["store.db"]);
    assert_eq!(
        fs::read_to_string(workspace.path("store.db")).unwrap(),
        "not a database at all"
    );
}

#[test]
fn without_a_configuration_the_message_names_init() {
    let workspace = Workspace::empty();
    for command in [
        &["secret", "list"][..],
        &["rotate", "a"],
        &["retire", "a"],
        &["verify"],
        &["status"],
        &["history"],
    ] {
        workspace
            .run(command)
            .failed(3, &["keyturn.toml", "keyturn init", "--config"]);
    }
    assert_eq!(fs::read_dir(workspace.folder()).unwrap().count(), 0);
}

#[test]
fn a_configuration_without_its_store_says_so() {
    let workspace = Workspace::new();
    fs::remove_file(workspace.path("store.db")).unwrap();
    workspace.run(&["secret", "list"]).failed(4, &["store.db"]);
    assert!(!workspace.path("store.db").exists());
}
