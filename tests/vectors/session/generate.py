#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes session_vectors.h: handshakes, sealed packets and cookies as docs/PROTOCOL.md says, made by this folder's
own implementation, which shares no line with the program's.

usage: generate.py           writes the file beside this script
       generate.py --check   exit status 1 if the file differs from what would be written
"""

import pathlib
import struct
import sys

import noise
import primitives as p

PROLOGUE = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
FILE = pathlib.Path(__file__).with_name("session_vectors.h")


def key(name):
    """A reproducible 32-byte value."""
    return p.blake2s(b"peergate test vector: " + name.encode())


class Session:
    """One handshake with its messages and keys."""

    def __init__(self, name, psk):
        self.i_static, self.r_static = key(name + " i static"), key(name + " r static")
        self.i_ephemeral, self.r_ephemeral = key(name + " i ephemeral"), key(name + " r ephemeral")
        self.psk = psk
        self.i_index, self.r_index = 0x12345678, 0xFEDCBA98
        self.timestamp = struct.pack(">QI", 0x400000000000000A + 1700000000, 0x1D000000)
        handshake = noise.Handshake(PROLOGUE, psk, self.i_static, self.i_ephemeral, self.r_static, self.r_ephemeral)
        self.public = handshake.public
        self.initiation = struct.pack("<II", 1, self.i_index) + handshake.message1(self.timestamp)
        self.initiation = self.with_macs(self.initiation, "rs")
        self.response = struct.pack("<III", 2, self.r_index, self.i_index) + handshake.message2(b"")
        self.response = self.with_macs(self.response, "is")
        self.i_key, self.r_key = handshake.state.split()
        self.hash, self.exporter = handshake.state.h, handshake.exporter()

    def with_macs(self, message, receiver, cookie=None):
        message += p.blake2s(message, key=p.blake2s(b"mac1----" + self.public[receiver]), size=16)
        return message + (p.blake2s(message, key=cookie, size=16) if cookie else bytes(16))

    def export(self, label, context, size):
        return p.hkdf_expand(self.exporter, label + b"\0" + context, size)

    def seal4(self, counter, plain):
        """Initiator to responder."""
        plain = p.pad16(plain)
        header = struct.pack("<IIQ", 4, self.r_index, counter)
        return header + p.chacha20_poly1305(self.i_key, struct.pack("<IQ", 0, counter), plain, b"")

    def seal5(self, suite, counter, plain, from_initiator=True):
        key_len, iv_len, aead = {1: (32, 24, p.aegis256), 2: (16, 8, p.aegis128l)}[suite]
        size = key_len + iv_len
        material = self.export(b"peergate seal", bytes([suite, 0]) + bytes(32), 2 * size)
        material = material[:size] if from_initiator else material[size:]
        index = self.r_index if from_initiator else self.i_index
        header = struct.pack("<BBBBIQ", 5, suite, 0, 0, index, counter)
        nonce = struct.pack("<Q", counter) + material[key_len:]
        return header + aead(material[:key_len], nonce, plain, header)


class Header:
    def __init__(self):
        self.lines = [
            "/* SPDX-License-Identifier: MIT */",
            "/* Made by generate.py; do not edit. Hexadecimal. */",
            "/* clang-format off */",
            "#ifndef TESTS_VECTORS_SESSION_SESSION_VECTORS_H",
            "#define TESTS_VECTORS_SESSION_SESSION_VECTORS_H",
        ]

    def section(self, text):
        self.lines += ["", f"/* {text} */"]

    def add(self, name, value):
        text = value.hex()
        parts = [f'"{text[i : i + 96]}"' for i in range(0, max(len(text), 1), 96)]
        self.lines.append(" \\\n    ".join([f"#define VECTOR_{name}"] + parts))

    def text(self):
        return "\n".join(self.lines + ["", "#endif", ""])


def add_session(out, prefix, session):
    for name in ("i_static", "i_ephemeral", "r_static", "r_ephemeral", "psk", "timestamp", "initiation", "response"):
        out.add(f"{prefix}_{name}".upper(), getattr(session, name))
    for name in ("i_key", "r_key", "hash", "exporter"):
        out.add(f"{prefix}_{name}".upper(), getattr(session, name))


def add_seals(out, session):
    plain = bytes(range(37))
    out.add("DATA", plain)
    out.add("SEAL4", session.seal4(0, plain))
    out.add("SEAL4_KEEPALIVE", session.seal4(1, b""))
    for suite in (1, 2):
        out.add(f"SEAL5_{suite}", session.seal5(suite, 2 + suite, plain))
        out.add(f"SEAL5_{suite}_LATE", session.seal5(suite, 2**40 + suite, b""))
        out.add(f"SEAL5_{suite}_BACK", session.seal5(suite, 0, plain, from_initiator=False))


def add_cookies(out, session):
    secret, source, nonce = key("cookie secret"), b"\x0a\x40\x00\x01\x1b\x59", key("cookie nonce")[:24]
    cookie = p.blake2s(source, key=secret, size=16)
    mac1 = session.initiation[-32:-16]
    reply = struct.pack("<II", 3, session.i_index) + nonce
    reply += p.xchacha20_poly1305(p.blake2s(b"cookie--" + session.public["rs"]), nonce, cookie, mac1)
    out.add("COOKIE_SECRET", secret)
    out.add("COOKIE_SOURCE", source)
    out.add("COOKIE_NONCE", nonce)
    out.add("COOKIE", cookie)
    out.add("COOKIE_REPLY", reply)
    out.add("COOKIE_INITIATION", session.with_macs(session.initiation[:-32], "rs", cookie))


def static_kdf(session, label, context):
    shared = p.x25519(session.i_static, session.public["rs"])
    return p.hkdf_expand(p.hmac(b"peergate static v1", shared), label + b"\0" + context, 32)


def make():
    out = Header()
    out.section("A handshake with a PSK, and one without (32 zeros). Indices: initiator 0x12345678, responder 0xfedcba98")
    psk, plain = Session("first", key("psk")), Session("second", bytes(32))
    add_session(out, "PSK", psk)
    add_session(out, "NOPSK", plain)
    out.section("export(label, context, size) of the first")
    out.add("EXPORT_TEST", psk.export(b"test", b"context", 100))
    out.section("static_kdf(test, context) of the first")
    out.add("STATIC_KDF", static_kdf(psk, b"test", b"context"))
    out.section("Packets of the first: from the initiator, counters 0, 1, 2 + suite, 2^40 + suite; BACK: from the responder, 0")
    add_seals(out, psk)
    out.section("The responder's cookie for the first's initiation")
    add_cookies(out, psk)
    return out.text()


def main():
    p.self_check()
    noise.self_check()
    text = make()
    if sys.argv[1:] != ["--check"]:
        FILE.write_text(text, encoding="ascii")
        return 0
    if FILE.read_text(encoding="ascii") == text:
        return 0
    print(f"{FILE.name} is not what generate.py makes", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
