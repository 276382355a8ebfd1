//! When a secret is due to rotate: the rules of RotateSecret, checked, and the windows that follow from them. Pure: the
//! time is a parameter. It rotates nothing.
//!
//! Source: the AWS Secrets Manager API reference (RotationRulesType) and user guide (rotation schedules).

use serde::{Deserialize, Serialize};

use super::calendar::{DAY_MS, HOUR_MS};
use super::cron::{Cron, HOURS_BETWEEN_MIN};
use crate::error::{ErrorKind, StoreError};

/// Bounds of `AutomaticallyAfterDays`.
const DAYS_MAX: u64 = 1_000;
/// The longest rate.
const RATE_DAYS_MAX: u64 = 999;
/// Longest expression, in bytes.
const EXPRESSION_BYTES_MAX: usize = 256;
const HOURS_OF_A_DAY: u64 = 24;

/// How often a secret is to rotate, in AWS's words: after so many days, or by an expression, never both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationRules {
    /// 1 to 1,000.
    pub automatically_after_days: Option<u64>,
    /// `rate(4 hours)` to `rate(999 days)`, or `cron(0 hour day-of-month month day-of-week *)`, in UTC.
    pub schedule_expression: Option<String>,
    /// How long a window is, `1h` to `24h`; left out, until the end of the day, or an hour where several windows are
    /// on one day.
    pub duration: Option<String>,
}

/// A time in which a secret is to rotate, once, in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub start_ms: u64,
    /// The first moment after it. What AWS tells as `NextRotationDate` ("on or before") is the second before.
    pub end_ms: u64,
}

/// Rules that were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    every: Every,
    duration_hours: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Every {
    Days(u64),
    Hours(u64),
    Cron(Cron),
}

impl RotationRules {
    /// Checks the rules.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for days and an expression at once or neither, another form, or a window that
    /// would reach into the next one or the next day.
    pub fn schedule(&self) -> Result<Schedule, StoreError> {
        let every = match (self.automatically_after_days, &self.schedule_expression) {
            (Some(_), Some(_)) => {
                return Err(refused(
                    "both AutomaticallyAfterDays and ScheduleExpression are given",
                    "You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules.",
                ));
            }
            (None, None) => {
                return Err(refused(
                    "neither AutomaticallyAfterDays nor ScheduleExpression is given",
                    "You must specify either AutomaticallyAfterDays or ScheduleExpression in RotationRules.",
                ));
            }
            (Some(days), None) if (1..=DAYS_MAX).contains(&days) => Every::Days(days),
            (Some(days), None) => {
                return Err(refused(
                    format!("AutomaticallyAfterDays is {days}"),
                    format!("AutomaticallyAfterDays must be between 1 and {DAYS_MAX}."),
                ));
            }
            (None, Some(expression)) => Every::parse(expression).map_err(|wrong| {
                refused(
                    format!("the ScheduleExpression is wrong: {wrong}"),
                    format!("The schedule expression is invalid: {wrong}."),
                )
            })?,
        };
        let duration_hours = self.duration.as_deref().map(duration_hours).transpose()?;
        if let Some(hours) = duration_hours
            && hours > every.longest_window_hours()
        {
            return Err(refused(
                format!("a window of {hours} hours is too long"),
                "The rotation window must not extend into the next rotation window or the next UTC day.",
            ));
        }
        Ok(Schedule {
            every,
            duration_hours,
        })
    }
}

impl Schedule {
    /// The window in which the secret is to rotate next, if it last changed, or was last put under these rules, at
    /// `since_ms`. One that is open at `now_ms` counts, one that is over does not: a rotation that was missed is made
    /// in the next.
    ///
    /// A rate in hours counts on from the hour of `since_ms`. AWS's guide says as well that its windows begin at
    /// midnight, not of which day (?): `NextRotationDate` after RotateSecret with `rate(10 hours)` would show it.
    pub fn next_window(&self, since_ms: u64, now_ms: u64) -> Option<Window> {
        let (since_ms, now_ms) = (since_ms.min(FAR_MS), now_ms.min(FAR_MS));
        match &self.every {
            Every::Days(days) => {
                let due = since_ms / DAY_MS + days;
                let first = self.window(due * DAY_MS);
                if now_ms < first.end_ms {
                    return Some(first);
                }
                let today = self.window(now_ms / DAY_MS * DAY_MS);
                let is_over = now_ms >= today.end_ms;
                Some(if is_over {
                    self.window(today.start_ms + DAY_MS)
                } else {
                    today
                })
            }
            Every::Hours(hours) => {
                let (hour_ms, step_ms) = (since_ms / HOUR_MS * HOUR_MS, hours * HOUR_MS);
                let first = self.window(hour_ms + step_ms);
                if now_ms < first.end_ms {
                    return Some(first);
                }
                let steps = (now_ms - hour_ms) / step_ms;
                let latest = self.window(hour_ms + steps * step_ms);
                let is_over = now_ms >= latest.end_ms;
                Some(if is_over {
                    self.window(latest.start_ms + step_ms)
                } else {
                    latest
                })
            }
            Every::Cron(cron) => {
                let mut window = self.window(cron.next_start_ms(since_ms)?);
                if window.end_ms <= now_ms {
                    // Windows are a day at the most, so the one that is open now began after this.
                    let near_ms = now_ms.saturating_sub(DAY_MS).max(since_ms);
                    window = self.window(cron.next_start_ms(near_ms)?);
                    while window.end_ms <= now_ms {
                        window = self.window(cron.next_start_ms(window.start_ms)?);
                    }
                }
                Some(window)
            }
        }
    }

    /// What a description tells as `AutomaticallyAfterDays`: the days between the next two windows, at least one.
    pub fn interval_days(&self, now_ms: u64) -> u64 {
        match &self.every {
            Every::Days(days) => *days,
            Every::Hours(hours) => hours.div_ceil(HOURS_OF_A_DAY),
            Every::Cron(cron) => {
                let next = cron.next_start_ms(now_ms.min(FAR_MS));
                let after = next.and_then(|start_ms| cron.next_start_ms(start_ms));
                let between = next.zip(after).map_or(0, |(next, after)| after - next);
                between.div_ceil(DAY_MS).max(1)
            }
        }
    }

    /// The window that opens at `start_ms`. It ends with its day.
    fn window(&self, start_ms: u64) -> Window {
        let midnight_ms = start_ms / DAY_MS * DAY_MS + DAY_MS;
        let in_hours = match &self.every {
            Every::Days(_) => false,
            Every::Hours(_) => true,
            Every::Cron(cron) => cron.is_in_hours(),
        };
        let end_ms = match self.duration_hours {
            Some(hours) => start_ms + hours * HOUR_MS,
            None if in_hours => start_ms + HOUR_MS,
            None => midnight_ms,
        };
        Window {
            start_ms,
            end_ms: end_ms.min(midnight_ms),
        }
    }
}

/// Beyond any clock, and far enough from the greatest number to reckon with: the year 10889.
const FAR_MS: u64 = 1 << 48;

impl Every {
    fn parse(expression: &str) -> Result<Self, String> {
        if expression.is_empty() || expression.len() > EXPRESSION_BYTES_MAX {
            return Err(format!(
                "it must have 1 to {EXPRESSION_BYTES_MAX} characters"
            ));
        }
        let inside = |name: &str| expression.strip_prefix(name)?.strip_suffix(')');
        if let Some(rate) = inside("rate(") {
            Self::rate(rate)
        } else if let Some(cron) = inside("cron(") {
            Cron::parse(cron).map(Self::Cron)
        } else {
            Err("it must be rate(value unit) or cron(fields)".to_owned())
        }
    }

    fn rate(rate: &str) -> Result<Self, String> {
        let Some((value, unit)) = rate.split_once(' ') else {
            return Err("a rate is a number and a unit".to_owned());
        };
        let digits = !value.is_empty() && value.bytes().all(|c| c.is_ascii_digit());
        let value: u64 = match value.parse() {
            Ok(value) if digits => value,
            _ => return Err("a rate begins with a positive number".to_owned()),
        };
        let (every, hours) = match unit {
            "hour" | "hours" => (Self::Hours(value), value),
            "day" | "days" => (Self::Days(value), value.saturating_mul(HOURS_OF_A_DAY)),
            _ => return Err("the unit of a rate is hours or days".to_owned()),
        };
        if hours < u64::from(HOURS_BETWEEN_MIN) || hours > RATE_DAYS_MAX * HOURS_OF_A_DAY {
            return Err(format!(
                "a rate is {HOURS_BETWEEN_MIN} hours at least and {RATE_DAYS_MAX} days at most"
            ));
        }
        Ok(every)
    }

    fn longest_window_hours(&self) -> u64 {
        match self {
            Self::Days(_) => HOURS_OF_A_DAY,
            Self::Hours(hours) => (*hours).min(HOURS_OF_A_DAY),
            Self::Cron(cron) => {
                let until_midnight = HOURS_OF_A_DAY - u64::from(cron.last_hour());
                let between = cron.hours_between().map_or(HOURS_OF_A_DAY, u64::from);
                until_midnight.min(between)
            }
        }
    }
}

fn duration_hours(duration: &str) -> Result<u64, StoreError> {
    let number = duration.strip_suffix('h').unwrap_or_default();
    let digits = (1..=2).contains(&number.len()) && number.bytes().all(|c| c.is_ascii_digit());
    let hours = number
        .parse()
        .ok()
        .filter(|hours| digits && (1..=HOURS_OF_A_DAY).contains(hours));
    hours.ok_or_else(|| {
        refused(
            "the Duration is not a number of hours",
            "Duration must be a number of hours from 1h to 24h.",
        )
    })
}

fn refused(what: impl Into<String>, to_clients: impl Into<String>) -> StoreError {
    StoreError::new(
        ErrorKind::InvalidParameter,
        what,
        "see the rotation schedules in AWS's user guide",
    )
    .for_clients(to_clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Midnight of Friday, 2026-11-27.
    const FRIDAY_MS: u64 = 20_784 * DAY_MS;

    fn rules(expression: &str, duration: Option<&str>) -> RotationRules {
        RotationRules {
            automatically_after_days: None,
            schedule_expression: Some(expression.to_owned()),
            duration: duration.map(str::to_owned),
        }
    }

    fn days(days: u64, duration: Option<&str>) -> RotationRules {
        RotationRules {
            automatically_after_days: Some(days),
            schedule_expression: None,
            duration: duration.map(str::to_owned),
        }
    }

    /// Hours from that midnight, for what was changed `since` and is looked at `now`.
    fn check(rules: &RotationRules, since: u64, now: u64, start: u64, end: u64) {
        let at = |hours: u64| FRIDAY_MS + hours * HOUR_MS;
        let schedule = rules.schedule().unwrap();
        // Not on the hour: nothing may depend on that.
        let window = schedule.next_window(at(since) + 7, at(now) + 7).unwrap();
        let expected = Window {
            start_ms: at(start),
            end_ms: at(end),
        };
        assert_eq!(window, expected, "{rules:?} since {since} at {now}");
    }

    #[test]
    fn days_count_from_the_last_change_and_a_missed_day_is_made_up_for() {
        check(&days(30, None), 5, 6, 720, 744);
        check(&rules("rate(30 days)", None), 5, 6, 720, 744);
        check(&rules("rate(1 day)", Some("3h")), 5, 6, 24, 27);
        check(&rules("rate(1 day)", Some("3h")), 5, 26, 24, 27);
        check(&rules("rate(1 day)", Some("3h")), 5, 27, 48, 51);
        check(&days(2, None), 5, 100, 96, 120);
    }

    #[test]
    fn hours_count_on_from_the_last_change() {
        check(&rules("rate(4 hours)", None), 5, 6, 9, 10);
        check(&rules("rate(4 hours)", None), 5, 9, 9, 10);
        check(&rules("rate(4 hours)", None), 5, 10, 13, 14);
        check(&rules("rate(4 hours)", Some("4h")), 5, 22, 21, 24);
        check(&rules("rate(48 hours)", None), 5, 6, 53, 54);
    }

    #[test]
    fn cron_counts_from_nothing() {
        check(&rules("cron(0 8 * * ? *)", None), 5, 6, 8, 24);
        check(&rules("cron(0 8 * * ? *)", Some("2h")), 5, 9, 8, 10);
        check(&rules("cron(0 8 * * ? *)", Some("2h")), 9, 9, 32, 34);
        check(&rules("cron(0 8 * * ? *)", Some("2h")), 5, 10, 32, 34);
        check(
            &rules("cron(0 8 * * ? *)", Some("2h")),
            5,
            1_000,
            1_016,
            1_018,
        );
        check(&rules("cron(0 2/10 * * ? *)", None), 5, 6, 12, 13);
    }

    #[test]
    fn an_interval_is_told_in_days() {
        for (rules, expected) in [
            (days(30, None), 30),
            (rules("rate(4 hours)", None), 1),
            (rules("rate(30 hours)", None), 2),
            (rules("cron(0 2/10 * * ? *)", None), 1),
            (rules("cron(0 0 ? * MON *)", None), 7),
            (rules("cron(0 0 1 * ? *)", None), 31),
        ] {
            let schedule = rules.schedule().unwrap();
            assert_eq!(schedule.interval_days(FRIDAY_MS), expected, "{rules:?}");
        }
    }

    #[test]
    fn rules_are_checked() {
        for good in [
            days(1, None),
            days(1_000, Some("24h")),
            rules("rate(4 hours)", Some("4h")),
            rules("rate(23976 hours)", None),
            rules("rate(999 days)", Some("1h")),
            rules("cron(0 20 * * ? *)", Some("4h")),
            rules("cron(0 0/6 * * ? *)", Some("6h")),
        ] {
            assert!(good.schedule().is_ok(), "{good:?}");
        }
        let both = RotationRules {
            automatically_after_days: Some(1),
            ..rules("rate(1 day)", None)
        };
        for bad in [
            both,
            RotationRules::default(),
            days(0, None),
            days(1_001, None),
            days(1, Some("0h")),
            days(1, Some("25h")),
            days(1, Some("3")),
            days(1, Some("+3h")),
            days(1, Some("h")),
            rules("", None),
            rules("every day", None),
            rules("rate(3 hours)", None),
            rules("rate(1000 days)", None),
            rules("rate(23977 hours)", None),
            rules("rate(18446744073709551615 days)", None),
            rules("rate(4 weeks)", None),
            rules("rate(4hours)", None),
            rules("rate(+4 hours)", None),
            rules("rate(4 hours", None),
            rules("rate(4 hours)", Some("5h")),
            rules("cron(0 20 * * ? *)", Some("5h")),
            rules("cron(0 0/6 * * ? *)", Some("7h")),
            rules("cron(0 99 * * ? *)", None),
            rules(&format!("cron(0 {}8 * * ? *)", "8,".repeat(130)), None),
        ] {
            let error = bad.schedule().unwrap_err();
            assert_eq!(error.code(), "InvalidParameterException", "{bad:?}");
        }
    }

    #[test]
    fn a_window_is_ahead_on_the_hour_and_within_one_day() {
        let all = [
            days(1, None),
            days(1_000, Some("2h")),
            rules("rate(4 hours)", None),
            rules("rate(7 hours)", Some("7h")),
            rules("rate(999 days)", Some("24h")),
            rules("cron(0 0/4 * * ? *)", Some("4h")),
            rules("cron(0 23 L * ? *)", None),
            rules("cron(0 10 ? FEB,JUN MON#2 *)", Some("1h")),
        ];
        let mut now_ms = FRIDAY_MS;
        for round in 0..2_000_u64 {
            // Steps of some hours and minutes, which meet every hour and every day of the week.
            now_ms += 7 * HOUR_MS + 11 * 60_000;
            let since_ms = now_ms - (round * round * 1_009 * 60_000) % (400 * DAY_MS);
            for rules in &all {
                let schedule = rules.schedule().unwrap();
                let Window { start_ms, end_ms } = schedule.next_window(since_ms, now_ms).unwrap();
                let told = format!("{rules:?} since {since_ms} at {now_ms}: {start_ms} {end_ms}");
                assert!(
                    since_ms < start_ms && start_ms < end_ms && now_ms < end_ms,
                    "{told}"
                );
                assert_eq!((start_ms % HOUR_MS, end_ms % HOUR_MS), (0, 0), "{told}");
                assert_eq!(start_ms / DAY_MS, (end_ms - 1) / DAY_MS, "{told}");
            }
        }
    }

    #[test]
    fn no_time_is_too_far() {
        for rules in [
            days(1_000, None),
            rules("rate(4 hours)", None),
            rules("cron(0 0 29 2 ? *)", None),
        ] {
            let schedule = rules.schedule().unwrap();
            for (since_ms, now_ms) in [(0, 0), (0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX)] {
                assert!(schedule.next_window(since_ms, now_ms).is_some());
            }
        }
    }
}
