#!/usr/bin/env bash
# Makes the environments the project runs in, from the hash-pinned locks in requirements/:
#   .venv/tools         uv, which installs the others
#   .venv/platform      the platform (with `dev`, also the tools for tests and checks)
#   .venv/label-studio  the Label Studio server, whose pins exclude the platform's
# Usage: scripts/setup-environments.sh [platform|dev]        (default: platform)
# Does nothing when they are as the locks say; mends what an interrupted call left half made.
# PYTHON names the interpreter (3.11 to 3.13), DAMAGELOOP_ENVIRONMENTS another place than .venv/.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"

kind=${1:-platform}
case $kind in
    platform | dev) ;;
    *)
        echo "Usage: scripts/setup-environments.sh [platform|dev]" >&2
        exit 2
        ;;
esac

environments=${DAMAGELOOP_ENVIRONMENTS:-.venv}
installed_gb=8 # the platform 6.8 GB and Label Studio 0.8 GB, unpacked (du, Python 3.11)
log=
installer=

say() { printf '%s\n' "$*"; }
fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# What the environments are made from, and where: a moved repository or another lock makes them anew.
fingerprint() {
    { printf '%s\n' "$root" "$environments" "${PYTHON:-}"; cat requirements/*.txt pyproject.toml clients/python/pyproject.toml scripts/setup-environments.sh; } |
        sha256sum | cut -d' ' -f1
}

# A stamp is two lines: the fingerprint, and the interpreter file (it differs after an upgrade of the system's Python).
is_current() { # is_current KIND
    local stamp=$environments/stamp-$1 made_from interpreter
    [[ -f $stamp && -x $environments/platform/bin/python && -x $environments/label-studio/bin/python ]] || return 1
    { read -r made_from && read -r interpreter; } <"$stamp" || return 1
    [[ $made_from == "$wanted" && $interpreter == "$(readlink -f "$environments/platform/bin/python")" ]]
}

wanted=$(fingerprint)
if is_current dev || { [[ $kind == platform ]] && is_current platform; }; then exit 0; fi

# The tools for tests stay once they are there.
if [[ -f $environments/wants-dev ]]; then kind=dev; fi

# --- what must be on the machine -------------------------------------------------------------------------------------

[[ $(uname -s)-$(uname -m) == Linux-x86_64 ]] ||
    fail "damageloop's locks are for Linux on x86-64; this is $(uname -s) on $(uname -m)."
for tool in git make flock sha256sum; do
    package=$tool
    case $tool in flock) package=util-linux ;; sha256sum) package=coreutils ;; esac
    command -v "$tool" >/dev/null || fail "$tool is missing: install Debian's package $package (apt-get install $package)."
done

python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

find_python() { # prints "INTERPRETER VERSION"
    local candidate version seen=
    local candidates=(python3 python3.11 python3.12 python3.13)
    if [[ -n ${PYTHON:-} ]]; then candidates=("$PYTHON"); fi
    for candidate in "${candidates[@]}"; do
        command -v "$candidate" >/dev/null || continue
        version=$(python_version "$candidate") || continue
        case $version in
            3.11 | 3.12 | 3.13)
                printf '%s %s\n' "$candidate" "$version"
                return
                ;;
        esac
        seen="$seen $candidate is $version;"
    done
    if [[ -n ${PYTHON:-} ]]; then
        fail "PYTHON=$PYTHON is not a Python 3.11, 3.12 or 3.13 that runs:${seen:- it cannot be started;} name another one."
    elif [[ -n $seen ]]; then
        fail "damageloop needs Python 3.11, 3.12 or 3.13 and found none (${seen# }) install one, or name it with PYTHON=/path/to/python3."
    fi
    fail "Python is missing: install Debian's packages python3 and python3-venv (apt-get install python3 python3-venv)."
}

found=$(find_python) || exit 1
read -r python version <<<"$found"
tag=py${version/./}

for module in venv ensurepip; do
    "$python" -c "import $module" 2>/dev/null ||
        fail "Python $version cannot make virtual environments (its module $module is missing): install Debian's package python$version-venv (apt-get install python$version-venv, or python3-venv)."
done

# --- one installation at a time --------------------------------------------------------------------------------------

mkdir -p "$environments"
exec 9>"$environments/.lock"
if ! flock --nonblock 9; then
    say "Another installation is running in $environments; waiting for it."
    flock 9
    if is_current dev || { [[ $kind == platform ]] && is_current platform; }; then exit 0; fi
fi

finish() {
    if [[ -n $installer ]]; then kill "$installer" 2>/dev/null || true; fi
    if [[ -n $log ]]; then rm -f "$log"; fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
log=$(mktemp)

fail_with_log() { # fail_with_log WHAT
    local unreachable='error sending request|failed to fetch|could not connect|connection (refused|reset|error)|dns error|name resolution|timed out|NewConnectionError|ProxyError|network is unreachable'
    if [[ -s $log ]]; then tail -n 15 "$log" >&2; fi
    if grep -qiE "$unreachable" "$log" || { [[ -t 2 ]] && ! [[ -s $log ]] && ! registry_answers; }; then
        fail "Installing $1 stopped because the package registry could not be reached. Check the network (or the index that pip or UV_DEFAULT_INDEX names) and call this again; it goes on where it stopped."
    fi
    fail "Installing $1 failed; the lines above say why. Calling this again goes on where it stopped."
}

registry_answers() {
    "$environments/tools/bin/uv" pip install --quiet --dry-run --refresh-package wheel --python "$environments/tools/bin/python" wheel 2>/dev/null
}

# Runs uv. On a terminal uv draws its own progress; elsewhere a line every ten seconds says how far it is.
with_progress() { # with_progress WHAT COMMAND...
    local what=$1 started=$SECONDS next=10 written
    shift
    : >"$log"
    if [[ -t 2 ]]; then
        "$@" 9>&- || fail_with_log "$what"
        return
    fi
    "$@" >"$log" 2>&1 9>&- &
    installer=$!
    while kill -0 "$installer" 2>/dev/null; do
        sleep 0.2
        if ((SECONDS - started >= next)); then
            next=$((next + 10))
            written=$(awk '/^wchar/ {print int($2 / 1000000)}' "/proc/$installer/io" 2>/dev/null || true)
            say "  $what: ${written:-?} MB unpacked after $((SECONDS - started)) s"
        fi
    done
    wait "$installer" || { installer= && fail_with_log "$what"; }
    installer=
}

# --- uv ----------------------------------------------------------------------------------------------------------------

make_tools() {
    local tools=$environments/tools
    if [[ -x $tools/bin/uv && $(cat "$tools/made-from" 2>/dev/null) == "$version $(sha256sum <requirements/uv.txt)" ]]; then return; fi
    rm -rf "$tools"
    "$python" -m venv "$tools" || fail "Python $version could not make a virtual environment in $tools."
    if ! "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --retries 2 --no-deps --require-hashes \
        --requirement requirements/uv.txt >"$log" 2>&1; then
        fail_with_log uv
    fi
    printf '%s %s\n' "$version" "$(sha256sum <requirements/uv.txt)" >"$tools/made-from"
}

# uv does not read pip's configuration: a machine whose pip uses a mirror or a certificate of its own hands them on.
take_pip_settings() {
    local pip="$environments/tools/bin/python -m pip" index certificate
    if [[ -z ${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-} ]]; then
        index=${PIP_INDEX_URL:-$($pip config get global.index-url 2>/dev/null || true)}
        if [[ -n $index ]]; then export UV_DEFAULT_INDEX=$index; fi
    fi
    if [[ -z ${SSL_CERT_FILE:-} ]]; then
        certificate=${PIP_CERT:-$($pip config get global.cert 2>/dev/null || true)}
        if [[ -f $certificate ]]; then export SSL_CERT_FILE=$certificate; fi
    fi
}

# --- the environments ------------------------------------------------------------------------------------------------

# A sync that was cut off may leave a package that looks installed: such an environment is made anew (from uv's cache).
make_environment() { # make_environment NAME WHAT LOCK...
    local path=$environments/$1 what=$2
    shift 2
    if [[ -e $path.unfinished || "$(python_version "$path/bin/python" || true)" != "$version" ]]; then rm -rf "$path"; fi
    : >"$path.unfinished"
    if [[ ! -x $path/bin/python ]] || ! grep -qxF "$root $environments" "$path/made-in" 2>/dev/null; then
        rm -rf "$path"
        "$uv" venv --quiet --no-project --no-config --python "$(command -v "$python")" "$path"
        printf '%s %s\n' "$root" "$environments" >"$path/made-in"
    fi
    with_progress "$what" "$uv" pip sync --compile-bytecode --no-config --require-hashes --strict --build-constraints requirements/build.txt \
        --python "$path/bin/python" "$@"
    rm -f "$path.unfinished"
}

megabytes() { awk -v tag="$tag" '$1 ~ "^(" kinds ")-" tag "$" {sum += $2} END {printf "%.0f", sum / 1e6}' kinds="$1" requirements/sizes.txt; }

locks=("requirements/platform-$tag.txt")
kinds="platform|label-studio"
if [[ $kind == dev ]]; then
    locks+=("requirements/dev-$tag.txt")
    kinds="$kinds|dev"
fi

free_gb=$(df --output=avail -B1G "$environments" | tail -1)
say "Installing damageloop's environments in $environments (Python $version): up to $(megabytes "$kinds") MB to download," \
    "$installed_gb GB on the disk ($((free_gb)) GB free). What an earlier installation fetched is taken from uv's cache."

rm -f "$environments"/stamp-*
make_tools
uv=$environments/tools/bin/uv
take_pip_settings
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-120} UV_PYTHON_DOWNLOADS=never
if [[ $kind == dev ]]; then : >"$environments/wants-dev"; fi

say "1/2 the platform$([[ $kind == dev ]] && echo ' and the tools for tests') ($(megabytes "${kinds/|label-studio/}") MB)"
make_environment platform "platform" "${locks[@]}"
with_progress "damageloop" "$uv" pip install --quiet --no-config --no-deps --reinstall-package damageloop \
    --reinstall-package damageloop-client --build-constraints requirements/build.txt \
    --python "$environments/platform/bin/python" --editable . --editable clients/python

say "2/2 Label Studio ($(megabytes label-studio) MB)"
make_environment label-studio "Label Studio" "requirements/label-studio-$tag.txt"

printf '%s\n' "$wanted" "$(readlink -f "$environments/platform/bin/python")" >"$environments/stamp-$kind.new"
mv "$environments/stamp-$kind.new" "$environments/stamp-$kind"
say "The environments are ready ($SECONDS s)."
