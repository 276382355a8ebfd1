//! Passwords under the operator's policy. The plugin says what its target can bear; the host
//! intersects both.

use crate::error::Error;
use crate::host;
use crate::secret::SecretText;

/// What the target can bear: lengths in characters, and characters that it cannot take.
pub use crate::bindings::keyturn::rotation::password::Constraints;

/// A new password.
///
/// # Errors
/// `invalid-settings` if no password fits both the policy and the target.
pub fn generate(target: &Constraints) -> Result<SecretText, Error> {
    host::generate_password(target)
        .map(SecretText::from)
        .map_err(Error::invalid_settings)
}
