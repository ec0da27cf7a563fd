# SPDX-License-Identifier: MIT
"""A home behind the kernel's own NAT: a namespace, and a box that does what a common router does (nftables masquerade: port-restricted) between it and the yard."""


def home_behind_nat(ground, yard, name, number):
    """The inside: 192.168.NUMBER.2; the yard sees 10.77.NUMBER.2. Returns its namespace."""
    inside, box = ground.namespace(name), ground.namespace(f"box{name[0]}")
    ground.veth(inside, f"192.168.{number}.2/24", box, f"192.168.{number}.1/24")
    ground.veth(box, f"10.77.{number}.2/24", yard, f"10.77.{number}.1/24")
    inside.ip("route", "add", "default", "via", f"192.168.{number}.1")
    box.ip("route", "add", "default", "via", f"10.77.{number}.1")
    box.sysctl("net.ipv4.ip_forward", 1)
    box.nft("""table ip box {
        chain out { type nat hook postrouting priority 100; oifname "yard" masquerade; }
        chain through { type filter hook forward priority 0; policy drop;
            ct state established,related accept
            iifname "%s" accept
        }
        chain in { type filter hook input priority 0; policy drop; iifname "%s" accept; }
    }""" % (name, name))
    return inside
