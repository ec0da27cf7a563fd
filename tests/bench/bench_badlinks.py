# SPDX-License-Identifier: MIT
"""What is left on bad links: the rungs of tests/netns/ladder.py, and what `tun.accelerate` gains where packets are lost. The scenes are the tests', with this build's
program. In run.py: BENCHES["badlinks"] = bench_badlinks.badlinks."""
from bench_natpath import scenes, told_apart
from lab import LabError
from measure import median, spread


def emit(ctx, name, values, unit, least, **more):
    value = median(values)
    ctx.emit({"name": name, "value": round(value, 2), "unit": unit, "peer": None, "peer_value": None, "ratio": None, "target": f">= {least:g}", "met": value >= least,
              "values": [round(one, 2) for one in values], "runs": len(values), "noise": round(spread(values), 3), **more})


def ladder(ctx, module):
    rungs = list(module.RUNGS)[::4 if ctx.quick else 1]
    found = {}
    for _ in range(max(1, ctx.runs // 2)):
        with told_apart():
            for name, one in module.measure(rungs).items():
                found.setdefault(name, []).append(one)
    for name, runs in found.items():
        _, least, within, _ = module.RUNGS[name]
        firsts = [one[0] for one in runs]
        emit(ctx, f"bad link: {name}", [one[1] for one in runs], "kbit/s", least, first_byte_s=round(median(firsts), 2), first_byte_target=within,
             first_byte_met=median(firsts) <= within, still_ms=round(1000 * max(one[2] for one in runs)))


def accelerate(ctx, module):
    """The same download through a TUN as packets, kernel TCP at both ends, and as a flow."""
    runs = []
    for _ in range(max(1, ctx.runs // 2)):
        with told_apart():
            runs.append(module.measure())
    emit(ctx, "bad link: `accelerate`, 40 ms, 0.5 % loss", [figures[True] / figures[False] for figures in runs], "x, as packets", 1.5,
         mbit_as_flow=[round(figures[True], 1) for figures in runs], mbit_as_packets=[round(figures[False], 1) for figures in runs])


def badlinks(ctx):
    modules = scenes(ctx.tools, "ladder", "tun_accelerate")
    for part, module in zip((ladder, accelerate), modules):
        try:
            part(ctx, module)
        except LabError as error:
            ctx.emit({"bench": f"badlinks, {part.__name__}", "why": str(error)})
