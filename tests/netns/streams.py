# SPDX-License-Identifier: MIT
"""Services and clients that know every byte: a pattern in which no two places look alike, servers as threads in a
namespace, and a SOCKS5 client that is no part of what is tested."""
import contextlib
import hashlib
import http.server
import random
import socket
import struct
import threading
import time
from ground import REPLY, Failed, check

BLOCK = 65536
NOISE = random.Random(1928).randbytes(2 * BLOCK)

SOCKS_CODES = {0: "ok", 1: "failure", 2: "not allowed", 3: "network unreachable", 4: "host unreachable", 5: "refused",
               6: "timed out", 7: "bad command", 8: "bad address type"}


def block(number):
    at = number * 37 % BLOCK
    return struct.pack(">Q", number) + NOISE[at:at + BLOCK - 8]


def pattern(length):
    return b"".join(block(number) for number in range(length // BLOCK + 1))[:length]


class Checker:
    """Takes a stream piece by piece, and complains at the first byte that is not the pattern's."""

    def __init__(self):
        self.count = 0
        self.number = -1

    def feed(self, data):
        view = memoryview(data)
        while view:
            number, at = divmod(self.count, BLOCK)
            if number != self.number:
                self.number, self.block = number, block(number)
            size = min(len(view), BLOCK - at)
            check(view[:size] == self.block[at:at + size], f"the stream is wrong between bytes {self.count} and {self.count + size}")
            self.count += size
            view = view[size:]


def send_pattern(sock, length=1 << 62):
    number = 0
    while number * BLOCK < length:
        sock.sendall(block(number)[:length - number * BLOCK])
        number += 1


def receive_all(sock):
    pieces = []
    while piece := sock.recv(1 << 18):
        pieces.append(piece)
    return b"".join(pieces)


def receive_exactly(sock, length):
    data = b""
    while len(data) < length:
        piece = sock.recv(length - len(data))
        if not piece:
            raise EOFError(f"the connection ended after {len(data)} of {length} bytes: {data!r}")
        data += piece
    return data


# ---- services

def serve_pattern(sock):
    """For ever."""
    send_pattern(sock)


def serve_echo(sock):
    while data := sock.recv(1 << 18):
        sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def serve_digest(sock):
    """Only after the client's end it says what it got."""
    data = hashlib.sha256()
    count = 0
    while piece := sock.recv(1 << 18):
        data.update(piece)
        count += len(piece)
    sock.sendall(f"{count} {data.hexdigest()}".encode())


def serve_silence(sock):
    """Never reads, never writes."""
    time.sleep(3600)


class Line:
    """A connection to an echo that says a byte now and then."""

    def __init__(self, namespace, port, host):
        self.sock = namespace.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.sock.settimeout(REPLY)
        self.sock.connect((host, port))
        self.speak()

    def speak(self):
        self.sock.sendall(b"x")
        check(receive_exactly(self.sock, 1) == b"x", "no echo")

    def ended(self, seconds=REPLY):
        """Without a word from us."""
        self.sock.settimeout(seconds)
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


class TcpServer:
    """handler(sock) in a thread for each connection."""

    def __init__(self, namespace, address, handler):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.handler = handler
        self.accepted = 0
        self.listening = namespace.socket(family)
        if family != socket.AF_UNIX:
            self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            self.listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.listening.bind(address)
        self.listening.listen(1024)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listening.accept()
                self.accepted += 1
                threading.Thread(target=self.handle, args=(sock,), daemon=True).start()

    def handle(self, sock):
        with sock, contextlib.suppress(OSError):
            self.handler(sock)

    def close(self):
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


class UdpEcho:
    """Answers each datagram with "echo:" and the datagram."""

    def __init__(self, namespace, address, family=socket.AF_INET):
        self.sock = namespace.socket(family, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.seen = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                data, client = self.sock.recvfrom(65536)
                self.seen.append(data)
                self.sock.sendto(b"echo:" + data, client)


class Web:
    """HTTP/1.1. GET /N: N bytes of the pattern; GET /files/...: from a folder; PUT: the body's length and SHA-256."""

    def __init__(self, namespace, address, folder=None):
        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __init__(self, *words):
                super().__init__(*words, directory=folder)

            def do_GET(self):
                number = self.path.strip("/")
                if not number.isdigit():
                    return super().do_GET()
                self.answer(pattern(int(number)))

            def do_PUT(self):
                left, data = int(self.headers["Content-Length"]), hashlib.sha256()
                while left > 0:
                    piece = self.rfile.read(min(left, 1 << 16))
                    data.update(piece)
                    left -= len(piece)
                self.answer(data.hexdigest().encode())

            def answer(self, body):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True
            address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET

            def handle_error(self, *_):
                pass

        with namespace:
            self.server = Server(address, Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


# ---- the client's side of SOCKS5

def encode_address(host, port):
    for family, kind in ((socket.AF_INET, 1), (socket.AF_INET6, 4)):
        with contextlib.suppress(OSError):
            return bytes([kind]) + socket.inet_pton(family, host) + struct.pack(">H", port)
    return bytes([3, len(host)]) + host.encode() + struct.pack(">H", port)


def decode_address(data):
    """(host, port, length)"""
    if data[0] == 3:
        end = 2 + data[1]
        host = data[2:end].decode()
    else:
        end = 1 + (4 if data[0] == 1 else 16)
        host = socket.inet_ntop(socket.AF_INET if data[0] == 1 else socket.AF_INET6, data[1:end])
    return host, struct.unpack(">H", data[end:end + 2])[0], end + 2


def socks_request(namespace, proxy, command, host, port, seconds=2 * REPLY):
    """(reply code, (host, port) of the reply, socket)"""
    sock = namespace.socket(socket.AF_UNIX if isinstance(proxy, str) else socket.AF_INET)
    sock.settimeout(seconds)
    sock.connect(proxy)
    sock.sendall(b"\5\1\0" + bytes([5, command, 0]) + encode_address(host, port))
    check(receive_exactly(sock, 2) == b"\5\0", "the proxy wants no client without a password")
    head = receive_exactly(sock, 4)
    rest = receive_exactly(sock, {1: 6, 4: 18}[head[3]])
    return head[1], decode_address(head[3:] + rest)[:2], sock


def socks_connect(namespace, proxy, host, port, seconds=2 * REPLY):
    """A connected socket, or Failed with the reason."""
    code, _, sock = socks_request(namespace, proxy, 1, host, port, seconds)
    if code != 0:
        sock.close()
        raise Failed(f"CONNECT to {host}:{port}: {SOCKS_CODES.get(code, code)}")
    return sock


class Download:
    """Reads the pattern from a socket in a thread, and knows how fast it went and when it stood still."""

    def __init__(self, sock):
        self.sock = sock
        self.checker = Checker()
        self.marks = [(time.monotonic(), 0)]
        self.error = None
        self.is_over = False
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def receive(self):
        try:
            while data := self.sock.recv(1 << 18):
                self.checker.feed(data)
                self.marks.append((time.monotonic(), self.checker.count))
        except (OSError, Failed) as error:
            self.error = error
        self.is_over = True

    def count(self):
        return self.checker.count

    def must_run(self):
        check(not self.is_over, f"the download ended after {self.count()} bytes: {self.error or 'closed by the other side'}")

    def rate(self, begin, end):
        """Bytes a second between two points of time.monotonic()."""
        before = [count for at, count in list(self.marks) if at <= begin]
        until = [count for at, count in list(self.marks) if at <= end]
        return (until[-1] - before[-1]) / (end - begin)

    def measure(self, seconds):
        begin = time.monotonic()
        time.sleep(seconds)
        self.must_run()
        return self.rate(begin, time.monotonic())

    def longest_gap(self, begin, end):
        """The longest time without a byte between two points of time."""
        times = [begin, *[at for at, _ in list(self.marks) if begin < at < end], end]
        return max(after - before for before, after in zip(times, times[1:]))

    def stop(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
        self.sock.close()
        if isinstance(self.error, Failed):
            raise self.error
