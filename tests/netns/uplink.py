#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A phone changes its uplink, its router forgets it, it sleeps: a download and an upload through SOCKS go on without a lost byte, and how long they stood still
is printed. Both ends are behind NATs and know nothing but two anchors; the path is direct before each change, and has to be direct again after it.

      phone                                          net                   home
    peergate   [wifi] -- natbox, port-restricted --------- natbox -------- peergate
               [lte]  -- natbox, a carrier's two ---  |    port-restricted,   source, sink
               [v6]   -- firewall, IPv6 only --------  |    IPv6 too
                                             anchor1, anchor2
"""
import os
import signal
import time

from ground import BUILD, Ground, check, chosen, needs, run, until
from meeting import PORT, anchor_node, is_direct, wait_registered
from natground import ANCHOR, Internet
from traffic import Traffic, serve_traffic

GAP = 1.0           # the figure, in seconds
DIRECT_AGAIN = 30   # as a rule it is before the gap is known; in that time an attempt may fail, and the next one find it
LINE = {"delay": 10, "rate": 20}
SLEEP = 30
HOUR = 3600
SHIM = BUILD / "tests" / "tools" / "sleepshift.so"


class Clock:
    """What a daemon under sleepshift.so takes for CLOCK_BOOTTIME."""

    def __init__(self, path):
        self.path, self.ns = path, 0
        self.write()
        self.env = {"LD_PRELOAD": str(SHIM), "SLEEPSHIFT": str(path),
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def write(self):
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(self.ns.to_bytes(8, "little"))

    def advance(self, seconds):
        self.ns += int(seconds * 1e9)
        self.write()


class Scene:
    def __init__(self, ground):
        self.ground = ground
        internet = Internet(ground)
        self.wifi = internet.home("phone", "port-restricted", **LINE)
        self.lte = internet.uplink(self.wifi, "lte", "cgnat-double", **LINE)
        self.v6 = internet.uplink(self.wifi, "v6", "v6-only", **LINE)
        self.base = internet.home("home", "port-restricted", v6=True, **LINE)
        self.at = self.wifi.host
        for line in (self.lte, self.v6):
            self.off(line)
        members = []
        anchors = [anchor_node(ground, internet.machine(name, *addresses), name, addresses, members)
                   for name, addresses in (("anchor1", ANCHOR[::2]), ("anchor2", ANCHOR[1::2]))]
        self.phone, self.home = ground.node(self.at, "phone"), ground.node(self.base.host, "home")
        members += [self.phone, self.home]
        services, self.sink = serve_traffic(self.base.host)
        entries = [anchor.entry for anchor in anchors]
        self.phone.configure({"port": PORT, "anchors": entries, "socks": {"listen": "127.0.0.1:1080"},
                              "peers": [{"name": "home", "peer_id": self.home.peer_id}]})
        self.home.configure({"port": PORT, "anchors": entries, "services": services,
                             "peers": [{"name": "phone", "peer_id": self.phone.peer_id}]})
        self.clock = Clock(ground.folder / "boottime")
        for anchor in anchors:
            anchor.serve()
            anchor.up()
        self.home.up()
        self.phone.up(env=self.clock.env)
        late = wait_registered(members)
        check(not late, f"not registered: {[node.name for node in late]}")
        self.traffic = Traffic(self.phone, self.sink, least=1 << 17)
        self.found = []  # (what, gap)

    def on(self, line):
        """The interface is up, with its addresses, and the way out."""
        self.at.ip("link", "set", line.device, "up")
        for own in line.own_prefixes(0):
            self.at.ip("addr", "replace", own, "dev", line.device, *(["nodad"] if ":" in own else []))
        line.route_out(self.at)

    def off(self, line):
        self.at.ip("addr", "flush", "dev", line.device)
        self.at.ip("link", "set", line.device, "down")

    def is_direct(self):
        return all(is_direct(node.ask("why", host=other.name)) for node, other in ((self.phone, self.home), (self.home, self.phone)))

    def survives(self, what, change, pause=0.0, seconds=2.5):
        until(self.is_direct, "both are direct", DIRECT_AGAIN, every=0.1)
        gap = self.traffic.survives(self.ground, what, change, seconds, pause)
        began = time.monotonic()
        until(self.is_direct, f"{what}: both are direct again", DIRECT_AGAIN, every=0.1)
        self.found.append((what, gap))
        self.ground.step(f"    direct {seconds + time.monotonic() - began:.1f} s after it: {self.phone.peer('home')['path']['endpoint']}")


def move(scene, there, old):
    """As phones do: the new one is up and has the way out before the old one goes."""
    def change():
        scene.on(there)
        time.sleep(0.2)
        scene.off(old)
    return change


def switches(scene):
    wifi, lte, v6 = scene.wifi, scene.lte, scene.v6
    scene.survives("Wi-Fi to LTE, IPv4 to IPv4", move(scene, lte, wifi))
    scene.survives("LTE to an IPv6-only network", move(scene, v6, lte))
    scene.survives("IPv6-only to Wi-Fi", move(scene, wifi, v6))

    def torn():
        scene.off(wifi)
        time.sleep(1)
        scene.on(lte)
    scene.survives("Wi-Fi is gone, a second later LTE is there", torn, pause=1)

    def back():
        scene.off(lte)
        time.sleep(1)
        scene.on(wifi)
    scene.survives("and the other way round", back, pause=1)

    def bounce():
        scene.at.ip("link", "set", "wan", "down")
        time.sleep(1)
        scene.on(wifi)
    scene.survives("the interface is down for a second", bounce, pause=1)


def routers(scene):
    scene.survives("the router forgets its mappings, other ports from now on", lambda: scene.wifi.command("rebind"))

    def renumber():
        scene.wifi.outer.ip("route", "add", "11.0.250.1", "dev", "phone")
        scene.wifi.command("renumber 11.0.250.1")
    scene.survives("the provider gives the router another address", renumber)
    scene.survives("home's router forgets its mappings", lambda: scene.base.command("rebind"))


def sleeps(scene):
    def asleep(seconds, counted):
        """Stopped for some seconds, which its clock takes for `counted`; the router has forgotten it when it wakes."""
        def change():
            scene.phone.daemon.signal(signal.SIGSTOP)
            time.sleep(seconds)
            scene.clock.advance(counted - seconds)
            scene.wifi.command("rebind")
            scene.phone.daemon.signal(signal.SIGCONT)
        return change
    scene.survives(f"stopped for {SLEEP} s, and the router has forgotten it", asleep(SLEEP, SLEEP), pause=SLEEP)
    check("the machine slept" not in scene.phone.log(), "nobody moved the clock")
    scene.survives("asleep for an hour, as its clock says", asleep(2, HOUR), pause=2)
    scene.phone.logged("the machine slept for 35")


PARTS = [switches, routers, sleeps]


def measure(parts):
    """[(what, seconds without a byte)]"""
    found = []
    for part in parts:
        with Ground(f"uplink-{part.__name__}") as ground:
            scene = Scene(ground)
            part(scene)
            scene.traffic.stop()
            found += scene.found
    return found


def main():
    needs("ip")
    for what, gap in measure(chosen(PARTS)):
        print(f"{gap * 1000:6.0f} ms without a byte: {what}{' (above the figure)' if gap > GAP else ''}")


if __name__ == "__main__":
    run(main)
