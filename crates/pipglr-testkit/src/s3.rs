//! S3, by a server that is somebody else's.

use anyhow::Context as _;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use std::path::Path;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The one pair of keys, and the one bucket.
pub const ACCESS_KEY: &str = "an-access-key";
pub const SECRET_KEY: &str = "the/secret+key";
pub const BUCKET: &str = "bucket";

/// A server on loopback; ends with this value.
#[derive(Debug)]
pub struct S3Server {
    address: String,
    server: JoinHandle<()>,
}

impl S3Server {
    /// Listens. Objects are files below `root`, which is an empty directory.
    ///
    /// # Errors
    /// The directory cannot be used, or there is no free port.
    pub async fn start(root: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir(root.join(BUCKET)).context("make the bucket")?;
        let files =
            s3s_fs::FileSystem::new(root).map_err(|error| anyhow::anyhow!("the bucket cannot be served: {error:?}"))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (io, service) = (hyper_util::rt::TokioIo::new(stream), service.clone());
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
            }
        });
        Ok(Self { address, server })
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.server.abort();
    }
}
