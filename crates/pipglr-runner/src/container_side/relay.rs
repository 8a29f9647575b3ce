//! The way from a job's container to a coordinator that listens on the loopback of the machine outside.
//!
//! A container has a loopback of its own. The engine mounts a socket into it; here somebody listens at the coordinator's
//! address inside and passes every connection on to that socket. So one URL is good on both sides, whatever the network
//! of the container is, and nothing listens where others could reach it.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::sleep;

/// Where the engine mounts the socket.
pub const SOCKET_INSIDE: &str = "/.pipglr/coordinator.sock";

/// Listens on `port` of this container's loopback for as long as the process lives.
///
/// # Errors
/// The port is taken, or there can be no thread.
pub fn serve_inside(port: u16) -> io::Result<()> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // A thread of its own: git and archives keep the process's other one busy.
    std::thread::Builder::new().name("relay".to_owned()).spawn(move || {
        runtime.block_on(async {
            match TcpListener::from_std(listener) {
                Ok(listener) => pass_on(&listener, Path::new(SOCKET_INSIDE)).await,
                Err(error) => super::notice::warning(&format!("the coordinator cannot be reached: {error}")),
            }
        });
    })?;
    Ok(())
}

/// Before the next try, when no connection could be taken: most likely files or memory are short for a moment.
const RETRY: Duration = Duration::from_millis(100);

async fn pass_on(listener: &TcpListener, socket: &Path) {
    loop {
        // A connection that failed before it was taken is its maker's business.
        let Ok((from, _)) = listener.accept().await else {
            sleep(RETRY).await;
            continue;
        };
        let socket = socket.to_owned();
        tokio::spawn(async move { connect(from, UnixStream::connect(&socket).await).await });
    }
}

/// The other end, outside: passes every connection of `listener` on to `port` of the loopback. Never comes back.
pub async fn serve_outside(listener: UnixListener, port: u16) -> std::convert::Infallible {
    loop {
        let Ok((from, _)) = listener.accept().await else {
            sleep(RETRY).await;
            continue;
        };
        tokio::spawn(async move { connect(from, TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await).await });
    }
}

/// Passes on what either end says, until both have ended; both see how.
async fn connect(mut from: impl AsyncRead + AsyncWrite + Unpin, to: io::Result<impl AsyncRead + AsyncWrite + Unpin>) {
    if let Ok(mut to) = to {
        let _ended = tokio::io::copy_bidirectional(&mut from, &mut to).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{pass_on, serve_outside};
    use std::net::Ipv4Addr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream, UnixListener};

    async fn listen() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[tokio::test]
    async fn what_is_said_inside_is_heard_outside_and_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("coordinator.sock");
        let (coordinator, outside) = listen().await;
        let (listener, inside) = listen().await;
        let socket = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move { serve_outside(socket, outside).await });
        tokio::spawn(async move { pass_on(&listener, &path).await });
        let answers = tokio::spawn(async move {
            for _ in 0..2 {
                let (mut connection, _) = coordinator.accept().await.unwrap();
                let mut question = String::new();
                connection.read_to_string(&mut question).await.unwrap();
                connection.write_all(question.to_uppercase().as_bytes()).await.unwrap();
            }
        });
        for question in ["one", "two"] {
            let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, inside)).await.unwrap();
            connection.write_all(question.as_bytes()).await.unwrap();
            connection.shutdown().await.unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, question.to_uppercase());
        }
        answers.await.unwrap();
    }
}
