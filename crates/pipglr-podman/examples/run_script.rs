//! Runs a shell script, read from standard input, in a fresh container over a directory, and tells how long each call
//! took: `run_script SOCKET ROOTFS < script`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks to a terminal"
)]

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use pipglr_podman::{AttachOptions, Client, ContainerSpec, Namespace, OutputKind, RemoveOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(rootfs)) = (arguments.next(), arguments.next()) else {
        return Err("usage: run_script SOCKET ROOTFS < script".into());
    };
    let mut script = Vec::new();
    std::io::stdin().read_to_end(&mut script)?;

    let client = Client::new(socket);
    timed("ping", client.ping()).await?;
    timed("ping again", client.ping()).await?;
    let info = timed("info", client.info()).await?;
    eprintln!(
        "podman {}, cgroup {} {:?}, {}, rootless: {}",
        info.version, info.cgroup_version, info.cgroup_controllers, info.graph_driver, info.rootless
    );

    let spec = ContainerSpec {
        rootfs: Some(rootfs),
        rootfs_overlay: true,
        command: vec!["/bin/sh".to_owned()],
        stdin: true,
        netns: Some(Namespace::none()),
        ..ContainerSpec::default()
    };
    let id = timed("create", client.create(&spec)).await?;
    let result = run(&client, &id, &script).await;
    timed("remove", client.remove(&id, RemoveOptions::NOW)).await?;
    println!("exit code {}", result?);
    Ok(())
}

/// Attaches before the start, so that no output is missed.
async fn run(client: &Client, id: &str, script: &[u8]) -> Result<i32, Box<dyn Error>> {
    let mut attached = timed("attach", client.attach(id, AttachOptions::default())).await?;
    timed("start", client.start(id)).await?;
    let begin = Instant::now();
    let feed = async {
        attached.input.write_all(script).await?;
        attached.input.close().await
    };
    let show = async {
        while let Some(frame) = attached.output.next().await.transpose()? {
            match frame.kind {
                OutputKind::Stdout => std::io::stdout().write_all(&frame.data)?,
                OutputKind::Stderr => std::io::stderr().write_all(&frame.data)?,
            }
        }
        Ok::<(), Box<dyn Error>>(())
    };
    let (fed, shown) = tokio::join!(feed, show);
    fed?;
    shown?;
    eprintln!("{:>10.1?}  script", begin.elapsed());
    timed("wait_process", client.wait_process(id, Duration::from_millis(5))).await?;
    Ok(timed("wait", client.wait(id, &[], Duration::from_millis(20))).await?)
}

async fn timed<T>(what: &str, call: impl Future<Output = T>) -> T {
    let begin = Instant::now();
    let result = call.await;
    eprintln!("{:>10.1?}  {what}", begin.elapsed());
    result
}
