#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Virtual addresses through two TUNs: derived ones, without a word about addresses in either configuration; rewritten ones, where home calls itself otherwise than
laptop does; kept ones, over restarts; and what happens on a machine that uses the range already.

      laptop                          home
   10.77.0.1/24 ------ veth ------ 10.77.0.2/24     the outer addresses
   2001:db8:77::1/64               2001:db8:77::2/64
"""
import socket
import subprocess

from ground import REPLY, Ground, check, needs, run, until
from tunlab import answers, ping, ping6, set_up, transfer

PORT = 7001
ULA = "fd83:e128:5e51:"


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.a, self.b = ground.namespace("laptop"), ground.namespace("home")
        ground.veth(self.a, "10.77.0.1/24", self.b, "10.77.0.2/24")
        self.laptop, self.home = ground.node(self.a, "laptop"), ground.node(self.b, "home")

    def config(self, number, other, options=None, peer=None):
        known = {"name": other.name, "peer_id": other.peer_id, "endpoint": f"10.77.0.{3 - number}:{PORT}", "eager": True, **(peer or {})}
        return {"port": PORT, "expose": "host", "tun": {"enabled": True}, "peers": [known], **(options or {})}

    def start(self, laptop=None, home=None):
        self.laptop.stop(), self.home.stop()
        self.laptop.configure(self.config(1, self.home, laptop))
        self.home.configure(self.config(2, self.laptop, home))
        self.home.up()
        self.laptop.up()
        until(lambda: self.laptop.is_established("home") and self.home.is_established("laptop"), "they are connected")

    def address(self, node, name):
        return node.peer(name)["ipv4"]

    def ula(self, node, name):
        return [prefix.split("/")[0] for prefix in node.peer(name)["allowed_ips"] if prefix.startswith(ULA)][0]


def carries(scene):
    """Everything that has an address in it comes through, both ways."""
    home, laptop = scene.address(scene.laptop, "home"), scene.address(scene.home, "laptop")
    check(scene.laptop.peer("home")["here"] == home and home in scene.laptop.cli("peers"), "people are told another address")
    until(lambda: answers(scene.a, home), "a ping to home's address")
    until(lambda: answers(scene.b, laptop), "no answer to a ping to laptop's address")
    for size in (0, 1, 1200, 1352, 1353, 3000, 20000):
        check(isinstance(ping(scene.a, home, size), float), f"no answer to a ping with {size} bytes")
    transfer(scene.a, scene.b, home, 4 << 20)
    transfer(scene.b, scene.a, laptop, 4 << 20)
    for size in (1, 1300, 5000):
        udp_echo(scene.a, scene.b, home, laptop, size)
    refused(scene.a, home)
    refused(scene.b, laptop)


def udp_echo(a, b, host, seen_from, size):
    """A datagram there and back; large ones in fragments."""
    with a.socket(kind=socket.SOCK_DGRAM) as client, b.socket(kind=socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 0))
        server.settimeout(REPLY)
        client.settimeout(REPLY)
        data = bytes(i % 251 for i in range(size))
        client.sendto(data, (host, server.getsockname()[1]))
        got, sender = server.recvfrom(65536)
        check(got == data and sender[0] == seen_from, f"{len(got)} bytes of {size} came from {sender[0]}, not {seen_from}")
        server.sendto(got, sender)
        back, sender = client.recvfrom(65536)
        check(back == data and sender[0] == host, f"{len(back)} bytes of {size} came back from {sender[0]}, not {host}")


def refused(namespace, host):
    """Nobody listens there: the kernel finds the socket by what the ICMP error quotes."""
    with namespace.socket(kind=socket.SOCK_DGRAM) as sock:
        sock.connect((host, 9))
        sock.send(b"anybody?")
        sock.settimeout(REPLY)
        try:
            sock.recv(100)
            check(False, "somebody answered at the discard port")
        except ConnectionRefusedError:
            pass
        except TimeoutError:
            check(False, "the ICMP error about an unreachable port did not reach the socket")


def derived(scene):
    scene.ground.step("peers known by peer_id alone: an IPv4 alias and a ULA each, routed and answered")
    scene.start()
    status = scene.laptop.status()["tun"]
    own = scene.home.peer("laptop")["ipv4"]
    check(f"{own}/16" in status["addresses"], f"home calls laptop {own}, which itself has {status['addresses']}")
    check(scene.address(scene.laptop, "home") == scene.laptop.peer("home")["own_ipv4"], "home's address is rewritten without need")
    carries(scene)
    home = scene.ula(scene.laptop, "home")
    for size in (0, 1000, 1332, 1333, 3000):
        check(isinstance(ping6(scene.a, home, size), float), f"no answer over IPv6 to a ping with {size} bytes: {ping6(scene.a, home, size)}")
    transfer(scene.a, scene.b, home, 4 << 20, socket.AF_INET6)


def counted(scene):
    scene.ground.step("the status counts what went through, and what did not")
    before = scene.laptop.status()["tun"]
    check(before["managed"] and before["name"] == "peer0" and before["mtu"] == 1380, f"{before}")
    check("checksum" in before["offload"] and "tcp" in before["offload"], f"no offload: {before['offload']}")
    check(ping(scene.a, "10.64.0.53") == "host unreachable", "an address without a peer is not refused")
    answers(scene.a, scene.address(scene.laptop, "home"), size=500)
    after = scene.laptop.status()["tun"]
    check(after["drops"]["no_peer"] > before["drops"]["no_peer"] and after["icmp_sent"] > before["icmp_sent"], "an address without a peer is not counted")
    check(after["bytes_read"] >= before["bytes_read"] + 528 and after["bytes_written"] >= before["bytes_written"] + 528, "528 bytes each way are not counted")
    said = scene.laptop.cli("status")
    check("interface peer0, MTU 1380: " in said and "dropped: " in said and "no_peer" in said, f"the status for people says: {said}")


def rewritten(scene):
    scene.ground.step("both call themselves what the other one does not know: rewritten, checksums, errors and fragments included")
    scene.start(laptop={"address": "10.64.99.1/16"}, home={"address": "10.64.99.2/16"})
    until(lambda: scene.laptop.peer("home")["own_ipv4"] == "10.64.99.2", "laptop hears what home calls itself")
    until(lambda: scene.home.peer("laptop")["own_ipv4"] == "10.64.99.1", "home hears what laptop calls itself")
    check(scene.address(scene.laptop, "home") != "10.64.99.2", "the alias was taken from outside")
    carries(scene)
    check(ping(scene.a, "10.64.99.2") == "host unreachable", "home's own name for itself reaches it, though nobody gave it to it")


def equal(scene):
    scene.ground.step("both call themselves the same: each has another alias for the other one")
    scene.start(laptop={"address": "10.64.5.5/16"}, home={"address": "10.64.5.5/16"})
    until(lambda: scene.laptop.peer("home")["own_ipv4"] == scene.home.peer("laptop")["own_ipv4"] == "10.64.5.5", "they hear it")
    carries(scene)


def kept(scene):
    scene.ground.step("aliases outlive restarts, and a kill")
    scene.start()
    before = scene.address(scene.laptop, "home")
    path = scene.laptop.dir / "state" / "addresses"
    until(path.exists, "state/addresses is written")
    lines = path.read_text()
    scene.laptop.stop()
    # As if it had been another one once, for a collision that is over: first seen is kept.
    moved = "10.64.200.200"
    check(before in lines, f"{before} is not in {lines}")
    path.write_text(lines.replace(before, moved))
    scene.laptop.up()
    check(scene.address(scene.laptop, "home") == moved, f"{moved} was forgotten: {scene.address(scene.laptop, 'home')}")
    carries(scene)
    scene.laptop.kill()
    scene.laptop.up()
    check(scene.address(scene.laptop, "home") == moved, "it was forgotten over a kill")
    scene.laptop.stop()
    path.unlink()


def refuses_to_start(scene, what, node=None):
    """Its complaint."""
    node = node or scene.laptop
    with scene.a:
        done = subprocess.run([node.ground.programs[0].argv[0], "--dir", str(node.dir), "up"], capture_output=True, text=True, timeout=2 * REPLY)
    check(done.returncode != 0, f"it starts although {what}")
    return done.stderr


def ranges(scene, before):
    scene.ground.step("the machine has the range already: refused, with what to do; in part: told")
    scene.laptop.stop()
    scene.a.ip("link", "add", "docker7", "type", "veth", "peer", "docker8")
    scene.a.ip("link", "set", "docker7", "up")
    clean = set_up(scene.a)
    scene.a.ip("addr", "add", "10.64.0.9/16", "dev", "docker7")
    said = refuses_to_start(scene, "docker7 has its network")
    check("docker7" in said and "address_range" in said and "10.65.0.0/16 is free" in said, f"it says: {said}")
    scene.a.ip("addr", "del", "10.64.0.9/16", "dev", "docker7")
    check(set_up(scene.a) == clean, "refusing left something behind")
    scene.laptop.configure(scene.config(1, scene.home, {"address_range": "10.65.0.0/16"}))
    scene.a.ip("addr", "add", "10.64.0.9/16", "dev", "docker7")
    scene.laptop.up()
    check(scene.address(scene.laptop, "home").startswith("10.65."), "the alias is not in the range that is configured")
    until(lambda: answers(scene.a, scene.address(scene.laptop, "home")), "a ping to an alias in another range")
    until(lambda: answers(scene.a, "10.64.0.9"), "the machine's own network is not reached")
    scene.laptop.stop()
    scene.a.ip("addr", "del", "10.64.0.9/16", "dev", "docker7")
    scene.a.ip("addr", "add", "10.64.7.1/24", "dev", "docker7")
    scene.laptop.configure(scene.config(1, scene.home))
    scene.laptop.up()
    scene.laptop.logged("10.64.0.0/16 has in it 10.64.7.0/24 of docker7")
    scene.laptop.stop()
    scene.a.ip("link", "del", "docker7")
    check(set_up(scene.a) == before, f"left behind: {set(set_up(scene.a)) ^ set(before)}")


def second(scene, before):
    scene.ground.step("a second daemon on the same machine: refused, or beside the first; either goes without harm to the other")
    scene.laptop.configure(scene.config(1, scene.home))
    scene.laptop.up()
    other = scene.ground.node(scene.a, "other")
    other.configure({**scene.config(1, scene.home), "port": PORT + 1})
    during = set_up(scene.a)
    said = refuses_to_start(scene, "peer0 is another daemon's", other)
    check("peer0" in said and "somebody else has it open" in said, f"about the same interface it says: {said}")
    other.configure({**scene.config(1, scene.home), "port": PORT + 1, "name": "peer1"})
    said = refuses_to_start(scene, "its range is another daemon's", other)
    check("peer0" in said and "address_range" in said, f"about the same range it says: {said}")
    check(set_up(scene.a) == during, f"refusing left something behind: {set(set_up(scene.a)) ^ set(during)}")
    # Both with rules and a table of their own, as for an exit node.
    scene.laptop.configure(scene.config(1, scene.home, None, {"allowed_ips": ["198.18.0.0/15", "0.0.0.0/1"]}))
    scene.laptop.cli("reload")
    second_config = scene.config(1, scene.home, None, {"allowed_ips": ["0.0.0.0/2"], "endpoint": "10.77.0.2:9"})
    other.configure({**second_config, "port": PORT + 1, "name": "peer1", "address_range": "10.70.0.0/16"})
    other.up()
    home = scene.address(scene.laptop, "home")
    until(lambda: answers(scene.a, home), "the first one works beside the second")
    both = "\n".join(set_up(scene.a))
    check("dev peer0" in both and "dev peer1" in both, "both have their routes")
    scene.laptop.stop()
    left = "\n".join(set_up(scene.a))
    check("peer0" not in left and "dev peer1" in left and left.count("suppress_prefixlength 0") == 1, f"the first one's end left {left}")
    scene.laptop.up()
    until(lambda: answers(scene.a, home), "the first one works again")
    other.kill()
    until(lambda: answers(scene.a, home), "killing the second one stops the first")
    scene.laptop.stop()
    other.configure({"port": PORT + 1, "name": "peer1", "tun": {"enabled": True}, "address_range": "10.70.0.0/16"})
    other.up()
    other.stop()
    check(set_up(scene.a) == before, f"left behind: {set(set_up(scene.a)) ^ set(before)}")


def test():
    needs("ip")
    with Ground("tunaddr") as ground:
        scene = Scene(ground)
        before = set_up(scene.a)
        derived(scene)
        counted(scene)
        rewritten(scene)
        equal(scene)
        kept(scene)
        ranges(scene, before)
        second(scene, before)


run(test)
