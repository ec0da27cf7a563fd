#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: other-build.sh BUILD LABELS
# Runs the tests with these labels in another build folder, as one test of this one; on two cores, by halves (PROCESSORS in cmake/Functions.cmake).
if [ ! -f "$1/CTestTestfile.cmake" ]; then
    echo "SKIPPED: no $1 (./dev test builds it)" >&2
    [ "${CI:-}" = true ] && exit 1
    exit 77
fi
exec ctest --test-dir "$1" --output-on-failure --parallel 4 --no-tests=error --label-regex "$2"
