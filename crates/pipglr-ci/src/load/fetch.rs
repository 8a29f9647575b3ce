//! The texts of included files, and GitLab's words when there is none.
//!
//! Compat: GitLab lib/gitlab/ci/config/external/file/.

use super::include::reason;
use super::location::{Location, Target, is_url};
use super::{File, Loader, MAX_TOTAL_SIZE, is_blank};
use crate::diagnostics::{Placed, Span};
use crate::keywords::{closest_of, did_you_mean};
use crate::{Component, FetchError, Origin};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// A file's text with where it came from.
struct Found {
    /// As messages call it.
    label: String,
    text: String,
    origin: Origin,
    component: Option<Component>,
}

/// Why there is none.
struct Failure {
    message: String,
    hint: Option<String>,
    /// Where what is wrong is written, if not at the location.
    place: Option<Span>,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            message,
            hint: None,
            place: None,
        }
    }

    fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
            place: None,
        }
    }
}

impl Loader<'_, '_> {
    /// The file a location asks for, opened. What is wrong is reported at the location.
    pub(super) fn fetched(&mut self, location: &mut Location, by: &File) -> Option<File> {
        let found = match self.find(&location.target, &by.origin) {
            Ok(found) => found,
            Err(failure) => {
                let span = failure.place.unwrap_or(location.span);
                self.failed(span, &failure.message, failure.hint);
                return None;
            }
        };
        self.bytes = self.bytes.saturating_add(found.text.len());
        if self.bytes > MAX_TOTAL_SIZE {
            self.failed(
                location.span,
                "Total size of combined CI/CD configuration is too big",
                None,
            );
            self.stopped = true;
            return None;
        }
        let label = self.variables.mask(&found.label);
        let id = self.open(&label, found.text, location.span);
        Some(File {
            id,
            label,
            origin: found.origin,
            component: found.component,
            given: location.given(),
        })
    }

    fn find(&self, target: &Target, origin: &Origin) -> Result<Found, Failure> {
        match target {
            Target::Local(path) | Target::Wildcard(path) => self.local(path, origin),
            Target::Project {
                project,
                file,
                reference,
            } => self.project(project, file, reference.as_ref()),
            Target::Remote { url, integrity } => self.remote(url, integrity.as_deref()),
            Target::Template(name) => self.template(name),
            Target::Component(address) => self.component(address),
        }
    }

    fn local(&self, path: &str, origin: &Origin) -> Result<Found, Failure> {
        let path = path.trim_start_matches('/');
        check_extension(path)?;
        if *origin == Origin::Nowhere {
            let hint = "a file of no project cannot include local files; use `remote`, `project` or `template`";
            return Err(Failure::with_hint(
                format!("Local file `{path}` does not have project!"),
                hint,
            ));
        }
        let text = self.request.world.local(origin, path).map_err(|error| Failure {
            message: format!("Local file `{path}` does not exist!"),
            hint: reason(&error).or_else(|| Some(self.where_to_look(origin, path))),
            place: None,
        })?;
        if is_blank(&text) {
            return Err(Failure::new(format!("Local file `{path}` is empty!")));
        }
        let label = match origin {
            Origin::Other { project, .. } => format!("{project}:{path}"),
            Origin::Project | Origin::Nowhere => path.to_owned(),
        };
        Ok(Found {
            label,
            text,
            origin: origin.clone(),
            component: None,
        })
    }

    /// Names a file whose path is nearly the one that is not there.
    fn where_to_look(&self, origin: &Origin, path: &str) -> String {
        let paths = self.request.world.paths(origin).unwrap_or_else(|_| [].into());
        let yaml = paths
            .iter()
            .map(String::as_str)
            .filter(|path| check_extension(path).is_ok());
        let same_name = |other: &&str| other.rsplit('/').next() == path.rsplit('/').next();
        match closest_of(path, yaml.clone()).or_else(|| yaml.clone().find(same_name)) {
            Some(close) => did_you_mean(close),
            None => "paths start at the top of the repository, and only committed files count".to_owned(),
        }
    }

    fn project(
        &self,
        project: &Placed<String>,
        file: &str,
        reference: Option<&Placed<String>>,
    ) -> Result<Found, Failure> {
        // Compat: the project is looked up and named in lower case.
        let name = project.value.to_lowercase();
        let file = file.trim_start_matches('/');
        check_extension(file)?;
        let text = reference.map(|reference| reference.value.as_str());
        let origin = self.request.world.project(&name, text).map_err(|error| {
            let hint = reason(&error);
            match error {
                FetchError::NoReference => Failure {
                    message: format!(
                        "Project `{name}` reference `{}` does not exist!",
                        text.unwrap_or("HEAD")
                    ),
                    hint: Some("a ref is a branch, a tag or a commit of that project".to_owned()),
                    place: reference.map(|reference| reference.span),
                },
                _ => Failure {
                    message: format!(
                        "Project `{name}` not found or access denied! Make sure any includes in the pipeline \
                         configuration are correctly defined."
                    ),
                    hint,
                    place: Some(project.span),
                },
            }
        })?;
        let text = self.request.world.local(&origin, file).map_err(|error| Failure {
            message: format!("Project `{name}` file `{file}` does not exist!"),
            hint: reason(&error).or_else(|| Some(self.where_to_look(&origin, file))),
            place: None,
        })?;
        if is_blank(&text) {
            return Err(Failure::new(format!("Project `{name}` file `{file}` is empty!")));
        }
        Ok(Found {
            label: format!("{name}:{file}"),
            text,
            origin,
            component: None,
        })
    }

    fn remote(&self, url: &str, integrity: Option<&str>) -> Result<Found, Failure> {
        check_extension(url.split(['?', '#']).next().unwrap_or(url)).or_else(|_| check_extension(url))?;
        if !is_url(url) {
            let hint = "write a whole address, starting with `https://`";
            return Err(Failure::with_hint(
                format!("Remote file `{url}` does not have a valid address!"),
                hint,
            ));
        }
        let text = self.request.world.remote(url).map_err(|error| {
            let why = match &error {
                FetchError::Status(code) => format!("HTTP code `{code}` error"),
                FetchError::TimedOut => "a timeout error".to_owned(),
                FetchError::Unavailable(_) => "a socket error".to_owned(),
                FetchError::Missing | FetchError::NoProject | FetchError::Refused(_) | FetchError::NoReference => {
                    "HTTP error".to_owned()
                }
            };
            Failure {
                message: format!("Remote file `{url}` could not be fetched because of {why}!"),
                hint: reason(&error),
                place: None,
            }
        })?;
        check_not_empty(url, &text)?;
        let digest = STANDARD.encode(Sha256::digest(text.as_bytes()));
        if integrity.is_some_and(|integrity| integrity != digest) {
            let message = format!("File integrity check failed for remote file `{url}`!");
            return Err(Failure::with_hint(
                message,
                format!("the file that came is sha256-{digest}"),
            ));
        }
        Ok(Found {
            label: url.to_owned(),
            text,
            origin: Origin::Nowhere,
            component: None,
        })
    }

    fn template(&self, name: &str) -> Result<Found, Failure> {
        check_extension(name)?;
        if !name.ends_with(".gitlab-ci.yml") {
            let hint = "names of templates end with `.gitlab-ci.yml`";
            return Err(Failure::with_hint(
                format!("Template file `{name}` is not a valid location!"),
                hint,
            ));
        }
        let text = self.request.world.template(name).map_err(|error| Failure {
            message: format!("Included file `{name}` is empty or does not exist!"),
            hint: reason(&error),
            place: None,
        })?;
        check_not_empty(name, &text)?;
        Ok(Found {
            label: name.to_owned(),
            text,
            origin: Origin::Nowhere,
            component: None,
        })
    }

    fn component(&self, address: &str) -> Result<Found, Failure> {
        if !address.contains('@') {
            return Err(Failure::with_hint(
                format!("component '{address}' - the component path is not supported"),
                "an address is HOST/PROJECT/NAME@VERSION",
            ));
        }
        let failed = |hint: &str| Failure::with_hint(format!("component '{address}' - content not found"), hint);
        let component = self.request.world.component(address).map_err(|error| match &error {
            FetchError::Unavailable(why) | FetchError::Refused(why) => failed(why),
            FetchError::NoProject => failed("there is no such project"),
            FetchError::NoReference => {
                failed("the project has no such version: a version is a tag, a branch or a commit")
            }
            _ => failed("the file is `templates/NAME.yml` or `templates/NAME/template.yml` of the project"),
        })?;
        if is_blank(&component.file.text) {
            return Err(failed("the file is empty"));
        }
        Ok(Found {
            label: address.to_owned(),
            text: component.file.text.clone(),
            origin: component.file.origin.clone(),
            component: Some(component),
        })
    }
}

/// Compat: `Base::YAML_ALLOWLIST_EXTENSION`.
fn check_extension(path: &str) -> Result<(), Failure> {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    if stem.is_some_and(|stem| !stem.is_empty()) {
        return Ok(());
    }
    let hint = "only names that end with `.yml` or `.yaml` are included";
    Err(Failure::with_hint(
        format!("Included file `{path}` does not have YAML extension!"),
        hint,
    ))
}

fn check_not_empty(name: &str, text: &str) -> Result<(), Failure> {
    if is_blank(text) {
        return Err(Failure::new(format!(
            "Included file `{name}` is empty or does not exist!"
        )));
    }
    Ok(())
}
