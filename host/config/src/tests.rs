use super::*;

fn problem(text: &str) -> String {
    Config::parse(Path::new("keyturn.toml"), text.to_owned())
        .unwrap_err()
        .to_string()
}

const STORE: &str = "[store]\nkind = \"embedded\"\npath = \"store.db\"\n";

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let text = format!("{STORE}[secret.\"a\"]\nplugin = \"jwt\"\ngrace = 1\n");
    let problem = problem(&text);
    assert!(
        problem.starts_with("keyturn.toml:6: secret.a.grace: unknown field `grace`"),
        "{problem}"
    );
}

#[test]
fn a_misplaced_secret_is_not_shown() {
    for value in ["\"hunter2\"", "[\"hunter2\"]", "12345678"] {
        let text = format!("{STORE}[secret.\"a\"]\nplugin = \"jwt\"\npassword = {value}\n");
        let problem = problem(&text);
        assert!(
            problem.starts_with("keyturn.toml:6: secret.a.password"),
            "{problem}"
        );
        assert!(
            !problem.contains("hunter2") && !problem.contains("1234"),
            "{problem}"
        );
    }
    let text = format!("{STORE}[secret.\"a\"]\nplugin = \"jwt\"\napi_key = \"hunter2\"\n");
    let problem = problem(&text);
    assert!(
        problem.contains("unknown field `api_key`") && !problem.contains("hunter2"),
        "{problem}"
    );
}

#[test]
fn a_secret_needs_a_plugin() {
    let problem = problem(&format!("{STORE}[secret.\"a\"]\ngrace_seconds = 1\n"));
    assert_eq!(
        problem,
        "keyturn.toml: secret.\"a\": `plugin` is missing; `keyturn plugin list` shows the plugins"
    );
}

#[test]
fn days_are_bounded_as_on_aws() {
    let problem = problem(&format!(
        "{STORE}[secret.\"a\"]\nplugin = \"jwt\"\nrotate_after_days = 0\n"
    ));
    assert_eq!(
        problem,
        "keyturn.toml:6: secret.\"a\".rotate_after_days: give 1 to 1000 days"
    );
}

#[test]
fn seconds_are_bounded() {
    for key in ["grace_seconds", "lead_seconds"] {
        let text =
            |seconds: u64| format!("{STORE}[secret.\"a\"]\nplugin = \"jwt\"\n{key} = {seconds}\n");
        let read = Config::parse(Path::new("keyturn.toml"), text(315_360_000));
        assert!(read.is_ok(), "{read:?}");
        assert_eq!(
            problem(&text(315_360_001)),
            format!(
                "keyturn.toml:6: secret.\"a\".{key}: give at most 315360000 seconds, which are ten years"
            )
        );
    }
}

#[test]
fn a_value_of_another_type_is_named_by_its_own_key() {
    let problem = problem(&format!(
        "{STORE}[secret.\"a\"]\nplugin = \"jwt\"\ngrace_seconds = \"1h\"\n"
    ));
    assert!(
        problem.starts_with("keyturn.toml:6: secret.a.grace_seconds: invalid type"),
        "{problem}"
    );
}

#[test]
fn an_environment_is_one_name() {
    for (name, fits) in [
        ("prod", true),
        ("eu-1_b.2", true),
        ("prod prod", false),
        ("", false),
    ] {
        let text = format!("{STORE}[secret.\"a\"]\nplugin = \"jwt\"\nenvironment = \"{name}\"\n");
        let read = Config::parse(Path::new("keyturn.toml"), text);
        assert_eq!(read.is_ok(), fits, "{read:?}");
    }
}

#[test]
fn a_pin_is_a_hash() {
    let text = |pin: &str| format!("{STORE}[plugin.\"mine\"]\nsha256 = \"{pin}\"\n");
    let digits = "0123456789abcdef".repeat(4);
    let read = Config::parse(Path::new("keyturn.toml"), text(&digits));
    assert!(read.is_ok(), "{read:?}");
    for pin in [
        "",
        "abc",
        &digits.to_uppercase(),
        &format!("{digits}0"),
        &digits.replace('0', "g"),
    ] {
        let problem = problem(&text(pin));
        assert!(
            problem.starts_with("keyturn.toml:5: plugin.\"mine\".sha256: give the file's SHA-256"),
            "{problem}"
        );
    }
}

#[test]
fn a_credentials_name_fits_into_a_label() {
    let config = |name: &str| {
        let text = format!("{STORE}[secret.\"a\".credential.{name}]\nplugin = \"jwt\"\n");
        Config::parse(Path::new("keyturn.toml"), text)
    };
    assert!(config(&"n".repeat(200)).is_ok());
    let problem = config(&"n".repeat(201)).unwrap_err().to_string();
    let words = "the credential's name has 201 characters; give it at most 200";
    assert!(problem.contains(words), "{problem}");
    assert!(problem.starts_with("keyturn.toml:5: "), "{problem}");
}

#[test]
fn the_environment_comes_from_the_name() {
    assert_eq!(environment_of("festival-prod/database"), "prod");
    assert_eq!(environment_of("my-app-staging/jwt"), "staging");
    assert_eq!(environment_of("database"), "");
}

#[test]
fn paths_are_relative_to_the_file() {
    let config = Config::parse(Path::new("/etc/keyturn/keyturn.toml"), STORE.to_owned()).unwrap();
    let store = config.store(None).unwrap();
    let expected = StoreConfig::Embedded {
        path: PathBuf::from("/etc/keyturn/store.db"),
        master_key_file: None,
    };
    assert_eq!(store, &expected);
    assert_eq!(
        config.audit_path(store),
        Path::new("/etc/keyturn/store.audit.jsonl")
    );
}
