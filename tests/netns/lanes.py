#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lanes with the real program: packets go over them and nothing comes out of order or wrong, while addresses change, peers go and come back, and there are
more lanes and fewer. tun.py runs as a whole over lanes as well (netns/tun_lanes).

      laptop                          home                       desk
   10.77.0.1/24 ------ veth ------ 10.77.0.2/24
                                   10.78.0.2/24 --- veth --- 10.78.0.1/24       the outer addresses
   10.64.0.1/16 ====== peer0 ===== 10.64.0.2/16 === peer0 == 10.64.0.3/16       in the tunnels
   lanes: 2                        lanes: 2                   lanes: 0
"""
import hashlib
import json
import os
import socket
import threading
import time
from ground import REPLY, Ground, check, needs, run, until
from streams import Download, TcpServer, pattern, receive_all, serve_digest, serve_pattern, socks_connect
from tunlab import answers, ping

PORT = 7001
STREAMS = 4
MEGABYTE = 1 << 20


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.a, self.b, self.c = ground.namespace("laptop"), ground.namespace("home"), ground.namespace("desk")
        ground.veth(self.a, "10.77.0.1/24", self.b, "10.77.0.2/24")
        ground.veth(self.c, "10.78.0.1/24", self.b, "10.78.0.2/24")
        self.laptop, self.home, self.desk = (ground.node(at, at.short) for at in (self.a, self.b, self.c))
        TcpServer(self.b, ("127.0.0.1", 5), serve_pattern)
        self.configure()

    @staticmethod
    def peer(node, number, endpoint, **options):
        return {"name": node.name, "peer_id": node.peer_id, "tunnel_ip": [f"10.64.0.{number}"], "eager": True,
                **({"endpoint": f"{endpoint}:{PORT}"} if endpoint else {}), **options}

    @staticmethod
    def config(number, lanes, peers, **options):
        return {"port": PORT, "lanes": lanes, "address": [f"10.64.0.{number}/16"], "tun": {"enabled": True}, "expose": "host", "peers": peers,
                **options}

    def configure(self, lanes=2, desk=True):
        self.laptop.configure(self.config(1, lanes, [self.peer(self.home, 2, "10.77.0.2")], socks={"listen": "127.0.0.1:1080"}))
        self.home.configure(self.config(2, lanes, [self.peer(self.laptop, 1, "10.77.0.1")] + ([self.peer(self.desk, 3, None)] if desk else []),
                                        services={"source": {"local_address": "127.0.0.1:5"}}))
        self.desk.configure(self.config(3, 0, [self.peer(self.home, 2, "10.78.0.2")]))

    def reload(self, *nodes, **options):
        self.configure(**options)
        for node in nodes:
            node.cli("reload")

    def counted(self, node, name):
        return sum(lane[name] for lane in node.status()["lanes"])


class Stream(threading.Thread):
    """Bytes from one namespace to another by TCP through the tunnel, each looked at, until it is told to end."""

    def __init__(self, source, target, host, bound=""):
        super().__init__(daemon=True)
        self.server = target.socket()
        self.server.bind(("", 0))
        self.server.listen(1)
        self.sock = source.socket()
        self.sock.settimeout(2 * REPLY)
        self.sock.bind((bound, 0))
        self.sock.connect((host, self.server.getsockname()[1]))
        self.connection = self.server.accept()[0]
        self.connection.settimeout(2 * REPLY)
        self.block = os.urandom(65536 - 7)  # so that no boundary repeats
        self.sent = self.received = 0
        self.is_ending, self.wrong = False, None
        self.receiver = threading.Thread(target=self.receive, daemon=True)
        self.receiver.start()
        self.start()

    def run(self):
        try:
            while not self.is_ending:
                self.sock.sendall(self.block)
                self.sent += len(self.block)
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.wrong = f"sending: {error}"

    def receive(self):
        twice = self.block * 2
        try:
            while data := self.connection.recv(65536):
                at = self.received % len(self.block)
                if data != twice[at:at + len(data)] and data != (twice * 2)[at:at + len(data)]:
                    self.wrong = f"wrong bytes after {self.received}"
                    return
                self.received += len(data)
        except OSError as error:
            self.wrong = f"receiving: {error}"

    def finish(self):
        self.is_ending = True
        self.join(2 * REPLY)
        self.receiver.join(2 * REPLY)
        check(not self.wrong, f"a stream through the tunnel: {self.wrong}")
        check(self.sent == self.received, f"{self.sent} bytes went, {self.received} came")
        for sock in (self.sock, self.connection, self.server):
            sock.close()


def streams(scene):
    up = [Stream(scene.a, scene.b, "10.64.0.2") for _ in range(STREAMS)]
    return up + [Stream(scene.b, scene.a, "10.64.0.1") for _ in range(STREAMS)]


def go_on(some, what, count=2 * MEGABYTE, seconds=20):
    before = [stream.received for stream in some]
    until(lambda: any(stream.wrong for stream in some) or all(stream.received > start + count for stream, start in zip(some, before)),
          lambda: f"the streams go on {what}: {[stream.received - start for stream, start in zip(some, before)]}", seconds)
    for stream in some:
        check(not stream.wrong, f"{what}: {stream.wrong}")


def carries(scene):
    scene.ground.step("streams both ways, and the lanes carry them")
    for node in (scene.home, scene.laptop, scene.desk):
        node.up()
    until(lambda: answers(scene.a, "10.64.0.2"), "a ping through the tunnel")
    check(len(scene.laptop.status()["lanes"]) == 2, "laptop has no two lanes")
    check("lanes: 2" in scene.laptop.cli("status"), "status does not tell of the lanes")
    check(scene.desk.status()["lanes"] == [], "desk has lanes")
    some = streams(scene)
    go_on(some, "at first", 8 * MEGABYTE)
    for node in (scene.laptop, scene.home):
        packets, handed = scene.counted(node, "packets_in"), scene.counted(node, "handed_over")
        check(packets > 500 and handed < packets / 10, f"{node.name}'s lanes sent {packets} packets and gave {handed} to the main thread")
        for name in ("handed_lost", "dropped_auth", "dropped_inner", "dropped_malformed", "link_errors"):
            check(scene.counted(node, name) == 0, f"{node.name}'s lanes count {name}")
    sent = scene.laptop.peer("home")["bytes_sent"]
    check(sent > STREAMS * 8 * MEGABYTE, f"the session counts {sent} bytes sent")
    return some


def roams(scene, some):
    scene.ground.step("laptop's outer address changes under load, twice")
    for old, new in ((1, 9), (9, 1)):
        scene.a.ip("addr", "del", f"10.77.0.{old}/24", "dev", "home")
        scene.a.ip("addr", "add", f"10.77.0.{new}/24", "dev", "home")
        before = scene.counted(scene.laptop, "packets_in"), scene.counted(scene.laptop, "handed_over")
        go_on(some, "after the address changed", seconds=40)  # TCP tries for the sixth time after 13 s
        go_on(some, "some time after the address changed", 8 * MEGABYTE)
        packets, handed = (scene.counted(scene.laptop, name) - start for name, start in zip(("packets_in", "handed_over"), before))
        check(handed < packets / 2, f"after the address changed the lanes gave {handed} of {packets} packets to the main thread")
        until(lambda: f"10.77.0.{new}:" in scene.home.peer("laptop")["path"]["endpoint"], "home sends to the new address")


def new_keys(scene, some):
    scene.ground.step("the other end is killed and comes back: new keys under load, and again in the other direction")
    for node in (scene.home, scene.laptop):
        node.kill()
        node.up()
        go_on(some, f"after {node.name} came back", MEGABYTE // 4)


def scales(scene, some):
    scene.ground.step("reloads: one lane, none, two")
    for lanes in (1, 0, 2):
        scene.reload(scene.laptop, scene.home, lanes=lanes)
        check(len(scene.laptop.status()["lanes"]) == lanes, f"laptop does not have {lanes} lanes")
        go_on(some, f"with {lanes} lanes")


def peers_change(scene, some):
    scene.ground.step("another peer is taken away under load, and comes back; it has no lanes itself")
    until(lambda: answers(scene.c, "10.64.0.2"), "desk reaches home")
    scene.reload(scene.home, desk=False)
    said = ping(scene.c, "10.64.0.2", seconds=0.5)
    check(said is None or "unreachable" in str(said), f"desk is not a peer any more, and gets answers: {said}")
    go_on(some, "without desk", MEGABYTE)
    scene.reload(scene.home)
    scene.desk.stop()
    scene.desk.up()
    until(lambda: answers(scene.c, "10.64.0.2"), "desk reaches home again")
    go_on(some, "with desk", MEGABYTE)


def interface_lost(scene, some):
    scene.ground.step("the interface is deleted under load, and made again")
    scene.a.ip("link", "del", "peer0")
    scene.laptop.logged("is there again", 15)
    until(lambda: len(scene.laptop.status()["lanes"]) == 2, "the lanes are back")
    go_on(some, "on the new interface", MEGABYTE // 4, 40)


def flows(scene):
    scene.ground.step("flows beside the packets: through the proxy, by frames that lanes hand over")
    # More at once than the main thread keeps up with: the rings are full, and what is lost comes again.
    for _ in range(3):
        some = [Download(socks_connect(scene.a, ("127.0.0.1", 1080), "source.home.demo", 5)) for _ in range(4)]
        until(lambda: any(one.is_over for one in some) or all(one.count() > 16 * MEGABYTE for one in some), "the downloads arrive", 20)
        for one in some:
            one.must_run()
            one.stop()
    until(lambda: scene.laptop.ping("home", count=3)[1] == 3, "3 pings of ours are answered")


def stock(scene):
    scene.ground.step("a peer without HELLO: type 4 over lanes, and pings of ours come back to the main thread")
    scene.laptop.stop()
    scene.home.stop()
    for node, number, other, endpoint in ((scene.home, 2, scene.laptop, None), (scene.laptop, 1, scene.home, "10.77.0.2")):
        node.configure(scene.config(number, 2, [scene.peer(other, 3 - number, endpoint, hello="never")]))
        node.up()
    until(lambda: answers(scene.a, "10.64.0.2"), "a ping through the tunnel")
    until(lambda: scene.laptop.ping("home", count=3)[1] == 3, "3 pings of ours are answered")
    some = streams(scene)
    go_on(some, "to a stock peer", 4 * MEGABYTE)
    for stream in some:
        stream.finish()
    check(scene.counted(scene.laptop, "packets_in") > 200, "the lanes did not carry it")


def exchange(source, target, host, count):
    """So many datagrams there and back; how many came back as they went."""
    server = target.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((host, 0))
    server.settimeout(0.5)
    came = 0
    with server, source.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((host, server.getsockname()[1]))
        sock.settimeout(0.5)
        for number in range(count):
            data = b"datagram %d" % number
            try:
                sock.send(data)
                got, sender = server.recvfrom(2000)
                server.sendto(got, sender)
                came += sock.recv(2000) == data
            except (TimeoutError, ConnectionRefusedError):
                if number == came == 0:
                    return 0
    return came


def connects(source, target, host):
    with target.socket() as server, source.socket() as sock:
        server.bind((host, 0))
        server.listen(1)
        sock.settimeout(2)
        try:
            sock.connect((host, server.getsockname()[1]))
        except (TimeoutError, ConnectionRefusedError):
            return False
        return True


def digest(namespace, host, port, seconds=2 * REPLY):
    """What the service says of a megabyte."""
    data = pattern(MEGABYTE)
    with namespace.socket() as sock:
        sock.settimeout(seconds)
        sock.connect((host, port))
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return receive_all(sock).decode() == f"{len(data)} {hashlib.sha256(data).hexdigest()}"


def gate(scene):
    scene.ground.step("home exposes only its services: the lanes let in what its kernel asked for, and nothing else")
    scene.laptop.stop()
    scene.home.stop()
    TcpServer(scene.b, ("127.0.0.1", 8), serve_digest)
    scene.home.configure(scene.config(2, 2, [scene.peer(scene.laptop, 1, None)], expose="services",
                                      services={"digest": {"local_address": "127.0.0.1:8"}}))
    scene.laptop.configure(scene.config(1, 2, [scene.peer(scene.home, 2, "10.77.0.2")]))
    scene.home.up()
    scene.laptop.up()
    until(lambda: answers(scene.a, "10.64.0.2"), "a ping through the tunnel")
    check(exchange(scene.a, scene.b, "10.64.0.2", 3) == 0, "a datagram that nobody asked for got in")
    check(not connects(scene.a, scene.b, "10.64.0.2"), "laptop reaches a port of home's that is no service")
    for _ in range(3):  # by the netstack, on the main thread
        check(digest(scene.a, "10.64.0.2", 8), "what the service got is not what was sent")
    before = {name: scene.counted(scene.home, name) for name in ("handed_over", "packets_in", "packets_out")}
    came = exchange(scene.b, scene.a, "10.64.0.1", 300)
    check(came >= 250, f"{came} of 300 answers came back")
    counts = {name: scene.counted(scene.home, name) - count for name, count in before.items()}
    check(counts["packets_in"] >= 250 and counts["packets_out"] >= 250 and counts["handed_over"] < 50, f"who carried the datagrams: {counts}")
    some = [Stream(scene.b, scene.a, "10.64.0.1")]
    go_on(some, "which home's kernel began", 4 * MEGABYTE)
    scene.home.cli("reload")  # everything is asked anew
    go_on(some, "after a reload", 4 * MEGABYTE)
    for stream in some:
        stream.finish()
    check(exchange(scene.b, scene.a, "10.64.0.1", 50) >= 25, "home's kernel gets no answers after a reload")
    check(exchange(scene.a, scene.b, "10.64.0.2", 3) == 0, "a datagram that nobody asked for got in after a reload")


def accelerated(scene):
    scene.ground.step("`accelerate`: what goes through the netstack needs the main thread, so there are no lanes")
    scene.laptop.configure({**scene.laptop.config, "tun": {"enabled": True, "accelerate": True}})
    scene.laptop.cli("reload")
    check(scene.laptop.status()["lanes"] == [], "there are lanes beside `accelerate`")
    check(digest(scene.a, "10.64.0.2", 8), "what the service got is not what was sent")
    scene.laptop.configure({**scene.laptop.config, "tun": {"enabled": True}})
    scene.laptop.cli("reload")
    check(scene.laptop.status()["lanes"] == [], "there are lanes, and may be accelerated connections")
    check(digest(scene.a, "10.64.0.2", 8), "what the service got is not what was sent")


def relayed(scene):
    scene.ground.step("laptop and desk by a relay at home, all three with lanes: what has no direct path is the main thread's")
    for node in (scene.laptop, scene.home, scene.desk):
        node.stop()
    scene.home.configure(scene.config(2, 2, [scene.peer(scene.laptop, 1, None), scene.peer(scene.desk, 3, None)], role="anchor"))
    for node, number, other, endpoint in ((scene.laptop, 1, scene.desk, "10.77.0.2"), (scene.desk, 3, scene.laptop, "10.78.0.2")):
        anchor = {"name": "home", "peer_id": scene.home.peer_id, "endpoint": f"{endpoint}:{PORT}"}
        node.configure(scene.config(number, 2, [scene.peer(other, 4 - number, None, path="relay")], anchors=[anchor]))
    for node in (scene.home, scene.laptop, scene.desk):
        node.up()
    until(lambda: answers(scene.a, "10.64.0.3"), "a ping by the relay")
    before = scene.counted(scene.laptop, "packets_out")
    some = [Stream(scene.a, scene.c, "10.64.0.3"), Stream(scene.c, scene.a, "10.64.0.1")]
    go_on(some, "by the relay", MEGABYTE)
    for stream in some:
        stream.finish()
    check(scene.counted(scene.laptop, "packets_out") == before, "a lane took what came by a relay")
    check("relay" in json.dumps(scene.laptop.peer("desk")["path"]), f"it went by {scene.laptop.peer('desk')['path']}")


def two_networks(scene):
    scene.ground.step("a second network on the same lanes, by a reload, and gone by another")
    ids = {}
    for node in (scene.laptop, scene.home):
        ids[node.name] = json.loads(node.cli("init", "--network", "work", "--json"))["peer_id"]
    plain = {node.name: node.config for node in (scene.laptop, scene.home)}
    for node, number, other in ((scene.home, 2, scene.laptop), (scene.laptop, 1, scene.home)):
        peer = {"name": other.name, "peer_id": ids[other.name], "endpoint": f"10.77.0.{3 - number}:{PORT + 1}",
                "tunnel_ip": [f"10.65.0.{3 - number}"], "eager": True}
        work = {"network": "work", "port": PORT + 1, "address": [f"10.65.0.{number}/16"], "address_range": "10.65.0.0/16", "expose": "host",
                "peers": [peer]}
        node.configure({**plain[node.name], "networks": [work]})
        node.cli("reload")
    until(lambda: answers(scene.a, "10.65.0.2", source="10.65.0.1"), "a ping in the second network")
    some = [Stream(scene.a, scene.b, "10.65.0.2", "10.65.0.1"), Stream(scene.b, scene.a, "10.64.0.1")]
    before = scene.counted(scene.laptop, "packets_in")
    go_on(some, "in two networks", 4 * MEGABYTE)
    check(scene.counted(scene.laptop, "packets_in") > before + 200, "the lanes do not carry the second network")
    for stream in some:
        stream.finish()
    for node in (scene.laptop, scene.home):
        node.configure(plain[node.name])
        node.cli("reload")
    check("10.65" not in scene.a.ip("addr", "show", "dev", "peer0"), "the second network is still there")
    until(lambda: answers(scene.a, "10.64.0.2"), "the first network goes on")
    check(len(scene.laptop.status()["lanes"]) == 2, "the lanes did not come back")


def many(scene):
    scene.ground.step("`auto`, and the most lanes that can be")
    scene.laptop.stop()
    scene.laptop.configure(scene.config(1, "auto", [scene.peer(scene.home, 2, "10.77.0.2", hello="never")]))
    scene.laptop.up()
    check(len(scene.laptop.status()["lanes"]) == (2 if os.cpu_count() >= 4 else 0), "not the lanes that suit the machine")
    scene.laptop.stop()
    scene.laptop.configure(scene.config(1, 16, [scene.peer(scene.home, 2, "10.77.0.2", hello="never")]))
    scene.laptop.up()
    until(lambda: answers(scene.a, "10.64.0.2"), "a ping with 16 lanes")
    check(len(scene.laptop.status()["lanes"]) == 16, "not 16 lanes")


def test():
    needs("ip")
    with Ground("lanes") as ground:
        scene = Scene(ground)
        some = carries(scene)
        roams(scene, some)
        peers_change(scene, some)
        scales(scene, some)
        new_keys(scene, some)
        interface_lost(scene, some)
        for stream in some:
            stream.finish()
        flows(scene)
        stock(scene)
        two_networks(scene)
        many(scene)
        gate(scene)
        accelerated(scene)
        relayed(scene)


if __name__ == "__main__":
    run(test)
