//! A pod for Kubernetes and `podman kube play`.
//!
//! What YAML of Kubernetes cannot say, or podman does not read in it, is in docs/host.md: the seccomp profile has to be a
//! file, the configuration belongs to root and can be read by everybody in the container, there is no limit of processes.

use crate::sandbox::{Mount, Sandbox};
use serde_json::{Value, json};

/// The name of the Secret with the configuration. It is not that of podman's own secret: there it is YAML.
pub const CONFIG_NAME: &str = "pipglr-config";
/// The file of the profile, in the kubelet's directory of them, or in that of `--seccomp-profile-root`.
pub const SECCOMP_PROFILE: &str = "pipglr.json";

/// The runner as a pod. It wants the Secret [`CONFIG_NAME`] and the profile [`SECCOMP_PROFILE`].
#[must_use]
pub fn pod(sandbox: &Sandbox) -> Value {
    let claims = sandbox
        .mounts
        .iter()
        .map(|Mount { volume, .. }| json!({"name": volume, "persistentVolumeClaim": {"claimName": volume}}));
    let devices = sandbox
        .devices
        .iter()
        .map(|device| json!({"name": name_of(device), "hostPath": {"path": device, "type": "CharDevice"}}));
    let config = json!({
        "name": "config",
        "secret": {
            "secretName": CONFIG_NAME, "defaultMode": 0o444, "optional": false,
            "items": [{"key": "config.toml", "path": "config.toml"}],
        },
    });
    let profile = format!("localhost/{SECCOMP_PROFILE}");
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("{}-pod", sandbox.name),
            "labels": {"app": sandbox.name},
            // podman reads annotations in place of seccompProfile.
            "annotations": {
                "seccomp.security.alpha.kubernetes.io/pod": profile,
                format!("container.seccomp.security.alpha.kubernetes.io/{}", sandbox.name): profile,
            },
        },
        "spec": {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": sandbox.stop_timeout,
            "automountServiceAccountToken": false,
            "containers": [container(sandbox)],
            "volumes": std::iter::once(config).chain(claims).chain(devices).collect::<Vec<_>>(),
        },
    })
}

fn container(sandbox: &Sandbox) -> Value {
    let volumes = sandbox
        .mounts
        .iter()
        .map(|Mount { volume, target }| json!({"name": volume, "mountPath": target}));
    let devices = sandbox
        .devices
        .iter()
        .map(|device| json!({"name": name_of(device), "mountPath": device}));
    let config = json!({"name": "config", "mountPath": "/run/secrets", "readOnly": true});
    let mut container = json!({
        "name": sandbox.name,
        "image": sandbox.image,
        "imagePullPolicy": "IfNotPresent",
        "tty": true,
        "securityContext": {
            "privileged": false,
            "procMount": "Unmasked",
            "seLinuxOptions": {"type": "spc_t"},
            "seccompProfile": {"type": "Localhost", "localhostProfile": SECCOMP_PROFILE},
        },
        "volumeMounts": std::iter::once(config).chain(volumes).chain(devices).collect::<Vec<_>>(),
    });
    if !sandbox.environment.is_empty() {
        let environment = sandbox.environment.iter();
        container["env"] = environment
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
    }
    if sandbox.health_checks {
        container["livenessProbe"] = json!({
            "exec": {"command": ["pipglr", "health"]},
            "initialDelaySeconds": 60, "periodSeconds": 30, "timeoutSeconds": 30, "failureThreshold": 10,
        });
    }
    container
}

/// `/dev/net/tun` as a name.
fn name_of(device: &str) -> String {
    device.trim_start_matches('/').replace('/', "-")
}

/// The configuration as a Secret of Kubernetes, tokens and all.
#[must_use]
pub fn secret(config: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CONFIG_NAME},
        "stringData": {"config.toml": config},
    })
}

#[cfg(test)]
mod tests {
    use super::{pod, secret};
    use crate::sandbox::Sandbox;
    use std::collections::BTreeSet;

    /// Every mount, device and variable of the container is in the pod, and every volume is mounted.
    #[test]
    fn nothing_of_the_sandbox_is_lost() {
        let mut sandbox = Sandbox::new("ci", "i:1");
        sandbox.environment.push(("A".to_owned(), "b c".to_owned()));
        let pod = pod(&sandbox);
        let container = &pod["spec"]["containers"][0];
        let list = |value: &serde_json::Value, key: &str| -> BTreeSet<String> {
            let items = value.as_array().unwrap().iter();
            items.map(|item| item[key].as_str().unwrap().to_owned()).collect()
        };
        let targets = sandbox
            .mounts
            .iter()
            .map(|mount| mount.target)
            .chain(sandbox.devices.iter().copied());
        let expected: BTreeSet<String> = targets.chain(["/run/secrets"]).map(str::to_owned).collect();
        assert_eq!(list(&container["volumeMounts"], "mountPath"), expected);
        assert_eq!(
            list(&container["volumeMounts"], "name"),
            list(&pod["spec"]["volumes"], "name")
        );
        assert_eq!(container["env"][0]["value"], "b c");
        assert_eq!(container["image"], "i:1");
        assert_eq!(container["securityContext"]["privileged"], false);
        assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], sandbox.stop_timeout);
        assert!(container["livenessProbe"].is_object());
        sandbox.health_checks = false;
        assert!(super::pod(&sandbox)["spec"]["containers"][0]["livenessProbe"].is_null());
    }

    #[test]
    fn the_configuration_is_kept_to_the_byte() {
        let text = "# é\nname = \"x\\\"\t\"\n";
        assert_eq!(secret(text)["stringData"]["config.toml"], text);
    }
}
