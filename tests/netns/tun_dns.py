#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""DNS in the TUN: x.x.0.53 of the network's range and its IPv6 twin, for this machine and whom it allows.

    lan                              laptop                       home
  10.9.0.9 ------- veth -------- 10.9.0.1, TUN               no TUN, web
                                 10.77.0.1 ------ veth ------ 10.77.0.2
                                 10.64.0.1 ================== 10.64.0.2
                                 (10.64.0.53, fd83:e128:5e51::53)
                                 upstream: 127.0.0.1:5399
"""
import json
import socket
import struct
import threading
import time
from ground import REPLY, Ground, check, needs, run, until
from streams import Web
from tunlab import ping, ping6

PORT = 7001
AT, AT6 = "10.64.0.53", "fd83:e128:5e51::53"


def serve_upstream(sock):
    """Every name has the address 192.0.2.7."""
    while True:
        query, client = sock.recvfrom(2048)
        end = query.index(b"\0", 12) + 5
        answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton("192.0.2.7")
        sock.sendto(query[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, 1, 0, 0) + query[12:end] + answer, client)


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.a, self.b, self.lan = (ground.namespace(name) for name in ("laptop", "home", "lan"))
        ground.veth(self.a, "10.77.0.1/24", self.b, "10.77.0.2/24")
        ground.veth(self.a, "10.9.0.1/24", self.lan, "10.9.0.9/24")
        self.a.sysctl("net.ipv4.ip_forward", 1)
        self.lan.ip("route", "add", "10.64.0.0/16", "via", "10.9.0.1")
        self.laptop, self.home = ground.node(self.a, "laptop"), ground.node(self.b, "home")
        Web(self.b, ("127.0.0.1", 80))
        upstream = self.a.socket(kind=socket.SOCK_DGRAM)
        upstream.bind(("127.0.0.1", 5399))
        threading.Thread(target=serve_upstream, args=(upstream,), daemon=True).start()
        self.home.configure({"port": PORT, "address": "10.64.0.2/16", "services": {"web": {"local_address": "127.0.0.1:80"}},
                             "peers": [{"name": "laptop", "peer_id": self.laptop.peer_id, "tunnel_ip": "10.64.0.1"}]})
        self.configure()
        self.home.up()
        self.laptop.up()
        until(lambda: self.laptop.is_established("home"), "they are connected")

    def configure(self, dns=None, **more):
        dns = {"enabled": True, "upstreams": "127.0.0.1:5399"} if dns is None else dns
        self.laptop.configure({"port": PORT, "address": "10.64.0.1/16", "tun": {"enabled": True, "subnets": "10.9.0.0/24"}, "dns": dns,
                               "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": f"10.77.0.2:{PORT}",
                                          "tunnel_ip": "10.64.0.2", "eager": True}], **more})

    def dig(self, server, *words, namespace=None, seconds=REPLY):
        """What +short says, or what went wrong."""
        try:
            return (namespace or self.a).run("dig", f"@{server}", "+tries=1", f"+time={seconds}", "+short", *words).strip()
        except Exception as error:  # dig's status tells of no answer
            return f"no answer: {error}"


def answers(scene):
    scene.ground.step("the name of a peer, by UDP and TCP, IPv4 and IPv6; the upstreams' names; pings")
    check(scene.laptop.status()["tun"]["dns"] == [f"[{AT6}]:53", f"{AT}:53"], f"it is at {scene.laptop.status()['tun']['dns']}")
    for server in (AT, AT6):
        for words in ((), ("+tcp",)):
            got = scene.dig(server, "home.demo.p2p", *words)
            check(got == "10.64.0.2", f"@{server} {words}: {got}")
            got = scene.dig(server, "-x", "10.64.0.2", *words)
            check(got == "home.demo.p2p.", f"@{server} -x {words}: {got}")
            got = scene.dig(server, "www.example.org", *words)
            check(got == "192.0.2.7", f"@{server} www.example.org {words}: {got}")
    check(isinstance(ping(scene.a, AT), float) and isinstance(ping(scene.a, AT, 5000), float), "no answer to pings")
    check(isinstance(ping6(scene.a, AT6), float), "no answer to a ping of the IPv6 address")


def doctor(scene):
    scene.ground.step("the doctor asks it there, and says so when another route takes the address")

    def findings(name):
        out = scene.laptop.cli("dns", "doctor", name, "--json", should=False)[1]
        return {finding["what"]: finding["level"] for finding in json.loads(out)["findings"]}
    said = findings("home.demo.p2p")
    for at in (f"{AT}:53", f"[{AT6}]:53"):
        for how in ("UDP", "TCP"):
            check(said.get(f"our server answers in the tunnel at {at} by {how}") == "ok", f"{at} by {how}: {said}")
    check(said.get("home.demo.p2p is 10.64.0.2") == "ok", f"{said}")
    said = findings("nobody.demo.p2p")
    check(said.get("nobody is called nobody.demo.p2p: our server answers NXDOMAIN") == "wrong", f"why a name fails: {said}")
    scene.a.ip("route", "add", "blackhole", f"{AT}/32")
    said = findings("home.demo.p2p")
    check(any(f"server's address {AT}:53 do not go into the TUN" in what and level == "note" for what, level in said.items()), f"{said}")
    check(said.get(f"our server answers in the tunnel at [{AT6}]:53 by UDP") == "ok", f"{said}")
    scene.a.ip("route", "del", "blackhole", f"{AT}/32")


def many(scene):
    scene.ground.step("2000 questions from as many ports, all answered; other ports are refused")
    query = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\4home\4demo\3p2p\0\0\1\0\1"
    for _ in range(2000):
        with scene.a.socket(kind=socket.SOCK_DGRAM) as sock:
            sock.settimeout(REPLY)
            sock.connect((AT, 53))
            sock.send(query)
            check(sock.recv(2000)[-4:] == socket.inet_aton("10.64.0.2"), "another answer")
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with scene.a.socket(kind=kind) as sock:
            sock.settimeout(REPLY)
            try:
                sock.connect((AT, 54))
                sock.send(b"?")
                sock.recv(1)
                check(False, "port 54 answers")
            except ConnectionRefusedError:
                pass


def others(scene):
    scene.ground.step("the network behind this machine: only when it is allowed; a peer: never, but for a service")
    got = scene.dig(AT, "home.demo.p2p", namespace=scene.lan, seconds=1)
    check("no answer" in got or "timed out" in got or "unreachable" in got, f"the lan was answered: {got}")
    scene.configure({"enabled": True, "upstreams": "127.0.0.1:5399", "allowed": "10.9.0.0/24"})
    scene.laptop.cli("reload")
    for words in ((), ("+tcp",)):
        got = scene.dig(AT, "home.demo.p2p", *words, namespace=scene.lan)
        check(got == "10.64.0.2", f"the lan, allowed {words}: {got}")
    scene.ground.step("the network behind gets so many answers a second, as from the server's sockets; this machine all it asks for")
    scene.configure({"enabled": True, "upstreams": "127.0.0.1:5399", "allowed": "10.9.0.0/24", "rate": 10})
    scene.laptop.cli("reload")
    query = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\4home\4demo\3p2p\0\0\1\0\1"
    for namespace, most in ((scene.lan, 120), (scene.a, 400)):
        with namespace.socket(kind=socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.3)
            sock.connect((AT, 53))
            count, began = 0, time.monotonic()
            for sent in range(1, 401):
                sock.send(query)
                if sent % 100:
                    continue  # no more than its receive buffer holds
                try:
                    while True:
                        count += sock.recv(2000)[2] & 2 == 0  # TC: come by TCP
                except TimeoutError:
                    pass
        took = time.monotonic() - began
        check(0 < count <= most + 10 * took and (most < 400 or count > 200), f"{count} of 400 answered in {namespace.name}, in {took:.1f} s")
    check(scene.laptop.status()["dns"]["limited"] > 50, f"{scene.laptop.status()['dns']}")
    got = scene.dig(AT, "home.demo.p2p", "+tcp", namespace=scene.lan)
    check(got == "10.64.0.2", f"the lan by TCP: {got}")


def reloads(scene):
    scene.ground.step("another port of the server, no server, and again one: without a restart")
    scene.configure({"enabled": True, "listen": "127.0.0.1:5301"})
    scene.laptop.cli("reload")
    for words in ((), ("+tcp",)):
        got = scene.dig(AT, "home.demo.p2p", *words)
        check(got == "10.64.0.2", f"another port {words}: {got}")
    scene.configure({"enabled": False})
    scene.laptop.cli("reload")
    check(scene.laptop.status()["tun"]["dns"] == [], "it is still listed")
    check(scene.dig(AT, "home.demo.p2p", seconds=1).startswith("no answer"), "it still answers")
    check(not isinstance(ping(scene.a, AT, seconds=0.5), float), "it still answers pings")
    scene.configure()
    scene.laptop.cli("reload")
    check(scene.dig(AT, "home.demo.p2p") == "10.64.0.2", "no answer after a reload")


def test():
    needs("ip", "dig")
    with Ground("tundns") as ground:
        scene = Scene(ground)
        answers(scene)
        doctor(scene)
        many(scene)
        others(scene)
        reloads(scene)


run(test)
