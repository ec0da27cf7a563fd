#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks every #include against gateway/LAYERS.

usage: layers.py [ROOT]

Exit status 0 if all is as it is allowed, 1 with one line for each offence, 2 if LAYERS itself can't be read.
"""

import fnmatch
import pathlib
import re
import sys

TREES = ("gateway", "frontends", "netstack", "resolver", "mobile")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


class LayersError(Exception):
    pass


class Layers:
    """gateway/LAYERS, parsed."""

    def __init__(self, text):
        self.allowed = {}  # folder -> set of folders
        self.sans_io = []
        self.pure = []
        self.extra = {}  # file -> header patterns
        self.only = {}  # header pattern -> folders and files
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("#", 1)[0].strip()
            if line:
                self._line(number, line)
        self._check_names()
        self._check_cycles()

    def _line(self, number, line):
        key, colon, rest = line.partition(":")
        key, words = key.strip(), rest.split()
        if not colon or not key:
            raise LayersError(f"line {number}: expected 'folder: folders'")
        if key == "sans-io":
            self.sans_io += words
        elif key == "pure":
            self.pure += words
        elif key == "except":
            self.extra.setdefault(words[0], []).extend(words[1:])
        elif key.startswith("<"):
            self.only[key.strip("<>")] = words
        elif key in self.allowed:
            raise LayersError(f"line {number}: {key} has two lines")
        else:
            self.allowed[key] = set(words)

    def _check_names(self):
        for folder, others in self.allowed.items():
            for other in sorted(others - set(self.allowed)):
                raise LayersError(f"{folder} may include {other}, which has no line of its own")

    def _check_cycles(self):
        done = set()

        def visit(folder, way):
            if folder in way:
                raise LayersError("cycle: " + " -> ".join(way[way.index(folder):] + [folder]))
            if folder not in done:
                for other in sorted(self.allowed[folder]):
                    visit(other, way + [folder])
                done.add(folder)

        for folder in self.allowed:
            visit(folder, [])

    def is_sans_io(self, path):
        """Names in the sans-io list are files or folders, without their subfolders."""
        return path.as_posix() in self.sans_io or path.parent.as_posix() in self.sans_io

    def offence(self, path, quote, header, root):
        """What is wrong with one #include of path, or None."""
        folder = path.parent.as_posix()
        target = pathlib.PurePosixPath(header).parent.as_posix()
        if quote == '"' and is_ours(root, header):
            if target != folder and target not in self.allowed[folder]:
                return f'{folder} may not include {target} ("{header}")'
            return None
        if quote == '"' and not any(fnmatch.fnmatchcase(header, pattern) for pattern in self.only):
            return f'"{header}" is not spelled from the root, or does not exist'
        for pattern, users in self.only.items():
            if fnmatch.fnmatchcase(header, pattern):
                if folder in users or path.as_posix() in users:
                    return None
                return f"only {', '.join(users)} may include <{header}>"
        if self.is_sans_io(path):
            patterns = self.pure + self.extra.get(path.as_posix(), [])
            if not any(fnmatch.fnmatchcase(header, pattern) for pattern in patterns):
                return f"<{header}> in a sans-IO file"
        return None


def is_ours(root, header):
    """Does this name a file of ours, or one that is generated from one?"""
    generated = re.sub(r"\.pb\.h$", ".proto", header)
    return (root / header).is_file() or (generated != header and (root / generated).is_file())


def sources(root):
    for tree in TREES:
        for path in sorted((root / tree).rglob("*.[ch]")):
            yield path.relative_to(root)


def check(root):
    layers = Layers((root / "gateway" / "LAYERS").read_text(encoding="utf-8"))
    offences = []
    for path in sources(root):
        if path.parent.as_posix() not in layers.allowed:
            offences.append(f"{path}: the folder {path.parent} has no line in gateway/LAYERS")
            continue
        text = (root / path).read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            what = layers.offence(path, match[1], match[2], root)
            if what:
                line = text.count("\n", 0, match.start(1)) + 1
                offences.append(f"{path}:{line}: {what}")
    return offences


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    try:
        offences = check(root)
    except (LayersError, OSError) as error:
        print(f"gateway/LAYERS: {error}", file=sys.stderr)
        return 2
    for offence in offences:
        print(offence, file=sys.stderr)
    if not offences:
        print(f"{sum(1 for _ in sources(root))} files keep to their layers")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
