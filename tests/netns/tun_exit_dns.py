#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""DNS with an exit node: names that are not ours are asked of `dns.upstreams` through it and nowhere else, but for those that the node needs to get there; ours are still ours. One name server's address is
there twice, on either side of the tunnel, and its answer says on which.

      laptop, TUN, DNS 127.0.0.1:53           yard (routes)                         home, TUN
      its resolv.conf names that          203.0.113.53 on lo: 192.0.2.2         203.0.113.53 on lo: 192.0.2.1
    10.77.1.2 ---------- veth ---------- 10.77.1.1    10.77.2.1 ------ veth ------ 10.77.2.2, home.example
"""
import socket
import struct
import threading
from ground import REPLY, Ground, check, needs, run, until
from streams import receive_exactly
from tunlab import answers

PORT, SERVER, OUTSIDE, THROUGH = 7001, "203.0.113.53", "192.0.2.2", "192.0.2.1"


class Names:
    """A name server in that namespace: every name is at `address`, but for those of `known`; what it was asked is kept."""

    def __init__(self, namespace, hosts, address, known):
        self.address, self.known, self.asked = address, known, []
        for host in hosts:
            udp, tcp = namespace.socket(kind=socket.SOCK_DGRAM), namespace.socket()
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for sock in (udp, tcp):
                sock.bind((host, 53))
            tcp.listen(16)
            threading.Thread(target=self.serve_udp, args=(udp,), daemon=True).start()
            threading.Thread(target=self.serve_tcp, args=(tcp,), daemon=True).start()

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name, is_a = ".".join(labels), query[at + 1:at + 5] == b"\0\1\0\1"
        self.asked.append(name)
        record = b"\xc0\x0c\0\1\0\1" + struct.pack("!IH", 1, 4) + socket.inet_aton(self.known.get(name, self.address)) if is_a else b""
        return query[:2] + b"\x81\x80\0\1" + struct.pack("!HHH", is_a, 0, 0) + query[12:at + 5] + record

    def serve_udp(self, sock):
        while True:
            query, client = sock.recvfrom(2048)
            reply = self.answer(query)
            if b"\3cut" in query:  # by TCP then
                reply = reply[:2] + b"\x83\x80\0\1\0\0\0\0\0\0" + query[12:query.index(b"\0", 12) + 5]
            sock.sendto(reply, client)

    def serve_tcp(self, listening):
        while True:
            sock, _ = listening.accept()
            with sock:
                sock.settimeout(REPLY)
                reply = self.answer(receive_exactly(sock, struct.unpack("!H", receive_exactly(sock, 2))[0]))
                sock.sendall(struct.pack("!H", len(reply)) + reply)


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.yard = ground.namespace("yard")
        self.laptop_at, self.home_at = ground.namespace("laptop"), ground.namespace("home")
        for number, at in ((1, self.laptop_at), (2, self.home_at)):
            ground.veth(at, f"10.77.{number}.2/24", self.yard, f"10.77.{number}.1/24")
            at.ip("route", "add", "default", "via", f"10.77.{number}.1")
        self.yard.sysctl("net.ipv4.ip_forward", 1)
        for at in (self.yard, self.home_at):
            at.ip("addr", "add", f"{SERVER}/32", "dev", "lo")
        known = {"home.example": "10.77.2.2", "stun.example": "10.77.1.1"}
        self.outside = Names(self.yard, (SERVER, "10.77.1.1"), OUTSIDE, known)
        self.through = Names(self.home_at, (SERVER,), THROUGH, known)
        self.conf = ground.folder / "resolv.conf"
        self.conf.write_text("nameserver 127.0.0.1\n")
        self.laptop, self.home = ground.node(self.laptop_at, "laptop"), ground.node(self.home_at, "home")
        self.home.configure({"port": PORT, "address": "10.64.0.2/16", "expose": "host", "tun": {"enabled": True, "subnets": f"{SERVER}/32"},
                             "peers": [{"name": "laptop", "peer_id": self.laptop.peer_id, "tunnel_ip": "10.64.0.1"}]})
        self.configure()
        self.numbers = iter(range(1000000))

    def configure(self, upstream=SERVER, allowed_ips=("0.0.0.0/0",)):
        self.laptop.configure({"port": PORT, "address": "10.64.0.1/16", "tun": {"enabled": True}, "stun": ["stun.example:3478"],
                               "dns": {"enabled": True, "listen": "127.0.0.1:53", "upstreams": f"{upstream}:53"},
                               "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": f"home.example:{PORT}", "tunnel_ip": "10.64.0.2",
                                          "allowed_ips": list(allowed_ips), "eager": True}]})

    def start_laptop(self):
        self.laptop.up(wrapper=("unshare", "-m", "sh", "-c", f'mount --bind {self.conf} /etc/resolv.conf && exec "$@"', "sh"))

    def dig(self, name, *words, server="127.0.0.1"):
        with self.laptop_at:
            return self.laptop_at.run("dig", f"@{server}", "+tries=1", f"+time={REPLY}", "+short", name, *words).strip()

    def ask(self, *labels, **options):
        """A name that nobody has asked for before."""
        return self.dig(".".join((f"www{next(self.numbers)}", *labels, "example.org")), **options)

    def leaked(self):
        return [name for name in self.outside.asked if name not in self.outside.known]


def comes_up(scene):
    scene.ground.step("the exit node is known by a name, and the machine's resolver is our own server: it asks for that name outside")
    scene.home.up()
    scene.start_laptop()
    until(lambda: answers(scene.laptop_at, SERVER), lambda: f"a ping through the exit node: {scene.laptop.peer('home')}", 30)
    check(scene.outside.asked and not scene.leaked(), f"outside they were asked for {scene.outside.asked}")


def through(scene):
    scene.ground.step("other names are asked through it, by UDP and TCP; our own are answered here, also in the TUN")
    for server in ("127.0.0.1", "10.64.0.53"):
        check(scene.ask(server=server) == THROUGH, f"@{server}: asked outside")
        check(scene.ask("cut", server=server) == THROUGH, f"@{server}, by TCP: asked outside")
        check(scene.dig("home.demo.p2p", server=server) == "10.64.0.2", f"@{server}: our names")
        check(scene.dig("home.demo.p2p", "+tcp", server=server) == "10.64.0.2", f"@{server}, by TCP: our names")
    check(not scene.leaked(), f"asked outside: {scene.leaked()}")
    check(not any(name.endswith("p2p") for name in scene.through.asked), f"our names were told to others: {scene.through.asked}")


def fails(scene):
    scene.ground.step("home is gone: names fail, and are asked of nobody else; it comes back")
    scene.home.kill()
    check(scene.ask() == "" and not scene.leaked(), f"asked outside: {scene.leaked()}")
    scene.home.up()
    until(lambda: answers(scene.laptop_at, SERVER), "a ping through the exit node", 60)
    check(scene.ask() == THROUGH, "asked outside")


def near(scene):
    scene.ground.step("a name server in laptop's own network is asked there, as all of that network is; without the exit node, any")
    scene.configure(upstream="10.77.1.1")
    scene.laptop.cli("reload")
    check(scene.ask() == OUTSIDE, "not asked in laptop's network")
    scene.configure(allowed_ips=())
    scene.laptop.cli("reload")
    check(scene.ask() == OUTSIDE, "there is no exit node any more")


def test():
    needs("dig", "unshare")
    with Ground("tunexitdns") as ground:
        scene = Scene(ground)
        for part in (comes_up, through, fails, near):
            part(scene)


run(test)
