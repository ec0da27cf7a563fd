#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`peergate netcheck` names what a node is behind: every kind of NAT that the tests know, measured by coturn; UDP blocked, a captive portal, no way out at all; what the
router speaks; how far the anchor is. With a daemon and without one. And what STUN servers see is offered to peers."""
import json
import socket
import threading
import time

from ground import Ground, Failed, check, chosen, needs, run, until
from natground import ANCHOR, Internet
from gateways import Igd, coturn

PORT = 41000
STUN = [f"{ANCHOR[0]}:3478", f"[{ANCHOR[2]}]:3478"]

#                          kind                 mapping         filtering       hairpin
KINDS = {
    "open":                 ("open", "independent", "independent", True),
    "full-cone":            ("full-cone", "independent", "independent", True),
    "address-restricted":   ("address-restricted", "independent", "address", False),
    "port-restricted":      ("port-restricted", "independent", "address-port", False),
    "symmetric-sequential": ("symmetric", "address-port", "address-port", False),
    "symmetric-random":     ("symmetric", "address-port", "address-port", False),
    "cgnat-double":         ("port-restricted", "independent", "address-port", True),
    "linux":                ("port-restricted", "independent", "address-port", False),
    "nft":                  ("port-restricted", "independent", "address-port", False),
    "nft-random":           ("symmetric", "address-port", "address-port", False),
}


def netcheck(node, seconds=20):
    began = time.monotonic()
    found = json.loads(node.cli("netcheck", "--json", seconds=seconds))
    check(found["ok"] and len(found["networks"]) == 1, f"{found}")
    return found["networks"][0], time.monotonic() - began


def at_once(function, items):
    """In threads; what each returned, or its failure."""
    results, threads = {}, []

    def one(item):
        try:
            results[item] = function(item)
        except Exception as error:  # told by the caller's thread
            results[item] = error
    for item in items:
        threads.append(threading.Thread(target=one, args=(item,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    for item, result in results.items():
        if isinstance(result, Exception):
            raise Failed(f"{item}: {result}")
    return results


def is_what(kind, found):
    v4 = found["ipv4"]
    got = (v4["kind"], v4["mapping"], v4["filtering"], v4["hairpin"])
    check(got == KINDS[kind], f"{kind} is called {got} instead of {KINDS[kind]}: {json.dumps(found)}")
    check(found["udp"] and found["verdict"] == "udp" and v4["udp"] and v4["nat"] == (kind != "open"), f"{kind}: {found}")
    check(v4["observed"] and v4["measured_s"] is not None and len(v4["addresses"]) == 1, f"{kind}: {found}")


def kinds(ground):
    """Every kind, first without a daemon, then with one."""
    internet = Internet(ground)
    anchor = internet.anchor()
    coturn(anchor)
    nodes = {}
    for i, kind in enumerate(KINDS):
        home = internet.home(f"h{i}", kind)
        nodes[kind] = ground.node(home.host, f"n{i}", {"port": PORT, "stun": STUN, "port_mapping": "off"})
    for kind, (found, took) in at_once(lambda kind: netcheck(nodes[kind], 40), nodes).items():
        is_what(kind, found)
        ground.step(f"{kind}, without a daemon: {found['ipv4']['kind']}, {took:.1f} s")
    text = nodes["full-cone"].cli("netcheck")
    check("UDP works" in text and "full-cone" in text and "port mapping   off" in text, text)


def running(ground):
    """Through the control socket: what is measured once is remembered, what servers see is offered, and a NAT that forgets is noticed."""
    internet = Internet(ground)
    anchor = internet.anchor()
    coturn(anchor)
    hub = ground.node(anchor, "hub", {"port": PORT, "role": "anchor", "peers": []})
    homes = {name: internet.home(name, kind) for name, kind in (("left", "port-restricted"), ("right", "symmetric-random"))}
    nodes = {name: ground.node(home.host, name) for name, home in homes.items()}
    for name, node in nodes.items():
        other = nodes["right" if name == "left" else "left"]
        node.configure({"port": PORT, "stun": [STUN[0], "stun.example:3478"], "services": {"ssh": {"local_address": "127.0.0.1:22"}},
                        "anchors": [{"name": "hub", "peer_id": hub.peer_id, "endpoint": f"{ANCHOR[1]}:{PORT}"}],
                        "peers": [{"name": other.name, "peer_id": other.peer_id}]})
    hub.configure({"port": PORT, "role": "anchor", "peers": [{"name": name, "peer_id": node.peer_id} for name, node in nodes.items()]})
    for node in (hub, *nodes.values()):
        node.up()
    found = at_once(lambda name: netcheck(nodes[name], 40), nodes)
    for name, kind in (("left", "port-restricted"), ("right", "symmetric")):
        one, took = found[name]
        check(one["ipv4"]["kind"] == kind, f"{name}: {one}")
        check(one["anchors"][0]["state"] == "registered" and one["anchors"][0]["rtt_ms"] is not None, f"{one['anchors']}")
        check(one["stun"][0]["state"] == "answers" and one["stun"][0]["rtt_ms"] is not None and one["stun"][0]["measures"], f"{one['stun']}")
        ground.step(f"{name}: {kind}, anchor at {one['anchors'][0]['rtt_ms']} ms, {took:.1f} s")
    again, took = netcheck(nodes["left"])
    check(again["ipv4"]["kind"] == "port-restricted", f"the second time, after {took} s: {again}")
    check(again["ipv4"]["measured_s"] > 0.1, "measured again, though nothing changed")
    # The symmetric side is seen at one port by the anchor and at another by the STUN server; the other side is offered both.
    nodes["left"].ping("right", count=3, seconds=30)

    def offered():
        why = json.loads(nodes["left"].cli("why", "--json", "right"))
        return {one["address"] for one in why["candidates"] if one["kind"] == "observed"}
    seen = {found["right"][0]["stun"][0]["observed"], found["right"][0]["anchors"][0]["observed"]}
    check(len(seen) == 2, f"{seen}")
    until(lambda: seen <= offered(), lambda: f"offered: {offered()}, seen: {seen}", 10)
    ground.step("what the STUN server and the anchor see is offered to the peer")
    before = again["stun"][0]["observed"]
    homes["left"].command("rebind")
    after = until(lambda: (netcheck(nodes["left"])[0]["stun"][0]["observed"] or before) != before, "the new mapping is seen", 20)
    check(after, "")
    ground.step("after the NAT forgot it, the new mapping is seen")


def anchors(ground):
    """No STUN server, two anchors: they measure as well."""
    internet = Internet(ground)
    places = [internet.machine(f"a{i}", f"9.9.{7 + i}.9") for i in range(2)]
    hubs = [ground.node(place, place.short) for place in places]
    nodes = {}
    for i, kind in enumerate(("full-cone", "port-restricted", "symmetric-random")):
        nodes[kind] = ground.node(internet.home(f"h{i}", kind).host, f"n{i}")
        nodes[kind].configure({"port": PORT, "port_mapping": "off", "anchors": [
            {"name": hub.name, "peer_id": hub.peer_id, "endpoint": f"9.9.{7 + k}.9:{PORT}"} for k, hub in enumerate(hubs)]})
    for hub in hubs:
        hub.configure({"port": PORT, "role": "anchor", "port_mapping": "off",
                       "peers": [{"name": node.name, "peer_id": node.peer_id} for node in nodes.values()]})
        hub.up()
    for how in ("without a daemon", "with one"):
        for kind, (found, took) in at_once(lambda kind: netcheck(nodes[kind], 40), nodes).items():
            v4 = found["ipv4"]
            check(v4["kind"] == KINDS[kind][0] and v4["measured_by"] == "anchors", f"{kind}, {how}: {json.dumps(found)}")
            check(found["udp"] and v4["nat"] and len([one for one in found["anchors"] if one["rtt_ms"]]) == 2, f"{kind}, {how}: {found}")
            ground.step(f"{kind}, {how}: {v4['kind']}, by anchors, {took:.1f} s")
        for node in nodes.values():
            if not node.daemon:
                node.up()


def without(ground):
    """UDP blocked, captive, offline, only IPv6, nobody to ask."""
    internet = Internet(ground)
    anchor = internet.anchor()
    coturn(anchor)
    configuration = {"port": PORT, "stun": STUN, "port_mapping": "off"}
    nodes = {"blocked": ground.node(internet.home("blocked", "udp-blocked").host, "blocked", configuration),
             "only6": ground.node(internet.home("only6", "v6-only").host, "only6", configuration),
             "offline": ground.node(ground.namespace("offline"), "offline", configuration),
             "nobody": ground.node(internet.home("nobody", "full-cone").host, "nobody", {"port": PORT, "port_mapping": "off"})}
    captive = internet.home("captive", "nft")
    captive.router.nft(f"""table ip portal {{
        chain pre {{
            type nat hook prerouting priority -150
            iifname "lan" tcp dport 80 redirect to :8080
        }}
        chain out {{
            type filter hook forward priority 0
            iifname "lan" drop
        }}
    }}""")
    with captive.router:
        portal = socket.socket()
    portal.bind(("0.0.0.0", 8080))
    portal.listen(5)
    nodes["captive"] = ground.node(captive.host, "captive", configuration)
    found = {name: one for name, (one, _) in at_once(lambda name: netcheck(nodes[name], 40), nodes).items()}
    for name, verdict in (("blocked", "udp-blocked"), ("captive", "captive"), ("offline", "offline"), ("nobody", "nobody-to-ask"), ("only6", "udp")):
        check(found[name]["verdict"] == verdict, f"{name}: {found[name]}")
        ground.step(f"{name}: {found[name]['verdict']}")
    check(found["blocked"]["udp"] is False and found["blocked"]["tcp"] is True, f"{found['blocked']}")
    only6 = found["only6"]
    check(only6["ipv6"]["udp"] and only6["ipv6"]["kind"] == "firewall" and only6["ipv6"]["nat"] is False, f"{only6}")
    check(not only6["ipv4"]["addresses"] and only6["ipv4"]["udp"] is False, f"{only6}")
    check("UDP is blocked" in nodes["blocked"].cli("netcheck", seconds=30), "for people")
    status, _, error = nodes["nobody"].cli("netcheck", "--network", "none", should=False)
    check(status == 1 and "none" in error, error)
    portal.close()
    #  The anchor's machine is there, its program is not: that is no blocked UDP. A router that refuses UDP in its place is.
    away = {"port": PORT, "port_mapping": "off", "anchors": [{"name": "hub", "peer_id": nodes["blocked"].peer_id, "endpoint": "9.9.9.9:7000"}]}
    asking = ground.node(internet.home("asking", "nft").host, "asking", away)
    found, _ = netcheck(asking, 40)
    check(found["verdict"] == "not-running" and found["udp"] is False and found["tcp"] is True, f"{found}")
    check("nobody listens" in asking.cli("netcheck", seconds=30), "for people")
    refusing = internet.home("refusing", "nft")
    refusing.router.nft("table ip guard { chain out { type filter hook forward priority 0; meta l4proto udp reject with icmp type port-unreachable; }; }")
    found, _ = netcheck(ground.node(refusing.host, "refusing", away), 40)
    check(found["verdict"] == "udp-blocked", f"{found}")
    ground.step("an anchor that is not running: not-running; behind a router that refuses UDP: udp-blocked")


def router(ground):
    """What the router speaks, with a daemon that has a mapping and without one."""
    needs("nft", "miniupnpd")
    internet = Internet(ground)
    anchor = internet.anchor()
    coturn(anchor)
    home = internet.home("home", "nft")
    igd = Igd(home)
    node = ground.node(home.host, "node", {"port": PORT, "stun": STUN})
    for how in ("without a daemon", "with one"):
        found, took = netcheck(node, 40)
        mapping = found["port_mapping"]
        check(mapping["state"] == "mapped" and mapping["protocol"] == "pcp" and mapping["external"] == f"{home.public}:{PORT}", f"{how}: {mapping}")
        check(mapping["pcp"] and mapping["nat_pmp"] and mapping["upnp"] and mapping["router"] == "192.168.1.1", f"{how}: {mapping}")
        #  What is forwarded comes in from anywhere: so it measures as that.
        check(found["ipv4"]["kind"] == "full-cone", f"{how}: {found['ipv4']}")
        ground.step(f"{how}: {mapping}, {took:.1f} s")
        if how == "without a daemon":
            until(lambda: not igd.mappings(), "what was mapped for the check is given back", 3)
            node.up()
    igd.stop()
    bare = netcheck(node)[0]
    check(bare["udp"], f"{bare}")


def main():
    needs("turnserver", "nft")
    for part in chosen([kinds, running, anchors, without, router]):
        with Ground("netcheck") as ground:
            part(ground)


run(main)
