# SPDX-License-Identifier: MIT
"""`tun`: TCP by iperf3 through two TUN interfaces, against wireguard-go between the same namespaces in the same run. For benches.py's table:
BENCHES["tun"] = bench_tun.tun."""
import json
import shutil
import subprocess

from lab import ADDRESS, Lab, LabError
from measure import Cost, interleaved, median, median_ratio, rss_bytes

TUNNEL = {"peergate": {"a": "10.64.0.1", "b": "10.64.0.2"}, "wireguard-go": {"a": "10.65.0.1", "b": "10.65.0.2"}}
OTHER = {"a": "b", "b": "a"}
PORT = {"peergate": 7001, "wireguard-go": 51820}
IPERF_PORT = 5201
RATIO, COST = 2.0, 2.2


class PeergateTun:
    name = "peergate"

    def __init__(self, tools, namespaces):
        self.tools, self.namespaces = tools, namespaces

    def cli(self, side, *words):
        argv = [self.tools.peergate, "--dir", self.folder(side), *words]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"peergate {' '.join(words)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def folder(self, side):
        return self.namespaces[side].lab.folder / f"tun-{side}"

    def start(self):
        for side in "ab":
            self.cli(side, "init", "--hostname", side, "--network", "demo")
        ids = {side: json.loads(self.cli(side, "id", "--json"))["peer_id"] for side in "ab"}
        for side, other in OTHER.items():
            peer = {"name": other, "peer_id": ids[other], "endpoint": f"{ADDRESS[other]}:{PORT[self.name]}",
                    "tunnel_ip": TUNNEL[self.name][other], "eager": True}
            config = {"hostname": side, "network": "demo", "port": PORT[self.name], "address": TUNNEL[self.name][side] + "/24",
                      "tun": {"enabled": True}, "peers": [peer]}
            (self.folder(side) / "config.yaml").write_text(json.dumps(config))
        self.processes = {side: namespace.start([self.tools.peergate, "--dir", self.folder(side), "up"])
                          for side, namespace in self.namespaces.items()}
        return self

    @property
    def pids(self):
        return {side: process.pid for side, process in self.processes.items()}


class WireguardGo:
    name = "wireguard-go"

    def __init__(self, _tools, namespaces):
        missing = [program for program in ("wireguard-go", "wg") if not shutil.which(program)]
        if missing:
            raise LabError(f"no {', '.join(missing)} on this machine")
        self.namespaces = namespaces

    def key(self, side):
        path = self.namespaces[side].lab.folder / f"wg-{side}.key"
        if not path.exists():
            path.write_text(subprocess.run(["wg", "genkey"], capture_output=True, text=True, check=True).stdout)
            path.chmod(0o600)
        return path

    def inside(self, side, *argv):
        done = subprocess.run(["ip", "netns", "exec", self.namespaces[side].name, *map(str, argv)], capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"{' '.join(map(str, argv))}: {done.stderr.strip()}")

    def device(self, side):
        return "bench" + side  # its control socket is the machine's, not the namespace's

    def start(self):
        self.processes = {}
        for side, namespace in self.namespaces.items():
            process = namespace.start(["wireguard-go", "-f", self.device(side)], env={"LOG_LEVEL": "error"})
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
        self.a, self.address, self.pids, self.words, self.seconds = a, address, pids, words, seconds
        self.costs, self.errors, self.rss = [], [], []

    def __call__(self):
        argv = ["iperf3", "-c", self.address, "-p", IPERF_PORT, "-t", max(1, round(self.seconds)), "-J", "--connect-timeout", "3000", *self.words]
        with Cost(self.pids) as cost:
            done = subprocess.run(["nsenter", f"--net=/run/netns/{self.a.name}", *map(str, argv)], capture_output=True, text=True,
                                  timeout=self.seconds + 20)
            self.rss += [rss_bytes(pid) for pid in self.pids.values()]
        got = json.loads(done.stdout or "{}")
        if "sum_received" not in got.get("end", {}):
            self.errors.append(got.get("error", "iperf3 said nothing"))
            return None
        self.costs.append(cost.per_gb(got["end"]["sum_received"]["bytes"]))
        return got["end"]["sum_received"]["bits_per_second"] / 1e6

    def cost(self):
        return {name: round(median([cost[name] for cost in self.costs]), 3) for name in self.costs[0]} if self.costs else None


def result(name, transfers, values, noise):
    ours, theirs = values["peergate"], values.get("wireguard-go", [])
    ratio, ratio_noise = median_ratio(ours, theirs)
    cost = transfers["peergate"].cost()
    peer = transfers.get("wireguard-go")
    is_met = None if ratio is None or cost is None else ratio >= RATIO and cost["all"] <= COST
    return {"name": name, "value": round(median([value for value in ours if value]) or 0, 1), "unit": "Mbit/s", "peer": "wireguard-go" if peer else None,
            "peer_value": round(median([value for value in theirs if value]), 1) if any(theirs) else None,
            "ratio": None if ratio is None else round(ratio, 3), "target": f"ratio >= {RATIO}, <= {COST} s/GB", "met": is_met,
            "cpu_s_per_gb": cost, "peer_cpu_s_per_gb": peer.cost() if peer else None, "noise": round(ratio_noise, 3),
            "rss_mb": round(max(transfers["peergate"].rss, default=0) / 1e6, 1), "raw_mbit": noise["raw"], "raw_noise": noise["raw_noise"],
            "repeated": noise["repeated"], "errors": [error for one in transfers.values() for error in one.errors]}


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


def tun(ctx):
    if not shutil.which("iperf3"):
        raise LabError("no iperf3 on this machine")
    with Lab() as lab:
        a, b = lab.namespace("a"), lab.namespace("b")
        lab.veth(a, b)
        b.start(["iperf3", "-s", "-p", IPERF_PORT], port=IPERF_PORT)
        ways = start(ctx, {"a": a, "b": b})
        for name, words in (("tun, 1 stream up", []), ("tun, 4 streams up", ["-P", "4"]), ("tun, 1 stream down", ["-R"]),
                            ("tun, 4 streams down", ["-R", "-P", "4"])):
            transfers = {key: Transfer(a, TUNNEL[key]["b"], way.pids, words, ctx.seconds(4)) for key, way in ways.items()}
            values, noise = interleaved(ctx.runs, transfers)
            ctx.emit(result(name, transfers, values, noise))
