#!/usr/bin/env bash
# Runs the tests as two suites side by side: the fast ones (unit, architecture, integration), and the end-to-end ones
# in a network namespace that has loopback only. Prints their outputs one after the other, then the totals.
# Usage: scripts/run-tests.sh [--full] [PYTEST OPTION...]      --full adds the tests marked `full`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${DAMAGELOOP_ENVIRONMENTS:-.venv}/platform/bin/python
selection=(-m "not full")
if [[ ${1:-} == --full ]]; then
    selection=()
    shift
fi

reports=$(mktemp -d)
running=()
names=()
# shellcheck disable=SC2329  # called by the trap
stop_suites() {
    local pid
    for pid in "${running[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
    wait || true
    rm -rf "$reports"
}
trap stop_suites EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
set -m # each suite is a process group of its own, so that stopping it leaves no process behind

has_tests() { [[ -n $(find "$@" -name 'test_*.py' -print -quit 2>/dev/null) ]]; }

start_suite() { # start_suite NAME COMMAND...
    local name=$1
    shift
    "$@" --junit-xml="$reports/$name.xml" >"$reports/$name.log" 2>&1 </dev/null &
    running+=($!)
    names+=("$name")
}

fast=()
for folder in tests/unit tests/architecture tests/integration; do
    if has_tests "$folder"; then fast+=("$folder"); fi
done
if ((${#fast[@]})); then
    start_suite fast "$python" -m pytest "${fast[@]}" --numprocesses="${TEST_PROCESSES:-2}" --dist=loadfile "${selection[@]}" "$@"
fi
if has_tests tests/e2e; then
    start_suite e2e scripts/loopback-only.sh "$python" -m pytest tests/e2e tests/acceptance "${selection[@]}" "$@"
fi

failed=0
for index in "${!running[@]}"; do
    code=0
    wait "${running[$index]}" || code=$?
    echo "=== ${names[$index]} ==="
    cat "$reports/${names[$index]}.log"
    if ((code != 0)); then
        echo "The ${names[$index]} suite ended with code $code."
        failed=1
    fi
done
running=()

"$python" scripts/sum_test_reports.py "$reports"/*.xml || failed=1
exit "$failed"
