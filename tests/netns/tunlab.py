# SPDX-License-Identifier: MIT
"""What the tests of the TUN share: pings of any size with and without DF, transfers of which every byte is looked at, and what of a namespace's network
set-up is there."""
import os
import socket
import struct
import threading
import time

from ground import REPLY, check

IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_DO, IP_PMTUDISC_PROBE = 10, 0, 2, 3


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ping(namespace, host, size=56, seconds=REPLY, source=None, df=None):
    """Milliseconds; None: no answer; a string: what an error message said. IPv4. df: None = as the kernel likes."""
    data = struct.pack("!BBHHH", 8, 0, 0, 77, 1) + bytes(size + size % 2)
    data = data[:2] + struct.pack("!H", checksum(data)) + data[4:]
    sock = namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    with sock:
        if df is not None:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO if df else IP_PMTUDISC_DONT)
        if source:
            sock.bind((source, 0))
        began = time.monotonic()
        try:
            sock.sendto(data[:8 + size], (host, 0))
        except OSError as error:
            return error.strerror
        while (left := seconds - (time.monotonic() - began)) > 0:
            sock.settimeout(left)
            try:
                got = sock.recv(65536)[20:]
            except TimeoutError:
                break
            if got[0] == 0:
                return (time.monotonic() - began) * 1000
            if got[0] == 3 and got[24:28] == socket.inet_aton(host):  # errors about the outer packets come here too
                return {1: "host unreachable", 4: "too big"}.get(got[1], f"unreachable, code {got[1]}")
    return None


def answers(namespace, host, **options):
    return isinstance(ping(namespace, host, seconds=0.5, **options), float)


def transfer(namespace_a, namespace_b, host, count, family=socket.AF_INET):
    """count bytes from a to b over TCP, each checked."""
    block = os.urandom(65536)
    server = namespace_b.socket(family)
    server.bind(("", 0))
    server.listen(1)
    got = []

    def receive():
        connection, _ = server.accept()
        whole = bytearray()
        while data := connection.recv(1 << 20):
            whole += data
        got.append(bytes(whole))
    server.settimeout(2 * REPLY)
    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    with namespace_a.socket(family) as sock, server:
        sock.settimeout(2 * REPLY)
        sock.connect((host, server.getsockname()[1]))
        for _ in range(count // len(block)):
            sock.sendall(block)
        sock.shutdown(socket.SHUT_WR)
        thread.join(4 * REPLY)
    check(got and got[0] == block * (count // len(block)), f"{count} bytes over TCP to {host} came otherwise than they went")


def ping6(namespace, host, size=56, seconds=REPLY):
    """The same over IPv6, where the kernel writes the checksum."""
    with namespace.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
        began = time.monotonic()
        try:
            sock.sendto(struct.pack("!BBHHH", 128, 0, 0, 78, 1) + bytes(size), (host, 0))
        except OSError as error:
            return error.strerror
        while (left := seconds - (time.monotonic() - began)) > 0:
            sock.settimeout(left)
            try:
                got = sock.recv(65536)
            except TimeoutError:
                break
            if got[0] == 129:
                check(len(got) == 8 + size, f"{len(got)} bytes came back of {8 + size}")
                return (time.monotonic() - began) * 1000
            if got[0] in (1, 2) and got[32:48] != socket.inet_pton(socket.AF_INET6, host):
                continue
            if got[0] == 1:
                return f"unreachable, code {got[1]}"
            if got[0] == 2:
                return "too big"
    return None


def set_up(namespace):
    """What of the network set-up is there, as text."""
    lines = namespace.ip("-4", "rule") + namespace.ip("-6", "rule") + namespace.ip("-4", "route", "show", "table", "all") + \
        namespace.ip("-6", "route", "show", "table", "all") + namespace.ip("-br", "link")
    return sorted(line.split("@")[0].strip() for line in lines.splitlines() if "fe80" not in line and "ff00" not in line)
