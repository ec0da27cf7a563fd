#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Three peers and no anchor: laptop and home are behind a NAT each (nftables masquerade: port-restricted), desk is public and says `relay: true`. The other two know desk's endpoint,
and nothing of each other but the peer ID: they find each other through desk, are relayed by it, and go direct where the NATs let them.

     laptop              boxl                yard                boxh              home
    peergate            (NAT)              (routes)             (NAT)            peergate, web 8000
  192.168.1.2 -- veth -- 192.168.1.1                       192.168.2.1 -- veth -- 192.168.2.2
    socks 1080           10.77.1.2 -- veth -- 10.77.1.1
                                              10.77.2.1 -- veth -- 10.77.2.2
                                              10.77.3.1 -- veth -- 10.77.3.2 desk, port 7000
                                              10.77.4.1 -- veth -- 10.77.4.2 anchor, port 7000 (at the end)
"""
import time
from behind import home_behind_nat
from ground import Failed, Ground, check, needs, run, until
from streams import Web


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.yard = ground.namespace("yard")
        self.at = {name: home_behind_nat(ground, self.yard, name, number) for number, name in enumerate(("laptop", "home"), 1)}
        for number, name in enumerate(("desk", "anchor"), 3):
            self.at[name] = ground.namespace(name)
            ground.veth(self.at[name], f"10.77.{number}.2/24", self.yard, f"10.77.{number}.1/24")
            self.at[name].ip("route", "add", "default", "via", f"10.77.{number}.1")
        self.yard.sysctl("net.ipv4.ip_forward", 1)
        self.node = {name: ground.node(self.at[name], name) for name in ("laptop", "home", "desk", "anchor")}
        (ground.folder / "www").mkdir()
        (ground.folder / "www" / "hello").write_text("hello from home\n")
        Web(self.at["home"], ("127.0.0.1", 8000), str(ground.folder / "www"))

    def apart(self, is_apart):
        """No way between the two boxes; that to desk stays."""
        drops = "ip saddr 10.77.1.2 ip daddr 10.77.2.2 drop; ip saddr 10.77.2.2 ip daddr 10.77.1.2 drop;"
        self.yard.nft(f"""table ip yard {{ chain forward {{ type filter hook forward priority 0; }}; }}
            flush chain ip yard forward
            table ip yard {{ chain forward {{ {drops if is_apart else ""} }}; }}""")

    def entry(self, name, **more):
        return {"name": name, "peer_id": self.node[name].peer_id, **more}

    def configure(self, desk, anchors=()):
        desk_entry = self.entry("desk", endpoint="10.77.3.2:7000")
        more = {"anchors": list(anchors)} if anchors else {}
        self.node["desk"].configure({"port": 7000, "peers": [self.entry("laptop"), self.entry("home")], **desk})
        self.node["laptop"].configure({"port": 7001, "peers": [desk_entry, self.entry("home")],
                                       "socks": {"listen": "127.0.0.1:1080"}, **more})
        self.node["home"].configure({"port": 7002, "peers": [desk_entry, self.entry("laptop")],
                                     "services": {"web": {"local_address": "127.0.0.1:8000"}}, **more})

    def restart(self, *names):
        for name in names:
            if self.node[name].daemon and self.node[name].daemon.alive():
                self.node[name].stop()
        for name in names:
            self.node[name].up()

    def helper(self, node, name):
        """What the node has of that anchor or neighbour."""
        return next((one for one in self.node[node].status()["anchors"] if one["name"] == name), None)

    def wait_registered(self, name, seconds=20):
        for node in ("laptop", "home"):
            until(lambda: (self.helper(node, name) or {}).get("state") == "registered", f"{node} registers with {name}", seconds)

    def is_answered(self, seconds=5):
        try:
            return self.at["laptop"].run("curl", "-sS", "--max-time", seconds, "--socks5-hostname", "127.0.0.1:1080",
                                         "http://web.home.demo.p2p/hello") == "hello from home\n"
        except Failed:
            return False

    def path(self):
        return self.node["laptop"].peer("home")["path"]

    def serving(self, name):
        return self.node[name].status()["anchor"]


def not_offered(scene, ground):
    scene.apart(True)
    scene.configure({})
    scene.restart("desk", "home", "laptop")
    for name in ("laptop", "home"):
        until(lambda: scene.node[name].is_established("desk"), f"{name} has a session with desk")
    check(not scene.is_answered(3), "nobody relays who does not say so")
    check(scene.serving("desk") is None and not scene.node["laptop"].status()["anchors"], "desk is no anchor")
    words = scene.node["laptop"].cli("why", "home")
    check("`relay: true`" in words, f"why tells what would help: {words}")
    ground.step("desk does not offer to relay: no way")


def relayed(scene, ground):
    scene.configure({"relay": True})
    scene.restart("desk", "home", "laptop")
    scene.wait_registered("desk")
    check(scene.helper("laptop", "desk")["neighbour"], "as a neighbour")
    began = time.monotonic()
    until(lambda: scene.is_answered(), "curl by name", 20)
    ground.step(f"curl by name through desk, {time.monotonic() - began:.2f} s after the first word about home")
    check(scene.path()["kind"] == "relay" and scene.path()["endpoint"] == "desk", f"relayed by desk: {scene.path()}")
    until(lambda: scene.serving("desk")["relayed_bytes"] > 0, "desk says so")
    words = scene.node["laptop"].cli("why", "home")
    check("relayed" in words and "neighbour desk: relays" in words, f"why: {words}")
    print(words)
    check("relays between its peers" in scene.node["desk"].cli("status"), "status at desk")


def direct(scene, ground):
    scene.apart(False)
    scene.restart("home", "laptop")
    scene.wait_registered("desk")
    began = time.monotonic()
    until(lambda: scene.is_answered() and scene.path()["kind"] == "direct", "direct", 30, 0.1)
    ground.step(f"direct {time.monotonic() - began:.2f} s after the first word: {scene.path()['endpoint']}")
    scene.apart(True)
    until(lambda: scene.is_answered() and scene.path()["kind"] == "relay", "by desk again when the direct way dies", 30, 0.1)
    ground.step("the direct way is dead, desk relays")


def budget(scene, ground):
    scene.configure({"relay": True, "anchor": {"volume": "1KB"}})
    scene.restart("desk", "home", "laptop")
    scene.wait_registered("desk")
    check(not scene.is_answered(5), "what may pass in an hour is not enough")
    check(scene.serving("desk")["dropped_rate"] > 0, f"counted: {scene.serving('desk')}")
    ground.step("no more than the budget passes")


def anchors_first(scene, ground):
    anchor = scene.entry("anchor", endpoint="10.77.4.2:7000")
    scene.node["anchor"].configure({"port": 7000, "role": "anchor", "peers": [scene.entry("laptop"), scene.entry("home")]})
    scene.configure({"relay": True}, [anchor])
    scene.restart("anchor", "desk", "home", "laptop")
    scene.wait_registered("anchor")
    for name in ("laptop", "home"):
        scene.node[name].ping("desk")
    scene.wait_registered("desk")
    until(lambda: scene.is_answered(), "curl by name", 20)
    check(scene.path()["endpoint"] == "anchor", f"anchors go first: {scene.path()}")
    scene.node["anchor"].kill()
    began = time.monotonic()
    until(lambda: scene.is_answered() and scene.path()["endpoint"] == "desk", "desk takes over from the anchor", 60, 0.1)
    ground.step(f"the only anchor is dead: by desk after {time.monotonic() - began:.1f} s")


def test():
    needs("curl", "nft")
    with Ground("neighbour") as ground:
        scene = Scene(ground)
        not_offered(scene, ground)
        relayed(scene, ground)
        direct(scene, ground)
        budget(scene, ground)
        anchors_first(scene, ground)


run(test)
