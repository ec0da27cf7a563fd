# SPDX-License-Identifier: MIT
"""The ways from namespace a to the services in namespace b: ours and those it is compared with. Each has
proxy (the SOCKS5 address in a, or None), target(mode) (what to ask it for), and pids (its daemons by name)."""
import json
import os
import shutil
import subprocess
from pathlib import Path

from lab import ADDRESS, LabError

SOCKS_PORT = {"peergate": 1080, "ssh": 1081, "microsocks": 1082}
SERVICE_PORT = {"echo": 8000, "hello": 8001, "http": 8002, "sink": 8003}


class Tools:
    """Where the programs are."""

    def __init__(self):
        root = Path(__file__).resolve().parents[2]
        build = Path(os.environ.get("PEERGATE_BUILD", root / "build" / "release"))
        self.peergate = Path(os.environ.get("PEERGATE_BIN", build / "peergate"))
        self.build = build
        tools = build / "tests" / "tools"
        self.linkem, self.service, self.socksload = (tools / name for name in ("linkem", "service", "socksload"))

    def missing(self):
        return [str(path) for path in (self.peergate, self.linkem, self.service, self.socksload)
                if not os.access(path, os.X_OK)]


class Services:
    """service in b, on loopback for the proxies and on b's outer address for what goes without one. Its sockets are
    cubic's whatever the machine's default is: bbr would pace what never leaves the machine, by timer interrupts that
    hit whoever reads."""

    def __init__(self, tools, b):
        for address in ("127.0.0.1", ADDRESS["b"]):
            b.start([tools.service, "--congestion", "cubic", *self.words(address, 0)], ready='"ready"')

    @staticmethod
    def words(address, offset):
        return [f"{mode}={address}:{port + offset}" for mode, port in SERVICE_PORT.items()]


class Direct:
    """Straight over the link: the raw pipe, or kernel TCP as a peer of its own."""
    proxy = None
    pids = {}

    @staticmethod
    def target(mode):
        return f"{ADDRESS['b']}:{SERVICE_PORT[mode]}"


class Kernel(Direct):
    """Kernel TCP with a congestion control of its own, on a port of its own."""

    def __init__(self, tools, b, congestion, offset):
        self.offset = offset
        self.name = f"kernel TCP {congestion}"
        b.start([tools.service, "--congestion", congestion, *Services.words(ADDRESS["b"], offset)], ready='"ready"')

    def target(self, mode):
        return f"{ADDRESS['b']}:{SERVICE_PORT[mode] + self.offset}"


CONFIG = """\
hostname: {name}
network: demo
port: {port}
peers:
{peers}{services}socks: {{listen: "127.0.0.1:{socks}"}}
"""
PEER = """\
  - name: {name}
    peer_id: {peer_id}
    endpoint: {endpoint}
"""


class Node:
    """One peergate: its folder, its configuration, its daemon."""

    def __init__(self, tools, namespace, name, port, socks):
        self.tools, self.namespace, self.name = tools, namespace, name
        self.port, self.socks = port, socks
        self.dir = namespace.lab.folder / f"node-{name}"
        self.process = None
        self.peers = ""
        self.services = ""
        self.cli("init")
        self.peer_id = json.loads(self.cli("--json", "id"))["peer_id"]

    def cli(self, *words):
        done = subprocess.run([self.tools.peergate, "--dir", self.dir, *words], capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"peergate {' '.join(words)} ended with {done.returncode}: "
                           f"{(done.stderr or done.stdout).strip()}")
        return done.stdout

    def knows(self, other, address):
        self.peers += PEER.format(name=other.name, peer_id=other.peer_id, endpoint=f"{address}:{other.port}")
        self.cli("authorize", other.peer_id)

    def serves(self, services):
        self.services = "services:\n" + "".join(
            f'  {mode}: {{enabled: true, local_address: "127.0.0.1:{port}"}}\n' for mode, port in services.items())

    def configure(self):
        (self.dir / "config.yaml").write_text(CONFIG.format(
            name=self.name, port=self.port, peers=self.peers, services=self.services, socks=self.socks))
        self.cli("config", "check")

    def command(self):
        return [self.tools.peergate, "--dir", self.dir, "up"]

    def up(self):
        self.process = self.namespace.start(self.command(), port=self.socks)
        return self.process


class Peergate:
    """laptop in a reaches home in b, whose services are the tools' modes by name."""
    name = "peergate"
    can_pipeline = True

    def __init__(self, tools, a, b):
        self.laptop = Node(tools, a, "laptop", 7002, SOCKS_PORT["peergate"])
        self.home = Node(tools, b, "home", 7001, SOCKS_PORT["peergate"])
        self.laptop.knows(self.home, ADDRESS["b"])
        self.home.knows(self.laptop, ADDRESS["a"])
        self.home.serves(SERVICE_PORT)
        for node in (self.laptop, self.home):
            node.configure()
        self.proxy = f"127.0.0.1:{SOCKS_PORT['peergate']}"

    def start(self):
        self.home.up()
        self.laptop.up()
        return self

    @property
    def pids(self):
        return {"client": self.laptop.process.pid, "server": self.home.process.pid}

    @staticmethod
    def target(mode):
        # The service is what the first label says; the port is only what a browser would put there.
        return f"{mode}.home.demo.p2p:80"


SSHD_CONFIG = """\
Port 2222
ListenAddress {address}
HostKey {dir}/host_key
AuthorizedKeysFile {dir}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding yes
Ciphers aes128-gcm@openssh.com
LogLevel ERROR
"""


class Ssh:
    """`ssh -D` in a to a real sshd in b, with keys of the moment."""
    name = "ssh -D, aes128-gcm"
    can_pipeline = True

    def __init__(self, _tools, a, b):
        if not shutil.which("ssh") or not os.access("/usr/sbin/sshd", os.X_OK):
            raise LabError("no ssh or no sshd on this machine")
        self.a, self.b = a, b
        self.dir = a.lab.folder / "ssh"
        self.dir.mkdir()
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # its privilege separation wants it
        for key in ("key", "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / key], check=True)
        (self.dir / "sshd_config").write_text(SSHD_CONFIG.format(dir=self.dir, address=ADDRESS["b"]))
        self.proxy = f"127.0.0.1:{SOCKS_PORT['ssh']}"

    def command(self):
        options = {"StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "LogLevel": "ERROR",
                   "ExitOnForwardFailure": "yes", "IdentitiesOnly": "yes"}
        return ["ssh", "-F", "none", "-N", "-D", self.proxy, "-p", "2222", "-i", self.dir / "key",
                "-c", "aes128-gcm@openssh.com", *(word for key, value in options.items() for word in
                                                  ("-o", f"{key}={value}")), f"root@{ADDRESS['b']}"]

    def start_server(self):
        self.sshd = self.b.start(["/usr/sbin/sshd", "-D", "-e", "-f", self.dir / "sshd_config"], port=2222)

    def start(self):
        self.start_server()
        self.ssh = self.a.start(self.command(), port=SOCKS_PORT["ssh"])
        return self

    @property
    def pids(self):
        return {"client": self.ssh.pid, "server": self.sshd.pid}

    @staticmethod
    def target(mode):
        return f"127.0.0.1:{SERVICE_PORT[mode]}"


class Microsocks(Direct):
    """A plain proxy in a, no encryption, over the link to b's outer address."""
    name = "microsocks (no encryption)"
    can_pipeline = False

    def __init__(self, _tools, a, _b):
        if not shutil.which("microsocks"):
            raise LabError("no microsocks on this machine")
        self.a = a
        self.proxy = f"127.0.0.1:{SOCKS_PORT['microsocks']}"

    def start(self):
        self.process = self.a.start(["microsocks", "-i", "127.0.0.1", "-p", str(SOCKS_PORT["microsocks"])],
                                    port=SOCKS_PORT["microsocks"])
        return self

    @property
    def pids(self):
        return {"client": self.process.pid}
