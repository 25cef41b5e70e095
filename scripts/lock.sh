#!/usr/bin/env bash
# Compiles every lock in requirements/ from its .in file, for each supported Python, and measures the downloads.
# Locks hold names, versions and hashes only, no address: whoever installs takes them from their own registry.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pythons=(3.11 3.12 3.13)
uv=${UV:-${DAMAGELOOP_ENVIRONMENTS:-.venv}/tools/bin/uv}
if [[ ! -x $uv ]] && ! uv=$(command -v uv); then
    echo "lock.sh: no uv found; run scripts/setup-environments.sh once, or set UV=/path/to/uv." >&2
    exit 1
fi

# Keeps the versions of the present lock; UPGRADE=1 takes the newest that fit.
upgrade=()
if [[ -n ${UPGRADE:-} ]]; then upgrade=(--upgrade); fi

compile() { # compile PYTHON OUTPUT INPUT [OPTION...]
    local python=$1 output=$2 input=$3
    shift 3
    echo "$output"
    "$uv" pip compile --quiet --no-config --python-version "$python" --python-platform x86_64-manylinux_2_28 \
        --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
        "${upgrade[@]}" "$@" --output-file "$output" "$input" >/dev/null
}

compile 3.11 requirements/uv.txt requirements/uv.in
compile 3.11 requirements/build.txt requirements/build.in
for python in "${pythons[@]}"; do
    tag=py${python/./}
    compile "$python" "requirements/platform-$tag.txt" requirements/platform.in --overrides requirements/overrides.txt
    compile "$python" "requirements/label-studio-$tag.txt" requirements/label-studio.in
    compile "$python" "requirements/dev-$tag.txt" requirements/dev.in --constraints "requirements/platform-$tag.txt"
done

if grep -nE '://|^ *-(i|f|-index|-extra|-find)| @ ' requirements/*.txt | grep -v '^[^:]*:[0-9]*: *#'; then
    echo "lock.sh: the lines above name a place; a lock must not." >&2
    exit 1
fi

"$uv" run --quiet --no-project --with packaging python scripts/measure_downloads.py "$uv" "${pythons[@]}" \
    >requirements/sizes.txt.new
mv requirements/sizes.txt.new requirements/sizes.txt
cat requirements/sizes.txt
