//! Ready-made arguments for calls in tests, and the fake host's default password policy.

use crate::endpoint::{NetError, NetErrorKind};
use crate::password::Constraints;
use crate::{Context, CreateRequest, Purpose, SecretText, Version};

/// A version whose id says little.
pub fn version(id: &str, value: &str) -> Version {
    Version {
        id: id.to_owned(),
        value: SecretText::from(value),
    }
}

/// A context with that strategy and CURRENT, empty settings, nothing else.
pub fn context(strategy: &str, current: &str) -> Context {
    Context {
        secret: "festival-test/secret".to_owned(),
        credential: String::new(),
        environment: "test".to_owned(),
        rotation_id: "rotation-1".to_owned(),
        attempt: 1,
        budget_ms: 30_000,
        strategy: strategy.to_owned(),
        settings_json: "{}".to_owned(),
        current: version("current", current),
        others: Vec::new(),
        companions: Vec::new(),
    }
}

/// A request for that purpose, without inputs, next rotation or a version to restore.
pub fn create_request(purpose: Purpose, overlap_seconds: u64) -> CreateRequest {
    CreateRequest {
        purpose,
        inputs: Vec::new(),
        overlap_seconds,
        next_rotation: None,
        restore: None,
    }
}

/// A network error.
pub fn net_error(kind: NetErrorKind, message: &str, sent: bool) -> NetError {
    NetError {
        kind,
        message: message.to_owned(),
        sent,
    }
}

/// 32 characters of the default alphabet, cut to the target's lengths and without its excluded
/// characters, with a lower-case letter, a capital and a digit among them.
pub(super) fn default_password(
    target: &Constraints,
    mut random_byte: impl FnMut() -> u8,
) -> Result<String, String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    const TRIES_MAX: u32 = 1000;
    let allowed: Vec<char> = ALPHABET
        .chars()
        .filter(|letter| !target.exclude.contains(*letter))
        .collect();
    let length = 32.clamp(target.length_min, target.length_max.max(target.length_min));
    for _ in 0..TRIES_MAX {
        // The slight bias of the remainder does not matter in a test.
        let password: String = (0..length)
            .filter_map(|_| allowed.get(usize::from(random_byte()) % allowed.len().max(1)))
            .collect();
        let has = |class: fn(&char) -> bool| password.chars().any(|letter| class(&letter));
        if has(char::is_ascii_lowercase)
            && has(char::is_ascii_uppercase)
            && has(char::is_ascii_digit)
        {
            return Ok(password);
        }
    }
    Err("no password fits both the fake host's policy and the target".to_owned())
}
