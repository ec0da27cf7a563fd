#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What manages DNS on a machine is told of our server, and has forgotten it afterwards, however the daemon ends. The real programs, each on a machine of its own (machine.py):

    curl, getaddrinfo -> /etc/resolv.conf -> systemd-resolved | NetworkManager's dnsmasq | resolvconf -> names below p2p: peergate, 127.0.0.1
                                                                                                     -> all others:      127.0.0.9
"""
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from ground import REPLY, Failed, PEERGATE, check, command, run, setns, until
from machine import CONF, HERE, Upstream, dig, lookup, machine, mount, run_parts, snapshot

LAPTOP = "laptop.demo.p2p"
HOME = {"name": "home", "public_key": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=", "tunnel_ip": "10.64.0.2"}
TUN = {"tun": {"enabled": True}, "address": "10.64.0.1/16", "peers": [HOME]}
KEPT = Path("/etc/resolv.conf.before-peergate")


def resolvectl(*words):
    return command(["resolvectl", "--no-pager", *words])


def told(device="peer0"):
    """What systemd-resolved was told of that link."""
    done = subprocess.run(["resolvectl", "--no-pager", "status", device], capture_output=True, text=True)
    return done.stdout if "p2p" in done.stdout else ""


def others_are_left_alone(node, world):
    """Names that aren't ours go where they went before, and only there."""
    before = node.queries()
    world.asked.clear()
    name = f"www{random.randrange(10**6)}.example.com"
    check(lookup(name) == "192.0.2.7" and name in world.asked, f"{name}: {lookup(name)}, asked: {world.asked[-5:]}")
    check(node.queries() == before, f"we were asked for {name}")
    lookup(f"nobody{random.randrange(10**6)}.demo.p2p")
    check(node.queries() > before and not any(asked.endswith("p2p") for asked in world.asked), f"our names were told to others: {world.asked}")


@machine("resolved")
def resolved_with_a_tun(box):
    world = Upstream()
    box.bus()
    resolved = box.resolved()
    box.use_stub()
    laptop = box.node(dns={"system": "auto", "search": True}, **TUN)
    laptop.up()
    laptop.applied("resolved")
    until(lambda: lookup(LAPTOP) == "10.64.0.1", lambda: f"getaddrinfo by resolv.conf: {lookup(LAPTOP)}; {resolvectl('status')}")
    check(lookup("home.demo.p2p") == "10.64.0.2", "a peer's name")
    check(lookup("home") == "10.64.0.2", f"a bare name: {CONF.read_text()}")
    check("10.64.0.53" in told() and "127.0.0.1" not in told(), f"it is not told of the TUN's server: {told()}")
    check("10.64.0.1" in resolvectl("query", LAPTOP), "resolvectl query")
    check(dig("-x", "10.64.0.2") == "home.demo.p2p.", f"the reverse name: {dig('-x', '10.64.0.2')}")
    check(lookup("nobody.demo.p2p") is None, "a name that isn't there")
    box.nss("resolve")
    check(lookup("home.demo.p2p") == "10.64.0.2" and lookup("home") == "10.64.0.2", "getaddrinfo by nss-resolve")
    box.nss("files dns")
    others_are_left_alone(laptop, world)
    laptop.cli("dns", "doctor", LAPTOP)

    # it starts again, twice: once killed, with what it keeps in /run, once without
    for forget in (False, True):
        resolved.kill()
        resolved.wait()
        if forget:
            subprocess.run("rm -rf /run/systemd/resolve/netif", shell=True, check=True)
        resolved = box.resolved()
        until(lambda: lookup("home.demo.p2p") == "10.64.0.2", "after resolved started again", 5)

    # the TUN is deleted under us, and made anew
    command(["ip", "link", "del", "peer0"])
    until(lambda: lookup("home.demo.p2p") == "10.64.0.2", "on the new interface", 15)
    check(f"index {socket.if_nametoindex('peer0')}\n" in laptop.journal(), "the journal has the old interface")

    # asked no more; asked again; names only
    laptop.configure({"system": "off"}, **TUN)
    laptop.cli("reload")
    until(lambda: not told(), lambda: f"told nothing any more: {told()}")
    until(lambda: laptop.journal() is None, "the journal is gone")
    check(lookup("home.demo.p2p") is None, "still asked")
    laptop.configure({"system": "resolved"}, **TUN)
    laptop.cli("reload")
    laptop.applied("resolved")
    until(lambda: lookup("home.demo.p2p") == "10.64.0.2", "switched on again")
    check("demo.p2p" not in told(), f"a search domain that nobody asked for: {told()}")
    check("DNS 127.0.0.1:5300 (resolved)" in laptop.cli("status"), laptop.cli("status"))
    others_are_left_alone(laptop, world)
    laptop.stop()
    check(not told() and laptop.journal() is None, "something is left at the end")


@machine("resolved")
def resolved_with_an_exit_node(box):
    """By itself resolved asks a link's servers by that link, whatever routes say: with an exit node and upstreams, it is told to ask us for everything."""
    far = "203.0.113.53"  # by the default route
    command(["ip", "-n", "world", "addr", "add", f"{far}/32", "dev", "lo"])
    world = Upstream()
    with open("/proc/self/ns/net") as here, open("/run/netns/world") as there:
        setns(there.fileno())
        try:
            world.listen(far)
        finally:
            setns(here.fileno())
    command(["ip", "route", "add", "default", "via", "192.0.2.53"])
    box.bus()
    box.resolved(upstream="")
    box.use_stub()
    resolvectl("dns", "eth0", far)
    until(lambda: lookup("www.example.com") == "192.0.2.7", lambda: f"names of the link's server: {resolvectl('status')}")

    def new_name():
        return f"www{random.randrange(10**9)}.example.com"

    def exit_node(dns):
        laptop.configure({"system": "auto", **dns}, **{**TUN, "peers": [{**HOME, "allowed_ips": ["0.0.0.0/0"]}]})

    laptop = box.node()
    exit_node({})
    laptop.up()
    laptop.applied("resolved")
    until(lambda: lookup(LAPTOP) == "10.64.0.1", lambda: f"our names, beside an exit node: {resolvectl('status')}")
    name = new_name()
    check(lookup(name) == "192.0.2.7" and name in world.asked, "resolved asks otherwise than it did: then this is no test any more")
    check("outside of the exit node's tunnel" in laptop.log(), "that is not said")

    exit_node({"upstreams": f"{far}:53"})
    laptop.cli("reload")
    until(lambda: "every name" in laptop.applied("resolved")["text"], lambda: f"{laptop.system()}")
    until(lambda: "~." in told(), lambda: f"{resolvectl('status')}")
    world.asked.clear()
    name = new_name()
    # The exit node is not there: nobody answers, and nobody else is asked.
    check(lookup(name) is None and not world.asked, f"asked outside: {world.asked}")
    check(lookup(LAPTOP) == "10.64.0.1", "our names")

    laptop.configure({"system": "auto", "upstreams": f"{far}:53"}, **TUN)
    laptop.cli("reload")
    until(lambda: "every name" not in laptop.applied("resolved")["text"] and "~." not in told(), lambda: f"{resolvectl('status')}")
    others_are_left_alone(laptop, world)
    laptop.stop()
    check(not told() and laptop.journal() is None, "something is left at the end")


@machine("resolved")
def resolved_without_a_tun(box):
    world = Upstream()
    box.bus()
    box.resolved()
    box.use_stub()
    laptop = box.node(dns={"system": "auto", "search": True}, peers=[HOME])
    laptop.cli("init", "--network", "work")
    work = {"network": "work", "port": 7002, "peers": [{**HOME, "name": "office"}]}
    laptop.configure({"system": "auto", "search": True}, peers=[HOME], networks=[work])
    laptop.up()
    laptop.applied("resolved")
    until(lambda: (lookup("home.demo.p2p") or "").startswith("127.64."), lambda: f"{lookup('home.demo.p2p')}: {resolvectl('status')}")
    check((lookup("home") or "").startswith("127.64."), "a bare name")
    check((lookup("office.work.p2p") or "").startswith("127.64.") and (lookup("office") or "").startswith("127.64."), "names in the second network")
    laptop.configure({"system": "auto", "search": True}, peers=[HOME])
    laptop.cli("reload")
    until(lambda: "demo.p2p" in told("peer0-dns") and "work.p2p" not in told("peer0-dns"), lambda: f"one network left: {told('peer0-dns')}")
    laptop.applied("resolved")
    others_are_left_alone(laptop, world)
    address = json.loads(command(["ip", "-j", "addr", "show", "dev", "peer0-dns"]))[0]["addr_info"]
    check([(one["local"], one["prefixlen"], one["scope"]) for one in address] == [("127.64.0.53", 32, "site")], f"{address}")
    command(["ip", "link", "del", "peer0-dns"])
    until(lambda: (lookup("home.demo.p2p") or "").startswith("127.64."), "after somebody deleted the interface", 15)
    laptop.cli("dns", "doctor", "home.demo.p2p")
    laptop.kill()
    check(lookup("home.demo.p2p") is None and "peer0-dns" not in command(["ip", "link"]), "the interface outlives its daemon")
    others = lookup("www.example.com")
    check(others == "192.0.2.7", f"the machine resolves {others} after kill -9")
    check(laptop.journal() is not None, "no journal after kill -9")
    check("gone with the interface" in laptop.cli("dns", "restore") and laptop.journal() is None, "restore")
    check("nothing" in laptop.cli("dns", "restore"), "restore again")


@machine("resolved")
def resolved_on_a_link_that_stays(box):
    """An interface that was made beforehand outlives the daemon, and so does what resolved was told of it."""
    Upstream()
    bus = box.bus()
    box.resolved()
    box.use_stub()
    laptop = box.node(dns={"system": "resolved"}, **TUN)
    command(["ip", "tuntap", "add", "peer0", "mode", "tun"])
    for take_back in ("restore", "start"):
        laptop.configure({"system": "resolved"}, **TUN)
        laptop.up()
        laptop.applied("resolved")
        status, _, error = laptop.cli("dns", "restore", should=False)
        check(status == 1 and "a daemon is running" in error, f"restore beside a daemon: {status} {error}")
        laptop.kill()
        check("~p2p" in told(), "nothing is left after kill -9: then there is nothing to test")
        if take_back == "restore":
            check("no longer knows of us" in laptop.cli("dns", "restore"), "restore")
        else:
            laptop.configure({"enabled": False}, **TUN)
            laptop.up()
        check(not told() and laptop.journal() is None, f"{take_back}: {told()}")
    laptop.stop()

    # another interface has the index meanwhile, or the machine was started again: it is not ours to revert
    command(["ip", "link", "del", "peer0"])
    command(["ip", "link", "add", "other", "type", "veth", "peer", "name", "other2"])
    index = socket.if_nametoindex("other")
    resolvectl("dns", "other", "192.0.2.53")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    for device, since in (("peer0", boot), ("other", "0" * 8 + boot[8:])):
        (laptop.dir / "state" / "dns.journal").write_text(
            f"peergate-dns 1\nmechanism resolved\nboot {since}\ndevice {device}\nindex {index}\nhash -\nmissing 0\nglobal 0\nend\n")
        laptop.cli("dns", "restore")
        check("192.0.2.53" in resolvectl("dns", "other"), f"somebody else's link was reverted: {device} {since}")

    # no bus: said, tried again, and nothing is changed
    bus.kill()
    bus.wait()
    Path("/run/dbus/system_bus_socket").unlink()
    laptop.configure({"system": "resolved"}, **TUN)
    laptop.up()
    laptop.failed("D-Bus")
    check(laptop.journal() is None, "a journal of nothing")
    box.bus()
    box.programs[1].kill()
    box.resolved()
    laptop.applied("resolved", seconds=30)
    laptop.stop()


@machine("resolved")
def resolved_or_the_bus_hangs(box):
    """The daemon goes on meanwhile, and comes to an end."""
    Upstream()
    bus = box.bus()
    resolved = box.resolved()
    box.use_stub()
    laptop = box.node(dns={"system": "resolved"}, **TUN)
    for program in (resolved, bus):
        program.send_signal(signal.SIGSTOP)
        laptop.up()
        until(lambda: "does not answer" in laptop.system()["text"], lambda: f"{laptop.system()}", 20)
        check(dig("@127.0.0.1", "-p", "5300", "home.demo.p2p") == "10.64.0.2", "the daemon stood still")
        program.send_signal(signal.SIGCONT)
        laptop.applied("resolved", seconds=20)
        program.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        laptop.stop()
        check(time.monotonic() - began < 40, f"it took {time.monotonic() - began:.1f} s to end")
        program.send_signal(signal.SIGCONT)
        laptop.cli("dns", "restore")
        check(not told() and laptop.journal() is None, "something is left")


@machine("resolved")
def resolved_is_not_ours_to_ask(box):
    """Without the rights, or from another network namespace than the machine's."""
    Upstream()
    box.bus()
    box.resolved()
    box.use_stub()
    box.users("somebody")
    laptop = box.node(dns={"system": "resolved"})
    HERE.chmod(0o755)
    subprocess.run(["chown", "-R", "somebody:somebody", str(laptop.dir)], check=True)
    laptop.up(wrapper=["setpriv", "--reuid=somebody", "--regid=somebody", "--clear-groups"], wait=False)
    laptop.failed("root", "resolved.conf.d", "127.0.0.1:5300")
    laptop.stop()
    subprocess.run(["chown", "-R", "root:root", str(laptop.dir)], check=True)

    # with an interface, but without the rights: polkit says no
    command(["ip", "tuntap", "add", "peer0", "mode", "tun", "user", "somebody"])
    command(["ip", "link", "set", "peer0", "up"])
    laptop.configure({"system": "resolved"}, **TUN)
    subprocess.run(["chown", "-R", "somebody:somebody", str(laptop.dir)], check=True)
    command(["mknod", "-m", "666", HERE / "tun", "c", "10", "200"])
    mount("--bind", HERE / "tun", "/dev/net/tun")
    laptop.up(wrapper=["setpriv", "--reuid=somebody", "--regid=somebody", "--clear-groups"], wait=False)
    laptop.failed("as root: resolvectl dns peer0 127.0.0.1:5300")
    check(laptop.journal() is None, "a journal of nothing")
    laptop.stop()
    subprocess.run(["chown", "-R", "root:root", str(laptop.dir)], check=True)
    command(["ip", "link", "del", "peer0"])

    # `ip netns exec`: the machine's bus is in sight, its links are not ours
    command(["ip", "netns", "add", "apart"])
    command(["ip", "-n", "apart", "link", "set", "lo", "up"])
    laptop.up(wrapper=["ip", "netns", "exec", "apart"], wait=False)
    laptop.failed("another network namespace")
    laptop.stop()
    # a container that was handed the bus: its own pid 1, its own network
    laptop.up(wrapper=["ip", "netns", "exec", "apart", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--"], wait=False)
    laptop.failed("another network namespace")
    check(not told("eth0"), "told of somebody else's link")
    laptop.daemon.kill()
    laptop.daemon = None


# ---- resolvconf

def forward(**dns):
    """Our server answers everything, at port 53."""
    return {"listen": ["127.0.0.1:53"], "upstreams": ["127.0.0.9:53"], "search": True, **dns}


def survive_kills(box, laptop, rounds, before, restored):
    """kill -9 at random moments, of its start most of all; then the next start and end, or restore, and everything is as it was."""
    rng = random.Random(7)
    applied = 0
    began = time.monotonic()
    laptop.up(wait=False)
    until(lambda: laptop.journal() is not None, "it begins to change something", every=0.005)
    took = max(restored["took"], time.monotonic() - began)
    until(lambda: laptop.cli("peers", "--json", should=False)[0] == 0, "it is up")
    laptop.stop()
    for i in range(rounds):
        laptop.up(wait=False)
        time.sleep(rng.random() * (0.5 if i % 4 else 2) * took)
        if rng.random() < 0.3:
            laptop.daemon.terminate()  # and in the middle of its end
            time.sleep(rng.random() * took)
        laptop.kill()
        applied += laptop.journal() is not None
        if i % 2:
            laptop.cli("dns", "restore")
        else:
            laptop.up(wait=False)
            time.sleep(rng.random() * 0.2)
            laptop.daemon.terminate()
            check(laptop.daemon.wait(2 * REPLY) in (0, -15), "its end")
            laptop.daemon = None
        check(laptop.journal() is None or i % 2 == 0, "the journal is left")
        if laptop.journal() is not None:  # it was told to end before it could look
            laptop.cli("dns", "restore")
        check(before() == restored["state"], f"round {i}: {before()} instead of {restored['state']}")
    print(f"        {rounds} times killed, {applied} of them with something changed", flush=True)
    check(applied > rounds // 8, f"only {applied} of {rounds} kills found anything changed")


def resolvconf(box, prepare, conf):
    """conf(): what is to be as before."""
    world = Upstream()
    prepare()
    before = conf()
    check("192.0.2.53" in CONF.read_text() or "127.0.0.9" in CONF.read_text(), f"not managed: {CONF.read_text()}")
    laptop = box.node(dns={"system": "auto"}, peers=[HOME])
    laptop.up()
    laptop.failed("127.0.0.1:53")
    laptop.configure({**forward(system="auto"), "listen": ["127.0.0.1:5300"]}, peers=[HOME])
    laptop.cli("reload")
    laptop.failed("127.0.0.1:53")
    check(conf() == before and laptop.journal() is None, "changed for nothing")
    laptop.configure(forward(system="auto"), peers=[HOME])
    began = time.monotonic()
    laptop.cli("reload")
    laptop.applied("resolvconf")
    took = time.monotonic() - began
    check((lookup("home.demo.p2p") or "").startswith("127.64."), f"{CONF.read_text()}")
    check((lookup("home") or "").startswith("127.64."), f"a bare name: {CONF.read_text()}")
    check(lookup("www.example.com") == "192.0.2.7", "the rest of the world")
    laptop.cli("dns", "doctor")

    # without upstreams of its own: those that resolvconf knew, and knows
    laptop.configure({"system": "auto", "listen": ["127.0.0.1:53"]}, peers=[HOME])
    laptop.cli("reload")
    until(lambda: laptop.upstreams() == ["192.0.2.53:53"], lambda: f"upstreams: {laptop.upstreams()}, {laptop.system()}")
    laptop.applied("resolvconf")
    check(lookup("www.example.com") == "192.0.2.7" and (lookup("home.demo.p2p") or "").startswith("127.64."), "all names by resolvconf's servers")
    command(["resolvconf", "-a", "eth0.other"], input="nameserver 127.0.0.9\n")
    until(lambda: laptop.upstreams() == ["192.0.2.53:53", "127.0.0.9:53"], lambda: f"another server: {laptop.upstreams()}", 8)
    command(["resolvconf", "-d", "eth0.other"])
    until(lambda: laptop.upstreams() == ["192.0.2.53:53"], lambda: f"it has gone: {laptop.upstreams()}", 8)
    laptop.configure({"enabled": False}, peers=[HOME])
    laptop.cli("reload")
    until(lambda: laptop.journal() is None, "taken back")
    check(conf() == before, f"after a reload: {conf()}")
    laptop.configure(forward(system="resolvconf"), peers=[HOME])
    laptop.stop()
    laptop.up()
    laptop.applied("resolvconf")
    laptop.stop()
    check(conf() == before, f"after its end: {conf()}")
    survive_kills(box, laptop, 40, conf, {"state": before, "took": took})
    return laptop


def entries():
    return sorted((path.name, path.read_bytes()) for path in Path("/run/resolvconf").rglob("*") if path.is_file() and "lock" not in path.name)


@machine("debian")
def resolvconf_of_debian(box):
    def prepare():
        (Path("/run/resolvconf") / "interface").mkdir(parents=True)
        CONF.unlink()
        CONF.symlink_to("../run/resolvconf/resolv.conf")
        for hook in Path("/etc/resolvconf/update.d").iterdir():
            if hook.name != "libc":
                hook.unlink()
        command(["resolvconf", "--enable-updates"])
        command(["resolvconf", "-a", "eth0.dhclient"], input="nameserver 192.0.2.53\nsearch lan\n")
    laptop = resolvconf(box, prepare, lambda: (snapshot()[0], CONF.read_bytes(), entries()))

    # resolv.conf is not its own: then it would change nothing
    CONF.unlink()
    box.conf("nameserver 127.0.0.9\n")
    laptop.up()
    laptop.failed("does not make this machine's /etc/resolv.conf")
    # another's hook fails, but ours is done
    CONF.unlink()
    CONF.symlink_to("../run/resolvconf/resolv.conf")
    broken = Path("/etc/resolvconf/update.d/zbroken")
    broken.write_text("#!/bin/sh\necho no luck >&2\nexit 1\n")
    broken.chmod(0o755)
    before = CONF.read_bytes()
    laptop.applied("resolvconf")
    laptop.stop()
    check(laptop.journal() is None and CONF.read_bytes() == before, "taking it back with a broken hook")
    # it does nothing, or hangs: said, and the daemon goes on
    command(["resolvconf", "--disable-updates"])
    laptop.up()
    laptop.failed("does not name our server")
    laptop.stop()
    command(["resolvconf", "--enable-updates"])
    broken.rename("/etc/resolvconf/update.d/0broken")
    Path("/etc/resolvconf/update.d/0broken").write_text("#!/bin/sh\nexec sleep 1000\n")
    laptop.up()
    until(lambda: "to an end" in laptop.system()["text"], lambda: f"{laptop.system()}", 30)
    check(dig("@127.0.0.1", "home.demo.p2p").startswith("127.64."), "the daemon stood still")
    Path("/etc/resolvconf/update.d/0broken").unlink()
    laptop.stop()
    check(laptop.journal() is None and CONF.read_bytes() == before, "after it hung")


@machine("openresolv")
def resolvconf_of_openresolv(box):
    def prepare():
        Path("/etc/resolvconf.conf").write_text("resolv_conf=/etc/resolv.conf\n")
        command(["resolvconf", "-a", "eth0.dhcp"], input="nameserver 192.0.2.53\nsearch lan\n")
    resolvconf(box, prepare, lambda: (CONF.read_bytes(), entries()))


# ---- plain resolv.conf

def plain_states():
    """Every kind of resolv.conf that there is: a name, and what makes it."""
    def regular():
        CONF.write_bytes(b"# mine, in latin-1: \xe4\nnameserver 127.0.0.9\n\n\nsearch lan\noptions rotate edns0")
        os.chmod(CONF, 0o640)
        os.chown(CONF, 7, 8)
        os.utime(CONF, ns=(10**18, 10**18 + 123456789))

    def link():
        Path("/etc/elsewhere").write_text("nameserver 127.0.0.9\n")
        CONF.symlink_to("elsewhere")

    return (("a file", regular), ("a link", link), ("a link to nowhere", lambda: CONF.symlink_to("/run/none/resolv.conf")), ("none", lambda: None),
            ("an empty file", lambda: CONF.write_text("")))


def make(kind):
    for path in (CONF, KEPT):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    kind()
    return everything()


def everything():
    """resolv.conf, and whatever else there is of that name."""
    return {path.name: snapshot(path) for path in Path("/etc").glob("*resolv.conf*")}


@machine()
def plain_resolv_conf(box):
    Upstream()
    laptop = box.node(dns={"system": "auto", **forward()}, peers=[HOME])
    laptop.up()
    laptop.failed("dns.system: resolv.conf")
    check(not KEPT.exists(), "auto wrote resolv.conf")
    laptop.stop()
    laptop.configure({"system": "resolv.conf", "upstreams": ["127.0.0.9:53"]}, peers=[HOME])
    laptop.up()
    laptop.failed("127.0.0.1:53")
    laptop.stop()
    laptop.configure(forward(system="resolv.conf"), peers=[HOME])
    for name, kind in plain_states():
        before = make(kind)
        laptop.up()
        laptop.applied("resolv.conf")
        lines = CONF.read_text().splitlines()
        check(not CONF.is_symlink() and CONF.stat().st_mode & 0o777 == 0o644, f"{name}: {CONF.stat()}")
        check(lines[2] == "nameserver 127.0.0.1" and any(line.startswith("search demo.p2p") for line in lines) and "rotate" not in CONF.read_text(), f"{name}: {lines}")
        check((lookup("home.demo.p2p") or "").startswith("127.64.") and (lookup("home") or "").startswith("127.64."), name)
        check(lookup("www.example.com") == "192.0.2.7", name)
        if name == "a file":
            check(lines[3:] == ["nameserver 127.0.0.9", "search demo.p2p lan", "options edns0"], f"{lines}")
            check(snapshot(KEPT) == before["resolv.conf"], f"kept: {snapshot(KEPT)}")
            laptop.cli("dns", "doctor")
        laptop.stop()
        check(everything() == before, f"{name}: {everything()} instead of {before}")
        laptop.up()
        laptop.applied()
        laptop.kill()
        check(lookup("www.example.com") == ("192.0.2.7" if name in ("a file", "a link") else None), f"{name}: the machine without us")
        print("        " + laptop.cli("dns", "restore").strip(), flush=True)
        check(everything() == before, f"{name}, after restore: {everything()} instead of {before}")
    # beside a TUN most rights are given up before it is written, and still it is put back
    CONF.unlink(missing_ok=True)
    box.conf("nameserver 127.0.0.9\n")
    before = everything()
    laptop.configure(forward(system="resolv.conf"), **TUN)
    laptop.up()
    laptop.applied("resolv.conf")
    check(lookup("home.demo.p2p") == "10.64.0.2", CONF.read_text())
    laptop.stop()
    check(everything() == before, f"beside a TUN: {everything()}")


@machine()
def plain_resolv_conf_upstreams(box):
    """Ours gets every name, and asks those that were asked before; never itself."""
    world = Upstream()
    laptop = box.node(dns={"system": "resolv.conf", "listen": ["127.0.0.1:53"]}, peers=[HOME])
    box.conf("nameserver 127.0.0.1\nnameserver 127.0.0.9\n")
    laptop.up()
    laptop.applied("resolv.conf")
    check(laptop.upstreams() == ["127.0.0.9:53"], f"{laptop.upstreams()}")
    check(dig("@127.0.0.1", "www.example.com") == "192.0.2.7" and dig("@127.0.0.1", "+tcp", "www.example.com") == "192.0.2.7", "a name of the world's")
    check((lookup("home.demo.p2p") or "").startswith("127.64.") and not any(name.endswith("p2p") for name in world.asked), f"asked: {world.asked}")
    laptop.cli("dns", "doctor")
    # a file that somebody keeps up to date; what is not there for a moment is not taken for nobody
    laptop.stop()
    Path("/etc/elsewhere").write_text("nameserver 127.0.0.9\n")
    CONF.unlink()
    CONF.symlink_to("elsewhere")
    laptop.up()
    laptop.applied("resolv.conf")
    Path("/etc/elsewhere").write_text("")
    time.sleep(6)
    check(laptop.upstreams() == ["127.0.0.9:53"], f"none for a moment: {laptop.upstreams()}")
    Path("/etc/elsewhere").write_text("nameserver 192.0.2.53\n")
    until(lambda: laptop.upstreams() == ["192.0.2.53:53"], lambda: f"another one: {laptop.upstreams()}", 8)
    check(dig("@127.0.0.1", "another.example.com") == "192.0.2.7", "by another one")
    # another address for the server: the upstreams stay; no system any more: refused as before
    laptop.configure({"system": "resolv.conf", "listen": ["127.0.0.2:53"]}, peers=[HOME])
    laptop.cli("reload")
    until(lambda: "127.0.0.2" in CONF.read_text(), CONF.read_text)
    check(laptop.upstreams() == ["192.0.2.53:53"] and dig("@127.0.0.2", "www.example.net") == "192.0.2.7", f"{laptop.upstreams()}")
    laptop.configure({"listen": ["127.0.0.2:53"]}, peers=[HOME])
    laptop.cli("reload")
    until(lambda: laptop.upstreams() == [], lambda: f"still: {laptop.upstreams()}")
    check("REFUSED" in command(["dig", "@127.0.0.2", "+tries=1", "www.example.org"]), "it answers for others")
    check(CONF.is_symlink(), "it is not as it was")
    laptop.stop()
    # only ourselves, at all addresses of this machine: refused, and nothing is changed
    for text in ("nameserver 127.0.0.1\nnameserver 192.0.2.1\nnameserver 127.0.0.53\n", ""):
        CONF.unlink()
        box.conf(text)
        laptop.configure({"system": "resolv.conf", "listen": ["0.0.0.0:5353", "127.0.0.1:53"] if not text else ["0.0.0.0:53"]}, peers=[HOME])
        if text:
            laptop.configure({"system": "resolv.conf", "listen": ["0.0.0.0:5300", "127.0.0.1:53", "192.0.2.1:53", "127.0.0.53:53"]}, peers=[HOME])
        laptop.up()
        laptop.failed("dns.upstreams")
        check(CONF.read_text() == text and laptop.upstreams() == [], f"{laptop.upstreams()}: {CONF.read_text()}")
        laptop.stop()
    # with a TUN, its own server: no other address is needed
    box.conf("nameserver 127.0.0.9\n")
    laptop.configure({"system": "resolv.conf"}, **TUN)
    laptop.up()
    laptop.applied("resolv.conf")
    check("nameserver 10.64.0.53\n" in CONF.read_text() and "127.0.0.1\n" not in CONF.read_text(), CONF.read_text())
    check(lookup("home.demo.p2p") == "10.64.0.2" and lookup("www.example.com") == "192.0.2.7", CONF.read_text())
    command(["ip", "link", "del", "peer0"])
    until(lambda: lookup("home.demo.p2p") == "10.64.0.2" and "10.64.0.53" in CONF.read_text(), CONF.read_text, 15)
    laptop.stop()
    check(CONF.read_text() == "nameserver 127.0.0.9\n", CONF.read_text())


@machine()
def plain_resolv_conf_asked_in_a_circle(box):
    """An upstream that asks us in turn: the circle ends by itself, and the next one answers."""
    world = Upstream()
    relay = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    relay.bind(("127.0.0.8", 53))
    seen = []

    def serve():
        while True:
            query, client = relay.recvfrom(4096)
            seen.append(client)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
                again.settimeout(0.2)
                again.sendto(query, ("127.0.0.1", 53))
                with contextlib.suppress(OSError):
                    relay.sendto(again.recv(4096), client)
    threading.Thread(target=serve, daemon=True).start()
    box.conf("nameserver 127.0.0.8\nnameserver 127.0.0.9\n")
    laptop = box.node(dns={"system": "resolv.conf", "listen": ["127.0.0.1:53"]}, peers=[HOME])
    laptop.up()
    laptop.applied("resolv.conf")
    for i in range(5):
        check(dig("@127.0.0.1", f"www{i}.example.com") == "192.0.2.7", f"the name {i}; asked in a circle {len(seen)} times")
    check(1 <= len(seen) <= 5 and len(world.asked) >= 5, f"asked in a circle {len(seen)} times")
    laptop.stop()


@machine()
def plain_resolv_conf_kills(box):
    Upstream()
    laptop = box.node(dns=forward(system="resolv.conf"), peers=[HOME])
    for name, kind in plain_states()[:4]:
        before = make(kind)
        survive_kills(box, laptop, 25, everything, {"state": before, "took": 0.15})


@machine()
def plain_resolv_conf_and_others(box):
    """Somebody else has a hand in it, or it cannot be changed."""
    laptop = box.node(dns=forward(system="resolv.conf"), peers=[HOME])
    file, link = plain_states()[0][1], plain_states()[1][1]

    def applied():
        laptop.up()
        laptop.applied("resolv.conf")

    # replaced: theirs stays, and nothing of ours
    make(file)
    applied()
    box.conf("nameserver 192.0.2.99\n")
    laptop.stop()
    check(CONF.read_text() == "nameserver 192.0.2.99\n" and not KEPT.exists(), "what somebody else wrote")
    check("somebody else has written" in laptop.log(), laptop.log())
    # ours, edited: it stays, and so does the original
    before = make(file)
    applied()
    with open(CONF, "a") as conf:
        conf.write("nameserver 192.0.2.98\n")
    laptop.stop()
    check("192.0.2.98" in CONF.read_text() and snapshot(KEPT) == before["resolv.conf"] and "somebody edited" in laptop.log(), "what somebody edited")
    # that is found by the next one, which touches nothing
    there = everything()
    laptop.up()
    laptop.failed("before-peergate is there")
    laptop.stop()
    check(everything() == there, "a leftover was touched")
    # removed: the original is back
    before = make(link)
    applied()
    CONF.unlink()
    laptop.stop()
    check(everything() == before, "after it was removed")
    # the original is gone: ours stays rather than none
    make(file)
    applied()
    KEPT.unlink()
    laptop.stop()
    check("nameserver 127.0.0.1" in CONF.read_text() and "is gone" in laptop.log(), laptop.log()[-500:])

    # two daemons: the second leaves it alone
    before = make(file)
    applied()
    second = box.node("second", dns={**forward(system="resolv.conf"), "listen": ["127.0.0.2:53"]}, port=7002)
    second.up()
    second.failed("another peergate")
    second.stop()
    check(KEPT.exists() and "127.0.0.1" in CONF.read_text(), "the second one undid the first one's")
    laptop.stop()
    check(everything() == before, "after both")

    def cannot(word):
        there = everything()
        laptop.up()
        laptop.failed(word)
        until(lambda: laptop.journal() is None, f"{word}: a journal of nothing")
        check(everything() == there, f"{word}: {everything()}")
        laptop.stop()
        check(everything() == there, f"{word}: {everything()}")

    # immutable; a mount of its own; on a read-only file system; no file at all
    before = make(file)
    if subprocess.run(["chattr", "+i", CONF], capture_output=True).returncode == 0:
        cannot("chattr -ia")
        command(["chattr", "-i", CONF])
    else:
        print("        no immutable files here", flush=True)
    (HERE / "conf").write_text("nameserver 127.0.0.9\n")
    mount("--bind", HERE / "conf", CONF)
    cannot("a mount of its own")
    command(["umount", CONF])
    mount("-o", "remount,bind,ro", "/etc")
    cannot("read-only")
    # and undone when it can be again
    mount("-o", "remount,bind,rw", "/etc")
    applied()
    laptop.kill()
    mount("-o", "remount,bind,ro", "/etc")
    status, _, error = laptop.cli("dns", "restore", should=False)
    check(status == 1 and "read-only" in error and laptop.journal() is not None, f"{status} {error}")
    laptop.up()
    laptop.failed("read-only")
    check("cannot be taken back now" in laptop.log(), laptop.log()[-500:])
    mount("-o", "remount,bind,rw", "/etc")
    laptop.applied("resolv.conf", seconds=20)
    laptop.stop()
    check(everything() == before, f"after it was read-only for a while: {everything()}")
    CONF.unlink()
    CONF.mkdir()
    laptop.up()
    laptop.failed("resolv.conf")
    laptop.stop()
    check(CONF.is_dir(), "a folder")
    CONF.rmdir()

    # a journal that makes no sense
    before = make(file)
    for text in (b"", b"nonsense\n", b"\0" * 100, os.urandom(600)):
        (laptop.dir / "state" / "dns.journal").write_bytes(text)
        status, _, error = laptop.cli("dns", "restore", should=False)
        check(status == 1 and "damaged" in error, f"{text}: {status} {error}")
        check((laptop.dir / "state" / "dns.journal.damaged").read_bytes() == text and laptop.journal() is None, "it is not kept")
        (laptop.dir / "state" / "dns.journal").write_bytes(text)
        applied()
        laptop.stop()
        check(everything() == before, "beside a damaged journal")


# ---- NetworkManager

DROP_IN = Path("/etc/NetworkManager/dnsmasq.d/peergate-peer0.conf")


def global_dns():
    return command(["busctl", "get-property", "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager",
                    "GlobalDnsConfiguration"]).strip()


def files(*folders):
    return sorted((str(path), path.read_bytes()) for folder in folders for path in Path(folder).rglob("*") if path.is_file())


@machine("networkmanager")
def networkmanager_with_dnsmasq(box):
    world = Upstream()
    box.bus()
    box.networkmanager("dnsmasq")

    def state():
        return CONF.read_bytes(), files("/etc/NetworkManager")
    before = state()
    laptop = box.node(dns={"system": "auto"}, **TUN)
    laptop.up()
    laptop.applied("networkmanager")
    until(lambda: lookup("home.demo.p2p") == "10.64.0.2", lambda: f"{lookup('home.demo.p2p')}, {DROP_IN.read_text()}")
    check(dig("-x", "10.64.0.2") == "home.demo.p2p.", "the reverse name")
    others_are_left_alone(laptop, world)
    laptop.cli("dns", "doctor")
    laptop.stop()
    check(state() == before, f"{state()}")
    until(lambda: lookup("www.example.com") == "192.0.2.7", "the rest of the world afterwards")
    got = lookup("home.demo.p2p")
    check(got is None and "home.demo.p2p" in world.asked, f"dnsmasq still asks us: {got}, {world.asked}")
    # killed: our names are gone, and nothing else
    laptop.up()
    laptop.applied("networkmanager")
    laptop.kill()
    until(lambda: lookup("www.example.com") == "192.0.2.7", "the machine without us")
    check("no longer knows of us" in laptop.cli("dns", "restore"), "restore")
    check(state() == before, f"{state()}")
    # edited by somebody: left
    laptop.up()
    laptop.applied("networkmanager")
    DROP_IN.write_text(DROP_IN.read_text() + "# mine\n")
    laptop.stop()
    check("# mine" in DROP_IN.read_text() and "somebody edited" in laptop.log(), "what somebody edited")
    DROP_IN.unlink()
    survive_kills(box, laptop, 16, state, {"state": before, "took": 0.3})


@machine("networkmanager")
def networkmanager_with_an_exit_node(box):
    """Its dnsmasq asks an interface's servers by that interface, which routes do not change: that is said."""
    Upstream()
    box.bus()
    box.networkmanager("dnsmasq")
    check("192.0.2.53@eth0" in (HERE / "networkmanager.log").read_text(), "dnsmasq asks otherwise than it did: then the warning is wrong")
    laptop = box.node(dns={"system": "auto"}, **TUN)
    laptop.up()
    laptop.applied("networkmanager")
    check("exit node" not in laptop.log(), "there is none yet")
    laptop.configure({"system": "auto"}, **{**TUN, "peers": [{**HOME, "allowed_ips": ["0.0.0.0/1", "128.0.0.0/1"]}]})
    laptop.cli("reload")
    check("outside of the exit node's tunnel" in laptop.log(), "that is not said")
    laptop.stop()


@machine("networkmanager", "resolved")
def networkmanager_with_resolved(box):
    """It leaves names to systemd-resolved, and so do we."""
    world = Upstream()
    box.bus()
    box.resolved()
    box.networkmanager("systemd-resolved")
    laptop = box.node(dns={"system": "networkmanager"}, **TUN)
    laptop.up()
    laptop.applied("resolved")
    until(lambda: lookup("home.demo.p2p") == "10.64.0.2", CONF.read_text)
    others_are_left_alone(laptop, world)
    laptop.cli("reload")
    time.sleep(0.3)
    check(laptop.log().count("systemd-resolved sends names") == 1, "told again and again")
    check(not DROP_IN.exists(), "a file for a dnsmasq that is not there")
    laptop.stop()
    check(not told() and laptop.journal() is None, "something is left")


@machine("networkmanager")
def networkmanager_alone(box):
    """It can only send every name to one place: that is for who asks for it."""
    world = Upstream()
    box.bus()
    nm = box.networkmanager("default")
    before = CONF.read_bytes()

    def state():
        check(global_dns() == "a{sv} 0", global_dns())
        return CONF.read_bytes(), [path for path, _ in files("/etc/NetworkManager")]
    laptop = box.node(dns={"system": "auto", **forward()}, **TUN)
    laptop.up()
    laptop.failed("dns=dnsmasq")
    check(CONF.read_bytes() == before, "auto changed everything")
    laptop.configure(forward(system="networkmanager"), **TUN)
    laptop.cli("reload")
    laptop.applied("networkmanager")
    until(lambda: lookup("home.demo.p2p") == "10.64.0.2", lambda: CONF.read_text())
    check(lookup("home") == "10.64.0.2" and lookup("www.example.com") == "192.0.2.7", CONF.read_text())
    laptop.cli("dns", "doctor")
    laptop.stop()
    until(lambda: CONF.read_bytes() == before, lambda: CONF.read_text())
    def settled():
        until(lambda: CONF.read_bytes() == before, CONF.read_text)
        return state()
    # without upstreams of its own: those of its connections, followed
    laptop.configure({"system": "networkmanager"}, **TUN)
    laptop.up()
    laptop.applied("networkmanager")
    check(laptop.upstreams() == ["192.0.2.53:53"], f"{laptop.upstreams()}")
    until(lambda: "10.64.0.53" in CONF.read_text() and lookup("home.demo.p2p") == "10.64.0.2", CONF.read_text)
    check(lookup("www.example.com") == "192.0.2.7", "the rest of the world")
    connection = Path("/etc/NetworkManager/system-connections/eth0.nmconnection")
    connection.write_text(connection.read_text().replace("dns=192.0.2.53;", "dns=127.0.0.9;192.0.2.53;"))
    command(["busctl", "call", "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager/Settings", "org.freedesktop.NetworkManager.Settings",
             "ReloadConnections"])
    command(["busctl", "call", "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager", "ActivateConnection",
             "ooo", "/org/freedesktop/NetworkManager/Settings/1", "/", "/"])
    until(lambda: laptop.upstreams() == ["127.0.0.9:53", "192.0.2.53:53"], lambda: f"another server of the connection: {laptop.upstreams()}", 20)
    laptop.stop()
    connection.write_text(connection.read_text().replace("dns=127.0.0.9;192.0.2.53;", "dns=192.0.2.53;"))
    command(["busctl", "call", "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager/Settings", "org.freedesktop.NetworkManager.Settings",
             "ReloadConnections"])
    command(["busctl", "call", "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager", "ActivateConnection",
             "ooo", "/org/freedesktop/NetworkManager/Settings/1", "/", "/"])
    until(lambda: CONF.read_bytes() == before, CONF.read_text)
    laptop.configure(forward(system="networkmanager"), **TUN)
    survive_kills(box, laptop, 10, settled, {"state": state(), "took": 0.2})
    # it stays when all is killed, and is taken back all the same
    laptop.up()
    laptop.applied("networkmanager")
    laptop.kill()
    nm.kill()
    nm.wait()
    status, _, error = laptop.cli("dns", "restore", should=False)
    check(status == 1 and laptop.journal() is not None, f"{status} {error}")
    nm = box.start(["/usr/sbin/NetworkManager", "--no-daemon", "--debug"], "networkmanager")
    until(lambda: "NetworkManager.Dns" in subprocess.run(["busctl", "tree", "org.freedesktop.NetworkManager"], capture_output=True, text=True).stdout
          or "DnsManager" in subprocess.run(["busctl", "tree", "org.freedesktop.NetworkManager"], capture_output=True, text=True).stdout, "NetworkManager")
    check("127.0.0.1" in global_dns(), f"NetworkManager forgot it: {global_dns()}")
    check("no longer knows of us" in laptop.cli("dns", "restore"), "restore")
    until(lambda: CONF.read_bytes() == before, lambda: CONF.read_text())
    # somebody else's global configuration is left
    command(["busctl", "set-property", "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager",
             "GlobalDnsConfiguration", "a{sv}", "1", "domains", "a{sv}", "1", "*", "a{sv}", "1", "servers", "as", "1", "127.0.0.9"])
    theirs = global_dns()
    laptop.up()
    laptop.failed("it is left")
    laptop.stop()
    check(global_dns() == theirs and laptop.journal() is None, global_dns())
    check(not any(asked.endswith("p2p") for asked in world.asked), f"{world.asked}")


run(run_parts)
