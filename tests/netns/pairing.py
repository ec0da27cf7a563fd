#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who reaches whom: every kind of node as a client of every kind of node, by TCP, UDP and ping. Three clients and three servers, a cable between each two; the result is a table.

   TUN       a node with a network interface: programs use addresses and names as they are
   no rights a node that runs as nobody: programs go through its SOCKS proxy, `peergate ping` asks
   stock     wireguard-go: packets only, and no names of its own
"""
import os
import pwd
import socket
import subprocess
from ground import REPLY, Failed, Ground, check, needs, run
from stock import StockNode, ping
from streams import UdpEcho, Web, decode_address, encode_address, pattern, socks_request

PORT, WEB, ECHO = 7001, 8000, 9000
SIZE = 300000
KINDS = ("TUN", "no rights", "stock")
SHORT = {"TUN": "tun", "no rights": "user", "stock": "stock"}
PROXY = ("127.0.0.1", 1080)
NOBODY = pwd.getpwnam("nobody")
WITHOUT_RIGHTS = ("setpriv", "--reuid", str(NOBODY.pw_uid), "--regid", str(NOBODY.pw_gid), "--clear-groups", "--bounding-set", "-all",
                  "--inh-caps", "-all")


class Member:
    """side: a (asks) or b (serves)."""

    def __init__(self, ground, kind, side):
        self.kind, self.side = kind, side
        self.name = f"{side}{SHORT[kind]}"
        self.number = KINDS.index(kind) + 1
        self.ipv4 = f"10.64.{1 if side == 'a' else 2}.{self.number}"
        self.ipv6 = f"fd64::{side}{self.number}"
        self.at = ground.namespace(self.name)
        self.is_stock = kind == "stock"
        if self.is_stock:
            self.node = StockNode(ground, self.at, self.name, 51801 if side == "a" else 51802, [f"{self.ipv4}/16", f"{self.ipv6}/64"], 1380)
            self.public_key = self.node.public
        else:
            self.node = ground.node(self.at, self.name)
            self.public_key = self.node.public_key
        host = "0.0.0.0" if self.is_stock else "127.0.0.1"
        if side == "b":
            Web(self.at, (host, WEB))
            UdpEcho(self.at, (host, ECHO))
            if self.is_stock:
                Web(self.at, (self.ipv6, WEB))

    def outer(self, other):
        a, b = (self, other) if self.side == "a" else (other, self)
        return f"10.77.{a.number}{b.number}.{1 if self.side == 'a' else 2}"

    def peer(self, other):
        """As an entry of this node's configuration."""
        port = other.node.port if other.is_stock else PORT
        entry = {"name": other.name, "endpoint": f"{other.outer(self)}:{port}"}
        if other.is_stock:
            return {**entry, "public_key": other.public_key, "allowed_ips": [f"{other.ipv4}/32", f"{other.ipv6}/128"]}
        return {**entry, "peer_id": other.node.peer_id, "tunnel_ip": [other.ipv4, other.ipv6]}

    def start(self, others):
        if self.is_stock:
            for other in others:
                port = other.node.port if other.is_stock else PORT
                self.node.add_peer(other.public_key, [f"{other.ipv4}/32", f"{other.ipv6}/128"], f"{other.outer(self)}:{port}")
            self.node.configure()
            return
        services = {"web": {"local_address": f"127.0.0.1:{WEB}"}, "echo": {"local_address": f"127.0.0.1:{ECHO}", "protocol": "udp"}}
        self.node.configure({
            "port": PORT, "address": [f"{self.ipv4}/16", f"{self.ipv6}/64"], "peers": [self.peer(other) for other in others],
            "socks": {"listen": "127.0.0.1:1080"}, "services": services if self.side == "b" else {},
            **({"tun": {"enabled": True}, "dns": {"enabled": True}} if self.kind == "TUN" else {})})
        if self.kind == "TUN":
            self.node.up()
            return
        for folder, folders, files in os.walk(self.node.dir):
            for name in (".", *folders, *files):
                os.chown(os.path.join(folder, name), NOBODY.pw_uid, NOBODY.pw_gid)
        self.node.up(wrapper=WITHOUT_RIGHTS)
        uids = [line.split()[1:] for line in open(f"/proc/{self.node.daemon.pid}/status") if line.startswith("Uid:")][0]
        check(uids == [str(NOBODY.pw_uid)] * 4, f"{self.name} runs as {uids}")


# ---- what is asked; each returns None (it works) or why not

def curl(member, url, *words, wrapper=()):
    with member.at:
        done = subprocess.run([*wrapper, "curl", "-gsS", "--noproxy", "", "--max-time", str(2 * REPLY), *words, url], capture_output=True)
    if done.returncode != 0:
        return f"curl: {done.stderr.decode().strip()}"
    return None if done.stdout == pattern(SIZE) else f"{len(done.stdout)} other bytes"


def tcp(client, server, host):
    words = ("--proxy", "socks5h://127.0.0.1:1080") if client.kind == "no rights" else ()
    return curl(client, f"http://{f'[{host}]' if ':' in host else host}:{WEB}/{SIZE}", *words)


def tcp_by_address(client, server):
    return tcp(client, server, server.ipv4)


def tcp_by_ipv6(client, server):
    return tcp(client, server, server.ipv6)


def tcp_by_name(client, server):
    """On the machine with a TUN by an unconfigured program: its resolv.conf names the DNS server in the TUN."""
    name = f"{server.name}.demo.p2p"
    if client.kind == "no rights":
        return tcp(client, server, name)
    script = f'mount --bind {client.conf} /etc/resolv.conf && mount --bind {client.nss} /etc/nsswitch.conf && exec "$@"'
    return curl(client, f"http://{name}:{WEB}/{SIZE}", wrapper=("unshare", "--mount", "sh", "-c", script, "sh"))


def udp_by_socks(client, server):
    code, bound, control = socks_request(client.at, PROXY, 3, "0.0.0.0", 0)
    if code != 0:
        return f"UDP ASSOCIATE: {code}"
    with control, client.at.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(REPLY)
        sock.sendto(b"\0\0\0" + encode_address(server.ipv4, ECHO) + b"datagram", bound)
        got = sock.recv(65536)
        got = got[3 + decode_address(got[3:])[2]:]
        return None if got == b"echo:datagram" else f"{got}"


def udp(client, server):
    try:
        if client.kind == "no rights":
            return udp_by_socks(client, server)
        with client.at.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(REPLY)
            sock.connect((server.ipv4, ECHO))
            sock.send(b"datagram")
            got = sock.recv(65536)
            return None if got == b"echo:datagram" else f"{got}"
    except OSError as error:
        return type(error).__name__


def echo(client, server):
    if client.kind == "no rights":
        sent, received, _ = client.node.ping(server.name, 3)
        return None if received > 0 else f"{received} of {sent}"
    return None if ping(client.at, server.ipv4) and ping(client.at, server.ipv6) else "no answer"


ROWS = (("TCP, IPv4", tcp_by_address), ("TCP, IPv6", tcp_by_ipv6), ("TCP, name", tcp_by_name), ("UDP", udp), ("ping", echo))


def cell(client, server, ask):
    """(text, is it as it should be)"""
    if ask is tcp_by_name and client.is_stock:
        return "has no names", True
    try:
        why = ask(client, server)
    except Failed as failed:
        why = str(failed)
    return ("works", True) if why is None else (why, False)


def table(clients, servers):
    bad = []
    print(f"\n  {'from':<10} {'by':<10} {''.join(f'to {kind:<13}' for kind in KINDS)}")
    for client in clients:
        for title, ask in ROWS:
            cells = [cell(client, server, ask) for server in servers]
            print(f"  {client.kind:<10} {title:<10} {''.join(f'{text[:40]:<16}' for text, _ in cells)}", flush=True)
            bad += [f"{client.kind} to {server.kind}, {title}: {text}" for (text, is_good), server in zip(cells, servers) if not is_good]
    print(flush=True)
    return bad


def test():
    needs("ip", "curl", "wireguard-go", "wg", "setpriv")
    with Ground("pair") as ground:
        os.chmod(ground.folder, 0o711)
        clients, servers = ([Member(ground, kind, side) for kind in KINDS] for side in "ab")
        for client in clients:
            for server in servers:
                ground.veth(client.at, f"{client.outer(server)}/24", server.at, f"{server.outer(client)}/24")
        for client in clients:
            client.conf, client.nss = ground.folder / "resolv.conf", ground.folder / "nsswitch.conf"
        (ground.folder / "resolv.conf").write_text("nameserver 10.64.0.53\n")
        (ground.folder / "nsswitch.conf").write_text("hosts: dns\n")
        for member in servers:
            member.start(clients)
        for member in clients:
            member.start(servers)
        ground.step("every kind to every kind")
        bad = table(clients, servers)
        check(not bad, "; ".join(bad))


run(test)
