#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# -DPEERGATE_TLS=OFF, as README offers it: it builds, without a symbol of OpenSSL, and says so where TLS is asked for. The build folder stays, so that only the
# first run compiles all.
set -euo pipefail

build=$PEERGATE_BUILD/no-tls
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

cmake -S "$PEERGATE_ROOT" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DPEERGATE_TLS=OFF -DPEERGATE_TESTS=OFF >"$dir/log" 2>&1 ||
    { cat "$dir/log" >&2; fail "it does not configure"; }
cmake --build "$build" --target peergate --parallel 2 >"$dir/log" 2>&1 || { tail -n 40 "$dir/log" >&2; fail "it does not build"; }

! nm -D --undefined-only "$build/peergate" | grep -E ' (SSL|EVP|BIO|CRYPTO|bufferevent_openssl)_' || fail "it uses OpenSSL"
chmod 700 "$dir"
"$build/peergate" --dir "$dir/node" init --hostname node --network demo >/dev/null 2>&1
printf 'hostname: node\nnetwork: demo\nport: 0\nrole: anchor\nanchor: {tls: ["127.0.0.1:%s"]}\n' $((20000 + RANDOM % 10000)) >"$dir/node/config.yaml"
status=0
timeout 20 "$build/peergate" --dir "$dir/node" up >"$dir/log" 2>&1 </dev/null || status=$?
[ $status = 1 ] && grep -F "this build has no TLS" "$dir/log" >/dev/null || { cat "$dir/log" >&2; fail "anchor.tls: exit status $status, and not a word"; }
echo "passed"
