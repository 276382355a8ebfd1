//! AWS's limits, so that a secret that fits here also fits there. Each is checked before anything is written.

/// Longest secret name, in bytes (AWS: 512 characters of `A-Z a-z 0-9 / _ + = . @ -`).
pub const NAME_BYTES_MAX: usize = 512;
/// Shortest version id, in bytes. A version id is the caller's `ClientRequestToken`.
pub const VERSION_ID_BYTES_MIN: usize = 32;
/// Longest version id, in bytes.
pub const VERSION_ID_BYTES_MAX: usize = 64;
/// Largest value, in bytes of UTF-8. A value has at least one byte.
pub const VALUE_BYTES_MAX: usize = 65_536;
/// Longest label, in characters. A label has at least one.
pub const LABEL_CHARS_MAX: usize = 256;
/// Most labels that one call may name, and most labels attached across all versions of one secret.
pub const LABELS_MAX: usize = 20;
/// Longest description of a secret, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 2_048;
/// Most tags of one secret.
pub const TAGS_MAX: usize = 50;
/// Longest key of a tag, in characters. A key has at least one.
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Longest value of a tag, in characters. It may be empty.
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// Largest notes, in bytes of JSON text.
pub const NOTES_BYTES_MAX: usize = 65_536;
/// How many versions of a secret are kept although they carry no label; older ones go, see
/// [`VERSION_AGE_SECONDS_MIN`]. Younger ones are kept beside them, up to [`VERSIONS_MAX`].
pub const VERSIONS_KEPT: usize = 100;
/// Most versions of a secret. AWS refuses a put at some undocumented number of young ones. This is one put every 17
/// seconds for a day: no emergency makes so many, and a client that writes in a loop neither fills the disk nor makes
/// every description of the secret slow. A version that was announced can be filled beyond it.
pub const VERSIONS_MAX: usize = 5_000;
/// A version younger than this is never removed, however many there are.
pub const VERSION_AGE_SECONDS_MIN: u64 = 24 * 60 * 60;
