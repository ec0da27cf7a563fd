#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a node offers of its interfaces' addresses, and how soon: one that comes is with the peer at once, one that goes is taken back; temporary IPv6 addresses come first,
deprecated and virtual ones not at all; never more than eight.

    laptop --- veth --- desk
    10.77.0.1           10.77.0.2"""
import json
import time

from ground import Ground, check, chosen, run, until

PORT = 41000
SOON = 15.0  # seconds; a quarter of one for changes to settle, the rest for a busy machine: a keepalive later would be 20


class Scene:
    def __init__(self, ground, **more):
        self.at = ground.namespace("laptop")
        self.desk_at = ground.namespace("desk")
        ground.veth(self.at, "10.77.0.1/24", self.desk_at, "10.77.0.2/24")
        self.at.ip("route", "add", "default", "via", "10.77.0.2")
        self.device = self.desk_at.short
        self.laptop, self.desk = ground.node(self.at, "laptop"), ground.node(self.desk_at, "desk")
        self.laptop.configure({"port": PORT, "port_mapping": "off", "peers": [
            {"name": "desk", "peer_id": self.desk.peer_id, "endpoint": f"10.77.0.2:{PORT}", "eager": True}], **more})
        self.desk.configure({"port": PORT, "port_mapping": "off", "peers": [{"name": "laptop", "peer_id": self.laptop.peer_id}]})
        for node in (self.desk, self.laptop):
            node.up()
        until(lambda: self.laptop.is_established("desk"), "a session")
        #  Link-local addresses become usable after two seconds, which is news too.
        until(lambda: "tentative" not in self.at.run("ip", "addr"), "no address is being checked", 5)

    def offered(self):
        """What the desk was told."""
        why = json.loads(self.desk.cli("why", "--json", "laptop"))
        return [one["address"] for one in why["candidates"] if one["kind"] == "interface"]

    def own(self, family):
        return json.loads(self.laptop.cli("netcheck", "--json"))["networks"][0][family]["addresses"]

    def soon(self, condition, what):
        began = time.monotonic()
        until(condition, lambda: f"{what}; offered: {self.offered()}")
        took = time.monotonic() - began
        check(took < SOON, f"{what}: after {took:.1f} s")
        return took


def changes(ground):
    scene = Scene(ground)
    at, device = scene.at, scene.device
    at.ip("addr", "add", "10.77.1.5/24", "dev", device)
    took = scene.soon(lambda: f"10.77.1.5:{PORT}" in scene.offered(), "a new address is offered")
    at.ip("addr", "del", "10.77.1.5/24", "dev", device)
    gone = scene.soon(lambda: f"10.77.1.5:{PORT}" not in scene.offered(), "one that is gone is taken back")
    check(scene.offered() == [f"10.77.0.1:{PORT}"], f"{scene.offered()}")
    ground.step(f"offered {took:.2f} s after it came, taken back {gone:.2f} s after it went")
    at.ip("link", "add", "other", "type", "veth", "peer", "name", "nowhere")
    at.ip("link", "set", "nowhere", "up")
    at.ip("addr", "add", "10.99.0.1/24", "dev", "other")
    time.sleep(0.6)
    check(f"10.99.0.1:{PORT}" not in scene.offered(), "an interface that is down is offered")
    at.ip("link", "set", "other", "up")
    scene.soon(lambda: f"10.99.0.1:{PORT}" in scene.offered(), "an interface that comes up")
    check(scene.offered()[0].startswith("10.77.0.1") and scene.own("ipv4")[0] == "10.77.0.1", "the way out is first")
    at.ip("addr", "add", "10.64.3.4/16", "dev", "other")  # the range of virtual addresses
    at.ip("addr", "add", "169.254.7.7/16", "dev", "other")
    time.sleep(0.6)
    check(not [one for one in scene.offered() if one.startswith(("10.64.", "169.254."))], f"{scene.offered()}")
    for i in range(20):
        at.ip("addr", "add", f"10.98.0.{i + 1}/32", "dev", "other")
    time.sleep(1)
    check(len(scene.offered()) <= 8 and f"10.77.0.1:{PORT}" in scene.offered(), f"{scene.offered()}")
    ground.step(f"of 22 addresses {len(scene.offered())} are offered")


def temporary(ground):
    scene = Scene(ground)
    at, device = scene.at, scene.device
    at.sysctl(f"net.ipv6.conf.{device}.use_tempaddr", 2)
    at.ip("addr", "add", "2a00:9::5/64", "dev", device, "mngtmpaddr", "nodad")

    def made():
        lines = [line.split() for line in at.run("ip", "-6", "-o", "addr", "show", "dev", device).splitlines()]
        return [words[3].split("/")[0] for words in lines if "temporary" in words and "tentative" not in words]
    mine = until(made, "the kernel makes a temporary address", 10)[0]
    scene.soon(lambda: f"[{mine}]:{PORT}" in scene.offered(), "the temporary address is offered")
    check(f"[2a00:9::5]:{PORT}" in scene.offered(), "the lasting one is offered too")
    own = scene.own("ipv6")
    check(own.index(f"[{mine}]") < own.index("[2a00:9::5]"), f"the temporary one is not first: {own}")
    at.ip("addr", "change", "2a00:9::5/64", "dev", device, "preferred_lft", "0", "valid_lft", "1000")
    scene.soon(lambda: f"[2a00:9::5]:{PORT}" not in scene.offered(), "a deprecated address is not offered any more")
    ground.step(f"temporary {mine} before 2a00:9::5, which is taken back when it is deprecated")


def main():
    for part in chosen([changes, temporary]):
        with Ground("interfaces") as ground:
            part(ground)


run(main)
