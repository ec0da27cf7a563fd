#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Other people's gateways and servers as they stand in a test (gateways.py): miniupnpd maps ports by NAT-PMP, PCP and UPnP-IGD, and what it mapped works;
coturn measures NATs as our own server does, and relays. The requests are written here by hand, so that this tests the ground and nothing of ours."""
import json
import re
import socket
import struct
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from ground import BUILD, REPLY, Ground, check, chosen, needs, run, until
from natground import ANCHOR, Internet
from gateways import LAN, PMP_PORT, Igd, coturn

HOST = "192.168.1.2"
SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"


def udp(namespace, address="0.0.0.0", port=0):
    with namespace:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    sock.settimeout(10)
    return sock


def arrives(anchor, to, sock):
    """A datagram from a stranger outside comes in."""
    udp(anchor, ANCHOR[0]).sendto(b"knock", to)
    try:
        return sock.recv(100) == b"knock"
    except socket.timeout:
        return False


def ask(sock, request):
    for _ in range(5):
        sock.sendto(request, (LAN, PMP_PORT))
        try:
            return sock.recv(1100)
        except socket.timeout:
            pass
    check(False, f"no answer to {request.hex()}")


def nat_pmp(home, igd, anchor):
    """RFC 6886: the outside address, a mapping, its end."""
    client = udp(home.host)
    version, op, result, _, ip = struct.unpack(">BBHI4s", ask(client, bytes([0, 0]))[:12])
    check((version, op, result) == (0, 128, 0) and socket.inet_ntoa(ip) == home.public, "the outside address by NAT-PMP")
    service = udp(home.host, HOST, 5001)
    service.settimeout(0.5)
    check(not arrives(anchor, (home.public, 6001), service), "a stranger comes in before anything is mapped")
    service.settimeout(REPLY)
    answer = struct.unpack(">BBHIHHI", ask(client, struct.pack(">BBHHHI", 0, 1, 0, 5001, 6001, 60)))
    check(answer[:3] == (0, 129, 0) and answer[4:] == (5001, 6001, 60), f"a mapping by NAT-PMP: {answer}")
    check(igd.mappings() == {("udp", 6001): (HOST, 5001)}, f"the kernel maps {igd.mappings()}")
    check(arrives(anchor, (home.public, 6001), service), "what is mapped by NAT-PMP does not come in")
    answer = struct.unpack(">BBHIHHI", ask(client, struct.pack(">BBHHHI", 0, 1, 0, 5001, 0, 0)))
    check(answer[2] == 0 and not igd.mappings(), f"the mapping's end: {answer}, {igd.mappings()}")
    #  One that is not renewed ends by itself.
    ask(client, struct.pack(">BBHHHI", 0, 1, 0, 5001, 6001, 5))
    check(igd.mappings(), "a short mapping")
    until(lambda: not igd.mappings(), "the end of a mapping that is not renewed", 20)


def pcp(home, igd, anchor):
    """RFC 6887: MAP."""
    client = udp(home.host)
    client.connect((LAN, PMP_PORT))
    own = socket.inet_pton(socket.AF_INET6, f"::ffff:{client.getsockname()[0]}")
    suggested = socket.inet_pton(socket.AF_INET6, "::ffff:0.0.0.0")
    nonce = bytes(range(12))
    body = nonce + struct.pack(">B3xHH", 17, 5002, 6002) + suggested
    client.send(struct.pack(">BBHI", 2, 1, 0, 120) + own + body)
    answer = client.recv(1100)
    check(answer[:2] == bytes([2, 0x81]) and answer[3] == 0, f"PCP answers {answer.hex()}")
    lifetime, = struct.unpack(">I", answer[4:8])
    port, = struct.unpack(">H", answer[24 + 18:24 + 20])
    outside = socket.inet_ntop(socket.AF_INET6, answer[24 + 20:24 + 36])
    check(answer[24:36] == nonce and lifetime == 120 and outside == f"::ffff:{home.public}", f"PCP maps {outside} for {lifetime} s")
    service = udp(home.host, HOST, 5002)
    check(arrives(anchor, (home.public, port), service), "what is mapped by PCP does not come in")
    client.send(struct.pack(">BBHI", 2, 1, 0, 0) + own + body)
    client.recv(1100)
    check(not igd.mappings(), f"PCP's mapping stays: {igd.mappings()}")


def soap(namespace, url, action, **arguments):
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in arguments.items())
    body = (f'<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            f's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:{action} xmlns:u="{SERVICE}">{fields}'
            f"</u:{action}></s:Body></s:Envelope>")
    request = urllib.request.Request(url, body.encode(), {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": f'"{SERVICE}#{action}"'})
    with namespace:
        return urllib.request.urlopen(request, timeout=REPLY).read().decode()


def upnp(home, igd, anchor):
    """SSDP, the description, SOAP."""
    client = udp(home.host)
    search = ("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n"
              "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n").encode()
    client.sendto(search, ("239.255.255.250", 1900))
    found = re.search(r"(?im)^location:\s*(\S+)", client.recv(2000).decode())
    check(found, "no location in the answer to M-SEARCH")
    with home.host:
        description = urllib.request.urlopen(found[1], timeout=REPLY).read().decode()
    path = re.search(r"WANIPConnection:\d</serviceType>.*?<controlURL>(.*?)</controlURL>", description, re.S)
    check(path, "no WANIPConnection in the description")
    url = found[1].split("/rootDesc")[0] + path[1]
    check(home.public in soap(home.host, url, "GetExternalIPAddress"), "the outside address by UPnP")
    soap(home.host, url, "AddPortMapping", NewRemoteHost="", NewExternalPort=6003, NewProtocol="UDP", NewInternalPort=5003, NewInternalClient=HOST,
         NewEnabled=1, NewPortMappingDescription="test", NewLeaseDuration=60)
    check(igd.mappings() == {("udp", 6003): (HOST, 5003)}, f"the kernel maps {igd.mappings()}")
    service = udp(home.host, HOST, 5003)
    check(arrives(anchor, (home.public, 6003), service), "what is mapped by UPnP does not come in")
    soap(home.host, url, "DeletePortMapping", NewRemoteHost="", NewExternalPort=6003, NewProtocol="UDP")
    check(not igd.mappings(), "UPnP's mapping stays")


def gateway(ground):
    needs("nft", "miniupnpd")
    internet = Internet(ground)
    anchor = internet.anchor()
    home = internet.home("home", "nft", hosts=2)
    igd = Igd(home)
    for part in (nat_pmp, pcp, upnp):
        part(home, igd, anchor)
        ground.step(f"{part.__name__}: mapped, reached, ended")
    client = udp(home.host)
    ask(client, struct.pack(">BBHHHI", 0, 1, 0, 5001, 6001, 60))
    igd.stop()
    check(not igd.mappings(), "mappings stay when the gateway is gone")
    igd.start()
    client = udp(home.host)
    answer = ask(client, bytes([0, 0]))
    check(struct.unpack(">I", answer[4:8])[0] < 60, "the epoch starts again with miniupnpd")
    ground.step("stopped and started")


def server(ground):
    needs("turnserver")
    internet = Internet(ground)
    anchor = internet.anchor()
    other = internet.machine("peer", "9.9.1.2")
    internet.probe_server(internet.machine("ours", "9.9.8.1", "9.9.8.2"), "9.9.8.1", "9.9.8.2")
    relay = coturn(anchor)
    kinds = ("full-cone", "address-restricted", "port-restricted", "symmetric-sequential", "nft-random")
    homes = [internet.home(f"h-{i}", kind) for i, kind in enumerate(kinds)]
    with ThreadPoolExecutor(8) as pool:
        ours, theirs = (list(pool.map(lambda home: home.probe(server=at), homes)) for at in ("9.9.8.1:3478", f"{ANCHOR[0]}:3478"))
    for kind, a, b in zip(kinds, ours, theirs):
        del a["mapped"], b["mapped"]
        check(a == b, f"{kind}: our server says {a}, coturn {b}")
    ground.step("coturn and our own server measure the same")
    words = [BUILD / "tests/tools/turnload", "--server", f"{ANCHOR[0]}:3478", "--client-netns", homes[3].host.name, "--peer-netns", other.name,
             "--peer", "9.9.1.2:4000"]
    for mode in ("up", "down"):
        done = json.loads(ground.namespaces[0].run(*words, "--seconds", 1, "--window", 64, mode))
        ground.step(f"through coturn, {mode}: {done['mbit']:.0f} Mbit/s, {done['loss'] * 100:.2f} % lost")
        check(done["arrived"] > 100, f"{done}")
    done = json.loads(ground.namespaces[0].run(*words, "--count", 100, "rtt"))
    check(done["count"] > 50, f"{done}")
    check(relay.alive(), "coturn has ended")


def main():
    for part in chosen([gateway, server]):
        with Ground("gateways") as ground:
            part(ground)


run(main)
