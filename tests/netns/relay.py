#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two nodes that know nothing but an anchor's address and each other's peer ID, and cannot reach each other: the anchor carries what they say.

      laptop                        yard (routes; drops                    home
     peergate                        laptop <-> home)                     peergate, web 8000
    10.77.1.2 ------ veth ------ 10.77.1.1    10.77.2.1 ------ veth ------ 10.77.2.2
    socks 1080                             10.77.3.1
                                               |
                                             veth
                                               |
                                           10.77.3.2
                                            anchor, peergate, port 7000
"""
import time
from ground import REPLY, Ground, check, needs, run, until
from streams import Web

ANCHOR_AT = "10.77.3.2:7000"


class Scene:
    def __init__(self, ground):
        self.ground = ground
        yard = self.yard = ground.namespace("yard")
        self.at = {name: ground.namespace(name) for name in ("laptop", "home", "anchor")}
        for number, name in enumerate(self.at, 1):
            ground.veth(self.at[name], f"10.77.{number}.2/24", yard, f"10.77.{number}.1/24")
            self.at[name].ip("route", "add", "default", "via", f"10.77.{number}.1")
        yard.sysctl("net.ipv4.ip_forward", 1)
        self.block()
        self.node = {name: ground.node(space, name) for name, space in self.at.items()}
        (ground.folder / "www").mkdir()
        (ground.folder / "www" / "hello").write_text("hello from home\n")
        Web(self.at["home"], ("127.0.0.1", 8000), str(ground.folder / "www"))
        self.configure()

    def block(self):
        self.yard.nft("""table inet yard {
            chain forward {
                type filter hook forward priority 0;
                ip saddr 10.77.1.0/24 ip daddr 10.77.2.0/24 drop
                ip saddr 10.77.2.0/24 ip daddr 10.77.1.0/24 drop
            }
        }""")

    def configure(self):
        node = self.node
        anchors = [{"name": "anchor", "peer_id": node["anchor"].peer_id, "endpoint": ANCHOR_AT}]
        node["anchor"].configure({"port": 7000, "role": "anchor", "peers": [
            {"name": name, "peer_id": node[name].peer_id} for name in ("laptop", "home")]})
        node["home"].configure({"port": 7002, "anchors": anchors,
                                "peers": [{"name": "laptop", "peer_id": node["laptop"].peer_id}],
                                "services": {"web": {"local_address": "127.0.0.1:8000"}}})
        node["laptop"].configure({"port": 7001, "anchors": anchors, "socks": {"listen": "127.0.0.1:1080"},
                                  "peers": [{"name": "home", "peer_id": node["home"].peer_id}]})

    def anchors_of(self, name):
        return self.node[name].status()["anchors"]

    def curl(self, path="hello", seconds=4 * REPLY):
        return self.at["laptop"].run("curl", "-sS", "--max-time", seconds, "--socks5-hostname", "127.0.0.1:1080",
                                     f"http://web.home.demo.p2p/{path}")


def test():
    needs("curl", "nft")
    with Ground("relay") as ground:
        scene = Scene(ground)
        laptop, home, anchor = (scene.node[name] for name in ("laptop", "home", "anchor"))
        for node in (anchor, home, laptop):
            node.up()
        for name in ("laptop", "home"):
            until(lambda: scene.anchors_of(name)[0]["state"] == "registered", f"{name} registers")
        check(scene.anchors_of("laptop")[0]["observed"] == "10.77.1.2:7001", f"the anchor sees laptop at {scene.anchors_of('laptop')}")
        ground.step("both have registered with the anchor")

        began = time.monotonic()
        check(scene.curl() == "hello from home\n", "curl by name through the relay")
        ground.step(f"curl by name, {1000 * (time.monotonic() - began):.0f} ms after the first word about the peer")
        path = laptop.peer("home")["path"]
        check(path["kind"] == "relay" and path["endpoint"] == "anchor", f"relayed by the anchor, says status: {path}")
        serving = anchor.status()["anchor"]
        check(serving["channels"] == 1 and serving["relayed_bytes"] > 0, f"the anchor relays: {serving}")

        sent, received, times = laptop.ping("home", count=5)
        check(received > 0, f"{received} of {sent} pings answered through the relay")
        ground.step(f"ping through the relay: {min(times):.2f} ms at best")

        # What its owner forbids ends at once, not with the channels that there are.
        before = anchor.config
        anchor.configure({**before, "anchor": {"relay": False}})
        check(anchor.cli("reload") == "", "the anchor's reload warns of nothing")
        until(lambda: laptop.ping("home")[1] == 0, "nothing is relayed any more")
        check(anchor.status()["anchor"]["channels"] == 0, "and the anchor has no channels")
        anchor.configure(before)
        anchor.cli("reload")
        until(lambda: laptop.ping("home")[1] == 1, "it is relayed again", 60)
        ground.step("anchor.relay: false, and true again, on reload")

        # An anchor that is killed and comes back without memory, under a peer that goes on.
        anchor.kill()
        anchor.up()
        began = time.monotonic()
        check(scene.curl() == "hello from home\n", "curl after the anchor was killed and started again")
        ground.step(f"curl {time.monotonic() - began:.1f} s after the anchor was killed and started again")

        check(anchor.status()["anchor"]["refused_limit"] == 0, "nothing was refused for want of room")
        check("this node is an anchor: 2 clients" in anchor.cli("status"), "status says that it is an anchor")
        check("anchor anchor: registered" in laptop.cli("status"), "status names the anchors")


run(test)
