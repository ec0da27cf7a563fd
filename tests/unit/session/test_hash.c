/* SPDX-License-Identifier: MIT */
/* BLAKE2s against RFC 7693 and BLAKE2's own vectors; HMAC, KDF and HKDF against values of another implementation
 * (tests/vectors/session/primitives.py). */
#include "gateway/session/crypto.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "hex.h"

/* RFC 7693, appendix E: bytes of a Fibonacci generator. */
static void fill_sequence(uint8_t *out, size_t len, uint32_t seed)
{
    uint32_t a = 0xdead4bad * seed, b = 1;

    for (size_t i = 0; i < len; i++) {
        const uint32_t t = a + b;

        a = b;
        b = t;
        out[i] = (uint8_t)(t >> 24);
    }
}

static void test_hash(void **state)
{
    uint8_t out[GW_HASH_LEN];

    (void)state;
    gw_hash(out, "abc", 3, NULL, 0);
    assert_hex_equal(out, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
    gw_hash(out, "a", 1, "bc", 2);
    assert_hex_equal(out, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
    gw_hash(out, "", 0, NULL, 7);
    assert_hex_equal(out, "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9");
}

/* The unkeyed 32-byte part of the RFC's self-test, hashed together; the sum is by the other implementation. */
static void test_lengths(void **state)
{
    static const size_t lens[] = {0, 3, 64, 65, 255, 1024};
    uint8_t in[1024], out[GW_HASH_LEN], all[sizeof lens / sizeof lens[0] * GW_HASH_LEN];

    (void)state;
    for (unsigned i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        fill_sequence(in, lens[i], (uint32_t)lens[i]);
        gw_hash(all + i * GW_HASH_LEN, in, lens[i] / 2, in + lens[i] / 2, lens[i] - lens[i] / 2);
    }
    gw_hash(out, all, sizeof all, NULL, 0);
    assert_hex_equal(out, "7c23dc21fe153229b4b6eb325499e60fbc1b4889893882f3852b5b06d2048a4e");
}

static void test_mac(void **state)
{
    uint8_t key[32], in[255], out[GW_MAC_LEN];

    (void)state;
    for (unsigned i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)i;
    memcpy(key, in, sizeof key);
    gw_mac(out, key, sizeof key, in, 255);
    assert_hex_equal(out, "cd075928ab7e6883e697fe7fd3ac43ee");
    gw_mac(out, key, 16, in, 0);
    assert_hex_equal(out, "af4e5d3bb230e9ff9096ca6f7c501f76");
}

static void test_hmac(void **state)
{
    uint8_t key[100], out[GW_HASH_LEN];

    (void)state;
    memset(key, 0xaa, sizeof key);
    gw_hmac(out, key, 20, "Hi There", 8);
    assert_hex_equal(out, "c5a112c7fc4180afbc31313d009bb1537af5786f5221e7aa9eb6e6f24b234f60");
    gw_hmac(out, key, 64, "", 0);
    assert_hex_equal(out, "5849541c77f4ad5239aa440ff5172911bfce9bb5be4c1f3588e8c15a85d17708");
    gw_hmac(out, key, sizeof key, "larger than a block", 19);
    assert_hex_equal(out, "95f7f8858e62c67c3932272b090c0b5629baddce966afebe0a27d9b8cfd35760");
}

static void test_kdf(void **state)
{
    uint8_t chaining_key[GW_HASH_LEN], one[GW_HASH_LEN], two[GW_HASH_LEN], three[GW_HASH_LEN];

    (void)state;
    memset(chaining_key, 0x0b, sizeof chaining_key);
    gw_kdf(one, two, three, chaining_key, "input", 5);
    assert_hex_equal(one, "749d73a06b5e054295385135139cc23c18436c7a1320b1b1da7018b79ba10c34");
    assert_hex_equal(two, "266290646778e2ae42f99389ddf26005a7ebeece59c92582009eca71b4c13152");
    assert_hex_equal(three, "c1d4570183b50a46debfe5753513caee25739f9adb42712a1c874e53cf66f843");
    memset(two, 0, sizeof two);
    gw_kdf(two, NULL, NULL, chaining_key, "input", 5);
    assert_memory_equal(one, two, sizeof one);
    gw_kdf(chaining_key, two, NULL, chaining_key, "input", 5); /* in place, as Noise does */
    assert_memory_equal(one, chaining_key, sizeof one);
    assert_hex_equal(two, "266290646778e2ae42f99389ddf26005a7ebeece59c92582009eca71b4c13152");
}

static void test_expand(void **state)
{
    uint8_t secret[GW_HASH_LEN], out[255 * GW_HASH_LEN], sum[GW_HASH_LEN];

    (void)state;
    memset(secret, 0x0c, sizeof secret);
    gw_hkdf_expand(out, 42, secret, "info", 4);
    assert_hex_equal(out,
                     "39276bb2e46374fa7ab91c5258a89d6b81242c439cad9874c49be957dc850faf91872094f7f9455d2100");
    gw_hkdf_expand(out, sizeof out, secret, NULL, 0);
    gw_hash(sum, out, sizeof out, NULL, 0);
    assert_hex_equal(sum, "1d4681f7b0f4fcacf11d4e944c4dec6922edda829362855eff9f6c76ccf697b2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash), cmocka_unit_test(test_lengths), cmocka_unit_test(test_mac),
        cmocka_unit_test(test_hmac), cmocka_unit_test(test_kdf),     cmocka_unit_test(test_expand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
