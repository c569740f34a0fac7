//! Exact numbers of paths: a whole number and how many of its digits stand behind the point.

use crate::error::{Result, SqlError, SqlState};
use arrow::datatypes::i256;
use std::cmp::Ordering;
use std::fmt;

/// Digits behind the point that a number may have.
const SCALE_MAX: u32 = 74;
/// Significant digits that a quotient has at least.
const QUOTIENT_DIGITS_MIN: i32 = 16;

/// A number.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    digits: i256,
    scale: u32,
}

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

fn ten_to(power: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(power)
}

impl Number {
    /// Reads a number of JSON or of a path.
    pub fn parse(text: &str) -> Result<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse().map_err(|_| out_of_range())?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let scale = i64::try_from(fraction.len()).map_err(|_| out_of_range())? - exponent;
        let digits = i256::from_string(&format!("{whole}{fraction}")).ok_or_else(out_of_range)?;
        if scale < 0 {
            let power = u32::try_from(-scale).map_err(|_| out_of_range())?;
            let digits = ten_to(power).and_then(|ten| digits.checked_mul(ten)).ok_or_else(out_of_range)?;
            return Ok(Self { digits, scale: 0 });
        }
        let scale = u32::try_from(scale).ok().filter(|scale| *scale <= SCALE_MAX).ok_or_else(out_of_range)?;
        Ok(Self { digits, scale })
    }

    /// A whole number.
    pub fn whole(value: i64) -> Self {
        Self { digits: i256::from_i128(value.into()), scale: 0 }
    }

    /// A double precision number with the 15 digits that numeric takes of it.
    pub fn of_double(value: f64) -> Result<Self> {
        Self::parse(&format!("{value:.14e}")).map(Self::shortest)
    }

    fn shortest(mut self) -> Self {
        let ten = i256::from_i128(10);
        while self.scale > 0 && self.digits.checked_rem(ten) == Some(i256::ZERO) {
            self = Self { digits: self.digits.wrapping_div(ten), scale: self.scale - 1 };
        }
        self
    }

    fn at_scale(self, scale: u32) -> Option<i256> {
        ten_to(scale.checked_sub(self.scale)?)?.checked_mul(self.digits)
    }

    fn aligned(self, other: Self) -> Result<(i256, i256, u32)> {
        let scale = self.scale.max(other.scale);
        match (self.at_scale(scale), other.at_scale(scale)) {
            (Some(left), Some(right)) => Ok((left, right, scale)),
            _ => Err(out_of_range()),
        }
    }

    /// The order of two numbers.
    pub fn order(self, other: Self) -> Ordering {
        match self.aligned(other) {
            Ok((left, right, _)) => left.cmp(&right),
            Err(_) => self.to_double().total_cmp(&other.to_double()),
        }
    }

    /// The nearest double precision number.
    pub fn to_double(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::INFINITY)
    }

    /// `+`
    pub fn plus(self, other: Self) -> Result<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Ok(Self { digits: left.checked_add(right).ok_or_else(out_of_range)?, scale })
    }

    /// `-`
    pub fn minus(self, other: Self) -> Result<Self> {
        self.plus(other.negative())
    }

    /// `*`
    pub fn times(self, other: Self) -> Result<Self> {
        let digits = self.digits.checked_mul(other.digits).ok_or_else(out_of_range)?;
        Ok(Self { digits, scale: self.scale + other.scale })
    }

    /// `/`, with as many digits as numeric gives it.
    pub fn over(self, other: Self) -> Result<Self> {
        if other.digits == i256::ZERO {
            return Err(SqlError::new(SqlState("22012"), "division by zero"));
        }
        let scale = self.quotient_scale(other);
        let power = scale + other.scale;
        let (dividend, divisor) = match power.checked_sub(self.scale) {
            Some(more) => (ten_to(more).and_then(|ten| self.digits.checked_mul(ten)), Some(other.digits)),
            None => (Some(self.digits), ten_to(self.scale - power).and_then(|ten| other.digits.checked_mul(ten))),
        };
        let (Some(dividend), Some(divisor)) = (dividend, divisor) else { return Err(out_of_range()) };
        Ok(Self { digits: rounded(dividend, divisor), scale })
    }

    /// `%`
    pub fn modulo(self, other: Self) -> Result<Self> {
        let (left, right, scale) = self.aligned(other)?;
        match left.checked_rem(right) {
            Some(digits) => Ok(Self { digits, scale }),
            None => Err(SqlError::new(SqlState("22012"), "division by zero")),
        }
    }

    /// The number with its sign turned.
    pub fn negative(self) -> Self {
        Self { digits: self.digits.wrapping_neg(), scale: self.scale }
    }

    /// Without its sign.
    pub fn absolute(self) -> Self {
        if self.digits < i256::ZERO { self.negative() } else { self }
    }

    /// The next whole number below or above.
    pub fn to_whole(self, up: bool) -> Self {
        let Some(unit) = ten_to(self.scale) else { return self };
        let (quotient, rest) = (self.digits.wrapping_div(unit), self.digits.wrapping_rem(unit));
        let step = match (up, rest.cmp(&i256::ZERO)) {
            (true, Ordering::Greater) => 1,
            (false, Ordering::Less) => -1,
            _ => 0,
        };
        Self { digits: quotient.wrapping_add(i256::from_i128(step)), scale: 0 }
    }

    /// The whole number that it has before the point, if it fits an integer.
    pub fn truncated(self) -> Option<i32> {
        let unit = ten_to(self.scale)?;
        self.digits.wrapping_div(unit).to_i128().and_then(|whole| i32::try_from(whole).ok())
    }

    /// Its first group of four digits, and how many groups stand before the point after it.
    fn leading(self) -> (i32, i32) {
        let text = self.absolute().to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let whole = whole.trim_start_matches('0');
        let group = |text: &str| text.parse().unwrap_or(0);
        if !whole.is_empty() {
            let groups = whole.len().div_ceil(4);
            return (group(&whole[..whole.len() - (groups - 1) * 4]), groups as i32 - 1);
        }
        let padded = format!("{fraction:0<width$}", width = fraction.len().div_ceil(4) * 4);
        let groups = padded.as_bytes().chunks(4).map(|chunk| group(std::str::from_utf8(chunk).unwrap_or("0")));
        groups.enumerate().find(|(_, group)| *group != 0).map_or((0, 0), |(at, group)| (group, -(at as i32) - 1))
    }

    fn quotient_scale(self, other: Self) -> u32 {
        let ((first, weight), (other_first, other_weight)) = (self.leading(), other.leading());
        let weight = weight - other_weight - i32::from(first <= other_first);
        let scale = QUOTIENT_DIGITS_MIN - weight * 4;
        scale.clamp(0, SCALE_MAX as i32).unsigned_abs().max(self.scale).max(other.scale)
    }
}

fn rounded(dividend: i256, divisor: i256) -> i256 {
    let (quotient, rest) = (dividend.wrapping_div(divisor), dividend.wrapping_rem(divisor));
    let (rest, half) = (rest.wrapping_abs(), divisor.wrapping_abs().wrapping_sub(rest.wrapping_abs()));
    let away = if (dividend < i256::ZERO) == (divisor < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
    if rest >= half && rest != i256::ZERO { quotient.wrapping_add(away) } else { quotient }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = self.scale as usize;
        let digits = self.digits.wrapping_abs().to_string();
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.digits < i256::ZERO { "-" } else { "" };
        if scale == 0 { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
    }
}
