//! The instance, the project and the person. Compat: GitLab app/models/project.rb `predefined_variables`.

use super::Facts;
use super::list::List;
use crate::payload::PROJECT_ID;
use crate::project::Project;
use crate::url::ExternalUrl;
use pipglr_ci::slugify;

/// The GitLab version whose behaviour is followed.
const SERVER_VERSION: [&str; 3] = ["19", "4", "0"];

pub(super) fn server(facts: &Facts<'_>, list: &mut List) {
    let url = facts.server();
    let [major, minor, patch] = SERVER_VERSION;
    list.add("CI", "true");
    list.add("GITLAB_CI", "true");
    list.add("CI_SERVER_FQDN", &url.fqdn);
    list.add("CI_SERVER_URL", &url.base);
    list.add("CI_SERVER_HOST", &url.host);
    list.add("CI_SERVER_PORT", url.port.to_string());
    list.add("CI_SERVER_PROTOCOL", &url.protocol);
    list.add("CI_SERVER_NAME", "GitLab");
    list.add("CI_SERVER_VERSION", SERVER_VERSION.join("."));
    list.add("CI_SERVER_VERSION_MAJOR", major);
    list.add("CI_SERVER_VERSION_MINOR", minor);
    list.add("CI_SERVER_VERSION_PATCH", patch);
    list.add("CI_SERVER_REVISION", concat!("pipglr-", env!("CARGO_PKG_VERSION")));
    list.add("GITLAB_FEATURES", "");
    let (ssh_host, ssh_port) = facts.project.ssh.clone().unwrap_or_else(|| (url.host.clone(), 22));
    list.add("CI_SERVER_SHELL_SSH_HOST", ssh_host);
    list.add("CI_SERVER_SHELL_SSH_PORT", ssh_port.to_string());
    list.add("CI_TEMPLATE_REGISTRY_HOST", "registry.gitlab.com");
    list.add("CI_API_V4_URL", format!("{}/api/v4", url.base));
    list.add("CI_API_GRAPHQL_URL", format!("{}/api/graphql", url.base));
}

pub(super) fn project(facts: &Facts<'_>, list: &mut List) {
    let project = facts.project;
    list.add("CI_PROJECT_ID", PROJECT_ID.to_string());
    list.add("CI_PROJECT_NAME", project.name());
    list.add("CI_PROJECT_TITLE", project.name());
    list.add("CI_PROJECT_DESCRIPTION", "");
    list.add("CI_PROJECT_TOPICS", "");
    list.add("CI_PROJECT_PATH", &project.path);
    list.add("CI_PROJECT_PATH_SLUG", slugify(&project.path));
    list.add("CI_PROJECT_NAMESPACE", project.namespace());
    list.add("CI_PROJECT_NAMESPACE_SLUG", slugify(project.namespace()));
    list.add("CI_PROJECT_NAMESPACE_ID", "1");
    list.add("CI_PROJECT_ROOT_NAMESPACE", project.root_namespace());
    list.add("CI_PROJECT_URL", format!("{}/{}", facts.server().base, project.path));
    list.add("CI_PROJECT_VISIBILITY", "private");
    list.add("CI_PROJECT_REPOSITORY_LANGUAGES", "");
    list.add("CI_PROJECT_CLASSIFICATION_LABEL", "");
    list.add("CI_DEFAULT_BRANCH", &project.default_branch);
    list.add("CI_DEFAULT_BRANCH_SLUG", slugify(&project.default_branch));
    list.add("CI_CONFIG_PATH", &project.config_path);
    if project.is_local {
        list.add("PIPGLR_LOCAL", "true");
    }
    if let Some(server) = &project.server {
        registry(project, server, list);
    }
}

/// Addresses that follow from the instance's.
fn registry(project: &Project, server: &ExternalUrl, list: &mut List) {
    let registry = format!("registry.{}", server.host);
    list.add(
        "CI_REGISTRY_IMAGE",
        format!("{registry}/{}", project.path.to_lowercase()),
    );
    list.add("CI_REGISTRY", registry);
    let proxy = format!("{}:{}", server.host, server.port);
    let group = |namespace: &str| format!("{proxy}/{}/dependency_proxy/containers", namespace.to_lowercase());
    list.add(
        "CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX",
        group(project.root_namespace()),
    );
    list.add(
        "CI_DEPENDENCY_PROXY_DIRECT_GROUP_IMAGE_PREFIX",
        group(project.namespace()),
    );
    list.add("CI_DEPENDENCY_PROXY_SERVER", proxy);
}

pub(super) fn user(facts: &Facts<'_>, list: &mut List) {
    let project = facts.project;
    list.add("GITLAB_USER_ID", "1");
    list.add_text("GITLAB_USER_EMAIL", &project.user_email);
    list.add_text("GITLAB_USER_LOGIN", project.user_login());
    list.add_text("GITLAB_USER_NAME", &project.user_name);
}
