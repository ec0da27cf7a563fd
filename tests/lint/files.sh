#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Rules for all files: a licence line at the top; no path of the machine it was written on; scripts that parse; no
# blank at a line's end.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$lint_root"
failures=0

fail() {
    echo "$*" >&2
    failures=$((failures + 1))
}

# Prose, data and what has no comments carries no licence line: LICENSE speaks for it.
code=('*.c' '*.h' '*.py' '*.sh' '*.cmake' '*CMakeLists.txt' '*.proto' '*.options' '*.service' '*.service.in' dev .ci/run .clang-format gateway/LAYERS)

while IFS= read -r name; do
    head -n 2 "$name" | grep 'SPDX-License-Identifier: MIT' >/dev/null || fail "$name: no SPDX line at the top"
done < <(our_files "${code[@]}")

while IFS= read -r name; do
    # The pattern is split so that this file does not hold what it looks for.
    if grep -nE "(^|[^A-Za-z0-9_.~-])(/ho""me/[a-z]|/ro""ot/)" "$name" >&2 || grep -nF "$lint_root/" "$name" >&2; then
        fail "$name: a path of somebody's machine"
    fi
done < <(our_files "${code[@]}" '*.md' '*.yaml' '*.conf')

while IFS= read -r name; do
    if grep -nE '[[:blank:]]+$' "$name" >&2; then
        fail "$name: blanks at the end of a line"
    fi
done < <(our_files "${code[@]}")

while IFS= read -r name; do
    bash -n "$name" || fail "$name: does not parse"
done < <(our_files '*.sh' dev .ci/run)

while IFS= read -r name; do
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])' "$name" ||
        fail "$name: does not parse"
done < <(our_files '*.py')

[ "$failures" = 0 ] || exit 1
echo "all files keep to the rules"
