//! RFC 3339 timestamps, as secrets carry them ("2026-01-02T00:00:00Z"). Seconds since the Unix
//! epoch in, text out, and back; written here because a date library would weigh more in a plugin
//! than the forty lines of arithmetic. Never asks a clock.

use crate::error::Error;

const DAY_SECONDS: i64 = 86_400;

/// Unix seconds as UTC, whole seconds, with `Z`.
pub fn format(unix_seconds: u64) -> String {
    // Later than the year 9999 has no RFC 3339 form.
    let seconds = i64::try_from(unix_seconds)
        .unwrap_or(i64::MAX)
        .min(253_402_300_799);
    let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_SECONDS));
    let of_day = seconds.rem_euclid(DAY_SECONDS);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// The Unix seconds of an RFC 3339 timestamp; fractions are cut, offsets are honoured.
///
/// # Errors
/// `invalid-secret` naming `member`, for anything else and for times before 1970.
pub fn parse(member: &str, text: &str) -> Result<u64, Error> {
    parse_unix(text).ok_or_else(|| {
        Error::invalid_secret(format!(
            "the member `{member}` of the secret is no RFC 3339 timestamp; write it like 2026-01-02T00:00:00Z"
        ))
    })
}

fn parse_unix(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if !separators
        .iter()
        .all(|&(at, separator)| bytes.get(at) == Some(&separator))
        || !matches!(bytes.get(10), Some(b'T' | b't' | b' '))
    {
        return None;
    }
    let year = number(bytes, 0, 4)?;
    let month = number(bytes, 5, 2)?;
    let day = number(bytes, 8, 2)?;
    let (hour, minute, second) = (
        number(bytes, 11, 2)?,
        number(bytes, 14, 2)?,
        number(bytes, 17, 2)?,
    );
    let days = days_from_civil(year, month, day);
    // The round trip refuses the 31st of February; 60 is RFC 3339's leap second.
    if civil_from_days(days) != (year, month, day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset_seconds = parse_offset(skip_fraction(bytes.get(19..)?)?)?;
    u64::try_from(days * DAY_SECONDS + hour * 3600 + minute * 60 + second - offset_seconds).ok()
}

fn skip_fraction(rest: &[u8]) -> Option<&[u8]> {
    let Some((b'.', rest)) = rest.split_first() else {
        return Some(rest);
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        None
    } else {
        rest.get(digits..)
    }
}

fn parse_offset(rest: &[u8]) -> Option<i64> {
    match rest {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(rest, 1, 2)?, number(rest, 4, 2)?);
            let seconds = hours * 3600 + minutes * 60;
            (hours <= 23 && minutes <= 59).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn number(bytes: &[u8], start: usize, length: usize) -> Option<i64> {
    bytes
        .get(start..start + length)?
        .iter()
        .try_fold(0, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + i64::from(byte - b'0'))
        })
}

/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse, from the same source.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse("t", text).ok(), expected, "{text}");
    }

    #[test]
    fn reads_the_forms_that_secrets_carry() {
        check("2026-01-02T00:00:00Z", Some(1_767_312_000));
        check("2026-01-02T00:00:00.123456Z", Some(1_767_312_000));
        check("2026-01-02T02:00:00+02:00", Some(1_767_312_000));
        check("2026-01-01T19:30:00-04:30", Some(1_767_312_000));
        check("1970-01-01T00:00:00Z", Some(0));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "2026-01-02",
            "2026-02-30T00:00:00Z",
            "2026-01-02T24:00:00Z",
            "2026-01-02T00:00:00",
            "2026-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-01-02T00:00:00.Z",
            "2026-01-02T00:00:00Zé",
            "２026-01-02T00:00:00Z",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn writes_leap_days() {
        assert_eq!(format(1_709_164_800), "2024-02-29T00:00:00Z");
        assert_eq!(format(u64::MAX), "9999-12-31T23:59:59Z");
    }

    proptest! {
        #[test]
        fn round_trip(seconds in 0..=253_402_300_799_u64) {
            prop_assert_eq!(parse("t", &format(seconds)).ok(), Some(seconds));
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = parse("t", &text);
        }
    }
}
