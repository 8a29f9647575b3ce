//! Web terminals, reached through a published port as GitLab reaches them.

use crate::stage::{Project, Stage, contains, job, log, wait_for};
use anyhow::{Context as _, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use pipglr_coordinator::JobState;
use pipglr_protocol::job_request::SessionInfo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Nothing that is shown takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

const CONFIGURATION: &str = "default: { image: '@SMALL@' }
variables: { GIT_STRATEGY: none }
held:
  variables: { COLOUR: blue }
  script:
    - sleep 1000 &
    - 'echo working; while [ ! -e /tmp/go ]; do sleep 0.1; done'
    - echo went on
  after_script: ['test -e /tmp/from-the-terminal && echo seen $?']
";

/// Opens a shell beside a script, lets the script go on from there, and is still there when it has ended.
pub(crate) fn in_a_running_job(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(CONFIGURATION)?;
    start_runner(stage, &project)?;
    let id = stage.begin_pipeline(&project)?;
    let info = wait_for("a session", Duration::from_secs(60), || {
        let pipeline = project.coordinator.pipeline(id).context("the pipeline")?;
        Ok(project.coordinator.session(job(&pipeline, "held")?.id))
    })?;
    let path = project.coordinator.project_path();
    let mut client = stage.runtime.block_on(while_the_script_runs(&info, path))?;
    wait_for("the script to end", Duration::from_secs(60), || {
        let pipeline = project.coordinator.pipeline(id).context("the pipeline")?;
        let text = log(job(&pipeline, "held")?)?;
        let opened = text.contains("Terminal is connected, will time out in 30m0s...");
        Ok(opened.then_some(()))
    })?;
    stage.runtime.block_on(when_the_script_has_ended(&mut client))?;
    let pipeline = stage.wait_pipeline(&project, id)?;
    let held = job(&pipeline, "held")?;
    let text = log(held)?;
    ensure!(held.state == JobState::Success, "{text}");
    for part in ["\nwent on\n", "\nseen 0\n", "Terminal disconnected\n", "Job succeeded"] {
        contains(&text, part)?;
    }
    Ok(())
}

/// A runner whose session server is reached through a published port.
fn start_runner(stage: &Stage, project: &Project) -> anyhow::Result<()> {
    stage.register(project, &[])?;
    // A port that is free now.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let server =
        format!("[session_server]\nlisten_address = \"0.0.0.0:8093\"\nadvertise_address = \"127.0.0.1:{port}\"\n");
    let text = std::fs::read_to_string(stage.account.home().join("config.toml"))?;
    // Before the first table.
    let at = text.find('[').context("a table in config.toml")?;
    let text = format!("{}{server}{}", &text[..at], &text[at..]);
    stage.account.write("config.toml", &text)?;
    for name in ["setupconfig", "setupstorage", "setupcache"] {
        stage.label(name, &[])?;
    }
    let options = format!("-p 127.0.0.1:{port}:8093");
    stage.label("run", &[("PIPGLR_OPTIONS", &options)])?;
    stage.wait_until_healthy()
}

/// Looks around beside the script, and lets it go on.
async fn while_the_script_runs(info: &SessionInfo, project: &str) -> anyhow::Result<Client> {
    let stranger = SessionInfo {
        authorization: "0".repeat(64).as_str().into(),
        ..info.clone()
    };
    let refused = Client::connect(&stranger).await?;
    ensure!(matches!(refused, Err(401)), "a stranger is let in");
    let Ok(mut client) = Client::connect(info).await? else {
        bail!("the terminal is refused");
    };
    client
        .command("echo \"$COLOUR $(stty size) $(tty) $PWD $CI_JOB_NAME \"end")
        .await?;
    let shown = client.read_until(" end\r\n").await?;
    let expected = format!(" /builds/{project} held end\r\n");
    ensure!(
        shown.contains("blue 24 80 /dev/pts/") && shown.ends_with(&expected),
        "{shown}"
    );
    let Err(status) = Client::connect(info).await? else {
        bail!("two are connected at the same time");
    };
    ensure!(status == 423, "{status}");
    client
        .command("sleep 999 & touch /tmp/from-the-terminal /tmp/go")
        .await?;
    Ok(client)
}

/// What the script started is gone, the terminal and what it started are not.
async fn when_the_script_has_ended(client: &mut Client) -> anyhow::Result<()> {
    client
        .command("grep -ls sleep /proc/[0-9]*/cmdline | xargs cat | tr '\\0' ' '; echo all\" \"shown")
        .await?;
    let shown = client.read_until("all shown\r\n").await?;
    ensure!(shown.contains("sleep 999") && !shown.contains("sleep 1000"), "{shown}");
    client.command("exit").await?;
    client.closed().await
}

/// Somebody at a web terminal.
struct Client(WebSocketStream<TlsStream<TcpStream>>);

impl Client {
    /// Connects as GitLab does; the inner error is the status of a refusal.
    async fn connect(info: &SessionInfo) -> anyhow::Result<Result<Self, u16>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(info.certificate.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let url = format!("{}/exec", info.url.replace("https://", "wss://"));
        let mut request = url.into_client_request()?;
        let address = request.uri().authority().context("an authority")?.to_string();
        let host = ServerName::try_from(address.split(':').next().unwrap_or_default().to_owned())?;
        let headers = request.headers_mut();
        headers.insert("authorization", info.authorization.expose().parse()?);
        headers.insert("sec-websocket-protocol", "terminal.gitlab.com".parse()?);
        let stream = TcpStream::connect(&address).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(host, stream).await?;
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Ok(Self(socket))),
            Err(Error::Http(response)) => Ok(Err(response.status().as_u16())),
            Err(error) => Err(error.into()),
        }
    }

    async fn command(&mut self, line: &str) -> anyhow::Result<()> {
        self.0.send(Message::binary(format!("{line}\n").into_bytes())).await?;
        Ok(())
    }

    async fn next(&mut self) -> anyhow::Result<Message> {
        let message = tokio::time::timeout(PATIENCE, self.0.next())
            .await
            .context("nothing is shown")?;
        Ok(message.context("the connection has ended")??)
    }

    /// What is shown until it ends like this.
    async fn read_until(&mut self, end: &str) -> anyhow::Result<String> {
        let mut text = String::new();
        while !text.contains(end) {
            match self.next().await.with_context(|| format!("after {text:?}"))? {
                Message::Binary(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                Message::Ping(_) => {}
                other => bail!("{other:?} after {text:?}"),
            }
        }
        let end = text.find(end).unwrap_or_default() + end.len();
        text.truncate(end);
        Ok(text)
    }

    async fn closed(&mut self) -> anyhow::Result<()> {
        while !self.next().await?.is_close() {}
        Ok(())
    }
}
