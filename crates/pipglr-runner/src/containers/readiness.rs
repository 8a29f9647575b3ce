//! Waiting until services are ready, and saying why one is not.
//!
//! Compat: gitlab-runner executors/docker/services.go `waitForServiceContainer`; there, every service costs a container
//! of its own and one without ports ten seconds.

use super::Engine;
use super::service_output::last_lines;
use super::services::{Check, Service};
use super::spec::PROGRAM_INSIDE;
use crate::job::go_duration;
use crate::job::plan::Reach;
use crate::trace::{RESET, Source, Trace, YELLOW};
use pipglr_podman::{Error, ExecSpec, HealthConfig};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Pause between two looks at a service's container.
const LOOK: Duration = Duration::from_secs(1);
/// Pauses between two runs of an image's own check: much shorter than images ask for, as the job waits.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// For what podman needs beyond the time limit.
const GRACE: Duration = Duration::from_secs(5);

/// A job whose services are to be waited for.
#[derive(Debug)]
pub struct Waiting<'a> {
    pub engine: &'a Engine,
    /// The container from which ports are tried.
    pub build: &'a str,
    pub services: &'a [Service],
    pub reach: Reach,
    pub limit: Duration,
}

/// Which probed services have answered, by their number among the probed.
#[derive(Debug, Clone, Default)]
struct Answers {
    ready: Vec<usize>,
    /// No more will; says why if that is not for want of time.
    ended: Option<Option<String>>,
}

impl Waiting<'_> {
    /// Waits for all at once. One that is not ready is told to the job's author with its last lines; the job goes on.
    pub async fn until_ready(&self, trace: &Trace) {
        if self.services.iter().all(|service| service.check == Check::Nothing) {
            return;
        }
        trace.line(&format!(
            "Waiting for services to be up and running (timeout {} seconds)...",
            self.limit.as_secs()
        ));
        let (sender, receiver) = watch::channel(Answers::default());
        let mut probed = Vec::new();
        let waits: Vec<_> = self
            .services
            .iter()
            .map(|service| {
                if let Check::Ports(ports) = &service.check {
                    probed.push(self.target(service, ports));
                }
                self.until_one_is_ready(service, probed.len().saturating_sub(1), receiver.clone())
            })
            .collect();
        drop(receiver);
        let ends = tokio::select! {
            biased;
            ends = futures_util::future::join_all(waits) => ends,
            never = self.probe(&probed, sender) => match never {},
        };
        for (service, end) in self.services.iter().zip(ends) {
            if let Err(reason) = end {
                self.tell(service, &reason, trace).await;
            }
        }
    }

    /// As the probe understands it.
    fn target(&self, service: &Service, ports: &[u16]) -> String {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        // Every container is found by the start of its ID, whatever its aliases are.
        let host = match self.reach {
            Reach::Loopback => "127.0.0.1",
            Reach::Name | Reach::Nowhere => service.id.get(..12).unwrap_or(&service.id),
        };
        format!("{host}:{}", ports.join(","))
    }

    async fn until_one_is_ready(
        &self,
        service: &Service,
        number: usize,
        answers: watch::Receiver<Answers>,
    ) -> Result<(), String> {
        let ready = async {
            match &service.check {
                Check::Nothing => Ok(()),
                Check::Ports(ports) => answered(answers, number).await.map_err(|why| {
                    why.unwrap_or_else(|| {
                        let limit = go_duration(self.limit);
                        format!("none of its ports {ports:?} accepted a connection within {limit}")
                    })
                }),
                Check::Health(health) => self.healthy(service, health).await,
            }
        };
        tokio::select! {
            biased;
            end = ready => end,
            why = self.gone(service) => Err(why),
            // Ports and checks mind the limit themselves; podman may hang.
            () = sleep(self.limit + GRACE) => Err("podman did not tell whether it is ready".to_owned()),
        }
    }

    /// Runs one process beside the build container's own that tries all ports until each service has answered.
    /// Has no end of its own.
    async fn probe(&self, targets: &[String], answers: watch::Sender<Answers>) -> Infallible {
        if targets.is_empty() {
            return std::future::pending().await;
        }
        let mut command = vec![PROGRAM_INSIDE.to_owned(), "probe-ports".to_owned()];
        command.push(format!("--timeout={}", self.limit.as_secs()));
        command.extend(targets.iter().cloned());
        let probed = self
            .engine
            .despite_outages(|_| self.run_probe(command.clone(), &answers));
        let why = match probed.await {
            Ok(rest) if rest.is_empty() => None,
            Ok(rest) => Some(format!("its ports could not be tried: {rest}")),
            Err(error) => Some(format!("its ports could not be tried: {error}")),
        };
        answers.send_modify(|answers| answers.ended = Some(why));
        std::future::pending().await
    }

    /// Gives what the probe wrote besides the numbers of services.
    async fn run_probe(&self, command: Vec<String>, answers: &watch::Sender<Answers>) -> Result<String, Error> {
        let spec = ExecSpec {
            command,
            user: Some("0:0".to_owned()),
            attach_stdout: true,
            attach_stderr: true,
            ..ExecSpec::default()
        };
        let session = self.engine.client.exec_create(self.build, &spec).await?;
        let mut attached = self.engine.client.exec_start(&session).await?;
        let mut text = String::new();
        while let Some(frame) = attached.output.next().await {
            text.push_str(&String::from_utf8_lossy(&frame?.data));
            while let Some(end) = text.find('\n') {
                let line: String = text.drain(..=end).collect();
                match line.trim().parse() {
                    Ok(number) => answers.send_modify(|answers| answers.ready.push(number)),
                    Err(_) => return Ok(line.trim().to_owned()),
                }
            }
        }
        Ok(text)
    }

    /// Runs the image's own check until it succeeds or time is up.
    async fn healthy(&self, service: &Service, health: &HealthConfig) -> Result<(), String> {
        let command = match health.test.split_first() {
            Some((kind, rest)) if kind == "CMD-SHELL" => {
                let mut command = vec!["/bin/sh".to_owned(), "-c".to_owned()];
                command.extend(rest.iter().cloned());
                command
            }
            Some((_, rest)) => rest.to_vec(),
            None => return Ok(()),
        };
        let deadline = Instant::now() + self.limit;
        let limit = go_duration(self.limit);
        let mut last = format!("its health check did not end within {limit}");
        let mut pause = FIRST_PAUSE;
        loop {
            match tokio::time::timeout_at(deadline, self.check_once(service, &command)).await {
                Ok(Ok(0)) => return Ok(()),
                Ok(Ok(code)) => last = format!("its health check did not succeed within {limit} (exit code {code})"),
                Ok(Err(error)) => last = format!("its health check could not be run: {error}"),
                Err(_) => return Err(last),
            }
            if Instant::now() + pause >= deadline {
                return Err(last);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn check_once(&self, service: &Service, command: &[String]) -> Result<i32, Error> {
        let spec = ExecSpec {
            command: command.to_vec(),
            attach_stdout: true,
            attach_stderr: true,
            ..ExecSpec::default()
        };
        let client = &self.engine.client;
        let session = client.exec_create(&service.id, &spec).await?;
        let mut attached = client.exec_start(&session).await?;
        while let Some(frame) = attached.output.next().await {
            frame?;
        }
        Ok(client.exec_inspect(&session).await?.exit_code)
    }

    /// Waits until a service's container has ended, and says how.
    async fn gone(&self, service: &Service) -> String {
        loop {
            sleep(LOOK).await;
            match self.engine.client.inspect_container(&service.id).await {
                Ok(container) if container.state.oom_killed => {
                    return "it ran out of memory and was killed".to_owned();
                }
                Ok(container) if matches!(container.state.status.as_str(), "stopped" | "exited") => {
                    return format!("it ended with exit code {}", container.state.exit_code);
                }
                Err(error) if error.is_not_found() => return "its container was removed".to_owned(),
                // podman may be away for a moment; the time limit holds anyway.
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// The block gitlab-runner's users know.
    async fn tell(&self, service: &Service, reason: &str, trace: &Trace) {
        let name = &service.name;
        let mut text = format!(
            "\n{YELLOW}*** WARNING:{RESET} Service {name} probably didn't start properly.\n\n\
             Health check error:\nservice {name:?}: {reason}\n\nService container logs:\n"
        )
        .into_bytes();
        match last_lines(self.engine, service).await {
            Ok(lines) => text.extend(lines),
            Err(error) => text.extend(format!("(not available: {error})").into_bytes()),
        }
        if !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text.extend(format!("\n{YELLOW}*********{RESET}\n\n").into_bytes());
        trace.write(Source::Runner, &text);
    }
}

/// Waits until the probe names this service, or ends.
async fn answered(mut answers: watch::Receiver<Answers>, number: usize) -> Result<(), Option<String>> {
    loop {
        {
            let answers = answers.borrow_and_update();
            if answers.ready.contains(&number) {
                return Ok(());
            }
            if let Some(why) = &answers.ended {
                return Err(why.clone());
            }
        }
        if answers.changed().await.is_err() {
            return Err(None);
        }
    }
}
