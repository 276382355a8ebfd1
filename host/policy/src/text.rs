//! Makes foreign text harmless: one line, no control characters, no terminal escapes, bounded.

/// At most `bytes_max` bytes of `text`, with control and invisible formatting characters escaped; an
/// ellipsis says that there was more.
pub fn line(text: &str, bytes_max: usize) -> String {
    escape(text, bytes_max, is_harmless)
}

/// Like [`line`], with line feeds kept: for steps and SQL that an operator copies.
pub fn block(text: &str, bytes_max: usize) -> String {
    escape(text, bytes_max, |character| {
        character == '\n' || is_harmless(character)
    })
}

/// Whether [`line`] would leave the text as it is, but for its length.
pub fn is_line(text: &str) -> bool {
    text.chars().all(is_harmless)
}

fn escape(text: &str, bytes_max: usize, harmless: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len().min(bytes_max));
    for character in text.chars() {
        let is_harmless = harmless(character);
        let length = if is_harmless {
            character.len_utf8()
        } else {
            character.escape_unicode().len()
        };
        if out.len() + length > bytes_max {
            out.push('…');
            break;
        }
        if is_harmless {
            out.push(character);
        } else {
            out.extend(character.escape_unicode());
        }
    }
    out
}

/// Bidirectional overrides, zero-width characters and tags make a line read otherwise than it is.
fn is_harmless(character: char) -> bool {
    let invisible = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !character.is_control() && !invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(line(input, 40), expected);
    }

    #[test]
    fn plain_text_stays() {
        check("Größe: 3 €", "Größe: 3 €");
    }

    #[test]
    fn terminal_escapes_lose_their_power() {
        check("a\u{1b}[31mred", "a\\u{1b}[31mred");
        check("two\nlines\r", "two\\u{a}lines\\u{d}");
        check("\u{9b}31m", "\\u{9b}31m");
    }

    #[test]
    fn text_direction_cannot_be_turned() {
        check("a\u{202e}b", "a\\u{202e}b");
        check("a\u{61c}b\u{e0041}", "a\\u{61c}b\\u{e0041}");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        check(&"ä".repeat(30), &format!("{}…", "ä".repeat(20)));
        // An escape is not cut in two, and does not stand beyond the end.
        check(
            &format!("{}\u{1b}", "a".repeat(39)),
            &format!("{}…", "a".repeat(39)),
        );
    }
}
