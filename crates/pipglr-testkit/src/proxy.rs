//! A TCP connection between a client and a server that can be cut and healed.

use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// They reach the server.
    Up,
    /// Those that exist are dropped, new ones are reset as soon as they are made.
    Refusing,
    /// Those that exist are dropped, new ones are taken and never answered.
    Blackhole,
}

/// The proxy. Stops when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    link: Arc<watch::Sender<Link>>,
    attempts: watch::Receiver<usize>,
    server: JoinHandle<()>,
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FaultProxy {
    /// Listens on a free port and passes connections on to `upstream`.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port on the loopback interface");
        let address = listener.local_addr().expect("a bound socket has an address");
        let link = Arc::new(watch::Sender::new(Link::Up));
        let (count, attempts) = watch::channel(0);
        let server = tokio::spawn(accept(listener, upstream, link.clone(), count));
        Self {
            address,
            link,
            attempts,
            server,
        }
    }

    /// Base URL of the server as seen through the proxy.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Drops all connections; new ones get nowhere either.
    ///
    /// # Panics
    /// `how` is [`Link::Up`].
    pub fn cut(&self, how: Link) {
        assert_ne!(how, Link::Up, "that is no cut");
        self.link.send_replace(how);
    }

    /// Lets connections through again.
    pub fn heal(&self) {
        self.link.send_replace(Link::Up);
    }

    /// Connections that were tried so far.
    #[must_use]
    pub fn attempts(&self) -> usize {
        *self.attempts.borrow()
    }

    /// Waits until there were `more` tries than at the time of the call.
    pub async fn further_attempts(&self, more: usize) {
        let mut attempts = self.attempts.clone();
        let wanted = self.attempts() + more;
        // Fails only when the proxy is gone, and then nothing will come any more.
        let _ = attempts.wait_for(|count| *count >= wanted).await;
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    link: Arc<watch::Sender<Link>>,
    count: watch::Sender<usize>,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        count.send_modify(|n| *n += 1);
        let mut state = link.subscribe();
        let now = *state.borrow_and_update();
        tokio::spawn(async move {
            match now {
                Link::Refusing => reset(&client),
                Link::Up => {
                    tokio::select! {
                        () = pass(client, upstream) => {}
                        _ = state.changed() => {}
                    }
                }
                Link::Blackhole => {
                    // Held open until the link changes, then dropped.
                    let _ = state.changed().await;
                    drop(client);
                }
            }
        });
    }
}

async fn pass(mut client: TcpStream, upstream: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(upstream).await {
        // However it ends, both sides see it.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}

/// Makes closing the connection a reset instead of an orderly end.
fn reset(client: &TcpStream) {
    // Only worsens the realism if it fails.
    let _ = client.set_zero_linger();
}
