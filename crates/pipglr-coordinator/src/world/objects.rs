//! Many files of one repository through one git process.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// `git cat-file --batch`, as long as this lives.
#[derive(Debug)]
pub(super) struct Objects {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Objects {
    pub(super) fn open(repository: &Path) -> io::Result<Self> {
        let mut child = crate::git::plain_command(repository)
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdin = child.stdin.take().ok_or_else(|| io::Error::other("no stdin"))?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no stdout"))?;
        Ok(Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
        })
    }

    /// The content of a file of a commit; `None` if there is no such file.
    pub(super) fn blob(&mut self, sha: &str, path: &str) -> io::Result<Option<Vec<u8>>> {
        // A line is one question.
        if path.contains('\n') {
            return Ok(None);
        }
        writeln!(self.stdin, "{sha}:{path}")?;
        self.stdin.flush()?;
        let mut header = String::new();
        self.stdout.read_line(&mut header)?;
        let facts: Vec<&str> = header.trim_end().rsplitn(3, ' ').collect();
        // `<id> <kind> <size>`, or `<question> missing` and the like.
        let Some(size) = facts.first().and_then(|size| size.parse::<u64>().ok()) else {
            return if header.is_empty() {
                Err(io::Error::other("git ended"))
            } else {
                Ok(None)
            };
        };
        let is_file = facts.get(1) == Some(&"blob");
        let mut content = Vec::new();
        (&mut self.stdout).take(size).read_to_end(&mut content)?;
        self.stdout.read_exact(&mut [0])?;
        Ok(is_file.then_some(content))
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // It ends by itself when its input does; nothing is lost by not waiting for that.
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            tracing::debug!(%error, "git cat-file was not ended");
        }
    }
}
