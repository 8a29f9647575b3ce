//! Process 1 of the build container: runs the job's scripts one after the other as the image's user, reaps what is
//! orphaned, ends the process tree of each step, and keeps going when the engine is gone. While a web terminal is open,
//! it stays when all is done.

mod children;
mod group;
mod identity;
mod memory;
mod pids;
mod plan;
mod settings;
mod shell;
mod terminal;
mod visitors;

pub use plan::{FileVariable, InitPlan, InitStep};
pub use shell::run_as;
pub use terminal::{READY, TerminalPlan, become_shell};

use super::marker::{Event, StageEnd};
use super::{CANNOT_RUN, gitlab_env, notice, plan_input};
use children::{Children, Limit};
use identity::Identity;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Reads a plan from stdin, carries it out and gives the exit code for process 1.
pub async fn run() -> i32 {
    run_container().await.unwrap_or_else(|error| {
        notice::error(&format!("the job's container cannot go on: {error}"));
        CANNOT_RUN
    })
}

async fn run_container() -> io::Result<i32> {
    if rustix::process::getpid() != rustix::process::Pid::INIT {
        return Err(io::Error::other("job-init must be process 1 of a container"));
    }
    // Before the plan is read: a request to stop may come at any time, and process 1 ignores what it does not handle.
    let children = Children::watch()?;
    run_plan(&plan_input::read_plan::<InitPlan>()?, children).await
}

async fn run_plan(plan: &InitPlan, mut children: Children) -> io::Result<i32> {
    let job = match prepare(plan) {
        Ok(job) => job,
        Err(error) => {
            if let Some(step) = plan.steps.first() {
                notice::marker(
                    &Event::Start {
                        stage: step.stage.clone(),
                    },
                    &plan.nonce,
                );
                notice::error(&error.to_string());
                notice::marker(
                    &Event::End {
                        stage: step.stage.clone(),
                        end: StageEnd::Exited(1),
                    },
                    &plan.nonce,
                );
            }
            notice::marker(&Event::Finished, &plan.nonce);
            return Ok(CANNOT_RUN);
        }
    };
    let end = run_steps(plan, &job, &mut children).await?;
    if let Some(step) = &plan.after_script {
        let status = match end {
            StageEnd::Exited(0) => "success",
            StageEnd::Exited(_) | StageEnd::SystemFailure => "failed",
            StageEnd::TimedOut => "timedout",
            StageEnd::Canceled => "canceled",
        };
        let limit = Limit {
            until: Some(Instant::now() + Duration::from_secs(plan.after_script_timeout)),
            cancelable: false,
        };
        run_step(plan, &job, step, status, limit, &mut children).await?;
    }
    clean_up(plan);
    notice::marker(&Event::Finished, &plan.nonce);
    if plan.stay_after_failure && end != StageEnd::Exited(0) {
        children.wait_for_the_end().await?;
    } else {
        children.wait_for_visitors().await?;
    }
    Ok(match end {
        StageEnd::Exited(code) => code,
        StageEnd::TimedOut | StageEnd::Canceled | StageEnd::SystemFailure => 1,
    })
}

/// Removes what must not outlive the job. A failure is only told: the job's outcome stands.
fn clean_up(plan: &InitPlan) {
    let stage = || "cleanup_file_variables".to_owned();
    notice::marker(&Event::Start { stage: stage() }, &plan.nonce);
    let path = Path::new(&plan.gitlab_env);
    let handed_on = if plan.hand_on_gitlab_env {
        gitlab_env::read(path)
    } else {
        String::new()
    };
    for path in &plan.remove_at_end {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                notice::warning(&format!("remove {path}: {error}"));
            }
            Ok(()) | Err(_) => {}
        }
    }
    if let Err(error) = gitlab_env::hand_on(path, &handed_on) {
        notice::warning(&format!(
            "variables in {} do not reach later stages: {error}",
            path.display()
        ));
    }
    notice::marker(
        &Event::End {
            stage: stage(),
            end: StageEnd::Exited(0),
        },
        &plan.nonce,
    );
}

/// What stays the same for all steps.
struct Job {
    identity: Identity,
    shell: Vec<OsString>,
}

fn prepare(plan: &InitPlan) -> io::Result<Job> {
    let identity = identity::resolve(&plan.user, &plan.groups)?;
    for directory in &plan.open_directories {
        match fs::set_permissions(directory, fs::Permissions::from_mode(0o777)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                notice::warning(&format!("open {directory} for everybody: {error}"));
            }
            Ok(()) | Err(_) => {}
        }
    }
    settings::write(&plan.settings);
    let beside_gitlab_env = Path::new(&plan.gitlab_env).parent();
    for dir in [
        Some(Path::new(&plan.builds_dir)),
        Some(Path::new(&plan.project_dir)),
        beside_gitlab_env,
    ]
    .into_iter()
    .flatten()
    {
        open_directory(dir, &identity)?;
    }
    Ok(Job {
        identity,
        shell: shell::command(&plan.entrypoint)?,
    })
}

/// Creates `path` if missing, usable by whatever user the image has.
fn open_directory(path: &Path, identity: &Identity) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let in_context = |e: io::Error| io::Error::new(e.kind(), format!("create {}: {e}", path.display()));
    if let Some(parent) = path.parent() {
        open_directory(parent, identity)?;
    }
    fs::create_dir(path).map_err(in_context)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).map_err(in_context)?;
    chown(path, Some(identity.uid), Some(identity.gid)).map_err(in_context)
}

async fn run_steps(plan: &InitPlan, job: &Job, children: &mut Children) -> io::Result<StageEnd> {
    let until = plan.script_timeout.map(|s| Instant::now() + Duration::from_secs(s));
    let mut end = StageEnd::Exited(0);
    for step in &plan.steps {
        end = run_step(
            plan,
            job,
            step,
            "running",
            Limit {
                until,
                cancelable: true,
            },
            children,
        )
        .await?;
        if end != StageEnd::Exited(0) {
            break;
        }
    }
    Ok(end)
}

async fn run_step(
    plan: &InitPlan,
    job: &Job,
    step: &InitStep,
    job_status: &str,
    limit: Limit,
    children: &mut Children,
) -> io::Result<StageEnd> {
    notice::marker(
        &Event::Start {
            stage: step.stage.clone(),
        },
        &plan.nonce,
    );
    let (ended_before, refused_before) = (memory::ended(), pids::refused());
    let end = match start_step(plan, job, step, job_status) {
        Ok(pid) => children.wait_for(pid, limit).await?,
        Err(error) => {
            notice::error(&error.to_string());
            StageEnd::SystemFailure
        }
    };
    // A step's process tree ends with it; after_script starts from a clean slate.
    children.end_all().await?;
    memory::tell(ended_before);
    pids::tell(refused_before);
    notice::marker(
        &Event::End {
            stage: step.stage.clone(),
            end,
        },
        &plan.nonce,
    );
    Ok(end)
}

fn start_step(plan: &InitPlan, job: &Job, step: &InitStep, job_status: &str) -> io::Result<rustix::process::Pid> {
    write_files(plan, &job.identity)?;
    let mut environment: BTreeMap<&str, &str> =
        plan.environment.iter().map(|(k, v)| (k.as_str(), v.expose())).collect();
    environment.insert("CI_JOB_STATUS", job_status);
    if !plan.keep_home {
        environment.entry("HOME").or_insert(&job.identity.home);
    }
    let later = gitlab_env::read(Path::new(&plan.gitlab_env));
    environment.extend(gitlab_env::pairs(&later));
    shell::spawn(&job.shell, &job.identity, &environment, &step.script)
}

/// File variables are written anew for each step: a script cannot change them for the next one.
fn write_files(plan: &InitPlan, identity: &Identity) -> io::Result<()> {
    for file in &plan.files {
        let path = Path::new(&file.path);
        let in_context =
            |e: io::Error| io::Error::new(e.kind(), format!("write file variable {}: {e}", path.display()));
        if let Some(parent) = path.parent() {
            open_directory(parent, identity)?;
        }
        // Removed first: a link a script left there must not redirect the write.
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(in_context(e)),
            Ok(()) | Err(_) => {}
        }
        fs::write(path, file.content.expose()).map_err(in_context)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(in_context)?;
    }
    Ok(())
}
