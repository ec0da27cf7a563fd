# SPDX-License-Identifier: MIT
"""Two daemons that know an anchor and each other's peer ID: how long from the first word about the other to its first byte, and to a direct path at both
ends, with a stream in use all the while. What `why` says is part of the result."""
import socket
import threading
import time

from ground import PATIENCE, REPLY, Failed, SANITIZED
from streams import TcpServer, serve_echo, socks_connect

PROXY = ("127.0.0.1", 1080)
ECHO_PORT = 7
PORT = 7001
ANCHOR_PORT = 7000
BEAT = 0.05   # seconds between two words on the stream
LOOK = 0.05   # ... and two looks at the paths
SETTLE = 0.3  # the stream goes on for so long over the new path


def anchor_node(ground, namespace, name, addresses, members, **config):
    """A configured anchor, and what its clients have to know of it. members: set once they are there."""
    node = ground.node(namespace, name)
    endpoints = [f"[{address}]:{ANCHOR_PORT}" if ":" in address else f"{address}:{ANCHOR_PORT}" for address in addresses]
    node.entry = {"name": name, "peer_id": node.peer_id, "endpoint": endpoints}
    node.serve = lambda: node.configure({"port": ANCHOR_PORT, "role": "anchor", "anchor": {"tls": "[::]:443"},
                                         "peers": [{"name": one.name, "peer_id": one.peer_id} for one in members], **config})
    return node


def wait_registered(nodes, seconds=10):
    """Those that cannot reach any anchor within that time, which is for a quiet machine."""
    deadline = time.monotonic() + seconds * PATIENCE
    left = list(nodes)
    while left and time.monotonic() < deadline:
        left = [node for node in left
                if not all(one["state"] == "registered" for one in node.ask("status")["anchors"])]
        time.sleep(LOOK)
    return left


class Beat:
    """Words to an echo service and back, one every BEAT seconds; counts what is not as it was sent."""

    def __init__(self, sock):
        self.sock = sock
        self.marks = []  # when each word was back
        self.error = None
        self.is_over = False
        self.sock.settimeout(2 * REPLY)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            number = 0
            while not self.is_over:
                word = number.to_bytes(8, "big")
                self.sock.sendall(word)
                back = b""
                while len(back) < 8:
                    piece = self.sock.recv(8 - len(back))
                    if not piece:
                        raise EOFError("the stream was closed")
                    back += piece
                if back != word:
                    raise Failed(f"word {number} came back as {back.hex()}")
                self.marks.append(time.monotonic())
                number += 1
                time.sleep(BEAT)
        except (OSError, EOFError, Failed) as error:
            if not self.is_over:
                self.error = error

    def longest_gap(self):
        """Between two words, beyond the beat."""
        return max((after - before - BEAT for before, after in zip(self.marks, self.marks[1:])), default=0.0)

    def stop(self):
        self.is_over = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(5)
        self.sock.close()


class Outcome:
    """first, direct: seconds since the first word; None: not."""

    def __init__(self, a, b):
        self.a, self.b = a, b
        self.first = self.direct = self.error = self.family = None
        self.gap = 0.0
        self.why = []  # of both ends, at the end

    @property
    def word(self):
        return "none" if self.first is None else "relay" if self.direct is None else "direct"


def is_direct(answer):
    return (answer.get("path") or {}).get("kind") == "direct"


def is_settled(answer):
    """`why` has an end to tell, not what is going on."""
    verdict = answer.get("verdict", "")
    return verdict.startswith(("relayed: ", "connected directly")) and "there is a direct path" not in verdict


def echo_service(node):
    """To be started before the daemon; the configuration's part of it."""
    TcpServer(node.namespace, ("127.0.0.1", ECHO_PORT), serve_echo)
    return {"echo": {"local_address": f"127.0.0.1:{ECHO_PORT}"}}


def first_byte(a, b, until):
    """A socket to b's echo service that a byte came back through; Failed when that was not to be had in time."""
    while True:
        left = until - time.monotonic()
        try:
            sock = socks_connect(a.namespace, PROXY, f"echo.{b.name}.demo", ECHO_PORT, max(left, 0.1))
            sock.settimeout(max(until - time.monotonic(), 0.1))
            sock.sendall(b"!")
            if sock.recv(1) == b"!":
                return sock
            raise Failed("the stream was closed before its first byte")
        except (Failed, OSError, EOFError) as error:
            if time.monotonic() > until - 0.2:
                raise Failed(f"no byte: {error}") from None
            time.sleep(0.1)


def meet(a, b, connect_within, direct_within):
    """a opens a stream to b's echo service. Ends when both are direct, or it is settled that they are not, or the time is over."""
    outcome = Outcome(a, b)
    began = time.monotonic()
    try:
        sock = first_byte(a, b, began + connect_within)
    except Failed as failed:
        outcome.error = str(failed)
        outcome.why = [a.ask("why", host=b.name), b.ask("why", host=a.name)]
        return outcome
    outcome.first = time.monotonic() - began
    beat = Beat(sock)
    while True:
        outcome.why = [a.ask("why", host=b.name), b.ask("why", host=a.name)]
        now = time.monotonic() - began
        if all(map(is_direct, outcome.why)):
            outcome.direct = now
            outcome.family = 6 if outcome.why[0]["path"]["endpoint"].startswith("[") else 4
            time.sleep(SETTLE)
            break
        if now > direct_within or all(is_settled(answer) and not is_direct(answer) for answer in outcome.why):
            break
        time.sleep(LOOK * (3 if SANITIZED else 1))
    beat.stop()
    outcome.gap = beat.longest_gap()
    outcome.error = beat.error and str(beat.error)
    return outcome
