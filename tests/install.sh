#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `cmake --install`: the program runs from there, and the unit beside it names it and nothing that does not exist; systemd itself is asked where it is.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

cmake --install "$PEERGATE_BUILD" --prefix "$dir/usr" >"$dir/log" || { cat "$dir/log" >&2; fail "cmake --install"; }
program=$dir/usr/bin/peergate unit=$dir/usr/lib/systemd/system/peergate.service
"$program" --version | grep '^peergate [0-9]' >/dev/null || fail "the installed program does not run"
[ "$(grep -c "^Exec[A-Za-z]*=-\?$program --dir /etc/peergate " "$unit")" = 2 ] || { cat "$unit" >&2; fail "the unit does not run the installed program"; }
! grep -v '^#' "$unit" | grep -E '@PEERGATE|man:|/usr/local' || fail "the unit has what does not exist here"

# As a package's build does it.
DESTDIR=$dir/package cmake --install "$PEERGATE_BUILD" --prefix /usr >"$dir/log"
grep -F 'ExecStart=/usr/bin/peergate ' "$dir/package/usr/lib/systemd/system/peergate.service" >/dev/null || fail "with DESTDIR the unit has it in ExecStart"
[ -x "$dir/package/usr/bin/peergate" ] || fail "with DESTDIR the program is elsewhere"

if command -v systemd-analyze >/dev/null; then
    said=$(systemd-analyze verify --man=yes "$unit" 2>&1 | grep -F peergate || true)
    [ -z "$said" ] || fail "systemd says: $said"
else
    echo "no systemd-analyze here: systemd was not asked"
fi
echo "passed"
