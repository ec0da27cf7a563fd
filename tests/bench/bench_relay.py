# SPDX-License-Identifier: MIT
"""A relay on one core: what it carries, what that costs, how much later datagrams come by it, what a reservation weighs. The peer is coturn with channel
data. In run.py: BENCHES["relay"] = bench_relay.relay.

     a (client)            r (the relay, on a core of its own)           b (peer)
     10.77.1.1 ---- veth ---- 10.77.1.2    10.77.2.2 ---- veth ---- 10.77.2.1

A relay is a class with `name`, start(), `pids`, up(), down() (a dictionary with mbit, bytes, loss), rtt() (one with p50_us, p99_us) and hold(count)
(a process that keeps so many reservations until it is stopped). RELAYS lists them, ours first: whatever is there is measured in
turns, and compared."""
import json
import os
import shutil
import subprocess
from pathlib import Path

from lab import Lab, LabError, ip
from measure import Cost, interleaved, median, median_ratio, rss_bytes, spread

SIZE = 1350
WINDOWS = (128, 512)  # datagrams on the way; the relay gets the one it is better with
RESERVATIONS = 10000
ADDRESS = {"client": "10.77.1.1", "relay": "10.77.1.2", "relay-far": "10.77.2.2", "peer": "10.77.2.1"}


def relay_core():
    return max(os.sched_getaffinity(0))


class Ground:
    """The three namespaces. r forwards, so that the path without a relay can be measured too."""

    def __init__(self, lab, tools):
        self.lab, self.tools = lab, tools
        for load in ("turnload", "relayload"):
            if not os.access(self.load(load), os.X_OK):
                raise LabError(f"not built: {self.load(load)}")
        self.a, self.r, self.b = (lab.namespace(name) for name in "arb")
        for end, near, far in ((self.a, "client", "relay"), (self.b, "peer", "relay-far")):
            ip("link", "add", "v0", "netns", end.name, "type", "veth", "peer", "name", f"to-{end.short}", "netns", self.r.name)
            for namespace, device, address in ((end, "v0", near), (self.r, f"to-{end.short}", far)):
                ip("-n", namespace.name, "addr", "add", f"{ADDRESS[address]}/24", "dev", device)
                ip("-n", namespace.name, "link", "set", device, "up")
            ip("-n", end.name, "route", "add", "default", "via", ADDRESS[far])
        subprocess.run(["nsenter", f"--net=/run/netns/{self.r.name}", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], check=True)
        # The load has the other cores.
        self.load_cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0) - {relay_core()}) or [relay_core()])

    def load(self, name):
        return self.tools.build / "tests/tools" / name

    def words(self, mode, load="turnload", **options):
        given = {"client-netns": self.a.name, "peer-netns": self.b.name, "client": f"{ADDRESS['client']}:0",
                 "peer": f"{ADDRESS['peer']}:4000", "size": SIZE, **options}
        return ["taskset", "-c", self.load_cores, self.load(load),
                *(word for key, value in given.items() for word in ([f"--{key}"] if value is True else [f"--{key}", value])), mode]

    def run(self, mode, **options):
        # The load enters the namespaces itself.
        return self.a.run([str(word) for word in self.words(mode, **options)])


class Relay:
    """One that the load goes through; `load` is the program, `server` its options that say where the relay is."""
    load = server = process = window = None

    def __init__(self, ground):
        self.ground = ground

    def choose_window(self):
        self.window = max(WINDOWS, key=lambda window: self.move("up", 1, window)["mbit"])
        return self

    @property
    def pids(self):
        return {"relay": self.process.pid}

    def move(self, direction, seconds, window):
        return self.ground.run(direction, load=self.load, seconds=seconds, window=window, **self.server)

    def up(self, seconds):
        return self.move("up", seconds, self.window)

    def down(self, seconds):
        return self.move("down", seconds, self.window)

    def rtt(self, count):
        return self.ground.run("rtt", load=self.load, count=count, **self.server)

    def hold(self, count):
        holder = self.ground.a.start(self.ground.words("hold", load=self.load, count=count, **self.server), stdin=subprocess.PIPE)
        holder.wait_for_lines(1, 120)
        return holder


class Anchor(Relay):
    """The daemon, an anchor for as many nodes as RESERVATIONS take when each has a channel to each."""
    name, load = "peergate", "relayload"

    def cli(self, *words):
        done = subprocess.run([self.ground.tools.peergate, "--dir", self.dir, *words], capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"peergate {' '.join(words)} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def start(self):
        nodes = 2
        while nodes * (nodes - 1) // 2 < RESERVATIONS:
            nodes += 1
        keys = subprocess.run([self.ground.load(self.load), "--count", str(nodes), "keys"], capture_output=True, text=True, check=True)
        self.dir = self.ground.lab.folder / "anchor"
        self.cli("init", "--hostname", "anchor", "--network", "demo")
        peers = [{"name": f"node{number}", "public_key": key} for number, key in enumerate(keys.stdout.split())]
        (self.dir / "config.yaml").write_text(json.dumps(
            {"hostname": "anchor", "network": "demo", "port": 7000, "role": "anchor", "peers": peers,
             "anchor": {"max_channels": RESERVATIONS}}))
        self.server = {"anchor": f"{ADDRESS['relay']}:7000", "anchor-key": json.loads(self.cli("--json", "id"))["public_key"]}
        self.process = self.ground.r.start(["taskset", "-c", relay_core(), self.ground.tools.peergate, "--dir", self.dir, "up"])
        self.process.wait_for(lambda: f":{7000:04X} " in Path(f"/proc/{self.process.pid}/net/udp").read_text(), "UDP port 7000")
        return self.choose_window()


class Coturn(Relay):
    name, load = "coturn, channel data", "turnload"

    def __init__(self, ground):
        if not shutil.which("turnserver"):
            raise LabError("no coturn on this machine (./dev deps)")
        super().__init__(ground)
        self.server = {"server": f"{ADDRESS['relay']}:3478"}

    def start(self):
        """One relay thread, beside the one that listens; other numbers of threads were not tried."""
        folder = self.ground.lab.folder
        self.process = self.ground.r.start(
            ["taskset", "-c", relay_core(), "turnserver", "-n", "-L", ADDRESS["relay"], "-E", ADDRESS["relay-far"], "-m", 1, "-z",
             "--no-tls", "--no-dtls", "--no-tcp", "--no-tcp-relay", "--no-cli", "--no-rfc5780", "--log-file", "stdout", "--simple-log",
             "--pidfile", folder / "coturn.pid", "-b", folder / "coturn.db"])
        self.process.wait_for(lambda: f":{3478:04X} " in Path(f"/proc/{self.process.pid}/net/udp").read_text(), "UDP port 3478")
        return self.choose_window()


RELAYS = [Anchor, Coturn]


class Transfer:
    """One direction by one relay, with what it cost."""

    def __init__(self, relay, direction, seconds):
        self.relay, self.direction, self.seconds = relay, direction, seconds
        self.costs, self.losses = [], []

    def __call__(self):
        with Cost(self.relay.pids) as cost:
            got = getattr(self.relay, self.direction)(self.seconds)
        self.costs.append(cost.per_gb(got["bytes"])["all"])
        self.losses.append(got["loss"])
        return got["mbit"]


def sides(relays):
    """(ours or None, the peer)"""
    ours = [relay for relay in relays if not isinstance(relay, Coturn)]
    peers = [relay for relay in relays if isinstance(relay, Coturn)]
    return (ours[0] if ours else None), (peers[0] if peers else None)


def compared(name, unit, values, relays, limit, at_least=True):
    """A result with ours and the peer's; what is missing is None, and nothing is met or missed then."""
    ours, peer = sides(relays)
    mine, theirs = (values.get(relay.name, []) if relay else [] for relay in (ours, peer))
    ratio, noise = median_ratio(mine, theirs)
    good = None if ratio is None else ratio >= limit if at_least else ratio <= limit
    return {"name": name, "value": median(mine), "unit": unit, "peer": peer.name if peer else None, "peer_value": median(theirs),
            "ratio": ratio and round(ratio, 3), "target": f"ratio {'>=' if at_least else '<='} {limit}", "met": good,
            "values": mine, "peer_values": theirs, "noise": round(noise if mine else spread(theirs), 3)}


def throughput(ctx, ground, relays):
    ours, peer = sides(relays)
    for direction, title in (("up", "relay, 1350 bytes, one core"), ("down", "relay, the other way")):
        transfers = {relay.name: Transfer(relay, direction, ctx.seconds(3)) for relay in relays}
        raw = Transfer(Straight(ground), direction, ctx.seconds(1))
        values, noise = interleaved(ctx.runs, transfers, raw)
        result = compared(title, "Mbit/s", values, relays, 3)
        for key, relay in (("cpu_s_per_gb", ours), ("peer_cpu_s_per_gb", peer)):
            result[key] = {"all": median(transfers[relay.name].costs)} if relay else None
        loss = max((loss for one in transfers.values() for loss in one.losses), default=0)
        ctx.emit({**result, "runs": ctx.runs, "loss": loss, "raw_mbit": noise["raw"], "raw_noise": noise["raw_noise"]})


def latency(ctx, ground, relays):
    """There and back passes the relay twice: half of what is beyond the path's own time is what it adds."""
    raw = Straight(ground)
    count = int(ctx.count(5000))
    added, tails = {relay.name: [] for relay in relays}, {relay.name: [] for relay in relays}
    for _ in range(ctx.runs):
        base = raw.rtt(count)
        for relay in relays:
            got = relay.rtt(count)
            added[relay.name].append((got["p50_us"] - base["p50_us"]) / 2)
            tails[relay.name].append((got["p99_us"] - base["p99_us"]) / 2)
    for title, values in (("relay, latency added", added), ("relay, latency added, 99th percentile", tails)):
        ours, peer = sides(relays)
        mine = values[ours.name] if ours else []
        theirs = values[peer.name] if peer else []
        ctx.emit({"name": title, "value": median(mine), "unit": "us", "peer": peer.name if peer else None, "peer_value": median(theirs),
                  "ratio": None, "target": "<= 100", "met": median(mine) <= 100 if mine else None, "runs": ctx.runs,
                  "noise": round(spread(mine or theirs), 3)})


def reservations(ctx, relays):
    grown = {}
    for relay in relays:
        before = rss_bytes(relay.process.pid)
        holder = relay.hold(RESERVATIONS)
        grown[relay.name] = [(rss_bytes(relay.process.pid) - before) / 1e6]
        holder.stop()
    ours, peer = sides(relays)
    value = grown[ours.name][0] if ours else None
    ctx.emit({"name": f"relay, {RESERVATIONS} reservations", "value": value, "unit": "MB", "peer": peer.name if peer else None,
              "peer_value": grown[peer.name][0] if peer else None, "ratio": None, "target": "<= 64",
              "met": None if value is None else value <= 64, "runs": 1, "noise": None})


class Straight:
    """The path without a relay: the namespace in the middle forwards."""
    name = "path"
    pids = {}

    def __init__(self, ground):
        self.ground = ground

    def up(self, seconds):
        return self.ground.run("up", seconds=seconds, window=max(WINDOWS), direct=True)

    def down(self, seconds):
        return self.ground.run("down", seconds=seconds, window=max(WINDOWS), direct=True)

    def rtt(self, count):
        return self.ground.run("rtt", count=count, direct=True)


def relay(ctx):
    with Lab() as lab:
        ground = Ground(lab, ctx.tools)
        relays = []
        for kind in RELAYS:
            try:
                relays.append(kind(ground).start())
            except LabError as error:
                ctx.emit({"missing": kind.name, "why": str(error)})
        if not relays:
            raise LabError("no relay could be started")
        throughput(ctx, ground, relays)
        latency(ctx, ground, relays)
        reservations(ctx, relays)
