#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real nodes behind NATs of all kinds (natground.py), an anchor between them and nothing else known: who gets direct, and how fast, held against tests/nat/grid.txt. The whole grid is grid.py's. `unrelayed`: the anchor relays nothing, so that there is no session before the punch."""
import time

from ground import PATIENCE, PEERGATE, Ground, check, chosen, needs, run, until
from natground import ANCHOR, Internet, grid

SOME = [("open", "port-restricted"), ("port-restricted", "port-restricted"), ("symmetric-sequential", "symmetric-sequential"),
        ("symmetric-sequential", "port-restricted"), ("symmetric-random", "port-restricted"), ("nft-random", "nft"),
        ("cgnat-double", "symmetric-random"), ("symmetric-random", "symmetric-random")]
LIKE = {"nft": "port-restricted", "nft-random": "symmetric-random"}
CONNECTED, DIRECT, SEARCH = 3, 5, 15  # the figures, in seconds
PORTS = {"symmetric-sequential": "sequential", "symmetric-random": "random", "nft-random": "random"}


class Pinging:
    """One ping a second, so that the peer is in use."""

    def __init__(self, node, host):
        self.program = node.namespace.start([PEERGATE, "--dir", node.dir, "ping", "-c", "1000", "-i", "0.5", host],
                                            f"ping-{node.name}")

    def stop(self):
        self.program.kill()


def ends(ground, internet, a, b, relays=True):
    """Two homes that know each other's peer ID, and the anchor: their nodes."""
    v6 = "v6-only" in (a, b)
    homes = [internet.home("left", a, v6=v6), internet.home("right", b, v6=v6)]
    nodes = [ground.node(home.host, home.short) for home in homes]
    anchor = ground.node(internet.anchors, "anchor")
    anchor.configure({"port": 7000, "role": "anchor", "anchor": {"relay": relays},
                      "peers": [{"name": node.name, "peer_id": node.peer_id} for node in nodes]})
    for i, (node, home) in enumerate(zip(nodes, homes)):
        other = nodes[1 - i]
        at = f"{ANCHOR[0]}:7000" if home.has_v4 else f"[{ANCHOR[2]}]:7000"
        node.configure({"port": 7001 + i, "anchors": [{"name": "anchor", "peer_id": anchor.peer_id, "endpoint": at}],
                        "peers": [{"name": other.name, "peer_id": other.peer_id}]})
    for node in (anchor, *nodes):
        node.up()
    return nodes


def kind(node, peer):
    path = node.peer(peer)["path"]
    return path["kind"] if path else "none"


def meet(nodes, limit, first=CONNECTED * PATIENCE):
    """Seconds until connected, and until both are direct; None: not within `first`, and the limit, which begins anew when they are connected."""
    left, right = nodes
    began, connected, direct = time.monotonic(), None, None
    pinging = Pinging(left, right.name)
    while direct is None and time.monotonic() - began < (first if connected is None else connected + limit):
        kinds = kind(left, right.name), kind(right, left.name)
        now = time.monotonic() - began
        if connected is None and "none" not in kinds:
            connected = now
        if kinds == ("direct", "direct"):
            direct = now
        time.sleep(0.1)
    pinging.stop()
    return connected, direct


def is_what(kind, nat):
    return (kind in ("v6-only", "udp-blocked") or nat["mapping"] != "unknown") and (kind not in PORTS or nat["ports"] == PORTS[kind])


def text(seconds):
    return "never" if seconds is None else f"{seconds:.1f} s"


def pair(a, b, expected):
    """What is wrong with it, or None."""
    with Ground("kinds") as ground:
        internet = Internet(ground)
        internet.anchors = internet.anchor()
        nodes = ends(ground, internet, a, b)
        connected, direct = meet(nodes, {"direct": DIRECT * PATIENCE, "search": SEARCH * PATIENCE, "relay": DIRECT}[expected])
        ground.step(f"{a} x {b}: connected {text(connected)}, direct {text(direct)}; {expected} is possible")
        if "udp-blocked" in (a, b):
            return None if connected is None else f"{a} x {b}: connected, without UDP"
        if connected is None:
            return f"{a} x {b}: connected {text(connected)}"
        if (direct is None) == (expected in ("direct", "search")):
            print(nodes[0].cli("why", nodes[1].name), nodes[0].cli("status"))
            return f"{a} x {b}: direct {text(direct)}, {expected} is possible"
        if direct is None and "symmetric-random" in (a, b):
            until(lambda: "another port for each destination" in nodes[0].cli("why", nodes[1].name), f"{a} x {b}: the reason, by why", 20)
        for node, own in zip(nodes, (a, b)):
            until(lambda: is_what(own, node.status()["nat"]), lambda: f"{own} is measured: {node.status()['nat']}")
        return None


def table(pairs):
    cells = grid()[1]
    wrong = [pair(a, b, cells[LIKE.get(a, a), LIKE.get(b, b)]) for a, b in pairs]
    wrong = [one for one in wrong if one]
    check(not wrong, "; ".join(wrong))


def some():
    table(SOME)


def unrelayed():
    with Ground("kinds") as ground:
        internet = Internet(ground)
        internet.anchors = internet.anchor()
        nodes = ends(ground, internet, "port-restricted", "nft", relays=False)
        connected, direct = meet(nodes, DIRECT * PATIENCE)
        ground.step(f"no relay: connected {text(connected)}, direct {text(direct)}")
        check(direct is not None, f"without a relay: direct {text(direct)}")


def unrelayed_hard():
    """An anchor that relays nothing: its words are enough for foretold ports and for a search."""
    for a, b in (("symmetric-sequential", "port-restricted"), ("nft", "symmetric-random"), ("nft-random", "port-restricted")):
        with Ground("kinds") as ground:
            internet = Internet(ground)
            internet.anchors = internet.anchor()
            nodes = ends(ground, internet, a, b, relays=False)
            connected, direct = meet(nodes, DIRECT * PATIENCE, first=SEARCH * PATIENCE)
            ground.step(f"{a} x {b}, no relay: direct {text(direct)}")
            check(direct is not None, f"{a} x {b}, without a relay: direct {text(direct)}")
            serving = ground.nodes[-1].status()["networks"][0]["anchor"]
            check(serving["relayed_datagrams"] == 0 and serving["channels"] == 0, f"{serving}")


def test():
    needs("nft", "ip")
    for part in chosen([some, unrelayed, unrelayed_hard]):
        part()


run(test)
