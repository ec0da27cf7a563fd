#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two nodes behind a NAT each (nftables masquerade: port-restricted), started with nothing but an anchor's address and each other's peer ID: they meet by the anchor's relay,
and go direct under a running download; when the direct way dies, the relay takes over, and when it is back, so are they.

     laptop              boxl                yard                boxh              home
    peergate            (NAT)              (routes)             (NAT)            peergate
  192.168.1.2 -- veth -- 192.168.1.1                       192.168.2.1 -- veth -- 192.168.2.2
    socks 1080           10.77.1.2 -- veth -- 10.77.1.1                            flood 9
                                              10.77.2.1 -- veth -- 10.77.2.2
                                              10.77.3.1 -- veth -- 10.77.3.2 anchor, port 7000
"""
import json
import time
from behind import home_behind_nat
from ground import STILL_MAX, Ground, check, needs, run, until
from streams import Download, TcpServer, Web, serve_pattern, socks_connect

PROXY = ("127.0.0.1", 1080)
MEGABYTE = 1 << 20


def dead(yard, is_dead):
    """The way between the two boxes; that to the anchor stays."""
    drops = "ip saddr 10.77.1.2 ip daddr 10.77.2.2 drop; ip saddr 10.77.2.2 ip daddr 10.77.1.2 drop;"
    yard.nft(f"""table ip yard {{ chain forward {{ type filter hook forward priority 0; }}; }}
        flush chain ip yard forward
        table ip yard {{ chain forward {{ {drops if is_dead else ""} }}; }}""")


def kind(node, peer):
    path = node.peer(peer)["path"]
    return path["kind"] if path else "none"


def test():
    needs("curl", "nft")
    with Ground("punch") as ground:
        yard, anchor_at = ground.namespace("yard"), ground.namespace("anchor")
        laptop_at, home_at = home_behind_nat(ground, yard, "laptop", 1), home_behind_nat(ground, yard, "home", 2)
        ground.veth(anchor_at, "10.77.3.2/24", yard, "10.77.3.1/24")
        anchor_at.ip("route", "add", "default", "via", "10.77.3.1")
        yard.sysctl("net.ipv4.ip_forward", 1)
        (ground.folder / "www").mkdir()
        (ground.folder / "www" / "hello").write_text("hello from home\n")
        Web(home_at, ("127.0.0.1", 8000), str(ground.folder / "www"))
        TcpServer(home_at, ("127.0.0.1", 9), serve_pattern)

        laptop, home, anchor = ground.node(laptop_at, "laptop"), ground.node(home_at, "home"), ground.node(anchor_at, "anchor")
        anchors = [{"name": "anchor", "peer_id": anchor.peer_id, "endpoint": "10.77.3.2:7000"}]
        anchor.configure({"port": 7000, "role": "anchor",
                          "peers": [{"name": node.name, "peer_id": node.peer_id} for node in (laptop, home)]})
        laptop.configure({"port": 7001, "anchors": anchors, "peers": [{"name": "home", "peer_id": home.peer_id}],
                          "socks": {"listen": "127.0.0.1:1080"}})
        home.configure({"port": 7002, "anchors": anchors, "peers": [{"name": "laptop", "peer_id": laptop.peer_id}],
                        "services": {"web": {"local_address": "127.0.0.1:8000"},
                                     "flood": {"local_address": "127.0.0.1:9"}}})
        for node in (anchor, home, laptop):
            node.up()
        began = time.monotonic()
        until(lambda: laptop_at.run("curl", "-sS", "--max-time", 20, "--socks5-hostname", "127.0.0.1:1080",
                                    "http://web.home.demo.p2p/hello") == "hello from home\n", "curl by name")
        ground.step(f"curl by name {time.monotonic() - began:.2f} s after the daemons were up")
        until(lambda: kind(laptop, "home") == kind(home, "laptop") == "direct", "both are direct", 5)
        ground.step(f"direct {time.monotonic() - began:.2f} s after the daemons were up: {laptop.peer('home')['path']['endpoint']}")

        download = Download(socks_connect(laptop_at, PROXY, "flood.home.demo", 9))
        until(lambda: download.count() > 4 * MEGABYTE, "the download runs")
        at = time.monotonic()
        dead(yard, True)
        time.sleep(4)
        count = download.count()
        until(lambda: download.count() > count or download.is_over, "the download goes on by the relay", STILL_MAX)
        download.must_run()
        gap = download.longest_gap(at, time.monotonic())
        ground.step(f"the direct way is dead: {1000 * gap:.0f} ms without a byte")
        check(gap < STILL_MAX, f"the relay takes over: {gap} s without a byte")
        until(lambda: kind(laptop, "home") == "relay", "laptop uses the relay")
        print(laptop.cli("why", "home"))
        dead(yard, False)
        until(lambda: kind(laptop, "home") == kind(home, "laptop") == "direct", "both are direct again", 40)
        ground.step("direct again")
        count = download.count()
        until(lambda: download.count() > count + 4 * MEGABYTE, "the download goes on")
        download.must_run()
        words = laptop.cli("why", "home")
        check("direct" in words and "10.77.2.2:7002" in words, f"why: {words}")
        check(json.loads(laptop.cli("why", "--json", "home"))["candidates"], "why has candidates")


run(test)
