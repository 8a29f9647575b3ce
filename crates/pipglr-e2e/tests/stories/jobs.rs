//! What job authors see.

use crate::stage::{Stage, all_pass, contains, failed_for, job, lacks, log, wait_for};
use anyhow::ensure;
use pipglr_coordinator::JobState;
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::job_images::NESTED;
use std::time::Duration;

/// Exit codes, failure reasons, after_script, allow_failure.
pub(crate) fn outcomes(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "default: { image: '@SMALL@' }\n\
         variables: { GIT_STRATEGY: none }\n\
         ok: { script: ['echo fine'], after_script: ['echo after $CI_JOB_STATUS'] }\n\
         three: { script: ['exit 3'], after_script: ['echo after $CI_JOB_STATUS', 'exit 9'], allow_failure: true }\n\
         killed: { script: ['kill -KILL $$'], allow_failure: true }\n\
         syntax: { script: ['echo before', 'if'], allow_failure: true }\n\
         background: { script: ['sleep 1000 & echo started'] }\n\
         no-image: { image: '@REGISTRY@/ci/nowhere:1', script: ['true'], allow_failure: true }\n",
    )?;
    stage.start_runner(&project, |text| text)?;
    let pipeline = stage.run_pipeline(&project)?;
    let ends: Vec<(String, JobState, Option<i32>, Option<String>)> = pipeline
        .jobs
        .iter()
        .map(|j| {
            (
                j.name.clone(),
                j.state,
                j.exit_code.filter(|c| *c != 0),
                j.failure_reason.as_ref().map(ToString::to_string),
            )
        })
        .collect();
    let failed = |name: &str, code, reason: &str| (name.to_owned(), JobState::Failed, code, Some(reason.to_owned()));
    let ok = |name: &str| (name.to_owned(), JobState::Success, None, None);
    let expected = vec![
        ok("ok"),
        failed("three", Some(3), "script_failure"),
        failed("killed", Some(137), "script_failure"),
        failed("syntax", Some(2), "script_failure"),
        ok("background"),
        failed("no-image", None, "runner_configuration_error"),
    ];
    ensure!(ends == expected, "{ends:#?}");
    let three = log(job(&pipeline, "three")?)?;
    contains(&three, "after failed\n")?;
    contains(
        &three,
        "WARNING: after_script failed, but job will continue unaffected: exit code 9",
    )?;
    contains(&three, "ERROR: Job failed: exit code 3")?;
    contains(&log(job(&pipeline, "ok")?)?, "after success\n")?;
    contains(&log(job(&pipeline, "ok")?)?, "Job succeeded")?;
    contains(&log(job(&pipeline, "syntax")?)?, "before\n")
}

/// Plain, expanded, raw, masked, file, and those the runner sets.
pub(crate) fn variables(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "default: { image: '@SMALL@' }\n\
         variables:\n  GIT_STRATEGY: none\n  A: one\n  B: '$A two'\n  RAW: { value: '$A', expand: false }\n  QUOTES: \"it's \\\"quoted\\\" $$x\"\n\
         show:\n  script:\n    - printf '<%s>\\n' \"$A\" \"$B\" \"$RAW\" \"$QUOTES\"\n    - echo dir=$CI_PROJECT_DIR builds=$CI_BUILDS_DIR pwd=$(pwd)\n\
        \x20   - echo server=$CI_SERVER timeout=$CI_JOB_TIMEOUT disposable=$CI_DISPOSABLE_ENVIRONMENT arch=$CI_RUNNER_EXECUTABLE_ARCH\n\
        \x20   - echo ids=$CI_CONCURRENT_ID,$CI_CONCURRENT_PROJECT_ID image=$CI_JOB_IMAGE ff=$FF_TIMESTAMPS\n\
        \x20   - echo token is $CI_JOB_TOKEN, configured $FROM_CONFIG\n\
        \x20   - echo KEPT=for-later >> $GITLAB_ENV\n  after_script: ['echo kept=$KEPT status=$CI_JOB_STATUS']\n",
    )?;
    stage.register(&project, &[("RUNNER_ENV", "FROM_CONFIG=yes")])?;
    stage.configure_and_run(|text| text)?;
    let pipeline = stage.run_pipeline(&project)?;
    let job = job(&pipeline, "show")?;
    let text = log(job)?;
    ensure!(job.state == JobState::Success, "{text}");
    let project_dir = format!("/builds/{}", project.coordinator.project_path());
    for part in [
        "<one>\n<one two>\n<$A>\n<it's \"quoted\" $x>\n".to_owned(),
        format!("dir={project_dir} builds=/builds pwd={project_dir}\n"),
        "server=yes timeout=3600 disposable=true arch=linux/amd64\n".to_owned(),
        format!("ids=0,0 image={} ff=true\n", stage.small()),
        "token is [MASKED], configured yes\n".to_owned(),
        "kept=for-later status=success\n".to_owned(),
    ] {
        contains(&text, &part)?;
    }
    Ok(())
}

/// Fetch reuses the work tree, clone does not, depth limits history, scripts can fetch, credentials do not stay.
pub(crate) fn git(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.project(
        &[
            (
                ".gitlab-ci.yml",
                "stages: [a, b, c]\ndefault: { image: '@REGISTRY@/ci/debian:trixie' }\n\
                 first: { stage: a, script: ['cat file', 'echo left > ignored-by-nobody', 'mkdir -p /builds/x && echo kept > /builds/x/marker'] }\n\
                 second: { stage: b, script: ['test ! -e ignored-by-nobody', 'cat /builds/x/marker', 'ls -A .git | head -3'] }\n\
                 cloned: { stage: c, variables: { GIT_STRATEGY: clone }, script: ['test ! -e /builds/x/marker', 'cat file'] }\n\
                 none: { stage: c, variables: { GIT_STRATEGY: none }, script: ['test -z \"$(ls -A)\"', 'echo empty'] }\n\
                 no-checkout: { stage: c, variables: { GIT_STRATEGY: clone, GIT_CHECKOUT: 'false' }, script: ['test ! -e file', 'test -d .git'] }\n\
                 leak: { stage: c, script: ['grep -r glcbt .git && exit 1 || echo clean'] }\n",
            ),
            ("file", "content\n"),
        ],
        |options| options.git_depth = 1,
    )?;
    stage.start_runner(&project, |text| text.replace("concurrent = 4", "concurrent = 1"))?;
    let pipeline = stage.run_pipeline(&project)?;
    all_pass(&pipeline)?;
    let first = log(job(&pipeline, "first")?)?;
    contains(&first, "Fetching changes with git depth set to 1...")?;
    contains(&first, "Created fresh repository.")?;
    contains(
        &first,
        &format!("Checking out {} as detached HEAD (ref is main)...", &pipeline.sha[..8]),
    )?;
    let second = log(job(&pipeline, "second")?)?;
    contains(&second, "Reinitialized existing Git repository")?;
    contains(&second, "Removing ignored-by-nobody")
}

/// Entrypoints, users by number, default image, policies.
pub(crate) fn images(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "variables: { GIT_STRATEGY: none }\n\
         default-image: { script: ['cat /etc/debian_version'] }\n\
         entrypoint: { image: { name: '@SMALL@', entrypoint: ['env', 'FROM_ENTRYPOINT=yes'] }, script: ['echo entrypoint=$FROM_ENTRYPOINT'] }\n\
         no-entrypoint: { image: { name: '@SMALL@', entrypoint: [''] }, script: ['echo fine'] }\n\
         user: { image: { name: '@SMALL@', docker: { user: 'nobody' } }, script: ['id -un', 'echo home=$HOME', 'touch here && ls -l here'] }\n\
         number: { image: { name: '@SMALL@', docker: { user: '65535:65534' } }, script: ['id', '! cat /proc/1/environ'] }\n\
         never: { image: { name: '@REGISTRY@/ci/never:1', pull_policy: never }, script: ['true'], allow_failure: true }\n\
         always: { image: { name: '@SMALL@', pull_policy: always }, script: ['true'], allow_failure: true }\n",
    )?;
    stage.start_runner(&project, |text| text)?;
    let pipeline = stage.run_pipeline(&project)?;
    let read = |name: &str| log(job(&pipeline, name)?);
    contains(&read("default-image")?, "Using default image")?;
    contains(&read("entrypoint")?, "entrypoint=yes\n")?;
    contains(
        &read("no-entrypoint")?,
        "fine\nJob succeeded".split('\n').next().unwrap_or_default(),
    )?;
    contains(&read("user")?, "nobody\n")?;
    contains(&read("number")?, "uid=65535 gid=65534")?;
    // Both policies are refused: the runner allows if-not-present only.
    for name in ["never", "always"] {
        let refused = job(&pipeline, name)?;
        ensure!(refused.state == JobState::Failed, "{name}: {:?}", refused.state);
        contains(
            &log(refused)?,
            "is not one of the allowed_pull_policies ([if-not-present])",
        )?;
    }
    for name in ["default-image", "entrypoint", "no-entrypoint", "user", "number"] {
        ensure!(
            job(&pipeline, name)?.state == JobState::Success,
            "{name}:\n{}",
            read(name)?
        );
    }
    Ok(())
}

/// Upload and download of trees with links, modes, exclusions; on_failure; missing files.
pub(crate) fn artifacts(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "stages: [make, use]\ndefault: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none }\n\
         make:\n  stage: make\n  script: ['mkdir -p out/deep', 'echo data > out/deep/file', 'echo no > out/skip.log', 'ln -s deep/file out/link', 'chmod 755 out/deep/file']\n\
        \x20 artifacts: { paths: ['out/'], exclude: ['**/*.log'], name: '$CI_JOB_NAME-files' }\n\
         broken: { stage: make, script: ['echo why > reason', 'exit 1'], allow_failure: true, artifacts: { when: on_failure, paths: [reason, nowhere] } }\n\
         nothing: { stage: make, script: ['true'], artifacts: { paths: [nowhere] } }\n\
         use:\n  stage: use\n  script: ['cat out/link', 'test -x out/deep/file', 'test ! -e out/skip.log', 'test -L out/link', 'cat reason']\n",
    )?;
    stage.start_runner(&project, |text| text)?;
    let pipeline = stage.run_pipeline(&project)?;
    let read = |name: &str| log(job(&pipeline, name)?);
    ensure!(
        job(&pipeline, "use")?.state == JobState::Success,
        "use:\n{}",
        read("use")?
    );
    contains(&read("use")?, "data\n")?;
    contains(&read("use")?, "why\n")?;
    contains(
        &read("make")?,
        "out/**/*.log: excluded 1 files".trim_start_matches("out/"),
    )?;
    contains(&read("make")?, "201 Created")?;
    contains(&read("nothing")?, "ERROR: No files to upload")?;
    contains(&read("broken")?, "nowhere: no matching files")?;
    ensure!(job(&pipeline, "nothing")?.state == JobState::Success, "nothing");
    let names: Vec<&str> = job(&pipeline, "make")?
        .artifacts
        .iter()
        .map(|a| a.filename.as_str())
        .collect();
    ensure!(names == ["make-files.zip"], "{names:?}");
    Ok(())
}

/// Graceful cancel while a script runs; the job's own time limit.
pub(crate) fn cancel_and_timeout(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "default: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none }\n\
         canceled: { script: ['echo script begins', 'while sleep 1; do echo tick; done'], after_script: ['echo after $CI_JOB_STATUS'] }\n\
         late: { script: ['sleep 1000'], after_script: ['echo never'], timeout: 10 seconds, allow_failure: true }\n",
    )?;
    stage.start_runner(&project, |text| text)?;
    let id = stage.begin_pipeline(&project)?;
    let record = project
        .coordinator
        .pipeline(id)
        .ok_or_else(|| anyhow::anyhow!("no pipeline"))?;
    let canceled = job(&record, "canceled")?.id;
    wait_for("the script to begin", Duration::from_secs(60), || {
        let job = project
            .coordinator
            .job(canceled)
            .ok_or_else(|| anyhow::anyhow!("no job"))?;
        Ok((job.trace_size > 0 && log(&job)?.contains("script begins\n")).then_some(()))
    })?;
    project.coordinator.cancel_job(canceled)?;
    let pipeline = stage.wait_pipeline(&project, id)?;
    let text = log(job(&pipeline, "canceled")?)?;
    ensure!(
        job(&pipeline, "canceled")?.state == JobState::Canceled,
        "canceled:\n{text}"
    );
    contains(&text, "after canceled\n")?;
    contains(&text, "WARNING: script canceled externally (UI, API)")?;
    let late = failed_for(job(&pipeline, "late")?, "job_execution_timeout")?;
    contains(&late, "ERROR: Job failed: execution took longer than 10s seconds")?;
    lacks(&late, "never\n")
}

/// Two runners of one configuration, four jobs at the same time.
pub(crate) fn parallel(stage: &mut Stage) -> anyhow::Result<()> {
    let jobs: String = (1..=4)
        .map(|n| format!("job{n}: {{ script: ['sleep 5'] }}\n"))
        .collect();
    let project = stage.coordinator(&format!(
        "default: {{ image: '@SMALL@' }}\nvariables: {{ GIT_STRATEGY: none }}\n{jobs}"
    ))?;
    stage.register(&project, &[("RUNNER_NAME", "one"), ("RUNNER_LIMIT", "3")])?;
    stage.register(&project, &[("RUNNER_NAME", "two")])?;
    stage.configure_and_run(|text| text)?;
    let pipeline = stage.run_pipeline(&project)?;
    let starts = pipeline.jobs.iter().filter_map(|j| j.times.started_at).max();
    let ends = pipeline.jobs.iter().filter_map(|j| j.times.finished_at).min();
    ensure!(
        starts < ends,
        "all four must have run together: last start {starts:?}, first end {ends:?}"
    );
    let mut names = Vec::new();
    for job in &pipeline.jobs {
        ensure!(job.state == JobState::Success, "{}:\n{}", job.name, log(job)?);
        names.push(log(job)?.lines().any(|l| l.contains("on two ")));
    }
    ensure!(names.contains(&true), "the second runner took no job");
    Ok(())
}

/// No token or masked value in what the inner engine tells about containers, nor in the process list.
pub(crate) fn secrets(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "default: { image: '@SMALL@' }\nwait: { script: ['echo $CI_JOB_TOKEN | md5sum', 'echo token=$CI_JOB_TOKEN > t', 'sleep 20'] }\n",
    )?;
    stage.start_runner(&project, |text| text)?;
    let id = stage.begin_pipeline(&project)?;
    let inspected = wait_for("the build container to run", Duration::from_secs(60), || {
        let record = project
            .coordinator
            .pipeline(id)
            .ok_or_else(|| anyhow::anyhow!("no pipeline"))?;
        if !log(job(&record, "wait")?).unwrap_or_default().contains("$ sleep 20") {
            return Ok(None);
        }
        let line =
            "podman --remote ps -q | xargs podman --remote inspect; cat /proc/[0-9]*/cmdline | tr '\\0' ' '; true";
        stage.inside(line).run_text().map(Some)
    })?;
    contains(&inspected, "pipglr.job")?;
    let token = project.token();
    for secret in ["glcbt-", token.as_str()] {
        lacks(&inspected, secret)?;
    }
    let pipeline = stage.wait_pipeline(&project, id)?;
    ensure!(
        job(&pipeline, "wait")?.state == JobState::Success,
        "{}",
        log(job(&pipeline, "wait")?)?
    );
    Ok(())
}

/// `podman build` inside a job works by default, and does not with NESTED_PRIVILEGED=false, which the job says.
pub(crate) fn nested_builds(stage: &mut Stage) -> anyhow::Result<()> {
    stage.provide(&NESTED)?;
    let project = stage.project(
        &[
            (
                ".gitlab-ci.yml",
                "build:\n  image: '@REGISTRY@/ci/podman:trixie'\n  script:\n    - tar -C / -cf base.tar bin etc lib lib64 usr/bin/sh usr/bin/dash usr/bin/cat usr/lib/x86_64-linux-gnu/libc.so.6 usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 usr/lib64\n\
                \x20   - podman --storage-driver=overlay import base.tar localhost/base\n    - podman build --isolation=chroot --network=host -t made .\n    - podman images\n",
            ),
            ("Containerfile", "FROM localhost/base\nCOPY file /file\nRUN cat /file\n"),
            ("file", "built inside a job\n"),
        ],
        |_| {},
    )?;
    stage.start_runner(&project, |text| text)?;
    let pipeline = stage.run_pipeline(&project)?;
    let text = log(job(&pipeline, "build")?)?;
    ensure!(job(&pipeline, "build")?.state == JobState::Success, "{text}");
    contains(&text, "built inside a job\n")?;
    contains(&text, "localhost/made")
}
