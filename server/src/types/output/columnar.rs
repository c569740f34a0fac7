//! Whole columns -> text and binary forms: the lengths of all values of a block of rows first, then all values to their places.
//!
//! Common types have loops of their own: no branch on the type, no allocation and no copy for a single value. What those have no form for
//! (dates before Christ, numbers of more than 64 bits, floats, arrays) is written value by value into a side buffer, and copied from there.

use super::super::datetime::{DAY_MICROSECONDS, EPOCH_2000_DAYS, EPOCH_2000_MICROSECONDS};
use super::super::numeric::{PAIRS, write_digits_into};
use super::super::zone::Zone;
use super::{BoundColumn, Values, too_large};
use crate::error::Result;
use crate::types::forms::DateForm;
use arrow::array::{Array, StringViewArray};
use bytes::BytesMut;
use std::ops::Range;

/// 0001-01-01 and 9999-12-31, the first and the last day that is written as ten characters.
const TEN_CHARACTER_DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;
const POWERS_OF_10: [u64; 19] = {
    let mut powers = [1; 19];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// The values of one column in a block of rows, measured. Reused from block to block.
#[derive(Default)]
pub(crate) struct Cells {
    sizes: Vec<i32>,
    form: Form,
    side: BytesMut,
}

/// How a block's values are written.
#[derive(Clone, Copy, Default)]
enum Form {
    #[default]
    Aside,
    /// Integers in binary, floats, booleans: big endian.
    Fixed,
    Integer,
    /// With its scale.
    Decimal(usize),
    /// A numeric in binary, with its scale.
    Groups(usize),
    Date,
    Timestamp,
    Text,
}

impl Cells {
    /// The length of each row's value in bytes; negative: NULL.
    pub(crate) fn sizes(&self) -> &[i32] {
        &self.sizes
    }
    /// Takes values that somebody else writes: all that is kept is what they write aside.
    pub(crate) fn set_aside(
        &mut self,
        values: impl Iterator<Item = usize>,
        mut write: impl FnMut(usize, &mut BytesMut) -> Result<bool>,
    ) -> Result<()> {
        self.sizes.clear();
        self.side.clear();
        self.form = Form::Aside;
        for value in values {
            let start = self.side.len();
            let present = write(value, &mut self.side)?;
            let size = i32::try_from(self.side.len() - start).map_err(|_| too_large())?;
            self.sizes.push(if present { size } else { -1 });
        }
        Ok(())
    }
}

impl BoundColumn {
    /// Measures the values of some rows.
    pub(crate) fn measure(&self, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        cells.sizes.clear();
        let form = if self.binary { self.measure_binary(&rows, &mut cells.sizes)? } else { self.measure_text(&rows, &mut cells.sizes)? };
        let Some(form) = form else {
            return cells.set_aside(rows, |row, out| match self.is_null(row) {
                true => Ok(false),
                false => self.write(row, out).map(|()| true),
            });
        };
        cells.form = form;
        if let Some(nulls) = self.array.nulls() {
            for (size, row) in cells.sizes.iter_mut().zip(rows) {
                if nulls.is_null(row) {
                    *size = -1;
                }
            }
        }
        Ok(())
    }
    fn measure_text(&self, rows: &Range<usize>, sizes: &mut Vec<i32>) -> Result<Option<Form>> {
        let rows = rows.clone();
        let iso = self.styles.date == DateForm::Iso;
        Ok(match &self.values {
            Values::Int2(values) => Some(measure_integers(values.values()[rows].iter().map(|value| i64::from(*value)), sizes)),
            Values::Int4(values) => Some(measure_integers(values.values()[rows].iter().map(|value| i64::from(*value)), sizes)),
            Values::Int8(values) => Some(measure_integers(values.values()[rows].iter().copied(), sizes)),
            Values::Oid(values) => Some(measure_integers(values.values()[rows].iter().map(|value| i64::from(*value)), sizes)),
            Values::Decimal128(values, scale, false) => measure_decimals(&values.values()[rows], *scale, sizes),
            Values::Date(values) if iso => measure_dates(&values.values()[rows], 10, Form::Date, sizes),
            Values::Timestamp(values, None) if iso => measure_timestamps(&values.values()[rows], 0, sizes),
            Values::Timestamp(values, Some(Zone::Utc)) if iso => measure_timestamps(&values.values()[rows], 3, sizes),
            Values::Utf8View(values) => Some(measure_texts(values, rows, sizes)?),
            _ => None,
        })
    }
    fn measure_binary(&self, rows: &Range<usize>, sizes: &mut Vec<i32>) -> Result<Option<Form>> {
        let mut fixed = |width| {
            sizes.resize(rows.len(), width);
            Some(Form::Fixed)
        };
        Ok(match &self.values {
            Values::Boolean(_) => fixed(1),
            Values::Int2(_) => fixed(2),
            Values::Int4(_) | Values::Oid(_) | Values::Float4(..) => fixed(4),
            Values::Int8(_) | Values::Float8(..) => fixed(8),
            Values::Date(values) => measure_dates(&values.values()[rows.clone()], 4, Form::Fixed, sizes),
            Values::Timestamp(values, _) => {
                let values = &values.values()[rows.clone()];
                values.iter().all(|value| TEN_CHARACTER_DAYS.contains(&value.div_euclid(DAY_MICROSECONDS))).then(|| fixed(8)).flatten()
            }
            Values::Decimal128(values, scale, false) => measure_groups(&values.values()[rows.clone()], *scale, sizes),
            Values::Utf8View(values) => Some(measure_texts(values, rows.clone(), sizes)?),
            _ => None,
        })
    }
    /// Writes the values that were measured to their places: value `i` to `out` from `starts[i]` on.
    pub(crate) fn place(&self, rows: Range<usize>, cells: &Cells, starts: &[usize], out: &mut [u8]) {
        let slots = Slots { sizes: &cells.sizes, starts, out };
        match (cells.form, &self.values) {
            (Form::Fixed, _) => self.place_fixed(rows, slots),
            (Form::Integer, Values::Int2(values)) => slots.fill(&values.values()[rows], |value, slot| place_integer((*value).into(), slot)),
            (Form::Integer, Values::Int4(values)) => slots.fill(&values.values()[rows], |value, slot| place_integer((*value).into(), slot)),
            (Form::Integer, Values::Int8(values)) => slots.fill(&values.values()[rows], |value, slot| place_integer(*value, slot)),
            (Form::Integer, Values::Oid(values)) => slots.fill(&values.values()[rows], |value, slot| place_integer((*value).into(), slot)),
            (Form::Decimal(2), Values::Decimal128(values, ..)) => {
                slots.fill(&values.values()[rows], |value, slot| place_cents(*value, slot))
            }
            (Form::Decimal(scale), Values::Decimal128(values, ..)) => {
                slots.fill(&values.values()[rows], |value, slot| place_decimal(*value, scale, slot));
            }
            (Form::Groups(scale), Values::Decimal128(values, ..)) => {
                slots.fill(&values.values()[rows], |value, slot| place_groups(*value, scale, slot));
            }
            (Form::Date, Values::Date(values)) => slots.fill(&values.values()[rows], |days, slot| place_date(*days, slot)),
            (Form::Timestamp, Values::Timestamp(values, _)) => {
                slots.fill(&values.values()[rows], |moment, slot| place_timestamp(*moment, slot));
            }
            (Form::Text, Values::Utf8View(values)) => {
                slots.fill(rows, |row, slot| slot.copy_from_slice(values.value(row).as_bytes()));
            }
            _ => slots.copy(&cells.side),
        }
    }
    fn place_fixed(&self, rows: Range<usize>, slots: Slots<'_>) {
        match &self.values {
            Values::Boolean(values) => slots.fill(rows, |row, slot| slot[0] = values.value(row).into()),
            Values::Int2(values) => slots.fill(&values.values()[rows], |value, slot| slot.copy_from_slice(&value.to_be_bytes())),
            Values::Int4(values) => slots.fill(&values.values()[rows], |value, slot| slot.copy_from_slice(&value.to_be_bytes())),
            Values::Int8(values) => slots.fill(&values.values()[rows], |value, slot| slot.copy_from_slice(&value.to_be_bytes())),
            Values::Oid(values) => slots.fill(&values.values()[rows], |value, slot| slot.copy_from_slice(&value.to_be_bytes())),
            Values::Float4(values, _) => slots.fill(&values.values()[rows], |value, slot| slot.copy_from_slice(&value.to_be_bytes())),
            Values::Float8(values, _) => slots.fill(&values.values()[rows], |value, slot| slot.copy_from_slice(&value.to_be_bytes())),
            Values::Date(values) => {
                slots.fill(&values.values()[rows], |days, slot| slot.copy_from_slice(&(days - EPOCH_2000_DAYS).to_be_bytes()));
            }
            Values::Timestamp(values, _) => {
                let shifted = |moment: &i64| moment - EPOCH_2000_MICROSECONDS;
                slots.fill(&values.values()[rows], |moment, slot| slot.copy_from_slice(&shifted(moment).to_be_bytes()));
            }
            _ => {}
        }
    }
    /// The column's values, if they are plain text.
    pub(crate) fn texts(&self) -> Option<&StringViewArray> {
        match &self.values {
            Values::Utf8View(values) => Some(values),
            _ => None,
        }
    }
    /// Whether all that the column's text form can consist of is digits and a few signs.
    pub(crate) fn is_number_or_time(&self) -> bool {
        let numbers = matches!(&self.values, Values::Int2(_) | Values::Int4(_) | Values::Int8(_) | Values::Oid(_) | Values::Decimal128(..));
        numbers || matches!(&self.values, Values::Date(_) | Values::Timestamp(..))
    }
}

/// Where values go.
struct Slots<'a> {
    sizes: &'a [i32],
    starts: &'a [usize],
    out: &'a mut [u8],
}

impl Slots<'_> {
    /// Gives each value that is not NULL its place.
    #[inline(always)]
    fn fill<V>(self, values: impl IntoIterator<Item = V>, write: impl Fn(V, &mut [u8])) {
        for ((size, start), value) in self.sizes.iter().zip(self.starts).zip(values) {
            if let Ok(size) = usize::try_from(*size) {
                write(value, &mut self.out[*start..*start + size]);
            }
        }
    }
    fn copy(self, mut from: &[u8]) {
        for (size, start) in self.sizes.iter().zip(self.starts) {
            if let Ok(size) = usize::try_from(*size) {
                let (value, rest) = from.split_at(size);
                self.out[*start..*start + size].copy_from_slice(value);
                from = rest;
            }
        }
    }
}

/// Digits of a number, at least one.
fn digits(value: u64) -> i32 {
    // No power of ten is odd, so that this changes the number of digits of 0 alone.
    (value | 1).ilog10() as i32 + 1
}

fn measure_integers(values: impl Iterator<Item = i64>, sizes: &mut Vec<i32>) -> Form {
    sizes.extend(values.map(|value| digits(value.unsigned_abs()) + i32::from(value < 0)));
    Form::Integer
}

fn measure_decimals(values: &[i128], scale: i8, sizes: &mut Vec<i32>) -> Option<Form> {
    let places = usize::try_from(scale).ok().filter(|places| *places < POWERS_OF_10.len())?;
    let (least, point) = (i32::from(scale) + 1, i32::from(scale > 0));
    for value in values {
        let value = i64::try_from(*value).ok()?;
        sizes.push(digits(value.unsigned_abs()).max(least) + point + i32::from(value < 0));
    }
    Some(Form::Decimal(places))
}

/// `size` for each day of four digits' years; nothing if there are others.
fn measure_dates(days: &[i32], size: i32, form: Form, sizes: &mut Vec<i32>) -> Option<Form> {
    sizes.resize(days.len(), size);
    days.iter().all(|days| TEN_CHARACTER_DAYS.contains(&i64::from(*days))).then_some(form)
}

fn measure_timestamps(values: &[i64], zone_bytes: i32, sizes: &mut Vec<i32>) -> Option<Form> {
    for value in values {
        if !TEN_CHARACTER_DAYS.contains(&value.div_euclid(DAY_MICROSECONDS)) {
            return None;
        }
        sizes.push(19 + zone_bytes + fraction_bytes(value.rem_euclid(1_000_000) as u32));
    }
    Some(Form::Timestamp)
}

/// The point and the digits that a fraction of a second is written with.
fn fraction_bytes(mut microseconds: u32) -> i32 {
    if microseconds == 0 {
        return 0;
    }
    let mut bytes = 7;
    while microseconds.is_multiple_of(10) {
        microseconds /= 10;
        bytes -= 1;
    }
    bytes
}

fn measure_texts(values: &StringViewArray, rows: Range<usize>, sizes: &mut Vec<i32>) -> Result<Form> {
    // A view begins with its text's length.
    for view in &values.views()[rows] {
        sizes.push(i32::try_from(*view as u32).map_err(|_| too_large())?);
    }
    Ok(Form::Text)
}

/// A number's groups of four digits, the last group being whole: only numbers that this cannot make too large.
fn grouped(value: i64, scale: usize) -> Option<u64> {
    let value = Some(value.unsigned_abs()).filter(|value| *value < 1_000_000_000_000_000)?;
    Some(value * POWERS_OF_10[(4 - scale % 4) % 4])
}

/// Without the groups of zeros at the end, and how many those were.
fn without_zeros(mut value: u64) -> (u64, usize) {
    let mut zeros = 0;
    while value != 0 && value.is_multiple_of(10_000) {
        value /= 10_000;
        zeros += 1;
    }
    (value, zeros)
}

fn measure_groups(values: &[i128], scale: i8, sizes: &mut Vec<i32>) -> Option<Form> {
    let places = usize::try_from(scale).ok().filter(|places| *places < POWERS_OF_10.len())?;
    for value in values {
        let (value, _) = without_zeros(grouped(i64::try_from(*value).ok()?, places)?);
        let groups = if value == 0 { 0 } else { (digits(value) + 3) / 4 };
        sizes.push(8 + 2 * groups);
    }
    Some(Form::Groups(places))
}

#[inline]
fn place_integer(value: i64, slot: &mut [u8]) {
    let slot = place_sign(value, slot);
    write_digits_into(value.unsigned_abs(), slot);
}

#[inline]
fn place_sign(value: i64, slot: &mut [u8]) -> &mut [u8] {
    if value < 0 {
        slot[0] = b'-';
        return &mut slot[1..];
    }
    slot
}

/// Two places are what most decimals have: no division by a number that is not known.
#[inline]
fn place_cents(value: i128, slot: &mut [u8]) {
    let value = value as i64;
    let (whole, cents) = (value.unsigned_abs() / 100, value.unsigned_abs() % 100);
    let slot = place_sign(value, slot);
    let Some((whole_slot, cents_slot)) = slot.split_last_chunk_mut::<3>() else { return };
    let pair = cents as usize * 2;
    *cents_slot = [b'.', PAIRS[pair], PAIRS[pair + 1]];
    write_digits_into(whole, whole_slot);
}

fn place_decimal(value: i128, scale: usize, slot: &mut [u8]) {
    let value = value as i64;
    let slot = place_sign(value, slot);
    if scale == 0 {
        return write_digits_into(value.unsigned_abs(), slot);
    }
    let (whole, fraction) = slot.split_at_mut(slot.len() - scale - 1);
    fraction[0] = b'.';
    write_digits_into(value.unsigned_abs() % POWERS_OF_10[scale], &mut fraction[1..]);
    write_digits_into(value.unsigned_abs() / POWERS_OF_10[scale], whole);
}

/// PostgreSQL's binary numeric: number of groups, weight of the first, sign, scale, groups.
fn place_groups(value: i128, scale: usize, slot: &mut [u8]) {
    let value = value as i64;
    let (mut rest, zeros) = without_zeros(grouped(value, scale).unwrap_or(0));
    let (head, groups) = slot.split_at_mut(8);
    let count = groups.len() / 2;
    let weight = if count == 0 { 0 } else { (count + zeros) as i16 - 1 - scale.div_ceil(4) as i16 };
    let sign: u16 = if value < 0 { 0x4000 } else { 0 };
    head[..2].copy_from_slice(&(count as u16).to_be_bytes());
    head[2..4].copy_from_slice(&weight.to_be_bytes());
    head[4..6].copy_from_slice(&sign.to_be_bytes());
    head[6..].copy_from_slice(&(scale as u16).to_be_bytes());
    for group in groups.rchunks_exact_mut(2) {
        group.copy_from_slice(&((rest % 10_000) as u16).to_be_bytes());
        rest /= 10_000;
    }
}

/// The date of a day in year 1 or later, after Neri and Schneider: two multiplications take the place of most divisions.
#[inline]
fn civil(days: i32) -> (u32, u32, u32) {
    // From March of year 0 on.
    let shifted = (days + 719_468) as u32 * 4 + 3;
    let (century, of_century) = (shifted / 146_097, shifted % 146_097 / 4);
    let product = 2_939_745 * u64::from(of_century * 4 + 3);
    let (year, of_year) = ((product >> 32) as u32, (product as u32) / 2_939_745 / 4);
    let packed = of_year * 2_141 + 197_913;
    let (month, day) = (packed >> 16, (packed & 0xffff) / 2_141 + 1);
    let next = of_year >= 306;
    (century * 100 + year + u32::from(next), if next { month - 12 } else { month }, day)
}

#[inline]
fn place_date(days: i32, slot: &mut [u8]) {
    let (year, month, day) = civil(days);
    let Some(slot) = slot.first_chunk_mut::<10>() else { return };
    let (high, low, month, day) = (pair(year / 100), pair(year % 100), pair(month), pair(day));
    *slot = [high[0], high[1], low[0], low[1], b'-', month[0], month[1], b'-', day[0], day[1]];
}

#[inline]
fn pair(value: u32) -> [u8; 2] {
    let at = (value % 100) as usize * 2;
    [PAIRS[at], PAIRS[at + 1]]
}

fn place_timestamp(moment: i64, slot: &mut [u8]) {
    let (day, of_day) = (moment.div_euclid(DAY_MICROSECONDS), moment.rem_euclid(DAY_MICROSECONDS));
    let (date, rest) = slot.split_at_mut(10);
    place_date(day as i32, date);
    let seconds = (of_day / 1_000_000) as u32;
    let (hours, minutes, seconds) = (pair(seconds / 3600), pair(seconds / 60 % 60), pair(seconds % 60));
    let (time, rest) = rest.split_at_mut(9);
    time.copy_from_slice(&[b' ', hours[0], hours[1], b':', minutes[0], minutes[1], b':', seconds[0], seconds[1]]);
    let microseconds = (of_day % 1_000_000) as u32;
    let (fraction, zone) = rest.split_at_mut(fraction_bytes(microseconds) as usize);
    if let Some((point, kept)) = fraction.split_first_mut() {
        *point = b'.';
        write_digits_into(u64::from(microseconds) / POWERS_OF_10[6 - kept.len()], kept);
    }
    if !zone.is_empty() {
        zone.copy_from_slice(b"+00");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::{SqlType, datetime};
    use super::super::{ColumnEncoder, ValueForms};
    use super::*;
    use arrow::array::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// Values written by column and one by one are the same.
    fn agrees(sql_type: &SqlType, array: ArrayRef) {
        for binary in [false, true] {
            let column = ColumnEncoder::new(sql_type, binary, &ValueForms::default()).bind(&array).unwrap();
            let mut cells = Cells::default();
            for rows in [0..array.len(), array.len() / 2..array.len(), 0..0] {
                column.measure(rows.clone(), &mut cells).unwrap();
                let ends = cells.sizes().iter().scan(0, |end, size| {
                    *end += usize::try_from(*size).unwrap_or(0);
                    Some(*end)
                });
                let ends: Vec<usize> = ends.collect();
                let starts: Vec<usize> = std::iter::once(0).chain(ends.iter().copied()).take(ends.len()).collect();
                let mut out = vec![0; ends.last().copied().unwrap_or(0)];
                column.place(rows.clone(), &cells, &starts, &mut out);
                for (i, row) in rows.enumerate() {
                    let mut one = BytesMut::new();
                    if column.is_null(row) {
                        assert!(cells.sizes()[i] < 0);
                        continue;
                    }
                    column.write(row, &mut one).unwrap();
                    let text = String::from_utf8_lossy(&one).into_owned();
                    assert_eq!(&out[starts[i]..ends[i]], &one[..], "{text} of {sql_type:?}, binary: {binary}");
                }
            }
        }
    }

    fn decimals(values: Vec<Option<i128>>, precision: u8, scale: i8) -> (SqlType, ArrayRef) {
        let array = Decimal128Array::from(values).with_precision_and_scale(38, scale).unwrap();
        (SqlType::Numeric(Some((precision, scale))), Arc::new(array.with_precision_and_scale(precision, scale).unwrap()))
    }

    #[test]
    fn a_block_with_values_of_no_fast_form() {
        let (sql_type, array) = decimals(vec![Some(1), None, Some(i128::from(i64::MAX) * 10)], 38, 2);
        agrees(&sql_type, array);
        agrees(&SqlType::Date, Arc::new(Date32Array::from(vec![Some(0), None, Some(-800_000), Some(3_000_000)])));
        agrees(&SqlType::Timestamp, Arc::new(TimestampMicrosecondArray::from(vec![Some(0), Some(-80_000_000_000_000_000)])));
        agrees(&SqlType::Float8, Arc::new(Float64Array::from(vec![Some(0.5), None, Some(f64::NAN)])));
        agrees(&SqlType::Boolean, Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])));
    }

    #[test]
    fn texts() {
        let array = StringViewArray::from(vec![Some("short"), None, Some(""), Some("longer than what a view holds in place")]);
        agrees(&SqlType::Text, Arc::new(array));
    }

    #[test]
    fn all_dates_of_four_digits_years() {
        for days in *TEN_CHARACTER_DAYS.start()..=*TEN_CHARACTER_DAYS.end() {
            let (year, month, day) = datetime::civil_from_days(days);
            assert_eq!(civil(days as i32), (year as u32, month, day));
        }
    }

    proptest! {
        #[test]
        fn integers(values in prop::collection::vec(any::<Option<i64>>(), 1..20), shift in 0u32..64) {
            let values = values.into_iter().map(|value| value.map(|value| value >> shift));
            agrees(&SqlType::Int8, Arc::new(Int64Array::from_iter(values)));
        }

        #[test]
        fn numbers(values in prop::collection::vec(any::<Option<i64>>(), 1..20), shift in 0u32..64, zeros in 0u32..9, scale in 0i8..19) {
            let shifted = |value: i64| (value >> shift).checked_mul(10i64.pow(zeros)).unwrap_or(value);
            let (sql_type, array) = decimals(values.into_iter().map(|value| value.map(|value| shifted(value).into())).collect(), 38, scale);
            agrees(&sql_type, array);
        }

        #[test]
        fn moments(values in prop::collection::vec(any::<Option<i64>>(), 1..20), unit in 0u32..7) {
            let rounded = |value: i64| value / 40 / 10i64.pow(unit) * 10i64.pow(unit);
            let array = TimestampMicrosecondArray::from_iter(values.into_iter().map(|value| value.map(rounded)));
            agrees(&SqlType::Timestamp, Arc::new(array.clone()));
            agrees(&SqlType::Timestamptz, Arc::new(array.with_timezone("UTC")));
        }
    }
}
