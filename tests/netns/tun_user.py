#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A daemon without any right: the TUN is made for its user before (`ip tuntap add ... user`), or handed over as a descriptor. The user is nobody, who has no
capability and may change neither addresses nor routes.

      laptop (nobody)                 home (root)
   10.77.0.1/24 ------ veth ------ 10.77.0.2/24     the outer addresses
   10.64.0.1/16 ====== pg0 ======= 10.64.0.2/16     in the tunnel
"""
import os
import pwd

from ground import Ground, check, needs, run, until
from tunlab import answers, ping, transfer

PORT = 7001
FD = 9
NOBODY = pwd.getpwnam("nobody")

# /dev/net/tun is everybody's on most systems, but not on all.
OPEN_TO_ALL = ["unshare", "--mount", "sh", "-c",
               'mount -t tmpfs -o dev,mode=755 none /dev/net && mknod /dev/net/tun c 10 200 && chmod 666 /dev/net/tun && exec "$@"', "sh"]
AS_NOBODY = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]

HAND_OVER = """
import fcntl, os, struct, sys
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"pg0", int(sys.argv[1], 0)))
os.dup2(fd, {fd}, True)
os.execvp(sys.argv[2], sys.argv[2:])
""".format(fd=FD)
TUN, NO_PI, VNET = 0x0001, 0x1000, 0x4000


class Scene:
    def __init__(self, ground):
        self.ground = ground
        os.chmod(ground.folder, 0o711)
        self.a, self.b = ground.namespace("laptop"), ground.namespace("home")
        ground.veth(self.a, "10.77.0.1/24", self.b, "10.77.0.2/24")
        self.laptop, self.home = ground.node(self.a, "laptop"), ground.node(self.b, "home")
        self.home.configure(self.config(2, self.laptop))
        self.home.up()

    @staticmethod
    def config(number, other, **tun):
        peer = {"name": other.name, "peer_id": other.peer_id, "endpoint": f"10.77.0.{3 - number}:{PORT}", "tunnel_ip": f"10.64.0.{3 - number}", "eager": True}
        return {"port": PORT, "address": f"10.64.0.{number}/16", "expose": "host", "tun": {"enabled": True, **tun}, "peers": [peer]}

    def up(self, config, wrapper):
        self.laptop.configure({**self.config(1, self.home), **config})
        for folder, folders, files in os.walk(self.laptop.dir):
            for name in (".", *folders, *files):
                os.chown(os.path.join(folder, name), NOBODY.pw_uid, NOBODY.pw_gid)
        self.laptop.up(wrapper=wrapper)

    def own_the_interface(self):
        """What the owner of the interface has to do."""
        self.a.ip("addr", "add", "10.64.0.1/16", "dev", "pg0")
        self.a.ip("link", "set", "pg0", "up", "mtu", "1380")

    def make_interface(self, *flags):
        self.a.ip("tuntap", "add", "dev", "pg0", "mode", "tun", "user", "nobody", *flags)
        self.own_the_interface()

    def has_no_rights(self):
        fields = dict(line.split(":\t", 1) for line in open(f"/proc/{self.laptop.daemon.pid}/status").read().splitlines() if ":\t" in line)
        check(fields["Uid"].split() == [str(NOBODY.pw_uid)] * 4, f"it runs as {fields['Uid']}")
        for name in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb"):
            check(int(fields[name], 16) == 0, f"{name} is {fields[name]}")
        check(fields["NoNewPrivs"].strip() == "1", "it may gain privileges")

    def works(self, offload):
        until(lambda: answers(self.a, "10.64.0.2"), "a ping through the tunnel")
        for size in (0, 1352, 3000):
            check(isinstance(ping(self.a, "10.64.0.2", size), float), f"no answer to a ping with {size} bytes")
        transfer(self.a, self.b, "10.64.0.2", 4 << 20)
        transfer(self.b, self.a, "10.64.0.1", 4 << 20)
        tun = self.laptop.status()["tun"]
        check(bool(tun["offload"]) == offload and not tun["managed"], f"its status says {tun}")


def by_name(scene):
    scene.ground.step("`ip tuntap add dev pg0 mode tun user nobody`, and a daemon that is nobody")
    scene.make_interface("vnet_hdr")
    scene.up({"name": "pg0"}, [*OPEN_TO_ALL, *AS_NOBODY])
    scene.has_no_rights()
    scene.works(True)
    scene.laptop.logged("no right to change addresses and routes")
    scene.ground.step("its end and its death leave the interface to its owner; the next start takes it again")
    scene.laptop.stop()
    check("10.64.0.1/16" in scene.a.ip("addr", "show", "pg0"), "the owner's address is gone")
    scene.up({"name": "pg0"}, [*OPEN_TO_ALL, *AS_NOBODY])
    until(lambda: answers(scene.a, "10.64.0.2"), "a ping after a restart")
    scene.laptop.kill()
    scene.up({"name": "pg0"}, [*OPEN_TO_ALL, *AS_NOBODY])
    until(lambda: answers(scene.a, "10.64.0.2"), "a ping after a kill")


def recreated(scene):
    scene.ground.step("the owner deletes the interface, and makes it again")
    scene.a.ip("link", "del", "pg0")
    scene.laptop.logged("pg0 is gone")
    scene.laptop.logged("cannot make the interface pg0", seconds=10)
    check(scene.laptop.daemon.alive(), "it ended")
    scene.make_interface("vnet_hdr")
    until(lambda: answers(scene.a, "10.64.0.2"), "a ping through the interface that was made again", seconds=15)
    scene.laptop.stop()
    scene.a.ip("tuntap", "del", "dev", "pg0", "mode", "tun")


def plain(scene):
    scene.ground.step("an interface that was made without `vnet_hdr`: the kernel gives it all the same")
    scene.make_interface()
    scene.up({"name": "pg0"}, [*OPEN_TO_ALL, *AS_NOBODY])
    scene.has_no_rights()
    scene.works(True)
    scene.laptop.stop()
    scene.a.ip("tuntap", "del", "dev", "pg0", "mode", "tun")


def somebody_elses(scene):
    scene.ground.step("an interface of another user is refused, with what to do")
    scene.a.ip("tuntap", "add", "dev", "pg0", "mode", "tun", "user", "root")
    scene.laptop.configure({**scene.config(1, scene.home), "name": "pg0"})
    os.chown(scene.laptop.dir / "config.yaml", NOBODY.pw_uid, NOBODY.pw_gid)
    scene.laptop.up(wrapper=[*OPEN_TO_ALL, *AS_NOBODY], wait=False)
    until(lambda: not scene.laptop.daemon.alive(), "it ends")
    check("ip tuntap add" in scene.laptop.log(), f"it says: {scene.laptop.log()}")
    scene.laptop.kill()
    scene.a.ip("tuntap", "del", "dev", "pg0", "mode", "tun")


def by_descriptor(scene, flags, offload):
    scene.ground.step(f"an open descriptor (flags {flags:#x}) is handed over to nobody")
    wrapper = ["python3", "-c", HAND_OVER, hex(flags), *AS_NOBODY]
    scene.up({"tun": {"enabled": True, "fd": FD}}, wrapper)
    scene.own_the_interface()
    scene.has_no_rights()
    scene.works(offload)
    check(scene.laptop.status()["tun"]["handed_over"], "it does not know that it was handed over")
    scene.laptop.stop()
    check("pg0" not in scene.a.ip("link"), "the interface is still there, though the last who had it open is gone")


def wrong_descriptors(scene):
    scene.ground.step("descriptors that are no TUN, or of the wrong kind: refused by name")
    for fd, word, wrapper in ((FD, "TAP", ["python3", "-c", HAND_OVER, hex(0x0002 | NO_PI), *AS_NOBODY]), (1, "no TUN", AS_NOBODY), (999, "not open", AS_NOBODY)):
        scene.laptop.configure({**scene.config(1, scene.home, fd=fd)})
        os.chown(scene.laptop.dir / "config.yaml", NOBODY.pw_uid, NOBODY.pw_gid)
        scene.laptop.up(wrapper=wrapper, wait=False)
        until(lambda: not scene.laptop.daemon.alive(), "it ends")
        check(word in scene.laptop.log(), f"it says: {scene.laptop.log()}")
        scene.laptop.kill()


def test():
    needs("ip", "setpriv", "unshare")
    with Ground("tunuser") as ground:
        scene = Scene(ground)
        by_name(scene)
        recreated(scene)
        plain(scene)
        somebody_elses(scene)
        by_descriptor(scene, TUN | NO_PI | VNET, True)
        by_descriptor(scene, TUN | NO_PI, False)
        wrong_descriptors(scene)


run(test)
