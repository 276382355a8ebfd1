//! Two hundred secrets that are none, made from one that is: always the same ones for a sound value.

use serde_json::{Map, Value, json};

use crate::value;

pub(super) const MALFORMED: usize = 200;

pub(super) struct Malformed {
    pub(super) what: String,
    pub(super) text: String,
    pub(super) refusal: Refusal,
}

/// Who has to refuse it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Whoever sees it: no plugin can make anything of it.
    Everybody,
    /// Somebody, before it could be promoted: not every call reads every member.
    Somebody,
    /// It may be a sound value for this plugin.
    Nobody,
}

/// By form first, then by member, then cut off at every place that there is room for.
pub(super) fn malformations(sound: &str, required: &[String]) -> Vec<Malformed> {
    let mut made = forms(sound);
    if let Value::Object(members) = value::parse(sound) {
        for name in members.keys() {
            let refusal = match required.contains(name) {
                true => Refusal::Somebody,
                false => Refusal::Nobody,
            };
            made.extend(without_or_odd(&members, name, refusal));
        }
    }
    let mut ends: Vec<usize> = (1..sound.trim_end().len())
        .filter(|at| sound.is_char_boundary(*at))
        .collect();
    let room = MALFORMED.saturating_sub(made.len()).max(1);
    let step = ends.len().div_ceil(room).max(1);
    ends.retain(|at| at % step == 0);
    let cut = |end: usize| {
        hopeless(
            format!("cut off after {end} bytes"),
            sound[..end].to_owned(),
        )
    };
    made.extend(ends.into_iter().map(cut));
    for more in 1..=MALFORMED.saturating_sub(made.len()) {
        let text = format!("{sound}{}", "}".repeat(more));
        made.push(hopeless(format!("{more} braces too many"), text));
    }
    if !value::parse(sound).is_object() {
        // Where the whole secret is one text, any other may be one, too.
        let texts = made.iter_mut();
        let others = texts.filter(|bad| !bad.text.trim().is_empty());
        others.for_each(|bad| bad.refusal = Refusal::Nobody);
    }
    made
}

fn hopeless(what: String, text: String) -> Malformed {
    Malformed {
        what,
        text,
        refusal: Refusal::Everybody,
    }
}

/// What is no object, or no JSON.
fn forms(sound: &str) -> Vec<Malformed> {
    let twice = format!("{sound}{sound}");
    let deep = "[".repeat(3000);
    let hopeless = [
        ("nothing", ""),
        ("white space", "  \n"),
        ("a number", "17"),
        ("null", "null"),
        ("a list", "[]"),
        ("a text", "\"secret\""),
        ("no JSON", "secret"),
        ("an open brace", "{"),
        ("a trailing comma", r#"{"a":1,}"#),
        ("NUL", "\u{0}"),
        ("deep nesting", &deep),
        ("a second value behind it", &twice),
    ]
    .map(|(what, text)| hopeless(what.to_owned(), text.to_owned()));
    let doubtful = [
        ("a lone surrogate", r#"{"a":"\ud800"}"#),
        ("a key twice", r#"{"a":1,"a":2}"#),
    ]
    .map(|(what, text)| Malformed {
        refusal: Refusal::Nobody,
        what: what.to_owned(),
        text: text.to_owned(),
    });
    hopeless.into_iter().chain(doubtful).collect()
}

fn without_or_odd(members: &Map<String, Value>, name: &str, refusal: Refusal) -> Vec<Malformed> {
    let mut without = members.clone();
    without.remove(name);
    let mut made = vec![Malformed {
        what: format!("without {name}"),
        text: Value::Object(without).to_string(),
        refusal,
    }];
    for (kind, odd) in [
        ("null", Value::Null),
        ("a number", json!(-17)),
        ("a huge number", json!(1e300)),
        ("true", json!(true)),
        ("a list", json!([1, "2", null])),
        ("an object", json!({"deep": {"er": []}})),
        ("an empty text", json!("")),
        ("control characters", json!("a\u{0}\r\n\u{1b}[31m")),
        ("a long text", json!("x".repeat(20_000))),
        ("another alphabet", json!("пароль\u{202e}密码🙂")),
    ] {
        let mut odd_one = members.clone();
        odd_one.insert(name.to_owned(), odd);
        made.push(Malformed {
            what: format!("{name} is {kind}"),
            text: Value::Object(odd_one).to_string(),
            refusal: Refusal::Nobody,
        });
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_hundred_malformed_secrets_and_none_is_sound() {
        let sound = r#"{"host":"h","password":"p"}"#;
        let made = malformations(sound, &["host".into()]);
        assert!(made.len() >= MALFORMED, "{}", made.len());
        assert!(made.iter().all(|one| one.text != sound));
    }

    #[test]
    fn of_a_text_only_an_empty_one_is_malformed() {
        let made = malformations("first-Password/of a secret", &[]);
        let refused = made.iter().filter(|one| one.refusal != Refusal::Nobody);
        let refused: Vec<_> = refused.map(|one| one.text.as_str()).collect();
        assert_eq!(refused, ["", "  \n"]);
    }
}
