#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: darwin.sh COMPILER [COMPILER ARGUMENTS...]
# The files that only macOS compiles have no errors, as far as can be told without its headers: those that Linux lacks are declared in darwin/. Whether it runs there is not said.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$lint_root"

files=$(our_files '*_darwin.c')
[ -n "$files" ] || { echo "no files for macOS" >&2; exit 1; }
for file in $files; do
    "$@" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Werror -fsyntax-only -I tests/lint/darwin -I . "$file"
done
echo "looked at, not run: $files"
