#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One daemon in two networks that know nothing of each other: each has its own identity and port there, a peer called "box", and
the same range of addresses.

      house                           desk                            office
   box.home.p2p                 me.home.p2p, me.work.p2p           box.work.p2p
   web 8000, flood 9            port 7001 in home, 7002 in work    web 8000, echo 7
   10.77.1.2 ------- veth ------ 10.77.1.1   10.77.2.1 ---- veth ---- 10.77.2.2
   port 7001                    socks 1080, DNS 5300               port 7001
"""
import json
import socket
import subprocess
import time
from ground import PEERGATE, REPLY, STILL_MAX, Ground, check, chosen, needs, run, until
from streams import Download, TcpServer, Web, serve_echo, serve_pattern, socks_connect

SOCKS = ("127.0.0.1", 1080)


class Scene:
    def __init__(self, ground):
        self.ground = ground
        self.house_at, self.desk_at, self.office_at = (ground.namespace(name) for name in ("house", "desk", "office"))
        ground.veth(self.house_at, "10.77.1.2/24", self.desk_at, "10.77.1.1/24")
        ground.veth(self.office_at, "10.77.2.2/24", self.desk_at, "10.77.2.1/24")
        self.house, self.desk, self.office = (ground.node(at, name) for at, name in
                                              ((self.house_at, "house"), (self.desk_at, "desk"), (self.office_at, "office")))
        for at, text in ((self.house_at, "house"), (self.office_at, "office")):
            folder = ground.folder / f"www-{text}"
            folder.mkdir()
            (folder / "index.html").write_text(text)
            Web(at, ("127.0.0.1", 8000), str(folder))
        TcpServer(self.house_at, ("127.0.0.1", 9), serve_pattern)
        TcpServer(self.office_at, ("127.0.0.1", 7), serve_echo)
        TcpServer(self.desk_at, ("127.0.0.1", 7), serve_echo)
        self.ids = {"home": self.desk.peer_id, "work": self.make_further("work")}
        check(self.ids["home"] != self.ids["work"], "one identity in both networks")
        self.configure_boxes()
        self.configure()

    def make_further(self, name):
        made = json.loads(self.desk.cli("init", "--network", name, "--json"))
        check(made["network"] == name and made["new"], f"init --network {name}: {made}")
        again = json.loads(self.desk.cli("init", "--network", name, "--json"))
        check(again["peer_id"] == made["peer_id"] and not again["new"], f"the second init made another identity: {again}")
        return made["peer_id"]

    def configure_boxes(self):
        self.house.configure({"hostname": "box", "network": "home", "port": 7001,
                              "peers": [{"name": "me", "peer_id": self.ids["home"], "endpoint": "10.77.1.1:7001"}],
                              "services": {"web": {"local_address": "127.0.0.1:8000"}, "flood": {"local_address": "127.0.0.1:9"}}})
        self.office.configure({"hostname": "box", "network": "work", "port": 7001,
                               "peers": [{"name": "me", "peer_id": self.ids["work"], "endpoint": "10.77.2.1:7002"}],
                               "services": {"web": {"local_address": "127.0.0.1:8000"}, "echo": {"local_address": "127.0.0.1:7"}}})

    def work(self, **changes):
        return {"network": "work", "port": 7002, "services": {"shared": {"local_address": "127.0.0.1:7", "port": 88}},
                "peers": [{"name": "box", "peer_id": self.office.peer_id, "endpoint": "10.77.2.2:7001"}], **changes}

    def configure(self, networks=None, **changes):
        self.desk.configure({"hostname": "me", "network": "home", "port": 7001,
                             "peers": [{"name": "box", "peer_id": self.house.peer_id, "endpoint": "10.77.1.2:7001"}],
                             "services": {"private": {"local_address": "127.0.0.1:7", "port": 77}},
                             "networks": [self.work()] if networks is None else networks,
                             "socks": {"listen": "127.0.0.1:1080"},
                             "dns": {"enabled": True, "listen": "127.0.0.1:5300"}, **changes})

    def reload(self):
        self.desk.cli("reload")

    def curl(self, host, port=80, seconds=REPLY):
        """What is there, through the proxy; or curl's exit status."""
        with self.desk_at:
            done = subprocess.run(["curl", "-s", "--max-time", str(seconds), "--socks5-hostname", "127.0.0.1:1080",
                                   f"http://{host}:{port}/"], capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else done.returncode

    def dig(self, name):
        return self.desk_at.run("dig", "@127.0.0.1", "-p", "5300", "+short", "+tries=1", f"+time={REPLY}", name).split()

    def resolve(self, name):
        return json.loads(self.desk.cli("resolve", "--json", name))

    def office_flows(self):
        return self.office.status()["service_flows"]["open"]

    def nc(self, node, *words, data=b"hello"):
        """(exit status, stdout, stderr)"""
        with node.namespace:
            done = subprocess.run([PEERGATE, "--dir", str(node.dir), "nc", *map(str, words)], input=data, capture_output=True,
                                  timeout=4 * REPLY)
        return done.returncode, done.stdout, done.stderr.decode()


def names(scene):
    """The same name in both: two machines. Without its network it is the first one's, and that is told."""
    scene.ground.step("names")
    for node in (scene.house, scene.office, scene.desk):
        node.up()
    until(lambda: all(peer["state"] == "established" for peer in scene.desk.status()["peers"]), "both peers are there")
    for host, expected in (("web.box.home.p2p", "house"), ("web.box.work.p2p", "office"), ("box.work", "office"),
                           ("box.home", "house"), ("box", "house"), (scene.office.peer_id, "office")):
        got = scene.curl(host, 8000)
        check(got == expected, f"http://{host}:8000/ is {got!r}, expected {expected}")
    got = scene.resolve("box")
    check(got["network"] == "home" and got["canonical"] == "box.home.p2p" and got["also"] == ["box.work.p2p"], f"resolve box: {got}")
    got = scene.resolve("box.work")
    check(got["network"] == "work" and got["also"] == [] and got["peer"]["peer_id"] == scene.office.peer_id, f"resolve box.work: {got}")
    check("and also   box.work.p2p" in scene.desk.cli("resolve", "box"), "resolve does not tell people of the other box")
    for host in ("box.home", "box.work"):
        until(lambda: scene.desk.ping(host, 2)[1] == 2, f"2 pings to {host} are answered")
    status, out, err = scene.nc(scene.desk, "box.work", "echo")
    check((status, out) == (0, b"hello"), f"nc to echo of box.work: {status}, {out}, {err}")
    err = scene.nc(scene.desk, "box.home", "echo")[2]
    check("no such service" in err, f"nc to echo of box.home: {err}")


def addresses(scene):
    """Equal ranges: every peer has an address of its own here, and what listens there is that peer's."""
    scene.ground.step("names in DNS, and the virtual router")
    found = {name: until(lambda: scene.dig(name), f"{name} is in DNS")[0] for name in ("box.home.p2p", "box.work.p2p", "me.home.p2p", "me.work.p2p")}
    check(len(set(found.values())) == 4, f"addresses are not one each: {found}")
    for name, expected in (("box.home.p2p", "house"), ("box.work.p2p", "office")):
        def fetched():
            with scene.desk_at:
                return subprocess.run(["curl", "-s", "--max-time", "15", f"http://{found[name]}:8000/"], capture_output=True,
                                      text=True).stdout
        until(lambda: fetched() == expected, f"http://{found[name]}:8000/, which is {name}, is the {expected}'s")
        check(scene.desk_at.run("dig", "@127.0.0.1", "-p", "5300", "+short", "-x", found[name]).strip() == name + ".", f"PTR of {name}")


def walls(scene):
    """What is in one network is not in the other."""
    scene.ground.step("services and strangers")
    for node, service, port, others in ((scene.house, "private", 77, ("shared", 88)), (scene.office, "shared", 88, ("private", 77))):
        for word in (service, port):
            status, out, err = scene.nc(node, "me", word)
            check((status, out) == (0, b"hello"), f"{node.name} to {word}: {status}, {out}, {err}")
        for word in others:
            status, out, err = scene.nc(node, "me", word)
            check(status == 1 and out == b"" and "no such service" in err, f"{node.name} to {word} of the other network: {status}, {out}, {err}")
        offered = {entry["name"] for entry in json.loads(node.cli("services", "--json", "me"))["services"]}
        check(offered == {service}, f"{node.name} is offered {offered}")
    shown = {(entry["network"], entry["name"]) for entry in json.loads(scene.desk.cli("services", "--json"))["services"]}
    check(shown == {("home", "private"), ("work", "shared")}, f"services: {shown}")

    # Who may come to home knocks at work, with work's key: silence. Then that network lets it in, and no other does.
    scene.ground.step("a peer of home is a stranger in work")
    dropped = scene.desk.status()["drops"]
    knock = {"name": "door", "peer_id": scene.ids["work"], "endpoint": "10.77.1.1:7002", "keepalive_interval": 0}
    scene.house.configure({**scene.house.config, "peers": [*scene.house.config["peers"], knock]})
    scene.house.cli("reload")
    count, answered, _ = scene.house.ping("door", 3)
    check(answered == 0, f"{answered} of {count} pings of a stranger were answered")
    check(scene.house.peer("door")["last_handshake_s"] is None, "a stranger has a session")
    now = scene.desk.status()["drops"]
    check(now["unknown"] + now["auth"] > dropped["unknown"] + dropped["auth"], f"nothing was dropped: {dropped}, {now}")
    status, _, err = scene.desk.cli("authorize", scene.house.peer_id, should=False)
    check(status == 2 and "--network (home, work)" in err, f"authorize without a network: {status}, {err}")
    scene.desk.cli("authorize", "--network", "work", scene.house.peer_id, "--comment", "visitor")
    check((scene.desk.dir / "networks" / "work" / "authorized_keys").read_text().count(scene.house.peer_id) == 1, "authorized_keys of work")
    scene.reload()
    until(lambda: scene.house.ping("door", 1)[1] == 1, "the peer is let in")
    check(scene.resolve("visitor.work")["network"] == "work", "it is no peer of work")
    scene.desk.cli("deauthorize", "--network", "work", scene.house.peer_id)
    scene.reload()
    scene.house.configure({**scene.house.config, "peers": scene.house.config["peers"][:1]})
    scene.house.cli("reload")


def commands(scene):
    """--network, where there are several."""
    scene.ground.step("commands")
    status = scene.desk.status()
    got = [(network["network"], network["peer_id"], network["port"]) for network in status["networks"]]
    check(got == [("home", scene.ids["home"], 7001), ("work", scene.ids["work"], 7002)], f"networks: {got}")
    check((status["network"], status["peer_id"]) == ("home", scene.ids["home"]), "the first network is not what `status` speaks of")
    work = json.loads(scene.desk.cli("status", "--json", "--network", "work"))
    check((work["peer_id"], work["port"], [peer["peer_id"] for peer in work["peers"]])
          == (scene.ids["work"], 7002, [scene.office.peer_id]), f"status --network work: {work}")
    text = scene.desk.cli("status")
    for part in (f"me.home  {scene.ids['home']}", f"me.work  {scene.ids['work']}", "box.home  connected", "box.work  connected", "NETWORK"):
        check(part in text, f"no \"{part}\" in:\n{text}")
    check("box.work" not in scene.desk.cli("peers", "--network", "home"), "peers --network home shows others")
    status, _, err = scene.desk.cli("status", "--network", "nosuch", should=False)
    check(status == 1 and "in no network \"nosuch\"" in err, f"{status}, {err}")
    ids = json.loads(scene.desk.cli("id", "--json"))["networks"]
    check({entry["network"]: entry["peer_id"] for entry in ids} == scene.ids, f"id: {ids}")
    check(json.loads(scene.desk.cli("id", "--json", "--network", "work"))["peer_id"] == scene.ids["work"], "id --network work")
    scene.desk.logged("box.work: connected by")

    # The owner's own names, in one network's file and in everybody's.
    (scene.desk.dir / "networks" / "work" / "names.yaml").write_text(f"printer: {scene.office.peer_id}\n")
    (scene.desk.dir / "names.yaml").write_text(f"nas: {scene.house.peer_id}\ndesk.club: {scene.office.peer_id}\n")
    scene.reload()
    for host, expected in (("printer.work", "office"), ("printer", "office"), ("nas", "house"), ("nas.home", "house"), ("desk.club", "office")):
        check(scene.curl(host, 8000) == expected, f"http://{host}:8000/ is not the {expected}")
    for host in ("printer.home", "nas.work"):
        check(scene.desk.cli("resolve", host, should=False)[0] == 1, f"{host} is known")
    check(scene.dig("printer.work.p2p") == scene.dig("box.work.p2p") and scene.dig("nas.home.p2p") == scene.dig("box.home.p2p"), "names.yaml in DNS")
    (scene.desk.dir / "networks" / "work" / "names.yaml").write_text(f"printer.home: {scene.office.peer_id}\n")
    status, _, err = scene.desk.cli("reload", should=False)
    check(status == 1 and "networks/work/names.yaml:1: printer.home is in another network" in err, f"{status}, {err}")
    (scene.desk.dir / "networks" / "work" / "names.yaml").unlink()
    scene.reload()


def reloads(scene):
    """A network that goes leaves the others alone; one that comes is there; files that are wrong change nothing."""
    scene.ground.step("a download in home, while work goes and comes")
    download = Download(socks_connect(scene.desk_at, SOCKS, "flood.box.home.p2p", 9))
    echo = socks_connect(scene.desk_at, SOCKS, "echo.box.work.p2p", 7)
    echo.sendall(b"x")
    check(echo.recv(1) == b"x", "the echo of work")
    ping = subprocess.Popen(["ip", "netns", "exec", scene.desk_at.name, PEERGATE, "--dir", str(scene.desk.dir), "ping", "box.work"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until(lambda: download.count() > 1 << 20, "the download runs")
    addresses_before = {name: scene.dig(name) for name in ("box.home.p2p", "box.work.p2p")}

    scene.configure(networks=[])
    began = time.monotonic()
    scene.reload()
    until(lambda: "network work: removed" in scene.desk.log(), "the log says so")
    echo.settimeout(2 * REPLY)
    try:
        check(echo.recv(1) == b"", "a connection of a network that is gone says something")
    except ConnectionResetError:
        pass
    check(ping.wait(2 * REPLY) != 0 and "was removed" in ping.stderr.read(), "a ping of a network that is gone goes on")
    check([network["network"] for network in scene.desk.status()["networks"]] == ["home"], "the network is still there")
    check(scene.curl("web.box.work.p2p", 8000) != "office", "a name of the network that is gone")
    check(scene.desk.cli("resolve", "box.work", should=False)[0] == 1, "box.work is known")
    check(scene.dig("box.work.p2p") == [], "box.work.p2p is in DNS")
    check(scene.resolve("box")["also"] == [], "box is said to be in work")
    with scene.desk_at, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 7002))  # the port is free

    scene.ground.step("and comes again")
    scene.configure()
    scene.reload()
    until(lambda: scene.curl("web.box.work.p2p", 8000) == "office", "work is there again")
    check(scene.resolve("box")["also"] == ["box.work.p2p"], "box is not said to be in work")
    until(lambda: {name: scene.dig(name) for name in addresses_before} == addresses_before, "the addresses are those of before")
    scene.desk.logged("network work: added, on UDP port 7002")

    scene.ground.step("files that are wrong")
    club = scene.make_further("club")
    for networks, expected in (([scene.work(port=7001)], "networks[].port: 7001 is the port of home, the top level's already"),
                               ([scene.work(), scene.work(port=7003)], "there is one of this name already: work in line"),
                               ([scene.work(), {"network": "new", "port": 7003}], "`peergate init --network new` makes one"),
                               ([scene.work(services={"a": {"local_address": "x:1"}, "b": {"local_address": "y:1"}})],
                                "networks[].services.b.port: 1 is the port of a")):
        scene.configure(networks=networks)
        status, _, err = scene.desk.cli("reload", should=False)
        check(status == 1 and expected in err, f"expected \"{expected}\": {status}, {err}")
    taken = scene.desk_at.socket(kind=socket.SOCK_DGRAM)
    taken.bind(("0.0.0.0", 7003))
    scene.configure(networks=[scene.work(), {"network": "club", "port": 7003}])
    status, _, err = scene.desk.cli("reload", should=False)
    check(status == 1 and "7003" in err, f"a port that is taken: {status}, {err}")
    scene.configure(networks=[{"network": "club", "port": 7002, "listen": "10.77.2.1"}])
    status, _, err = scene.desk.cli("reload", should=False)
    check(status == 1 and "networks[].port: 7002 is still that of work" in err, f"the port of one that goes, elsewhere: {status}, {err}")
    scene.configure(networks=[{"network": "club", "port": 7002, "services": {"a": {"local_address": "x:1"}, "b": {"local_address": "y:1"}}}])
    status, _, err = scene.desk.cli("reload", should=False)
    check(status == 1 and "is the port of a" in err, f"the port of one that goes, and an error: {status}, {err}")
    check([network["network"] for network in scene.desk.status()["networks"]] == ["home", "work"], "something changed")
    check(scene.curl("web.box.work.p2p", 8000) == "office" and scene.curl("web.box.home.p2p", 8000) == "house", "something is broken")
    taken.close()

    scene.ground.step("another network takes the port of one that goes, in the same reload, and gives it back")
    line = socks_connect(scene.desk_at, SOCKS, "echo.box.work.p2p", 7)
    line.sendall(b"x")
    check(line.recv(1) == b"x", "the echo of work")
    check(scene.office_flows() == 1, f"{scene.office_flows()} flows of work")
    scene.office.configure({**scene.office.config, "peers": [*scene.office.config["peers"],
                                                             {"name": "club", "peer_id": club, "endpoint": "10.77.2.1:7002"}]})
    scene.office.cli("reload")
    scene.configure(networks=[{"network": "club", "port": 7002, "peers": [{"name": "box", "peer_id": scene.office.peer_id,
                                                                         "endpoint": "10.77.2.2:7001"}]}])
    scene.reload()
    scene.desk.logged("network club: added, on UDP port 7002")
    # its peers are told that their connections are over: nobody waits for a timeout
    until(lambda: scene.office_flows() == 0, lambda: f"{scene.office_flows()}", 3)
    line.close()
    check(scene.curl("box.club", 8000) == "office", "the new network does not reach its peer")
    scene.office.configure({**scene.office.config, "peers": scene.office.config["peers"][:1]})
    scene.office.cli("reload")
    scene.configure(networks=[scene.work()])
    scene.reload()
    until(lambda: scene.curl("web.box.work.p2p", 8000) == "office", "work is there again")

    scene.ground.step("the top level's goes, and another order")
    scene.configure(networks=[scene.work(), {"network": "club", "port": 7003}])
    scene.reload()
    check([network["network"] for network in scene.desk.status()["networks"]] == ["home", "work", "club"], "club is not there")
    download.must_run()
    check(download.longest_gap(began, time.monotonic()) < STILL_MAX, "the download stood still")
    before = download.count()
    until(lambda: download.count() > before + (1 << 20), "the download runs on")
    download.stop()
    config = {key: value for key, value in scene.desk.config.items() if key in ("hostname", "socks", "dns", "log")}
    home = {key: scene.desk.config[key] for key in ("network", "port", "peers", "services")}
    home["identity"], home["security"] = str(scene.desk.dir / "identity.key"), {"authorized_keys_file": str(scene.desk.dir / "authorized_keys")}
    (scene.desk.dir / "config.yaml").write_text(json.dumps({**config, "networks": [scene.work(), home]}, indent=1))
    download = Download(socks_connect(scene.desk_at, SOCKS, "flood.box.home.p2p", 9))
    until(lambda: download.count() > 1 << 20, "another download runs")
    scene.reload()
    check([network["network"] for network in scene.desk.status()["networks"]] == ["work", "home"], "not in the order of the file")
    check(scene.resolve("box")["canonical"] == "box.work.p2p" and scene.curl("box", 8000) == "office", "box is not the first network's")
    download.must_run()
    download.stop()


def restarts(scene):
    """What was kept is there after kill -9."""
    scene.ground.step("kill -9")
    before = {name: scene.dig(name) for name in ("box.home.p2p", "box.work.p2p", "me.work.p2p")}
    scene.desk.kill()
    scene.desk.up()
    until(lambda: scene.curl("web.box.work.p2p", 8000) == "office" and scene.curl("web.box.home.p2p", 8000) == "house", "both networks are there")
    until(lambda: {name: scene.dig(name) for name in before} == before, "the addresses are those of before")


def test():
    needs("curl", "dig")
    parts = chosen((addresses, walls, commands, reloads, restarts))
    with Ground("networks") as ground:
        scene = Scene(ground)
        for part in (names, *parts):
            part(scene)


run(test)
