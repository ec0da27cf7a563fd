#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: run.sh [--keep] PROGRAM CORPUS SECONDS
# Runs a libFuzzer program over its corpus and, with SECONDS > 0, fuzzes on from there for so long. An input that
# crashes is named and kept beside the program.
# Without --keep, as a test, it begins with the same seed every time, so that a run can be repeated and does not find today what it
# did not find yesterday; what it makes on the way is thrown away. With --keep (./dev fuzz) it searches: another seed each time, and what
# reaches new code is added to the corpus.
set -euo pipefail

keep=
if [ "$1" = --keep ]; then
    keep=1
    shift
fi
program=$1 corpus=$2 seconds=$3

if [ ! -x "$program" ]; then
    echo "SKIPPED: no $program: build the fuzz targets first (./dev build --fuzz)" >&2
    [ "${CI:-}" = true ] && exit 1
    exit 77
fi
if [ ! -d "$corpus" ]; then
    echo "no $corpus: a fuzz target brings at least one input" >&2
    exit 1
fi

# libFuzzer's own exit status for a crash is 77, which ctest would take for a skip.
options=(-error_exitcode=1 -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$program-")
# An optional dictionary: tests/fuzz/dict/NAME.dict.
dict=${corpus%/*/*}/dict/${corpus##*/}.dict
[ ! -f "$dict" ] || options+=(-dict="$dict")
[ -n "$keep" ] || options+=(-seed=1)

if [ "$seconds" = 0 ]; then
    "$program" "${options[@]}" -runs=0 "$corpus" || exit 1
    exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$program" "${options[@]}" -max_total_time="$seconds" "$scratch" "$corpus" || exit 1
if [ -n "$keep" ]; then
    "$program" -merge=1 "$corpus" "$scratch"
fi
