#![allow(clippy::unwrap_used)]
use super::*;
use crate::session::parse::parse_query;

fn kinds() -> FunctionKinds {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect();
    FunctionKinds { scalar: names(&["upper", "coalesce"]), aggregate: names(&["count", "sum", "max", "first_value"]) }
}

fn checked(sql: &str) -> Result<()> {
    check(&Statement::Query(Box::new(parse_query(sql).unwrap())), &kinds())
}

#[test]
fn refused_as_postgresql_refuses() {
    let table = [
        ("select a from t where count(*) > 1", "42803", "aggregate functions are not allowed in WHERE"),
        ("select * from t x join t y on count(x.a) = 1", "42803", "aggregate functions are not allowed in JOIN conditions"),
        ("select count(*) from t group by 1", "42803", "aggregate functions are not allowed in GROUP BY"),
        ("select a from t limit count(a)", "42803", "aggregate functions are not allowed in LIMIT"),
        ("values (count(1))", "42803", "aggregate functions are not allowed in VALUES"),
        ("select sum(count(*)) from t", "42803", "aggregate function calls cannot be nested"),
        ("select sum(a) filter (where count(*) > 1) from t", "42803", "aggregate functions are not allowed in FILTER"),
        ("select a from t where row_number() over () = 1", "42P20", "window functions are not allowed in WHERE"),
        ("select 1 from t having rank() over () = 1", "42P20", "window functions are not allowed in HAVING"),
        ("select sum(rank() over ()) over () from t", "42P20", "window function calls cannot be nested"),
        ("select sum(rank() over ()) from t", "42803", "aggregate function calls cannot contain window function calls"),
        ("select rank() from t", "42809", "window function rank requires an OVER clause"),
        ("select upper(c) over () from t", "42809", "OVER specified, but upper is not a window function nor an aggregate function"),
        ("select upper(distinct c) from t", "42809", "DISTINCT specified, but upper is not an aggregate function"),
        ("select sum(a) over w from t", "42704", "window \"w\" does not exist"),
        ("select sum(a) over (w partition by b) from t window w as ()", "42P20", "cannot override PARTITION BY clause of window \"w\""),
        ("select sum(*) from t", "42883", "function sum() does not exist"),
        ("select a from t order by 'x'", "42601", "non-integer constant in ORDER BY"),
        ("select a from t order by -1", "42P10", "ORDER BY position -1 is not in select list"),
        ("select a from t union select b from t order by b", "42703", "column \"b\" does not exist"),
        ("select a from t union select b from t order by a + 1", "0A000", "invalid UNION/INTERSECT/EXCEPT ORDER BY clause"),
        ("select a from t limit -1", "2201W", "LIMIT must not be negative"),
        ("select a from t offset -1", "2201X", "OFFSET must not be negative"),
        ("select 1 from t, T", "42712", "table name \"t\" specified more than once"),
        ("select (select 1 from u x, u x) from t", "42712", "table name \"x\" specified more than once"),
        ("with w as (select 1), w as (select 2) select 1", "42712", "WITH query name \"w\" specified more than once"),
    ];
    for (sql, state, message) in table {
        let error = checked(sql).unwrap_err();
        assert_eq!((error.state.0, &*error.message), (state, message), "{sql}");
    }
}

#[test]
fn what_is_right_passes() {
    for sql in [
        "select sum(sum(b)) over (order by a) from t group by a order by count(*)",
        "select a from t group by a having count(*) > 1",
        "select a from t where a > (select count(*) from t where b in (select max(b) from t))",
        "select sum((select count(*) from u)) from t",
        "select rank() over w from t window w as (partition by a) order by rank() over (w order by b)",
        "select first_value(a) over (order by b rows between 1 preceding and unbounded following) from t",
        "select a from t union select b from t order by a, 1",
        "select 1 from s.t, t, t as \"T\" order by null::int",
        "select a from t limit null offset 0",
        "with recursive w as (select 1 as a union all select a + 1 from w where a < 3) select * from w",
        "select * from t cross join u",
    ] {
        assert!(checked(sql).is_ok(), "{sql}: {:?}", checked(sql));
    }
}

#[test]
fn errors_say_where() {
    let sql = "select a\nfrom t where count(*) > 1";
    let error = checked(sql).unwrap_err().located(sql);
    assert_eq!(error.position, Some(23));
}
