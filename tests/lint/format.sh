#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: format.sh [--fix] [FILE...]
# clang-format's opinion of our C files; --fix rewrites them.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$lint_root"

mode=(--dry-run -Werror)
if [ "${1:-}" = --fix ]; then
    mode=(-i)
    shift
fi
if [ $# -gt 0 ]; then
    files=("$@")
else
    mapfile -t files < <(our_files '*.c' '*.h')
fi
[ ${#files[@]} -gt 0 ] || { echo "no C files"; exit 0; }
run() {
    printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 20 "${CLANG_FORMAT:-clang-format}" --style=file "${mode[@]}"
}

if ! said=$(run 2>&1); then
    # One line a file; clang-format itself draws every blank.
    offences=$(printf '%s\n' "$said" | sed -nE 's/^([^:]+):[0-9]+:[0-9]+: error: code should be.*/\1/p' | sort | uniq -c)
    printf '%s\n' "${offences:-$said}" >&2
    echo "places (left) that are not formatted; ./dev format puts them right" >&2
    exit 1
fi
echo "${#files[@]} files formatted"
