#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two nodes whose owners, files or clocks do not agree: each time a person is told what is wrong, once, and where.

          laptop                            home
        10.77.0.1 --------- veth ---------- 10.77.0.2    echo 7
        socks 1080, port 7001               port 7001
"""
import datetime
import re
import subprocess
import time
from ground import PATIENCE, PEERGATE, Ground, check, chosen, run, until
from streams import TcpServer, serve_echo, socks_connect, socks_request


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.laptop_at, self.home_at = ground.namespace("laptop"), ground.namespace("home")
        ground.veth(self.laptop_at, "10.77.0.1/24", self.home_at, "10.77.0.2/24")
        self.laptop, self.home = ground.node(self.laptop_at, "laptop"), ground.node(self.home_at, "home")
        TcpServer(self.home_at, ("127.0.0.1", 7), serve_echo)
        self.configure_home()
        self.configure_laptop()

    def configure_home(self, **changes):
        self.home.configure({"port": 7001, "services": {"echo": {"local_address": "127.0.0.1:7"}},
                             "peers": [{"name": "laptop", "peer_id": self.laptop.peer_id, "endpoint": "10.77.0.1:7001"}], **changes})

    def configure_laptop(self, **changes):
        self.laptop.configure({"port": 7001, "socks": {"listen": "127.0.0.1:1080"},
                               "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": "10.77.0.2:7001"}], **changes})

    def nc(self, *words, data=b"hello", seconds=30 * PATIENCE):
        """(exit status, stdout, stderr)"""
        with self.laptop_at:
            done = subprocess.run([PEERGATE, "--dir", str(self.laptop.dir), "nc", *words], input=data, capture_output=True, timeout=seconds)
        return done.returncode, done.stdout, done.stderr.decode()

    def expect_echo(self, when):
        status, out, err = self.nc("home", "echo")
        check((status, out) == (0, b"hello"), f"{when}: nc to echo gave {status}, {out!r}, {err}")

    def up(self):
        for node in (self.home, self.laptop):
            if not node.daemon:
                node.up()

    def stop(self):
        self.laptop.stop()
        self.home.stop()


def seal(scene):
    scene.ground.step("seal: required here, forbidden there")
    scene.up()
    scene.expect_echo("at first")
    if scene.laptop.peer("home")["seal"] == "chacha20-poly1305":
        scene.ground.step("    skipped: this machine has no hardware for a fast seal")
        scene.stop()
        return
    scene.stop()
    scene.configure_home(seal="required")
    scene.configure_laptop(seal="forbidden")
    scene.up()
    began = time.monotonic()
    status, out, err = scene.nc("home", "echo")
    check(status == 1 and not out and "do not agree on `seal`" in err, f"nc: {status}, {out!r}, {err}")
    scene.ground.step(f"    nc is told so after {time.monotonic() - began:.1f} s")
    code, _, sock = socks_request(scene.laptop_at, ("127.0.0.1", 1080), 1, "echo.home.demo.p2p", 7)
    sock.close()
    check(code == 1, f"the proxy answers {code}")
    scene.laptop.logged("echo.home.demo.p2p port 7: this node and the peer do not agree on `seal`")
    page = scene.laptop_at.run("curl", "-sS", "--noproxy", "", "-x", "http://127.0.0.1:1080", "http://echo.home.demo.p2p:7/")
    check("502" in page and "do not agree on `seal`" in page, f"the HTTP answer: {page}")
    for node, peer, code, sentence in ((scene.laptop, "home", "demanded", "`seal: required` for this node there, but `seal: forbidden` for it here"),
                                       (scene.home, "laptop", "not-offered", "`seal: required` for it here, but it offers none: `seal: forbidden` there")):
        found = node.peer(peer)
        check(found["state"] == "established" and found["seal_conflict"]["code"] == code, f"{node.name}: {found}")
        text = node.cli("status")
        check(re.search(rf"^{peer} +no seal ", text, re.M), f"{node.name}: {text}")
        check(f"{peer}: nothing passes: {sentence}" in text, f"{node.name}: {text}")
        warning = f"{peer}: nothing passes: {sentence}"
        check(node.log().count(warning) == 1, f"{node.name} logs it {node.log().count(warning)} times")
    status, out, _ = scene.laptop.cli("ping", "-c1", "home", should=False)
    check(status == 1 and "(no seal)" in out, f"ping: {status}, {out}")
    status, _, err = scene.laptop.cli("services", "home", should=False)
    check(status == 1 and "do not agree on `seal`" in err, f"services: {status}, {err}")

    scene.ground.step("    until one of them gives in: a reload is enough")
    scene.configure_laptop()
    scene.laptop.cli("reload")
    until(lambda: not scene.laptop.peer("home")["seal_conflict"] and not scene.home.peer("laptop")["seal_conflict"], "both agree")
    scene.expect_echo("agreed")
    check(scene.laptop.peer("home")["seal"] != "chacha20-poly1305", "no fast seal though home requires it")
    socks_connect(scene.laptop_at, ("127.0.0.1", 1080), "echo.home.demo.p2p", 7).close()
    scene.stop()
    scene.configure_home()


def rights(scene):
    scene.ground.step("a peer of the configuration whose line expires while it is connected")
    home, laptop = scene.home, scene.laptop
    scene.up()
    held = socks_connect(scene.laptop_at, ("127.0.0.1", 1080), "echo.home.demo.p2p", 7)
    scene.expect_echo("before it expires")
    soon = datetime.datetime.fromtimestamp(time.time() + 4, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    home.cli("authorize", laptop.peer_id, "--expires", soon)
    home.cli("reload")
    until(lambda: home.status()["peers"] == [], "home forgets laptop", every=0.1)
    sentence = "laptop: is refused like a stranger: it has a right that has expired"
    check(home.status()["refused_peers"][0]["reason"]["code"] == "expired", f"status: {home.status()['refused_peers']}")
    check(sentence in home.cli("status"), f"status prints: {home.cli('status')}")
    expect_shut_out(scene, held)
    expect_silence(scene)
    check(home.log().count(sentence) == 1, f"home logs it {home.log().count(sentence)} times")

    scene.ground.step("    authorized again by a reload, and deauthorized")
    home.cli("authorize", laptop.peer_id, "--services", "echo")
    home.cli("reload")
    home.logged("laptop: may connect again")
    until(lambda: laptop.ping("home")[1] == 1, "laptop is let in again", 30)
    check(laptop.peer("home")["shut_out"] is None, f"let in again: {laptop.peer('home')}")
    scene.expect_echo("authorized again")
    held = socks_connect(scene.laptop_at, ("127.0.0.1", 1080), "echo.home.demo.p2p", 7)
    check("revoked" in home.cli("deauthorize", laptop.peer_id), "deauthorize does not revoke one of `peers`")
    home.cli("reload")
    check(home.status()["peers"] == [] and home.status()["refused_peers"][0]["reason"]["code"] == "revoked", "deauthorized")
    check("it has had its right revoked" in home.cli("status"), f"status prints: {home.cli('status')}")
    expect_shut_out(scene, held)
    expect_silence(scene)
    scene.stop()
    home.up()
    check(home.status()["peers"] == [], "a restart lets a revoked peer in")
    home.cli("authorize", laptop.peer_id)
    home.stop()


def expect_shut_out(scene, held):
    """laptop was told, so nobody there waits for home."""
    laptop = scene.laptop
    held.settimeout(10)
    try:
        check(held.recv(1) == b"", "a connection of before goes on")
    except ConnectionResetError:
        pass
    held.close()
    code, _, sock = socks_request(scene.laptop_at, ("127.0.0.1", 1080), 1, "echo.home.demo.p2p", 7, seconds=10)
    sock.close()
    check(code == 2, f"the proxy answers {code}")
    laptop.logged("echo.home.demo.p2p port 7: the peer does not list this node, or not any more")
    page = scene.laptop_at.run("curl", "-sS", "--noproxy", "", "-x", "http://127.0.0.1:1080", "http://echo.home.demo.p2p:7/")
    check("403" in page and "does not list this node" in page, f"the HTTP answer: {page}")
    status, out, err = scene.nc("home", "echo")
    check(status == 1 and not out and "does not list this node" in err, f"nc: {status}, {out!r}, {err}")
    found = laptop.peer("home")
    check(found["state"] != "established" and "ended the session" in found["shut_out"]["text"], f"status: {found}")
    text = laptop.cli("status")
    check(re.search(r"^home +shut out ", text, re.M) and "home: it has ended the session" in text, f"status: {text}")
    text = laptop.cli("why", "home")
    check("home: it has ended the session" in text and "authorize" in text, f"why: {text}")
    laptop.logged("home: it has ended the session: it does not list this node's key, or not any more")


def expect_silence(scene):
    """Whatever laptop sends, home says nothing to it, and gives up its session."""
    before = scene.home.status()["link"]["datagrams_sent"]
    answered = scene.laptop.ping("home", 2, 0.2)[1]
    after = scene.home.status()["link"]
    check(answered == 0 and after["datagrams_sent"] == before, f"{answered} pings answered, {after['datagrams_sent'] - before} datagrams sent")


def main():
    with Ground("disagree") as ground:
        scene = Scene(ground)
        for part in chosen([seal, rights]):
            part(scene)


run(main)
