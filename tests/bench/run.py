#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""./dev bench [NAME...] [--quick] [--runs N]: measures, each result a JSON line, and a table at the end.
What each figure is and how to read it: docs/BENCH.md."""
import argparse
import json
import os
import signal
import sys
import time
import traceback

from benches import BENCHES, Context
from lab import LabError, remove_leftovers
from measure import machine_busy
from peers import Tools

NEEDS_NO_ROOT = ("engine", "flow")


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description="measure; prints JSON lines and a table")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(BENCHES)}; all without")
    parser.add_argument("--quick", action="store_true", help="shorter and fewer runs: a look, not a figure")
    parser.add_argument("--runs", type=int, help="how often each pair is measured (5; quick 2)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in BENCHES]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    args.runs = max(1, args.runs or (2 if args.quick else 5))
    return args


def figure(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def table(results):
    rows = [("what", "value", "unit", "peer", "its value", "ratio", "target", "met", "CPU s/GB", "its")]
    for one in results:
        cpu, peer_cpu = ((one.get(key) or {}).get("all") for key in ("cpu_s_per_gb", "peer_cpu_s_per_gb"))
        met = {True: "yes", False: "NO", None: ""}[one.get("met")]
        rows.append((one["name"], figure(one["value"]), one["unit"], one["peer"] or "-", figure(one["peer_value"]),
                     figure(one["ratio"]), one.get("target") or "-", met, figure(cpu), figure(peer_cpu)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = {1, 4, 5, 8, 9}
    lines = ["  ".join(cell.rjust(width) if i in right else cell.ljust(width)
                       for i, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


class Output:
    """JSON lines as they come; the table and what went wrong at the end."""

    def __init__(self, quick):
        self.quick = quick
        self.busy = 0.0  # share of the machine that others used before the benchmark began
        self.results = []
        self.problems = []

    def emit(self, record):
        if self.quick:
            record["quick"] = True
        if "name" in record:
            record["machine_busy"] = round(self.busy, 3)
        print(json.dumps(record), flush=True)
        if "name" in record:
            self.results.append(record)
        else:
            self.problems.append(record)

    def finish(self):
        if self.results:
            print("\n" + table(self.results))
        for problem in self.problems:
            what = problem.get("missing") or problem.get("bench")
            print(f"{'not compared with' if 'missing' in problem else 'not measured:'} {what}: {problem['why']}")
        busiest = max((result["machine_busy"] for result in self.results), default=0)
        if busiest > 0.1:
            print(f"other programs kept the machine up to {busiest:.0%} busy: expect low figures and much noise")
        if self.quick:
            print("(--quick: a look, not a figure)")


def stop(*_):
    raise KeyboardInterrupt


def check(args, tools):
    """None, or why nothing can be measured here."""
    needs_root = [name for name in args.names or BENCHES if name not in NEEDS_NO_ROOT]
    if needs_root and os.geteuid() != 0:
        return (f"{', '.join(needs_root)}: these need root, for network namespaces. Run: sudo ./dev bench\n"
                f"    without root there is: ./dev bench {' '.join(NEEDS_NO_ROOT)}")
    if needs_root and tools.missing():
        return f"not built: {', '.join(tools.missing())}. Run: ./dev bench, which builds them"
    return None


def run_one(name, ctx, output, debug):
    started = time.monotonic()
    output.busy = machine_busy()
    print(f"==> {name}", file=sys.stderr, flush=True)
    try:
        BENCHES[name](ctx)
    except (LabError, OSError, KeyError, ValueError) as error:
        if debug:
            traceback.print_exc()
        output.emit({"bench": name, "why": f"{error}" if isinstance(error, LabError) else repr(error)})
    print(f"    {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def main():
    args = arguments()
    tools = Tools()
    problem = check(args, tools)
    if problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, -15)  # what is started inherits it: what else runs here disturbs less
    output = Output(args.quick)
    ctx = Context(tools, args.runs, args.quick, output.emit)
    try:
        if os.geteuid() == 0:
            remove_leftovers()
        for name in args.names or BENCHES:
            run_one(name, ctx, output, args.debug)
    except KeyboardInterrupt:
        print("\nstopped; everything that was started is gone", file=sys.stderr)
        output.finish()
        return 130
    output.finish()
    missed = any(result.get("met") is False for result in output.results)
    failed = any("bench" in problem for problem in output.problems)
    return 1 if failed or (args.strict and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
