#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a narrow path carries: packets of all sizes, with and without "don't fragment", IPv4 and IPv6, through the TUN of a node of ours to wireguard-go
and to another node of ours. Only the router knows how narrow it is.

      far                        router                       home
   wireguard-go or peergate                                 peergate
   10.77.1.1 ---- veth, 1280/1400/1500 ---- 10.77.1.254
                                10.77.2.254 ---- veth, 1500 ---- 10.77.2.1     the outer addresses; fd77:1::/64 and fd77:2::/64 beside them
   10.64.0.2, fd64::2 ===================================== 10.64.0.1, fd64::1

usage: tun_sizes.py [PART...]; `rekey` takes four minutes and PEERGATE_SLOW_TESTS=1
"""
import os
import socket
import sys
import time
from ground import Ground, Skipped, check, chosen, needs, run, until
from tunlab import ping, ping6, transfer
from wireguard import HOME_IP, HOME_PORT, STOCK_IP, STOCK_PORT, Stock

FAR6, HOME6 = "fd64::2", "fd64::1"
OUTER = {4: ("10.77.1.1", "10.77.2.1"), 6: ("[fd77:1::1]", "[fd77:2::1]")}
SIZES = (*range(0, 3001, 101), 1171, 1172, 1173, 1251, 1252, 1253, 1351, 1352, 1353)


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.far, self.router, self.home_ns = (ground.namespace(name) for name in ("far", "router", "homens"))
        for number, host in ((1, self.far), (2, self.home_ns)):
            ground.veth(host, f"10.77.{number}.1/24", self.router, f"10.77.{number}.254/24")
            for namespace, device, tail in ((host, "router", "1"), (self.router, host.short, "254")):
                namespace.ip("-6", "addr", "add", f"fd77:{number}::{tail}/64", "dev", device, "nodad")
            host.ip("route", "add", "10.77.0.0/16", "via", f"10.77.{number}.254")
            host.ip("-6", "route", "add", "fd77::/16", "via", f"fd77:{number}::254")
        self.router.run("sysctl", "-q", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.home = ground.node(self.home_ns, "home")

    def narrow(self, mtu):
        self.far.ip("link", "set", "dev", "router", "mtu", str(mtu))
        self.router.ip("link", "set", "dev", "far", "mtu", str(mtu))
        for namespace in (self.far, self.home_ns):  # what was learned of another width
            namespace.ip("route", "flush", "cache")
            namespace.ip("-6", "route", "flush", "cache")

    def move_far(self, address):
        self.far.ip("-4", "addr", "flush", "dev", "router")
        self.far.ip("addr", "add", f"{address}/24", "dev", "router")
        self.far.ip("route", "replace", "10.77.0.0/16", "via", "10.77.1.254")

    def start_home(self, peer):
        self.home.stop()
        self.home.configure({"port": HOME_PORT, "address": [f"{HOME_IP}/16", f"{HOME6}/64"], "tun": {"enabled": True}, "expose": "host", "peers": [peer]})
        self.home.up()

    def both_ways(self):
        return ((self.home_ns, STOCK_IP, FAR6), (self.far, HOME_IP, HOME6))

    def settle(self):
        """Until the widths along the way are known: the first long packet finds out and is lost, as everywhere."""
        for namespace, host, host6 in self.both_ways():
            until(lambda: isinstance(ping(namespace, host, 1352, 0.5, df=False), float), f"a long ping to {host}")
            until(lambda: isinstance(ping6(namespace, host6, 1332, 0.5), float), f"a long ping to {host6}")

    def sweep(self, what):
        for namespace, host, host6 in self.both_ways():
            for size in SIZES:
                said = ping(namespace, host, size, df=False)
                if not isinstance(said, float):  # one may be lost where all tests share the kernel's queues
                    said = ping(namespace, host, size, df=False)
                check(isinstance(said, float), f"{what}: {size} bytes to {host} without DF: {said}")
                said = ping6(namespace, host6, size)
                if not isinstance(said, float):  # the sender is told, once
                    said = ping6(namespace, host6, size)
                check(isinstance(said, float), f"{what}: {size} bytes to {host6}: {said}")

    def forbidden(self, what, namespace, host, most):
        """With DF: an answer up to what fits, and a word beyond. Never silence. most: None = what is told may be anything."""
        fits = 0
        for size in range(900, 1500, 50):
            said = ping(namespace, host, size, df=True)
            check(said in ("too big", "Message too long") or isinstance(said, float), f"{what}: {size} bytes with DF to {host}: {said}")
            fits = size if isinstance(said, float) else fits
        check(fits >= most, f"{what}: with DF only {fits} bytes fit, {most} would")

    def tcp(self):
        transfer(self.home_ns, self.far, STOCK_IP, 4 << 20)
        transfer(self.far, self.home_ns, HOME_IP, 4 << 20)
        transfer(self.home_ns, self.far, FAR6, 4 << 20, socket.AF_INET6)
        transfer(self.far, self.home_ns, HOME6, 4 << 20, socket.AF_INET6)


# ---- a stock peer

def start_stock(scene, version):
    far, home = OUTER[version]
    if not hasattr(scene, "stock"):
        scene.stock = Stock(scene.ground, scene.far, scene.home)
        scene.far.ip("-6", "addr", "add", f"{FAR6}/64", "dev", scene.stock.device, "nodad")
    scene.stock.configure(f"{home}:{HOME_PORT}")
    scene.stock.set("peer", scene.home.public_key, "allowed-ips", f"{HOME_IP}/32,{HOME6}/128")
    scene.start_home({"name": "stock", "public_key": scene.stock.public, "endpoint": f"{far}:{STOCK_PORT}", "tunnel_ip": [STOCK_IP, FAR6]})
    until(lambda: isinstance(ping(scene.home_ns, STOCK_IP, seconds=0.5), float), "stock answers a ping")
    until(lambda: scene.home.peer("stock")["protocol"] == "wireguard", "home takes stock for a WireGuard peer")


def stock(scene):
    for version in (4, 6):
        for mtu in (1500, 1400, 1280):
            what = f"wireguard-go over IPv{version}, {mtu} bytes wide"
            scene.ground.step(what)
            scene.narrow(mtu)
            start_stock(scene, version)
            scene.settle()
            scene.sweep(what)
            scene.forbidden(what, scene.home_ns, STOCK_IP, min(1350, mtu - 150))
            scene.tcp()
            fragmented = scene.home.status()["tun"]["packets_fragmented"]
            check((fragmented > 0) == (mtu < 1460), f"{what}: home cut {fragmented} packets")
            scene.home.stop()


def roams(scene):
    scene.ground.step("wireguard-go roams to another port and another address, with packets of all sizes on the way")
    scene.narrow(1400)
    start_stock(scene, 4)
    scene.settle()
    scene.stock.set("listen-port", str(STOCK_PORT + 100))
    until(lambda: isinstance(ping(scene.far, HOME_IP, 1300, 0.5, df=False), float), "an answer from the new port")
    scene.move_far("10.77.1.9")
    scene.stock.set("peer", scene.home.public_key, "endpoint", f"10.77.2.1:{HOME_PORT}")
    until(lambda: isinstance(ping(scene.far, HOME_IP, 1300, 0.5, df=False), float), "an answer from the new address")
    check(scene.home.peer("stock")["path"]["endpoint"] == f"10.77.1.9:{STOCK_PORT + 100}", f"{scene.home.peer('stock')['path']}")
    scene.settle()
    scene.sweep("after roaming")
    scene.tcp()
    scene.home.stop()
    scene.move_far("10.77.1.1")
    scene.stock.program.stop()


def rekey(scene):
    """wireguard-go begins a new handshake when a session is 120 s old; at 180 s the old one would be refused."""
    scene.narrow(1400)
    start_stock(scene, 4)
    scene.settle()
    first, lost, sent, until_s = scene.stock.handshakes(), [], 0, time.monotonic() + 200
    scene.ground.step("200 s of pings both ways")
    while time.monotonic() < until_s:
        for namespace, host, _ in scene.both_ways():
            size = SIZES[sent % len(SIZES)]
            sent += 1
            if not isinstance(ping(namespace, host, size, df=False), float):
                lost.append((host, size, round(time.monotonic() - scene.ground.began)))
        time.sleep(0.1)
    more = scene.stock.handshakes() - first
    scene.ground.step(f"{sent} pings, {len(lost)} lost, {more} more handshakes")
    check(not lost, f"lost over a rekeying: {lost[:10]}")
    check(1 <= more <= 3, f"{more} handshakes within 200 s")


# ---- one of ours

def ours(scene):
    far_node = scene.ground.node(scene.far, "farnode")
    for version in (4, 6):
        for mtu in (1280, 1400, 1500):
            what = f"peergate over IPv{version}, {mtu} bytes wide"
            scene.ground.step(what)
            scene.narrow(mtu)
            far, home = OUTER[version]
            far_node.configure({"port": HOME_PORT, "address": [f"{STOCK_IP}/16", f"{FAR6}/64"], "tun": {"enabled": True}, "expose": "host", "peers": [
                {"name": "home", "peer_id": scene.home.peer_id, "endpoint": f"{home}:{HOME_PORT}", "tunnel_ip": [HOME_IP, HOME6], "eager": True}]})
            far_node.up()
            scene.start_home({"name": "far", "peer_id": far_node.peer_id, "endpoint": f"{far}:{HOME_PORT}", "tunnel_ip": [STOCK_IP, FAR6]})
            until(lambda: isinstance(ping(scene.home_ns, STOCK_IP, seconds=0.5), float), "far answers a ping")
            scene.sweep(what)  # from the beginning: what is too long goes in two parts
            for namespace, host, _ in scene.both_ways():
                scene.forbidden(what, namespace, host, 1350)
            scene.tcp()
            scene.home.stop()
            far_node.stop()


def test():
    needs("wireguard-go", "wg", "ip", "sysctl")
    parts = chosen((stock, roams, ours), also=(rekey,))
    if rekey in parts and os.environ.get("PEERGATE_SLOW_TESTS") != "1":
        raise Skipped("it takes four minutes; PEERGATE_SLOW_TESTS=1 runs it")
    with Ground("tunsizes") as ground:
        scene = Scene(ground)
        for part in parts:
            part(scene)


run(test)
