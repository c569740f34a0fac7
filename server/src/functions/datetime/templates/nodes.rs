//! The words of a template for dates and times.

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A word that stands for a part of the moment.
    Field(Field),
    /// A blank.
    Space(char),
    /// Punctuation.
    Separator(char),
    /// Anything else: it stands for itself.
    Text(String),
}

/// How an ordinal ending is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordinal {
    /// `1ST`
    Upper,
    /// `1st`
    Lower,
}

/// A word with what modifies it.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// As it is written.
    pub word: &'static str,
    /// FM: no padding.
    pub fill: bool,
    /// TH, th.
    pub ordinal: Option<Ordinal>,
}

/// Words, of which none is the beginning of one that stands after it.
const WORDS: [&str; 116] = [
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "Day", "Dy", "D", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6",
    "FX", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI", "MM", "MONTH", "MON", "MS", "Month", "Mon", "OF",
    "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS", "TZH", "TZM", "TZ", "US", "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y", "a.d.", "a.m.",
    "ad", "am", "b.c.", "bc", "cc", "day", "ddd", "dd", "dy", "d", "ff1", "ff2", "ff3", "ff4", "ff5", "ff6", "fx", "hh24", "hh12", "hh",
    "iddd", "id", "iw", "iyyy", "iyy", "iy", "i", "j", "mi", "mm", "month", "mon", "ms", "of", "p.m.", "pm", "q", "rm", "sssss", "ssss",
    "ss", "tzh", "tzm", "tz", "us", "ww", "w", "y,yyy", "yyyy", "yyy", "yy", "y", "", "", "", "",
];

/// Cuts a template into its pieces.
pub fn parse(template: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut rest = template;
    while let Some(first) = rest.chars().next() {
        if let Some((field, after)) = field(rest) {
            nodes.push(Node::Field(field));
            rest = after;
        } else if first == '"' {
            rest = quoted(&rest[1..], &mut nodes);
        } else {
            // A backslash matters only before a quote.
            let character = if rest.starts_with("\\\"") { '"' } else { first };
            rest = &rest[if rest.starts_with("\\\"") { 2 } else { first.len_utf8() }..];
            nodes.push(plain(character));
        }
    }
    nodes
}

fn plain(character: char) -> Node {
    match character {
        ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' => Node::Space(character),
        other if other.is_ascii_punctuation() => Node::Separator(other),
        other => Node::Text(other.to_string()),
    }
}

/// Text in quotes; a backslash takes the next character as it is.
fn quoted<'a>(text: &'a str, nodes: &mut Vec<Node>) -> &'a str {
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return &text[at + 1..],
            '\\' => match characters.next() {
                Some((_, escaped)) => nodes.push(Node::Text(escaped.to_string())),
                None => break,
            },
            other => nodes.push(Node::Text(other.to_string())),
        }
    }
    ""
}

fn field(text: &str) -> Option<(Field, &str)> {
    let (mut rest, mut fill) = (text, false);
    loop {
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            (rest, fill) = (after, true);
        } else if let Some(after) = rest.strip_prefix("TM").or_else(|| rest.strip_prefix("tm")) {
            (rest, fill) = (after, true);
        } else {
            break;
        }
    }
    let prefix = rest.len() < text.len();
    let Some(word) = WORDS.iter().find(|word| !word.is_empty() && rest.starts_with(**word)) else {
        // A prefix with nothing that it could modify vanishes.
        return prefix.then_some((Field { word: "FX", fill, ordinal: None }, rest));
    };
    rest = &rest[word.len()..];
    let mut ordinal = None;
    if let Some(after) = rest.strip_prefix("TH") {
        (rest, ordinal) = (after, Some(Ordinal::Upper));
    } else if let Some(after) = rest.strip_prefix("th") {
        (rest, ordinal) = (after, Some(Ordinal::Lower));
    }
    if let Some(after) = rest.strip_prefix("SP") {
        rest = after;
    }
    Some((Field { word, fill, ordinal }, rest))
}

/// The ordinal ending of a number that is written out.
pub fn ordinal_ending(number: &str, ordinal: Ordinal) -> &'static str {
    let digits: Vec<u8> = number.bytes().filter(u8::is_ascii_digit).collect();
    let teen = digits.len() > 1 && digits[digits.len() - 2] == b'1';
    let (upper, lower) = match digits.last() {
        Some(b'1') if !teen => ("ST", "st"),
        Some(b'2') if !teen => ("ND", "nd"),
        Some(b'3') if !teen => ("RD", "rd"),
        _ => ("TH", "th"),
    };
    if ordinal == Ordinal::Upper { upper } else { lower }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(template: &str) -> Vec<&'static str> {
        parse(template).iter().filter_map(|node| if let Node::Field(field) = node { Some(field.word) } else { None }).collect()
    }

    #[test]
    fn the_longest_word_is_meant() {
        assert_eq!(words("YYYY-MM-DD HH24:MI:SS.US"), ["YYYY", "MM", "DD", "HH24", "MI", "SS", "US"]);
        // TH belongs to the day, and what is left is no word.
        assert_eq!(words("DDTHH24"), ["DD"]);
        assert_eq!(words("Dy DDD SSSSS y,yyy IDDD"), ["Dy", "DDD", "SSSSS", "y,yyy", "IDDD"]);
    }

    #[test]
    fn quotes_and_modifiers() {
        assert_eq!(parse("\"a\\\"\""), [Node::Text("a".into()), Node::Text("\"".into())]);
        assert_eq!(parse("FMDDth"), [Node::Field(Field { word: "DD", fill: true, ordinal: Some(Ordinal::Lower) })]);
        assert_eq!((ordinal_ending("11", Ordinal::Lower), ordinal_ending("22", Ordinal::Upper)), ("th", "ND"));
    }
}
