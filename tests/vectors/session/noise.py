# SPDX-License-Identifier: MIT
"""Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s from the Noise specification (revision 34), as an interpreter of the
pattern's tokens: any prologue, any payloads. self_check() holds it against a vector published by another project
(the cacophony library's vectors, in the format of the Noise wiki).
"""

from primitives import blake2s, chacha20_poly1305, hmac, kdf, x25519, x25519_public

NAME = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"


class Symmetric:
    def __init__(self, prologue):
        assert len(NAME) > 32
        self.h = blake2s(NAME)
        self.ck = self.h
        self.k = None
        self.n = 0
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.h = blake2s(self.h + data)

    def mix_key(self, data):
        self.ck, self.k = kdf(self.ck, data, 2)
        self.n = 0

    def mix_key_and_hash(self, data):
        self.ck, tau, self.k = kdf(self.ck, data, 3)
        self.mix_hash(tau)
        self.n = 0

    def encrypt_and_hash(self, plain):
        out = plain
        if self.k is not None:
            out = chacha20_poly1305(self.k, bytes(4) + self.n.to_bytes(8, "little"), plain, self.h)
            self.n += 1
        self.mix_hash(out)
        return out

    def split(self):
        return kdf(self.ck, b"", 2)


class Handshake:
    """Both sides at once: it writes messages only, so one transcript serves initiator and responder."""

    def __init__(self, prologue, psk, i_static, i_ephemeral, r_static, r_ephemeral):
        self.state = Symmetric(prologue)
        self.psk = psk
        self.secret = {"is": i_static, "ie": i_ephemeral, "rs": r_static, "re": r_ephemeral}
        self.public = {name: x25519_public(key) for name, key in self.secret.items()}
        self.state.mix_hash(self.public["rs"])

    def dh(self, ours, theirs):
        self.state.mix_key(x25519(self.secret[ours], self.public[theirs]))

    def send_e(self, name):
        self.state.mix_hash(self.public[name])
        self.state.mix_key(self.public[name])  # in psk patterns e is also mixed into the key
        return self.public[name]

    def message1(self, payload):
        """-> e, es, s, ss"""
        out = self.send_e("ie")
        self.dh("ie", "rs")
        out += self.state.encrypt_and_hash(self.public["is"])
        self.dh("is", "rs")
        return out + self.state.encrypt_and_hash(payload)

    def message2(self, payload):
        """<- e, ee, se, psk"""
        out = self.send_e("re")
        self.dh("re", "ie")
        self.dh("re", "is")
        self.state.mix_key_and_hash(self.psk)
        return out + self.state.encrypt_and_hash(payload)

    def exporter(self):
        return hmac(self.state.ck, b"peergate exporter v1" + self.state.h)


def self_check():
    h = bytes.fromhex
    handshake = Handshake(
        b"John Galt",
        b"This is my Austrian perspective!",
        h("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1"),
        h("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"),
        h("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"),
        h("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"),
    )
    assert handshake.message1(b"Ludwig von Mises").hex() == (
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944001e21de9f98ddd8e2ad57527207feb5"
        "6253c9c94a9e496782ecfcb2a75fbcaf1b52948cc48daefe660c62119ab5000980c84831215f2441eba616548e832985"
        "464cf17e51ee93109008399a21f7e13f"
    )
    assert handshake.message2(b"Murray Rothbard").hex() == (
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843cb765f2caef0751b8f007572dab03222"
        "17755c0632f365717edbf34d33e87a"
    )
    assert handshake.state.h == h("f5191b875290abcd41347ac3622d9679688a7e980229cb937ef748336cfde0e5")
    sending, receiving = handshake.state.split()
    zero = bytes(12)
    assert chacha20_poly1305(sending, zero, b"F. A. Hayek", b"").hex() == (
        "8153ca9833bc3c1b91a7e66e5f4d4f5b59bf9e64c2f20d15f0bba7"
    )
    assert chacha20_poly1305(receiving, zero, b"Carl Menger", b"").hex() == (
        "07af0c9c86e1b4e80f36b04ff7688d51141af3debd0332f0a705ef"
    )
