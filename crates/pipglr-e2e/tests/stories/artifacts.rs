//! Artifacts of all kinds, beyond what `jobs` shows.

use crate::stage::{Stage, contains, job, log};
use anyhow::ensure;
use pipglr_coordinator::JobState;

/// Reports, a statement of provenance, several dependencies; owners and modes come through, and what one job links to
/// is not where the next one's files go.
pub(crate) fn kinds(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "stages: [make, use]\ndefault: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none }\n\
         one:\n  stage: make\n  variables: { RUNNER_GENERATE_ARTIFACTS_METADATA: 'true' }\n\
        \x20 script: ['mkdir -p out', 'echo one > out/one', 'chmod 751 out/one', 'echo A_NUMBER=7 > build.env', 'echo \"<testsuites/>\" > junit.xml', 'ln -s /etc out/etc']\n\
        \x20 artifacts: { name: release, paths: [out], reports: { junit: junit.xml, dotenv: build.env } }\n\
         two: { stage: make, script: ['mkdir -p out/etc', 'echo two > out/etc/two'], artifacts: { paths: [out/etc/two] } }\n\
         use:\n  stage: use\n  dependencies: [one]\n  script: ['cat out/one', 'ls -l out/one | grep -q ^-rwxr-x--x', 'grep -q slsa.dev/provenance/v1 release-metadata.json']\n\
         refused: { stage: use, allow_failure: true, script: ['echo never'] }\n",
    )?;
    stage.start_runner(&project, |text| text)?;
    let pipeline = stage.run_pipeline(&project)?;
    let read = |name: &str| log(job(&pipeline, name)?);
    let one = read("one")?;
    for text in [
        "Generating artifacts statement",
        "Uploading artifacts as \"archive\" to coordinator... 201 Created",
        "Uploading artifacts as \"junit\" to coordinator... 201 Created",
        "Uploading artifacts as \"dotenv\" to coordinator... 201 Created",
    ] {
        contains(&one, text)?;
    }
    let text = read("use")?;
    contains(&text, "Downloading artifacts from coordinator... ok")?;
    ensure!(job(&pipeline, "use")?.state == JobState::Success, "use:\n{text}");
    // The second archive has a file where the first one has a link that leads out: it is not followed.
    let text = read("refused")?;
    ensure!(job(&pipeline, "refused")?.state == JobState::Failed, "refused:\n{text}");
    contains(&text, "FATAL: unpack artifacts of two: ")?;
    contains(&text, "lies behind something that is not a real directory")
}
