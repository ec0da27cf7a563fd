# SPDX-License-Identifier: MIT
"""`packets`: a stock WireGuard peer (wireguard-go, TUN) against a service of a node without a TUN: TCP by iperf3, which the node's netstack ends. Beside it the
same peer and another wireguard-go, whose kernel has the TCP: as fast as it goes, and one connection over a long way. And the netstack by itself, without
sockets."""
import json
import shutil
import subprocess

from lab import ADDRESS, Lab, LabError
from measure import interleaved, median, median_ratio, spread
from tunways import IPERF_PORT, PORT, TUNNEL, Transfer, WireguardGo

HOME = "10.65.0.3"
TARGET = 2000
# The long way: what a connection carries beside the headers of TCP, IP and WireGuard is nine tenths of it.
FAR, FAR_TARGET = {"delay": 50, "rate": 100, "buffer": 50}, 85


def start_home(ctx, b, stock):
    """The process of a node without a TUN, with iperf3's port as a service."""
    folder = b.lab.folder / "home"
    cli = lambda *words: subprocess.run([ctx.tools.peergate, "--dir", folder, *words], capture_output=True, text=True, check=True).stdout
    public = lambda side: subprocess.run(["wg", "pubkey"], input=stock.key(side).read_text(), capture_output=True, text=True, check=True).stdout.strip()
    cli("init", "--hostname", "home", "--network", "demo")
    config = {"hostname": "home", "network": "demo", "port": PORT["peergate"], "address": HOME + "/24",
              "services": {"iperf": {"local_address": f"127.0.0.1:{IPERF_PORT}"}},
              "peers": [{"name": "stock", "public_key": public("a"), "allowed_ips": [TUNNEL["wireguard-go"]["a"] + "/32"]}]}
    (folder / "config.yaml").write_text(json.dumps(config))
    stock.inside("a", "wg", "set", stock.device("a"), "peer", json.loads(cli("id", "--json"))["public_key"], "allowed-ips", HOME + "/32",
                 "endpoint", f"{ADDRESS['b']}:{PORT['peergate']}")
    return b.start([ctx.tools.peergate, "--dir", folder, "up"])


def result(name, transfers, values, target):
    ours, theirs = values["peergate"], values["wireguard-go"]
    ratio, noise = median_ratio(ours, theirs)
    value = median([one for one in ours if one]) or 0
    return {"name": name, "value": round(value, 1), "unit": "Mbit/s", "peer": "wireguard-go at both ends",
            "peer_value": round(median([one for one in theirs if one]) or 0, 1), "ratio": None if ratio is None else round(ratio, 3),
            "target": f">= {target}", "met": value >= target, "cpu_s_per_gb": transfers["peergate"].cost(),
            "peer_cpu_s_per_gb": transfers["wireguard-go"].cost(), "noise": round(noise, 3), "runs": len(ours),
            "errors": [error for one in transfers.values() for error in one.errors]}


def stock_to_service(ctx, link, target, suffix, words, seconds):
    missing = [name for name in ("iperf3", "wg") if not shutil.which(name)]
    if missing:
        raise LabError(f"no {', '.join(missing)} on this machine")
    with Lab() as lab:
        a, b = lab.namespace("a"), lab.namespace("b")
        emulator = lab.emulated(ctx.tools.linkem, a, b, **link) if link else lab.veth(a, b)
        b.start(["iperf3", "-s", "-p", IPERF_PORT], port=IPERF_PORT)
        stock = WireguardGo(ctx.tools, {"a": a, "b": b}).start()
        home = start_home(ctx, b, stock)
        # Of each pair, what stands at the service's end: the other end is the same program.
        ways = {"peergate": (HOME, {"home": home.pid}), "wireguard-go": (TUNNEL["wireguard-go"]["b"], {"home": stock.pids["b"]})}
        for name, direction in (("packets, stock to a service", []), ("packets, a service to stock", ["-R"])):
            transfers = {key: Transfer(a, address, pids, [*words, *direction], ctx.seconds(seconds)) for key, (address, pids) in ways.items()}
            values, _ = interleaved(ctx.runs, transfers)
            ctx.emit(result(name + suffix, transfers, values, target))
        if emulator:
            emulator.stop()


def near(ctx):
    stock_to_service(ctx, None, TARGET, "", [], 4)


def far(ctx):
    """Its first seconds, in which it looks for the rate, are not counted."""
    stock_to_service(ctx, FAR, FAR_TARGET, ", 100 Mbit/s, 100 ms", ["-O", "3", "-C", "cubic"], 8)


def alone(ctx, program):
    lines = [program(ctx, "bench_netstack", "500", "1000")[-1] for _ in range(ctx.runs)]
    gbit = [line["gbit_s"] for line in lines]
    ctx.emit({"name": "netstack alone, both ends on one core", "value": round(median(gbit), 2), "unit": "Gbit/s of a core", "peer": None,
              "peer_value": None, "ratio": None, "runs": len(lines), "noise": round(spread(gbit), 3),
              **{key: value for key, value in lines[-1].items() if key.endswith("_s") and key != "gbit_s"}})
