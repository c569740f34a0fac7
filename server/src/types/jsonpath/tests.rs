#![allow(clippy::unwrap_used)]

use super::evaluate::{Evaluation, Patterns};
use super::item::Item;
use super::normalized;
use super::number::Number;
use super::parser::parse;

fn found(document: &str, path: &str) -> Vec<String> {
    let (expression, patterns) = (parse(path).unwrap(), Patterns::default());
    let evaluation = Evaluation::new(&expression, document, "{\"x\": 2}", false, None, &patterns).unwrap();
    evaluation.all().unwrap().0.into_iter().map(Item::into_json).collect()
}

fn state(document: &str, path: &str) -> &'static str {
    let (expression, patterns) = (parse(path).unwrap(), Patterns::default());
    let evaluation = Evaluation::new(&expression, document, "{}", false, None, &patterns).unwrap();
    evaluation.all().unwrap_err().state.0
}

#[test]
fn paths_have_a_normal_form() {
    let table = [
        ("$", "$"),
        ("lax $.a.b", "$.\"a\".\"b\""),
        ("strict $.a[*] ? (@ > 1)", "strict $.\"a\"[*]?(@ > 1)"),
        ("$.a == 1", "($.\"a\" == 1)"),
        ("1 + 2 * 3", "(1 + 2 * 3)"),
        ("(1 + 2) * 3", "((1 + 2) * 3)"),
        ("$.a[0, 2 to last]", "$.\"a\"[0,2 to last]"),
        ("$.** . b", "$.**.\"b\""),
        ("$.**{2 to last}", "$.**{2 to last}"),
        (
            "$ ? (@.a starts with \"x\" && !(@.b like_regex \"^a\" flag \"i\"))",
            "$?(@.\"a\" starts with \"x\" && !(@.\"b\" like_regex \"^a\" flag \"i\"))",
        ),
        ("$.a.size()", "$.\"a\".size()"),
        ("exists($.a)", "exists ($.\"a\")"),
        ("($.a > 1) is unknown", "($.\"a\" > 1) is unknown"),
        ("-$.a", "(-$.\"a\")"),
        ("$x.\"y z\"", "$\"x\".\"y z\""),
    ];
    for (text, normal) in table {
        assert_eq!(normalized(text).unwrap(), normal, "{text}");
        assert_eq!(normalized(normal).unwrap(), normal, "{text}");
    }
    for text in ["", "$.", "$ ? ($.a)", "@", "last", "$[", "$.a +", "a", "$ ? (@ like_regex \"(\")", "1a", "$.a == 1 == 2"] {
        assert!(normalized(text).is_err(), "{text}");
    }
}

#[test]
fn lax_paths_unwrap_and_strict_ones_fail() {
    assert_eq!(found("{\"a\": [1, 2, 3]}", "$.a ? (@ > 1)"), ["2", "3"]);
    assert_eq!(found("[{\"a\": 1}, {\"b\": 2}]", "$.a"), ["1"]);
    assert_eq!(state("[{\"a\": 1}]", "strict $.a"), "2203A");
    assert_eq!(state("[1]", "strict $[3]"), "22033");
    assert_eq!(found("5", "$[0]"), ["5"]);
    assert_eq!(found("[1, 2, 3]", "$[last - 1, 0]"), ["2", "1"]);
    assert_eq!(found("{\"a\": {\"b\": [1, {\"b\": 2}]}}", "$.**.b"), ["[1, {\"b\": 2}]", "2", "2"]);
}

#[test]
fn values_are_computed_exactly() {
    assert_eq!(found("[0.1, 0.2]", "$[0] + $[1]"), ["0.3"]);
    assert_eq!(found("1", "$ / 3"), ["0.33333333333333333333"]);
    assert_eq!(found("7", "$ % $x"), ["1"]);
    assert_eq!(found("-1.5", "$.abs() + $.floor() + $.ceiling()"), ["-1.5"]);
    assert_eq!(found("\"1.25\"", "$.double()"), ["1.25"]);
    assert_eq!(state("1", "$ / 0"), "22012");
    assert_eq!(Number::parse("1e3").unwrap().to_string(), "1000");
    assert_eq!(Number::parse("-0.50").unwrap().to_string(), "-0.50");
}

#[test]
fn moments_are_read_and_compared() {
    assert_eq!(found("\"2020-01-02T03:04:05+02:00\"", "$.datetime()"), ["\"2020-01-02T03:04:05+02:00\""]);
    assert_eq!(found("\"2020-01-02\"", "$.datetime().type()"), ["\"date\""]);
    assert_eq!(
        found("[\"2020-01-02\", \"2020-01-02 10:00:00\"]", "$[*] ? (@.datetime() < \"2020-01-02T01:00:00\".datetime())"),
        ["\"2020-01-02\""]
    );
    assert_eq!(state("\"yesterday\"", "$.datetime()"), "22031");
    assert_eq!(state("\"2020-01-02\"", "$.datetime() < \"2020-01-02T00:00:00+00\".datetime()"), "0A000");
}
