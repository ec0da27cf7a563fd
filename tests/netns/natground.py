# SPDX-License-Identifier: MIT
"""An internet in namespaces: homes behind NATs of any kind, machines with public addresses, and a router between them.

      home1                      net (the internet)                anchor
   192.168.1.2/24                a router, nothing else            9.9.9.9, 9.9.9.10
   [TUN wan] -- natbox ------- [TUN home1]        [veth] --------- 2a00:ffff::9, 2a00:ffff:1::a
                 11.0.1.1
      home2                    home2-r
   192.168.1.2/24
   [veth wan] -------- bridge, nftables masquerade -- veth -- net
                              11.0.2.1

    with Ground("nat") as ground:
        internet = Internet(ground)
        anchor = internet.anchor()
        home = internet.home("home1", "symmetric-sequential")
        office = internet.home("office", "nft", hosts=2)
        carrier = internet.carrier("carrier")
        phone = internet.home("phone", "port-restricted", behind=carrier)
        home.host.run(...); home.command("rebind")

Kinds are those of tests/nat/kinds.h, by natbox (tests/tools/natbox.c), and three of the kernel's own: nft (masquerade, the router
drops what comes to itself), nft-bare (masquerade alone), nft-random (masquerade fully-random). Every home has the same private
addresses. IPv6, where a home has it, is 2a00:0:N::/64 behind a stateful firewall. The path that hosts take has no delay but natbox's
`delay` (ms, one way)."""
import json
import socket
from pathlib import Path

from ground import BUILD, check, ip

NATBOX = BUILD / "tests/tools/natbox"
NATPROBE = BUILD / "tests/tools/natprobe"
ANCHOR = ("9.9.9.9", "9.9.9.10", "2a00:ffff::9", "2a00:ffff:1::a")
GRID = Path(__file__).resolve().parents[1] / "nat" / "grid.txt"
NFT = ("nft", "nft-bare", "nft-random")


def grid():
    """(kinds, {(kind, kind): "direct", "search" or "relay"}): what is possible, from tests/nat/grid.txt."""
    rows = [line.split() for line in GRID.read_text().splitlines() if not line.startswith("#")]
    kinds = [row[0] for row in rows]
    return kinds, {(row[0], other): cell for row in rows for other, cell in zip(kinds, row[1:])}


def is_v6(address):
    return ":" in address


def cable(ground, lower, upper, addresses):
    """A veth between a machine and its router: the machine has these addresses and a default route, the router has a route to
    each and no address but a link-local one (which is the next hop of IPv4 too: RFC 5549)."""
    ends = ((lower, upper.short, "fe80::2/64"), (upper, lower.short, "fe80::1/64"))
    ip("link", "add", "name", upper.short, "netns", lower.name, "type", "veth", "peer", "name", lower.short, "netns", upper.name)
    for namespace, device, address in ends:
        namespace.ip("link", "set", "dev", device, "addrgenmode", "none")
        namespace.ip("link", "set", "dev", device, "up")
        namespace.ip("addr", "add", address, "dev", device, "nodad")  # or it could not be used for a second
    for address in addresses:
        own = ["addr", "add", f"{address}/{128 if is_v6(address) else 32}", "dev", upper.short]
        lower.ip(*own, *(["nodad"] if is_v6(address) else []))
        route_by(upper, address, lower.short)
    for family in (False, True):
        first = [address for address in addresses if is_v6(address) == family]
        if first:
            lower.ip("-6" if family else "-4", "route", "add", "default", "via", *([] if family else ["inet6"]), "fe80::1",
                     "dev", upper.short, "src", first[0])


def route_by(router, prefix, device):
    """By a veth of cable()."""
    router.ip("-6" if is_v6(prefix) else "-4", "route", "add", prefix, "via", *([] if is_v6(prefix) else ["inet6"]),
              "fe80::2", "dev", device)


def forwards(namespace):
    namespace.sysctl("net.ipv4.ip_forward", 1)
    namespace.sysctl("net.ipv6.conf.all.forwarding", 1)


class Home:
    """What is behind one line. host: its first machine."""

    def __init__(self, internet, short, number, kind, v6, outer):
        self.internet, self.short, self.number, self.kind, self.outer = internet, short, number, kind, outer
        self.has_v4, self.has_v6 = kind != "v6-only", v6 or kind in ("v6-only", "open")
        self.hosts, self.box, self.router, self.device, self.lan = [], None, None, "wan", "192.168.1"
        self.public = f"100.64.{number}.2" if outer is not internet.net else f"11.0.{number}.1"
        self.prefix = f"2a00:0:{number}::"

    @property
    def host(self):
        return self.hosts[0]

    def own(self, index):
        """The addresses of a host as it knows them itself."""
        ip4 = f"11.0.{self.number}.{2 + index}" if self.kind == "open" else f"{self.lan}.{2 + index}"
        return ([ip4] if self.has_v4 else []) + ([f"{self.prefix}{2 + index}"] if self.has_v6 else [])

    def own_prefixes(self, index):
        return [f"{own}/{64 if is_v6(own) else 24}" for own in self.own(index)]

    def route_out(self, host):
        """The host's default routes lead by this line's box."""
        for family in ([4] if self.has_v4 else []) + ([6] if self.has_v6 else []):
            host.ip(f"-{family}", "route", "replace", "default", "dev", self.device)

    def command(self, line):
        """To natbox; its answer. --help of natbox --more lists the commands."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.connect(str(self.control))
            sock.send(line.encode())
            answer = json.loads(sock.recv(65536))
        check("error" not in answer, f"{self.short}: {line}: {answer.get('error')}")
        return answer

    def probe(self, *options, server=f"{ANCHOR[0]}:3478", host=0):
        """What natprobe finds."""
        return json.loads(self.hosts[host].run(NATPROBE, "--server", server, *options, timeout=60))


class Internet:
    def __init__(self, ground):
        self.ground = ground
        self.net = ground.namespace("net")
        forwards(self.net)
        self.count = 0

    def machine(self, short, *addresses):
        """A namespace with public addresses."""
        namespace = self.ground.namespace(short)
        cable(self.ground, namespace, self.net, addresses)
        return namespace

    def anchor(self, short="anchor"):
        return self.machine(short, *ANCHOR)

    def probe_server(self, namespace, *addresses):
        """natprobe's server, on two addresses or two of each family (the anchor's)."""
        return namespace.start([NATPROBE, "--serve", *(addresses or ANCHOR)], f"natprobe-{namespace.short}", ready='"ready"')

    def carrier(self, short, kind="carrier", **options):
        """A carrier's NAT that several homes are behind."""
        access = self.ground.namespace(short)
        forwards(access)
        home = self.new_home(short, kind, False, self.net)
        home.hosts = [access]
        self.start_box(home, {access: ["100.64.0.1/32"]}, **options)
        access.ip("route", "add", "default", "dev", "wan")
        return home

    def home(self, short, kind, hosts=1, v6=False, behind=None, **options):
        """v6: IPv6 too. behind: a carrier(). options of natbox: settings, carrier_settings, delay, rate, loss, pool (a number of public
        addresses)."""
        home = self.new_home(short, kind, v6, behind.host if behind else self.net)
        home.hosts = [self.ground.namespace(short if i == 0 else f"{short}-{i + 1}") for i in range(hosts)]
        if kind == "open":
            for i, host in enumerate(home.hosts):
                cable(self.ground, host, home.outer, home.own(i))
        elif kind in NFT:
            self.start_router(home)
        else:
            self.start_box(home, {host: home.own_prefixes(i) for i, host in enumerate(home.hosts)}, **options)
            for host in home.hosts:
                home.route_out(host)
        return home

    def uplink(self, home, short, kind, v6=False, **options):
        """A further line for the home's first machine, by natbox, on an interface that is called after it. No route leads there yet: see
        route_out()."""
        line = self.new_home(short, kind, v6, self.net)
        line.hosts, line.device, line.lan = [home.host], short, f"10.20.{line.number}"
        self.start_box(line, {home.host: line.own_prefixes(0)}, **options)
        return line

    def new_home(self, short, kind, v6, outer):
        self.count += 1
        return Home(self, short, self.count, kind, v6, outer)

    def start_box(self, home, addresses, settings="", carrier_settings="", delay=0, rate=0, loss=0, pool=1):
        """natbox between home.outer and the hosts, and the routes on both sides."""
        home.control = self.ground.folder / f"{home.short}.sock"
        public = [home.public.rsplit(".", 1)[0] + f".{home.public.rsplit('.', 1)[1] if i == 0 else 10 + i}" for i in range(pool)]
        insides = [",".join([host.name, home.device, *own]) for host, own in addresses.items()]
        words = [NATBOX, "--kind", home.kind, "--public", ",".join(public), "--control", home.control, "--delay", delay,
                 "--rate", rate, "--loss", loss, "--seed", home.number, "--set", settings, "--set-carrier", carrier_settings]
        home.box = home.outer.start([*words, *(["--v6"] if home.has_v6 else []), f"{home.outer.name},{home.short}", *insides],
                                    f"natbox-{home.short}", ready='"ready"')
        if home.has_v4:
            for address in public:
                home.outer.ip("route", "add", address, "dev", home.short)
        if home.has_v6:
            home.outer.ip("-6", "route", "add", f"{home.prefix}/64", "dev", home.short)

    def start_router(self, home):
        """A namespace that does what a Linux router does."""
        router = home.router = self.ground.namespace(f"{home.short}-r")
        forwards(router)
        cable(self.ground, router, home.outer, [home.public])
        router.ip("link", "add", "lan", "type", "bridge")
        router.ip("addr", "add", "192.168.1.1/24", "dev", "lan")
        router.ip("link", "set", "lan", "up")
        for i, host in enumerate(home.hosts):
            ip("link", "add", "name", "wan", "netns", host.name, "type", "veth", "peer", "name", host.short, "netns", router.name)
            host.ip("addr", "add", f"192.168.1.{2 + i}/24", "dev", "wan")
            host.ip("link", "set", "wan", "up")
            router.ip("link", "set", host.short, "master", "lan", "up")
            host.ip("route", "add", "default", "via", "192.168.1.1")
            if home.has_v6:
                host.ip("addr", "add", f"{home.prefix}{2 + i}/64", "dev", "wan", "nodad")
                host.ip("-6", "route", "add", "default", "via", f"{home.prefix}1")
        wan = home.outer.short
        if home.has_v6:
            router.ip("addr", "add", f"{home.prefix}1/64", "dev", "lan", "nodad")
            router.ip("-6", "route", "add", "default", "via", "fe80::1", "dev", wan)
            route_by(home.outer, f"{home.prefix}/64", router.short)
        how = "masquerade fully-random" if home.kind == "nft-random" else "masquerade"
        guard = f'iifname "{wan}" meta l4proto {{ udp, tcp }} ct state new drop' if home.kind != "nft-bare" else ""
        router.nft(f"""
            table ip nat {{
                chain out {{ type nat hook postrouting priority 100; oifname "{wan}" {how}; }}
                chain in {{
                    type filter hook input priority 0;
                    {guard}
                }}
            }}
            table ip6 firewall {{
                chain forward {{
                    type filter hook forward priority 0;
                    iifname "{wan}" ct state new drop
                }}
            }}""")

