# Start the runner. Arguments and PIPGLR_OPTIONS are more options for podman run.
# podman would follow a failure with this whole script; ended first, it leaves the one line that matters.
end() { [ -z "$PODMAN_RUNLABEL_NESTED" ] || { kill -HUP $PPID; sleep 0.3; }; exit 1; };
fail() { echo "pipglr: $*" >&2; end; };
i=$1; shift;
podman secret inspect config.toml >/dev/null 2>&1 || fail "there is no secret config.toml: use the runlabel setupconfig, or podman secret create config.toml ./config.toml";
for d in /dev/fuse /dev/net/tun; do [ -r $d ] && [ -w $d ] || fail "you may not open $d: as root, modprobe its driver and chmod 666 $d"; done;
podman container exists pipglr && { podman rm pipglr >/dev/null 2>&1 || fail "the container pipglr is running: podman stop pipglr waits for its jobs, then try again"; };
# Without systemd in the session podman cannot run health checks by itself, and would not start; podman healthcheck run works.
h=30s; [ -S "$XDG_RUNTIME_DIR/systemd/private" ] || h=disable;
podman run -dt --name pipglr --systemd=always --restart=always --stop-timeout=7200 --pids-limit=-1
--device /dev/fuse --device /dev/net/tun --security-opt label=disable --security-opt "unmask=/proc/*" --seccomp-policy=image
--secret config.toml,uid=1001,gid=1001,mode=0400 -v pipglr-storage:/home/podman/.local/share/containers -v pipglr-cache:/cache
-v pipglr-state:/var/lib/pipglr --health-cmd "pipglr health" --health-interval=$h --health-start-period=60s
$PIPGLR_OPTIONS "$@" "$i" || end
