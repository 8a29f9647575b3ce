//! Jobs an earlier process of this runner left behind: each is gone on with where it was, with the settings it was
//! accepted under, even if config.toml has changed since.

use super::supervise::{Arrived, supervise, world};
use super::{Shared, runner_info};
use crate::containers::objects::Keep;
use crate::gitlab::{Connection, GitLab, JobApi, TlsFiles};
use crate::job::plan::{self, AcceptedJob, ClientIdentity};
use crate::job::{remove_objects, report_without_log};
use crate::journal::{Kept, Stranded};
use crate::metrics::Calls;
use crate::trace::sender::Pace;
use std::collections::HashMap;
use std::sync::Arc;

/// What must not be reaped.
pub(super) fn keep(jobs: &[Kept]) -> Keep {
    Keep::new(jobs.iter().map(|kept| plan::unique_name(&kept.job)))
}

/// Starts to go on with jobs; each holds a slot for as long as it lives.
pub(super) fn adopt(jobs: Vec<Kept>, shared: &Arc<Shared>) {
    let mut connections: HashMap<Connection, GitLab> = HashMap::new();
    for kept in jobs {
        let job = &kept.job;
        let connection = connection(job);
        let gitlab = match connections.get(&connection) {
            Some(gitlab) => Ok(gitlab.clone()),
            None => GitLab::connect(&connection),
        };
        match gitlab {
            Ok(gitlab) => {
                connections.insert(connection, gitlab.clone());
                let gitlab = gitlab.counted(Calls {
                    metrics: shared.metrics.clone(),
                    runner: job.runner.token.short(),
                    system_id: shared.options.system_id.clone(),
                });
                let world = world(job, gitlab, Arc::new(runner_info(Some(&job.runner))), shared);
                let project = job.payload.job_info.project_id;
                let place = shared.slots.occupy(&job.runner.token, project, job.slot);
                let supervisor = shared.clone();
                shared.tasks.spawn(async move {
                    supervise(Arrived::Kept(Box::new(kept)), world, &supervisor).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::error!(job_id = job.payload.id.0, %error, "a job of an earlier process cannot be gone on with, nor reported");
                let supervisor = shared.clone();
                shared.tasks.spawn(async move {
                    remove_objects(&kept.job, &supervisor.engine).await;
                    if let Err(error) = kept.journal.remove() {
                        tracing::warn!(%error, "the job's journal could not be removed");
                    }
                });
            }
        }
    }
}

/// Reports jobs this version cannot go on with; what they made is reaped as nobody's.
pub(super) fn report(jobs: Vec<Stranded>, shared: &Arc<Shared>) {
    for job in jobs {
        let id = job.payload.id;
        tracing::error!(
            job_id = id.0,
            "a job another version of pipglr left cannot be read and is given up"
        );
        let connection = Connection {
            url: job.runner.url.clone(),
            tls: TlsFiles {
                ca_text: job.ca_certificates.clone(),
                ..TlsFiles::default()
            },
        };
        match GitLab::connect(&connection) {
            Ok(gitlab) => {
                let api = JobApi::new(
                    gitlab,
                    id,
                    job.payload.token.clone(),
                    Arc::new(runner_info(None)),
                    false,
                );
                shared.tasks.spawn(async move {
                    report_without_log(&api, Pace::default()).await;
                    job.remove();
                });
            }
            Err(error) => tracing::error!(job_id = id.0, %error, "it cannot be reported"),
        }
    }
}

/// How the job's coordinator is reached. Its certificates are in the journal: the file may have changed.
fn connection(job: &AcceptedJob) -> Connection {
    Connection {
        url: job.runner.url.clone(),
        tls: TlsFiles {
            ca: None,
            cert: job.runner.tls_cert_file.clone(),
            key: job.runner.tls_key_file.clone(),
            ca_text: job.ca_certificates.clone(),
            identity_text: job.client_identity.as_ref().map(ClientIdentity::pem),
        },
    }
}
