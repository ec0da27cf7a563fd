#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A daemon that ends in order says so: its peers know at once, nobody waits for it, and the next use finds it as soon as it is back.

        laptop                          home, in two networks
       peergate                        peergate, echo 7
      10.77.0.1 --------- veth -------- 10.77.0.2
      socks 1080                       port 7001 (demo), 7002 (work)
"""
import json
import time

from ground import PATIENCE, STILL_MAX, Ground, check, run, until
from streams import TcpServer, serve_echo, socks_connect

PROXY = ("127.0.0.1", 1080)
ENDED = "it has ended: its daemon was stopped"


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.laptop_at, self.home_at = ground.namespace("laptop"), ground.namespace("home")
        ground.veth(self.laptop_at, "10.77.0.1/24", self.home_at, "10.77.0.2/24")
        self.laptop, self.home = ground.node(self.laptop_at, "laptop"), ground.node(self.home_at, "home")
        TcpServer(self.home_at, ("127.0.0.1", 7), serve_echo)
        self.work_id = json.loads(self.home.cli("init", "--network", "work", "--json"))["peer_id"]
        self.configure_home(with_work=True)
        self.laptop.configure({"port": 7001, "socks": {"listen": "127.0.0.1:1080"},
                               "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": "10.77.0.2:7001"},
                                         {"name": "office", "peer_id": self.work_id, "endpoint": "10.77.0.2:7002"}]})

    def configure_home(self, with_work):
        member = [{"name": "laptop", "peer_id": self.laptop.peer_id}]
        services = {"echo": {"local_address": "127.0.0.1:7"}}
        work = {"network": "work", "port": 7002, "peers": member, "services": services}
        self.home.configure({"port": 7001, "peers": member, "services": services, "networks": [work] if with_work else []})

    def open(self, host):
        sock = socks_connect(self.laptop_at, PROXY, f"{host}.demo.p2p", 7)
        sock.settimeout(STILL_MAX * PATIENCE)
        sock.sendall(b"hello")
        check(sock.recv(5) == b"hello", f"no echo from {host}")
        return sock

    def expect_end(self, host, sock, end):
        """What ends it, and what laptop knows of it then. Returns (seconds of the end itself, until the stream is over)."""
        began = time.monotonic()
        end()
        took = time.monotonic() - began
        try:
            check(sock.recv(1) == b"", "a stream goes on")
        except ConnectionResetError:
            pass
        over = time.monotonic() - began
        sock.close()
        check(over < STILL_MAX + took, f"the stream ended {over:.1f} s after its other end")
        found = self.laptop.peer(host)
        check(found["ended"] and ENDED in found["ended"]["text"], f"status: {found}")
        check(found["state"] != "established" and found["ended"]["since_s"] < STILL_MAX + took, f"status: {found}")
        rows = [line.split() for line in self.laptop.cli("status").splitlines() if line.startswith(host)]
        check(rows and rows[0][1] == "ended", f"status prints: {rows}")
        check(ENDED in self.laptop.cli("why", host), "why says something else")
        self.laptop.logged(f"{host}: {ENDED}")
        return took, over

    def expect_back(self, host):
        """Used again, as soon as it is there."""
        began = time.monotonic()
        self.open(host).close()
        took = time.monotonic() - began
        check(self.laptop.peer(host)["ended"] is None, f"{host} is back, and status says: {self.laptop.peer(host)['ended']}")
        return took


def main():
    with Ground("ended") as ground:
        scene = Scene(ground)
        scene.home.up()
        scene.laptop.up()
        for what, end in (("SIGTERM", scene.home.stop), ("down", lambda: scene.home.cli("down"))):
            ground.step(f"home is ended by {what}, with a stream open")
            took, over = scene.expect_end("home", scene.open("home"), end)
            scene.home.daemon = None
            scene.home.up()
            back = scene.expect_back("home")
            ground.step(f"    ended in {took * 1000:.0f} ms, the stream {over * 1000:.0f} ms after it was told to; "
                        f"used again {back * 1000:.0f} ms after it was back")

        ground.step("a reload takes one of its networks away")
        stays = scene.open("home")
        scene.configure_home(with_work=False)
        scene.expect_end("office", scene.open("office"), lambda: scene.home.cli("reload"))
        stays.sendall(b"still")
        check(stays.recv(5) == b"still" and scene.laptop.peer("home")["ended"] is None, "the other network's stream")
        stays.close()
        scene.configure_home(with_work=True)
        scene.home.cli("reload")
        scene.expect_back("office")

        ground.step("kill -9: nothing is said")
        scene.open("home").close()
        scene.home.kill()
        time.sleep(0.5)
        check(scene.laptop.peer("home")["ended"] is None, f"killed: {scene.laptop.peer('home')}")
        scene.home.up()
        until(lambda: scene.laptop.ping("home")[1] == 1, "home answers again", STILL_MAX)


if __name__ == "__main__":
    run(main)
