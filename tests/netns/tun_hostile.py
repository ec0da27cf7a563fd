#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A peer that seals whatever it likes: sources that are not its own, martians, lengths that lie, options, fragments that overlap, and noise. Home's kernel gets packets that are whole, from that
peer's addresses, to home's own; and both a service for the kernel and one for the netstack go on.

     stock (wireguard-go)                 home (TUN)
   10.79.0.1 -------- veth -------- 10.79.0.2
   10.64.0.9, fd64::9               10.64.0.1, fd64::1: echo 7 (the kernel's) and 8 (localhost's)
"""
import random
import select
import socket
import struct
import time
from ground import Ground, check, needs, run, until
from stock import StockNode, checksum
from streams import Line, TcpServer, serve_echo

HOME, HOME6, STOCK, STOCK6, OTHER, OTHER6 = "10.64.0.1", "fd64::1", "10.64.0.9", "fd64::9", "10.64.0.5", "fd64::5"
V4, V6, INCOMING = 0x0800, 0x86dd, 0
NOISE = 4000


def ipv4(payload=b"", source=STOCK, to=HOME, protocol=17, options=b"", length=None, version=4, words=None, ident=1, fragment=0):
    words = 5 + len(options) // 4 if words is None else words
    length = 20 + len(options) + len(payload) if length is None else length
    head = struct.pack("!BBHHHBBH4s4s", version << 4 | words, 0, length, ident, fragment, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(to)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(payload=b"", source=STOCK6, to=HOME6, following=17, length=None):
    return struct.pack("!IHBB", 6 << 28, len(payload) if length is None else length, following, 64) + \
        socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to) + payload


def udp(data=b"hostile", length=None):
    return struct.pack("!HHHH", 4000, 9, 8 + len(data) if length is None else length, 0) + data


def tcp(flags=2, port=7, words=5):
    return struct.pack("!HHIIBBHHH", 4000, port, 1, 0, words << 4, flags, 65535, 0, 0)


def echo(kind=8):
    message = struct.pack("!BBHHH", kind, 0, 0, 1, 1) + b"hostile!"
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


# What must never get to the kernel.
FOREIGN = [OTHER, HOME, "10.79.0.2", "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "169.254.1.1", "8.8.8.8"]
FOREIGN6 = [OTHER6, HOME6, "::1", "::", "ff02::1", "fe80::1", "::ffff:10.64.0.9", "2001:db8::1"]
ELSEWHERE = [OTHER, "10.79.0.2", "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "10.64.255.255", "8.8.8.8"]
ELSEWHERE6 = [OTHER6, "::1", "::", "ff02::1", "fe80::1"]
WRONG = {
    "nothing": b"\x45", "half a header": ipv4(udp())[:19], "version 0": ipv4(udp(), version=0), "version 7": ipv4(udp(), version=7), "a header of 4 words": ipv4(udp(), words=4),
    "a header of 15 words in 28 bytes": ipv4(udp(b""), words=15), "longer than it is": ipv4(udp(), length=1000), "shorter than its header": ipv4(udp(), length=19),
    "length 0": ipv4(udp(), length=0), "TCP with 4 words": ipv4(tcp(words=4), protocol=6), "TCP with 15 words in 20 bytes": ipv4(tcp(words=15), protocol=6),
    "half a TCP header": ipv4(tcp()[:10], protocol=6), "half a UDP header": ipv4(udp()[:4]),
    "half an IPv6 header": ipv6(udp())[:39], "IPv6, longer than it is": ipv6(udp(), length=1000), "IPv6, half a TCP header": ipv6(tcp()[:10], following=6),
    "an extension that goes on beyond the end": ipv6(b"\x11\xff" + bytes(6), following=0), "half an extension": ipv6(b"\x11", following=60),
    "half a fragment header": ipv6(b"\x11\0\0", following=44),
    "a second piece within the TCP header": ipv4(tcp()[8:], protocol=6, fragment=1), "a fragment beyond 64 KB": ipv4(bytes(64), fragment=0x1fff),
}
# What is odd, and may get to the kernel or not.
ODD = [
    ipv4(echo(), protocol=1, options=b"\x83\x07\x04" + socket.inet_aton(OTHER) + b"\0"),  # a loose source route
    ipv4(echo(), protocol=1, options=b"\x44\x28\x05\0" + bytes(36)), ipv4(echo(), protocol=1, options=b"\x07\x27\x04" + bytes(37)), ipv4(echo(), protocol=1, options=b"\x94\x04\0\0"),
    ipv4(echo(), protocol=1, options=b"\x07\x00\x04\0"), ipv4(echo(), protocol=1, options=b"\x07\xff\x04\0"), ipv4(udp(length=7)), ipv4(udp(length=1000)), ipv4(b"", protocol=255),
    ipv4(tcp(0), protocol=6), ipv4(tcp(0xff), protocol=6), ipv4(tcp(3), protocol=6), ipv4(tcp(6), protocol=6),
    *(ipv4(echo(kind), protocol=1) for kind in (0, 3, 4, 5, 9, 10, 13, 17)), ipv4(b"\x08", protocol=1),
    *(ipv6(struct.pack("!BBHI", kind, 0, 0, 0) + bytes(16), following=58) for kind in (1, 2, 3, 129, 130, 133, 134, 135, 136, 137)), ipv6(b"\x80", following=58),
    ipv6(b"\x3b\0\x01\x04\0\0\0\0" + udp(), following=0), ipv6(b"\x11\x02\0\x01" + bytes(20) + udp(), following=43), ipv6(udp(), following=59),
    ipv6(b"\x3c\0\x01\x04\0\0\0\0" * 40 + udp(), following=60), ipv6(b"\x11\0\0\x01\0\0\0\x01" + udp(), following=44), ipv6(b"\x11\0\xff\xf9\0\0\0\x01" + bytes(64), following=44),
    *(ipv4(bytes(64), ident=9, fragment=at) for at in (0x2000, 0x2004, 0x2002, 0x0001, 0x3fff)), ipv4(udp(bytes(16)), ident=10, fragment=0x2000), ipv4(tcp(port=8), protocol=6, ident=11, fragment=0x2000),
]


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.stock_at, self.home_at = ground.namespace("stock"), ground.namespace("home")
        ground.veth(self.stock_at, "10.79.0.1/24", self.home_at, "10.79.0.2/24")
        self.home = ground.node(self.home_at, "home")
        self.stock = StockNode(ground, self.stock_at, "stock", 51801, [f"{STOCK}/24", f"{STOCK6}/64"])
        self.stock.add_peer(self.home.public_key, ["0.0.0.0/0", "::/0"], "10.79.0.2:7001")
        self.stock.configure()
        TcpServer(self.home_at, ("0.0.0.0", 7), serve_echo)
        TcpServer(self.home_at, ("127.0.0.1", 8), serve_echo)
        self.home.configure({"port": 7001, "address": [f"{HOME}/16", f"{HOME6}/64"], "tun": {"enabled": True},
                             "services": {"kernel": {"local_address": "0.0.0.0:7"}, "stack": {"local_address": "127.0.0.1:8"}},
                             "peers": [{"name": "stock", "public_key": self.stock.public, "allowed_ips": [f"{STOCK}/32", f"{STOCK6}/128"]},
                                       {"name": "other", "public_key": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=", "tunnel_ip": [OTHER, OTHER6]}]})
        self.home.up()
        until(lambda: self.stock.ping(HOME, seconds=1), "a ping through the tunnel")
        self.out = self.stock_at.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        self.seen = self.home_at.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.seen.bind(("peer0", 3))
        self.seen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)

    def send(self, packet):
        kind = V6 if packet[0] >> 4 == 6 else V4
        try:
            self.out.sendto(packet, (self.stock.device, kind))
        except OSError:
            time.sleep(0.001)  # its queue is full

    def arrived(self, seconds=0.5):
        """What came into home's kernel, until it has been quiet for so long."""
        packets = []
        while select.select([self.seen], [], [], seconds)[0]:
            packet, at = self.seen.recvfrom(65536)
            if at[2] == INCOMING:
                packets.append(packet)
        return packets

    def lives(self):
        check(self.stock.ping(HOME), "no answer to a ping")
        check(self.stock.ping(HOME6), "no answer to a ping over IPv6")
        for port in (7, 8):
            Line(self.stock_at, port, HOME).sock.close()
        self.arrived()


def is_whole(packet):
    """From the peer to home, with lengths that hold."""
    if packet[0] >> 4 == 6:
        return len(packet) == 40 + struct.unpack("!H", packet[4:6])[0] and packet[8:24] == socket.inet_pton(socket.AF_INET6, STOCK6) and \
            packet[24:40] == socket.inet_pton(socket.AF_INET6, HOME6)
    return packet[0] >> 4 == 4 and len(packet) == struct.unpack("!H", packet[2:4])[0] and packet[0] & 15 >= 5 and packet[12:16] == socket.inet_aton(STOCK) and \
        packet[16:20] == socket.inet_aton(HOME)


def dropped(scene):
    status = scene.home.status()
    return {"inner": status["drops"]["inner"], "foreign": status["netstack"]["foreign"], "lanes": sum(lane["dropped_inner"] for lane in status["lanes"])}


def must_not_pass(scene):
    scene.ground.step("sources that are not the peer's, destinations that are not home's, headers that lie: none gets to the kernel, all are counted")
    packets = {f"from {source}": ipv4(echo(), source=source, protocol=1) for source in FOREIGN} | \
        {f"from {source}": ipv6(udp(), source=source) for source in FOREIGN6} | \
        {f"to {to}": ipv4(echo(), to=to, protocol=1) for to in ELSEWHERE} | {f"to {to}": ipv6(udp(), to=to) for to in ELSEWHERE6} | WRONG
    before = dropped(scene)
    for what, packet in packets.items():
        scene.send(packet)
        got = scene.arrived(0.05)
        check(not got, f"{what}: the kernel got {[one.hex() for one in got]}")
    until(lambda: sum(dropped(scene).values()) > sum(before.values()), "it is counted")
    scene.ground.step(f"    {len(packets)} of them; counted: {({name: count - before[name] for name, count in dropped(scene).items()})}")
    scene.lives()


def odd(scene):
    scene.ground.step("options, flags, extension headers, fragments that overlap, control messages")
    for packet in ODD * 20:
        scene.send(packet)
    got = scene.arrived()
    wrong = [packet.hex() for packet in got if not is_whole(packet)]
    check(not wrong, f"the kernel got {wrong[:3]}")
    scene.lives()


def noise(scene):
    seed = random.randrange(1 << 30)
    scene.ground.step(f"{NOISE} of all these with bytes changed, cut off and added (seed {seed})")
    chance = random.Random(seed)
    base = [*ODD, *WRONG.values(), ipv4(tcp(), protocol=6), ipv4(udp()), ipv6(tcp(), following=6), ipv6(udp())]
    count, wrong = 0, []
    for number in range(NOISE):
        packet = bytearray(chance.choice(base) + bytes(chance.choice((0, 0, 0, 1, 100, 1200))))
        for _ in range(chance.randrange(1, 5)):
            packet[chance.choice((chance.randrange(len(packet)), chance.randrange(min(len(packet), 8))))] = chance.randrange(256)
        packet = packet[:chance.choice((len(packet), len(packet), chance.randrange(1, len(packet) + 1)))]
        scene.send(bytes(packet))
        if number % 100 == 99:
            got = scene.arrived(0.02)
            count += len(got)
            wrong += [one.hex() for one in got if not is_whole(one)]
    got = scene.arrived()
    check(not wrong and all(is_whole(one) for one in got), f"the kernel got {wrong[:3]}")
    scene.ground.step(f"    {count + len(got)} whole ones got to the kernel")
    scene.lives()


def test():
    needs("wireguard-go", "wg")
    with Ground("tunhostile") as ground:
        scene = Scene(ground)
        for part in (must_not_pass, odd, noise):
            part(scene)
        scene.home.stop()


run(test)
