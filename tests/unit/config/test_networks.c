/* SPDX-License-Identifier: MIT */
/* Several networks in one configuration: what each has of its own, what they share with the top level, and where their addresses are. */
#include "gateway/config/config.h"

#include "folder.h"
#include "keys.h"

#include "gateway/base/err.h"

static struct gw_config *parse(const char *text)
{
    struct gw_config *config;
    struct gw_diag diag = {0};
    int err = gw_config_parse(&config, text, strlen(text), "/d/config.yaml", &diag);
    if (err || diag.count)
        fail_msg("%d: %s\n%s", err, diag.count ? diag.entries[0].text : "no message", text);
    return config;
}

static void expect_alias(const struct gw_config_network *network, const char *expected)
{
    char text[GW_ADDR_STRLEN + 4] = "none";
    if (network->alias_range.ip.family)
        snprintf(text, sizeof text, "%u.%u.%u.%u/%u", network->alias_range.ip.ip[0],
                 network->alias_range.ip.ip[1], network->alias_range.ip.ip[2], network->alias_range.ip.ip[3],
                 network->alias_range.bits);
    assert_string_equal(text, expected);
}

/* What issue after issue has been written with stays the one network, with its files where they are. */
static void one_network(void **state)
{
    struct gw_config *config = parse("hostname: home\nnetwork: demo\nport: 7001\n");
    const struct gw_config_network *network = gw_config_next_network(config, NULL);
    (void)state;
    assert_ptr_equal(network, &config->top);
    assert_null(gw_config_next_network(config, network));
    assert_string_equal(network->identity, "/d/identity.key");
    assert_string_equal(network->security.authorized_keys_file, "/d/authorized_keys");
    assert_string_equal(network->names_file, "/d/names.yaml");
    assert_string_equal(network->dir, "/d");
    expect_alias(network, "none");
    gw_config_free(config);
    config = parse("networks: []\n");
    assert_ptr_equal(gw_config_next_network(config, NULL), &config->top);
    gw_config_free(config);
}

static void one_beside_the_top_level(void **state)
{
    struct gw_config *config = parse("hostname: home\nnetwork: demo\nport: 7001\nseal: required\n"
                                     "protocol: {keepalive_interval: 5s}\n"
                                     "peers:\n  - {name: laptop, peer_id: " ID_1 "}\n"
                                     "networks:\n"
                                     "  - network: Work\n"
                                     "    port: 7002\n"
                                     "    peers:\n      - {name: laptop, peer_id: " ID_1 "}\n"
                                     "    services: {ssh: {local_address: \"127.0.0.1:22\"}}\n");
    const struct gw_config_network *top = gw_config_next_network(config, NULL);
    const struct gw_config_network *work = gw_config_next_network(config, top);
    (void)state;
    assert_ptr_equal(top, &config->top);
    assert_non_null(work);
    assert_null(gw_config_next_network(config, work));
    assert_ptr_equal(gw_config_find_network(config, "WORK"), work);
    assert_ptr_equal(gw_config_find_network(config, "demo"), top);
    assert_null(gw_config_find_network(config, "other"));

    assert_string_equal(work->name, "work");
    assert_int_equal(work->line, 9);
    assert_int_equal(work->port, 7002);
    assert_string_equal(work->identity, "/d/networks/work/identity.key");
    assert_string_equal(work->security.authorized_keys_file, "/d/networks/work/authorized_keys");
    assert_string_equal(work->names_file, "/d/networks/work/names.yaml");
    assert_string_equal(work->dir, "/d/networks/work");
    /* From the top level, and from it to the peers. */
    assert_string_equal(work->hostname, "home");
    assert_int_equal(work->seal, GW_SEAL_REQUIRED);
    assert_int_equal(work->protocol.keepalive_ns, GW_S(5));
    assert_int_equal(work->peers.items[0].seal, GW_SEAL_REQUIRED);
    assert_int_equal(work->peers.items[0].keepalive_ns, GW_S(5));
    /* Its own, and nobody else's. */
    assert_int_equal(work->services.count, 1);
    assert_int_equal(top->services.count, 0);
    gw_config_free(config);
}

/* The top level says what they have in common, and is none itself. */
static void a_top_level_that_is_none(void **state)
{
    struct gw_config *config = parse("hostname: me\ncongestion: cubic\nsocks: {listen: \"127.0.0.1:1080\"}\n"
                                     "networks:\n"
                                     "  - {network: a, port: 7001, congestion: bbr}\n"
                                     "  - {network: b, port: 7002, hostname: other, identity: keys/b,\n"
                                     "     security: {authorized_keys_file: b_keys}}\n");
    const struct gw_config_network *a = gw_config_next_network(config, NULL),
                                   *b = gw_config_next_network(config, a);
    (void)state;
    assert_string_equal(a->name, "a");
    assert_string_equal(a->hostname, "me");
    assert_int_equal(a->congestion, GW_CC_BBR);
    assert_string_equal(b->hostname, "other");
    assert_int_equal(b->congestion, GW_CC_CUBIC);
    assert_string_equal(b->identity, "/d/keys/b");
    assert_string_equal(b->security.authorized_keys_file, "/d/b_keys");
    assert_null(gw_config_next_network(config, b));
    assert_null(gw_config_find_network(config, "mesh"));
    gw_config_free(config);
}

/* One port for two sockets that do not meet. */
static void ports(void **state)
{
    struct gw_config *config = parse("networks:\n"
                                     "  - {network: a, port: 7001, listen: 127.0.0.1}\n"
                                     "  - {network: b, port: 7001, listen: 127.0.0.2}\n"
                                     "  - {network: c, port: 7001, listen: \"::1\"}\n"
                                     "  - {network: d, port: 0}\n"
                                     "  - {network: e, port: 0}\n");
    (void)state;
    assert_int_equal(config->networks.count, 5);
    gw_config_free(config);
}

static void ranges(void **state)
{
    struct gw_config *config =
        parse("network: a\n"
              "networks:\n"
              "  - {network: b, port: 2}\n"                                /* as a's: the next one, but */
              "  - {network: c, port: 3, address_range: 10.65.0.0/16}\n"   /* that is c's */
              "  - {network: d, port: 4, address_range: 10.64.128.0/17}\n" /* a part of a's */
              "  - {network: e, port: 5, address_range: 10.255.0.0/16, alias_range: 10.66.0.0/16}\n"
              "  - network: f\n"
              "    port: 6\n"
              "    address_range: 192.168.255.0/24\n"
              "    peers: [{public_key: " KEY_1 ", allowed_ips: [10.67.3.0/24, 0.0.0.0/0]}]\n"
              "  - {network: g, port: 7, address_range: 192.168.255.0/24}\n");
    const struct gw_config_network *n = config->networks.items;
    (void)state;
    expect_alias(&config->top, "none");
    expect_alias(&n[0], "10.68.0.0/16"); /* e is at 10.66, and 10.67.3.0/24 is behind a peer */
    expect_alias(&n[1], "none");
    expect_alias(&n[2], "10.67.128.0/17");
    expect_alias(&n[3], "10.66.0.0/16");
    expect_alias(&n[4], "none");
    expect_alias(&n[5], "192.168.0.0/24"); /* round the end of what is private */
    gw_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_network),
        cmocka_unit_test(one_beside_the_top_level),
        cmocka_unit_test(a_top_level_that_is_none),
        cmocka_unit_test(ports),
        cmocka_unit_test(ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
