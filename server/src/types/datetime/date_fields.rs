//! The fields of a date as they come in its text, and which of them is the year, the month and the day.
//!
//! A field with three digits or more is a year where a year can stand, the name of a month is a month; what two digits are is DateStyle's
//! order to say, never a guess by their size.

use super::super::forms::DateOrder;
use super::reading::Fault;
use super::{civil_from_days, days_from_civil, days_in_month};

/// What is known of a date so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DateFields {
    order: DateOrder,
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    /// The year was written with one or two digits: its century is to be found.
    short_year: bool,
    /// The month was given by its name.
    named_month: bool,
}

impl DateFields {
    /// Nothing yet.
    pub(super) fn new(order: DateOrder) -> Self {
        Self { order, ..Self::default() }
    }
    /// Whether nothing has been said yet.
    pub(super) fn is_empty(&self) -> bool {
        (self.year, self.month, self.day) == (None, None, None)
    }
    /// Whether year, month and day are known.
    pub(super) fn is_complete(&self) -> bool {
        self.year.is_some() && self.month.is_some() && self.day.is_some()
    }
    /// Takes a whole date.
    pub(super) fn set(&mut self, year: i64, short_year: bool, month: i64, day: i64) -> Result<(), Fault> {
        if !self.is_empty() {
            return Err(Fault::Syntax);
        }
        (self.year, self.month, self.day, self.short_year) = (Some(year), Some(month), Some(day), short_year);
        Ok(())
    }
    /// Takes a month by its name. A number that was taken for the month before is the day then.
    pub(super) fn named_month(&mut self, month: u32) -> Result<(), Fault> {
        match self.month {
            Some(_) if self.named_month => return Err(Fault::Syntax),
            Some(number) if self.day.is_none() && (1..=31).contains(&number) => self.day = Some(number),
            Some(_) => return Err(Fault::Syntax),
            None => {}
        }
        (self.month, self.named_month) = (Some(i64::from(month)), true);
        Ok(())
    }
    /// Takes the next number; digits only.
    pub(super) fn number(&mut self, digits: &str) -> Result<(), Fault> {
        let value: i64 = digits.parse::<i32>().map_err(|_| Fault::Range)?.into();
        let width = digits.len();
        match (self.year, self.month, self.day) {
            (Some(year), None, None) if width == 3 && (1..=366).contains(&value) => return self.day_of_year(year, value),
            (None, None, None) | (None, Some(_), None) if self.is_year(width) => self.set_year(value, width),
            (None, None, None) if self.order == DateOrder::Dmy => self.day = Some(value),
            (None, None, None) | (Some(_), None, None) | (None, None, Some(_)) => self.month = Some(value),
            // 08-Jan-2001 where years come first: what was taken for the year is the day.
            (Some(day), Some(_), None) if self.named_month && width >= 3 && self.short_year => {
                self.day = Some(day);
                self.set_year(value, width);
            }
            (_, Some(_), None) => self.day = Some(value),
            (None, Some(_), Some(_)) => self.set_year(value, width),
            _ => return Err(Fault::Syntax),
        }
        Ok(())
    }
    /// Whether a number that stands first, or first beside the name of a month, is the year.
    fn is_year(&self, width: usize) -> bool {
        (self.month.is_none() || self.named_month) && (width >= 3 || self.order == DateOrder::Ymd)
    }
    fn set_year(&mut self, value: i64, width: usize) {
        (self.year, self.short_year) = (Some(value), width <= 2);
    }
    fn day_of_year(&mut self, year: i64, day: i64) -> Result<(), Fault> {
        let first = days_from_civil(year, 1, 1);
        if day > days_from_civil(year + 1, 1, 1) - first {
            return Err(Fault::Range);
        }
        let (_, month, day) = civil_from_days(first + day - 1);
        (self.month, self.day) = (Some(month.into()), Some(day.into()));
        Ok(())
    }
    /// Takes a date in one word, of fields between `-`, `/` or `.`: `2001-02-03`, `3-Feb-2001`, `2001.034`. The name of a month counts first.
    pub(super) fn word(&mut self, word: &str) -> Result<(), Fault> {
        let fields: Vec<&str> = word.split(['-', '/', '.']).collect();
        if !self.is_empty() || fields.len() > 3 {
            return Err(Fault::Syntax);
        }
        let is_name = |field: &&&str| field.starts_with(|first: char| first.is_ascii_alphabetic());
        for name in fields.iter().filter(is_name) {
            self.named_month(month_number(&name.to_ascii_lowercase()).ok_or(Fault::Syntax)?)?;
        }
        for digits in fields.iter().filter(|field| !is_name(field)) {
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Fault::Syntax);
            }
            self.number(digits)?;
        }
        if self.is_complete() { Ok(()) } else { Err(Fault::Syntax) }
    }
    /// Days since 1970 of the date. Years before Christ are counted from 1 backward, and written whole.
    pub(super) fn day_number(&self, before_christ: bool) -> Result<i64, Fault> {
        let (Some(year), Some(month), Some(day)) = (self.year, self.month, self.day) else { return Err(Fault::Syntax) };
        let year = match (before_christ, self.short_year) {
            (true, _) if year > 0 => 1 - year,
            (false, true) => full_year(year),
            (false, false) if year > 0 => year,
            _ => return Err(Fault::Range),
        };
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Fault::MonthOrDay);
        }
        let (month, day) = (month as u32, day as u32);
        if day > days_in_month(year, month) || !(-4713..=5_874_897).contains(&year) {
            return Err(Fault::Range);
        }
        Ok(days_from_civil(year, month, day))
    }
}

/// The year of two digits: from 1970 to 2069.
fn full_year(year: i64) -> i64 {
    match year {
        0..70 => year + 2000,
        _ => year + 1900,
    }
}

/// The number of a month by its name or the first three letters of it, in lower case.
pub(super) fn month_number(word: &str) -> Option<u32> {
    const MONTHS: [&str; 12] =
        ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
    if word == "sept" {
        return Some(9);
    }
    let index = MONTHS.iter().position(|month| *month == word || (word.len() == 3 && month.starts_with(word)))?;
    Some(index as u32 + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(order: DateOrder, word: &str) -> Result<(i64, u32, u32), Fault> {
        let mut fields = DateFields::new(order);
        fields.word(word)?;
        fields.day_number(false).map(civil_from_days)
    }

    #[test]
    fn the_order_says_what_two_digits_are() {
        use DateOrder::{Dmy, Mdy, Ymd};
        for (word, mdy, dmy, ymd) in [
            ("01/02/03", Ok((2003, 1, 2)), Ok((2003, 2, 1)), Ok((2001, 2, 3))),
            ("1/18/1999", Ok((1999, 1, 18)), Err(Fault::MonthOrDay), Err(Fault::MonthOrDay)),
            ("18/1/1999", Err(Fault::MonthOrDay), Ok((1999, 1, 18)), Err(Fault::MonthOrDay)),
            ("99-Jan-08", Err(Fault::MonthOrDay), Err(Fault::MonthOrDay), Ok((1999, 1, 8))),
            ("08-Jan-99", Ok((1999, 1, 8)), Ok((1999, 1, 8)), Err(Fault::MonthOrDay)),
            ("08-Jan-1999", Ok((1999, 1, 8)), Ok((1999, 1, 8)), Ok((1999, 1, 8))),
            ("2001-02-03", Ok((2001, 2, 3)), Ok((2001, 2, 3)), Ok((2001, 2, 3))),
            ("1999.008", Ok((1999, 1, 8)), Ok((1999, 1, 8)), Ok((1999, 1, 8))),
            ("1-Jan", Err(Fault::Syntax), Err(Fault::Syntax), Err(Fault::Syntax)),
            ("1999-366", Err(Fault::Range), Err(Fault::Range), Err(Fault::Range)),
        ] {
            assert_eq!([read(Mdy, word), read(Dmy, word), read(Ymd, word)], [mdy, dmy, ymd], "{word}");
        }
    }
}
