#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Anchors come and go, and so does the direct way, under streams that must not lose a byte; and what it costs to be there and do nothing.

    phone    [natbox, symmetric-random] ---  net  --- [natbox, symmetric-random]  office    (these two are always relayed)
    laptop   [natbox, port-restricted]  ---       --- [natbox, full-cone]         home      (these two are direct)
                                     anchor1, anchor2
"""
import os
import time
from pathlib import Path

from ground import Ground, check, chosen, needs, run, until
from meeting import PORT, anchor_node, is_direct, wait_registered
from natground import ANCHOR, Internet
from traffic import Traffic, serve_traffic

LINE = {"delay": 10, "rate": 20}
FAILOVER, DEATH, HEALS = 2.0, 1.0, 5.0  # the figures, in seconds; an anchor that is back has everybody again within a keepalive
KEEPALIVE = "5s"
FLAPS, FLAP = 5, 2.5                    # so often the direct way goes and comes, seconds between two of that
KNOWN = 50                              # peers that are known and not used


class Scene:
    KINDS = {"phone": "symmetric-random", "office": "symmetric-random", "laptop": "port-restricted", "home": "full-cone"}

    def __init__(self, ground, *names, keepalive=KEEPALIVE):
        self.ground = ground
        internet = self.internet = Internet(ground)
        self.line = {name: internet.home(name, self.KINDS[name], **LINE) for name in names}
        members = []
        self.anchors = [anchor_node(ground, internet.machine(name, *addresses), name, addresses, members)
                        for name, addresses in (("anchor1", ANCHOR[::2]), ("anchor2", ANCHOR[1::2]))]
        self.node = {name: ground.node(line.host, name) for name, line in self.line.items()}
        members += self.node.values()
        self.sink = {}
        beat = {"keepalive_interval": keepalive} if keepalive else {}
        entries = [{**anchor.entry, **beat} for anchor in self.anchors]
        for name, node in self.node.items():
            services, self.sink[name] = serve_traffic(node.namespace)
            node.configure({"port": PORT, "anchors": entries, "socks": {"listen": "127.0.0.1:1080"}, "services": services,
                            "peers": [{"name": other.name, "peer_id": other.peer_id} for other in members if other is not node]})
        for anchor in self.anchors:
            anchor.serve()
        for node in (*self.anchors, *members):
            node.up()
        self.all_registered()

    def all_registered(self, seconds=10):
        late = wait_registered(self.node.values(), seconds)
        check(not late, f"not registered with every anchor within {seconds} s: {', '.join(node.name for node in late)}")

    def is_served(self, anchor):
        """The anchor, maybe a new one of its name, has everybody."""
        return anchor.ask("status")["anchor"]["clients"] == len(self.node)

    def traffic(self, client, server):
        return Traffic(self.node[client], self.sink[server], host=server, least=1 << 17)

    def path(self, node, peer):
        return self.node[node].peer(peer)["path"] or {"kind": "none", "endpoint": ""}

    def are_direct(self, a, b):
        return all(is_direct(self.node[x].ask("why", host=y)) for x, y in ((a, b), (b, a)))

    def relays(self, node, peer):
        """The anchor that node sends to the peer by."""
        path = self.path(node, peer)
        check(path["kind"] == "relay", f"{node} reaches {peer} by {path}")
        return next(anchor for anchor in self.anchors if anchor.name == path["endpoint"])


# ---- anchors that go

def killed(ground):
    """The anchor that relays is killed; and, when it is back, the other one."""
    scene = Scene(ground, "phone", "office")
    traffic = scene.traffic("phone", "office")
    found = []
    for what in ("the anchor that relays is killed", "it is back, and the other is killed"):
        until(lambda: all(one["state"] == "relays" for one in scene.node["phone"].ask("why", host="office")["anchors"]),
              "a channel by each anchor", 20, every=0.1)
        time.sleep(3)
        anchor = scene.relays("phone", "office")
        gap = traffic.survives(ground, what, anchor.kill, seconds=5)
        found.append((f"{what}, relayed", gap, FAILOVER))
        until(lambda: scene.relays("phone", "office") is not anchor, "the other anchor relays", 5, every=0.1)
        anchor.up()
        began = time.monotonic()
        until(lambda: scene.is_served(anchor), "both are registered with it again", HEALS + 5, every=0.05)
        took = time.monotonic() - began
        ground.step(f"    both are registered {took:.1f} s after it was back")
        found.append(("an anchor is back, until all are registered", took, HEALS + 1))
    traffic.stop()
    return found


def restarted(ground):
    """The anchor that relays ends and is back at once, without memory."""
    scene = Scene(ground, "phone", "office")
    traffic = scene.traffic("phone", "office")
    anchor = scene.relays("phone", "office")

    def restart():
        anchor.stop()
        anchor.up()
    gap = traffic.survives(ground, "the anchor that relays restarts", restart, seconds=4)
    until(lambda: scene.is_served(anchor), "both are registered with it again", HEALS + 5, every=0.05)
    traffic.stop()
    return [("the anchor that relays restarts", gap, FAILOVER)]


def remembered(scene):
    """Each anchor has written down where its clients are. What else is in the file does no harm."""
    for anchor in scene.anchors:
        path = anchor.dir / "state" / "clients"
        until(lambda: path.exists() and len(path.read_text().splitlines()) >= len(scene.node), f"{anchor.name} writes {path}", 40)
        check(path.stat().st_mode & 0o777 == 0o600, f"{path} is open to others")
        with path.open("a") as file:
            file.write("AAAA 203.0.113.1:1\n" + "x" * 1000 + "\n")


def rolling(ground):
    """Both anchors restart, a second apart, and nobody uses anything: in order, and killed."""
    scene = Scene(ground, "phone", "office", keepalive=None)
    found = []
    for what, end in (("in order", lambda anchor: anchor.stop()), ("killed", lambda anchor: anchor.kill())):
        time.sleep(12)  # somewhere in the beat
        remembered(scene)
        ground.step(f"both anchors restart, {what}")
        for anchor in scene.anchors:
            began = time.monotonic()
            end(anchor)
            anchor.up()
            time.sleep(max(0.0, began + 1 - time.monotonic()))
        began = time.monotonic()
        until(lambda: scene.node["phone"].ping("office")[1] == 1, "phone reaches office", 100, every=0.05)
        reached = time.monotonic() - began
        until(lambda: all(map(scene.is_served, scene.anchors)), "both are registered with both again", 100, every=0.05)
        took = time.monotonic() - began
        ground.step(f"    phone reached office after {reached:.1f} s, both were registered after {took:.1f} s")
        found += [(f"both anchors restarted, {what}, idle: until a peer is reached", reached, FAILOVER),
                  ("... until all are registered", took, HEALS)]
    return found


def parted(ground):
    """One of the two ends does not reach the anchor that relays any more, the other one does."""
    scene = Scene(ground, "phone", "office")
    traffic = scene.traffic("phone", "office")
    anchor = scene.relays("phone", "office")
    address = ANCHOR[scene.anchors.index(anchor)]
    gap = traffic.survives(ground, f"phone does not reach {anchor.name}", lambda: scene.line["phone"].command(f"block {address}"),
                           seconds=5)
    until(lambda: scene.relays("phone", "office") is not anchor, "phone uses the other anchor", 5, every=0.1)
    scene.line["phone"].command("unblock")
    scene.all_registered(HEALS + 30)
    traffic.stop()
    return [("one end loses the anchor that relays", gap, FAILOVER)]


def all_down(ground):
    """No anchor is left: peers that are direct go on, with new streams, and when a router forgets its mappings."""
    scene = Scene(ground, "laptop", "home")
    traffic = scene.traffic("laptop", "home")
    until(lambda: scene.are_direct("laptop", "home"), "laptop and home are direct", 10, every=0.1)

    def kill_all():
        for anchor in scene.anchors:
            anchor.kill()
    gap = traffic.survives(ground, "all anchors are killed", kill_all, seconds=10)
    found = [("all anchors are gone, direct", gap, DEATH)]
    until(lambda: scene.are_direct("laptop", "home"), "they are direct still")
    second = scene.traffic("laptop", "home")
    second.stop()
    ground.step("    new streams can be opened")
    gap = traffic.survives(ground, "and laptop's router forgets its mappings", lambda: scene.line["laptop"].command("rebind"), seconds=5)
    found.append(("... and a router forgets its mappings", gap, DEATH))
    began = time.monotonic()
    for anchor in scene.anchors:
        anchor.up()
    until(lambda: all(map(scene.is_served, scene.anchors)), "they are registered with both again", 40, every=0.05)
    found.append(("all anchors are back, until all are registered", time.monotonic() - began, None))
    traffic.stop()
    return found


# ---- a direct way that goes

def switches(node, peer):
    return node.log().count(f"peer {peer}: path ")


def flapping(ground):
    """The direct way dies in silence and comes back, again and again."""
    scene = Scene(ground, "laptop", "home")
    traffic = scene.traffic("laptop", "home")
    until(lambda: scene.are_direct("laptop", "home"), "laptop and home are direct", 10, every=0.1)
    box, public = scene.line["laptop"], scene.line["home"].public
    gap = traffic.survives(ground, "the direct way dies", lambda: box.command(f"block {public}"), seconds=4)
    found = [("the direct way dies in silence", gap, DEATH)]
    until(lambda: scene.path("laptop", "home")["kind"] == "relay", "the relay has taken over")
    box.command("unblock")
    began = time.monotonic()
    until(lambda: scene.are_direct("laptop", "home"), "they are direct again", 60, every=0.1)
    ground.step(f"    direct {time.monotonic() - began:.1f} s after it was back")
    found.append(("a direct way is back, until it is used", time.monotonic() - began, None))

    before = {name: switches(scene.node[name], other) for name, other in (("laptop", "home"), ("home", "laptop"))}
    ground.step(f"it goes and comes {FLAPS} times, {FLAP} s each")
    for _ in range(FLAPS):
        for command in (f"block {public}", "unblock"):
            box.command(command)
            time.sleep(FLAP)
            traffic.gaps(0, 0)  # they run
    for name, other in (("laptop", "home"), ("home", "laptop")):
        count = switches(scene.node[name], other) - before[name]
        ground.step(f"    {name}: {count} switches for {2 * FLAPS} changes in {2 * FLAPS * FLAP:.0f} s")
        check(count <= 2 * FLAPS * FLAP, f"{name} switched {count} times in {2 * FLAPS * FLAP:.0f} s")
        found.append((f"switches for {2 * FLAPS} changes, {name}", count, 2 * FLAPS * FLAP))
    traffic.stop()
    return found


# ---- doing nothing

def counted(box):
    """(packets out, packets in, bytes out, bytes in) so far."""
    stats = box.command("stats")
    return stats["v4"]["out"], stats["v4"]["in"], stats["bytes_out"], stats["bytes_in"]


def switched(node):
    status = Path(f"/proc/{node.daemon.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("voluntary_ctxt_switches"))


def watch(box, seconds):
    """How often something went out or came in: what follows within a second belongs to what was before, as a radio sees it."""
    end, seen, last, count = time.monotonic() + seconds, counted(box), -10.0, 0
    while time.monotonic() < end:
        time.sleep(0.1)
        now = counted(box)
        if now != seen:
            count += time.monotonic() - last > 1
            seen, last = now, time.monotonic()
    return count


def idle(ground):
    """A phone that knows many peers and uses none: what it sends, and how often it wakes. Per hour, out of two beats or what is asked for."""
    seconds = float(os.environ.get("PEERGATE_IDLE_SECONDS", "51"))      # two beats
    settled = float(os.environ.get("PEERGATE_IDLE_SETTLED_SECONDS", "25"))
    internet = Internet(ground)
    line = internet.home("phone", "port-restricted", delay=10)
    members = []
    anchors = [anchor_node(ground, internet.machine(name, *addresses), name, addresses, members)
               for name, addresses in (("anchor1", ANCHOR[::2]), ("anchor2", ANCHOR[1::2]))]
    phone = ground.node(line.host, "phone")
    members.append(phone)
    keys = [ground.node(line.host, f"peer{i}").peer_id for i in range(KNOWN)]
    phone.configure({"port": PORT, "log": {"level": "info"}, "anchors": [anchor.entry for anchor in anchors],
                     "peers": [{"name": f"peer{i}", "peer_id": key} for i, key in enumerate(keys)]})
    for anchor in anchors:
        anchor.serve()
    anchors[0].up()
    phone.up()
    time.sleep(7)
    anchors[1].up()  # at another time than the first: their beats have to find each other
    check(not wait_registered([phone], 30), "phone is not registered")
    time.sleep(settled)
    before, sleeps = counted(line), switched(phone)
    woken = watch(line, seconds) * 3600 / seconds
    out, back, sent, received = ((now - then) * 3600 / seconds for now, then in zip(counted(line), before))
    ground.step(f"an hour with {KNOWN} known peers and two anchors: {out:.0f} packets out, {back:.0f} in; {sent / 60:.0f} bytes a minute out, "
                f"{received / 60:.0f} in; {woken:.0f} times awake (the process {(switched(phone) - sleeps) * 3600 / seconds:.0f} times)")
    # The time may have three beats in it, which are 220; what comes late is counted apart.
    check(woken <= 500, f"awake {woken:.0f} times an hour")
    check(sent / 60 < 2000 and received / 60 < 2000, "more than 2 KB a minute")
    return [("packets an hour out, idle", out, None), ("bytes a minute out, idle", sent / 60, 1000),
            ("bytes a minute in, idle", received / 60, 1000), ("times an hour awake, idle", woken, 150)]


PARTS = [killed, restarted, rolling, parted, all_down, flapping, idle]


def measure(parts):
    """[(what, figure, limit or None)] of all parts."""
    found = []
    for part in parts:
        with Ground(f"anchors-{part.__name__}", limit=1200) as ground:
            ground.step(part.__doc__.splitlines()[0])
            found += part(ground)
    return found


def main():
    needs("ip")
    for what, value, limit in measure(chosen(PARTS)):
        print(f"{value:10.2f}  {what}" + (f" ({'above the' if value > limit else 'the'} figure: {limit:g})" if limit else ""))


if __name__ == "__main__":
    run(main)
