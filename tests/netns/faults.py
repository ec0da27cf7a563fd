#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The machine fails around the daemon: no descriptors, no disk, no network, no permission, a narrower way, a dead peer, a clock
set back, kill -9. It says so, goes on, and recovers.

      laptop                     west                        east                     home
     peergate                                                                       peergate
    10.77.0.2 ---- veth ---- 10.77.0.1
    socks 1080               10.99.0.1 ------ veth ------ 10.99.0.2
                                        MTU 1500, 1400,   10.78.0.1 ---- veth ---- 10.78.0.2
                                             1280                                 echo, source
"""
import json
import os
import random
import resource
import shutil
import subprocess
import time
from pathlib import Path
from ground import BUILD, PEERGATE, REPLY, STILL_MAX, Failed, Ground, check, chosen, command, needs, run, until
from streams import Download, TcpServer, pattern, receive_exactly, serve_echo, serve_pattern, socks_connect, socks_request

PROXY = ("127.0.0.1", 1080)
PORT = 7001
MEGABYTE = 1 << 20
DAY = 86400


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.laptop_at, self.west, self.east, self.home_at = (ground.namespace(name) for name in ("laptop", "west", "east", "home"))
        ground.veth(self.laptop_at, "10.77.0.2/24", self.west, "10.77.0.1/24")
        ground.veth(self.west, "10.99.0.1/24", self.east, "10.99.0.2/24")
        ground.veth(self.east, "10.78.0.1/24", self.home_at, "10.78.0.2/24")
        for at, gateway in ((self.laptop_at, "10.77.0.1"), (self.west, "10.99.0.2"), (self.east, "10.99.0.1"), (self.home_at, "10.78.0.1")):
            at.ip("route", "add", "default", "via", gateway)
        for router in (self.west, self.east):
            router.sysctl("net.ipv4.ip_forward", 1)
        self.laptop, self.home = ground.node(self.laptop_at, "laptop"), ground.node(self.home_at, "home")
        TcpServer(self.home_at, ("127.0.0.1", 7), serve_echo)
        TcpServer(self.home_at, ("127.0.0.1", 5), serve_pattern)
        self.home.configure({"port": PORT, "peers": [{"name": "laptop", "peer_id": self.laptop.peer_id}],
                             "services": {"echo": {"local_address": "127.0.0.1:7"}, "source": {"local_address": "127.0.0.1:5"}}})
        self.laptop.configure(self.laptop_config())
        self.home.up()
        self.laptop.up()

    def laptop_config(self):
        return {"port": PORT, "socks": {"listen": "127.0.0.1:1080", "timeout": "20s"},
                "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": f"10.78.0.2:{PORT}"}]}

    def connect(self, host="echo.home.demo", port=7, seconds=2 * REPLY):
        return socks_connect(self.laptop_at, PROXY, host, port, seconds)

    def echoes(self, why, seconds=2 * REPLY, size=100000):
        """A new connection works; how long it took."""
        begin = time.monotonic()
        try:
            with self.connect(seconds=seconds) as sock:
                data = pattern(size)
                sock.settimeout(seconds)
                sock.sendall(data)
                check(receive_exactly(sock, size) == data, f"{why}: other bytes come back")
        except (OSError, EOFError, Failed) as error:
            raise Failed(f"{why}: no echo through the proxy: {error}") from None
        return time.monotonic() - begin

    def answers(self):
        """Once, however it ends."""
        try:
            self.echoes("once")
        except Failed:
            return False
        return True

    def download(self):
        download = Download(self.connect("source.home.demo", 5))
        until(lambda: download.count() > MEGABYTE, "the download begins")
        return download

    def goes_on(self, download, what, seconds=5):
        """The longest time without a byte until it runs steadily, which has to be within some seconds."""
        begin = time.monotonic()
        time.sleep(0.7)  # what was on its way has arrived
        at = download.count()
        until(lambda: download.count() > at + 8 * MEGABYTE or download.is_over,
              lambda: f"{what}: the download goes on; it stands at {download.count()} bytes", seconds)
        download.must_run()
        return download.longest_gap(begin, time.monotonic())


def cpu_seconds(node):
    fields = Path(f"/proc/{node.daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Quiet:
    """While this lasts a daemon neither spins nor floods its log."""

    def __init__(self, node, why, share=0.5, lines=60):
        self.node, self.why, self.share, self.lines = node, why, share, lines

    def __enter__(self):
        self.begin, self.cpu, self.at = time.monotonic(), cpu_seconds(self.node), len(self.node.log().splitlines())

    def __exit__(self, kind, *_):
        if kind:
            return
        share = (cpu_seconds(self.node) - self.cpu) / (time.monotonic() - self.begin)
        lines = len(self.node.log().splitlines()) - self.at
        check(share < self.share, f"{self.why}: {self.node.name} burns {share:.0%} of a core")
        check(lines < self.lines, f"{self.why}: {self.node.name} logs {lines} lines")


def descriptors(scene):
    scene.ground.step("48 descriptors for laptop, then for home: it takes what it can, and goes on when there are some again")
    for node, other in ((scene.laptop, scene.home), (scene.home, scene.laptop)):
        for running in (node, other):
            running.stop()
        node.up(limits={resource.RLIMIT_NOFILE: 48})
        other.up()
        scene.echoes("with few descriptors")
        socks = []
        with Quiet(node, "without descriptors", lines=300):  # three for each client
            for _ in range(80):
                sock = scene.laptop_at.socket()
                sock.settimeout(REPLY)
                sock.connect(PROXY)
                sock.sendall(b"\5\1\0\5\1\0\3\16echo.home.demo\0\7")
                socks.append(sock)
            time.sleep(2)
        check(node.descriptors() >= 40, f"{node.name} has only {node.descriptors()} descriptors open: the test does not reach the limit")
        for sock in socks:
            sock.close()
        until(lambda: node.descriptors() < 40, f"{node.name} closes what its clients have closed")
        took = scene.echoes("with descriptors again")
        until(lambda: node.cli("status", should=False)[0] == 0, f"{node.name} answers on its control socket again")
        scene.ground.step(f"    {node.name}: the first echo afterwards took {took:.2f} s")
    for node in (scene.home, scene.laptop):
        node.stop()
        node.up()


def full_disk(scene):
    scene.ground.step("the disk of a node's folder is full")
    scene.laptop.stop()  # its ports are the other one's now
    folder = scene.ground.folder / "tiny"
    folder.mkdir()
    command(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", folder])
    try:
        node = scene.ground.node(scene.laptop_at, "tiny", folder=folder)
        node.configure(scene.laptop_config())
        node.cli("authorize", scene.home.peer_id, "--comment", "before")
        scene.home.configure({**scene.home.config, "peers": [{"name": "tiny", "peer_id": node.peer_id}, *scene.home.config["peers"]]})
        scene.home.cli("reload")
        before = (folder / "authorized_keys").read_text()
        with open(folder / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 512)
            except OSError:
                pass
        status, _, said = node.cli("authorize", scene.home.peer_id, "--comment", "after", should=False)
        check(status == 1 and "space" in said.lower(), f"`peergate authorize` on a full disk: {status}, {said!r}")
        check((folder / "authorized_keys").read_text() == before, "authorized_keys was changed on a full disk")
        node.up()
        scene.echoes("with a full disk")
        until(lambda: "cannot write" in node.log() and "space" in node.log().lower(), "the daemon says that it cannot save its state")
        (folder / "filler").unlink()
        node.cli("authorize", scene.home.peer_id, "--comment", "after")
        node.cli("reload")
        scene.echoes("with room on the disk again")
        check([entry for entry in os.listdir(folder) if ".tmp-" in entry] == [], f"temporary files are left: {os.listdir(folder)}")
        node.stop()
    finally:
        for node in scene.ground.nodes:
            if node.dir == folder and node.daemon:
                node.kill()
        subprocess.run(["umount", "-l", folder], check=False)
    scene.laptop.up()


def no_network(scene):
    scene.ground.step("laptop's interface goes down for 2 s (ENETUNREACH), idle and under a download")
    scene.echoes("before")
    for is_busy in (False, True):
        download = scene.download() if is_busy else None
        with Quiet(scene.laptop, "without a network"):
            scene.laptop_at.ip("link", "set", "west", "down")
            time.sleep(2)
            if not is_busy:
                check(scene.laptop.ping("home", 1, seconds=10)[1] == 0, "a ping is answered without a network")
            scene.laptop_at.ip("link", "set", "west", "up")
            scene.laptop_at.ip("route", "replace", "default", "via", "10.77.0.1")
        if is_busy:
            scene.ground.step(f"    the download goes on after {scene.goes_on(download, 'with a network again'):.2f} s")
            download.stop()
        else:
            scene.ground.step(f"    the first echo afterwards took {scene.echoes('with a network again'):.2f} s")


def forbidden(scene):
    scene.ground.step("a firewall forbids laptop, then home, to send (EPERM) for 2 s")
    download = scene.download()
    for node, at in ((scene.laptop, scene.laptop_at), (scene.home, scene.home_at)):
        before = node.status()["link"]["send_errors"]
        with Quiet(node, "forbidden to send"):
            at.nft(f"""
                table inet forbid {{
                    chain out {{ type filter hook output priority 0; udp sport {PORT} drop; }}
                }}""")
            time.sleep(2)
            at.nft("delete table inet forbid")
        scene.ground.step(f"    {node.name}: on again after {scene.goes_on(download, 'allowed to send again'):.2f} s")
        check(node.status()["link"]["send_errors"] > before, f"{node.name} counts no errors of sending: {node.status()['link']}")
    download.stop()


def set_narrow(scene, mtu):
    scene.west.ip("link", "set", "east", "mtu", str(mtu))
    scene.east.ip("link", "set", "west", "mtu", str(mtu))


def forget_narrow(scene):
    set_narrow(scene, 1500)
    for at in (scene.laptop_at, scene.home_at):
        at.ip("route", "flush", "cache")


def mute(scene, is_mute):
    """The routers do not say that something was too long."""
    for router in (scene.west, scene.east):
        router.nft("""
            table inet mute {
                chain out { type filter hook output priority 0; meta l4proto icmp drop; }
            }""" if is_mute else "delete table inet mute")


def whole_way(scene):
    """A download over a session that uses all of 1500 bytes."""
    download = scene.download()
    until(lambda: scene.laptop.peer("home")["path"]["payload"] >= 1472, lambda: f"the whole way is used: {scene.laptop.peer('home')['path']}")
    return download


def narrow(scene):
    scene.ground.step("the way becomes narrower: 1400, 1280; the routers say so")
    download = whole_way(scene)
    for mtu in (1400, 1280):
        set_narrow(scene, mtu)
        scene.ground.step(f"    {mtu}: on again after {scene.goes_on(download, f'MTU {mtu}'):.2f} s")
    scene.echoes("over an MTU of 1280", size=MEGABYTE)
    download.stop()
    forget_narrow(scene)


def finds(scene, mtu):
    """Both ends know the path's size, give or take what is not worth another probe."""
    most = mtu - 28
    until(lambda: all(most - 9 <= node.peer(name)["path"]["payload"] <= most for node, name in ((scene.laptop, "home"), (scene.home, "laptop"))),
          lambda: f"both use a payload of {most} over an MTU of {mtu}; {scene.laptop.peer('home')['path']}, {scene.home.peer('laptop')['path']}", 12)


def narrow_from_the_start(scene):
    for is_mute, mtu in ((False, 1400), (False, 1280), (True, 1400), (True, 1280)):
        scene.ground.step(f"a new session over an MTU of {mtu}" + (", and nobody says so" if is_mute else ""))
        for node in (scene.laptop, scene.home):
            node.stop()
        forget_narrow(scene)
        set_narrow(scene, mtu)
        if is_mute:
            mute(scene, True)
        scene.home.up()
        scene.laptop.up()
        scene.echoes(f"a new session over an MTU of {mtu}", size=MEGABYTE)
        download = scene.download()
        scene.goes_on(download, f"a new session over an MTU of {mtu}")
        finds(scene, mtu)
        download.stop()
        if is_mute:
            mute(scene, False)
    forget_narrow(scene)


def suddenly_narrow(scene):
    scene.ground.step("the way becomes narrower under a download, and nobody says so")
    for node in (scene.laptop, scene.home):  # what was found to be too large is not tried again so soon
        node.stop()
    scene.home.up()
    scene.laptop.up()
    download = whole_way(scene)
    mute(scene, True)
    set_narrow(scene, 1400)
    gap = scene.goes_on(download, "a silent MTU of 1400", 15)
    scene.ground.step(f"    | path MTU: black hole under a download, two daemons | on again after {gap:.2f} s |")
    check(gap < STILL_MAX, f"it stood still for {gap:.1f} s")
    finds(scene, 1400)
    download.stop()
    mute(scene, False)
    forget_narrow(scene)


def dead_peer(scene):
    scene.ground.step("home is killed; its machine answers with ICMP (ECONNREFUSED)")
    download = scene.download()
    scene.home.kill()
    with Quiet(scene.laptop, "with a dead peer"):
        time.sleep(3)
    scene.home.up()
    begin = time.monotonic()
    until(lambda: scene.answers(), "home is reached again after its restart", 20)
    scene.ground.step(f"    home was reached again {time.monotonic() - begin:.2f} s after its restart")
    until(lambda: download.is_over, "the old connection is over", 5)
    check(not isinstance(download.error, Failed), f"{download.error}")


def clock_set_back(scene):
    scene.ground.step("the wall clock is a day behind after a restart")
    shim = BUILD / "tests" / "tools" / "wallshift.so"
    check(shim.exists(), f"{shim} is not built")
    env = {"LD_PRELOAD": str(shim), "WALLSHIFT": str(-DAY), "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    state = scene.laptop.dir / "state"
    for shifted in (None, env):
        scene.laptop.stop()
        scene.laptop.up(env=shifted)
        scene.ground.step(f"    the first echo took {scene.echoes('the clock was set back'):.2f} s")
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() - DAY))
    check(day in scene.laptop.log(), f"the clock of laptop is not set back: {scene.laptop.log()[:300]}")
    scene.laptop.stop()
    scene.ground.step("    the same, and the state folder lost: home refuses the old timestamps, and counts them")
    state.rename(state.with_name("kept"))
    scene.laptop.up(env=env)
    until(lambda: scene.home.peer("laptop")["refused_as_replay"] > 0, "home counts handshakes that it refuses as replays", 10)
    time.sleep(2)
    warnings = scene.home.log().count("laptop: its handshake is refused as a replay")
    check(warnings == 1, f"home warns {warnings} times of laptop's clock")
    check("its clock is" in scene.home.cli("status"), "status does not name laptop's clock")
    scene.laptop.stop()
    shutil.rmtree(state)
    state.with_name("kept").rename(state)
    scene.laptop.up()
    scene.echoes("the clock is right again")


def kills(scene):
    scene.ground.step("kill -9 at random moments of edits and restarts, for 10 s: every file loads")
    dice = random.Random()
    seed = dice.randrange(1 << 32)
    dice.seed(seed)
    node = scene.laptop
    node.stop()
    node.cli("authorize", scene.home.peer_id, "--comment", "stays")
    strangers = [json.loads(command([PEERGATE, "--dir", str(scene.ground.folder / f"s{i}"), "init", "--json"]))["peer_id"]
                 for i in range(3)]
    count = 0
    end = time.monotonic() + 10
    while time.monotonic() < end:
        count += 1
        words = dice.choice([["up"], ["up"], ["authorize", dice.choice(strangers), "--comment", f"number {count}"],
                             ["authorize", scene.home.peer_id, "--services", "ssh,web"], ["deauthorize", dice.choice(strangers)], ["init"]])
        with scene.laptop_at:
            victim = subprocess.Popen([PEERGATE, "--dir", str(node.dir), *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE, text=True)
        time.sleep(dice.choice([0.002, 0.01, 0.03, 0.06, 0.1, 0.2]) * dice.uniform(0.5, 1.5))
        victim.kill()
        said = victim.communicate()[1]
        why = f"seed {seed}, number {count}, {' '.join(words)}"
        check("makes no sense" not in said, f"{why}: {said}")
        status, out, err = node.cli("config", "check", should=False)
        check(status == 0, f"{why}: `config check` says {err or out}")
        check(json.loads(node.cli("id", "--json"))["peer_id"] == node.peer_id, f"{why}: another identity")
        keys = (node.dir / "authorized_keys").read_text()
        check(scene.home.peer_id in keys, f"{why}: a line of authorized_keys is lost: {keys}")
    left = [name for folder in (node.dir, node.dir / "state") for name in os.listdir(folder) if ".tmp-" in name]
    check(len(left) <= 6, f"seed {seed}: temporary files heap up: {left}")
    node.up()
    scene.echoes("after all that")
    scene.ground.step(f"    {count} of them; {len(left)} temporary files were left for the next writer")


def main():
    needs("nft", "ip", "mount")
    with Ground("faults") as ground:
        scene = Scene(ground)
        for part in chosen((descriptors, full_disk, no_network, forbidden, narrow, narrow_from_the_start, dead_peer,
                            suddenly_narrow, clock_set_back, kills)):
            part(scene)


run(main)
