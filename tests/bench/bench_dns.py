#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Our DNS server against unbound serving the same names as local data: one thread each, on a core of its own, asked by dnsperf from others. How many
answers a second, and how long one more client waits at half of that (99th percentile). By itself: bench_dns.py."""
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import cpu_seconds, interleaved, median, median_ratio, spread

HOSTS = 1000
OURS, THEIRS = ("127.0.0.1", 5301), ("127.0.0.1", 5302)
FIRST = ["nice", "-n", "-15"] if os.geteuid() == 0 else []
UNBOUND = """
server:
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    verbosity: 0
    interface: {ip}@{port}
    do-daemonize: no
    num-threads: 1
    so-rcvbuf: 1m
    local-zone: "p2p." static
"""


def server_core():
    return max(os.sched_getaffinity(0))


def client_cores():
    cores = sorted(os.sched_getaffinity(0) - {server_core()})
    return ",".join(map(str, cores)) or str(server_core())


def question(number):
    name = b"".join(bytes([len(label)]) + label for label in (b"h%d" % number, b"bench", b"p2p"))
    return struct.pack(">6H", number + 1, 0x0100, 1, 0, 0, 0) + name + b"\0" + struct.pack(">HH", 1, 1)


def wait_for(address, seconds=10):
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.connect(address)
        while time.monotonic() < deadline:
            try:
                sock.send(question(1))
                if sock.recv(1500)[3] & 15 == 0:
                    return
            except OSError:
                time.sleep(0.05)
    raise RuntimeError(f"no answer from {address}")


class Server:
    """Both servers and the client that waits go before what else the machine does, where that is allowed: its noise is milliseconds."""

    def __init__(self, words, address):
        self.address = address
        self.cpu_us = []  # of each run, for an answer
        self.popen = subprocess.Popen([*FIRST, "taskset", "-c", str(server_core()), *map(str, words)], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
        wait_for(address)

    def stop(self):
        self.popen.terminate()
        self.popen.wait(10)


def start(build, folder):
    conf = folder / "unbound.conf"
    data = "".join(f'    local-data: "h{i}.bench.p2p. 60 IN A 127.64.{i >> 8}.{i & 255}"\n' for i in range(HOSTS))
    conf.write_text(UNBOUND.format(folder=folder, ip=THEIRS[0], port=THEIRS[1]) + data)
    dnsd = Path(build) / "tests" / "unit" / "dns" / "dnsd"
    return {"ours": Server([dnsd, f"listen={OURS[0]}:{OURS[1]}", f"hosts={HOSTS}"], OURS),
            "unbound": Server(["unbound", "-d", "-c", conf], THEIRS)}


def dnsperf(server, names, seconds, *words):
    return ["taskset", "-c", client_cores(), "dnsperf", "-s", server.address[0], "-p", str(server.address[1]), "-d", str(names), "-l", str(seconds),
            "-c", "16", "-T", "2", "-q", "1000", "-t", "1", *map(str, words)]


def answers_a_second(server, names, seconds):
    before = cpu_seconds(server.popen.pid)
    done = subprocess.run(dnsperf(server, names, seconds), capture_output=True, text=True, timeout=seconds + 30)
    found = re.search(r"Queries per second:\s+([\d.]+)", done.stdout)
    completed = re.search(r"Queries completed:\s+(\d+)", done.stdout)
    if not found or not completed:
        return None
    server.cpu_us.append((cpu_seconds(server.popen.pid) - before) * 1e6 / max(int(completed.group(1)), 1))
    return float(found.group(1))


def waits(server, seconds):
    """Of one client that asks 1000 times a second, in microseconds, sorted; what is lost waited for ever."""
    times = []
    poll = select.poll()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(server.address)
        poll.register(sock, select.POLLIN)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            sock.send(question(len(times) % HOSTS))
            came = poll.poll(500)
            times.append((time.perf_counter() - began) * 1e6)
            if came:
                sock.recv(1500)
            time.sleep(0.001)
    return sorted(times)


def loaded_p99(server, names, rate, seconds):
    load = subprocess.Popen(dnsperf(server, names, seconds + 1, "-Q", int(rate)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    if FIRST:
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    times = waits(server, seconds)
    if FIRST:
        os.setpriority(os.PRIO_PROCESS, 0, before)
    load.wait(30)
    return times[int(len(times) * 0.99)]


def dns(ctx):
    with tempfile.TemporaryDirectory(prefix="peergate-bench-dns-") as folder:
        folder = Path(folder)
        names = folder / "names"
        names.write_text("".join(f"h{i}.bench.p2p A\n" for i in range(HOSTS)))
        servers = start(ctx.tools.build, folder)
        try:
            measure(ctx, servers, names)
        finally:
            for server in servers.values():
                server.stop()


def measure(ctx, servers, names):
    seconds = int(ctx.seconds(4))
    values, noise = interleaved(ctx.runs, {name: lambda server=server: answers_a_second(server, names, seconds) for name, server in servers.items()})
    ratio, ratio_noise = median_ratio(values["ours"], values["unbound"])
    rate = {name: median([value for value in row if value]) for name, row in values.items()}
    ctx.emit({"name": "dns, our own names, one core", "value": round(rate["ours"]), "unit": "answers/s", "peer": "unbound",
              "peer_value": round(rate["unbound"]), "ratio": round(ratio, 3), "target": "ratio > 1", "met": ratio > 1, "runs": ctx.runs,
              "noise": round(ratio_noise, 3), "spread": round(spread(values["ours"]), 3)})
    # dnsperf may be what ends first: what an answer costs says how far the core would go.
    cpu = {name: median(server.cpu_us) for name, server in servers.items()}
    cpu_ratio = cpu["ours"] / cpu["unbound"]
    ctx.emit({"name": "dns, CPU of an answer", "value": round(cpu["ours"], 2), "unit": "us", "peer": "unbound", "peer_value": round(cpu["unbound"], 2),
              "ratio": round(cpu_ratio, 3), "target": "ratio < 1", "met": cpu_ratio < 1, "runs": ctx.runs, "noise": round(spread(servers["ours"].cpu_us), 3)})
    half = rate["ours"] / 2
    p99 = {"ours": loaded_p99(servers["ours"], names, half, seconds),
           "unbound": loaded_p99(servers["unbound"], names, rate["unbound"] / 2, seconds)}
    ctx.emit({"name": "dns, p99 at half load", "value": round(p99["ours"]), "unit": "us", "peer": "unbound", "peer_value": round(p99["unbound"]),
              "ratio": round(p99["ours"] / p99["unbound"], 3), "target": "<= 1000", "met": p99["ours"] <= 1000, "runs": 1, "noise": None,
              "load": round(half)})


class Alone:
    """What a Context is, when this file runs by itself."""

    class tools:
        build = os.environ.get("PEERGATE_BUILD", "build/release")

    runs = 3

    def seconds(self, usual):
        return usual

    def emit(self, result):
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    Alone.runs = int(sys.argv[1]) if len(sys.argv) > 1 else Alone.runs
    dns(Alone())
