#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two nodes with a TUN each, and what becomes of the machine's network set-up: it carries every size, is put back when somebody takes it away,
and is gone after the end, also after kill -9.

      laptop                          home
   10.77.0.1/24 ------ veth ------ 10.77.0.2/24     the outer addresses
   10.64.0.1/16 ====== peer0 ===== 10.64.0.2/16     in the tunnel; fd64::1, fd64::2
                                   198.51.100.1     on home's lo: what an exit node leads to
                                   10.9.0.1         on home's lo: a subnet behind it
"""
import os
import socket
import subprocess
import time
from ground import LANES, REPLY, Ground, check, ip, needs, run, until
from tunlab import answers, ping, ping6, set_up, transfer

PORT = 7001
MTU = 1380
UDP_SEGMENT = 103


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.a, self.b = ground.namespace("laptop"), ground.namespace("home")
        ground.veth(self.a, "10.77.0.1/24", self.b, "10.77.0.2/24")
        self.b.ip("addr", "add", "198.51.100.1/32", "dev", "lo")
        self.b.ip("addr", "add", "10.9.0.1/32", "dev", "lo")
        self.laptop, self.home = ground.node(self.a, "laptop"), ground.node(self.b, "home")
        self.home.configure(self.config(2, self.laptop, tunnel_ip=["10.64.0.1", "fd64::1"], subnets=["198.51.100.1/32", "10.9.0.1/32"]))
        self.configure()

    @staticmethod
    def config(number, other, tunnel_ip, subnets=(), allowed_ips=(), **tun):
        peer = {"name": other.name, "peer_id": other.peer_id, "endpoint": f"10.77.0.{3 - number}:{PORT}", "tunnel_ip": tunnel_ip,
                "allowed_ips": list(allowed_ips), "eager": True}
        return {"port": PORT, "address": [f"10.64.0.{number}/16", f"fd64::{number}/64"], "expose": "host",
                "tun": {"enabled": True, "subnets": list(subnets), **tun}, "peers": [peer]}

    def configure(self, **options):
        self.laptop.configure(self.config(1, self.home, ["10.64.0.2", "fd64::2"], **options))

    def set_up(self):
        return set_up(self.a)


def carries(scene):
    scene.ground.step("the tunnel carries small, large and fragmented packets")
    scene.home.up()
    scene.laptop.up()
    until(lambda: answers(scene.a, "10.64.0.2"), "a ping through the tunnel")
    for size in (0, 1, 56, 1000, MTU - 28, MTU, 8000, 60000):
        check(isinstance(ping(scene.a, "10.64.0.2", size), float), f"no answer to a ping with {size} bytes")
    check("mtu 1380" in scene.a.ip("link", "show", "peer0"), "the MTU is not 1380")


def tcp(scene):
    scene.ground.step("TCP over IPv4 and IPv6, every byte looked at")
    transfer(scene.a, scene.b, "10.64.0.2", 16 << 20)
    transfer(scene.b, scene.a, "10.64.0.1", 16 << 20)
    transfer(scene.a, scene.b, "fd64::2", 16 << 20, socket.AF_INET6)
    for node in (scene.laptop, scene.home):
        count = node.status()["netstack"]["packets_in"]
        check(count == 0, f"{count} packets between two TUNs went through {node.name}'s netstack")


def datagrams(scene):
    scene.ground.step("bursts of datagrams over IPv4 and IPv6, every one looked at; they go in as bursts")
    for family, host in ((socket.AF_INET, "10.64.0.2"), (socket.AF_INET6, "fd64::2")):
        with scene.a.socket(family, socket.SOCK_DGRAM) as out, scene.b.socket(family, socket.SOCK_DGRAM) as into:
            into.bind(("", 0))
            into.settimeout(REPLY)
            to = (host, into.getsockname()[1])
            before = scene.home.status()["tun"]["packets_written"]
            for turn in range(20):
                size = (1200, 300, 1)[turn % 3]
                sent = [bytes([turn, i]) + bytes(size) for i in range(40)] + [bytes([turn, 40])]
                out.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, len(sent[0]))
                out.sendto(b"".join(sent), to)
                for one in sent:
                    check(into.recv(2048) == one, "a datagram of a burst is lost, or not what was sent")
            written = scene.home.status()["tun"]["packets_written"] - before
            check(written < 20 * 41 / 2, f"{20 * 41} datagrams in bursts became {written} writes")


def refuses(scene):
    scene.ground.step("no peer has the address: told so; not our source: dropped")
    said = ping(scene.a, "10.64.0.99")
    check(said == "host unreachable", f"to an address without a peer: {said}")
    scene.a.ip("addr", "add", "10.66.6.6/32", "dev", "lo")
    check(ping(scene.a, "10.64.0.2", seconds=0.5, source="10.66.6.6") is None, "a packet from a foreign address was answered")
    scene.a.ip("addr", "del", "10.66.6.6/32", "dev", "lo")


def unreachable(scene):
    scene.ground.step("home does not answer: told so after the connection timeout, and not any more when it is back")
    scene.home.stop()
    scene.laptop.stop()
    scene.configure()
    scene.laptop.configure({**scene.laptop.config, "protocol": {"connection_timeout": "8s"}})
    scene.laptop.up()
    check(ping(scene.a, "10.64.0.2", seconds=0.5) is None, "told before the attempts are over")
    until(lambda: ping(scene.a, "10.64.0.2", seconds=0.5) == "host unreachable", "an ICMP error", seconds=15)
    until(lambda: ping6(scene.a, "fd64::2", seconds=0.5) == "unreachable, code 3", "an ICMPv6 error", seconds=3)
    scene.home.up()
    until(lambda: answers(scene.a, "10.64.0.2"), "an answer after home is back", seconds=20)
    check(scene.laptop.status()["tun"]["drops"]["unreachable"] > 0, "it is not counted")


def meddling(scene):
    scene.ground.step("somebody takes the address, brings the interface down, deletes it: put back")
    scene.a.ip("addr", "del", "10.64.0.1/16", "dev", "peer0")
    until(lambda: answers(scene.a, "10.64.0.2"), "the address is put back")
    scene.a.ip("link", "set", "peer0", "down")
    until(lambda: answers(scene.a, "10.64.0.2"), "the interface is up again")
    scene.a.ip("link", "del", "peer0")
    until(lambda: answers(scene.a, "10.64.0.2"), "the interface is made again", seconds=15)
    scene.laptop.logged("is there again")


def leaves_nothing(scene, before):
    scene.ground.step("a clean end leaves nothing; nor does kill -9, after the next start and end")
    scene.laptop.stop()
    check(scene.set_up() == before, f"left behind: {set(scene.set_up()) ^ set(before)}")
    for _ in range(3):
        scene.laptop.up()
        time.sleep(0.1)
        scene.laptop.kill()
    scene.laptop.up()
    until(lambda: answers(scene.a, "10.64.0.2"), "a ping after three kills")
    scene.laptop.stop()
    check(scene.set_up() == before, f"left behind after kill -9: {set(scene.set_up()) ^ set(before)}")


def subnet(scene):
    scene.ground.step("a subnet behind home, which also holds home's endpoint; taken away again by a reload")
    scene.configure(allowed_ips=["10.8.0.0/13", "10.72.0.0/13"])
    scene.laptop.up()
    until(lambda: answers(scene.a, "10.9.0.1"), "a ping into the subnet")
    until(lambda: answers(scene.a, "10.77.0.2"), "the link's own network is not reached directly")
    scene.configure()
    scene.laptop.cli("reload")
    check("10.8.0.0/13" not in "\n".join(scene.set_up()), "the reload left the route there")
    check("7001" not in "\n".join(scene.set_up()), "the reload left a rule there")
    until(lambda: answers(scene.a, "10.64.0.2"), "the tunnel does not work after the reload")
    scene.laptop.stop()


def exit_node(scene, before):
    scene.ground.step("everything through home (an exit node): the endpoint stays outside, IPv6 is refused")
    scene.configure(allowed_ips=["0.0.0.0/0"])
    scene.a.ip("route", "add", "default", "via", "10.77.0.2")
    scene.a.ip("-6", "route", "add", "default", "dev", "home")
    scene.laptop.up()
    until(lambda: answers(scene.a, "198.51.100.1"), "a ping through the exit node")
    check("peer0" in scene.a.ip("route", "get", "198.51.100.1"), "it did not go through the tunnel")
    check("peer0" not in scene.a.ip("route", "get", "10.77.0.2", "ipproto", "udp", "sport", str(PORT)), "our datagrams go into the tunnel")
    with scene.a:
        done = subprocess.run(["ip", "-6", "route", "get", "2001:db8::1"], capture_output=True, text=True)
    check(done.returncode != 0, f"IPv6 leaks: {done.stdout}")
    scene.laptop.kill()
    scene.configure()
    scene.laptop.up()
    check("7001" not in "\n".join(scene.set_up()), "the rules of the killed daemon are still there")
    scene.laptop.stop()
    scene.a.ip("route", "del", "default")
    scene.a.ip("-6", "route", "del", "default", "dev", "home")
    check(scene.set_up() == before, f"left behind: {set(scene.set_up()) ^ set(before)}")


def privileges(scene):
    scene.ground.step("what the daemon may still do: CAP_NET_ADMIN, and nothing to gain")
    tasks = f"/proc/{scene.home.daemon.pid}/task"
    check(len(os.listdir(tasks)) == 1 + LANES, f"it has {len(os.listdir(tasks))} threads")
    for task in os.listdir(tasks):
        text = open(f"{tasks}/{task}/status").read()
        fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        check(int(fields["CapEff"], 16) == 1 << 12, f"its capabilities are {fields['CapEff']}")
        check(fields["NoNewPrivs"].strip() == "1", "it may gain privileges")


def test():
    needs("ip")
    with Ground("tun") as ground:
        scene = Scene(ground)
        before = scene.set_up()
        carries(scene)
        privileges(scene)
        tcp(scene)
        datagrams(scene)
        refuses(scene)
        unreachable(scene)
        meddling(scene)
        leaves_nothing(scene, before)
        subnet(scene)
        exit_node(scene, before)


if __name__ == "__main__":
    run(test)
