# SPDX-License-Identifier: MIT
"""The primitives of a session in plain Python, written from their specifications and from nothing of the C code:
BLAKE2s (RFC 7693), HMAC (RFC 2104), HKDF (RFC 5869), X25519 (RFC 7748), ChaCha20-Poly1305 (RFC 8439),
XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) and AEGIS-128L and AEGIS-256 with 256-bit tags
(draft-irtf-cfrg-aegis-aead). Slow, and not constant-time: for test vectors only.

self_check() holds each against a published vector.
"""

import struct

MASK32 = 0xFFFFFFFF


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


# --- BLAKE2s ----------------------------------------------------------------------------------------------------

BLAKE2S_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
BLAKE2S_SIGMA = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
BLAKE2S_COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
BLAKE2S_DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def rotr32(x, n):
    return (x >> n | x << (32 - n)) & MASK32


def blake2s_mix(v, a, b, c, d, x, y):
    for word, right_d, right_b in ((x, 16, 12), (y, 8, 7)):
        v[a] = (v[a] + v[b] + word) & MASK32
        v[d] = rotr32(v[d] ^ v[a], right_d)
        v[c] = (v[c] + v[d]) & MASK32
        v[b] = rotr32(v[b] ^ v[c], right_b)


def blake2s_compress(h, block, count, is_last):
    m = struct.unpack("<16I", block)
    v = list(h) + list(BLAKE2S_IV)
    v[12] ^= count & MASK32
    v[13] ^= count >> 32
    if is_last:
        v[14] ^= MASK32
    for sigma in BLAKE2S_SIGMA:
        for i, (a, b, c, d) in enumerate(BLAKE2S_COLUMNS + BLAKE2S_DIAGONALS):
            blake2s_mix(v, a, b, c, d, m[sigma[2 * i]], m[sigma[2 * i + 1]])
    return [h[i] ^ v[i] ^ v[i + 8] for i in range(8)]


def blake2s(data, key=b"", size=32):
    h = list(BLAKE2S_IV)
    h[0] ^= 0x01010000 ^ len(key) << 8 ^ size
    if key:
        data = key.ljust(64, b"\0") + data
    blocks = [data[i : i + 64] for i in range(0, len(data), 64)] or [b""]
    count = 0
    for i, block in enumerate(blocks):
        count += len(block)
        h = blake2s_compress(h, block.ljust(64, b"\0"), count, i == len(blocks) - 1)
    return struct.pack("<8I", *h)[:size]


def hmac(key, data):
    if len(key) > 64:
        key = blake2s(key)
    key = key.ljust(64, b"\0")
    inner = blake2s(xor(key, b"\x36" * 64) + data)
    return blake2s(xor(key, b"\x5c" * 64) + inner)


def hkdf_expand(secret, info, size):
    out, block, i = b"", b"", 1
    while len(out) < size:
        block = hmac(secret, block + info + bytes([i]))
        out += block
        i += 1
    return out[:size]


def kdf(chaining_key, data, n):
    """n keys, as Noise's HKDF."""
    out = hkdf_expand(hmac(chaining_key, data), b"", 32 * n)
    return [out[32 * i : 32 * i + 32] for i in range(n)]


# --- X25519 -----------------------------------------------------------------------------------------------------

P = 2**255 - 19


def x25519(secret, u):
    k = int.from_bytes(secret, "little")
    k = k & ~7 & (2**255 - 1) | 2**254
    x1 = int.from_bytes(u, "little") & (2**255 - 1)
    x2, z2, x3, z3 = 1, 0, x1, 1
    for t in reversed(range(255)):
        bit = k >> t & 1
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a % P, c * b % P
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        aa, bb = a * a % P, b * b % P
        e = (aa - bb) % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def x25519_public(secret):
    return x25519(secret, (9).to_bytes(32, "little"))


# --- ChaCha20-Poly1305 ------------------------------------------------------------------------------------------


def chacha_rounds(state):
    x = list(state)
    for _ in range(10):
        for a, b, c, d in BLAKE2S_COLUMNS + BLAKE2S_DIAGONALS:
            for p, q, r, left in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[p] = (x[p] + x[q]) & MASK32
                x[r] = rotr32(x[r] ^ x[p], 32 - left)
    return x


CHACHA_CONSTANT = struct.unpack("<4I", b"expand 32-byte k")


def chacha20_block(key, counter, nonce):
    state = CHACHA_CONSTANT + struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce)
    return struct.pack("<16I", *((x + y) & MASK32 for x, y in zip(chacha_rounds(state), state)))


def hchacha20(key, nonce):
    x = chacha_rounds(CHACHA_CONSTANT + struct.unpack("<8I", key) + struct.unpack("<4I", nonce))
    return struct.pack("<8I", *x[:4], *x[12:])


def chacha20(key, counter, nonce, data):
    stream = b"".join(chacha20_block(key, counter + i, nonce) for i in range((len(data) + 63) // 64))
    return xor(data, stream[: len(data)])


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    for i in range(0, len(data), 16):
        acc = (acc + int.from_bytes(data[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((acc + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def pad16(data):
    return data + bytes(-len(data) % 16)


def chacha20_poly1305(key, nonce, plain, ad):
    out = chacha20(key, 1, nonce, plain)
    lengths = struct.pack("<QQ", len(ad), len(out))
    return out + poly1305(chacha20_block(key, 0, nonce)[:32], pad16(ad) + pad16(out) + lengths)


def xchacha20_poly1305(key, nonce, plain, ad):
    return chacha20_poly1305(hchacha20(key, nonce[:16]), bytes(4) + nonce[16:], plain, ad)


# --- AEGIS ------------------------------------------------------------------------------------------------------


def gf_mul(a, b):
    out = 0
    while b:
        if b & 1:
            out ^= a
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return out


def affine(x):
    out = 0
    for i in range(8):
        bits = [x >> (i + j) % 8 & 1 for j in (0, 4, 5, 6, 7)] + [0x63 >> i & 1]
        out |= sum(bits) % 2 << i
    return out


def make_sbox():
    inverse = [0] * 256
    for a in range(1, 256):
        for b in range(1, 256):
            if gf_mul(a, b) == 1:
                inverse[a] = b
                break
    return [affine(x) for x in inverse]


SBOX = make_sbox()


def aes_round(block, round_key):
    """SubBytes, ShiftRows, MixColumns, AddRoundKey; column by column."""
    out = []
    for column in range(4):
        s = [SBOX[block[(4 * column + 5 * row) % 16]] for row in range(4)]
        for row in range(4):
            a, b, c, d = (s[(row + i) % 4] for i in range(4))
            out.append(gf_mul(a, 2) ^ gf_mul(b, 3) ^ c ^ d)
    return xor(out, round_key)


AEGIS_C0 = bytes.fromhex("000101020305080d1522375990e97962")
AEGIS_C1 = bytes.fromhex("db3d18556dc22ff12011314273b528dd")


def conjunction(a, b):
    return bytes(x & y for x, y in zip(a, b, strict=True))


def xors(first, *others):
    for other in others:
        first = xor(first, other)
    return first


def chunks(data, size):
    return [data[i : i + size].ljust(size, b"\0") for i in range(0, len(data), size)]


def aegis128l(key, nonce, plain, ad):
    """Ciphertext and 256-bit tag."""
    c0, c1 = AEGIS_C0, AEGIS_C1
    s = [xor(key, nonce), c1, c0, c1, xor(key, nonce), xor(key, c0), xor(key, c1), xor(key, c0)]

    def update(m0, m1):
        new = [aes_round(s[i - 1], s[i]) for i in range(8)]
        new[0], new[4] = xor(new[0], m0), xor(new[4], m1)
        s[:] = new

    for _ in range(10):
        update(nonce, key)
    for block in chunks(ad, 32):
        update(block[:16], block[16:])
    out = b""
    for block in chunks(plain, 32):
        z = xors(s[6], s[1], conjunction(s[2], s[3])) + xors(s[2], s[5], conjunction(s[6], s[7]))
        out += xor(block, z)
        update(block[:16], block[16:])
    t = xor(s[2], struct.pack("<QQ", 8 * len(ad), 8 * len(plain)))
    for _ in range(7):
        update(t, t)
    return out[: len(plain)] + xors(*s[:4]) + xors(*s[4:])


def aegis256(key, nonce, plain, ad):
    """Ciphertext and 256-bit tag."""
    k0, k1, n0, n1 = key[:16], key[16:], nonce[:16], nonce[16:]
    s = [xor(k0, n0), xor(k1, n1), AEGIS_C1, AEGIS_C0, xor(k0, AEGIS_C0), xor(k1, AEGIS_C1)]

    def update(m):
        new = [aes_round(s[i - 1], s[i]) for i in range(6)]
        new[0] = xor(new[0], m)
        s[:] = new

    for _ in range(4):
        for m in (k0, k1, xor(k0, n0), xor(k1, n1)):
            update(m)
    for block in chunks(ad, 16):
        update(block)
    out = b""
    for block in chunks(plain, 16):
        out += xor(block, xors(s[1], s[4], s[5], conjunction(s[2], s[3])))
        update(block)
    t = xor(s[3], struct.pack("<QQ", 8 * len(ad), 8 * len(plain)))
    for _ in range(7):
        update(t)
    return out[: len(plain)] + xors(*s[:3]) + xors(*s[3:])


# --- published vectors ------------------------------------------------------------------------------------------


def self_check():
    h = bytes.fromhex
    # RFC 7693, appendix B.
    assert blake2s(b"abc") == h("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982")
    # The first keyed vector of BLAKE2's own set.
    assert blake2s(b"", bytes(range(32))) == h("48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49")
    # RFC 7748, 5.2.
    assert x25519(
        h("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
        h("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
    ) == h("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    # RFC 8439, 2.8.2: the tag.
    sunscreen = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    ad = h("50515253c0c1c2c3c4c5c6c7")
    sealed = chacha20_poly1305(bytes(range(0x80, 0xA0)), h("070000004041424344454647"), sunscreen, ad)
    assert sealed[-16:] == h("1ae10b594f09e26a7e902ecbd0600691")
    # draft-irtf-cfrg-xchacha, A.3.1: the tag.
    sealed = xchacha20_poly1305(bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58)), sunscreen, ad)
    assert sealed[-16:] == h("c0875924c1c7987947deafd8780acf49")
    # draft-irtf-cfrg-aegis-aead, test vectors 3.
    key, nonce = h("1001" + 30 * "00"), h("100002" + 29 * "00")
    sealed = aegis256(key, nonce, bytes(range(32)), bytes(range(8)))
    assert sealed[32:] == h("b7d28d0c3c0ebd409fd22b44160503073a547412da0854bfb9723020dab8da1a")
    sealed = aegis128l(key[:16], nonce[:16], bytes(range(32)), bytes(range(8)))
    assert sealed[32:] == h("022cb796fe7e0ae1197525ff67e309484cfbab6528ddef89f17d74ef8ecd82b3")
