//! `to_char(number, template)` and `to_number(text, template)`.
//!
//! 1. [`parse`] cuts a template into words and says what they ask for ([`Shape`]), or why they cannot stand together.
//! 2. The number is rounded to the template's digits and written plainly: a sign, digits, perhaps a point.
//! 3. [`Writer`] walks the template and sets each character of that in its place; [`Reader`] goes the other way.

use super::super::Call;
use super::nodes::{Ordinal, ordinal_ending};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use std::sync::Arc;

/// A word of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Nine,
    Zero,
    Point,
    Comma,
    Group,
    Currency,
    Sign,
    Minus,
    Plus,
    PlusMinus,
    Brackets,
    Roman(bool),
    Ordinal(bool),
    Shift,
    Exponent,
    Blank,
    Fill,
    Text(char),
}

/// What a template asks for.
#[derive(Clone, Debug, Default)]
struct Shape {
    words: Vec<Word>,
    before: usize,
    after: usize,
    shift: usize,
    decimal: bool,
    shifts: bool,
    zero: bool,
    zero_start: usize,
    zero_end: usize,
    fill: bool,
    sign: bool,
    sign_after: bool,
    sign_place: usize,
    brackets: bool,
    minus: bool,
    plus: bool,
    roman: bool,
    exponent: bool,
    blank: bool,
}

/// The words, in upper case; all but one can be written in lower case too.
const WORDS: [(&str, Word); 20] = [
    (",", Word::Comma),
    (".", Word::Point),
    ("0", Word::Zero),
    ("9", Word::Nine),
    ("B", Word::Blank),
    ("C", Word::Blank),
    ("D", Word::Point),
    ("EEEE", Word::Exponent),
    ("FM", Word::Fill),
    ("G", Word::Group),
    ("L", Word::Currency),
    ("MI", Word::Minus),
    ("PL", Word::Plus),
    ("PR", Word::Brackets),
    ("SG", Word::PlusMinus),
    ("S", Word::Sign),
    ("V", Word::Shift),
    ("RN", Word::Roman(true)),
    ("TH", Word::Ordinal(true)),
    ("rn", Word::Roman(false)),
];

fn parse(template: &str) -> Result<Shape> {
    let mut shape = Shape::default();
    let mut rest = template;
    while let Some(first) = rest.chars().next() {
        if let Some((word, length)) = word(rest) {
            shape.take(word)?;
            rest = &rest[length..];
        } else if first == '"' {
            let inside = &rest[1..];
            let end = inside.find('"').unwrap_or(inside.len());
            shape.words.extend(inside[..end].chars().map(Word::Text));
            rest = inside.get(end + 1..).unwrap_or_default();
        } else {
            let escaped = rest.starts_with("\\\"");
            shape.words.push(Word::Text(if escaped { '"' } else { first }));
            rest = &rest[if escaped { 2 } else { first.len_utf8() }..];
        }
    }
    Ok(shape)
}

fn word(text: &str) -> Option<(Word, usize)> {
    if text.starts_with("th") {
        return Some((Word::Ordinal(false), 2));
    }
    let exact = WORDS.iter().find(|(word, _)| text.starts_with(word));
    let lower = || WORDS.iter().find(|(word, _)| text.starts_with(&word.to_lowercase()));
    exact.or_else(lower).map(|(word, found)| (*found, word.len()))
}

fn refused(message: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message.to_string())
}

impl Shape {
    /// Counts digits, notes signs, and refuses what cannot stand together.
    fn take(&mut self, word: Word) -> Result<()> {
        if self.exponent && word != Word::Exponent {
            return Err(refused("\"EEEE\" must be the last pattern used"));
        }
        self.words.push(word);
        match word {
            Word::Nine | Word::Zero => self.digit(word)?,
            Word::Point if self.decimal => return Err(refused("multiple decimal points")),
            Word::Point if self.shifts => return Err(refused("cannot use \"V\" and decimal point together")),
            Word::Point => self.decimal = true,
            Word::Shift if self.decimal => return Err(refused("cannot use \"V\" and decimal point together")),
            Word::Shift => self.shifts = true,
            Word::Fill => self.fill = true,
            Word::Blank => self.blank = true,
            Word::Roman(_) => self.roman = true,
            Word::Exponent => self.take_exponent()?,
            _ => self.signs(word)?,
        }
        Ok(())
    }
    fn digit(&mut self, word: Word) -> Result<()> {
        if self.brackets {
            let shown = if word == Word::Nine { "9" } else { "0" };
            return Err(refused(&format!("\"{shown}\" must be ahead of \"PR\"")));
        }
        if word == Word::Nine && self.shifts {
            self.shift += 1;
            return Ok(());
        }
        if word == Word::Zero && !self.zero && !self.decimal {
            self.zero = true;
            self.zero_start = self.before + 1;
        }
        if self.decimal {
            self.after += 1;
        } else {
            self.before += 1;
        }
        if word == Word::Zero {
            self.zero_end = self.before + self.after;
        }
        Ok(())
    }
    fn take_exponent(&mut self) -> Result<()> {
        if self.exponent {
            return Err(refused("cannot use \"EEEE\" twice"));
        }
        if self.blank || self.fill || self.sign || self.brackets || self.minus || self.plus || self.roman || self.shifts {
            let error = refused("\"EEEE\" is incompatible with other formats");
            return Err(error.with_detail("\"EEEE\" may only be used together with digit and decimal point patterns."));
        }
        self.exponent = true;
        Ok(())
    }
    fn signs(&mut self, word: Word) -> Result<()> {
        match word {
            Word::Sign if self.sign => return Err(refused("cannot use \"S\" twice")),
            Word::Sign if self.plus || self.minus || self.brackets => {
                return Err(refused("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
            }
            Word::Sign => {
                (self.sign, self.sign_after, self.sign_place) = (true, self.decimal, self.before);
            }
            Word::Minus if self.sign => return Err(refused("cannot use \"S\" and \"MI\" together")),
            Word::Minus => self.minus = true,
            Word::Plus if self.sign => return Err(refused("cannot use \"S\" and \"PL\" together")),
            Word::Plus => self.plus = true,
            Word::PlusMinus if self.sign => return Err(refused("cannot use \"S\" and \"SG\" together")),
            Word::PlusMinus => (self.minus, self.plus) = (true, true),
            Word::Brackets if self.sign || self.plus || self.minus => {
                return Err(refused("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
            }
            Word::Brackets => self.brackets = true,
            _ => {}
        }
        Ok(())
    }
}

/// Writes numbers by templates, each of which is parsed once.
pub fn to_char(call: &Call<'_>, number: &SqlType) -> Result<ArrayRef> {
    let templates = call.texts(1)?;
    let float = matches!(number, SqlType::Float4 | SqlType::Float8);
    let values = call.column(0, number)?;
    let texts = call.texts(0)?;
    let mut shapes = std::collections::HashMap::new();
    let mut builder = StringViewBuilder::with_capacity(texts.len());
    for (row, pair) in templates.iter().zip(&texts).enumerate() {
        let (Some(template), Some(text)) = pair else {
            builder.append_null();
            continue;
        };
        if !shapes.contains_key(template) {
            shapes.insert(template, parse(template)?);
        }
        let shape = shapes[template].clone();
        builder.append_value(if float { of_float(shape, double(&values, row), number)? } else { of_decimal(shape, text)? });
    }
    Ok(Arc::new(builder.finish()))
}

fn double(values: &ArrayRef, row: usize) -> f64 {
    match values.data_type() {
        DataType::Float32 => values.as_primitive::<Float32Type>().value(row).into(),
        _ => values.as_primitive::<Float64Type>().value(row),
    }
}

/// A float has only so many digits to show.
fn of_float(mut shape: Shape, value: f64, number: &SqlType) -> Result<String> {
    if shape.roman {
        return Ok(Writer::roman(shape, value.round_ties_even()));
    }
    if shape.exponent {
        return Ok(scientific(value, shape.after));
    }
    let value = if shape.shifts { value * 10f64.powi(shape.shift as i32) } else { value };
    let digits_max = if *number == SqlType::Float4 { 6 } else { 15 };
    let whole = format!("{:.0}", value.abs()).len();
    if whole >= digits_max {
        shape.after = 0;
    } else if whole + shape.after > digits_max {
        shape.after = digits_max - whole;
    }
    let plain = format!("{:.*}", shape.after, value);
    Ok(placed(shape, &plain))
}

/// A number in plain digits, rounded half away from zero.
fn of_decimal(shape: Shape, text: &str) -> Result<String> {
    if shape.roman {
        return Ok(Writer::roman(shape, rounded(text, 0, 0).parse().unwrap_or(f64::NAN)));
    }
    if shape.exponent {
        return Ok(exact_scientific(text, shape.after));
    }
    let plain = rounded(text, shape.shift, shape.after);
    Ok(placed(shape, &plain))
}

/// Shifts the point to the right, and rounds to some digits after it.
fn rounded(text: &str, shift: usize, after: usize) -> String {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let point = whole.len() + shift;
    let keep = point + after;
    let up = all.get(keep).is_some_and(|digit| *digit >= b'5');
    all.resize(keep, b'0');
    let mut point = point;
    if up && carry(&mut all) {
        all.insert(0, b'1');
        point += 1;
    }
    let zeros = all[..point].iter().take_while(|digit| **digit == b'0').count().min(point.saturating_sub(1));
    let text = String::from_utf8_lossy(&all[zeros..]).into_owned();
    let (whole, fraction) = text.split_at(point - zeros);
    let nothing = all.iter().all(|digit| *digit == b'0');
    let sign = if negative && !nothing { "-" } else { "" };
    if after == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Adds one to the last digit; whether a digit is left over.
fn carry(digits: &mut [u8]) -> bool {
    for digit in digits.iter_mut().rev() {
        if *digit == b'9' {
            *digit = b'0';
        } else {
            *digit += 1;
            return false;
        }
    }
    true
}

fn scientific(value: f64, after: usize) -> String {
    if !value.is_finite() {
        return format!(" #.{}", "#".repeat(after + 4));
    }
    with_exponent(&format!("{value:.after$e}"))
}

fn exact_scientific(text: &str, after: usize) -> String {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let Some(first) = all.bytes().position(|digit| digit != b'0') else {
        return with_exponent(&format!("{:.after$e}", 0.0));
    };
    let exponent = whole.len() as i64 - 1 - first as i64;
    let significant = format!("{}.{}", &all[first..=first], &all[first + 1..]);
    let mantissa = rounded(&significant, 0, after);
    // 9.99 may have become 10.0.
    let (mantissa, exponent) = if mantissa.starts_with("10") {
        (rounded(&format!("1.{}", "0".repeat(after)), 0, after), exponent + 1)
    } else {
        (mantissa, exponent)
    };
    with_exponent(&format!("{}{mantissa}e{exponent}", if negative { "-" } else { "" }))
}

/// `1.5e3` is written `1.5e+03`, with a blank in the place of a plus.
fn with_exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    let blank = if mantissa.starts_with('-') { "" } else { " " };
    format!("{blank}{mantissa}e{sign}{:02}", exponent.abs())
}

fn placed(mut shape: Shape, plain: &str) -> String {
    let (negative, number) = plain.strip_prefix('-').map_or((false, plain), |number| (true, number));
    if shape.shifts {
        shape.before += shape.shift;
    }
    let whole = number.find('.').unwrap_or(number.len());
    let overflow = whole > shape.before || !number.starts_with(|c: char| c.is_ascii_digit());
    let number = if overflow {
        let mut marks = "#".repeat(shape.before);
        marks.push('.');
        marks.push_str(&"#".repeat(shape.after));
        marks
    } else {
        number.to_string()
    };
    let spaces = if overflow { 0 } else { shape.before - whole };
    Writer::new(shape, &number, negative, spaces).write()
}

/// Sets the characters of a number in their places.
struct Writer {
    shape: Shape,
    number: Vec<u8>,
    at: usize,
    negative: bool,
    spaces: usize,
    sign_written: bool,
    digits: usize,
    current: usize,
    in_number: bool,
    last_relevant: Option<usize>,
    out: String,
}

impl Writer {
    fn new(mut shape: Shape, number: &str, negative: bool, spaces: usize) -> Self {
        shape.zero_start = shape.zero_start.saturating_sub(1);
        let sign_written = if shape.plus || shape.minus {
            !shape.plus || shape.minus
        } else {
            if !negative && shape.fill {
                shape.brackets = false;
            }
            if shape.sign && !shape.sign_after && shape.before == shape.sign_place {
                shape.sign_after = true;
            }
            !negative && shape.fill && !shape.sign
        };
        let number = number.as_bytes().to_vec();
        let last_relevant = if shape.fill && shape.decimal { last_relevant(&number, &shape, spaces) } else { None };
        let digits = (shape.after + shape.before).saturating_sub(1) + usize::from(!sign_written && spaces == 0);
        Self {
            shape,
            number,
            at: 0,
            negative,
            spaces,
            sign_written,
            digits,
            current: 0,
            in_number: false,
            last_relevant,
            out: String::new(),
        }
    }
    /// Roman numerals have no sign, and no digits beside them.
    fn roman(shape: Shape, value: f64) -> String {
        let numeral = roman(value);
        let mut out = String::new();
        for word in &shape.words {
            match word {
                Word::Roman(upper) => {
                    let numeral = if *upper { numeral.clone() } else { numeral.to_lowercase() };
                    out.push_str(&if shape.fill { numeral } else { format!("{numeral:>15}") });
                }
                Word::Text(character) => out.push(*character),
                _ => {}
            }
        }
        out
    }
    fn write(mut self) -> String {
        for word in self.shape.words.clone() {
            match word {
                Word::Nine | Word::Zero | Word::Point => self.digit(word),
                Word::Comma | Word::Group if self.in_number => self.out.push(','),
                Word::Comma | Word::Group | Word::Currency if self.shape.fill && word != Word::Currency => {}
                Word::Comma | Word::Group | Word::Currency => self.out.push(' '),
                Word::Minus => self.mark(self.negative, '-'),
                Word::Plus => self.mark(!self.negative, '+'),
                Word::PlusMinus => self.out.push(if self.negative { '-' } else { '+' }),
                Word::Ordinal(upper) => self.ordinal(upper),
                Word::Text(character) => self.out.push(character),
                _ => {}
            }
        }
        self.out
    }
    fn mark(&mut self, is: bool, sign: char) {
        if is {
            self.out.push(sign);
        } else if !self.shape.fill {
            self.out.push(' ');
        }
    }
    fn ordinal(&mut self, upper: bool) {
        if self.negative || self.shape.decimal || self.number.first() == Some(&b'#') {
            return;
        }
        let shown = String::from_utf8_lossy(&self.number).into_owned();
        self.out.push_str(ordinal_ending(&shown, if upper { Ordinal::Upper } else { Ordinal::Lower }));
    }
    /// A zero before the point that the template does not ask for.
    fn is_needless_zero(&self) -> bool {
        !self.shape.zero && self.at == 0 && self.number.first() == Some(&b'0') && self.shape.after != 0
    }
    fn ends_at_point(&self) -> bool {
        self.last_relevant.is_some_and(|at| self.number.get(at) == Some(&b'.'))
    }
    fn digit(&mut self, word: Word) {
        self.in_number = false;
        self.sign_before();
        let shape = &self.shape;
        if self.current < self.spaces && (shape.zero_start > self.current || !shape.zero) {
            if !shape.fill {
                self.out.push(' ');
            }
        } else if shape.zero && self.current < self.spaces {
            self.out.push('0');
            self.in_number = true;
        } else {
            self.character(word);
            if self.at < self.number.len() {
                self.at += 1;
            }
        }
        self.sign_behind();
        self.current += 1;
    }
    fn sign_before(&mut self) {
        let begins = self.current >= self.spaces || (self.shape.zero && self.shape.zero_start == self.current);
        if self.sign_written || !begins || (self.is_needless_zero() && !self.ends_at_point()) {
            return;
        }
        if self.shape.sign {
            if !self.shape.sign_after {
                self.out.push(if self.negative { '-' } else { '+' });
                self.sign_written = true;
            }
        } else if self.shape.brackets {
            self.out.push(if self.negative { '<' } else { ' ' });
            self.sign_written = true;
        } else {
            if self.negative {
                self.out.push('-');
            } else if !self.shape.fill {
                self.out.push(' ');
            }
            self.sign_written = true;
        }
    }
    fn character(&mut self, word: Word) {
        let character = self.number.get(self.at).copied();
        if character == Some(b'.') {
            self.out.push('.');
        } else if self.last_relevant.is_some_and(|last| self.at > last) && word != Word::Zero {
            // Zeros at the end that the template does not ask for.
        } else if self.is_needless_zero() {
            if !self.shape.fill {
                self.out.push(' ');
            } else if self.ends_at_point() {
                self.out.push('0');
            }
        } else if let Some(character) = character {
            self.out.push(char::from(character));
            self.in_number = true;
        }
    }
    fn sign_behind(&mut self) {
        let mut end = self.digits + usize::from(self.spaces > 0) + usize::from(self.shape.decimal);
        if self.last_relevant == Some(self.at) {
            end = self.current;
        }
        if self.current + 1 != end {
            return;
        }
        if self.sign_written && self.shape.brackets {
            self.out.push(if self.negative { '>' } else { ' ' });
        } else if self.shape.sign && self.shape.sign_after {
            self.out.push(if self.negative { '-' } else { '+' });
        }
    }
}

/// The last digit after the point that says something, or that the template asks for.
fn last_relevant(number: &[u8], shape: &Shape, spaces: usize) -> Option<usize> {
    let point = number.iter().position(|character| *character == b'.')?;
    let last = number.iter().rposition(|character| *character != b'0').map_or(point, |at| at.max(point));
    let asked = if shape.zero_end > spaces { (shape.zero_end - spaces).min(number.len() - 1) } else { 0 };
    Some(last.max(asked))
}

fn roman(value: f64) -> String {
    const PARTS: [(&str, u32); 13] = [
        ("M", 1000),
        ("CM", 900),
        ("D", 500),
        ("CD", 400),
        ("C", 100),
        ("XC", 90),
        ("L", 50),
        ("XL", 40),
        ("X", 10),
        ("IX", 9),
        ("V", 5),
        ("IV", 4),
        ("I", 1),
    ];
    if !(1.0..=3999.0).contains(&value) {
        return "#".repeat(15);
    }
    let (mut rest, mut out) = (value as u32, String::new());
    for (numeral, part) in PARTS {
        while rest >= part {
            out.push_str(numeral);
            rest -= part;
        }
    }
    out
}

/// Reads numbers by templates.
pub fn to_number(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, templates) = (call.texts(0)?, call.texts(1)?);
    let mut builder = crate::types::input::ColumnBuilder::new(&SqlType::Numeric(None), texts.len());
    for pair in texts.iter().zip(&templates) {
        match pair {
            (Some(text), Some(template)) if !template.is_empty() => {
                let number = Reader::new(parse(template)?, text).read()?;
                builder.append_text(&number)?;
            }
            _ => builder.append_null(),
        }
    }
    Ok(builder.finish())
}

/// Takes the digits and the sign out of a text.
struct Reader {
    shape: Shape,
    text: Vec<char>,
    at: usize,
    sign: Option<char>,
    digits: String,
    after_point: usize,
    seen_point: bool,
}

impl Reader {
    fn new(shape: Shape, text: &str) -> Self {
        Self { shape, text: text.chars().collect(), at: 0, sign: None, digits: String::new(), after_point: 0, seen_point: false }
    }
    fn next(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }
    fn read(mut self) -> Result<String> {
        if self.shape.exponent {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "\"EEEE\" not supported for input"));
        }
        if self.shape.roman {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "\"RN\" not supported for input"));
        }
        for word in self.shape.words.clone() {
            if self.at >= self.text.len() {
                break;
            }
            self.word(word);
        }
        let digits = self.digits.trim_end_matches('.').to_string();
        let sign = if self.sign == Some('-') { "-" } else { "" };
        let number = shifted(&digits, self.shape.shift);
        if number.is_empty() {
            let message = "invalid input syntax for type numeric: \" \"";
            return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message));
        }
        Ok(format!("{sign}{number}"))
    }
    fn word(&mut self, word: Word) {
        match word {
            Word::Nine | Word::Zero | Word::Point => self.digit(word),
            Word::Comma | Word::Group if self.next() == Some(',') && !(self.shape.fill && word == Word::Comma) => self.at += 1,
            Word::Minus | Word::Plus | Word::PlusMinus => match self.next() {
                Some(sign @ ('-' | '+')) => {
                    self.sign = Some(sign);
                    self.at += 1;
                }
                _ => self.skip(),
            },
            Word::Ordinal(_) => {
                self.skip();
                self.skip();
            }
            Word::Currency | Word::Text(_) => self.skip(),
            _ => {}
        }
    }
    /// One character that cannot be part of a number.
    fn skip(&mut self) {
        if self.next().is_some_and(|next| !(next.is_ascii_digit() || matches!(next, '.' | ',' | '+' | '-'))) {
            self.at += 1;
        }
    }
    fn digit(&mut self, word: Word) {
        if self.next() == Some(' ') {
            self.at += 1;
        }
        if self.sign.is_none() && !self.digits.contains(|c: char| c.is_ascii_digit()) && word != Word::Point {
            match self.next() {
                Some('-') => self.take_sign('-'),
                Some('<') if self.shape.brackets => self.take_sign('-'),
                Some('+') => self.take_sign('+'),
                _ => {}
            }
        }
        match self.next() {
            Some(digit) if digit.is_ascii_digit() => {
                if self.seen_point && self.after_point == self.shape.after {
                    return;
                }
                self.digits.push(digit);
                self.after_point += usize::from(self.seen_point);
                self.at += 1;
                self.sign_behind();
            }
            Some('.') if self.shape.decimal && !self.seen_point => {
                self.digits.push('.');
                self.seen_point = true;
                self.at += 1;
            }
            // A sign that MI, PL or SG would have read further on.
            Some(sign @ ('-' | '+')) if self.sign.is_none() && (self.shape.minus || self.shape.plus) => self.sign = Some(sign),
            Some(_) => self.at += usize::from(word != Word::Point || self.shape.decimal),
            None => {}
        }
    }
    fn take_sign(&mut self, sign: char) {
        self.sign = Some(sign);
        self.at += 1;
    }
    /// A sign that follows the last digit.
    fn sign_behind(&mut self) {
        if self.sign.is_none()
            && self.shape.sign
            && let Some(sign @ ('-' | '+')) = self.next()
        {
            self.take_sign(sign);
        }
    }
}

/// A number whose point is moved to the left.
fn shifted(digits: &str, places: usize) -> String {
    if places == 0 {
        return digits.to_string();
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    format!("{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shown(text: &str, template: &str) -> String {
        of_decimal(parse(template).unwrap(), text).unwrap()
    }

    #[test]
    fn numbers_are_written_as_the_template_says() {
        // Of PostgreSQL 15.
        let table = [
            ("-12", "S99", "-12"),
            ("12", "99", " 12"),
            ("0.1", "0.9", " 0.1"),
            ("0.1", "9.9", "  .1"),
            ("-0.1", "FM99.9", "-.1"),
            ("0", "FM9.99", "0."),
            ("485", "999", " 485"),
            ("-485", "999", "-485"),
            ("485", "9 9 9", " 4 8 5"),
            ("1485", "9,999", " 1,485"),
            ("148.5", "999.999", " 148.500"),
            ("148.5", "FM999.999", "148.5"),
            ("148.5", "FM999.990", "148.500"),
            ("-485", "999S", "485-"),
            ("-485", "999MI", "485-"),
            ("485", "999MI", "485 "),
            ("485", "FM999MI", "485"),
            ("485", "PL999", "+ 485"),
            ("485", "SG999", "+485"),
            ("-485", "999PR", "<485>"),
            ("485", "RN", "        CDLXXXV"),
            ("5.2", "FMRN", "V"),
            ("482", "999th", " 482nd"),
            ("485", "\"Good number:\"999", "Good number: 485"),
            ("12.4", "99V999", " 12400"),
            ("12.45", "99V9", " 125"),
            ("0.0004859", "9.99EEEE", " 4.86e-04"),
            ("1234", "999", " ###"),
            ("7", "000", " 007"),
            ("1234567.891", "FM9,999,999.00", "1,234,567.89"),
        ];
        for (text, template, expected) in table {
            assert_eq!(shown(text, template), expected, "{text} {template}");
        }
    }

    #[test]
    fn numbers_are_read_back() {
        let read = |text: &str, template: &str| Reader::new(parse(template).unwrap(), text).read().unwrap();
        assert_eq!(read("12,454.8-", "99G999D9S"), "-12454.8");
        assert_eq!(read("-34,338,492", "99G999G999"), "-34338492");
        assert_eq!(read("<564646.654564>", "999999.999999PR"), "-564646.654564");
        assert_eq!(read("$1,234.56", "L9,999.99"), "1234.56");
        assert_eq!(read("123456", "999V999"), "123.456");
    }

    #[test]
    fn words_that_cannot_stand_together() {
        for template in ["9.9.9", "9V9.9", "SS9", "9PR9", "9EEEE9", "SMI9"] {
            assert_eq!(parse(template).unwrap_err().state, SqlState::SYNTAX_ERROR, "{template}");
        }
    }
}
