# SPDX-License-Identifier: MIT
"""What processes cost, medians, and comparing two things fairly in one run."""
import os
import statistics
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def tree(pid):
    """The process and all below it."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found


def cpu_seconds(pid):
    """User and system time of the process and all below it, so far."""
    total = 0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def run_seconds(pid):
    """The same to the nanosecond, for what hardly runs: the scheduler's own figure."""
    total = 0
    for one in tree(pid):
        for task in Path(f"/proc/{one}/task").glob("*/schedstat"):
            total += int(task.read_text().split()[0])
    return total / 1e9


def rss_bytes(pid):
    """Resident memory of the process and all below it; shared pages count in each."""
    total = 0
    for one in tree(pid):
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total * PAGE


def forget_peak(pid):
    """peak_rss_bytes counts from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_rss_bytes(pid):
    """The most that was resident since forget_peak, of the process itself."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def descriptors(pid):
    return sum(len(os.listdir(f"/proc/{one}/fd")) for one in tree(pid))


def machine_busy(seconds=0.5):
    """What share of the machine's cores is in use, by whomever."""
    def look():
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]

    total, idle = look()
    time.sleep(seconds)
    total_now, idle_now = look()
    return 1 - (idle_now - idle) / max(total_now - total, 1)


def median(values):
    return statistics.median(values) if values else None


def spread(values):
    """(largest - smallest) / median: the noise of a row of values."""
    middle = median(values)
    return (max(values) - min(values)) / abs(middle) if values and middle else 0.0


class Cost:
    """with Cost(pids) as cost: ... -> cost.seconds, by pid's name."""

    def __init__(self, pids):
        self.pids = pids
        self.seconds = {}

    def __enter__(self):
        self.before = {name: cpu_seconds(pid) for name, pid in self.pids.items()}
        return self

    def __exit__(self, *_):
        self.seconds = {name: cpu_seconds(pid) - self.before[name] for name, pid in self.pids.items()}

    def per_gb(self, count):
        """CPU seconds per 10^9 bytes, by name and in all."""
        if not count:
            return {}
        each = {name: round(seconds * 1e9 / count, 3) for name, seconds in self.seconds.items()}
        return {**each, "all": round(sum(self.seconds.values()) * 1e9 / count, 3)}


RAW_LIMIT = 0.20
REPEATS = 2


def interleaved(runs, sides, raw=None):
    """Calls each of `sides` (name -> function returning a number, or None on failure) in turn, `runs` times, so that
    what else the machine does hits all alike. raw() is called around each turn; a turn between two raw figures more
    than RAW_LIMIT apart is done again, at most REPEATS times. Returns name -> values, and what the noise was."""
    values = {name: [] for name in sides}
    raws = []
    repeated = 0
    last = raw() if raw else None
    turn = 0
    while turn < runs:
        names = list(sides) if turn % 2 == 0 else list(reversed(list(sides)))
        got = {name: sides[name]() for name in names}
        now = raw() if raw else None
        if raw and last and now and abs(now - last) / max(now, last) > RAW_LIMIT and repeated < REPEATS * runs:
            repeated += 1
            last = now
            continue
        last = now
        for name in sides:
            values[name].append(got[name])
        if raw:
            raws.append(now)
        turn += 1
    return values, {"raw": median(raws), "raw_noise": round(spread(raws), 3) if raws else None, "repeated": repeated}


def median_ratio(ours, theirs):
    """The median of the pairs' ratios, and their spread."""
    ratios = [a / b for a, b in zip(ours, theirs) if a is not None and b]
    return (median(ratios), spread(ratios)) if ratios else (None, 0.0)
