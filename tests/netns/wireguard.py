#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A stock WireGuard peer (wireguard-go) and a node of ours, and another node of ours beside it.

      stock                      home                      laptop
   wireguard-go                peergate                   peergate
    10.77.0.1 ------- veth ---- 10.77.0.2
                                10.78.0.1 ---- veth ----- 10.78.0.2
   wg 10.64.0.2                10.64.0.1                  (no virtual address)
   port 51801                  port 7001                  port 7001

usage: wireguard.py [rekey]
"""
import os
import re
import socket
import struct
import sys
import time
from ground import REPLY, Ground, check, chosen, needs, run, until

STOCK_PORT, HOME_PORT = 51801, 7001
STOCK_IP, HOME_IP = "10.64.0.2", "10.64.0.1"
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2


class Stock:
    """wireguard-go with one peer."""

    def __init__(self, ground, namespace, home):
        self.namespace = namespace
        self.home = home
        self.device = f"pg{os.getpid()}"
        self.private = namespace.run("wg", "genkey").strip()
        self.public = namespace.run("wg", "pubkey", input=self.private).strip()
        ground.step("wireguard-go starts")
        self.program = namespace.start(["wireguard-go", "-f", self.device], "wireguard-go", ready="UAPI listener started",
                                       env={"LOG_LEVEL": "verbose"})
        namespace.ip("addr", "add", f"{STOCK_IP}/24", "dev", self.device)
        namespace.ip("link", "set", self.device, "up")

    def configure(self, endpoint=None, psk=None, keepalive=0, private=None):
        """Everything anew: also the session is forgotten."""
        lines = ["[Interface]", f"PrivateKey = {private or self.private}", f"ListenPort = {STOCK_PORT}",
                 "[Peer]", f"PublicKey = {self.home.public_key}", f"AllowedIPs = {HOME_IP}/32"]
        lines += [f"Endpoint = {endpoint}"] if endpoint else []
        lines += [f"PresharedKey = {psk}"] if psk else []
        lines += [f"PersistentKeepalive = {keepalive}"] if keepalive else []
        self.set("peer", self.home.public_key, "remove")
        self.namespace.run("wg", "setconf", self.device, "/dev/stdin", input="\n".join(lines) + "\n")

    def set(self, *words):
        self.namespace.run("wg", "set", self.device, *words)

    def show(self, what):
        """The fields behind home's key."""
        for line in self.namespace.run("wg", "show", self.device, what).splitlines():
            if line.startswith(self.home.public_key):
                return line.split("\t")[1:]
        return []

    def handshaken(self):
        return int(self.show("latest-handshakes")[0])

    def handshakes(self):
        """Handshakes that it completed, either way round, since it started."""
        return len(re.findall(r"Received handshake response|Sending handshake response", self.program.text()))

    def ping(self, count=3, interval=0.2, patience=REPLY, size=56):
        """(sent, received)"""
        with self.namespace, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            payload = os.urandom(size)
            waiting = {}
            received = 0
            for sequence in range(count):
                sock.sendto(echo_request(sequence, payload), (HOME_IP, 0))
                waiting[sequence] = time.monotonic() + patience
                received += collect(sock, waiting, payload, time.monotonic() + interval, stays=sequence + 1 < count)
            received += collect(sock, waiting, payload, time.monotonic() + patience, stays=False)
        return count, received


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) & ~1])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def echo_request(sequence, payload):
    blank = struct.pack(">BBHHH", 8, 0, 0, os.getpid() & 0xffff, sequence) + payload
    return blank[:2] + struct.pack(">H", checksum(blank)) + blank[4:]


def collect(sock, waiting, payload, end, stays):
    """How many replies come until `end`; sooner when none is waited for, unless it stays."""
    received = 0
    while (waiting or stays) and time.monotonic() < end:
        sock.settimeout(max(0.001, end - time.monotonic()))
        try:
            packet = sock.recv(65536)
        except TimeoutError:
            break
        reply = packet[(packet[0] & 15) * 4:]
        kind, _, _, ident, sequence = struct.unpack(">BBHHH", reply[:8])
        if kind != 0 or ident != os.getpid() & 0xffff or sequence not in waiting:
            continue
        check(reply[8:] == payload, "an echo reply came back with another payload")
        check(checksum(reply) == 0, "an echo reply has a wrong checksum")
        if time.monotonic() <= waiting.pop(sequence):
            received += 1
    return received


def home_config(stock, **peer):
    return {
        "port": HOME_PORT,
        "address": f"{HOME_IP}/24",
        "peers": [
            {"name": "stock", "public_key": stock.public, "allowed_ips": [f"{STOCK_IP}/32"], **peer},
        ],
    }


class Scene:
    """The three of them, and what most steps begin with."""

    def __init__(self, ground):
        self.ground = ground
        self.a, self.b, self.c = (ground.namespace(name) for name in ("stock", "home", "laptop"))
        ground.veth(self.a, "10.77.0.1/24", self.b, "10.77.0.2/24")
        ground.veth(self.b, "10.78.0.1/24", self.c, "10.78.0.2/24")
        self.home = ground.node(self.b, "home")
        self.laptop = ground.node(self.c, "laptop")
        self.stock = Stock(ground, self.a, self.home)
        self.endpoint = f"10.77.0.2:{HOME_PORT}"

    def start_home(self, **peer):
        config = home_config(self.stock, **peer)
        config["peers"].append({"name": "laptop", "peer_id": self.laptop.peer_id})
        self.home.stop()
        self.home.configure(config)
        self.home.up()

    def start_laptop(self):
        self.laptop.configure({"port": HOME_PORT, "peers": [
            {"name": "home", "peer_id": self.home.peer_id, "endpoint": f"10.78.0.1:{HOME_PORT}", "eager": True}]})
        self.laptop.up()

    def count(self):
        """From here on, what arrives at stock from home is counted, and the keepalives both ways."""
        self.a.nft(f"""
            table inet watch
            delete table inet watch
            table inet watch {{
                counter came {{ }}
                counter keepalives_came {{ }}
                counter keepalives_went {{ }}
                chain in {{
                    type filter hook prerouting priority -300;
                    udp sport {HOME_PORT} counter name came
                    udp sport {HOME_PORT} udp length 40 counter name keepalives_came
                }}
                chain out {{
                    type filter hook postrouting priority 300;
                    udp dport {HOME_PORT} udp length 40 counter name keepalives_went
                }}
            }}""")

    def counted(self, name):
        return int(re.search(r"packets (\d+)", self.a.nft(f"list counter inet watch {name}"))[1])

    def keepalives(self, seconds):
        """How many come to stock, and go from it; in how many seconds."""
        time.sleep(0.5)
        self.count()
        began = time.monotonic()
        time.sleep(seconds)
        return self.counted("keepalives_came"), self.counted("keepalives_went"), time.monotonic() - began

    def home_knows_stock(self):
        until(lambda: self.home.peer("stock")["protocol"] == "wireguard",
              lambda: f"home takes stock for a WireGuard peer; it says: {self.home.peer('stock')}")

    def expect_pings(self, why, count=3):
        sent, received = self.stock.ping(count)
        check(received == sent, f"{why}: stock's ping through the tunnel: {received} of {sent} answered")
        self.home_knows_stock()
        until(lambda: self.home.ping("stock", count, 0.1)[1] == count, f"{why}: `peergate ping stock`: all {count} are answered")


def stock_initiates(scene):
    scene.ground.step("stock initiates; a ping each way; who is who in the status")
    scene.stock.configure(scene.endpoint)
    scene.start_home()
    scene.start_laptop()
    sent, received = scene.stock.ping()
    check(received == sent, f"stock's first pings: {received} of {sent} answered")
    scene.home_knows_stock()
    until(lambda: scene.home.peer("laptop")["protocol"] == "peergate", lambda: f"home takes laptop for one of ours: {scene.home.peer('laptop')}")
    peer = scene.home.peer("stock")
    check(peer["state"] == "established", f"stock is {peer['state']} in home's status")
    check(peer["path"]["endpoint"] == f"10.77.0.1:{STOCK_PORT}", f"stock's path is {peer['path']}")
    check(peer["seal"] == "chacha20-poly1305", f"what goes to stock is sealed with {peer['seal']}")
    scene.expect_pings("stock has initiated")
    until(lambda: scene.laptop.ping("home", 2)[1] == 2, "laptop's pings to home are answered")


def home_initiates(scene):
    scene.ground.step("home initiates, by `peergate ping`; stock knows no endpoint")
    scene.stock.configure()
    scene.start_home(endpoint=f"10.77.0.1:{STOCK_PORT}")
    # Until stock has left three HELLOs without an answer, it might be one of ours, whose pings are others.
    sent, received, times = scene.home.ping("stock", 5, 1)
    check(received > 0, "`peergate ping stock`, home being the initiator: not one answered")
    check(scene.stock.show("endpoints") == [scene.endpoint], f"stock learned the endpoint {scene.stock.show('endpoints')}")
    scene.expect_pings("home has initiated")


def large_pings(scene):
    scene.ground.step("pings of many sizes: padding to 16, and as large as the tunnel takes")
    for size in (0, 1, 15, 16, 17, 500, 1200, 1392):
        check(scene.stock.ping(1, size=size)[1] == 1, f"no answer to a ping with {size} bytes")


def preshared_key(scene):
    key = scene.a.run("wg", "genpsk").strip()
    other = scene.a.run("wg", "genpsk").strip()
    scene.ground.step("the same preshared key on both sides")
    scene.stock.configure(scene.endpoint, psk=key)
    scene.start_home(preshared_key=key, endpoint=f"10.77.0.1:{STOCK_PORT}")
    sent, received = scene.stock.ping()
    check(received == sent, f"with a preshared key: {received} of {sent} answered")
    scene.expect_pings("with a preshared key")

    scene.ground.step("another preshared key: no session, and both sides say why not")
    scene.stock.configure(scene.endpoint, psk=other)
    sent, received = scene.stock.ping(1, patience=2)
    check(received == 0, "stock's ping got through with the wrong preshared key")
    check(scene.stock.handshaken() == 0, "stock has a session with the wrong preshared key")
    scene.start_home(preshared_key=key, endpoint=f"10.77.0.1:{STOCK_PORT}")
    check(scene.home.ping("stock", 2)[1] == 0, "home's ping got through with the wrong preshared key")
    check(not scene.home.is_established("stock"), "home calls the session established")
    scene.home.logged("authentication failed")

    scene.ground.step("a list of two preshared keys, one of which is stock's")
    scene.stock.configure(scene.endpoint, psk=other)
    scene.start_home(preshared_key=[key, other], endpoint=f"10.77.0.1:{STOCK_PORT}")
    check(scene.stock.ping(1)[1] == 1, "the second preshared key of the list is not tried")


def new_handshakes(scene):
    scene.ground.step("either side forgets the session under traffic: a new handshake, and on it goes")
    scene.stock.configure(scene.endpoint)
    scene.start_home()
    scene.expect_pings("before")
    for _ in range(3):
        scene.stock.configure(scene.endpoint)
        sent, received = scene.stock.ping()
        check(received == sent, f"after stock forgot the session: {received} of {sent} answered")
        scene.expect_pings("after stock forgot the session")
    scene.ground.step("home restarts without a word; stock needs its 15 s, or home's ping")
    scene.home.kill()
    scene.start_home(endpoint=f"10.77.0.1:{STOCK_PORT}")
    sent, received, times = scene.home.ping("stock", 5, 1)
    check(received > 0, "home's pings after its restart: not one answered")
    scene.expect_pings("after home's restart")


def roaming(scene):
    scene.ground.step("stock roams: another port, then another address")
    scene.stock.configure(scene.endpoint)
    scene.start_home()
    scene.expect_pings("before")
    scene.stock.set("listen-port", str(STOCK_PORT + 100))
    check(scene.stock.ping()[1] == 3, "stock's pings from its new port are not answered")
    check(scene.home.peer("stock")["path"]["endpoint"] == f"10.77.0.1:{STOCK_PORT + 100}",
          f"home did not follow to the new port: {scene.home.peer('stock')['path']}")
    scene.expect_pings("from the new port")
    scene.a.ip("addr", "flush", "dev", "home")
    scene.a.ip("addr", "add", "10.77.0.9/24", "dev", "home")
    scene.stock.set("peer", scene.home.public_key, "endpoint", scene.endpoint)  # it holds on to the old source else
    check(scene.stock.ping()[1] == 3, "stock's pings from its new address are not answered")
    check(scene.home.peer("stock")["path"]["endpoint"] == f"10.77.0.9:{STOCK_PORT + 100}",
          f"home did not follow to the new address: {scene.home.peer('stock')['path']}")
    scene.expect_pings("from the new address")
    scene.a.ip("addr", "flush", "dev", "home")
    scene.a.ip("addr", "add", "10.77.0.1/24", "dev", "home")


def keepalives(scene):
    scene.ground.step("persistent keepalives: home's alone, then both sides'; nothing else on the wire")
    scene.start_home(keepalive_interval="1s", hello="never")
    scene.stock.configure(scene.endpoint)  # not before: it would get a session with the home that ends
    scene.expect_pings("before")
    came, went, seconds = scene.keepalives(4.5)
    check(1 <= came <= seconds + 1.5, f"{came} keepalives from home within {seconds:.1f} s, at one a second")
    check(went <= 1, f"{went} keepalives from stock, which is to send none")
    scene.stock.set("peer", scene.home.public_key, "persistent-keepalive", "1")
    came, went, seconds = scene.keepalives(4.5)
    # Each side's turn begins anew with what comes from the other one.
    check(came >= 1 and went >= 1 and came + went <= 2 * seconds + 1, f"{came} keepalives from home, {went} from stock within {seconds:.1f} s")
    scene.expect_pings("after")


def unknown_key(scene):
    scene.ground.step("a key that home does not know gets no answer, whatever it sends")
    scene.stock.configure(scene.endpoint)
    scene.start_home()
    stranger = scene.a.run("wg", "genkey").strip()
    scene.stock.configure(scene.endpoint, private=stranger)
    scene.count()
    check(scene.stock.ping(2, patience=1)[1] == 0, "a stranger's ping was answered")
    with scene.a:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for first in range(9):
            for length in (32, 64, 92, 148, 300):
                sock.sendto(struct.pack("<I", first) + os.urandom(length - 4), ("10.77.0.2", HOME_PORT))
        sock.close()
    time.sleep(0.5)
    came = scene.counted("came")
    check(came == 0, f"home sent {came} datagrams to a stranger")
    drops = scene.home.status()["drops"]
    check(drops["unknown"] > 0 and drops["malformed"] > 0, f"home does not count what it drops: {drops}")
    check("stranger" not in [peer["name"] for peer in scene.home.status()["peers"]], "the stranger became a peer")


def quick(ground):
    scene = Scene(ground)
    stock_initiates(scene)
    home_initiates(scene)
    large_pings(scene)
    preshared_key(scene)
    new_handshakes(scene)
    roaming(scene)
    keepalives(scene)
    unknown_key(scene)


def rekey(ground):
    """wireguard-go begins a new handshake with the first packet that it sends when a session is 120 s old; at 180 s the old one would be refused."""
    scene = Scene(ground)
    scene.stock.configure(scene.endpoint)
    scene.start_home()
    scene.expect_pings("at the beginning")
    first, began = scene.stock.handshakes(), time.monotonic()
    lost = count = 0
    while scene.stock.handshakes() == first:
        check(time.monotonic() - began < 175, "wireguard-go made no new handshake for 175 s")
        sent, received = scene.stock.ping(25, 0.2)
        count, lost = count + sent, lost + sent - received
    ground.step(f"a new handshake after {time.monotonic() - began:.0f} s")
    check(time.monotonic() - began > 100, "wireguard-go made a new handshake too early: not by its timer")
    sent, received = scene.stock.ping(25, 0.2)
    count, lost = count + sent, lost + sent - received
    check(lost == 0, f"{lost} of {count} pings were lost over a rekeying")


def main():
    needs("wireguard-go", "wg", "nft")
    with Ground("wireguard") as ground:
        chosen([quick], [rekey])[0](ground)


if __name__ == "__main__":
    run(main)
