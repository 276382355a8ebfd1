//! Keys from passwords, on threads of their own: a derivation takes longer than a neighbour of the call may wait.
//! Fuel does not count it; the call's deadline ends a plugin that derives without end.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::LazyLock;
use std::thread::available_parallelism;

use aws_lc_rs::pbkdf2;
use tokio::sync::Semaphore;
use wasmtime::{Result, bail};
use zeroize::Zeroizing;

/// A derivation cannot be interrupted, so this bounds what goes on behind a deadline: a fifth of a second with SHA
/// instructions, thrice that without.
const ITERATIONS_MAX: u32 = 1_000_000;

const KEY_BYTES: usize = 32;

/// Many calls that derive at once wait for each other and not for the rest of the process.
static CORES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, NonZeroUsize::get)));

/// PBKDF2 of RFC 8018. Password and salt are as long as one message from a plugin may be: both are hashed once.
pub(super) async fn pbkdf2_hmac_sha256(
    password: Zeroizing<Vec<u8>>,
    salt: Vec<u8>,
    iterations: u32,
) -> Result<Vec<u8>> {
    let bounded = NonZeroU32::new(iterations).filter(|count| count.get() <= ITERATIONS_MAX);
    let Some(count) = bounded else {
        bail!(
            "key-derivation.pbkdf2-hmac-sha256 takes 1 to {ITERATIONS_MAX} iterations, {iterations} were asked for"
        );
    };
    let core = CORES.acquire().await?;
    let derived = tokio::task::spawn_blocking(move || {
        let _core = core;
        let mut key = vec![0; KEY_BYTES];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, count, &salt, &password, &mut key);
        key
    });
    Ok(derived.await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn derive(password: &str, salt: &str, iterations: u32) -> Result<String> {
        let password = Zeroizing::new(password.as_bytes().to_vec());
        let key = pbkdf2_hmac_sha256(password, salt.into(), iterations).await?;
        Ok(key.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// RFC 7914, section 11; it shows 64 bytes, of which the first 32 are a key of this length.
    #[tokio::test]
    async fn the_published_keys_are_derived() {
        let derived = derive("passwd", "salt", 1).await.unwrap();
        assert_eq!(
            derived,
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        );
        let derived = derive("Password", "NaCl", 80_000).await.unwrap();
        assert_eq!(
            derived,
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
        );
    }

    #[tokio::test]
    async fn iterations_are_bounded() {
        derive("", "", ITERATIONS_MAX).await.unwrap();
        for iterations in [0, ITERATIONS_MAX + 1, u32::MAX] {
            let error = derive("", "", iterations).await.unwrap_err();
            let expected = format!(
                "key-derivation.pbkdf2-hmac-sha256 takes 1 to 1000000 iterations, {iterations} were asked for"
            );
            assert_eq!(error.to_string(), expected);
        }
    }
}
