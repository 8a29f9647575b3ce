//! How sources get into jobs, beyond what `jobs` shows.

use crate::stage::{Project, Stage, all_pass, contains, job, log};
use anyhow::ensure;
use pipglr_coordinator::{JobState, PipelineRecord};
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::sample;
use std::path::Path;
use std::process::Command;

/// A project whose second commit has its first one as submodule `self`, by a relative address: the coordinator serves
/// one repository.
fn with_itself_inside(stage: &Stage, ci: &str) -> anyhow::Result<Project> {
    let directory = tempfile::tempdir()?;
    let ci = ci
        .replace("@SMALL@", &stage.small())
        .replace("@REGISTRY@", &stage.registry.address_inside());
    let repo = sample::from_files(
        &directory.path().join("project"),
        &[(".gitlab-ci.yml", ci.as_str()), ("file", "content\n")],
    )?;
    let head = git(&repo, &["rev-parse", "HEAD"])?;
    std::fs::write(
        repo.join(".gitmodules"),
        "[submodule \"self\"]\n\tpath = self\n\turl = ../project.git\n",
    )?;
    git(&repo, &["add", ".gitmodules"])?;
    let entry = format!("160000,{},self", head.trim());
    git(&repo, &["update-index", "--add", "--cacheinfo", &entry])?;
    git(&repo, &["commit", "--quiet", "--message", "Submodule"])?;
    stage.project_of(directory, repo, |options| options.git_depth = 20)
}

fn git(repository: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    Command::new("git")
        .args(["-c", "user.name=Sample", "-c", "user.email=sample@localhost"])
        .args(arguments)
        .current_dir(repository)
        .run_text()
}

/// Submodules of both kinds, a clone path, a kept work tree with every lock git knows, clean-up at the end.
pub(crate) fn submodules_and_paths(stage: &mut Stage) -> anyhow::Result<()> {
    let project = with_itself_inside(
        stage,
        "stages: [a, b, c, d]\ndefault: { image: '@REGISTRY@/ci/debian:trixie' }\n\
         none: { stage: a, script: ['test -z \"$(ls -A self)\"'] }\n\
         normal: { stage: b, variables: { GIT_SUBMODULE_STRATEGY: normal, GIT_SUBMODULE_DEPTH: '1' }, script: ['cat self/file', 'for l in index HEAD shallow config packed-refs; do touch .git/$l.lock .git/modules/self/$l.lock; done', 'touch self/left left'] }\n\
         recursive: { stage: c, variables: { GIT_SUBMODULE_STRATEGY: recursive, FF_ENABLE_JOB_CLEANUP: 'true' }, script: ['cat self/file', 'test ! -e self/left -a ! -e left', 'touch self/again'] }\n\
         path: { stage: d, variables: { GIT_CLONE_PATH: $CI_BUILDS_DIR/go/src/it }, script: ['test $(pwd) = /builds/go/src/it', 'cat file'] }\n\
         outside: { stage: d, variables: { GIT_CLONE_PATH: /elsewhere }, script: ['true'], allow_failure: true }\n\
         empty: { stage: d, variables: { GIT_STRATEGY: empty }, script: ['test -z \"$(ls -A)\"', 'pwd'] }\n",
    )?;
    stage.start_runner(&project, |text| text.replace("concurrent = 4", "concurrent = 1"))?;
    let pipeline = stage.run_pipeline(&project)?;
    let outside = job(&pipeline, "outside")?;
    ensure!(outside.state == JobState::Failed, "outside: {:?}", outside.state);
    contains(
        &log(outside)?,
        "the GIT_CLONE_PATH=\"/elsewhere\" has to be within \"/builds\"",
    )?;
    for name in ["none", "normal", "recursive", "path", "empty"] {
        let job = job(&pipeline, name)?;
        ensure!(job.state == JobState::Success, "{name}:\n{}", log(job)?);
    }
    let normal = log(job(&pipeline, "normal")?)?;
    contains(&normal, "Updating/initializing submodules with git depth set to 1...")?;
    contains(&normal, "Updated submodules")?;
    let recursive = log(job(&pipeline, "recursive")?)?;
    contains(&recursive, "Removing left")?;
    contains(&recursive, "Removing again")?;
    contains(
        &log(job(&pipeline, "empty")?)?,
        "Skipping Git repository setup and creating an empty build directory",
    )
}

/// A later job of the slot finds no token of an earlier one, whether that came to its end or not, and scripts can
/// fetch while their job runs, with tokens in addresses and without.
pub(crate) fn credentials(stage: &mut Stage) -> anyhow::Result<()> {
    let project = with_itself_inside(
        stage,
        "stages: [a, b, c]\ndefault: { image: '@REGISTRY@/ci/debian:trixie' }\n\
         variables: { GIT_SUBMODULE_STRATEGY: normal }\n\
         cut: { stage: a, timeout: 5 seconds, allow_failure: true, variables: { GIT_CLONE_PATH: $CI_BUILDS_DIR/other }, script: ['test -e /builds/other.tmp/.gitlab-runner.ext.conf', 'sleep 600'] }\n\
         search: { stage: b, when: always, script: ['test ! -e /builds/other.tmp', 'for p in /builds/* ; do case $p in *.tmp) ;; *) grep -rl --exclude-dir=\"*.tmp\" \"glcb[t]\" $p && exit 1 ;; esac; done; echo clean'] }\n\
         tokenless: { stage: c, when: always, variables: { FF_GIT_URLS_WITHOUT_TOKENS: 'true' }, script: ['grep -r \"glcb[t]\" . $CI_PROJECT_DIR.tmp/.gitlab-runner.ext.conf && exit 1', 'cat self/file'] }\n",
    )?;
    stage.start_runner(&project, |text| text.replace("concurrent = 4", "concurrent = 1"))?;
    let pipeline = stage.run_pipeline(&project)?;
    let cut = job(&pipeline, "cut")?;
    ensure!(cut.state == JobState::Failed, "cut: {:?}", cut.state);
    let others = PipelineRecord {
        jobs: pipeline.jobs.iter().filter(|j| j.name != "cut").cloned().collect(),
        ..pipeline.clone()
    };
    all_pass(&others)?;
    contains(&log(job(&others, "search")?)?, "clean\n")
}

/// git-lfs fetches what a file points to, from the coordinator, with the job's token.
pub(crate) fn lfs(stage: &mut Stage) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let content = "not a pointer any more\n".repeat(1000);
    let digest = Command::new("sha256sum").run_with_input(&content)?;
    let digest = digest.split_whitespace().next().unwrap_or_default();
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {}\n",
        content.len()
    );
    let ci = format!(
        "default: {{ image: '{}' }}\n\
         pulled: {{ script: ['sha256sum big.bin', 'git config --get-regexp \"filter.*\" && exit 1 || true'] }}\n\
         skipped: {{ variables: {{ GIT_LFS_SKIP_SMUDGE: '1' }}, script: ['cat big.bin'] }}\n",
        stage.small()
    );
    let repo = sample::from_files(
        &directory.path().join("project"),
        &[
            (".gitlab-ci.yml", ci.as_str()),
            (".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"),
            ("big.bin", pointer.as_str()),
        ],
    )?;
    let objects = repo.join(".git/lfs/objects").join(&digest[..2]).join(&digest[2..4]);
    std::fs::create_dir_all(&objects)?;
    std::fs::write(objects.join(digest), &content)?;
    let project = stage.project_of(directory, repo, |_| {})?;
    stage.start_runner(&project, |text| text)?;
    let pipeline = stage.run_pipeline(&project)?;
    all_pass(&pipeline)?;
    contains(&log(job(&pipeline, "pulled")?)?, &format!("{digest}  big.bin\n"))?;
    contains(&log(job(&pipeline, "skipped")?)?, &format!("oid sha256:{digest}\n"))
}
