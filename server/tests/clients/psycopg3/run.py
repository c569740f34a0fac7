"""psycopg 3: parameters in text and binary, server-side cursors, pipelines, COPY, two-way adaptation of every type."""

import datetime as dt
import decimal
import os
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import psycopg  # noqa: E402
from psycopg.rows import dict_row  # noqa: E402
from psycopg.types.json import Json, Jsonb  # noqa: E402
from steps import fails_with, run, same, step  # noqa: E402

UTC = dt.timezone.utc
EVERY = """create table every_type (id int primary key, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision,
    n numeric(12,3), t text, v varchar(20), c char(5), by bytea, d date, tm time, ts timestamp, tz timestamptz, iv interval, u uuid,
    j json, jb jsonb, ai int[], at text[])"""
VALUES = (
    1, True, -32768, 2147483647, -9223372036854775808, 1.5, 1.1, decimal.Decimal("-123456.789"), "naïve \U0001f6a2", "varchar", "ab   ",
    b"\x00\xff\\x", dt.date(1969, 7, 20), dt.time(23, 59, 59, 999999), dt.datetime(2001, 2, 3, 4, 5, 6, 789),
    dt.datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC), dt.timedelta(days=3, hours=4), uuid.UUID("12345678-1234-5678-1234-567812345678"),
    {"a": [1, None]}, {"b": "c"}, [1, None, 3], ["x", None, 'q"uote'],
)


def parameters(id_):
    return (id_,) + VALUES[1:18] + (Json(VALUES[18]), Jsonb(VALUES[19])) + VALUES[20:]


@step
def create(c):
    c.execute("drop table if exists every_type")
    c.execute(EVERY)


@step
def every_type_in_and_out(c):
    places = ", ".join(["%s"] * 22)
    c.execute(f"insert into every_type values ({places})", parameters(1))
    c.execute(f"insert into every_type values ({', '.join(['%b'] * 22)})", parameters(2))
    for binary in (False, True):
        rows = c.cursor(binary=binary).execute("select * from every_type order by id").fetchall()
        same(len(rows), 2)
        for row in rows:
            same(row[1:], VALUES[1:])


@step
def nulls(c):
    c.execute("insert into every_type (id) values (3)")
    for binary in (False, True):
        row = c.cursor(binary=binary).execute("select * from every_type where id = 3").fetchone()
        same(row, (3,) + (None,) * 21)
    same(c.execute("select %s::int, %s::text", (None, None)).fetchone(), (None, None))


@step
def one_parameter_of_each_type(c):
    for value, sql in zip(VALUES[1:18], ["boolean", "smallint", "integer", "bigint", "real", "double precision", "numeric", "text", "varchar",
                                         "text", "bytea", "date", "time", "timestamp", "timestamptz", "interval", "uuid"]):
        for place in ("%t", "%b"):
            for binary in (False, True):
                found = c.cursor(binary=binary).execute(f"select {place}::{sql}", (value,)).fetchone()[0]
                same(found, value)


@step
def description(c):
    cursor = c.execute("select * from every_type where false")
    same([d.type_code for d in cursor.description], [23, 16, 21, 23, 20, 700, 701, 1700, 25, 1043, 1042, 17, 1082, 1083, 1114, 1184, 1186,
                                                     2950, 114, 3802, 1007, 1009])
    same((cursor.description[7].precision, cursor.description[7].scale), (12, 3))
    same(cursor.description[9].display_size, 20)


@step
def errors_and_recovery(c):
    state = lambda error: error.sqlstate  # noqa: E731
    fails_with("42P01", state, lambda: c.execute("select * from nowhere"))
    fails_with("42601", state, lambda: c.execute("selec 1"))
    fails_with("42703", state, lambda: c.execute("select nothing from every_type"))
    fails_with("22012", state, lambda: c.execute("select 1 / %s", (0,)))
    fails_with("23505", state, lambda: c.execute("insert into every_type (id) values (1)"))
    fails_with("22P02", state, lambda: c.execute("select %s::int", ("x",)))
    same(c.execute("select 1").fetchone(), (1,))
    try:
        c.execute("insert into every_type (id) values (1)")
    except psycopg.errors.UniqueViolation as error:
        same((error.diag.table_name, error.diag.schema_name, error.diag.constraint_name), ("every_type", "public", "every_type_pkey"))


@step
def transactions(c):
    with c.transaction():
        c.execute("create table trips (a int)")
        c.execute("insert into trips values (1)")
    try:
        with c.transaction():
            c.execute("insert into trips values (2)")
            raise RuntimeError("on purpose")
    except RuntimeError:
        pass
    same(c.execute("select a from trips").fetchall(), [(1,)])
    c.autocommit = False
    try:
        c.execute("insert into trips values (3)")
        fails_with("22012", lambda e: e.sqlstate, lambda: c.execute("select 1/0"))
        fails_with("25P02", lambda e: e.sqlstate, lambda: c.execute("select 1"))
        c.rollback()
        c.execute("insert into trips values (4)")
        c.commit()
    finally:
        c.rollback()
        c.autocommit = True
    same(c.execute("select a from trips order by a").fetchall(), [(1,), (4,)])


@step
def nested_transactions(c):
    c.execute("create table nested (a int)")
    with c.transaction():
        c.execute("insert into nested values (1)")
        try:
            with c.transaction():
                c.execute("insert into nested values (2)")
                c.execute("select 1/0")
        except psycopg.errors.DivisionByZero:
            pass
        c.execute("insert into nested values (3)")
    same(c.execute("select a from nested order by a").fetchall(), [(1,), (3,)])


@step
def prepared(c):
    for number in range(8):
        same(c.execute("select %s::int + 1", (number,), prepare=True).fetchone(), (number + 1,))
    c.execute("create table shapes (a int)")
    c.execute("insert into shapes values (1)")
    same(c.execute("select * from shapes", prepare=True).fetchall(), [(1,)])
    c.execute("alter table shapes add column b int default 7")
    try:
        same(c.execute("select * from shapes", prepare=True).fetchall(), [(1, 7)])
    except psycopg.errors.FeatureNotSupported as error:
        # PostgreSQL's own answer: cached plan must not change result type.
        same(error.sqlstate, "0A000")


@step
def many_rows(c):
    cursor = c.cursor()
    cursor.execute("create table numbers (n int, label text)")
    cursor.executemany("insert into numbers values (%s, %s)", [(n, f"label {n}") for n in range(500)])
    same(cursor.rowcount, 500)
    cursor.executemany("insert into numbers values (%s, 'x') returning n", [(500,), (501,)], returning=True)
    same(cursor.fetchone(), (500,))
    cursor.nextset()
    same(cursor.fetchone(), (501,))
    same(c.execute("select count(*) from numbers").fetchone(), (502,))
    same(sum(1 for _ in c.cursor().stream("select n from numbers")), 502)


@step
def server_side_cursors(c):
    with c.transaction(), c.cursor(name="ahead") as cursor:
        cursor.itersize = 100
        cursor.execute("select n from numbers where n < %s order by n", (500,))
        same([row[0] for row in cursor], list(range(500)))
    with c.transaction(), c.cursor(name="both_ways", scrollable=True) as cursor:
        cursor.execute("select n from numbers order by n")
        cursor.scroll(10)
        same(cursor.fetchone(), (10,))
        cursor.scroll(0, mode="absolute")
        same(cursor.fetchmany(2), [(0,), (1,)])
        same(cursor.description[0].name, "n")


@step
def pipeline(c):
    with c.pipeline():
        cursors = [c.execute("select %s::int", (n,)) for n in range(20)]
    same([cursor.fetchone()[0] for cursor in cursors], list(range(20)))
    try:
        with c.pipeline() as p:
            c.execute("create table piped (a int primary key)")
            p.sync()
            c.execute("insert into piped values (1)")
            p.sync()
            c.execute("insert into piped values (1)")
            p.sync()
    except psycopg.errors.UniqueViolation:
        pass
    same(c.execute("select count(*) from piped").fetchone(), (1,))


@step
def copy_in_and_out(c):
    columns = "n, label"
    with c.cursor().copy(f"copy numbers ({columns}) from stdin") as copy:
        for n in range(1000, 1100):
            copy.write_row((n, None if n % 2 else f"row\t{n}"))
    with c.cursor().copy(f"copy numbers ({columns}) from stdin (format binary)") as copy:
        copy.set_types(["int4", "text"])
        for n in range(1100, 1200):
            copy.write_row((n, f"b{n}"))
    for options in ("", "(format binary)"):
        with c.cursor().copy(f"copy (select n, label from numbers where n >= 1000 order by n) to stdout {options}") as copy:
            copy.set_types(["int4", "text"])
            rows = list(copy.rows())
        same((len(rows), rows[0], rows[1], rows[150]), (200, (1000, "row\t1000"), (1001, None), (1150, "b1150")))

    def broken():
        with c.cursor().copy("copy numbers (n) from stdin") as copy:
            copy.write("not a number\n")

    fails_with("22P02", lambda e: e.sqlstate, broken)
    same(c.execute("select 1").fetchone(), (1,))


@step
def rows_as_dicts_and_binary_arrays(c):
    row = c.cursor(row_factory=dict_row, binary=True).execute("select array[1,2] a, array['x'] b, '{}'::int[] c").fetchone()
    same(row, {"a": [1, 2], "b": ["x"], "c": []})
    same(c.execute("select id from every_type where id = any(%s) order by 1", ([1, 2, 99],)).fetchall(), [(1,), (2,)])
    same(c.execute("select id from every_type where t = any(%s) order by 1", (["x", VALUES[8]],)).fetchall(), [(1,), (2,)])


@step
def types_are_found_by_name(c):
    from psycopg.types import TypeInfo

    info = TypeInfo.fetch(c, "numeric")
    same((info.name, info.oid, info.array_oid, info.regtype), ("numeric", 1700, 1231, "numeric"))
    same(TypeInfo.fetch(c, "nosuchtype"), None)


@step
def facts_of_the_connection(c):
    same(c.info.server_version // 10000, 15)
    same((c.info.encoding, c.info.dbname), ("utf-8", "plimsoll"))
    same(c.info.parameter_status("integer_datetimes"), "on")
    assert c.info.backend_pid > 0
    notices = []
    c.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
    c.execute("drop table if exists not_there")
    same(notices, ['table "not_there" does not exist, skipping'])


@step
def cancellation(c):
    import threading

    timer = threading.Timer(0.3, c.cancel)
    timer.start()
    fails_with("57014", lambda e: e.sqlstate, lambda: c.execute("select count(*) from generate_series(1, 300000) a, generate_series(1, 300000) b"))
    timer.join()
    same(c.execute("select 1").fetchone(), (1,))


@step
def parameters_left_to_the_server(c):
    """As texts without types, as libpq's PQexecParams sends them by default."""
    c.execute("create temp table untyped (i int, n numeric(10,2), ta text[], ia int[], jb jsonb)")
    c.execute("""insert into untyped values (1, 1.25, '{a,b}', '{1,2}', '{"a": 1}')""")
    table = [
        ("select $1 = any(ia) from untyped", "1", "t"),
        ("select ta && $1 from untyped", "{a}", "t"),
        ("select jb @> $1 from untyped", '{"a": 1}', "t"),
        ("select coalesce($1, 5)", "7", "7"),
        ("select case when n < 0 then n else $1 end from untyped", "3.14159", "3.14159"),
        ("select $1 union select 1", "1", "1"),
        ("select make_interval(days => $1)", "3", "3 days"),
        ("insert into untyped (n, i) select $1, 77 returning n", "2.5", "2.50"),
    ]
    for sql, value, expected in table:
        result = c.pgconn.exec_params(sql.encode(), [value.encode()])
        same((result.error_message, result.get_value(0, 0)), (b"", expected.encode()))
    # What a function returns, as JDBC's {? = call upper(?)} has it.
    result = c.pgconn.exec_params(b"select * from upper($1, $2) as result", [None, b"abc"], [2278, 25])
    same(result.get_value(0, 0), b"ABC")


if __name__ == "__main__":
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        run(connection)
