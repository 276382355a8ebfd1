//! The SCRAM-SHA-256 verifier that goes to the server in place of the password. It exists so that
//! no plaintext reaches `ALTER ROLE`, and with it the server's log, `pg_stat_activity` or
//! `pg_stat_statements`. It draws no randomness: the salt is a parameter.
//! Source: RFC 5802 and RFC 7677; the stored form is PostgreSQL's `pg_authid.rolpassword`.

use crate::salted::{self, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// PostgreSQL's own default (`SCRAM_SHA_256_DEFAULT_ITERATIONS`). Every login pays for it, so a
/// value of this plugin's own would slow down the applications.
pub const ITERATIONS: u32 = 4096;
pub const SALT_BYTES: usize = 16;

/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. Holds no character that SQL gives
/// a meaning inside quotes.
pub fn verifier(password: &str, salt: &[u8; SALT_BYTES], iterations: u32) -> String {
    let salted = salted::derive(password, salt, iterations);
    let stored_key = Sha256::digest(hmac(&salted, b"Client Key"));
    let server_key = hmac(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256${iterations}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored_key),
        STANDARD.encode(server_key)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3: user "user", password "pencil"; the proof there follows from these.
    #[test]
    fn the_keys_are_those_of_rfc_7677() {
        let salt: [u8; 16] = STANDARD
            .decode("W22ZaJ0SNY7soEsUEjb6gQ==")
            .unwrap()
            .try_into()
            .unwrap();
        assert_eq!(
            verifier("pencil", &salt, 4096),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
             WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
             wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn another_salt_gives_another_verifier_and_the_password_is_not_in_it() {
        let one = verifier("canary-password", &[1; 16], 4096);
        assert_ne!(one, verifier("canary-password", &[2; 16], 4096));
        assert!(!one.contains("canary"));
        assert!(!one.contains('\'') && !one.contains('\\'));
    }
}
