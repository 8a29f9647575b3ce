//! `secrets:` of a job, between a fake GitLab and a server that speaks Vault's API.

use crate::support::{Bench, Ran};
use pipglr_testkit::gitlab::JobBuilder;
use pipglr_testkit::podman::Act;
use pipglr_testkit::vault::{FakeVault, VAULT_TOKEN};
use serde_json::{Value, json};

const JWT: &str = "eyJhbGciOi.the-id-token.c2ln";

/// A job with an ID token and one secret.
fn payload(id: u64, secret: &Value) -> Value {
    let mut payload: Value = JobBuilder::new(id)
        .without_sources()
        .script(&["deploy"])
        .masked_variable("VAULT_ID_TOKEN", JWT)
        .variable("CI_ENVIRONMENT_NAME", "production")
        .variable("GREETING", "hello $DB_PASSWORD")
        .into();
    payload["secrets"] = json!({"DB_PASSWORD": secret});
    payload
}

fn vault_secret(vault: &FakeVault, engine: &str) -> Value {
    json!({"vault": {
        "server": {"url": vault.url(), "namespace": null,
            "auth": {"name": "jwt", "path": "jwt", "data": {"role": "deployer", "jwt": "$VAULT_ID_TOKEN"}}},
        "engine": {"name": engine, "path": "ops/kv"}, "path": "$CI_ENVIRONMENT_NAME/db", "field": "password",
    }})
}

async fn vault() -> FakeVault {
    let vault = FakeVault::start().await;
    vault.role("jwt", "deployer", JWT);
    vault
}

fn environment(bench: &Bench, key: &str) -> Option<String> {
    let plan = bench.podman.plan("-build");
    let all = plan["environment"].as_array().unwrap().clone();
    let found = all.iter().rev().find(|pair| pair[0] == key)?;
    found[1].as_str().map(str::to_owned)
}

#[track_caller]
fn assert_failed(bench: &Bench, ran: &Ran, reason: &str, words: &str) {
    ran.assert_ending("failed", reason, 0);
    ran.assert_log_has(words);
    assert!(ran.log().contains("resolving secrets: "), "{}", ran.log());
    assert_eq!(bench.podman.record().created.len(), 0, "nothing was started");
    assert!(
        !ran.log().contains(JWT) && !ran.log().contains(VAULT_TOKEN),
        "{}",
        ran.log()
    );
}

#[tokio::test]
async fn secrets_of_every_engine_reach_the_job_as_masked_files() {
    for (engine, calls) in [
        (
            "kv-v2",
            ["POST /v1/auth/jwt/login", "GET /v1/ops/kv/data/production/db"],
        ),
        ("kv-v1", ["POST /v1/auth/jwt/login", "GET /v1/ops/kv/production/db"]),
        ("generic", ["POST /v1/auth/jwt/login", "GET /v1/ops/kv/production/db"]),
    ] {
        let (bench, vault) = (Bench::start().await, vault().await);
        vault.kv1("ops/kv", "production/db", json!({"password": "hunter-two $HOME"}));
        vault.kv2("ops/kv", "production/db", &json!({"password": "hunter-two $HOME"}));
        bench
            .podman
            .on_stage("step_script", [Act::out("it is hunter-two $HOME\n")]);
        let ran = bench.run_payload(payload(201, &vault_secret(&vault, engine))).await;
        ran.assert_ending("success", "", 0);
        assert_eq!(vault.calls(), calls);
        ran.assert_log_has(
            "Resolving secrets\nResolving secret \"DB_PASSWORD\"...\nUsing \"vault\" secret resolver...\n\
             Preparing the \"docker\" executor\n",
        );
        ran.assert_log_has("it is [MASKED]\n");
        let path = "/builds/group/project.tmp/DB_PASSWORD";
        assert_eq!(environment(&bench, "DB_PASSWORD").as_deref(), Some(path));
        let files = bench.podman.plan("-build")["files"].clone();
        assert_eq!(
            files,
            json!([{"path": path, "content": "hunter-two $HOME"}]),
            "raw, in a file"
        );
        assert_eq!(environment(&bench, "GREETING"), Some(format!("hello {path}")));
        bench.assert_clean();
    }
}

#[tokio::test]
async fn a_secret_can_be_a_plain_variable_and_wins_over_others() {
    let (bench, vault) = (Bench::start().await, vault().await);
    vault.kv2("ops/kv", "production/db", &json!({"password": 4711}));
    let mut secret = vault_secret(&vault, "kv-v2");
    secret["file"] = json!(false);
    let mut payload = payload(202, &secret);
    let own = json!({"key": "DB_PASSWORD", "value": "of the job", "public": true, "masked": false});
    payload["variables"].as_array_mut().unwrap().push(own);
    bench.run_payload(payload).await.assert_ending("success", "", 0);
    assert_eq!(environment(&bench, "DB_PASSWORD").as_deref(), Some("4711"));
    assert_eq!(environment(&bench, "GREETING").as_deref(), Some("hello 4711"));
}

#[tokio::test]
async fn namespace_and_mount_are_the_jobs_choice() {
    let (bench, vault) = (Bench::start().await, FakeVault::start().await);
    vault.namespace("team/a");
    vault.role("gitlab/ci", "deployer", JWT);
    vault.kv2("ops/kv", "production/db", &json!({"password": "x1y2z3"}));
    let mut secret = vault_secret(&vault, "kv-v2");
    secret["vault"]["server"]["namespace"] = json!("team/a");
    secret["vault"]["server"]["auth"]["path"] = json!("/gitlab/ci/");
    bench
        .run_payload(payload(203, &secret))
        .await
        .assert_ending("success", "", 0);
    assert_eq!(vault.calls()[0], "POST /v1/auth/gitlab/ci/login");
}

/// (name, place in the secret, its value as JSON, reason, words)
const FAILURES: [(&str, &str, &str, &str, &str); 9] = [
    (
        "wrong token",
        "/vault/server/auth/data/jwt",
        "\"other\"",
        SYSTEM,
        "400 Bad Request (error validating token: invalid audience (aud) claim)",
    ),
    (
        "wrong mount",
        "/vault/server/auth/path",
        "\"nowhere\"",
        SYSTEM,
        "/v1/auth/nowhere/login: 400",
    ),
    (
        "no such secret",
        "/vault/path",
        "\"absent\"",
        SYSTEM,
        "/v1/ops/kv/data/absent: 404 Not Found",
    ),
    (
        "no such field",
        "/vault/field",
        "\"absent\"",
        SYSTEM,
        "production/db has no field \"absent\"",
    ),
    (
        "nobody listens",
        "/vault/server/url",
        "\"http://127.0.0.1:1\"",
        "runner_external_dependency_failure",
        "POST http://127.0.0.1:1/v1/auth/jwt/login: ",
    ),
    (
        "no address",
        "/vault/server/url",
        "\"\"",
        CONFIGURATION,
        "is no address of a Vault server",
    ),
    (
        "another method",
        "/vault/server/auth/name",
        "\"ldap\"",
        CONFIGURATION,
        "authentication method \"ldap\" is not supported: use jwt",
    ),
    (
        "another engine",
        "/vault/engine/name",
        "\"pki\"",
        CONFIGURATION,
        "secrets engine \"pki\" is not supported: use kv-v1, kv-v2 or generic",
    ),
    (
        "a wrong type",
        "/vault/field",
        "[]",
        CONFIGURATION,
        "the payload cannot be read",
    ),
];
const SYSTEM: &str = "runner_system_failure";
const CONFIGURATION: &str = "runner_configuration_error";

#[tokio::test]
async fn what_goes_wrong_is_classified() {
    for (name, pointer, value, reason, words) in FAILURES {
        let (bench, vault) = (Bench::start().await, vault().await);
        vault.kv2("ops/kv", "production/db", &json!({"password": "x"}));
        let mut secret = vault_secret(&vault, "kv-v2");
        *secret.pointer_mut(pointer).unwrap() = serde_json::from_str(value).unwrap();
        let ran = bench.run_payload(payload(204, &secret)).await;
        assert!(ran.log().contains("secret \"DB_PASSWORD\""), "{name}: {}", ran.log());
        assert_failed(&bench, &ran, reason, words);
    }
}

#[tokio::test]
async fn a_sealed_server_is_asked_again_as_often_as_the_job_wants() {
    for (attempts, succeeds) in [("1", false), ("2", true)] {
        let (bench, vault) = (Bench::start().await, vault().await);
        vault.kv2("ops/kv", "production/db", &json!({"password": "x1y2z3"}));
        vault.fails(503);
        let mut payload = payload(205, &vault_secret(&vault, "kv-v2"));
        let variable = json!({"key": "SECRETS_RETRIEVAL_ATTEMPTS", "value": attempts, "public": true, "masked": false});
        payload["variables"].as_array_mut().unwrap().push(variable);
        let ran = bench.run_payload(payload).await;
        ran.assert_log_has("/v1/auth/jwt/login: 503 Service Unavailable (Vault is sealed)\n");
        if succeeds {
            ran.assert_ending("success", "", 0);
            ran.assert_log_has("WARNING: Retrying...\nResolving secrets\n");
        } else {
            ran.assert_ending("failed", "runner_external_dependency_failure", 0);
        }
    }
}

#[tokio::test]
async fn a_missing_secret_may_be_left_out() {
    for missing in ["/vault/path", "/vault/field"] {
        let (bench, vault) = (Bench::start().await, vault().await);
        vault.kv2("ops/kv", "production/db", &json!({"password": "x1y2z3"}));
        let mut secret = vault_secret(&vault, "kv-v2");
        *secret.pointer_mut(missing).unwrap() = json!("absent");
        let mut payload = payload(206, &secret);
        let flag = json!({"key": "FF_SECRET_RESOLVING_FAILS_IF_MISSING", "value": "false", "public": true});
        payload["variables"].as_array_mut().unwrap().push(flag);
        let ran = bench.run_payload(payload).await;
        ran.assert_ending("success", "", 0);
        ran.assert_log_has("WARNING: Not resolved: secret \"DB_PASSWORD\" is missing: ");
        assert_eq!(environment(&bench, "DB_PASSWORD"), None);
    }
}

#[tokio::test]
async fn other_keepers_of_secrets_are_refused_by_name() {
    for keeper in [
        "azure_key_vault",
        "gcp_secret_manager",
        "akeyless",
        "aws_secrets_manager",
        "gitlab_secrets_manager",
    ] {
        let bench = Bench::start().await;
        let ran = bench
            .run_payload(payload(207, &json!({keeper: {"name": "x"}, "file": false})))
            .await;
        let words = format!("is kept by {keeper}, which this runner cannot ask: only vault is supported\n");
        assert_failed(&bench, &ran, "runner_configuration_error", &words);
    }
    let bench = Bench::start().await;
    let ran = bench.run_payload(payload(208, &json!({"vault": null}))).await;
    ran.assert_ending("success", "", 0);
    ran.assert_log_has("WARNING: Not resolved: nobody is named who keeps secret \"DB_PASSWORD\"\n");
}

#[tokio::test]
async fn no_secret_is_in_what_podman_is_told() {
    let (bench, vault) = (Bench::start().await, vault().await);
    vault.kv2("ops/kv", "production/db", &json!({"password": "hunter-two"}));
    let ran = bench.run_payload(payload(209, &vault_secret(&vault, "kv-v2"))).await;
    ran.assert_ending("success", "", 0);
    for call in &bench.podman.record().calls {
        let text = format!("{} {} {}", call.path, call.query, String::from_utf8_lossy(&call.body));
        assert!(
            !text.contains("hunter-two") && !text.contains(VAULT_TOKEN) && !text.contains(JWT),
            "{text}"
        );
    }
}
