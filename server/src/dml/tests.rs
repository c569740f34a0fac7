//! Statements against an engine in a temporary folder.

#![allow(clippy::unwrap_used)]

use super::{execute, execute_alone};
use crate::catalog::{ColumnDefinition, Constraint, Relation, TableDefinition};
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Result, SqlError, SqlState};
use crate::maintenance::Maintenance;
use crate::query::{QueryContext, SequenceAccess};
use crate::session::Outcome;
use crate::session::transaction::Transaction;
use crate::types::SqlType;
use crate::view::View;
use arrow::util::display::array_value_to_string;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use futures::TryStreamExt;
use std::sync::Arc;
use storage::ColumnId;

#[derive(Debug)]
struct NoSequences;

impl SequenceAccess for NoSequences {
    fn next_values(&self, _: &str, count: usize) -> Result<Vec<i64>> {
        Ok((1..=count as i64).collect())
    }
    fn current_value(&self, _: &str) -> Result<i64> {
        Err(SqlError::internal("none"))
    }
    fn set_value(&self, _: &str, _: i64, _: bool) -> Result<i64> {
        Err(SqlError::internal("none"))
    }
    fn position(&self, _: &crate::catalog::SequenceDefinition) -> crate::query::SequencePosition {
        crate::query::SequencePosition { last_value: 1, is_called: false, leased: 0 }
    }
    fn last_value(&self) -> Result<i64> {
        Err(SqlError::internal("none"))
    }
}

pub(crate) struct Db {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) engine: Arc<Engine>,
}

fn parse(sql: &str) -> Statement {
    Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().pop().unwrap()
}

fn context(engine: &Arc<Engine>) -> impl Fn(View) -> QueryContext + use<> {
    let engine = engine.clone();
    move |view| QueryContext {
        engine: engine.clone(),
        view,
        search_path: vec!["public".into()],
        forms: Arc::default(),
        user: "plimsoll".into(),
        database: "plimsoll".into(),
        session: Arc::default(),
        sequences: Arc::new(NoSequences),
        ran: None,
        held: Arc::default(),
        changed: None,
    }
}

async fn open(folder: &std::path::Path) -> Arc<Engine> {
    let config = Config { data_dir: folder.into(), memory_limit_bytes: Some(512 << 20), ..Config::default() };
    Engine::open(config).await.unwrap()
}

async fn text(outcome: Outcome) -> Result<String> {
    match outcome {
        Outcome::Done(tag) => Ok(tag),
        Outcome::Rows { batches, .. } => {
            let batches: Vec<_> = batches.try_collect().await.map_err(SqlError::from)?;
            let mut rows = Vec::new();
            for batch in &batches {
                for row in 0..batch.num_rows() {
                    let values = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
                    rows.push(values.collect::<Vec<_>>().join(","));
                }
            }
            Ok(rows.join(" "))
        }
        _ => Err(SqlError::internal("another outcome was expected")),
    }
}

async fn in_block(transaction: &mut Transaction, sql: &str) -> Result<String> {
    let context = context(transaction.engine())(transaction.view());
    let statement = parse(sql);
    if super::is_dml(&statement) {
        return text(execute(&context, transaction, &statement, &[]).await?).await;
    }
    let batches = context.run(context.plan(&statement).await?).await?;
    text(Outcome::Rows { schema: batches.schema(), batches, tag: "SELECT", tag_rows: true }).await
}

impl Db {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = open(folder.path()).await;
        Self { folder, engine }
    }

    /// A table `t (a integer [PRIMARY KEY], b text)`.
    async fn with_table(key: bool) -> Self {
        let db = Self::new().await;
        db.create("t", key).await;
        db
    }

    async fn create(&self, name: &str, key: bool) {
        let column = |id, name: &str, sql_type| ColumnDefinition {
            id: ColumnId(id),
            name: name.into(),
            sql_type,
            not_null: key && id == 1,
            default: (id == 2).then(|| "'none'".into()),
            identity: None,
            missing: None,
            digits: None,
            generated: None,
        };
        let mut constraints = vec![Constraint::Check { name: format!("{name}_a_check"), expression: "a < 1000000".into() }];
        if key {
            constraints.push(Constraint::Unique {
                name: format!("{name}_pkey"),
                columns: vec![ColumnId(1)],
                primary: true,
                options: Default::default(),
            });
        }
        let oid = self.engine.next_segment_id().0 as u32;
        let columns = vec![column(1, "a", SqlType::Int4), column(2, "b", SqlType::Text)];
        let table = TableDefinition {
            oid,
            columns,
            next_column_id: 3,
            constraints,
            cluster_by: vec![],
            indexes: vec![],
            on_commit: Default::default(),
        };
        let mut transaction = Transaction::begin(self.engine.clone()).unwrap();
        transaction.put_relation("public", name, Relation::Table(table));
        transaction.commit().await.unwrap();
    }

    fn begin(&self) -> Transaction {
        Transaction::begin(self.engine.clone()).unwrap()
    }

    async fn run(&self, sql: &str) -> Result<String> {
        self.run_with(sql, &[]).await
    }

    async fn run_with(&self, sql: &str, parameters: &[ScalarValue]) -> Result<String> {
        let statement = parse(sql);
        if super::is_dml(&statement) {
            return text(execute_alone(&self.engine, context(&self.engine), (&statement, false), parameters).await?).await;
        }
        in_block(&mut self.begin(), sql).await
    }

    async fn ok(&self, sql: &str) -> String {
        self.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    async fn fails(&self, sql: &str) -> SqlError {
        match self.run(sql).await {
            Err(error) => error,
            Ok(outcome) => panic!("{sql} gave {outcome}"),
        }
    }

    fn units(&self, table: &str) -> usize {
        let view = self.begin().view();
        view.table("public", table).unwrap().units.len()
    }

    fn segment_files(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("segments")).unwrap().count()
    }
}

#[test]
fn futures_can_be_sent() {
    fn is_send<T: Send>(_: &T) {}
    #[allow(dead_code)]
    fn check(engine: &Arc<Engine>, statement: &Statement) {
        is_send(&execute_alone(engine, context(engine), (statement, true), &[]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_inserted_and_found_again_after_a_restart() {
    let db = Db::with_table(false).await;
    assert_eq!(db.ok("INSERT INTO t VALUES (1, 'one'), (2, NULL), (-3, DEFAULT)").await, "INSERT 0 3");
    assert_eq!(db.ok("INSERT INTO t (a) VALUES (4)").await, "INSERT 0 1");
    assert_eq!(db.ok("INSERT INTO t SELECT a + 10, b FROM t WHERE a > 1 ORDER BY a RETURNING a, b").await, "12, 14,none");
    assert_eq!(db.ok("SELECT a, b FROM t ORDER BY a").await, "-3,none 1,one 2, 4,none 12, 14,none");
    let folder = db.folder;
    db.engine.shutdown().await.unwrap();
    drop(db.engine);
    let db = Db { engine: open(folder.path()).await, folder };
    assert_eq!(db.ok("SELECT count(*), sum(a) FROM t").await, "6,30");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delete_removes_just_the_rows_selected() {
    let db = Db::with_table(false).await;
    db.ok("INSERT INTO t SELECT value, 'x' FROM generate_series(1, 10) AS g(value)").await;
    assert_eq!(db.ok("DELETE FROM t WHERE false").await, "DELETE 0");
    assert_eq!(db.ok("DELETE FROM t WHERE a IN (SELECT a FROM t WHERE a > 8)").await, "DELETE 2");
    assert_eq!(db.ok("DELETE FROM t WHERE EXISTS (SELECT 1 FROM t AS u WHERE u.a = t.a + 7)").await, "DELETE 1");
    assert_eq!(db.ok("DELETE FROM t USING t AS u WHERE t.a = u.a AND u.a < 4 RETURNING t.a, u.b").await, "2,x 3,x");
    assert_eq!(db.ok("SELECT count(*) FROM t").await, "5");
    assert_eq!(db.ok("DELETE FROM t").await, "DELETE 5");
    assert_eq!(db.ok("SELECT count(*) FROM t").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn update_changes_rows_once_and_checks_keys_at_the_end() {
    let db = Db::with_table(true).await;
    db.ok("INSERT INTO t SELECT value, 'x' FROM generate_series(1, 5) AS g(value)").await;
    assert_eq!(db.ok("UPDATE t SET a = a + 1").await, "UPDATE 5");
    assert_eq!(db.ok("UPDATE t SET b = u.b || 'y' FROM t AS u WHERE u.a > 0 AND t.a = 2 RETURNING t.b").await, "xy");
    assert_eq!(db.ok("UPDATE t SET b = (SELECT max(u.b) FROM t AS u) WHERE a = 6").await, "UPDATE 1");
    assert_eq!(db.ok("UPDATE t SET a = 2 WHERE false").await, "UPDATE 0");
    assert_eq!(db.ok("SELECT a, b FROM t ORDER BY a").await, "2,xy 3,x 4,x 5,x 6,xy");
    let error = db.fails("UPDATE t SET a = 3 WHERE a = 2").await;
    assert_eq!((error.state, error.detail.as_deref()), (SqlState::UNIQUE_VIOLATION, Some("Key (a)=(3) already exists.")));
    assert_eq!(db.ok("UPDATE t SET (a, b) = (9, DEFAULT) WHERE a = 6 RETURNING a, b").await, "9,none");
    assert_eq!(db.fails("UPDATE t SET nope = 1").await.state, SqlState::UNDEFINED_COLUMN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn constraints_are_enforced_with_postgres_messages() {
    let db = Db::with_table(true).await;
    db.ok("INSERT INTO t VALUES (1, 'one')").await;
    let error = db.fails("INSERT INTO t VALUES (NULL, 'x')").await;
    assert_eq!(error.message, "null value in column \"a\" of relation \"t\" violates not-null constraint");
    assert_eq!(error.detail.as_deref(), Some("Failing row contains (null, x)."));
    let error = db.fails("INSERT INTO t VALUES (1000000, 'x')").await;
    assert_eq!(error.message, "new row for relation \"t\" violates check constraint \"t_a_check\"");
    let error = db.fails("INSERT INTO t VALUES (1, 'again')").await;
    assert_eq!(error.message, "duplicate key value violates unique constraint \"t_pkey\"");
    assert_eq!(error.detail.as_deref(), Some("Key (a)=(1) already exists."));
    assert_eq!(db.fails("INSERT INTO t VALUES (7, 'x'), (7, 'y')").await.state, SqlState::UNIQUE_VIOLATION);
    assert_eq!(db.fails("INSERT INTO t VALUES (99999999999, 'x')").await.state, SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
    assert_eq!(db.fails("INSERT INTO t VALUES (1, 'x', 3)").await.message, "INSERT has more expressions than target columns");
    assert_eq!(db.fails("INSERT INTO t (a, b) VALUES (2)").await.message, "INSERT has more target columns than expressions");
    assert_eq!(db.fails("INSERT INTO t (a) SELECT b FROM t").await.state, SqlState::DATATYPE_MISMATCH);
    assert_eq!(db.ok("SELECT count(*) FROM t").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_conflict_does_nothing_or_updates() {
    let db = Db::with_table(true).await;
    db.ok("INSERT INTO t VALUES (1, 'one')").await;
    assert_eq!(db.ok("INSERT INTO t VALUES (1, 'x'), (2, 'two'), (2, 'zwei') ON CONFLICT DO NOTHING").await, "INSERT 0 1");
    let upsert = "INSERT INTO t VALUES (2, 'deux'), (3, 'trois') ON CONFLICT (a) DO UPDATE SET b = t.b || '/' || excluded.b RETURNING a, b";
    assert_eq!(db.ok(upsert).await, "3,trois 2,two/deux");
    let none = "INSERT INTO t VALUES (1, 'x') ON CONFLICT (a) DO UPDATE SET b = excluded.b WHERE t.a > 1";
    assert_eq!(db.ok(none).await, "INSERT 0 0");
    let twice = "INSERT INTO t VALUES (1, 'x'), (1, 'y') ON CONFLICT (a) DO UPDATE SET b = excluded.b";
    assert_eq!(db.fails(twice).await.state, SqlState::CARDINALITY_VIOLATION);
    assert_eq!(db.fails("INSERT INTO t VALUES (1) ON CONFLICT (b) DO NOTHING").await.state, SqlState::INVALID_COLUMN_REFERENCE);
    assert_eq!(db.ok("SELECT a, b FROM t ORDER BY a").await, "1,one 2,two/deux 3,trois");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_sees_its_own_rows_and_others_do_not() {
    let db = Db::with_table(true).await;
    db.ok("INSERT INTO t VALUES (1, 'one'), (2, 'two')").await;
    let mut block = db.begin();
    for a in 10..30 {
        in_block(&mut block, &format!("INSERT INTO t VALUES ({a}, 'x')")).await.unwrap();
    }
    in_block(&mut block, "DELETE FROM t WHERE a = 1 OR a = 15").await.unwrap();
    in_block(&mut block, "UPDATE t SET b = 'new' WHERE a IN (2, 16)").await.unwrap();
    assert_eq!(in_block(&mut block, "INSERT INTO t VALUES (20, 'y')").await.unwrap_err().state, SqlState::UNIQUE_VIOLATION);
    assert_eq!(in_block(&mut block, "SELECT count(*), min(a) FROM t").await.unwrap(), "20,2");
    assert_eq!(db.ok("SELECT count(*) FROM t").await, "2");
    block.commit().await.unwrap();
    assert_eq!(db.ok("SELECT count(*), min(a), sum(CASE WHEN b = 'new' THEN 1 ELSE 0 END) FROM t").await, "20,2,2");
    let mut rolled_back = db.begin();
    in_block(&mut rolled_back, "TRUNCATE t").await.unwrap();
    assert_eq!(in_block(&mut rolled_back, "SELECT count(*) FROM t").await.unwrap(), "0");
    drop(rolled_back);
    assert_eq!(db.ok("SELECT count(*) FROM t").await, "20");
    assert_eq!(db.ok("TRUNCATE t").await, "TRUNCATE TABLE");
    assert_eq!(db.ok("SELECT count(*) FROM t").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_committer_wins() {
    let db = Db::with_table(true).await;
    db.ok("INSERT INTO t VALUES (1, 'one')").await;
    let (mut first, mut second) = (db.begin(), db.begin());
    in_block(&mut first, "UPDATE t SET b = 'first'").await.unwrap();
    first.commit().await.unwrap();
    let lost = in_block(&mut second, "UPDATE t SET b = 'second'").await.unwrap_err();
    assert_eq!(lost.state, SqlState::SERIALIZATION_FAILURE);
    let (mut first, mut second) = (db.begin(), db.begin());
    in_block(&mut first, "INSERT INTO t VALUES (2, 'x')").await.unwrap();
    first.commit().await.unwrap();
    // Its snapshot does not show the key; the newest state does.
    let taken = in_block(&mut second, "INSERT INTO t VALUES (2, 'y')").await.unwrap_err();
    assert_eq!(taken.state, SqlState::UNIQUE_VIOLATION);
    assert_eq!(db.ok("SELECT a, b FROM t ORDER BY a").await, "1,first 2,x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_statements_are_run_again_until_all_are_done() {
    let db = Arc::new(Db::with_table(true).await);
    db.ok("INSERT INTO t VALUES (1, '0')").await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    db.ok("UPDATE t SET b = CAST(CAST(b AS integer) + 1 AS text) WHERE a = 1").await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(db.ok("SELECT b FROM t").await, "40");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_inserts_of_one_key_one_succeeds() {
    let db = Arc::new(Db::with_table(true).await);
    let insert = |task: usize, db: Arc<Db>| async move {
        let mut won = 0;
        for key in 0..20 {
            match db.run(&format!("INSERT INTO t VALUES ({key}, 'task {task}')")).await {
                Ok(_) => won += 1,
                Err(error) => assert_eq!(error.state, SqlState::UNIQUE_VIOLATION, "{error:?}"),
            }
        }
        won
    };
    let tasks: Vec<_> = (0..4).map(|task| tokio::spawn(insert(task, db.clone()))).collect();
    let mut won = 0;
    for task in tasks {
        won += task.await.unwrap();
    }
    assert_eq!(won, 20);
    assert_eq!(db.ok("SELECT count(*), count(DISTINCT a) FROM t").await, "20,20");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_statements_are_written_as_segments() {
    let db = Db::with_table(true).await;
    let rows =
        "SELECT value, 'a text of some length, so that it does not fit into a commit ' || value FROM generate_series(1, 50000) AS g(value)";
    assert_eq!(db.ok(&format!("INSERT INTO t {rows}")).await, "INSERT 0 50000");
    assert_eq!((db.units("t"), db.segment_files()), (1, 1));
    assert_eq!(db.fails("INSERT INTO t VALUES (4711, 'x')").await.state, SqlState::UNIQUE_VIOLATION);
    assert_eq!(db.ok("UPDATE t SET b = 'short' WHERE a % 2 = 0").await, "UPDATE 25000");
    assert_eq!(db.ok("SELECT count(*), count(DISTINCT a), min(b) FROM t WHERE b = 'short'").await, "25000,25000,short");
    let mut block = db.begin();
    in_block(&mut block, "DELETE FROM t").await.unwrap();
    in_block(&mut block, &format!("INSERT INTO t {rows}")).await.unwrap();
    assert_eq!(in_block(&mut block, "DELETE FROM t WHERE a > 100").await.unwrap(), "DELETE 49900");
    block.commit().await.unwrap();
    assert_eq!(db.ok("SELECT count(*), max(a) FROM t").await, "100,100");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_work_folds_rows_and_gives_space_back_but_not_under_a_reader() {
    let db = Db::with_table(false).await;
    let rows =
        "SELECT value, 'a text of some length, so that it does not fit into a commit ' || value FROM generate_series(1, 20000) AS g(value)";
    db.ok(&format!("INSERT INTO t {rows}")).await;
    let reader = db.begin();
    db.ok("DELETE FROM t WHERE a > 10").await;
    for a in 0..300 {
        db.ok(&format!("INSERT INTO t VALUES ({a}, 'small')")).await;
    }
    let maintenance = Maintenance::start(&db.engine);
    until("folded", || db.units("t") < 10).await;
    assert_eq!(db.ok("SELECT count(*), sum(CASE WHEN b = 'small' THEN 1 ELSE 0 END) FROM t").await, "310,300");
    let mut reader = reader;
    assert_eq!(in_block(&mut reader, "SELECT count(*), max(a) FROM t").await.unwrap(), "20000,20000");
    drop(reader);
    until("swept", || db.segment_files() <= db.units("t")).await;
    assert_eq!(db.ok("SELECT count(*) FROM t").await, "310");
    db.ok("TRUNCATE t").await;
    until("emptied", || db.segment_files() == 0).await;
    maintenance.stop().await;
}

async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("not {what} in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_take_the_types_of_columns() {
    let db = Db::with_table(true).await;
    let statement = parse("INSERT INTO t VALUES ($1, $2)");
    let described = super::describe(&context(&db.engine)(db.begin().view()), &statement).await.unwrap();
    assert_eq!(described.parameters.values().cloned().collect::<Vec<_>>(), [SqlType::Int4, SqlType::Text]);
    let parameters = [ScalarValue::Int32(Some(5)), ScalarValue::Utf8View(Some("five".into()))];
    assert_eq!(db.run_with("INSERT INTO t VALUES ($1, $2)", &parameters).await.unwrap(), "INSERT 0 1");
    assert_eq!(db.run_with("UPDATE t SET b = $2 || '!' WHERE a = $1 RETURNING b", &parameters).await.unwrap(), "five!");
    assert_eq!(db.run_with("DELETE FROM t WHERE a = $1", &parameters[..1]).await.unwrap(), "DELETE 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_changed_meanwhile_is_a_conflict() {
    let db = Db::with_table(false).await;
    let mut writer = db.begin();
    in_block(&mut writer, "INSERT INTO t VALUES (1, 'x')").await.unwrap();
    let mut dropping = db.begin();
    dropping.drop_relation("public", "t");
    dropping.commit().await.unwrap();
    assert_eq!(writer.commit().await.unwrap_err().state, SqlState::SERIALIZATION_FAILURE);
    assert_eq!(db.fails("INSERT INTO t VALUES (1, 'x')").await.state, SqlState::UNDEFINED_TABLE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_engine_on_the_folder_is_refused() {
    let db = Db::new().await;
    let config = Config { data_dir: db.folder.path().into(), ..Config::default() };
    let Err(error) = Engine::open(config).await else { panic!("a second engine was opened") };
    assert_eq!(error.state, SqlState::OBJECT_IN_USE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defaults_are_evaluated_and_identities_guarded() {
    let db = Db::new().await;
    let column = |id, name: &str, sql_type, default: Option<&str>, identity| ColumnDefinition {
        id: ColumnId(id),
        name: name.into(),
        sql_type,
        not_null: true,
        default: default.map(str::to_string),
        identity,
        missing: None,
        digits: None,
        generated: None,
    };
    let columns = vec![
        column(1, "id", SqlType::Int8, Some("nextval('public.d_id_seq'::regclass)"), None),
        column(2, "at", SqlType::Timestamptz, Some("now()"), None),
        column(3, "n", SqlType::Numeric(Some((6, 2))), Some("-1.5"), None),
        column(4, "v", SqlType::Varchar(Some(3)), Some("upper('ab')"), None),
    ];
    let table = TableDefinition {
        oid: 17000,
        columns,
        next_column_id: 5,
        constraints: vec![],
        cluster_by: vec![],
        indexes: vec![],
        on_commit: Default::default(),
    };
    let mut transaction = db.begin();
    transaction.put_relation("public", "d", Relation::Table(table));
    transaction.commit().await.unwrap();
    assert_eq!(db.ok("INSERT INTO d DEFAULT VALUES").await, "INSERT 0 1");
    assert_eq!(db.ok("INSERT INTO d (n, v) VALUES (2.345, 'x'), (DEFAULT, DEFAULT) RETURNING id, n, v").await, "1,2.35,x 2,-1.50,AB");
    assert_eq!(db.ok("SELECT count(*) FROM d WHERE at > now() - INTERVAL '1 minute'").await, "3");
    assert_eq!(db.fails("INSERT INTO d (v) VALUES ('long')").await.state, SqlState::STRING_DATA_RIGHT_TRUNCATION);
    assert_eq!(db.fails("INSERT INTO d (n) SELECT 12345.6").await.state, SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
    assert_eq!(db.ok("INSERT INTO d (id, at, n) SELECT 7.5, '2024-02-29 12:00:00+02', 1 RETURNING id, at").await, "8,2024-02-29T10:00:00Z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_and_identities() {
    use crate::catalog::{Identity, SequenceDefinition};
    let db = Db::with_table(true).await;
    assert_eq!(db.ok("WITH s AS (SELECT 1 AS x UNION ALL SELECT 2) INSERT INTO t SELECT x, 'w' FROM s").await, "INSERT 0 2");
    assert_eq!(db.ok("WITH s AS (SELECT 2 AS x) DELETE FROM t WHERE a IN (SELECT x FROM s)").await, "DELETE 1");
    assert_eq!(db.ok("WITH s AS (SELECT 1 AS x) UPDATE t SET b = 'v' FROM s WHERE a = x RETURNING a, b, x").await, "1,v,1");
    let column = |id, name: &str, identity| ColumnDefinition {
        id: ColumnId(id),
        name: name.into(),
        sql_type: SqlType::Int4,
        not_null: false,
        default: None,
        identity,
        missing: None,
        digits: None,
        generated: None,
    };
    let columns = vec![column(1, "id", Some(Identity::Always)), column(2, "n", None)];
    let table = TableDefinition {
        oid: 17001,
        columns,
        next_column_id: 3,
        constraints: vec![],
        cluster_by: vec![],
        indexes: vec![],
        on_commit: Default::default(),
    };
    let owned_by = Some((17001, ColumnId(1)));
    let sequence =
        SequenceDefinition { oid: 17002, start: 1, increment: 1, min: 1, max: i64::MAX, cycle: false, cache: 1, owned_by, restart: None };
    let mut transaction = db.begin();
    transaction.put_relation("public", "i", Relation::Table(table));
    transaction.put_relation("public", "i_id_seq", Relation::Sequence(sequence));
    transaction.commit().await.unwrap();
    assert_eq!(db.ok("INSERT INTO i VALUES (DEFAULT, 7), (DEFAULT, 8) RETURNING id, n").await, "1,7 2,8");
    assert_eq!(db.fails("INSERT INTO i VALUES (5, 7)").await.state, SqlState::GENERATED_ALWAYS);
    assert_eq!(db.fails("INSERT INTO i SELECT 5, 7").await.state, SqlState::GENERATED_ALWAYS);
    assert_eq!(db.fails("UPDATE i SET id = 5").await.message, "column \"id\" can only be updated to DEFAULT");
    assert_eq!(db.ok("TRUNCATE i RESTART IDENTITY").await, "TRUNCATE TABLE");
    assert_eq!(db.ok("MERGE INTO i USING t ON i.n = t.a WHEN NOT MATCHED THEN INSERT (n) VALUES (t.a + 40)").await, "MERGE 1");
    let given = "MERGE INTO i USING t ON i.n = t.a WHEN NOT MATCHED THEN INSERT VALUES (9, 9)";
    assert_eq!(db.fails(given).await.state, SqlState::GENERATED_ALWAYS);
    assert_eq!(db.ok("MERGE INTO i USING t ON i.n = t.a + 40 WHEN MATCHED THEN DELETE").await, "MERGE 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copied_rows_are_complete_or_leave_nothing() {
    use crate::ingest::{Target, copy_in::CopyInto};
    use crate::session::{CopyFormat, CopyHeader, CopyKind};
    let db = Db::with_table(true).await;
    let format = CopyFormat {
        kind: CopyKind::Text,
        delimiter: b'\t',
        null: "\\N".into(),
        default: None,
        header: CopyHeader::Off,
        quote: b'"',
        escape: b'"',
        force_quote: vec![],
        force_not_null: vec![],
        force_null: vec![],
    };
    let begin = |transaction: &Transaction| {
        let view = transaction.view();
        let target = Target::new("public", "t", (*view.table("public", "t").unwrap().definition).clone());
        CopyInto::new(&context(&db.engine)(view), &target, Some(&["a".to_string(), "b".to_string()]), &format).unwrap()
    };
    let data: String = (0..40_000).map(|a| format!("{a}\ta text that is long enough to fill a segment {a}\n")).collect();
    let mut transaction = db.begin();
    let mut copy = begin(&transaction);
    for piece in data.as_bytes().chunks(10_007) {
        copy.push(piece).await.unwrap();
    }
    assert_eq!(copy.finish(&mut transaction).await.unwrap(), 40_000);
    transaction.commit().await.unwrap();
    assert_eq!(db.ok("SELECT count(*), count(DISTINCT a), max(a) FROM t").await, "40000,40000,39999");

    let mut transaction = db.begin();
    let mut copy = begin(&transaction);
    copy.push(data.replace('\t', "1\t").as_bytes()).await.unwrap();
    assert_eq!(copy.finish(&mut transaction).await.unwrap_err().state, SqlState::UNIQUE_VIOLATION);
    drop(transaction);
    let maintenance = Maintenance::start(&db.engine);
    until("swept", || db.segment_files() == 1).await;
    maintenance.stop().await;
    assert_eq!(db.ok("SELECT count(*) FROM t").await, "40000");
}
