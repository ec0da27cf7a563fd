# SPDX-License-Identifier: MIT
"""Network namespaces, links between them, and the programs in them; all gone when the lab is left, however.

    with Lab() as lab:
        a, b = lab.namespace("a"), lab.namespace("b")
        lab.veth(a, b)
        server = b.start(["service", "echo=10.77.0.2:7"], ready='"ready"')
        print(a.run([...]))
"""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

PREFIX = "pgbench"
FOLDER_PREFIX = "peergate-bench-"
ADDRESS = {"a": "10.77.0.1", "b": "10.77.0.2"}
NETWORK = "10.77.0.0/24"


class LabError(Exception):
    """Something that the measurement stands on did not work; its text says what."""


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def is_gone(pid):
    return pid.isdigit() and not Path(f"/proc/{pid}").exists()


def remove_leftovers():
    """Namespaces and folders of runs that were killed so hard that they could not clean up."""
    for name in [line.split()[0] for line in ip("netns", "list").splitlines() if line.strip()]:
        pid = name.removeprefix(PREFIX).split("-")[0]
        if name.startswith(PREFIX) and is_gone(pid):
            remove_namespace(name)
    for folder in Path(tempfile.gettempdir()).glob(FOLDER_PREFIX + "*"):
        if is_gone(folder.name.removeprefix(FOLDER_PREFIX).split("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)


def remove_namespace(name):
    pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
    for pid in pids:
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    subprocess.run(["ip", "netns", "del", name], capture_output=True)


class Process:
    """A program running in a namespace; what it prints goes to files in the lab's folder."""

    def __init__(self, namespace, argv, folder, name, env=None, stdin=None):
        self.argv = [str(word) for word in argv]
        self.out_path = folder / f"{name}.out"
        self.err_path = folder / f"{name}.err"
        self.stopped = False
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            # nsenter execs, so the pid is the program's own.
            self.popen = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{namespace}", *self.argv],
                stdin=stdin or subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                env=None if env is None else {**os.environ, **env})
        self.pid = self.popen.pid

    def output(self):
        return self.out_path.read_text(errors="replace")

    def errors(self):
        return self.err_path.read_text(errors="replace")

    def alive(self):
        return self.popen.poll() is None

    def say(self, text):
        self.popen.stdin.write(text.encode())
        self.popen.stdin.flush()

    def wait_for(self, found, what, seconds=10):
        """Until found() is true; a program that ends before is an error."""
        deadline = time.monotonic() + seconds
        while not found():
            if not self.alive():
                raise LabError(f"{self.name()} ended with {self.popen.returncode} before {what}: {self.tail()}")
            if time.monotonic() > deadline:
                raise LabError(f"{self.name()}: no {what} within {seconds} s: {self.tail()}")
            time.sleep(0.01)

    def wait_for_lines(self, count, seconds=60):
        self.wait_for(lambda: self.output().count("\n") >= count, f"line {count}", seconds)
        return [json.loads(line) for line in self.output().splitlines()]

    def listens(self, port):
        """Without a connection that the program would see: from the kernel's list."""
        wanted = f"{port:04X}"
        try:
            if os.readlink(f"/proc/{self.pid}/exe").endswith("/nsenter"):
                return False  # not in its namespace yet
            tables = [Path(f"/proc/{self.pid}/net/{table}").read_text() for table in ("tcp", "tcp6")]
        except OSError:
            return False  # it has just ended
        rows = [line.split() for table in tables for line in table.splitlines()[1:]]
        return any(row[3] == "0A" and row[1].endswith(":" + wanted) for row in rows)

    def name(self):
        return os.path.basename(self.argv[0])

    def tail(self):
        return " / ".join((self.errors() + self.output()).strip().splitlines()[-4:]) or "(it printed nothing)"

    def stop(self, seconds=5):
        """SIGTERM, SIGKILL if that does not help. Returns what it printed."""
        if not self.stopped and self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self.stopped = True
        return self.output()


class Namespace:
    def __init__(self, lab, name):
        self.lab = lab
        self.name = f"{PREFIX}{os.getpid()}-{name}"
        self.short = name
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")

    def start(self, argv, ready=None, port=None, stdin=None, env=None, seconds=10):
        """Starts a program; with `ready` waits until it has printed that, with `port` until it listens there."""
        process = Process(self.name, argv, self.lab.folder, self.lab.next_name(argv), env, stdin)
        self.lab.processes.append(process)
        if ready:
            process.wait_for(lambda: ready in process.output(), f'"{ready}"', seconds)
        if port:
            process.wait_for(lambda: process.listens(port), f"listening port {port}", seconds)
        return process

    def run(self, argv, seconds=120, env=None):
        """Runs a program to its end and returns its JSON line; its exit status is in "status"."""
        process = Process(self.name, argv, self.lab.folder, self.lab.next_name(argv), env)
        try:
            status = process.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LabError(f"{process.name()} did not end within {seconds} s: {' '.join(process.argv)}") from None
        finally:
            process.stop()
        lines = process.output().splitlines()
        try:
            return {**json.loads(lines[-1]), "status": status}
        except (IndexError, json.JSONDecodeError):
            raise LabError(f"{' '.join(process.argv)} ended with {status}: {process.tail()}") from None


class Lab:
    def __init__(self):
        self.namespaces = []
        self.processes = []
        self.folder = None
        self.counter = 0

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
        return self

    def __exit__(self, *_):
        # From here on a second Ctrl-C shall not leave half of it behind.
        kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        for process in reversed(self.processes):
            process.stop()
        for namespace in self.namespaces:
            remove_namespace(namespace.name)
        shutil.rmtree(self.folder, ignore_errors=True)
        for number, handler in kept.items():
            signal.signal(number, handler)

    def next_name(self, argv):
        self.counter += 1
        return f"{self.counter:03}-{os.path.basename(str(argv[0]))}"

    def namespace(self, name):
        namespace = Namespace(self, name)
        self.namespaces.append(namespace)
        return namespace

    def veth(self, a, b, mtu=1500):
        """ADDRESS["a"] - veth - ADDRESS["b"], the kernel's offloads as they are by default. TCP over it is cubic,
        the usual default, whatever this machine's is: ssh's connection costs less with it than with bbr."""
        ip("link", "add", "v0", "netns", a.name, "mtu", str(mtu), "type", "veth",
           "peer", "name", "v0", "netns", b.name, "mtu", str(mtu))
        for namespace, side in ((a, "a"), (b, "b")):
            ip("-n", namespace.name, "addr", "add", ADDRESS[side] + "/24", "dev", "v0")
            ip("-n", namespace.name, "link", "set", "v0", "up")
            ip("-n", namespace.name, "route", "replace", NETWORK, "dev", "v0", "src", ADDRESS[side],
               "congctl", "cubic")

    def emulated(self, linkem, a, b, **options):
        """The same addresses over tests/tools/linkem.c: emulated(path, a, b, delay=10, rate=1000, loss=0.1)."""
        words = [word for key, value in options.items() for word in ("--" + key.replace("_", "-"), str(value))]
        return a.start([linkem, *words, f"{a.name},v0,{ADDRESS['a']}/24", f"{b.name},v0,{ADDRESS['b']}/24"],
                       ready='"ready"')
