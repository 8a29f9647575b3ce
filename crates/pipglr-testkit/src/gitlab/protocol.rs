//! The rules requests are checked against.

use super::record::Request;
use serde_json::Value;

/// Every switch `info.features` must carry.
const FEATURES: [&str; 31] = [
    "variables",
    "image",
    "services",
    "artifacts",
    "cache",
    "fallback_cache_keys",
    "shared",
    "upload_multiple_artifacts",
    "upload_raw_artifacts",
    "session",
    "terminal",
    "refspecs",
    "masking",
    "proxy",
    "raw_variables",
    "artifacts_exclude",
    "multi_build_steps",
    "trace_reset",
    "trace_checksum",
    "trace_size",
    "vault_secrets",
    "cancelable",
    "return_exit_code",
    "service_variables",
    "service_multiple_aliases",
    "image_executor_opts",
    "service_executor_opts",
    "cancel_gracefully",
    "native_steps_integration",
    "two_phase_job_commit",
    "job_inputs",
];

/// Largest piece of a trace.
const LARGEST_PATCH: usize = 1024 * 1024;

/// Collects what is wrong with one request.
pub(super) struct Check<'a> {
    request: &'a Request,
    wrong: Vec<String>,
}

impl<'a> Check<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        let mut check = Self {
            request,
            wrong: Vec::new(),
        };
        check.expect(!request.header("user-agent").is_empty(), "no User-Agent");
        let id = request.header("x-request-id");
        check.expect(
            id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
            "X-Request-Id is not 32 hex digits",
        );
        check
    }

    pub(super) fn expect(&mut self, right: bool, otherwise: &str) {
        if !right {
            self.wrong.push(otherwise.to_owned());
        }
    }

    pub(super) fn header(&mut self, name: &str, value: &str) {
        let got = self.request.header(name);
        if got != value {
            self.wrong.push(format!("{name} is {got:?}, not {value:?}"));
        }
    }

    /// A JSON object that has all of `required` and nothing that is neither there nor in `optional`.
    pub(super) fn json_body(&mut self, required: &[&str], optional: &[&str]) -> Value {
        self.header("content-type", "application/json");
        let body = self.request.json();
        match body.as_object() {
            Some(_) => self.keys("body", &body, required, optional),
            None => self.wrong.push("the body is no JSON object".to_owned()),
        }
        body
    }

    fn keys(&mut self, what: &str, value: &Value, required: &[&str], optional: &[&str]) {
        let Some(object) = value.as_object() else {
            self.wrong.push(format!("{what} is no object"));
            return;
        };
        for key in required.iter().filter(|k| !object.contains_key(**k)) {
            self.wrong.push(format!("{what} has no {key:?}"));
        }
        for key in object
            .keys()
            .filter(|k| !required.contains(&k.as_str()) && !optional.contains(&k.as_str()))
        {
            self.wrong.push(format!("{what} has an unknown {key:?}"));
        }
    }

    /// The `info` object.
    pub(super) fn info(&mut self, body: &Value) {
        let info = &body["info"];
        let texts = ["name", "version", "revision", "platform", "architecture"];
        let required: Vec<&str> = texts.iter().copied().chain(["features", "config"]).collect();
        self.keys("info", info, &required, &["executor", "shell", "labels"]);
        for key in texts {
            self.expect(
                info[key].as_str().is_some_and(|t| !t.is_empty()),
                &format!("info.{key} is no text"),
            );
        }
        self.keys("info.features", &info["features"], &FEATURES, &[]);
        let switches = info["features"].as_object().into_iter().flatten();
        let all_boolean = switches.into_iter().all(|(_, v)| v.is_boolean());
        self.expect(all_boolean, "info.features has a value that is no boolean");
        self.expect(info["config"]["gpus"].is_string(), "info.config.gpus is no text");
    }

    /// `s_` or `r_` and twelve letters or digits.
    pub(super) fn system_id(&mut self, body: &Value) {
        let id = body["system_id"].as_str().unwrap_or_default();
        let rest = id
            .strip_prefix("s_")
            .or_else(|| id.strip_prefix("r_"))
            .unwrap_or_default();
        let right = rest.len() == 12 && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        self.expect(right, "system_id is not `s_` or `r_` and twelve letters or digits");
    }

    /// All of a session, from runners that say they have one.
    pub(super) fn session(&mut self, body: &Value) {
        let session = &body["session"];
        let complete = ["url", "certificate", "authorization"]
            .iter()
            .all(|key| session[key].is_string());
        self.expect(
            session.is_null() || complete,
            "session lacks url, certificate or authorization",
        );
        let announced = body["info"]["features"]["session"] == true;
        self.expect(
            announced != session.is_null(),
            "session and its feature do not go together",
        );
    }

    /// A state update's own fields.
    pub(super) fn update(&mut self, body: &Value) {
        let state = body["state"].as_str().unwrap_or_default();
        self.expect(
            ["running", "success", "failed"].contains(&state),
            "state is not running, success or failed",
        );
        let reason = body.get("failure_reason");
        self.expect(
            reason.is_none_or(|r| r.as_str().is_some_and(|r| !r.is_empty())),
            "failure_reason is no text",
        );
        self.expect(
            (state == "failed") == reason.is_some(),
            "failure_reason belongs to failed jobs",
        );
        let exit_code = body.get("exit_code");
        self.expect(
            exit_code.is_none_or(|c| c.as_i64().is_some_and(|c| c != 0)),
            "exit_code is not a number other than 0",
        );
        self.keys("output", &body["output"], &[], &["checksum", "bytesize"]);
        self.expect(
            body.get("checksum") == body["output"].get("checksum"),
            "checksum and output.checksum differ",
        );
        if let Some(checksum) = body.get("checksum") {
            let digits = checksum
                .as_str()
                .and_then(|c| c.strip_prefix("crc32:"))
                .unwrap_or_default();
            let hex = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            self.expect(hex, "checksum is not crc32: and eight lower-case hex digits");
        }
    }

    /// A patch's headers and size. Gives the offset.
    pub(super) fn patch(&mut self) -> Option<u64> {
        self.header("content-type", "text/plain");
        let (length, range) = (self.request.body.len(), self.request.header("content-range").to_owned());
        self.expect(length > 0, "empty patch");
        self.expect(length <= LARGEST_PATCH, "patch of more than 1 MiB");
        let query = self.request.path.split_once('?').map(|(_, q)| q);
        self.expect(
            matches!(query, Some("debug_trace=true" | "debug_trace=false")),
            "debug_trace is not true or false",
        );
        let numbers = range
            .split_once('-')
            .and_then(|(start, end)| Some((number(start)?, number(end)?)));
        let Some((start, end)) = numbers else {
            self.wrong.push(format!("Content-Range {range:?} is not <start>-<end>"));
            return None;
        };
        self.expect(
            start + length as u64 == end + 1,
            &format!("Content-Range {range:?} does not fit {length} bytes"),
        );
        Some(start)
    }

    /// What is wrong, as sentences that name the request.
    pub(super) fn violations(self) -> Vec<String> {
        let line = self.request.line();
        self.wrong.into_iter().map(|text| format!("{line}: {text}")).collect()
    }
}

/// Plain decimal, nothing around it.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}
