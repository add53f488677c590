//! The command line: a file a verb. Raw arguments become checked values here, and errors get their
//! one printing.

mod adopt;
mod agent;
mod ahead;
mod apply;
mod claim;
mod completions;
mod config;
mod deadline;
mod demo;
mod doctor;
mod doer;
mod engine;
mod explain;
mod history;
mod lint;
mod logs;
mod manual;
mod onlooker;
mod order;
mod pause;
mod plan;
mod prune;
mod recorded;
mod remove;
mod resume;
mod retry;
mod rollback;
mod rows;
mod schema;
mod serve;
mod socket;
mod status;
mod suspend;
mod sync;
mod target;
mod template;
mod validate;
mod values;
mod watch;

use crate::renderer;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// What `plan` and dry runs end with when there is something to do.
const CHANGES: u8 = 2;

/// Variables of the environment that are no option.
const VARIABLES: &str = "\
Further variables:
  DOCKER_CONFIG                        Where the logins of registries are [default: ~/.docker]
  SOPS_AGE_KEY, SOPS_AGE_KEY_FILE      Age keys for verbs that read encrypted files by hand
  HTTPS_PROXY, HTTP_PROXY, NO_PROXY    How git is reached over http(s)
  SSL_CERT_FILE                        The authorities that are trusted, instead of the host's
  XDG_STATE_HOME                       For who is not root, what the state directory is in
  NO_COLOR                             No colours";

/// Ties Docker hosts to git: makes running containers match the Compose files in a repository,
/// keeps them so, and says why it does what it does.
///
/// Exit codes: 0 done, or nothing to do; 1 an error, wrong arguments too; 2 from `plan`, `adopt` without
/// `--confirm` and with `--dry-run`: there are changes; 2 from `status --check`: not all is well, or a source fails; 141:
/// who read the output went away.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_long_help = VARIABLES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every verb")]
struct Common {
    /// The engine to work on: a real one, or one simulated in memory.
    #[arg(long, global = true, value_enum, default_value_t = EngineKind::Docker)]
    engine: EngineKind,
    /// Where Docker listens (`unix:///path`, `tcp://host:port`) [default: /var/run/docker.sock]
    #[arg(long, global = true, env = "DOCKER_HOST", value_name = "URL")]
    host: Option<String>,
    /// Where clones, the inventory and the key of secrets' digests are kept [default: /var/lib/bowline for root,
    /// else ~/.local/state/bowline]
    #[arg(long, global = true, env = "BOWLINE_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// How much to log: `error`, `warn`, `info`, `debug`, `trace`, `off`, or directives such as
    /// `info,bowline::plan=debug`.
    #[arg(long, global = true, env = "BOWLINE_LOG", value_name = "FILTER")]
    log_level: Option<String>,
}

/// Which engine to work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineKind {
    /// Docker.
    Docker,
    /// In memory; empty at the start and gone at the end.
    Sim,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Watch git sources and keep the engine as they say, until told to stop.
    #[command(
        after_long_help = "Examples:\n  bowline agent --check\n  bowline agent --config ./config.yaml --log-format human"
    )]
    Agent(agent::Arguments),
    /// Show what would change and why, and change nothing.
    ///
    /// Exit code 0: nothing to do; 2: there are changes; 1: an error, or something in the way.
    #[command(
        after_long_help = "Examples:\n  bowline plan shop\n  bowline plan https://git.example.org/infra.git --ref main\n  bowline plan --stack shop        # what the agent would do now"
    )]
    Plan(plan::Arguments),
    /// Make the engine match compose files, once: what `plan` shows is done.
    ///
    /// Exit code 0: it is as desired; 1: something could not be done, or a container is not well.
    #[command(
        after_long_help = "Examples:\n  bowline apply shop --wait --timeout 5m\n  bowline apply shop --dry-run"
    )]
    Apply(apply::Arguments),
    /// Take over what Docker Compose made for a project of the same name, without a restart where
    /// nothing differs. Shows the differences; with `--confirm` it is done.
    ///
    /// Exit codes: as `plan`, and with `--confirm` as `apply`.
    #[command(
        after_long_help = "Examples:\n  bowline adopt ~/shop\n  bowline adopt ~/shop --confirm"
    )]
    Adopt(adopt::Arguments),
    /// Take a stack away: its containers and networks, and its volumes only with `--volumes`.
    Remove(remove::Arguments),
    /// Show the stacks that left their source and are kept, or could not be removed; with
    /// `--confirm`, have them removed. Volumes stay.
    Prune(prune::Arguments),
    /// Have a stack go back to a former definition that held. What git asks for is held back until git
    /// moves on, or until `bowline retry`.
    ///
    /// Exit code 0: it runs; 1: it does not, or not in time.
    #[command(
        after_long_help = "Examples:\n  bowline rollback shop --dry-run\n  bowline rollback shop --to 1f6a52e"
    )]
    Rollback(rollback::Arguments),
    /// Try again what is held back, rests or did not help.
    Retry(retry::Arguments),
    /// Exchange no further container of a stack, until `bowline resume`. What is under way ends.
    Pause(pause::Arguments),
    /// Do nothing at all to a stack, until `bowline resume`: no repairs, no commits, no pulls. It is
    /// looked at, and told of.
    #[command(
        after_long_help = "Examples:\n  bowline suspend shop --reason \"the disk is moved\"\n  bowline resume shop"
    )]
    Suspend(suspend::Arguments),
    /// Go on with a stack that is suspended or paused, or whose update rests.
    Resume(resume::Arguments),
    /// Have the agent fetch the source of a stack now, and look at the stack again; or a source.
    Sync(sync::Arguments),
    /// Check stacks without an engine. Exit code 0: all are fine; 1: some are not.
    Validate(validate::Arguments),
    /// Print the compose file that a chart puts out for a stack, or with its own values. Values from
    /// encrypted files are left out.
    Template(template::Arguments),
    /// Check charts by themselves, with their own values and those given. Exit code 0: all are fine; 1:
    /// some are not.
    Lint(lint::Arguments),
    /// Print the resolved model as `docker compose config --format json` does.
    Config(config::Arguments),
    /// Show the stacks of the agent on this host, or one of them with all that is known of it; where
    /// no agent runs, the stacks of the engine.
    ///
    /// With `--check`, exit code 0: all are Synced and Healthy; 2: some are not, or a source fails; 1: an
    /// error.
    #[command(
        after_long_help = "Examples:\n  bowline status\n  bowline status shop\n  bowline status --source infra --check && echo fine"
    )]
    Status(status::Arguments),
    /// Show what happened to a stack: when, by whom, why, and with what result; or one deployment of
    /// it in full.
    History(history::Arguments),
    /// Tell why a service is as it is: its containers, the changes that led there with their reasons,
    /// and what differs now.
    Explain(explain::Arguments),
    /// Show what the containers of a stack wrote, all replicas together and each line with its container,
    /// as far as Docker keeps it.
    #[command(
        after_long_help = "Examples:\n  bowline logs shop web --tail 20\n  bowline logs shop --since 10m --follow"
    )]
    Logs(logs::Arguments),
    /// Look for what is wrong on this host, from the configuration to the git repositories, and say what to do
    /// about it. Changes nothing, and shows no secret.
    ///
    /// Exit code 0: nothing is in error; 1: something is.
    #[command(
        after_long_help = "Examples:\n  sudo bowline doctor\n  bowline doctor -o json | jq '.checks[] | select(.verdict != \"ok\")'"
    )]
    Doctor(doctor::Arguments),
    /// See it work: a temporary repository, a stack, drift repaired, an update under load, a commit that
    /// fails and is taken back, metrics.
    Demo(demo::Arguments),
    /// Print the schema of a file for editors, as JSON Schema.
    Schema(schema::Arguments),
    /// Print a completion script for a shell.
    #[command(
        after_long_help = "Examples:\n  bowline completions bash >/etc/bash_completion.d/bowline"
    )]
    Completions(completions::Arguments),
    /// Write the manual pages, as the package has them, into a directory.
    #[command(hide = true)]
    Manual(manual::Arguments),
    /// Serve a page with version and health over HTTP: what the demo's containers run.
    #[command(hide = true)]
    Serve(serve::Arguments),
    /// Render a chart that comes from the input: what other verbs do in a process that is bounded.
    #[command(hide = true, name = renderer::VERB)]
    Render,
}

/// Carries out what the arguments ask for.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let common = cli.common;
    renderer::render_apart();
    match cli.verb {
        Verb::Agent(arguments) => agent::run(&common, &arguments),
        Verb::Plan(arguments) => block_on(plan::run(&common, &arguments)),
        Verb::Apply(arguments) => block_on(apply::run(&common, &arguments)),
        Verb::Adopt(arguments) => block_on(adopt::run(&common, &arguments)),
        Verb::Remove(arguments) => block_on(remove::run(&common, &arguments)),
        Verb::Prune(arguments) => block_on(prune::run(&common, &arguments)),
        Verb::Rollback(arguments) => block_on(rollback::run(&common, &arguments)),
        Verb::Retry(arguments) => block_on(retry::run(&common, &arguments)),
        Verb::Pause(arguments) => block_on(pause::run(&common, &arguments)),
        Verb::Suspend(arguments) => block_on(suspend::run(&common, &arguments)),
        Verb::Resume(arguments) => block_on(resume::run(&common, &arguments)),
        Verb::Sync(arguments) => block_on(sync::run(&arguments)),
        Verb::Validate(arguments) => validate::run(&common, &arguments),
        Verb::Template(arguments) => template::run(&common, &arguments),
        Verb::Lint(arguments) => lint::run(&arguments),
        Verb::Config(arguments) => config::run(&common, &arguments),
        Verb::Status(arguments) => block_on(status::run(&common, &arguments)),
        Verb::History(arguments) => block_on(history::run(&common, &arguments)),
        Verb::Explain(arguments) => block_on(explain::run(&common, &arguments)),
        Verb::Logs(arguments) => block_on(logs::run(&common, &arguments)),
        Verb::Doctor(arguments) => block_on(doctor::run(&common, &arguments)),
        Verb::Demo(arguments) => block_on(demo::run(&common, &arguments)),
        Verb::Schema(arguments) => schema::run(&arguments),
        Verb::Completions(arguments) => Ok(completions::run(&arguments)),
        Verb::Manual(arguments) => manual::run(&arguments),
        Verb::Serve(arguments) => block_on(serve::run(&arguments)),
        Verb::Render => Ok(renderer::answer().map(|()| ExitCode::SUCCESS)?),
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(work)
}

/// An error with its causes, as the program prints it: on one line, or with further ones below the first.
pub fn error_text(error: &anyhow::Error) -> String {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    format!("error: {}", chain.join(": ")).replace('\n', "\n       ")
}

impl Common {
    /// The directory for what outlives the process.
    fn state_dir(&self) -> PathBuf {
        if let Some(dir) = &self.state_dir {
            return dir.clone();
        }
        if rustix::process::geteuid().is_root() {
            return PathBuf::from("/var/lib/bowline");
        }
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
        base.unwrap_or_else(std::env::temp_dir).join("bowline")
    }
}
