# Append one [[runners]] to ./config.toml. Options come from the caller's environment under gitlab-runner's names, or as
# arguments. PIPGLR_OPTIONS: more options for podman run.
# podman would follow a failure with this whole script; ended first, it leaves the one line that matters.
end() { [ -z "$PODMAN_RUNLABEL_NESTED" ] || { kill -HUP $PPID; sleep 0.3; }; exit 1; };
fail() { echo "pipglr: $*" >&2; end; };
i=$1; shift;
podman secret inspect REGISTRATION_TOKEN >/dev/null 2>&1 || fail "there is no secret REGISTRATION_TOKEN: echo TOKEN | podman secret create REGISTRATION_TOKEN -";
[ -f config.toml ] || fail "there is no ./config.toml: touch ./config.toml";
[ -w config.toml ] && [ "$(find config.toml -perm -u+w)" ] || fail "you may not write ./config.toml: chmod u+w ./config.toml, or make it yours";
unset DOCKER_HOST DOCKER_CONFIG DOCKER_CONTEXT;
podman run --rm --uts=host --security-opt label=disable --log-driver=none
--secret REGISTRATION_TOKEN,type=env -v ./config.toml:/etc/gitlab-runner/config.toml -v pipglr-state:/var/lib/pipglr -e PIPGLR_STATE_DIR=/var/lib/pipglr
-e "CACHE_*" -e "CI_SERVER_*" -e "CLONE_*" -e "CUSTOM_*" -e "DOCKER_*" -e "FEATURE_FLAGS*" -e "KUBERNETES_*" -e "LOG_*"
-e "MACHINE_*" -e "PARALLELS_*" -e "REGISTER_*" -e "RUNNER_*" -e "STEP_RUNNER_*" -e "VIRTUALBOX_*" $PIPGLR_OPTIONS
"$i" /usr/lib/pipglr/register "$@" || end
