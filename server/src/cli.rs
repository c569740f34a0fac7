//! The command line: `plimsoll [serve]`, `plimsoll tpch`, `plimsoll check`, `plimsoll simulate`.

use crate::config::{Auth, Config, Overrides};
use crate::{check, node, simulate, tpch};
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Plimsoll: a SQL analytics database that knows its own load line. Connect with psql, or any PostgreSQL client.
#[derive(Parser)]
#[command(name = "plimsoll", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (also what `plimsoll` without a command does).
    Serve(ServeArgs),
    /// Generate the TPC-H tables and load them into a running server, over the wire.
    Tpch(TpchArgs),
    /// Verify every checksum and manifest of a data folder. Exit status 1 and a list if anything is wrong.
    Check(CheckArgs),
    /// Play a scenario: how placement, and the balancers of others, treat a cluster that is loaded, fails and grows. Exit status 1 if
    /// something does not come as the scenario expects it.
    Simulate(SimulateArgs),
}

#[derive(Args, Default)]
struct ServeArgs {
    /// Settings as TOML; see docs/settings.md. Environment variables PLIMSOLL_... and flags win over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the data is; created if missing [default: ./plimsoll-data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where PostgreSQL clients connect [default: 127.0.0.1:5432].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Memory for queries, ingest and buffers: `auto`, or a size such as 8GiB [default: auto, four fifths of the machine's or cgroup's].
    #[arg(long, value_name = "SIZE")]
    memory_limit: Option<String>,
    /// Where queries spill [default: tmp in the data folder].
    #[arg(long, value_name = "DIR")]
    temp_dir: Option<PathBuf>,
    /// How clients prove who they are [default: peer].
    #[arg(long, value_enum)]
    auth: Option<Auth>,
}

#[derive(Args)]
struct TpchArgs {
    /// The scale factor: 1 is about a gigabyte of text, 8.7 million rows.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// The server to load into.
    #[arg(long, default_value = "postgresql://plimsoll@127.0.0.1:5432/plimsoll")]
    url: String,
    /// Drop the eight tables first if they exist.
    #[arg(long)]
    replace: bool,
}

#[derive(Args)]
struct CheckArgs {
    /// The data folder of a server that is not running.
    #[arg(long, value_name = "DIR", default_value = "plimsoll-data")]
    data_dir: PathBuf,
}

#[derive(Args)]
struct SimulateArgs {
    /// A scenario file, or the name of a built-in scenario; without it the names are listed.
    #[arg(value_name = "FILE or NAME")]
    scenario: Option<String>,
    /// Another seed than the scenario's.
    #[arg(long)]
    seed: Option<u64>,
    /// Balancers to compare, instead of those that the scenario names.
    #[arg(long = "policy", value_name = "NAME")]
    policies: Vec<String>,
    /// Also print what happened, move by move.
    #[arg(long)]
    transcript: bool,
    /// Write a picture of all nodes' loads over time.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Parses the arguments, runs the command, and says what went wrong.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => serve(cli.serve),
        Some(Command::Serve(args)) => serve(args),
        Some(Command::Tpch(args)) => tpch::run(&args.url, args.scale, args.replace),
        Some(Command::Check(args)) => return check::run(&args.data_dir),
        Some(Command::Simulate(args)) => simulated(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("plimsoll: {message}");
            ExitCode::FAILURE
        }
    }
}

fn simulated(args: SimulateArgs) -> Result<(), String> {
    let Some(scenario) = args.scenario else {
        simulate::list();
        return Ok(());
    };
    simulate::run(&scenario, args.seed, args.policies, args.transcript, args.svg.as_deref())
}

fn serve(args: ServeArgs) -> Result<(), String> {
    let ServeArgs { config, data_dir, listen, memory_limit, temp_dir, auth } = args;
    let overrides = Overrides { data_dir, listen, auth, memory_limit, temp_dir };
    node::run(Config::resolve(config.as_deref(), overrides)?)
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
