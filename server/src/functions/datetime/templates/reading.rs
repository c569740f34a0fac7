//! A text read by a template into a moment.

use super::super::calendar::{Civil, JULIAN_1970, exists, iso_week_start};
use super::nodes::{Field, Node};
use super::writing::{DAYS, MONTHS, ROMAN};
use crate::error::{Result, SqlError, SqlState};
use crate::types::moment;

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parsed {
    /// Local time.
    pub civil: Civil,
    /// Seconds east of Greenwich, if the text said so.
    pub offset_seconds: Option<i64>,
}

/// Values by the field that they were read for.
#[derive(Default)]
struct Values {
    hour: Option<i64>,
    twelve: bool,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    seconds_of_day: Option<i64>,
    microsecond: Option<i64>,
    year: Option<(i64, usize)>,
    iso_year: Option<(i64, usize)>,
    before_christ: bool,
    century: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    week: Option<i64>,
    week_of_month: Option<i64>,
    iso_week: Option<i64>,
    weekday: Option<i64>,
    iso_day_of_year: Option<i64>,
    julian: Option<i64>,
    zone_sign: i64,
    zone_hours: Option<i64>,
    zone_minutes: Option<i64>,
    offset: Option<i64>,
}

struct Reader<'a> {
    rest: &'a str,
    exact: bool,
    /// Whether a minus sign was taken for a separator just before.
    minus: bool,
    values: Values,
}

/// Reads a text by the pieces of a template.
pub fn read(text: &str, nodes: &[Node]) -> Result<Parsed> {
    let exact = nodes.iter().any(|node| matches!(node, Node::Field(field) if field.word.eq_ignore_ascii_case("FX") && !field.fill));
    let mut reader = Reader { rest: text, exact, minus: false, values: Values { zone_sign: 1, ..Values::default() } };
    reader.all(nodes)?;
    reader
        .values
        .settle()
        .ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date/time field value out of range: \"{text}\"")))?
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

fn is_separator(character: char) -> bool {
    character.is_ascii_punctuation()
}

impl Reader<'_> {
    fn all(&mut self, nodes: &[Node]) -> Result<()> {
        // How many more characters the text had between fields than the template.
        let mut extra = 0i64;
        for (index, node) in nodes.iter().enumerate() {
            if !self.exact && !matches!(node, Node::Space(_) | Node::Separator(_)) {
                extra += self.skip_blanks();
            }
            if self.rest.is_empty() {
                break;
            }
            match node {
                Node::Field(field) => {
                    let more = matches!(nodes.get(index + 1), Some(Node::Field(next)) if is_digits(next.word));
                    let digit_text =
                        matches!(nodes.get(index + 1), Some(Node::Text(text)) if text.starts_with(|c: char| c.is_ascii_digit()));
                    self.field(field, !(more || digit_text) || field.ordinal.is_some())?;
                    if !self.exact {
                        extra = self.skip_blanks();
                    }
                }
                Node::Space(_) | Node::Separator(_) if self.exact => self.skip(1),
                Node::Space(_) | Node::Separator(_) => {
                    extra -= 1;
                    self.minus = false;
                    if self.rest.starts_with(|c: char| c.is_whitespace() || is_separator(c)) {
                        extra += 1;
                        self.minus = extra > 0 && self.rest.starts_with('-');
                        self.skip(1);
                    }
                }
                Node::Text(_) if !self.exact && extra > 0 => extra -= 1,
                Node::Text(_) => self.skip(1),
            }
        }
        Ok(())
    }
    fn skip(&mut self, count: usize) {
        let end = self.rest.char_indices().nth(count).map_or(self.rest.len(), |(at, _)| at);
        self.rest = &self.rest[end..];
    }
    fn skip_blanks(&mut self) -> i64 {
        let trimmed = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let skipped = self.rest.len() - trimmed.len();
        self.rest = trimmed;
        skipped as i64
    }
    /// A number of `width` digits; of any number of digits if nothing that follows could take them.
    fn number(&mut self, field: &Field, width: usize, any: bool) -> Result<(i64, usize)> {
        let any = any || field.fill;
        self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let signed = usize::from(self.rest.starts_with(['-', '+']));
        let available = self.rest.chars().count().min(width);
        if !any && available < width {
            let message = format!("source string too short for \"{}\" formatting field", field.word);
            let detail = format!("Field requires {width} characters, but only {available} remain.");
            return Err(invalid(message)
                .with_detail(detail)
                .with_hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
        }
        let limit = if any { usize::MAX } else { width };
        let digits = self.rest.bytes().skip(signed).take_while(u8::is_ascii_digit).count();
        let used = (signed + digits).min(limit);
        let shown: String = self.rest.chars().take(if any { self.rest.len() } else { width }).collect();
        if used == signed {
            return Err(invalid(format!("invalid value \"{shown}\" for \"{}\"", field.word)).with_detail("Value must be an integer."));
        }
        if !any && used < width {
            let error = invalid(format!("invalid value \"{shown}\" for \"{}\"", field.word));
            return Err(error
                .with_detail(format!("Field requires {width} characters, but only {used} could be parsed."))
                .with_hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
        }
        let value = self.rest[..used].trim_start_matches('+').parse::<i64>().ok().filter(|value| i32::try_from(*value).is_ok());
        let Some(value) = value else {
            let error =
                SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("value for \"{}\" in source string is out of range", field.word));
            return Err(error.with_detail("Value must be in the range -2147483648 to 2147483647."));
        };
        self.rest = &self.rest[used..];
        Ok((value, used - signed))
    }
    /// One of some words, in any case; its place among them.
    fn word(&mut self, field: &Field, words: &[&str]) -> Result<usize> {
        let found =
            words.iter().enumerate().filter(|(_, word)| self.rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)));
        let Some((place, word)) = found.max_by_key(|(_, word)| word.len()) else {
            let shown: String = self.rest.split_ascii_whitespace().next().unwrap_or_default().into();
            let error = invalid(format!("invalid value \"{shown}\" for \"{}\"", field.word));
            return Err(error.with_detail("The given value did not match any of the allowed values for this field."));
        };
        self.rest = &self.rest[word.len()..];
        Ok(place)
    }
    fn field(&mut self, field: &Field, any: bool) -> Result<()> {
        let key = field.word.to_ascii_uppercase();
        let slot = |slot: &mut Option<i64>, value: i64| set(slot, value, field.word);
        match key.as_str() {
            "FX" => {}
            "AM" | "PM" => self.values.afternoon = Some(self.word(field, &["am", "pm"])? == 1),
            "A.M." | "P.M." => self.values.afternoon = Some(self.word(field, &["a.m.", "p.m."])? == 1),
            "AD" | "BC" => self.values.before_christ = self.word(field, &["ad", "bc"])? == 1,
            "A.D." | "B.C." => self.values.before_christ = self.word(field, &["a.d.", "b.c."])? == 1,
            "HH" | "HH12" => {
                let (value, _) = self.number(field, 2, any)?;
                self.values.twelve = true;
                slot(&mut self.values.hour, value)?;
            }
            "HH24" => {
                let (value, _) = self.number(field, 2, any)?;
                slot(&mut self.values.hour, value)?;
            }
            "MI" => {
                let (value, _) = self.number(field, 2, any)?;
                slot(&mut self.values.minute, value)?;
            }
            "SS" => {
                let (value, _) = self.number(field, 2, any)?;
                slot(&mut self.values.second, value)?;
            }
            "SSSS" | "SSSSS" => {
                let (value, _) = self.number(field, 5, any)?;
                slot(&mut self.values.seconds_of_day, value)?;
            }
            "MS" | "FF3" => self.fraction(field, 3, any)?,
            "US" | "FF6" => self.fraction(field, 6, any)?,
            "FF1" | "FF2" | "FF4" | "FF5" => self.fraction(field, usize::from(key.as_bytes()[2] - b'0'), any)?,
            "TZH" => {
                self.values.zone_sign = if self.minus || self.rest.starts_with('-') { -1 } else { 1 };
                self.rest = self.rest.strip_prefix(['-', '+', ' ']).unwrap_or(self.rest);
                let (value, _) = self.number(field, 2, any)?;
                slot(&mut self.values.zone_hours, value)?;
            }
            "TZM" => {
                let (value, _) = self.number(field, 2, any)?;
                slot(&mut self.values.zone_minutes, value)?;
            }
            "TZ" | "OF" => {
                let message = "formatting field \"TZ\" is only supported in to_char".replace("TZ", field.word);
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
            _ => self.date_field(&key, field, any)?,
        }
        Ok(())
    }
    /// Digits after the point: `.5` is 500 milliseconds.
    fn fraction(&mut self, field: &Field, width: usize, any: bool) -> Result<()> {
        let (value, digits) = self.number(field, width, any)?;
        let micros = value * 10i64.pow(6u32.saturating_sub(digits as u32));
        set(&mut self.values.microsecond, micros, field.word)
    }
    fn date_field(&mut self, key: &str, field: &Field, any: bool) -> Result<()> {
        let number = |reader: &mut Self, width| reader.number(field, width, any).map(|(value, _)| value);
        let word = field.word;
        match key {
            "MONTH" => {
                let place = self.word(field, &MONTHS)? as i64 + 1;
                set(&mut self.values.month, place, word)
            }
            "MON" => {
                let place = self.word(field, &MONTHS.map(|month| &month[..3]))? as i64 + 1;
                set(&mut self.values.month, place, word)
            }
            "RM" => {
                let place = self.word(field, &ROMAN)? as i64 + 1;
                set(&mut self.values.month, place, word)
            }
            "DAY" => self.word(field, &DAYS).and_then(|place| set(&mut self.values.weekday, place as i64 + 1, word)),
            "DY" => {
                let place = self.word(field, &DAYS.map(|day| &day[..3]))? as i64 + 1;
                set(&mut self.values.weekday, place, word)
            }
            "MM" => number(self, 2).and_then(|value| set(&mut self.values.month, value, word)),
            "DD" => number(self, 2).and_then(|value| set(&mut self.values.day, value, word)),
            "DDD" => number(self, 3).and_then(|value| set(&mut self.values.day_of_year, value, word)),
            "IDDD" => number(self, 3).and_then(|value| set(&mut self.values.iso_day_of_year, value, word)),
            "D" => number(self, 1).and_then(|value| set(&mut self.values.weekday, value, word)),
            // Sunday is 7 here, and 1 where days are counted from Sunday.
            "ID" => number(self, 1).and_then(|value| set(&mut self.values.weekday, value % 7 + 1, word)),
            "WW" => number(self, 2).and_then(|value| set(&mut self.values.week, value, word)),
            "W" => number(self, 1).and_then(|value| set(&mut self.values.week_of_month, value, word)),
            "IW" => number(self, 2).and_then(|value| set(&mut self.values.iso_week, value, word)),
            // The month alone says when a quarter is.
            "Q" => number(self, 1).map(|_| ()),
            "CC" => number(self, 2).and_then(|value| set(&mut self.values.century, value, word)),
            "J" => number(self, 7).and_then(|value| set(&mut self.values.julian, value, word)),
            "Y,YYY" => self.year_with_comma(field),
            _ => self.year(key, field, any),
        }
    }
    fn year_with_comma(&mut self, field: &Field) -> Result<()> {
        let end = self.rest.bytes().position(|byte| !(byte.is_ascii_digit() || byte == b',')).unwrap_or(self.rest.len());
        let (thousands, rest) = self.rest[..end].split_once(',').unwrap_or(("", ""));
        let value = thousands.parse::<i64>().ok().zip(rest.parse::<i64>().ok());
        let Some((thousands, years)) = value else { return Err(invalid("invalid input string for \"Y,YYY\"".into())) };
        self.rest = &self.rest[end..];
        set_year(&mut self.values.year, (thousands.saturating_mul(1000).saturating_add(years), 4), field.word)
    }
    fn year(&mut self, key: &str, field: &Field, any: bool) -> Result<()> {
        let (width, iso) = (key.len(), key.starts_with('I'));
        let (value, used) = self.number(field, width, any)?;
        let full = if used < 4 && width < 4 { near_2020(value) } else { value };
        let slot = if iso { &mut self.values.iso_year } else { &mut self.values.year };
        set_year(slot, (full, width), field.word)
    }
}

/// Two digits of a year are those of one near 2020.
fn near_2020(year: i64) -> i64 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        other => other,
    }
}

fn is_digits(word: &str) -> bool {
    const WORDS: [&str; 25] = [
        "CC", "DDD", "DD", "D", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "J", "MI", "MM", "MS",
        "Q", "US", "WW", "W", "Y,YYY",
    ];
    let upper = word.to_ascii_uppercase();
    WORDS.contains(&upper.as_str()) || upper.starts_with('S') || upper.starts_with('Y') || upper.starts_with('I')
}

fn conflict(word: &str) -> SqlError {
    invalid(format!("conflicting values for \"{word}\" field in formatting string"))
        .with_detail("This value contradicts a previous setting for the same field type.")
}

fn set(slot: &mut Option<i64>, value: i64, word: &str) -> Result<()> {
    match slot.replace(value) {
        Some(before) if before != value => Err(conflict(word)),
        _ => Ok(()),
    }
}

fn set_year(slot: &mut Option<(i64, usize)>, value: (i64, usize), word: &str) -> Result<()> {
    match slot.replace(value) {
        Some(before) if before.0 != value.0 => Err(conflict(word)),
        _ => Ok(()),
    }
}

impl Values {
    /// The moment; `None` if there is none with such fields.
    fn settle(&self) -> Option<Result<Parsed>> {
        let gregorian =
            self.year.is_some() || self.month.is_some() || self.day.is_some() || self.day_of_year.is_some() || self.week.is_some();
        let iso = self.iso_year.is_some() || self.iso_week.is_some() || self.iso_day_of_year.is_some();
        if gregorian && iso {
            let error = invalid("invalid combination of date conventions".into());
            return Some(Err(error.with_hint("Do not mix Gregorian and ISO week date conventions in a formatting template.")));
        }
        let hour = match self.hour_of_day() {
            Ok(hour) => hour,
            Err(error) => return Some(Err(error)),
        };
        let days = self.date()?;
        let (mut hour, mut minute, mut second) = (hour, self.minute.unwrap_or(0), self.second.unwrap_or(0));
        if let Some(total) = self.seconds_of_day {
            (hour, minute, second) = (total / 3600, total / 60 % 60, total % 60);
        }
        let microsecond = self.microsecond.unwrap_or(0);
        let fits =
            (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second) && (0..1_000_000).contains(&microsecond);
        if !fits {
            return None;
        }
        let (year, month, day) = moment::civil(days);
        let civil = Civil { year, month, day, hour, minute, second, microsecond };
        let offset = self.zone_hours.map(|hours| self.zone_sign * (hours * 3600 + self.zone_minutes.unwrap_or(0) * 60));
        Some(Ok(Parsed { civil, offset_seconds: offset.or(self.offset) }))
    }
    fn hour_of_day(&self) -> Result<i64> {
        let hour = self.hour.unwrap_or(0);
        if !self.twelve && self.afternoon.is_none() {
            return Ok(hour);
        }
        if self.twelve && !(1..=12).contains(&hour) {
            let error = invalid(format!("hour \"{hour}\" is invalid for the 12-hour clock"));
            return Err(error.with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
        }
        Ok(match self.afternoon {
            Some(true) if hour < 12 => hour + 12,
            Some(false) if hour == 12 => 0,
            _ => hour,
        })
    }
    /// Days since 1970.
    fn date(&self) -> Option<i64> {
        if let Some(julian) = self.julian {
            return Some(julian - JULIAN_1970);
        }
        if self.iso_year.is_some() || self.iso_week.is_some() {
            return self.iso_date();
        }
        let year = self.full_year()?;
        if let Some(day) = self.day_of_year {
            let length = moment::days(year + 1, 1, 1) - moment::days(year, 1, 1);
            return (1..=length).contains(&day).then(|| moment::days(year, 1, 1) + day - 1);
        }
        if let (Some(week), None) = (self.week, self.day) {
            return Some(moment::days(year, 1, 1) + (week - 1) * 7);
        }
        let day = match (self.week_of_month, self.day) {
            (Some(week), None) => (week - 1) * 7 + 1,
            (_, day) => day.unwrap_or(1),
        };
        let month = self.month.unwrap_or(1);
        exists(year, month, day).then(|| moment::days(year, month as u32, day as u32))
    }
    fn iso_date(&self) -> Option<i64> {
        let year = self.iso_year.map_or(1, |(year, _)| year);
        if let Some(day) = self.iso_day_of_year {
            return Some(iso_week_start(year, 1) + day - 1);
        }
        let week = self.iso_week.unwrap_or(1);
        let weekday = self.weekday.map_or(0, |day| (day + 5) % 7);
        (1..=53).contains(&week).then(|| iso_week_start(year, week) + weekday)
    }
    /// The year, of which 0 is 1 BC.
    fn full_year(&self) -> Option<i64> {
        let year = match (self.century, self.year) {
            // Where nothing says the year it is 1 BC, as in PostgreSQL.
            (None, None) => return Some(0),
            (None, Some((year, _))) => year,
            (Some(century), None) => century * 100 - 99,
            (Some(century), Some((year, width))) if width <= 2 && year % 100 == 0 => century * 100,
            (Some(century), Some((year, width))) if width <= 2 => (century - 1) * 100 + year % 100,
            (Some(_), Some((year, _))) => year,
        };
        Some(match year {
            year if self.before_christ && year > 0 => 1 - year,
            year if year < 0 => year + 1,
            year => year,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::nodes::parse;
    use super::*;

    fn date(text: &str, template: &str) -> (i64, u32, u32) {
        let civil = read(text, &parse(template)).unwrap().civil;
        (civil.year, civil.month, civil.day)
    }

    #[test]
    fn dates_are_read_as_the_template_says() {
        assert_eq!(date("2024-03-05", "YYYY-MM-DD"), (2024, 3, 5));
        assert_eq!(date("05 Mar 2024", "DD Mon YYYY"), (2024, 3, 5));
        assert_eq!(date("20240305", "YYYYMMDD"), (2024, 3, 5));
        assert_eq!(date("2024 065", "YYYY DDD"), (2024, 3, 5));
        assert_eq!(date("2024-10-2", "IYYY-IW-ID"), (2024, 3, 5));
        let state = |text, template: &str| read(text, &parse(template)).unwrap_err().state.0;
        assert_eq!(state("2024-02-31", "YYYY-MM-DD"), "22008");
        assert_eq!(state("x", "YYYY"), "22007");
        assert_eq!(state("2024 13:00", "YYYY HH12:MI"), "22007");
    }
}
