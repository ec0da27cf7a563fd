#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two anchors, and what becomes of a download that one of them relays when it falls silent, is killed, is cut off from one side only, or restarts; and of a
direct path when both are gone.

      laptop                        yard (routes; drops                    home
     peergate                        laptop <-> home)                     peergate, web 8000
    10.77.1.2 ------ veth ------ 10.77.1.1    10.77.2.1 ------ veth ------ 10.77.2.2
    socks 1080               10.77.3.1        10.77.4.1
                                 |                 |
                            10.77.3.2         10.77.4.2
                           east, port 7000   west, port 7000
"""
import os
import signal
import subprocess
import threading
import time
from ground import STILL_MAX, Ground, check, needs, run, until
from streams import Web

AT = {"laptop": "10.77.1.2", "home": "10.77.2.2", "east": "10.77.3.2", "west": "10.77.4.2"}
ANCHORS = ("east", "west")
SIZE = 400_000_000_000  # more than the test takes in
RATE = "20M"


class Download:
    """curl's output as it comes; the longest time without any."""

    def __init__(self, scene):
        with scene.at["laptop"]:
            self.popen = subprocess.Popen(["curl", "-sS", "--limit-rate", RATE, "--socks5-hostname", "127.0.0.1:1080", "http://web.home.demo.p2p/large"],
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.bytes, self.at, self.gap = 0, time.monotonic(), 0.0
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while chunk := os.read(self.popen.stdout.fileno(), 65536):
            now = time.monotonic()
            self.gap, self.at = max(self.gap, now - self.at), now
            self.bytes += len(chunk)

    def goes_on(self, what):
        """Something has just been broken: returns for how long nothing came."""
        self.gap = 0.0
        time.sleep(4)
        before = self.bytes
        until(lambda: self.bytes > before + 1_000_000, f"the download goes on after {what}")
        check(self.popen.poll() is None, f"{what}: curl ended: {self.popen.stderr.read() if self.popen.poll() is not None else ''}")
        check(self.gap < STILL_MAX, f"{what}: nothing came for {self.gap:.2f} s")
        return self.gap

    def stop(self):
        self.popen.kill()
        self.popen.wait()
        self.thread.join()


class Scene:
    def __init__(self, ground):
        self.ground = ground
        yard = self.yard = ground.namespace("yard")
        self.at = {name: ground.namespace(name) for name in AT}
        for number, name in enumerate(AT, 1):
            ground.veth(self.at[name], f"10.77.{number}.2/24", yard, f"10.77.{number}.1/24")
            self.at[name].ip("route", "add", "default", "via", f"10.77.{number}.1")
        yard.sysctl("net.ipv4.ip_forward", 1)
        self.block(True)
        self.node = {name: ground.node(self.at[name], name) for name in AT}
        (ground.folder / "www").mkdir()
        with open(ground.folder / "www" / "large", "wb") as large:
            large.truncate(SIZE)
        Web(self.at["home"], ("127.0.0.1", 8000), str(ground.folder / "www"))
        self.configure()

    def block(self, direct, more=""):
        both = f"ip saddr {AT['laptop']} ip daddr {AT['home']} drop\nip saddr {AT['home']} ip daddr {AT['laptop']} drop" if direct else ""
        self.yard.nft(f"""table inet yard
            delete table inet yard
            table inet yard {{
                chain forward {{
                    type filter hook forward priority 0;
                    {both}
                    {more}
                }}
            }}""")

    def configure(self):
        node = self.node
        anchors = [{"name": name, "peer_id": node[name].peer_id, "endpoint": f"{AT[name]}:7000"} for name in ANCHORS]
        for name in ANCHORS:
            node[name].configure({"port": 7000, "role": "anchor",
                                  "peers": [{"name": one, "peer_id": node[one].peer_id} for one in ("laptop", "home")]})
        node["home"].configure({"port": 7002, "anchors": anchors, "peers": [{"name": "laptop", "peer_id": node["laptop"].peer_id}],
                                "services": {"web": {"local_address": "127.0.0.1:8000"}}})
        node["laptop"].configure({"port": 7001, "anchors": anchors, "socks": {"listen": "127.0.0.1:1080"},
                                  "peers": [{"name": "home", "peer_id": node["home"].peer_id}]})

    def registered(self, name):
        return [one["name"] for one in self.node[name].status()["anchors"] if one["state"] == "registered"]

    def path(self):
        return self.node["laptop"].peer("home")["path"]

    def used(self):
        """The anchor that carries the data to the laptop."""
        def relayed():
            return {name: self.node[name].status()["anchor"]["relayed_bytes"] for name in ANCHORS}
        before = relayed()
        return until(lambda: [name for name, count in relayed().items() if count > before[name] + 1_000_000], "one of them relays", every=0.1)[0]


def settled(scene):
    for name in ("laptop", "home"):
        until(lambda: set(scene.registered(name)) == set(ANCHORS), lambda: f"{name} is registered with both: {scene.registered(name)}", 40)
    until(lambda: all(scene.node[name].status()["anchor"]["channels"] == 1 for name in ANCHORS), "a channel by each", 40)
    time.sleep(1)


def silent(scene, ground, download):
    used = scene.used()
    scene.node[used].daemon.signal(signal.SIGSTOP)
    gap = download.goes_on(f"{used} has stopped")
    ground.step(f"the relay in use falls silent: nothing for {gap:.2f} s")
    scene.node[used].daemon.signal(signal.SIGCONT)
    settled(scene)


def killed(scene, ground, download):
    used = scene.used()
    scene.node[used].kill()
    gap = download.goes_on(f"{used} was killed")
    ground.step(f"it is killed: nothing for {gap:.2f} s")
    scene.node[used].up()
    began = time.monotonic()
    for name in ("laptop", "home"):
        until(lambda: set(scene.registered(name)) == set(ANCHORS), f"{name} registers with {used} again", 40)
    ground.step(f"registered again {time.monotonic() - began:.1f} s after it came back")


def cut_off(scene, ground, download):
    used = scene.used()
    scene.block(True, f"ip saddr {AT[used]} ip daddr {AT['laptop']} drop")
    gap = download.goes_on(f"{used} does not reach the laptop any more")
    ground.step(f"it reaches one side only: nothing for {gap:.2f} s")
    scene.block(True)


def both_gone(scene, ground, download):
    """With a direct path nobody misses them."""
    scene.block(False)
    scene.node["laptop"].cli("why", "home")
    until(lambda: scene.path()["kind"] == "direct", lambda: f"a direct path is found: {scene.path()}", 60)
    for name in ANCHORS:
        scene.node[name].kill()
    gap = download.goes_on("both anchors were killed")
    ground.step(f"both are killed under a direct path: nothing for {gap:.2f} s")


def test():
    needs("curl", "nft")
    with Ground("relay_failover") as ground:
        scene = Scene(ground)
        for name in (*ANCHORS, "home", "laptop"):
            scene.node[name].up()
        for name in ("laptop", "home"):
            until(lambda: set(scene.registered(name)) == set(ANCHORS), f"{name} registers with both")
        download = Download(scene)
        until(lambda: download.bytes > 1_000_000, "a download begins")
        check(scene.path()["kind"] == "relay", f"relayed: {scene.path()}")
        settled(scene)
        silent(scene, ground, download)
        killed(scene, ground, download)
        settled(scene)
        cut_off(scene, ground, download)
        both_gone(scene, ground, download)
        download.stop()


run(test)
