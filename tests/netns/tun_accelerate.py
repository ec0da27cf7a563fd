#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tun.accelerate: what the kernel sends into the TUN by TCP goes on as a flow to the peer's service; all else stays packets.

      laptop                            home
   TUN, accelerate                    TUN
   10.77.0.1/24 -------- veth ------- 10.77.0.2/24
   10.78.0.1/24 -- linkem: 40 ms, --- 10.78.0.2/24     for what losses cost
                   0.5 % lost
   10.64.0.1, fd64::1 =============== 10.64.0.2, fd64::2
                                      10.9.0.1 on lo: a subnet behind it
   stock (wireguard-go) 10.79.0.2, 10.64.0.9
"""
import errno
import os
import socket
import subprocess
import time
from ground import BUILD, REPLY, Ground, check, needs, run, until
from stock import StockNode
from streams import TcpServer, UdpEcho, Web, pattern, receive_all, receive_exactly, send_pattern, serve_digest, serve_echo, serve_pattern
from tunlab import answers

PORT = 7001
LAPTOP, LAPTOP6, HOME, HOME6, STOCK, SUBNET = "10.64.0.1", "fd64::1", "10.64.0.2", "fd64::2", "10.64.0.9", "10.9.0.1"
MEGABYTE = 1 << 20
LINKEM = str(BUILD / "tests/tools/linkem")


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.a, self.b, self.c = (ground.namespace(name) for name in ("laptop", "home", "stock"))
        ground.veth(self.a, "10.77.0.1/24", self.b, "10.77.0.2/24")
        ground.veth(self.a, "10.79.0.1/24", self.c, "10.79.0.2/24")
        self.b.ip("addr", "add", f"{SUBNET}/32", "dev", "lo")
        self.laptop, self.home = ground.node(self.a, "laptop"), ground.node(self.b, "home")
        self.stock = StockNode(ground, self.c, "stock", 51801, [f"{STOCK}/16"])
        self.stock.add_peer(self.laptop.public_key, [f"{LAPTOP}/32"], f"10.79.0.1:{PORT}")
        self.stock.configure()
        Web(self.b, ("127.0.0.1", 8000))
        TcpServer(self.b, ("127.0.0.1", 7), serve_echo)
        TcpServer(self.b, ("127.0.0.1", 8), serve_digest)
        TcpServer(self.b, ("127.0.0.1", 9), serve_pattern)
        TcpServer(self.b, ("0.0.0.0", 8003), serve_echo)  # nobody's service
        TcpServer(self.c, ("0.0.0.0", 7), serve_echo)
        TcpServer(self.a, ("0.0.0.0", 8004), serve_echo)
        UdpEcho(self.b, ("0.0.0.0", 9003))
        self.configure()
        self.home.up()
        self.laptop.up()
        until(lambda: self.laptop.is_established("home"), "they are connected")
        until(lambda: answers(self.a, HOME), "a ping")

    def configure(self, accelerate=True, endpoint="10.77.0", expose="host"):
        self.laptop.configure({
            "port": PORT, "address": [f"{LAPTOP}/16", f"{LAPTOP6}/64"], "expose": "host",
            "tun": {"enabled": True, "accelerate": accelerate},
            "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": f"{endpoint}.2:{PORT}", "tunnel_ip": [HOME, HOME6],
                       "allowed_ips": [f"{SUBNET}/32"], "eager": True},
                      {"name": "stock", "public_key": self.stock.public, "endpoint": "10.79.0.2:51801", "allowed_ips": [f"{STOCK}/32"]}]})
        services = {name: {"local_address": f"127.0.0.1:{port}"}
                    for name, port in (("web", 8000), ("echo", 7), ("digest", 8), ("pattern", 9), ("down", 4))}
        self.home.configure({
            "port": PORT, "address": [f"{HOME}/16", f"{HOME6}/64"], "expose": expose, "services": services,
            "tun": {"enabled": True, "subnets": f"{SUBNET}/32"},
            "peers": [{"name": "laptop", "peer_id": self.laptop.peer_id, "tunnel_ip": [LAPTOP, LAPTOP6]}]})

    def count(self):
        return self.laptop.status()["netstack"]["accelerated"]


def connect(namespace, host, port, seconds=REPLY):
    """A socket, or the error's number."""
    sock = namespace.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.settimeout(seconds)
    try:
        sock.connect((host, port))
    except TimeoutError:
        return errno.ETIMEDOUT
    except OSError as error:
        return error.errno
    return sock


def expect_echo(sock, why):
    check(isinstance(sock, socket.socket), f"{why}: {os.strerror(sock) if isinstance(sock, int) else sock}")
    with sock:
        sock.sendall(b"hello")
        check(receive_exactly(sock, 5) == b"hello", f"{why}: no echo")


def curl(namespace, url, *words):
    with namespace:
        done = subprocess.run(["curl", "-gsS", "--max-time", str(4 * REPLY), *words, url], capture_output=True)
    return done.stdout if done.returncode == 0 else f"curl: {done.returncode}: {done.stderr.decode().strip()}"


def digest_of(count):
    import hashlib
    return f"{count} {hashlib.sha256(pattern(count)).hexdigest()}"


def travels_as_flows(scene):
    scene.ground.step("curl by address, IPv4 and IPv6: each connection is a flow, and no packet of it is in the tunnel")
    until(lambda: scene.laptop.peer("home")["state"] == "established", "established")
    before, peer = scene.count(), scene.laptop.status()["tun"]
    for host in (HOME, f"[{HOME6}]"):
        got = curl(scene.a, f"http://{host}:8000/3000000")
        check(got == pattern(3000000), f"curl {host}: {got if isinstance(got, str) else f'{len(got)} other bytes'}")
    after = scene.count()
    check(after["flows"] == before["flows"] + 2, f"that were {after['flows'] - before['flows']} flows")
    check(after["by_packets"] == before["by_packets"], "some went by packets")
    until(lambda: scene.count()["open"] == 0, "nothing is left of them")
    check(scene.home.status()["netstack"]["packets_in"] == 0, "home's netstack got packets of it")
    check(peer is not None, "no counters of the TUN")


def both_ways(scene):
    scene.ground.step("an upload that ends with a half-close, and a download, 64 MB each; both checked")
    with connect(scene.a, HOME, 8) as sock:
        sock.settimeout(4 * REPLY)
        send_pattern(sock, 64 * MEGABYTE)
        sock.shutdown(socket.SHUT_WR)
        got = receive_all(sock).decode()
    check(got == digest_of(64 * MEGABYTE), f"an upload, half-closed: {got}")
    got = curl(scene.a, f"http://{HOME}:8000/{64 * MEGABYTE}")
    check(got == pattern(64 * MEGABYTE), f"a download: {got if isinstance(got, str) else f'{len(got)} other bytes'}")


def refuses(scene):
    scene.ground.step("a service that is down: refused at once; one that is not listed: by packets, as the far end exposes it")
    before = scene.count()
    check(connect(scene.a, HOME, 4) == errno.ECONNREFUSED, "a service that is down")
    check(scene.count()["refused"] == before["refused"] + 1, "it is not counted")
    expect_echo(connect(scene.a, HOME, 8003), "a port that is not listed, of a host that is exposed")
    check(connect(scene.a, HOME, 8005) == errno.ECONNREFUSED, "a port where nobody listens")
    check(scene.count()["by_packets"] == before["by_packets"] + 2, "what is not listed was not left to packets")
    asked = scene.home.status()["service_flows"]["not_listed"]
    for _ in range(20):
        expect_echo(connect(scene.a, HOME, 8003), "again")
    check(scene.home.status()["service_flows"]["not_listed"] == asked, "home is asked again and again for what it does not list")
    check(scene.count()["by_packets"] == before["by_packets"] + 22 and scene.count()["flows"] == before["flows"], f"{scene.count()} after {before}")
    scene.configure(expose="services")
    scene.home.cli("reload")
    check(connect(scene.a, HOME, 8003) == errno.ECONNREFUSED, "a port that is neither listed nor exposed")
    expect_echo(connect(scene.a, HOME, 7), "what is listed")
    scene.configure()
    scene.home.cli("reload")


def stays_packets(scene):
    scene.ground.step("subnets, a stock peer, UDP, pings, and what the other side begins: packets as before")
    before = scene.count()
    expect_echo(connect(scene.a, SUBNET, 8003), "a subnet behind home")
    expect_echo(connect(scene.a, STOCK, 7), "a stock peer")
    expect_echo(connect(scene.b, LAPTOP, 8004), "what home begins")
    with scene.a.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(REPLY)
        sock.sendto(b"datagram", (HOME, 9003))
        check(sock.recv(100) == b"echo:datagram", "UDP")
    until(lambda: answers(scene.a, HOME), "no answer to a ping")
    check(scene.count() == before, f"{scene.count()} after {before}")


def ends(scene):
    scene.ground.step("resets go through; a reader that stops, stops the sender; a reload switches it, and open ones go on")
    line = connect(scene.a, HOME, 7)
    line.sendall(b"1")
    check(receive_exactly(line, 1) == b"1", "no echo")
    slow = connect(scene.a, HOME, 9)
    time.sleep(1)
    first = scene.home.status()["memory"]
    scene.configure(accelerate=False)
    scene.laptop.cli("reload")
    before = scene.count()
    expect_echo(connect(scene.a, HOME, 8003), "by packets")
    check(scene.count()["flows"] == before["flows"] and scene.count()["by_packets"] == before["by_packets"], "it is still on")
    line.sendall(b"2")
    check(receive_exactly(line, 1) == b"2", "an open one ended")
    check(first is not None and len(receive_exactly(slow, MEGABYTE)) == MEGABYTE, "the slow one got nothing")
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    slow.close()
    until(lambda: scene.count()["open"] == 1, "the reset one is gone")
    scene.configure()
    scene.laptop.cli("reload")
    scene.home.stop()
    line.settimeout(2 * REPLY)
    try:
        check(line.recv(1) == b"", "it lives without its peer")
    except ConnectionResetError:
        pass
    line.close()
    until(lambda: scene.count()["open"] == 0, "all are gone")
    scene.home.up()
    until(lambda: scene.laptop.is_established("home"), "they are connected again", 20)
    expect_echo(connect(scene.a, HOME, 7), "after the peer's restart")


def download(scene, size):
    began = time.monotonic()
    got = curl(scene.a, f"http://{HOME}:8000/{size}")
    check(got == pattern(size), f"over the lossy link: {got if isinstance(got, str) else f'{len(got)} other bytes'}")
    return size * 8 / (time.monotonic() - began) / 1e6


def on_a_lossy_link(scene):
    emulator = scene.a.start([LINKEM, "--delay", "20", "--rate", "200", "--loss", "0.5",
                              f"{scene.a.name},lossy,10.78.0.1/24", f"{scene.b.name},lossy,10.78.0.2/24"], "linkem", ready='"ready": true')
    figures = {}
    for accelerate in (False, True):
        scene.laptop.stop(), scene.home.stop()
        scene.configure(accelerate=accelerate, endpoint="10.78.0")
        scene.home.up(), scene.laptop.up()
        until(lambda: scene.laptop.is_established("home"), "they are connected")
        download(scene, 1000)
        figures[accelerate] = download(scene, 8 * MEGABYTE)
    emulator.stop()
    scene.ground.step(f"0.5 % lost, 40 ms: {figures[False]:.1f} Mbit/s as packets, {figures[True]:.1f} as a flow")
    return figures


def measure():
    """{is accelerated: Mbit/s} over the lossy link."""
    with Ground("accel") as ground:
        return on_a_lossy_link(Scene(ground))


def test():
    needs("ip", "curl", "wireguard-go", "wg")
    with Ground("accel") as ground:
        scene = Scene(ground)
        travels_as_flows(scene)
        both_ways(scene)
        refuses(scene)
        stays_packets(scene)
        ends(scene)
        on_a_lossy_link(scene)


if __name__ == "__main__":
    run(test)
