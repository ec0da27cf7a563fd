#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: headers.sh COMPILER [COMPILER ARGUMENTS...]
# Every header compiles alone, and twice in one file. A *.def.h is a list for a macro, not a header.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$lint_root"

check_header() {
    local header=$1
    shift
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
        "$@" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wstrict-prototypes -Werror -fsyntax-only -I . -x c - ||
        { echo "$header does not compile alone" >&2; return 1; }
}
export -f check_header

headers=$(our_files '*.h' | grep -v '\.def\.h$' || true)
[ -n "$headers" ] || { echo "no headers"; exit 0; }
# $0 is the header, so that the compiler and its arguments stay one list.
printf '%s\n' "$headers" | xargs -P "$(nproc)" -I{} bash -c 'check_header "$0" "$@"' {} "$@" ||
    { echo "some headers do not compile alone" >&2; exit 1; }
echo "$(printf '%s\n' "$headers" | wc -l) headers compile alone"
