//! A text that must not be shown. It exists so that a stray `{:?}` in a log line or an assertion
//! prints nothing; whoever needs the text says [`SecretText::expose`]. It does not erase itself: a
//! plugin's memory belongs to an instance that the host drops after the call.

use std::fmt;

/// A secret value or a part of one. `Debug` prints `[redacted]`; there is no `Display`, no
/// `PartialEq` and no serialisation.
#[derive(Clone)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text itself, without a copy.
    pub fn into_exposed(self) -> String {
        self.0
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", SecretText::new("hunter2")), "[redacted]");
    }
}
