//! Access keys in files. The form is that of AWS's shared credentials file, so that an application gets the very file
//! (`AWS_SHARED_CREDENTIALS_FILE`) and nobody ever types or copies a secret.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// A profile with a long name and a comment fits.
const FILE_BYTES_MAX: u64 = 4096;
/// AWS's own secrets have 40 characters of base64.
const SECRET_BYTES: usize = 30;
/// Whoever has one signed request can try secrets at home.
const SECRET_CHARS_MIN: usize = 32;
const ID_CHARS: usize = 16;
const ID_PREFIX: &str = "KTAK";
/// No 0, 1, 8 and 9, as in AWS's ids.
const ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Both halves of an access key.
pub struct KeyPair {
    /// Not secret.
    pub id: String,
    pub secret: SecretString,
}

/// Why there is no usable access key. No message holds any part of its secret.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error(
        "{doing} the access key file {path} failed: {source}; make one with `keyturn access-key FILE`"
    )]
    File {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the access key file {path} exists already and is left as it is; choose another path")]
    Exists { path: PathBuf },
    #[error(
        "the access key file {path} can be read by others (mode {mode:04o}) and is not used; run: chmod 600 {path}"
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "the file {path} is not an AWS credentials file with one profile; it needs one line aws_access_key_id = … and \
         one line aws_secret_access_key = …"
    )]
    Malformed { path: PathBuf },
    #[error(
        "the secret in the access key file {path} has fewer than {SECRET_CHARS_MIN} characters and could be guessed; \
         make another with `keyturn access-key FILE`"
    )]
    Guessable { path: PathBuf },
    #[error("the operating system gave no randomness for an access key; try again")]
    Randomness,
}

impl KeyPair {
    /// A new random pair.
    ///
    /// # Errors
    /// [`KeyFileError::Randomness`]
    pub fn generate() -> Result<Self, KeyFileError> {
        let mut id = [0; ID_CHARS];
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        getrandom::fill(&mut id).map_err(|_| KeyFileError::Randomness)?;
        getrandom::fill(secret.as_mut()).map_err(|_| KeyFileError::Randomness)?;
        let letters = id
            .iter()
            .map(|byte| char::from(ID_ALPHABET[usize::from(byte % 32)]));
        Ok(Self {
            id: ID_PREFIX.chars().chain(letters).collect(),
            secret: STANDARD.encode(secret.as_slice()).into(),
        })
    }

    /// Reads the pair from a file that only its owner may read.
    ///
    /// # Errors
    /// Every [`KeyFileError`] but `Exists` and `Randomness`.
    pub fn from_file(path: &Path) -> Result<Self, KeyFileError> {
        let mut file = File::open(path).map_err(failed("opening", path))?;
        // Asked of the open file, not of the path, so that what is checked is what is read.
        let mode = file
            .metadata()
            .map_err(failed("reading", path))?
            .permissions()
            .mode()
            & 0o7777;
        if mode & 0o077 != 0 {
            let path = path.to_owned();
            return Err(KeyFileError::Exposed { path, mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
        let malformed = || KeyFileError::Malformed {
            path: path.to_owned(),
        };
        match (&mut file).take(FILE_BYTES_MAX).read_to_string(&mut text) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(malformed()),
            read => read.map_err(failed("reading", path))?,
        };
        let pair = parse(&text).ok_or_else(malformed)?;
        if pair.secret.expose_secret().len() < SECRET_CHARS_MIN {
            let path = path.to_owned();
            return Err(KeyFileError::Guessable { path });
        }
        Ok(pair)
    }

    /// Writes the pair to a new file with mode 0600 and makes it durable.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`] if there is already something at `path`; [`KeyFileError::File`].
    pub fn write_new_file(&self, path: &Path) -> Result<(), KeyFileError> {
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let mut file = match created {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let path = path.to_owned();
                return Err(KeyFileError::Exists { path });
            }
            created => created.map_err(failed("creating", path))?,
        };
        let text = Zeroizing::new(format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            self.id,
            self.secret.expose_secret()
        ));
        file.write_all(text.as_bytes())
            .map_err(failed("writing", path))?;
        file.sync_all().map_err(failed("writing", path))
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.id)
    }
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> KeyFileError + 'a {
    move |source| KeyFileError::File {
        doing,
        path: path.to_owned(),
        source,
    }
}

fn parse(text: &str) -> Option<KeyPair> {
    let (mut id, mut secret) = (None, None);
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let slot = match name.trim() {
            "aws_access_key_id" => &mut id,
            "aws_secret_access_key" => &mut secret,
            _ => continue,
        };
        // A second one is another profile, and nobody could tell which was meant.
        if slot.replace(value.trim()).is_some() {
            return None;
        }
    }
    let (id, secret) = (id?, secret?);
    let is_id = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if id.is_empty() || !id.chars().all(is_id) || secret.is_empty() {
        return None;
    }
    Some(KeyPair {
        id: id.to_owned(),
        secret: secret.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_is_a_pair_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("app.credentials");
        let made = KeyPair::generate().unwrap();
        made.write_new_file(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = KeyPair::from_file(&path).unwrap();
        assert_eq!(read.id, made.id);
        assert_eq!(read.secret.expose_secret(), made.secret.expose_secret());
        assert_eq!(made.secret.expose_secret().len(), 40);
        assert!(!format!("{read:?}").contains(read.secret.expose_secret()));
        let other = KeyPair::generate().unwrap();
        assert!(other.id != made.id && other.secret.expose_secret() != made.secret.expose_secret());
        let again = other.write_new_file(&path).unwrap_err();
        assert!(matches!(again, KeyFileError::Exists { .. }));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("app.credentials");
        KeyPair::generate().unwrap().write_new_file(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let refused = KeyPair::from_file(&path).unwrap_err();
        assert!(refused.to_string().contains("mode 0640"), "{refused}");
    }

    #[test]
    fn a_secret_that_could_be_guessed_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("app.credentials");
        for (chars, is_read) in [(31, false), (32, true)] {
            let pair = KeyPair {
                id: "AKID".to_owned(),
                secret: "x".repeat(chars).into(),
            };
            let _ = std::fs::remove_file(&path);
            pair.write_new_file(&path).unwrap();
            let read = KeyPair::from_file(&path);
            assert_eq!(read.is_ok(), is_read, "{chars}");
            assert!(!format!("{read:?}").contains("xxx"));
        }
    }

    #[test]
    fn one_profile_and_nothing_else_is_a_key() {
        let pair =
            parse("# app\n[app]\naws_access_key_id=AKID\naws_secret_access_key = s3/cr+et=\n");
        let pair = pair.unwrap();
        assert_eq!(
            (pair.id.as_str(), pair.secret.expose_secret()),
            ("AKID", "s3/cr+et=")
        );
        for bad in [
            "",
            "aws_access_key_id = AKID",
            "aws_access_key_id = AKID\naws_secret_access_key =",
            "aws_access_key_id = A KID\naws_secret_access_key = s",
            "aws_access_key_id = A\naws_secret_access_key = s\naws_access_key_id = B\naws_secret_access_key = t",
        ] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
    }
}
