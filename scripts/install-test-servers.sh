#!/usr/bin/env bash
# Installs, with apt-get, what the tests need and pip does not bring: Chromium, PostgreSQL, Redis, `ip` and `unshare`.
# Does nothing where they exist. Starts no service: tests start servers of their own.
set -euo pipefail

packages=()
command -v chromium >/dev/null || packages+=(chromium)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || packages+=(postgresql)
command -v redis-server >/dev/null || packages+=(redis-server)
command -v ip >/dev/null || packages+=(iproute2)
command -v unshare >/dev/null || packages+=(util-linux)
if ((${#packages[@]} == 0)); then exit 0; fi

if ! command -v apt-get >/dev/null; then
    echo "The tests need ${packages[*]}; this system has no apt-get: install them with its own package manager." >&2
    exit 1
fi
as_root=()
if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
        echo "The tests need ${packages[*]}; as root: apt-get install --no-install-recommends ${packages[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "Installing for the tests with apt-get: ${packages[*]}"
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
own_policy=
# shellcheck disable=SC2329  # called by the trap
tidy_up() {
    rm -f "$log"
    if [[ -n $own_policy ]]; then "${as_root[@]}" rm -f "$policy"; fi
}
trap tidy_up EXIT
# Debian starts a server when it is installed, unless this file says no.
if [[ ! -e $policy ]]; then
    own_policy=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod +x "$policy"
fi
if ! "${as_root[@]}" apt-get update >"$log" 2>&1 ||
    ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${packages[@]}" >>"$log" 2>&1; then
    tail -n 15 "$log" >&2
    echo "apt-get could not install ${packages[*]}; the lines above say why." >&2
    exit 1
fi
