#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A name typed into an unconfigured program, without a TUN: DNS gives the peer's address in 127.64.0.0/16, the virtual router listens there with the
ports of its services, and the bytes come from the peer. Addresses stay through reloads, restarts and kill -9.

       laptop                              home
   DNS 127.0.0.1:53 and :5300            web 127.0.0.1:8000, echo UDP 127.0.0.1:7007, in the peers' eyes ports 8000 and 7007
   127.64.x.y:8000                       secret, which laptop is not granted, port 77
   10.77.0.1 ---------- veth ----------- 10.77.0.2     port 7001
"""
import json
import re
import socket
import subprocess
import threading
from ground import PEERGATE, REPLY, Ground, check, needs, run, until
from streams import Web

PORT = 7001
SERVICES = {"web": {"local_address": "127.0.0.1:8000"}, "echo": {"local_address": "127.0.0.1:7007", "protocol": "udp"},
            "off": {"local_address": "127.0.0.1:9", "enabled": False}}
LOCAL = re.compile(r"127\.64\.\d+\.\d+")


def serve_udp(sock):
    while True:
        try:
            data, client = sock.recvfrom(2048)
        except OSError:
            return
        sock.sendto(b"home: " + data, client)


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.a, self.b = ground.namespace("laptop"), ground.namespace("home")
        ground.veth(self.a, "10.77.0.1/24", self.b, "10.77.0.2/24")
        self.laptop, self.home = ground.node(self.a, "laptop"), ground.node(self.b, "home")
        (ground.folder / "nobody").write_text("# nobody\n")
        (ground.folder / "nobody").chmod(0o600)
        (ground.folder / "www").mkdir()
        (ground.folder / "www" / "index.html").write_text("hello from home")
        self.web = Web(self.b, ("127.0.0.1", 8000), str(ground.folder / "www"))
        self.echo = self.b.socket(kind=socket.SOCK_DGRAM)
        self.echo.bind(("127.0.0.1", 7007))
        threading.Thread(target=serve_udp, args=(self.echo,), daemon=True).start()
        self.conf = ground.folder / "resolv.conf"
        self.conf.write_text("nameserver 127.0.0.1\nsearch demo.p2p\noptions ndots:2\n")
        self.nss = ground.folder / "nsswitch.conf"
        self.nss.write_text("hosts: dns\n")
        self.configure_home()
        self.configure()

    def configure_home(self, services=None):
        secret = {"local_address": "127.0.0.1:8000", "port": 77, "authorized_keys": str(self.ground.folder / "nobody")}
        self.home.configure({"port": PORT, "services": {"secret": secret, **(services or SERVICES)},
                             "peers": [{"name": "laptop", "peer_id": self.laptop.peer_id}]})

    def configure(self, name="home", dns=None, **more):
        peer = {"name": name, "peer_id": self.home.peer_id, "endpoint": f"10.77.0.2:{PORT}"}
        dns = {"enabled": True, "listen": ["127.0.0.1:5300", "127.0.0.1:53"]} if dns is None else dns
        self.laptop.configure({"port": PORT, "peers": [peer], "dns": dns, **more})

    def dig(self, *words, port=5300):
        return self.a.run("dig", "@127.0.0.1", "-p", port, "+tries=1", f"+time={REPLY}", *words)

    def short(self, *words, **options):
        return self.dig("+short", *words, **options).strip()

    def told(self, command):
        """The address that people are told for home."""
        lines = self.laptop.cli(command).splitlines()
        at = next(line.index("ADDRESS") for line in lines if "ADDRESS" in line)
        return next(line for line in lines if line.startswith("home"))[at:].strip()

    def rcode(self, *words):
        return self.dig(*words).split("status: ")[1].split(",")[0]

    def as_program(self, *argv):
        """A program that knows nothing of us, on a machine whose resolv.conf names our server: (exit status, output)."""
        script = f"mount --bind {self.conf} /etc/resolv.conf && mount --bind {self.nss} /etc/nsswitch.conf && exec \"$@\""
        with self.a:
            done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *argv], capture_output=True, text=True, timeout=4 * REPLY)
        return done.returncode, done.stdout + done.stderr

    def fetches(self, name="web.home.demo.p2p"):
        return self.as_program("curl", "--noproxy", "*", "-sS", "--max-time", "15", f"http://{name}:8000/index.html") == (0, "hello from home")

    def listens(self):
        router = self.laptop.status()["virtual_router"]
        return sorted((service["name"], service["address"]) for service in router["services"] if service["listening"])


def off_by_default(scene):
    scene.ground.step("nothing of it without being asked for")
    scene.home.up()
    scene.configure(dns={})
    scene.laptop.up()
    status = scene.laptop.status()
    check(status["dns"] is None and status["virtual_router"] is None, f"{status['dns']}, {status['virtual_router']}")
    peer = scene.laptop.peer("home")
    check(peer["here"] is None and peer["ipv4"].startswith("10.64."), f"by which address programs here reach it: {peer}")
    check(scene.told("status") == peer["ipv4"], "without any, people are told the one of packets")
    scene.laptop.stop()
    scene.configure()


def names(scene):
    scene.ground.step("names to addresses and back")
    scene.laptop.up()
    at = scene.short("web.home.demo.p2p")
    check(LOCAL.fullmatch(at), f"web.home.demo.p2p is at {at!r}")
    check(scene.short("home.demo.p2p") == scene.short("+tcp", "HOME.demo.p2p") == scene.short("home.demo.p2p", port=53) == at, "one name, two answers")
    peer = scene.laptop.peer("home")
    check(peer["here"] == at and peer["ipv4"].startswith("10.64."), f"by which address programs here reach it: {peer}")
    check(scene.told("status") == scene.told("peers") == at, f"people are told {scene.told('status')}")
    resolved = json.loads(scene.laptop.cli("resolve", "home.demo.p2p", "--json"))
    check(resolved["peer"]["here"] == at, f"resolve: {resolved}")
    check(scene.short("-x", at) == "home.demo.p2p.", f"{at} belongs to {scene.short('-x', at)!r}")
    check(scene.rcode("nobody.demo.p2p") == "NXDOMAIN" and scene.rcode("www.example.com") == "REFUSED", "names that aren't there")
    check(scene.rcode("home.demo.p2p", "AAAA") == "NOERROR" and scene.short("home.demo.p2p", "AAAA") == "", "an IPv6 address without a TUN")
    own = scene.short("laptop.demo.p2p")
    check(LOCAL.fullmatch(own) and own != at, f"we are at {own!r}")
    return at


def services(scene, at):
    scene.ground.step("unconfigured programs reach the services, and only those that are granted")
    until(scene.fetches, "curl gets the page by name")
    check(scene.listens() == [("echo", f"{at}:7007"), ("web", f"{at}:8000")], f"{scene.listens()}")
    until(lambda: scene.fetches("home.demo.p2p") and scene.fetches("home"), "by host name, and by the search domain")
    check(scene.short("web.home.demo.p2p", "SRV") == "0 0 8000 home.demo.p2p.", scene.short("web.home.demo.p2p", "SRV"))
    with scene.a.socket(kind=socket.SOCK_DGRAM) as sock:
        sock.settimeout(REPLY)
        sock.connect((at, 7007))
        sock.send(b"hello")
        check(sock.recv(100) == b"home: hello", "UDP through the virtual router")
    for port in (9, 77, 7001):
        with scene.a.socket() as sock:
            check(sock.connect_ex((at, port)) != 0, f"somebody listens on {at}:{port}")


def told(scene):
    scene.ground.step("status and doctor")
    status = scene.laptop.status()
    check(status["dns"]["listen"] == ["127.0.0.1:5300", "127.0.0.1:53"] and status["dns"]["udp_queries"] > 0, f"{status['dns']}")
    text = scene.laptop.cli("status")
    check("DNS 127.0.0.1:5300" in text and "virtual router: 2 of 2" in text, text)
    code, out = scene.as_program("sh", "-c", f"exec {PEERGATE} --dir {scene.laptop.dir} dns doctor web.home.demo.p2p")
    check(code == 0, f"the doctor: {out}")
    for name, word in (("nosuch.home.demo.p2p", "it has no service nosuch for this node"), ("secret.home.demo.p2p", "it has no service secret for this node"),
                       ("nosuch.laptop.demo.p2p", "this node has no service nosuch"), ("web.nobody.demo.p2p", "NXDOMAIN")):
        code, out = scene.as_program("sh", "-c", f"exec {PEERGATE} --dir {scene.laptop.dir} dns doctor {name}")
        check(code == 1 and word in out, f"the doctor on {name}: {code}, {out}")


def reloads(scene, at):
    scene.ground.step("reloads: a name of the owner's, another name for the peer, a new service, off and on again")
    (scene.laptop.dir / "names.yaml").write_text(f"nas: {scene.home.peer_id}\n")
    scene.laptop.cli("reload")
    check(scene.short("nas.demo.p2p") == scene.short("home.demo.p2p") == at, "a name of names.yaml")
    check(scene.short("-x", at) == "home.demo.p2p.", "names.yaml took the canonical name")
    scene.configure(name="house")
    scene.laptop.cli("reload")
    check(scene.short("house.demo.p2p") == at and scene.rcode("home.demo.p2p") == "NXDOMAIN", "the new name")
    until(lambda: scene.fetches("web.house.demo.p2p"), "the virtual router under the new name")
    scene.configure(dns={"enabled": True, "listen": ["127.0.0.1:53"], "upstreams": ["127.0.0.1:5399"]})
    scene.laptop.cli("reload")
    check(scene.short("home.demo.p2p", port=53) == at, "after the server was changed")
    check(scene.laptop.status()["dns"]["upstreams"] == ["127.0.0.1:5399"], "upstreams")
    with scene.a.socket() as taken:
        taken.bind(("127.0.0.1", 5301))
        taken.listen()
        scene.configure(dns={"enabled": True, "listen": ["127.0.0.1:5301"]})
        status, _, error = scene.laptop.cli("reload", should=False)
        check(status == 1 and "5301" in error, f"a port that is taken: {status} {error}")
        check(scene.short("home.demo.p2p", port=53) == at and scene.fetches(), "the old server after a refused reload")
    scene.configure(dns={"enabled": False})
    scene.laptop.cli("reload")
    check(scene.laptop.status()["dns"] is None and not scene.fetches(), "switched off")
    scene.configure()
    scene.laptop.cli("reload")
    check(scene.short("home.demo.p2p") == at, f"switched on again: {scene.short('home.demo.p2p')!r}, not {at}")
    until(scene.fetches, "curl after switching on again")


def restarts(scene, at):
    scene.ground.step("restarts: the same addresses; another range changes what a TUN would use, not these")
    lines = (scene.laptop.dir / "state" / "addresses").read_text()
    for end in (scene.laptop.stop, scene.laptop.kill):
        end()
        scene.laptop.up()
        check(scene.short("home.demo.p2p") == at, f"after {end.__name__}: {scene.short('home.demo.p2p')!r}, not {at}")
        check((scene.laptop.dir / "state" / "addresses").read_text() == lines, "the saved addresses changed")
        until(scene.fetches, f"curl after {end.__name__}")
    scene.configure(address_range="10.99.0.0/20")
    scene.laptop.cli("reload")
    check(scene.short("home.demo.p2p") == at and scene.fetches(), "another range")
    check((scene.laptop.dir / "state" / "addresses").read_text().count(" 10.99.") == 2, "the range was not taken")


def peer_restarts(scene, at):
    scene.ground.step("home restarts with another service; laptop hears of it when they are connected again")
    scene.home.stop()
    more = {name: {"local_address": "127.0.0.1:8000", "port": port} for name, port in (("second", 8001), ("taken", 8002))}
    scene.configure_home({**SERVICES, **more})
    other = scene.a.socket()
    other.bind(("0.0.0.0", 8002))
    other.listen()
    scene.home.up()

    def fetches():
        done = scene.as_program("curl", "--noproxy", "*", "-sS", "--max-time", "15", "http://home.demo.p2p:8001/index.html")
        scene.laptop.ping("home")
        return done == (0, "hello from home")
    until(fetches, lambda: f"the new service; it listens at {scene.listens()}", seconds=30)
    text = scene.laptop.cli("status")
    code, out = scene.as_program("sh", "-c", f"exec {PEERGATE} --dir {scene.laptop.dir} dns doctor taken.home.demo.p2p")
    check(code == 1 and "nobody listens there for taken" in out and "another program" in out, f"the doctor: {out}")
    check("virtual router: 3 of 4" in text and f"taken of home is not at {at}:8002: another program" in text, text)
    other.close()


def with_tun(scene):
    scene.ground.step("with a TUN: the tunnel's addresses, those that are routed, and no virtual router")
    scene.laptop.stop()
    peers = [{"name": "home", "peer_id": scene.home.peer_id, "endpoint": f"10.77.0.2:{PORT}", "tunnel_ip": ["10.64.0.2", "fd64::2"]}]
    scene.configure(tun={"enabled": True}, address=["10.64.0.1/16", "fd64::1/64"], peers=peers)
    scene.laptop.up()
    for words, answer in ((["home.demo.p2p"], "10.64.0.2"), (["home.demo.p2p", "AAAA"], "fd64::2"), (["laptop.demo.p2p"], "10.64.0.1"),
                          (["laptop.demo.p2p", "AAAA"], "fd64::1"), (["-x", "10.64.0.2"], "home.demo.p2p."), (["-x", "fd64::2"], "home.demo.p2p.")):
        check(scene.short(*words) == answer, f"{words}: {scene.short(*words)!r}, not {answer}")
    check(scene.laptop.status()["virtual_router"] is None, "a virtual router beside a TUN")
    scene.laptop.cli("reload")
    check(scene.short("home.demo.p2p") == "10.64.0.2", "after a reload")
    scene.laptop.stop()


def refused(scene):
    scene.ground.step("configurations that make no sense are refused")
    for dns, more, word in (({"listen": ["localhost:53"]}, {}, "dns.listen"), ({"upstreams": ["127.0.0.1:5300"]}, {}, "would ask itself"),
                            ({}, {"address_range": "fd00::/8"}, "address_range"), ({}, {"address_range": "10.0.0.0/30"}, "address_range")):
        scene.configure(dns={"enabled": True, **dns}, **more)
        status, out, error = scene.laptop.cli("config", "check", should=False)
        check(status != 0 and word in out + error, f"{dns} {more}: {status} {out}{error}")
    scene.configure()
    peers = [{"name": name, "public_key": key, "tunnel_ip": "10.64.0.9"} for name, key in
             (("x", scene.home.public_key), ("y", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="))]
    scene.laptop.configure({**scene.laptop.config, "peers": peers})
    status, out, error = scene.laptop.cli("config", "check", should=False)
    check(status != 0 and "10.64.0.9" in out + error, f"two peers with one tunnel_ip: {out}{error}")
    scene.configure()


def test():
    needs("dig", "curl", "unshare")
    with Ground("dns_e2e") as ground:
        scene = Scene(ground)
        off_by_default(scene)
        at = names(scene)
        services(scene, at)
        told(scene)
        reloads(scene, at)
        restarts(scene, at)
        peer_restarts(scene, at)
        with_tun(scene)
        refused(scene)


run(test)
