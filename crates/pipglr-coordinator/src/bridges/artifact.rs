//! Files of child pipelines that a job made.

use super::include::Root;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Compat: GitLab lib/gitlab/ci/artifact_file_reader.rb `MAX_ARCHIVE_SIZE`, here the limit of the file itself.
const LIMIT: u64 = 5 << 20;

/// Reads the files that are in archives; the message of what could not be read.
pub(super) async fn read_all(roots: Vec<Root>) -> Result<Vec<Root>, String> {
    let reading = tokio::task::spawn_blocking(move || roots.into_iter().map(read).collect());
    reading.await.map_err(|error| error.to_string())?
}

fn read(root: Root) -> Result<Root, String> {
    let Root::Artifact {
        job,
        path,
        inputs,
        archive,
    } = root
    else {
        return Ok(root);
    };
    match extract(&archive, &path) {
        Ok(text) => Ok(Root::Text {
            name: format!("{path} of job {job}"),
            text,
            inputs,
        }),
        Err(error) => Err(format!(
            "{path} cannot be read from the artifacts of job {job}: {error}"
        )),
    }
}

fn extract(archive: &Path, path: &str) -> io::Result<String> {
    let mut archive = zip::ZipArchive::new(File::open(archive)?)?;
    let entry = archive.by_name(path.trim_start_matches("./"))?;
    let mut text = String::new();
    let read = entry.take(LIMIT + 1).read_to_string(&mut text)?;
    if read as u64 > LIMIT {
        return Err(io::Error::other("it is longer than 5 MiB"));
    }
    Ok(text)
}
