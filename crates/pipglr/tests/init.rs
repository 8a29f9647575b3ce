//! `pipglr job-init` as build containers run it: process 1 of its own process namespace, with real shells, fed with the
//! plan a payload comes to.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests themselves")]

use pipglr_protocol::Secret;
use pipglr_runner::config::RunnerConfig;
use pipglr_runner::container_side::init::InitPlan;
use pipglr_runner::job::plan::{self, AcceptedJob};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

/// A job's payload under construction, and the directory its builds directory is in.
struct Job {
    directory: tempfile::TempDir,
    payload: Value,
}

/// What became of it.
struct Ran {
    /// Exit code of process 1.
    code: i32,
    /// Output of scripts, without colours.
    output: String,
    /// Markers in order: `start:step_script`, `exited:step_script:0`.
    markers: Vec<String>,
    directory: tempfile::TempDir,
}

impl Job {
    fn new(script: &[&str]) -> Self {
        let payload = json!({
            "id": 1, "token": "t0ken", "job_info": {"project_id": 1},
            "git_info": {"repo_url": "http://gitlab.test/group/project.git"},
            "image": {"name": "unused"}, "variables": [], "steps": [{"name": "script", "script": script}],
            "runner_info": {"timeout": 600},
        });
        Self {
            directory: tempfile::tempdir().unwrap(),
            payload,
        }
    }

    fn step(mut self, name: &str, script: &[&str]) -> Self {
        let step = json!({"name": name, "script": script});
        self.payload["steps"].as_array_mut().unwrap().push(step);
        self
    }

    fn variable(self, key: &str, value: &str) -> Self {
        self.with(json!({"key": key, "value": value}))
    }

    fn with(mut self, variable: Value) -> Self {
        self.payload["variables"].as_array_mut().unwrap().push(variable);
        self
    }

    fn plan(&self) -> InitPlan {
        let job = AcceptedJob {
            seed: plan::Seed::now(),
            payload: Arc::new(serde_json::from_value(self.payload.clone()).unwrap()),
            runner: Arc::new(RunnerConfig {
                token: Secret::new("glrt-runner"),
                builds_dir: self.directory.path().join("builds").display().to_string(),
                ..RunnerConfig::default()
            }),
            slot: plan::SlotNumbers::default(),
            system_id: "s_0123456789ab".to_owned(),
            nested_privileged: false,
            ca_certificates: None,
            client_identity: None,
            correlation_id: String::new(),
            registry_auth: Vec::new(),
            operator_certificates: None,
            registries: Vec::new(),
            secrets: Vec::new(),
        };
        plan::lower(&job).unwrap().build
    }

    fn run(self) -> Ran {
        let plan = self.plan();
        Running::start(&plan).finish(&plan.nonce, self.directory)
    }

    /// Sends SIGTERM to process 1 when the output has `word`.
    fn run_and_cancel(self, word: &str) -> Ran {
        let plan = self.plan();
        let mut running = Running::start(&plan);
        running.read_until(word);
        running.terminate();
        running.finish(&plan.nonce, self.directory)
    }
}

/// Process 1 at work.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    output: Vec<u8>,
}

impl Running {
    fn start(plan: &InitPlan) -> Self {
        Self::start_with(plan, &[])
    }

    /// With further options of `unshare`.
    fn start_with(plan: &InitPlan, options: &[&str]) -> Self {
        let mut child = Command::new("unshare")
            .args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child"])
            .args(options)
            .args([env!("CARGO_BIN_EXE_pipglr"), "job-init"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux");
        let line = serde_json::to_string(plan).unwrap() + "\n";
        child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            stdout,
            output: Vec::new(),
        }
    }

    fn read_until(&mut self, word: &str) {
        while !String::from_utf8_lossy(&self.output).contains(word) {
            let read = self.stdout.read_until(b'\n', &mut self.output).unwrap();
            assert!(read > 0, "{word:?} is not in {}", String::from_utf8_lossy(&self.output));
        }
    }

    fn terminate(&self) {
        self.signal("-TERM");
    }

    fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.process_1()]).status().unwrap();
        assert!(killed.success());
    }

    /// Process 1 is the only child of `unshare`.
    fn process_1(&self) -> String {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children.trim().to_owned()
    }

    /// Brings a process in from outside, as an engine's exec does, and waits until it is there.
    fn visit(&self, script: &str) -> Child {
        let mut visitor = Command::new("nsenter")
            .args([
                "--target",
                &self.process_1(),
                "--user",
                "--preserve-credentials",
                "--pid",
            ])
            .args(["sh", "-c", &format!("echo here; {script}")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter of util-linux");
        let mut line = String::new();
        BufReader::new(visitor.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "here\n");
        visitor
    }

    fn finish(mut self, nonce: &str, directory: tempfile::TempDir) -> Ran {
        let mut errors = self.child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            errors.read_to_end(&mut text).map(|_| text)
        });
        self.stdout.read_to_end(&mut self.output).unwrap();
        let code = self.child.wait().unwrap().code().unwrap();
        let sign = format!("\x1epipglr:{nonce}:");
        let errors = String::from_utf8(errors.join().unwrap().unwrap()).unwrap();
        let (mut output, mut markers) = (String::new(), Vec::new());
        for line in String::from_utf8(self.output).unwrap().split_inclusive('\n') {
            let (text, marker) = line.split_once(&sign).map_or((line, None), |(text, m)| (text, Some(m)));
            output.push_str(text);
            markers.extend(marker.map(|m| m.trim_end().to_owned()));
        }
        let errors: Vec<&str> = errors.lines().filter(|line| !line.starts_with(&sign)).collect();
        let output = (output + &errors.join("\n"))
            .replace("\x1b[32;1m", "")
            .replace("\x1b[0;m", "");
        Ran {
            code,
            output,
            markers,
            directory,
        }
    }
}

impl Ran {
    fn project(&self) -> PathBuf {
        self.directory.path().join("builds/group/project")
    }

    #[track_caller]
    fn has(&self, part: &str) {
        assert!(
            self.output.contains(part),
            "{part:?} is not in:\n{}\n{:?}",
            self.output,
            self.markers
        );
    }
}

fn temporary(project: &Path) -> PathBuf {
    PathBuf::from(format!("{}.tmp", project.display()))
}

#[test]
fn after_script_is_told_how_the_script_ended() {
    for (name, script, timeout, end, status) in [
        (
            "success",
            "echo it is $CI_JOB_STATUS",
            "",
            "exited:step_script:0",
            "success",
        ),
        (
            "failure",
            "echo it is $CI_JOB_STATUS; exit 3",
            "",
            "exited:step_script:3",
            "failed",
        ),
        ("killed", "kill -KILL $BASHPID", "", "exited:step_script:137", "failed"),
        (
            "time-out",
            "echo it is $CI_JOB_STATUS; sleep 600",
            "1s",
            "timedout:step_script",
            "timedout",
        ),
    ] {
        let ran = Job::new(&[script])
            .step("after_script", &["echo after $CI_JOB_STATUS"])
            .variable("RUNNER_SCRIPT_TIMEOUT", timeout)
            .run();
        ran.has(&format!("\nafter {status}\n"));
        assert_eq!(ran.output.contains("\nit is running\n"), name != "killed", "{name}");
        assert_eq!(
            ran.markers,
            [
                "start:step_script",
                end,
                "start:after_script",
                "exited:after_script:0",
                "start:cleanup_file_variables",
                "exited:cleanup_file_variables:0",
                "finished"
            ],
            "{name}"
        );
    }
}

#[test]
fn a_canceled_script_may_tidy_up_and_after_script_runs() {
    let script =
        "sh -c 'trap \"echo Caught SIGTERM; echo Exiting; exit 0\" TERM; echo Starting; while :; do sleep 0.05; done'";
    let ran = Job::new(&[script, "echo never"])
        .step("after_script", &["echo after $CI_JOB_STATUS"])
        .run_and_cancel("\nStarting");
    ran.has("Caught SIGTERM\nExiting\n");
    ran.has("\nafter canceled\n");
    assert!(!ran.output.contains("\nnever"), "{}", ran.output);
    assert_eq!(ran.markers[1], "canceled:step_script");
    assert_eq!(ran.code, 1);
}

#[test]
fn the_text_of_a_canceled_script_is_not_shown() {
    let script = "echo Starting\ncanary=value-of-the-canary; sleep 600\necho $canary";
    let ran = Job::new(&[script]).run_and_cancel("\nStarting");
    ran.has("$ echo Starting # collapsed multi-line command\nStarting\n");
    assert!(!ran.output.contains("canary"), "{}", ran.output);
}

#[test]
fn after_script_has_a_time_of_its_own() {
    let ran = Job::new(&["true"])
        .step("after_script", &["sleep 600"])
        .variable("RUNNER_AFTER_SCRIPT_TIMEOUT", "1s")
        .run();
    assert_eq!(ran.markers[3], "timedout:after_script");
    assert_eq!(ran.code, 0, "it does not change the outcome");
}

#[test]
fn steps_run_until_one_fails() {
    let ran = Job::new(&["echo one"])
        .step("release", &["echo two", "false", "echo three"])
        .step("later", &["echo four"])
        .step("after_script", &["echo after"])
        .run();
    for (part, there) in [
        ("\none\n", true),
        ("\ntwo\n", true),
        ("\nthree\n", false),
        ("\nfour\n", false),
        ("\nafter\n", true),
    ] {
        assert_eq!(ran.output.contains(part), there, "{part:?} in {}", ran.output);
    }
    assert_eq!(ran.markers[3], "exited:step_release:1");
    assert_eq!(ran.code, 1);
}

#[test]
fn what_a_step_starts_ends_with_it() {
    let ran = Job::new(&["sleep 600 & echo background", "nohup sleep 600 >/dev/null 2>&1 &"])
        .step("after_script", &["for p in /proc/[0-9]*; do :; done; echo after"])
        .run();
    ran.has("\nafter\n");
    assert_eq!(ran.code, 0);
}

/// Shows all processes, one on a line.
const PROCESSES: &str = "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline | sed 's/$/./'; echo; done; echo shown";

#[test]
fn a_web_terminal_outlives_steps_and_holds_process_1() {
    let job = Job::new(&["sleep 1001 & echo started", "while [ ! -e go ]; do sleep 0.05; done"])
        .step("after_script", &[PROCESSES]);
    let plan = job.plan();
    let mut running = Running::start_with(&plan, &["--mount-proc"]);
    running.read_until("\nstarted\n");
    let mut visitor = running.visit("sleep 1002; exit 3");
    fs::write(job.directory.path().join("builds/group/project/go"), "").unwrap();
    running.read_until(":finished\n");
    // Only a process namespace with its process 1 lets somebody in.
    let mut second = running.visit("sleep 1003; exit 3");
    running.signal("-HUP");
    let ran = running.finish(&plan.nonce, job.directory);
    assert_eq!(ran.code, 0, "{}", ran.output);
    ran.has("sleep 1002 .\n");
    assert!(
        !ran.output.contains("sleep 1001 .\n"),
        "what the script started is gone: {}",
        ran.output
    );
    for visitor in [&mut visitor, &mut second] {
        assert_ne!(visitor.wait().unwrap().code(), Some(3), "it was ended");
    }
}

#[test]
fn variables_pass_from_step_to_step() {
    let script = [
        "echo 'hello=world' >> $GITLAB_ENV",
        "echo 'executed=$(echo \"yes\")' >> $GITLAB_ENV",
        "echo >> $GITLAB_ENV",
        "printf 'foo=bar' >> $GITLAB_ENV",
    ];
    let ran = Job::new(&script)
        .step("later", &["echo later $hello \"$executed\" $foo"])
        .step("after_script", &["echo after $hello \"$executed\" $foo"])
        .run();
    ran.has("\nlater world $(echo \"yes\") bar\n");
    ran.has("\nafter world $(echo \"yes\") bar\n");
    assert_eq!(ran.code, 0, "a blank line fails nothing");
    assert!(!temporary(&ran.project()).exists(), "the next job does not see them");
}

#[test]
fn variables_are_left_for_the_end_of_the_job_and_nothing_else() {
    let job =
        Job::new(&["echo 'foo=bar' >> $GITLAB_ENV"]).with(json!({"key": "FILE", "value": "content", "file": true}));
    let mut plan = job.plan();
    plan.hand_on_gitlab_env = true;
    let ran = Running::start(&plan).finish(&plan.nonce, job.directory);
    let left: Vec<_> = fs::read_dir(temporary(&ran.project()))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["gitlab_runner_env"]);
    let text = fs::read_to_string(temporary(&ran.project()).join("gitlab_runner_env")).unwrap();
    assert_eq!(text, "foo=bar\n");
}

#[test]
fn variables_have_their_values() {
    let content = "line $one\nline `two`\n\nend without newline";
    let ran = Job::new(&[
        "printf '%s|' \"$RAW\"",
        "printf '%s|' \"$PATH_OF_FILE\"",
        "cat \"$FILE\"; echo '|'",
        "echo tampered > \"$FILE\"",
    ])
    .step("later", &["cat \"$FILE\"; echo '|'"])
    .with(json!({"key": "RAW", "value": "$VARIABLE$WITH$DOLLARS$$", "raw": true}))
    .with(json!({"key": "FILE", "value": content, "file": true, "raw": true}))
    .variable("PATH_OF_FILE", "${FILE}_FOOBAR")
    .run();
    ran.has("$VARIABLE$WITH$DOLLARS$$|");
    let path = temporary(&ran.project()).join("FILE_FOOBAR");
    ran.has(&format!("{}|", path.display()));
    assert_eq!(
        ran.output.matches(&format!("{content}|\n")).count(),
        2,
        "anew for each step: {}",
        ran.output
    );
    assert!(!temporary(&ran.project()).exists(), "removed at the end");
}

#[test]
fn scripts_begin_in_the_project_directory() {
    let ran = Job::new(&["pwd", "touch made-here"]).run();
    ran.has(&format!("\n{}\n", ran.project().display()));
    assert!(ran.project().join("made-here").exists());
}

#[test]
fn volumes_of_the_runner_are_open_to_whoever_the_image_runs_as() {
    let job = Job::new(&["true"]);
    let volume = job.directory.path().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o700)).unwrap();
    let mut plan = job.plan();
    let missing = job.directory.path().join("missing");
    plan.open_directories = [&volume, &missing].map(|p| p.display().to_string()).to_vec();
    let ran = Running::start(&plan).finish(&plan.nonce, job.directory);
    assert_eq!(fs::metadata(&volume).unwrap().permissions().mode() & 0o7777, 0o777);
    assert_eq!((ran.code, ran.output.contains("WARNING")), (0, false), "{}", ran.output);
}

/// `sh -c` as an entrypoint makes the shell that reads the script of what follows.
#[test]
fn an_entrypoint_that_takes_a_command_line_runs_scripts() {
    let mut job = Job::new(&["echo from-the-script"]);
    job.payload["image"]["entrypoint"] = json!(["sh", "-c"]);
    let ran = job.run();
    ran.has("\nfrom-the-script\n");
    assert_eq!(ran.code, 0);
}

/// What such an entrypoint does is the job's script; its exit code is the outcome.
#[test]
fn an_entrypoint_that_runs_no_script_decides_the_outcome() {
    for code in [0, 3] {
        let mut job = Job::new(&["echo never"]);
        let own = format!("echo image overwritten; exit {code}");
        job.payload["image"]["entrypoint"] = json!(["/bin/sh", "-c", own]);
        let ran = job.run();
        ran.has("image overwritten\n");
        assert!(!ran.output.contains("\nnever"), "{}", ran.output);
        assert_eq!(ran.markers[1], format!("exited:step_script:{code}"));
    }
}

#[test]
fn names_that_are_no_identifiers_fail_nothing() {
    let ran = Job::new(&["echo fine"])
        .variable("not-an identifier", "value")
        .variable("", "nameless")
        .run();
    ran.has("\nfine\n");
    assert_eq!(ran.code, 0);
}
