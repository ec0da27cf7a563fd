#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Links that get worse and worse: loss from 1 to 30 %, in bursts too, 600 ms there and back, 64 kbit/s, packets out of order and twice. On each the session
comes up, a download runs with every byte right, the session stays, and what is left of the link's rate is printed. Some rungs are relayed by an anchor.

    client (peergate, socks)  --- linkem (tests/tools/linkem.c) ---  server (peergate, source)
    client --- linkem --- anchor --- veth --- server                 relayed
"""
import time
from concurrent.futures import ThreadPoolExecutor

from ground import BUILD, PATIENCE, Ground, check, needs, run
from meeting import ANCHOR_PORT, PORT, PROXY
from streams import Download, TcpServer, serve_pattern, socks_connect

LINKEM = BUILD / "tests" / "tools" / "linkem"
SECONDS = 8
SOURCE = 5

# name: (linkem's options, the figures: kbit/s that are left, seconds until the first byte; relayed). Half of PATIENCE's share of one and PATIENCE times the other are a
# mistake in the test; ./dev bench asks for them.
RUNGS = {
    "good, 20 Mbit/s, 40 ms":       ({"delay": 20, "rate": 20, "buffer": 50}, 10000, 1, False),
    "1 % loss":                     ({"delay": 20, "rate": 20, "buffer": 50, "loss": 1}, 8000, 2, False),
    "3 % loss":                     ({"delay": 20, "rate": 20, "buffer": 50, "loss": 3}, 5000, 2, False),
    "10 % loss":                    ({"delay": 20, "rate": 20, "buffer": 50, "loss": 10}, 1000, 5, False),
    "20 % loss":                    ({"delay": 20, "rate": 20, "buffer": 50, "loss": 20}, 300, 8, False),
    "30 % loss":                    ({"delay": 20, "rate": 20, "buffer": 50, "loss": 30}, 100, 15, False),
    "3 % in bursts of 10":          ({"delay": 20, "rate": 20, "buffer": 50, "loss": 3, "burst-loss": 10}, 2000, 5, False),
    "10 % in bursts of 20":         ({"delay": 20, "rate": 20, "buffer": 50, "loss": 10, "burst-loss": 20}, 500, 10, False),
    "600 ms there and back":        ({"delay": 300, "rate": 20, "buffer": 200}, 1000, 3, False),
    "600 ms and 3 % loss":          ({"delay": 300, "rate": 20, "buffer": 200, "loss": 3}, 500, 6, False),
    "64 kbit/s":                    ({"delay": 50, "rate": 0.064, "buffer": 1000}, 35, 4, False),
    "64 kbit/s, 600 ms, 3 % loss":  ({"delay": 300, "rate": 0.064, "buffer": 1000, "loss": 3}, 25, 10, False),
    "5 % out of order, 2 % twice":  ({"delay": 20, "rate": 20, "buffer": 50, "reorder": 5, "reorder-by": 5, "duplicate": 2}, 8000, 2, False),
    "20 ms of jitter":              ({"delay": 20, "jitter": 20, "rate": 20, "buffer": 50}, 5000, 2, False),
    "relayed, 10 % loss":           ({"delay": 20, "rate": 20, "buffer": 50, "loss": 10}, 1000, 8, True),
    "relayed, 64 kbit/s, 600 ms":   ({"delay": 300, "rate": 0.064, "buffer": 1000}, 30, 8, True),
}
AT_ONCE = 4


class Rung:
    def __init__(self, ground, number, name):
        self.ground, self.name, self.short = ground, name, f"r{number}"
        self.options, self.least, self.within, self.is_relayed = RUNGS[name]
        client, server = ground.namespace(f"c{number}"), ground.namespace(f"s{number}")
        middle = ground.namespace(f"m{number}") if self.is_relayed else server
        words = [str(word) for key, value in self.options.items() for word in (f"--{key}", value)]
        client.start([LINKEM, *words, f"{client.name},link,10.7.0.1/24", f"{middle.name},link,10.7.0.2/24"], f"linkem-{self.short}", ready='"ready"')
        TcpServer(server, ("127.0.0.1", SOURCE), serve_pattern)
        self.client, self.server = ground.node(client, f"client{number}"), ground.node(server, f"server{number}")
        to_server = {"name": "server", "peer_id": self.server.peer_id}
        to_client = {"name": "client", "peer_id": self.client.peer_id}
        far, near = {}, {}
        if self.is_relayed:
            # The two have no route to each other.
            ground.veth(middle, "10.8.0.1/24", server, "10.8.0.2/24")
            anchor = ground.node(middle, f"anchor{number}", {"port": ANCHOR_PORT, "role": "anchor", "peers": [to_server, to_client]})
            anchor.up()
            entry = {"name": "anchor", "peer_id": anchor.peer_id}
            near = {"anchors": [{**entry, "endpoint": f"10.7.0.2:{ANCHOR_PORT}"}]}
            far = {"anchors": [{**entry, "endpoint": f"10.8.0.1:{ANCHOR_PORT}"}]}
        else:
            to_server["endpoint"] = f"10.7.0.2:{PORT}"
        self.client.configure({"port": PORT, "peers": [to_server], "socks": {"listen": "{}:{}".format(*PROXY)}, **near})
        self.server.configure({"port": PORT, "peers": [to_client], "services": {"source": {"local_address": f"127.0.0.1:{SOURCE}"}}, **far})
        self.server.up()

    def climb(self):
        """(seconds from the client's start to the first byte, kbit/s, the longest standstill in s, pings answered of 10)"""
        began = time.monotonic()
        self.client.up()
        within = self.within * PATIENCE + 2
        download = Download(socks_connect(self.client.namespace, PROXY, "source.server.demo", SOURCE, within))
        while download.count() == 0 and time.monotonic() < began + within:
            time.sleep(0.01)
        first = time.monotonic() - began
        check(download.count(), f"{self.name}: no byte within {within:.0f} s")
        begin = time.monotonic()
        time.sleep(2)
        start = time.monotonic()  # by now its rate has settled
        time.sleep(SECONDS)
        download.must_run()
        end = time.monotonic()
        rate = download.rate(start, end) * 8 / 1000
        gap = download.longest_gap(begin, end)
        check(self.client.peer("server")["state"] == "established", f"{self.name}: the session is {self.client.peer('server')['state']}")
        check(self.client.log().count("peer server: session ") <= 2, f"{self.name}: the session did not hold")  # idle -> handshaking -> established
        download.stop()
        _, answered, _ = self.client.ping("server", count=10, interval=0.2, seconds=60)
        check(answered >= 1, f"{self.name}: no ping answered")
        return first, rate, gap, answered

    def judge(self, found):
        first, rate, _, _ = found
        check(rate >= self.least / PATIENCE / 2, f"{self.name}: {rate:.0f} kbit/s are left, {self.least} should be")
        check(first <= self.within * PATIENCE, f"{self.name}: {first:.1f} s until the first byte")


def measure(names=None):
    """{rung: (first byte after s, kbit/s, standstill in s, pings answered of 10)}"""
    names = list(names or RUNGS)
    found = {}
    with Ground("ladder") as ground:
        for begin in range(0, len(names), AT_ONCE):
            rungs = [Rung(ground, begin + i, name) for i, name in enumerate(names[begin:begin + AT_ONCE])]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for rung, one in zip(rungs, pool.map(Rung.climb, rungs)):
                    found[rung.name] = one
                    ground.step(f"{rung.name:30} first byte after {one[0]:5.2f} s, {one[1]:8.0f} kbit/s, "
                                f"still for {one[2] * 1000:5.0f} ms at most, {one[3]} of 10 pings")
            for rung in rungs:
                rung.client.stop()
                rung.server.stop()
                rung.judge(found[rung.name])
    return found


def main():
    needs("ip")
    measure()


if __name__ == "__main__":
    run(main)
