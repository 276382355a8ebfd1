//! Looks for a planted secret in everything that a run wrote: raw and in the disguises in which
//! secrets usually leak. It reports where and in which disguise, never the secret itself, and how
//! many bytes it read, so that a scan of nothing is not taken for a clean one.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;

/// Shorter secrets would be found by chance.
const CANARY_BYTES_MIN: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Raw,
    Base64,
    Base64Url,
    HexLower,
    HexUpper,
    UrlEncoded,
    JsonEscaped,
    /// Rust's Debug of a byte slice: decimal numbers between commas.
    DebugBytes,
}

/// A secret to look for, in all its forms.
pub struct Canary {
    needles: Vec<(Form, memmem::Finder<'static>)>,
}

/// Many secrets to look for in one pass, however many there are: a long run has thousands.
pub struct CanarySet {
    canaries: Vec<Canary>,
    /// The first bytes of each needle, and which needles begin so.
    beginnings: HashMap<[u8; CANARY_BYTES_MIN], Vec<(usize, usize)>>,
    /// One bit for each hash of a beginning: most positions are ruled out by it.
    sieve: Vec<u64>,
}

/// Bits of the sieve's hash: 32 KiB, which stays in the cache.
const SIEVE_BITS: u32 = 18;

/// One place where a canary was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub place: String,
    pub form: Form,
    /// Offset in bytes from the place's start.
    pub offset: usize,
}

/// What was read so far, and what was found in it.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    pub bytes: u64,
    pub files: u64,
    pub findings: Vec<Finding>,
}

#[derive(Debug, thiserror::Error)]
#[error("a canary needs at least {CANARY_BYTES_MIN} bytes to be told from chance")]
pub struct TooShort;

impl Canary {
    pub fn new(secret: &str) -> Result<Self, TooShort> {
        if secret.len() < CANARY_BYTES_MIN {
            return Err(TooShort);
        }
        let bytes = secret.as_bytes();
        let mut forms = vec![(Form::Raw, secret.to_owned())];
        for offset in 0..3 {
            forms.push((Form::Base64, base64_inside(&STANDARD_NO_PAD, bytes, offset)));
            forms.push((
                Form::Base64Url,
                base64_inside(&URL_SAFE_NO_PAD, bytes, offset),
            ));
        }
        forms.push((
            Form::HexLower,
            joined(bytes, "", |byte| format!("{byte:02x}")),
        ));
        forms.push((
            Form::HexUpper,
            joined(bytes, "", |byte| format!("{byte:02X}")),
        ));
        forms.push((
            Form::UrlEncoded,
            joined(bytes, "", |byte| percent(byte, true)),
        ));
        forms.push((
            Form::UrlEncoded,
            joined(bytes, "", |byte| percent(byte, false)),
        ));
        forms.push((Form::JsonEscaped, json_escaped(secret, false)));
        forms.push((Form::JsonEscaped, json_escaped(secret, true)));
        forms.push((
            Form::DebugBytes,
            joined(bytes, ", ", |byte| byte.to_string()),
        ));
        // Forms that change nothing for this secret are the raw one; the first of equals stays.
        let mut needles: Vec<(Form, memmem::Finder<'static>)> = Vec::new();
        for (form, text) in forms {
            if needles
                .iter()
                .all(|(_, finder)| finder.needle() != text.as_bytes())
            {
                needles.push((form, memmem::Finder::new(text.as_bytes()).into_owned()));
            }
        }
        Ok(Self { needles })
    }

    /// Looks through bytes that lie in no file: output of a command, a captured log, a transcript.
    pub fn scan_bytes(&self, place: &str, bytes: &[u8], scan: &mut Scan) {
        scan.bytes += bytes.len() as u64;
        for (form, finder) in &self.needles {
            if let Some(offset) = finder.find(bytes) {
                scan.findings.push(Finding {
                    place: place.to_owned(),
                    form: *form,
                    offset,
                });
            }
        }
    }

    /// Looks through a file, or through every file below a folder. Links are not followed; sockets
    /// and pipes are passed over; a file that vanishes meanwhile is not an error.
    pub fn scan_path(&self, path: &Path, scan: &mut Scan) -> io::Result<()> {
        each_file(path, &mut |path, bytes| {
            scan.files += 1;
            self.scan_bytes(&path.display().to_string(), bytes, scan);
        })
    }
}

fn each_file(path: &Path, look: &mut impl FnMut(&Path, &[u8])) -> io::Result<()> {
    let Some(metadata) = unless_gone(fs::symlink_metadata(path))? else {
        return Ok(());
    };
    if metadata.is_dir() {
        for entry in unless_gone(fs::read_dir(path))?.into_iter().flatten() {
            each_file(&entry?.path(), look)?;
        }
    } else if metadata.is_file()
        && let Some(bytes) = unless_gone(fs::read(path))?
    {
        look(path, &bytes);
    }
    Ok(())
}

impl CanarySet {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, TooShort> {
        let canaries: Vec<Canary> = secrets
            .into_iter()
            .map(Canary::new)
            .collect::<Result<_, _>>()?;
        let mut beginnings: HashMap<_, Vec<_>> = HashMap::new();
        let mut sieve = vec![0_u64; 1 << (SIEVE_BITS - 6)];
        for (number, canary) in canaries.iter().enumerate() {
            for (form, (_, finder)) in canary.needles.iter().enumerate() {
                let beginning = *finder.needle().first_chunk().ok_or(TooShort)?;
                beginnings
                    .entry(beginning)
                    .or_default()
                    .push((number, form));
                let (word, bit) = sieve_place(beginning);
                sieve[word] |= bit;
            }
        }
        Ok(Self {
            canaries,
            beginnings,
            sieve,
        })
    }

    /// As [`Canary::scan_bytes`]; each byte is counted once.
    pub fn scan_bytes(&self, place: &str, bytes: &[u8], scan: &mut Scan) {
        scan.bytes += bytes.len() as u64;
        for (offset, window) in bytes.windows(CANARY_BYTES_MIN).enumerate() {
            let Some(beginning) = window.first_chunk() else {
                continue;
            };
            let (word, bit) = sieve_place(*beginning);
            if self.sieve[word] & bit == 0 {
                continue;
            }
            for &(number, form) in self.beginnings.get(beginning).into_iter().flatten() {
                let (form, finder) = &self.canaries[number].needles[form];
                if bytes[offset..].starts_with(finder.needle()) {
                    scan.findings.push(Finding {
                        place: place.to_owned(),
                        form: *form,
                        offset,
                    });
                }
            }
        }
    }

    /// As [`Canary::scan_path`]; each file is read once.
    pub fn scan_path(&self, path: &Path, scan: &mut Scan) -> io::Result<()> {
        each_file(path, &mut |path, bytes| {
            scan.files += 1;
            self.scan_bytes(&path.display().to_string(), bytes, scan);
        })
    }
}

/// Word and bit of the sieve.
fn sieve_place(beginning: [u8; CANARY_BYTES_MIN]) -> (usize, u64) {
    let hash =
        u64::from_le_bytes(beginning).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SIEVE_BITS);
    // SIEVE_BITS bits fit into any usize.
    ((hash >> 6) as usize, 1 << (hash & 63))
}

impl fmt::Debug for CanarySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CanarySet")
            .field("canaries", &self.canaries.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canary")
            .field("forms", &self.needles.len())
            .finish_non_exhaustive()
    }
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The characters that stand for `bytes` wherever they lie in a longer base64 text: with `offset`
/// bytes (modulo 3) before them, without the characters that neighbours have a share in.
fn base64_inside(engine: &impl base64::Engine, bytes: &[u8], offset: usize) -> String {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(bytes);
    let encoded = engine.encode(&padded);
    let first = (offset * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    encoded[first..last].to_owned()
}

fn joined(bytes: &[u8], separator: &str, form: impl Fn(u8) -> String) -> String {
    let parts: Vec<String> = bytes.iter().map(|&byte| form(byte)).collect();
    parts.join(separator)
}

/// RFC 3986: everything but the unreserved characters is escaped.
fn percent(byte: u8, upper: bool) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ if upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    }
}

/// RFC 8259 as most writers do it; `everything` also escapes the slash and what is not ASCII.
fn json_escaped(text: &str, everything: bool) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '/' if everything => escaped.push_str("\\/"),
            _ if u32::from(character) < 0x20 || (everything && !character.is_ascii()) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    /// Every form differs from the raw one for this value.
    const SECRET: &str = "C4n?ry/\"ü\\~+value>>";

    fn forms_in(haystack: &str) -> Vec<Form> {
        let mut scan = Scan::default();
        Canary::new(SECRET)
            .unwrap()
            .scan_bytes("here", haystack.as_bytes(), &mut scan);
        assert_eq!(scan.bytes, haystack.len() as u64);
        scan.findings.iter().map(|finding| finding.form).collect()
    }

    #[test]
    fn a_clean_text_is_clean() {
        assert_eq!(forms_in("C4n?ry/\"u\\~+value>> C4n?ry"), []);
    }

    #[test]
    fn raw_is_found() {
        assert_eq!(forms_in(&format!("password={SECRET};")), [Form::Raw]);
    }

    #[test]
    fn base64_is_found_at_all_three_alignments() {
        for before in ["", "a", "ab", "abc", "abcd"] {
            for after in ["", "y", "yz"] {
                let text = format!("{before}{SECRET}{after}");
                let standard = base64::engine::general_purpose::STANDARD.encode(&text);
                assert!(
                    forms_in(&standard).contains(&Form::Base64),
                    "{before}|{after}"
                );
                let url = base64::engine::general_purpose::URL_SAFE.encode(&text);
                assert!(
                    forms_in(&url).contains(&Form::Base64Url),
                    "{before}|{after}"
                );
            }
        }
    }

    #[test]
    fn hex_is_found_in_both_cases() {
        let hex = joined(SECRET.as_bytes(), "", |byte| format!("{byte:02x}"));
        assert_eq!(forms_in(&format!("0x{hex}00")), [Form::HexLower]);
        assert_eq!(forms_in(&hex.to_uppercase()), [Form::HexUpper]);
    }

    #[test]
    fn url_encoded_is_found_in_both_cases() {
        assert_eq!(
            forms_in("?p=C4n%3Fry%2F%22%C3%BC%5C~%2Bvalue%3E%3E&q"),
            [Form::UrlEncoded]
        );
        assert_eq!(
            forms_in("?p=C4n%3fry%2f%22%c3%bc%5c~%2bvalue%3e%3e&q"),
            [Form::UrlEncoded]
        );
    }

    #[test]
    fn json_escaped_is_found_however_much_was_escaped() {
        assert_eq!(
            forms_in(r#"{"p":"C4n?ry/\"ü\\~+value>>"}"#),
            [Form::JsonEscaped]
        );
        assert_eq!(
            forms_in(r#"{"p":"C4n?ry\/\"\u00fc\\~+value>>"}"#),
            [Form::JsonEscaped]
        );
    }

    #[test]
    fn debug_output_of_bytes_is_found() {
        assert_eq!(
            forms_in(&format!("{:?}", SECRET.as_bytes())),
            [Form::DebugBytes]
        );
    }

    #[test]
    fn folders_are_scanned_whole_and_the_finding_names_the_file_only() {
        let scratch = crate::scratch::Scratch::new("keyturn-canary").unwrap();
        let deep = scratch.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(scratch.path().join("clean"), vec![7; 1000]).unwrap();
        fs::write(deep.join("log"), format!("1234{SECRET}")).unwrap();
        std::os::unix::fs::symlink("/etc", scratch.path().join("link")).unwrap();
        let mut scan = Scan::default();
        Canary::new(SECRET)
            .unwrap()
            .scan_path(scratch.path(), &mut scan)
            .unwrap();
        assert_eq!((scan.files, scan.bytes), (2, 1004 + SECRET.len() as u64));
        let expected = Finding {
            place: deep.join("log").display().to_string(),
            form: Form::Raw,
            offset: 4,
        };
        assert_eq!(scan.findings, [expected]);
        assert!(!format!("{scan:?}").contains(SECRET));
    }

    #[test]
    fn many_secrets_are_found_in_one_pass_as_each_is_alone() {
        let secrets: Vec<String> = (0..500).map(|n| format!("{SECRET}{n:04}")).collect();
        let set = CanarySet::new(secrets.iter().map(String::as_str)).unwrap();
        let text = format!("--{}--{:?}--{SECRET}", secrets[7], secrets[499].as_bytes());
        let mut scan = Scan::default();
        set.scan_bytes("here", text.as_bytes(), &mut scan);
        assert_eq!(scan.bytes, text.len() as u64);
        let forms: Vec<_> = scan.findings.iter().map(|finding| finding.form).collect();
        assert_eq!(forms, [Form::Raw, Form::DebugBytes]);
        for encoded in [
            base64::engine::general_purpose::STANDARD.encode(format!("ab{}", secrets[3])),
            joined(secrets[4].as_bytes(), "", |byte| percent(byte, true)),
            json_escaped(&secrets[5], true),
        ] {
            let mut scan = Scan::default();
            set.scan_bytes("here", encoded.as_bytes(), &mut scan);
            assert!(!scan.findings.is_empty(), "{encoded}");
        }
    }

    #[test]
    fn a_secret_too_short_to_mean_anything_is_refused() {
        assert!(Canary::new("1234567").is_err());
    }
}
