#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The DNS server as other people's programs see it: dig, drill, delv, glibc; malformed messages; a flood; an upstream.

          client                      server
        10.77.0.1 ------- veth ------- 10.77.0.2   dnsd, and unbound as its upstream on 127.0.0.1:5353
        10.77.0.9 (not allowed)
"""
import json
import random
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from ground import BUILD, REPLY, SANITIZED, Ground, check, needs, run, until

DNSD = BUILD / "tests" / "unit" / "dns" / "dnsd"
AT = "10.77.0.2"
ZONE = ["host=home.demo,127.64.0.7,fd83::7,web:80:tcp,game:27015:udp", "host=nas.demo,127.64.0.8", "range=127.64.0.0/16",
        "range=fd83::/48"]
UNBOUND = """
server:
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    interface: 127.0.0.1@5353
    do-daemonize: no
    local-zone: "example.com." static
    local-data: "www.example.com. 300 IN A 192.0.2.80"
    local-data: 'long.example.com. 300 IN TXT {long}'
"""


def question(name, kind=1, flags=0x0100, tail=b"", extra=0):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", 0x1234, flags, 1, 0, 0, extra) + labels + b"\0" + struct.pack(">HH", kind, 1) + tail


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.client, self.server = ground.namespace("client"), ground.namespace("server")
        ground.veth(self.client, "10.77.0.1/29", self.server, f"{AT}/24")
        self.client.ip("address", "add", "10.77.0.9/24", "dev", [line.split(":")[1].strip().split("@")[0] for line in
                       self.client.ip("-o", "link").splitlines() if "lo:" not in line][0])
        self.start_unbound()
        self.dnsd = self.server.start([DNSD, f"listen={AT}:53", "listen=127.0.0.1:53", *ZONE, "allow=10.77.0.0/29", "rate=2000",
                                       "upstream=127.0.0.1:5353"], "dnsd", "ready")

    def start_unbound(self):
        conf = self.ground.folder / "unbound.conf"
        conf.write_text(UNBOUND.format(folder=self.ground.folder, long=" ".join(['"' + "x" * 200 + '"'] * 9)))
        self.server.start(["unbound", "-d", "-c", conf], "unbound")
        def answers():
            with self.server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(0.3)
                sock.connect(("127.0.0.1", 5353))
                try:
                    sock.send(question("www.example.com"))
                    return sock.recv(1500)
                except OSError:
                    return None
        until(answers, "unbound answers")

    def dig(self, *words):
        return self.client.run("dig", f"@{AT}", "+tries=1", f"+time={REPLY}", *words)

    def short(self, *words):
        return self.dig("+short", *words).strip()

    def status(self, *words):
        out = self.dig(*words)
        return out.split("status: ")[1].split(",")[0] if "status: " in out else out


def dig(scene):
    scene.ground.step("dig")
    for words, answer in ((["home.demo.p2p"], "127.64.0.7"), (["HOME.demo.P2P", "AAAA"], "fd83::7"), (["+tcp", "home.demo.p2p"], "127.64.0.7"),
                          (["-x", "127.64.0.7"], "home.demo.p2p."), (["-x", "fd83::7"], "home.demo.p2p."),
                          (["web.home.demo.p2p", "SRV"], "0 0 80 home.demo.p2p."), (["_game._udp.home.demo.p2p", "SRV"], "0 0 27015 home.demo.p2p."),
                          (["x.y.home.demo.p2p"], "127.64.0.7"), (["+noedns", "home.demo.p2p"], "127.64.0.7"),
                          (["+bufsize=4096", "+dnssec", "home.demo.p2p"], "127.64.0.7"), (["+cookie", "+subnet=0/0", "home.demo.p2p"], "127.64.0.7"),
                          (["+padding=128", "+keepalive", "+tcp", "home.demo.p2p"], "127.64.0.7"), (["www.example.com"], "192.0.2.80")):
        got = scene.short(*words)
        check(got == answer, f"dig {words}: {got!r}, not {answer!r}")
    for words, status in ((["nobody.demo.p2p"], "NXDOMAIN"), (["demo.p2p"], "NOERROR"), (["nas.demo.p2p", "AAAA"], "NOERROR"),
                          (["no.example.com"], "NXDOMAIN"), (["+norecurse", "www.example.com"], "REFUSED"), (["+opcode=NOTIFY", "p2p", "SOA"], "NOTIMP"),
                          (["+edns=7", "+noednsneg", "p2p"], "BADVERS"), (["version.bind", "CH", "TXT"], "REFUSED"), (["printer.local"], "NXDOMAIN")):
        got = scene.status(*words)
        check(got == status, f"dig {words}: {got}, not {status}")
    check("Transfer failed" in scene.dig("+tcp", "p2p", "AXFR") , "AXFR was not refused")
    check(scene.short("long.example.com", "TXT").count("x") == 1800, "a long answer of the upstream did not come by TCP")
    check(scene.status("home.demo.p2p", "ANY") == "NOERROR" and "RFC8482" in scene.dig("home.demo.p2p", "ANY"), "ANY")


def others(scene):
    scene.ground.step("drill, delv, mdig")
    if shutil.which("drill"):
        out = scene.client.run("drill", f"@{AT}", "home.demo.p2p", "A")
        check("127.64.0.7" in out and "rcode: NOERROR" in out, f"drill: {out}")
        out = scene.client.run("drill", "-t", "-b", "1232", f"@{AT}", "web.home.demo.p2p", "SRV")
        check("0 0 80 home.demo.p2p." in out, f"drill: {out}")
    if shutil.which("delv"):
        out = scene.client.run("delv", f"@{AT}", "-i", "+noroot", "home.demo.p2p", "A")
        check("127.64.0.7" in out, f"delv: {out}")
    if shutil.which("mdig"):
        out = scene.client.run("mdig", f"@{AT}", "+short", *[f"s{i}.home.demo.p2p" for i in range(50)])
        check(out.split().count("127.64.0.7") == 50, f"mdig: {out}")


# What a program says, as the C library: in a mount namespace with a resolv.conf of its own.
GLIBC = """
import json, socket, sys
def found(*words, **options):
    try:
        return sorted({info[4][0] + ":" + str(info[4][1]) for info in socket.getaddrinfo(*words, type=socket.SOCK_STREAM, **options)})
    except socket.gaierror as error:
        return error.errno
print(json.dumps({"full": found("home.demo.p2p", 80), "bare": found("home", 80), "dotted": found("web.home", 80),
                  "v4": found("home", 80, family=socket.AF_INET), "nobody": found("nobody.demo.p2p", 80), "nas6": found("nas.demo.p2p", 80, family=socket.AF_INET6),
                  "reverse": socket.gethostbyaddr("127.64.0.7")[0], "www": found("www.example.com", 80)}))
"""


def glibc(scene):
    scene.ground.step("glibc")
    conf, hosts = scene.ground.folder / "resolv.conf", scene.ground.folder / "nsswitch.conf"
    for options in ("", "options edns0 trust-ad\n", "options use-vc\n", "options single-request rotate attempts:1\n"):
        conf.write_text(f"nameserver {AT}\nsearch demo.p2p\noptions ndots:2\n{options}")
        hosts.write_text("hosts: dns\n")
        out = json.loads(scene.client.run("unshare", "--mount", "sh", "-c",
                                          f"mount --bind {conf} /etc/resolv.conf && mount --bind {hosts} /etc/nsswitch.conf && exec python3 -c '{GLIBC}'"))
        both = ["127.64.0.7:80", "fd83::7:80"]
        check(out["full"] == out["bare"] == out["dotted"] == both and out["v4"] == both[:1], f"{options!r}: {out}")
        check(out["nobody"] in (socket.EAI_NONAME, socket.EAI_NODATA) and isinstance(out["nas6"], int), f"{options!r}: {out}")
        check(out["reverse"] == "home.demo.p2p" and out["www"] == ["192.0.2.80:80"], f"{options!r}: {out}")


def malformed(scene):
    scene.ground.step("malformed messages")
    random.seed(11)
    good = question("home.demo.p2p")
    with scene.client.socket(kind=socket.SOCK_DGRAM) as sock:
        sock.settimeout(REPLY)
        sock.connect((AT, 53))
        for i in range(3000):
            bad = bytearray(good)
            for _ in range(random.randint(1, 6)):
                bad[random.randrange(len(bad))] = random.randrange(256)
            sock.send(bytes(bad[:random.randint(0, len(bad))] if i % 2 else bad))
            if i % 40 == 0:
                time.sleep(0.03)
        for loop in (b"\xc0\x0c", b"\x04home\xc0\x0c", b"\xc0\xff", b"\xff" * 60):
            sock.send(good[:12] + loop + b"\0\1\0\1")
        sock.send(b"x" * 9000)
    check(scene.dnsd.alive() and scene.short("home.demo.p2p") == "127.64.0.7", "the server did not survive")
    for text in (b"\0\0", b"\xff\xff" + good, b"\0\5hello", struct.pack(">H", len(good)) + good[:5]):
        with scene.client.socket() as sock:
            sock.settimeout(4 * REPLY)
            sock.connect((AT, 53))
            sock.sendall(text)
            try:
                check(sock.recv(100) == b"", f"an answer to {text!r}")
            except ConnectionResetError:
                pass


def strangers(scene):
    scene.ground.step("somebody who may not ask")
    with scene.client.socket(kind=socket.SOCK_DGRAM) as sock:
        sock.bind(("10.77.0.9", 0))
        sock.settimeout(0.5)
        sock.connect((AT, 53))
        sock.send(question("home.demo.p2p"))
        try:
            check(not sock.recv(1500), "an answer for a stranger")
        except TimeoutError:
            pass
    with scene.client.socket() as sock:
        sock.bind(("10.77.0.9", 0))
        sock.settimeout(REPLY)
        sock.connect((AT, 53))
        try:
            check(sock.recv(10) == b"", "a stranger's TCP connection stays")
        except ConnectionResetError:
            pass


def rss(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def flood(scene):
    """From one allowed address, as fast as dnsperf can: answers are bounded by the rate, memory stays, and others are served."""
    scene.ground.step("a flood")
    names = scene.ground.folder / "names"
    names.write_text("home.demo.p2p A\nnobody.demo.p2p A\nweb.home.demo.p2p SRV\n")
    before = rss(scene.dnsd.pid)
    seconds = 3
    with scene.client:
        dnsperf = subprocess.Popen(["dnsperf", "-s", AT, "-d", str(names), "-l", str(seconds), "-c", "8", "-q", "100000", "-Q", "150000", "-t", "1"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(1)
    with scene.server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(REPLY)
        sock.connect(("127.0.0.1", 53))
        times = []
        for _ in range(50):
            began = time.monotonic()
            sock.send(question("home.demo.p2p"))
            sock.recv(1500)
            times.append(time.monotonic() - began)
    out = dnsperf.communicate(timeout=4 * REPLY)[0]
    sent = int(next(line for line in out.splitlines() if "Queries sent" in line).split()[2])
    done = int(next(line for line in out.splitlines() if "Queries completed" in line).split()[2])
    scene.ground.step(f"{sent} questions in {seconds} s, {done} answered, median {sorted(times)[25] * 1e3:.2f} ms for another client")
    check(SANITIZED or sent >= 100000, f"only {sent} questions: no flood")
    check(rss(scene.dnsd.pid) - before < (64 << 20 if SANITIZED else 4 << 20), f"grew from {before} to {rss(scene.dnsd.pid)}")
    check(scene.short("+tcp", "home.demo.p2p") == "127.64.0.7", "no answer by TCP after the flood")
    return sent, done


def counters(scene, sent, done):
    scene.ground.step("the counters")
    scene.dnsd.stop()
    stats = json.loads(scene.dnsd.text().splitlines()[-1])
    check(stats["not_allowed"] >= 1 and stats["tcp_refused"] >= 1 and stats["ignored"] > 0, f"{stats}")
    # A quarter of what is above the rate gets an empty, truncated answer, no longer than its question.
    check(stats["limited"] > 0 or sent < 20000 or done < 6000, f"nothing was limited: {stats}")
    print(json.dumps(stats))


def main():
    needs("dig", "unbound", "dnsperf", "unshare")
    with Ground("dns") as ground:
        scene = Scene(ground)
        dig(scene)
        others(scene)
        glibc(scene)
        malformed(scene)
        strangers(scene)
        counters(scene, *flood(scene))


run(main)
