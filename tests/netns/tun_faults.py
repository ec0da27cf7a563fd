#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What others do to the set-up, and death at random moments: routes, addresses and the default route go while bytes flow; the daemon is killed at any instruction of its
start, its reload and its end. After one more start and end nothing is left.

      laptop                          home
   10.77.0.1/24 ------ veth ------ 10.77.0.2/24     the outer addresses
   10.64.0.1/16 ====== peer0 ===== 10.64.0.2/16     in the tunnel
                                   198.51.100.1     on home's lo: what an exit node leads to
"""
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

from ground import PEERGATE, REPLY, SANITIZED, Ground, check, needs, run, until
from tunlab import answers, set_up, transfer

PORT = 7001
KILLS = int(os.environ.get("PEERGATE_KILLS", "60"))


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.a, self.b = ground.namespace("laptop"), ground.namespace("home")
        ground.veth(self.a, "10.77.0.1/24", self.b, "10.77.0.2/24")
        self.b.ip("addr", "add", "198.51.100.1/32", "dev", "lo")
        self.a.ip("route", "add", "default", "via", "10.77.0.2")
        self.laptop, self.home = ground.node(self.a, "laptop"), ground.node(self.b, "home")
        self.home.configure(self.config(2, self.laptop, subnets=["198.51.100.1/32"]))
        self.home.up()

    @staticmethod
    def config(number, other, subnets=(), allowed_ips=()):
        peer = {"name": other.name, "peer_id": other.peer_id, "endpoint": f"10.77.0.{3 - number}:{PORT}", "tunnel_ip": [f"10.64.0.{3 - number}"],
                "allowed_ips": list(allowed_ips), "eager": True}
        return {"port": PORT, "address": [f"10.64.0.{number}/16"], "expose": "host", "tun": {"enabled": True, "subnets": list(subnets)}, "peers": [peer]}

    def configure(self, *allowed_ips):
        self.laptop.configure(self.config(1, self.home, allowed_ips=allowed_ips))

    def works(self, what, host="10.64.0.2", seconds=15):
        until(lambda: answers(self.a, host), what, seconds)


def routes(scene):
    scene.ground.step("an exit node, and somebody flushes routes, rules, addresses, and changes the default route")
    scene.configure("0.0.0.0/0", "10.9.0.0/16")
    scene.laptop.up()
    scene.works("the exit node", "198.51.100.1")
    before = set_up(scene.a)
    scene.a.ip("route", "flush", "dev", "peer0")
    until(lambda: set_up(scene.a) == before, lambda: f"the routes are put back; they are {set(before) ^ set(set_up(scene.a))}")
    table = [line.split("table ")[1].split()[0] for line in before if "dev peer0" in line and "table " in line and "local" not in line][0]
    scene.a.ip("route", "flush", "table", table)
    until(lambda: set_up(scene.a) == before, lambda: f"the table is put back; it differs by {set(before) ^ set(set_up(scene.a))}")
    scene.works("the exit node, after its table was flushed", "198.51.100.1")
    time.sleep(0.3)
    for rule in [line for line in scene.a.ip("-4", "rule").splitlines() if "5" in line[:2] and "sport" in line]:
        scene.a.ip("rule", "del", "priority", rule.split(":")[0])
    until(lambda: set_up(scene.a) == before, lambda: f"the rules are put back; they differ by {set(before) ^ set(set_up(scene.a))}")
    scene.a.ip("addr", "flush", "dev", "peer0")
    until(lambda: set_up(scene.a) == before, lambda: f"the addresses are put back; they differ by {set(before) ^ set(set_up(scene.a))}")
    scene.works("the exit node, after all that", "198.51.100.1")
    scene.laptop.logged("somebody removed")
    scene.laptop.stop()


def changed_routes(scene):
    scene.ground.step("a route of ours is changed, not removed: to who would add ours it is there")
    scene.configure("0.0.0.0/0", "10.9.0.0/16")
    scene.laptop.up()
    scene.works("the exit node", "198.51.100.1")
    before = set_up(scene.a)
    table = [line.split("table ")[1].split()[0] for line in before if "dev peer0" in line and "table " in line and "local" not in line][0]
    for words in (("10.9.0.0/16", "via", "10.77.0.2", "dev", "home"), ("default", "via", "10.77.0.2", "dev", "home", "table", table), ("blackhole", "default", "table", table)):
        told = scene.laptop.log().count("somebody changed \"route peer0")
        scene.a.ip("route", "change", *words, "metric", "2000")
        until(lambda: scene.laptop.log().count("somebody changed \"route peer0") > told, f"{' '.join(words)} is noticed")  # it may be put back before anybody else sees it
        until(lambda: set_up(scene.a) == before, lambda: f"after {' '.join(words)} it differs by {set(before) ^ set(set_up(scene.a))}")
        time.sleep(0.3)
    scene.works("the exit node, after that", "198.51.100.1")
    scene.laptop.stop()


def default_route(scene):
    scene.ground.step("the default route and the outer address are others: the endpoint stays outside the tunnel")
    scene.configure("0.0.0.0/0")
    scene.laptop.up()
    scene.works("the exit node", "198.51.100.1")
    scene.a.ip("route", "del", "default")
    scene.works("the exit node, without a default route", "198.51.100.1")
    scene.a.ip("addr", "del", "10.77.0.1/24", "dev", "home")
    scene.a.ip("addr", "add", "10.77.0.7/24", "dev", "home")
    scene.a.ip("route", "replace", "default", "via", "10.77.0.2")
    scene.works("the exit node, from another outer address", "198.51.100.1")
    scene.laptop.logged("the network changed")
    scene.laptop.stop()
    scene.a.ip("addr", "del", "10.77.0.7/24", "dev", "home")
    scene.a.ip("addr", "add", "10.77.0.1/24", "dev", "home")
    scene.a.ip("route", "replace", "default", "via", "10.77.0.2")


def deleted_under_load(scene):
    scene.ground.step("the interface goes down, and is deleted, while TCP runs through it")
    scene.configure()
    scene.laptop.up()
    scene.works("a ping")
    for words in (("link", "set", "peer0", "down"), ("link", "del", "peer0")):
        ends = []
        thread = threading.Thread(target=lambda: ends.append(flood(scene, 1.5)))
        thread.start()
        time.sleep(0.3)
        scene.a.ip(*words)
        thread.join(2 * REPLY)
        check(not thread.is_alive(), "the flood hangs")
        scene.works(f"a ping after ip {' '.join(words)}")
    transfer(scene.a, scene.b, "10.64.0.2", 4 << 20)
    scene.laptop.stop()


def flood(scene, seconds):
    """Datagrams as fast as they go, whatever becomes of them."""
    sent = 0
    with scene.a.socket(kind=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                for _ in range(64):
                    sock.sendto(bytes(1300), ("10.64.0.2", 9))
                    sent += 1
            except OSError:
                time.sleep(0.0005)
    return sent


def full_queue(scene):
    scene.ground.step("more datagrams than the daemon reads: dropped and counted, and it goes on")
    scene.configure()
    scene.laptop.up()
    scene.works("a ping")
    scene.laptop.daemon.signal(signal.SIGSTOP)
    sent = sum(flood(scene, 0.1) for _ in range(10))
    scene.laptop.daemon.signal(signal.SIGCONT)
    dropped = scene.laptop.status()["tun"]["drops"]["kernel_queue"]
    check(dropped > 0, f"{sent} datagrams to a daemon that stands still, and none is counted as dropped")
    scene.works("a ping afterwards")
    scene.laptop.stop()


def kill_once(scene, before, delay, reload):
    """Killed `delay` after its start, or after a reload was asked for."""
    with scene.a:
        daemon = subprocess.Popen([PEERGATE, "--dir", str(scene.laptop.dir), "up"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, start_new_session=True)
    if reload:
        until(lambda: scene.laptop.cli("peers", "--json", should=False)[0] == 0 or daemon.poll() is not None, "it is up")
        daemon.send_signal(signal.SIGHUP if reload == "reload" else signal.SIGTERM)
    time.sleep(delay)
    daemon.kill()
    daemon.wait()


def kills(scene, before):
    scene.ground.step(f"{KILLS} times kill -9 at a random moment of the start, a reload or the end; then a start and an end")
    seed = int(os.environ.get("PEERGATE_SEED", random.randrange(1 << 30)))
    chance = random.Random(seed)
    sets = ([], ["10.9.0.0/16"], ["0.0.0.0/0"], ["0.0.0.0/0", "::/0"], ["10.72.0.0/13"])
    left = 0
    began = time.monotonic()
    scene.laptop.up()
    took = time.monotonic() - began
    scene.laptop.stop()
    for turn in range(KILLS):
        scene.configure(*chance.choice(sets))
        phase = chance.choice((None, None, "reload", "end"))
        kill_once(scene, before, chance.random() * max(0.12 if SANITIZED else 0.05, 0.0 if phase else took), phase)
        left += (scene.laptop.dir / "state" / "tun.journal").exists()
        if turn % 10 == 9:
            scene.configure(*chance.choice(sets))
            scene.laptop.up()
            scene.works(f"a ping after {turn + 1} kills (seed {seed})")
            scene.laptop.stop()
            after = set_up(scene.a)
            check(after == before, f"left behind (seed {seed}, turn {turn}): {set(after) ^ set(before)}")
            check(not (scene.laptop.dir / "state" / "tun.journal").exists(), "the journal is still there")
    scene.ground.step(f"{left} of {KILLS} left a journal")
    check(left > KILLS // 10, f"only {left} kills hit a daemon that had changed something: no test")


def test():
    needs("ip")
    parts = {part.__name__: part for part in (routes, changed_routes, default_route, deleted_under_load, full_queue)}
    with Ground("tunfaults") as ground:
        scene = Scene(ground)
        before = set_up(scene.a)
        for name in sys.argv[1:] or parts:
            if name in parts:
                parts[name](scene)
                check(set_up(scene.a) == before, f"{name} left behind: {set(set_up(scene.a)) ^ set(before)}")
        if not sys.argv[1:] or "kills" in sys.argv:
            kills(scene, before)


run(test)
