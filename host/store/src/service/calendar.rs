//! Days and hours of UTC as numbers, as far as rotation schedules need them: no time zones, no leap seconds, as Unix
//! time has none.

pub(crate) const HOUR_MS: u64 = 60 * 60 * 1_000;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) month: u32,
    /// From 1.
    pub(crate) of_month: u32,
    /// 1 is Sunday, 7 Saturday.
    pub(crate) of_week: u32,
    pub(crate) days_in_month: u32,
}

/// The day with this number; 0 is 1970-01-01.
///
/// The algorithm is Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>): years begin in March, so that a leap day is the last of
/// its year.
pub(crate) fn day(number: u64) -> Day {
    let shifted = number + 719_468;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = month_from_march % 12 + 3;
    let month = if month > 12 { month - 12 } else { month };
    // January and February belong to the March year before.
    let year = year_of_era + u64::from(month <= 2);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days_in_month = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    Day {
        month: small(month),
        of_month: small(of_month),
        // 1970-01-01 was a Thursday.
        of_week: small((number + 4) % 7) + 1,
        days_in_month,
    }
}

/// All of these are below 367.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(number: u64, month: u32, of_month: u32, of_week: u32, days_in_month: u32) {
        let expected = Day {
            month,
            of_month,
            of_week,
            days_in_month,
        };
        assert_eq!(day(number), expected, "{number}");
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        check(0, 1, 1, 5, 31);
        check(58, 2, 28, 7, 28);
        check(59, 3, 1, 1, 31);
        // 2000 is a leap year, 2100 is none.
        check(11_016, 2, 29, 3, 29);
        check(47_540, 2, 28, 1, 28);
        check(47_541, 3, 1, 2, 31);
        // 2024-02-29, 2024-12-31, 2026-11-27.
        check(19_782, 2, 29, 5, 29);
        check(20_088, 12, 31, 3, 31);
        check(20_784, 11, 27, 6, 30);
    }

    #[test]
    fn no_day_is_left_out() {
        let mut before = day(0);
        for number in 1..60_000 {
            let next = day(number);
            assert_eq!(next.of_week, before.of_week % 7 + 1);
            if before.of_month == before.days_in_month {
                assert_eq!((next.of_month, next.month), (1, before.month % 12 + 1));
            } else {
                let expected = (before.of_month + 1, before.month);
                assert_eq!((next.of_month, next.month), expected);
            }
            before = next;
        }
    }
}
