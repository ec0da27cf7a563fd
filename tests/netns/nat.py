#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The NATs that other tests stand on (natground.py) are what they say: measured from inside by natprobe, and where the kernel has the same kind, equal to
the kernel's, time-outs and bad manners included."""
import json
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

from ground import REPLY, Failed, Ground, check, chosen, needs, run, until
from natground import ANCHOR, Internet, grid
from natpunch import punch

#                          mapping         filtering       ports         hairpin
KINDS = {
    "open":                 ("independent", "independent", "preserve", True),
    "full-cone":            ("independent", "independent", "preserve", True),
    "address-restricted":   ("independent", "address", "preserve", False),
    "port-restricted":      ("independent", "address-port", "preserve", False),
    "symmetric-sequential": ("address-port", "address-port", "sequential", False),
    "symmetric-random":     ("address-port", "address-port", "random", False),
    "cgnat-double":         ("independent", "address-port", "random", True),
    "cgnat-symmetric":      ("address-port", "address-port", "random", False),  # it turns round, but to another mapping
    "linux":                ("independent", "address-port", "preserve", False),
    "linux-bare":           ("independent", "address-port", "preserve", False),
    "linux-random":         ("address-port", "address-port", "random", False),
}
ALIKE = (("nft", "port-restricted"), ("nft", "linux"), ("nft-bare", "linux-bare"), ("nft-random", "symmetric-random"),
         ("nft-random", "linux-random"))
SERVER6 = f"[{ANCHOR[2]}]:3478"


def all_at_once(function, items):
    with ThreadPoolExecutor(16) as pool:
        return dict(zip(items, pool.map(function, items)))


def retried(measure, judge):
    """What was measured when judge() took it: several times, for what a machine that stands still does to short time-outs."""
    for left in (2, 1, 0):
        found = measure()
        try:
            judge(found)
            return found
        except Failed:
            if not left:
                raise


def ping(namespace, address):
    """Seconds until the answer; None without one."""
    with namespace, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(1)
        echo = struct.pack(">BBHHH", 8, 0, 0, 77, 1)
        total = sum(struct.unpack(">4H", echo))
        total = (total & 0xffff) + (total >> 16)
        begin = time.monotonic()
        try:
            sock.sendto(echo[:2] + struct.pack(">H", ~total & 0xffff) + echo[4:], (address, 0))
            while sock.recv(200)[20] != 0:
                pass
        except OSError:
            return None
        return time.monotonic() - begin


def is_what(found, kind):
    names = ("mapping", "filtering", "ports", "hairpin")
    got = tuple(found[name] for name in names)
    check(got == KINDS[kind], f"{kind}: {dict(zip(names, got))} instead of {dict(zip(names, KINDS[kind]))}")
    check(found["udp"] and found["tcp"], f"{kind}: {found}")
    check(found["nat"] == (kind != "open"), f"{kind}: {found}")
    check(found["step"] == (kind == "symmetric-sequential"), f"{kind}: steps of {found['step']}")


def every_kind(ground, internet):
    """Each preset measures as what it is called."""
    homes = {kind: internet.home(f"h-{i}", kind) for i, kind in enumerate(KINDS)}
    found = all_at_once(lambda kind: retried(homes[kind].probe, lambda found: is_what(found, kind)), homes)
    for kind, one in found.items():
        ground.step(f"{kind}: {json.dumps(one)}")
    blocked = internet.home("blocked", "udp-blocked").probe()
    check(blocked == {"udp": False, "tcp": True}, f"udp-blocked: {blocked}")
    only6 = internet.home("only6", "v6-only")
    retried(lambda: only6.probe(server=SERVER6), lambda found: check(
        found["udp"] and found["tcp"] and not found["nat"] and found["filtering"] == "address-port", f"v6-only: {found}"))
    check(ping(only6.host, ANCHOR[0]) is None, "v6-only has a way to IPv4")
    both = internet.home("both", "symmetric-random", v6=True)
    retried(both.probe, lambda found: check(found["ports"] == "random", f"IPv4 beside IPv6: {found}"))
    retried(lambda: both.probe(server=SERVER6), lambda found: check(found["filtering"] == "address-port", f"IPv6 beside IPv4: {found}"))
    kinds, cells = grid()
    check(len(cells) == 81 and set(kinds) <= {*KINDS, "udp-blocked", "v6-only"}, f"the grid's kinds: {kinds}")


def as_the_kernel(ground, internet):
    """The model's and the kernel's are one to whoever is behind them."""
    kinds = list(dict.fromkeys(kind for pair in ALIKE for kind in pair))
    homes = {kind: internet.home(f"h-{i}", kind) for i, kind in enumerate(kinds)}
    def measure():
        found = all_at_once(lambda kind: {**homes[kind].probe(), **homes[kind].probe("--stranger")}, homes)
        for one in found.values():
            del one["mapped"]
        return found

    def judge(found):
        for kernel, model in ALIKE:
            check(found[kernel] == found[model], f"{kernel} gives {found[kernel]}, {model} gives {found[model]}")
        check(found["nft-bare"]["spoiled"] and not found["nft"]["spoiled"], "a stranger spoils the port where the router does not drop its packet")
    found = retried(measure, judge)
    for kernel, model in ALIKE:
        ground.step(f"{kernel} = {model}: {json.dumps(found[kernel])}")


def time_outs(ground, internet):
    """A session of the kernel's and the model's lives as long: fresh 2 s, assured 5 s."""
    cases = {  # what was said before, how long it is quiet: is it still there?
        ("0", "1200"): True, ("0", "2800"): False, ("1000", "2800"): False,
        ("3000", "2800"): True, ("3000", "4200"): True, ("3000", "6000"): False,
    }
    kernel = internet.home("kernel", "nft")
    kernel.router.sysctl("net.netfilter.nf_conntrack_udp_timeout", 2)
    kernel.router.sysctl("net.netfilter.nf_conntrack_udp_timeout_stream", 5)
    homes = {"nft": kernel}
    for kind in ("port-restricted", "linux"):
        homes[kind] = internet.home(kind, kind, settings="fresh=2,assured=5,settle=2")
    items = [(name, *case) for name in homes for case in cases]

    def one(item):
        name, talk, quiet = item
        retried(lambda: homes[name].probe("--alive", "--talk", talk, "--quiet", quiet)["alive"],
                lambda alive: check(alive == cases[talk, quiet], f"{name}: after {talk} ms of talk and {quiet} ms of silence alive is {alive}"))
    all_at_once(one, items)
    ground.step(f"{len(items)} sessions ended when they had to")


def settings(ground, internet):
    """Ports in steps, others' ports between, pools."""
    homes = {
        "steps": internet.home("steps", "symmetric-sequential", settings="step=4"),
        "others": internet.home("others", "symmetric-sequential", settings="others=200"),
        "paired": internet.home("paired", "symmetric-random", pool=3),
        "arbitrary": internet.home("arbitrary", "symmetric-random", pool=3, settings="arbitrary=1"),
    }

    def judge(found):
        check((found["steps"]["ports"], found["steps"]["step"]) == ("sequential", 4), f"steps: {found['steps']}")
        check(not found["paired"]["pool"] and found["arbitrary"]["pool"], f"pools: {found['paired']}, {found['arbitrary']}")
    found = retried(lambda: all_at_once(lambda name: homes[name].probe(), homes), judge)
    ground.step(f"others: {found['others']['ports']}")


def commands(ground, internet):
    """natbox while it runs."""
    home = internet.home("home", "port-restricted")
    anchor = internet.anchors
    with home.host:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", 5000))
        sock.settimeout(0.3)
    with anchor:
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind((ANCHOR[0], 7000))
        peer.settimeout(0.3)

    def seen(tries=100):
        """The outside address that the peer sees, and the way back works; None when nothing arrives."""
        for _ in range(tries):
            sock.sendto(b"hello", (ANCHOR[0], 7000))
            try:
                source = peer.recvfrom(100)[1]
                peer.sendto(b"back", source)
                check(sock.recv(100) == b"back", "what comes back")
                return source
            except socket.timeout:
                pass
        return None

    check(seen() == (home.public, 5000), "the port is kept")
    home.command("forget")
    check(seen() == (home.public, 5000), "and the same again")
    home.command("rebind")
    other = seen()
    check(other and other[1] != 5000 and seen() == other, f"rebound to {other}")
    for off, on in (("silence on", "silence off"), ("udp off", "udp on"), (f"block {ANCHOR[0]}", "unblock"), (f"block {ANCHOR[0]}:7000", "unblock")):
        home.command(off)
        check(seen(3) is None, f"{off}: it still goes through")
        home.command(on)
        check(seen() is not None, f"{on}: it does not go through")
    home.command(f"block {ANCHOR[1]}")
    check(seen() is not None, "another remote is blocked")
    home.command("kind symmetric-random first=9000,last=9009")
    check(9000 <= seen()[1] <= 9009, "another kind")
    home.command("forward udp 4444 192.168.1.2:5000")
    sock.settimeout(REPLY)
    peer.sendto(b"forwarded", (home.public, 4444))
    while (got := sock.recv(100)) == b"back":  # which came late
        pass
    check(got == b"forwarded", f"the forwarded port: {got}")
    sock.settimeout(0.3)
    internet.net.ip("route", "add", "11.0.250.1", "dev", "home")
    home.command("renumber 11.0.250.1")
    check(seen()[0] == "11.0.250.1", "the new public address")
    stats = home.command("stats")
    check(stats["kind"] == "symmetric-random" and stats["v4"]["mapped"] == 1 and stats["v4"]["out"] > 0, f"{stats}")
    for wrong in ("", "what", "block", "kind none", "kind full-cone step=x", "forward udp 1"):
        try:
            home.command(wrong or " ")
        except Exception as error:
            check(type(error).__name__ == "Failed", f"{wrong}: {error!r}")
        else:
            check(False, f'"{wrong}" is taken')
    ground.step("commands do what they say")


def together(ground, internet):
    """Two machines in one home, two homes of one carrier; delay; how much goes through."""
    home = internet.home("home", "port-restricted", hosts=2, delay=20)
    carrier = internet.carrier("carrier")
    homes = [internet.home(f"phone{i}", "port-restricted", behind=carrier) for i in (1, 2)]
    until(lambda: ping(home.hosts[0], "192.168.1.3"), "no neighbour")
    took = until(lambda: ping(home.hosts[1], ANCHOR[0]), "an answer to a ping")
    check(took > 0.04, f"a ping took {took * 1000:.1f} ms, the delay is 20 one way")
    for i, one in enumerate(homes):
        found = retried(one.probe, lambda found: check(
            (found["mapping"], found["ports"], found["hairpin"]) == ("independent", "random", True), f"behind a carrier: {found}"))
        check(found["mapped"].split(":")[0] == carrier.public, f"phone {i} is seen at {found['mapped']}")
    #  Each punches towards the other's address outside: the carrier turns their packets round.
    socks = []
    for one in homes:
        with one.host:
            socks.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        socks[-1].settimeout(0.2)
    with internet.anchors:
        mirror = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        mirror.bind((ANCHOR[0], 7000))
        mirror.settimeout(REPLY)
    seen = []
    for sock in socks:
        sock.sendto(b"who am I", (ANCHOR[0], 7000))
        seen.append(mirror.recvfrom(100)[1])

    def met():
        for sock, to in zip(socks, reversed(seen)):
            sock.sendto(b"punch", to)
        try:
            return all(sock.recvfrom(100)[1] == at for sock, at in zip(socks, reversed(seen)))
        except socket.timeout:
            return False
    until(met, "two homes of one carrier meet")
    fast = internet.home("fast", "full-cone")
    internet.anchors.start(["iperf3", "-s", "-p", "5201", "--forceflush"], "iperf3", ready="listening")
    got = json.loads(fast.host.run("iperf3", "-c", ANCHOR[0], "-p", "5201", "-t", "2", "-J"))["end"]["sum_received"]
    ground.step(f"natbox carries {got['bits_per_second'] / 1e6:.0f} Mbit/s of TCP")
    check(got["bits_per_second"] > 1e6, f"natbox carries only {got['bits_per_second'] / 1e6:.1f} Mbit/s of TCP")


def pairs(ground, internet):
    """What plain sockets can do here is what tests/nat/grid.txt says: the grid, without what a search finds. The kernel's NATs are in it as what
    they are like."""
    kinds, cells = grid()
    like = {"nft": "port-restricted", "nft-random": "symmetric-random"}
    left, right = ({kind: internet.home(f"{side}-{i}", kind, v6=True) for i, kind in enumerate([*kinds, *like])} for side in "ab")
    wrong, direct = [], 0
    for i, a in enumerate(left):
        for b in list(right)[i:]:
            family = socket.AF_INET6 if "v6-only" in (a, b) else socket.AF_INET
            expected = cells[like.get(a, a), like.get(b, b)] == "direct"
            through = any(punch(left[a], right[b], family) for _ in range(3 if expected else 1))
            direct += through
            if through != expected:
                wrong.append(f"{a} and {b}: {'through' if through else 'not through'}")
    ground.step(f"{direct} of {len(left) * (len(left) + 1) // 2} pairs get through")
    check(not wrong, "; ".join(wrong))


def main():
    needs("nft", "ip", "iperf3")
    for part in chosen([every_kind, as_the_kernel, time_outs, settings, commands, together, pairs]):
        with Ground("nat") as ground:
            ground.step(part.__name__)
            internet = Internet(ground)
            internet.anchors = internet.anchor()
            internet.probe_server(internet.anchors)
            part(ground, internet)


run(main)
