# SPDX-License-Identifier: MIT
# Sourced by the lint scripts: where the tree is, and which files are ours.
set -euo pipefail

lint_root=${LINT_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}

# Prints our files, relative to the root: what git tracks or would track, or without git all but the builds.
# Arguments are shell patterns that the names must match; none means all.
our_files() {
    local name pattern
    {
        if git -C "$lint_root" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
            git -C "$lint_root" ls-files --cached --others --exclude-standard
        else
            (cd "$lint_root" && find . -type f -not -path './build/*' -not -path './.git/*' | sed 's,^\./,,')
        fi
    } | LC_ALL=C sort -u | while IFS= read -r name; do
        [ -f "$lint_root/$name" ] || continue
        [ $# -gt 0 ] || { printf '%s\n' "$name"; continue; }
        for pattern in "$@"; do
            # shellcheck disable=SC2254
            case $name in $pattern) printf '%s\n' "$name"; break ;; esac
        done
    done
}
