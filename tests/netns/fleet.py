#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two anchors that share a directory in a real Redis, a node at each; the nodes know each other's peer ID and reach nobody but their own anchor.

    laptop            west (anchor)          yard (routes)         east (anchor)            home
   peergate             peergate               redis                 peergate            peergate, web 8000
  10.77.1.2 --- yard   10.77.3.2 --- yard    10.77.5.2 --- yard    10.77.4.2 --- yard   10.77.2.2 --- yard
  socks 1080           port 7000             port 6379             port 7000
"""
import os
import signal
import time
from ground import REPLY, Ground, check, needs, run, until
from streams import Web

REDIS = "10.77.5.2:6379"
AT = {"laptop": "10.77.1.2", "home": "10.77.2.2", "west": "10.77.3.2", "east": "10.77.4.2"}


class Scene:
    def __init__(self, ground):
        self.ground = ground
        yard = self.yard = ground.namespace("yard")
        self.at = {name: ground.namespace(name) for name in (*AT, "redis")}
        for number, name in enumerate(self.at, 1):
            ground.veth(self.at[name], f"10.77.{number}.2/24", yard, f"10.77.{number}.1/24")
            self.at[name].ip("route", "add", "default", "via", f"10.77.{number}.1")
        yard.sysctl("net.ipv4.ip_forward", 1)
        self.block()
        self.node = {name: ground.node(self.at[name], name) for name in AT}
        (ground.folder / "www").mkdir()
        (ground.folder / "www" / "hello").write_text("hello from home\n")
        (ground.folder / "www" / "large").write_bytes(os.urandom(20_000_000))
        Web(self.at["home"], ("127.0.0.1", 8000), str(ground.folder / "www"))
        self.redis = None
        self.configure()

    def block(self):
        """Each node reaches its own anchor, and the anchors each other."""
        self.yard.nft("""table inet yard {
            chain forward {
                type filter hook forward priority 0; policy drop;
                ip saddr { 10.77.1.2, 10.77.3.2 } ip daddr { 10.77.1.2, 10.77.3.2 } accept
                ip saddr { 10.77.2.2, 10.77.4.2 } ip daddr { 10.77.2.2, 10.77.4.2 } accept
                ip saddr { 10.77.3.2, 10.77.4.2, 10.77.5.2 } ip daddr { 10.77.3.2, 10.77.4.2, 10.77.5.2 } accept
            }
        }""")

    def configure(self):
        node = self.node
        key = node["west"].cli("genkey").strip()
        both = [{"name": name, "peer_id": node[name].peer_id} for name in ("laptop", "home")]
        for name in ("west", "east"):
            node[name].configure({"port": 7000, "role": "anchor", "peers": both,
                                  "anchor": {"directory": f"redis://:secret@{REDIS}/3", "fleet_key": key}})
        for name, other, anchor, more in (
                ("laptop", "home", "west", {"socks": {"listen": "127.0.0.1:1080"}}),
                ("home", "laptop", "east", {"services": {"web": {"local_address": "127.0.0.1:8000"}}})):
            node[name].configure({"anchors": [{"name": anchor, "peer_id": node[anchor].peer_id, "endpoint": f"{AT[anchor]}:7000"}],
                                  "peers": [{"name": other, "peer_id": node[other].peer_id}], **more})

    def start_redis(self):
        self.redis = self.at["redis"].start(
            ["redis-server", "--port", "6379", "--bind", "10.77.5.2", "--requirepass", "secret", "--save", "", "--appendonly", "no",
             "--dir", str(self.ground.folder)], f"redis{time.monotonic_ns()}", ready="Ready to accept connections")

    def ask_redis(self, *words):
        return self.at["redis"].run("redis-cli", "--no-auth-warning", "-h", "10.77.5.2", "-a", "secret", "-n", "3", *words)

    def keys(self):
        return sorted(self.ask_redis("KEYS", "*").split())

    def fleet(self, name):
        return self.node[name].status()["anchor"]["fleet"]

    def curl(self, path="hello", seconds=4 * REPLY, words=()):
        return self.at["laptop"].run("curl", "-sS", "--max-time", seconds, "--socks5-hostname", "127.0.0.1:1080",
                                     *words, f"http://web.home.demo.p2p/{path}")

    def registered(self, name):
        return self.node[name].status()["anchors"][0]["state"] == "registered"

    def restart_nodes(self):
        """They forget their session with each other."""
        for name in ("laptop", "home"):
            self.node[name].stop()
        for name in ("home", "laptop"):
            self.node[name].up()
        for name in ("laptop", "home"):
            until(lambda: self.registered(name), f"{name} registers")


def across(scene, ground):
    began = time.monotonic()
    check(scene.curl() == "hello from home\n", "curl by name, through two anchors")
    ground.step(f"curl by name across two anchors, {1000 * (time.monotonic() - began):.0f} ms after the first word about the peer")
    path = scene.node["laptop"].peer("home")["path"]
    check(path["kind"] == "relay" and path["endpoint"] == "west", f"relayed, says status: {path}")
    for name in ("west", "east"):
        serving = scene.node[name].status()["anchor"]
        check(serving["relayed_bytes"] > 0 and serving["fleet"]["channels"] == 1, f"{name} relays to the other: {serving}")
    began = time.monotonic()
    check(scene.curl("large", words=("-o", "/dev/null", "-w", "%{size_download}")) == "20000000", "20 MB across")
    ground.step(f"20 MB across, {time.monotonic() - began:.1f} s")
    for name in ("west", "east"):
        check(scene.node[name].status()["anchor"]["relayed_bytes"] > 20_000_000, f"they went through {name}")


def without_redis(scene, ground):
    def said():
        return [line for line in scene.node["west"].log().splitlines() if "redis at" in line and "own clients" in line]

    before = len(said())
    scene.redis.kill()
    until(lambda: not scene.fleet("west")["connected"] and not scene.fleet("east")["connected"], "both notice that Redis is gone")
    check(scene.curl() == "hello from home\n", "what is under way goes on without Redis")
    time.sleep(8)
    check(len(said()) == before + 1, f"said once: {said()}")
    scene.restart_nodes()
    scene.start_redis()
    until(lambda: len(scene.keys()) == 2, "both anchors put what they have into the new Redis", 40)
    until(lambda: scene.fleet("west")["anchors"] == 1, "they meet again")
    check(scene.curl() == "hello from home\n", "curl with the new Redis")
    ground.step("Redis killed and started empty: said once, and all is there again")


def frozen_redis(scene, ground):
    scene.redis.signal(signal.SIGSTOP)
    until(lambda: not scene.fleet("west")["connected"], "a Redis that does not answer is gone", 20)
    check(scene.curl() == "hello from home\n", "and nothing waits for it")
    scene.redis.signal(signal.SIGCONT)
    until(lambda: scene.fleet("west")["connected"] and scene.fleet("east")["connected"], "it is back", 40)
    ground.step("Redis frozen, and thawed")


def leaving(scene, ground):
    """A record lives for 600 s; who leaves in order takes its own along."""
    def lives(name):
        return int(scene.ask_redis("TTL", name).strip())

    before = scene.keys()
    check(len(before) == 2 and min(lives(name) for name in before) > 100, f"two records, with a long life: {before}")
    scene.node["home"].stop()
    until(lambda: len(scene.keys()) == 1, "the record of a client that said goodbye is gone")
    left = scene.keys()
    # Nobody's but that of the instance that put it is taken away.
    scene.ask_redis("SET", left[0], "somebody else's", "KEEPTTL")
    scene.node["laptop"].stop()
    time.sleep(2)
    check(scene.keys() == left, "what somebody else has put there stays")
    scene.ask_redis("DEL", left[0])
    for name in ("home", "laptop"):
        scene.node[name].up()
    for name in ("home", "laptop"):
        until(lambda: scene.registered(name), f"{name} registers again")
    until(lambda: len(scene.keys()) == 2, "both are back")
    scene.node["east"].stop()
    until(lambda: len(scene.keys()) == 1, "an anchor that ends in order takes its clients' records along")
    scene.node["east"].up()
    until(lambda: scene.registered("home"), "home registers again", 40)
    until(lambda: len(scene.keys()) == 2, "its record is back")
    until(lambda: scene.fleet("west")["anchors"] == 1 and scene.fleet("east")["anchors"] == 1, "the anchors have met again", 40)
    check(scene.curl() == "hello from home\n", "curl after all that")
    ground.step("records go with their clients, and with their anchor")


def garbage(scene, ground):
    names = scene.keys()
    check(len(names) == 2 and all(name.startswith("peergate:") for name in names), f"two records: {names}")
    home = "\\nM\\x02\\x02"  # 10.77.2.2, as redis-cli prints bytes
    check(not any(home in scene.ask_redis("--no-raw", "GET", name) for name in names), "addresses cannot be read in Redis")
    topics = scene.ask_redis("PUBSUB", "CHANNELS").split()
    check(len(topics) == 3, f"topics: {topics}")
    for value in ("", "x", "y" * 70, "z" * 100_000):
        for name in names:
            scene.ask_redis("SET", name, value)
        for topic in topics:
            scene.ask_redis("PUBLISH", topic, value)
    scene.ask_redis("DEL", names[0])
    scene.ask_redis("LPUSH", names[0], "a list")
    scene.restart_nodes()
    for name in ("west", "east"):
        check(scene.node[name].daemon.alive(), f"{name} is still there")
    check(scene.fleet("west")["dropped_garbage"] > 0, f"counted: {scene.fleet('west')}")
    # Registering has put it right, but for the list, which a SET replaces, too.
    check(scene.curl() == "hello from home\n", "curl after garbage")
    ground.step("garbage in every name and topic")


def test():
    needs("curl", "nft", "redis-server", "redis-cli")
    with Ground("fleet") as ground:
        scene = Scene(ground)
        # Redis comes last: an anchor does not need it to start.
        for name in ("west", "east", "home", "laptop"):
            scene.node[name].up()
        for name in ("laptop", "home"):
            until(lambda: scene.registered(name), f"{name} registers without Redis")
        scene.start_redis()
        for name in ("west", "east"):
            until(lambda: scene.fleet(name)["anchors"] == 1, f"{name} hears of the other anchor", 40)
        ground.step("the anchors have met in Redis, which came after them")
        across(scene, ground)
        without_redis(scene, ground)
        frozen_redis(scene, ground)
        leaving(scene, ground)
        garbage(scene, ground)


run(test)
