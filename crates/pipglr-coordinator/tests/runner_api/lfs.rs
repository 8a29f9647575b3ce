//! Git LFS: what a client of the batch API is told, and the objects themselves.

use crate::support::{Taken, World, job};
use pipglr_protocol::Secret;
use serde_json::{Value, json};

const OID: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

async fn running_job(world: &World) -> Taken {
    world.create(vec![job("build", "a")]).await;
    world.take_and_accept().await
}

async fn batch(world: &World, token: &str, body: &Value) -> (u16, Value) {
    let url = format!(
        "{}/{}.git/info/lfs/objects/batch",
        world.base,
        world.coordinator.project_path()
    );
    let request = world.client.post(url).basic_auth("gitlab-ci-token", Some(token));
    let response = request.body(body.to_string()).send().await.unwrap();
    let status = response.status().as_u16();
    (
        status,
        serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default(),
    )
}

fn asked(operation: &str, oid: &str) -> Value {
    json!({"operation": operation, "transfers": ["basic"], "objects": [{"oid": oid, "size": 3}]})
}

#[tokio::test]
async fn a_running_job_gets_the_objects_the_repository_has() {
    let world = World::start().await;
    let objects = world.repo.join(".git/lfs/objects/2c/26");
    std::fs::create_dir_all(&objects).unwrap();
    std::fs::write(objects.join(OID), "foo").unwrap();
    let job = running_job(&world).await;

    let (status, answer) = batch(&world, &job.token, &asked("download", OID)).await;
    assert_eq!(status, 200);
    let action = &answer["objects"][0]["actions"]["download"];
    let url = action["href"].as_str().unwrap();
    let authorization = Secret::new(action["header"]["Authorization"].as_str().unwrap());
    let request = world.client.get(url).header("Authorization", authorization.expose());
    let content = request.send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&content[..], b"foo");

    let anonymous = world.client.get(url).send().await.unwrap();
    assert_eq!(anonymous.status().as_u16(), 401);
}

#[tokio::test]
async fn nothing_else_is_to_be_had() {
    let world = World::start().await;
    let job = running_job(&world).await;
    // Every other digest is unknown, and what is none is no path.
    for oid in [OID, "../../../config", "2C26", ""] {
        let (status, answer) = batch(&world, &job.token, &asked("download", oid)).await;
        assert_eq!(
            (status, &answer["objects"][0]["error"]["code"]),
            (200, &json!(404)),
            "{oid}"
        );
    }
    assert_eq!(batch(&world, &job.token, &asked("upload", OID)).await.0, 403);
    assert_eq!(
        batch(&world, &job.token, &json!({"operation": "download"})).await.0,
        422
    );
    assert_eq!(batch(&world, "another", &asked("download", OID)).await.0, 401);
}
