#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What strangers send while a download runs: noise, copies of real traffic, handshakes by the ten thousand.

       laptop                        home                      stranger
      peergate                     peergate                    10.78.0.2, and every address
     10.77.0.1 ------- veth ----- 10.77.0.2                    of 10.80.0.0/16
    socks 1080                    10.78.0.1 ------ veth ------ hsflood
                                  10.79.0.1
                                      |
                                     veth
                                      |
                                  10.79.0.2
                                   tablet, which connects in the middle of it
"""
import json
import os
import random
import re
import socket
import struct
import threading
import time
from ground import BUILD, SANITIZED, Ground, check, needs, run, until
from streams import Download, TcpServer, serve_pattern, socks_connect

PROXY = ("127.0.0.1", 1080)
PORT = 7001
MEGABYTE = 1 << 20
# A sanitizer keeps freed memory back for a while.
GROWTH_MAX = (16 if SANITIZED else 4) * MEGABYTE
FLOOD_RATE, FLOOD_SECONDS = 10000, 8  # for so long at least
BURST_RATE = 100000
COOKIE_REPLY_LEN, INITIATION_LEN, UDP_HEADER = 64, 148, 8
ETH_P_IP = 0x0800


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.laptop_at, self.home_at, self.stranger, self.tablet_at = (
            ground.namespace(name) for name in ("laptop", "home", "stranger", "tablet"))
        ground.veth(self.laptop_at, "10.77.0.1/24", self.home_at, "10.77.0.2/24")
        ground.veth(self.home_at, "10.78.0.1/24", self.stranger, "10.78.0.2/24")
        ground.veth(self.home_at, "10.79.0.1/24", self.tablet_at, "10.79.0.2/24")
        self.home_at.ip("route", "add", "10.80.0.0/16", "via", "10.78.0.2")
        self.laptop, self.home, self.tablet = (ground.node(at, name) for at, name in (
            (self.laptop_at, "laptop"), (self.home_at, "home"), (self.tablet_at, "tablet")))
        TcpServer(self.home_at, ("127.0.0.1", 5), serve_pattern)
        quiet = {"port": PORT, "log": {"level": "info"}}
        self.home.configure({**quiet, "services": {"source": {"local_address": "127.0.0.1:5"}},
                             "peers": [{"name": "laptop", "peer_id": self.laptop.peer_id},
                                       {"name": "tablet", "peer_id": self.tablet.peer_id}]})
        self.laptop.configure({**quiet, "socks": {"listen": "127.0.0.1:1080"},
                               "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": f"10.77.0.2:{PORT}"}]})
        self.tablet.configure({**quiet, "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": f"10.79.0.1:{PORT}"}]})
        memory = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
        for node in (self.home, self.laptop):
            node.up(env=memory)
        self.count_replies()

    def count_replies(self):
        """What home sends to the stranger, cookie replies apart."""
        self.stranger.nft(f"""
            table inet watch {{
                counter cookies {{ }}
                counter others {{ }}
                counter others_of_flood {{ }}
                counter errors {{ }}
                chain in {{
                    type filter hook prerouting priority -300;
                    meta l4proto icmp counter name errors
                    meta l4proto udp udp length {COOKIE_REPLY_LEN + UDP_HEADER} counter name cookies return
                    meta l4proto udp ip daddr 10.80.0.0/16 counter name others_of_flood return
                    meta l4proto udp counter name others
                }}
            }}""")

    def replies(self, name):
        """(packets, bytes)"""
        found = re.search(r"packets (\d+) bytes (\d+)", self.stranger.nft(f"list counter inet watch {name}"))
        return int(found[1]), int(found[2])

    def is_unimpressed(self, why):
        path = self.home.peer("laptop")["path"]["endpoint"]
        check(path == f"10.77.0.1:{PORT}", f"{why}: home sends to {path} now")
        self.download.must_run()


class Capture:
    """Datagrams between laptop and home, as they lie on the cable."""

    def __init__(self, scene, only_from=None):
        self.datagrams = []
        self.only_from = only_from and socket.inet_aton(only_from)
        self.is_over = False
        self.payload = scene.laptop.peer("home")["path"]["payload"]
        self.sock = scene.home_at.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        self.sock.bind(("laptop", ETH_P_IP))
        self.sock.settimeout(0.2)
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def receive(self):
        while not self.is_over and len(self.datagrams) < 20000:
            try:
                packet = self.sock.recv(65536)
            except TimeoutError:
                continue
            header = (packet[0] & 15) * 4
            if packet[9] != socket.IPPROTO_UDP or self.only_from not in (None, packet[12:16]):
                continue
            data = packet[header + 8:]
            # The kernel shows a train as one.
            self.datagrams += [data[at:at + self.payload] for at in range(0, len(data), self.payload)]

    def stop(self):
        self.is_over = True
        self.thread.join()
        self.sock.close()
        return self.datagrams


def send_all(sock, to, datagrams):
    for data in datagrams:
        try:
            sock.sendto(data, to)
        except (ConnectionRefusedError, BlockingIOError):
            pass


def spoof(namespace, source, to, datagrams):
    """From an address and port that somebody else uses."""
    sock = namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for data in datagrams:
        udp = struct.pack(">HHHH", source[1], to[1], 8 + len(data), 0)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 0, 0, 64, 17, 0, socket.inet_aton(source[0]), socket.inet_aton(to[0]))
        sock.sendto(ip + udp + data, to)
    sock.close()


def start(scene):
    scene.ground.step("a download begins; its handshake is captured too")
    capture = Capture(scene) if scene.laptop.peer("home")["path"] else None
    scene.laptop.ping("home")
    first = Capture(scene)
    scene.laptop.cli("reload")
    scene.download = Download(socks_connect(scene.laptop_at, PROXY, "source.home.demo", 5))
    until(lambda: len(first.datagrams) > 200, lambda: f"{len(first.datagrams)} datagrams are captured")
    time.sleep(1)
    scene.captured = first.stop() + (capture.stop() if capture else [])
    scene.rate = scene.download.measure(2)
    scene.ground.step(f"    {scene.rate / 1e6:.0f} MB/s, {len(scene.captured)} datagrams captured")


def noise(scene):
    scene.ground.step("datagrams of every first byte and many lengths")
    dice = random.Random(5)
    sock = scene.stranger.socket(socket.AF_INET, socket.SOCK_DGRAM)
    to = ("10.78.0.1", PORT)
    lengths = [*range(0, 40), 47, 48, 49, 63, 64, 65, 91, 92, 93, 147, 148, 149, 500, 1199, 1200, 1472, 4000, 65507]
    before = scene.home.status()
    for first in range(256):
        head = bytes([first])
        send_all(sock, to, [(head + bytes(3) + dice.randbytes(length))[:length] for length in lengths])
        send_all(sock, to, [(head + dice.randbytes(length))[:length] for length in dice.sample(lengths, 6)])
        if first % 4 == 3:
            time.sleep(0.01)  # or most of it does not get into home's socket
    for suite in range(4):
        send_all(sock, to, [bytes([5, suite, 0, 0]) + dice.randbytes(length) for length in lengths[:-1]])
    def dropped():
        return scene.home.status()["drops"]["malformed"] - before["drops"]["malformed"]
    until(lambda: dropped() > 2000, lambda: f"home counts {dropped()} malformed datagrams of 13,000")
    scene.is_unimpressed("after noise")


def copies(scene):
    scene.ground.step("copies of real traffic: whole, cut, with a bit turned; from a stranger's address and from laptop's own")
    dice = random.Random(6)
    data = dice.sample(scene.captured, min(2000, len(scene.captured)))
    data += [datagram for datagram in scene.captured if len(datagram) in (148, 92, 64)]
    bad = [datagram[:dice.randrange(len(datagram))] for datagram in data]
    for datagram in data:
        turned = bytearray(datagram)
        turned[dice.randrange(len(turned))] ^= 1 << dice.randrange(8)
        bad.append(bytes(turned))
    before = scene.home.status()["drops"]
    sock = scene.stranger.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for datagrams in (data, bad):
        send_all(sock, ("10.78.0.1", PORT), datagrams)
        spoof(scene.laptop_at, ("10.77.0.1", PORT), ("10.77.0.2", PORT), datagrams)
        spoof(scene.home_at, ("10.77.0.2", PORT), ("10.77.0.1", PORT), datagrams)
    until(lambda: all(scene.home.status()["drops"][name] > before[name] for name in ("replay", "auth")),
          lambda: f"home counts replays and false tags: {scene.home.status()['drops']}")
    scene.is_unimpressed("after copies")
    send_again_live(scene, sock, 1)
    scene.is_unimpressed("after live copies")


def send_again_live(scene, sock, seconds):
    """What laptop sends comes from the stranger's address as well; how many bytes."""
    live = Capture(scene, only_from="10.77.0.1")
    sock.setblocking(False)
    sent = count = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        fresh = live.datagrams[sent:sent + 200]
        send_all(sock, ("10.78.0.1", PORT), fresh)
        sent += len(fresh)
        count += sum(map(len, fresh))
        time.sleep(0.001)
    live.stop()
    return count


def hold_back(scene):
    scene.ground.step("a stranger on the way holds laptop's datagrams back and sends them from an address of his own")
    sock = scene.stranger.socket(socket.AF_INET, socket.SOCK_DGRAM)
    before = scene.replies("others")[1]
    scene.home_at.nft("""
        table inet held {
            chain in { type filter hook prerouting priority -300; ip saddr 10.77.0.1 drop; }
        }""")
    sent = send_again_live(scene, sock, 1.5)
    scene.home_at.nft("delete table inet held")
    over = time.monotonic()
    at = scene.download.count()
    until(lambda: scene.download.count() > at + MEGABYTE, "the download goes on after the stranger has left", 5)
    scene.ground.step(f"    on again {time.monotonic() - over:.2f} s after he left; "
                      f"{scene.replies('others')[1] - before} bytes went to him for his {sent}")
    check(scene.replies("others")[1] - before <= 3 * sent + 4000, f"more than three times what he sent ({sent}) went to the stranger")
    until(lambda: scene.home.peer("laptop")["path"]["endpoint"] == f"10.77.0.1:{PORT}", "home sends to laptop again")
    scene.download.must_run()


def silence(scene):
    time.sleep(0.2)
    others, cookies = scene.replies("others"), scene.replies("cookies")
    check(others[0] == 0, f"home sent {others[0]} datagrams ({others[1]} bytes) to a stranger")
    check(cookies[0] == 0, f"home sent {cookies[0]} cookie replies without being under load")


def more_than_any_machine_answers(scene, tool):
    """A burst that fills the queue of handshakes wherever this runs: then, and only then, cookies are asked for."""
    program = scene.stranger.start([tool, "--to", f"10.78.0.1:{PORT}", "--key", scene.home.public_key, "--sources", "10.80.0.0/16",
                                    "--rate", BURST_RATE, "--seconds", 1], "hsburst", ready="ready")
    until(lambda: not program.alive(), "hsflood ends", 20)
    drops = scene.home.status()["drops"]
    scene.ground.step(f"    and {BURST_RATE} a second for 1 s: {drops['cookies_sent']} cookies")
    return drops, json.loads(program.text().splitlines()[-1])


def flood(scene):
    scene.ground.step(f"{FLOOD_RATE} handshakes a second from a /16 of strangers")
    tool = BUILD / "tests" / "tools" / "hsflood"
    check(tool.exists(), f"{tool} is not built")
    calm = scene.download.measure(2)
    memory, descriptors = scene.home.rss(), scene.home.descriptors()
    before, errors_before = scene.home.status()["drops"], scene.replies("errors")[0]
    program = scene.stranger.start([tool, "--to", f"10.78.0.1:{PORT}", "--key", scene.home.public_key, "--sources", "10.80.0.0/16",
                                    "--rate", FLOOD_RATE, "--seconds", 600], "hsflood", ready="ready")
    began = time.monotonic()
    stormy = scene.download.measure(3)
    scene.ground.step(f"    the download: {calm / 1e6:.0f} MB/s before, {stormy / 1e6:.0f} MB/s under it")
    peak = scene.home.rss()

    begin = time.monotonic()
    scene.tablet.up()
    until(lambda: scene.tablet.ping("home", 1)[1] == 1, "tablet, known to home, reaches it through the flood", 5)
    took = time.monotonic() - begin
    during = scene.home.status()["drops"]
    check(program.alive(), "tablet connected only after the flood")
    time.sleep(max(0, began + FLOOD_SECONDS - time.monotonic()))
    peak = max(peak, scene.home.rss())
    program.stop()
    lasted = time.monotonic() - began
    said = json.loads(program.text().splitlines()[-1])
    scene.ground.step(f"    tablet was connected after {took:.2f} s; {said['sent']} handshakes sent in {lasted:.0f} s, {said['failed']} not; "
                      f"memory {memory >> 20} -> {peak >> 20} MB; {during['cookies_sent']} cookies")
    after = scene.home.status()["drops"]
    check(said["sent"] > 0.1 * FLOOD_RATE * lasted, f"hsflood managed {said} in {lasted:.0f} s: no flood")
    check(peak - memory < GROWTH_MAX, f"home grew from {memory >> 10} to {peak >> 10} KB")
    check(scene.home.descriptors() <= descriptors + 2, f"home has {scene.home.descriptors()} descriptors open, {descriptors} before")
    check(stormy > 0.1 * calm, f"the download went at {stormy / 1e6:.0f} MB/s under the flood, {calm / 1e6:.0f} before")
    after, burst = more_than_any_machine_answers(scene, tool)
    said["sent"] += burst["sent"]
    check(after["cookies_sent"] > before["cookies_sent"], f"home asked for no cookies: {after}")
    cookies, others, errors = (scene.replies(name) for name in ("cookies", "others_of_flood", "errors"))
    check(others[0] == 0, f"home sent {others[0]} other datagrams ({others[1]} bytes) to strangers")
    check(errors[0] == errors_before, f"home sent {errors[0] - errors_before} ICMP errors to strangers")
    check(cookies[1] <= said["sent"] * (INITIATION_LEN + 28), f"{cookies[1]} bytes went to strangers for {said['sent']} handshakes")
    scene.is_unimpressed("after the flood")
    at = scene.download.count()
    until(lambda: scene.download.count() > at + scene.rate / 5, "the download recovers after the flood")
    check(len(scene.home.status()["peers"]) == 2, "strangers became peers")


def main():
    needs("nft", "ip")
    with Ground("strangers") as ground:
        scene = Scene(ground)
        for part in (start, noise, copies, silence, hold_back, flood):
            part(scene)
        scene.download.stop()


run(main)
