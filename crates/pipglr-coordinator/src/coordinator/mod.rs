//! The handle: everything a caller in the same process can do, and what handlers share.

mod actions;
mod create;

use crate::deadlines::watch_deadlines;
use crate::events::Event;
use crate::git::Mirror;
use crate::id_tokens::Signer;
use crate::options::ServeOptions;
use crate::pipeline::{JobState, PipelineId};
use crate::project::{Project, load_project};
use crate::record::{JobRecord, PipelineRecord};
use crate::state::{State, new_token};
use crate::store::{Store, TraceFile};
use crate::url::ExternalUrl;
use crate::variables::settings::Leveled;
use crate::{Error, api, bridges, variable_files};
use pipglr_protocol::Secret;
use pipglr_protocol::job_request::SessionInfo;
use pipglr_protocol::payload::JobId;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events a slow receiver may be behind before it has to read the records again.
const EVENT_BACKLOG: usize = 1024;

/// An embedded GitLab. Clones are handles of the same one.
#[derive(Debug, Clone)]
pub struct Coordinator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ServeOptions,
    registration_token: Secret,
    url: ExternalUrl,
    project: Project,
    store: Store,
    mirror: Mirror,
    /// Variables of instance, group and project, weakest first.
    settings: Mutex<Arc<[Leveled]>>,
    signer: Signer,
    state: Mutex<State>,
    traces: Mutex<HashMap<JobId, Arc<Mutex<TraceFile>>>>,
    events: broadcast::Sender<Event>,
    /// `State::queue_version`, for requests that wait for a job.
    queue: watch::Sender<u64>,
    /// Counts every change of the state, for those who wait for something else.
    changes: watch::Sender<u64>,
    stop: CancellationToken,
    /// Tells this process's queue versions from an earlier one's.
    instance: Uuid,
}

impl Coordinator {
    /// Reads the repository, prepares the data directory, and is ready to serve.
    ///
    /// # Errors
    /// Options that cannot be used, a directory that is no git repository, or a failing data directory.
    pub async fn open(options: ServeOptions) -> Result<Self, Error> {
        let url = ExternalUrl::parse(&options.external_url)?;
        let project = load_project(&options).await?;
        let store = Store::open(&options.data_dir)?;
        let mirror = Mirror::create(&store.git_root(), &project).await?;
        let settings = variable_files::load(&options.sources.variable_files, &project).await?;
        let mut state = State::new(store.load()?);
        state.adopt_runner_tokens(&options.runner_tokens);
        state.ignore_tags = options.ignore_tags;
        store.save(&state.saved)?;
        let inner = Inner {
            registration_token: options
                .registration_token
                .clone()
                .unwrap_or_else(|| new_token("glrtr-")),
            options,
            url,
            project,
            store,
            mirror,
            settings: Mutex::new(settings.into()),
            signer: Signer::generate()?,
            state: Mutex::new(state),
            traces: Mutex::default(),
            events: broadcast::channel(EVENT_BACKLOG).0,
            queue: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            stop: CancellationToken::new(),
            instance: Uuid::new_v4(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Serves on `listener` until `shutdown` resolves; requests that wait for a job are answered at once then.
    ///
    /// # Errors
    /// The socket failed.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let stop = self.inner.stop.clone();
        let graceful = async move {
            shutdown.await;
            stop.cancel();
        };
        let server = axum::serve(listener, api::router(self.clone())).with_graceful_shutdown(graceful);
        tokio::select! {
            served = async { server.await } => served.map_err(Error::Serve),
            never = watch_deadlines(self) => match never {},
            never = bridges::start_pipelines(self) => match never {},
        }
    }

    /// Watches all changes from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    /// Waits until nothing of the pipeline and of those it started can go on by itself: all is over, or waits for
    /// somebody to play it.
    ///
    /// # Errors
    /// There is no such pipeline.
    pub async fn wait(&self, id: PipelineId) -> Result<PipelineRecord, Error> {
        let mut changes = self.inner.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if self.lock().is_at_rest(id) {
                return self.pipeline(id).ok_or(Error::NotFound {
                    what: "pipeline",
                    id: id.0,
                });
            }
            // The sender lives as long as self.
            changes.changed().await.expect("the coordinator is alive");
        }
    }

    /// All pipelines, oldest first.
    #[must_use]
    pub fn pipelines(&self) -> Vec<PipelineRecord> {
        let state = self.lock();
        let records = state.pipelines.values();
        records
            .map(|p| PipelineRecord::of(p, &state, &self.inner.store))
            .collect()
    }

    /// One pipeline.
    #[must_use]
    pub fn pipeline(&self, id: PipelineId) -> Option<PipelineRecord> {
        let state = self.lock();
        let run = state.pipelines.get(&id)?;
        Some(PipelineRecord::of(run, &state, &self.inner.store))
    }

    /// One job.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<JobRecord> {
        let state = self.lock();
        let place = state.place(id)?;
        Some(JobRecord::of(
            &state.pipelines[&place.pipeline],
            place.index,
            &self.inner.store,
        ))
    }

    /// How the web terminal of a running job is reached; `None` if its runner serves none.
    #[must_use]
    pub fn session(&self, id: JobId) -> Option<SessionInfo> {
        let state = self.lock();
        let job = state.job(state.place(id)?);
        let runs = matches!(job.state, JobState::Running | JobState::Canceling);
        state.sessions.get(&id).filter(|_| runs).cloned()
    }

    /// Authentication tokens of all runners.
    #[must_use]
    pub fn runner_tokens(&self) -> Vec<Secret> {
        self.lock().saved.runners.iter().map(|r| r.token.clone()).collect()
    }

    /// The token for `POST runners`.
    #[must_use]
    pub fn registration_token(&self) -> &Secret {
        &self.inner.registration_token
    }

    /// `namespace/project`.
    #[must_use]
    pub fn project_path(&self) -> &str {
        &self.inner.project.path
    }
}

/// What handlers share.
impl Coordinator {
    pub(crate) fn options(&self) -> &ServeOptions {
        &self.inner.options
    }

    pub(crate) fn url(&self) -> &ExternalUrl {
        &self.inner.url
    }

    pub(crate) fn project(&self) -> &Project {
        &self.inner.project
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn mirror(&self) -> &Mirror {
        &self.inner.mirror
    }

    pub(crate) fn settings(&self) -> Arc<[Leveled]> {
        Arc::clone(&self.inner.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files with variables again.
    async fn reload_settings(&self) -> Result<(), Error> {
        let settings = variable_files::load(&self.options().sources.variable_files, self.project()).await?;
        *self.inner.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings.into();
        Ok(())
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.inner.signer
    }

    /// The number the next pipeline will most likely have.
    pub(crate) fn next_pipeline(&self) -> u64 {
        self.lock().saved.next_pipeline
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.inner.stop
    }

    /// Sees every later change of the state.
    pub(crate) fn watch_changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Sees every later change of the queue.
    pub(crate) fn watch_queue(&self) -> watch::Receiver<u64> {
        self.inner.queue.subscribe()
    }

    /// The value of `X-GitLab-Last-Update`.
    pub(crate) fn last_update(&self) -> String {
        format!("{}-{}", self.inner.instance.simple(), *self.inner.queue.borrow())
    }

    /// Reads the state. The guard must not live across an `await`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the state was locked is a bug that was reported already; the state itself stays usable.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells everybody who watches.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        if let Err(error) = self.keep_numbers(&mut state) {
            // Only a later run on the same data directory could use a number twice.
            tracing::error!(%error, "the number of the next job was not saved");
        }
        self.keep_results(&state);
        // Sent under the lock, so that all receivers see the order of the changes.
        for event in state.events.drain(..) {
            // Nobody listening is fine.
            let _nobody = self.inner.events.send(event);
        }
        self.inner
            .queue
            .send_if_modified(|version| std::mem::replace(version, state.queue_version) != *version);
        self.inner.changes.send_modify(|count| *count += 1);
        result
    }

    /// Saves the numbers that were used up: they must not be used twice, because directories of jobs stay.
    pub(crate) fn keep_numbers(&self, state: &mut State) -> Result<(), Error> {
        let used = (state.saved.next_pipeline, state.saved.next_job);
        if used != state.kept {
            self.store().save(&state.saved)?;
            state.kept = used;
        }
        Ok(())
    }

    /// What a pipeline that came to its end left of its jobs is there for later runs.
    fn keep_results(&self, state: &State) {
        for event in &state.events {
            let Event::PipelineChanged {
                pipeline,
                state: composite,
            } = event
            else {
                continue;
            };
            let run = &state.pipelines[pipeline];
            let rests = composite.is_finished() || *composite == JobState::Manual;
            if rests
                && run.source.parent.is_none()
                && let Err(error) = self.inner.store.save_results(run.results())
            {
                tracing::error!(%error, "results of jobs were not kept for later runs");
            }
        }
    }

    /// Announces a change that is not part of the state.
    pub(crate) fn announce_trace(&self, job: JobId, size: u64) {
        self.change(|state| {
            if let Some(place) = state.place(job) {
                state.update_job(place, |j| j.trace_size = size);
                state.events.push(Event::TraceChanged { job, size });
            }
        });
    }

    /// The job's trace; created with its first use. Blocks on the file system.
    pub(crate) fn trace(&self, job: JobId) -> io::Result<Arc<Mutex<TraceFile>>> {
        let mut traces = self.inner.traces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trace) = traces.get(&job) {
            return Ok(Arc::clone(trace));
        }
        let trace = Arc::new(Mutex::new(TraceFile::create(&self.inner.store.trace_path(job))?));
        traces.insert(job, Arc::clone(&trace));
        Ok(trace)
    }
}
