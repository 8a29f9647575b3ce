# Makes a throw-away host ready, as root in it: the account ci, an image it can run, a GitLab and a registry that answer.
set -e

cat >/usr/local/bin/as-ci <<'EOF'
#!/bin/sh
# As the account ci, as in a session of its own.
exec setpriv --reuid=ci --regid=ci --init-groups --inh-caps=-all env -i --chdir=/ HOME=/home/ci USER=ci LOGNAME=ci \
    PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin XDG_RUNTIME_DIR=/run/user/1000 \
    DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus "$@"
EOF
cat >/usr/local/bin/gitlab-answer <<'EOF'
#!/bin/sh
while IFS= read -r line && [ "$line" != "$(printf '\r')" ]; do :; done
date=$(LC_ALL=C date --utc --date="now + $(cat /run/gitlab-ahead 2>/dev/null || echo 0 hours)" '+%a, %d %b %Y %H:%M:%S GMT')
printf 'HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' "$date"
EOF
chmod 755 /usr/local/bin/as-ci /usr/local/bin/gitlab-answer

printf '[Socket]\nListenStream=127.0.0.1:80\nAccept=yes\n' >/etc/systemd/system/gitlab.socket
printf '[Service]\nExecStart=/usr/local/bin/gitlab-answer\nStandardInput=socket\n' >/etc/systemd/system/gitlab@.service
mkdir -p /opt/registry && cd /opt/registry
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=story -keyout authority.key -out authority.crt \
    -addext basicConstraints=critical,CA:TRUE
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=registry.story -keyout registry.key -out registry.csr
printf 'subjectAltName=DNS:registry.story\n' >ext
openssl x509 -req -in registry.csr -CA authority.crt -CAkey authority.key -CAcreateserial -days 30 -extfile ext -out registry.crt
printf '[Service]\nExecStart=/usr/bin/openssl s_server -quiet -www -accept 443 -cert /opt/registry/registry.crt -key /opt/registry/registry.key\n' \
    >/etc/systemd/system/registry.service
cp authority.crt /usr/local/share/ca-certificates/registry.story.crt
update-ca-certificates
echo 127.0.0.1 gitlab.story >>/etc/hosts
echo 127.0.0.1 registry.story >>/etc/hosts
systemctl daemon-reload
systemctl start gitlab.socket registry.service

useradd --create-home --shell /bin/bash ci
# An image of nothing but a shell.
mkdir -p /opt/proof && cd /opt/proof
cp --parents --dereference /usr/bin/sh $(ldd /usr/bin/sh | grep -o '/lib[^ ]*') .
tar --create --file /opt/proof.tar .
# What is made of it by podman itself, to be pulled.
install -d -o ci /opt/ci
# Where printed lines are run: they speak of the certificate of an authority.
mkdir -p /opt/remedy && cp /opt/registry/authority.crt /opt/remedy/AUTHORITY.crt
