#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `./dev demo --once` comes to its end, and the part of README.md that its last line names to go on with is there.
set -euo pipefail

root=${PEERGATE_ROOT:?} dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
    cat "$dir/said"
    echo "FAILED: $*" >&2
    exit 1
}

bash "$root/tests/demo.sh" --once >"$dir/said" 2>&1 || fail "the demo"
next=$(tail -n 1 "$dir/said")
section=$(sed -n 's/.*README\.md, "\([^"]*\)".*/\1/p' <<<"$next")
[ -n "$section" ] || fail "the last line does not say how to go on: $next"
grep -Fx "## $section" "$root/README.md" >/dev/null || fail "README.md has no \"$section\""
echo "passed: $next"
