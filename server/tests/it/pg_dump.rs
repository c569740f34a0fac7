//! The real pg_dump: what it writes, psql loads into another server, and a dump of that one says the same.

use crate::server_process::ServerProcess;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where Debian puts the programs that it keeps one version beside another of.
const VERSIONS: [&str; 4] = ["15", "16", "17", "18"];

/// pg_dump, if it is here.
fn program() -> Option<PathBuf> {
    let debian = VERSIONS.map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin/pg_dump")));
    let found = debian.into_iter().find(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: there is no pg_dump here");
    }
    found
}

/// A dump, without what is different in each: comments, and the keys of `\restrict`.
fn dump(server: &ServerProcess, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program()?).args(arguments).args(["--dbname", &server.url()]).output().expect("pg_dump runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("a dump is UTF-8");
    let kept = text.lines().filter(|line| !line.is_empty() && !line.starts_with("--") && !line.contains("restrict "));
    Some(kept.fold(String::new(), |text, line| text + line + "\n"))
}

/// Runs a script; no statement of it may fail.
fn load(server: &ServerProcess, script: &str) {
    let mut psql = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--output", "/dev/null", "--set", "ON_ERROR_STOP=1", "--dbname", &server.url()])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql runs");
    psql.stdin.take().expect("it is piped").write_all(script.as_bytes()).expect("psql reads");
    let output = psql.wait_with_output().expect("psql ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const OBJECTS: &str = "
create role reader;
create schema \"Other one\";
create table ships (id serial primary key, name varchar(20) not null default 'x', tons numeric(10,1) check (tons >= 0), body jsonb, tags text[]);
create table \"Other one\".ports (id int generated always as identity, \"at\" timestamptz, picture bytea, unique (\"at\"));
create index by_name on ships (name desc, lower(name));
create view heavy (called, weight) as select name, tons from ships where tons > 100;
create view \"Other one\".all_ports as select * from \"Other one\".ports;
create sequence tickets start with 5 increment by 2 maxvalue 99 cycle;
comment on table ships is 'what floats';
comment on column ships.tons is 'not quite';
grant select on ships to reader;
grant update (name) on ships to reader;
alter default privileges in schema public grant select on tables to reader;
insert into ships (name, tons, body, tags) values ('a', 1.5, '{\"a\": [1]}', '{x,\"y z\"}'), (E'q\\tz\\\\', null, null, null);
insert into \"Other one\".ports (\"at\", picture) values ('2020-02-02 02:02:02+00', '\\x00ff'), (null, null);
select nextval('tickets');
";

#[test]
fn a_dump_is_loaded_by_another_server() {
    if program().is_none() {
        return;
    }
    let (first, second) = (ServerProcess::start(), ServerProcess::start());
    load(&first, OBJECTS);
    let Some(dumped) = dump(&first, &[]) else { return };
    for line in [
        "CREATE SCHEMA \"Other one\";",
        "ALTER TABLE ONLY public.ships ALTER COLUMN id SET DEFAULT nextval('public.ships_id_seq'::regclass);",
        " SELECT name AS called, tons AS weight FROM public.ships WHERE tons > 100;",
        "SELECT pg_catalog.setval('public.tickets', 5, true);",
        "GRANT SELECT ON TABLE public.ships TO reader;",
        "COMMENT ON COLUMN public.ships.tons IS 'not quite';",
        "    ADD CONSTRAINT ships_pkey PRIMARY KEY (id);",
    ] {
        assert!(dumped.contains(line), "no line {line:?} in:\n{dumped}");
    }
    assert!(!dumped.contains("plimsoll."), "the server's own views are in the dump:\n{dumped}");
    load(&second, &format!("create role reader;\n{dumped}"));
    let (data, again) = (dump(&first, &["--data-only"]), dump(&second, &["--data-only"]));
    let rows = |text: Option<String>| {
        text.unwrap_or_default().lines().filter(|line| !line.contains("setval")).map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(rows(data), rows(again));
}

const LINKED: &str = "
create table captains (id int primary key, boss int references captains, name text unique);
create table logs (a int, b int, primary key (b, a));
create table entries (id int, captain int not null references captains on delete cascade deferrable initially deferred, a int, b int,
    named text constraint by_name references captains (name) on update cascade on delete set default,
    foreign key (b, a) references logs match full on delete set null (a));
insert into captains values (1, 2, 'x'), (2, 1, 'y');
insert into logs values (1, 2);
insert into entries values (1, 2, 1, 2, 'x'), (2, 1, null, null, null);
alter table entries add constraint later foreign key (id) references captains not valid;
";

#[test]
fn a_dump_keeps_foreign_keys() {
    if program().is_none() {
        return;
    }
    let (first, second) = (ServerProcess::start(), ServerProcess::start());
    load(&first, LINKED);
    let Some(dumped) = dump(&first, &[]) else { return };
    for line in [
        "ADD CONSTRAINT captains_boss_fkey FOREIGN KEY (boss) REFERENCES public.captains(id);",
        "ADD CONSTRAINT entries_captain_fkey FOREIGN KEY (captain) REFERENCES public.captains(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;",
        "ADD CONSTRAINT by_name FOREIGN KEY (named) REFERENCES public.captains(name) ON UPDATE CASCADE ON DELETE SET DEFAULT;",
        "ADD CONSTRAINT entries_b_a_fkey FOREIGN KEY (b, a) REFERENCES public.logs(b, a) MATCH FULL ON DELETE SET NULL (a);",
        "ADD CONSTRAINT later FOREIGN KEY (id) REFERENCES public.captains(id) NOT VALID;",
    ] {
        assert!(dumped.contains(line), "no line {line:?} in:\n{dumped}");
    }
    load(&second, &dumped);
    assert_eq!(dump(&second, &[]).as_deref(), Some(&*dumped));
}

const COMPUTED: &str = "
create table people (id int generated always as identity, email varchar(40), name text, gone timestamptz, price numeric(10,2), amount int,
    total numeric(12,2) generated always as (price * amount) stored, shout text generated always as (upper(name) || '!') stored,
    at date generated always as ((gone at time zone 'UTC')::date) stored,
    primary key (id) include (name), unique nulls not distinct (name, amount) include (price), unique (amount) deferrable initially deferred);
create unique index people_email on people (lower(email)) where gone is null;
create unique index people_two on people ((name || ' ' || email) desc, amount) include (id) nulls not distinct where amount > 5 and name <> 'x';
create unique index people_three on people ((amount + 1), (coalesce(name, '')));
insert into people (email, name, price, amount) values ('A', 'a', 1.5, 2), (null, null, null, 7);
";

#[test]
fn a_dump_keeps_computed_keys_and_columns() {
    if program().is_none() {
        return;
    }
    let (first, second) = (ServerProcess::start(), ServerProcess::start());
    load(&first, COMPUTED);
    let Some(dumped) = dump(&first, &[]) else { return };
    for line in [
        "    total numeric(12,2) GENERATED ALWAYS AS ((price * (amount)::numeric)) STORED,",
        "    shout text GENERATED ALWAYS AS ((upper(name) || '!'::text)) STORED,",
        "    ADD CONSTRAINT people_amount_key UNIQUE (amount) DEFERRABLE INITIALLY DEFERRED;",
        "    ADD CONSTRAINT people_name_amount_price_key UNIQUE NULLS NOT DISTINCT (name, amount) INCLUDE (price);",
        "    ADD CONSTRAINT people_pkey PRIMARY KEY (id) INCLUDE (name);",
        "CREATE UNIQUE INDEX people_email ON public.people USING btree (lower((email)::text)) WHERE (gone IS NULL);",
        "COPY public.people (id, email, name, gone, price, amount) FROM stdin;",
    ] {
        assert!(dumped.contains(line), "no line {line:?} in:\n{dumped}");
    }
    load(&second, &dumped);
    assert_eq!(dump(&second, &[]).as_deref(), Some(&*dumped));
}

const RICH: &str = "
create role keeper;
create extension pgcrypto;
comment on extension pgcrypto is 'of the keeper';
create schema gone;
alter default privileges in schema gone grant select on tables to keeper;
drop schema gone;
create sequence s3 start 5 increment by 2 minvalue 1 maxvalue 99 cache 3 cycle;
create sequence s4 as smallint;
create sequence s5 increment -1 cache 7;
create table a (id int primary key, k text, n numeric(8,2) default 1.5, b bool default true, ts timestamptz default now(), d date default current_date, x int default (1+2)*3, check (n > 0 and k <> 'a' or b), constraint c2 check (k in ('a','b')), constraint c3 check (id between 1 and 10), constraint c4 check (k like 'a%'), constraint c5 check (k ~ '^a'), constraint c6 check (length(k) < 5), t text default 'x'||'y', arr int[] default '{1,2}', j jsonb default '{}'::jsonb, u uuid default gen_random_uuid(), iv interval default '1 day', v varchar(10) default 'abc', cc char(3) default 'a', bb bytea default '\\x00');
create index a_k on a (k) where k is not null;
create index a_l on a (lower(k), upper(k), (n + 1), (id::text), coalesce(k, 'x'), id desc nulls last);
create index a_in on a (id) where k in ('a', 'b');
create index a_h on a using hash (id);
create view v1 as select id, k from a union select id, k from a;
create view v2 as with c as (select id from a) select * from c order by id desc limit 5;
create view v3 as select id, count(*) as n, sum(n) filter (where b) as s from a group by id having count(*) > 1 order by id;
create view v4 as select a.id, x.k from a left join a x on a.id = x.id and x.b where a.k like 'x%' and not a.b;
create view v5 as select id from a union all (select id from a order by id limit 1) order by 1;
create view v6 (p, q) as values (1,'a'),(2,'b');
create view v7 as select case when id > 1 then 'x' else k end as w, (id + 1) * 2 as e, id::text as f, k || 'x' as g, row_number() over (partition by k order by id desc) as rn, exists (select 1 from a b where b.id = a.id) as ex, array[1,2] as ar, n::numeric(6,1) as nn, ts at time zone 'UTC' as tz, extract(year from ts) as y, interval '1 day' as i, date '2020-01-01' as dd, coalesce(k,'z') as co from a;
create view v8 as select distinct on (k) k, id from a order by k, id;
create view v9 as select k from a intersect select k from a except select 'x';
create view v10 as with recursive r(n) as (select 1 union all select n+1 from r where n < 5) select n from r;
create view v11 as select * from (select id, k from a) s, lateral (select s.id + 1 as z) l;
create view v12 as select a.* from a join a b using (id) where a.id in (select id from a) and a.k = any (array['x','y']);
create view v13 as select j->'a' as ja, j->>'b' as jb, arr[1] as a1, arr[1:2] as a2 from a;
create view v14 as table a;
create view v15 as select id, k from v1 where id > 0 order by k nulls first, id desc;
create view v16 as select current_date as cd, now() as n, current_user as cu;
comment on view v1 is 'both';
create view v17 (\"A b\", c) as select * from (select id, k from a) s;
grant select (id) on a to keeper;
alter default privileges in schema public grant select on tables to keeper;
insert into a (id, k, t, arr, j, cc) values (1, 'a', null, '{1,NULL}', '[1]', 'x');
select nextval('s3'), nextval('s5');
";

/// Definitions do not change with each dump: what a server that has loaded a dump dumps is the same text.
#[test]
fn a_dump_of_what_was_loaded_is_the_same() {
    if program().is_none() {
        return;
    }
    let (first, second) = (ServerProcess::start(), ServerProcess::start());
    load(&first, RICH);
    let Some(dumped) = dump(&first, &[]) else { return };
    for line in [
        "CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;",
        "CREATE INDEX a_k ON public.a USING btree (k) WHERE (k IS NOT NULL);",
        "    CACHE 3",
        " SELECT p, q FROM (VALUES (1, 'a'), (2, 'b')) AS view_columns (p, q);",
    ] {
        assert!(dumped.contains(line), "no line {line:?} in:\n{dumped}");
    }
    assert!(!dumped.contains("plimsoll."), "the server's own views are in the dump:\n{dumped}");
    load(&second, &format!("create role keeper;\n{dumped}"));
    let again = dump(&second, &[]).unwrap_or_default();
    let differing: Vec<_> = dumped.lines().zip(again.lines()).filter(|(left, right)| left != right).collect();
    assert_eq!(differing, Vec::new());
    assert_eq!(dumped.lines().count(), again.lines().count());
}
