# SPDX-License-Identifier: MIT
"""A stock WireGuard peer (wireguard-go) with any number of peers, for tests where it is only a peer among others."""
import os
import socket
import struct
import time

from ground import REPLY


class StockNode:
    """address: with its prefix length, like ["10.64.0.9/24", "fd64::9/64"]."""

    def __init__(self, ground, namespace, name, port, address, mtu=1420):
        self.namespace = namespace
        self.name = name
        self.port = port
        self.device = f"pg{name[:4]}{os.getpid()}"[:15]
        self.private = namespace.run("wg", "genkey").strip()
        self.public = namespace.run("wg", "pubkey", input=self.private).strip()
        self.program = namespace.start(["wireguard-go", "-f", self.device], f"wireguard-go-{name}", ready="UAPI listener started",
                                       env={"LOG_LEVEL": "verbose"})
        namespace.ip("link", "set", self.device, "mtu", str(mtu))
        for one in address:
            namespace.ip("addr", "add", one, "dev", self.device, *(["nodad"] if ":" in one else []))
        namespace.ip("link", "set", self.device, "up")
        self.peers = []

    def add_peer(self, public_key, allowed_ips, endpoint=None):
        self.peers += ["[Peer]", f"PublicKey = {public_key}", f"AllowedIPs = {', '.join(allowed_ips)}"]
        self.peers += [f"Endpoint = {endpoint}"] if endpoint else []

    def configure(self):
        lines = ["[Interface]", f"PrivateKey = {self.private}", f"ListenPort = {self.port}", *self.peers]
        self.namespace.run("wg", "setconf", self.device, "/dev/stdin", input="\n".join(lines) + "\n")

    def ping(self, host, size=56, seconds=REPLY):
        return ping(self.namespace, host, size, seconds)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ping(namespace, host, size=56, seconds=REPLY):
    """Is one echo request with so many bytes answered, with the same bytes?"""
    is_v6 = ":" in host
    ident, payload = os.getpid() & 0xffff, os.urandom(size)
    request = struct.pack("!BBHHH", 128 if is_v6 else 8, 0, 0, ident, 1) + payload
    if not is_v6:  # the kernel fills IPv6's in
        request = request[:2] + struct.pack("!H", checksum(request + bytes(size % 2))) + request[4:]
    with namespace.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_RAW,
                          socket.getprotobyname("ipv6-icmp") if is_v6 else socket.IPPROTO_ICMP) as sock:
        sock.sendto(request, (host, 0))
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                packet = sock.recv(65536)
            except TimeoutError:
                break
            reply = packet if is_v6 else packet[(packet[0] & 15) * 4:]
            if reply[0] == (129 if is_v6 else 0) and reply[4:8] == request[4:8] and reply[8:] == payload:
                return True
    return False
