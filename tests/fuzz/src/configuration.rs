//! keyturn.toml: any text gives a configuration or an error that names line or key, in one line, and
//! never a value of a key that is named like a secret; it panics otherwise.

use std::path::Path;

use keyturn_config::Config;
use toml::{Table, Value};

/// Only values with this word are looked for: others may equal a word of the message.
const CANARY: &str = "canary";
/// What operators call secrets.
const NAMES: [&str; 6] = ["password", "passwd", "secret", "token", "key", "credential"];

pub(crate) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match Config::parse(Path::new("keyturn.toml"), text.clone().into_owned()) {
        Ok(config) => check_config(&config),
        Err(error) => check_error(&text, &error.to_string()),
    }
}

fn check_config(config: &Config) {
    for credential in config.credentials() {
        let name = credential.display_name();
        // A name with the separator cannot be stored, and is refused where the store is known.
        if !credential.secret().contains('#') && !credential.credential().contains('#') {
            let found = config.select(&name);
            assert!(
                found.is_ok_and(|found| !found.is_empty()),
                "{name:?} is not found by its name"
            );
        }
        if let Some(days) = credential.rotate_after_days() {
            assert!((1..=1000).contains(&days), "{days} days");
        }
        let grant = config.grant(credential);
        assert!(grant.is_ok(), "what parsed as TOML has a JSON form");
    }
}

fn check_error(text: &str, error: &str) {
    assert!(!error.contains(char::is_control), "not one line: {error:?}");
    let rest = error.strip_prefix("keyturn.toml").unwrap_or_default();
    let (line, rest) = match rest.strip_prefix(": ") {
        Some(rest) => (None, rest),
        None => {
            let (line, rest) = rest
                .strip_prefix(':')
                .and_then(|rest| rest.split_once(": "))
                .unwrap_or_else(|| panic!("neither file nor line: {error}"));
            (Some(line.parse::<usize>().unwrap_or(0)), rest)
        }
    };
    let lines = text.matches('\n').count() + 1;
    assert!(
        line.is_none_or(|line| (1..=lines).contains(&line)),
        "{lines} lines: {error}"
    );
    assert!(
        line.is_some() || rest.contains(": "),
        "neither line nor key: {error}"
    );
    match text.parse::<Table>() {
        Ok(document) => {
            let mut canaries = Canaries::default();
            canaries.table(&document);
            for secret in canaries.secret {
                let is_elsewhere = canaries.open.iter().any(|open| open.contains(&secret));
                assert!(
                    is_elsewhere || !error.contains(&secret),
                    "{secret:?} is shown: {error}"
                );
            }
        }
        // Nobody knows what is a key and what a value in what is no TOML.
        Err(_) => assert!(
            toml::Deserializer::parse(text).is_ok() || !error.contains(CANARY),
            "a text that is no TOML is quoted: {error}"
        ),
    }
}

#[derive(Default)]
struct Canaries {
    secret: Vec<String>,
    open: Vec<String>,
}

impl Canaries {
    fn table(&mut self, table: &Table) {
        for (name, value) in table {
            self.open.push(name.clone());
            // [secret.NAME] and [….credential.NAME] are this file's own words, and hold no secret.
            let is_structure =
                value.is_table() && ["secret", "credential"].contains(&name.as_str());
            let lower = name.to_lowercase();
            let named_so = NAMES.iter().any(|part| lower.contains(part)) && !is_structure;
            self.value(value, named_so);
        }
    }

    fn value(&mut self, value: &Value, is_secret: bool) {
        match value {
            Value::Table(table) => self.table(table),
            Value::Array(items) => items.iter().for_each(|item| self.value(item, is_secret)),
            Value::String(text) if is_secret && text.contains(CANARY) => {
                self.secret.push(text.clone())
            }
            Value::String(text) => self.open.push(text.clone()),
            _ => {}
        }
    }
}
