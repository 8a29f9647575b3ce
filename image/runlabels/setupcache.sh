# The jobs' caches.
podman run --rm --network=none -v pipglr-cache:/cache "$1"
install -d -o podman -g podman -m 777 /cache
