/* SPDX-License-Identifier: MIT */
/* The tiers over two real gateways in two networks. */
#include "gateway/base/err.h"
#include "gateway/wire/peer_id.h"
#include "resolver/name.h"
#include "resolver/names_tier.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct gw_gateway_events events;
static struct gw_flow_budget budget = {.limit = 1 << 20};
static struct gateway *demo, *work;
static struct gw_peer *home, *box, *elsewhere;
static struct gw_resolver *resolver;
static uint8_t home_ed25519[32], home_key[32], box_key[32], elsewhere_key[32];

static struct gw_wall read_wall(struct gw_wallclock *self)
{
    (void)self;
    return (struct gw_wall){1800000000, 0};
}
static struct gw_wallclock wallclock = {read_wall};

static struct gateway *new_gateway(void)
{
    struct gateway *gateway;
    struct gw_gateway_params params = {.crypto = gw_crypto_system(),
                                       .random = gw_random_system(),
                                       .wallclock = &wallclock,
                                       .budget = &budget,
                                       .events = &events,
                                       .hostname = "me"};
    gw_random_fill(gw_random_system(), params.secret, sizeof params.secret);
    assert_int_equal(gw_gateway_new(&gateway, &params, (struct gw_mono){GW_S(1)}), 0);
    return gateway;
}

static struct gw_peer *add_peer(struct gateway *gateway, const char *name, const char *ip,
                                uint8_t ed25519[32], uint8_t key[32])
{
    struct gw_peer *peer;
    uint8_t secret[64], public_key[32];
    struct gw_peer_config config = {.allowed_ip_count = 1};
    assert_int_equal(crypto_sign_keypair(public_key, secret), 0);
    assert_int_equal(crypto_sign_ed25519_pk_to_curve25519(key, public_key), 0);
    if (ed25519)
        memcpy(ed25519, public_key, 32);
    snprintf(config.name, sizeof config.name, "%s", name);
    memcpy(config.public_key, key, 32);
    assert_int_equal(gw_addr_parse_ip(&config.allowed_ips[0].ip, ip, 0), 0);
    config.allowed_ips[0].bits = 32;
    assert_int_equal(gw_gateway_add_peer(gateway, (struct gw_mono){GW_S(1)}, &config, &peer), 0);
    return peer;
}

static int setup(void **state)
{
    (void)state;
    demo = new_gateway();
    work = new_gateway();
    home = add_peer(demo, "Home", "10.64.0.2", home_ed25519, home_key);
    box = add_peer(work, "box", "10.65.0.2", NULL, box_key);
    elsewhere = add_peer(work, "home", "10.65.0.3", NULL, elsewhere_key);
    resolver = gw_resolver_new();
    assert_int_equal(gw_resolver_add_gateway(resolver, demo, "demo", "laptop"), 0);
    assert_int_equal(gw_resolver_add_gateway(resolver, work, "Work", "desk"), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_resolver_free(resolver);
    gw_gateway_free(demo, (struct gw_mono){GW_S(2)});
    gw_gateway_free(work, (struct gw_mono){GW_S(2)});
    return 0;
}

static void keep(const struct gw_answer *answer, void *ctx)
{
    *(struct gw_answer *)ctx = *answer;
}

static struct gw_answer lookup(const char *name)
{
    struct gw_answer answer = {.err = 1};
    gw_resolver_lookup(resolver, name, keep, &answer);
    return answer;
}

static void test_peers(void **state)
{
    const struct {
        const char *name;
        struct gw_peer *peer;
        const char *service, *canonical;
    } cases[] = {
        {"home", home, "", "home.demo.p2p"},
        {"HOME.demo", home, "", "home.demo.p2p"},
        {"home.demo.p2p.", home, "", "home.demo.p2p"},
        {"home.work", elsewhere, "", "home.work.p2p"},
        {"box", box, "", "box.work.p2p"},
        {"ssh.home.demo", home, "ssh", "home.demo.p2p"},
        {"my_web.box.work.p2p", box, "my_web", "box.work.p2p"},
        {"home.p2p", home, "", "home.demo.p2p"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gw_answer answer = lookup(cases[i].name);
        assert_int_equal(answer.err, 0);
        assert_ptr_equal(answer.peer, cases[i].peer);
        assert_ptr_equal(answer.gateway, gw_peer_gateway(cases[i].peer));
        assert_string_equal(answer.service, cases[i].service);
        assert_string_equal(answer.canonical, cases[i].canonical);
        assert_string_equal(answer.tier, "peers");
        assert_true(gw_resolver_is_ours(resolver, cases[i].name));
    }
}

static void test_unknown(void **state)
{
    static const struct {
        const char *name;
        int err;
        bool is_ours;
    } cases[] = {
        {"nobody", GW_E_UNKNOWN, false},
        {"nobody.demo", GW_E_UNKNOWN, true},
        {"home.other", GW_E_UNKNOWN, false},
        {"home.other.p2p", GW_E_UNKNOWN, true},
        {"www.example.com", GW_E_UNKNOWN, false},
        {"a.ssh.home.demo", GW_E_UNKNOWN, true},
        {"ssh.home", GW_E_UNKNOWN, false},
        {"demo", GW_E_UNKNOWN, false},
        {"", GW_E_MALFORMED, false},
        {"ho me.demo", GW_E_MALFORMED, false},
        {"127.0.0.1", GW_E_UNKNOWN, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (lookup(cases[i].name).err != cases[i].err ||
            gw_resolver_is_ours(resolver, cases[i].name) != cases[i].is_ours)
            fail_msg("%s", cases[i].name);
    }
}

static void test_self(void **state)
{
    (void)state;
    static const char *const names[] = {"laptop", "Laptop.demo", "web.laptop.demo.p2p"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct gw_answer answer = lookup(names[i]);
        assert_int_equal(answer.err, 0);
        assert_null(answer.peer);
        assert_ptr_equal(answer.gateway, demo);
        assert_string_equal(answer.tier, "self");
        assert_string_equal(answer.canonical, "laptop.demo.p2p");
        assert_string_equal(answer.service, i == 2 ? "web" : "");
    }
    assert_ptr_equal(lookup("desk").gateway, work);
    assert_int_equal(lookup("laptop.work").err, GW_E_UNKNOWN);
}

static void test_peer_id(void **state)
{
    char id[GW_PEER_ID_STRLEN], name[128];
    uint8_t stranger[32] = {9};
    (void)state;
    gw_peer_id_format(home_ed25519, id);
    struct gw_answer answer = lookup(id);
    assert_int_equal(answer.err, 0);
    assert_ptr_equal(answer.peer, home);
    assert_string_equal(answer.tier, "peer-id");
    snprintf(name, sizeof name, "%s.p2p", id);
    assert_string_equal(answer.canonical, name);
    snprintf(name, sizeof name, "web.%s.p2p", id);
    answer = lookup(name);
    assert_int_equal(answer.err, 0);
    assert_ptr_equal(answer.peer, home);
    assert_string_equal(answer.service, "web");
    snprintf(name, sizeof name, "a.web.%s.p2p", id);
    assert_int_equal(lookup(name).err, GW_E_UNKNOWN);
    /* The other peer ID of the same key is the same peer. */
    home_ed25519[31] ^= 0x80;
    gw_peer_id_format(home_ed25519, id);
    home_ed25519[31] ^= 0x80;
    assert_ptr_equal(lookup(id).peer, home);
    gw_peer_id_format(stranger, id);
    assert_int_equal(lookup(id).err, GW_E_UNKNOWN);
    assert_true(gw_resolver_is_ours(resolver, id));
}

static void test_names_tier(void **state)
{
    struct gw_names_tier *names = gw_names_tier_new(resolver);
    struct gw_names_entry entries[6] = {
        {.host = "nas", .network = "", .service = ""},
        {.host = "files", .network = "", .service = "smb"},
        {.host = "home", .network = "work", .service = ""},
        {.host = "pal", .network = "friends", .service = ""},
        {.host = "laptop", .network = "demo", .service = ""},
        {.host = "gone", .network = "", .service = ""},
    };
    size_t bad = 99;
    (void)state;
    memcpy(entries[0].public_key, home_key, 32);
    memcpy(entries[1].public_key, box_key, 32);
    memcpy(entries[2].public_key, home_key, 32);
    memcpy(entries[3].public_key, box_key, 32);
    memcpy(entries[4].public_key, box_key, 32);
    gw_resolver_add_tier(resolver, gw_names_tier_of(names));
    assert_int_equal(gw_names_tier_set(names, entries, 6, &bad), 0);

    assert_ptr_equal(lookup("nas").peer, home);
    assert_string_equal(lookup("nas").tier, "names.yaml");
    assert_string_equal(lookup("nas").canonical, "nas.demo.p2p");
    assert_ptr_equal(lookup("nas.demo").peer, home);
    /* In each network that has the peer, and in no other. */
    assert_int_equal(lookup("nas.work.p2p").err, GW_E_UNKNOWN);
    /* It takes no name from the world. */
    assert_int_equal(lookup("nas.com").err, GW_E_UNKNOWN);
    assert_false(gw_resolver_is_ours(resolver, "nas.com"));
    assert_false(gw_resolver_is_ours(resolver, "www.nas.com"));
    assert_string_equal(lookup("files").service, "smb");
    assert_string_equal(lookup("ssh.files.work").service, "ssh");
    /* The owner's names go before the peers' own, and before ours. */
    assert_ptr_equal(lookup("home.work").peer, home);
    assert_ptr_equal(lookup("laptop").peer, box);
    /* A network that only the file knows. */
    assert_ptr_equal(lookup("pal.friends").peer, box);
    assert_ptr_equal(lookup("pal").peer, box);
    assert_true(gw_resolver_is_ours(resolver, "pal.friends"));
    assert_int_equal(lookup("pal.demo").err, GW_E_UNKNOWN);
    /* A key that no gateway has. */
    assert_int_equal(lookup("gone").err, GW_E_UNKNOWN);

    entries[1].host = "two.labels";
    assert_int_equal(gw_names_tier_set(names, entries, 2, &bad), GW_E_INVAL);
    assert_int_equal(bad, 1);
    assert_ptr_equal(lookup("nas").peer, home);
    assert_int_equal(gw_names_tier_set(names, NULL, 0, &bad), 0);
    assert_int_equal(lookup("nas").err, GW_E_UNKNOWN);
    assert_null(lookup("laptop").peer);
    /* The tier is borrowed: let go of the resolver first. */
    gw_resolver_free(resolver);
    gw_names_tier_free(names);
    resolver = gw_resolver_new();
}

static size_t also(const char *name, char out[4][256])
{
    struct gw_answer answer = lookup(name);
    return gw_resolver_also(resolver, name, &answer, out, 4);
}

/* One name in two networks: the first has it, and the other can be told. */
static void test_ambiguous(void **state)
{
    char others[4][256];
    (void)state;
    assert_int_equal(also("home", others), 1);
    assert_string_equal(others[0], "home.work.p2p");
    assert_int_equal(also("HOME.p2p", others), 1);
    assert_int_equal(also("home.demo", others), 0);
    assert_int_equal(also("home.work.p2p", others), 0);
    assert_int_equal(also("box", others), 0);
    assert_int_equal(also("laptop", others), 0);
    assert_int_equal(also("nobody", others), 0);
    /* Our own name there, a peer's here. */
    gw_resolver_remove_gateway(resolver, work);
    assert_int_equal(gw_resolver_add_gateway(resolver, work, "Work", "home"), 0);
    assert_null(lookup("home").peer); /* what we are called goes before what peers are */
    assert_ptr_equal(lookup("home").gateway, work);
    assert_int_equal(also("home", others), 1);
    assert_string_equal(others[0], "home.demo.p2p");
}

/* One key in both networks: a name says which of the two peers is meant. */
static void test_one_key_in_both(void **state)
{
    struct gw_names_tier *names = gw_names_tier_new(resolver);
    struct gw_names_entry entries[2] = {{.host = "nas", .network = "", .service = ""},
                                        {.host = "disk", .network = "work", .service = ""}};
    struct gw_peer_config config = {.name = "twin"};
    struct gw_peer *twin;
    char others[4][256];
    size_t bad;
    (void)state;
    memcpy(config.public_key, home_key, 32);
    assert_int_equal(gw_gateway_add_peer(work, (struct gw_mono){GW_S(1)}, &config, &twin), 0);
    memcpy(entries[0].public_key, home_key, 32);
    memcpy(entries[1].public_key, home_key, 32);
    gw_resolver_add_tier(resolver, gw_names_tier_of(names));
    assert_int_equal(gw_names_tier_set(names, entries, 2, &bad), 0);
    assert_ptr_equal(lookup("nas").peer, home);
    assert_ptr_equal(lookup("nas.demo").peer, home);
    assert_ptr_equal(lookup("nas.work").peer, twin);
    assert_int_equal(also("nas", others), 1);
    assert_string_equal(others[0], "nas.work.p2p");
    assert_ptr_equal(lookup("disk").peer, twin);
    assert_ptr_equal(lookup("disk.work").peer, twin);
    assert_int_equal(lookup("disk.demo").err, GW_E_UNKNOWN);
    gw_resolver_free(resolver);
    gw_names_tier_free(names);
    resolver = gw_resolver_new();
}

/* Equal ranges: the address on this machine says which network is meant. */
static void test_given_addresses(void **state)
{
    struct gw_vip_space *space = gw_vip_space_new();
    struct gw_vip_params params = {.space = space, .own_key = {1}};
    struct gw_vip *vips[2];
    struct gw_addr theirs;
    const struct gw_vip_entry *entry;
    struct gw_answer answer;
    (void)state;
    assert_int_equal(gw_addr_parse_ip(&params.range.ip, "10.64.0.0", 0), 0);
    assert_int_equal(gw_addr_parse_ip(&params.local_range.ip, "127.64.0.0", 0), 0);
    params.range.bits = params.local_range.bits = 16;
    params.gateway = demo;
    vips[0] = gw_vip_new(&params);
    params.gateway = work;
    params.alias_range = params.range;
    params.alias_range.ip.ip[1] = 66;
    vips[1] = gw_vip_new(&params);
    gw_resolver_set_addresses(resolver, space);
    assert_int_equal(gw_addr_parse_ip(&theirs, "10.64.0.2", 0), 0);
    assert_int_equal(gw_vip_assign(vips[0], home_key, &theirs, &entry), 0);
    assert_true(gw_resolver_find_address(resolver, &entry->ipv4, &answer));
    assert_ptr_equal(answer.peer, home);
    assert_int_equal(gw_vip_assign(vips[1], elsewhere_key, &theirs, &entry), 0);
    theirs = entry->ipv4;
    theirs.port = 80;
    assert_int_equal(theirs.ip[1], 66);
    assert_true(gw_resolver_find_address(resolver, &theirs, &answer));
    assert_ptr_equal(answer.peer, elsewhere);
    assert_ptr_equal(answer.gateway, work);
    assert_string_equal(answer.canonical, "home.work.p2p");
    /* Ours, or of nobody who is still there: as before. */
    assert_false(gw_resolver_find_address(resolver, &gw_vip_own(vips[1])->ipv4, &answer));
    gw_gateway_remove_peer(work, (struct gw_mono){GW_S(1)}, elsewhere);
    assert_false(gw_resolver_find_address(resolver, &theirs, &answer));
    gw_resolver_set_addresses(resolver, NULL);
    gw_vip_free(vips[0]);
    gw_vip_free(vips[1]);
    gw_vip_space_free(space);
}

static void test_addresses(void **state)
{
    struct gw_answer answer;
    struct gw_addr ip;
    (void)state;
    assert_int_equal(gw_addr_parse_ip(&ip, "10.65.0.2", 80), 0);
    assert_true(gw_resolver_find_address(resolver, &ip, &answer));
    assert_ptr_equal(answer.peer, box);
    assert_string_equal(answer.canonical, "box.work.p2p");
    assert_int_equal(gw_addr_parse_ip(&ip, "10.65.0.9", 80), 0);
    assert_false(gw_resolver_find_address(resolver, &ip, &answer));
    assert_int_equal(answer.err, GW_E_UNKNOWN);
}

static void test_gateway_leaves(void **state)
{
    (void)state;
    gw_resolver_remove_gateway(resolver, demo);
    assert_ptr_equal(lookup("home").peer, elsewhere);
    assert_int_equal(lookup("home.demo").err, GW_E_UNKNOWN);
    assert_false(gw_resolver_is_ours(resolver, "home.demo"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_peers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_self, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_id, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_tier, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ambiguous, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_key_in_both, setup, teardown),
        cmocka_unit_test_setup_teardown(test_given_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gateway_leaves, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
