//! Keys from passwords. The host derives them: thousands of hashes cost a sandbox several times what they cost there.

use crate::host;

/// The host takes no more. A count that comes from a server is checked before, for beyond it the call is over.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// PBKDF2-HMAC-SHA-256 of RFC 8018.
///
/// # Panics
/// Outside 1 to [`ITERATIONS_MAX`] iterations; in WebAssembly the host traps.
pub fn pbkdf2_hmac_sha256(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    host::pbkdf2_hmac_sha256(password, salt, iterations)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7914, section 11: the first half of its 64 bytes.
    #[test]
    fn natively_the_published_keys_are_derived() {
        let hex = |key: [u8; 32]| key.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(
            hex(pbkdf2_hmac_sha256(b"passwd", b"salt", 1)),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        );
        assert_eq!(
            hex(pbkdf2_hmac_sha256(b"Password", b"NaCl", 80_000)),
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
        );
    }

    #[test]
    #[should_panic(expected = "1 to 1000000 iterations")]
    fn natively_too_many_iterations_panic() {
        pbkdf2_hmac_sha256(b"", b"", ITERATIONS_MAX + 1);
    }
}
