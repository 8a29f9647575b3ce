#!/bin/bash
# The job's IDs are not its parent's, and the parent's are not the host's. The parent's map is what our IDs map to:
# ours start at an ID that is not 0 in the parent, or cover fewer IDs than the host has.
set -eu
read -r inside outside count < /proc/self/uid_map
echo "0 inside is $outside in the runner's container, for $count IDs"
if [ "$inside $outside" = "0 0" ] && [ "$count" -gt 100000 ]; then
	echo "this is the host's own user namespace" >&2
	exit 1
fi
