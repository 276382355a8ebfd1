//! Times and durations as people read them.

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// RFC 3339 in UTC, to the second.
pub fn time(unix_ms: u64) -> String {
    i64::try_from(unix_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(
            || "out of range".to_owned(),
            |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        )
}

/// In the units that people would choose. What is left out is rounded up, so that whoever waits that long has waited
/// long enough.
pub fn duration(ms: u64) -> String {
    let whole = |unit: u64| ms.div_ceil(unit);
    if ms < SECOND_MS {
        format!("{ms} ms")
    } else if ms < 2 * MINUTE_MS {
        format!("{} s", whole(SECOND_MS))
    } else if ms < 2 * HOUR_MS {
        format!("{} min", whole(MINUTE_MS))
    } else if ms < 2 * DAY_MS {
        in_two(whole(MINUTE_MS), 60, "h", "min")
    } else {
        in_two(whole(HOUR_MS), 24, "days", "h")
    }
}

fn in_two(count: u64, each: u64, large: &str, small: &str) -> String {
    match (count / each, count % each) {
        (whole, 0) => format!("{whole} {large}"),
        (whole, rest) => format!("{whole} {large} {rest} {small}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_the_units_that_people_would_choose() {
        for (ms, words) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_001, "2 s"),
            (90 * SECOND_MS, "90 s"),
            (5 * MINUTE_MS, "5 min"),
            (5 * MINUTE_MS + 1, "6 min"),
            (100 * MINUTE_MS, "100 min"),
            (2 * HOUR_MS + 30 * MINUTE_MS, "2 h 30 min"),
            (DAY_MS, "24 h"),
            (7 * DAY_MS - 1, "7 days"),
            (7 * DAY_MS, "7 days"),
            (7 * DAY_MS + 1, "7 days 1 h"),
            (90 * DAY_MS - 5 * HOUR_MS, "89 days 19 h"),
        ] {
            assert_eq!(duration(ms), words);
        }
    }

    #[test]
    fn a_time_is_in_utc() {
        assert_eq!(time(1_796_400_000_000), "2026-12-04T16:00:00Z");
        assert_eq!(time(u64::MAX), "out of range");
    }
}
