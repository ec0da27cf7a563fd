#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/fuzz/README.md says which fuzz target has which decoder of outside bytes: what it names is there, every target is in it, and so is every file that reads
a socket, a file, a child's output or the environment, or takes a message apart."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
FUZZ = ROOT / "tests/fuzz"
FOLDERS = ("gateway", "frontends", "netstack", "resolver", "mobile")

# Calls by which bytes come in, or are taken apart. A function of that name behind -> or . is somebody else's, but for the last group.
READS = re.compile(
    r"(?<![\w>.])(?:recv|recvfrom|recvmsg|recvmmsg|read|readv|pread|fread|fgets|getline|fscanf|sscanf|getenv"
    r"|evbuffer_(?:remove|copyout|pullup|readln)|bufferevent_read|mnl_cb_run|json_load\w*|yaml_parser_set_input\w*|redisReader\w+"
    r"|ldns_wire2pkt|UPNP_\w+|pb_decode|gw_read_\w+)\("
    r"|->message_(?:read|read_array|enter_container)\(")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
# | what | files | target or targets, or "none: why" |
ROW = re.compile(r"^\|([^|]*)\|([^|]*)\|([^|]*)\|$")

complaints = []


def named(cell):
    return re.findall(r"`([^`]+)`", cell)


def rows():
    text = (FUZZ / "README.md").read_text(encoding="utf-8")
    found = [ROW.match(line.strip()) for line in text.splitlines()]
    cells = [tuple(cell.strip() for cell in row.groups()) for row in found if row]
    return [row for row in cells if row[0] != "what" and set(row[0]) - set("-: ")]


def registered():
    calls = "".join(path.read_text(encoding="utf-8") for path in sorted(FUZZ.glob("*.cmake")))
    return set(re.findall(r"peergate_fuzz\(\s*NAME\s+(\w+)", calls))


def readers():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.c")):
            if READS.search(COMMENT.sub("", path.read_text(encoding="utf-8"))):
                yield str(path.relative_to(ROOT))


targets, files = set(), set()
for what, where, whose in rows():
    files.update(named(where))
    if not named(where):
        complaints.append(f"tests/fuzz/README.md: {what}: no file")
    if whose.startswith("none:"):
        if len(whose) < 20:
            complaints.append(f"tests/fuzz/README.md: {what}: none, but why?")
        continue
    if not named(whose):
        complaints.append(f"tests/fuzz/README.md: {what}: neither a target nor \"none: why\"")
    targets.update(named(whose))

known = registered()
for target in sorted(targets - known):
    complaints.append(f"tests/fuzz/README.md: there is no target {target}")
for target in sorted(known - targets):
    complaints.append(f"tests/fuzz/{target}: a target that tests/fuzz/README.md does not name")
for target in sorted(known):
    corpus = FUZZ / "corpus" / target
    if not corpus.is_dir() or not any(corpus.iterdir()):
        complaints.append(f"tests/fuzz/corpus/{target}: not one input")
for name in sorted(files):
    if not (ROOT / name).is_file():
        complaints.append(f"tests/fuzz/README.md: there is no {name}")
found = list(readers())
for name in found:
    if name not in files:
        complaints.append(f"{name}: reads bytes from outside, and tests/fuzz/README.md does not say which target has it, or why none")

for complaint in complaints:
    print(complaint, file=sys.stderr)
if complaints:
    sys.exit(1)
print(f"{len(found)} files read from outside, {len(known)} fuzz targets")
