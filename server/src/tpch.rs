//! `plimsoll tpch`: generates the TPC-H tables and loads them into a running server with COPY, like any client would.
//!
//! Rows are generated while they are sent: memory stays small whatever the scale. Two connections work at a time, each table on one of
//! them, so that a table's rows arrive in the order of its key.

use bytes::Bytes;
use futures::SinkExt;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::{Display, Write};
use std::sync::Arc;
use std::time::Instant;
use tokio_postgres::{Client, CopyInSink, NoTls};
use tpchgen::csv::{CustomerCsv, LineItemCsv, NationCsv, OrderCsv, PartCsv, PartSuppCsv, RegionCsv, SupplierCsv};
use tpchgen::generators as generate;

/// Bytes of text sent at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Connections that load at a time.
const CONNECTIONS: usize = 2;

/// The tables, the largest first, with columns as the specification (clause 1.4) defines them; its fixed texts are varchar, so that no
/// client sees padding.
const TABLES: [(&str, &str); 8] = [
    (
        "lineitem",
        "l_orderkey bigint NOT NULL, l_partkey integer NOT NULL, l_suppkey integer NOT NULL, l_linenumber integer NOT NULL, \
         l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, \
         l_tax decimal(15,2) NOT NULL, l_returnflag varchar(1) NOT NULL, l_linestatus varchar(1) NOT NULL, l_shipdate date NOT NULL, \
         l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct varchar(25) NOT NULL, l_shipmode varchar(10) NOT NULL, \
         l_comment varchar(44) NOT NULL",
    ),
    (
        "orders",
        "o_orderkey bigint NOT NULL, o_custkey integer NOT NULL, o_orderstatus varchar(1) NOT NULL, o_totalprice decimal(15,2) NOT NULL, \
         o_orderdate date NOT NULL, o_orderpriority varchar(15) NOT NULL, o_clerk varchar(15) NOT NULL, o_shippriority integer NOT NULL, \
         o_comment varchar(79) NOT NULL",
    ),
    (
        "partsupp",
        "ps_partkey integer NOT NULL, ps_suppkey integer NOT NULL, ps_availqty integer NOT NULL, ps_supplycost decimal(15,2) NOT NULL, \
         ps_comment varchar(199) NOT NULL",
    ),
    (
        "part",
        "p_partkey integer NOT NULL, p_name varchar(55) NOT NULL, p_mfgr varchar(25) NOT NULL, p_brand varchar(10) NOT NULL, \
         p_type varchar(25) NOT NULL, p_size integer NOT NULL, p_container varchar(10) NOT NULL, p_retailprice decimal(15,2) NOT NULL, \
         p_comment varchar(23) NOT NULL",
    ),
    (
        "customer",
        "c_custkey integer NOT NULL, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL, c_nationkey integer NOT NULL, \
         c_phone varchar(15) NOT NULL, c_acctbal decimal(15,2) NOT NULL, c_mktsegment varchar(10) NOT NULL, c_comment varchar(117) NOT NULL",
    ),
    (
        "supplier",
        "s_suppkey integer NOT NULL, s_name varchar(25) NOT NULL, s_address varchar(40) NOT NULL, s_nationkey integer NOT NULL, \
         s_phone varchar(15) NOT NULL, s_acctbal decimal(15,2) NOT NULL, s_comment varchar(101) NOT NULL",
    ),
    ("nation", "n_nationkey integer NOT NULL, n_name varchar(25) NOT NULL, n_regionkey integer NOT NULL, n_comment varchar(152)"),
    ("region", "r_regionkey integer NOT NULL, r_name varchar(25) NOT NULL, r_comment varchar(152)"),
];

/// Loads all tables at `scale` into the server at `url`.
pub fn run(url: &str, scale: f64, replace: bool) -> Result<(), String> {
    if !(scale > 0.0 && scale <= 100_000.0) {
        return Err(format!("--scale {scale} is out of range: it must be above 0 and at most 100000"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONNECTIONS)
        .enable_all()
        .build()
        .map_err(|e| format!("could not start threads: {e}"))?;
    runtime.block_on(load(url, scale, replace))
}

async fn load(url: &str, scale: f64, replace: bool) -> Result<(), String> {
    let started = Instant::now();
    create_tables(&connect(url).await?, replace).await?;
    let progress = progress_bar(rows_expected(scale), "rows loaded");
    let queue = Arc::new(parking_lot::Mutex::new(TABLES.iter().map(|(name, _)| *name).rev().collect::<Vec<_>>()));
    let workers: Vec<_> =
        (0..CONNECTIONS).map(|_| tokio::spawn(load_tables(url.to_string(), scale, queue.clone(), progress.clone()))).collect();
    let mut rows = 0;
    for worker in workers {
        rows += worker.await.map_err(|e| format!("a loader stopped: {e}"))??;
    }
    progress.finish_and_clear();
    println!("loaded TPC-H at scale {scale}: {rows} rows in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

async fn connect(url: &str) -> Result<Client, String> {
    let mut config: tokio_postgres::Config = url.parse().map_err(|e| format!("the URL cannot be read: {e}"))?;
    let password = ["PGPASSWORD", "PLIMSOLL_PASSWORD"].into_iter().find_map(|name| std::env::var(name).ok());
    if let (None, Some(password)) = (config.get_password(), password) {
        config.password(password);
    }
    let shown = url.rsplit_once('@').map_or(url, |(_, address)| address);
    let (client, connection) = config
        .connect(NoTls)
        .await
        .map_err(|e| format!("could not connect to {shown}: {}\nhint: is the server running? is PGPASSWORD set?", explain(&e)))?;
    // The connection ends with its client; its error is what the client's calls report.
    tokio::spawn(connection);
    Ok(client)
}

async fn create_tables(client: &Client, replace: bool) -> Result<(), String> {
    for (name, columns) in TABLES {
        if replace {
            execute(client, &format!("DROP TABLE IF EXISTS {name} CASCADE")).await?;
        }
        execute(client, &format!("CREATE TABLE {name} ({columns})"))
            .await
            .map_err(|e| format!("{e}\nhint: --replace drops tables that are already there"))?;
    }
    Ok(())
}

async fn execute(client: &Client, sql: &str) -> Result<(), String> {
    client.batch_execute(sql).await.map_err(|e| explain(&e))
}

fn explain(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |e| format!("{} (SQLSTATE {})", e.message(), e.code().code()))
}

async fn load_tables(
    url: String,
    scale: f64,
    queue: Arc<parking_lot::Mutex<Vec<&'static str>>>,
    progress: ProgressBar,
) -> Result<u64, String> {
    let client = connect(&url).await?;
    let mut rows = 0;
    loop {
        let Some(table) = queue.lock().pop() else { return Ok(rows) };
        rows += load_table(&client, table, scale, &progress).await.map_err(|e| format!("loading {table} failed: {e}"))?;
    }
}

async fn load_table(client: &Client, table: &str, scale: f64, progress: &ProgressBar) -> Result<u64, String> {
    let statement = format!("COPY {table} FROM STDIN WITH (FORMAT csv)");
    let sink = client.copy_in(statement.as_str()).await.map_err(|e| explain(&e))?;
    let sender = Sender { sink: Box::pin(sink), text: String::with_capacity(CHUNK_BYTES + 4096), rows: 0, progress: progress.clone() };
    match table {
        "lineitem" => sender.send_all(generate::LineItemGenerator::new(scale, 1, 1).into_iter().map(LineItemCsv::new)).await,
        "orders" => sender.send_all(generate::OrderGenerator::new(scale, 1, 1).into_iter().map(OrderCsv::new)).await,
        "partsupp" => sender.send_all(generate::PartSuppGenerator::new(scale, 1, 1).into_iter().map(PartSuppCsv::new)).await,
        "part" => sender.send_all(generate::PartGenerator::new(scale, 1, 1).into_iter().map(PartCsv::new)).await,
        "customer" => sender.send_all(generate::CustomerGenerator::new(scale, 1, 1).into_iter().map(CustomerCsv::new)).await,
        "supplier" => sender.send_all(generate::SupplierGenerator::new(scale, 1, 1).into_iter().map(SupplierCsv::new)).await,
        "nation" => sender.send_all(generate::NationGenerator::new(scale, 1, 1).into_iter().map(NationCsv::new)).await,
        _ => sender.send_all(generate::RegionGenerator::new(scale, 1, 1).into_iter().map(RegionCsv::new)).await,
    }
}

/// Sends rows of one table as COPY data.
struct Sender {
    sink: std::pin::Pin<Box<CopyInSink<Bytes>>>,
    text: String,
    rows: u64,
    progress: ProgressBar,
}

impl Sender {
    async fn send_all<R: Display>(mut self, rows: impl Iterator<Item = R>) -> Result<u64, String> {
        for row in rows {
            writeln!(self.text, "{row}").map_err(|e| e.to_string())?;
            self.rows += 1;
            if self.text.len() >= CHUNK_BYTES {
                self.send().await?;
            }
        }
        self.send().await?;
        self.sink.as_mut().finish().await.map_err(|e| explain(&e))
    }

    async fn send(&mut self) -> Result<(), String> {
        self.progress.inc(std::mem::take(&mut self.rows));
        let chunk = Bytes::copy_from_slice(self.text.as_bytes());
        self.text.clear();
        self.sink.send(chunk).await.map_err(|e| explain(&e))
    }
}

/// Rows in all tables: per unit of scale as in the specification, clause 4.2.5; lineitem is the expected number.
fn rows_expected(scale: f64) -> u64 {
    (scale * 8_661_245.0) as u64 + 30
}

/// A progress bar on the terminal; silent where there is none.
pub fn progress_bar(length: u64, unit: &str) -> ProgressBar {
    let style = format!("{{bar:40}} {{human_pos}} of about {{human_len}} {unit}, {{per_sec}}, {{elapsed}} {{msg}}");
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template(&style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
