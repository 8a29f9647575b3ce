//! Caches between jobs.

use crate::stage::{Stage, contains, job, log};
use anyhow::ensure;
use pipglr_coordinator::JobState;
use pipglr_e2e::command::CommandExt as _;

/// Keys by files and by name, fallback, policies, failed jobs, formats; on the volume, and never in the build container.
pub(crate) fn travel(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.project(
        &[
            (
                ".gitlab-ci.yml",
                "stages: [a, b, c]\ndefault: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none }\n\
                 fill:\n  stage: a\n  cache:\n    - { key: { files: [lock], prefix: deps }, paths: [v/] }\n    - { key: plain, paths: [p/] }\n\
                \x20 script: ['test ! -e v', 'mkdir -p v/deep p', 'echo cached > v/deep/file', 'ln -s deep/file v/link', 'echo plain > p/file', 'test ! -e /cache']\n\
                 broken:\n  stage: a\n  allow_failure: true\n  cache: { key: failed, paths: [why], when: on_failure }\n  script: ['echo reason > why', 'exit 1']\n\
                 pack:\n  stage: a\n  variables: { CACHE_COMPRESSION_FORMAT: tarzstd }\n  cache: { key: packed, paths: [t/] }\n\
                \x20 script: ['mkdir -p t/deep', 'echo packed > t/deep/file', 'chmod 750 t/deep', 'ln -s deep/file t/link']\n\
                 unpack:\n  stage: b\n  cache: { key: packed, paths: [t/], policy: pull }\n  script: ['cat t/link', 'stat -c %a t/deep']\n\
                 use:\n  stage: b\n  cache:\n    - { key: { files: [lock], prefix: deps }, paths: [v/], policy: pull }\n    - { key: nowhere, fallback_keys: [plain], paths: [p/], policy: pull }\n    - { key: failed, paths: [why], policy: pull }\n\
                \x20 script: ['cat v/link p/file why', 'echo changed > v/deep/file']\n\
                 again:\n  stage: c\n  cache: { key: { files: [lock], prefix: deps }, paths: [v/] }\n  script: ['test \"$(cat v/link)\" = cached']\n\
                 nobody:\n  stage: c\n  image: { name: '@SMALL@', docker: { user: nobody } }\n  cache: { key: nobody, paths: [mine] }\n  script: ['echo x > mine']\n",
            ),
            ("lock", "1\n"),
        ],
        |_| {},
    )?;
    stage.start_runner(&project, |text| text)?;
    let pipeline = stage.run_pipeline(&project)?;
    let read = |name: &str| log(job(&pipeline, name)?);
    for name in ["fill", "pack", "unpack", "use", "again", "nobody"] {
        ensure!(
            job(&pipeline, name)?.state == JobState::Success,
            "{name}:\n{}",
            read(name)?
        );
    }
    contains(&read("fill")?, "Failed to extract cache\n")?;
    contains(&read("fill")?, "Created cache\n")?;
    contains(&read("broken")?, "Saving cache for failed job\n")?;
    contains(&read("broken")?, "Created cache\n")?;
    contains(&read("use")?, "cached\nplain\nreason\n")?;
    contains(&read("use")?, "Checking cache for nowhere-non_protected...\n")?;
    contains(&read("use")?, "Checking cache for plain-non_protected...\n")?;
    contains(
        &read("use")?,
        "Not uploading cache failed-non_protected due to policy\n",
    )?;
    contains(&read("again")?, "Archive is up to date!\n")?;
    contains(&read("nobody")?, "Created cache\n")?;
    contains(&read("unpack")?, "packed\n")?;
    contains(&read("unpack")?, "750\n")?;
    let head = "find /cache -path '*/packed-non_protected/cache.zip' -exec head -c 4 {} + | od -An -tx1";
    let head = stage.inside(head).run_text()?;
    ensure!(head.trim() == "28 b5 2f fd", "{head}");
    let find = "find /cache -name cache.zip";
    let kept = stage.inside(find).run_text()?;
    ensure!(kept.lines().count() == 5, "{kept}");
    contains(&kept, "/plain-non_protected/cache.zip\n")
}
