//! A container registry on loopback.

use crate::HOST_LOOPBACK;
use anyhow::Context as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running registry; ends with this value.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    /// Starts one that keeps its images in `directory`.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(directory: &Path) -> anyhow::Result<Self> {
        let registry = Self::launch(directory, "config.yml", "")?;
        registry.wait_until_up()?;
        Ok(registry)
    }

    /// Starts another one for the same images, which speaks TLS.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start_with_tls(directory: &Path, certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let tls = format!(
            "  tls:\n    certificate: {}\n    key: {}\n",
            certificate.display(),
            key.display()
        );
        let registry = Self::launch(directory, "config-tls.yml", &tls)?;
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(error) = TcpStream::connect(("127.0.0.1", registry.port)) {
            anyhow::ensure!(Instant::now() < deadline, "the registry does not come up: {error}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(registry)
    }

    fn launch(directory: &Path, config: &str, more: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = directory.join(config);
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: 127.0.0.1:{port}\n{more}",
            directory.join("data").display()
        );
        fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
        let log = fs::File::create(config.with_extension("log"))?;
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start docker-registry")?;
        Ok(Self { child, port })
    }

    /// `host:port` on this machine.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `host:port` from inside containers.
    #[must_use]
    pub fn address_inside(&self) -> String {
        format!("{HOST_LOOPBACK}:{}", self.port)
    }

    /// Whether the registry has `repository:tag`.
    ///
    /// # Errors
    /// It does not answer.
    pub fn has(&self, repository: &str, tag: &str) -> anyhow::Result<bool> {
        let answer = self.get(&format!("/v2/{repository}/manifests/{tag}"))?;
        Ok(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"))
    }

    fn wait_until_up(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.get("/v2/") {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error.context("the registry does not come up")),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
