//! Queries over a view made by hand: segments in memory, no log, no session.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::catalog::{Catalog, ColumnDefinition, Entry, Relation, SchemaDefinition, TableDefinition, ViewDefinition};
use crate::error::SqlState;
use crate::session::parse::parse_query;
use crate::view::{PinnedState, TableChanges};
use arrow::array::{ArrayRef, AsArray, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{Int64Type, UInt32Type, UInt64Type};
use arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::MemTable;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use proptest::prelude::*;
use std::collections::BTreeMap;
use storage::directory::memory::MemoryDirectory;
use storage::{ColumnId, Deletes, SegmentId, SegmentWriter, SegmentWriterOptions, Store, Unit, UnitSource};

#[derive(Debug)]
struct NoSequences;

impl SequenceAccess for NoSequences {
    fn next_values(&self, _name: &str, count: usize) -> Result<Vec<i64>> {
        Ok((1..=count as i64).collect())
    }
    fn current_value(&self, _name: &str) -> Result<i64> {
        Ok(1)
    }
    fn set_value(&self, _name: &str, value: i64, _is_called: bool) -> Result<i64> {
        Ok(value)
    }
    fn position(&self, _: &crate::catalog::SequenceDefinition) -> crate::query::SequencePosition {
        crate::query::SequencePosition { last_value: 1, is_called: false, leased: 0 }
    }
    fn last_value(&self) -> Result<i64> {
        Ok(1)
    }
}

struct Nobody;

impl ActivitySource for Nobody {
    fn sessions(&self) -> Vec<Activity> {
        Vec::new()
    }
    fn cancel(&self, _process_id: i32) -> bool {
        false
    }
    fn terminate(&self, _process_id: i32) -> bool {
        false
    }
    fn reload(&self) {}
    fn counters(&self) -> Arc<crate::engine::counters::Counters> {
        Arc::default()
    }
    fn advisory_locks(&self) -> &AdvisoryLocks {
        unimplemented!("nobody locks")
    }
    fn locks(&self) -> &crate::engine::locks::Locks {
        unimplemented!("nobody locks")
    }
    fn wait_for_lock(&self, _process_id: i32, _key: Key, _mode: Mode, _limit: Option<Duration>) -> Result<()> {
        Ok(())
    }
    fn sleep(&self, _process_id: i32, _duration: Duration) -> Result<()> {
        Ok(())
    }
}

/// A table `public.t (id bigint, k int, s text, n numeric(10,2))` in several units.
struct Fixture {
    store: Arc<Store>,
    definition: TableDefinition,
    units: Vec<Unit>,
    views: Vec<(String, ViewDefinition)>,
    /// Keeps the files from the sweep.
    _staged: Vec<storage::StagedSegment>,
}

fn column(id: u32, name: &str, sql_type: SqlType) -> ColumnDefinition {
    ColumnDefinition {
        id: ColumnId(id),
        name: name.into(),
        sql_type,
        not_null: false,
        default: None,
        identity: None,
        missing: None,
        digits: None,
        generated: None,
    }
}

type Row = (Option<i64>, Option<i32>, Option<String>, Option<i128>);

fn batch(rows: &[Row]) -> RecordBatch {
    let n = Decimal128Array::from(rows.iter().map(|r| r.3).collect::<Vec<_>>()).with_precision_and_scale(10, 2).unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(rows.iter().map(|r| r.0).collect::<Vec<_>>())),
        Arc::new(Int32Array::from(rows.iter().map(|r| r.1).collect::<Vec<_>>())),
        Arc::new(StringViewArray::from(rows.iter().map(|r| r.2.clone()).collect::<Vec<_>>())),
        Arc::new(n),
    ];
    RecordBatch::try_new(crate::catalog::columns::arrow_schema(&definition()), columns).unwrap()
}

fn definition() -> TableDefinition {
    TableDefinition {
        oid: 20000,
        columns: vec![
            column(1, "id", SqlType::Int8),
            column(2, "k", SqlType::Int4),
            column(3, "s", SqlType::Text),
            column(4, "n", SqlType::Numeric(Some((10, 2)))),
        ],
        next_column_id: 5,
        // No key: the planner relies on declared keys, and rows made at random have none.
        constraints: vec![],
        cluster_by: vec![],
        indexes: Vec::new(),
        on_commit: Default::default(),
    }
}

impl Fixture {
    /// Rows are cut into segments of `segment_rows`, the last part stays in memory.
    fn new(rows: &[Row], segment_rows: usize) -> Self {
        let store = Store::open(Arc::new(MemoryDirectory::default()), 100).unwrap();
        let mut fixture = Self { store, definition: definition(), units: Vec::new(), views: Vec::new(), _staged: Vec::new() };
        let parts: Vec<_> = rows.chunks(segment_rows.max(1)).collect();
        for (i, part) in parts.iter().enumerate() {
            if parts.len() > 1 && i + 1 == parts.len() {
                fixture.add_in_memory(part);
            } else {
                fixture.add_segment(part);
            }
        }
        fixture
    }

    fn add_segment(&mut self, rows: &[Row]) {
        let columns = crate::catalog::columns::storage_columns(&self.definition).unwrap();
        let options = SegmentWriterOptions { granule_rows: 16, ..SegmentWriterOptions::default() };
        let id = SegmentId(100 + self.units.len() as u64);
        let mut writer = SegmentWriter::new(Arc::clone(&self.store), columns, options, Box::new(move || id));
        writer.push(batch(rows)).unwrap();
        for staged in writer.finish(0).unwrap().segments {
            let summary = Arc::new(staged.summary.clone());
            self.units.push(Unit { id, rows: summary.rows, source: UnitSource::Segment(summary), deletes: None });
            self._staged.push(staged);
        }
    }

    fn add_in_memory(&mut self, rows: &[Row]) {
        let columns: Arc<[ColumnId]> = self.definition.columns.iter().map(|column| column.id).collect();
        let id = SegmentId(100 + self.units.len() as u64);
        let source = UnitSource::Batch { columns, batch: batch(rows) };
        self.units.push(Unit { id, rows: rows.len() as u64, source, deletes: None });
    }

    fn scope(&self) -> Scope {
        let mut catalog = Catalog { roles: crate::access::role::built_in(), ..Catalog::default() };
        catalog.schemas.insert("public".into(), Entry { version: None, definition: Arc::new(SchemaDefinition { oid: 2200 }) });
        let entry = |relation| Entry { version: None, definition: Arc::new(relation) };
        catalog.relations.insert(("public".into(), "t".into()), entry(Relation::Table(self.definition.clone())));
        for (name, view) in &self.views {
            catalog.relations.insert(("public".into(), name.clone()), entry(Relation::View(view.clone())));
        }
        let changes = TableChanges { truncated: false, added: self.units.clone(), deleted: BTreeMap::new() };
        let snapshot = Arc::new(PinnedState { state: Arc::default(), release: None });
        Scope {
            store: Arc::clone(&self.store),
            runtime: Arc::default(),
            query_threads: 2,
            view: View { snapshot, catalog: Arc::new(catalog), changes: Arc::new([(20000, changes)].into()) },
            search_path: vec!["public".into()],
            forms: Arc::default(),
            user: "plimsoll".into(),
            database: "plimsoll".into(),
            session: Arc::default(),
            sequences: Arc::new(NoSequences),
            activity: Arc::new(Nobody),
            acting: None,
            keys_visible: false,
            changed: None,
            view_depth: 0,
            ended: Default::default(),
            held: Arc::default(),
        }
    }

    async fn run(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let scope = self.scope();
        let statement = crate::session::parse::parse_query(sql).map(|query| ast::Statement::Query(Box::new(query)))?;
        let plan = scope.plan(&statement).await?;
        Ok(scope.run(plan, None).await?.try_collect().await?)
    }

    async fn text(&self, sql: &str) -> String {
        pretty_format_batches(&self.run(sql).await.unwrap()).unwrap().to_string()
    }

    async fn error(&self, sql: &str) -> SqlError {
        self.run(sql).await.unwrap_err()
    }

    async fn explain(&self, sql: &str, analyze: bool) -> String {
        let scope = self.scope();
        let statement = ast::Statement::Explain {
            describe_alias: ast::DescribeAlias::Explain,
            analyze,
            verbose: false,
            query_plan: false,
            estimate: false,
            statement: Box::new(ast::Statement::Query(Box::new(parse_query(sql).unwrap()))),
            format: None,
            options: None,
        };
        let plan = scope.plan(&statement).await.unwrap();
        assert_eq!(plan.schema().field(0).name(), "QUERY PLAN");
        let batches: Vec<RecordBatch> = scope.run(plan, None).await.unwrap().try_collect().await.unwrap();
        batches[0].column(0).as_string_view().iter().flatten().collect::<Vec<_>>().join("\n")
    }
}

use crate::error::SqlError;

fn rows(count: i64) -> Vec<Row> {
    (0..count).map(|i| (Some(i), Some((i % 7) as i32), Some(format!("s{}", i % 3)), Some(i128::from(i) * 25))).collect()
}

fn first_i64(batches: &[RecordBatch]) -> i64 {
    batches.iter().find(|b| b.num_rows() > 0).unwrap().column(0).as_primitive::<Int64Type>().value(0)
}

#[tokio::test]
async fn a_query_sees_segments_and_rows_in_memory() {
    let fixture = Fixture::new(&rows(100), 40);
    assert_eq!(first_i64(&fixture.run("select count(*) from t").await.unwrap()), 100);
    assert_eq!(
        first_i64(&fixture.run("select sum(id)::bigint from public.t where k = 3").await.unwrap()),
        (0..100).filter(|i| i % 7 == 3).sum::<i64>()
    );
    let text =
        fixture.text("select k, count(*), max(s) from plimsoll.public.t where id >= 50 group by k order by count desc, k limit 2").await;
    assert!(text.contains("| k | count | max |") && text.contains("| 1 | 8     | s2  |"), "{text}");
}

#[tokio::test]
async fn units_that_cannot_match_are_not_scanned() {
    let fixture = Fixture::new(&rows(120), 40);
    let plan = fixture.explain("select s from t where id < 10", false).await;
    for shown in ["Segment Scan on t", "Filter: (id < 10)", "Segments: 3\n", "Segments Excluded: 1"] {
        assert!(plan.contains(shown), "{shown} in {plan}");
    }
    let plan = fixture.explain("select s from t where id < 10", true).await;
    for shown in ["Granules Scanned: 2", "Granules Pruned: 2", "Segments Pruned: 1", "Execution Time"] {
        assert!(plan.contains(shown), "{shown} in {plan}");
    }
}

#[tokio::test]
async fn counts_and_extremes_need_no_scan() {
    let fixture = Fixture::new(&rows(40), 100);
    let plan = fixture.explain("select count(*), min(id), max(id) from t", false).await;
    assert!(!plan.contains("Segment Scan"), "{plan}");
    let mut deleted = fixture;
    deleted.units[0].deletes = Some(Arc::new(Deletes([39].into_iter().collect())));
    assert_eq!(first_i64(&deleted.run("select max(id) from t").await.unwrap()), 38);
    assert_eq!(first_i64(&deleted.run("select count(*) from t").await.unwrap()), 39);
}

#[tokio::test]
async fn rows_have_ids() {
    let fixture = Fixture::new(&rows(50), 20);
    let sql = r#"select t.__row, t.s, t.__segment from "__rows"."public"."t" as t where t.id = 25"#;
    let batches = fixture.run(sql).await.unwrap();
    let batch = batches.iter().find(|b| b.num_rows() > 0).unwrap();
    assert_eq!(batch.column(0).as_primitive::<UInt32Type>().value(0), 5);
    assert_eq!(batch.column(2).as_primitive::<UInt64Type>().value(0), 101);
    assert!(fixture.error("select __row from t").await.state == SqlState::UNDEFINED_COLUMN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subqueries_are_asked_until_nobody_waits() {
    let fixture = Fixture::new(&rows(20), 40);
    let sql = "select count(*) from t, lateral (select u.id from t u where u.id < t.id order by 1 desc limit 2) l";
    assert_eq!(first_i64(&fixture.run(sql).await.unwrap()), 37);
    let scope = fixture.scope();
    let statement = ast::Statement::Query(Box::new(parse_query(sql).unwrap()));
    let stream = scope.run(scope.plan(&statement).await.unwrap(), None).await.unwrap();
    scope.ended.cancel();
    let failed = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(SqlError::from(failed).state, SqlState::QUERY_CANCELED);
}

#[tokio::test]
async fn what_unnest_repeats_is_no_key() {
    let fixture = Fixture::new(&rows(3), 40);
    let of = |rest: &str| format!("select {rest} from (select k, unnest(array[max(id), -1]) as u from t group by k) s");
    let ordered = fixture.text(&format!("{} order by k, u", of("k, u"))).await;
    assert!(ordered.contains("| 0 | -1 |\n| 0 | 0  |\n| 1 | -1 |"), "{ordered}");
    let counts = fixture.run(&format!("{} group by k, u", of("count(*)"))).await.unwrap();
    assert_eq!(counts.iter().map(RecordBatch::num_rows).sum::<usize>(), 6);
}

#[tokio::test]
async fn a_subquery_without_a_row_is_null() {
    let fixture = Fixture::new(&rows(2), 40);
    let text = fixture.text("select id, (select 1 from t where false) as n from t order by id limit 1").await;
    assert!(text.contains("| 0  |   |"), "{text}");
}

#[tokio::test]
async fn a_column_added_later_holds_its_missing_value() {
    let mut fixture = Fixture::new(&rows(30), 100);
    fixture.definition.columns.push(ColumnDefinition { missing: Some("7".into()), ..column(5, "later", SqlType::Int4) });
    assert_eq!(first_i64(&fixture.run("select sum(later) from t where later = 7").await.unwrap()), 210);
    assert_eq!(first_i64(&fixture.run("select count(*) from t where later > 7").await.unwrap()), 0);
}

#[tokio::test]
async fn views_are_expanded_with_their_own_names() {
    let mut fixture = Fixture::new(&rows(30), 100);
    let view = ViewDefinition {
        oid: 20001,
        query: "select k, sum(n) from t group by k".into(),
        columns: vec![("key".into(), SqlType::Int8), ("total".into(), SqlType::Numeric(None))],
        search_path: vec!["public".into()],
        ..view_template()
    };
    fixture.views.push(("v".into(), view));
    assert_eq!(first_i64(&fixture.run("select key from v where total > 0 order by key limit 1").await.unwrap()), 0);
}

fn view_template() -> ViewDefinition {
    serde_json::from_value(serde_json::json!({"oid": 0, "query": "", "columns": [], "search_path": [], "reads": []})).unwrap()
}

#[tokio::test]
async fn what_is_not_there_is_said_as_postgresql_says_it() {
    let fixture = Fixture::new(&rows(3), 100);
    for (sql, state, message) in [
        ("select * from nowhere", SqlState::UNDEFINED_TABLE, "relation \"nowhere\" does not exist"),
        ("select * from nos.t", SqlState::UNDEFINED_TABLE, "relation \"nos.t\" does not exist"),
        ("select * from read_parquet('/does/not/exist.parquet')", SqlState::UNDEFINED_FILE, "could not open file"),
    ] {
        let error = fixture.error(sql).await;
        assert_eq!(error.state, state, "{sql}: {error}");
        assert!(error.message.contains(message), "{error}");
    }
}

#[tokio::test]
async fn names_may_come_twice() {
    let fixture = Fixture::new(&rows(3), 100);
    let batches = fixture.run("select id, id, count(*) over (), 1, 2, t.* from t").await.unwrap();
    let schema = batches[0].schema();
    let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["id", "id", "count", "?column?", "?column?", "id", "k", "s", "n"]);
}

#[tokio::test]
async fn constants_and_conditions_are_evaluated_outside_queries() {
    let fixture = Fixture::new(&rows(3), 100);
    let scope = fixture.scope();
    let constant = |sql: &str, sql_type: SqlType| {
        expression::constant(&scope, &crate::session::parse::parse_expression(sql).unwrap(), &sql_type).unwrap()
    };
    assert_eq!(constant("-3", SqlType::Int4), ScalarValue::Int32(Some(-3)));
    assert_eq!(constant("1 + 2", SqlType::Int8), ScalarValue::Int64(Some(3)));
    assert_eq!(constant("nextval('x')", SqlType::Int8), ScalarValue::Int64(Some(1)));
    assert_eq!(constant("null", SqlType::Int8), ScalarValue::Int64(None));
    let schema = crate::catalog::columns::arrow_schema(&fixture.definition);
    let check =
        expression::plan(&scope, &crate::session::parse::parse_expression("k > 1 and t.n >= 0").unwrap(), Some(("t", schema)), None)
            .unwrap();
    let mask = check.evaluate(&batch(&rows(3))).unwrap().into_array(3).unwrap();
    assert_eq!(mask.as_boolean().true_count(), 1);
}

#[tokio::test]
async fn the_catalog_can_be_asked() {
    let fixture = Fixture::new(&rows(50), 20);
    let text = fixture.text("select rows, segments, inline_units from plimsoll.tables where table_name = 't'").await;
    assert!(text.contains("| 50   | 2        | 1            |"), "{text}");
    assert_eq!(first_i64(&fixture.run("select sum(rows)::bigint from plimsoll.segments where not inline").await.unwrap()), 40);
    let sql = "select data_type, numeric_scale from information_schema.columns where table_name = 't' and column_name = 'n'";
    let text = fixture.text(sql).await;
    assert!(text.contains("| numeric   | 2             |"), "{text}");
    let text = fixture.text("select current_database(), current_schema, current_user, version()").await;
    assert!(text.contains("| plimsoll         | public         | plimsoll     | PostgreSQL 15"), "{text}");
}

/// As `psql -E` shows them.
#[tokio::test]
async fn psql_lists_tables_and_schemas() {
    let fixture = Fixture::new(&rows(5), 20);
    let tables = r#"SELECT n.nspname as "Schema", c.relname as "Name",
          CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' END as "Type",
          pg_catalog.pg_get_userbyid(c.relowner) as "Owner"
        FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
        WHERE c.relkind IN ('r','p','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast'
          AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2"#;
    let text = fixture.text(tables).await;
    assert!(text.contains("| public | t    | table | plimsoll |"), "{text}");
    let schemas = r#"SELECT n.nspname AS "Name", pg_catalog.pg_get_userbyid(n.nspowner) AS "Owner" FROM pg_catalog.pg_namespace n
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1"#;
    let text = fixture.text(schemas).await;
    assert!(text.contains("| public   | pg_database_owner |"), "{text}");
}

/// A row of small values, so that conditions often match.
fn any_row() -> impl Strategy<Value = Row> {
    (
        proptest::option::weighted(0.9, -20_i64..20),
        proptest::option::weighted(0.8, -3_i32..4),
        proptest::option::weighted(0.8, "[ab]{0,2}"),
        proptest::option::weighted(0.9, -500_i128..500),
    )
}

fn any_condition() -> impl Strategy<Value = String> {
    let comparison = proptest::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
    let on = prop_oneof![
        (-22_i64..22).prop_map(|v| ("id".to_string(), v.to_string())),
        (-4_i64..5).prop_map(|v| ("k".to_string(), v.to_string())),
        "[ab]{0,2}".prop_map(|v| ("s".to_string(), format!("'{v}'"))),
        (-6_i64..6).prop_map(|v| ("n".to_string(), format!("{v}.5"))),
        (-4_i64..5).prop_map(|v| ("k + id".to_string(), v.to_string())),
    ];
    let simple = (on, comparison).prop_map(|((left, right), op)| format!("{left} {op} {right}"));
    let other = proptest::sample::select(vec![
        "k is null",
        "s is not null",
        "k in (1, 2, null)",
        "id not in (3, 4)",
        "s like 'a%'",
        "k between -1 and 2",
        "(k = 1 or k is null)",
        "not (id > 3)",
        "id % 2 = 0",
        "n > (select avg(n) from t)",
    ]);
    prop_oneof![4 => simple, 2 => other.prop_map(String::from)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// The scan prunes and filters; a table in memory does neither. Both must give the same rows.
    #[test]
    fn pruning_changes_no_answer(
        mut data in proptest::collection::vec(any_row(), 0..200),
        sorted in any::<bool>(),
        segment_rows in 1_usize..120,
        conditions in proptest::collection::vec(any_condition(), 1..4),
        tail in proptest::sample::select(vec!["", " order by id desc, k, s, n limit 5", " order by id, k, s, n limit 3"]),
    ) {
        if sorted {
            data.sort();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new(&data, segment_rows);
            let sql = format!("select id, k, s, n from t where {}{tail}", conditions.join(" and "));
            let ours = fixture.run(&sql).await.unwrap();
            let plain = SessionContext::new_with_state(fixture.scope().state());
            let table = MemTable::try_new(batch(&data).schema(), vec![vec![batch(&data)]]).unwrap();
            plain.register_catalog_list(Arc::new(datafusion::catalog::MemoryCatalogProviderList::new()));
            let catalog = Arc::new(datafusion::catalog::MemoryCatalogProvider::new());
            let schema = Arc::new(datafusion::catalog::MemorySchemaProvider::new());
            datafusion::catalog::SchemaProvider::register_table(schema.as_ref(), "t".into(), Arc::new(table)).unwrap();
            datafusion::catalog::CatalogProvider::register_schema(catalog.as_ref(), crate::catalog::provider::SEARCH_PATH_SCHEMA, schema).unwrap();
            plain.register_catalog("plimsoll", catalog);
            let theirs = plain.sql(&sql).await.unwrap().collect().await.unwrap();
            prop_assert_eq!(sorted_lines(&ours), sorted_lines(&theirs), "{}", sql);
            Ok(())
        })?;
    }
}

fn sorted_lines(batches: &[RecordBatch]) -> Vec<String> {
    let text = pretty_format_batches(batches).unwrap().to_string();
    let mut lines: Vec<_> =
        text.lines().filter(|line| line.starts_with('|')).skip(1).map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.sort();
    lines
}
