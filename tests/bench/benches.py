# SPDX-License-Identifier: MIT
"""The benchmarks: each a function of a Context, which it hands its results. docs/BENCH.md says what they mean."""
import contextlib
import json
import os
import subprocess
import time

import bench_badlinks
import bench_dns
import bench_packets
import bench_natpath
import bench_relay
import bench_tun
from lab import ADDRESS, Lab, LabError
from measure import (Cost, descriptors, forget_peak, interleaved, median, median_ratio, peak_rss_bytes, rss_bytes, run_seconds, spread)
from peers import SERVICE_PORT, SOCKS_PORT, Direct, Kernel, Microsocks, Node, Peergate, Services, Ssh


class Context:
    """What a benchmark needs of run.py."""

    def __init__(self, tools, runs, quick, emit):
        self.tools, self.runs, self.quick, self.emit = tools, runs, quick, emit

    def seconds(self, usual):
        return usual / 2 if self.quick else usual

    def count(self, usual):
        return usual // 5 if self.quick else usual

    def load_words(self, way, mode, service):
        """socksload for a service by a way. Its end is cubic's, as the services' (see peers.Services)."""
        words = [self.tools.socksload, mode, "--target", way.target(service), "--congestion", "cubic"]
        return words + (["--proxy", way.proxy] if way.proxy else [])

    def load(self, namespace, way, mode, service, **options):
        """Runs socksload in the namespace and returns its JSON."""
        words = self.load_words(way, mode, service)
        words += [word for key, value in options.items() for word in ("--" + key, str(value))]
        return namespace.run(words)


def at_least(value, limit, what=""):
    return {"target": f"{what}>= {limit}", "met": value is not None and value >= limit}


def at_most(value, limit, what=""):
    return {"target": f"{what}<= {limit}", "met": value is not None and value <= limit}


def rounded(value, digits=3):
    return None if value is None else round(value, digits)


@contextlib.contextmanager
def two_namespaces(ctx, link=None):
    """A lab with a and b, linked by veth or (link: linkem's options) by the emulator, and the services in b."""
    with Lab() as lab:
        a, b = lab.namespace("a"), lab.namespace("b")
        emulator = None
        if link:
            emulator = lab.emulated(ctx.tools.linkem, a, b, **link)
        else:
            lab.veth(a, b)
        Services(ctx.tools, b)
        yield a, b, emulator


def start_ways(ctx, a, b, *kinds):
    """The ways that could be started, by name; one that could not is reported, not hidden."""
    ways = {}
    for kind in kinds:
        try:
            ways[kind.name] = kind(ctx.tools, a, b).start()
        except LabError as error:
            ctx.emit({"missing": kind.name, "why": str(error)})
    for way in ways.values():  # sessions up, caches warm
        ctx.load(a, way, "open", "echo", count=5, parallel=1, say="x", timeout=10)
    return ways


# --- bulk ----------------------------------------------------------------------------------------------------------


class Bulk:
    """One transfer by one way, with what it cost; keeps the costs of all its runs."""

    def __init__(self, ctx, a, way, mode, streams, seconds):
        self.ctx, self.a, self.way, self.mode = ctx, a, way, mode
        self.streams, self.seconds = streams, seconds
        self.costs = []
        self.rss = []  # the most of any daemon, in each run
        self.errors = []

    def __call__(self):
        service = "http" if self.mode == "get" else "sink"
        for pid in self.way.pids.values():
            forget_peak(pid)
        with Cost(self.way.pids) as cost:
            got = self.ctx.load(self.a, self.way, self.mode, service, parallel=self.streams, seconds=self.seconds)
        if got["failed"] or got["wrong"]:
            self.errors.append(got["why"] or "the other end got another number of bytes")
            return None
        self.costs.append(cost.per_gb(got["bytes"]))
        self.rss.append(max((peak_rss_bytes(pid) for pid in self.way.pids.values()), default=0))
        return got["mbit"]

    def cost(self):
        return {name: rounded(median([cost[name] for cost in self.costs])) for name in self.costs[0]} \
            if self.costs else None


def bulk_result(name, bulk, values, noise, ours, theirs, target):
    ratio, ratio_noise = median_ratio(values[ours], values.get(theirs, []))
    of = [value for value in values[ours] if value is not None]
    peer = [value for value in values.get(theirs, []) if value is not None]
    return {
        "name": name, "value": rounded(median(of), 1), "unit": "Mbit/s", "peer": theirs,
        "peer_value": rounded(median(peer), 1), "ratio": rounded(ratio), **(at_least(ratio, target, "ratio ") if target else {}),
        "cpu_s_per_gb": bulk[ours].cost(), "peer_cpu_s_per_gb": bulk[theirs].cost() if theirs in bulk else None,
        "runs": len(of), "noise": round(ratio_noise, 3), "values": [rounded(value, 1) for value in values[ours]],
        "peer_values": [rounded(value, 1) for value in values.get(theirs, [])],
        "raw_mbit": rounded(noise["raw"], 1), "raw_noise": noise["raw_noise"], "repeated": noise["repeated"],
        "errors": [error for one in bulk.values() for error in one.errors],
    }


FLOWS_MB, FLOWS_BDPS = 16, 3


def bulk_memory(ctx, name, bulk, mbit, rtt_s, theirs):
    """What the daemons need for it at most. mbit and rtt_s: what the way carries, which is on it at once."""
    if not bulk[Peergate.name].rss or mbit is None:
        return
    limit = FLOWS_MB + FLOWS_BDPS * mbit / 8 * rtt_s
    value = max(bulk[Peergate.name].rss) / 1e6
    peer = max(bulk[theirs].rss, default=0) / 1e6 if theirs in bulk else None
    ctx.emit({"name": f"{name}, RSS", "value": rounded(value, 1), "unit": "MB", "peer": theirs if peer else None,
              "peer_value": rounded(peer, 1) if peer else None, "ratio": rounded(value / peer) if peer else None,
              **at_most(value, round(limit, 1)), "runs": len(bulk[Peergate.name].rss), "noise": None})


def compare_bulk(ctx, name, mode, streams, target, cores=None):
    everything = os.sched_getaffinity(0)
    try:
        if cores:
            os.sched_setaffinity(0, cores)  # of this process; all that it starts inherits it
        with two_namespaces(ctx) as (a, b, _):
            ways = start_ways(ctx, a, b, Peergate, Ssh)
            seconds = ctx.seconds(4)
            bulk = {key: Bulk(ctx, a, way, mode, streams, seconds) for key, way in ways.items()}
            raw = Bulk(ctx, a, Direct, mode, streams, ctx.seconds(1))
            values, noise = interleaved(ctx.runs, bulk, raw)
            if Peergate.name not in values:
                raise LabError("peergate could not be measured")
            result = bulk_result(name, bulk, values, noise, Peergate.name, Ssh.name, target)
            ctx.emit(result)
            bulk_memory(ctx, name, bulk, result["value"], rtt_us(ctx, a) / 1e6, Ssh.name)
    finally:
        os.sched_setaffinity(0, everything)


def download(ctx):
    compare_bulk(ctx, "download", "get", 1, 1.5)
    compare_bulk(ctx, "download, 4 streams", "get", 4, None)
    compare_bulk(ctx, "upload", "put", 1, None)
    compare_bulk(ctx, "upload, 4 streams", "put", 4, None)
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) == 2:
        compare_bulk(ctx, "download, all on 2 cores", "get", 1, 1.3, set(cores))


# --- bad links -----------------------------------------------------------------------------------------------------

LOSSY = (
    # name, linkem's options, the least Mbit/s or the least share of what bbr reaches
    ("lossy 100 Mbit/s, 50 ms, 1 %", dict(delay=25, rate=100, buffer=50, loss=1), 60, None),
    ("lossy 1 Gbit/s, 20 ms, 0.1 %", dict(delay=10, rate=1000, buffer=20, loss=0.1), None, 1.0),
    ("lossy 1 Gbit/s, 20 ms, 1 %", dict(delay=10, rate=1000, buffer=20, loss=1), None, 1.0),
    ("clean 1 Gbit/s, 20 ms", dict(delay=10, rate=1000, buffer=20), None, 0.9),
)


def lossy_one(ctx, name, link, least, share):
    with two_namespaces(ctx, link) as (a, b, emulator):
        ways = start_ways(ctx, a, b, Peergate)
        kernel = {congestion: Kernel(ctx.tools, b, congestion, offset)
                  for congestion, offset in (("bbr", 100), ("cubic", 200))}
        ways |= {way.name: way for way in kernel.values()}
        bulk = {key: Bulk(ctx, a, way, "get", 1, ctx.seconds(10)) for key, way in ways.items()}
        values, noise = interleaved(ctx.runs, bulk)
        bbr, cubic = (kernel[congestion].name for congestion in ("bbr", "cubic"))
        values.setdefault(Peergate.name, [])
        bulk.setdefault(Peergate.name, Bulk(ctx, a, Direct, "get", 1, 0))
        result = bulk_result(name, bulk, values, noise, Peergate.name, bbr, None)
        result["cubic_value"] = rounded(median(values[cubic]), 1)
        result |= at_least(result["value"], least) if least else at_least(result["ratio"], share, "aim: ratio ")
        counters = json.loads(emulator.stop().splitlines()[-1])
        result["link"] = {key: counters["right_to_left"][key] for key in
                          ("lost", "dropped_queue", "dropped_room", "dropped_kernel", "late_us_p99", "late_us_max")}
        ctx.emit(result)
        bulk_memory(ctx, name, bulk, link["rate"], 2 * link["delay"] / 1000, None)


def lossy(ctx):
    for one in LOSSY:
        lossy_one(ctx, *one)


# --- waiting -------------------------------------------------------------------------------------------------------


def rtt_us(ctx, a):
    """A round trip of the network alone: ICMP echo, answered by the other namespace's kernel."""
    return a.run([ctx.tools.socksload, "rtt", "--target", ADDRESS["b"], "--count", "200", "--gap", "1"])["rtt_us"]["p50"]


def first_bytes(ctx, a, way, count):
    """From the SOCKS request to the first byte, over an open session: the load's own JSON, times in us."""
    options = dict(count=count, gap=2, say="x", timeout=10)
    if not way.can_pipeline:
        options["pipeline"] = "stepwise"
    got = ctx.load(a, way, "ttfb", "echo", **options)
    if got["failed"]:
        raise LabError(f"{way.name}: {got['failed']} of {count} requests failed: {got['why']}")
    return got


def ttfb_one(ctx, name, target, busy):
    with two_namespaces(ctx) as (a, b, _):
        ways = start_ways(ctx, a, b, Peergate, Ssh, Microsocks)
        details = {key: [] for key in ways}

        def side(key):
            way = ways[key]

            def measure():
                load = None
                if busy:
                    load = a.start([*ctx.load_words(way, "get", "http"), "--seconds", "60"])
                    time.sleep(0.5)
                rtt = rtt_us(ctx, a)
                got = first_bytes(ctx, a, way, ctx.count(500))
                if load:
                    load.stop()
                    time.sleep(0.2)
                details[key].append({"rtt_us": rtt, **{part: got[part + "_us"] for part in ("open", "first", "whole")}})
                return got["first_us"]["p50"] - rtt
            return measure

        values, _ = interleaved(ctx.runs, {key: side(key) for key in ways})
        if Peergate.name not in values:
            raise LabError("peergate could not be measured")
        ours, theirs = values[Peergate.name], values.get(Ssh.name, [])
        ratio, _ = median_ratio(ours, theirs)
        ctx.emit({
            "name": name, "value": rounded(median(ours), 1), "unit": "us beyond one RTT", "peer": Ssh.name,
            "peer_value": rounded(median(theirs), 1), "ratio": rounded(ratio), **at_most(median(ours), target),
            "rtt_us": median([one["rtt_us"] for one in details[Peergate.name]]),
            "open_p50_us": median([one["open"]["p50"] for one in details[Peergate.name]]),
            "first_p99_us": median([one["first"]["p99"] for one in details[Peergate.name]]),
            "peer_first_p99_us": median([one["first"]["p99"] for one in details.get(Ssh.name, [])]),
            "others": {key: rounded(median(values[key]), 1) for key in values if key not in (Peergate.name, Ssh.name)},
            "runs": len(ours), "noise": round(spread(ours), 3)})


def ttfb(ctx):
    ttfb_one(ctx, "first byte, idle", 300, busy=False)
    ttfb_one(ctx, "first byte, busy", 200, busy=True)


def cold_side(ctx, a, way, details):
    def measure():
        got = a.run([*ctx.load_words(way, "cold", "echo"), "--say", "x", "--timeout", "15", "--", *way.command()])
        details.append(got)
        return got["first_byte_ms"] if got["first_byte_ms"] >= 0 else None
    return measure


def cold_one(ctx, name, link):
    with two_namespaces(ctx, link) as (a, b, _):
        # What is started is the client's end; the other end has been up for long.
        ours, theirs = Peergate(ctx.tools, a, b), Ssh(ctx.tools, a, b)
        ours.home.up()
        theirs.start_server()
        ours.command, details = ours.laptop.command, {Peergate.name: [], Ssh.name: []}
        rtt_ms = rtt_us(ctx, a) / 1000
        sides = {way.name: cold_side(ctx, a, way, details[way.name]) for way in (ours, theirs)}
        values, _ = interleaved(2 * ctx.runs, sides)
        worked = [value for value in values[Peergate.name] if value is not None]
        peer = [value for value in values[Ssh.name] if value is not None]
        ratio, _ = median_ratio(values[Peergate.name], values[Ssh.name])
        ctx.emit({
            "name": name, "value": rounded(median(worked)), "unit": "ms", "peer": Ssh.name,
            "peer_value": rounded(median(peer)), "ratio": rounded(ratio),
            **at_most(median(worked), round(2 * rtt_ms + 20, 1)), "rtt_ms": rounded(rtt_ms),
            "listening_ms": median([one["listening_ms"] for one in details[Peergate.name]]),
            "tries": median([one["tries"] for one in details[Peergate.name]]),
            "failed": len(values[Peergate.name]) - len(worked), "runs": len(worked), "noise": round(spread(worked), 3)})


def cold(ctx):
    cold_one(ctx, "cold start", None)
    cold_one(ctx, "cold start, 50 ms RTT", dict(delay=25))


# --- many connections ----------------------------------------------------------------------------------------------

CONNECTIONS = 10000
IDLE_S = 8  # after that a connection is called idle: what a daemon gives back it has given back by then


def settle(pids, seconds=20):
    """Waits until the daemons hold no more descriptors than at rest (their number stands still)."""
    last, since = None, time.monotonic()
    deadline = since + seconds
    while time.monotonic() < deadline:
        now = {name: descriptors(pid) for name, pid in pids.items()}
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > 0.5:
            break
        time.sleep(0.05)
    return last


def memory(pids):
    return {name: rss_bytes(pid) for name, pid in pids.items()}


def hold(ctx, a, way, count):
    """RSS a connection, in KB by daemon, of `count` connections held idle, each after a byte both ways; the second
    figure is after they all have been used once more."""
    # Once through before: what the daemons load and grow on first use is no connection's.
    ctx.load(a, way, "open", "echo", count=200, parallel=64, say="x", timeout=10)
    settle(way.pids)
    before = memory(way.pids)
    load = a.start([*ctx.load_words(way, "hold", "echo"), "--count", count, "--parallel", 64, "--say", "x",
                    "--timeout", 10], stdin=subprocess.PIPE)
    held = load.wait_for_lines(1, 120)[0]
    time.sleep(IDLE_S)
    after = memory(way.pids)
    load.say("\n")
    answered = load.wait_for_lines(2, 60)[1]
    time.sleep(IDLE_S)
    used = memory(way.pids)
    load.say("\n")
    load.popen.wait(60)
    number = max(held["held"], 1)
    return {"held": held["held"], "failed": held["failed"], "why": held["why"], "open_s": held["seconds"],
            "answered": answered["answered"], "again_s": answered["seconds"],
            "kb": {name: round((after[name] - before[name]) / 1024 / number, 3) for name in after},
            "kb_used": {name: round((used[name] - before[name]) / 1024 / number, 3) for name in used},
            "rss_mb": {name: round(used[name] / 1e6, 1) for name in used}}


def held_connections(ctx, count):
    got = {}
    for kind in (Peergate, Ssh, Microsocks):
        # A lab each: the descriptors and the memory of one are not to be another's.
        with two_namespaces(ctx) as (a, b, _):
            for name, way in start_ways(ctx, a, b, kind).items():
                # microsocks holds two descriptors a connection, and the limit is 20,000.
                got[name] = hold(ctx, a, way, min(count, 9900) if kind is Microsocks else count)
    if Peergate.name not in got:
        raise LabError("peergate could not be measured")
    ours, theirs = got[Peergate.name], got.get(Ssh.name)
    for end in ("client", "server"):
        value = max(ours["kb"][end], ours["kb_used"][end])
        peer_value = theirs and max(theirs["kb"][end], theirs["kb_used"][end])
        ctx.emit({
            "name": f"{count} idle connections, {end}", "value": value, "unit": "KB RSS each", "peer": Ssh.name,
            "peer_value": peer_value, "ratio": rounded(value / peer_value) if peer_value else None,
            "target": "<= 2, all held", "met": value <= 2 and ours["held"] == count and ours["answered"] == count,
            "others": {name: one["kb"] for name, one in got.items() if name not in (Peergate.name, Ssh.name)},
            "runs": 1, "noise": None, **({"detail": got} if end == "client" else {})})


def growth(ctx, count):
    """RSS after `count` connections opened and closed, against the same after three times as many more."""
    with two_namespaces(ctx) as (a, b, _):
        way = Peergate(ctx.tools, a, b).start()
        rows = []
        for _ in range(4):
            got = ctx.load(a, way, "open", "echo", count=count, parallel=64, say="x", timeout=10)
            fds = settle(way.pids)
            rows.append({"rss": memory(way.pids), "descriptors": fds, "failed": got["failed"], "why": got["why"]})
        kb = {name: (rows[-1]["rss"][name] - rows[0]["rss"][name]) / 1024 for name in way.pids}
        leaked = {name: rows[-1]["descriptors"][name] - rows[0]["descriptors"][name] for name in way.pids}
        worst = max(kb.values())
        ctx.emit({
            "name": f"growth over {3 * count} opens and closes", "value": round(worst, 1), "unit": "KB RSS",
            "peer": None, "peer_value": None, "ratio": None, "target": "<= 64, no descriptor, none failed",
            "met": worst <= 64 and not any(leaked.values()) and not any(row["failed"] for row in rows),
            "growth_kb": kb, "descriptors": leaked, "rounds": rows, "runs": 1, "noise": None})


def new_connections(ctx, count):
    with two_namespaces(ctx) as (a, b, _):
        ways = start_ways(ctx, a, b, Peergate, Ssh, Microsocks)
        details = {key: [] for key in ways}

        def side(key):
            def measure():
                with Cost(ways[key].pids) as cost:
                    got = ctx.load(a, ways[key], "open", "echo", count=count, parallel=64, say="x", timeout=10)
                got["cpu_us_each"] = {name: round(1e6 * seconds / count, 1) for name, seconds in cost.seconds.items()}
                details[key].append(got)
                settle(ways[key].pids)
                return got["per_second"] if not got["failed"] else None
            return measure

        values, _ = interleaved(ctx.runs, {key: side(key) for key in ways})
        if Peergate.name not in values:
            raise LabError("peergate could not be measured")
        ours = [value for value in values[Peergate.name] if value is not None]
        theirs = values.get(Ssh.name, [])
        ratio, noise = median_ratio(values[Peergate.name], theirs)
        mine = details[Peergate.name]
        ctx.emit({
            "name": "new connections, 64 in parallel", "value": rounded(median(ours), 0), "unit": "a second",
            "peer": Ssh.name, "peer_value": rounded(median([one for one in theirs if one is not None]), 0),
            "ratio": rounded(ratio), **at_least(median(ours), 10000),
            "open_us": mine[-1]["open_us"], "first_us": mine[-1]["first_us"], "cpu_us_each": mine[-1]["cpu_us_each"],
            "errors": [one["why"] for one in mine if one["failed"]],
            "others": {key: rounded(median([one for one in values[key] if one is not None]), 0)
                       for key in values if key not in (Peergate.name, Ssh.name)},
            "runs": len(ours), "noise": round(noise, 3)})


def conns(ctx):
    new_connections(ctx, ctx.count(CONNECTIONS))
    growth(ctx, ctx.count(CONNECTIONS))
    held_connections(ctx, CONNECTIONS)


# --- doing nothing -------------------------------------------------------------------------------------------------

PEERS = 10


def idle(ctx):
    """One daemon in b with ten peers in a, all connected; then nothing happens."""
    with two_namespaces(ctx) as (a, b, _):
        hub = Node(ctx.tools, b, "home", 7001, SOCKS_PORT["peergate"])
        hub.serves(SERVICE_PORT)
        spokes = [Node(ctx.tools, a, f"peer{i}", 7100 + i, 1100 + i) for i in range(PEERS)]
        for spoke in spokes:
            hub.knows(spoke, ADDRESS["a"])
            spoke.knows(hub, ADDRESS["b"])
            spoke.configure()
        hub.configure()
        hub.up()
        for spoke in spokes:
            spoke.up()
        for spoke in spokes:
            got = a.run([ctx.tools.socksload, "open", "--proxy", f"127.0.0.1:{spoke.socks}", "--target",
                         "echo.home.demo.p2p:80", "--say", "x", "--count", "1", "--timeout", "10"])
            if got["failed"]:
                raise LabError(f"{spoke.name} does not reach the hub: {got['why']}")
        time.sleep(1)
        pid, seconds = hub.process.pid, ctx.seconds(60)
        before = run_seconds(pid)
        time.sleep(seconds)
        percent = 100 * (run_seconds(pid) - before) / seconds
        rss = rss_bytes(pid) / 1e6
        same = {"peer": None, "peer_value": None, "ratio": None, "runs": 1, "noise": None, "peers": PEERS}
        ctx.emit({"name": f"idle with {PEERS} peers, memory", "value": round(rss, 2), "unit": "MB RSS",
                  **at_most(rss, 8), **same})
        ctx.emit({"name": f"idle with {PEERS} peers, CPU", "value": round(percent, 4), "unit": "% of a core",
                  **at_most(percent, 0.2), "seconds": seconds, **same})


# --- without sockets -----------------------------------------------------------------------------------------------


def program(ctx, name, *words):
    """Runs a benchmark that is a program of its own; returns its JSON lines."""
    path = next((path for path in (ctx.tools.build / name, ctx.tools.build / "tests" / "bench" / name)
                 if os.access(path, os.X_OK)), None)
    if not path:
        raise LabError(f"{name} is not built")
    done = subprocess.run([path, *words], capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise LabError(f"{name} ended with {done.returncode}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def engine(ctx):
    lines = [program(ctx, "bench_engine")[-1] for _ in range(ctx.runs)]
    limit = lines[0]["limit_above_us"]
    for suite in [key for key, value in lines[0].items() if isinstance(value, dict) and "above_us" in value]:
        above = [line[suite]["above_us"] for line in lines]
        aead = median([line[suite]["aead_us"] for line in lines])
        ctx.emit({
            "name": f"engine, {suite}", "value": rounded(median(above), 4), "unit": "us above the AEAD",
            "peer": "the bare AEAD", "peer_value": rounded(aead, 4),
            "ratio": rounded(median([line[suite]["ratio"] for line in lines])), **at_most(median(above), limit),
            "runs": len(lines), "noise": round(spread(above), 3), "failures": lines[-1]["failures"]})


def flow(ctx):
    for congestion in ("bbr", "cubic"):
        lines = [program(ctx, "bench_flow", *(["2000", "cubic"] if congestion == "cubic" else []))[-1]
                 for _ in range(ctx.runs)]
        gbit = [line["gbit_s"] for line in lines]
        ctx.emit({
            "name": f"flow layer alone, {congestion}", "value": rounded(median(gbit), 2), "unit": "Gbit/s of a core",
            "peer": None, "peer_value": None, "ratio": None, "runs": len(lines), "noise": round(spread(gbit), 3),
            "ns_per_packet": median([line["ns_per_packet"] for line in lines])})


def packets(ctx):
    bench_packets.alone(ctx, program)
    bench_packets.near(ctx)
    bench_packets.far(ctx)


BENCHES = {"download": download, "lossy": lossy, "ttfb": ttfb, "cold": cold, "conns": conns, "idle": idle,
           "engine": engine, "flow": flow, "tun": bench_tun.tun, "udp": bench_tun.udp, "dns": bench_dns.dns, "relay": bench_relay.relay, "packets": packets,
           "natpath": bench_natpath.natpath, "badlinks": bench_badlinks.badlinks}
