#!/usr/bin/env bash
# Runs a command in a network namespace of its own that has nothing but loopback: whatever calls home fails.
# Usage: scripts/loopback-only.sh COMMAND [ARGUMENT...]
set -euo pipefail
if (($# == 0)); then
    echo "Usage: scripts/loopback-only.sh COMMAND [ARGUMENT...]" >&2
    exit 2
fi
for tool in unshare ip; do
    command -v "$tool" >/dev/null || {
        echo "loopback-only.sh: $tool is missing; scripts/install-test-servers.sh installs it." >&2
        exit 1
    }
done
if ! reason=$(unshare --map-root-user --net ip link set lo up 2>&1); then
    echo "loopback-only.sh: this kernel refuses a network namespace (${reason:-no reason given}); user namespaces must be allowed (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or call this as root." >&2
    exit 1
fi
# shellcheck disable=SC2016  # the inner shell expands "$@"
exec unshare --map-root-user --net bash -c 'ip link set lo up && exec "$@"' loopback-only "$@"
