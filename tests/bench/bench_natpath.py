# SPDX-License-Identifier: MIT
"""What NAT costs people: how long until peers behind two routers are connected, and direct; how long a stream stands still when an uplink changes, a machine wakes, a
path or an anchor dies; what a phone pays for being there. The scenes are those of the tests (tests/netns: grid, uplink, anchors), with this build's program and
without their patience. In run.py: BENCHES["natpath"] = bench_natpath.natpath."""
import contextlib
import importlib
import os
import sys
from pathlib import Path

from lab import LabError
from measure import median, spread

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "netns"))


def scenes(tools, *names):
    """The tests' modules; they look for the program when they are imported."""
    os.environ.setdefault("PEERGATE_BIN", str(tools.peergate))
    os.environ.setdefault("PEERGATE_BUILD", str(tools.build))
    os.environ["PEERGATE_PATIENCE"] = "10"  # a figure that is missed is a figure, not a failure
    return [importlib.import_module(name) for name in names]


@contextlib.contextmanager
def told_apart():
    """What the scenes say about their progress is not among the JSON lines; a scene that failed is no result."""
    from ground import Failed, Skipped
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (Failed, Skipped) as failed:
        raise LabError(str(failed)) from None


def emit(ctx, name, values, unit, limit=None, digits=0, pick=median, of=None, **more):
    """of: so many there should be; who has no figure never got there."""
    value = pick(values) if values else None
    is_met = value is not None and limit is not None and value <= limit and (of is None or len(values) == of)
    ctx.emit({"name": name, "value": None if value is None else round(value, digits), "unit": unit, "peer": None, "peer_value": None, "ratio": None,
              "target": None if limit is None else f"<= {limit:g}" + ("" if of is None else ", all"), "met": None if limit is None or of == 0 else is_met,
              "values": [round(one, digits) for one in values], "runs": len(values), "noise": round(spread(values), 3) if values else None, **more})


def pairs(ctx, grid):
    """Each pair once; the figure is the slowest of its class."""
    with told_apart():
        outcomes = grid.all_pairs(not ctx.quick)
        _, cells = grid.grid()
    kinds = {"direct": [], "search": [], "relay": []}
    for outcome in outcomes:
        if "udp-blocked" not in (outcome.a.home.kind, outcome.b.home.kind):
            kinds[grid.is_alike(cells, outcome.a.home.kind, outcome.b.home.kind)].append(outcome)
    able = [outcome for group in kinds.values() for outcome in group]
    firsts = [outcome.first for outcome in able if outcome.first is not None]
    emit(ctx, "pairs of NATs, first byte", firsts, "s, slowest", grid.CONNECTED, 2, max, len(able), median=round(median(firsts), 2) if firsts else None, pairs=len(able),
         connected=len(firsts))
    for possible, limit in (("direct", grid.DIRECT), ("search", grid.SEARCHED)):
        directs = [outcome.direct for outcome in kinds[possible] if outcome.direct is not None]
        emit(ctx, f"pairs of NATs, direct ({possible})", directs, "s, slowest", limit, 2, max, len(kinds[possible]), median=round(median(directs), 2) if directs else None,
             pairs=len(kinds[possible]), direct=len(directs),
             missed=[f"{one.a.home.kind} x {one.b.home.kind}" for one in kinds[possible] if one.direct is None])
    blocked = [outcome for outcome in outcomes if outcome not in able]
    emit(ctx, "pairs with UDP blocked, first byte", [outcome.first for outcome in blocked if outcome.first is not None], "s, slowest",
         grid.CONNECTED, 2, max, len(blocked), pairs=len(blocked), connected=sum(outcome.first is not None for outcome in blocked))


def repeated(ctx, function, parts, runs=None):
    """(name, figures of all runs, limit) of each part; one that fails is told of and does not keep the others from being measured."""
    for part in parts:
        found = {}
        try:
            for _ in range(runs or max(1, ctx.runs // 2)):
                with told_apart():
                    for name, value, limit in function([part]):
                        found.setdefault(name, ([], limit))[0].append(value)
        except LabError as error:
            ctx.emit({"bench": f"natpath, {part.__name__}", "why": str(error)})
        yield from ((name, values, limit) for name, (values, limit) in found.items())


def natpath(ctx):
    grid, uplink, anchors = scenes(ctx.tools, "grid", "uplink", "anchors")
    pairs(ctx, grid)
    for name, values, limit in repeated(ctx, lambda parts: [(name, 1000 * gap, 1000 * uplink.GAP) for name, gap in uplink.measure(parts)], uplink.PARTS):
        emit(ctx, f"uplink: {name}", values, "ms still", limit)
    for name, values, limit in repeated(ctx, anchors.measure, [part for part in anchors.PARTS if part is not anchors.idle]):
        is_seconds = not name.startswith("switches")
        emit(ctx, name, [1000 * value for value in values] if is_seconds else values, "ms" if is_seconds else "",
             1000 * limit if limit and is_seconds else limit)
    # How long the router remembers is tried first, which takes some minutes, and is paid for once in six hours: what comes after it is the figure.
    os.environ.setdefault("PEERGATE_IDLE_SETTLED_SECONDS", "25" if ctx.quick else "330")
    os.environ.setdefault("PEERGATE_IDLE_SECONDS", "51" if ctx.quick else "600")
    for name, values, limit in repeated(ctx, anchors.measure, [anchors.idle], 1):
        emit(ctx, name, values, "", limit)
