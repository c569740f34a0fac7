"""ODBC: Debian's psqlodbc (Unicode) beneath unixODBC, by pyodbc: SQLTables, SQLColumns, SQLPrimaryKeys, SQLStatistics, every type."""

import datetime as dt
import decimal
import os
import sys
import uuid
from urllib.parse import urlsplit

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import pyodbc  # noqa: E402
from steps import fails_with, run, same, step  # noqa: E402


@step
def every_type(c):
    cursor = c.cursor()
    cursor.execute("""create table odbc_every (id int primary key, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real,
        f8 double precision, n numeric(12,3), t text, v varchar(20), c char(5), by bytea, d date, tm time, ts timestamp, tz timestamptz,
        u uuid, j json, jb jsonb, ai int[])""")
    values = (1, True, -7, 42, -9223372036854775808, 1.5, 1.1, decimal.Decimal("-123456.789"), "naïve", "varchar", "ab", b"\x00\xff\\",
              dt.date(1969, 7, 20), dt.time(23, 59, 59), dt.datetime(2001, 2, 3, 4, 5, 6), dt.datetime(2001, 2, 3, 4, 5, 6),
              uuid.UUID("12345678-1234-5678-1234-567812345678"), '{"a": 1}', '{"b": 2}', "{1,NULL,3}")
    cursor.execute(f"insert into odbc_every values ({', '.join('?' * 20)})", values)
    same(cursor.rowcount, 1)
    row = cursor.execute("select * from odbc_every").fetchone()
    same([bool(int(row[1])) if isinstance(row[1], str) else row[1]] + list(row[2:8]), list(values[1:8]))
    same((row[8], row[9], row[10], row[11], row[12], row[13]), ("naïve", "varchar", "ab   ", b"\x00\xff\\", values[12], values[13]))
    same((row[14], row[15]), (values[14], values[15]))
    same((str(row[16]).lower(), row[18], row[19]), (str(values[16]), '{"b": 2}', "{1,NULL,3}"))
    same([d[1] for d in cursor.description[:4]], [int, str, int, int])


@step
def nulls(c):
    c.execute("insert into odbc_every (id, d, t) values (?, ?, ?)", (2, None, None))
    same(list(c.execute("select * from odbc_every where id = 2").fetchone())[1:], [None] * 19)


@step
def errors_and_recovery(c):
    state = lambda error: error.args[0]  # noqa: E731
    fails_with("42P01", state, lambda: c.execute("select * from nowhere"))
    fails_with("42601", state, lambda: c.execute("selec 1"))
    fails_with("23505", state, lambda: c.execute("insert into odbc_every (id) values (1)"))
    same(c.execute("select 1").fetchone()[0], 1)


@step
def transactions(c):
    c.execute("create table odbc_trips (a int)")
    c.autocommit = False
    c.execute("insert into odbc_trips values (1)")
    c.rollback()
    c.execute("insert into odbc_trips values (2)")
    c.commit()
    try:
        c.execute("select 1/0").fetchall()
        raise AssertionError("no error")
    except pyodbc.Error:
        c.rollback()
    c.autocommit = True
    same([tuple(r) for r in c.execute("select a from odbc_trips")], [(2,)])


@step
def many_rows(c):
    cursor = c.cursor()
    cursor.executemany("insert into odbc_trips values (?)", [(n,) for n in range(100, 300)])
    same(cursor.execute("select count(*) from odbc_trips where a >= ?", 100).fetchone()[0], 200)


@step
def tables(c):
    c.execute("create view odbc_seen as select id, t from odbc_every")
    cursor = c.cursor()
    same([(r.table_schem, r.table_name, r.table_type) for r in cursor.tables(table="odbc%")],
         [("public", "odbc_every", "TABLE"), ("public", "odbc_seen", "VIEW"), ("public", "odbc_trips", "TABLE")])
    same([r.table_name for r in cursor.tables(table="odbc%", tableType="VIEW")], ["odbc_seen"])


@step
def columns(c):
    found = [(r.column_name, r.type_name, r.nullable) for r in c.cursor().columns(table="odbc_every")]
    same(found[:3], [("id", "int4", 0), ("b", "bool", 1), ("i2", "int2", 1)])
    same(len(found), 20)
    same([(r.column_name, r.column_size, r.decimal_digits) for r in c.cursor().columns(table="odbc_every", column="n")], [("n", 12, 3)])


@step
def keys_and_indexes(c):
    c.execute("create table odbc_keys (a int, b text, c int, primary key (b, a), unique (c))")
    same([(r.column_name, r.key_seq, r.pk_name) for r in c.cursor().primaryKeys("odbc_keys")], [("b", 1, "odbc_keys_pkey"), ("a", 2, "odbc_keys_pkey")])
    statistics = [(r.index_name, r.non_unique, r.ordinal_position, r.column_name) for r in c.cursor().statistics("odbc_keys") if r.index_name]
    same(sorted(statistics), [("odbc_keys_c_key", 0, 1, "c"), ("odbc_keys_pkey", 0, 1, "b"), ("odbc_keys_pkey", 0, 2, "a")])
    same(list(c.cursor().foreignKeys("odbc_keys")), [])
    list(c.cursor().rowIdColumns("odbc_keys"))


@step
def types_and_procedures(c):
    names = {r.type_name for r in c.cursor().getTypeInfo()}
    same({"int4", "text", "numeric", "bool"} <= names, True)
    list(c.cursor().procedures())


if __name__ == "__main__":
    at = urlsplit(sys.argv[1])
    driver = sys.argv[2] if len(sys.argv) > 2 else "PostgreSQL Unicode"
    run(pyodbc.connect(f"DRIVER={{{driver}}};SERVER={at.hostname};PORT={at.port};DATABASE=plimsoll;UID=plimsoll;BoolsAsChar=1;UseServerSidePrepare=1",
                       autocommit=True))
