//! `cron()` in the dialect of AWS Secrets Manager: on the hour, every year, in UTC. The crates for cron that were
//! looked at bring a date library that this project keeps out, and number the days of the week differently.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html>.

use std::collections::BTreeSet;

use super::calendar::{self, DAY_MS, Day, HOUR_MS};

/// A secret rotates at most every four hours.
pub(super) const HOURS_BETWEEN_MIN: u32 = 4;
/// No pattern that some day fits leaves a longer gap: 29 February that is a certain day of the week comes round within
/// 40 years, over a century that is no leap year.
const DAYS_AHEAD_MAX: u64 = 41 * 366;

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// When rotation windows open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    hours: BTreeSet<u32>,
    months: BTreeSet<u32>,
    days: Days,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    OfMonth(BTreeSet<u32>),
    LastOfMonth,
    OfWeek(BTreeSet<u32>),
    LastOfWeekday(u32),
    /// The weekday, and which of its days in the month.
    NthOfWeekday(u32, u32),
}

impl Cron {
    /// Reads what stands between the parentheses; an error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, of_month, month, of_week, year] = fields.as_slice() else {
            return Err(format!(
                "a cron expression has 6 fields, this one {}",
                fields.len()
            ));
        };
        if *minutes != "0" {
            return Err("the minutes must be 0".to_owned());
        }
        if *year != "*" {
            return Err("the year must be *".to_owned());
        }
        let cron = Self {
            hours: Field::new("hours", 0, 23, &[]).set(hours)?,
            months: Field::new("month", 1, 12, &MONTHS).set(month)?,
            days: Days::parse(of_month, of_week)?,
        };
        let within_a_day = cron.hours_between();
        let over_midnight = cron.hours_over_midnight();
        if within_a_day
            .into_iter()
            .chain(over_midnight)
            .any(|hours| hours < HOURS_BETWEEN_MIN)
        {
            return Err(format!(
                "there must be at least {HOURS_BETWEEN_MIN} hours between rotations"
            ));
        }
        if cron.next_start_ms(0).is_none() {
            return Err("no day of any year fits it".to_owned());
        }
        Ok(cron)
    }

    /// More than once on a day: then windows close after an hour, otherwise at the end of the day.
    pub(super) fn is_in_hours(&self) -> bool {
        self.hours.len() > 1
    }

    /// The latest hour of a day at which a window opens.
    pub(super) fn last_hour(&self) -> u32 {
        self.hours.last().copied().unwrap_or(0)
    }

    /// The fewest hours between two windows of a day.
    pub(super) fn hours_between(&self) -> Option<u32> {
        let pairs = self.hours.iter().zip(self.hours.iter().skip(1));
        pairs.map(|(hour, next)| next - hour).min()
    }

    /// The hours between the last window of a day and the first one of the next; `None` if no two days that follow each
    /// other have any. Whether AWS counts over midnight is not documented (?): `rotate-secret` with `cron(0 0,23 * * ? *)`
    /// on a real account would show it.
    fn hours_over_midnight(&self) -> Option<u32> {
        let (first, last) = (self.hours.first()?, self.hours.last()?);
        let fits = |number| self.fits(&calendar::day(number));
        let are_neighbours = (0..DAYS_AHEAD_MAX).any(|number| fits(number) && fits(number + 1));
        are_neighbours.then_some(24 + first - last)
    }

    /// When the first window after `after_ms` opens.
    pub(super) fn next_start_ms(&self, after_ms: u64) -> Option<u64> {
        let today = after_ms / DAY_MS;
        (today..today.saturating_add(DAYS_AHEAD_MAX))
            .filter(|number| self.fits(&calendar::day(*number)))
            .flat_map(|number| {
                let hour_ms = move |hour: &u32| number * DAY_MS + u64::from(*hour) * HOUR_MS;
                self.hours.iter().map(hour_ms)
            })
            .find(|start_ms| *start_ms > after_ms)
    }

    fn fits(&self, day: &Day) -> bool {
        let last_of_its_weekday = day.of_month + 7 > day.days_in_month;
        self.months.contains(&day.month)
            && match &self.days {
                Days::OfMonth(days) => days.contains(&day.of_month),
                Days::LastOfMonth => day.of_month == day.days_in_month,
                Days::OfWeek(days) => days.contains(&day.of_week),
                Days::LastOfWeekday(weekday) => day.of_week == *weekday && last_of_its_weekday,
                Days::NthOfWeekday(weekday, nth) => {
                    day.of_week == *weekday && day.of_month.div_ceil(7) == *nth
                }
            }
    }
}

impl Days {
    fn parse(of_month: &str, of_week: &str) -> Result<Self, String> {
        let weekday = Field::new("day of week", 1, 7, &WEEKDAYS);
        match (of_month, of_week) {
            ("?", "?") => Err("one of day of month and day of week must say something".to_owned()),
            ("L", "?") => Ok(Self::LastOfMonth),
            (days, "?") => {
                let field = Field::new("day of month", 1, 31, &[]);
                Ok(Self::OfMonth(field.set(days)?))
            }
            // The last day of a week is Saturday.
            ("?", "L") => Ok(Self::OfWeek(BTreeSet::from([7]))),
            ("?", days) => {
                if let Some((day, nth)) = days.split_once('#') {
                    let nth = Field::new("day of week", 1, 5, &[]).one(nth)?;
                    return Ok(Self::NthOfWeekday(weekday.one(day)?, nth));
                }
                match days.strip_suffix('L') {
                    Some(day) => Ok(Self::LastOfWeekday(weekday.one(day)?)),
                    None => Ok(Self::OfWeek(weekday.set(days)?)),
                }
            }
            _ => Err("one of day of month and day of week must be ?".to_owned()),
        }
    }
}

/// The values that one field may have, and their names.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

impl Field {
    fn new(name: &'static str, first: u32, last: u32, names: &'static [&'static str]) -> Self {
        Self {
            name,
            first,
            last,
            names,
        }
    }

    /// `*`, numbers and names, ranges, each with an increment or without, joined by commas.
    fn set(&self, text: &str) -> Result<BTreeSet<u32>, String> {
        let mut set = BTreeSet::new();
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(self.number(step)?)),
                None => (part, None),
            };
            let (from, to) = match range.split_once('-') {
                Some((from, to)) => (self.one(from)?, self.one(to)?),
                None if range == "*" => (self.first, self.last),
                // `/10` is `*/10`.
                None if range.is_empty() && step.is_some() => (self.first, self.last),
                None if step.is_some() => (self.one(range)?, self.last),
                None => (self.one(range)?, self.one(range)?),
            };
            let step = step.unwrap_or(1);
            if from > to || step == 0 {
                return Err(self.wrong(part));
            }
            set.extend((from..=to).step_by(step as usize));
        }
        Ok(set)
    }

    /// One number in bounds, or its name.
    fn one(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().position(|name| *name == text);
        let number = match named.and_then(|at| u32::try_from(at).ok()) {
            Some(at) => at + self.first,
            None => self.number(text)?,
        };
        if number < self.first || number > self.last {
            return Err(self.wrong(text));
        }
        Ok(number)
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let digits =
            !text.is_empty() && text.len() <= 2 && text.bytes().all(|c| c.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number.ok_or_else(|| self.wrong(text))
    }

    fn wrong(&self, part: &str) -> String {
        format!("{part:?} is no {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-27 is a Friday.
    const FRIDAY: u64 = 20_784;

    /// Asserts the next windows after noon of that Friday, as days from it and hours.
    fn check(expression: &str, expected: &[(u64, u64)]) {
        let cron = Cron::parse(expression).unwrap();
        let mut at_ms = FRIDAY * DAY_MS + 12 * HOUR_MS;
        let mut found = Vec::new();
        for _ in expected {
            at_ms = cron.next_start_ms(at_ms).unwrap();
            found.push((at_ms / DAY_MS - FRIDAY, at_ms % DAY_MS / HOUR_MS));
            assert_eq!(at_ms % HOUR_MS, 0);
        }
        assert_eq!(found, expected, "{expression}");
    }

    fn refused(expression: &str, why: &str) {
        let error = Cron::parse(expression).unwrap_err();
        assert!(error.contains(why), "{expression}: {error}");
    }

    #[test]
    fn hours_reset_each_day() {
        check("0 8 * * ? *", &[(1, 8), (2, 8)]);
        check("0 12 * * ? *", &[(1, 12)]);
        check("0 4/12 * * ? *", &[(0, 16), (1, 4), (1, 16)]);
        check("0 2/10 * * ? *", &[(0, 22), (1, 2), (1, 12), (1, 22)]);
        check("0 /8 * * ? *", &[(0, 16), (1, 0)]);
        check("0 */12 * * ? *", &[(1, 0), (1, 12)]);
        check("0 1,13,20 ? * * *", &[(0, 13), (0, 20), (1, 1)]);
        check("0 0,23 1 * ? *", &[(4, 0), (4, 23), (35, 0)]);
    }

    #[test]
    fn days_of_the_month() {
        check("0 0 1 * ? *", &[(4, 0), (35, 0)]);
        check("0 16 L * ? *", &[(3, 16), (34, 16)]);
        check("0 8 1/7 * ? *", &[(2, 8), (4, 8), (11, 8)]);
        check("0 8 10-12 * ? *", &[(13, 8), (14, 8), (15, 8), (44, 8)]);
        check("0 0 1 */3 ? *", &[(35, 0), (125, 0)]);
        check("0 0 1 JAN,APR,JUL,OCT ? *", &[(35, 0), (125, 0)]);
        check("0 0 29 2 ? *", &[(459, 0)]);
        check("0 0 31 * ? *", &[(34, 0), (65, 0), (124, 0)]);
    }

    #[test]
    fn days_of_the_week() {
        check("0 10 ? * MON *", &[(3, 10), (10, 10)]);
        check("0 10 ? * 2 *", &[(3, 10)]);
        check("0 22 ? * MON-FRI *", &[(0, 22), (3, 22)]);
        check("0 22 ? * L *", &[(1, 22), (8, 22)]);
        check("0 22 ? * 6L *", &[(0, 22), (28, 22)]);
        check("0 0 ? * SUN#1 *", &[(9, 0), (37, 0)]);
        check("0 0 ? * 3#2 *", &[(11, 0)]);
        check("0 0 ? * FRI#5 *", &[(63, 0)]);
        check("0 0 ? 2 SUN#5 *", &[(1_920, 0)]);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        refused("0 8 * * ?", "6 fields");
        refused("5 8 * * ? *", "minutes");
        refused("* 8 * * ? *", "minutes");
        refused("0 8 * * ? 2027", "year");
        refused("0 * * * ? *", "4 hours");
        refused("0 */3 * * ? *", "4 hours");
        refused("0 8,10 * * ? *", "4 hours");
        refused("0 0,23 * * ? *", "4 hours");
        refused("0 2,23 ? * FRI-SAT *", "4 hours");
        refused("0 24 * * ? *", "hours");
        refused("0 -1 * * ? *", "hours");
        refused("0 8 * * * *", "must be ?");
        refused("0 8 ? * ? *", "must say something");
        refused("0 8 0 * ? *", "day of month");
        refused("0 8 32 * ? *", "day of month");
        refused("0 8 1 13 ? *", "month");
        refused("0 8 1 jan ? *", "month");
        refused("0 8 ? * 0 *", "day of week");
        refused("0 8 ? * 8 *", "day of week");
        refused("0 8 ? * MON#6 *", "day of week");
        refused("0 8 5-3 * ? *", "day of month");
        refused("0 8 */0 * ? *", "day of month");
        refused("0 8 1W * ? *", "day of month");
        refused("0 8 , * ? *", "day of month");
        refused("0 8 30 2 ? *", "no day");
    }
}
