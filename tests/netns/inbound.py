#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`role: auto` behind a firewall of the kernel's (nftables, stateful: answers get in, nothing else): no anchor, and told why, until the rule is gone.

    client  ---  net  ---  volunteer [nft]     9.9.8.8, or 2a00:fffe::8 alone
    8.8.8.8       |
                 hub                           9.9.9.9, 2a00:ffff::9
"""
import json

from ground import Ground, check, chosen, needs, run, until
from natground import ANCHOR, Internet

PORT = 7000
DROP = """table inet guard {
    chain input {
        type filter hook input priority 0; policy accept;
        iif lo accept
        ct state established,related accept
        meta l4proto udp drop
    }
}"""


def at(address):
    return f"[{address}]:{PORT}" if ":" in address else f"{address}:{PORT}"


class Scene:
    def __init__(self, ground, address, hub_address, client_address):
        self.ground, self.address = ground, address
        internet = Internet(ground)
        names = {"hub": internet.anchor(), "volunteer": internet.machine("vol", address), "client": internet.machine("client", client_address)}
        self.nodes = {name: ground.node(namespace, name) for name, namespace in names.items()}
        self.hub, self.volunteer, self.client = self.nodes.values()
        self.volunteer.namespace.nft(DROP)

        def entry(name, where=None):
            return {"name": name, "peer_id": self.nodes[name].peer_id, **({"endpoint": at(where)} if where else {})}
        self.hub.configure({"port": PORT, "role": "anchor", "port_mapping": "off", "peers": [entry("volunteer"), entry("client")]})
        self.volunteer.configure({"port": PORT, "role": "auto", "port_mapping": "off", "anchors": [entry("hub", hub_address)],
                                  "peers": [entry("client")]})
        self.client.configure({"port": PORT, "port_mapping": "off", "anchors": [entry("hub", hub_address), entry("volunteer", address)]})
        for node in (self.hub, self.volunteer, self.client):
            node.up()

    def public(self):
        return self.volunteer.ask("status")["networks"][0]["public"]

    def is_anchor(self):
        serves = self.volunteer.ask("status")["networks"][0]["anchor"] is not None
        check(serves == self.public()["reachable"], f"an anchor: {serves}, but {self.public()}")
        return serves

    def netcheck(self):
        return json.loads(self.volunteer.cli("netcheck", "--json", seconds=30))["networks"][0]["public"]

    def is_used(self):
        return any(one["name"] == "volunteer" and one["state"] == "registered" for one in self.client.ask("status")["anchors"])

    def closed(self):
        """It has found the firewall, and says so wherever somebody may look."""
        until(lambda: self.public()["reason"] == "firewall", lambda: f"the firewall is found: {self.public()}", 20)
        public = self.public()
        check(not public["reachable"] and public["role"] == "auto" and public["address"] == at(self.address), f"{public}")
        check(not self.is_anchor() and not self.is_used(), "it is an anchor behind a firewall")
        found = self.netcheck()
        check(found["reason"] == "firewall" and found["tested_s"] < 5, f"netcheck tries anew: {found}")
        for command in ("status", "netcheck"):
            text = self.volunteer.cli(command, seconds=30)
            check("a firewall drops what nobody asked for" in text and self.address in text, f"{command}: {text}")
        check("this node is no anchor (role: auto)" in self.volunteer.cli("status"), "status says what that means")
        self.ground.step("behind the firewall it is no anchor, and status and netcheck say why")

    def opened(self, how, seconds):
        until(lambda: self.public()["reason"] == "open", lambda: f"it is open: {self.public()}", seconds, every=0.1)
        check(self.is_anchor(), "open, and no anchor")
        check("role: auto" not in self.volunteer.cli("status"), "nothing is in the way")
        until(self.is_used, lambda: f"the client is registered: {self.client.ask('status')['anchors']}", 100, every=0.1)
        self.ground.step(f"{how} it is an anchor, and a client uses it")


def by_itself(ground):
    """IPv4; the rule goes, and nobody tells the node."""
    scene = Scene(ground, "9.9.8.8", ANCHOR[0], "8.8.8.8")
    scene.closed()
    scene.volunteer.namespace.run("nft", "flush", "ruleset")
    scene.opened("a while after the rule is gone", 90)


def asked(ground):
    """IPv6, where a firewall is all that homes have; netcheck tries at once what else comes round once a minute."""
    scene = Scene(ground, "2a00:fffe::8", ANCHOR[2], "2a00:fffd::8")
    scene.closed()
    scene.volunteer.namespace.run("nft", "flush", "ruleset")
    found = scene.netcheck()
    check(found["reason"] == "open" and found["reachable"], f"netcheck tries anew: {found}")
    check("what nobody asked for gets in" in scene.volunteer.cli("netcheck", seconds=30), "netcheck says so")
    scene.opened("asked by netcheck,", 5)
    scene.volunteer.namespace.nft(DROP)
    scene.netcheck()
    until(lambda: not scene.is_anchor(), lambda: f"the firewall is back: {scene.public()}", 30, every=0.1)
    ground.step("the firewall is back, and it is no anchor any more")


def test():
    needs("ip", "nft")
    for part in chosen((by_itself, asked)):
        with Ground("inbound") as ground:
            part(ground)


run(test)
