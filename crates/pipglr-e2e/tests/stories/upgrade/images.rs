//! Variants of the image under test.

use crate::stage::Stage;
use pipglr_e2e::command::CommandExt as _;

/// Names of images in the account's storage.
pub(super) struct Images {
    good: [String; 2],
    /// Boots, but its engine cannot run helper containers.
    pub(super) unfit: String,
    /// Does not boot on a cache volume with a certain file on it.
    pub(super) ill: String,
}

impl Images {
    pub(super) fn build(stage: &Stage) -> anyhow::Result<Self> {
        Ok(Self {
            good: [variant(stage, "one", GOOD)?, variant(stage, "two", "LABEL story=two")?],
            unfit: variant(stage, "unfit", "RUN rm -r /usr/lib/pipglr/helper-root")?,
            ill: variant(
                stage,
                "ill",
                "CMD [\"/bin/sh\", \"-c\", \"test ! -e /cache/ill && exec /usr/lib/systemd/systemd\"]",
            )?,
        })
    }

    /// One after the other.
    pub(super) fn good(&self, round: u32) -> &str {
        let [one, two] = &self.good;
        if round.is_multiple_of(2) { one } else { two }
    }

    pub(super) fn remove(self, stage: &Stage) -> anyhow::Result<()> {
        let [one, two] = self.good;
        remove(stage, &[one, two, self.unfit, self.ill])
    }
}

/// As good as the image under test.
pub(super) const GOOD: &str = "LABEL story=one";

/// The image under test with this line of a Containerfile; gives its name.
pub(super) fn variant(stage: &Stage, tag: &str, difference: &str) -> anyhow::Result<String> {
    let name = format!("localhost/pipglr-story-upgrade:{tag}");
    let file = format!("FROM {}\n{difference}\n", stage.image);
    let build = [
        "build",
        "--quiet",
        "--pull=never",
        "--network=none",
        "--tag",
        &name,
        "-",
    ];
    stage.account.podman(build).run_with_input(&file)?;
    Ok(name)
}

/// Another image of the same name.
pub(super) fn anew(stage: &Stage, name: &str) -> anyhow::Result<()> {
    let tag = name.rsplit(':').next().unwrap_or(name);
    variant(stage, tag, "LABEL story=anew").map(drop)
}

/// The ID of an image.
pub(super) fn id(stage: &Stage, name: &str) -> anyhow::Result<String> {
    let inspect = ["image", "inspect", "--format={{.Id}}", name];
    Ok(stage.account.podman(inspect).run_text()?.trim().to_owned())
}

/// IDs of all images that have no name, a line each.
pub(super) fn nameless(stage: &Stage) -> anyhow::Result<String> {
    let list = ["images", "--quiet", "--no-trunc", "--filter=dangling=true"];
    stage.account.podman(list).run_text()
}

/// Removes images, and the runner that may have one of them.
pub(super) fn remove(stage: &Stage, images: &[String]) -> anyhow::Result<()> {
    stage
        .account
        .podman(["rm", "--force", "--time=0", "pipglr"])
        .run_text()?;
    stage.account.podman(["image", "rm"]).args(images).run_text().map(drop)
}
