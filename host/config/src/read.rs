//! From text to tables. What the parser says is passed on with line and key, unless it would quote a
//! value that may be a secret.

use std::{ops::Range, path::Path};

use serde_path_to_error::Segment;

use crate::{ConfigError, file::File, line_of};

/// What operators call secrets.
const SECRET_WORDS: [&str; 6] = ["password", "passwd", "secret", "token", "key", "credential"];
const SECRET_MISPLACED: &str = "the value is of another type than this key takes. It is not shown, because it may be a \
     secret; secrets belong into the store (`keyturn secret create`), `password` is a table such as { length = 40 }";

/// Where names begin that `toml::Spanned` makes up.
const READERS_OWN: &str = "$__serde_spanned";

/// Reads the form; an error names its key, if the text is TOML at all.
pub(crate) fn read(path: &Path, text: &str) -> Result<File, ConfigError> {
    let document =
        toml::Deserializer::parse(text).map_err(|error| misread(path, text, "", "", &error))?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let key = error.path().to_string();
        let mut name = "";
        for segment in error.path() {
            // What is read with its place in the file stands one level deeper, under a name of the reader's own.
            if let Segment::Map { key } = segment
                && !key.starts_with(READERS_OWN)
            {
                name = key;
            }
        }
        let key = key.split(READERS_OWN).next().unwrap_or_default();
        misread(path, text, key.trim_end_matches('.'), name, error.inner())
    })
}

/// `key` as it is shown, such as `secret.a.password[0]`, and the last name in it.
fn misread(path: &Path, text: &str, key: &str, name: &str, error: &toml::de::Error) -> ConfigError {
    let span = error.span();
    ConfigError {
        path: path.to_owned(),
        line: span.as_ref().map(|span| line_of(text, span)),
        key: key.to_owned(),
        problem: if shows_a_secret(text, name, span) {
            SECRET_MISPLACED.to_owned()
        } else {
            error.message().to_owned()
        },
    }
}

/// Would the parser's own words quote the value of a key that is named like a secret? They quote
/// values of the wrong type; an error about the key itself quotes only the key.
fn shows_a_secret(text: &str, name: &str, span: Option<Range<usize>>) -> bool {
    let lower = name.to_lowercase();
    if !SECRET_WORDS.iter().any(|word| lower.contains(word)) {
        return false;
    }
    let at = span.and_then(|span| text.get(span)).unwrap_or_default();
    at.trim_matches(['"', '\'']) != name
}
