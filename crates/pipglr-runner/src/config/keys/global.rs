//! Keys outside of `[[runners]]`.

use super::{Key, Kind, differs, honoured, ignored};

#[rustfmt::skip]
pub(super) const KEYS: [Key; 20] = [
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
    ignored("machine", Kind::Anything, "machines are not started on demand"),
    ignored("experimental", Kind::Anything, "there is no usage log"),
    honoured("runners", Kind::Tables, "one entry for each runner"),
    honoured("runners.podman", Kind::Table, "what gitlab-runner has no key for (pipglr's own)"),
    honoured("runners.podman.insecure_registries", Kind::Texts, "`host[:port]` of registries that are spoken to without TLS (pipglr's own)"),
    honoured("runners.podman.socket", Kind::Text, "podman's API socket; wins over `docker.host`; read at start only (pipglr's own)"),
];
