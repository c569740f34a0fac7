"""asyncpg: everything is binary and prepared; its own introspection of types; cursors, COPY, pools."""

import asyncio
import datetime as dt
import decimal
import io
import os
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import asyncpg  # noqa: E402
from steps import STEPS, same, step  # noqa: E402

UTC = dt.timezone.utc
VALUES = (
    1, True, -32768, 2147483647, -9223372036854775808, 1.5, 1.1, decimal.Decimal("-123456.789"), "naïve \U0001f6a2", "varchar", "ab   ",
    b"\x00\xff\\x", dt.date(1969, 7, 20), dt.time(23, 59, 59, 999999), dt.datetime(2001, 2, 3, 4, 5, 6, 789),
    dt.datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC), dt.timedelta(days=3, hours=4), uuid.UUID("12345678-1234-5678-1234-567812345678"),
    '{"a": [1, null]}', '{"b": "c"}', [1, None, 3], ["x", None, 'q"uote'],
)


async def fails(sqlstate, awaitable):
    try:
        await awaitable
    except asyncpg.PostgresError as error:
        same(error.sqlstate, sqlstate)
        return
    raise AssertionError(f"no error where {sqlstate} was due")


@step
async def every_type_in_and_out(c):
    await c.execute("drop table if exists every_async")
    await c.execute("""create table every_async (id int primary key, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real,
        f8 double precision, n numeric(12,3), t text, v varchar(20), c char(5), by bytea, d date, tm time, ts timestamp, tz timestamptz,
        iv interval, u uuid, j json, jb jsonb, ai int[], at text[])""")
    places = ", ".join(f"${n}" for n in range(1, 23))
    same(await c.execute(f"insert into every_async values ({places})", *VALUES), "INSERT 0 1")
    same(tuple(await c.fetchrow("select * from every_async")), VALUES)
    await c.execute("insert into every_async (id) values (2)")
    same(tuple(await c.fetchrow("select * from every_async where id = $1", 2)), (2,) + (None,) * 21)


@step
async def errors_and_recovery(c):
    await fails("42P01", c.fetch("select * from nowhere"))
    await fails("42601", c.fetch("selec 1"))
    await fails("23505", c.execute("insert into every_async (id) values ($1)", 1))
    await fails("22012", c.fetchval("select 1 / $1::int", 0))
    same(await c.fetchval("select 1"), 1)


@step
async def transactions(c):
    await c.execute("create table async_trips (a int)")
    try:
        async with c.transaction():
            await c.execute("insert into async_trips values (1)")
            await c.execute("select 1/0")
    except asyncpg.DivisionByZeroError:
        pass
    async with c.transaction(isolation="repeatable_read", readonly=False):
        await c.execute("insert into async_trips values (2)")
    same([r["a"] for r in await c.fetch("select a from async_trips")], [2])


@step
async def nested_transactions(c):
    async with c.transaction():
        await c.execute("insert into async_trips values (3)")
        try:
            async with c.transaction():
                await c.execute("insert into async_trips values (4)")
                raise RuntimeError("on purpose")
        except RuntimeError:
            pass
    same([r["a"] for r in await c.fetch("select a from async_trips order by a")], [2, 3])


@step
async def prepared(c):
    statement = await c.prepare("select $1::int + a as total, $2::text as label from async_trips order by a")
    same([p.name for p in statement.get_parameters()], ["int4", "text"])
    same([(a.name, a.type.name) for a in statement.get_attributes()], [("total", "int4"), ("label", "text")])
    same([tuple(r) for r in await statement.fetch(10, "x")], [(12, "x"), (13, "x")])
    await c.executemany("insert into async_trips values ($1)", [(n,) for n in range(100, 200)])
    same(await c.fetchval("select count(*) from async_trips where a >= 100"), 100)


@step
async def cursors(c):
    async with c.transaction():
        rows = [r["a"] async for r in c.cursor("select a from async_trips where a >= $1 order by a", 100, prefetch=7)]
        same(rows, list(range(100, 200)))
        cursor = await c.cursor("select a from async_trips where a >= 100 order by a")
        same([r["a"] for r in await cursor.fetch(3)], [100, 101, 102])
        await cursor.forward(5)
        same((await cursor.fetchrow())["a"], 108)


@step
async def copy_in_and_out(c):
    await c.execute("create table async_copied (a int, b text, c timestamptz, d numeric)")
    when = dt.datetime(2020, 1, 1, tzinfo=UTC)
    rows = [(n, None if n % 3 else f"t{n}", when, decimal.Decimal(n) / 4) for n in range(300)]
    same(await c.copy_records_to_table("async_copied", records=rows), "COPY 300")
    same([tuple(r) for r in await c.fetch("select * from async_copied order by a")], rows)
    out = io.BytesIO()
    same(await c.copy_from_query("select a, b from async_copied where a < $1 order by a", 3, output=out, format="csv"), "COPY 3")
    same(out.getvalue(), b"0,t0\n1,\n2,\n")
    same(await c.copy_to_table("async_copied", source=io.BytesIO(b"1000,z\n"), columns=["a", "b"], format="csv"), "COPY 1")


@step
async def types_are_introspected(c):
    """asyncpg asks pg_type about what it does not know by itself."""
    await c.set_type_codec("jsonb", encoder=str, decoder=lambda text: ("decoded", text), schema="pg_catalog")
    same(await c.fetchval("""select '{"a": 1}'::jsonb"""), ("decoded", '{"a": 1}'))
    await c.reset_type_codec("jsonb", schema="pg_catalog")
    await c.reload_schema_state()
    same(await c.fetchval("select array[1.5, 2]::numeric[]"), [decimal.Decimal("1.5"), decimal.Decimal(2)])
    same(await c.fetchval("select oid from pg_class where relname = $1", "nothing"), None)
    same(await c.fetchval("select relkind from pg_class where relname = 'every_async'"), b"r")


@step
async def settings_and_facts(c):
    same(c.get_server_version().major, 15)
    same(c.get_settings().server_encoding, "UTF8")
    await c.execute("set application_name to 'from asyncpg'")
    same(await c.fetchval("show application_name"), "from asyncpg")
    await c.reset()


@step
async def pool(c):
    async with asyncpg.create_pool(sys.argv[1], min_size=2, max_size=5) as connections:
        async def one(n):
            async with connections.acquire() as connection:
                return await connection.fetchval("select $1::int * 2", n)

        same(await asyncio.gather(*(one(n) for n in range(30))), [2 * n for n in range(30)])


@step
async def timeout_cancels(c):
    try:
        await c.fetchval("select count(*) from generate_series(1, 300000) a, generate_series(1, 300000) b", timeout=0.3)
    except asyncio.TimeoutError:
        pass
    same(await c.fetchval("select 1"), 1)


async def main():
    from steps import _run

    connection = await asyncpg.connect(sys.argv[1])
    failed = await _run((connection,))
    await connection.close()
    return failed


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main()) else 0)
