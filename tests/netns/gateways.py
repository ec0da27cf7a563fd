# SPDX-License-Identifier: MIT
"""Other people's programs that a node meets on its way out: miniupnpd, the gateway of most home routers (UPnP-IGD, NAT-PMP, PCP), on an nft home's
router; coturn, a STUN and TURN server with two addresses.

    home = internet.home("home", "nft")
    igd = Igd(home)                      # maps ports for the home's machines; igd.mappings(), with v6=True also igd.pinholes()
    stun = coturn(anchor)                # on ANCHOR's addresses, port 3478, without a login"""
import re

from ground import Failed, check, needs, until
from natground import ANCHOR

LAN = "192.168.1.1"
PMP_PORT, HTTP_PORT = 5351, 5000

MINIUPNPD = """
ext_ifname={wan}
listening_ip={lan}
http_port={http}
enable_natpmp={pmp}
enable_upnp={upnp}
min_lifetime=5
max_lifetime=86400
secure_mode=yes
notify_interval=30
uuid=00000000-0000-4000-8000-0000000000{number:02x}
ipv6_disable={no_v6}
upnp_table_name=upnp
upnp_nat_table_name=upnp
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
allow 1024-65535 192.168.1.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""

CHAINS = """
table inet upnp {
    chain forward {
        type filter hook forward priority 0
        jump miniupnpd
        iifname "%s" meta nfproto ipv6 ct state new drop
    }
    chain miniupnpd { }
    chain prerouting {
        type nat hook prerouting priority -100
        jump prerouting_miniupnpd
    }
    chain postrouting {
        type nat hook postrouting priority 99
        jump postrouting_miniupnpd
    }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
}
"""


class Igd:
    """miniupnpd on the router of a home of kind nft, nft-bare or nft-random."""

    def __init__(self, home, upnp=True, pmp=True, v6=False):
        needs("miniupnpd")
        check(home.router, "miniupnpd wants an nft home: its rules are the kernel's")
        self.home, self.router = home, home.router
        self.router.nft(CHAINS % home.outer.short)
        if v6:  # one firewall, in which a pinhole can be; and the router as its advertisements would name it
            self.router.nft("delete table ip6 firewall")
            self.router.ip("-6", "addr", "flush", "dev", "lan", "scope", "link")
            self.router.ip("addr", "add", "fe80::1/64", "dev", "lan", "nodad")
            for host in home.hosts:
                host.ip("-6", "route", "replace", "default", "via", "fe80::1", "dev", "wan")
        config = home.internet.ground.folder / f"miniupnpd-{home.short}.conf"
        config.write_text(MINIUPNPD.format(wan=home.outer.short, lan="lan", http=HTTP_PORT, number=home.number,
                                           pmp="yes" if pmp else "no", no_v6="no" if v6 else "yes", upnp="yes" if upnp else "no"))
        self.words = ["miniupnpd", "-d", "-f", config, "-P", config.with_suffix(".pid")]
        self.runs, self.pmp = 0, pmp
        self.start()

    def start(self):
        self.runs += 1
        self.program = self.router.start(self.words, f"miniupnpd-{self.home.short}-{self.runs}")

        def listens():
            check(self.program.alive(), f"miniupnpd ended: {self.program.text()[-1000:]}")
            return f":{HTTP_PORT} " in self.router.run("ss", "-Hltn") and (not self.pmp or f":{PMP_PORT} " in self.router.run("ss", "-Hlun"))
        until(listens, "miniupnpd listens")

    def stop(self):
        """As a router that is switched off: its mappings are gone (miniupnpd itself would leave them, and sometimes takes 10 s to end)."""
        self.program.kill()
        for chain in ("miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd"):
            self.router.run("nft", "flush", "chain", "inet", "upnp", chain)

    def mappings(self):
        """{(protocol, outside port): (host, port)} of what the kernel does now."""
        rules = self.router.run("nft", "-n", "list", "chain", "inet", "upnp", "prerouting_miniupnpd")
        found = {}
        for line in rules.splitlines():
            target = re.search(r"dnat ip to ([0-9.]+):(\d+)", line)
            outside = re.search(r"(?:th|udp|tcp) dport (\d+)", line)
            if target and outside:
                protocol = "tcp" if re.search(r"@nh,72,8 (0x0?6|6)\b|tcp", line) else "udp"
                found[protocol, int(outside.group(1))] = (target.group(1), int(target.group(2)))
        return found


    def pinholes(self):
        """{port} of what the IPv6 firewall lets through now."""
        rules = self.router.run("nft", "-n", "list", "chain", "inet", "upnp", "miniupnpd")
        return {int(port) for port in re.findall(r"dport (\d+) .*accept", rules)}


def coturn(namespace, *options, addresses=ANCHOR, port=3478, threads=1):
    """coturn in a namespace; returns the program. No login, and no peer is refused."""
    needs("turnserver")
    folder = namespace.ground.folder
    listening = [word for address in addresses for word in ("-L", address)]
    relays = [word for address in addresses[::2] for word in ("-E", address)]
    program = namespace.start(
        ["turnserver", "-n", *listening, *relays, "-p", port, "--alt-listening-port", port + 1, "-m", threads, "-z", "--no-tls", "--no-dtls",
         "--no-cli", "--log-file", "stdout", "--simple-log", "--pidfile", folder / f"coturn-{namespace.short}.pid", "-b",
         folder / f"coturn-{namespace.short}.db", *options], f"coturn-{namespace.short}")

    def listens():
        if not program.alive():
            raise Failed(f"coturn ended: {program.text()[-1000:]}")
        sockets = namespace.run("ss", "-Hlun")
        return all(f"{address if ':' not in address else f'[{address}]'}:{port} " in sockets for address in addresses)
    until(listens, "coturn listens")
    return program

