# SPDX-License-Identifier: MIT
"""Two plain sockets behind NATs, in one process that knows both sides: they ask a STUN server with two addresses what they look like from outside, foretell ports that
come in a row, and send to each other at the same time. No search, nothing of ours: what the namespaces themselves make possible."""
import os
import select
import socket
import struct
import time

from natground import ANCHOR

COOKIE = 0x2112a442
ROUNDS, ROUND = 4, 0.1


def open_socket(home, family):
    with home.host:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((home.own(0)[-1 if family == socket.AF_INET6 else 0], 0))
    return sock


def mapped(sock, server):
    """Where the server sees us; None without an answer."""
    for _ in range(2):
        request = struct.pack(">HHI", 1, 0, COOKIE) + os.urandom(12)
        try:
            sock.sendto(request, server)
        except OSError:
            return None
        if not select.select([sock], [], [], 0.2)[0]:
            continue
        answer = sock.recv(500)
        at = 20
        while answer[4:20] == request[4:20] and at + 4 <= len(answer):
            kind, size = struct.unpack(">HH", answer[at:at + 4])
            if kind == 0x20:
                port = struct.unpack(">H", answer[at + 6:at + 8])[0] ^ COOKIE >> 16
                ip = bytes(a ^ b for a, b in zip(answer[at + 8:at + 4 + size], answer[4:20]))
                return socket.inet_ntop(sock.family, ip), port
            at += 4 + (size + 3) // 4 * 4
    return None


class Side:
    def __init__(self, home, family):
        self.sock = open_socket(home, family)
        first, second = ANCHOR[2:] if family == socket.AF_INET6 else ANCHOR[:2]
        told = [mapped(self.sock, server) for server in ((first, 3478), (second, 3478), (second, 3479))]
        self.heard, self.has_answer, self.target = [], False, None
        if None in told:
            return
        step, again = told[1][1] - told[0][1], told[2][1] - told[1][1]
        foretold = told[2][1] + step if step == again and 0 < abs(step) <= 16 else told[2][1]
        self.target = (told[2][0], foretold)  # where the next packet of this side will come from

    def read(self):
        while select.select([self.sock], [], [], 0)[0]:
            try:
                data, source = self.sock.recvfrom(100)
            except OSError:
                continue
            source = source[:2]
            if data == b"punch":
                self.send(b"answer", source)
            self.has_answer |= data == b"answer"
            if source not in self.heard:
                self.heard.append(source)

    def send(self, data, to):
        try:
            self.sock.sendto(data, to)
        except OSError:
            pass


def punch(a, b, family=socket.AF_INET):
    """Do two homes' first machines get through to each other?"""
    sides = [Side(a, family), Side(b, family)]
    try:
        if not all(side.target for side in sides):
            return False
        for _ in range(ROUNDS):
            for side, other in zip(sides, reversed(sides)):
                for to in [other.target, *side.heard[:4]]:
                    side.send(b"punch", to)
            until = time.monotonic() + ROUND
            while time.monotonic() < until:
                select.select([side.sock for side in sides], [], [], max(0, until - time.monotonic()))
                for side in sides:
                    side.read()
                if all(side.has_answer for side in sides):
                    return True
        return False
    finally:
        for side in sides:
            side.sock.close()
