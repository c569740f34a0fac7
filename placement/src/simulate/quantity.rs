//! Quantities as people write and read them: `16GiB`, `90s`, `x2.5`, `10%`.

const BYTES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];
const SPANS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const COUNTS: [(&str, u64); 4] = [("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("", 1)];

/// Bytes: `512MiB`.
pub fn bytes(word: &str) -> Result<u64, String> {
    with_unit(word, &BYTES).ok_or_else(|| format!("'{word}' is not a size, such as 512MiB"))
}

/// A span of time, in milliseconds: `90s`.
pub fn span_ms(word: &str) -> Result<u64, String> {
    with_unit(word, &SPANS).ok_or_else(|| format!("'{word}' is not a span of time, such as 90s, 10m or 2h"))
}

/// A count: `200`, `1.5M`.
pub fn count(word: &str) -> Result<u64, String> {
    with_unit(word, &COUNTS).ok_or_else(|| format!("'{word}' is not a number, such as 200 or 1.5M"))
}

/// A part, in percent: `10%`.
pub fn percent(word: &str) -> Result<u64, String> {
    with_unit(word, &[("%", 1)]).ok_or_else(|| format!("'{word}' is not a part, such as 10%"))
}

/// A factor, in percent: `x2.5` is 250.
pub fn factor_percent(word: &str) -> Result<u64, String> {
    let factor = word.strip_prefix('x').and_then(|rest| with_unit(rest, &[("", 100)])).filter(|it| *it > 0);
    factor.ok_or_else(|| format!("'{word}' is not a factor, such as x4 or x0.5"))
}

/// Nodes: `3`, `1..4`.
pub fn range(word: &str) -> Result<std::ops::RangeInclusive<u64>, String> {
    let (first, last) = word.split_once("..").unwrap_or((word, word));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last && last - first < 100_000 => Ok(first..=last),
        _ => Err(format!("'{word}' is neither a number, such as 3, nor a range, such as 1..4")),
    }
}

/// A number with up to six digits behind its point, times its unit: exact, no floats.
fn with_unit(word: &str, units: &[(&str, u64)]) -> Option<u64> {
    let at = word.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(word.len());
    let (number, unit) = word.split_at(at);
    let (_, unit) = units.iter().find(|(name, _)| *name == unit)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if part.len() > 6 || part.is_empty() {
        return None;
    }
    let scale = 10u64.pow(part.len() as u32);
    let (whole, part): (u64, u64) = (whole.parse().ok()?, part.parse().ok()?);
    let value = (u128::from(whole) * u128::from(scale) + u128::from(part)) * u128::from(*unit) / u128::from(scale);
    u64::try_from(value).ok()
}

/// Bytes for a reader: `1.5 GiB`.
pub fn show_bytes(bytes: u64) -> String {
    let (unit, size) = BYTES[..4].iter().find(|(_, size)| bytes >= *size).unwrap_or(&BYTES[8]);
    let tenths = u128::from(bytes) * 10 / u128::from(*size);
    if *size == 1 { format!("{bytes} {unit}") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

/// A moment for a reader: `01:02:03`.
pub fn show_time(ms: u64) -> String {
    let s = ms / 1000;
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// Tenths for a reader: 123 is `12.3`.
pub fn show_tenths(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_exactly() {
        assert_eq!(bytes("1.5GiB"), Ok(1_610_612_736));
        assert_eq!(span_ms("90s"), Ok(90_000));
        assert_eq!(span_ms("1.5h"), Ok(5_400_000));
        assert_eq!(count("20k"), Ok(20_000));
        assert_eq!(factor_percent("x0.25"), Ok(25));
        assert_eq!(range("1..4"), Ok(1..=4));
        assert_eq!(show_bytes(1_610_612_736), "1.5 GiB");
        assert_eq!(show_time(3_723_000), "01:02:03");
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for word in ["", "GiB", "1.GiB", "1x", "-1B", "99999999999999999999B", "1.5.5GiB"] {
            assert!(bytes(word).is_err(), "{word}");
        }
        assert!(span_ms("5").is_err() && factor_percent("4").is_err() && factor_percent("x0").is_err() && percent("10").is_err());
        assert!(range("4..1").is_err() && range("1..").is_err() && range("0..99999999").is_err());
    }
}
