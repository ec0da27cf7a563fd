#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Addresses change, NAT forgets, a machine sleeps: a download and an upload go on, and not a byte is wrong.

      laptop                    box                       home                      desk
     peergate             (NAT: masquerade)              peergate                 peergate
    192.168.7.2 --- veth --- 192.168.7.1
    then .3, .2 ...           10.77.0.1 ----- veth ---- 10.77.0.2
    socks 1080                ports 40000-40999         10.78.0.1 ----- veth ---- 10.78.0.2
                              then 41000-41999 ...      then .5, .1               then .6, .2
                                                        source, sink              socks 1080
"""
import signal
import socket
import struct
import time
from ground import Ground, check, needs, run, until
from traffic import Traffic, serve_traffic

PORT = 7001
NETLINK_NETFILTER, CTNETLINK_DELETE = 12, 1 << 8 | 2
NLM_F_REQUEST, NLM_F_ACK = 1, 4


def forget_connections(namespace):
    """Empties the connection tracking of a namespace, as a NAT box that was restarted."""
    with namespace, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        body = struct.pack(">BBH", socket.AF_UNSPEC, 0, 0)
        sock.send(struct.pack("=IHHII", 16 + len(body), CTNETLINK_DELETE, NLM_F_REQUEST | NLM_F_ACK, 1, 0) + body)
        error = struct.unpack("=i", sock.recv(4096)[16:20])[0]
        check(error == 0, f"emptying the connection tracking: error {error}")


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.laptop_at, self.box, self.home_at, self.desk_at = (ground.namespace(name) for name in ("laptop", "box", "home", "desk"))
        ground.veth(self.laptop_at, "192.168.7.2/24", self.box, "192.168.7.1/24")
        ground.veth(self.box, "10.77.0.1/24", self.home_at, "10.77.0.2/24")
        ground.veth(self.home_at, "10.78.0.1/24", self.desk_at, "10.78.0.2/24")
        self.laptop_at.ip("route", "add", "default", "via", "192.168.7.1")
        self.box.sysctl("net.ipv4.ip_forward", 1)
        self.masquerade(40000)
        self.laptop, self.home, self.desk = (ground.node(at, name) for at, name in (
            (self.laptop_at, "laptop"), (self.home_at, "home"), (self.desk_at, "desk")))
        services, self.sink = serve_traffic(self.home_at)
        self.home.configure({"port": PORT, "peers": [{"name": node.name, "peer_id": node.peer_id} for node in (self.laptop, self.desk)],
                             "services": services})
        for node, endpoint in ((self.laptop, "10.77.0.2"), (self.desk, "10.78.0.1")):
            node.configure({"port": PORT, "socks": {"listen": "127.0.0.1:1080"},
                            "peers": [{"name": "home", "peer_id": self.home.peer_id, "endpoint": f"{endpoint}:{PORT}"}]})
        for node in (self.home, self.laptop, self.desk):
            node.up()

    def masquerade(self, first_port):
        self.box.nft(f"""
            table ip box
            delete table ip box
            table ip box {{
                chain out {{
                    type nat hook postrouting priority 100;
                    oifname "home" meta l4proto udp masquerade to :{first_port}-{first_port + 999}
                }}
            }}""")


def change_address(namespace, device, old, new, gateway=None):
    """As a machine that gets another address by DHCP: the old one is gone, with its routes."""
    def change():
        namespace.ip("addr", "flush", "dev", device)
        namespace.ip("addr", "add", f"{new}/24", "dev", device)
        if gateway:
            namespace.ip("route", "replace", "default", "via", gateway)
    assert old != new
    return change


def behind_nat(scene):
    traffic = Traffic(scene.laptop, scene.sink)
    step = scene.ground

    def rebind(first_port):
        def change():
            scene.masquerade(first_port)
            forget_connections(scene.box)
        return change

    def outage():
        scene.laptop_at.ip("link", "set", "box", "down")
        time.sleep(2)
        scene.laptop_at.ip("link", "set", "box", "up")
        scene.laptop_at.ip("route", "replace", "default", "via", "192.168.7.1")

    for port in (41000, 42000):
        traffic.survives(step, f"the NAT box forgets its connections, and gives out ports from {port}", rebind(port))
        until(lambda: scene.home.peer("laptop")["path"]["endpoint"].startswith(f"10.77.0.1:{port // 1000}"),
              lambda: f"home sends to the new port; it is {scene.home.peer('laptop')['path']['endpoint']}")
    traffic.survives(step, "another address", change_address(scene.laptop_at, "box", "192.168.7.2", "192.168.7.3", "192.168.7.1"))
    traffic.survives(step, "and the first one again", change_address(scene.laptop_at, "box", "192.168.7.3", "192.168.7.2", "192.168.7.1"))
    traffic.survives(step, "the cable is out for 2 s", outage, pause=2)  # the probes have become rare
    traffic.stop()


def without_nat(scene):
    traffic = Traffic(scene.desk, scene.sink)
    step = scene.ground
    traffic.survives(step, "another address", change_address(scene.desk_at, "home", "10.78.0.2", "10.78.0.6"))
    traffic.survives(step, "home gets another address", change_address(scene.home_at, "desk", "10.78.0.1", "10.78.0.5"))

    def both():
        change_address(scene.desk_at, "home", "10.78.0.6", "10.78.0.2")()
        time.sleep(1)
        change_address(scene.home_at, "desk", "10.78.0.5", "10.78.0.1")()
    traffic.survives(step, "both change back, one second apart", both)

    def sleep(node, seconds):
        def change():
            node.daemon.signal(signal.SIGSTOP)
            time.sleep(seconds)
            node.daemon.signal(signal.SIGCONT)
        return change
    traffic.survives(step, "sleeps for 10 s", sleep(scene.desk, 10), pause=10)
    traffic.survives(step, "home sleeps for 10 s", sleep(scene.home, 10), pause=10)
    traffic.stop()


def main():
    needs("nft", "ip")
    with Ground("roam") as ground:
        scene = Scene(ground)
        behind_nat(scene)
        without_nat(scene)


run(main)
