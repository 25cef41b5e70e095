#!/usr/bin/env bash
# Installs, with apt-get, what the tests need and pip does not bring: Chromium, `ip` and `unshare`.
# Does nothing where they exist.
set -euo pipefail

packages=()
command -v chromium >/dev/null || packages+=(chromium)
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
trap 'rm -f "$log"' EXIT
if ! "${as_root[@]}" apt-get update >"$log" 2>&1 ||
    ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${packages[@]}" >>"$log" 2>&1; then
    tail -n 15 "$log" >&2
    echo "apt-get could not install ${packages[*]}; the lines above say why." >&2
    exit 1
fi
