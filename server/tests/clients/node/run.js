// node-postgres: simple and prepared queries, every type, errors, pools, cursors.
'use strict';
const assert = require('node:assert/strict');
const path = require('node:path');
const modules = process.env.PLIMSOLL_TEST_NODE_MODULES;
const load = (name) => require(modules ? path.join(modules, name) : name);
const { Client, Pool } = load('pg');
const Cursor = load('pg-cursor');

const url = process.argv[2];
const steps = [];
const step = (name, run) => steps.push({ name, run });

async function fails(code, promise) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.code, code, error.message);
    return true;
  });
}

step('every type', async (c) => {
  await c.query(`create table node_every (id int primary key, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real,
    f8 double precision, n numeric(12,3), t text, v varchar(20), c char(5), by bytea, d date, tm time, ts timestamp, tz timestamptz,
    iv interval, u uuid, j json, jb jsonb, ai int[], at text[])`);
  const values = [1, true, -7, 42, '-9223372036854775808', 1.5, 1.1, '-123456.789', 'naïve', 'varchar', 'ab', Buffer.from([0, 255, 92]),
    '1969-07-20', '23:59:59.999999', '2001-02-03 04:05:06', new Date('2001-02-03T04:05:06Z'), '3 days 04:00:00',
    '12345678-1234-5678-1234-567812345678', { a: [1] }, { b: 'c' }, [1, null, 3], ['x', null, 'q"uote']];
  const inserted = await c.query(`insert into node_every values (${values.map((_, n) => `$${n + 1}`).join(', ')})`, values);
  assert.equal(inserted.rowCount, 1);
  assert.equal(inserted.command, 'INSERT');
  const { rows, fields } = await c.query('select * from node_every');
  const row = rows[0];
  assert.deepEqual([row.id, row.b, row.i2, row.i4, row.i8, row.f4, row.f8, row.n], [1, true, -7, 42, '-9223372036854775808', 1.5, 1.1, '-123456.789']);
  assert.deepEqual([row.t, row.v, row.c, [...row.by]], ['naïve', 'varchar', 'ab   ', [0, 255, 92]]);
  assert.equal(row.d.getFullYear(), 1969);
  assert.equal(row.tz.toISOString(), '2001-02-03T04:05:06.000Z');
  assert.deepEqual({ ...row.iv }, { days: 3, hours: 4 });
  assert.deepEqual([row.tm, row.u, row.j, row.jb, row.ai, row.at],
    ['23:59:59.999999', '12345678-1234-5678-1234-567812345678', { a: [1] }, { b: 'c' }, [1, null, 3], ['x', null, 'q"uote']]);
  assert.deepEqual(fields.slice(0, 3).map((f) => [f.name, f.dataTypeID]), [['id', 23], ['b', 16], ['i2', 21]]);
  const binary = new Client({ connectionString: url, binary: true });
  await binary.connect();
  const found = (await binary.query('select id, b, i4, t, ts from node_every where id = $1', [1])).rows[0];
  assert.deepEqual([found.id, found.b, found.i4, found.t], [1, true, 42, 'naïve']);
  await binary.end();
});

step('nulls', async (c) => {
  await c.query('insert into node_every (id, d) values ($1, $2)', [2, null]);
  const { rows } = await c.query({ text: 'select * from node_every where id = 2', rowMode: 'array' });
  assert.deepEqual(rows[0], [2, ...Array(21).fill(null)]);
});

step('errors and recovery', async (c) => {
  await fails('42P01', c.query('select * from nowhere'));
  await fails('42601', c.query('selec $1', [1]));
  await fails('22P02', c.query('select $1::int', ['x']));
  await fails('23505', c.query('insert into node_every (id) values ($1)', [1]));
  await assert.rejects(c.query('insert into node_every (id) values (1)'), (e) => e.constraint === 'node_every_pkey' && e.table === 'node_every');
  assert.deepEqual((await c.query('select 1 as a')).rows, [{ a: 1 }]);
});

step('transactions', async (c) => {
  await c.query('create table node_trips (a int)');
  await c.query('begin');
  await c.query('insert into node_trips values (1)');
  await fails('22012', c.query('select 1/0'));
  await fails('25P02', c.query('select 1'));
  assert.equal((await c.query('commit')).command, 'ROLLBACK');
  await c.query('begin; insert into node_trips values (2); commit');
  assert.deepEqual((await c.query('select a from node_trips')).rows, [{ a: 2 }]);
});

step('prepared', async (c) => {
  for (let n = 0; n < 10; n++) {
    const { rows } = await c.query({ name: 'add', text: 'select $1::int + a as s from node_trips', values: [n] });
    assert.deepEqual(rows, [{ s: n + 2 }]);
  }
});

step('several statements in one query', async (c) => {
  const results = await c.query("select 1 as a; select 'x' as b; insert into node_trips values (5), (6)");
  assert.deepEqual(results.map((r) => [r.command, r.rowCount]), [['SELECT', 1], ['SELECT', 1], ['INSERT', 2]]);
});

step('cursor', async (c) => {
  const cursor = c.query(new Cursor('select n from generate_series(1, 1000) as g(n) order by n'));
  const first = await cursor.read(3);
  const more = await cursor.read(500);
  await cursor.close();
  assert.deepEqual(first.map((r) => r.n), [1, 2, 3]);
  assert.equal(more.length, 500);
  assert.equal((await c.query('select 7 as a')).rows[0].a, 7);
});

step('pool', async () => {
  const pool = new Pool({ connectionString: url, max: 5 });
  const all = await Promise.all(Array.from({ length: 40 }, (_, n) => pool.query('select $1::int as n', [n])));
  assert.deepEqual(all.map((r) => r.rows[0].n), Array.from({ length: 40 }, (_, n) => n));
  await pool.end();
});

step('copy', async (c) => {
  const { from: copyFrom, to: copyTo } = load('pg-copy-streams');
  const { pipeline } = require('node:stream/promises');
  const { Readable } = require('node:stream');
  await pipeline(Readable.from(['100\n', '101\n']), c.query(copyFrom('copy node_trips from stdin')));
  const chunks = [];
  for await (const chunk of c.query(copyTo('copy (select a from node_trips where a >= 100 order by a) to stdout'))) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), '100\n101\n');
});

step('metadata', async (c) => {
  const columns = await c.query("select column_name, data_type, is_nullable from information_schema.columns where table_name = $1 order by ordinal_position limit 3", ['node_every']);
  assert.deepEqual(columns.rows.map(Object.values), [['id', 'integer', 'NO'], ['b', 'boolean', 'YES'], ['i2', 'smallint', 'YES']]);
  const tables = await c.query("select tablename from pg_tables where schemaname = 'public' and tablename like 'node%' order by 1");
  assert.deepEqual(tables.rows.map((r) => r.tablename), ['node_every', 'node_trips']);
});

step('notices', async (c) => {
  const notice = new Promise((resolve) => c.once('notice', resolve));
  await c.query('drop table if exists not_there');
  assert.equal((await notice).message, 'table "not_there" does not exist, skipping');
});

(async () => {
  const client = new Client({ connectionString: url });
  await client.connect();
  let failed = 0;
  for (const { name, run } of steps) {
    try {
      await run(client);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${name}\n   ${error.stack}`);
    }
  }
  await client.end();
  console.log(`${steps.length - failed} of ${steps.length} steps passed`);
  process.exit(failed ? 1 : 0);
})();
