//! The handle: everything a caller in the same process can do, and what handlers share.

use crate::cache_keys;
use crate::config::evaluate_config;
use crate::deadlines::watch_deadlines;
use crate::events::Event;
use crate::git::Mirror;
use crate::options::{ExternalUrl, ServeOptions};
use crate::pipeline::{JobState, PipelineId, PipelineRun, Source};
use crate::project::{Project, Revision, load_file, load_project, load_source};
use crate::record::{JobRecord, PipelineRecord};
use crate::state::{State, new_token};
use crate::store::{Store, TraceFile};
use crate::{Error, api};
use jiff::Timestamp;
use pipglr_ci::model::Pipeline;
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
        let mut state = State::new(store.load()?);
        state.adopt_runner_tokens(&options.runner_tokens);
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
        }
    }

    /// Evaluates the configuration at `revision` and starts a pipeline for it.
    ///
    /// # Errors
    /// An unknown revision, a missing, invalid or empty configuration, or a failing git.
    pub async fn create_pipeline(&self, revision: &Revision) -> Result<PipelineId, Error> {
        let repo = &self.inner.project.repo;
        let (reference, commit) = load_source(repo, revision).await?;
        let path = &self.inner.project.config_path;
        let text = load_file(repo, &commit.sha, path).await?;
        let text = text.ok_or_else(|| Error::ConfigMissing {
            path: path.clone(),
            sha: commit.sha.clone(),
        })?;
        let pipeline = evaluate_config(path, text)?;
        self.start(Source { reference, commit }, &pipeline).await
    }

    /// Starts a pipeline that was evaluated elsewhere, with the sources of `revision`.
    ///
    /// # Errors
    /// An unknown revision, a pipeline that is empty or refers to what it does not have, or a failing git.
    pub async fn start_pipeline(&self, revision: &Revision, pipeline: &Pipeline) -> Result<PipelineId, Error> {
        let (reference, commit) = load_source(&self.inner.project.repo, revision).await?;
        self.start(Source { reference, commit }, pipeline).await
    }

    async fn start(&self, source: Source, pipeline: &Pipeline) -> Result<PipelineId, Error> {
        let id = self.lock().reserve_pipeline();
        self.inner
            .mirror
            .publish(id, &source.reference, &source.commit.sha)
            .await?;
        let pipeline = cache_keys::resolve(pipeline, &self.inner.project.repo, &source.commit.sha).await?;
        self.change(|state| {
            state.create_pipeline(id, source, &pipeline, Timestamp::now())?;
            // Numbers must not be used twice: their directories stay.
            self.inner.store.save(&state.saved)
        })?;
        Ok(id)
    }

    /// Watches all changes from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    /// Waits until nothing of the pipeline can go on by itself: it is over, or blocked by a manual job.
    ///
    /// # Errors
    /// There is no such pipeline.
    pub async fn wait(&self, id: PipelineId) -> Result<PipelineRecord, Error> {
        let mut changes = self.inner.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let record = self.pipeline(id).ok_or(Error::NotFound {
                what: "pipeline",
                id: id.0,
            })?;
            if record.state.is_finished() || record.state == JobState::Manual {
                return Ok(record);
            }
            // The sender lives as long as self.
            changes.changed().await.expect("the coordinator is alive");
        }
    }

    /// All pipelines, oldest first.
    #[must_use]
    pub fn pipelines(&self) -> Vec<PipelineRecord> {
        self.lock()
            .pipelines
            .values()
            .map(|p| PipelineRecord::of(p, &self.inner.store))
            .collect()
    }

    /// One pipeline.
    #[must_use]
    pub fn pipeline(&self, id: PipelineId) -> Option<PipelineRecord> {
        self.lock()
            .pipelines
            .get(&id)
            .map(|p| PipelineRecord::of(p, &self.inner.store))
    }

    /// One job.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<JobRecord> {
        let state = self.lock();
        let place = state.place(id)?;
        Some(JobRecord::of(place.pipeline, state.job(place), &self.inner.store))
    }

    /// How the web terminal of a running job is reached; `None` if its runner serves none.
    #[must_use]
    pub fn session(&self, id: JobId) -> Option<SessionInfo> {
        let state = self.lock();
        let job = state.job(state.place(id)?);
        let runs = matches!(job.state, JobState::Running | JobState::Canceling);
        state.sessions.get(&id).filter(|_| runs).cloned()
    }

    /// Cancels a job that is not over; a running one is asked to stop and may still run `after_script`.
    ///
    /// # Errors
    /// There is no such job, or it is over or being canceled.
    pub fn cancel_job(&self, id: JobId) -> Result<(), Error> {
        self.act_on_job(id, "canceled", PipelineRun::cancel_job)
    }

    /// Starts a manual job.
    ///
    /// # Errors
    /// There is no such job, or it does not wait to be played.
    pub fn play_job(&self, id: JobId) -> Result<(), Error> {
        self.act_on_job(id, "played", PipelineRun::play)
    }

    fn act_on_job(
        &self,
        id: JobId,
        action: &'static str,
        act: impl FnOnce(&mut PipelineRun, usize, Timestamp) -> bool,
    ) -> Result<(), Error> {
        self.change(|state| {
            let place = state.place(id).ok_or(Error::NotFound { what: "job", id: id.0 })?;
            let before = state.job(place).state;
            match state.change(place.pipeline, |p| act(p, place.index, Timestamp::now())) {
                Some(true) => Ok(()),
                _ => Err(Error::WrongState {
                    id: id.0,
                    action,
                    state: before,
                }),
            }
        })
    }

    /// Cancels everything of a pipeline that is not over.
    ///
    /// # Errors
    /// There is no such pipeline.
    pub fn cancel_pipeline(&self, id: PipelineId) -> Result<(), Error> {
        let canceled = self.change(|state| state.change(id, |p| p.cancel_all(Timestamp::now())));
        canceled.ok_or(Error::NotFound {
            what: "pipeline",
            id: id.0,
        })
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
