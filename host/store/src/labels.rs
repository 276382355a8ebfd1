//! The staging labels whose moves the store itself knows rules for. Every other label is only a name to it.

/// The version that applications read. Exactly one version of every secret carries it, and that version has a value.
pub const CURRENT: &str = "AWSCURRENT";
/// The version that carried [`CURRENT`] before; it moves by itself whenever [`CURRENT`] moves.
pub const PREVIOUS: &str = "AWSPREVIOUS";
/// The version that a rotation is preparing. Removed when a value written by hand becomes current.
pub const PENDING: &str = "AWSPENDING";
/// The version that a rotation prepares where AWS's own must not be kept from beginning.
pub const STAGED: &str = "KEYTURN_STAGED";
