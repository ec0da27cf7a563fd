#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two nodes behind a NAT each (nftables masquerade: port-restricted), each a client of another anchor and of that one only; the anchors share a directory in a real Redis. They
go direct: by what they say to each other over both relays; by INITIATE_PUNCH through Redis where the anchors relay nothing, or where what one anchor relays does not come to the other.

     laptop              boxl                yard                boxh              home
    peergate            (NAT)              (routes)             (NAT)            peergate, web 8000
  192.168.1.2 -- veth -- 192.168.1.1                       192.168.2.1 -- veth -- 192.168.2.2
    socks 1080           10.77.1.2 -- veth -- 10.77.1.1
                                              10.77.2.1 -- veth -- 10.77.2.2
                                              10.77.3.1 -- veth -- 10.77.3.2 west, anchor, port 7000
                                              10.77.4.1 -- veth -- 10.77.4.2 east, anchor, port 7000
                                              10.77.5.1 -- veth -- 10.77.5.2 redis, port 6379
"""
import time
from behind import home_behind_nat
from ground import REPLY, Failed, Ground, check, needs, run, until
from streams import Web

REDIS = "10.77.5.2:6379"
AT = {"west": "10.77.3.2", "east": "10.77.4.2"}
OWN = {"laptop": "west", "home": "east"}


class Scene:
    def __init__(self, ground):
        self.ground = ground
        yard = self.yard = ground.namespace("yard")
        self.at = {name: home_behind_nat(ground, yard, name, number) for number, name in enumerate(OWN, 1)}
        for number, name in enumerate((*AT, "redis"), 3):
            self.at[name] = ground.namespace(name)
            ground.veth(self.at[name], f"10.77.{number}.2/24", yard, f"10.77.{number}.1/24")
            self.at[name].ip("route", "add", "default", "via", f"10.77.{number}.1")
        yard.sysctl("net.ipv4.ip_forward", 1)
        self.node = {name: ground.node(self.at[name], name) for name in (*OWN, *AT)}
        self.key = self.node["west"].cli("genkey").strip()
        (ground.folder / "www").mkdir()
        (ground.folder / "www" / "hello").write_text("hello from home\n")
        Web(self.at["home"], ("127.0.0.1", 8000), str(ground.folder / "www"))
        self.redis = None
        self.block()

    def block(self, more=""):
        """Each home reaches its own anchor only."""
        self.yard.nft(f"""table ip yard {{ chain forward {{ type filter hook forward priority 0; }}; }}
            flush chain ip yard forward
            table ip yard {{ chain forward {{
                ip saddr 10.77.1.2 ip daddr 10.77.4.2 drop
                ip saddr 10.77.2.2 ip daddr 10.77.3.2 drop
                {more}
            }}; }}""")

    def start_redis(self):
        self.redis = self.at["redis"].start(
            ["redis-server", "--port", "6379", "--bind", "10.77.5.2", "--requirepass", "secret", "--save", "", "--appendonly", "no",
             "--dir", str(self.ground.folder)], f"redis{time.monotonic_ns()}", ready="Ready to accept connections")

    def configure(self, relay):
        node = self.node
        both = [{"name": name, "peer_id": node[name].peer_id} for name in OWN]
        for name in AT:
            node[name].configure({"port": 7000, "role": "anchor", "peers": both,
                                  "anchor": {"directory": f"redis://:secret@{REDIS}/3", "fleet_key": self.key, "relay": relay}})
        for name, other, more in (("laptop", "home", {"port": 7001, "socks": {"listen": "127.0.0.1:1080"}}),
                                  ("home", "laptop", {"port": 7002, "services": {"web": {"local_address": "127.0.0.1:8000"}}})):
            anchor = OWN[name]
            node[name].configure({"anchors": [{"name": anchor, "peer_id": node[anchor].peer_id, "endpoint": f"{AT[anchor]}:7000"}],
                                  "peers": [{"name": other, "peer_id": node[other].peer_id}], **more})

    def restart(self, names):
        for name in names:
            if self.node[name].daemon and self.node[name].daemon.alive():
                self.node[name].stop()
        for name in names:
            self.node[name].up()

    def restart_all(self, relay):
        self.configure(relay)
        self.restart((*AT, *OWN))
        for name in AT:
            until(lambda: self.serving(name)["fleet"]["anchors"] == 1, f"{name} hears of the other anchor", 40)
        self.wait_registered()

    def wait_registered(self):
        for name in OWN:
            until(lambda: self.node[name].status()["anchors"][0]["state"] == "registered", f"{name} registers", 20)

    def restart_homes(self):
        self.restart(OWN)
        self.wait_registered()

    def serving(self, name):
        return self.node[name].status()["anchor"]

    def curl(self, seconds=4 * REPLY):
        return self.at["laptop"].run("curl", "-sS", "--max-time", seconds, "--socks5-hostname", "127.0.0.1:1080",
                                     "http://web.home.demo.p2p/hello")

    def is_answered(self, seconds):
        try:
            return self.curl(seconds) == "hello from home\n"
        except Failed:
            return False

    def kinds(self):
        paths = [self.node[name].peer(other)["path"] for name, other in (("laptop", "home"), ("home", "laptop"))]
        return [path["kind"] if path else "none" for path in paths]

    def goes_direct(self, how):
        began = time.monotonic()
        check(self.curl() == "hello from home\n", f"curl by name, {how}")
        first = time.monotonic() - began
        until(lambda: self.curl() and self.kinds() == ["direct", "direct"], f"both are direct, {how}", 20, 0.1)
        self.ground.step(f"{how}: first byte after {first:.2f} s, direct after {time.monotonic() - began:.2f} s, "
                         f"{self.node['laptop'].peer('home')['path']['endpoint']}")


def relayed_first(scene):
    scene.restart_all(True)
    scene.goes_direct("with relays")
    for name in AT:
        serving = scene.serving(name)
        check(serving["relayed_bytes"] > 0 and serving["punches"] == 0, f"{name} relayed at first: {serving}")


def relays_nothing(scene):
    scene.restart_all(False)
    scene.goes_direct("with anchors that relay nothing")
    for name in AT:
        serving = scene.serving(name)
        check(serving["relayed_bytes"] == 0 and serving["punches"] >= 1, f"{name} told its client when to punch: {serving}")
    words = scene.node["laptop"].cli("why", "home")
    check("direct" in words and "10.77.2.2:7002" in words, f"why: {words}")


def without_redis(scene):
    scene.redis.kill()
    until(lambda: not any(scene.serving(name)["fleet"]["connected"] for name in AT), "both anchors notice that Redis is gone")
    check(scene.curl() == "hello from home\n" and scene.kinds() == ["direct", "direct"], "who has met goes on without Redis")
    scene.restart_homes()
    check(not scene.is_answered(4), "who has not does not meet now")
    why = scene.node["laptop"].ask("why", host="home")
    words = scene.node["laptop"].cli("why", "home")
    check("is not there" in words, f"why: {words}")
    check(why["anchors"][0]["name"] == "west", f"why: {why}")
    scene.start_redis()
    for name in AT:
        until(lambda: scene.serving(name)["fleet"]["anchors"] == 1, f"{name} hears of the other anchor again", 60)
    scene.goes_direct("with the new Redis")


def anchors_apart(scene):
    scene.block("ip saddr 10.77.3.2 ip daddr 10.77.4.2 drop; ip saddr 10.77.4.2 ip daddr 10.77.3.2 drop")
    scene.restart_all(True)
    scene.goes_direct("with relays that do not reach each other")
    check(scene.serving("west")["punches"] >= 1, "by INITIATE_PUNCH, as the relay led nowhere")


def test():
    needs("curl", "nft", "redis-server")
    with Ground("fleet_punch") as ground:
        scene = Scene(ground)
        scene.start_redis()
        relayed_first(scene)
        relays_nothing(scene)
        without_redis(scene)
        anchors_apart(scene)


run(test)
