/* SPDX-License-Identifier: MIT */
/* Peer IDs against those of other implementations, and base64 keys. */
#include "gateway/base/err.h"
#include "gateway/base/random.h"
#include "gateway/wire/peer_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void unhex(uint8_t out[32], const char *hex)
{
    for (size_t i = 0; i < 32; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
}

static const struct {
    const char *key, *base58, *cid;
} vectors[] = {
    /* The libp2p specification's examples (peer-ids.md): text forms, and the test key pair's public half. */
    {"2ffa35a99d3a3cfbb17bb7c1dc5561b18a8dcca4df38dc613ea859c37eb1336b",
     "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
     "bafzaajaiaejcal72gwuz2or47oyxxn6b3rkwdmmkrxgkjxzy3rqt5kczyn7lcm3l"},
    {"1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
     "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq",
     "bafzaajaiaejcahwr5d5ofrfbis4l5d6uwr57hu5tjodrypfm6yaq6dsc2r2pzyt6"},
    /* From go-multiaddr's tests. */
    {"2d3de6d16ae87f7a933fe1552162a2d3f04951e90e8051e4ee2c18f002dd0fb4",
     "12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV",
     "bafzaajaiaejcalj543iwv2d7pkjt7ykvefrkfu7qjfi6sduakhso4lay6abn2d5u"},
    /* The two ends, by Python's integers and its base32. */
    {"0000000000000000000000000000000000000000000000000000000000000000",
     "12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwiw",
     "bafzaajaiaejcaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     "12D3KooWT3gYEvLJyx1FyyHqrmvdy1tMjpgxmu9aSeKMEuafQtyC",
     "bafzaajaiaejcb777777777777777777777777777777777777777777777777777"},
};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t key[32], parsed[32];
        char text[GW_PEER_ID_STRLEN];
        unhex(key, vectors[i].key);
        assert_string_equal(gw_peer_id_format(key, text), vectors[i].base58);
        memset(parsed, 0x77, sizeof parsed);
        assert_int_equal(gw_peer_id_parse(parsed, vectors[i].base58), 0);
        assert_memory_equal(parsed, key, sizeof key);
        memset(parsed, 0x77, sizeof parsed);
        assert_int_equal(gw_peer_id_parse(parsed, vectors[i].cid), 0);
        assert_memory_equal(parsed, key, sizeof key);
    }
}

static void test_other_kinds_of_keys(void **state)
{
    (void)state;
    static const char *const others[] = {
        /* The specification's and go-multiaddr's: RSA (a SHA-256 hash) as base58 and as CIDs. */
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
        "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe",
        "bafzbeigvf25ytwc3akrijfecaotc74udrhcxzh2cx3we5qqnw5vgrei4bm",
        /* secp256k1 */
        "16Uiu2HAmPLe7Mzm8TsYUubgCAW1aJoeFScxrLj8ppHFivPo97bUZ",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        uint8_t key[32] = {1};
        assert_int_equal(gw_peer_id_parse(key, others[i]), GW_E_INVAL);
    }
}

static void test_no_peer_ids(void **state)
{
    (void)state;
    static const char *const table[] = {
        "", "1", "Qm", "b", "home", "12D3KooW",
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5S",   /* a character less */
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SAA", /* and more */
        "112D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA", /* another zero byte in front */
        "2D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",   /* none */
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU50A",  /* not in the alphabet: 0, O, I, l */
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5OA",
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5IA",
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5lA",
        " 12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA\n",
        "12d3koowd3eckifwprn9wqpmg9r9hx3sd158z7eqhwmweqaju5sa",
        "11111111111111111111111111111111111111111111111111111", /* more bytes than any */
        "16UitajdtSMbstq26TA9TfT33udocVtqscHVeMbHDGj1vfUDWPnUp", /* Ed25519, but 33 bytes */
        "12D3Lc6nDpdafH8sbL5eMo7bxFEKt9YWsVicjuq8S9ALAasreFL3",  /* key type 9 */
        "16dJXbSXenV8EFpvvzG77KvLcpm63nXispeK2CqSvGBQiUhdsbtxG", /* a multihash that says another length */
        "bafzbeiabaibqibiga4eascqlbqgq4dyqcejbgfavcylrqgi2dmob2hq7eaqq", /* SHA-256 of 33 bytes */
        /* a good one plus 2^384, for who computes in too few bits */
        "1APfNaWmCGXxjPYJHmz38d8j5t6VqAUMDke445yNCrGcGS9enjBEDsDkaXnGyLPgyy4",
        "1zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        "bafzaajaiaejcal72gwuz2or47oyxxn6b3rkwdmmkrxgkjxzy3rqt5kczyn7lcm3",
        "bafzaajaiaejcal72gwuz2or47oyxxn6b3rkwdmmkrxgkjxzy3rqt5kczyn7lcm3laa",
        "bafzaajaiaejcal72gwuz2or47oyxxn6b3rkwdmmkrxgkjxzy3rqt5kczyn7lcm31", /* no digit: 0, 1, 8, 9 */
        "bafzaajaiaejcal72gwuz2or47oyxxn6b3rkwdmmkrxgkjxzy3rqt5kczyn7lcm3L",
        "Bafzaajaiaejcal72gwuz2or47oyxxn6b3rkwdmmkrxgkjxzy3rqt5kczyn7lcm3l",
        "bafybeickencdqw37dpz3ha36ewrh4undfjt2do52chtcky4rxkj447qhdm",  /* a CID of data */
        "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxf",  /* left-over bits that are not zero */
        "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxea", /* a digit that adds none */
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t key[32];
        if (gw_peer_id_parse(key, table[i]) != GW_E_MALFORMED)
            fail_msg("parsed \"%s\"", table[i]);
    }
}

static void test_endless_text(void **state)
{
    (void)state;
    static char text[100000];
    uint8_t key[32];
    static const char firsts[] = "1Qb";
    for (size_t i = 0; i < 3; i++) {
        memset(text, firsts[i] == 'b' ? 'a' : '1', sizeof text - 1);
        text[0] = firsts[i];
        assert_int_equal(gw_peer_id_parse(key, text), GW_E_MALFORMED);
    }
}

static void random_key(struct gw_random_seeded *random, uint8_t key[32])
{
    gw_random_fill(&random->random, key, 32);
}

/* One text a key, one key a text: any other character anywhere gives another key or none. */
static void test_random_round_trips(void **state)
{
    (void)state;
    struct gw_random_seeded random;
    gw_random_seeded_init(&random, 1);
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t key[32], parsed[32];
        char text[GW_PEER_ID_STRLEN];
        random_key(&random, key);
        memset(key, 0, i % 33); /* with zeros in front, now and then */
        assert_int_equal(strlen(gw_peer_id_format(key, text)), 52);
        assert_int_equal(strncmp(text, "12D3KooW", 8), 0);
        assert_int_equal(gw_peer_id_parse(parsed, text), 0);
        assert_memory_equal(parsed, key, sizeof key);
        size_t at = gw_random_u32(&random.random) % 52;
        text[at] = text[at] == 'A' ? 'B' : 'A';
        if (gw_peer_id_parse(parsed, text) == 0)
            assert_memory_not_equal(parsed, key, sizeof key);
    }
}

static void test_base64_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *text;
    } table[] = {
        {"0000000000000000000000000000000000000000000000000000000000000000",
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
         "//////////////////////////////////////////8="},
        /* RFC 7748, 6.1: Alice's public key */
        {"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
         "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t key[32], parsed[32];
        char text[GW_KEY_BASE64_STRLEN];
        unhex(key, table[i].hex);
        assert_string_equal(gw_key_base64_format(key, text), table[i].text);
        assert_int_equal(gw_key_base64_parse(parsed, table[i].text), 0);
        assert_memory_equal(parsed, key, sizeof key);
    }
}

static void test_no_base64_keys(void **state)
{
    (void)state;
    static const char *const table[] = {
        "",
        "=",
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo",   /* no padding */
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo==", /* too much */
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmp=",  /* left-over bits that are not zero */
        "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo=",  /* the URL alphabet */
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066Spjqqb Tmo=", /* a space */
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTm =",
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n",
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmoA", /* 33 bytes */
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTg==", /* 31 bytes */
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=hSDw",
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
    };
    static const uint8_t zeros[32];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t key[32];
        memset(key, 0x77, sizeof key);
        if (gw_key_base64_parse(key, table[i]) != GW_E_MALFORMED)
            fail_msg("parsed \"%s\"", table[i]);
        assert_memory_equal(key, zeros, sizeof key);
    }
}

static void test_base64_random_round_trips(void **state)
{
    (void)state;
    struct gw_random_seeded random;
    gw_random_seeded_init(&random, 2);
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t key[32], parsed[32];
        char text[GW_KEY_BASE64_STRLEN];
        random_key(&random, key);
        assert_int_equal(strlen(gw_key_base64_format(key, text)), 44);
        assert_int_equal(gw_key_base64_parse(parsed, text), 0);
        assert_memory_equal(parsed, key, sizeof key);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_other_kinds_of_keys),
        cmocka_unit_test(test_no_peer_ids),
        cmocka_unit_test(test_endless_text),
        cmocka_unit_test(test_random_round_trips),
        cmocka_unit_test(test_base64_vectors),
        cmocka_unit_test(test_no_base64_keys),
        cmocka_unit_test(test_base64_random_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
