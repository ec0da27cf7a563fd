# SPDX-License-Identifier: MIT
"""nebula (Debian's) between two namespaces, its certificates made for the run: whom the TUN's datagrams are compared with."""
import json
import shutil
import subprocess

from lab import LabError

PORT, MTU = 4242, 1400  # room for 1350 bytes of payload in one piece


class Nebula:
    name = "nebula"

    def __init__(self, namespaces, addresses, outer):
        missing = [program for program in ("nebula", "nebula-cert") if not shutil.which(program)]
        if missing:
            raise LabError(f"no {', '.join(missing)} on this machine")
        self.namespaces, self.addresses, self.outer = namespaces, addresses, outer
        self.folder = namespaces["a"].lab.folder

    def cert(self, *words):
        done = subprocess.run(["nebula-cert", *map(str, words)], cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"nebula-cert {words[0]}: {(done.stderr + done.stdout).strip()}")

    def configure(self, side):
        lighthouse = self.addresses["b"]
        anything = [{"port": "any", "proto": "any", "host": "any"}]
        return {"pki": {"ca": f"{self.folder}/ca.crt", "cert": f"{self.folder}/nb-{side}.crt", "key": f"{self.folder}/nb-{side}.key"},
                "static_host_map": {lighthouse: [f"{self.outer['b']}:{PORT}"]} if side == "a" else {},
                "lighthouse": {"am_lighthouse": side == "b", "hosts": [lighthouse] if side == "a" else []},
                "listen": {"host": "0.0.0.0", "port": PORT, "read_buffer": 4 << 20, "write_buffer": 4 << 20},
                "tun": {"dev": "nebula1", "mtu": MTU}, "logging": {"level": "error"},
                "firewall": {"outbound": anything, "inbound": anything}}

    def start(self, answers):
        """answers(): is the other end reached?"""
        self.cert("ca", "-name", "bench")
        self.processes = {}
        for side in "ba":
            self.cert("sign", "-name", f"nb-{side}", "-ip", f"{self.addresses[side]}/24")
            path = self.folder / f"nebula-{side}.json"
            path.write_text(json.dumps(self.configure(side)))
            self.processes[side] = self.namespaces[side].start(["nebula", "-config", path])
        self.processes["a"].wait_for(answers, "answer through the tunnel")
        return self
