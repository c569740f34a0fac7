//! How one value stands in a suite: its text as psql shows it, made to fit between blanks on one line.
//!
//! | value                                          | shown as                          |
//! |------------------------------------------------|-----------------------------------|
//! | NULL                                           | `NULL`                            |
//! | the empty string                               | `(empty)`                         |
//! | a line feed, carriage return or tab            | `\n`, `\r`, `\t`                  |
//! | a space at an end, or beside another space     | `·`, so that no editor trims it   |
//! | anything else, single inner spaces among it    | as it came                        |

/// The text of a value in a suite.
pub fn shown(value: Option<&str>) -> String {
    match value {
        None => "NULL".into(),
        Some("") => "(empty)".into(),
        Some(text) => visible(text),
    }
}

fn visible(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_space = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_none_or(|c| *c == ' ');
    let mut out = String::with_capacity(text.len());
    for (at, c) in chars.iter().enumerate() {
        match c {
            ' ' if is_space(at.checked_sub(1)) || is_space(Some(at + 1)) => out.push('·'),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(*c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_are_told_apart_from_text() {
        assert_eq!(shown(None), "NULL");
        assert_eq!(shown(Some("")), "(empty)");
        assert_eq!(shown(Some("abc")), "abc");
    }

    #[test]
    fn only_inner_single_spaces_stay_spaces() {
        assert_eq!(shown(Some("a b")), "a b");
        assert_eq!(shown(Some(" a  b ")), "·a··b·");
        assert_eq!(shown(Some(" ")), "·");
    }

    #[test]
    fn control_characters_stay_on_the_line() {
        assert_eq!(shown(Some("a\nb\tc\r")), "a\\nb\\tc\\r");
    }
}
