//! A GitLab behind TLS whose certificate only its operator knows.

use anyhow::Context as _;
use pipglr_e2e::HOST_LOOPBACK;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// Speaks TLS, and hands on what is said to a server that does not.
pub(crate) struct Front {
    port: u16,
    /// Ends with it.
    _runtime: Runtime,
}

impl Front {
    /// In front of the server at `behind`, a URL of this machine.
    pub(crate) fn before(behind: &str, certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        Self::at(0, behind, certificate, key)
    }

    /// The same address, with another certificate.
    pub(crate) fn instead(self, behind: &str, certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let own = self.port;
        drop(self);
        Self::at(own, behind, certificate, key)
    }

    fn at(own: u16, behind: &str, certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let port: u16 = behind.rsplit(':').next().context("a port")?.trim_matches('/').parse()?;
        let acceptor = acceptor(certificate, key)?;
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", own)))?;
        let own = listener.local_addr()?.port();
        runtime.spawn(serve(listener, acceptor, port));
        Ok(Self {
            port: own,
            _runtime: runtime,
        })
    }

    /// As containers know it.
    pub(crate) fn url(&self) -> String {
        format!("https://{HOST_LOOPBACK}:{}", self.port)
    }
}

fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(certificate)?],
            PrivateKeyDer::from_pem_file(key)?,
        )?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, port: u16) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // Who does not trust it hangs up.
            let mut outside = acceptor.accept(stream).await?;
            let mut inside = TcpStream::connect(("127.0.0.1", port)).await?;
            tokio::io::copy_bidirectional(&mut outside, &mut inside).await
        });
    }
}
