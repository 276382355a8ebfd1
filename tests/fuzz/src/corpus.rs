//! The inputs that every run begins with, and the words that mutations insert. It panics if
//! they cannot be read: a target without its corpus would check next to nothing.

use std::fs;
use std::path::PathBuf;

/// The folder of a target's inputs. They are small; a failing input that was fixed stays here.
pub fn folder(target: &str) -> PathBuf {
    root().join("corpus").join(target)
}

/// A target's inputs with their file names, in the order of the names.
pub fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut inputs: Vec<_> = fs::read_dir(folder(target))
        .expect("every target has a corpus")
        .map(|entry| {
            let path = entry.expect("the corpus is readable").path();
            let name = path.file_name().unwrap_or_default();
            let bytes = fs::read(&path).expect("the corpus holds files");
            (name.to_string_lossy().into_owned(), bytes)
        })
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{target} has an empty corpus");
    inputs
}

/// A target's words, from its dictionary in libFuzzer's format.
pub fn words(target: &str) -> Vec<Vec<u8>> {
    let path = root().join("dictionaries").join(format!("{target}.dict"));
    let text = fs::read_to_string(path).expect("every target has a dictionary");
    text.lines()
        .filter(|line| line.starts_with('"'))
        .map(|line| unescape(line).unwrap_or_else(|| panic!("not a dictionary's line: {line}")))
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// `"…"` with `\\`, `\"` and `\xAB`.
fn unescape(line: &str) -> Option<Vec<u8>> {
    let mut bytes = line.strip_prefix('"')?.strip_suffix('"')?.bytes();
    let mut word = Vec::new();
    while let Some(byte) = bytes.next() {
        let plain = match byte {
            b'\\' => match bytes.next()? {
                b'x' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                escaped @ (b'\\' | b'"') => escaped,
                _ => return None,
            },
            other => other,
        };
        word.push(plain);
    }
    Some(word)
}
