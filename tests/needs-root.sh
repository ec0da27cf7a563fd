#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: needs-root.sh COMMAND...
# Runs a test that makes network namespaces. Without root it is skipped, and says so; with CI=true it fails.
if [ "$(id -u)" != 0 ]; then
    echo "SKIPPED: needs root (network namespaces): sudo ./dev test" >&2
    [ "${CI:-}" = true ] && exit 1
    exit 77
fi
exec "$@"
