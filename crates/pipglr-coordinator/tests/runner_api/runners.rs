//! Registration, verification, unregistration, and what survives a restart.

use crate::support::{REGISTRATION_TOKEN, RUNNER_TOKEN, World, job, job_request};
use pipglr_ci::model::Job;
use pipglr_coordinator::{Coordinator, ServeOptions};
use reqwest::Method;
use serde_json::{Value, json};

async fn post(world: &World, path: &str, body: Value) -> (u16, Value) {
    let response = world.send_json(Method::POST, path, &body).await;
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn delete(world: &World, path: &str, body: Value) -> u16 {
    world.send_json(Method::DELETE, path, &body).await.status().as_u16()
}

#[tokio::test]
async fn a_known_token_is_verified() {
    let world = World::start().await;
    let (status, body) = post(
        &world,
        "runners/verify",
        json!({ "token": RUNNER_TOKEN, "system_id": "s_1" }),
    )
    .await;
    assert_eq!(
        (status, body),
        (200, json!({ "id": 1, "token": RUNNER_TOKEN, "token_expires_at": null }))
    );
    for token in ["glrt-wrong", "", REGISTRATION_TOKEN] {
        assert_eq!(post(&world, "runners/verify", json!({ "token": token })).await.0, 403);
    }
}

/// Parameters come as JSON, as forms of both kinds, and in the URL.
#[tokio::test]
async fn parameters_come_in_every_form_gitlab_takes() {
    let world = World::start().await;
    let token = [
        ("token", RUNNER_TOKEN),
        ("system_id", "s_1"),
        ("info[features][cancelable]", "true"),
    ];
    let boundary = "----x";
    let part = |(name, value): &(&str, &str)| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts: String = token.iter().map(part).collect::<String>() + &format!("--{boundary}--\r\n");
    let encoded = "application/x-www-form-urlencoded";
    for (how, kind, path, body) in [
        (
            "form",
            encoded,
            "runners/verify",
            format!("token={RUNNER_TOKEN}&system_id=s%5F1&info%5Bname%5D=x"),
        ),
        (
            "multipart",
            "multipart/form-data; boundary=----x",
            "runners/verify",
            parts,
        ),
        (
            "query",
            "",
            &format!("runners/verify?token={RUNNER_TOKEN}"),
            String::new(),
        ),
        (
            "JSON that says it is a form",
            encoded,
            "runners/verify",
            json!({ "token": RUNNER_TOKEN }).to_string(),
        ),
    ] {
        let response = world
            .call(Method::POST, path)
            .header("Content-Type", kind)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{how}");
    }
}

#[tokio::test]
async fn runners_live_their_whole_life_by_forms() {
    let world = World::start().await;
    let form = |method, path, body: &str| {
        world
            .call(method, path)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body.to_owned())
            .send()
    };
    let wish = format!("token={REGISTRATION_TOKEN}&tag_list[]=a&tag_list[]=b&run_untagged=true&maximum_timeout=60");
    let registered: Value = form(Method::POST, "runners", &wish)
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let token = registered["token"].as_str().unwrap();
    let exchange = form(
        Method::POST,
        "runners/reset_authentication_token",
        &format!("token={token}"),
    );
    let exchanged: Value = exchange.await.unwrap().json().await.unwrap();
    let body = format!("token={}", exchanged["token"].as_str().unwrap());
    assert_eq!(form(Method::DELETE, "runners", &body).await.unwrap().status(), 204);
    for nonsense in ["", "nothing", "tok[en]=x"] {
        let refused = form(Method::POST, "runners/verify", nonsense).await.unwrap();
        assert_eq!(refused.status(), 400, "{nonsense}");
    }
}

#[tokio::test]
async fn registration_makes_a_runner_that_gets_jobs() {
    let world = World::start().await;
    assert_eq!(post(&world, "runners", json!({ "token": "wrong" })).await.0, 403);
    assert_eq!(post(&world, "runners", json!({ "token": RUNNER_TOKEN })).await.0, 403);
    let request = json!({
        "token": REGISTRATION_TOKEN, "description": "mine", "tag_list": "a, b", "run_untagged": true,
        "maximum_timeout": 600, "info": {},
    });
    let (status, body) = post(&world, "runners", request).await;
    assert_eq!((status, body["id"].as_u64()), (201, Some(2)));
    world.create(vec![job("build", "a")]).await;
    let mut ask = job_request(true);
    ask["token"] = body["token"].clone();
    let payload: Value = world
        .send_json(Method::POST, "jobs/request", &ask)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(payload["runner_info"]["timeout"], 600);
    let variables = payload["variables"].as_array().unwrap();
    let value = |key: &str| variables.iter().find(|v| v["key"] == key).unwrap()["value"].clone();
    assert_eq!(value("CI_RUNNER_DESCRIPTION"), "mine");
    assert_eq!(value("CI_RUNNER_TAGS"), r#"["a","b"]"#);
}

#[tokio::test]
async fn paused_and_tags_only_runners_get_no_untagged_job() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    for extra in [
        json!({ "paused": true }),
        json!({ "tag_list": "x", "run_untagged": false }),
    ] {
        let mut request = extra;
        request["token"] = REGISTRATION_TOKEN.into();
        let (_, body) = post(&world, "runners", request).await;
        let mut ask = job_request(true);
        ask["token"] = body["token"].clone();
        assert_eq!(world.send_json(Method::POST, "jobs/request", &ask).await.status(), 204);
    }
}

#[tokio::test]
async fn a_runner_has_the_tags_of_its_jobs() {
    let tagged = || Job {
        tags: vec!["x".to_owned(), "y".to_owned()],
        ..job("build", "a")
    };
    for (ignore_tags, runner_tags, status) in [(true, "", 201), (false, "x", 204), (false, "y,z,x", 201)] {
        let world = World::start_with(|options| options.ignore_tags = ignore_tags).await;
        world.create(vec![tagged()]).await;
        let body = json!({ "token": REGISTRATION_TOKEN, "tag_list": runner_tags, "run_untagged": true });
        let (_, runner) = post(&world, "runners", body).await;
        let mut request = job_request(true);
        request["token"] = runner["token"].clone();
        let answer = world.send_json(Method::POST, "jobs/request", &request).await;
        assert_eq!(answer.status(), status, "{ignore_tags} {runner_tags}");
    }
}

#[tokio::test]
async fn managers_and_runners_are_unregistered() {
    let world = World::start().await;
    post(
        &world,
        "runners/verify",
        json!({ "token": RUNNER_TOKEN, "system_id": "s_1" }),
    )
    .await;
    for (path, body, status) in [
        ("runners/managers", json!({ "token": "wrong", "system_id": "s_1" }), 403),
        ("runners/managers", json!({ "token": RUNNER_TOKEN }), 400),
        (
            "runners/managers",
            json!({ "token": RUNNER_TOKEN, "system_id": "s_1" }),
            204,
        ),
        (
            "runners/managers",
            json!({ "token": RUNNER_TOKEN, "system_id": "s_1" }),
            404,
        ),
        ("runners", json!({ "token": "wrong" }), 403),
        ("runners", json!({ "token": RUNNER_TOKEN }), 204),
        ("runners", json!({ "token": RUNNER_TOKEN }), 403),
    ] {
        assert_eq!(delete(&world, path, body.clone()).await, status, "{path} {body}");
    }
    assert_eq!(world.ask(None).await.status(), 403);
}

#[tokio::test]
async fn a_reset_token_replaces_the_old_one() {
    let world = World::start().await;
    let (status, body) = post(
        &world,
        "runners/reset_authentication_token",
        json!({ "token": RUNNER_TOKEN }),
    )
    .await;
    assert_eq!((status, &body["token_expires_at"]), (201, &Value::Null));
    let token = body["token"].as_str().unwrap();
    assert!(token.starts_with("glrt-") && token != RUNNER_TOKEN);
    assert_eq!(post(&world, "runners/verify", json!({ "token": token })).await.0, 200);
    assert_eq!(
        post(&world, "runners/verify", json!({ "token": RUNNER_TOKEN })).await.0,
        403
    );
}

#[tokio::test]
async fn there_is_no_job_router() {
    let world = World::start().await;
    let response = world
        .call(Method::GET, "runners/router/discovery")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 501);
}

#[tokio::test]
async fn runners_and_numbers_survive_a_restart() {
    let world = World::start().await;
    let (_, body) = post(&world, "runners", json!({ "token": REGISTRATION_TOKEN })).await;
    world.create(vec![job("build", "a"), job("build", "b")]).await;
    let (repo, directory) = (world.repo.clone(), world.stop().await);
    let options = ServeOptions::new(&repo, directory.path().join("data"), "http://127.0.0.1:1");
    let again = Coordinator::open(options).await.unwrap();
    let tokens: Vec<String> = again.runner_tokens().iter().map(|t| t.expose().to_owned()).collect();
    assert_eq!(tokens, [RUNNER_TOKEN, body["token"].as_str().unwrap()]);
    let pipeline = pipglr_ci::model::Pipeline {
        stages: vec!["build".to_owned()],
        jobs: vec![job("build", "c")],
        ..pipglr_ci::model::Pipeline::default()
    };
    let id = again
        .start_pipeline(&pipglr_coordinator::Revision::Head, &pipeline)
        .await
        .unwrap();
    assert_eq!((id.0, again.pipeline(id).unwrap().jobs[0].id.0), (2, 3));
}

#[tokio::test]
async fn a_token_is_generated_when_none_is_given() {
    let world = World::start_with(|o| {
        o.runner_tokens.clear();
        o.registration_token = None;
    })
    .await;
    let tokens = world.coordinator.runner_tokens();
    assert_eq!(tokens.len(), 1);
    assert!(tokens[0].expose().starts_with("glrt-"));
    assert_eq!(
        post(&world, "runners/verify", json!({ "token": tokens[0].expose() }))
            .await
            .0,
        200
    );
    assert!(!world.coordinator.registration_token().is_empty());
}
