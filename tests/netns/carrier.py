#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Networks that block UDP: the anchor takes TLS on port 443, and what the two sides say to each other goes through it.

      laptop                        yard (routes; drops                    home
     peergate                        laptop <-> home, and UDP             peergate, web 8000, source 9000
    10.77.1.2 ------ veth ------ 10.77.1.1 of whom it is told)  10.77.2.1 ------ veth ------ 10.77.2.2
    socks 1080                             10.77.3.1
                                               |
                                             veth
                                               |
                                           10.77.3.2
                                            anchor, peergate, port 7000, TLS 443
"""
import contextlib
import os
import random
import re
import socket
import ssl
import subprocess
import threading
import time
from ground import PATIENCE, REPLY, STILL_MAX, Ground, check, chosen, command, needs, run, until
from streams import Checker, Web, pattern

ANCHOR = "10.77.3.2"
HOSTS = {"laptop": "10.77.1.0/24", "home": "10.77.2.0/24"}
SIZE = 48 << 20
STRANGERS = 64  # GW_CARRIERS_STRANGERS


class Scene:
    def __init__(self, ground):
        self.ground = ground
        yard = self.yard = ground.namespace("yard")
        self.at = {name: ground.namespace(name) for name in ("laptop", "home", "anchor")}
        for number, name in enumerate(self.at, 1):
            ground.veth(self.at[name], f"10.77.{number}.2/24", yard, f"10.77.{number}.1/24")
            self.at[name].ip("route", "add", "default", "via", f"10.77.{number}.1")
        yard.sysctl("net.ipv4.ip_forward", 1)
        self.block()
        self.node = {name: ground.node(space, name) for name, space in self.at.items()}
        (ground.folder / "www").mkdir()
        (ground.folder / "www" / "hello").write_text("hello from home\n")
        (ground.folder / "www" / "bulk").write_bytes(pattern(SIZE))
        Web(self.at["home"], ("127.0.0.1", 8000), str(ground.folder / "www"))
        self.configure()

    def block(self, *names):
        """From now on these have no UDP at all."""
        drops = "\n".join(f"ip saddr {HOSTS[name]} meta l4proto udp drop\nip daddr {HOSTS[name]} meta l4proto udp drop" for name in names)
        with contextlib.suppress(Exception):
            self.yard.nft("delete table inet yard")
        self.yard.nft(f"""table inet yard {{
            chain forward {{
                type filter hook forward priority 0;
                ip saddr 10.77.1.0/24 ip daddr 10.77.2.0/24 drop
                ip saddr 10.77.2.0/24 ip daddr 10.77.1.0/24 drop
                {drops}
            }}
        }}""")

    def configure(self):
        node = self.node
        anchors = [{"name": "anchor", "peer_id": node["anchor"].peer_id, "endpoint": f"{ANCHOR}:7000"}]
        node["anchor"].configure({"port": 7000, "role": "anchor", "anchor": {"tls": "[::]:443"}, "peers": [
            {"name": name, "peer_id": node[name].peer_id} for name in ("laptop", "home")]})
        node["home"].configure({"port": 7002, "anchors": anchors,
                                "peers": [{"name": "laptop", "peer_id": node["laptop"].peer_id}],
                                "services": {"web": {"local_address": "127.0.0.1:8000"}}})
        node["laptop"].configure({"port": 7001, "anchors": anchors, "socks": {"listen": "127.0.0.1:1080"},
                                  "peers": [{"name": "home", "peer_id": node["home"].peer_id}]})

    def configure_laptop(self, anchor=None, **more):
        """As before, with these on top, of its anchor and of itself."""
        config = dict(self.node["laptop"].config)
        config["anchors"] = [{**config["anchors"][0], **(anchor or {})}]
        self.node["laptop"].configure({**config, **more})

    def up(self, *names):
        for name in names or ("anchor", "home", "laptop"):
            self.node[name].up()

    def down(self):
        for node in self.node.values():
            node.stop()

    def anchor_of(self, name):
        return self.node[name].status()["anchors"][0]

    def serving(self):
        return self.node["anchor"].status()["anchor"]

    def registers(self, name, transport, seconds=20):
        until(lambda: (lambda anchor: anchor["state"] == "registered" and anchor["transport"] == transport)(self.anchor_of(name)),
              lambda: f"{name} is registered with the anchor by {transport}: {self.anchor_of(name)}", seconds)

    def curl(self, path="hello", seconds=2 * REPLY, *more):
        return self.at["laptop"].run("curl", "-sS", "--max-time", seconds, "--socks5-hostname", "127.0.0.1:1080", *more,
                                     f"http://web.home.demo.p2p/{path}")

    def says_hello(self, what):
        began = time.monotonic()
        check(self.curl() == "hello from home\n", f"curl {what}")
        return time.monotonic() - began


class Download:
    """/bulk again and again, checked byte by byte."""

    def __init__(self, scene):
        self.scene, self.count, self.rounds, self.wrong, self.is_over = scene, 0, 0, None, False
        self.gap, self.last = 0.0, time.monotonic()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        try:
            while not self.is_over:
                self.one()
        except Exception as error:
            self.wrong = error

    def one(self):
        sock = self.scene.at["laptop"].socket()
        with contextlib.closing(sock):
            sock.settimeout(2 * REPLY)
            sock.connect(("127.0.0.1", 1080))
            sock.sendall(b"\x05\x01\x00")
            check(sock.recv(2) == b"\x05\x00", "the proxy takes the method")
            name = b"web.home.demo.p2p"
            sock.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + (80).to_bytes(2, "big"))
            check(sock.recv(10)[1] == 0, "the proxy connects")
            sock.sendall(b"GET /bulk HTTP/1.0\r\n\r\n")
            head = b""
            while b"\r\n\r\n" not in head:
                piece = sock.recv(65536)
                check(piece, f"the answer ends in its head: {head!r}")
                head += piece
            checker = Checker()
            checker.feed(head.split(b"\r\n\r\n", 1)[1])
            while not self.is_over:
                piece = sock.recv(1 << 18)
                if not piece:
                    break
                now = time.monotonic()
                self.gap, self.last = max(self.gap, now - self.last), now
                checker.feed(piece)
                self.count += len(piece)
            if not self.is_over:
                check(checker.count == SIZE, f"{checker.count} of {SIZE} bytes came")
                self.rounds += 1

    def goes_on(self, what, seconds=20):
        at = self.count
        until(lambda: self.wrong or self.count > at + (2 << 20), lambda: f"{what}: the download goes on, it stands at {self.count}", seconds)
        check(not self.wrong, f"{what}: {self.wrong}")

    def end(self):
        self.is_over = True
        self.thread.join(2 * REPLY)
        check(not self.wrong, f"the download: {self.wrong}")


def blocked(scene, *names):
    """From the daemons' start to the first byte through the proxy."""
    scene.block(*names)
    scene.up("anchor")
    began = time.monotonic()
    scene.up(*[name for name in ("home", "laptop") if name in names] + [name for name in ("home", "laptop") if name not in names])
    for name in ("home", "laptop"):
        scene.registers(name, "tls" if name in names else "udp")
    registered = time.monotonic() - began
    check(scene.curl() == "hello from home\n", "curl where UDP is blocked")
    total = time.monotonic() - began
    scene.ground.step(f"    | UDP blocked at {' and '.join(names)} | registered {registered:.2f} s after the start, the first page after {total:.2f} s |")
    check(total < 2 * STILL_MAX, "it waits for something")
    path = scene.node["laptop"].peer("home")["path"]
    check(path["kind"] == "relay" and path["endpoint"] == "anchor", f"relayed by the anchor, says status: {path}")
    check(path["transport"] == ("tls" if "laptop" in names else "udp"), f"how it gets to the anchor: {path}")
    if "laptop" in names:
        check("tls via anchor anchor" in scene.node["laptop"].cli("status"), "status says so")
        check("tls via anchor anchor" in scene.node["laptop"].cli("why", "home"), "why says so")
        check("connected by TLS" in scene.node["laptop"].cli("why", "anchor"), "why says so of the anchor")


def one_side(scene):
    scene.ground.step("UDP is blocked on one side")
    for name in ("laptop", "home"):
        blocked(scene, name)
        other = "home" if name == "laptop" else "laptop"
        scene.node[name].stop()
        until(lambda: scene.node[other].peer(name)["ended"], f"{other} hears by TLS that {name} ends")
        check(scene.serving()["registrations"] == 1, f"the anchor still has {name}: {scene.serving()}")
        scene.down()


def both_sides(scene):
    scene.ground.step("UDP is blocked on both sides")
    blocked(scene, "laptop", "home")
    sent, received, times = scene.node["laptop"].ping("home", count=5)
    check(received > 0, f"{received} of {sent} pings answered")
    began = time.monotonic()
    scene.at["laptop"].run("curl", "-sS", "--max-time", 120, "--socks5-hostname", "127.0.0.1:1080", "-o", str(scene.ground.folder / "got"),
                           "http://web.home.demo.p2p/bulk")
    took = time.monotonic() - began
    check((scene.ground.folder / "got").read_bytes() == pattern(SIZE), "every byte is right")
    scene.ground.step(f"    ping {min(times):.2f} ms at best; {SIZE >> 20} MB in {took:.2f} s ({8 * SIZE / took / 1e6:.0f} Mbit/s)")
    scene.down()


def there_and_back(scene):
    scene.ground.step("UDP is blocked and allowed again under a download")
    scene.block()
    scene.up()
    for name in ("home", "laptop"):
        scene.registers(name, "udp")
    scene.says_hello("by UDP")
    download = Download(scene)
    download.goes_on("by UDP")
    for number in range(2):
        download.gap = 0.0
        scene.block("laptop")
        began = time.monotonic()
        scene.registers("laptop", "tls")
        download.goes_on("by TLS")
        scene.ground.step(f"    | UDP blocked under a download | by TLS after {time.monotonic() - began:.2f} s, {download.gap:.2f} s without a byte |")
        download.gap = 0.0
        scene.block()
        began = time.monotonic()
        scene.registers("laptop", "udp", 45)
        download.goes_on("by UDP again")
        scene.ground.step(f"    | UDP allowed again | used after {time.monotonic() - began:.2f} s, {download.gap:.2f} s without a byte |")
    download.end()
    until(lambda: scene.serving()["tls"]["open"] == 0, lambda: f"nobody keeps a connection that is not needed: {scene.serving()}", 25)
    scene.ground.step(f"    {download.count >> 20} MB came, each byte right; no connection is left")
    scene.down()


def narrow(scene):
    """What waits in a carrier is delay for all that comes behind: pings beside a download at 4 Mbit/s."""
    scene.ground.step("a narrow line: 4 Mbit/s to laptop, and TLS")
    scene.block("laptop")
    scene.yard.run("tc", "qdisc", "replace", "dev", "laptop", "root", "tbf", "rate", "4mbit", "burst", "8kb", "latency", "50ms")
    scene.up()
    scene.registers("laptop", "tls")
    scene.says_hello("by TLS")
    download = Download(scene)
    time.sleep(4)
    at, began = download.count, time.monotonic()
    _, received, times = scene.node["laptop"].ping("home", count=30, interval=0.2, seconds=30)
    mbit = 8 * (download.count - at) / (time.monotonic() - began) / 1e6
    download.end()
    times.sort()
    check(received >= 12, f"{received} of 30 pings were answered")
    scene.ground.step(f"    | TLS at 4 Mbit/s under a download | {mbit:.1f} Mbit/s; pings {times[len(times) // 2]:.0f} ms in the middle, {times[-1]:.0f} ms at most, {30 - received} of 30 lost |")
    # A queue that stands is in all of them; a machine that stands still, in some.
    check(times[len(times) // 4] < 400, f"pings do not wait for seconds: {times}")
    check(mbit > 0.4, f"the line is used: {mbit:.1f} Mbit/s")
    scene.yard.run("tc", "qdisc", "del", "dev", "laptop", "root")
    scene.down()


# ---- strangers

class Crowd:
    """Connections to the port that are held open."""

    def __init__(self, scene):
        self.scene, self.socks = scene, []

    def connect(self, seconds=REPLY):
        sock = self.scene.at["laptop"].socket()
        sock.settimeout(seconds)
        sock.connect((ANCHOR, 443))
        self.socks.append(sock)
        return sock

    def shake_hands(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(self.connect(), server_hostname="anchor.example")
        self.socks[-1] = sock
        return sock

    @contextlib.contextmanager
    def goes_on(self):
        """New ones come all the while, for those that are sent away."""
        is_over = threading.Event()

        def come():
            while not is_over.wait(1):
                with contextlib.suppress(OSError):
                    self.connect()
        thread = threading.Thread(target=come, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def close(self):
        for sock in self.socks:
            sock.close()


def is_closed(sock, seconds):
    """By the other end, within so long."""
    sock.settimeout(seconds)
    try:
        return sock.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def strangers(scene):
    scene.ground.step("strangers at the port")
    scene.block("laptop", "home")
    scene.up()
    for name in ("home", "laptop"):
        scene.registers(name, "tls")
    scene.says_hello("before the strangers")
    anchor, dice = scene.node["anchor"], random.Random(443)
    laptop = scene.at["laptop"]

    said = laptop.run("curl", "-sSk", "--max-time", REPLY, "-o", "/dev/null", "-w", "%{http_code} %{size_download}", f"https://{ANCHOR}/")
    check(said == "404 10", f"a browser gets what a web server says of a page that is not there: {said}")
    with laptop:
        said = os.popen(f"echo | timeout {REPLY} openssl s_client -connect {ANCHOR}:443 -servername anchor.example 2>&1").read()
    check(re.search("CN ?= ?localhost", said) and "peergate" not in said.lower(), f"the certificate tells nothing: {said[:500]}")
    scene.ground.step("    curl gets a 404, openssl s_client a certificate that tells nothing")

    crowd = Crowd(scene)
    began = time.monotonic()
    sock = crowd.connect()
    sock.sendall(dice.randbytes(200))
    check(is_closed(sock, REPLY), "random bytes end the connection")
    for what in (dice.randbytes(100), b"\x00\x10" + bytes(16), b"\xff\xff" + bytes(100), b"\x00\x94\x09\x00\x00\x00" + bytes(150)):
        sock = crowd.shake_hands()
        sock.sendall(what)
        check(is_closed(sock, REPLY), f"nothing of ours ends the connection: {what[:6]!r}")
    check(scene.serving()["tls"]["wrong"] >= 4, f"they are counted: {scene.serving()['tls']}")
    sock = crowd.shake_hands()  # handshakes that mean nothing: as many as may be, and no answer
    sent = 0
    with contextlib.suppress(OSError):
        for _ in range(2000):
            sock.sendall(b"\x00\x94\x01\x00\x00\x00" + dice.randbytes(144))
            sent += 150
            time.sleep(0.0005)
    check(sent < 1 << 20, f"who proves nothing may not send for ever: {sent} bytes")
    scene.ground.step(f"    random bytes, wrong frames and {sent >> 10} KB of false handshakes: closed, after {time.monotonic() - began:.2f} s in all")
    crowd.close()

    before = anchor.rss()
    crowd = Crowd(scene)
    times = []
    for number in range(300):  # slowloris: some say nothing, some a byte of a handshake, some are through and then say nothing
        with contextlib.suppress(OSError):
            sock = crowd.shake_hands() if number % 3 == 0 else crowd.connect()
            if number % 3 == 1:
                sock.sendall(b"\x16\x03")
    tls = scene.serving()["tls"]
    check(tls["strangers"] <= STRANGERS and tls["open"] <= STRANGERS + 2, f"they are bounded: {tls}")
    grown = anchor.rss() - before
    hello = scene.says_hello("beside 300 idle strangers")
    scene.node["laptop"].stop()
    with crowd.goes_on():  # idle ones at its own address do not keep a new client out, as long as they come
        began = time.monotonic()
        scene.up("laptop")
        scene.registers("laptop", "tls")
        times.append(time.monotonic() - began)
        scene.says_hello("of one that came while they were there")
    scene.ground.step(f"    300 idle ones: {tls['strangers']} kept, {tls['refused']} refused; memory grew by {grown >> 10} KB; a page beside them took {hello:.2f} s, a new client was in after {times[0]:.2f} s")
    check(grown < 64 << 20, "memory is bounded")  # a sanitizer keeps for a while what is freed
    until(lambda: scene.serving()["tls"]["strangers"] == 0, lambda: f"they are sent away in time: {scene.serving()['tls']}", 20)
    crowd.close()
    scene.down()


def off(scene):
    scene.ground.step("an anchor without TLS: nothing breaks, and it is found again by UDP")
    config = dict(scene.node["anchor"].config)
    scene.node["anchor"].configure({key: value for key, value in config.items() if key not in ("anchor",)})
    scene.block("laptop")
    scene.up()
    scene.registers("home", "udp")
    until(lambda: scene.anchor_of("laptop")["state"] == "unreachable", lambda: f"laptop has no anchor: {scene.anchor_of('laptop')}")
    scene.block()
    scene.registers("laptop", "udp", 30)
    scene.says_hello("by UDP")
    scene.down()
    scene.node["anchor"].configure(config)


def reloads(scene):
    scene.ground.step("`anchor.tls` changes while the anchor runs")
    anchor, laptop = scene.node["anchor"], scene.node["laptop"]
    configs = {node: dict(node.config) for node in (anchor, laptop)}

    def tls(*listen):
        anchor.configure({**configs[anchor], "anchor": {"tls": list(listen)}})
        return anchor.cli("reload", should=False)

    def takes(port, address=ANCHOR):
        with contextlib.suppress(OSError), scene.at["laptop"].socket() as sock:
            sock.settimeout(2)
            sock.connect((address, port))
            return True
        return False

    scene.block("laptop")
    scene.up()
    scene.registers("laptop", "tls")
    download = Download(scene)
    download.goes_on("at port 443")
    status, out, err = tls("[::]:443", f"{ANCHOR}:8443")
    check(status == 0 and "restart" not in out + err, f"one more: {out}{err}")
    check(takes(443) and takes(8443), "both are open")
    status, out, err = tls(f"{ANCHOR}:443", f"{ANCHOR}:8443")
    check(status == 0 and takes(443) and takes(8443), f"from every address to one: {out}{err}")
    with scene.at["anchor"].socket() as other:  # somebody else's
        other.bind((ANCHOR, 9443))
        other.listen()
        status, out, err = tls("[::]:443", f"{ANCHOR}:9443")
        check(status != 0 and f"{ANCHOR}:9443" in out + err, f"a port that is taken is told: {out}{err}")
        check(takes(443) and takes(8443), "what was open stays open, also what had made room")
    status, out, err = tls("192.0.2.99:443")
    check(status != 0 and takes(443) and takes(8443), f"an address that is not the machine's: {out}{err}")
    download.goes_on("while the anchor's ports changed")
    status, out, err = tls(f"{ANCHOR}:8443")
    check(status == 0 and not takes(443) and takes(8443), f"one less: {out}{err}")
    download.goes_on("over a connection that was made to a port that is closed now")
    scene.configure_laptop(anchor={"tls_port": 8443})
    scene.node["laptop"].cli("reload")
    download.end()
    laptop.stop()
    laptop.up()
    scene.registers("laptop", "tls")
    scene.says_hello("at the new port")
    anchor.configure({**configs[anchor], "anchor": {}})
    anchor.cli("reload")
    check(not takes(8443), "none is left")
    scene.down()
    for node, config in configs.items():
        node.configure(config)


# ---- a network where nothing gets out but through its proxy

PROXY = "10.77.1.1:3128"


def enclose(scene):
    """laptop reaches the yard, where the proxy is, and nothing behind it."""
    scene.block()
    scene.yard.nft("add rule inet yard forward ip saddr 10.77.1.0/24 drop")


def start_proxy(scene, *lines):
    conf = scene.ground.folder / "tinyproxy.conf"
    address, port = PROXY.split(":")
    conf.write_text("\n".join((f"Port {port}", f"Listen {address}", "Timeout 600", "MaxClients 50", "Allow 10.77.1.0/24", "ConnectPort 443",
                               "LogLevel Connect", *lines)) + "\n")
    proxy = scene.yard.start(["tinyproxy", "-d", "-c", str(conf)], "tinyproxy")

    def listens():
        with contextlib.suppress(OSError), scene.at["laptop"].socket() as sock:
            sock.settimeout(1)
            return sock.connect((address, int(port))) is None
        return False

    until(listens, "tinyproxy listens", 10)
    return proxy


def proxied(scene):
    scene.ground.step("nothing gets out but through an HTTP proxy (tinyproxy)")
    laptop, config = scene.node["laptop"], dict(scene.node["laptop"].config)
    enclose(scene)
    proxy = start_proxy(scene, "BasicAuth ann s3cret")
    scene.up()
    time.sleep(3)
    check(scene.anchor_of("laptop")["state"] != "registered", f"without the proxy there is no way out: {scene.anchor_of('laptop')}")
    scene.configure_laptop(tls_proxy=f"http://ann:wrong@{PROXY}")
    laptop.cli("reload")
    until(lambda: "it says 40" in laptop.log(), "the proxy refuses a wrong password, and the log says so", 30)
    check("wrong" not in laptop.log() and "s3cret" not in laptop.log(), "passwords are in no log")
    scene.configure_laptop(tls_proxy=f"http://ann:s3cret@{PROXY}")
    laptop.cli("reload")
    began = time.monotonic()
    scene.registers("laptop", "tls", 70)
    scene.says_hello("through the proxy")
    check(f"{ANCHOR}:443" in proxy.text(), "the proxy was asked for the anchor")
    scene.ground.step(f"    | through tinyproxy, with a password | registered {time.monotonic() - began:.2f} s after it was told the right one |")
    began = time.monotonic()
    scene.at["laptop"].run("curl", "-sS", "--max-time", 60, "--socks5-hostname", "127.0.0.1:1080", "-o", str(scene.ground.folder / "got"),
                           "http://web.home.demo.p2p/bulk")
    check((scene.ground.folder / "got").read_bytes() == pattern(SIZE), "every byte is right")
    scene.ground.step(f"    | {SIZE >> 20} MB through tinyproxy | {8 * SIZE / (time.monotonic() - began) / 1e6:.0f} Mbit/s |")
    proxy.stop(10)
    until(lambda: scene.serving()["tls"]["open"] == 0, "the proxy is gone, and with it the connection", 20)
    proxy = start_proxy(scene, "BasicAuth ann s3cret")
    scene.registers("laptop", "tls", 70)
    scene.says_hello("through the proxy that is back")
    scene.block()
    scene.registers("laptop", "udp", 45)
    scene.ground.step("    the proxy restarts: connected again; UDP is allowed: left")
    scene.down()
    proxy.stop(10)
    laptop.configure(config)


def proxied_by_environment(scene):
    scene.ground.step("the proxy that the environment names")
    enclose(scene)
    proxy = start_proxy(scene)
    os.environ["https_proxy"] = f"http://{PROXY}"
    try:
        scene.up()
        scene.registers("laptop", "tls", 30)
        scene.says_hello("through the environment's proxy")
        scene.configure_laptop(tls_proxy="none")
        scene.node["laptop"].stop()
        scene.node["laptop"].up()
        time.sleep(4)
        check(scene.anchor_of("laptop")["state"] != "registered", "`none` means none")
    finally:
        del os.environ["https_proxy"]
    scene.down()
    proxy.stop(10)
    config = dict(scene.node["laptop"].config)
    del config["tls_proxy"]
    scene.node["laptop"].configure(config)


def named(scene):
    """Who looks on sees the name that was configured."""
    scene.ground.step("TLS connections say the name that they are told to (SNI)")
    config = dict(scene.node["laptop"].config)
    scene.block("laptop")
    scene.configure_laptop(anchor={"tls_name": "cdn.example"})
    with scene.at["anchor"].socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((ANCHOR, 443))
        listening.listen()
        listening.settimeout(20)
        scene.up("laptop")
        with listening.accept()[0] as sock:
            sock.settimeout(10)
            hello = sock.recv(4096)
    check(hello[0] == 0x16 and b"\x00\x00\x0bcdn.example" in hello, f"the name is in the ClientHello: {hello!r}")
    scene.up("anchor", "home")
    scene.registers("laptop", "tls", 40)
    scene.says_hello("with a name that is another's")
    scene.down()
    scene.node["laptop"].configure(config)


def certificate(scene):
    """The owner's certificate instead of the self-made one: what s_client sees, what is refused, what a reload brings."""
    scene.ground.step("`anchor.certificate` and `anchor.key`")
    anchor, folder = scene.node["anchor"], scene.ground.folder
    before = dict(anchor.config)

    def make(name, *kind, days=30):
        command(["openssl", "req", "-x509", "-nodes", "-newkey", *kind, "-subj", f"/CN={name}.example", "-days", str(days),
                 "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")])
        (folder / f"{name}.key").chmod(0o600)

    def configure(cert, key=None):
        anchor.configure({**before, "anchor": {"tls": "[::]:443", **({"certificate": str(folder / f"{cert}.pem"),
                                                                      "key": str(folder / f"{key or cert}.key")} if cert else {})}})

    def reload(cert, key=None):
        configure(cert, key)
        status, out, err = anchor.cli("reload", should=False)
        return status, out + err

    def shown():
        with scene.at["laptop"]:
            said = subprocess.run(["openssl", "s_client", "-connect", f"{ANCHOR}:443", "-showcerts"], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=20 * PATIENCE, check=False).stdout
        return re.findall(r"s:.*?CN ?= ?([a-z.]+)", said)

    make("one", "rsa:2048")
    make("two", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    command(["openssl", "pkcs8", "-topk8", "-in", str(folder / "one.key"), "-passout", "pass:secret", "-out", str(folder / "locked.key")])
    (folder / "locked.key").chmod(0o600)
    (folder / "chain.pem").write_text((folder / "two.pem").read_text() + (folder / "one.pem").read_text())
    (folder / "empty.pem").write_text("nothing\n")
    (folder / "broken.pem").write_text((folder / "one.pem").read_text().replace("MII", "MIJ", 1))

    scene.block("laptop")
    configure("one")
    scene.up()
    scene.registers("laptop", "tls")
    check(shown() == ["one.example"], f"the owner's certificate: {shown()}")
    for cert, key, why in (("one", "two", "is not the key"), ("two", "one", "is not the key"), ("one", "locked", "passphrase"),
                           ("empty", "one", "certificates in PEM"), ("broken", "one", "certificates in PEM"),
                           ("missing", "one", "no such file"), ("one", "missing", "no such file")):
        status, said = reload(cert, key)
        check(status != 0 and why in said, f"{cert}.pem with {key}.key: {status} {said}")
        status, said = anchor.cli("config", "check", should=False)[0::2]
        check(status != 0 and why in said, f"config check, {cert}.pem with {key}.key: {status} {said}")
        check(shown() == ["one.example"], f"what was there stays: {shown()}")
    anchor.configure({**before, "anchor": {"tls": "[::]:443", "certificate": str(folder / "one.pem")}})
    check("anchor.key" in "".join(anchor.cli("reload", should=False)[1:]), "one without the other")
    scene.ground.step("... replaced by a reload, a chain, the same file renewed; connections go on")
    download = Download(scene)
    download.goes_on("before")
    status, said = reload("chain", "two")
    check(status == 0 and shown() == ["two.example", "one.example"], f"{said} {shown()}")
    (folder / "two.key").chmod(0o644)
    status, said = reload("two")
    check(status == 0 and "chmod 600" in said and shown() == ["two.example"], f"advice, no refusal: {said} {shown()}")
    for suffix in ("pem", "key"):
        (folder / f"two.{suffix}").write_text((folder / f"one.{suffix}").read_text())
    status, said = reload("two")
    check(status == 0 and shown() == ["one.example"], f"renewed at its place: {said} {shown()}")
    status, said = reload(None)
    check(status == 0 and shown() == ["localhost"], f"the self-made one again: {said} {shown()}")
    download.goes_on("over a connection of the first certificate")
    download.end()
    scene.down()
    anchor.configure(before)


def main():
    needs("tinyproxy", "curl", "nft", "openssl", "tc")
    with Ground("carrier") as ground:
        scene = Scene(ground)
        for part in chosen((one_side, both_sides, there_and_back, narrow, strangers, off, reloads, proxied, proxied_by_environment, named, certificate)):
            part(scene)


run(main)
