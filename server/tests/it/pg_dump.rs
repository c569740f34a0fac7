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
