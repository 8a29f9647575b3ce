//! The image's units.
use std::path::Path;

/// The environment wins over config.toml: what the unit sets, `pipglr config set` could not change.
#[test]
fn the_runner_is_not_told_what_config_toml_says() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let unit = repository.join("image/rootfs/etc/systemd/system/runner.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    for name in ["LOG_LEVEL", "LOG_FORMAT", "RUNNER_DEBUG", "LISTEN_ADDRESS"] {
        assert!(!unit.contains(&format!("Environment={name}=")), "{name}");
    }
    // What the container was given (`podman run -e`) does win.
    assert!(unit.contains("\nEnvironmentFile=-/run/pipglr/environment\n"));
}
