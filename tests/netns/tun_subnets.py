#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A subnet behind a TUN, and who gets into it: a peer with all rights, and not one whose rights are limited to some services; but what the subnet begins with that one, it answers.

     friend (all rights)                home (TUN, tun.subnets)             printer
   10.77.1.2 ------ veth ------ 10.77.1.1      10.1.0.1 ------ veth ------ 10.1.0.9: echo 7 by TCP, 9 by UDP
     guest (only `echo`)                10.64.0.1: echo 7, a service
   10.77.2.2 ------ veth ------ 10.77.2.1

   friend is 10.64.0.2, guest 10.64.0.3, both with echo 7 and 9 of their own. PEERGATE_LANES: so many everywhere.
"""
import os
import socket
from ground import REPLY, Ground, check, run, until
from streams import Line, TcpServer, UdpEcho, serve_echo
from tunlab import answers

HOME, PRINTER, OWN = "10.64.0.1", "10.1.0.9", "10.1.0.1"
ADDRESS = {"friend": "10.64.0.2", "guest": "10.64.0.3"}
LANES = int(os.environ.get("PEERGATE_LANES", "0"))


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.home_at, self.printer_at = ground.namespace("home"), ground.namespace("printer")
        ground.veth(self.home_at, "10.1.0.1/24", self.printer_at, "10.1.0.9/24")
        self.home_at.sysctl("net.ipv4.ip_forward", 1)
        self.printer_at.ip("route", "add", "default", "via", OWN)
        self.home = ground.node(self.home_at, "home")
        self.at, self.node = {}, {}
        for number, name in ((1, "friend"), (2, "guest")):
            self.at[name] = ground.namespace(name)
            ground.veth(self.at[name], f"10.77.{number}.2/24", self.home_at, f"10.77.{number}.1/24")
            node = self.node[name] = ground.node(self.at[name], name)
            node.configure({"port": 7001, "address": f"{ADDRESS[name]}/16", "expose": "host", "tun": {"enabled": True}, "lanes": LANES,
                            "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": f"10.77.{number}.1:7001",
                                       "tunnel_ip": HOME, "allowed_ips": ["10.1.0.0/24"], "eager": True}]})
        for namespace in (self.home_at, self.printer_at, *self.at.values()):
            TcpServer(namespace, ("0.0.0.0", 7), serve_echo)
            UdpEcho(namespace, ("0.0.0.0", 9))
        self.configure()
        self.authorize("guest", "--services", "echo")
        for node in (self.home, *self.node.values()):
            node.up()
        until(lambda: answers(self.at["friend"], HOME) and answers(self.at["guest"], HOME), "both are connected")

    def configure(self, expose="services"):
        self.home.configure({"port": 7001, "address": f"{HOME}/16", "expose": expose, "tun": {"enabled": True, "subnets": "10.1.0.0/24"},
                             "lanes": LANES, "services": {"echo": {"local_address": "0.0.0.0:7"}},
                             "peers": [{"name": name, "peer_id": node.peer_id, "tunnel_ip": ADDRESS[name]} for name, node in self.node.items()]})

    def authorize(self, name, *options):
        self.home.cli("authorize", self.node[name].peer_id, *options)

    def reload(self, **config):
        self.configure(**config)
        self.home.cli("reload")


def has_tcp(namespace, host, port=7, seconds=1.5):
    with namespace.socket() as sock:
        sock.settimeout(seconds)
        try:
            sock.connect((host, port))
            sock.sendall(b"hello")
            return sock.recv(100) == b"hello"
        except OSError:
            return False


def has_udp(namespace, host, port=9, seconds=1.5):
    with namespace.socket(kind=socket.SOCK_DGRAM) as sock:
        sock.settimeout(seconds)
        sock.connect((host, port))
        try:
            sock.send(b"hello")
            return sock.recv(100).endswith(b"hello")
        except OSError:
            return False


def reaches(namespace, host):
    """Datagrams to home's own address are answered from another one of its."""
    return [way(namespace, host) for way in (answers, has_udp, has_tcp) if way != has_udp or host != OWN]


def who_gets_in(scene):
    scene.ground.step("the peer with all rights reaches the subnet, by TCP, UDP and ping")
    for host in (PRINTER, OWN):
        until(lambda: all(reaches(scene.at["friend"], host)), lambda: f"friend and {host}: {reaches(scene.at['friend'], host)}")
    for expose in ("services", "host"):
        scene.ground.step(f"expose: {expose}: the peer that may use `echo` only has that, and nothing of the subnet")
        scene.reload(expose=expose)
        check(has_tcp(scene.at["guest"], HOME, seconds=REPLY), "guest does not get what it may use")
        for host in (PRINTER, OWN):
            check(not any(reaches(scene.at["guest"], host)), f"guest reaches {host}: {reaches(scene.at['guest'], host)}")
        check(all(reaches(scene.at["friend"], PRINTER)), "friend does not get there any more")
    scene.reload()


def what_the_subnet_begins(scene):
    for name in ("friend", "guest"):
        scene.ground.step(f"the subnet reaches {name}: connections, datagrams, pings")
        until(lambda: all(reaches(scene.printer_at, ADDRESS[name])), lambda: f"{name}: {reaches(scene.printer_at, ADDRESS[name])}")
    line = Line(scene.printer_at, 7, ADDRESS["guest"])
    for _ in range(20):
        line.speak()
    scene.ground.step("... which lets the limited one in no more than before, and outlives a reload")
    check(not any(reaches(scene.at["guest"], PRINTER)), f"guest reaches it now: {reaches(scene.at['guest'], PRINTER)}")
    scene.reload()
    line.speak()
    line.sock.close()


def rights_change(scene):
    scene.ground.step("the limited one gets all rights, and what it has begun ends when they are taken away")
    scene.authorize("guest")
    scene.reload()
    until(lambda: all(reaches(scene.at["guest"], PRINTER)), lambda: f"guest: {reaches(scene.at['guest'], PRINTER)}")
    line = Line(scene.at["guest"], 7, PRINTER)
    line.speak()
    scene.authorize("guest", "--services", "echo")
    scene.reload()
    line.sock.settimeout(1.5)
    try:
        line.sock.sendall(b"still there?")
        check(not line.sock.recv(100), "a connection into the subnet goes on without the right to it")
    except OSError:
        pass
    check(not any(reaches(scene.at["guest"], PRINTER)), f"guest reaches it: {reaches(scene.at['guest'], PRINTER)}")
    check(all(reaches(scene.at["friend"], PRINTER)), "friend does not get there any more")


def test():
    with Ground("tun_subnets") as ground:
        scene = Scene(ground)
        for part in (who_gets_in, what_the_subnet_begins, rights_change):
            part(scene)


run(test)
