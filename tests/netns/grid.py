#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The real program behind every two kinds of NAT (natground.py), with two anchors in the middle: is every pair connected, how soon, which are direct and how soon,
and does `why` say what keeps the others from it? What is possible is tests/nat/grid.txt, which the simulator's grid is held against too.

    grid.py             some of the pairs: each kind once with itself and twice with others
    grid.py whole       all of them, and the kernel's own NATs
    grid.py KIND KIND   one pair, a daemon's log behind it

A round has each line once: the pairs of a round meet at the same time, and no line is shared. Who meets a v6-only line has IPv6 too, in a ground of its own."""
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from ground import BUILD, PATIENCE, Failed, Ground, check, needs, run
from meeting import PORT, anchor_node, echo_service, meet, wait_registered
from natground import ANCHOR, Internet, grid

CONNECTED, DIRECT, SEARCHED = 3, 5, 15  # the figures, in seconds, PATIENCE times which is a mistake
SETTLED = 25                            # an attempt to go direct is over by then, and `why` has its verdict
DELAY = 10                              # ms one way, of each line
LIKE = {"nft": "port-restricted", "nft-random": "symmetric-random"}
SHORT = {"open": "open", "full-cone": "full", "address-restricted": "addr", "port-restricted": "port", "symmetric-sequential": "seq",
         "symmetric-random": "random", "cgnat-double": "cgnat", "udp-blocked": "no-udp", "v6-only": "v6", "nft": "nft", "nft-random": "nft-rnd"}
SOME = (0, 3, 4)  # these rounds of the first ground are what a short run has

MISSING = set()  # what is possible and not there yet; a pair that does better is no mistake


class Lines:
    """A ground with an internet, its anchors, and a daemon for each kind on each of two sides: those of side a call those of side b."""

    def __init__(self, ground, kinds_a, kinds_b, v6=False):
        self.ground = ground
        internet = self.internet = Internet(ground)
        self.sides, self.nodes = [], []
        anchors = [anchor_node(ground, internet.machine(name, *addresses), name, addresses, self.nodes)
                   for name, addresses in (("anchor1", ANCHOR[::2]), ("anchor2", ANCHOR[1::2]))]
        for side, kinds in zip("ab", (kinds_a, kinds_b)):
            self.sides.append({kind: self.line(f"{side}{i}", kind, v6) for i, kind in enumerate(kinds)})
            self.nodes += self.sides[-1].values()
        for side, others in (self.sides, self.sides[::-1]):
            for node in side.values():
                node.configure({"port": PORT, "anchors": [anchor.entry for anchor in anchors], "socks": {"listen": "127.0.0.1:1080"},
                                "peers": [{"name": other.name, "peer_id": other.peer_id} for other in others.values()],
                                "services": echo_service(node)})
        for anchor in anchors:
            anchor.serve()
        for node in (*anchors, *self.nodes):
            node.up(wait=False)
        for node in (*anchors, *self.nodes):
            node.wait_up()
        late = wait_registered(self.nodes)
        check(not late, f"not registered with both anchors: {', '.join(node.home.kind for node in late)}")

    def line(self, short, kind, v6):
        options = {} if kind in ("open", *LIKE) else {"delay": DELAY}
        home = self.internet.home(short, kind, v6=v6, **options)
        node = self.ground.node(home.host, short)
        node.home = home
        return node

    def round(self, pairs):
        """The outcomes of pairs that meet at the same time."""
        with ThreadPoolExecutor(len(pairs)) as pool:
            return list(pool.map(lambda pair: meet(self.sides[0][pair[0]], self.sides[1][pair[1]], max(CONNECTED, 5) * PATIENCE,
                                                   SETTLED * PATIENCE), pairs))


# ---- what is expected

def is_alike(cells, a, b):
    return cells[LIKE.get(a, a), LIKE.get(b, b)]


def judge(cells, outcome):
    """(mark, sentence): "" as it should be, "~" later than the figure but within patience, "?" possible but not there yet, "!" wrong."""
    a, b = outcome.a.home.kind, outcome.b.home.kind
    possible = is_alike(cells, a, b)
    if outcome.error and outcome.first is not None:
        return "!", f"the stream broke: {outcome.error}"
    if outcome.first is None:
        return "!", f"not connected: {outcome.error}"
    if outcome.first > CONNECTED * PATIENCE:
        return "!", f"connected only after {outcome.first:.1f} s"
    if possible == "relay" and outcome.word == "direct":
        return "!", "direct, which is not possible"
    if possible != "relay" and outcome.word != "direct":
        return "!", "not direct"
    limit = {"direct": DIRECT, "search": SEARCHED}.get(possible)
    if outcome.direct is not None and outcome.direct > limit * PATIENCE:
        return "!", f"direct only after {outcome.direct:.1f} s"
    is_late = outcome.first > CONNECTED or (outcome.direct is not None and outcome.direct > limit)
    return ("~" if is_late else ""), ""


def unexplained(outcome):
    """Which end has no good reason for what it does, if not a direct path."""
    for node, answer in zip((outcome.a, outcome.b), outcome.why):
        if outcome.word != "direct" and (not answer.get("verdict") or not answer.get("advice")):
            return f"{node.home.kind} says \"{answer.get('verdict')}\" and not what would have to change"
        if outcome.word == "relay" and answer["verdict"].startswith("relayed;"):
            return f"{node.home.kind} has no verdict: \"{answer['verdict']}\""
    return None


# ---- the table

def cell_text(mark, outcome):
    if outcome.first is None:
        return f"{mark}--"
    direct = "relay" if outcome.direct is None else f"{outcome.direct:.2f}"
    return f"{mark}{outcome.first:.2f} {direct}"


def table(cells, outcomes):
    kinds_a = list(dict.fromkeys(outcome.a.home.kind for outcome in outcomes))
    kinds_b = list(dict.fromkeys(outcome.b.home.kind for outcome in outcomes))
    texts = {(o.a.home.kind, o.b.home.kind): cell_text(judge(cells, o)[0], o) for o in outcomes}
    lines = ["seconds to the first byte, and until direct.  ~ later than it should be  ? possible, not there yet  ! wrong",
             f"{'':21}" + "".join(f"{SHORT[kind]:>12}" for kind in kinds_b)]
    for a in kinds_a:
        lines.append(f"{a:21}" + "".join(f"{texts.get((a, b), ''):>12}" for b in kinds_b))
    return lines


def reasons(outcomes):
    """Why each relayed pair is, pairs of one reason together."""
    said = {}
    for outcome in outcomes:
        for node, answer in zip((outcome.a, outcome.b), outcome.why):
            if outcome.word != "direct":
                pair = f"{SHORT[outcome.a.home.kind]}-{SHORT[outcome.b.home.kind]}"
                said.setdefault((answer.get("verdict"), answer.get("advice")), {}).setdefault(pair, node)
    lines = []
    for (verdict, advice), pairs in said.items():
        lines += [f"{', '.join(pairs)}:", f"    {verdict}", f"    to change that: {advice}"]
    return lines


def summary(outcomes):
    firsts = sorted(outcome.first for outcome in outcomes if outcome.first is not None)
    directs = sorted(outcome.direct for outcome in outcomes if outcome.direct is not None)
    text = f"{len(outcomes)} pairs, {len(firsts)} connected, {len(directs)} direct"
    if firsts:
        text += f"; first byte after {firsts[len(firsts) // 2]:.2f} s (median), {firsts[-1]:.2f} s (slowest)"
    if directs:
        text += f"; direct after {directs[len(directs) // 2]:.2f} s, {directs[-1]:.2f} s"
    return text + f"; a word of a stream was late by {1000 * max((o.gap for o in outcomes), default=0):.0f} ms at most"


# ---- the runs

def rounds(kinds, chosen=None):
    """Each line once in a round."""
    count = len(kinds)
    return [[(kinds[i], kinds[(i + shift) % count]) for i in range(count)] for shift in range(count) if chosen is None or shift in chosen]


def measure(ground_name, kinds_a, kinds_b, plan, v6=False):
    outcomes = []
    with Ground(ground_name) as ground:
        lines = Lines(ground, kinds_a, kinds_b, v6)
        ground.step(f"{len(lines.nodes)} daemons are registered with two anchors")
        for pairs in plan:
            outcomes += lines.round(pairs)
            ground.step(f"{len(outcomes)} of {sum(map(len, plan))} pairs have met")
    return outcomes


def all_pairs(is_whole):
    kinds, _ = grid()
    v4 = [kind for kind in kinds if kind != "v6-only"]
    lines = [*v4, *LIKE] if is_whole else v4
    outcomes = measure("grid", lines, lines, rounds(lines, None if is_whole else SOME))
    # With v6-only in the middle of all: firewalls have nothing that pairs could disturb, so several at once share a line.
    with_v6 = [[("v6-only", kind) for kind in kinds], [(kind, "v6-only") for kind in v4]]
    if is_whole:
        outcomes += measure("grid6", kinds, kinds, with_v6, v6=True)
    else:
        outcomes += measure("grid6", ["v6-only"], kinds, with_v6[:1], v6=True)
    return outcomes


def tell(outcomes, path=None):
    """Prints the table; Failed if something is not as it should be."""
    _, cells = grid()
    lines = [*table(cells, outcomes), summary(outcomes), *reasons(outcomes)]
    print("\n".join(lines), flush=True)
    if path:
        path.write_text("\n".join(lines) + "\n")
    wrong = []
    for outcome in outcomes:
        pair = f"{outcome.a.home.kind} x {outcome.b.home.kind}"
        mark, sentence = judge(cells, outcome)
        unsaid = unexplained(outcome)
        wrong += [f"{pair}: {sentence}"] * (mark == "!") + [f"{pair}: {unsaid}"] * bool(unsaid)
    check(not wrong, "; ".join(wrong))


def one_pair(a, b):
    v6 = "v6-only" in (a, b)
    with Ground("grid") as ground:
        lines = Lines(ground, [a], [b], v6)
        outcomes = lines.round([(a, b)])
        for node, other in zip((outcomes[0].a, outcomes[0].b), (outcomes[0].b, outcomes[0].a)):
            print(f"---- {node.home.kind}: peergate why\n{node.cli('why', other.name)}")
            if os.environ.get("LOGS"):
                print(node.log())
    tell(outcomes)


def main():
    needs("nft", "ip")
    words = sys.argv[1:]
    if len(words) == 2:
        one_pair(*words)
    elif words in ([], ["whole"]):
        tell(all_pairs(bool(words)), BUILD / "nat-grid.txt")
    else:
        raise Failed("grid.py [whole | KIND KIND]")


if __name__ == "__main__":
    run(main)
