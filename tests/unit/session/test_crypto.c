/* SPDX-License-Identifier: MIT */
/* The real primitives against published vectors: RFC 7748, RFC 8439, draft-irtf-cfrg-aegis-aead (256-bit tags),
 * draft-irtf-cfrg-xchacha. */
#include "gateway/session/chacha.h"
#include "gateway/session/crypto.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "hex.h"

#define BYTES_00_1F "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define BYTES_00_29 BYTES_00_1F "20212223242526272829"
#define BYTES_10_37 "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
#define ZEROS_14 "0000000000000000000000000000"
#define ZEROS_16 ZEROS_14 "0000"
#define KEY_A "1001" ZEROS_14
#define KEY_B "10000200000000000000000000000000"
#define SUNSCREEN                                                                                            \
    "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c" \
    "64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20" \
    "776f756c642062652069742e"

#define DRAFTS                                                                                               \
    "496e7465726e65742d4472616674732061726520647261667420646f63756d656e74732076616c696420666f722061206d6178" \
    "696d756d206f6620736978206d6f6e74687320616e64206d617920626520757064617465642c207265706c616365642c206f72" \
    "206f62736f6c65746564206279206f7468657220646f63756d656e747320617420616e792074696d652e20497420697320696e" \
    "617070726f70726961746520746f2075736520496e7465726e65742d447261667473206173207265666572656e6365206d6174" \
    "657269616c206f7220746f2063697465207468656d206f74686572207468616e206173202fe2809c776f726b20696e2070726f" \
    "67726573732e2fe2809d"

#define A5_KEY "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"
#define A5_SEALED                                                                                            \
    "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b7" \
    "3c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0" \
    "ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee2" \
    "82a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd6" \
    "3159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c" \
    "29a6ad5cb4022b02709b"

struct aead_vector {
    enum gw_suite suite;
    bool is_good; /* else the tag must be refused */
    const char *key, *nonce, *ad, *plain, *sealed, *tag;
};

static const struct aead_vector vectors[] = {
    /* RFC 8439, 2.8.2 */
    {GW_SUITE_CHACHA20_POLY1305, true, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7", SUNSCREEN,
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de"
     "0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b"
     "7a9de576d26586cec64b6116",
     "1ae10b594f09e26a7e902ecbd0600691"},
    /* RFC 8439, A.5, and with the last bit of its tag turned */
    {GW_SUITE_CHACHA20_POLY1305, true, A5_KEY, "000000000102030405060708", "f33388860000000000004e91", DRAFTS,
     A5_SEALED, "eead9d67890cbb22392336fea1851f38"},
    {GW_SUITE_CHACHA20_POLY1305, false, A5_KEY, "000000000102030405060708", "f33388860000000000004e91", "",
     A5_SEALED, "eead9d67890cbb22392336fea1851f39"},
    /* AEGIS-128L, test vectors 1 to 9 */
    {GW_SUITE_AEGIS128L, true, KEY_A, KEY_B, "", ZEROS_16, "c1c0e58bd913006feba00f4b3cc3594e",
     "25835bfbb21632176cf03840687cb968cace4617af1bd0f7d064c639a5c79ee4"},
    {GW_SUITE_AEGIS128L, true, KEY_A, KEY_B, "", "", "",
     "1360dc9db8ae42455f6e5b6a9d488ea4f2184c4e12120249335c4ee84bafe25d"},
    {GW_SUITE_AEGIS128L, true, KEY_A, KEY_B, "0001020304050607", BYTES_00_1F,
     "79d94593d8c2119d7e8fd9b8fc77845c5c077a05b2528b6ac54b563aed8efe84",
     "022cb796fe7e0ae1197525ff67e309484cfbab6528ddef89f17d74ef8ecd82b3"},
    {GW_SUITE_AEGIS128L, true, KEY_A, KEY_B, "0001020304050607", "000102030405060708090a0b0c0d",
     "79d94593d8c2119d7e8fd9b8fc77", "86f1b80bfb463aba711d15405d094baf4a55a15dbfec81a76f35ed0b9c8b04ac"},
    {GW_SUITE_AEGIS128L, true, KEY_A, KEY_B, BYTES_00_29, BYTES_10_37,
     "b31052ad1cca4e291abcf2df3502e6bdb1bfd6db36798be3607b1f94d34478aa7ede7f7a990fec10",
     "b91e2947a33da8bee89b6794e647baf0fc835ff574aca3fc27c33be0db2aff98"},
    {GW_SUITE_AEGIS128L, false, KEY_B, KEY_A, "0001020304050607", "", "79d94593d8c2119d7e8fd9b8fc77",
     "86f1b80bfb463aba711d15405d094baf4a55a15dbfec81a76f35ed0b9c8b04ac"},
    {GW_SUITE_AEGIS128L, false, KEY_A, KEY_B, "0001020304050607", "", "79d94593d8c2119d7e8fd9b8fc78",
     "86f1b80bfb463aba711d15405d094baf4a55a15dbfec81a76f35ed0b9c8b04ac"},
    {GW_SUITE_AEGIS128L, false, KEY_A, KEY_B, "0001020304050608", "", "79d94593d8c2119d7e8fd9b8fc77",
     "86f1b80bfb463aba711d15405d094baf4a55a15dbfec81a76f35ed0b9c8b04ac"},
    {GW_SUITE_AEGIS128L, false, KEY_A, KEY_B, "0001020304050607", "", "79d94593d8c2119d7e8fd9b8fc77",
     "86f1b80bfb463aba711d15405d094baf4a55a15dbfec81a76f35ed0b9c8b04ad"},
    /* AEGIS-256, test vectors 1 to 4 */
    {GW_SUITE_AEGIS256, true, KEY_A ZEROS_16, KEY_B ZEROS_16, "", ZEROS_16,
     "754fc3d8c973246dcc6d741412a4b236", "1181a1d18091082bf0266f66297d167d2e68b845f61a3b0527d31fc7b7b89f13"},
    {GW_SUITE_AEGIS256, true, KEY_A ZEROS_16, KEY_B ZEROS_16, "", "", "",
     "6a348c930adbd654896e1666aad67de989ea75ebaa2b82fb588977b1ffec864a"},
    {GW_SUITE_AEGIS256, true, KEY_A ZEROS_16, KEY_B ZEROS_16, "0001020304050607", BYTES_00_1F,
     "f373079ed84b2709faee373584585d60accd191db310ef5d8b11833df9dec711",
     "b7d28d0c3c0ebd409fd22b44160503073a547412da0854bfb9723020dab8da1a"},
    {GW_SUITE_AEGIS256, true, KEY_A ZEROS_16, KEY_B ZEROS_16, "0001020304050607",
     "000102030405060708090a0b0c0d", "f373079ed84b2709faee37358458",
     "8c1cc703c81281bee3f6d9966e14948b4a175b2efbdc31e61a98b4465235c2d9"},
    {GW_SUITE_AEGIS256, false, KEY_A ZEROS_16, KEY_B ZEROS_16, "0001020304050607", "",
     "f373079ed84b2709faee37358458", "8c1cc703c81281bee3f6d9966e14948b4a175b2efbdc31e61a98b4465235c2da"},
};

static void check_seal(const struct gw_aead *aead, const struct aead_vector *v)
{
    uint8_t key[32], nonce[32], ad[64], data[320], tag[32];
    const size_t ad_len = unhex(v->ad, ad), len = unhex(v->plain, data);

    assert_int_equal(unhex(v->key, key), aead->key_len);
    assert_int_equal(unhex(v->nonce, nonce), aead->nonce_len);
    assert_int_equal(strlen(v->tag) / 2, aead->tag_len);
    aead->seal(data, tag, data, len, ad, ad_len, nonce, key);
    assert_hex_equal(data, v->sealed);
    assert_hex_equal(tag, v->tag);
}

static void check_open(const struct gw_aead *aead, const struct aead_vector *v)
{
    uint8_t key[32], nonce[32], ad[64], data[320], tag[32];
    const size_t ad_len = unhex(v->ad, ad), len = unhex(v->sealed, data);

    unhex(v->key, key);
    unhex(v->nonce, nonce);
    unhex(v->tag, tag);
    assert_int_equal(aead->open(data, data, len, tag, ad, ad_len, nonce, key), v->is_good);
    if (v->is_good)
        assert_hex_equal(data, v->plain);
}

static void test_aeads(void **state)
{
    const struct gw_crypto *crypto = gw_crypto_system();

    (void)state;
    assert_non_null(crypto);
    for (unsigned i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        if (vectors[i].is_good)
            check_seal(&crypto->aead[vectors[i].suite], &vectors[i]);
        check_open(&crypto->aead[vectors[i].suite], &vectors[i]);
    }
}

static void test_xchacha(void **state)
{
    const struct gw_crypto *crypto = gw_crypto_system();
    uint8_t key[32], nonce[24], ad[12], plain[114], sealed[130], opened[114];

    (void)state;
    unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", key);
    unhex("404142434445464748494a4b4c4d4e4f5051525354555657", nonce);
    unhex("50515253c0c1c2c3c4c5c6c7", ad);
    unhex(SUNSCREEN, plain);
    crypto->xseal(sealed, plain, sizeof plain, ad, sizeof ad, nonce, key);
    assert_hex_equal(sealed, "bd6d179d3e83d43b9576579493c0e939");
    assert_hex_equal(sealed + 114, "c0875924c1c7987947deafd8780acf49");
    assert_true(crypto->xopen(opened, sealed, sizeof sealed, ad, sizeof ad, nonce, key));
    assert_memory_equal(opened, plain, sizeof plain);
    sealed[129] ^= 1;
    assert_false(crypto->xopen(opened, sealed, sizeof sealed, ad, sizeof ad, nonce, key));
}

static void test_x25519(void **state)
{
    const struct gw_crypto *crypto = gw_crypto_system();
    uint8_t secret[32], public_key[32], out[32];

    (void)state;
    unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", secret);
    unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", public_key);
    assert_true(crypto->dh(out, secret, public_key));
    assert_hex_equal(out, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    /* 6.1: Alice's public key */
    unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", secret);
    crypto->dh_public(out, secret);
    assert_hex_equal(out, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
}

/* The points whose order divides 8, and their other spellings: every DH with them is 0. */
static void test_small_order(void **state)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    const struct gw_crypto *crypto = gw_crypto_system();
    uint8_t secret[32] = {8, 1, 2}, point[32], out[32];

    (void)state;
    for (unsigned i = 0; i < sizeof points / sizeof points[0]; i++) {
        unhex(points[i], point);
        assert_false(crypto->dh(out, secret, point));
    }
}

static void test_fast_suites(void **state)
{
    const struct gw_crypto *crypto = gw_crypto_system();

    (void)state;
    assert_ptr_equal(crypto, gw_crypto_system());
    assert_int_equal(crypto->fast_suites & GW_SUITE_BIT(GW_SUITE_CHACHA20_POLY1305), 0);
    assert_true(crypto->fast_suites < GW_SUITE_BIT(GW_SUITE_COUNT));
}

/* Whichever way a length goes, it is libsodium's result: in place and not, and nothing behind the message is touched. */
static void test_chacha(void **state)
{
    const struct gw_aead *aead = &gw_crypto_system()->aead[GW_SUITE_CHACHA20_POLY1305];
    static uint8_t plain[4200], expected[4200], sealed[4200], opened[4200];
    uint8_t key[32], nonce[12], tag[16], expected_tag[16];
    unsigned ways[2] = {0};
    (void)state;
    for (size_t len = 0; len <= 4150; len += len < 2100 ? 1 : 7) {
        randombytes_buf(plain, sizeof plain);
        randombytes_buf(key, sizeof key);
        randombytes_buf(nonce, sizeof nonce);
        memset(sealed, 0xee, sizeof sealed);
        ways[gw_chacha_is_better(len)]++;
        crypto_aead_chacha20poly1305_ietf_encrypt_detached(expected, expected_tag, NULL, plain, len, NULL, 0,
                                                           NULL, nonce, key);
        aead->seal(sealed, tag, plain, len, NULL, 0, nonce, key);
        assert_memory_equal(sealed, expected, len);
        assert_memory_equal(tag, expected_tag, sizeof tag);
        assert_int_equal(sealed[len], 0xee);
        memset(opened, 0xee, sizeof opened);
        assert_true(aead->open(opened, sealed, len, tag, NULL, 0, nonce, key));
        assert_memory_equal(opened, plain, len);
        assert_int_equal(opened[len], 0xee);
        if (len > 0)
            sealed[len * 5 / 7] ^= 1;
        else
            tag[0] ^= 1;
        assert_false(aead->open(opened, sealed, len, tag, NULL, 0, nonce, key));
        memcpy(sealed, expected, len);
        memcpy(tag, expected_tag, sizeof tag);
        assert_true(aead->open(sealed, sealed, len, tag, NULL, 0, nonce, key));
        assert_memory_equal(sealed, plain, len);
        aead->seal(sealed, tag, sealed, len, NULL, 0, nonce, key);
        assert_memory_equal(sealed, expected, len);
        assert_memory_equal(tag, expected_tag, sizeof tag);
        tag[15] ^= 128;
        assert_false(aead->open(sealed, sealed, len, tag, NULL, 0, nonce, key));
    }
    assert_true(ways[0] > 100 && (!sodium_runtime_has_avx2() || ways[1] > 100));
}

/* The composed one by itself, whatever this machine's libsodium would take: each length from its shortest on. */
static void test_composed_chacha(void **state)
{
    static uint8_t plain[1700], expected[1700], text[1700];
    uint8_t key[32], nonce[12], tag[16], expected_tag[16];
    (void)state;
    randombytes_buf(plain, sizeof plain);
    randombytes_buf(key, sizeof key);
    randombytes_buf(nonce, sizeof nonce);
    for (size_t len = GW_CHACHA_MIN; len < 1650; len++) {
        crypto_aead_chacha20poly1305_ietf_encrypt_detached(expected, expected_tag, NULL, plain, len, NULL, 0,
                                                           NULL, nonce, key);
        memcpy(text, plain, sizeof text);
        gw_chacha_seal(text, tag, text, len, nonce, key);
        assert_memory_equal(text, expected, len);
        assert_memory_equal(text + len, plain + len, sizeof text - len);
        assert_memory_equal(tag, expected_tag, sizeof tag);
        for (unsigned bit = 0; bit < 128; bit += 1 + (unsigned)(len % 31)) {
            tag[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(gw_chacha_open(text, text, len, tag, nonce, key));
            tag[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_memory_equal(text, expected, len); /* nothing unproven was let out */
        text[len - 1] ^= 1;
        assert_false(gw_chacha_open(text, text, len, tag, nonce, key));
        text[len - 1] ^= 1;
        assert_true(gw_chacha_open(text, text, len, tag, nonce, key));
        assert_memory_equal(text, plain, sizeof text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aeads),           cmocka_unit_test(test_xchacha),
        cmocka_unit_test(test_x25519),          cmocka_unit_test(test_chacha),
        cmocka_unit_test(test_composed_chacha), cmocka_unit_test(test_small_order),
        cmocka_unit_test(test_fast_suites),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
