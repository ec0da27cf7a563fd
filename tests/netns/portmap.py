#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A node asks its router for its port: miniupnpd by PCP, NAT-PMP and UPnP-IGD; renewal, the router's restart, another address, refusal, silence, lies, and the
end, after which nothing is left. What is mapped is tried from outside."""
import contextlib
import json
import os
import random
import re
import shutil
import socket
import struct
import tempfile
import threading
import time

from ground import Ground, PEERGATE, check, chosen, ip, needs, run, until
from natground import ANCHOR, Internet
from gateways import LAN, PMP_PORT, Igd

PORT = 41000
HOST = "192.168.1.2"


def lab(ground, **options):
    needs("nft", "miniupnpd")
    internet = Internet(ground)
    anchor = internet.anchor()
    home = internet.home("home", "nft", **options)
    node = ground.node(home.host, "node", {"port": PORT})
    #  The home's link-local IPv6 addresses become usable after two seconds, which is news to a node.
    until(lambda: all("tentative" not in at.run("ip", "addr") for at in (home.host, home.router)), "the home is settled", 5)
    return anchor, home, node


def forwarded(node, protocol, seconds=10):
    """The port outside, when the log says so; the number of times it did."""
    pattern = rf"the router forwards [0-9.]+:(\d+) to this node, by {protocol}"
    until(lambda: re.search(pattern, node.log()), f"{node.name} gets a port by {protocol}", seconds)
    return int(re.findall(pattern, node.log())[-1])


def is_mapped(igd, port):
    return igd.mappings().get(("udp", port)) == (HOST, PORT)


def drop(home, rules):
    """What the router's own firewall drops before its programs see it."""
    home.router.nft(f"table ip refuse {{ chain in {{ type filter hook input priority -10;\n{rules}\n}}\n}}")


def pcp(ground):
    anchor, home, node = lab(ground)
    igd = Igd(home)
    node.up()
    port = forwarded(node, "PCP")
    check(port == PORT and is_mapped(igd, port), f"the kernel maps {igd.mappings()}")
    node.stop()
    until(lambda: not igd.mappings(), "the mapping is given back", 3)
    ground.step("PCP: mapped, and given back at the end")
    # Killed, it gives nothing back: started again, it takes the old one over, since its nonce is the same.
    node.up()
    forwarded(node, "PCP")
    node.kill()
    check(is_mapped(igd, PORT), "the mapping of a killed node is gone")
    node.up()
    check(forwarded(node, "PCP") == PORT and len(igd.mappings()) == 1, f"after a crash: {igd.mappings()}")
    ground.step("after a crash it takes its mapping over")


def pmp(ground):
    anchor, home, node = lab(ground)
    igd = Igd(home)
    drop(home, f"udp dport {PMP_PORT} @th,64,8 2 drop")  # PCP's version
    node.up()
    check(is_mapped(igd, forwarded(node, "NAT-PMP")), f"the kernel maps {igd.mappings()}")
    node.stop()
    until(lambda: not igd.mappings(), "the mapping is given back", 3)
    ground.step("NAT-PMP: mapped, and given back at the end")


def upnp(ground):
    anchor, home, node = lab(ground)
    igd = Igd(home)
    drop(home, f"udp dport {PMP_PORT} drop")
    node.up()
    check(is_mapped(igd, forwarded(node, "UPnP", 20)), f"the kernel maps {igd.mappings()}")
    until(lambda: not helpers(node), "the helper ends")
    node.stop()
    check(not igd.mappings(), f"the mapping is not given back: {igd.mappings()}")
    ground.step("UPnP: mapped, and given back at the end")
    # Somebody else in the home has the port.
    other = ground.node(home.host, "other", {"port": PORT + 1})
    node.up()
    forwarded(node, "UPnP", 20)
    check(is_mapped(igd, PORT), f"{igd.mappings()}")
    other.up()
    forwarded(other, "UPnP", 20)
    check(len(igd.mappings()) == 2, f"{igd.mappings()}")
    ground.step("two nodes in one home")


class Router:
    """A router that a test plays: answer(data) -> what it answers, or None."""

    def __init__(self, home, answer):
        self.answer, self.heard = answer, []
        with home.router:
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((LAN, PMP_PORT))
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            try:
                data, source = self.sock.recvfrom(2000)
            except OSError:
                return
            self.heard.append((time.monotonic(), data))
            for one in self.answer(data) or []:
                with contextlib.suppress(OSError):
                    self.sock.sendto(one, source)

    def close(self):
        self.sock.close()


def pcp_answer(request, lifetime=7200, result=0, ip="11.0.1.1", port=None, epoch=100, nonce=None):
    body = request[24:36] if nonce is None else nonce
    wish = struct.unpack(">H", request[42:44])[0]
    return (struct.pack(">BBBBII12x", 2, 0x81, 0, result, lifetime, epoch) + body + request[36:42] +
            struct.pack(">H", wish if port is None else port) + socket.inet_pton(socket.AF_INET6, f"::ffff:{ip}"))


def is_pcp_map(data):
    return len(data) >= 60 and data[:2] == b"\2\1"


def renewal(ground):
    anchor, home, node = lab(ground)
    began = time.monotonic()

    def answer(data):
        return [pcp_answer(data, lifetime=6, epoch=1000 + int(time.monotonic() - began))] if is_pcp_map(data) else None
    router = Router(home, answer)
    node.up()
    forwarded(node, "PCP")
    until(lambda: len(router.heard) >= 4, "three renewals", 20)
    gaps = [b[0] - a[0] for a, b in zip(router.heard, router.heard[1:])]
    check(1 < sorted(gaps)[len(gaps) // 2] < 6, f"renewed after {gaps} s of 6")
    check(node.log().count("the router forwards") == 1, "a renewal is no news")
    node.stop()
    check(struct.unpack(">I", router.heard[-1][1][4:8])[0] == 0, "the last word ends the mapping")
    ground.step(f"a lifetime of 6 s is renewed after {', '.join(f'{gap:.1f}' for gap in gaps)} s")
    router.close()


def comes_back(ground, protocol, **options):
    """The router restarts: it says so, by a multicast, and is asked again long before it is time to."""
    anchor, home, node = lab(ground)
    igd = Igd(home, **options)
    if protocol == "NAT-PMP":
        drop(home, f"udp dport {PMP_PORT} @th,64,8 2 drop")
    node.up()
    forwarded(node, protocol, 20)
    time.sleep(5)  # its epoch has to have moved for its restart to show
    igd.stop()
    check(not igd.mappings(), "mappings stay when the router is off")
    igd.start()
    began = time.monotonic()
    until(lambda: is_mapped(igd, PORT), "the router that restarted has the mapping again", 75)
    ground.step(f"{protocol}: miniupnpd restarted, announced it, and has the mapping again after {time.monotonic() - began:.1f} s")
    return anchor, home, node, igd


def restart(ground):
    node = comes_back(ground, "PCP")[2]
    check("the router has restarted" in node.log(), node.log()[-500:])


def restart_pmp(ground):
    node = comes_back(ground, "NAT-PMP")[2]
    check("the router has restarted" in node.log(), node.log()[-500:])


def restart_upnp(ground):
    """As UPnP says it; and whoever else says so is not heard."""
    anchor, home, node, igd = comes_back(ground, "UPnP", pmp=False)
    neighbour = ground.namespace("other")  # another machine in the home
    ip("link", "add", "name", "wan", "netns", neighbour.name, "type", "veth", "peer", "name", "other", "netns", home.router.name)
    home.router.ip("link", "set", "other", "master", "lan", "up")
    neighbour.ip("addr", "add", "192.168.1.66/24", "dev", "wan")
    neighbour.ip("link", "set", "wan", "up")
    neighbour.ip("route", "add", "default", "dev", "wan")
    time.sleep(25)  # whatever the router's own words led to is over
    before = node.log().count("the router says that it is there")
    sock, witness = neighbour.socket(kind=socket.SOCK_DGRAM), home.host.socket(kind=socket.SOCK_DGRAM)
    witness.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    witness.bind(("239.255.255.250", 1900))
    witness.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.255.250") + socket.inet_aton(HOST))
    witness.settimeout(5)
    for boot in range(50):
        sock.sendto(("NOTIFY * HTTP/1.1\r\nNT: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nNTS: ssdp:alive\r\n"
                     f"BOOTID.UPNP.ORG: {boot}\r\n\r\n").encode(), ("239.255.255.250", 1900))
    until(lambda: witness.recvfrom(2000)[1][0] == "192.168.1.66", "what the neighbour says gets here", 10)
    time.sleep(1)
    check(node.log().count("the router says that it is there") == before and node.status(), "a neighbour is heard in the router's name")
    ground.step("a neighbour that says it is the router is not heard")


def seen_elsewhere(ground):
    """The line gets another address, and the router does not say so (or is not heard): the anchor sees the node elsewhere, so the router is asked."""
    anchor, home, node = lab(ground)
    hub = ground.node(anchor, "hub")
    hub.configure({"port": PORT, "role": "anchor", "peers": [{"name": "node", "peer_id": node.peer_id}]})
    node.configure({"port": PORT, "anchors": [{"name": "hub", "peer_id": hub.peer_id, "endpoint": f"{ANCHOR[0]}:{PORT}", "keepalive_interval": "5s"}]})
    igd = Igd(home, pmp=False)
    for one in (hub, node):
        one.up()
    forwarded(node, "UPnP", 20)
    home.host.nft("table inet deaf { chain in { type filter hook input priority 0; ip daddr 239.255.255.250 drop; }; }")
    device, other = home.outer.short, "11.0.1.77"
    until(lambda: node.ask("status")["anchors"][0]["observed"] == f"{home.public}:{PORT}", "the anchor sees the old address", 10)
    home.router.ip("addr", "add", f"{other}/32", "dev", device)
    home.outer.ip("-4", "route", "add", other, "via", "inet6", "fe80::2", "dev", home.router.short)
    home.router.ip("-4", "route", "replace", "default", "via", "inet6", "fe80::1", "dev", device, "src", other)
    home.router.ip("addr", "del", f"{home.public}/32", "dev", device)
    began = time.monotonic()

    def external():
        return json.loads(node.cli("netcheck", "--json", seconds=40))["networks"][0]["port_mapping"]["external"]
    node.logged(f"the router forwards {other}:{PORT} to this node, by UPnP", 70)
    ground.step(f"the new address outside is known {time.monotonic() - began:.1f} s after the line got it")
    check(external() == f"{other}:{PORT}", f"{external()}")


def moved(ground):
    """Another address in the home: the mapping follows, at once."""
    anchor, home, node = lab(ground)
    igd = Igd(home)
    node.up()
    forwarded(node, "PCP")
    home.host.ip("addr", "add", "192.168.1.77/24", "dev", "wan")
    home.host.ip("addr", "del", f"{HOST}/24", "dev", "wan")
    if "192.168.1.77" not in home.host.run("ip", "-4", "addr", "show", "dev", "wan"):
        home.host.ip("addr", "add", "192.168.1.77/24", "dev", "wan")
    home.host.ip("route", "replace", "default", "via", LAN)
    until(lambda: ("192.168.1.77", PORT) in igd.mappings().values(), lambda: f"the mapping follows: {igd.mappings()}", 10)
    ground.step("the mapping follows the node's address")


def refused(ground):
    anchor, home, node = lab(ground)
    router = Router(home, lambda data: [pcp_answer(data, result=2, lifetime=60)] if is_pcp_map(data) else None)
    node.up()
    node.logged("the router forwards no port by PCP: not authorized")
    heard = len(router.heard)  # more than one where the answer came late
    time.sleep(3)
    check(len(router.heard) == heard, f"asked {len(router.heard)} times")
    check(node.status(), "it lives")
    ground.step("a refusal is heard once, and waited for")
    router.close()


def silent(ground):
    """No answer at all, then one that sends an ICMP error: few packets, and the daemon goes on."""
    anchor, home, node = lab(ground)
    router = Router(home, lambda data: None)
    node.up()
    time.sleep(8)
    check(len(router.heard) <= 10, f"asked {len(router.heard)} times in 8 s")
    until(lambda: len(router.heard) >= 3, lambda: f"asked {len(router.heard)} times")
    check(node.status(), "it lives")
    began = time.monotonic()
    node.stop()
    check(time.monotonic() - began < 15, "the end waits for a silent router")
    router.close()
    time.sleep(0.1)
    node.up()
    time.sleep(2)
    check(node.status(), "it lives")
    ground.step("silent, and nobody there")


def lies(ground):
    anchor, home, node = lab(ground)
    noise = random.Random(1).randbytes(1100)  # nothing that happens to be a refusal

    def answer(data):
        if not is_pcp_map(data):
            return [b"", noise[:8], bytes([0, 128, 0, 0]) + noise[:8]]
        return [noise[:60], bytes([2, 0x81]) + noise[:58], noise, data,
                pcp_answer(data, nonce=b"\1" * 12), pcp_answer(data)[:40], pcp_answer(data, ip="127.0.0.1")]
    router = Router(home, answer)
    node.up()
    node.logged("makes no sense")
    time.sleep(2)
    check("the router forwards 1" not in node.log(), "a lie is believed")
    node.stop()
    router.answer = lambda data: [pcp_answer(data, lifetime=1, epoch=int(time.monotonic() * 1000) % 100000) for _ in range(5)] if is_pcp_map(data) else None
    router.heard.clear()
    began = time.monotonic()
    node.up()
    time.sleep(6)
    check(len(router.heard) <= 2 * (time.monotonic() - began), f"asked {len(router.heard)} times in 6 s by a router that gives a second")
    until(lambda: len(router.heard) >= 2, "it is asked again")
    check(node.status(), "it lives")
    ground.step(f"garbage, and lifetimes of a second: {len(router.heard)} requests in 6 s")
    router.close()


class Igd2:
    """A UPnP router that a test plays: where it says that its description is, and what it answers to each HTTP request."""

    def __init__(self, home, location, answer):
        self.location, self.answer, self.searches, self.requests = location, answer, 0, []
        with home.router:
            self.ssdp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.http = socket.socket()
        self.ssdp.bind(("0.0.0.0", 1900))
        self.ssdp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.255.250") + socket.inet_aton(LAN))
        self.http.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.http.bind(("0.0.0.0", 5000))
        self.http.listen(20)
        self.is_over = False
        self.threads = [threading.Thread(target=loop, daemon=True) for loop in (self.search, self.serve)]
        for sock in (self.ssdp, self.http):
            sock.settimeout(0.1)
        for thread in self.threads:
            thread.start()

    def search(self):
        while not self.is_over:
            with contextlib.suppress(socket.timeout):
                data, source = self.ssdp.recvfrom(2000)
                self.searches += 1
                kind = re.search(rb"ST: *(\S+)", data)
                self.ssdp.sendto(f"HTTP/1.1 200 OK\r\nLOCATION: {self.location}\r\nST: {kind[1].decode() if kind else '?'}\r\nUSN: uuid:1\r\n\r\n".encode(), source)

    def serve(self):
        while not self.is_over:
            with contextlib.suppress(socket.timeout):
                threading.Thread(target=self.one, args=(self.http.accept()[0],), daemon=True).start()

    def one(self, sock):
        with contextlib.suppress(OSError), sock:
            request = sock.recv(4000)
            self.requests.append(request)
            for piece in self.answer(request):
                sock.sendall(piece)

    def close(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()
        self.ssdp.close()
        self.http.close()


DESCRIPTION = """<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList><device>
<deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>{control}</controlURL>
<SCPDURL>/scpd.xml</SCPDURL></service></serviceList></device></deviceList></device></root>"""


def http(body, status="200 OK"):
    return [f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()]


def soap(ip):
    def answer(request):
        if request.startswith(b"GET"):
            return http(DESCRIPTION.format(control="/control"))
        if b"GetExternalIPAddress" in request:
            return http(f"<s:Envelope><s:Body><u:GetExternalIPAddressResponse><NewExternalIPAddress>{ip}</NewExternalIPAddress>"
                        "</u:GetExternalIPAddressResponse></s:Body></s:Envelope>")
        if b"AddPortMapping" in request:
            return http("<s:Envelope><s:Body><u:AddPortMappingResponse/></s:Body></s:Envelope>")
        return http("<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>401</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>",
                    "500 no")
    return answer


def drip(request):
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\n<root>"
    while True:
        yield b"<device>"
        time.sleep(0.02)


def flood(request):
    yield b"HTTP/1.1 200 OK\r\n\r\n<root>"
    while True:
        yield b"<device>" * 8192


def helpers(node):
    lines = node.namespace.run("ps", "-e", "-o", "ppid=,args=").splitlines()
    return [line for line in lines if line.split()[0] == str(node.daemon.pid) and " igd " in line]


def upnp_lies(ground):
    """A router that lies by UPnP. The helper is all that suffers: it ends in time, and nothing is believed."""
    anchor, home, node = lab(ground)
    cases = {"garbage": (f"http://{LAN}:5000/r.xml", lambda request: [b"\xff\0<<<>" * 500]),
             "another machine": ("http://192.168.1.9:5000/r.xml", drip),
             "its control elsewhere": (f"http://{LAN}:5000/r.xml", lambda request: http(DESCRIPTION.format(control="http://192.168.1.9/control"))),
             "an address that is nobody's": (f"http://{LAN}:5000/r.xml", soap("127.0.0.1")),
             "a text for an address": (f"http://{LAN}:5000/r.xml", soap("1.2.3.4 80 9 \n mapped http://192.168.1.1/ 8.8.8.8 53 9")),
             "a description without an end": (f"http://{LAN}:5000/r.xml", drip),
             "a flood": (f"http://{LAN}:5000/r.xml", flood)}
    for name, (location, answer) in cases.items():
        router = Igd2(home, location, answer)
        node.up()
        until(lambda: router.searches and helpers(node), f"{name}: it is searched for", 10)
        began = time.monotonic()
        until(lambda: not helpers(node), f"{name}: the helper ends", 16)
        check("the router forwards 1" not in node.log() and "the router forwards 8" not in node.log(), f"{name} is believed")
        found = json.loads(node.cli("status", "--json"))
        check(found["ok"], f"{name}: {found}")
        ground.step(f"{name}: {len(router.requests)} requests, the helper ended after {time.monotonic() - began:.1f} s")
        node.stop()
        router.close()
    router = Igd2(home, f"http://{LAN}:5000/r.xml", soap("11.0.1.1"))  # the same, honest
    node.up()
    check(forwarded(node, "UPnP", 20) == PORT, "an honest one")
    node.stop()
    check(any(b"DeletePortMapping" in request for request in router.requests), "given back")
    router.close()


def pinhole(ground):
    """IPv6: no NAT, but a firewall, in which PCP opens the port; what that is for is tried from outside. And the router's restart."""
    needs("nft", "miniupnpd")
    internet = Internet(ground)
    anchor, far_place = internet.anchor(), internet.machine("far", "2a00:fffe::8")
    home = internet.home("home", "nft", v6=True)
    hub, node, far = ground.node(anchor, "hub"), ground.node(home.host, "node"), ground.node(far_place, "far")
    own = f"[{home.own(0)[1]}]:{PORT}"
    hub_entry = {"name": "hub", "peer_id": hub.peer_id, "endpoint": f"[{ANCHOR[2]}]:{PORT}"}
    hub.configure({"port": PORT, "role": "anchor", "peers": [{"name": one.name, "peer_id": one.peer_id} for one in (node, far)]})

    def configure(**config):
        #  What the node knows of `far` is no address, and there is no anchor: nobody asks, and nothing goes out first.
        node.configure({"port": PORT, "role": "auto", "peers": [{"name": "far", "peer_id": far.peer_id}], **config})
    far.configure({"port": PORT, "peers": [{"name": "node", "peer_id": node.peer_id, "endpoint": own}]})
    until(lambda: all("tentative" not in at.run("ip", "addr") for at in (home.host, home.router)), "the home is settled", 5)
    igd = Igd(home, v6=True)
    configure(port_mapping="off")
    for one in (hub, node, far):
        one.up()
    check(far.ping("node", count=2, seconds=10)[1] == 0 and not igd.pinholes(), "the firewall lets strangers in")
    configure()
    node.cli("reload")
    node.logged(f"the router lets through {own} to this node, by PCP", 10)
    check(igd.pinholes() == {PORT}, f"pinholes: {igd.pinholes()}")
    until(lambda: far.ping("node", count=1, seconds=10)[1] == 1, "the node is reached from outside", 20)
    ground.step("a pinhole, through which the node is reached by who was never sent anything")

    configure(anchors=[hub_entry])
    far.configure({"port": PORT, "anchors": [hub_entry], "peers": [{"name": "node", "peer_id": node.peer_id}]})
    for one in (node, far):
        one.cli("reload")

    def offered():
        far.ping("node", count=1)
        return [one for one in far.ask("why", host="node")["candidates"] if one["address"] == own and one["kind"] == "mapped"]
    until(offered, lambda: f"peers are told: {far.ask('why', host='node')['candidates']}", 20)
    found = json.loads(node.cli("netcheck", "--json", seconds=30))["networks"][0]
    check(found["pinhole"]["state"] == "mapped" and found["pinhole"]["external"] == own and found["pinhole"]["pcp"] and
          found["pinhole"]["router"].startswith("fe80::1%"), f"{found['pinhole']}")
    check(found["public"]["reason"] == "open" and found["public"]["address"] == own, f"an anchor gets in as well: {found['public']}")
    check("IPv6 pinhole" in node.cli("netcheck", seconds=30), "netcheck shows it")
    ground.step("it is offered to peers, netcheck shows it, and with `role: auto` it makes the node an anchor")

    time.sleep(3)  # its epoch has to have moved for its restart to show
    igd.stop()
    check(not igd.pinholes(), "pinholes stay when the router is off")
    igd.start()
    until(lambda: igd.pinholes() == {PORT}, "the router that restarted has the pinhole again", 30)
    ground.step("miniupnpd restarted, announced it, and has the pinhole again")
    node.stop()
    until(lambda: not igd.pinholes(), f"the pinhole is given back: {igd.pinholes()}", 3)
    ground.step("given back at the end")


def reached(ground):
    """What it is for: two homes with random ports for each destination have no way to each other but a relay; with one port forwarded they have."""
    needs("nft", "miniupnpd")
    internet = Internet(ground)
    anchor = internet.anchor()
    homes = [internet.home(name, "nft-random") for name in ("left", "right")]
    igd = Igd(homes[0])
    hub = ground.node(anchor, "hub")
    nodes = [ground.node(home.host, home.short) for home in homes]
    for node, other in zip(nodes, reversed(nodes)):
        node.configure({"port": PORT, "anchors": [{"name": "hub", "peer_id": hub.peer_id, "endpoint": f"{ANCHOR[0]}:{PORT}"}],
                        "peers": [{"name": other.name, "peer_id": other.peer_id}]})
    hub.configure({"port": PORT, "role": "anchor", "peers": [{"name": node.name, "peer_id": node.peer_id} for node in nodes]})
    for node in (hub, *nodes):
        node.up()
    forwarded(nodes[0], "PCP")
    right = nodes[1]

    def why():
        right.ping("left", count=1)
        return json.loads(right.cli("why", "--json", "left"))
    until(lambda: (why()["path"] or {}).get("kind") == "direct", lambda: f"a direct path: {why()}", 20)
    used = why()
    check(any(one["kind"] == "mapped" and one["outcome"] == "answered" and one["address"] == f"{homes[0].public}:{PORT}" for one in used["candidates"]),
          f"{used['candidates']}")
    ground.step(f"{used['path']['endpoint']} by the forwarded port, between two NATs with random ports")


def unprivileged(ground):
    """What reads a router's XML has no right that the daemon may have: root's, or those that systemd or the file gave a user's daemon."""
    needs("setpriv")
    host = ground.namespace("host")
    folder = tempfile.mkdtemp(prefix="peergate-")
    os.chmod(folder, 0o755)
    program = shutil.copy(PEERGATE, folder)
    user = ["setpriv", "--reuid=nobody", "--clear-groups", "--inh-caps=+net_admin", "--ambient-caps=+net_admin"]
    for who, wrapper in (("root", []), ("a user with CAP_NET_ADMIN", user)):
        child = host.start([*wrapper, program, "igd", "find", "127.0.0.1", "127.0.0.1", "1", "1", "60", "-"], "igd")

        def rights():
            with open(f"/proc/{child.popen.pid}/status", encoding="ascii") as status:
                return dict(re.findall(r"^(\w+):\s*(.*)$", status.read(), re.MULTILINE))

        def has_none():
            now = rights()
            return now.get("NoNewPrivs") == "1" and now["Uid"].split()[0] != "0" and all(
                int(now[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"))
        until(has_none, lambda: f"no rights, started by {who}: {rights()}", 10)
        child.stop()
    shutil.rmtree(folder)
    ground.step("no privilege of root's or of a user's daemon is left in the UPnP helper")


def off(ground):
    """Not where the owner does not want it, nor where nobody could need it."""
    anchor, home, node = lab(ground)
    node.configure({"port": PORT, "port_mapping": "off"})
    igd = Igd(home)
    node.up()
    open_home = home.internet.home("public", "open")
    other = ground.node(open_home.host, "other", {"port": PORT})
    other.up()
    time.sleep(3)
    check(not igd.mappings() and "router" not in node.log(), f"{igd.mappings()}")
    check("router" not in other.log(), "a node with a public address asks for a port")
    node.configure({"port": PORT})
    node.cli("reload")
    forwarded(node, "PCP")
    node.configure({"port": PORT, "port_mapping": "off"})
    node.cli("reload")
    until(lambda: not igd.mappings(), "switched off by a reload, the mapping is given back", 3)
    ground.step("off, on and off again by reloads")


def main():
    for part in chosen([pcp, pmp, upnp, renewal, restart, restart_pmp, restart_upnp, seen_elsewhere, moved, refused, silent, lies, upnp_lies, pinhole, reached, unprivileged, off]):
        with Ground("portmap") as ground:
            part(ground)


run(main)
