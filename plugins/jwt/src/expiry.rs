//! Lifetimes of tokens as secrets spell them: `"15m"`, `"7d"`, or a number of seconds. They are the
//! operator's; this plugin reads them and never changes them.

use keyturn_sdk::{Error, Members};

const DAY_SECONDS: u64 = 86_400;

/// The member's lifetime in seconds, rounded up; `None` if the member is absent.
///
/// # Errors
/// `invalid-secret` for any other spelling.
pub(crate) fn read(members: &Members, member: &str) -> Result<Option<u64>, Error> {
    let Some(raw) = members.raw(member).filter(|raw| *raw != "null") else {
        return Ok(None);
    };
    let seconds = if raw.starts_with('"') {
        parse(&members.require::<String>(member)?)
    } else {
        raw.parse().ok()
    };
    seconds.map(Some).ok_or_else(|| {
        Error::invalid_secret(format!(
            "the member `{member}` of the secret is no lifetime; write it like \"15m\", \"7d\" or a number of seconds"
        ))
    })
}

/// Digits alone are seconds.
fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_start = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (count, unit) = text.split_at(unit_start);
    let count: u64 = count.parse().ok()?;
    let unit_seconds = match unit.trim_start().to_ascii_lowercase().as_str() {
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => {
            return Some(count.div_ceil(1000));
        }
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => DAY_SECONDS,
        "w" | "week" | "weeks" => 7 * DAY_SECONDS,
        // 365.25 days, as the libraries that read this spelling count.
        "y" | "yr" | "yrs" | "year" | "years" => 31_557_600,
        _ => return None,
    };
    count.checked_mul(unit_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expected: Option<u64>) {
        let members = Members::parse(&format!(r#"{{"expiry":{raw}}}"#)).unwrap();
        assert_eq!(read(&members, "expiry").ok().flatten(), expected, "{raw}");
    }

    #[test]
    fn reads_the_usual_spellings() {
        check(r#""15m""#, Some(900));
        check(r#""7d""#, Some(604_800));
        check(r#""12 hours""#, Some(43_200));
        check(r#""2W""#, Some(1_209_600));
        check(r#""1500ms""#, Some(2));
        check(r#""90""#, Some(90));
        check("3600", Some(3600));
    }

    #[test]
    fn refuses_the_rest() {
        for raw in [
            r#""""#,
            r#""d""#,
            r#""7 fortnights""#,
            r#""-7d""#,
            "-1",
            "1.5",
            "[]",
            r#""99999999999999999999d""#,
            r#""18446744073709551615d""#,
            r#""é""#,
        ] {
            let members = Members::parse(&format!(r#"{{"expiry":{raw}}}"#)).unwrap();
            assert!(read(&members, "expiry").is_err(), "{raw}");
        }
        check("null", None);
    }
}
