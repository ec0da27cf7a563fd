/* SPDX-License-Identifier: MIT */
/* Identities: libp2p's own vectors, the two forms of the file, permissions, damage, and two peer IDs of
 * one X25519 key. */
#include "folder.h"
#include "gateway/config/identity.h"
#include "gateway/config/peer_key.h"
#include "keys.h"

#include "gateway/base/err.h"

#include <sodium.h>

/* Marshalled private keys and the peer IDs that other implementations print for them: the vector of
 * libp2p's peer-ids specification, the all-zero seed of its HTTP authentication tests, and the key of
 * js-libp2p's test relay. */
static const struct {
    const char *hex, *peer_id;
} vectors[] = {
    {"080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d"
     "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
     "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"},
    {"080112400000000000000000000000000000000000000000000000000000000000000000"
     "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
     "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"},
    {"08011240821cb6bc3d4547fcccb513e82e4d718089f8a166b23ffcd4a436754b6b0774cf"
     "07447d1693cd10ce11ef950d7517bad6e9472b41a927cd17fc3fb23f8c70cd99",
     "12D3KooWAJjbRkp8FPF5MKgMU53aUTxWkqvDrs4zc1VMbwRwfsbE"},
};

static size_t from_hex(uint8_t *out, size_t room, const char *hex)
{
    size_t len;
    assert_int_equal(sodium_hex2bin(out, room, hex, strlen(hex), NULL, &len, NULL), 0);
    return len;
}

static void expect_peer_id(const struct gw_identity *identity, const char *expected)
{
    char text[GW_PEER_ID_STRLEN];
    assert_string_equal(gw_peer_id_format(identity->ed25519, text), expected);
}

static void vectors_of_libp2p(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint8_t key[68];
        char text[128];
        struct gw_identity *identity;
        assert_int_equal(from_hex(key, sizeof key, vectors[i].hex), 68);
        assert_int_equal(gw_identity_parse(&identity, key, sizeof key), 0);
        expect_peer_id(identity, vectors[i].peer_id);
        gw_identity_free(identity);
        sodium_bin2base64(text, sizeof text, key, sizeof key, sodium_base64_VARIANT_ORIGINAL);
        strcat(text, "\r\n");
        assert_int_equal(gw_identity_parse(&identity, text, strlen(text)), 0);
        expect_peer_id(identity, vectors[i].peer_id);
        gw_identity_free(identity);
    }
}

/* The X25519 key made from the secret half and the one made from the public half are one pair. */
static void x25519_is_derived_both_ways(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct gw_identity *identity;
        uint8_t from_public[32], from_secret[32];
        assert_int_equal(gw_identity_generate(&identity, gw_random_system()), 0);
        assert_true(identity->is_derived && identity->has_ed25519);
        assert_int_equal(gw_identity_x25519_of(from_public, identity->ed25519), 0);
        crypto_scalarmult_base(from_secret, identity->x25519_secret);
        assert_memory_equal(from_public, identity->x25519, 32);
        assert_memory_equal(from_secret, identity->x25519, 32);
        gw_identity_free(identity);
    }
}

static void both_signs_have_one_x25519_key(void **state)
{
    struct gw_peer_key a, b;
    const char *why;
    char text[GW_KEY_BASE64_STRLEN];
    (void)state;
    assert_int_equal(gw_peer_key_parse(&a, ID_1, &why), 0);
    assert_int_equal(gw_peer_key_parse(&b, ID_1_FLIPPED, &why), 0);
    assert_memory_equal(a.x25519, b.x25519, 32);
    assert_memory_not_equal(a.ed25519, b.ed25519, 32);
    assert_string_equal(gw_key_base64_format(a.x25519, text), KEY_1);
}

static void old_form_with_two_public_halves(void **state)
{
    uint8_t key[100];
    struct gw_identity *identity;
    (void)state;
    from_hex(key, sizeof key, vectors[0].hex);
    key[3] = 0x60;
    memcpy(key + 68, key + 36, 32);
    assert_int_equal(gw_identity_parse(&identity, key, sizeof key), 0);
    expect_peer_id(identity, vectors[0].peer_id);
    gw_identity_free(identity);
    key[99] ^= 1;
    assert_int_equal(gw_identity_parse(&identity, key, sizeof key), GW_E_MALFORMED);
}

static void damage_is_seen(void **state)
{
    uint8_t key[68];
    struct gw_identity *identity;
    (void)state;
    from_hex(key, sizeof key, vectors[0].hex);
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] ^= 4;
        assert_int_equal(gw_identity_parse(&identity, key, sizeof key), GW_E_MALFORMED);
        assert_null(identity);
        key[i] ^= 4;
    }
    for (size_t len = 0; len < sizeof key; len++)
        assert_int_equal(gw_identity_parse(&identity, key, len), GW_E_MALFORMED);
    assert_int_equal(gw_identity_parse(&identity, "hello\n", 6), GW_E_MALFORMED);
}

static void saved_and_loaded(void **state)
{
    struct folder folder;
    struct gw_identity *made, *loaded;
    struct gw_diag diag = {0};
    char path[FILE_LEN];
    struct stat st;
    (void)state;
    folder_make(&folder);
    folder_file(&folder, "identity.key", path);
    assert_int_equal(gw_identity_generate(&made, gw_random_system()), 0);
    assert_int_equal(gw_identity_save_new(made, path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 93);
    assert_int_equal(gw_identity_load(&loaded, path, &diag), 0);
    assert_memory_equal(made, loaded, sizeof *made);
    assert_int_equal(gw_identity_save_new(made, path), -EEXIST);
    assert_int_equal(folder_count(&folder), 1);
    gw_identity_free(made);
    gw_identity_free(loaded);
    folder_remove(&folder);
}

/* What stands behind the path in the message; with a path behind that when it is a chmod. */
static void expect_refusal(const char *path, int err, const char *message, bool has_path)
{
    struct gw_diag diag = {0};
    struct gw_identity *identity;
    char expected[FILE_LEN * 3];
    assert_int_equal(gw_identity_load(&identity, path, &diag), err);
    assert_null(identity);
    assert_int_equal(diag.errors, 1);
    snprintf(expected, sizeof expected, "%s: %s%s", path, message, has_path ? path : "");
    assert_string_equal(diag.entries[0].text, expected);
    gw_diag_clear(&diag);
}

static void what_is_refused(void **state)
{
    static const struct {
        mode_t mode;
        const char *message;
    } modes[] = {
        {0640, "others may read this file (mode 0640): chmod 600 "},
        {0644, "others may read this file (mode 0644): chmod 600 "},
        {0604, "others may read this file (mode 0604): chmod 600 "},
        {0620, "others may change this file (mode 0620): chmod 600 "},
        {0602, "others may change this file (mode 0602): chmod 600 "},
    };
    struct folder folder;
    char path[FILE_LEN], expected[FILE_LEN];
    (void)state;
    folder_make(&folder);
    folder_file(&folder, "identity.key", path);
    expect_refusal(path, -ENOENT, "there is no identity yet; `peergate init` makes one", false);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        file_write(path, "x", 1, modes[i].mode);
        expect_refusal(path, GW_E_PERMISSION, modes[i].message, true);
    }
    file_write(path, "x", 1, 0600);
    expect_refusal(
        path, GW_E_MALFORMED,
        "not an Ed25519 identity: expected the line that `peergate init` writes, or libp2p's private key",
        false);
    assert_int_equal(chmod(folder.path, 0777), 0);
    struct gw_diag diag = {0};
    struct gw_identity *identity;
    assert_int_equal(gw_identity_load(&identity, path, &diag), GW_E_PERMISSION);
    snprintf(expected, sizeof expected,
             "%s: others may change what is in this folder (mode 0777): chmod go-w %s", folder.path,
             folder.path);
    assert_string_equal(diag.entries[0].text, expected);
    gw_diag_clear(&diag);
    expect_refusal("/tmp", -EISDIR, "Is a directory", false);
    expect_refusal("/dev/null", GW_E_INVAL, "not a file", false);
    folder_remove(&folder);
}

static void a_bare_key_has_no_peer_id(void **state)
{
    uint8_t secret[32] = {1, 2, 3}, expected[32];
    struct gw_identity *identity;
    (void)state;
    crypto_scalarmult_base(expected, secret);
    assert_int_equal(gw_identity_from_x25519(&identity, secret), 0);
    assert_false(identity->has_ed25519);
    assert_false(identity->is_derived);
    assert_memory_equal(identity->x25519, expected, 32);
    gw_identity_free(identity);
    gw_identity_free(NULL);
}

/* Text, and the beginning of why it is refused (NULL: no reason is needed). */
static const struct {
    const char *text;
    int err;
    const char *why;
} bad_keys[] = {
    {"", GW_E_MALFORMED, NULL},
    {"12D3KooW", GW_E_MALFORMED, NULL},
    {"hello", GW_E_MALFORMED, NULL},
    {"QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC", GW_E_INVAL, "a peer ID of another kind of key"},
    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", GW_E_INVAL,
     "this key is refused: a point of small order"},
    {"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", GW_E_INVAL,
     "this key is refused: a point of small order"},
    {"4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=", GW_E_INVAL,
     "this key is refused: a point of small order"},
    {"X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc=", GW_E_INVAL,
     "this key is refused: a point of small order"},
    {"7P///////////////////////////////////////38=", GW_E_INVAL,
     "this key is refused: a point of small order"},
    {"7f///////////////////////////////////////38=", GW_E_INVAL, "this key is refused: not an X25519"},
    {"7v///////////////////////////////////////38=", GW_E_INVAL, "this key is refused: not an X25519"},
    {"//////////////////////////////////////////8=", GW_E_INVAL, "this key is refused: not an X25519"},
    {"GxtY3VDqFLYNoXt5DNAnVNlwybq4ZOuzwPMBb+UdP9c=", GW_E_INVAL,
     "this key is refused: not an X25519"}, /* KEY_1 with the top bit set */
};

static void keys_that_cannot_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_keys / sizeof *bad_keys; i++) {
        struct gw_peer_key key;
        const char *why;
        assert_int_equal(gw_peer_key_parse(&key, bad_keys[i].text, &why), bad_keys[i].err);
        if (!bad_keys[i].why)
            assert_null(why);
        else
            assert_int_equal(strncmp(why, bad_keys[i].why, strlen(bad_keys[i].why)), 0);
    }
}

/* The neutral element, and a y that is on no curve. */
static void peer_ids_that_cannot_be(void **state)
{
    static const uint8_t points[][32] = {{1}, {2}, {0}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct gw_peer_key key;
        char text[GW_PEER_ID_STRLEN];
        const char *why;
        assert_int_equal(gw_peer_key_parse(&key, gw_peer_id_format(points[i], text), &why), GW_E_INVAL);
        assert_non_null(strstr(why, "refused"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_libp2p),
        cmocka_unit_test(x25519_is_derived_both_ways),
        cmocka_unit_test(both_signs_have_one_x25519_key),
        cmocka_unit_test(old_form_with_two_public_halves),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(saved_and_loaded),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_bare_key_has_no_peer_id),
        cmocka_unit_test(keys_that_cannot_be),
        cmocka_unit_test(peer_ids_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
