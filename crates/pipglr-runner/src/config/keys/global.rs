//! Keys outside of `[[runners]]`.

use super::{Key, Kind, differs, honoured, ignored};

#[rustfmt::skip]
pub(super) const KEYS: [Key; 29] = [
    honoured("concurrent", Kind::Positive, "jobs at the same time, over all runners; 1 if missing"),
    honoured("check_interval", Kind::Count, "seconds between two requests of a runner; 3 if missing or 0"),
    honoured("log_level", Kind::Word(&["debug", "info", "warn", "warning", "error", "fatal", "panic"]), "`LOG_LEVEL` and `--log-level` win"),
    differs("log_format", Kind::Word(&["runner", "text", "json"]), "`runner` and `text` are one format; `LOG_FORMAT` and `--log-format` win"),
    honoured("listen_address", Kind::Text, "where metrics are served, port 9252 if it names none; read at start only; `LISTEN_ADDRESS` and `--listen-address` win"),
    ignored("sentry_dsn", Kind::Text, "errors are logged and counted in the metrics, not sent to a third party"),
    honoured("connection_max_age", Kind::Duration, "connections to GitLab are not used for longer; 15 minutes if missing, never renewed if 0"),
    honoured("shutdown_timeout", Kind::Count, "seconds jobs have to end after SIGTERM; 30 if missing or 0"),
    ignored("user", Kind::Text, "only the shell executor changes users"),
    honoured("labels", Kind::TextMap, "labels of all runners, told to GitLab; `[runners.labels]` win"),
    honoured("session_server", Kind::Table, "web terminals of running jobs"),
    honoured("session_server.listen_address", Kind::Text, "`host:port` on which they are served; without it they are not; read at start only"),
    honoured("session_server.advertise_address", Kind::Text, "`host[:port]` GitLab connects to, `listen_address` if missing; its host is the certificate's; read at start only"),
    honoured("session_server.session_timeout", Kind::Count, "seconds a connected terminal may keep a job open after its scripts; 1800 if missing or 0"),
    honoured("disk", Kind::Table, "what is removed when, so that no disk fills up (pipglr's own)"),
    honoured("disk.high_water", Kind::Count, "percent of a disk above which images, build volumes and caches are removed, those first that were not used for the longest time; 85 if missing or 0 (pipglr's own)"),
    honoured("disk.low_water", Kind::Count, "percent down to which they are removed; ten less than `high_water` if missing (pipglr's own)"),
    honoured("disk.min_free", Kind::Text, "free space on the storage volume below which no jobs are asked for, as in `512m`; 1 GiB or a twentieth of the disk, whichever is less, if missing; 0 is no such limit (pipglr's own)"),
    honoured("disk.ballast", Kind::Text, "space on the storage volume that is kept in reserve and given up when the disk is full; 512 MiB or a fiftieth of the disk, whichever is less, if missing; 0 is none (pipglr's own)"),
    honoured("disk.images_unused_for", Kind::Duration, "images that were not used for so long are removed by `pipglr prune`, which runs every `PRUNE_INTERVAL`; 168h if missing (pipglr's own)"),
    honoured("disk.volumes_unused_for", Kind::Duration, "the same of build volumes; 336h if missing (pipglr's own)"),
    honoured("disk.cache_limit", Kind::Text, "size of the caches a project may keep on this machine, as in `5g`; what is over it is removed by `pipglr prune`, no limit if missing or 0 (pipglr's own)"),
    ignored("machine", Kind::Anything, "machines are not started on demand"),
    ignored("experimental", Kind::Anything, "there is no usage log"),
    honoured("runners", Kind::Tables, "one entry for each runner"),
    honoured("runners.podman", Kind::Table, "what gitlab-runner has no key for (pipglr's own)"),
    honoured("runners.podman.insecure_registries", Kind::Texts, "`host[:port]` of registries that are spoken to without TLS (pipglr's own)"),
    honoured("runners.podman.pids_limit", Kind::Whole, "processes and threads of each container of a job at most; 0 is no limit (pipglr's own)"),
    honoured("runners.podman.socket", Kind::Text, "podman's API socket; wins over `docker.host`; read at start only (pipglr's own)"),
];
