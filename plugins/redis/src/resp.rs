//! RESP, the protocol of Redis, as far as this plugin speaks it: commands to bytes and bytes to replies.
//! It exists so that everything which parses what a server sent can be tested and fuzzed without a
//! socket. It never reads, writes, waits or decides; a reply beyond a limit is an error and not an
//! allocation. Replies of version 3 are understood although version 2 is spoken: a proxy may mix them.
//! Source of the formats: Redis documentation, "Redis serialization protocol specification".

use std::fmt;

/// The longest reply taken from a server. The largest honest one is CLIENT LIST, some 300 bytes a client.
pub const REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most elements of one reply, nested ones included.
pub const ELEMENTS_MAX: usize = 4096;
/// The deepest nesting; ACL GETUSER has three levels.
pub const DEPTH_MAX: usize = 8;
/// Longer than any number or length that fits into 64 bits.
const NUMBER_BYTES_MAX: usize = 24;

/// What a server sent is not the protocol, or exceeds a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError(pub String);

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WireError {}

/// A reply. Texts that are no UTF-8 are kept as well as they can be shown: none of them is ever sent back.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// Simple, bulk and verbatim strings, doubles and big numbers.
    Text(String),
    Integer(i64),
    Error(ServerError),
    Null,
    /// Arrays and sets. A map is the array of its keys and values in turn, as version 2 writes it.
    List(Vec<Reply>),
}

/// An error reply. `code` decides; `message` is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// The first word where it is one of capitals, such as WRONGPASS; else ERR.
    pub code: String,
    pub message: String,
}

/// Replies hold password hashes and, where a replica's own password is asked for, a password.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Integer(_) => f.write_str("Integer"),
            Self::Error(error) => write!(f, "Error({})", error.code),
            Self::Null => f.write_str("Null"),
            Self::List(items) => write!(f, "List({} items)", items.len()),
        }
    }
}

/// A command: an array of bulk strings, which may hold any byte.
pub fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Collects bytes and yields whole replies.
#[derive(Default)]
pub struct Replies {
    buffer: Vec<u8>,
}

impl Replies {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes received and not yet consumed.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next whole reply, `None` while it is incomplete. Messages that nobody asked for (version 3's pushes and
    /// attributes) are passed over.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, WireError> {
        loop {
            let mut cursor = Cursor {
                bytes: &self.buffer,
                at: 0,
                elements: 0,
            };
            let parsed = match cursor.reply(0) {
                Ok(parsed) => parsed,
                Err(Stop::Incomplete) if self.buffer.len() > REPLY_BYTES_MAX => {
                    return Err(WireError(format!(
                        "the server's reply is longer than the {REPLY_BYTES_MAX} bytes accepted"
                    )));
                }
                Err(Stop::Incomplete) => return Ok(None),
                Err(Stop::Malformed(cause)) => return Err(WireError(cause)),
            };
            let end = cursor.at;
            self.buffer.drain(..end);
            if let Some(reply) = parsed {
                return Ok(Some(reply));
            }
        }
    }
}

enum Stop {
    Incomplete,
    Malformed(String),
}

fn malformed<T>(cause: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Malformed(cause.into()))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    elements: usize,
}

impl Cursor<'_> {
    /// `None`: something that is no reply, and was passed over.
    fn reply(&mut self, depth: usize) -> Result<Option<Reply>, Stop> {
        if depth > DEPTH_MAX {
            return malformed(format!(
                "the server's reply is nested deeper than {DEPTH_MAX} levels"
            ));
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return malformed(format!(
                "the server's reply has more than {ELEMENTS_MAX} elements"
            ));
        }
        let Some(&kind) = self.bytes.get(self.at) else {
            return Err(Stop::Incomplete);
        };
        self.at += 1;
        Ok(Some(match kind {
            b'+' | b',' | b'(' => Reply::Text(text(self.line()?)),
            b'-' => Reply::Error(server_error(text(self.line()?))),
            b':' => Reply::Integer(self.number()?),
            b'#' => Reply::Integer(match self.line()? {
                b"t" => 1,
                b"f" => 0,
                _ => return malformed("the server sent a truth value that is neither t nor f"),
            }),
            b'_' => match self.line()? {
                b"" => Reply::Null,
                _ => return malformed("the server sent a null with content"),
            },
            b'$' => self
                .bulk()?
                .map_or(Reply::Null, |bytes| Reply::Text(text(bytes))),
            b'!' => match self.bulk()? {
                Some(bytes) => Reply::Error(server_error(text(bytes))),
                None => return malformed("the server sent an error without content"),
            },
            // Three letters and a colon say what it is; nobody here asks.
            b'=' => match self.bulk()?.map(|bytes| bytes.get(4..)) {
                Some(Some(bytes)) => Reply::Text(text(bytes)),
                Some(None) | None => return malformed("the server sent a text without its kind"),
            },
            b'*' | b'~' => self.list(depth, 1)?,
            b'%' => self.list(depth, 2)?,
            b'>' => {
                self.list(depth, 1)?;
                return Ok(None);
            }
            b'|' => {
                self.list(depth, 2)?;
                return Ok(None);
            }
            _ => return malformed("the server does not speak RESP"),
        }))
    }

    fn list(&mut self, depth: usize, replies_per_item: usize) -> Result<Reply, Stop> {
        let Some(count) = self.length()? else {
            return Ok(Reply::Null);
        };
        let wanted = count.saturating_mul(replies_per_item);
        // Nothing is reserved for what was only announced.
        let mut items = Vec::new();
        while items.len() < wanted {
            items.extend(self.reply(depth + 1)?);
        }
        Ok(Reply::List(items))
    }

    fn bulk(&mut self) -> Result<Option<&[u8]>, Stop> {
        let Some(length) = self.length()? else {
            return Ok(None);
        };
        if length > REPLY_BYTES_MAX {
            return malformed(format!(
                "the server announced {length} bytes, more than the {REPLY_BYTES_MAX} accepted"
            ));
        }
        let end = self.at + length;
        match self.bytes.get(end..end + 2) {
            None => Err(Stop::Incomplete),
            Some(b"\r\n") => {
                let bytes = &self.bytes[self.at..end];
                self.at = end + 2;
                Ok(Some(bytes))
            }
            Some(_) => malformed("the server sent a text that does not end where it said"),
        }
    }

    /// `None`: -1, how version 2 writes a null.
    fn length(&mut self) -> Result<Option<usize>, Stop> {
        match self.number()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => Ok(Some(length)),
                Err(_) => malformed("the server sent a length below zero"),
            },
        }
    }

    fn number(&mut self) -> Result<i64, Stop> {
        let line = self.line()?;
        if line.len() > NUMBER_BYTES_MAX {
            return malformed("the server sent a number that is too long");
        }
        match std::str::from_utf8(line)
            .ok()
            .and_then(|digits| digits.parse().ok())
        {
            Some(number) => Ok(number),
            None => malformed("the server sent something else where a number must stand"),
        }
    }

    fn line(&mut self) -> Result<&[u8], Stop> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\r') else {
            return Err(Stop::Incomplete);
        };
        match rest.get(length + 1) {
            None => Err(Stop::Incomplete),
            Some(b'\n') => {
                self.at += length + 2;
                Ok(&rest[..length])
            }
            Some(_) => malformed("the server sent a carriage return within a line"),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn server_error(text: String) -> ServerError {
    let word = text.split(' ').next().unwrap_or_default();
    let is_code = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase());
    let code = if is_code { word } else { "ERR" };
    ServerError {
        code: code.to_owned(),
        message: text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(bytes: &[u8]) -> Result<Vec<Reply>, WireError> {
        let mut replies = Replies::default();
        replies.push(bytes);
        let mut found = Vec::new();
        while let Some(reply) = replies.next_reply()? {
            found.push(reply);
        }
        assert_eq!(replies.buffered(), 0, "something is left over");
        Ok(found)
    }

    fn some(text: &str) -> Reply {
        Reply::Text(text.to_owned())
    }

    #[track_caller]
    fn check(bytes: &str, expected: Reply) {
        assert!(replies(bytes.as_bytes()).unwrap() == [expected]);
        // However it is cut, it is the same, and never there too early.
        for cut in 0..bytes.len() {
            let mut parts = Replies::default();
            parts.push(&bytes.as_bytes()[..cut]);
            assert!(parts.next_reply().unwrap().is_none(), "cut at {cut}");
        }
    }

    #[track_caller]
    fn check_malformed(bytes: &str, words: &str) {
        let error = replies(bytes.as_bytes()).unwrap_err();
        assert!(error.0.contains(words), "{error}");
    }

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        assert_eq!(
            command(&["AUTH", "a\r\nb é"]),
            b"*2\r\n$4\r\nAUTH\r\n$7\r\na\r\nb \xc3\xa9\r\n"
        );
    }

    #[test]
    fn both_versions_are_understood() {
        check("+OK\r\n", some("OK"));
        check(":-12\r\n", Reply::Integer(-12));
        check("$-1\r\n", Reply::Null);
        check("*-1\r\n", Reply::Null);
        check("_\r\n", Reply::Null);
        check("$6\r\na\r\nb c\r\n", some("a\r\nb c"));
        check("=8\r\ntxt:a\rbc\r\n", some("a\rbc"));
        check("#t\r\n", Reply::Integer(1));
        check(",1.5\r\n", some("1.5"));
        let list = Reply::List(vec![some("a"), Reply::List(vec![Reply::Integer(1)])]);
        check("*2\r\n+a\r\n*1\r\n:1\r\n", list.clone());
        check("%1\r\n+a\r\n~1\r\n:1\r\n", list);
    }

    #[test]
    fn the_first_word_of_an_error_is_its_code() {
        let error = |code: &str, message: &str| {
            Reply::Error(ServerError {
                code: code.into(),
                message: message.into(),
            })
        };
        check("-WRONGPASS no\r\n", error("WRONGPASS", "WRONGPASS no"));
        check("-ERR no\r\n", error("ERR", "ERR no"));
        check("-something else\r\n", error("ERR", "something else"));
        check("!7\r\nBUSY no\r\n", error("BUSY", "BUSY no"));
    }

    #[test]
    fn what_nobody_asked_for_is_passed_over() {
        let pushed = b">1\r\n+invalidate\r\n|1\r\n+ttl\r\n:1\r\n+PONG\r\n";
        assert!(replies(pushed).unwrap() == [some("PONG")]);
        assert!(
            replies(b"*1\r\n|1\r\n+ttl\r\n:1\r\n+a\r\n").unwrap() == [Reply::List(vec![some("a")])]
        );
    }

    #[test]
    fn what_is_no_resp_is_an_error() {
        check_malformed("HTTP/1.1 400\r\n", "does not speak RESP");
        check_malformed("$2\r\nabc\r\n", "does not end where it said");
        check_malformed("$-2\r\n", "below zero");
        check_malformed("*x\r\n", "where a number must stand");
        check_malformed("+a\rb\r\n", "within a line");
        check_malformed(":0000000000000000000000001\r\n", "too long");
    }

    #[test]
    fn a_bomb_is_an_error_and_no_allocation() {
        check_malformed("$999999999\r\n", "more than the");
        check_malformed(&"*1\r\n".repeat(DEPTH_MAX + 2), "nested deeper");
        check_malformed(
            &format!("*9999999999\r\n{}", ":1\r\n".repeat(ELEMENTS_MAX)),
            "elements",
        );
        let mut endless = Replies::default();
        endless.push(b"+");
        endless.push(&vec![b'a'; REPLY_BYTES_MAX + 1]);
        assert!(endless.next_reply().is_err());
    }

    #[test]
    fn debug_shows_no_content() {
        let shown = format!("{:?}", replies(b"*1\r\n$7\r\nhunter2\r\n").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
