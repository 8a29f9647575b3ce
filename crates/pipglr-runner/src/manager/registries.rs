//! What the operator wrote down about registries, read for every job anew: podman inside a job goes by it as the engine does.

use crate::containers::EngineSettings;
use crate::job::plan::RegistriesFile;
use std::path::Path;

/// What of a file is about registries. Credential helpers are not: jobs have none of the operator's.
const TOLD: [&str; 2] = ["registry", "unqualified-search-registries"];

/// Files of `registries.conf.d` in their order, as far as they are about registries.
pub(super) fn of_operator(settings: &EngineSettings) -> Vec<RegistriesFile> {
    let Some(directory) = &settings.registries_directory else {
        return Vec::new();
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(path = %directory.display(), %error, "rules about registries cannot be read");
            return Vec::new();
        }
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "conf"))
        .collect();
    names.sort();
    let read = |name: String| {
        let path = directory.join(&name);
        match std::fs::read_to_string(&path)
            .map_err(anyhow::Error::new)
            .and_then(|text| told(&text))
        {
            Ok(content) => content.map(|content| RegistriesFile { name, content }),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "rules about registries do not reach jobs");
                None
            }
        }
    };
    names.into_iter().filter_map(read).collect()
}

/// PEM of the authorities the operator trusts, if there are any.
pub(super) fn certificates(settings: &EngineSettings) -> Option<String> {
    let path = settings.ca_certificates.as_ref()?;
    std::fs::read_to_string(path)
        .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "certificates do not reach podman in jobs"))
        .ok()
}

/// The part of a file that jobs are told, if there is one: the distribution's list of short names is none.
fn told(text: &str) -> anyhow::Result<Option<String>> {
    let mut table: toml::Table = text.parse()?;
    table.retain(|key, _| TOLD.contains(&key));
    Ok(if table.is_empty() {
        None
    } else {
        Some(toml::to_string(&table)?)
    })
}

#[cfg(test)]
mod tests {
    use super::of_operator;
    use crate::containers::EngineSettings;

    #[test]
    fn rules_are_passed_on_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in [
            (
                "20-mirror.conf",
                "# ours\n[[registry]]\nprefix = \"a.example\"\nlocation = \"b.example:5000\"\n",
            ),
            (
                "10-helper.conf",
                "credential-helpers = [\"secret\"]\n[[registry]]\nlocation = \"c.example\"\nblocked = true\n",
            ),
            (
                "000-shortnames.conf",
                "[aliases]\n\"alpine\" = \"docker.io/library/alpine\"\n",
            ),
            ("30-wrong.conf", "[[registry\n"),
            ("readme.txt", "[[registry]]\nlocation = \"d.example\"\n"),
        ] {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        let mut settings = EngineSettings {
            registries_directory: Some(directory.path().to_owned()),
            ..EngineSettings::default()
        };
        let found: Vec<(String, String)> = of_operator(&settings)
            .into_iter()
            .map(|file| (file.name, file.content))
            .collect();
        assert_eq!(
            found,
            [
                (
                    "10-helper.conf",
                    "[[registry]]\nblocked = true\nlocation = \"c.example\"\n"
                ),
                (
                    "20-mirror.conf",
                    "[[registry]]\nlocation = \"b.example:5000\"\nprefix = \"a.example\"\n"
                ),
            ]
            .map(|(name, content)| (name.to_owned(), content.to_owned()))
        );
        settings.registries_directory = Some(directory.path().join("none"));
        assert_eq!(of_operator(&settings), []);
    }
}
