//! `pipglr runner run-single`: jobs of one runner, for as long as wanted.
//!
//! Compat: gitlab-runner commands/single.go.

use super::engine::engine;
use super::run::exit_code;
use super::{Outcome, multi_threaded};
use crate::cli::RunSingleArgs;
use crate::error::{CliError, Kind};
use crate::observability::{self, LogOptions};
use crate::signals;
use anyhow::Context as _;
use pipglr_protocol::Secret;
use pipglr_runner::config::{self, Config, ConfigSource, RunnerConfig};
use pipglr_runner::manager::{self, Bounds, Following, ManagerOptions, Shutdown};
use pipglr_runner::registration;
use std::fs::DirBuilder;
use std::num::NonZeroU64;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// A refused runner is asked again after this time.
const REST: Duration = Duration::from_secs(300);

pub(super) fn run(args: &RunSingleArgs, log: &LogOptions) -> Outcome {
    observability::init(log);
    let mut config = configuration(args)?;
    for runner in &mut config.runners {
        (runner.unhealthy_requests_limit, runner.unhealthy_interval) = (1, Some(REST));
    }
    let state = State::provide(args)?;
    let outcome = multi_threaded()?.block_on(serve(args, config, &state));
    state.leave()?;
    outcome
}

async fn serve(args: &RunSingleArgs, config: Config, state: &State) -> Outcome {
    let engine = engine(&args.engine, &config);
    let (_sender, configs) = watch::channel(Arc::new(config));
    let following = Following {
        bounds: Bounds {
            most_jobs: NonZeroU64::new(args.max_builds),
            patience: Some(Duration::from_secs(args.wait_timeout)).filter(|limit| !limit.is_zero()),
        },
        ..Following::only(configs)
    };
    let (shutdown, reload) = (Shutdown::default(), Arc::new(Notify::new()));
    signals::watch(shutdown.clone(), reload).context("listen to signals")?;
    let options = ManagerOptions {
        state_dir: state.directory.clone(),
        system_id: state.system_id.clone(),
    };
    Ok(exit_code(
        manager::run_following(following, engine, options, shutdown).await?,
    ))
}

/// One runner: of the file if it is named, else of the options.
fn configuration(args: &RunSingleArgs) -> Result<Config, CliError> {
    let mut config = match &args.runner {
        Some(name) => {
            let path = &args.config.config;
            let mut config = ConfigSource::new(path, &args.config.state_dir()).load()?.config;
            config.runners.retain(|r| r.name == *name);
            config.runners.truncate(1);
            if config.runners.is_empty() {
                return Err(anyhow::anyhow!("there is no runner {name:?} in {}", path.display()).into());
            }
            config
        }
        None => {
            let mut config = Config::default();
            config.runners.push(of_options(args)?);
            config
        }
    };
    // One job after the other.
    config.concurrent = 1;
    Ok(config)
}

fn of_options(args: &RunSingleArgs) -> Result<RunnerConfig, CliError> {
    let given = |value: &Option<String>| value.clone().filter(|v| !v.trim().is_empty());
    let missing = |what: &str| CliError::usage(format_args!("{what}, or name a runner of config.toml by --runner"));
    let url = given(&args.url).ok_or_else(|| missing("no GitLab URL: give --url or CI_SERVER_URL"))?;
    let token = given(&args.token).ok_or_else(|| missing("no token: give --token or CI_SERVER_TOKEN"))?;
    if !args.options.contains_key("executor") {
        return Err(missing("no executor: give --executor docker or RUNNER_EXECUTOR=docker"));
    }
    let name = given(&args.name).unwrap_or_default();
    registration::runner_of(&name, &url, &Secret::new(token.trim()), &args.options).map_err(|error| CliError {
        kind: Kind::Usage,
        source: error.into(),
        hints: Vec::new(),
    })
}

/// Where journals are while this runs. Of its own, unless a runner of the file is meant or somebody named a directory:
/// the service's must not be shared.
struct State {
    directory: PathBuf,
    system_id: String,
    temporary: bool,
}

impl State {
    fn provide(args: &RunSingleArgs) -> Result<Self, CliError> {
        if args.runner.is_some() || args.config.state_dir.is_some() {
            let directory = args.config.state_dir();
            let system_id = config::load_or_create_system_id(&directory)?;
            return Ok(Self {
                directory,
                system_id,
                temporary: false,
            });
        }
        let system_id = config::temporary_system_id();
        let directory = std::env::temp_dir().join(format!("pipglr-run-single-{system_id}"));
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .with_context(|| format!("create {}", directory.display()))?;
        Ok(Self {
            directory,
            system_id,
            temporary: true,
        })
    }

    /// What was only for now is removed.
    fn leave(&self) -> Result<(), CliError> {
        if self.temporary {
            std::fs::remove_dir_all(&self.directory).with_context(|| format!("remove {}", self.directory.display()))?;
        }
        Ok(())
    }
}
