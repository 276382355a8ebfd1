//! Notes as tags of a secret, the only place beside its labels where AWS keeps something small with a secret. A head
//! says which revision it is, how many pieces there are and what their checksum is; the pieces hold the JSON text in
//! base64, whose characters are all allowed in tags. Half-written and foreign tags are told from whole notes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::error::{ErrorKind, StoreError};
use crate::limits::{TAG_VALUE_CHARS_MAX as VALUE_CHARS_MAX, TAGS_MAX};
pub(super) use crate::tags::Tags;
use crate::types::Notes;

/// How the keys of all tags begin that are about keyturn, the operator's included.
pub(super) const OURS: &str = "keyturn:";
/// The tag that describes the pieces, and what the pieces' keys start with.
pub(super) const HEAD: &str = "keyturn:notes";
/// Hexadecimal digits of the SHA-256: enough to tell pieces apart that nobody forges.
const CHECKSUM_CHARS: usize = 32;

/// Whether a tag is part of the notes and not the operator's.
pub(super) fn is_note(key: &str) -> bool {
    key == HEAD || number_of(key).is_some()
}

/// The notes in a secret's tags; empty ones if there are none.
pub(super) fn read(tags: &Tags) -> Result<Notes, StoreError> {
    let Some(head) = tags.get(HEAD) else {
        return Ok(Notes {
            json: "{}".to_owned(),
            revision: 0,
        });
    };
    let head = Head::parse(head).ok_or_else(|| damaged("the head is not in keyturn's form"))?;
    let mut text = String::new();
    for number in 1..=head.pieces {
        let piece = tags.get(&key_of(number));
        text += piece.ok_or_else(|| damaged("a piece is missing"))?;
    }
    if checksum(&text) != head.checksum {
        return Err(damaged("the pieces are not those that the head speaks of"));
    }
    let json = STANDARD
        .decode(text)
        .ok()
        .and_then(|json| String::from_utf8(json).ok());
    Ok(Notes {
        json: json.ok_or_else(|| damaged("the pieces hold no text"))?,
        revision: head.revision,
    })
}

/// The tags that make `notes` the notes of a secret that has these tags, all to be written at once.
pub(super) fn write(tags: &Tags, notes: &Notes) -> Result<Tags, StoreError> {
    let text = STANDARD.encode(&notes.json);
    let pieces: Vec<&str> = text
        .as_bytes()
        .chunks(VALUE_CHARS_MAX)
        .filter_map(|piece| std::str::from_utf8(piece).ok())
        .collect();
    // AWS's own do not count.
    let others = tags
        .keys()
        .filter(|key| !is_note(key) && !key.starts_with("aws:"))
        .count();
    if others + 1 + pieces.len() > TAGS_MAX {
        return Err(StoreError::new(
            ErrorKind::LimitExceeded,
            format!(
                "the notes take {} tags, and the secret has {others} others; AWS allows {TAGS_MAX}",
                1 + pieces.len()
            ),
            "take tags off the secret, or give its credentials secrets of their own",
        ));
    }
    let head = Head {
        revision: notes.revision,
        pieces: pieces.len(),
        checksum: checksum(&text),
    };
    let numbered = (1..).zip(pieces);
    Ok(numbered
        .map(|(number, piece)| (key_of(number), piece.to_owned()))
        .chain([(HEAD.to_owned(), head.to_text())])
        .collect())
}

/// The pieces of longer notes that `written` has left behind.
pub(super) fn left_over(tags: &Tags, written: &Tags) -> Vec<String> {
    let left = tags
        .keys()
        .filter(|key| is_note(key) && !written.contains_key(*key));
    left.cloned().collect()
}

struct Head {
    revision: u64,
    pieces: usize,
    checksum: String,
}

impl Head {
    fn to_text(&self) -> String {
        let Self {
            revision,
            pieces,
            checksum,
        } = self;
        format!("v1 revision={revision} pieces={pieces} sha256={checksum}")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("v1 ")?.split(' ');
        let head = Self {
            revision: words.next()?.strip_prefix("revision=")?.parse().ok()?,
            pieces: words.next()?.strip_prefix("pieces=")?.parse().ok()?,
            checksum: words.next()?.strip_prefix("sha256=")?.to_owned(),
        };
        (words.next().is_none() && head.pieces < TAGS_MAX).then_some(head)
    }
}

fn key_of(number: usize) -> String {
    format!("{HEAD}.{number}")
}

fn number_of(key: &str) -> Option<usize> {
    key.strip_prefix(HEAD)?.strip_prefix('.')?.parse().ok()
}

fn checksum(text: &str) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(text) {
        hex += &format!("{byte:02x}");
    }
    hex.truncate(CHECKSUM_CHARS);
    hex
}

fn damaged(what: &str) -> StoreError {
    StoreError::new(
        ErrorKind::Internal,
        format!("the notes in the tags {HEAD}* cannot be read: {what}"),
        "if this stays so, look at who else writes these tags and remove all of them: they hold no value, only what is \
         due when",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(json: &str, revision: u64) -> Notes {
        Notes {
            json: json.to_owned(),
            revision,
        }
    }

    fn json_of(bytes: usize) -> String {
        format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8))
    }

    #[test]
    fn awss_own_tags_leave_room_for_notes() {
        let tags = |prefix: &str| -> Tags {
            let keys = (0..TAGS_MAX).map(|number| format!("{prefix}{number}"));
            keys.map(|key| (key, String::new())).collect()
        };
        assert!(write(&tags("aws:"), &notes("{}", 1)).is_ok());
        let full = write(&tags("team"), &notes("{}", 1)).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::LimitExceeded);
    }

    #[test]
    fn notes_of_every_size_come_back() {
        let mut tags = Tags::from([("team".to_owned(), "festival".to_owned())]);
        for (revision, bytes) in (1..).zip([8, 191, 192, 193, 5_000, 9_216, 200]) {
            let json = json_of(bytes);
            let written = write(&tags, &notes(&json, revision)).unwrap();
            assert!(written.values().all(|value| value.len() <= VALUE_CHARS_MAX));
            let left = left_over(&tags, &written);
            tags.extend(written);
            // Before what is left over is removed, too.
            assert_eq!(read(&tags).unwrap(), notes(&json, revision));
            tags.retain(|key, _| !left.contains(key));
            assert_eq!(read(&tags).unwrap(), notes(&json, revision));
        }
        assert_eq!(tags.len(), 1 + 1 + 2);
    }

    #[test]
    fn no_tags_are_empty_notes() {
        assert_eq!(read(&Tags::new()).unwrap(), notes("{}", 0));
    }

    #[test]
    fn more_than_fifty_tags_are_refused() {
        let others = |count: usize| (0..count).map(|n| (format!("t{n}"), String::new()));
        let tags: Tags = others(40).collect();
        write(&tags, &notes(&json_of(9 * 192), 1)).unwrap();
        let error = write(&tags, &notes(&json_of(9 * 192 + 1), 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.to_string().contains("take 11 tags"), "{error}");
    }

    #[test]
    fn half_of_the_notes_is_never_read_as_the_whole() {
        let old = write(&Tags::new(), &notes(&json_of(600), 6)).unwrap();
        let new = write(&Tags::new(), &notes(&json_of(700), 7)).unwrap();
        for key in new.keys() {
            let mut mixed = new.clone();
            match old.get(key) {
                Some(piece) if *piece != new[key] => mixed.insert(key.clone(), piece.clone()),
                _ => mixed.remove(key),
            };
            if key == HEAD {
                // Somebody else's head, or none: the old notes are not there, and none are no notes.
                mixed.insert(key.clone(), old[HEAD].clone());
            }
            let error = read(&mixed).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{key}");
        }
    }

    #[test]
    fn foreign_heads_are_not_taken_for_notes() {
        for head in [
            "",
            "v2 revision=1 pieces=0 sha256=",
            "v1 revision=x pieces=1 sha256=0",
            "hello",
        ] {
            let tags = Tags::from([(HEAD.to_owned(), head.to_owned())]);
            assert_eq!(
                read(&tags).unwrap_err().kind(),
                ErrorKind::Internal,
                "{head}"
            );
        }
    }

    #[test]
    fn only_our_tags_are_notes() {
        for (key, ours) in [
            ("keyturn:notes", true),
            ("keyturn:notes.12", true),
            ("keyturn:notes.x", false),
            ("keyturn:plugin", false),
        ] {
            assert_eq!(is_note(key), ours, "{key}");
        }
    }
}
