//! Dials ports of a job's services from inside the job's network, until they answer.

use super::notice;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// A connection that takes longer is tried anew.
const LONGEST_TRY: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Writes the number of each target on a line of its own as soon as one of its ports accepts a connection; gives 0 if
/// all did within `limit`. A target is written `HOST:PORT[,PORT…]`.
pub async fn run(targets: &[String], limit: Duration) -> i32 {
    let probes = targets.iter().enumerate().map(|(number, target)| async move {
        match parse(target) {
            Some((host, ports)) => until_open(host, &ports).await,
            None => {
                notice::error(&format!("{target:?} is not HOST:PORT[,PORT…]"));
                return std::future::pending().await;
            }
        }
        notice::say(&format!("{number}\n"));
    });
    match timeout(limit, futures_util::future::join_all(probes)).await {
        Ok(_) => 0,
        Err(_) => 1,
    }
}

fn parse(target: &str) -> Option<(&str, Vec<u16>)> {
    let (host, ports) = target.rsplit_once(':')?;
    let ports = ports.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    Some((host, ports))
}

/// All ports at once, again and again; one is enough.
pub async fn until_open(host: &str, ports: &[u16]) {
    let mut pause = FIRST_PAUSE;
    loop {
        let tries = ports.iter().map(|port| {
            Box::pin(async move {
                match timeout(LONGEST_TRY, TcpStream::connect((host, *port))).await {
                    Ok(connected) => connected.map(drop),
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                }
            })
        });
        if !ports.is_empty() && futures_util::future::select_ok(tries).await.is_ok() {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, until_open};
    use tokio::net::TcpListener;

    #[test]
    fn targets_are_read() {
        assert_eq!(parse("db:5432"), Some(("db", vec![5432])));
        assert_eq!(parse("0123456789ab:80,443"), Some(("0123456789ab", vec![80, 443])));
        for wrong in ["db", "db:", "db:x", "db:70000"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn one_open_port_is_enough_however_late() {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = first.local_addr().unwrap();
        drop(first);
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = open.local_addr().unwrap().port();
        until_open("127.0.0.1", &[closed.port(), port]).await;

        let late = async {
            tokio::task::yield_now().await;
            TcpListener::bind(closed).await.unwrap()
        };
        let ports = [closed.port()];
        let (_listener, ()) = tokio::join!(late, until_open("127.0.0.1", &ports));
    }
}
