//! Credentials of registries the operator wrote down, read for every job anew.
//!
//! Compat: gitlab-runner helpers/docker/auth/auth.go (which files, in which order).

use crate::containers::EngineSettings;
use crate::job::plan::RegistryAuth;
use pipglr_protocol::Secret;
use std::io;

/// `DOCKER_AUTH_CONFIG` of this process, then the first file of its account there is.
pub(super) fn of_operator(settings: &EngineSettings) -> Vec<RegistryAuth> {
    let mut all = Vec::new();
    if let Some(content) = &settings.docker_auth_config {
        all.push(RegistryAuth {
            origin: "DOCKER_AUTH_CONFIG of the runner".to_owned(),
            content: content.clone(),
        });
    }
    let home = settings.home.as_deref();
    let files = home
        .into_iter()
        .flat_map(|home| [".docker/config.json", ".dockercfg"].map(|name| home.join(name)));
    for path in files {
        match std::fs::read_to_string(&path) {
            Ok(content) => {
                all.push(RegistryAuth {
                    origin: path.display().to_string(),
                    content: Secret::new(content),
                });
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "credentials of registries cannot be read"),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::of_operator;
    use crate::containers::EngineSettings;
    use pipglr_protocol::Secret;

    #[test]
    fn the_first_file_there_is_counts() {
        let home = tempfile::tempdir().unwrap();
        let mut settings = EngineSettings {
            home: Some(home.path().to_owned()),
            ..EngineSettings::default()
        };
        let contents = |settings: &EngineSettings| -> Vec<String> {
            of_operator(settings)
                .iter()
                .map(|auth| auth.content.expose().to_owned())
                .collect()
        };
        assert_eq!(contents(&settings), Vec::<String>::new());
        std::fs::write(home.path().join(".dockercfg"), "old").unwrap();
        assert_eq!(contents(&settings), ["old"]);
        std::fs::create_dir(home.path().join(".docker")).unwrap();
        std::fs::write(home.path().join(".docker/config.json"), "new").unwrap();
        settings.docker_auth_config = Some(Secret::new("environment"));
        assert_eq!(contents(&settings), ["environment", "new"]);
        let origins: Vec<String> = of_operator(&settings).into_iter().map(|auth| auth.origin).collect();
        let file = home.path().join(".docker/config.json").display().to_string();
        assert_eq!(origins, ["DOCKER_AUTH_CONFIG of the runner".to_owned(), file]);
    }
}
