//! A moment or an interval, printed by a template.

use super::super::calendar::Civil;
use super::nodes::{Field, Node, ordinal_ending};
use crate::error::{Result, SqlError, SqlState};
use crate::types::zone::Zone;
use arrow::datatypes::IntervalMonthDayNano;

/// Months by name.
pub const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
/// Days of the week by name, Sunday first.
pub const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// Months in Roman numerals.
pub const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// What is printed; numbers are signed, because an interval's are.
#[derive(Clone, Debug)]
pub struct Moment {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    microsecond: i64,
    interval: bool,
    /// Of a moment.
    civil: Option<Civil>,
    /// The zone's abbreviation and seconds east of Greenwich.
    zone: Option<(String, i64)>,
}

impl Moment {
    /// A moment by its local time; with a zone, and the moment itself, what that calls it.
    pub fn of(local: i64, zoned: Option<(i64, Zone)>) -> Self {
        let civil = Civil::of(local);
        let zone = zoned.map(|(at, zone)| {
            let seconds = at.div_euclid(1_000_000);
            (zone.abbreviation_at(seconds), i64::from(zone.offset_at(seconds)))
        });
        Self {
            year: civil.year,
            month: civil.month.into(),
            day: civil.day.into(),
            hour: civil.hour,
            minute: civil.minute,
            second: civil.second,
            microsecond: civil.microsecond,
            interval: false,
            civil: Some(civil),
            zone,
        }
    }
    /// An interval.
    pub fn of_interval(value: IntervalMonthDayNano) -> Self {
        let micros = value.nanoseconds / 1000;
        Self {
            year: i64::from(value.months / 12),
            month: i64::from(value.months % 12),
            day: value.days.into(),
            hour: micros / 3_600_000_000,
            minute: micros / 60_000_000 % 60,
            second: micros / 1_000_000 % 60,
            microsecond: micros % 1_000_000,
            interval: true,
            civil: None,
            zone: None,
        }
    }
    /// The text.
    pub fn write(&self, nodes: &[Node]) -> Result<String> {
        let mut out = String::with_capacity(nodes.len() * 3);
        for node in nodes {
            match node {
                Node::Field(field) => out.push_str(&self.field(field)?),
                Node::Space(character) | Node::Separator(character) => out.push(*character),
                Node::Text(text) => out.push_str(text),
            }
        }
        Ok(out)
    }
    fn field(&self, field: &Field) -> Result<String> {
        let key = field.word.to_ascii_uppercase();
        // A fraction of a second without its zeros would be another one.
        let fill = field.fill && !key.starts_with("FF") && key != "MS" && key != "US";
        let numeric = |value: i64, width: usize| {
            let mut text = number(value, width, fill);
            if let Some(ordinal) = field.ordinal {
                text.push_str(ordinal_ending(&text, ordinal));
            }
            text
        };
        if let Some((value, width)) = self.numbers(&key) {
            return Ok(numeric(value, width));
        }
        self.words(&key, field)
    }
    /// Fields that are a number, and how wide it is.
    fn numbers(&self, key: &str) -> Option<(i64, usize)> {
        let twelve = if self.hour % 12 == 0 { 12 } else { self.hour % 12 };
        let year = if self.interval || self.year > 0 { self.year } else { 1 - self.year };
        let fraction = |digits: u32| self.microsecond / 10i64.pow(6 - digits);
        Some(match key {
            "HH" | "HH12" => (twelve, 2),
            "HH24" => (self.hour, 2),
            "MI" => (self.minute, 2),
            "SS" => (self.second, 2),
            "MS" => (fraction(3), 3),
            "US" => (self.microsecond, 6),
            "FF1" => (fraction(1), 1),
            "FF2" => (fraction(2), 2),
            "FF3" => (fraction(3), 3),
            "FF4" => (fraction(4), 4),
            "FF5" => (fraction(5), 5),
            "FF6" => (self.microsecond, 6),
            "SSSS" | "SSSSS" => ((self.hour * 60 + self.minute) * 60 + self.second, 1),
            "MM" => (self.month, 2),
            "DD" => (self.day, 2),
            "DDD" => (self.day_of_year(), 3),
            "WW" => ((self.day_of_year() - 1) / 7 + 1, 2),
            "W" => ((self.day - 1) / 7 + 1, 1),
            "CC" => self.century(),
            "YYYY" => (year, 4),
            "YYY" => (year % 1000, 3),
            "YY" => (year % 100, 2),
            "Y" => (year % 10, 1),
            _ => return self.calendar_numbers(key),
        })
    }
    fn day_of_year(&self) -> i64 {
        self.civil.map_or_else(|| (self.year * 12 + self.month) * 30 + self.day, |civil| civil.day_of_year())
    }
    fn century(&self) -> (i64, usize) {
        let century = match self.year {
            year if self.interval => year / 100,
            year if year > 0 => (year - 1) / 100 + 1,
            year => year / 100 - 1,
        };
        (century, if (-99..=99).contains(&century) { 2 } else { 4 })
    }
    /// Numbers that only a moment of the calendar has.
    fn calendar_numbers(&self, key: &str) -> Option<(i64, usize)> {
        let civil = self.civil?;
        let (iso_year, week) = civil.iso_week();
        let iso_year = if iso_year > 0 { iso_year } else { 1 - iso_year };
        Some(match key {
            "ID" => (civil.iso_weekday(), 1),
            "D" => (civil.iso_weekday() % 7 + 1, 1),
            "IW" => (week, 2),
            "IDDD" => (civil.days() - super::super::calendar::iso_week_start(civil.iso_week().0, 1) + 1, 3),
            "IYYY" => (iso_year, 4),
            "IYY" => (iso_year % 1000, 3),
            "IY" => (iso_year % 100, 2),
            "I" => (iso_year % 10, 1),
            "J" => (super::julian(&civil), 1),
            "Q" => (i64::from((civil.month - 1) / 3 + 1), 1),
            _ => return None,
        })
    }
    fn words(&self, key: &str, field: &Field) -> Result<String> {
        let word = field.word;
        let padded = |text: &str, width: usize| if field.fill { text.to_string() } else { format!("{text:<width$}") };
        let upper = word.starts_with(|first: char| first.is_ascii_uppercase());
        let halves = |early: &str, late: &str, late_half: bool| {
            let text = if late_half { late } else { early };
            if upper { text.to_string() } else { text.to_lowercase() }
        };
        let afternoon = self.hour % 24 >= 12;
        Ok(match key {
            "FX" => String::new(),
            "AM" | "PM" => halves("AM", "PM", afternoon),
            "A.M." | "P.M." => halves("A.M.", "P.M.", afternoon),
            "Q" if self.interval && self.month == 0 => String::new(),
            "Q" => ((self.month - 1) / 3 + 1).to_string(),
            "Y,YYY" => {
                let year = if self.interval || self.year > 0 { self.year } else { 1 - self.year };
                let mut text = format!("{},{:03}", year / 1000, year % 1000);
                if let Some(ordinal) = field.ordinal {
                    text.push_str(ordinal_ending(&text, ordinal));
                }
                text
            }
            "RM" => match self.roman() {
                Some(month) => padded(&if upper { month.to_string() } else { month.to_lowercase() }, 4),
                None => String::new(),
            },
            _ if self.interval => return Err(no_interval()),
            "AD" | "BC" => halves("BC", "AD", self.year > 0),
            "A.D." | "B.C." => halves("B.C.", "A.D.", self.year > 0),
            "MONTH" => padded(&cased(MONTHS[(self.month as usize + 11) % 12], word), 9),
            "MON" => cased(&MONTHS[(self.month as usize + 11) % 12][..3], word),
            "DAY" => padded(&cased(DAYS[self.weekday()], word), 9),
            "DY" => cased(&DAYS[self.weekday()][..3], word),
            "TZ" => {
                let name = self.zone.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
                if upper { name.to_uppercase() } else { name.to_lowercase() }
            }
            "TZH" => format!("{}{:02}", sign(self.offset()), self.offset().abs() / 3600),
            "TZM" => format!("{:02}", self.offset().abs() % 3600 / 60),
            "OF" => self.distance(field.fill),
            _ => String::new(),
        })
    }
    fn weekday(&self) -> usize {
        self.civil.map_or(0, |civil| (civil.iso_weekday() % 7) as usize)
    }
    fn offset(&self) -> i64 {
        self.zone.as_ref().map_or(0, |(_, offset)| *offset)
    }
    fn distance(&self, fill: bool) -> String {
        let (hours, minutes) = (self.offset().abs() / 3600, self.offset().abs() % 3600 / 60);
        let hours = if fill { hours.to_string() } else { format!("{hours:02}") };
        let minutes = if minutes == 0 { String::new() } else { format!(":{minutes:02}") };
        format!("{}{hours}{minutes}", sign(self.offset()))
    }
    fn roman(&self) -> Option<&'static str> {
        let index = match self.month {
            0 if self.year == 0 => return None,
            0 if self.year > 0 => 11,
            0 => 0,
            month if month > 0 => month - 1,
            month => 12 + month,
        };
        ROMAN.get(index as usize).copied()
    }
}

fn sign(value: i64) -> char {
    if value < 0 { '-' } else { '+' }
}

/// A number with zeros before it; a negative one is wider by its sign.
fn number(value: i64, width: usize, fill: bool) -> String {
    match (fill, value < 0) {
        (true, _) => value.to_string(),
        (false, true) => format!("{value:0width$}", width = width + 1),
        (false, false) => format!("{value:0width$}"),
    }
}

/// A name in the case in which its word is written: MONTH, Month, month.
fn cased(name: &str, word: &str) -> String {
    let mut letters = word.chars();
    match (letters.next().is_some_and(char::is_uppercase), letters.next().is_some_and(char::is_uppercase)) {
        (true, true) => name.to_uppercase(),
        (true, false) => name.to_string(),
        _ => name.to_lowercase(),
    }
}

fn no_interval() -> SqlError {
    let error = SqlError::new(SqlState::INVALID_DATETIME_FORMAT, "invalid format specification for an interval value");
    error.with_hint("Intervals are not tied to specific calendar dates.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::nodes::parse;
    use super::*;

    #[test]
    fn moments_are_written_as_the_template_says() {
        let civil = Civil { year: 2024, month: 3, day: 5, hour: 19, minute: 8, second: 9, microsecond: 42_000 };
        let moment = Moment::of(civil.at(), None);
        let cases = [
            ("YYYY-MM-DD HH24:MI:SS", "2024-03-05 19:08:09"),
            ("FMDDth Mon YYYY", "5th Mar 2024"),
            ("HH12:MI am", "07:08 pm"),
            ("MS US Q D ID", "042 042000 1 3 2"),
            ("FMMonth|DAY|dy", "March|TUESDAY  |tue"),
            ("\"Q\"Q", "Q1"),
            ("IYYY-IW CC J Y,YYY RM", "2024-10 21 2460375 2,024 III "),
        ];
        for (template, expected) in cases {
            assert_eq!(moment.write(&parse(template)).unwrap(), expected, "{template}");
        }
    }

    #[test]
    fn intervals_have_no_names() {
        let span = Moment::of_interval(IntervalMonthDayNano::new(0, 2, -3_600_000_000_000));
        assert_eq!(span.write(&parse("DD HH24:MI")).unwrap(), "02 -01:00");
        assert_eq!(span.write(&parse("Month")).unwrap_err().state, SqlState::INVALID_DATETIME_FORMAT);
    }
}
