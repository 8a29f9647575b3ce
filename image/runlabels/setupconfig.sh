# Check ./config.toml and keep it as the secret config.toml, in place of an older one (podman 4.3 knows no --replace).
# podman would follow a failure with this whole script; ended first, it leaves the one line that matters.
end() { [ -z "$PODMAN_RUNLABEL_NESTED" ] || { kill -HUP $PPID; sleep 0.3; }; exit 1; };
fail() { echo "pipglr: $*" >&2; end; };
[ -s config.toml ] || fail "./config.toml is missing or empty: touch ./config.toml, then use the runlabel register";
podman run --rm --network=none --security-opt label=disable --log-driver=none -v ./config.toml:/etc/gitlab-runner/config.toml:ro
"$1" /usr/lib/pipglr/check-config || end;
podman secret rm config.toml >/dev/null 2>&1;
podman secret create config.toml ./config.toml >/dev/null &&
echo "pipglr: stored as secret config.toml; the runlabel run uses it"
