//! A release of gitlab-runner on loopback, laid out as on GitLab's download site.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// Serves `program` as release `version` for both architectures until this process ends; gives the base URL.
///
/// # Errors
/// No port can be had.
pub fn serve(version: &str, program: Vec<u8>, sha256: String) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let release = Release {
        directory: format!("/v{version}"),
        program,
        sha256,
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that went away needs no answer.
            let _ = release.answer(stream);
        }
    });
    Ok(url)
}

struct Release {
    directory: String,
    program: Vec<u8>,
    sha256: String,
}

impl Release {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = [0; 4096];
        let read = stream.read(&mut request)?;
        let text = String::from_utf8_lossy(&request[..read]);
        let path = text.split(' ').nth(1).unwrap_or_default();
        let body = path.strip_prefix(&self.directory).and_then(|file| self.file(file));
        let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
        let body = body.unwrap_or_default();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )?;
        stream.write_all(&body)
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        let programs = ["amd64", "arm64"].map(|arch| format!("binaries/gitlab-runner-linux-{arch}"));
        match name.strip_prefix('/')? {
            "release.sha256" => Some(
                programs
                    .map(|p| format!("{} *{p}\n", self.sha256))
                    .concat()
                    .into_bytes(),
            ),
            other => programs.iter().any(|p| p == other).then(|| self.program.clone()),
        }
    }
}
