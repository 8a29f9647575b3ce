//! git's configuration outside the repository: certificates, and the job's credentials, which never get into it.
//!
//! The repository's own configuration includes the file, so that the job's scripts can fetch and push. The file lives
//! in the job's temporary directory, which goes away with the job.
//!
//! Compat: gitlab-runner shells/abstract.go (names and content of the files).

use crate::container_side::helper::plan::{GitAccess, SourcesPlan};
use crate::container_side::helper::{PhaseFailed, failed, write_file};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Answers git's question for a password. The token is in the environment of whoever may use it.
const CREDENTIAL_HELPER: &str =
    "!f() { if test \"$1\" = get; then echo username=gitlab-ci-token; echo \"password=$CI_JOB_TOKEN\"; fi; }; f";

/// The files of one job.
#[derive(Debug)]
pub(super) struct Files {
    /// Included by the repository's configuration.
    pub(super) external: PathBuf,
    /// For `git init` and `git clone`.
    pub(super) template: PathBuf,
}

/// Writes the template directory and the external file anew.
pub(super) fn write(plan: &SourcesPlan) -> Result<Files, PhaseFailed> {
    let files = Files {
        external: external_file(&plan.temp_dir),
        template: Path::new(&plan.temp_dir).join("git-template"),
    };
    let write = || -> io::Result<()> {
        match fs::remove_dir_all(&files.template) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::create_dir_all(&files.template)?;
        fs::write(files.template.join("config"), template_config(&files.external))?;
        write_file(&files.external, &external_config(&plan.access))
    };
    write().map_err(|error| failed(&format!("prepare {}: {error}", plan.temp_dir)))?;
    Ok(files)
}

/// Where the external file of a job with this temporary directory is.
pub(crate) fn external_file(temp_dir: &str) -> PathBuf {
    Path::new(temp_dir).join(".gitlab-runner.ext.conf")
}

fn template_config(external: &Path) -> String {
    format!(
        "[init]\n\tdefaultBranch = none\n[fetch]\n\trecurseSubmodules = false\n[credential]\n\tinteractive = never\n\
         [gc]\n\tautoDetach = false\n[include]\n\tpath = {}\n",
        quoted(&external.display().to_string())
    )
}

/// The content of the external file.
pub(crate) fn external_config(access: &GitAccess) -> String {
    let mut text = String::new();
    if access.bundle_uris {
        text.push_str("[transfer]\n\tbundleURI = true\n");
    }
    for host in &access.hosts {
        let host = quoted(host);
        let mut entries = String::new();
        if !access.correlation_id.is_empty() {
            let header = format!("X-Gitaly-Correlation-ID: {}", access.correlation_id);
            entries.push_str(&format!("\textraHeader = {}\n", quoted(&header)));
        }
        let files = [
            ("sslCAInfo", &access.tls.ca_file),
            ("sslCert", &access.tls.cert_file),
            ("sslKey", &access.tls.key_file),
        ];
        for (key, file) in files {
            if let Some(file) = file {
                entries.push_str(&format!("\t{key} = {}\n", quoted(file)));
            }
        }
        if !entries.is_empty() {
            text.push_str(&format!("[http {host}]\n{entries}"));
        }
        if access.credential_helper {
            // The empty entry forgets every helper configured before.
            text.push_str(&format!(
                "[credential {host}]\n\thelper =\n\thelper = {}\n",
                quoted(CREDENTIAL_HELPER)
            ));
        }
    }
    for rule in &access.url_rules {
        text.push_str(&format!(
            "[url {}]\n\tinsteadOf = {}\n",
            quoted(rule.with_credentials.expose()),
            quoted(&rule.plain)
        ));
    }
    text
}

/// A value as git's configuration quotes it.
fn quoted(value: &str) -> String {
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn urls_cannot_break_out_of_the_configuration() {
        assert_eq!(quoted("http://a:b@h/x"), "\"http://a:b@h/x\"");
        assert_eq!(quoted("a\"]\n[core]\\"), "\"a\\\"]\\n[core]\\\\\"");
    }
}
