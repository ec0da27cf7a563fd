# SPDX-License-Identifier: MIT
"""A machine that may be broken: the test starts itself again in its own network, mounts and process ids, with the packages of one of build/deps/machines laid over /usr and /etc, and
/run and /var/lib empty. What is written there is in memory, and whatever still runs is killed with the test: nothing of it reaches the machine that we are on.

    @machine("resolved")
    def something(box):             # runs as pid 1's child in there
        box.bus(); box.resolved()
"""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from ground import BUILD, LIMIT, PEERGATE, REPLY, Failed, Skipped, check, command, needs, setns, until

ROOT = Path(os.environ.get("PEERGATE_ROOT", Path(__file__).resolve().parents[2]))
MACHINES = ROOT / "build" / "deps" / "machines"
HERE = Path("/run/peergate-test")
CONF = Path("/etc/resolv.conf")
SKIPPED = 77
WORLD = "192.0.2.53"  # a DNS server out there

parts = []


def machine(*packages):
    """A part of the test, on a machine with these packages."""
    def register(part):
        parts.append((part.__name__, packages, part))
        return part
    return register


def run_parts(seconds=LIMIT - 10 if LIMIT else 600):
    """Each part, or those that the command line names, on a machine of its own, in so many seconds each."""
    if os.environ.get("PEERGATE_TEST_PART"):
        return inside()
    needs("dbus-daemon", "busctl", "unshare", "setpriv", "dig")
    chosen = sys.argv[1:] or [name for name, _, _ in parts]
    skipped = []
    wrong = [name for name in chosen if name not in [part[0] for part in parts]]
    check(not wrong, f"no such part: {', '.join(wrong)}")
    for name, packages, _ in parts:
        if name not in chosen:
            continue
        missing = [package for package in packages if not (MACHINES / package / ".key").exists()]
        if missing:
            skipped.append(f"{name}: {', '.join(missing)} not unpacked (./dev deps)")
            continue
        began = time.monotonic()
        done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
                               sys.executable, os.path.abspath(sys.argv[0])],
                              env={**os.environ, "PEERGATE_TEST_PART": name}, timeout=seconds)
        if done.returncode == SKIPPED:
            skipped.append(name)
        elif done.returncode:
            raise Failed(f"{name}: exit status {done.returncode}")
        print(f"{time.monotonic() - began:6.2f} s  {name}", flush=True)
    if skipped:
        raise Skipped("; ".join(skipped))


def inside():
    name, packages, part = next(entry for entry in parts if entry[0] == os.environ["PEERGATE_TEST_PART"])
    check(os.getpid() == 1, "not alone: this must not run on the machine itself")
    status = 0
    box = Box(packages)
    try:
        part(box)
        box.stop()
    except Skipped as skipped:
        print(f"SKIPPED: {name}: {skipped}", file=sys.stderr)
        status = 1 if os.environ.get("CI") == "true" else SKIPPED
    except BaseException as error:
        print(f"FAILED: {name}: {error!r}", file=sys.stderr)
        if not isinstance(error, Failed):
            import traceback
            traceback.print_exc()
        box.print_logs()
        status = 1
    sys.stdout.flush()
    os._exit(status)


def mount(*words):
    command(["mount", *words])


class Box:
    def __init__(self, packages):
        self.programs, self.nodes = [], []
        self.is_networked = False
        mount("-t", "tmpfs", "-o", "mode=755", "none", "/run")
        HERE.mkdir()
        for at in ("usr", "etc", "var/lib"):
            lower = [str(MACHINES / package / at) for package in packages if (MACHINES / package / at).is_dir()] + [f"/{at}"]
            for folder in ("upper", "work"):
                (HERE / folder / at).mkdir(parents=True)
            mount("-t", "overlay", "-o", f"lowerdir={':'.join(lower)},upperdir={HERE}/upper/{at},workdir={HERE}/work/{at}", "overlay", f"/{at}")
        os.umask(0o022)
        command(["ip", "link", "set", "lo", "up"])
        # A cable into the world, so that the machine is in a network: without one systemd-resolved asks nobody.
        command(["ip", "netns", "add", "world"])
        command(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "cable", "netns", "world"])
        command(["ip", "addr", "add", "192.0.2.1/24", "dev", "eth0"])
        command(["ip", "link", "set", "eth0", "up"])
        command(["ip", "-n", "world", "addr", "add", f"{WORLD}/24", "dev", "cable"])
        command(["ip", "-n", "world", "link", "set", "cable", "up"])
        self.users("systemd-resolve", "messagebus", "dnsmasq")
        self.conf("# by hand\nnameserver 127.0.0.9\noptions edns0 rotate\nsearch lan\n")
        Path("/etc/hosts").write_text("127.0.0.1 localhost\n")
        self.nss("files dns")

    @staticmethod
    def users(*names):
        for name in names:
            if not any(line.startswith(f"{name}:") for line in Path("/etc/passwd").read_text().splitlines()):
                number = 60100 + len(Path("/etc/passwd").read_text().splitlines())
                with open("/etc/passwd", "a") as users, open("/etc/group", "a") as groups:
                    users.write(f"{name}:x:{number}:{number}::/:/usr/sbin/nologin\n")
                    groups.write(f"{name}:x:{number}:\n")

    @staticmethod
    def conf(text, path=CONF):
        """A plain resolv.conf."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        path.write_text(text)

    @staticmethod
    def nss(hosts):
        Path("/etc/nsswitch.conf").write_text(f"passwd: files\ngroup: files\nhosts: {hosts}\n")

    # ---- programs

    def start(self, argv, name, **env):
        log = HERE / f"{name}.log"
        with open(log, "ab") as out:
            popen = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                                     env={**os.environ, **env})
        popen.log = log
        self.programs.append(popen)
        return popen

    @staticmethod
    def can_run(program):
        """Unpacked alone, it may lack libraries that this machine does not have."""
        lacks = [line.split()[0] for line in subprocess.run(["ldd", program], capture_output=True, text=True).stdout.splitlines() if "not found" in line]
        if lacks:
            raise Skipped(f"{program} lacks {', '.join(lacks)}")

    def bus(self):
        Path("/run/dbus").mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            Path("/run/dbus/system_bus_socket").unlink()
        popen = self.start(["dbus-daemon", "--system", "--nofork", "--nopidfile", "--nosyslog"], "dbus")
        until(lambda: Path("/run/dbus/system_bus_socket").exists(), "the system bus is there")
        return popen

    def resolved(self, upstream="127.0.0.9"):
        """systemd-resolved, whose other server is `upstream`."""
        self.can_run("/usr/lib/systemd/systemd-resolved")
        folder = Path("/run/systemd/resolve")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.chown(folder, "systemd-resolve", "systemd-resolve")
        Path("/etc/systemd/resolved.conf").write_text(f"[Resolve]\nDNS={upstream}\nFallbackDNS=\nLLMNR=no\nMulticastDNS=no\nDNSSEC=no\n")
        popen = self.start(["/usr/lib/systemd/systemd-resolved"], "resolved", SYSTEMD_LOG_LEVEL=os.environ.get("RESOLVED_LOG", "info"))
        until(lambda: subprocess.run(["busctl", "status", "org.freedesktop.resolve1"], capture_output=True).returncode == 0,
              "systemd-resolved is on the bus")
        return popen

    @staticmethod
    def use_stub():
        with contextlib.suppress(FileNotFoundError):
            CONF.unlink()
        CONF.symlink_to("../run/systemd/resolve/stub-resolv.conf")

    def networkmanager(self, dns, **env):
        """NetworkManager with one connection, whose server is out in the world."""
        self.can_run("/usr/sbin/NetworkManager")
        if not self.is_networked:
            # It waits for udev unless /sys is read-only, as in a container.
            mount("-t", "sysfs", "-o", "ro", "none", "/sys")
            command(["ip", "addr", "flush", "dev", "eth0"])
            connection = Path("/etc/NetworkManager/system-connections/eth0.nmconnection")
            connection.parent.mkdir(exist_ok=True)
            connection.write_text("[connection]\nid=eth0\nuuid=11111111-1111-1111-1111-111111111111\ntype=ethernet\ninterface-name=eth0\n"
                                  f"[ipv4]\nmethod=manual\naddress1=192.0.2.1/24\ndns={WORLD};\ndns-search=lan;\n[ipv6]\nmethod=disabled\n")
            connection.chmod(0o600)
            self.is_networked = True
        Path("/etc/NetworkManager/NetworkManager.conf").write_text(
            f"[main]\nplugins=keyfile\ndns={dns}\nrc-manager=file\nno-auto-default=*\n[logging]\nlevel=INFO\ndomains=DNS:TRACE\n"
            "[device]\nmatch-device=interface-name:peer*\nmanaged=0\n")
        popen = self.start(["/usr/sbin/NetworkManager", "--no-daemon", "--debug"], "networkmanager", **env)
        until(lambda: "Generated by NetworkManager" in CONF.read_text(), "NetworkManager has written resolv.conf")
        until(lambda: lookup("www.example.com") == "192.0.2.7", "names on a machine with NetworkManager")
        return popen

    # ---- a node

    def node(self, name="laptop", dns=None, **config):
        node = Node(self, name)
        node.configure(dns, **config)
        self.nodes.append(node)
        return node

    # ---- the end

    def stop(self):
        for node in self.nodes:
            node.stop()
        for program in self.programs:
            if program.poll() is None:
                program.terminate()
        signs = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:")
        for program in self.programs:
            text = program.log.read_text(errors="replace")
            check(not any(sign in text for sign in signs), f"{program.log.name}: a sanitizer complains")

    def print_logs(self):
        for log in sorted(HERE.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()
            print(f"---- {log.name}, the last of {len(lines)} lines:", *lines[-60:], sep="\n", file=sys.stderr)
        print("---- /etc/resolv.conf", CONF.read_text(errors="replace") if CONF.is_file() else "(none)", sep="\n", file=sys.stderr)


class Node:
    def __init__(self, box, name):
        self.box, self.name, self.daemon = box, name, None
        self.dir = HERE / name
        self.cli("init", "--hostname", name, "--network", "demo")

    def configure(self, dns=None, **config):
        self.dns = {"enabled": True, **(dns or {})}
        text = {"hostname": self.name, "network": "demo", "port": 7001, "log": {"level": "debug"}, "dns": self.dns, **config}
        (self.dir / "config.yaml").write_text(json.dumps(text, indent=1))

    def cli(self, *words, should=True, env=None):
        done = subprocess.run([PEERGATE, "--dir", str(self.dir), *map(str, words)], capture_output=True, text=True, timeout=4 * REPLY,
                              env={**os.environ, **(env or {})})
        if not should:
            return done.returncode, done.stdout, done.stderr
        check(done.returncode == 0, f"peergate {' '.join(map(str, words))}: exit status {done.returncode}: {done.stderr + done.stdout}")
        return done.stdout

    def up(self, wait=True, wrapper=(), **env):
        self.daemon = self.box.start([*wrapper, PEERGATE, "--dir", self.dir, "up"], self.name, **env)
        if wait:
            until(lambda: self.daemon.poll() is not None or self.cli("peers", "--json", should=False)[0] == 0, "the daemon answers")
            check(self.daemon.poll() is None, f"the daemon ended: {self.log()[-2000:]}")

    def log(self):
        return (HERE / f"{self.name}.log").read_text(errors="replace")

    def system(self):
        """What the daemon says of the machine: {"state": "applied", "mechanism": "resolved", "text": ...}"""
        status, out, _ = self.cli("status", "--json", should=False)
        return json.loads(out)["dns"]["system"] if status == 0 else {"state": "not started", "text": ""}

    def applied(self, mechanism=None, seconds=10):
        got = until(lambda: (lambda now: now if now["state"] == "applied" else None)(self.system()), lambda: f"applied: {self.system()}", seconds)
        check(mechanism in (None, got["mechanism"]), f"{got}")
        return got

    def failed(self, *words):
        got = until(lambda: (lambda now: now if now["state"] == "failed" else None)(self.system()), lambda: f"failed: {self.system()}")
        for word in words:
            check(word in got["text"], f"{got['text']!r} does not say {word!r}")
        return got

    def upstreams(self):
        return json.loads(self.cli("status", "--json"))["dns"]["upstreams"]

    def queries(self):
        return json.loads(self.cli("status", "--json"))["dns"]["udp_queries"]

    def stop(self):
        if not self.daemon:
            return
        self.daemon.terminate()
        check(self.daemon.wait(2 * REPLY) == 0, f"the daemon ended with {self.daemon.returncode}")
        self.daemon = None

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()
        self.daemon = None

    def journal(self):
        path = self.dir / "state" / "dns.journal"
        return path.read_text() if path.exists() else None


# ---- who asks

def lookup(name, family=socket.AF_INET):
    """What the C library tells a program that was started now: the first address, or None."""
    code = "import socket, sys\ntry: print(socket.getaddrinfo(sys.argv[1], None, int(sys.argv[2]))[0][4][0])\nexcept OSError as error: print(error, file=sys.stderr)"
    return subprocess.run([sys.executable, "-c", code, name, str(int(family))], capture_output=True, text=True, timeout=4 * REPLY).stdout.strip() or None


def dig(*words):
    return command(["dig", "+short", "+tries=1", "+time=10", *words]).strip()


class Upstream:
    """The rest of the world, at 127.0.0.9 and out there: everything but p2p and lan is at 192.0.2.7, and what was asked is kept."""

    def __init__(self):
        self.asked = []
        self.listen("127.0.0.9")
        with open("/proc/self/ns/net") as here, open("/run/netns/world") as there:
            setns(there.fileno())
            try:
                self.listen(WORLD)
            finally:
                setns(here.fileno())

    def listen(self, at):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((at, 53))
        threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        while True:
            query, client = sock.recvfrom(4096)
            at, labels = 12, []
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace").lower())
                at += query[at] + 1
            kind, = struct.unpack("!H", query[at + 1:at + 3])
            self.asked.append(".".join(labels))
            is_none = labels and labels[-1] in ("p2p", "lan")
            answer = b"" if is_none or kind != 1 else b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07"
            flags = 0x8183 if is_none else 0x8180
            sock.sendto(query[:2] + struct.pack("!HHHHH", flags, 1, bool(answer), 0, 0) + query[12:at + 5] + answer, client)


def snapshot(path=CONF):
    """Everything of a file that somebody may care for."""
    if not os.path.lexists(path):
        return None
    st = os.lstat(path)
    content = os.readlink(path) if path.is_symlink() else path.read_bytes()
    return content, st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns
