#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the kernel was let have through a TUN ends with the right to it: connections, and datagrams that go on and on, however it is taken away.

      laptop                       home (TUN)
   10.77.0.1 ------ veth ------ 10.77.0.2
   10.64.0.1 ================== 10.64.0.2: echo 7 on all addresses, a service; echo 8, nobody's; UDP echo 9, which also speaks by itself
   echo 7; 198.51.100.1 on lo
"""
import datetime
import socket
import threading
import time
from ground import REPLY, Ground, check, run, until
from streams import Line, TcpServer, serve_echo
from tunlab import answers

PORT = 7001
LAPTOP, LAPTOP6, HOME, HOME6, BEYOND = "10.64.0.1", "fd64::1", "10.64.0.2", "fd64::2", "198.51.100.1"


class Talker:
    """A UDP server that answers, and from then on says something by itself ten times a second."""

    def __init__(self, namespace, port):
        self.sock = namespace.socket(kind=socket.SOCK_DGRAM)
        self.sock.bind(("0.0.0.0", port))
        self.clients = set()
        threading.Thread(target=self.listen, daemon=True).start()
        threading.Thread(target=self.talk, daemon=True).start()

    def listen(self):
        while True:
            data, client = self.sock.recvfrom(2000)
            self.sock.sendto(b"echo:" + data, client)
            self.clients.add(client)

    def talk(self):
        while True:
            for client in list(self.clients):
                try:
                    self.sock.sendto(b"and another thing", client)
                except OSError:
                    pass
            time.sleep(0.1)


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.a, self.b = ground.namespace("laptop"), ground.namespace("home")
        ground.veth(self.a, "10.77.0.1/24", self.b, "10.77.0.2/24")
        self.laptop, self.home = ground.node(self.a, "laptop"), ground.node(self.b, "home")
        for port in (7, 8):
            TcpServer(self.b, ("0.0.0.0", port), serve_echo)
        for any_address in ("0.0.0.0", "::"):
            TcpServer(self.a, (any_address, 7), serve_echo)
        self.a.ip("addr", "add", f"{BEYOND}/32", "dev", "lo")
        Talker(self.b, 9)
        self.laptop.configure({"port": PORT, "address": [f"{LAPTOP}/16", f"{LAPTOP6}/64"], "expose": "host", "tun": {"enabled": True, "subnets": f"{BEYOND}/32"},
                               "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": f"10.77.0.2:{PORT}",
                                          "tunnel_ip": [HOME, HOME6], "eager": True}]})
        self.configure()
        self.home.up()
        self.laptop.up()
        until(lambda: answers(self.a, HOME), "a ping")

    def configure(self, expose="host", services=True, is_peer=True, address=HOME, **more):
        echo = {"echo": {"local_address": "0.0.0.0:7"}} if services else {}
        peer = {"name": "laptop", "peer_id": self.laptop.peer_id, "tunnel_ip": [LAPTOP, LAPTOP6], **more}
        self.home.configure({"port": PORT, "address": [f"{address}/16", f"{HOME6}/64"], "expose": expose, "services": echo,
                             "tun": {"enabled": True}, "peers": [peer] if is_peer else []})

    def again(self, **config):
        self.configure(**config)
        self.home.cli("reload")

    def connect_again(self):
        """Without waiting until laptop finds out that its session is gone."""
        self.laptop.stop()
        self.laptop.up()
        until(lambda: answers(self.a, HOME), "they are connected again")

    def sockets(self):
        """The kernel's established connections at home, from laptop."""
        return [line for line in self.b.run("ss", "-Htn", "state", "established").splitlines() if LAPTOP in line or LAPTOP6 in line]


def by_expose(scene):
    scene.ground.step("expose: host -> services: what is listed goes on, the rest ends at both ends, idle or not")
    listed, other, own = Line(scene.a, 7, HOME), Line(scene.a, 8, HOME), Line(scene.b, 7, LAPTOP)
    check(len(scene.sockets()) == 3, f"{scene.sockets()}")
    scene.again(expose="host")
    other.speak()
    scene.again(expose="services")
    check(other.ended(), "a connection to what is not listed goes on")
    until(lambda: len(scene.sockets()) == 2, lambda: f"the kernel has it still: {scene.sockets()}")
    listed.speak()
    own.speak()
    with scene.a.socket() as sock:
        sock.settimeout(REPLY)
        try:
            sock.connect((HOME, 8))
            check(False, "a new one comes through")
        except ConnectionRefusedError:
            pass
    listed.speak()
    scene.ground.step("the service is taken out of the file")
    scene.again(expose="services", services=False)
    check(listed.ended(), "a connection to what was listed goes on")
    until(lambda: len(scene.sockets()) == 1, lambda: f"the kernel has it still: {scene.sockets()}")
    own.speak()
    own.sock.close()


def by_peer(scene):
    scene.ground.step("the peer is taken out of the file: home's kernel is rid of its connections at once")
    scene.again()
    lines = [Line(scene.a, port, HOME) for port in (7, 8, 8)]
    own = {host: Line(scene.b, 7, host) for host in (LAPTOP, LAPTOP6)}
    until(lambda: len(scene.sockets()) == 5, lambda: f"{scene.sockets()}")
    scene.again(is_peer=False)
    until(lambda: not scene.sockets(), lambda: f"the kernel has them still: {scene.sockets()}", 3)
    for host, line in own.items():
        check(line.ended(), "what home began is not told")
        expect_unreachable(scene, host)
    scene.again()
    until(lambda: answers(scene.a, HOME), "they are connected again", 20)
    for line in lines:
        line.sock.sendall(b"y")
        check(line.ended(), "laptop's end goes on")


def expect_unreachable(scene, host):
    """A new connection fails at once."""
    began = time.monotonic()
    try:
        Line(scene.b, 7, host)
        check(False, f"{host} is reached")
    except OSError as error:
        check(not isinstance(error, TimeoutError), f"{host}: {error} after {time.monotonic() - began:.1f} s")


def by_route(scene):
    scene.ground.step("the peer has an address no longer (a subnet; it was the exit node): what home's kernel began there ends, the rest goes on")
    stays = []
    for prefix in (f"{BEYOND}/32", "0.0.0.0/0"):
        scene.again(allowed_ips=[prefix])
        until(lambda: answers(scene.b, BEYOND), f"a ping by {prefix}")
        line = Line(scene.b, 7, BEYOND)
        stays += [Line(scene.b, 7, LAPTOP), Line(scene.b, 7, LAPTOP6)]
        scene.again(allowed_ips=[prefix], services=False)
        line.speak()
        scene.again()
        check(line.ended(), f"{prefix} is gone, and the program waits")
        for other in stays:
            other.speak()
    scene.ground.step("... or home has another address itself, and has the old one again")
    line = Line(scene.b, 7, LAPTOP)
    scene.again(address="10.64.0.3")
    check(line.ended(), "home's address is gone, and the program waits")
    stays[1].speak()
    scene.again()
    until(lambda: answers(scene.b, LAPTOP), "home is at its old address")
    Line(scene.b, 7, LAPTOP)


def by_authorization(scene):
    scene.ground.step("deauthorized, and expired")
    scene.again(is_peer=False)
    scene.home.cli("authorize", scene.laptop.peer_id)
    scene.home.cli("reload")
    scene.connect_again()
    line = Line(scene.a, 8, HOME)
    scene.home.cli("deauthorize", scene.laptop.peer_id)
    scene.home.cli("reload")
    until(lambda: not scene.sockets(), lambda: f"deauthorized: the kernel has it still: {scene.sockets()}", 3)
    line.sock.close()
    scene.home.cli("authorize", scene.laptop.peer_id)
    scene.home.cli("reload")
    scene.connect_again()
    line = Line(scene.a, 8, HOME)
    expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=4)
    scene.home.cli("authorize", scene.laptop.peer_id, "--expires", expires.strftime("%Y-%m-%dT%H:%M:%SZ"))
    scene.home.cli("reload")
    until(lambda: not scene.sockets(), lambda: f"expired: the kernel has it still: {scene.sockets()}", 20)
    line.sock.close()
    scene.home.cli("deauthorize", scene.laptop.peer_id)
    scene.again()
    scene.connect_again()


def datagrams(scene):
    scene.ground.step("datagrams that the kernel goes on sending open no way back")
    with scene.a.socket(kind=socket.SOCK_DGRAM) as sock:
        sock.settimeout(REPLY)
        sock.connect((HOME, 9))
        sock.send(b"hello")
        check(sock.recv(100) == b"echo:hello" and sock.recv(100) == b"and another thing", "UDP")
        scene.again(expose="services")
        time.sleep(0.5)
        sock.setblocking(False)
        try:
            while True:
                sock.recv(100)
        except BlockingIOError:
            pass
        sock.settimeout(1)
        got = []
        for _ in range(3):
            try:
                sock.send(b"hello")
                got.append(sock.recv(100))
            except (TimeoutError, ConnectionRefusedError):
                pass
        check(got == [], f"it goes on: {got}")
        scene.again()
        sock.send(b"hello")
        until(lambda: sock.recv(100) == b"echo:hello", "allowed again")


def test():
    with Ground("tun_rights") as ground:
        scene = Scene(ground)
        for part in (by_expose, by_peer, by_route, by_authorization, datagrams):
            part(scene)


run(test)
