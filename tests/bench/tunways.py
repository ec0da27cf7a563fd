# SPDX-License-Identifier: MIT
"""Tunnels between two namespaces by TUN interfaces: ours, the one that it is compared with, and what shows how much of the machine ours uses; and iperf3
through them."""
import json
import os
import shutil
import subprocess
from pathlib import Path

from lab import ADDRESS, LabError
from measure import Cost, forget_peak, median, peak_rss_bytes

TUNNEL = {"peergate": {"a": "10.64.0.1", "b": "10.64.0.2"}, "wireguard-go": {"a": "10.65.0.1", "b": "10.65.0.2"},
          "nebula": {"a": "10.66.0.1", "b": "10.66.0.2"}, "null seal": {"a": "10.67.0.1", "b": "10.67.0.2"},
          "pipe": {"a": "10.68.0.1", "b": "10.68.0.2"}}
OTHER = {"a": "b", "b": "a"}
PORT = {"peergate": 7001, "wireguard-go": 51820, "null seal": 7002, "pipe": 7003}
IPERF_PORT = 5201
UNPACKED = Path(__file__).resolve().parents[2] / "build/deps/wireguard-go/usr/bin/wireguard-go"


class PeergateTun:
    name = "peergate"
    device = "peer0"

    def __init__(self, tools, namespaces):
        self.tools, self.namespaces, self.program = tools, namespaces, tools.peergate

    def cli(self, side, *words):
        argv = [self.tools.peergate, "--dir", self.folder(side), *words]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"peergate {' '.join(words)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def folder(self, side):
        return self.namespaces[side].lab.folder / f"{self.device}-{side}"

    def start(self):
        for side in "ab":
            self.cli(side, "init", "--hostname", side, "--network", "demo")
        self.ids = {side: json.loads(self.cli(side, "id", "--json"))["peer_id"] for side in "ab"}
        self.configure()
        self.processes = {side: namespace.start([self.program, "--dir", self.folder(side), "up"])
                          for side, namespace in self.namespaces.items()}
        return self

    def configure(self, **options):
        for side, other in OTHER.items():
            peer = {"name": other, "peer_id": self.ids[other], "endpoint": f"{ADDRESS[other]}:{PORT[self.name]}",
                    "tunnel_ip": TUNNEL[self.name][other], "eager": True}
            config = {"hostname": side, "network": "demo", "port": PORT[self.name], "address": TUNNEL[self.name][side] + "/24",
                      "name": self.device, "tun": {"enabled": True}, "expose": "host", "peers": [peer], **options}
            (self.folder(side) / "config.yaml").write_text(json.dumps(config))

    def reconfigure(self, **options):
        self.configure(**options)
        for side in "ab":
            self.cli(side, "reload")

    @property
    def pids(self):
        return {side: process.pid for side, process in self.processes.items()}

    def stop(self):
        for process in self.processes.values():
            process.stop()


class NullSeal(PeergateTun):
    """The same daemon in all but its seals, which are none (null_seal.c)."""
    name = "null seal"
    device = "peernull0"

    def __init__(self, tools, namespaces):
        super().__init__(tools, namespaces)
        self.program = tools.build / "tests/bench/peergate-null-seal"

    def configure(self, **options):
        super().configure(address_range="10.67.0.0/16", **options)


class Pipe:
    """A TUN's bytes by UDP into another TUN, and nothing else (tunpipe.c)."""
    name = "pipe"
    device = "pipe0"

    def __init__(self, tools, namespaces):
        self.program, self.namespaces = tools.build / "tests/bench/tunpipe", namespaces

    def start(self):
        self.processes = {}
        for side, other in OTHER.items():
            ends = [f"{ADDRESS[end]}:{PORT[self.name]}" for end in (side, other)]
            self.processes[side] = self.namespaces[side].start([self.program, self.device, *ends], ready="ready")
            inside(self.namespaces[side], "ip", "addr", "add", TUNNEL[self.name][side] + "/24", "dev", self.device)
            inside(self.namespaces[side], "ip", "link", "set", self.device, "up", "mtu", "1380", "gso_max_size", "60000")
        return self

    pids = PeergateTun.pids
    stop = PeergateTun.stop


def inside(namespace, *argv):
    done = subprocess.run(["ip", "netns", "exec", namespace.name, *map(str, argv)], capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"{' '.join(map(str, argv))}: {done.stderr.strip()}")


class WireguardGo:
    name = "wireguard-go"

    def __init__(self, _tools, namespaces):
        self.program = str(UNPACKED) if UNPACKED.exists() else shutil.which("wireguard-go")
        missing = [name for name, path in (("wireguard-go", self.program), ("wg", shutil.which("wg"))) if not path]
        if missing:
            raise LabError(f"no {', '.join(missing)} on this machine")
        self.namespaces = namespaces

    def version(self):
        key = UNPACKED.parents[2] / ".key"
        if self.program == str(UNPACKED) and key.exists():
            return key.read_text().strip()
        said = subprocess.run([self.program, "--version"], capture_output=True, text=True)
        return (said.stdout + said.stderr).split("\n")[0].removeprefix("wireguard-go ").strip() + " (installed, maybe not the newest)"

    def key(self, side):
        path = self.namespaces[side].lab.folder / f"wg-{side}.key"
        if not path.exists():
            path.write_text(subprocess.run(["wg", "genkey"], capture_output=True, text=True, check=True).stdout)
            path.chmod(0o600)
        return path

    def inside(self, side, *argv):
        inside(self.namespaces[side], *argv)

    def device(self, side):
        return f"wg{os.getpid()}{side}"  # its control socket is the machine's, not the namespace's

    def start(self):
        self.processes = {}
        for side, namespace in self.namespaces.items():
            process = namespace.start([self.program, "-f", self.device(side)], env={"LOG_LEVEL": "error"})
            found = lambda: subprocess.run(["wg", "show", self.device(side)], capture_output=True).returncode == 0
            process.wait_for(found, "a control socket")
            self.processes[side] = process
        for side, other in OTHER.items():
            public = subprocess.run(["wg", "pubkey"], input=self.key(other).read_text(), capture_output=True, text=True).stdout.strip()
            self.inside(side, "wg", "set", self.device(side), "listen-port", PORT[self.name], "private-key", self.key(side), "peer", public,
                        "allowed-ips", TUNNEL[self.name][other] + "/32", "endpoint", f"{ADDRESS[other]}:{PORT[self.name]}")
            self.inside(side, "ip", "addr", "add", TUNNEL[self.name][side] + "/24", "dev", self.device(side))
            self.inside(side, "ip", "link", "set", self.device(side), "up", "mtu", "1420")
        return self

    @property
    def pids(self):
        return {side: process.pid for side, process in self.processes.items()}


class Transfer:
    """One iperf3 run; keeps what all of them cost."""

    def __init__(self, a, address, pids, words, seconds):
        cubic = [] if "-u" in words or "-C" in words else ["-C", "cubic"]  # whatever this machine's default is
        self.a, self.address, self.pids, self.words, self.seconds = a, address, pids, [*words, *cubic], seconds
        self.costs, self.errors, self.rss = [], [], []

    def __call__(self):
        argv = ["iperf3", "-c", self.address, "-p", IPERF_PORT, "-t", max(1, round(self.seconds)), "-J", "--connect-timeout", "3000", *self.words]
        for pid in self.pids.values():
            forget_peak(pid)
        with Cost(self.pids) as cost:
            done = subprocess.run(["nsenter", f"--net=/run/netns/{self.a.name}", *map(str, argv)], capture_output=True, text=True,
                                  timeout=self.seconds + 20)
        self.rss += [peak_rss_bytes(pid) for pid in self.pids.values()]
        got = json.loads(done.stdout or "{}")
        if "sum_received" not in got.get("end", {}):
            self.errors.append(got.get("error", "iperf3 said nothing"))
            return None
        self.costs.append(cost.per_gb(got["end"]["sum_received"]["bytes"]))
        return got["end"]["sum_received"]["bits_per_second"] / 1e6

    def cost(self):
        return {name: round(median([cost[name] for cost in self.costs]), 3) for name in self.costs[0]} if self.costs else None
