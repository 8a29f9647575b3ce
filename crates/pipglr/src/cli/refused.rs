//! Commands of gitlab-runner that make no sense here, and what to use in their place.

/// A command that is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) name: &'static str,
    /// Completes "there is no command `name`: …".
    pub(crate) why: &'static str,
    pub(crate) instead: &'static str,
}

const fn refused(name: &'static str, why: &'static str, instead: &'static str) -> Refused {
    Refused { name, why, instead }
}

const SERVICE: &str = "the runner is a service inside of pipglr's container, not one of the host";
const HELPER: &str = "it belongs to gitlab-runner's helper image, and pipglr has none";
const BY_ITSELF: &str = "nothing is to be called: `pipglr runner run` does it in helper containers by itself";

/// All of them, by their names with gitlab-runner.
#[rustfmt::skip]
pub(crate) const REFUSED: [Refused; 17] = [
    refused("exec", "gitlab-runner itself has removed it", "run a pipeline without GitLab: `pipglr serve --once`"),
    refused("install", SERVICE, "install it by the runlabels: setupconfig, setupstorage, setupcache, then run"),
    refused("uninstall", SERVICE, "podman rm pipglr"),
    refused("start", SERVICE, "podman start pipglr"),
    refused("stop", SERVICE, "podman stop pipglr; it waits for running jobs"),
    refused("restart", SERVICE, "podman restart pipglr; running jobs are waited for"),
    refused("status", SERVICE, "podman exec pipglr pipglr health"),
    refused("wrapper", "nothing here takes orders over gRPC", "podman stop pipglr ends the runner when its jobs have ended"),
    refused("fleeting", "machines are not started on demand", "start one pipglr container on each machine"),
    refused("steps", "there is no step-runner", "write jobs with `script`"),
    refused("artifacts-downloader", HELPER, BY_ITSELF),
    refused("artifacts-uploader", HELPER, BY_ITSELF),
    refused("cache-archiver", HELPER, BY_ITSELF),
    refused("cache-extractor", HELPER, BY_ITSELF),
    refused("cache-init", HELPER, BY_ITSELF),
    refused("proxy-exec", HELPER, BY_ITSELF),
    refused("read-logs", HELPER, BY_ITSELF),
];
