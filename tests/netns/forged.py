#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Forged ICMP "fragmentation needed" and "packet too big": who can guess two addresses and two ports may send them to anybody. Data go on, as large as before.

    laptop                    yard (routes, and forges)                  home
   peergate                                                            peergate, web 8000
  10.78.1.2, fd78:1::2 ------ veth ------ x ------ veth ------ 10.78.2.2, fd78:2::2
"""
import socket
import struct
import threading
import time
from ground import Ground, check, chosen, needs, run, until
from streams import Web, pattern

SIZE = 32 << 20
PORTS = {"laptop": 7001, "home": 7002}
V4 = {"laptop": "10.78.1.2", "home": "10.78.2.2"}
V6 = {"laptop": "fd78:1::2", "home": "fd78:2::2"}


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def needed_v4(source, to, mtu):
    """As a router on the way says it to source, of a datagram of its own to `to`."""
    ports = struct.pack("!HHHH", PORTS[source], PORTS[to], 1480, 0)
    quoted = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 1500, 1, 0x4000, 63, 17, 0, socket.inet_aton(V4[source]), socket.inet_aton(V4[to])) + ports
    body = struct.pack("!HH", 0, mtu) + quoted
    return struct.pack("!BBH", 3, 4, checksum(struct.pack("!BBH", 3, 4, 0) + body)) + body


def too_big_v6(source, to, mtu):
    ports = struct.pack("!HHHH", PORTS[source], PORTS[to], 1460, 0)
    quoted = struct.pack("!IHBB16s16s", 6 << 28, 1460, 17, 63, socket.inet_pton(socket.AF_INET6, V6[source]),
                         socket.inet_pton(socket.AF_INET6, V6[to])) + ports
    return struct.pack("!BBHI", 2, 0, 0, mtu) + quoted + bytes(200)  # the kernel fills the checksum in


class Forger:
    """Tells both, again and again, that what they send each other is too large."""

    def __init__(self, yard, mtus):
        self.mtus, self.is_over, self.sent, self.wrong = mtus, False, 0, None
        self.v4 = yard.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.v6 = yard.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        try:
            while not self.is_over:
                for mtu in self.mtus:
                    for source, to in (("laptop", "home"), ("home", "laptop")):
                        self.v4.sendto(needed_v4(source, to, mtu), (V4[source], 0))
                        self.v6.sendto(too_big_v6(source, to, mtu), (V6[source], 0))
                        self.sent += 2
                time.sleep(0.02)
        except OSError as error:
            self.wrong = error

    def end(self):
        self.is_over = True
        self.thread.join(10)
        self.v4.close()
        self.v6.close()
        check(not self.wrong, f"the forger: {self.wrong}")


class Scene:
    def __init__(self, ground):
        self.ground = ground
        yard = self.yard = ground.namespace("yard")
        self.at = {name: ground.namespace(name) for name in ("laptop", "home")}
        for number, name in enumerate(self.at, 1):
            ground.veth(self.at[name], f"10.78.{number}.2/24", yard, f"10.78.{number}.1/24")
            for space, device, end in ((self.at[name], yard.short, 2), (yard, self.at[name].short, 1)):
                space.ip("-6", "addr", "add", f"fd78:{number}::{end}/64", "dev", device, "nodad")
            self.at[name].ip("route", "add", "default", "via", f"10.78.{number}.1")
            self.at[name].ip("-6", "route", "add", "default", "via", f"fd78:{number}::1")
        yard.sysctl("net.ipv4.ip_forward", 1)
        yard.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.node = {name: ground.node(space, name) for name, space in self.at.items()}
        (ground.folder / "www").mkdir()
        (ground.folder / "www" / "bulk").write_bytes(pattern(SIZE))
        Web(self.at["home"], ("127.0.0.1", 8000), str(ground.folder / "www"))

    def up(self, hosts):
        brackets = "[{}]" if ":" in hosts["home"] else "{}"
        for name, other in (("laptop", "home"), ("home", "laptop")):
            config = {"port": PORTS[name], "peers": [{"name": other, "peer_id": self.node[other].peer_id,
                                                      "endpoint": f"{brackets.format(hosts[other])}:{PORTS[other]}"}]}
            if name == "laptop":
                config["socks"] = {"listen": "127.0.0.1:1080"}
            else:
                config["services"] = {"web": {"local_address": "127.0.0.1:8000"}}
            self.node[name].configure(config)
            self.node[name].up()

    def down(self):
        for node in self.node.values():
            node.stop()

    def fetch(self):
        got = self.ground.folder / "got"
        began = time.monotonic()
        self.at["laptop"].run("curl", "-sS", "--max-time", 60, "--socks5-hostname", "127.0.0.1:1080", "-o", str(got),
                              "http://web.home.demo.p2p/bulk")
        check(got.read_bytes() == pattern(SIZE), "every byte is right")
        return time.monotonic() - began


def believes(scene, name, hosts):
    """The kernel took the forged ones for true: they are right."""
    other = hosts["home" if name == "laptop" else "laptop"]
    return " mtu " in scene.at[name].ip("route", "get", other)


def under_fire(scene, hosts, mtus, what):
    scene.up(hosts)
    alone = scene.fetch()
    full = scene.node["home"].peer("laptop")["path"]["payload"]
    forger = Forger(scene.yard, mtus)
    try:
        until(lambda: believes(scene, "laptop", hosts) and believes(scene, "home", hosts), f"{what}: the kernels believe it", 10)
        took = scene.fetch()
        took = min(took, scene.fetch())
        sent, received, _ = scene.node["laptop"].ping("home", count=5)
        check(received == sent, f"{received} of {sent} pings were answered")
        path = scene.node["home"].peer("laptop")["path"]
        check(path["payload"] >= full, f"datagrams are as large as before, {full}: {path}")
    finally:
        forger.end()
    scene.ground.step(f"    | {what} | {forger.sent} forged, {SIZE >> 20} MB in {took:.2f} s, {alone:.2f} s without; datagrams of {path['payload']} bytes |")
    scene.down()


def small(scene):
    scene.ground.step("forged: narrower than anything we send")
    under_fire(scene, V4, (68, 552, 576, 1000, 1227), "IPv4, 68 to 1227 bytes")


def v6(scene):
    under_fire(scene, V6, (68, 1280), "IPv6, 68 and 1280 bytes")


def main():
    needs("curl", "ip")
    with Ground("forged") as ground:
        scene = Scene(ground)
        for part in chosen((small, v6)):
            part(scene)


run(main)
