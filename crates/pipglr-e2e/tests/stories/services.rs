//! Services beside jobs.

use crate::stage::{Stage, contains, job, lacks, log, wait_for};
use anyhow::ensure;
use pipglr_coordinator::JobState;
use pipglr_e2e::command::CommandExt as _;
use std::time::Duration;

/// A server of one line in the small image's perl. It says what it sees of another service when that is named.
const SERVER: &str = "use IO::Socket::INET; $| = 1; sleep $ENV{DELAY}; \
     print qq(token of ) . length($ENV{TOKEN}) . qq( characters\\n); \
     print qq(user $<, entrypoint $ENV{FROM_ENTRYPOINT}\\n) if $ENV{FROM_ENTRYPOINT}; \
     if ($ENV{OTHER}) { my $o = IO::Socket::INET->new($ENV{OTHER}) or die qq($ENV{OTHER}: $!\\n); print qq(other says ) . <$o>; } \
     my $s = IO::Socket::INET->new(LocalPort => $ENV{HEALTHCHECK_TCP_PORT}, Listen => 9, ReuseAddr => 1) or die $!; \
     print qq(listening\\n); while (my $c = $s->accept) { print $c qq($ENV{GREETING}\\n); close $c; }";

/// What the project asks for beside each of its jobs.
fn of_the_project() -> String {
    let service = |alias: &str, options: &str, variables: &str| {
        let command = ["perl", "-e", SERVER];
        format!(
            "    - {{ name: '@SMALL@', alias: {alias:?}, command: {command:?}, variables: {{ {variables} }}, {options} }}\n"
        )
    };
    [
        service(
            "one",
            "pull_policy: if-not-present",
            "DELAY: 0, HEALTHCHECK_TCP_PORT: 8001, GREETING: one of $CI_JOB_NAME, TOKEN: $CI_JOB_TOKEN",
        ),
        service(
            "two, second-name",
            "entrypoint: [env, FROM_ENTRYPOINT=yes], docker: { user: '65534' }",
            "DELAY: 3, HEALTHCHECK_TCP_PORT: 8002, GREETING: two, OTHER: 'one:8001', TOKEN: ''",
        ),
    ]
    .concat()
}

/// What every job of the runner finds beside it, whatever its project asks for.
fn of_the_runner(small: &str) -> String {
    let service = |alias: &str, command: &[&str], environment: &[&str]| {
        format!(
            "\n[[runners.docker.services]]\nname = {small:?}\nalias = {alias:?}\ncommand = {command:?}\nenvironment = {environment:?}\n"
        )
    };
    [
        service(
            "never",
            &["sh", "-c", "echo waiting for nothing; sleep 1000"],
            &["HEALTHCHECK_TCP_PORT=9"],
        ),
        service("mute", &["sleep", "1000"], &[]),
    ]
    .concat()
}

/// The same image several times, found by names from the job and from each other; one is late, one never ready.
pub(crate) fn beside_jobs(stage: &mut Stage) -> anyhow::Result<()> {
    let ask = "ask() { exec 3<>/dev/tcp/$1/$2 && read -r line <&3 && echo \"$1 says $line\"; }";
    let services = of_the_project();
    let project = stage.coordinator(&format!(
        "default:\n  image: '@SMALL@'\n  services:\n{services}\
         talk:\n  variables: {{ CI_DEBUG_SERVICES: 'true' }}\n  script:\n    - '{ask}'\n    - ask one 8001\n    - ask two 8002\n    - ask second-name 8002\n\
        \x20   - getent hosts mute never build && echo all found\n    - sleep 2\n\
         quiet:\n  variables: {{ GIT_STRATEGY: none }}\n  script:\n    - '{ask}'\n    - ask one 8001\n\
         alone:\n  variables: {{ GIT_STRATEGY: none }}\n  services: []\n  script:\n    - '! getent hosts one && getent hosts mute && echo alone'\n"
    ))?;
    let services = of_the_runner(&stage.small());
    stage.start_runner(&project, |text| {
        let text = text.replace(
            "[runners.docker]\n",
            "[runners.docker]\nwait_for_services_timeout = 8\n",
        );
        text + services.as_str()
    })?;
    let pipeline = stage.run_pipeline(&project)?;
    for name in ["talk", "quiet", "alone"] {
        let job = job(&pipeline, name)?;
        ensure!(job.state == JobState::Success, "{name}:\n{}", log(job)?);
    }
    let talk = log(job(&pipeline, "talk")?)?;
    for part in [
        "Starting service ",
        "Waiting for services to be up and running (timeout 8 seconds)...\n",
        "one says one of talk\n",
        "two says two\n",
        "second-name says two\n",
        "\nall found\n",
        "alias is already in use by another service.",
        "none of its ports [9] accepted a connection within 8s\n",
        "Z waiting for nothing\n",
        "[service:two-second-name] ",
        "Z other says one of talk\n",
        "Z listening\n",
        "Z user 65534, entrypoint yes\n",
    ] {
        contains(&talk, part)?;
    }
    ensure!(talk.matches("probably didn't start properly").count() == 1, "{talk}");
    // Given as podman's secret, and there all the same.
    let of_one = |line: &str| line.contains("one] ") && line.contains("token of ") && !line.contains("token of 0 ");
    ensure!(talk.lines().any(of_one), "{talk}");
    let quiet = log(job(&pipeline, "quiet")?)?;
    contains(&quiet, "one says one of quiet\n")?;
    lacks(&quiet, "[service:")?;
    contains(&log(job(&pipeline, "alone")?)?, "\nalone\n")?;
    nothing_left(stage)
}

/// No container, network or secret of a job is left in the inner engine.
fn nothing_left(stage: &Stage) -> anyhow::Result<()> {
    let line = "podman --remote ps -aq; podman --remote secret ls -q; podman --remote network ls -q -f label=pipglr.managed=true";
    wait_for("everything to be removed", Duration::from_secs(60), || {
        let left = stage.inside(line).run_text()?;
        Ok(left.trim().is_empty().then_some(()))
    })
}

/// A job without services pays nothing for them: no network is made.
pub(crate) fn only_where_needed(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "default: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none }\n\
         plain: { script: ['sleep 8'] }\nwith: { variables: { FF_NETWORK_PER_BUILD: 'true' }, script: ['getent hosts build && echo found', 'sleep 8'] }\n",
    )?;
    stage.start_runner(&project, |text| text)?;
    let id = stage.begin_pipeline(&project)?;
    let line =
        "echo $(podman --remote ps -q | wc -l) $(podman --remote network ls -q -f label=pipglr.managed=true | wc -l)";
    wait_for("two containers and one network", Duration::from_secs(60), || {
        let counts = stage.inside(line).run_text()?;
        ensure!(counts.trim() != "2 2", "a network for a job that needs none");
        Ok((counts.trim() == "2 1").then_some(()))
    })?;
    let pipeline = stage.wait_pipeline(&project, id)?;
    contains(&log(job(&pipeline, "with")?)?, "found\n")?;
    nothing_left(stage)
}
