# Makes images that answer what pipglr asks of a runner's, as root of a throw-away host.
set -e
mkdir -p /opt/runner && cd /opt/runner
for program in sh cat install rm sleep timeout touch; do
    cp --parents --dereference /usr/bin/$program $(ldd /usr/bin/$program | grep -o '/lib[^ ]*') .
done
# Volumes take their owners from these.
mkdir -p etc tmp cache var/lib/pipglr home/podman/.local/share/containers
chown 1000:1000 cache home/podman/.local/share/containers && chown 1001:1001 var/lib/pipglr
printf 'root:x:0:0::/:/usr/bin/sh\npodman:x:1000:1000::/:/usr/bin/sh\nrunner:x:1001:1001::/:/usr/bin/sh\n' >etc/passwd
printf 'root:x:0:\npodman:x:1000:\nrunner:x:1001:\n' >etc/group
# Process 1: ends when podman says so.
printf '#!/usr/bin/sh\ntrap "exit 0" TERM 37\nwhile :; do sleep 1; done\n' >init
# The runner's health is that of the variant; its engine runs whatever it is given.
printf '#!/usr/bin/sh\n[ "$1" != health ] || [ "$(cat /variant)" != ill ] || [ ! -e /cache/ill ]\n' >usr/bin/pipglr
printf '#!/usr/bin/sh\n' >usr/bin/podman
# What is asked of the systemd inside is written down, with the time it has.
printf '#!/usr/bin/sh\necho "$@" >>/cache/asked\n' >usr/bin/systemctl
mv usr/bin/timeout usr/bin/timeout.real
printf '#!/usr/bin/sh\necho "$@" | sed "s/ systemctl//" >>/cache/drained\nexec timeout.real "$@"\n' >usr/bin/timeout
chmod 755 init usr/bin/pipglr usr/bin/podman usr/bin/systemctl usr/bin/timeout
cp --parents --dereference /usr/bin/sed $(ldd /usr/bin/sed | grep -o '/lib[^ ]*') .
for variant in one two three ill; do
    echo $variant >variant
    tar --create --file /opt/runner.tar .
    as-ci podman import --quiet --change='CMD ["/init"]' \
        --change='LABEL io.containers.seccomp.profile={"defaultAction":"SCMP_ACT_ALLOW"}' /opt/runner.tar localhost/runner:$variant
done
