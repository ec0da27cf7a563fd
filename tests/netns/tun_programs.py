#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What people do through a TUN: they ask by ping whether it is there and how much fits, measure it by iperf3, have a shell, and a large file to and from a file
server, by ssh and by SMB. The programs know of nothing.

      laptop                          home
   10.77.0.1/24 ------ veth ------ 10.77.0.2/24
   10.64.0.1/16 ====== peer0 ===== 10.64.0.2/16, fd64::2     sshd, smbd, iperf3
"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from ground import REPLY, Ground, check, command, needs, run, until
from tunlab import answers

PORT, SSH_PORT, SMB_PORT, IPERF_PORT = 7001, 2222, 4450, 5201
MTU = 1380
MEGABYTE = 1 << 20
LARGE = 100 * MEGABYTE


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.a, self.b = ground.namespace("laptop"), ground.namespace("home")
        ground.veth(self.a, "10.77.0.1/24", self.b, "10.77.0.2/24")
        nodes = [ground.node(self.a, "laptop"), ground.node(self.b, "home")]
        for number, (node, other) in enumerate((nodes, reversed(nodes)), 1):
            node.configure({"port": PORT, "address": [f"10.64.0.{number}/16", f"fd64::{number}/64"], "tun": {"enabled": True}, "expose": "host", "peers": [
                {"name": other.name, "peer_id": other.peer_id, "endpoint": f"10.77.0.{3 - number}:{PORT}",
                 "tunnel_ip": [f"10.64.0.{3 - number}", f"fd64::{3 - number}"], "eager": True}]})
            node.up()
        until(lambda: answers(self.a, "10.64.0.2"), "a ping through the tunnel")
        self.file = ground.folder / "file"
        with open(self.file, "wb") as file:
            for _ in range(LARGE // MEGABYTE):
                file.write(os.urandom(MEGABYTE))
        self.sum = digest(self.file)

    def in_a(self, *argv, seconds=300, **options):
        with self.a:
            return subprocess.run([str(word) for word in argv], capture_output=True, timeout=seconds, **options)

    def expect(self, path, what, began):
        check(path.exists(), f"{what}: there is no file")
        check(digest(path) == self.sum, f"{what}: {path.stat().st_size} bytes came otherwise than they went")
        self.ground.step(f"{what}: {LARGE // MEGABYTE} MB in {time.monotonic() - began:.1f} s")
        path.unlink()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ping(scene):
    """The headers of ICMP and IP take 28 bytes, with IPv6 48. What is not to be cut and does not fit is refused with the size that does; what may be cut arrives."""
    def ask(host, size, cut):
        done = scene.in_a("ping", "-n", "-c", 3, "-i", "0.2", "-W", REPLY, "-s", size, "-M", cut, host)
        got = re.search(rb"(\d+) received", done.stdout)
        return int(got.group(1)) if got else 0, (done.stdout + done.stderr).decode(errors="replace")

    for host, headers in (("10.64.0.2", 28), ("fd64::2", 48)):
        for size, cut in ((0, "do"), (56, "do"), (1000, "do"), (MTU - headers, "do"), (MTU - headers + 1, "dont"), (8000, "dont"), (60000, "dont")):
            received, said = ask(host, size, cut)
            check(received > 0, f"ping -s {size} -M {cut} {host}: {said}")
        for size in (MTU - headers + 1, 1472, 8000):
            received, said = ask(host, size, "do")
            # The newer ping does not say the number where the kernel refuses at once.
            check(received == 0 and re.search(rf"mtu[ :=]+{MTU}\b|sendmsg: Message too long", said), f"ping -s {size} -M do {host}, which does not fit: {said}")
    scene.ground.step("ping of 0 to 60000 bytes, over IPv4 and IPv6; what does not fit and may not be cut is told the MTU")


def iperf(scene):
    """Each direction, by TCP with one and several streams and by UDP: that it carries; how fast is printed."""
    server, runs = scene.b.start(["iperf3", "-s", "-p", IPERF_PORT, "--forceflush"], "iperf3", ready="Server listening"), 0
    for host in ("10.64.0.2", "fd64::2"):
        for what, words in (("TCP", []), ("TCP, back", ["-R"]), ("TCP, 4 streams both ways", ["-P", 4, "--bidir"]), ("UDP", ["-u", "-b", "20M"]),
                            ("UDP, back", ["-u", "-b", "20M", "-R"]), ("UDP of 8000 bytes, cut in pieces", ["-u", "-b", "20M", "-l", 8000])):
            runs += 1  # the server listens anew for each, and is a while at the end of the last one
            until(lambda: server.text().count("Server listening") >= runs, f"iperf3 listens for run {runs}")
            done = scene.in_a("iperf3", "-c", host, "-p", IPERF_PORT, "-t", 2, "-J", "--connect-timeout", 1000 * REPLY, *words)
            got = json.loads(done.stdout or "{}")
            check(done.returncode == 0 and "error" not in got, f"iperf3 {what} to {host}: {got.get('error', done.stderr)}")
            end = got["end"]
            if "-u" in words:
                arrived = 100 - end["sum"]["lost_percent"]
                # On a machine that stands still for seconds, sockets' buffers run over.
                check(end["sum"]["packets"] > 0 and arrived > 5, f"iperf3 {what} to {host}: {arrived:.1f} % of {end['sum']['packets']} datagrams arrived")
                scene.ground.step(f"iperf3 {what} to {host}: {arrived:.2f} % of {end['sum']['packets']} datagrams")
                continue
            rates = [end[key]["bits_per_second"] / 1e6 for key in ("sum_received", "sum_received_bidir_reverse") if key in end]
            check(len(rates) == (2 if "--bidir" in words else 1) and min(rates) > 0.1, f"iperf3 {what} to {host}: {rates} Mbit/s")
            scene.ground.step(f"iperf3 {what} to {host}: {' and '.join(f'{rate:.0f}' for rate in rates)} Mbit/s")


def ssh(scene):
    folder = scene.ground.folder
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "user"):
        command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name])
    scene.b.start([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", folder / "host", "-p", SSH_PORT,
                   "-o", f"AuthorizedKeysFile={folder}/user.pub", "-o", "StrictModes=no", "-o", "PermitRootLogin=yes", "-o", "PidFile=none",
                   "-o", "UsePAM=no"], "sshd", ready="Server listening")
    options = ["ssh", "-F", "none", "-p", SSH_PORT, "-i", folder / "user", "-o", f"UserKnownHostsFile={folder}/known_hosts", "-o",
               "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]
    for host in ("10.64.0.2", "fd64::2"):
        done = scene.in_a(*options, f"root@{host}", "echo over; exit 7")
        check(done.returncode == 7 and done.stdout == b"over\n", f"ssh to {host}: {done}")
        for what, stdin, stdout, remote in ((f"ssh to {host}", scene.file, folder / "nothing", f"cat > {folder}/there"),
                                            (f"ssh from {host}", "/dev/null", folder / "there", f"cat {scene.file}")):
            began = time.monotonic()
            with open(stdin, "rb") as source, open(stdout, "wb") as sink, scene.a:
                done = subprocess.run([*map(str, options), f"root@{host}", remote], stdin=source, stdout=sink, stderr=subprocess.PIPE, timeout=300)
            check(done.returncode == 0, f"{what}: {done.stderr!r}")
            scene.expect(folder / "there", what, began)


def smb(scene):
    folder = scene.ground.folder / "smb"
    share = folder / "share"
    share.mkdir(parents=True)
    scene.ground.folder.chmod(0o755)
    share.chmod(0o777)
    places = "".join(f"{key} = {folder}/{key.split()[0]}\n" for key in ("lock directory", "state directory", "cache directory", "pid directory", "private dir"))
    config = folder / "smb.conf"
    config.write_text(f"[global]\n{places}ncalrpc dir = {folder}/ncalrpc\nlog file = {folder}/log\nsmb ports = {SMB_PORT}\nserver role = standalone server\n"
                      "map to guest = Bad User\nload printers = no\ndisable spoolss = yes\n"
                      f"[share]\npath = {share}\nguest ok = yes\nread only = no\n")
    for name in ("lock", "state", "cache", "pid", "private", "ncalrpc"):
        (folder / name).mkdir(mode=0o755)
    server = scene.b.start([shutil.which("smbd") or "/usr/sbin/smbd", "--foreground", "--no-process-group", "-s", config, "--debug-stdout"], "smbd")
    client = ["smbclient", "-s", config, "-N", "-p", SMB_PORT, "//10.64.0.2/share", "-c"]
    until(lambda: server.alive() and scene.in_a(*client, "ls").returncode == 0, lambda: f"smbd takes connections: {scene.in_a(*client, 'ls').stdout!r}", seconds=15)
    began = time.monotonic()
    done = scene.in_a(*client, f"put {scene.file} there")
    check(done.returncode == 0, f"put: {done.stdout!r}")
    there = share / "there"
    check(there.exists() and digest(there) == scene.sum, "what was put is not what there is")
    scene.ground.step(f"SMB to home: {LARGE // MEGABYTE} MB in {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    done = scene.in_a(*client, f"get there {scene.ground.folder}/back")
    check(done.returncode == 0, f"get: {done.stdout!r}")
    scene.expect(scene.ground.folder / "back", "SMB from home", began)


def test():
    needs("ip", "ssh", "ssh-keygen", "smbclient", "iperf3", "ping")
    with Ground("tunprograms") as ground:
        scene = Scene(ground)
        ping(scene)
        iperf(scene)
        ssh(scene)
        smb(scene)


run(test)
