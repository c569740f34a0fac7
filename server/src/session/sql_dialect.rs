//! PostgreSQL's dialect as the SQL parser has it, but for the names of arguments, which are words, for operators before an operand, and for what
//! GROUP BY may hold.
//!
//! The parser's own dialect takes any expression for a name (`json_object('a': 1)`), tries each argument as one, and reads it again when it is
//! none: twice as long for each call within a call.

use datafusion::sql::sqlparser::ast::{Expr, Interval, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use std::any::TypeId;

/// The dialect.
#[derive(Debug)]
pub struct SqlDialect;

impl Dialect for SqlDialect {
    /// What the parser asks PostgreSQL's dialect for is meant for this one too.
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }
    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }
    /// FOR is reserved: `SELECT 1 FOR UPDATE`.
    fn is_column_alias(&self, kw: &Keyword, parser: &mut Parser) -> bool {
        *kw != Keyword::FOR && PostgreSqlDialect {}.is_column_alias(kw, parser)
    }
    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        PostgreSqlDialect {}.identifier_quote_style(identifier)
    }
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        PostgreSqlDialect {}.is_delimited_identifier_start(ch)
    }
    fn is_identifier_start(&self, ch: char) -> bool {
        PostgreSqlDialect {}.is_identifier_start(ch)
    }
    fn is_identifier_part(&self, ch: char) -> bool {
        PostgreSqlDialect {}.is_identifier_part(ch)
    }
    fn supports_unicode_string_literal(&self) -> bool {
        PostgreSqlDialect {}.supports_unicode_string_literal()
    }
    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        PostgreSqlDialect {}.is_reserved_for_identifier(kw)
    }
    fn is_custom_operator_part(&self, ch: char) -> bool {
        PostgreSqlDialect {}.is_custom_operator_part(ch)
    }
    /// Operators before an operand, but for `+` and `-`, bind as loosely as operators that are not of arithmetic: `~ 1 + 1` is `~ (1 + 1)`.
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        if let Some(read) = grouping_sets(parser).or_else(|| interval(parser)) {
            return Some(read);
        }
        let op = match parser.peek_token_ref().token {
            Token::Tilde => UnaryOperator::BitwiseNot,
            Token::AtSign => UnaryOperator::PGAbs,
            Token::PGSquareRoot => UnaryOperator::PGSquareRoot,
            Token::PGCubeRoot => UnaryOperator::PGCubeRoot,
            _ => return None,
        };
        parser.next_token();
        let operand = parser.parse_subexpr(self.prec_value(Precedence::PgOther));
        Some(operand.map(|expr| Expr::UnaryOp { op, expr: Box::new(expr) }))
    }
    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        PostgreSqlDialect {}.get_next_precedence(parser)
    }
    fn supports_filter_during_aggregation(&self) -> bool {
        PostgreSqlDialect {}.supports_filter_during_aggregation()
    }
    /// Grouping sets are read here: the parser takes the parentheses of `ROLLUP ((a.b)::text)` for a row's.
    fn supports_group_by_expr(&self) -> bool {
        false
    }
    fn prec_value(&self, prec: Precedence) -> u8 {
        PostgreSqlDialect {}.prec_value(prec)
    }
    fn allow_extract_custom(&self) -> bool {
        PostgreSqlDialect {}.allow_extract_custom()
    }
    fn allow_extract_single_quotes(&self) -> bool {
        PostgreSqlDialect {}.allow_extract_single_quotes()
    }
    fn supports_create_index_with_clause(&self) -> bool {
        PostgreSqlDialect {}.supports_create_index_with_clause()
    }
    fn supports_explain_with_utility_options(&self) -> bool {
        PostgreSqlDialect {}.supports_explain_with_utility_options()
    }
    fn supports_listen_notify(&self) -> bool {
        PostgreSqlDialect {}.supports_listen_notify()
    }
    fn supports_factorial_operator(&self) -> bool {
        PostgreSqlDialect {}.supports_factorial_operator()
    }
    fn supports_bitwise_shift_operators(&self) -> bool {
        PostgreSqlDialect {}.supports_bitwise_shift_operators()
    }
    fn supports_comment_on(&self) -> bool {
        PostgreSqlDialect {}.supports_comment_on()
    }
    fn supports_load_extension(&self) -> bool {
        PostgreSqlDialect {}.supports_load_extension()
    }
    fn supports_named_fn_args_with_colon_operator(&self) -> bool {
        PostgreSqlDialect {}.supports_named_fn_args_with_colon_operator()
    }
    fn supports_empty_projections(&self) -> bool {
        PostgreSqlDialect {}.supports_empty_projections()
    }
    fn supports_nested_comments(&self) -> bool {
        PostgreSqlDialect {}.supports_nested_comments()
    }
    fn supports_string_escape_constant(&self) -> bool {
        PostgreSqlDialect {}.supports_string_escape_constant()
    }
    fn supports_numeric_literal_underscores(&self) -> bool {
        PostgreSqlDialect {}.supports_numeric_literal_underscores()
    }
    fn supports_array_typedef_with_brackets(&self) -> bool {
        PostgreSqlDialect {}.supports_array_typedef_with_brackets()
    }
    fn supports_geometric_types(&self) -> bool {
        PostgreSqlDialect {}.supports_geometric_types()
    }
    fn supports_set_names(&self) -> bool {
        PostgreSqlDialect {}.supports_set_names()
    }
    fn supports_alter_column_type_using(&self) -> bool {
        PostgreSqlDialect {}.supports_alter_column_type_using()
    }
    fn supports_notnull_operator(&self) -> bool {
        PostgreSqlDialect {}.supports_notnull_operator()
    }
    fn supports_interval_options(&self) -> bool {
        PostgreSqlDialect {}.supports_interval_options()
    }
    fn supports_insert_table_alias(&self) -> bool {
        PostgreSqlDialect {}.supports_insert_table_alias()
    }
    fn supports_create_table_like_parenthesized(&self) -> bool {
        PostgreSqlDialect {}.supports_create_table_like_parenthesized()
    }
    fn supports_select_wildcard_with_alias(&self) -> bool {
        PostgreSqlDialect {}.supports_select_wildcard_with_alias()
    }
    fn supports_comma_separated_trim(&self) -> bool {
        PostgreSqlDialect {}.supports_comma_separated_trim()
    }
    fn supports_xml_expressions(&self) -> bool {
        PostgreSqlDialect {}.supports_xml_expressions()
    }
    fn supports_comment_optimizer_hint(&self) -> bool {
        PostgreSqlDialect {}.supports_comment_optimizer_hint()
    }
}

/// `ROLLUP (...)`, `CUBE (...)`, `GROUPING SETS (...)`, and the empty set right after BY.
fn grouping_sets(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let word = |token: &Token| match token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    };
    let first = word(&parser.peek_token_ref().token);
    let kind: fn(Vec<Vec<Expr>>) -> Expr = match first {
        Keyword::ROLLUP if parser.peek_nth_token_ref(1).token == Token::LParen => Expr::Rollup,
        Keyword::CUBE if parser.peek_nth_token_ref(1).token == Token::LParen => Expr::Cube,
        Keyword::GROUPING if word(&parser.peek_nth_token_ref(1).token) == Keyword::SETS => {
            parser.next_token();
            Expr::GroupingSets
        }
        _ if word(&parser.get_current_token().token) == Keyword::BY && parser.consume_tokens(&[Token::LParen, Token::RParen]) => {
            return Some(Ok(Expr::Tuple(Vec::new())));
        }
        _ => return None,
    };
    parser.next_token();
    Some(grouping_elements(parser).map(kind))
}

/// `INTERVAL (1) '1.25 seconds'`: the parser would forget the digits.
fn interval(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let Token::Word(word) = &parser.peek_token_ref().token else { return None };
    if word.quote_style.is_some() || word.keyword != Keyword::INTERVAL || parser.peek_nth_token_ref(1).token != Token::LParen {
        return None;
    }
    let Token::Number(digits, _) = &parser.peek_nth_token_ref(2).token else { return None };
    let digits = digits.parse().ok()?;
    let text = matches!(parser.peek_nth_token_ref(4).token, Token::SingleQuotedString(_));
    if parser.peek_nth_token_ref(3).token != Token::RParen || !text {
        return None;
    }
    (0..4).for_each(|_| parser.advance_token());
    let interval = |value| Interval {
        value: Box::new(Expr::Value(value)),
        leading_field: None,
        leading_precision: Some(digits),
        last_field: None,
        fractional_seconds_precision: None,
    };
    Some(parser.parse_value().map(|value| Expr::Interval(interval(value))))
}

/// What stands in the parentheses: expressions, rows of expressions, and other sets.
fn grouping_elements(parser: &mut Parser<'_>) -> Result<Vec<Vec<Expr>>, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let elements = parser.parse_comma_separated(|parser| {
        if parser.consume_tokens(&[Token::LParen, Token::RParen]) {
            return Ok(Vec::new());
        }
        Ok(match parser.parse_expr()? {
            Expr::Tuple(row) => row,
            Expr::Nested(single) => vec![*single],
            single => vec![single],
        })
    })?;
    parser.expect_token(&Token::RParen)?;
    Ok(elements)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn calls_within_calls_are_read_once() {
        let sql = format!("SELECT {}'x'{}", "f(".repeat(100), ", a => 1)".repeat(100));
        let parsed = Parser::new(&SqlDialect).with_recursion_limit(1000).try_with_sql(&sql).unwrap().parse_statement().unwrap();
        assert_eq!(parsed.to_string(), sql);
    }
    #[test]
    fn grouping_sets_hold_expressions_rows_and_sets() {
        for (written, read) in [
            ("rollup((a.b)::text, (c, d))", "ROLLUP ((a.b)::TEXT, (c, d))"),
            ("cube(a, (a + 1))", "CUBE (a, a + 1)"),
            ("grouping sets (rollup(a, b), (c), ())", "GROUPING SETS ((ROLLUP (a, b)), (c), ())"),
            ("()", "()"),
        ] {
            let sql = format!("SELECT count(*) FROM t GROUP BY {written}");
            let parsed = Parser::new(&SqlDialect).try_with_sql(&sql).unwrap().parse_statement().unwrap();
            assert_eq!(parsed.to_string(), format!("SELECT count(*) FROM t GROUP BY {read}"));
        }
    }
}
