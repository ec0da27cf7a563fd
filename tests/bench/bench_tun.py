# SPDX-License-Identifier: MIT
"""`tun`: through two TUN interfaces, against wireguard-go between the same namespaces in the same run: TCP by iperf3, also against a bare pipe and the same
daemon without seals; echo requests idle and beside TCP; memory; and how soon the first packet is through. `udp`: datagrams at a rate and as many as go."""
import contextlib
import json
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path

from lab import ADDRESS, Lab, LabError
from measure import Cost, forget_peak, interleaved, median, median_ratio, peak_rss_bytes
from nebula import Nebula
from tunways import IPERF_PORT, TUNNEL, UNPACKED, NullSeal, PeergateTun, Pipe, Transfer, WireguardGo

RATIO, COST, OF_PEERS_COST, FLOOD_RATIO = 2.0, 2.2, 0.33, 1.5
OF_PIPE, OF_NULL_SEAL = 0.75, 0.85


def result(name, transfers, values, noise):
    ours, theirs = values["peergate"], values.get("wireguard-go", [])
    ratio, ratio_noise = median_ratio(ours, theirs)
    cost = transfers["peergate"].cost()
    peer = transfers.get("wireguard-go")
    peer_cost = peer.cost() if peer else None
    of_peers_cost = cost["all"] / peer_cost["all"] if cost and peer_cost and peer_cost["all"] else None
    rss = max(transfers["peergate"].rss, default=0) / 1e6
    # What it is to reach needs the peer; what it misses by itself it misses without, too.
    is_met = bool(cost) and cost["all"] <= COST and rss <= RSS_MB
    if is_met:
        is_met = None if ratio is None or of_peers_cost is None else ratio >= RATIO and of_peers_cost <= OF_PEERS_COST
    return {"name": name, "value": round(median([value for value in ours if value]) or 0, 1), "unit": "Mbit/s", "peer": "wireguard-go" if peer else None,
            "peer_value": round(median([value for value in theirs if value]), 1) if any(theirs) else None,
            "ratio": None if ratio is None else round(ratio, 3), "met": is_met,
            "target": f"ratio >= {RATIO}, <= {COST} s/GB, <= {OF_PEERS_COST} of the peer's, <= {RSS_MB} MB",
            "cpu_s_per_gb": cost, "peer_cpu_s_per_gb": peer_cost, "cpu_ratio": of_peers_cost and round(of_peers_cost, 3), "noise": round(ratio_noise, 3),
            "rss_mb": round(rss, 1), "raw_mbit": noise["raw"], "raw_noise": noise["raw_noise"],
            "repeated": noise["repeated"], "errors": [error for one in transfers.values() for error in one.errors]}


def ceilings(ctx, a, namespaces, way):
    """How much of what this machine can carry is used: of a pipe that does nothing, and of the same daemon without its seals."""
    for name, kind, words, least in (("tun, 1 stream, of the bare TUN pipe", Pipe, [], OF_PIPE),
                                     ("tun, 4 streams, of the same without a seal", NullSeal, ["-P", "4"], OF_NULL_SEAL)):
        other = kind(ctx.tools, namespaces).start()
        wait_for(a, other)
        transfers = {one.name: Transfer(a, TUNNEL[one.name]["b"], one.pids, words, ctx.seconds(4)) for one in (way, other)}
        values, noise = interleaved(ctx.runs, transfers)
        other.stop()
        ours, theirs = values[way.name], values[other.name]
        ratio, ratio_noise = median_ratio(ours, theirs)
        ctx.emit({"name": name, "value": round(median([value for value in ours if value]) or 0, 1), "unit": "Mbit/s", "peer": other.name,
                  "peer_value": round(median([value for value in theirs if value]) or 0, 1), "ratio": ratio and round(ratio, 3),
                  "target": f"ratio >= {least}", "met": None if ratio is None else ratio >= least, "cpu_s_per_gb": transfers[way.name].cost(),
                  "peer_cpu_s_per_gb": transfers[other.name].cost(), "noise": round(ratio_noise, 3), "repeated": noise["repeated"],
                  "errors": [error for one in transfers.values() for error in one.errors]})


IDLE_BEYOND_RAW_US, IDLE_POLLING_US, LOADED_MS, LOADED_P99_MS, RSS_MB, START_MS, LOSS_PERCENT = 160, 60, 1, 5, 16, 200, 1


def nsenter(namespace, *argv, **options):
    return subprocess.run(["nsenter", f"--net=/run/netns/{namespace.name}", *map(str, argv)], capture_output=True, text=True, **options)


ECHO = """
import os, socket, struct, sys, time
host, count, interval = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
sock.settimeout(1)
for sequence in range(count):
    began = time.perf_counter_ns()
    data = struct.pack("!BBHHH", 8, 0, 0, 4242, sequence) + bytes(56)
    total = sum(struct.unpack("!32H", data))
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    sock.sendto(data[:2] + struct.pack("!H", ~total & 0xffff) + data[4:], (host, 0))
    try:
        while True:
            got = sock.recv(2048)[20:]
            if got[0] == 0 and got[4:8] == struct.pack("!HH", 4242, sequence):
                print((time.perf_counter_ns() - began) / 1000)
                break
    except TimeoutError:
        pass
    time.sleep(interval)
"""


def echoes(namespace, host, count, interval):
    """Sorted round trips in us."""
    done = nsenter(namespace, "python3", "-c", ECHO, host, count, interval, timeout=count * (interval + 1) + 10)
    times = sorted(float(line) for line in done.stdout.split())
    if len(times) < count // 2:
        raise LabError(f"{len(times)} of {count} echo requests to {host} were answered: {done.stderr.strip()}")
    return times


def idle(ctx, a, ways):
    """Median round trips beyond the raw link's."""
    count = ctx.count(400)
    raw = lambda: median(echoes(a, ADDRESS["b"], count, 0.005))
    sides = {name: lambda name=name: median(echoes(a, TUNNEL[name]["b"], count, 0.005)) - raw() for name in ways}
    values, noise = interleaved(ctx.runs, sides)
    ours = median(values["peergate"])
    theirs = median(values["wireguard-go"]) if "wireguard-go" in ways else None
    ctx.emit({"name": "tun, ping idle, beyond the raw link", "value": round(ours), "unit": "us", "peer": "wireguard-go" if theirs else None,
              "peer_value": theirs and round(theirs), "ratio": theirs and round(ours / theirs, 3), "target": f"<= {IDLE_BEYOND_RAW_US}",
              "met": ours <= IDLE_BEYOND_RAW_US, "repeated": noise["repeated"]})


def idle_polling(ctx, a, way):
    """The same with busy_poll for longer than the pause between two pings, without it in between; and what the daemons use of a core meanwhile."""
    count, cores = ctx.count(400), []

    def beyond_raw(busy_poll):
        way.reconfigure(busy_poll=busy_poll)
        echoes(a, TUNNEL[way.name]["b"], 20, 0.005)
        began = time.monotonic()
        with Cost(way.pids) as cost:
            through = median(echoes(a, TUNNEL[way.name]["b"], count, 0.005))
        if busy_poll != "0s":
            cores.append(sum(cost.seconds.values()) / 2 / (time.monotonic() - began))
        return through - median(echoes(a, ADDRESS["b"], count, 0.005))

    values, noise = interleaved(ctx.runs, {"without": lambda: beyond_raw("0s"), "with": lambda: beyond_raw("20ms")})
    way.reconfigure()
    ours, without = median(values["with"]), median(values["without"])
    ctx.emit({"name": "tun, ping idle, beyond the raw link, busy_poll 20 ms", "value": round(ours), "unit": "us", "peer": "without busy_poll",
              "peer_value": round(without), "ratio": round(ours / without, 3), "target": f"<= {IDLE_POLLING_US}", "met": ours <= IDLE_POLLING_US,
              "repeated": noise["repeated"], "cores_each": round(median(cores), 2)})


def loaded(ctx, a, ways):
    """Round trips while four TCP streams run, and the memory that takes."""
    found = {}
    for name, way in ways.items():
        for pid in way.pids.values():
            forget_peak(pid)
        load = subprocess.Popen(["nsenter", f"--net=/run/netns/{a.name}", "iperf3", "-c", TUNNEL[name]["b"], "-p", str(IPERF_PORT), "-P", "4", "-t",
                                 str(max(4, round(ctx.seconds(8))))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        times = echoes(a, TUNNEL[name]["b"], ctx.count(250), 0.005)
        found[name] = (median(times) / 1000, times[int(len(times) * 0.99)] / 1000, max(peak_rss_bytes(pid) for pid in way.pids.values()) / 1e6)
        load.wait(30)
    ours, theirs = found["peergate"], found.get("wireguard-go", (None, None, None))
    for place, what, unit, limit in ((0, "ping beside 4 TCP streams, median", "ms", LOADED_MS), (1, "ping beside 4 TCP streams, p99", "ms", LOADED_P99_MS),
                                     (2, "RSS beside 4 TCP streams", "MB", RSS_MB)):
        ctx.emit({"name": f"tun, {what}", "value": round(ours[place], 3), "unit": unit, "peer": "wireguard-go" if theirs[0] else None,
                  "peer_value": theirs[place] and round(theirs[place], 3), "ratio": theirs[place] and round(ours[place] / theirs[place], 3),
                  "target": f"<= {limit}", "met": ours[place] <= limit})


def wait_for(namespace, way, seconds=10):
    deadline = time.monotonic() + seconds
    while not is_there(namespace, TUNNEL[way.name]["b"]):
        if time.monotonic() > deadline:
            raise LabError(f"no answer through {way.name} within {seconds} s")


def is_there(namespace, host):
    with socket_in(namespace) as sock:
        return answered(sock, host)


def start_nebula(ctx, namespaces):
    try:
        Nebula(namespaces, TUNNEL["nebula"], ADDRESS).start(lambda: is_there(namespaces["a"], TUNNEL["nebula"]["b"]))
        return True
    except LabError as error:
        ctx.emit({"missing": "nebula", "why": str(error)})
        return False


def datagrams(ctx, a, ways, has_nebula):
    """Loss at rates, and what arrives of a flood. iperf3's own buffers lose some at 2 Gbit/s on the raw link too: that is told beside."""
    hosts = {"raw": ADDRESS["b"], **{name: TUNNEL[name]["b"] for name in [*ways, *(["nebula"] if has_nebula else [])]}}

    def run(host, rate):
        done = nsenter(a, "iperf3", "-u", "-c", host, "-p", IPERF_PORT, "-b", rate, "-l", 1350, "-t", max(2, round(ctx.seconds(4))), "-J", "-w", "4M", timeout=60)
        got = json.loads(done.stdout or "{}").get("end", {}).get("sum")
        if not got:
            raise LabError(f"iperf3 by UDP to {host}: {done.stderr.strip()[-200:]}")
        return got["lost_percent"], got["bits_per_second"] * (1 - got["lost_percent"] / 100) / 1e6

    for rate in ("1G", "2G"):
        values, _ = interleaved(ctx.runs, {name: lambda host=host: run(host, rate)[0] for name, host in hosts.items()})
        loss = {name: round(median(row), 3) for name, row in values.items()}
        ctx.emit({"name": f"tun, UDP 1350 bytes at {rate}bit/s, lost", "value": loss["peergate"], "unit": "%", "peer": "wireguard-go", "peer_value": loss.get("wireguard-go"),
                  "ratio": None, "target": f"<= {LOSS_PERCENT}", "met": loss["peergate"] <= LOSS_PERCENT, "raw_value": loss["raw"], "nebula_value": loss.get("nebula")})
    values, _ = interleaved(ctx.runs, {name: lambda host=host: run(host, "0")[1] for name, host in hosts.items()})
    got = {name: median(row) for name, row in values.items()}
    ratio, noise = median_ratio(values["peergate"], values.get("nebula", []))
    ctx.emit({"name": "tun, UDP flood, delivered", "value": round(got["peergate"]), "unit": "Mbit/s", "peer": "nebula" if has_nebula else None,
              "peer_value": round(got["nebula"]) if has_nebula else None, "ratio": ratio and round(ratio, 3), "noise": round(noise, 3),
              "target": f"ratio >= {FLOOD_RATIO}", "met": None if ratio is None else ratio >= FLOOD_RATIO, "raw_value": round(got["raw"]),
              "wireguard_go_value": round(got["wireguard-go"]) if "wireguard-go" in got else None})


def first_packet(ctx, a, way):
    """From the start of a's daemon, the other one running, to the first answer."""
    times = []
    for _ in range(ctx.runs):
        way.processes["a"].stop()
        began = time.monotonic()
        way.processes["a"] = a.start([way.tools.peergate, "--dir", way.folder("a"), "up"])
        with socket_in(a) as sock:
            while not answered(sock, TUNNEL["peergate"]["b"]):
                if time.monotonic() - began > 10:
                    raise LabError("no answer within 10 s of the start")
        times.append((time.monotonic() - began) * 1000)
    ctx.emit({"name": "tun, start to first packet", "value": round(median(times), 1), "unit": "ms", "peer": None, "peer_value": None, "ratio": None,
              "target": f"<= {START_MS}", "met": median(times) <= START_MS, "slowest": round(max(times), 1)})


@contextlib.contextmanager
def socket_in(namespace):
    """An ICMP socket of the namespace in this process."""
    import ctypes
    import os
    libc = ctypes.CDLL(None, use_errno=True)
    home, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{namespace.name}", os.O_RDONLY)
    try:
        libc.setns(there, 0x40000000)
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    finally:
        libc.setns(home, 0x40000000)
        os.close(home)
        os.close(there)
    with sock:
        yield sock


def answered(sock, host):
    data = struct.pack("!BBHHH", 8, 0, 0, 4243, 1)
    total = sum(struct.unpack("!4H", data))
    sock.settimeout(0.005)
    try:
        sock.sendto(data[:2] + struct.pack("!H", ~((total & 0xffff) + (total >> 16)) & 0xffff) + data[4:], (host, 0))
        got = sock.recv(2048)[20:]
        return got[0] == 0
    except OSError:
        time.sleep(0.001)
        return False


def start(ctx, namespaces):
    ways = {}
    for kind in (PeergateTun, WireguardGo):
        try:
            ways[kind.name] = kind(ctx.tools, namespaces).start()
        except LabError as error:
            ctx.emit({"missing": kind.name, "why": str(error)})
    if PeergateTun.name not in ways:
        raise LabError("peergate's TUN did not start")
    return ways


@contextlib.contextmanager
def two_tuns(ctx):
    """(namespace a, the ways, the namespaces), with an iperf3 server in b."""
    if not shutil.which("iperf3"):
        raise LabError("no iperf3 on this machine")
    if not UNPACKED.exists():
        ctx.emit({"missing": "the newest wireguard-go", "why": f"{UNPACKED} is not there (./dev deps): the installed one is compared with"})
    with Lab() as lab:
        a, b = lab.namespace("a"), lab.namespace("b")
        lab.veth(a, b)
        b.start(["iperf3", "-s", "-p", IPERF_PORT], port=IPERF_PORT)
        yield a, start(ctx, {"a": a, "b": b}), {"a": a, "b": b}


def tun(ctx):
    with two_tuns(ctx) as (a, ways, namespaces):
        for name, words in (("tun, 1 stream up", []), ("tun, 4 streams up", ["-P", "4"]), ("tun, 1 stream down", ["-R"]),
                            ("tun, 4 streams down", ["-R", "-P", "4"])):
            transfers = {key: Transfer(a, TUNNEL[key]["b"], way.pids, words, ctx.seconds(4)) for key, way in ways.items()}
            values, noise = interleaved(ctx.runs, transfers)
            ctx.emit({**result(name, transfers, values, noise), "peer_version": ways["wireguard-go"].version() if "wireguard-go" in ways else None})
        ceilings(ctx, a, namespaces, ways["peergate"])
        idle(ctx, a, ways)
        idle_polling(ctx, a, ways["peergate"])
        loaded(ctx, a, ways)
        first_packet(ctx, a, ways["peergate"])


def udp(ctx):
    with two_tuns(ctx) as (a, ways, namespaces):
        datagrams(ctx, a, ways, start_nebula(ctx, namespaces))
