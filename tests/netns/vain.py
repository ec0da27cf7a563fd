#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Connections that will not be made: whoever asks for one (nc, forward, the proxy) hears so within `socks.timeout`, and why; at once where waiting is in vain.

     laptop                         yard (drops                   home, killed later
    peergate                        laptop <-> home)              peergate, web 8000
   10.77.1.2 ------ veth ------ 10.77.1.1    10.77.2.1 ------ veth ------ 10.77.2.2
   socks 1080                             10.77.3.1 ------ veth ------ 10.77.3.2 anchor, port 7000, killed at last
"""
import subprocess
import time
from ground import Ground, check, needs, run, until
from streams import Web

LONG = 120      # `socks.timeout` where it must not be what ends the waiting
SHORT = 5       # ... where it must
PATH_DIRECT = "its configuration says `path: direct`"


class Scene:
    def __init__(self, ground):
        yard = ground.namespace("yard")
        self.at = {name: ground.namespace(name) for name in ("laptop", "home", "anchor")}
        for number, name in enumerate(self.at, 1):
            ground.veth(self.at[name], f"10.77.{number}.2/24", yard, f"10.77.{number}.1/24")
            self.at[name].ip("route", "add", "default", "via", f"10.77.{number}.1")
        yard.sysctl("net.ipv4.ip_forward", 1)
        yard.nft("""table inet yard { chain forward { type filter hook forward priority 0;
            ip saddr 10.77.1.0/24 ip daddr 10.77.2.0/24 drop
            ip saddr 10.77.2.0/24 ip daddr 10.77.1.0/24 drop
        }; }""")
        (ground.folder / "www").mkdir()
        (ground.folder / "www" / "hello").write_text("hello from home\n")
        Web(self.at["home"], ("127.0.0.1", 8000), str(ground.folder / "www"))
        self.ground = ground
        self.node = {name: ground.node(space, name) for name, space in self.at.items()}
        node = self.node
        self.anchors = [{"name": "anchor", "peer_id": node["anchor"].peer_id, "endpoint": "10.77.3.2:7000"}]
        node["anchor"].configure({"port": 7000, "role": "anchor", "peers": [
            {"name": name, "peer_id": node[name].peer_id} for name in ("laptop", "home")]})
        node["home"].configure({"port": 7002, "anchors": self.anchors,
                                "peers": [{"name": "laptop", "peer_id": node["laptop"].peer_id}],
                                "services": {"web": {"local_address": "127.0.0.1:8000"}}})
        self.configure("auto", LONG)

    def configure(self, path, seconds):
        laptop = self.node["laptop"]
        laptop.configure({"port": 7001, "anchors": self.anchors, "protocol": {"punch_timeout": "2s", "connection_timeout": "8s"},
                          "socks": {"listen": "127.0.0.1:1080", "timeout": f"{seconds}s"},
                          "peers": [{"name": "home", "peer_id": self.node["home"].peer_id, "path": path}]})

    def nc(self):
        """Its status, what it complained of, and how long it took."""
        began = time.monotonic()
        status, _, complaint = self.node["laptop"].cli("nc", "home", "web", should=False, seconds=2 * LONG,
                                                       stdin=subprocess.PIPE)
        return status, complaint, time.monotonic() - began

    def page(self):
        """What the HTTP proxy answers."""
        with self.at["laptop"]:
            return subprocess.run(["curl", "-sS", "--max-time", str(2 * LONG), "--proxy", "http://127.0.0.1:1080",
                                   "http://web.home.demo.p2p/hello"], capture_output=True, text=True).stdout

    def must_say(self, title, *words):
        status, complaint, seconds = self.nc()
        check(status == 1 and all(word in complaint for word in words), f"{title}: nc: {status}, {complaint}")
        check("`peergate why home`" in complaint, f"{title}: nc does not say where to look: {complaint}")
        self.ground.step(f"{title}: nc after {seconds:.1f} s: {complaint.strip()}")
        began = time.monotonic()
        page = self.page()
        check(all(word in page for word in words[1:]), f"{title}: the proxy's page: {page}")
        self.ground.step(f"{title}: HTTP after {time.monotonic() - began:.1f} s: {page.splitlines()[-2:]}")
        until(lambda: f"web.home.demo.p2p port 80: " in self.node["laptop"].log() and words[-1] in self.node["laptop"].log(), "the log says so")


def test():
    needs("curl", "nft")
    with Ground("vain") as ground:
        scene = Scene(ground)
        laptop = scene.node["laptop"]
        for node in scene.node.values():
            node.up()
        until(lambda: scene.page() == "hello from home\n", "by the relay", 60)

        # As long as it may, nothing passes by the relay, and there is no other way: no need to wait for LONG.
        scene.configure("direct", LONG)
        laptop.cli("reload")
        began = time.monotonic()
        scene.must_say("path: direct", "there is no session with the peer", PATH_DIRECT)
        check(time.monotonic() - began < LONG, "both knew it before the time was over")
        until(lambda: "(no data passes by it: `path: direct`)" in laptop.cli("ping", "-c", 1, "home", should=False)[1], "and ping says so")

        # A dead peer, and then no anchor either: the limit, and what is known.
        scene.configure("auto", SHORT)
        laptop.cli("reload")
        check(scene.page() == "hello from home\n", "by the relay again")
        scene.node["home"].kill()
        scene.must_say("dead peer", "", " answer")
        lost = laptop.cli("ping", "-c", 1, "home", should=False)[1]
        word = laptop.cli("peers").split("home")[1].split()[0]
        check(f"seq=1 ({word})" in lost or word in ("silent", "unreachable"), f"ping and peers have one word for it: {lost}, {word}")
        until(lambda: laptop.cli("ping", "-c", 1, "home", should=False)[0] == 1 and laptop.peer("home")["state"] == "failed",
              "the peer is given up", 120)
        answer = laptop.cli("why", "home")
        check("does not answer" in answer.splitlines()[0] or "it is not registered there" in answer.splitlines()[0], f"why says what is wrong: {answer}")
        check("relay anchor\n" not in answer and "relay anchor, round" not in answer, f"and that the relay leads to nobody: {answer}")
        check("laptop" not in laptop.cli("init", "--network", "work", should=False)[2].split("peers:")[1], "nobody is told to make himself his peer")
        scene.node["anchor"].kill()
        until(lambda: laptop.status()["anchors"][0]["state"] == "unreachable", "the anchor is missed", 120)
        status = laptop.cli("status")
        check("anchor anchor: unreachable\n" in status, f"nothing is said that is no more: {status}")
        check("10.77.1.2" not in laptop.cli("netcheck").split("anchor ")[1].split("\n")[0], "nor by netcheck")
        scene.must_say("no anchor", "", "none of the anchors can be reached")
        scene.node["anchor"].up()
        until(lambda: laptop.status()["anchors"][0]["state"] == "registered", "the anchor is back", 120)
        ipv6 = laptop.peer("home")["ipv6"]
        check(ipv6.startswith("fd") and f"{ipv6}/128" in laptop.peer("home")["allowed_ips"], f"its IPv6 address: {ipv6}")


run(test)
