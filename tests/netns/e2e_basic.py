#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The daemon's life and its commands, with the real program: nc, forward, services, reload, kill -9, Ctrl-C.

          laptop                            home
         peergate                         peergate, and behind it:
        10.77.0.1 --------- veth ---------- 10.77.0.2    web 8000, echo 7, digest 8, down 4, secret, off
        socks 1080                          port 7001
        port 7001
"""
import base64
import fcntl
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from ground import PATIENCE, PEERGATE, REPLY, SANITIZED, Ground, check, run, until
from streams import TcpServer, Web, pattern, serve_digest, serve_echo, serve_pattern, socks_connect

MEGABYTE = 1 << 20
SERVICES = {
    "web": {"local_address": "127.0.0.1:8000"},
    "echo": {"local_address": "127.0.0.1:7"},
    "digest": {"local_address": "127.0.0.1:8"},
    "flood": {"local_address": "127.0.0.1:9"},
    "down": {"local_address": "127.0.0.1:4"},
    "ssh": {"local_address": "127.0.0.1:7", "port": 22},
    "batch": {"local_address": "127.0.0.1:7", "port": 80, "class": "bulk"},
    "off": {"local_address": "127.0.0.1:7", "port": 78, "enabled": False},
}


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.laptop_at, self.home_at = ground.namespace("laptop"), ground.namespace("home")
        ground.veth(self.laptop_at, "10.77.0.1/24", self.home_at, "10.77.0.2/24")
        self.laptop, self.home = ground.node(self.laptop_at, "laptop"), ground.node(self.home_at, "home")
        folder = ground.folder
        (folder / "www").mkdir()
        (folder / "www" / "hello").write_text("hello from home\n")
        (folder / "nobody").write_text("# nobody\n")
        (folder / "nobody").chmod(0o600)
        Web(self.home_at, ("127.0.0.1", 8000), str(folder / "www"))
        TcpServer(self.home_at, ("127.0.0.1", 7), serve_echo)
        TcpServer(self.home_at, ("127.0.0.1", 8), serve_digest)
        TcpServer(self.home_at, ("127.0.0.1", 9), serve_pattern)
        TcpServer(self.laptop_at, ("127.0.0.1", 7), serve_echo)
        self.services = {**SERVICES, "secret": {"local_address": "127.0.0.1:7", "port": 77, "authorized_keys": str(folder / "nobody")}}
        self.configure_home()
        self.configure_laptop()

    def configure_home(self, **changes):
        self.home.configure({"port": 7001,
                             "peers": [{"name": "laptop", "peer_id": self.laptop.peer_id, "endpoint": "10.77.0.1:7001"}],
                             "services": self.services, **changes})

    def configure_laptop(self, **changes):
        self.laptop.configure({"port": 7001, "services": {"own": {"local_address": "127.0.0.1:7"}},
                               "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": "10.77.0.2:7001"}],
                               "socks": {"listen": "127.0.0.1:1080"}, **changes})

    def start_cli(self, *words, **options):
        """A command of laptop that stays."""
        with self.laptop_at:
            return subprocess.Popen([PEERGATE, "--dir", str(self.laptop.dir), *map(str, words)], **options)

    def nc(self, *words, data=b"", seconds=30 * PATIENCE):
        """(exit status, stdout, stderr)"""
        with self.laptop_at:
            done = subprocess.run([PEERGATE, "--dir", str(self.laptop.dir), "nc", *map(str, words)], input=data,
                                  capture_output=True, timeout=seconds)
        return done.returncode, done.stdout, done.stderr.decode()

    def expect_echo(self, when):
        status, out, err = self.nc("home", "echo", data=b"hello")
        check((status, out) == (0, b"hello"), f"{when}: nc to echo gave {status}, {out!r}, {err}")


class Line:
    """An echo connection that stays open and can be asked whether it lives."""

    def __init__(self, scene):
        self.process = scene.start_cli("nc", "home", "echo", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def expect_life(self, when):
        self.process.stdin.write(b"still there?\n")
        self.process.stdin.flush()
        check(self.process.stdout.readline() == b"still there?\n", f"{when}: a connection of before is gone: "
              f"{self.process.stderr.read() if self.process.poll() is not None else 'silent'}")

    def end(self, seconds=2 * REPLY):
        """(exit status, stderr)"""
        _, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, err.decode()


def before_it_runs(scene):
    scene.ground.step("without a daemon")
    for words in (["status"], ["ping", "home"], ["nc", "home", "echo"], ["down"], ["reload"]):
        status, _, err = scene.laptop.cli(*words, should=False)
        check(status == 1 and "no daemon is running for" in err, f"{words}: {status}, {err}")
        check((" up`" in err) == (words != ["down"]), f"{words} advises {err}")
        status, out, err = scene.laptop.cli("--json", *words, should=False)
        told = out == "" if words[0] == "nc" else json.loads(out)["code"] == "no-daemon"
        check(status == 1 and told and "no daemon is running for" in err, f"{words} --json: {status}, {out}, {err}")


def commands(scene):
    scene.ground.step("status, peers, resolve, services, ping")
    scene.home.up()
    scene.laptop.up()
    check(scene.laptop.cli("ping", "-c1", "home").startswith("answer from home: seq=1 time="), "ping -c1")
    count, answered, times = scene.laptop.ping("home", 3, 0.05)
    check(answered > 0 and all(ms > 0 for ms in times), f"{answered} of {count} pings answered: {times}")
    peer = scene.laptop.peer("home")
    check((peer["state"], peer["protocol"], peer["source"]) == ("established", "peergate", "config"), f"{peer}")
    check(peer["path"]["endpoint"] == "10.77.0.2:7001" and peer["bytes_sent"] > 0 and peer["since_s"] >= 0, f"{peer}")
    way = json.loads(scene.laptop.cli("why", "--json", "home"))["paths"][0]
    check(way["used"] and way["rtt_ms"] > 0 and way["local"] == "10.77.0.1", f"why: {way}")
    check("* direct 10.77.0.2:7001 from 10.77.0.1, round trip " in scene.laptop.cli("why", "home"), f"why prints {scene.laptop.cli('why', 'home')}")
    text = scene.laptop.cli("status")
    check("home  connected" in text and "\x1b" not in text, f"status printed:\n{text}")
    for name in ("home", "home.demo", "home.demo.p2p", "web.home.demo.p2p", scene.home.peer_id):
        got = json.loads(scene.laptop.cli("resolve", "--json", name))
        check(got["peer"]["peer_id"] == scene.home.peer_id, f"resolve {name}: {got}")
    check(json.loads(scene.laptop.cli("resolve", "--json", "web.home.demo.p2p"))["service"] == "web", "no service in a name")
    check("state      connected\n" in scene.laptop.cli("resolve", "home"), "resolve has the words of peers")
    status, out, err = scene.laptop.cli("resolve", "--json", "nobody", should=False)
    check(status == 1 and json.loads(out)["code"] == "unknown-name" and "nobody" in err, f"resolve nobody: {status}, {out}, {err}")
    offered = {entry["name"] for entry in json.loads(scene.laptop.cli("services", "--json", "home"))["services"]}
    check(offered == {"web", "echo", "digest", "flood", "down", "ssh", "batch"}, f"home offers laptop {offered}")
    status, _, err = scene.laptop.cli("up", should=False)
    check(status == 1 and "is running for" in err and "down`" in err, f"a second daemon: {status}, {err}")


def nc(scene):
    scene.ground.step("nc: both directions, their ends, and every refusal")
    scene.expect_echo("at first")
    data = pattern(8 * MEGABYTE)
    status, out, err = scene.nc("home", "echo", data=data)
    check(status == 0 and out == data, f"8 MB through nc: {status}, {len(out)} bytes came back, {err}")
    status, out, _ = scene.nc("digest.home.demo.p2p", 8, data=data)
    check(status == 0 and out.startswith(b"%d " % len(data)), f"the digest after half-close: {status}, {out!r}")
    status, out, err = scene.nc("laptop", "own", data=b"to myself")
    check((status, out) == (0, b"to myself"), f"nc to a service of one's own: {status}, {out!r}, {err}")
    for words, sentence in ((("home", "nothing"), "no such service"), (("home", 99), "no such service"), (("home", "off"), "no such service"),
                            (("home", "secret"), "not allow"), (("home", "down"), "refused"), (("nobody", 22), "no peer has this name"),
                            (("laptop", "nothing"), "no such service")):
        status, out, err = scene.nc(*words, data=b"data that nobody wants")
        check(status == 1 and not out and sentence in err, f"nc {words}: {status}, {out!r}, {err}")
    for words, sentence in ((("home", "echo"), "opens echo, normal"), (("--class", "interactive", "home", 7), "opens echo, interactive"),
                            (("home", "ssh"), "opens ssh, interactive"), (("home", 22), "opens ssh, interactive"),
                            (("home", "ssh", "--class=bulk"), "opens ssh, bulk"), (("home", "batch"), "opens batch, bulk")):
        seen = scene.home.log().count(sentence)
        check(scene.nc(*words)[0] == 0, f"nc {words} failed")
        check(scene.home.log().count(sentence) == seen + 1, f"nc {words}: home does not log \"{sentence}\"")
    status, _, err = scene.nc("--class", "urgent", "home", "echo")
    check(status == 2 and "urgent" in err, f"nc --class urgent: {status}, {err}")
    status, _, err = scene.nc("home", 70000)
    check(status == 2, f"nc to port 70000: {status}, {err}")


def forward_failures(scene):
    """Whoever typed `forward` hears what the program at the port cannot be told."""
    for port, more in ((8081, []), (8082, ["--json"])):
        process = scene.start_cli("forward", *more, port, "home:nothing", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = process.stdout.readline()
        check(f"127.0.0.1:{port}" in first, f"forward says {first!r}")
        for _ in range(2):
            with scene.laptop_at:
                sock = socket.create_connection(("127.0.0.1", port), 2 * REPLY)
            sock.settimeout(2 * REPLY)
            check(sock.recv(1) == b"", "a service that is not listed answers")
            sock.close()
            said = process.stderr.readline()
            check("home:nothing failed: the peer has no such service; `peergate services home` lists" in said, f"forward says {said!r}")
            if more:
                line = json.loads(process.stdout.readline())
                check((line["event"], line["code"]) == ("failed", "not-listed"), f"forward --json says {line}")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=2 * REPLY)
        check((process.returncode, out, err) == (0, "", ""), f"forward after Ctrl-C: {process.returncode}, {out!r}, {err!r}")
    process = scene.start_cli("forward", 8083, "nobody:web", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=2 * REPLY)
    check('no peer has the name "nobody"' in said and process.returncode == 0, f"forward to nobody: {process.returncode}, {said!r}")


def forward(scene):
    scene.ground.step("forward: a local port, until Ctrl-C")
    with scene.laptop_at:
        forwarding = subprocess.Popen([PEERGATE, "--dir", str(scene.laptop.dir), "forward", "8080", "home:web"], stdout=subprocess.PIPE, text=True)
    check("listening on 127.0.0.1:8080" in forwarding.stdout.readline(), "forward does not say where it listens")
    page = scene.laptop_at.run("curl", "-sS", "--fail", "--noproxy", "", "http://127.0.0.1:8080/hello")
    check(page == "hello from home\n", f"the forwarded page: {page!r}")
    status, _, err = scene.laptop.cli("forward", "8080", "home:web", should=False)
    check(status == 1 and "8080" in err and "has it" in err, f"forward to a port in use: {status}, {err}")
    status, _, err = scene.laptop.cli("forward", "nonsense", "home:web", should=False)
    check(status == 1 and "no address to listen on" in err, f"forward from nonsense: {status}, {err}")
    forward_failures(scene)
    held = scene.laptop_at.socket()
    held.connect(("127.0.0.1", 8080))
    held.settimeout(2 * REPLY)
    forwarding.send_signal(signal.SIGINT)
    check(forwarding.wait(2 * REPLY) == 0, f"forward ended with {forwarding.returncode} after Ctrl-C")
    try:
        check(held.recv(10) == b"", "a forwarded connection went on after forward's end")
    except ConnectionResetError:
        pass
    held.close()
    late = scene.laptop_at.socket()
    check(late.connect_ex(("127.0.0.1", 8080)) != 0, "the port is still open after forward's end")
    late.close()
    here = scene.ground.folder / "forward"
    here.mkdir()
    with scene.laptop_at:
        forwarding = subprocess.Popen([PEERGATE, "--dir", str(scene.laptop.dir), "forward", "unix:web.sock", "home:web"], stdout=subprocess.PIPE, text=True, cwd=here)
    check(f"listening on unix:{here}/web.sock" in forwarding.stdout.readline(), "forward: a path does not start from where the command was given")
    page = scene.laptop_at.run("curl", "-sS", "--fail", "--unix-socket", here / "web.sock", "http://web/hello")
    check(page == "hello from home\n", f"the page forwarded by a unix socket: {page!r}")
    forwarding.send_signal(signal.SIGINT)
    check(forwarding.wait(10) == 0 and not (here / "web.sock").exists(), "the unix socket is still there after forward's end")


def reload(scene):
    scene.ground.step("reload: a bad file changes nothing; a good one what it says, and no more")
    line = Line(scene)
    line.expect_life("before")
    config = scene.home.dir / "config.yaml"
    good = config.read_text()
    config.write_text(good.replace('"network"', '"netwrok"'))
    status, _, err = scene.home.cli("reload", should=False)
    check(status == 1 and "netwrok" in err and re.search(r"config\.yaml:\d+", err), f"a bad reload: {status}, {err}")
    scene.home.daemon.signal(signal.SIGHUP)
    scene.home.logged("the old ones stay in force")
    scene.home.logged("netwrok")
    scene.expect_echo("with a bad file")
    line.expect_life("after a bad reload")

    services = {name: service for name, service in scene.services.items() if name != "digest"}
    scene.configure_home(services={**services, "again": {"local_address": "127.0.0.1:7", "port": 79}})
    scene.home.daemon.signal(signal.SIGHUP)
    scene.home.logged("reloaded: ")
    check(scene.nc("home", "again", data=b"new")[1] == b"new", "a service that was added cannot be used")
    check("no such service" in scene.nc("home", "digest")[2], "a service that was removed can be used")
    line.expect_life("after a good reload")

    scene.configure_laptop(socks={"listen": "127.0.0.1:1081"}, peers=[*scene.laptop.config["peers"], {"name": "third", "public_key": scene.third}])
    kept = socks_connect(scene.laptop_at, ("127.0.0.1", 1080), "home.demo.p2p", 7)
    scene.laptop.cli("reload")
    kept.sendall(b"kept")
    check(kept.recv(4) == b"kept", "a client of the old proxy port was dropped")
    kept.close()
    socks_connect(scene.laptop_at, ("127.0.0.1", 1081), "home.demo.p2p", 7).close()
    check(scene.laptop.peer("third")["path"] is None, "a peer that was added is not there, or is somewhere")
    line.expect_life("after the proxy moved")
    scene.configure_laptop()
    scene.laptop.cli("reload")
    check([peer["name"] for peer in scene.laptop.status()["peers"]] == ["home"], "a peer that was removed is still there")
    line.process.stdin.close()
    line.process.stdin = None
    check(line.end()[0] == 0, "the long connection did not end well")
    scene.configure_home()
    scene.home.cli("reload")


def authorized(scene):
    scene.ground.step("authorized_keys: a peer that is in no configuration, for one service, until it is taken out")
    scene.configure_home(peers=[])
    status, _, err = scene.home.cli("authorize", scene.laptop.peer_id, "--services", "echo", should=False)
    check(status == 0 and f"--dir {scene.home.dir} reload" in err, f"authorize beside a running daemon: {status}, {err}")
    scene.home.cli("reload")
    scene.expect_echo("authorized for it")
    check("not allow" in scene.nc("home", "web")[2], "a service that is not in services=\"echo\" can be used")
    check(json.loads(scene.home.cli("peers", "--json"))["peers"][0]["source"] == "authorized_keys", "the peer's source")
    line = Line(scene)
    line.expect_life("authorized")
    status, _, err = scene.home.cli("deauthorize", scene.laptop.peer_id, should=False)
    check(status == 0 and f"--dir {scene.home.dir} reload" in err, f"deauthorize beside a running daemon: {status}, {err}")
    scene.home.cli("reload")
    check(scene.home.status()["peers"] == [], "a peer that was taken out is still there")
    line.process.kill()
    line.process.wait()
    scene.configure_home()
    scene.home.cli("reload")
    until(lambda: scene.laptop.ping("home")[1] == 1, "laptop is let in again", 30)


def killed(scene):
    scene.ground.step("kill -9 of home: its flows end with a reason, its files load, laptop comes back")
    line = Line(scene)
    line.expect_life("before kill -9")
    flood = scene.start_cli("nc", "home", "flood", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    drain = threading.Thread(target=flood.stdout.read, daemon=True)
    drain.start()
    time.sleep(0.2)
    scene.home.kill()
    check((scene.laptop.dir / "state" / "tai64n").exists(), "laptop, which began handshakes, kept no lease")
    check((scene.home.dir / "control.sock").exists(), "the socket should be left over")
    began = time.monotonic()
    scene.home.up()
    until(lambda: scene.laptop.ping("home")[1] == 1, "laptop reaches home again", 30)
    scene.ground.step(f"    reached again after {time.monotonic() - began:.1f} s")
    for name, process in (("echo", line.process), ("flood", flood)):
        process.wait(4 * REPLY)
        err = process.stderr.read().decode()
        check(process.returncode == 1 and "restart" in err, f"nc to {name} over a kill -9: {process.returncode}, {err}")
    drain.join()
    scene.expect_echo("after the restart")


def ended(scene):
    scene.ground.step("Ctrl-C, SIGTERM, down; in the background")
    line = Line(scene)
    line.expect_life("before Ctrl-C")
    daemon = scene.home.daemon
    daemon.signal(signal.SIGINT)
    check(daemon.popen.wait(2 * REPLY) == 0, f"home ended with {daemon.popen.returncode} after Ctrl-C")
    check(not (scene.home.dir / "control.sock").exists(), "the control socket is left over")
    status, err = line.end()
    check(status == 1 and "shut" in err, f"nc over the peer's Ctrl-C: {status}, {err}")
    scene.home.daemon = None

    # What a killed daemon was about to start holds its lock for a moment.
    lock = open(scene.home.dir / "control.sock.lock", "ab")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    threading.Timer(0.1, lock.close).start()
    ready = json.loads(scene.home.cli("up", "-b", "--json"))
    check((ready["event"], ready["networks"][0]["port"]) == ("ready", 7001), f"up -b --json says {ready}")
    check(ready["networks"][0]["peer_id"] == scene.home.peer_id and os.path.exists(f"/proc/{ready['pid']}"), f"up -b --json says {ready}")
    until(lambda: scene.laptop.ping("home")[1] == 1, "laptop reaches home in the background", 30)
    check("listening on UDP port 7001" in (scene.home.dir / "peergate.log").read_text(), "no log of the daemon in the background")
    status, _, err = scene.home.cli("up", "-b", should=False)
    check(status == 1 and "is running for" in err, f"another one in the background: {status}, {err}")
    scene.home.cli("down")
    status, _, err = scene.home.cli("down", should=False)
    check(status == 1, "down worked twice")

    taken = scene.home_at.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("0.0.0.0", 7001))
    for words in (["up"], ["up", "-b"]):
        status, _, err = scene.home.cli(*words, should=False)
        check(status == 1 and "7001" in err and "in use" in err, f"{words} with its port taken: {status}, {err}")
        status, out, err = scene.home.cli("--json", *words, should=False)
        told = json.loads(out)
        check(status == 1 and told["ok"] is False and "7001" in told["error"] and "in use" in err, f"--json {words}: {status}, {out}, {err}")
    taken.close()


def logs(scene):
    scene.ground.step("up --log FILE, from where the person is; up --syslog")
    home, folder = scene.home, scene.ground.folder
    home.cli("up", "-b", "--log", "logs-here", cwd=folder)
    home.cli("reload")
    home.cli("down")
    text = (folder / "logs-here").read_text()
    check("listening on UDP port 7001" in text and "reloaded:" in text and text.endswith("ended\n"), f"--log has {text}")
    check((folder / "logs-here").stat().st_mode & 0o077 == 0, "others may read the log")
    status, _, err = home.cli("up", "-b", "--log", "no/such/folder/log", should=False, cwd=folder)
    check(status == 1 and f"{folder}/no/such/folder/log" in err, f"a log that cannot be: {status}, {err}")
    status, _, err = home.cli("up", "--log", "x", "--syslog", should=False)
    check(status == 2 and "exclude" in err, f"both: {status}, {err}")

    syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    syslog.bind(str(folder / "syslog"))
    syslog.settimeout(REPLY)
    # A /dev of its own, in which our socket is the machine's log.
    own_dev = 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && ln -s "$0" /dev/log && exec "$@"'
    with home.namespace:
        daemon = subprocess.Popen(["unshare", "--mount", "sh", "-c", own_dev, str(folder / "syslog"), PEERGATE, "--dir", str(home.dir), "up", "--syslog"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    told = b""
    try:
        while b"listening on UDP port 7001" not in told:
            told = syslog.recv(4096)
    except TimeoutError:
        daemon.kill()
        check(False, f"nothing in syslog: {daemon.communicate()}")
    check(re.match(rb"<(\d+)>", told) and int(told[1:told.index(b">")]) % 8 == 6 and b"peergate" in told, f"syslog is told {told!r}")
    daemon.send_signal(signal.SIGTERM)
    # Read on to the end: a log that nobody reads is full after ten lines, and then whoever writes waits.
    while not told.endswith(b"ended"):
        told = syslog.recv(4096)
    out, err = daemon.communicate(timeout=2 * REPLY)
    check((daemon.returncode, out, err) == (0, b"", b""), f"up --syslog: {daemon.returncode}, {out!r}, {err!r}")
    syslog.close()


def memory(scene):
    scene.ground.step("the daemon's memory is not for other programs of its user, unless --cores says so")
    nobody = 65534
    as_nobody = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups"]
    if subprocess.run([*as_nobody, PEERGATE, "--version"], capture_output=True).returncode:
        scene.ground.step(f"    skipped: {PEERGATE} is where only root can run it")
        return
    third = scene.ground.nodes[-1]
    third.configure({"port": 0})
    scene.ground.folder.chmod(0o711)
    for path in (third.dir, *third.dir.iterdir()):
        os.chown(path, nobody, nobody)
    for number, (words, owner) in enumerate((([], 0), (["--cores"], nobody))):
        daemon = third.namespace.start([*as_nobody, PEERGATE, "--dir", third.dir, "up", *words], f"third-{number}",
                                       ready="listening on UDP port")
        check(os.stat(f"/proc/{daemon.pid}/environ").st_uid == owner, f"up {words}: /proc/PID/environ is not {owner}'s")
        check(daemon.stop() == 0, f"it did not end well: {daemon.text()[-2000:]}")


def resources(scene):
    if SANITIZED:
        return
    scene.ground.step("an idle daemon is small and quiet")

    def busy():
        fields = open(f"/proc/{scene.laptop.daemon.pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    before = busy()
    time.sleep(6)
    share = (busy() - before) / os.sysconf("SC_CLK_TCK") / 6
    scene.ground.step(f"    {scene.laptop.rss() >> 10} KB, {100 * share:.2f} % of a core")
    check(scene.laptop.rss() < 8 * MEGABYTE, f"an idle daemon has {scene.laptop.rss() >> 10} KB")
    check(share < 0.01, f"an idle daemon takes {100 * share:.1f} % of a core")


def many_peers(scene):
    count = 4000
    scene.ground.step(f"{count} peers: status and peers tell them all")
    dice = random.Random(1)

    def key():
        return base64.b64encode(dice.randbytes(31) + b"\x01").decode()
    scene.configure_laptop(peers=[*scene.laptop.config["peers"],
                                  *({"name": f"peer-{i}", "public_key": key(), "keepalive_interval": 0} for i in range(count))])
    scene.laptop.cli("reload", seconds=60)
    for words in (["peers", "--json"], ["status", "--json"]):
        answer = json.loads(scene.laptop.cli(*words, seconds=60))
        check(len(answer["peers"]) == count + 1, f"{words} tells of {len(answer['peers'])} peers")
    check(f"peer-{count - 1} " in scene.laptop.cli("peers", seconds=60), "peers does not print the last one")
    scene.configure_laptop()
    scene.laptop.cli("reload", seconds=60)


def main():
    with Ground("e2e") as ground:
        scene = Scene(ground)
        third = ground.node(scene.laptop_at, "third")
        scene.third = third.public_key
        before_it_runs(scene)
        commands(scene)
        nc(scene)
        forward(scene)
        reload(scene)
        authorized(scene)
        killed(scene)
        memory(scene)
        resources(scene)
        many_peers(scene)
        ended(scene)
        logs(scene)


run(main)
