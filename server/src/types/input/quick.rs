//! Numbers in the form in which nearly all come: digits, perhaps a sign and a point, of at most 18 digits. `None` sends a text to the parser
//! that knows all forms and all errors.

/// Digits that always fit into 64 bits.
const DIGITS_MAX: usize = 18;

const POWERS_OF_10: [i64; 19] = {
    let mut powers = [1; 19];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

fn without_sign(text: &str) -> (bool, &[u8]) {
    match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    }
}

/// A whole number.
#[inline]
pub(super) fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = without_sign(text);
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let value = sum(0, digits)?;
    Some(if negative { -value } else { value })
}

/// A decimal with no more places than `scale`, and within `precision`, as its digits.
#[inline]
pub(super) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (negative, digits) = without_sign(text);
    let scale = usize::try_from(scale).ok()?;
    if digits.len() > DIGITS_MAX {
        return None;
    }
    let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    let (whole, places) = (&digits[..point], digits.get(point + 1..).unwrap_or(&[]));
    // All digits together, those that are filled in too, must fit.
    if whole.is_empty() || places.len() > scale || whole.len() + scale > DIGITS_MAX {
        return None;
    }
    let value = sum(sum(0, whole)?, places)? * POWERS_OF_10[scale - places.len()];
    let fits = usize::from(precision) >= DIGITS_MAX || value < POWERS_OF_10[usize::from(precision)];
    fits.then_some(i128::from(if negative { -value } else { value }))
}

#[inline]
fn sum(before: i64, digits: &[u8]) -> Option<i64> {
    let mut value = before;
    let mut wrong = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        wrong |= u8::from(digit > 9);
        value = value * 10 + i64::from(digit & 15);
    }
    (wrong == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::types::numeric::parse_decimal;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_plain_is_left_to_others() {
        for text in ["", "-", "+1", " 1", "1 ", "1e3", "1_0", "12345678901234567890", "a", "0x1"] {
            assert_eq!(integer(text), None, "{text}");
        }
        for text in ["", ".", ".5", "-", "1.234", "1..2", "1e2", "NaN", "1 ", "100.00", "12345678901234567"] {
            assert_eq!(decimal(text, 4, 2), None, "{text}");
        }
        assert_eq!((integer("-007"), integer("999999999999999999")), (Some(-7), Some(999_999_999_999_999_999)));
        assert_eq!((decimal("1.", 4, 2), decimal("-0.05", 4, 2), decimal("99.99", 4, 2)), (Some(100), Some(-5), Some(9999)));
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_parser_of_all_forms(text in "-?[0-9]{0,19}(\\.[0-9]{0,4})?", precision in 1u8..30, scale in 0i8..5) {
            if let Some(value) = decimal(&text, precision, scale) {
                prop_assert_eq!(parse_decimal(&text, precision, scale, true).unwrap(), value);
            }
            if let Some(value) = integer(&text) {
                prop_assert_eq!(text.parse::<i64>().unwrap(), value);
            }
        }
    }
}
