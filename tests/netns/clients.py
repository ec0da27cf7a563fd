#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The proxy and the services against programs that other people wrote: curl, ssh, nc, git, proxychains; and against a
client that does what they never do.

      world                     laptop                        home
                                peergate                      peergate, and behind it:
    10.79.0.2 ----- veth ---- 10.79.0.1                        web 8000, ssh 22 (at 2222), echo, digest, unix socket,
    fd79::2                   10.77.0.1 ------ veth ------ 10.77.0.2   udp-echo, down, stuck, secret, off
    web 8080, 8082            socks 1080, unix socket          port 7001
    udp echo 9000             port 7001
"""
import base64
import hashlib
import os
import queue
import shutil
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path
from ground import PATIENCE, PEERGATE, REPLY, Ground, check, chosen, command, needs, run, until
from streams import (Checker, TcpServer, UdpEcho, Web, decode_address, encode_address, pattern, receive_all, receive_exactly,
                     send_pattern, serve_digest, serve_echo, socks_connect, socks_request)

PROXY = ("127.0.0.1", 1080)
MEGABYTE = 1 << 20


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.world, self.laptop_at, self.home_at = (ground.namespace(name) for name in ("world", "laptop", "home"))
        ground.veth(self.laptop_at, "10.77.0.1/24", self.home_at, "10.77.0.2/24")
        ground.veth(self.world, "10.79.0.2/24", self.laptop_at, "10.79.0.1/24")
        self.world.ip("addr", "add", "fd79::2/64", "dev", "laptop", "nodad")
        self.laptop_at.ip("addr", "add", "fd79::1/64", "dev", "world", "nodad")
        self.laptop, self.home = ground.node(self.laptop_at, "laptop"), ground.node(self.home_at, "home")
        self.unix_proxy = str(self.laptop.dir / "socks.sock")
        self.key_of_nobody = command([PEERGATE, "pubkey"], input=command([PEERGATE, "genkey"])).strip()
        self.start_services()
        self.configure_home()
        self.configure_laptop()
        self.home.up()
        self.laptop.up()

    def start_services(self):
        folder = self.ground.folder
        (folder / "www").mkdir()
        (folder / "www" / "hello").write_text("hello from home\n")
        (folder / "only_me").write_text("# nobody\n")
        (folder / "only_me").chmod(0o600)
        Web(self.home_at, ("127.0.0.1", 8000), str(folder / "www"))
        Web(self.world, ("10.79.0.2", 8080))
        Web(self.world, ("10.79.0.2", 8082))
        Web(self.world, ("fd79::2", 8080))
        Web(self.laptop_at, ("127.0.0.1", 8081))
        TcpServer(self.home_at, ("127.0.0.1", 7), serve_echo)
        TcpServer(self.home_at, ("127.0.0.1", 8), serve_digest)
        TcpServer(self.home_at, str(folder / "echo.sock"), serve_echo)
        self.home_udp = UdpEcho(self.home_at, ("127.0.0.1", 9000))
        self.world_udp = UdpEcho(self.world, ("10.79.0.2", 9000))
        self.world_udp6 = UdpEcho(self.world, ("fd79::2", 9000), socket.AF_INET6)
        self.ended_first = queue.Queue()
        TcpServer(self.home_at, ("127.0.0.1", 10), self.serve_end_first)

    def serve_end_first(self, sock):
        """Sends a megabyte and its end, and only then reads."""
        send_pattern(sock, MEGABYTE)
        sock.shutdown(socket.SHUT_WR)
        self.ended_first.put(receive_all(sock))

    def configure_home(self):
        local = "127.0.0.1"
        self.home_at.nft("""
            table inet stuck {
                chain out { type filter hook output priority 0; tcp dport 11 drop; }
            }""")
        self.home.configure({
            "port": 7001,
            "peers": [{"name": "laptop", "peer_id": self.laptop.peer_id}],
            "services": {
                "web": {"local_address": f"{local}:8000"},
                "ssh": {"local_address": f"{local}:2222", "port": 22},
                "echo": {"local_address": f"{local}:7"},
                "digest": {"local_address": f"{local}:8"},
                "ends-first": {"local_address": f"{local}:10"},
                "sock": {"local_address": f"unix:{self.ground.folder}/echo.sock"},
                "tls": {"local_address": f"{local}:8443", "port": 443},
                "udp-echo": {"local_address": f"{local}:9000", "protocol": "udp"},
                "down": {"local_address": f"{local}:4"},
                "stuck": {"local_address": f"{local}:11"},
                "secret": {"local_address": f"{local}:7", "port": 77, "authorized_keys": str(self.ground.folder / "only_me")},
                "off": {"local_address": f"{local}:7", "port": 78, "enabled": False},
            },
        })

    def configure_laptop(self, **socks):
        self.laptop.configure({
            "port": 7001,
            "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": "10.77.0.2:7001"},
                      {"name": "gone", "public_key": self.key_of_nobody,
                       "endpoint": "10.77.0.2:4444"}],
            "socks": {"listen": ["127.0.0.1:1080", f"unix:{self.unix_proxy}"], "timeout": "15s", **socks},
        })

    def reload_laptop(self, **socks):
        self.configure_laptop(**socks)
        self.laptop.cli("reload")

    def try_run(self, *argv, seconds=30 * PATIENCE, **options):
        with self.laptop_at:
            return subprocess.run([str(word) for word in argv], capture_output=True, timeout=seconds, **options)

    def curl(self, *words, should=0, **options):
        """Standard output; the exit status has to be `should`."""
        done = self.try_run("curl", "-sS", "--noproxy", "", "--max-time", str(4 * REPLY), *words, **options)
        check(done.returncode == should, f"curl {' '.join(map(str, words))}: exit status {done.returncode}, not {should}: "
                                         f"{done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def reply_code(self, host, port):
        code, _, sock = socks_request(self.laptop_at, PROXY, 1, host, port)
        sock.close()
        return code

    def connect(self, host, port):
        return socks_connect(self.laptop_at, PROXY, host, port)


def curl(scene):
    scene.ground.step("curl: SOCKS5, by all forms of the name, by service and by port; HTTP proxy; CONNECT")
    hello = b"hello from home\n"
    for host in ("web.home.demo.p2p", "home.demo.p2p:8000", "home.demo:8000", "home:8000", f"{scene.home.peer_id}:8000",
                 "web.home.demo.p2p:80"):
        got = scene.curl("-x", "socks5h://127.0.0.1:1080", f"http://{host}/hello")
        check(got == hello, f"curl by socks5h from {host}: {got!r}")
    check(scene.curl("-x", "http://127.0.0.1:1080", "http://web.home.demo.p2p/hello") == hello, "curl by HTTP proxy")
    check(scene.curl("-p", "-x", "http://127.0.0.1:1080", "http://web.home.demo.p2p/hello") == hello, "curl by HTTP CONNECT")
    check(scene.curl("--proxy", f"socks5h://localhost{scene.unix_proxy}", "http://web.home.demo.p2p/hello") == hello,
          "curl by SOCKS5 over the unix socket")
    two = scene.curl("-x", "http://127.0.0.1:1080", "http://web.home.demo.p2p/5", "http://web.home.demo.p2p/7")
    check(two == pattern(5) + pattern(7), f"two requests of one curl by HTTP proxy: {two!r}")
    upload = scene.ground.folder / "upload"
    upload.write_bytes(pattern(3 * MEGABYTE))
    for proxy in ("socks5h", "http"):
        said = scene.curl("-x", f"{proxy}://127.0.0.1:1080", "-T", upload, "http://web.home.demo.p2p/upload").decode()
        check(said == hashlib.sha256(upload.read_bytes()).hexdigest(), f"an upload of curl by {proxy} arrived as {said}")


def https(scene):
    scene.ground.step("https by CONNECT and by SOCKS5")
    folder = scene.ground.folder
    command(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-keyout", folder / "tls.key", "-out", folder / "tls.crt", "-subj", "/CN=tls.home.demo.p2p",
             "-addext", "subjectAltName=DNS:tls.home.demo.p2p"])
    scene.home_at.start(["openssl", "s_server", "-accept", "127.0.0.1:8443", "-key", folder / "tls.key", "-cert",
                         folder / "tls.crt", "-www", "-quiet"], "openssl")
    until(lambda: b":8443" in subprocess.run(["ip", "netns", "exec", scene.home_at.name, "ss", "-ltn"], capture_output=True).stdout,
          "openssl listens")
    for proxy in ("http://127.0.0.1:1080", "socks5h://127.0.0.1:1080"):
        got = scene.curl("-x", proxy, "--cacert", folder / "tls.crt", "https://tls.home.demo.p2p/")
        check(b"TLSv1" in got, f"https by {proxy}: {got[:200]!r}")


def passwords(scene):
    scene.ground.step("user and password, right, wrong and none")
    scene.reload_laptop(users={"ann": "sesame", "bob": "open:sesame"})
    url = "http://web.home.demo.p2p/hello"
    for proxy, should in (("socks5h://ann:sesame@127.0.0.1:1080", 0), ("socks5h://bob:open%3Asesame@127.0.0.1:1080", 0),
                          ("socks5h://ann:wrong@127.0.0.1:1080", 97), ("socks5h://eve:sesame@127.0.0.1:1080", 97),
                          ("socks5h://127.0.0.1:1080", 97),
                          ("http://ann:sesame@127.0.0.1:1080", 0), ("http://bob:open%3Asesame@127.0.0.1:1080", 0)):
        scene.curl("-x", proxy, url, should=should)
    for proxy in ("http://ann:wrong@127.0.0.1:1080", "http://127.0.0.1:1080"):
        got = scene.curl("-x", proxy, "-o", "/dev/null", "-w", "%{http_code}", url)
        check(got == b"407", f"{proxy}: HTTP status {got!r} instead of 407")
    basic = base64.b64encode(b"ann:sesame").decode()
    scene.curl("-p", "-x", "http://127.0.0.1:1080", "--proxy-header", f"Proxy-Authorization: Basic {basic}", url)
    scene.reload_laptop()
    scene.curl("-x", "socks5h://127.0.0.1:1080", url)


def start_sshd(scene):
    folder = scene.ground.folder
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "user"):
        command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name])
    shutil.copy(folder / "user.pub", folder / "user_keys")
    scene.home_at.start([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", folder / "host", "-p", "2222",
                         "-o", "ListenAddress=127.0.0.1", "-o", f"AuthorizedKeysFile={folder}/user_keys", "-o", "StrictModes=no",
                         "-o", "PermitRootLogin=yes", "-o", "PidFile=none", "-o", "UsePAM=no"], "sshd", ready="Server listening")
    return ["-F", "none", "-i", str(folder / "user"), "-o", f"UserKnownHostsFile={folder}/known_hosts",
            "-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]


def ssh(scene):
    scene.ground.step("ssh: by `peergate nc`, by nc over SOCKS5, a large file through; git over ssh and over http")
    options = start_sshd(scene)
    by_us = f"ProxyCommand={PEERGATE} --dir {scene.laptop.dir} nc %h %p"
    by_nc = "ProxyCommand=nc -X 5 -x 127.0.0.1:1080 %h %p"
    for way in (by_us, by_nc):
        done = scene.try_run("ssh", *options, "-o", way, "root@home.demo", "echo over; exit 7")
        check(done.returncode == 7 and done.stdout == b"over\n", f"ssh with {way}: {done}")
        data = pattern(8 * MEGABYTE)
        done = scene.try_run("ssh", *options, "-o", way, "root@home.demo", "cat", input=data)
        check(done.stdout == data, f"8 MB through ssh and back with {way}: {len(done.stdout)} bytes, {done.stderr!r}")
    done = scene.try_run(PEERGATE, "--dir", scene.laptop.dir, "nc", "home.demo", "9")
    check(done.returncode == 1 and done.stderr, f"`peergate nc` to a port that is not listed: {done}")
    git(scene, "ssh " + " ".join(f"'{word}'" for word in [*options, "-o", by_us]))


def git(scene, ssh_command):
    folder = scene.ground.folder
    repository = folder / "www" / "repo.git"
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", "-c", "safe.directory=*"]
    (folder / "work").mkdir()
    (folder / "work" / "file").write_bytes(pattern(2 * MEGABYTE))
    for words in (["init", "-q", folder / "work"], ["-C", folder / "work", "add", "file"],
                  ["-C", folder / "work", "commit", "-q", "-m", "first"],
                  ["clone", "-q", "--bare", folder / "work", repository], ["-C", repository, "update-server-info"]):
        command(["git", *identity, *words])
    env = {**os.environ, "GIT_SSH_COMMAND": ssh_command, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
    for kind, words in (("ssh", [f"ssh://root@home.demo{repository}"]),
                        ("http", ["-c", "http.proxy=socks5h://127.0.0.1:1080", "http://web.home.demo.p2p/repo.git"])):
        clone = folder / f"clone-{kind}"
        done = scene.try_run("git", "clone", "-q", *words, clone, env=env)
        check(done.returncode == 0, f"git clone over {kind}: {done.stderr.decode(errors='replace')}")
        check((clone / "file").read_bytes() == pattern(2 * MEGABYTE), f"git clone over {kind}: another file came out")


def proxychains(scene):
    scene.ground.step("proxychains")
    path = scene.ground.folder / "proxychains.conf"
    path.write_text("strict_chain\nquiet_mode\nproxy_dns\ntcp_read_time_out 10000\ntcp_connect_time_out 10000\n"
                    "[ProxyList]\nsocks5 127.0.0.1 1080\n")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "ASAN"))}
    done = scene.try_run("proxychains4", "-f", path, "curl", "-sS", "--noproxy", "*", "http://web.home.demo.p2p:8000/hello", env=env)
    check(done.stdout == b"hello from home\n", f"curl in proxychains: {done}")


class Association:
    """A UDP ASSOCIATE: its TCP connection and a UDP socket."""

    def __init__(self, scene):
        code, bound, self.tcp = socks_request(scene.laptop_at, PROXY, 3, "0.0.0.0", 0)
        check(code == 0, f"UDP ASSOCIATE is answered with {code}")
        self.udp = scene.laptop_at.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.udp.connect(bound)

    def send(self, host, port, data, fragment=0):
        self.udp.send(bytes([0, 0, fragment]) + encode_address(host, port) + data)

    def receive(self, seconds=REPLY):
        """(host, port, data); None when nothing comes."""
        self.udp.settimeout(seconds)
        try:
            got = self.udp.recv(65536)
        except (TimeoutError, ConnectionRefusedError):
            return None
        check(got[:3] == b"\0\0\0", f"the header of a datagram begins with {got[:3]!r}")
        host, port, length = decode_address(got[3:])
        return host, port, got[3 + length:]


def udp(scene):
    scene.ground.step("UDP ASSOCIATE: a service by name and by port, IPv4, IPv6; fragments; the end of its TCP connection")
    scene.reload_laptop(others="direct")
    association = Association(scene)
    for host, port in (("udp-echo.home.demo.p2p", 9000), ("home.demo", 9000), ("10.79.0.2", 9000), ("fd79::2", 9000)):
        for data in (b"x", pattern(1100)):
            association.send(host, port, data)
            got = association.receive()
            check(got is not None, f"no answer to a datagram of {len(data)} bytes to {host}")
            check(got[2] == b"echo:" + data, f"the answer from {host} is {got[2][:40]!r}")
            check(got[1] == port, f"the answer from {host} is said to come from {got[:2]}")
    scene.ground.step(f"    answers are said to come from {got[:2]}")
    lost = scene.laptop.status()["drops"]["too_long"]
    association.send("udp-echo.home.demo.p2p", 9000, pattern(4000))
    until(lambda: scene.laptop.status()["drops"]["too_long"] == lost + 1, "a datagram that no packet carries is counted")
    scene.laptop.logged("home: a datagram of 4000 bytes is lost: the path carries 1")
    association.send("udp-echo.home.demo.p2p", 9000, b"whole")
    check(association.receive() is not None, "no answer to a whole datagram")
    seen = len(scene.home_udp.seen)
    for fragment in (1, 2, 0x81):
        association.send("udp-echo.home.demo.p2p", 9000, b"a fragment", fragment)
    check(association.receive(0.5) is None and len(scene.home_udp.seen) == seen, "a fragment was passed on")
    for broken in (b"", b"\0", b"\0\0\0", b"\0\0\0\7abc", b"\0\0\0\3\xff"):
        association.udp.send(broken)
    association.send("nobody.demo.p2p", 9000, b"x")
    association.send("udp-echo.home.demo.p2p", 9000, b"still there")
    got = association.receive()
    check(got and got[2] == b"echo:still there", f"after broken datagrams: {got}")
    stranger = scene.laptop_at.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.settimeout(0.5)
    stranger.sendto(b"\0\0\0" + encode_address("10.79.0.2", 9000) + b"stranger", association.udp.getpeername())
    try:
        check(not stranger.recv(1000), "another socket may use the association")
    except (TimeoutError, ConnectionRefusedError):
        pass
    check(b"stranger" not in scene.world_udp.seen, "another socket's datagram was passed on")
    seen = len(scene.home_udp.seen)
    association.tcp.close()
    until(lambda: scene.laptop.status()["proxy_clients"]["associations_open"] == 0, "the association ends with its TCP connection")
    try:
        association.send("udp-echo.home.demo.p2p", 9000, b"too late")
    except ConnectionRefusedError:
        pass
    time.sleep(0.3)
    check(len(scene.home_udp.seen) == seen, "the association outlives its TCP connection")
    scene.reload_laptop()


def others(scene):
    scene.ground.step("what is not ours: rejected, or connected to directly by the lists of allowed and denied")
    direct = [("10.79.0.2", 8080), ("10.79.0.2", 8082), ("fd79::2", 8080), ("localhost", 8081)]
    for host, port in direct:
        code = scene.reply_code(host, port)
        check(code == 2, f"others: reject: {host}:{port} is answered with {code}")
    got = scene.curl("-x", "http://127.0.0.1:1080", "-o", "/dev/null", "-w", "%{http_code}", "http://10.79.0.2:8080/1")
    check(got == b"403", f"others: reject, by HTTP: {got!r}")

    scene.reload_laptop(others="direct")
    for (host, port), expected in zip(direct, (0, 0, 0, 2)):  # this machine itself only when allowed by its address
        code = scene.reply_code(host, port)
        check(code == expected, f"others: direct: {host}:{port} is answered with {code}, not {expected}")
    check(scene.curl("-x", "http://127.0.0.1:1080", "http://10.79.0.2:8080/70000") == pattern(70000), "directly, by HTTP proxy")
    check(scene.curl("-x", "socks5h://127.0.0.1:1080", "http://[fd79::2]:8080/70000") == pattern(70000), "directly, by SOCKS5 and IPv6")
    check(scene.curl("-x", "socks5h://127.0.0.1:1080", "http://web.home.demo.p2p/9") == pattern(9), "ours, beside others")
    check(scene.reply_code("10.79.0.2", 1) == 5, "a closed port, directly")

    scene.reload_laptop(others="direct", allow=["10.79.0.0/24", "127.0.0.0/8:8081"], deny=["10.79.0.2:8082"])
    for (host, port), expected in zip(direct, (0, 2, 2, 0)):
        code = scene.reply_code(host, port)
        check(code == expected, f"allow and deny: {host}:{port} is answered with {code}, not {expected}")
    scene.reload_laptop()


def reply_codes(scene):
    scene.ground.step("every answer has its own code, and a sentence in HTTP")
    begin = time.monotonic()
    stuck = []
    thread = threading.Thread(target=lambda: stuck.append((scene.reply_code("stuck.home.demo.p2p", 11), time.monotonic() - begin)))
    gone = []
    second = threading.Thread(target=lambda: gone.append((scene.reply_code("gone.demo.p2p", 11), time.monotonic() - begin)))
    thread.start()
    second.start()
    for host, port, code, status in (("secret.home.demo.p2p", 77, 2, b"403"), ("home.demo.p2p", 77, 2, b"403"),
                                     ("nothing.home.demo.p2p", 80, 4, b"404"), ("home.demo.p2p", 4711, 4, b"404"),
                                     ("off.home.demo.p2p", 78, 4, b"404"),
                                     ("down.home.demo.p2p", 4, 5, b"503"), ("nobody.demo.p2p", 80, 4, b"502"),
                                     ("web.nobody.demo.p2p", 80, 4, b"502"), ("example.org", 80, 2, b"403")):
        got = scene.reply_code(host, port)
        check(got == code, f"{host}:{port} is answered with {got}, not {code}")
        got = scene.curl("-x", "http://127.0.0.1:1080", "-w", "%{http_code}", f"http://{host}:{port}/")
        check(got[-3:] == status, f"{host}:{port} by HTTP: status {got[-3:]!r}, not {status!r}")
        check(len(got) > 40, f"{host}:{port} by HTTP: no sentence for a person, only {got!r}")
    thread.join(2 * REPLY)
    second.join(2 * REPLY)
    check(stuck and stuck[0][0] == 6, f"a service that does not answer: {stuck}, not 6")
    check(gone and gone[0][0] in (3, 6), f"a peer that is not there: {gone}, not 3")
    scene.ground.step(f"    no answer of a service: after {stuck[0][1]:.1f} s; no answer of a peer: after {gone[0][1]:.1f} s")


def odd_clients(scene):
    scene.ground.step("a request byte by byte, and one with its data right behind it")
    request = b"\5\1\0" + b"\5\1\0" + encode_address("echo.home.demo.p2p", 7)
    for step in (1, 3, len(request)):
        sock = scene.laptop_at.socket()
        sock.settimeout(REPLY)
        sock.connect(PROXY)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(request), step):
            sock.sendall(request[at:at + step])
            time.sleep(0.002)
        sock.sendall(b"early bytes")
        head = receive_exactly(sock, 2 + 10)
        check(head[:4] == b"\5\0\5\0", f"a request in pieces of {step}: {head!r}")
        check(receive_exactly(sock, 11) == b"early bytes", "early bytes come back as others")
        sock.close()
    for junk in (b"", b"\5", b"\5\0", b"\4\1\0\1", b"\5\1\0\5\1\0\2", b"GET", b"\x16\3\1\0\x05hello", os.urandom(300), b"A" * 70000,
                 b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT :0 HTTP/1.1\r\n\r\n", b"\5\1\0\5\1\0\3\0\0\0"):
        sock = scene.laptop_at.socket()
        sock.settimeout(2 * REPLY)
        sock.connect(PROXY)
        try:
            sock.sendall(junk)
            sock.shutdown(socket.SHUT_WR)
            receive_all(sock)
        except ConnectionError:
            pass
        sock.close()
    until(lambda: scene.laptop.status()["proxy_clients"]["clients_open"] == 0, "the proxy has let go of all clients")


def half_close(scene):
    scene.ground.step("half-close, the client first and the service first; to the byte")
    for host, port in (("digest.home.demo.p2p", 8), ("home.demo", 8)):
        sock = scene.connect(host, port)
        send_pattern(sock, 3 * MEGABYTE + 17)
        sock.shutdown(socket.SHUT_WR)
        said = receive_all(sock).decode()
        wanted = f"{3 * MEGABYTE + 17} {hashlib.sha256(pattern(3 * MEGABYTE + 17)).hexdigest()}"
        check(said == wanted, f"the service got \"{said}\" before the client's end, not \"{wanted}\"")
        sock.close()
    sock = scene.connect("ends-first.home.demo.p2p", 10)
    check(receive_all(sock) == pattern(MEGABYTE), "the service's megabyte came otherwise")
    send_pattern(sock, 2 * MEGABYTE + 5)
    sock.shutdown(socket.SHUT_WR)
    check(scene.ended_first.get(timeout=2 * REPLY) == pattern(2 * MEGABYTE + 5), "what came after the service's end is not what was sent")
    sock.close()
    done = scene.try_run(PEERGATE, "--dir", scene.laptop.dir, "nc", "home.demo", "digest", input=pattern(MEGABYTE))
    check(done.stdout.startswith(f"{MEGABYTE} ".encode()), f"half-close by `peergate nc`: {done}")
    sock = scene.connect("sock.home.demo.p2p", 1)
    sock.sendall(b"to a unix socket")
    sock.shutdown(socket.SHUT_WR)
    check(receive_all(sock) == b"to a unix socket", "a service on a unix socket")


def many(scene):
    scene.ground.step("200 downloads at once, by one curl")
    folder = scene.ground.folder / "many"
    folder.mkdir()
    begin = time.monotonic()
    scene.curl("-Z", "--parallel-immediate", "--parallel-max", "200", "-x", "socks5h://127.0.0.1:1080",
               "http://web.home.demo.p2p/[200001-200200]", "-o", f"{folder}/#1")
    for size in range(200001, 200201):
        check((folder / str(size)).read_bytes() == pattern(size), f"download {size} differs")
    scene.ground.step(f"    40 MB in {time.monotonic() - begin:.1f} s")


def both_ways(scene):
    scene.ground.step("a large upload and download at once in one connection")
    size = 64 * MEGABYTE
    sock = scene.connect("echo.home.demo.p2p", 7)
    begin = time.monotonic()

    def upload():
        send_pattern(sock, size)
        sock.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=upload, daemon=True)
    thread.start()
    checker = Checker()
    while data := sock.recv(1 << 18):
        checker.feed(data)
    check(checker.count == size, f"{checker.count} of {size} bytes came back")
    sock.close()
    scene.ground.step(f"    64 MB each way in {time.monotonic() - begin:.1f} s")


def leftovers(scene):
    scene.ground.step("nothing is left open, and nothing is counted wrongly")
    until(lambda: scene.laptop.status()["proxy_clients"]["clients_open"] == 0, "no client of the proxy is left")
    until(lambda: scene.home.status()["service_flows"]["open"] == 0, lambda: f"no flow is left: {scene.home.status()['service_flows']}")
    flows = scene.home.status()["service_flows"]
    for name in ("accepted", "refused", "not_listed", "service_down", "timed_out"):
        check(flows[name] > 0, f"home does not count \"{name}\": {flows}")


def main():
    needs("curl", "ssh", "ssh-keygen", "nc", "proxychains4", "openssl", "git", "nft")
    with Ground("clients") as ground:
        scene = Scene(ground)
        for part in chosen((curl, https, passwords, ssh, proxychains, udp, others, reply_codes, odd_clients, half_close, many, both_ways,
                     leftovers)):
            part(scene)


run(main)
