//! The operator's master key: where it comes from and how it is refused. It wraps the store's data key and touches
//! nothing else; it is never printed, and never written anywhere but into the file that the operator asked for.

use std::env;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a master key.
pub const MASTER_KEY_BYTES: usize = 32;
/// The environment variable that holds a master key as base64.
pub const MASTER_KEY_VARIABLE: &str = "KEYTURN_MASTER_KEY";

/// Far more than a key in base64 with a line end takes; a larger file is something else.
const FILE_BYTES_MAX: u64 = 256;

/// 32 secret bytes. As text, in a file or in the environment, they are one line of standard base64.
pub struct MasterKey(Zeroizing<[u8; MASTER_KEY_BYTES]>);

/// Why there is no usable master key. Nothing was changed, and no message holds any part of a key.
#[derive(Debug, Error)]
pub enum MasterKeyError {
    #[error(
        "the master key file {path} is missing; name the right file, or restore it from your backup"
    )]
    Missing { path: PathBuf },
    #[error("the master key file {path} exists already and is left as it is; choose another path")]
    Exists { path: PathBuf },
    #[error(
        "the master key file {path} can be read by others (mode {mode:04o}) and is not used; run: chmod 600 {path}"
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "the environment variable {MASTER_KEY_VARIABLE} is not set; set it to 32 bytes in base64"
    )]
    NotSet,
    #[error("{origin} does not hold a master key; it must be exactly 32 bytes in standard base64")]
    Malformed { origin: String },
    #[error("{doing} the master key file {path} failed: {source}")]
    File {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the operating system gave no randomness for a master key; try again")]
    Randomness,
}

impl MasterKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`MasterKeyError::Randomness`].
    pub fn generate() -> Result<Self, MasterKeyError> {
        let mut key = Zeroizing::new([0; MASTER_KEY_BYTES]);
        getrandom::fill(key.as_mut()).map_err(|_| MasterKeyError::Randomness)?;
        Ok(Self(key))
    }

    /// Reads the key from a file that only its owner may read.
    ///
    /// # Errors
    /// [`MasterKeyError::Missing`], [`MasterKeyError::Exposed`] if group or others have any right on the file,
    /// [`MasterKeyError::Malformed`], [`MasterKeyError::File`].
    pub fn from_file(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |doing| {
            move |source: io::Error| MasterKeyError::File {
                doing,
                path: path.to_owned(),
                source,
            }
        };
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(MasterKeyError::Missing {
                    path: path.to_owned(),
                });
            }
            opened => opened.map_err(failed("opening"))?,
        };
        // Asked of the open file, not of the path, so that what is checked is what is read.
        let mode = file
            .metadata()
            .map_err(failed("reading"))?
            .permissions()
            .mode()
            & 0o7777;
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
        let origin = || format!("the file {}", path.display());
        match (&mut file).take(FILE_BYTES_MAX).read_to_string(&mut text) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(MasterKeyError::Malformed { origin: origin() });
            }
            read => read.map_err(failed("reading"))?,
        };
        Self::parse(&text, origin)
    }

    /// Reads the key from the environment variable [`MASTER_KEY_VARIABLE`].
    ///
    /// # Errors
    /// [`MasterKeyError::NotSet`], [`MasterKeyError::Malformed`].
    pub fn from_env() -> Result<Self, MasterKeyError> {
        let origin = || format!("the environment variable {MASTER_KEY_VARIABLE}");
        match env::var(MASTER_KEY_VARIABLE) {
            Ok(text) => Self::parse(&Zeroizing::new(text), origin),
            Err(env::VarError::NotPresent) => Err(MasterKeyError::NotSet),
            Err(env::VarError::NotUnicode(_)) => {
                Err(MasterKeyError::Malformed { origin: origin() })
            }
        }
    }

    /// Writes the key to a new file with mode 0600 and makes it durable.
    ///
    /// # Errors
    /// [`MasterKeyError::Exists`] if there is already something at `path`; [`MasterKeyError::File`].
    pub fn write_new_file(&self, path: &Path) -> Result<(), MasterKeyError> {
        let failed = |doing| {
            move |source: io::Error| MasterKeyError::File {
                doing,
                path: path.to_owned(),
                source,
            }
        };
        let mut file = match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
        {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(MasterKeyError::Exists {
                    path: path.to_owned(),
                });
            }
            opened => opened.map_err(failed("creating"))?,
        };
        let line = Zeroizing::new(STANDARD.encode(self.0.as_slice()) + "\n");
        file.write_all(line.as_bytes()).map_err(failed("writing"))?;
        file.sync_all().map_err(failed("writing"))?;
        super::file::sync_parent(path).map_err(failed("writing"))
    }

    pub(super) fn bytes(&self) -> &[u8; MASTER_KEY_BYTES] {
        &self.0
    }

    fn parse(text: &str, origin: impl Fn() -> String) -> Result<Self, MasterKeyError> {
        let mut key = Zeroizing::new([0; MASTER_KEY_BYTES]);
        // The decoder may want room for a few bytes more than it finally writes.
        let mut decoded = Zeroizing::new([0; FILE_BYTES_MAX as usize]);
        match STANDARD.decode_slice(text.trim(), decoded.as_mut_slice()) {
            Ok(MASTER_KEY_BYTES) => {
                key.copy_from_slice(&decoded[..MASTER_KEY_BYTES]);
                Ok(Self(key))
            }
            Ok(_) | Err(_) => Err(MasterKeyError::Malformed { origin: origin() }),
        }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_written_key_is_read_back_and_its_file_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let key = MasterKey::generate().unwrap();
        key.write_new_file(&path).unwrap();
        assert_eq!(MasterKey::from_file(&path).unwrap().bytes(), key.bytes());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let again = MasterKey::generate().unwrap().write_new_file(&path);
        assert!(
            matches!(again, Err(MasterKeyError::Exists { .. })),
            "{again:?}"
        );
        assert_eq!(MasterKey::from_file(&path).unwrap().bytes(), key.bytes());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        MasterKey::generate()
            .unwrap()
            .write_new_file(&path)
            .unwrap();
        for mode in [0o640, 0o604, 0o620, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = MasterKey::from_file(&path);
            assert!(
                matches!(read, Err(MasterKeyError::Exposed { .. })),
                "{mode:o}: {read:?}"
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(MasterKey::from_file(&path).is_ok());
    }

    #[test]
    fn anything_but_32_bytes_in_base64_is_malformed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let texts: [&[u8]; 6] = [
            b"",
            b"not base64!",
            b"AAAA",
            &[b'A'; 400],
            b"\xff\xfe",
            &[b'A'; 43],
        ];
        for text in texts {
            let _ = fs::remove_file(&path);
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .unwrap();
            file.write_all(text).unwrap();
            let read = MasterKey::from_file(&path);
            assert!(
                matches!(read, Err(MasterKeyError::Malformed { .. })),
                "{read:?}"
            );
        }
        let missing = MasterKey::from_file(&dir.path().join("absent"));
        assert!(
            matches!(missing, Err(MasterKeyError::Missing { .. })),
            "{missing:?}"
        );
    }

    #[test]
    fn errors_and_debug_hold_no_part_of_a_key() {
        let canary = "Q0FOQVJZ-canary-key-material";
        let error = MasterKey::parse(canary, || "the file x".to_owned()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
        let key = MasterKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey([REDACTED])");
    }
}
