#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One TUN in two networks whose ranges are equal, and in both of which everybody calls themselves what somebody in the other does.

      house                              desk                               office
   box in home, 10.64.5.5/16     10.64.9.9/16 in both                  box in work, 10.64.5.5/16
   10.77.1.2 -------- veth ------ 10.77.1.1   10.77.2.1 ------ veth ---- 10.77.2.2
                                  home is at 10.64.0.0/16 here, work at 10.65.0.0/16
"""
import json
import socket
import time
from ground import REPLY, STILL_MAX, Ground, check, needs, run, until
from streams import Download, Line, TcpServer, serve_echo, serve_pattern
from tunlab import answers, ping, ping6, set_up, transfer

NAME_PORT, FLOOD_PORT, ECHO_PORT = 5000, 5001, 5002


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.house_at, self.desk_at, self.office_at = (ground.namespace(name) for name in ("house", "desk", "office"))
        ground.veth(self.house_at, "10.77.1.2/24", self.desk_at, "10.77.1.1/24")
        ground.veth(self.office_at, "10.77.2.2/24", self.desk_at, "10.77.2.1/24")
        self.house, self.desk, self.office = (ground.node(at, name) for at, name in
                                              ((self.house_at, "house"), (self.desk_at, "desk"), (self.office_at, "office")))
        self.work_id = json.loads(self.desk.cli("init", "--network", "work", "--json"))["peer_id"]
        for node, network, peer_id, endpoint in ((self.house, "home", self.desk.peer_id, "10.77.1.1:7001"),
                                                 (self.office, "work", self.work_id, "10.77.2.1:7002")):
            node.configure({"hostname": "box", "network": network, "port": 7001, "address": "10.64.5.5/16", "expose": "host",
                            "tun": {"enabled": True, "subnets": "198.51.100.0/24"},
                            "peers": [{"name": "me", "peer_id": peer_id, "endpoint": endpoint, "eager": True}]})
        for at, name in ((self.house_at, b"house"), (self.office_at, b"office")):
            TcpServer(at, ("0.0.0.0", NAME_PORT), lambda sock, name=name: sock.sendall(name))
            TcpServer(at, ("0.0.0.0", FLOOD_PORT), serve_pattern)
        for at in (self.desk_at, self.house_at, self.office_at):
            for any_address in ("0.0.0.0", "::"):
                TcpServer(at, (any_address, ECHO_PORT), serve_echo)
        TcpServer(self.desk_at, ("0.0.0.0", FLOOD_PORT), serve_pattern)
        self.configure()

    def configure(self, with_work=True):
        work = {"network": "work", "port": 7002, "address": "10.64.9.9/16", "expose": "host",
                "peers": [{"name": "box", "peer_id": self.office.peer_id, "endpoint": "10.77.2.2:7001", "eager": True}]}
        self.desk.configure({"hostname": "me", "network": "home", "port": 7001, "address": "10.64.9.9/16", "expose": "host",
                             "tun": {"enabled": True},
                             "peers": [{"name": "box", "peer_id": self.house.peer_id, "endpoint": "10.77.1.2:7001", "eager": True}],
                             "dns": {"enabled": True, "listen": "127.0.0.1:5300"}, "networks": [work] if with_work else []})

    def box(self, network):
        found = [peer for peer in self.desk.status()["peers"] if peer["name"] == "box" and peer["network"] == network]
        return found[0] if found else None

    def alias(self, network):
        return self.box(network)["ipv4"]

    def ula(self, network):
        return [prefix.split("/")[0] for prefix in self.box(network)["allowed_ips"] if prefix.startswith("fd83:e128:5e51:")][0]

    def who_is(self, address):
        with self.desk_at.socket() as sock:
            sock.settimeout(REPLY)
            sock.connect((address, NAME_PORT))
            return sock.recv(100).decode()

    def dig(self, name, kind="A"):
        return self.desk_at.run("dig", "@127.0.0.1", "-p", "5300", "+short", "+tries=1", f"+time={REPLY}", name, kind).split()


def both(scene):
    scene.ground.step("two boxes that both are 10.64.5.5: each has an address of its own here")
    for node in (scene.house, scene.office, scene.desk):
        node.up()
    until(lambda: all(scene.box(network)["own_ipv4"] == "10.64.5.5" for network in ("home", "work")), "both say what they are called")
    home, work = scene.alias("home"), scene.alias("work")
    check(home.startswith("10.64.") and work.startswith("10.65."), f"home's box is {home}, work's {work}")
    addresses = scene.desk.status()["tun"]["addresses"]
    check({"10.64.9.9/16", "10.65.9.9/16"} <= set(addresses), f"ours are {addresses}")
    for address, name in ((home, "house"), (work, "office")):
        until(lambda: answers(scene.desk_at, address), f"a ping to {name}")
        check(scene.who_is(address) == name, f"{address} is not the {name}")
        for size in (0, 1200, 3000):
            check(isinstance(ping(scene.desk_at, address, size), float), f"no answer of {name} to {size} bytes")
    for network, at in (("home", scene.house_at), ("work", scene.office_at)):
        transfer(scene.desk_at, at, scene.alias(network), 8 << 20)
        check(isinstance(ping6(scene.desk_at, scene.ula(network)), float), f"no answer over IPv6 in {network}")
        transfer(scene.desk_at, at, scene.ula(network), 1 << 20, socket.AF_INET6)


def back(scene):
    scene.ground.step("the other way: to desk, by the address that each of them has for it")
    for node, at in ((scene.house, scene.house_at), (scene.office, scene.office_at)):
        desk = node.peer("me")["ipv4"]
        check(node.peer("me")["own_ipv4"] == "10.64.9.9", f"{node.name} hears that desk is {node.peer('me')['own_ipv4']}")
        until(lambda: answers(at, desk), f"no answer to {node.name}")
        transfer(at, scene.desk_at, desk, 4 << 20)
        check(udp_source(scene, at, desk) == scene.alias("home" if node is scene.house else "work"), f"{node.name}'s datagrams come from elsewhere")


def udp_source(scene, at, host):
    """Who sent it, as desk sees it; and an answer finds its way."""
    with at.socket(kind=socket.SOCK_DGRAM) as client, scene.desk_at.socket(kind=socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 0))
        server.settimeout(REPLY), client.settimeout(REPLY)
        client.sendto(b"who am I?", (host, server.getsockname()[1]))
        _, sender = server.recvfrom(100)
        server.sendto(b"you", sender)
        check(client.recvfrom(100)[1][0] == host, "the answer comes from another address")
        return sender[0]


def walls(scene):
    """From our address in one network to a peer of the other: not let in, counted."""
    scene.ground.step("sources are those of the network")
    before = scene.desk.status()["tun"]["drops"]["foreign_source"]
    for source, network in (("10.64.9.9", "work"), ("10.65.9.9", "home")):
        check(ping(scene.desk_at, scene.alias(network), seconds=0.5, source=source) is None, f"{source} is answered in {network}")
    check(scene.desk.status()["tun"]["drops"]["foreign_source"] >= before + 2, "that is not counted")
    # What house calls itself otherwise is nobody's in home; that it is somebody's in work does not let it in.
    work = scene.alias("work")
    inner = scene.desk.status()["drops"]["inner"]
    scene.house_at.ip("addr", "add", f"{work}/32", "dev", "lo")
    check(ping(scene.house_at, scene.house.peer("me")["ipv4"], seconds=0.5, source=work) is None, "house passes for office")
    scene.house_at.ip("addr", "del", f"{work}/32", "dev", "lo")
    check(scene.house.status()["tun"]["drops"]["foreign_source"] > 0 or scene.desk.status()["drops"]["inner"] > inner, "nobody dropped it")


def names(scene):
    scene.ground.step("names are these addresses")
    for network in ("home", "work"):
        until(lambda: scene.dig(f"box.{network}.p2p") == [scene.alias(network)], f"box.{network}.p2p is {scene.alias(network)}")
        check(scene.dig(f"box.{network}.p2p", "AAAA") == [scene.ula(network)], f"AAAA of box.{network}.p2p")
    check(scene.dig("me.home.p2p") == ["10.64.9.9"] and scene.dig("me.work.p2p") == ["10.65.9.9"], "our own names")


def kernels(scene, *addresses):
    """The connections of desk's kernel with that peer."""
    return [line for line in scene.desk_at.run("ss", "-Htn", "state", "established").splitlines() if any(at in line for at in addresses)]


def ends(scene):
    scene.ground.step("work goes: the kernel's connections with its peers end at both ends, idle and busy, those with home's go on")
    work, home = scene.alias("work"), scene.alias("home")
    at_office, at_house = scene.office.peer("me")["ipv4"], scene.house.peer("me")["ipv4"]
    idle = [Line(scene.office_at, ECHO_PORT, at_office) for _ in range(50)]
    own = [Line(scene.desk_at, ECHO_PORT, host) for host in (work, scene.ula("work"), "::ffff:" + work) for _ in range(10)]
    others = [Line(scene.house_at, ECHO_PORT, at_house), Line(scene.desk_at, ECHO_PORT, home), Line(scene.desk_at, ECHO_PORT, scene.ula("home"))]
    ula = scene.ula("work")
    with scene.office_at.socket() as sock:
        sock.settimeout(2 * REPLY)
        sock.connect((at_office, FLOOD_PORT))
        download = Download(sock)
        until(lambda: download.count() > 1 << 20, "the download runs")
        check(len(kernels(scene, work, ula)) == 81 and len(kernels(scene, home)) == 2, f"{kernels(scene, work, ula)} {kernels(scene, home)}")
        began = time.monotonic()
        scene.configure(with_work=False)
        scene.desk.cli("reload")
        until(lambda: not kernels(scene, work, ula), lambda: f"desk's kernel has them still: {kernels(scene, work, ula)}")
        check(all(line.ended() for line in own), "desk's programs were not told")
        scene.ground.step(f"    | network removed | its TCP with the kernel is over {time.monotonic() - began:.2f} s after `reload` was begun |")
        ended = [line.ended() for line in idle]
        check(all(ended), f"the office was told of {sum(ended)} of {len(ended)} ends")
        download.stop()  # its reader was told if it had every byte until then
    for line in others:
        line.speak()
    scene.configure()
    scene.desk.cli("reload")
    until(lambda: scene.box("work") and scene.alias("work") == work and answers(scene.desk_at, work), "work is where it was")
    Line(scene.office_at, ECHO_PORT, at_office)
    Line(scene.desk_at, ECHO_PORT, work)
    for line in others:
        line.speak()


def reloads(scene):
    scene.ground.step("work goes, under a download from home; and comes back to the same addresses")
    with scene.desk_at.socket() as sock:
        sock.settimeout(2 * REPLY)
        sock.connect((scene.alias("home"), FLOOD_PORT))
        download = Download(sock)
        until(lambda: download.count() > 1 << 20, "the download runs")
        work, began = scene.alias("work"), time.monotonic()
        scene.configure(with_work=False)
        scene.desk.cli("reload")
        check("10.65." not in scene.desk_at.ip("route") + scene.desk_at.ip("addr"), "routes or addresses of work are left")
        check(not answers(scene.desk_at, work), "a peer of work answers")
        scene.configure()
        scene.desk.cli("reload")
        until(lambda: scene.box("work") and scene.alias("work") == work and answers(scene.desk_at, work), "work is where it was")
        check(scene.who_is(work) == "office", f"{work} is not the office")
        download.must_run()
        check(download.longest_gap(began, time.monotonic()) < STILL_MAX, "the download stood still")
        before = download.count()
        until(lambda: download.count() > before + (1 << 20), "the download runs on")
        download.stop()


def exit_node(scene):
    """Everything through a peer of the second network: our datagrams of both networks stay outside."""
    scene.ground.step("an exit node in the second network")
    config = scene.desk.config
    config["networks"][0]["peers"][0]["allowed_ips"] = ["0.0.0.0/0"]
    (scene.desk.dir / "config.yaml").write_text(json.dumps(config, indent=1))
    scene.desk_at.ip("route", "add", "default", "via", "10.77.1.2")
    scene.desk.cli("reload")
    office = scene.office_at
    office.ip("addr", "add", "198.51.100.1/32", "dev", "lo")
    until(lambda: answers(scene.desk_at, "198.51.100.1"), "a ping through the exit node")
    route = scene.desk_at.ip("route", "get", "198.51.100.1")
    check("peer0" in route and "src 10.65.9.9" in route, f"what goes to the exit node: {route}")
    for port in (7001, 7002):
        route = scene.desk_at.ip("route", "get", "203.0.113.9", "ipproto", "udp", "sport", str(port))
        check("peer0" not in route, f"our datagrams from port {port} go into the tunnel: {route}")
    until(lambda: answers(scene.desk_at, scene.alias("home")) and answers(scene.desk_at, scene.alias("work")), "the boxes are not reached any more")
    scene.desk_at.ip("route", "del", "default")


def test():
    needs("dig")
    with Ground("tunnets") as ground:
        scene = Scene(ground)
        before = set_up(scene.desk_at)
        for part in (both, back, walls, names, ends, reloads, exit_node):
            part(scene)
        scene.desk.stop()
        check(set_up(scene.desk_at) == before, f"left behind: {set(set_up(scene.desk_at)) ^ set(before)}")


run(test)
