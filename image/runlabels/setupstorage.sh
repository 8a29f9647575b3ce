# The engine's images and containers.
podman run --rm --network=none -v pipglr-storage:/home/podman/.local/share/containers "$1"
install -d -o podman -g podman -m 700 /home/podman/.local/share/containers
