# The secret config.toml to standard output, byte for byte; never into a container's log.
# podman would follow a failure with this whole script; ended first, it leaves the one line that matters.
end() { [ -z "$PODMAN_RUNLABEL_NESTED" ] || { kill -HUP $PPID; sleep 0.3; }; exit 1; };
fail() { echo "pipglr: $*" >&2; end; };
podman secret inspect config.toml >/dev/null 2>&1 || fail "there is no secret config.toml: use the runlabel setupconfig, or podman secret create config.toml ./config.toml";
podman run --rm --network=none --log-driver=none --secret config.toml "$1" cat /run/secrets/config.toml || end
