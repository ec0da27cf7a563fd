# SPDX-License-Identifier: MIT
"""What the tests in namespaces stand on: namespaces and links that are gone afterwards, programs in them, and nodes of
ours with their folder, log and control socket. Whatever goes wrong, the logs are printed.

    with Ground("roam") as ground:
        a, b = ground.namespace("a"), ground.namespace("b")
        ground.veth(a, "10.77.0.1/24", b, "10.77.0.2/24")
        home = ground.node(b, "home", config={...})
        home.up()
        with a:                         # what is opened in here is opened in that namespace
            sock = socket.socket(...)

Time: several tests run at once, and CI's machines are slow and stand still for seconds now and then. So a test shows that something
happens, and prints how long it took; how long it should take is asked for by ./dev bench. `until` waits for PATIENCE times what a quiet machine
needs; where only some time can tell a defect (a stream that stands still until a session is given up), the limit is STILL_MAX. Whatever a test waits for,
it ends before its TIMEOUT in the .cmake does.
"""
import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PREFIX = "pgtest"
CLONE_NEWNET = 0x40000000
PEERGATE = os.environ.get("PEERGATE_BIN", "peergate")
BUILD = Path(os.environ.get("PEERGATE_BUILD", Path(PEERGATE).parent))
SANITIZED = "PEERGATE_SANITIZE:STRING=address" in (
    (BUILD / "CMakeCache.txt").read_text(errors="replace") if (BUILD / "CMakeCache.txt").exists() else "")
LOG_LINES = 80
LANES = int(os.environ.get("PEERGATE_LANES", "0"))  # of every node that says nothing else
PATIENCE = float(os.environ.get("PEERGATE_PATIENCE", "5"))
STILL_MAX = 20   # seconds; what stands still for longer waits for something like a session's end, on any machine
REPLY = 30       # seconds for an answer from a socket, if there has to be one
BEGAN = time.monotonic()
LIMIT = float(os.environ.get("PEERGATE_TEST_SECONDS", "0"))  # what ctest gives the whole test
CLEANING_UP = 30  # seconds of it that are left for the end

libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A test's expectation did not hold; the text says which."""


class Skipped(Exception):
    """This machine cannot run it; the text says why."""


def check(condition, message):
    if not condition:
        raise Failed(message)


waiting_for = threading.local()


def until(found, what, seconds=10, every=0.02):
    """What found() returns once that is true. seconds: for a quiet machine."""
    deadline = time.monotonic() + seconds * PATIENCE
    waiting_for.what = what
    while True:
        got = found()
        if got:
            waiting_for.what = None
            return got
        check(time.monotonic() < deadline, f"not within {seconds * PATIENCE:g} s: {what() if callable(what) else what}")
        time.sleep(every)


def command(argv, **options):
    """Runs a program that has to succeed; returns what it printed."""
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, **options)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, argv))}: {(done.stderr + done.stdout).strip()}")
    return done.stdout


def ip(*words):
    return command(["ip", *words])


def needs(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        raise Skipped(f"not installed: {', '.join(missing)} (./dev deps)")


def setns(fd):
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Program:
    """A program in a namespace, what it prints in a file."""

    def __init__(self, ground, namespace, argv, name, env=None, limits=None):
        self.argv = [str(word) for word in argv]
        self.name = name
        self.log = ground.folder / f"{name}.log"
        self.is_killed = False

        def before_exec():
            for limit, value in (limits or {}).items():
                resource.setrlimit(limit, (value, value))

        with open(self.log, "ab") as log, namespace:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True, env={**os.environ, **(env or {})},
                                          preexec_fn=before_exec)
        self.pid = self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.is_killed = True
        if self.alive():
            self.signal(signal.SIGKILL)
        self.popen.wait()

    def stop(self, seconds=10 * PATIENCE):
        """SIGTERM; its exit status, None when it had to be killed."""
        if self.alive():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Namespace:
    def __init__(self, ground, short):
        self.ground = ground
        self.short = short
        self.name = f"{PREFIX}{os.getpid()}-{short}"
        self.outside = threading.local()
        ip("netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        self.fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self):
        """This thread enters the namespace. Sockets stay in the one that they were made in."""
        stack = self.outside.__dict__.setdefault("stack", [])
        stack.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        setns(self.fd)
        return self

    def __exit__(self, *_):
        fd = self.outside.stack.pop()
        setns(fd)
        os.close(fd)

    def ip(self, *words):
        return ip("-n", self.name, *words)

    def nft(self, rules):
        with self:
            return command(["nft", "-f", "-"], input=rules + "\n")

    def run(self, *argv, **options):
        with self:
            return command(argv, **options)

    def sysctl(self, name, value):
        with self:
            Path("/proc/sys", *name.split(".")).write_text(str(value))

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        with self:
            return socket.socket(family, kind, protocol)

    def start(self, argv, name, ready=None, seconds=10, **options):
        """Starts a program, and waits until it has printed `ready`."""
        program = Program(self.ground, self, argv, name, **options)
        self.ground.programs.append(program)
        if ready:
            until(lambda: ready in program.text() or not program.alive(), lambda: f"{name}: \"{ready}\"; it said: {program.text()[-2000:]}", seconds)
            check(program.alive(), f"{name} ended at once: {program.text()[-2000:]}")
        return program

    def remove(self):
        os.close(self.fd)
        for pid in subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True).stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


class Node:
    """A node of ours: its folder, its daemon, its commands."""

    def __init__(self, ground, namespace, name, config=None, folder=None):
        self.ground = ground
        self.namespace = namespace
        self.name = name
        self.dir = folder or ground.folder / name
        self.daemon = None
        self.runs = 0
        self.cli("init", "--hostname", name, "--network", "demo")
        known = json.loads(self.cli("id", "--json"))
        self.peer_id, self.public_key = known["peer_id"], known["public_key"]
        if config is not None:
            self.configure(config)

    def configure(self, config):
        """The configuration as a dictionary: JSON is YAML."""
        self.config = {"hostname": self.name, "network": "demo", "log": {"level": "debug"}, "lanes": LANES, **config}
        (self.dir / "config.yaml").write_text(json.dumps(self.config, indent=1))

    def cli(self, *words, seconds=20, should=True, **options):
        """A command of peergate in the node's folder; what it printed. should=False: also a failing one, as a tuple
        (status, stdout, stderr)."""
        with self.namespace:
            done = subprocess.run([PEERGATE, "--dir", str(self.dir), *map(str, words)], capture_output=True, text=True,
                                  timeout=seconds * PATIENCE, **options)
        if not should:
            return done.returncode, done.stdout, done.stderr
        check(done.returncode == 0, f"{self.name}: peergate {' '.join(map(str, words))}: exit status {done.returncode}: "
                                    f"{(done.stderr + done.stdout).strip()}")
        return done.stdout

    def up(self, env=None, limits=None, wait=True, wrapper=()):
        self.runs += 1
        self.daemon = self.namespace.start([*wrapper, PEERGATE, "--dir", self.dir, "up"], f"{self.name}-{self.runs}",
                                           env=env, limits=limits)
        if wait:
            self.wait_up()

    def wait_up(self):
        """Until its control socket answers."""
        def answers():
            check(self.daemon.alive(), f"{self.name} ended with {self.daemon.popen.returncode} instead of starting: "
                                       f"{self.daemon.text()[-2000:]}")
            return self.cli("peers", "--json", should=False)[0] == 0
        until(answers, f"{self.name} answers on its control socket")

    def ask(self, command, **members):
        """A command straight to the control socket, for whoever asks often: its first answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(REPLY)
            sock.connect(str(self.dir / "control.sock"))
            sock.sendall(json.dumps({"command": command, **members}).encode() + b"\n")
            with sock.makefile() as lines:
                return json.loads(lines.readline())

    def status(self):
        return json.loads(self.cli("status", "--json"))

    def peer(self, name):
        found = [peer for peer in self.status()["peers"] if peer["name"] == name]
        check(found, f"{self.name} knows no peer \"{name}\"")
        return found[0]

    def is_established(self, name):
        return self.peer(name)["state"] == "established"

    def ping(self, host, count=1, interval=0.1, seconds=20):
        """(sent, received, list of ms)"""
        lines = [json.loads(line) for line in
                 self.cli("ping", "-c", count, "-i", interval, "--json", host, seconds=seconds, should=False)[1].splitlines()]
        times = [line["rtt_ms"] for line in lines if "rtt_ms" in line]
        return count, len(times), times

    def rss(self):
        """In bytes."""
        for line in Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise Failed(f"{self.name}'s daemon is gone")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.daemon.pid}/fd"))

    def log(self):
        return self.daemon.text()

    def logged(self, text, seconds=5):
        until(lambda: text in self.log(), f"{self.name} logs \"{text}\"", seconds)

    def stop(self, seconds=10 * PATIENCE):
        """A clean end, or the test fails."""
        if not self.daemon or self.daemon.is_killed:
            return
        status = self.daemon.stop(seconds)
        check(status is not None, f"{self.name} did not end within {seconds} s of SIGTERM")
        check(status == 0, f"{self.name} ended with status {status}")
        self.daemon = None

    def kill(self):
        self.daemon.kill()
        self.daemon = None


class Ground:
    """limit: seconds until the test has failed, whatever it waits for, if ctest gives none."""

    def __init__(self, name, limit=600):
        self.name = name
        self.limit = max(1, LIMIT - CLEANING_UP - (time.monotonic() - BEGAN)) if LIMIT else limit
        self.began = time.monotonic()
        self.namespaces, self.programs, self.nodes = [], [], []

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"peergate-{self.name}-"))
        signal.signal(signal.SIGALRM, self.on_alarm)
        signal.signal(signal.SIGTERM, self.on_terminate)
        signal.alarm(int(self.limit))
        return self

    def on_alarm(self, *_):
        what, waiting_for.what = getattr(waiting_for, "what", None), None
        signal.alarm(5)  # what() may ask somebody who does not answer
        raise Failed(f"the test took longer than {self.limit:.0f} s" + (f", and waits for this: {what() if callable(what) else what}" if what else ""))

    def on_terminate(self, *_):
        raise Failed("terminated from outside")

    def __exit__(self, kind, error, trace):
        signal.alarm(0)
        kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        wrong = [str(error)] if error else []
        for node in self.nodes:
            try:
                node.stop()
            except Failed as failed:
                wrong.append(str(failed))
        for program in reversed(self.programs):
            program.stop(2)
        wrong += self.reports()
        if wrong and kind is not Skipped:
            self.print_logs()
        for namespace in self.namespaces:
            namespace.remove()
        shutil.rmtree(self.folder, ignore_errors=True)
        for number, handler in kept.items():
            signal.signal(number, handler)
        if not error and wrong:
            raise Failed("; ".join(wrong))

    def reports(self):
        """Sanitizers' reports."""
        signs = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")
        return [f"{program.name}: a sanitizer complains" for program in self.programs
                if any(sign in program.text() for sign in signs)]

    def print_logs(self):
        for program in self.programs:
            lines = program.text().splitlines()
            print(f"---- {program.name} ({' '.join(program.argv)}), the last of {len(lines)} lines:", file=sys.stderr)
            marks = [i for i, line in enumerate(lines) if "Sanitizer" in line or "runtime error:" in line]
            first = max(0, min([len(lines) - LOG_LINES, *marks]))
            print("\n".join(lines[first:first + 3 * LOG_LINES]), file=sys.stderr)

    def step(self, text):
        print(f"{time.monotonic() - self.began:6.2f} s  {text}", flush=True)

    def namespace(self, short):
        namespace = Namespace(self, short)
        self.namespaces.append(namespace)
        return namespace

    def veth(self, a, a_address, b, b_address, mtu=1500):
        """A cable. The interface in a is called after b, and the other way round."""
        ip("link", "add", "name", b.short, "netns", a.name, "mtu", str(mtu), "type", "veth",
           "peer", "name", a.short, "netns", b.name, "mtu", str(mtu))
        for namespace, device, address in ((a, b.short, a_address), (b, a.short, b_address)):
            namespace.ip("addr", "add", address, "dev", device)
            namespace.ip("link", "set", "dev", device, "up")

    def node(self, namespace, name, config=None, **options):
        node = Node(self, namespace, name, config, **options)
        self.nodes.append(node)
        return node


def chosen(parts, also=()):
    """All parts, or those that the command line names, which `also` may be."""
    names = {part.__name__: part for part in (*parts, *also)}
    wrong = [word for word in sys.argv[1:] if word not in names]
    check(not wrong, f"no such part: {', '.join(wrong)}; there are {', '.join(names)}")
    return [names[word] for word in sys.argv[1:]] or parts


def run(test):
    """What a test's file ends with: exit status 0, 1 with the reason, 77 for "cannot run here"."""
    try:
        test()
    except Skipped as skipped:
        print(f"SKIPPED: {skipped}", file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    except Failed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        sys.exit(1)
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    busy = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    print(f"passed, in {time.monotonic() - BEGAN:.0f} s, {busy:.0f} s of a processor")
