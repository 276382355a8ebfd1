//! The store file as a file: how it comes into being, and how anything that is not a sound store of ours is told
//! apart before SQLite touches it. Looking changes no byte, and creating never replaces what is there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use thiserror::Error;

use super::failpoint;
use super::master_key::MasterKey;
use super::opened;
use super::schema;
use super::seal::DataKey;

/// Why a store file could not be created or opened. Nothing was changed, in the file or beside it.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error("there is no store at {path}; name the right file, or restore it from a backup")]
    Missing { path: PathBuf },
    #[error(
        "there is already a file at {path}, and it is left as it is; choose another path, or open it"
    )]
    Exists { path: PathBuf },
    #[error("{path} is not a Keyturn store ({why}) and was left as it is; name the right file")]
    NotAStore { path: PathBuf, why: &'static str },
    #[error(
        "{path} is cut short: {bytes} bytes where its header promises {bytes_promised}; it was left as it is, restore it from a backup"
    )]
    Truncated {
        path: PathBuf,
        bytes: u64,
        bytes_promised: u64,
    },
    #[error(
        "{path} was made by a newer Keyturn (schema {found}, this one knows up to {supported}) and was left as it is; use that version"
    )]
    NewerSchema {
        path: PathBuf,
        found: u32,
        supported: u32,
    },
    #[error(
        "the master key does not open {path}, and nothing was changed; use the key that the store was created with"
    )]
    WrongMasterKey { path: PathBuf },
    #[error("{path} is damaged and was left as it is; restore it from a backup: {source}")]
    Damaged {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error(
        "{path} is locked by another process for too long; try again, and look for a stopped process: {source}"
    )]
    Locked {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error(
        "{path} cannot be opened for writing, which reading takes, too; nothing was changed; give the process the right to \
         write the file, {path}-wal and {path}-shm where they are there, and the folder: {source}"
    )]
    NotWritable {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error("the operating system gave no randomness for a new store; try again")]
    Randomness,
    #[error("{doing} {path} failed: {source}")]
    File {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// SQLite's header, <https://www.sqlite.org/fileformat.html> section 1.3.
const HEADER_BYTES: usize = 100;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Makes a complete store under a temporary name beside `path` and then gives it its name, so that a crash at any
/// instant leaves either no store or a whole one at `path`, and of two creators one is refused.
pub(super) fn create(path: &Path, master: &MasterKey) -> Result<(), OpenError> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(OpenError::Exists {
            path: path.to_owned(),
        });
    }
    // A write-ahead log without its store would be taken for the new one's.
    let log = beside(path, "-wal");
    if fs::symlink_metadata(&log).is_ok() {
        return Err(OpenError::Exists { path: log });
    }
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| OpenError::Randomness)?;
    let unfinished = beside(path, &format!(".new-{:016x}", u64::from_be_bytes(random)));
    let built = match build(&unfinished, master) {
        Ok(()) => name_it(&unfinished, path),
        failed => failed,
    };
    for suffix in ["", "-wal", "-shm"] {
        // Most are not there; what cannot be removed does no harm beyond its room.
        let _ = fs::remove_file(beside(&unfinished, suffix));
    }
    built
}

/// Refuses what is not a store of ours, by its bytes alone. What this process has opened already was looked at then.
pub(super) fn look(path: &Path) -> Result<(), OpenError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(OpenError::Missing {
            path: path.to_owned(),
        }),
        Err(error) => Err(file_error("reading", path)(error)),
        // Opening a pipe would wait for its writer.
        Ok(metadata) if !metadata.is_file() => Err(OpenError::NotAStore {
            path: path.to_owned(),
            why: "it is not a regular file",
        }),
        Ok(metadata) => opened::look_once(&metadata, || look_at_bytes(path)),
    }
}

/// SQLite gives the log and its index the file's mode when it makes them, and never another one: what was made while the
/// store could only be read would keep it so for good.
pub(super) fn follow_mode(path: &Path) -> io::Result<()> {
    let wanted = fs::metadata(path)?.permissions();
    for suffix in ["-wal", "-shm"] {
        let beside = beside(path, suffix);
        match fs::metadata(&beside) {
            Ok(found) if found.permissions() != wanted => {
                fs::set_permissions(&beside, wanted.clone())?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Refuses a schema that this code does not know.
fn check_schema_version(path: &Path, found: u32) -> Result<(), OpenError> {
    let supported = schema::SCHEMA_VERSION;
    match found {
        found if found > supported => Err(OpenError::NewerSchema {
            path: path.to_owned(),
            found,
            supported,
        }),
        0 => Err(OpenError::NotAStore {
            path: path.to_owned(),
            why: "it names no schema version",
        }),
        _ => Ok(()),
    }
}

/// Gives a store of an earlier schema the tables of this one, in one transaction. What processes of an earlier Keyturn
/// have open they can still use.
pub(super) fn bring_up_to_date(path: &Path, connection: &mut Connection) -> Result<(), OpenError> {
    if schema_version(path, connection)? == schema::SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(database_error(path))?;
    // Another process may have been faster.
    let version = schema_version(path, &transaction)?;
    schema::bring_up_to_date(&transaction, version).map_err(database_error(path))?;
    failpoint::pass();
    transaction.commit().map_err(database_error(path))?;
    failpoint::pass();
    Ok(())
}

/// Asked through SQLite, because the log may hold a newer header than the file.
pub(super) fn schema_version(path: &Path, connection: &Connection) -> Result<u32, OpenError> {
    let version = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(database_error(path))?;
    check_schema_version(path, version)?;
    Ok(version)
}

/// Sorts what SQLite says about a file that looked sound.
pub(super) fn database_error(path: &Path) -> impl Fn(rusqlite::Error) -> OpenError + '_ {
    |source| {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy) => OpenError::Locked { path, source },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                OpenError::Damaged { path, source }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
                OpenError::NotWritable { path, source }
            }
            Some(_) | None => {
                let source = io::Error::other(source);
                OpenError::File {
                    doing: "opening",
                    path,
                    source,
                }
            }
        }
    }
}

/// Makes the directory entry of `path` durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent != Path::new("") => File::open(parent)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

fn build(path: &Path, master: &MasterKey) -> Result<(), OpenError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(file_error("creating", path))?;
    let key = DataKey::generate().map_err(|_| OpenError::Randomness)?;
    let wrapped = key.wrap(master).map_err(|_| OpenError::Randomness)?;
    write_schema(path, &wrapped).map_err(database_error(path))?;
    // Closing does not say whether the log was taken into the file, which is what gets the store's name.
    if fs::symlink_metadata(beside(path, "-wal")).is_ok() {
        let left = io::Error::other("its log was not taken into it; is the disk full?");
        return Err(file_error("closing", path)(left));
    }
    Ok(())
}

fn write_schema(path: &Path, wrapped: &[u8]) -> rusqlite::Result<()> {
    let mut connection = schema::writing(path)?;
    failpoint::pass();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
    schema::bring_up_to_date(&transaction, 0)?;
    failpoint::pass();
    transaction.execute(
        "INSERT INTO store (only_row, wrapped_data_key) VALUES (1, ?1)",
        [wrapped],
    )?;
    failpoint::pass();
    transaction.commit()?;
    failpoint::pass();
    // The last connection takes the log into the file, synchronises it and removes the log.
    connection.close().map_err(|(_, error)| error)?;
    failpoint::pass();
    Ok(())
}

/// A hard link fails if the name is taken, which a rename would not.
fn name_it(unfinished: &Path, path: &Path) -> Result<(), OpenError> {
    match fs::hard_link(unfinished, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(OpenError::Exists {
                path: path.to_owned(),
            });
        }
        linked => linked.map_err(file_error("naming", path))?,
    }
    failpoint::pass();
    sync_parent(path).map_err(file_error("synchronising", path))
}

fn look_at_bytes(path: &Path) -> Result<(), OpenError> {
    let failed = |source: io::Error| file_error("reading", path)(source);
    let mut file = File::open(path).map_err(failed)?;
    let not_a_store = |why| {
        Err(OpenError::NotAStore {
            path: path.to_owned(),
            why,
        })
    };
    let mut header = Vec::with_capacity(HEADER_BYTES);
    (&mut file)
        .take(HEADER_BYTES as u64)
        .read_to_end(&mut header)
        .map_err(failed)?;
    if header.is_empty() {
        return not_a_store("it is empty");
    }
    if !header.starts_with(&MAGIC[..header.len().min(MAGIC.len())]) {
        return not_a_store("it is not a SQLite database");
    }
    let Ok(header) = <[u8; HEADER_BYTES]>::try_from(header.as_slice()) else {
        let (bytes, bytes_promised) = (header.len() as u64, HEADER_BYTES as u64);
        return Err(OpenError::Truncated {
            path: path.to_owned(),
            bytes,
            bytes_promised,
        });
    };
    if number(&header, 68) != schema::APPLICATION_ID {
        return not_a_store("it is another application's SQLite database");
    }
    check_schema_version(path, number(&header, 60))?;
    check_length(path, &file, &header)
}

/// A log that is not empty may hold the missing pages, so then the length says nothing and SQLite decides. The log is
/// looked at before the length: when it is gone, whatever it held is in the file.
fn check_length(path: &Path, file: &File, header: &[u8; HEADER_BYTES]) -> Result<(), OpenError> {
    if fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Ok(());
    }
    let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    let bytes_promised = page_bytes * u64::from(number(header, 28));
    let bytes = file.metadata().map_err(file_error("reading", path))?.len();
    if bytes < bytes_promised {
        return Err(OpenError::Truncated {
            path: path.to_owned(),
            bytes,
            bytes_promised,
        });
    }
    Ok(())
}

fn number(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn file_error<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> OpenError + use<'a> {
    move |source| OpenError::File {
        doing,
        path: path.to_owned(),
        source,
    }
}
