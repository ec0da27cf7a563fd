#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Everything through home (an exit node for both families) from a network that lets no UDP out but to name servers: what laptop says itself, by whichever socket, stays
outside the tunnel, bears the mark, and the tunnel comes up by TLS and goes on.

      laptop, TUN                   yard (routes; drops                    home, TUN
                                    laptop <-> home, and UDP              198.51.100.1 and 2001:db8:1::1 on lo
    10.77.1.2 ------ veth ------ 10.77.1.1 of laptop)       10.77.2.1 ------ veth ------ 10.77.2.2
                                 10.77.3.1
                                     |
                                 10.77.3.2 anchor, peergate, port 7000, TLS 443
                                 203.0.113.53 on lo, a name server: anchor.example, proxy.example
"""
import contextlib
import re
import socket
import struct
import threading
import time
from ground import Ground, check, needs, run, until
from tunlab import answers, ping6, set_up

ANCHOR, RESOLVER, BEYOND, BEYOND6 = "10.77.3.2", "203.0.113.53", "198.51.100.1", "2001:db8:1::1"
PORT, MARK = 7001, "0x3067"
TUN = {"enabled": True}
SYN = "tcp flags & (syn | ack) == syn"  # what the kernel says for a socket that is gone (a reset) bears none
# What laptop says itself, and how it is known on its way out.
SAID = {
    "peers and anchors, by UDP": f"udp sport {PORT}",
    "TLS to an anchor": f"ip daddr {ANCHOR} tcp dport 443 {SYN}",
    "the HTTP proxy": f"ip daddr {ANCHOR} tcp dport 3128 {SYN}",
    "names, at a public resolver": f"ip daddr {RESOLVER} udp dport 53",
    "STUN": f"ip daddr {ANCHOR} udp dport 3478",
    "netcheck, by UDP": f"ip daddr {ANCHOR} udp sport != {PORT} udp dport 7000",
    "netcheck, by TCP, to nobody": f"ip daddr 192.0.2.1 tcp dport 80 {SYN}",
}


def serve_names(sock):
    """Every name is ANCHOR, over IPv4."""
    while True:
        query, sender = sock.recvfrom(512)
        question = query[12:query.index(b"\0", 12) + 5]
        is_a = question[-4:] == b"\0\1\0\1"
        answer = b"\xc0\x0c\0\1\0\1" + struct.pack("!IH", 60, 4) + socket.inet_aton(ANCHOR) if is_a else b""
        sock.sendto(query[:2] + b"\x81\x80\0\1" + struct.pack("!HHH", is_a, 0, 0) + question + answer, sender)


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.yard = ground.namespace("yard")
        self.at = {name: ground.namespace(name) for name in ("laptop", "home", "anchor")}
        for number, at in enumerate(self.at.values(), 1):
            ground.veth(at, f"10.77.{number}.2/24", self.yard, f"10.77.{number}.1/24")
            at.ip("route", "add", "default", "via", f"10.77.{number}.1")
        self.yard.sysctl("net.ipv4.ip_forward", 1)
        self.yard.ip("route", "add", RESOLVER, "via", ANCHOR)
        self.at["anchor"].ip("addr", "add", f"{RESOLVER}/32", "dev", "lo")
        self.at["home"].ip("addr", "add", f"{BEYOND}/32", "dev", "lo")
        self.at["home"].ip("-6", "addr", "add", f"{BEYOND6}/128", "dev", "lo")
        resolver = self.at["anchor"].socket(kind=socket.SOCK_DGRAM)
        resolver.bind((RESOLVER, 53))
        threading.Thread(target=serve_names, args=(resolver,), daemon=True).start()
        self.conf = ground.folder / "resolv.conf"
        self.conf.write_text(f"nameserver {RESOLVER}\n")
        self.laptop, self.home, self.anchor = (ground.node(self.at[name], name) for name in ("laptop", "home", "anchor"))
        self.block(True)
        self.watch()
        self.configure()

    def block(self, is_blocked):
        drop = "ip saddr 10.77.1.0/24 meta l4proto udp drop; ip daddr 10.77.1.0/24 meta l4proto udp drop" if is_blocked else ""
        with contextlib.suppress(Exception):
            self.yard.nft("delete table inet yard")
        self.yard.nft(f"""table inet yard {{
            chain forward {{
                type filter hook forward priority 0;
                ip saddr 10.77.1.0/24 ip daddr 10.77.2.0/24 drop
                ip saddr 10.77.2.0/24 ip daddr 10.77.1.0/24 drop
                udp dport 53 accept
                udp sport 53 accept
                {drop}
            }}
        }}""")

    def watch(self):
        """Counts what SAID has: out of the machine with our mark, and any other way."""
        rules = []
        for number, match in enumerate(SAID.values()):
            rules.append(f'oifname "yard" meta mark {MARK} {match} counter name out{number}')
            rules.append(f'oifname "peer*" {match} counter name lost{number}')
            rules.append(f'meta mark != {MARK} {match} counter name bare{number}')
        counters = "\n".join(f"counter {kind}{number} {{ }}" for number in range(len(SAID)) for kind in ("out", "lost", "bare"))
        lines = "\n".join(rules)
        self.at["laptop"].nft(f"""table inet watch {{
            {counters}
            chain out {{
                type filter hook output priority 0;
                {lines}
                oifname "peer*" meta mark {MARK} counter name marked
            }}
            counter marked {{ }}
        }}""")

    def count(self, name):
        return int(re.search(r"packets (\d+)", self.at["laptop"].run("nft", "list", "counter", "inet", "watch", name)).group(1))

    def configure(self, **more):
        anchors = [{"name": "anchor", "peer_id": self.anchor.peer_id, "endpoint": f"{ANCHOR}:7000"}]
        self.anchor.configure({"port": 7000, "role": "anchor", "anchor": {"tls": "[::]:443"}, "peers": [
            {"name": node.name, "peer_id": node.peer_id} for node in (self.laptop, self.home)]})
        self.home.configure({"port": 7002, "anchors": anchors, "address": "10.64.0.2/16", "expose": "host",
                             "tun": {**TUN, "subnets": [f"{BEYOND}/32", f"{BEYOND6}/128"]},
                             "peers": [{"name": "laptop", "peer_id": self.laptop.peer_id}]})
        self.laptop.configure({"port": PORT, "anchors": [{**anchors[0], "endpoint": "anchor.example:7000"}], "stun": [f"{ANCHOR}:3478"],
                               "address": "10.64.0.1/16", "tun": TUN, "socks": {"listen": "127.0.0.1:1080"},
                               "peers": [{"name": "home", "peer_id": self.home.peer_id, "allowed_ips": ["0.0.0.0/0", "::/0"], "eager": True}],
                               **more})

    def start_laptop(self):
        self.laptop.up(wrapper=("unshare", "-m", "sh", "-c", f'mount --bind {self.conf} /etc/resolv.conf && exec "$@"', "sh"))

    def registers(self, transport, seconds=60):
        until(lambda: (lambda anchor: (anchor["state"], anchor["transport"]) == ("registered", transport))(self.laptop.status()["anchors"][0]),
              lambda: f"laptop is registered with the anchor by {transport}: {self.laptop.status()['anchors'][0]}", seconds)

    def works(self, when):
        until(lambda: answers(self.at["laptop"], BEYOND), f"a ping through the exit node, {when}", 60)
        until(lambda: isinstance(ping6(self.at["laptop"], BEYOND6, seconds=1), float), f"one over IPv6, {when}", 30)


def comes_up(scene):
    scene.ground.step("UDP is blocked: the exit node is reached by TLS; the anchor is known by a name only")
    scene.anchor.up()
    scene.home.up()
    began = time.monotonic()
    scene.start_laptop()
    scene.registers("tls")
    scene.works("UDP blocked from the start")
    scene.ground.step(f"    | exit node, UDP blocked | {time.monotonic() - began:.2f} s from the start to the first answers |")
    for host in (BEYOND, BEYOND6):
        check("peer0" in scene.at["laptop"].ip("route", "get", host), f"{host} is not reached through the tunnel")
    for family in ("-4", "-6"):
        check(f"fwmark {MARK} lookup main" in scene.at["laptop"].ip(family, "rule"), f"the mark's rule: {scene.at['laptop'].ip(family, 'rule')}")


def goes_on(scene):
    scene.ground.step("it goes on: the anchor restarts, UDP is allowed, and blocked again")
    scene.anchor.kill()
    time.sleep(1)
    scene.anchor.up()
    scene.registers("tls")
    scene.works("after the anchor was killed and came back")
    scene.block(False)
    scene.registers("udp", 90)
    scene.works("by UDP")
    scene.block(True)
    scene.registers("tls", 90)
    scene.works("UDP blocked again")


def sockets(scene):
    scene.ground.step("every socket towards the outside bears the mark, and nothing of ours goes into the tunnel")
    scene.configure(tls_proxy="http://proxy.example:3128")  # where nobody is
    scene.laptop.stop()
    scene.start_laptop()
    scene.ground.step("    " + scene.laptop.cli("netcheck", should=False, seconds=60)[1].splitlines()[0])
    last = len(SAID) - 1
    until(lambda: all(scene.count(f"out{number}") > 0 for number in range(last + 1)),
          lambda: f"said outside: {dict(zip(SAID, (scene.count(f'out{number}') for number in range(last + 1))))}", 40)
    for number, (what, match) in enumerate(SAID.items()):
        out, lost, bare = (scene.count(f"{kind}{number}") for kind in ("out", "lost", "bare"))
        scene.ground.step(f"    | {what} | {out} packets outside with the mark, {lost} in the tunnel, {bare} without |")
        check(out > 0 and lost == 0 and bare == 0, f"{what} ({match})")
    check(scene.count("marked") == 0, "what bears the mark went into the tunnel")
    mine = [line for line in scene.at["laptop"].run("ss", "-Htuanpe").splitlines() if f"pid={scene.laptop.daemon.pid}," in line]
    check(mine, "ss shows the daemon's sockets")
    inside = [line for line in mine if f"fwmark:{MARK}" not in line]
    # For this machine's programs, and those that only listen to what routers announce.
    known = re.compile(r"\s(127\.0\.0\.1:1080|239\.255\.255\.250:1900|\S+:5350)\s")
    wrong = [line for line in inside if not known.search(line)]
    check(len(inside) < len(mine) and not wrong, f"sockets without the mark: {wrong} of {mine}")
    scene.configure()


def strict(scene):
    scene.ground.step("strict rp_filter knows no mark on what comes in: UDP and TLS have rules of their own, the log says what has not")
    scene.laptop.stop()
    scene.at["laptop"].sysctl("net.ipv4.conf.yard.rp_filter", 1)
    scene.block(False)
    # Answers of name servers are dropped, and nobody else tells laptop where the anchor is: that has no session with it any more.
    scene.configure(anchors=[{"name": "anchor", "peer_id": scene.anchor.peer_id, "endpoint": f"{ANCHOR}:7000"}])
    scene.start_laptop()
    scene.laptop.logged("net.ipv4.conf.yard.rp_filter=2")
    scene.registers("udp")
    scene.works("by UDP, rp_filter 1")
    scene.block(True)
    scene.registers("tls", 90)
    scene.works("by TLS, rp_filter 1")
    rules = [line for line in scene.at["laptop"].ip("rule").splitlines() if f"to {ANCHOR} " in line]
    check(len(rules) == 1 and "dport 443" in rules[0] and "ipproto tcp" in rules[0], f"the rule of the anchor's address: {rules}")
    scene.ground.step("... from the start too, the anchor known by its address, after kill -9")
    scene.laptop.kill()
    check(f"to {ANCHOR} " in scene.at["laptop"].ip("rule"), "a killed daemon leaves its rule")
    scene.configure(anchors=[{"name": "anchor", "peer_id": scene.anchor.peer_id, "endpoint": f"{ANCHOR}:7000"}])
    scene.start_laptop()
    scene.registers("tls", 90)
    scene.works("by TLS, rp_filter 1, from the start")
    scene.ground.step("... and a loose one needs none")
    scene.laptop.stop()
    check(f"to {ANCHOR} " not in scene.at["laptop"].ip("rule"), "the rule is left behind")
    scene.at["laptop"].sysctl("net.ipv4.conf.yard.rp_filter", 2)
    scene.configure()
    scene.start_laptop()
    scene.registers("tls", 90)
    scene.works("by TLS, rp_filter 2")
    check(f"to {ANCHOR} " not in scene.at["laptop"].ip("rule"), "a rule that is not needed")


def leaves_nothing(scene, before):
    scene.ground.step("kill -9, start, end: no rule is left")
    scene.laptop.kill()
    check(MARK in "\n".join(set_up(scene.at["laptop"])), "a killed daemon leaves its rules")
    scene.start_laptop()
    scene.works("after kill -9")
    scene.laptop.stop()
    check(set_up(scene.at["laptop"]) == before, f"left behind: {set(set_up(scene.at['laptop'])) ^ set(before)}")


def test():
    needs("ip", "nft", "ss", "unshare")
    with Ground("tunexit") as ground:
        scene = Scene(ground)
        before = set_up(scene.at["laptop"])
        comes_up(scene)
        goes_on(scene)
        sockets(scene)
        strict(scene)
        leaves_nothing(scene, before)


run(test)
