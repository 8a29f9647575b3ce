//! Process 1 of a fake container: reads its plan, plays the acts of each stage, announces stages.
//!
//! Announcements are `RS pipglr:<nonce>:<event> LF` on stdout and on stderr.

use super::script::Act;
use super::state::State;
use crate::watched::Watched;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

/// Exit code of a process that got no plan.
const CANNOT_RUN: i32 = 125;

struct Process {
    state: Arc<Watched<State>>,
    id: String,
    job: Option<String>,
    nonce: String,
    signals: UnboundedReceiver<String>,
}

/// The container is dead; nothing more is to be written.
struct Dead(i32);

/// How a stage ended, as its announcement has it.
#[derive(PartialEq, Eq)]
enum End {
    Exited(i32),
    TimedOut,
    Canceled,
    CannotStart,
}

pub(super) async fn run(
    state: Arc<Watched<State>>,
    id: String,
    job: Option<String>,
    input: UnboundedReceiver<Vec<u8>>,
    signals: UnboundedReceiver<String>,
) {
    let service = state.read().containers.get(&id).and_then(|c| {
        let labels = &c.labels;
        (labels.get("pipglr.type")? == "service").then(|| labels["com.gitlab.gitlab-runner.service"].clone())
    });
    if let Some(service) = service {
        let mut process = Process {
            state: state.clone(),
            id: id.clone(),
            job,
            nonce: String::new(),
            signals,
        };
        let code = process.serve(&service).await;
        state.change(|s| s.ended(&id, code));
        return;
    }
    let exit_code = match read_plan(input).await {
        Some(plan) => {
            let nonce = plan["nonce"].as_str().unwrap_or_default().to_owned();
            let mut process = Process {
                state: state.clone(),
                id: id.clone(),
                job,
                nonce,
                signals,
            };
            process.note(|created| created.plan = Some(plan.clone()));
            match process.carry_out(&plan).await {
                Ok(code) | Err(Dead(code)) => code,
            }
        }
        None => CANNOT_RUN,
    };
    state.change(|s| s.ended(&id, exit_code));
}

/// The first line of the input, which must be JSON.
async fn read_plan(mut input: UnboundedReceiver<Vec<u8>>) -> Option<Value> {
    let mut line = Vec::new();
    while !line.contains(&b'\n') {
        match input.recv().await {
            Some(bytes) if !bytes.is_empty() => line.extend(bytes),
            _ => return None,
        }
    }
    let end = line.iter().position(|b| *b == b'\n')?;
    serde_json::from_slice(&line[..end]).ok()
}

impl Process {
    async fn carry_out(&mut self, plan: &Value) -> Result<i32, Dead> {
        let code = match plan["steps"].as_array() {
            Some(steps) => self.scripts(plan, steps).await?,
            None => self.phases(plan).await?,
        };
        self.announce("finished");
        let id = &self.id;
        self.state.wait_forever(|s| (!s.has_terminal(id)).then_some(())).await;
        Ok(code)
    }

    /// A service: its acts, then nothing for ever.
    async fn serve(&mut self, service: &str) -> i32 {
        let acts = self.acts_of(&format!("service:{service}"));
        match self.play(acts, false).await {
            Err(Dead(code)) => code,
            Ok(_) => std::future::pending().await,
        }
    }

    fn acts_of(&self, stage: &str) -> Vec<Act> {
        let state = self.state.read();
        let of = |job: Option<String>| state.scripts.get(&(job, stage.to_owned())).cloned();
        of(self.job.clone()).or_else(|| of(None)).unwrap_or_default()
    }

    /// A build container: scripts until one fails, then `after_script`, then cleaning up.
    async fn scripts(&mut self, plan: &Value, steps: &[Value]) -> Result<i32, Dead> {
        let mut end = End::Exited(0);
        for step in steps {
            end = self.stage(step["stage"].as_str().unwrap_or_default(), true).await?;
            if end != End::Exited(0) {
                break;
            }
        }
        if plan["after_script"].is_object() {
            self.stage("after_script", false).await?;
        }
        self.stage("cleanup_file_variables", false).await?;
        Ok(if let End::Exited(code) = end { code } else { 1 })
    }

    /// A helper container: phases until one fails, and tidying up in any case.
    async fn phases(&mut self, plan: &Value) -> Result<i32, Dead> {
        let mut code = 0;
        for phase in plan["phases"].as_array().into_iter().flatten() {
            let (name, content) = phase
                .as_object()
                .and_then(|o| o.iter().next())
                .expect("a phase has one name");
            let stage = content["stage"].as_str().unwrap_or(name).to_owned();
            if code != 0 && stage != "cleanup_file_variables" {
                continue;
            }
            if let End::Exited(own @ 1..) = self.stage(&stage, false).await?
                && code == 0
            {
                code = own;
            }
        }
        Ok(code)
    }

    async fn stage(&mut self, stage: &str, cancelable: bool) -> Result<End, Dead> {
        self.announce(&format!("start:{stage}"));
        self.note(|created| created.stages.push(stage.to_owned()));
        let acts = self.acts_of(stage);
        let end = self.play(acts, cancelable).await?;
        self.announce(&match &end {
            End::Exited(code) => format!("exited:{stage}:{code}"),
            End::TimedOut => format!("timedout:{stage}"),
            End::Canceled => format!("canceled:{stage}"),
            End::CannotStart => format!("failed:{stage}"),
        });
        Ok(end)
    }

    async fn play(&mut self, acts: Vec<Act>, cancelable: bool) -> Result<End, Dead> {
        for act in acts {
            match act {
                Act::Out(bytes) => self.write(1, &bytes),
                Act::Err(bytes) => self.write(2, &bytes),
                Act::Exit(code) => return Ok(End::Exited(code)),
                Act::TimeOut => return Ok(End::TimedOut),
                Act::CannotStart => return Ok(End::CannotStart),
                Act::Hang => {
                    self.terminated(cancelable).await;
                    return Ok(End::Canceled);
                }
                Act::WaitFor(gate) => {
                    tokio::select! {
                        () = gate.passed() => {}
                        () = self.terminated(cancelable) => return Ok(End::Canceled),
                    }
                }
                Act::Die(code) => return Err(Dead(code)),
                Act::OutOfMemory => {
                    let id = self.id.clone();
                    self.state.change(|s| {
                        if let Some(container) = s.containers.get_mut(&id) {
                            container.oom_killed = true;
                        }
                    });
                    return Err(Dead(137));
                }
                Act::Vanish { times } => {
                    if self.state.change(|s| s.vanish(&self.id, times)) {
                        return Err(Dead(137));
                    }
                }
                Act::ForgeMarker(event) => {
                    let bytes = format!("\x1epipglr:{}:{event}\n", self.nonce);
                    self.write(1, bytes.as_bytes());
                }
                Act::LoseAttach { mid_frame } => {
                    self.state.change(|s| s.cut_attached(&self.id, mid_frame));
                }
            }
        }
        Ok(End::Exited(0))
    }

    /// Waits for SIGTERM; for ever where it makes no difference.
    async fn terminated(&mut self, cancelable: bool) {
        while let Some(signal) = self.signals.recv().await {
            if cancelable && signal == "SIGTERM" {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    fn announce(&self, event: &str) {
        let bytes = format!("\x1epipglr:{}:{event}\n", self.nonce);
        self.write(1, bytes.as_bytes());
        self.write(2, bytes.as_bytes());
    }

    fn write(&self, stream: u8, bytes: &[u8]) {
        self.state.change(|s| s.write(&self.id, stream, bytes));
    }

    fn note(&self, change: impl FnOnce(&mut super::record::Created)) {
        self.state.change(|s| {
            if let Some(container) = s.containers.get(&self.id) {
                change(&mut s.record.created[container.index]);
            }
        });
    }
}
