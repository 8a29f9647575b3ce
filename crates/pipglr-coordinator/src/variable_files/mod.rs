//! Files with variables that would be settings of the project, its groups or the instance in GitLab.

mod local;
mod pipglr;

use crate::Error;
use crate::options::{VariableFile, VariableFormat};
use crate::project::Project;
use crate::variables::settings::{Leveled, sort};
use pipglr_ci::{SourceFile, read_values};
use serde_json::Value;
use std::path::Path;

/// What the formats need to know.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// `host/namespace/project.git`, as keys of the home directory's file are compared to.
    address: String,
    home: Option<std::path::PathBuf>,
}

/// Reads all files in their order; one that is not there is passed over.
pub(crate) async fn load(files: &[VariableFile], project: &Project) -> Result<Vec<Leveled>, Error> {
    let host = project.server.as_ref().map_or("", |server| server.fqdn.as_str());
    let address = format!("{host}/{}.git", project.path);
    let mut all = Vec::new();
    for file in files {
        let text = match tokio::fs::read_to_string(&file.path).await {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("read", &file.path)(error)),
        };
        let reader = Reader {
            address: address.clone(),
            home: home_of(file),
        };
        let values = parse(&file.path, text)?;
        let read = match file.format {
            VariableFormat::Pipglr => pipglr::read(&values),
            VariableFormat::LocalProject => reader.project(&values),
            VariableFormat::LocalHome => reader.home(&values),
        };
        all.extend(read.map_err(|problem| Error::Variables {
            path: file.path.clone(),
            problem,
        })?);
    }
    // Among equals the file that came later counts: the sort keeps the order.
    sort(&mut all);
    Ok(all)
}

/// `~` in a file of the home directory is that directory.
fn home_of(file: &VariableFile) -> Option<std::path::PathBuf> {
    match file.format {
        VariableFormat::LocalHome => file.path.parent()?.parent().map(Path::to_owned),
        VariableFormat::Pipglr | VariableFormat::LocalProject => None,
    }
}

fn parse(path: &Path, text: String) -> Result<Value, Error> {
    let source = SourceFile {
        path: path.display().to_string(),
        text,
    };
    read_values(&source).map_err(|rendered| Error::Variables {
        path: path.to_owned(),
        problem: rendered,
    })
}

/// Values are texts: the readers take scalars as they are written.
fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Null => Some(""),
        _ => None,
    }
}
