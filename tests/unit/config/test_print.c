/* SPDX-License-Identifier: MIT */
/* What is printed loads to the same: for configurations made at random, all keys in use. And
 * docs/CONFIG.md is current. */
#include "gateway/config/print.h"

#include "folder.h"
#include "gateway/wire/peer_id.h"
#include "keys.h"

#include "gateway/base/err.h"

#include <sodium.h>

#define ROUNDS 300
#define TEXT_LEN 65536

struct out {
    char text[TEXT_LEN];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(out->text + out->len, sizeof out->text - out->len, format, args);
    va_end(args);
    assert_true(len >= 0 && out->len + (size_t)len < sizeof out->text);
    out->len += (size_t)len;
}

static unsigned below(unsigned bound)
{
    return (unsigned)random() % bound;
}

static const char *one_of(const char *const *words, unsigned count)
{
    return words[below(count)];
}
#define ONE_OF(...)                            \
    one_of((const char *const[]){__VA_ARGS__}, \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static const char *random_key(void)
{
    static char text[GW_KEY_BASE64_STRLEN];
    uint8_t key[32];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)random();
    key[31] &= 0x7f;
    return gw_key_base64_format(key, text);
}

/* Text that YAML could stumble over. */
static const char *random_text(void)
{
    return ONE_OF("plain", "two words", "it's", "say \\\"hi\\\"", "back\\\\slash", "# no comment", "a: b",
                  "- x", "{y", "yes", "null", "~", "0600", "h\xc3\xa9llo", "\xe2\x82\xac", "\xf0\x9f\x90\xa7",
                  "\\u2028", "\\ufeff", " ", "*a", "&a", "!t", "%", "@", "`");
}

static void put_peer(struct out *out, unsigned number)
{
    put(out, "  - public_key: %s\n", random_key());
    if (below(2))
        put(out, "    name: \"%u %s\"\n", number, random_text());
    for (unsigned i = below(4); i == 1; i--)
        put(out, "    preshared_key: [%s, %s]\n", random_key(), random_key());
    if (below(2))
        put(out, "    endpoint: [\"%s\", \"10.0.%u.1:%u\"]\n",
            ONE_OF("[fd00::1]:5", "host.example.:1", "[fe80::1%1]:9"), number, 1 + below(65535));
    if (below(2))
        put(out, "    tunnel_ip: [10.64.%u.%u, \"fd00::%x\"]\n", number, below(256), number);
    if (below(2))
        put(out, "    allowed_ips: [10.65.%u.%u/24, \"fd01:%x::/%u\"]\n", number, below(256), number,
            32 + below(97));
    if (below(2))
        put(out, "    keepalive_interval: %u%s\n", below(3600), ONE_OF("", "s", "ms", "us"));
    if (below(2))
        put(out, "    anchors: [\"%s\", \"%s\"]\n", random_text(), random_text());
    put(out, "    role: %s\n    seal: %s\n    hello: %s\n    congestion: %s\n    eager: %s\n",
        ONE_OF("anchor", "dynamic"), ONE_OF("auto", "required", "forbidden"), ONE_OF("auto", "never"),
        ONE_OF("bbr", "cubic"), ONE_OF("true", "false", "yes", "off"));
}

static void put_service(struct out *out, unsigned number)
{
    put(out, "  %s%u:\n", ONE_OF("ssh", "Web", "a-b", "x_y"), number);
    put(out, "    enabled: %s\n", ONE_OF("true", "false"));
    if (below(2))
        put(out, "    authorized_keys: \"%s\"\n", ONE_OF("keys", "/a b/keys", "~/keys"));
    if (below(3))
        put(out, "    local_address: \"%s:%u\"\n    protocol: %s\n",
            ONE_OF("localhost", "127.0.0.1", "[::1]"), 1000 + number, ONE_OF("tcp", "udp"));
    else
        put(out, "    local_address: \"unix:%s\"\n", ONE_OF("x", "/run/a b", "~/s"));
    if (below(2))
        put(out, "    port: %u\n", below(2) ? 0 : 2000 + number);
    put(out, "    class: %s\n", ONE_OF("auto", "interactive", "normal", "bulk"));
}

static void put_socks(struct out *out)
{
    put(out, "socks:\n  listen: [\"127.0.0.1:%u\", \"unix:s\"]\n  mode: 0%o\n", below(65536), below(0777));
    if (below(2))
        put(out, "  username: \"%s\"\n  password: \"%s\"\n", random_text(), random_text());
    if (below(2))
        put(out, "  users: {\"u %s\": \"%s\", v: {password: \"%s\"}}\n", random_text(), random_text(),
            random_text());
    put(out, "  allow: [\"*.example.org:%u\", 10.0.0.0/8]\n  deny: \"[fd00::/8]:%u\"\n", 1 + below(65535),
        1 + below(65535));
    put(out, "  others: %s\n  http: %s\n  timeout: %us\n", ONE_OF("reject", "direct"),
        ONE_OF("true", "false"), 1 + below(3600));
}

static void put_config(struct out *out)
{
    out->len = 0;
    put(out, "hostname: %s\nnetwork: %s\nport: %u\n", ONE_OF("home", "A-b", "yes", "7"),
        ONE_OF("demo", "null_", "x"), below(65536));
    put(out, "listen: %s\n", ONE_OF("~", "0.0.0.0", "[\"::1\", 10.0.0.1]"));
    put(out, "address: %s\n", ONE_OF("10.64.0.1", "[10.64.3.4/16, \"fd00::5/64\"]"));
    put(out, "name: \"%s\"\nmemory: %u%s\n", random_text(), 4 + below(1000), ONE_OF("MB", "MiB", "GB"));
    put(out, "lanes: %s\n", ONE_OF("0", "2", "auto", "Auto"));
    put(out, "seal: %s\ncongestion: %s\n", ONE_OF("auto", "required", "forbidden"), ONE_OF("bbr", "cubic"));
    put(out, "log: {level: %s, hide_addresses: %s}\n", ONE_OF("error", "warn", "info", "debug"),
        ONE_OF("true", "false"));
    put(out, "control: {socket: %s, mode: 0%o}\n", ONE_OF("c", "/run/c"), below(0777));
    put(out, "protocol: {keepalive_interval: %us, connection_timeout: %u, max_punch_attempts: %u}\n",
        below(3601), 5 + below(3000), below(101));
    if (below(2))
        put(out, "private_key: %s\n", random_key());
    put(out, "peers:\n");
    for (unsigned i = 0, count = below(4); i < count; i++)
        put_peer(out, i);
    put(out, "services:\n");
    for (unsigned i = 0, count = below(4); i < count; i++)
        put_service(out, i);
    if (below(2))
        put_socks(out);
    if (below(2))
        put(out,
            "address_range: 10.%u.0.0/16\ndns: {enabled: %s, listen: [\"[::1]:%u\"], allowed: 10.0.0.0/8, "
            "upstreams: 9.9.9.9:53, rate: %u, system: %s, search: %s}\n",
            below(256), ONE_OF("true", "false"), below(65536), 1 + below(1000000),
            ONE_OF("auto", "resolv.conf"), ONE_OF("true", "false"));
    if (below(2))
        put(out, "virtual_router: {enabled: %s}\n", ONE_OF("true", "false"));
    if (below(2))
        put(out,
            "networks:\n  - {network: n1, port: 0, hostname: %s, identity: \"%s\"}\n"
            "  - network: n2\n    port: 0\n    address_range: 10.%u.0.0/16\n    seal: %s\n"
            "    peers: [{public_key: %s}]\n    services: {s: {local_address: \"x:1\"}}\n",
            ONE_OF("a", "b"), ONE_OF("k", "/k"), below(256), ONE_OF("auto", "forbidden"), random_key());
    if (below(2))
        put(out, "names: {a: %s, b: %s}\n", ID_1, ID_2);
    if (below(2))
        put(out, "federation: {peers: [{network_name: a, relay: \"%s\", trust_level: full}]}\n",
            random_text());
}

static struct gw_config *load(const char *text)
{
    struct gw_config *config;
    struct gw_diag diag = {0};
    if (gw_config_parse(&config, text, strlen(text), "/d/config.yaml", &diag) != 0)
        fail_msg("%s\n%s", diag.entries[0].text, text);
    gw_diag_clear(&diag);
    return config;
}

static char *print(const struct gw_config *config, enum gw_print_format format, bool show_secrets)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    gw_config_print(out, config, format, show_secrets);
    fclose(out);
    return text;
}

/* JSON is YAML, so the loader reads what either printer writes. */
static void check_round_trip(const struct gw_config *config, enum gw_print_format format)
{
    char *first = print(config, format, true);
    struct gw_config *again = load(first);
    char *second = print(again, format, true);
    assert_string_equal(first, second);
    gw_config_free(again);
    free(first);
    free(second);
}

static void what_is_printed_loads_to_the_same(void **state)
{
    static struct out out;
    (void)state;
    for (unsigned seed = 0; seed < ROUNDS; seed++) {
        srandom(seed);
        put_config(&out);
        struct gw_config *config = load(out.text);
        check_round_trip(config, GW_PRINT_YAML);
        check_round_trip(config, GW_PRINT_JSON);
        gw_config_free(config);
    }
}

static void secrets_are_not_printed(void **state)
{
    static const char text[] = "private_key: " SECRET_1 "\n"
                               "peers: [{peer_id: " ID_2 ", preshared_key: [" SECRET_2 ", " KEY_3 "]}]\n"
                               "socks: {users: {alice: hunter2}}\n";
    static const enum gw_print_format formats[] = {GW_PRINT_YAML, GW_PRINT_JSON};
    struct gw_config *config = load(text);
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char *printed = print(config, formats[i], false);
        assert_null(strstr(printed, SECRET_1));
        assert_null(strstr(printed, SECRET_2));
        assert_null(strstr(printed, KEY_3));
        assert_null(strstr(printed, "hunter2"));
        assert_non_null(strstr(printed, "[\"(set)\", \"(set)\"]"));
        assert_non_null(strstr(printed, "alice"));
        free(printed);
    }
    gw_config_free(config);
}

static void printed_as_people_write(void **state)
{
    static const char expected[] = "hostname: \"home\"\n"
                                   "network: \"demo\"\n"
                                   "port: 7001\n"
                                   "listen: [\"0.0.0.0\", \"::\"]\n"
                                   "identity: \"/d/identity.key\"\n"
                                   "address_range: \"10.64.0.0/16\"\n"
                                   "seal: auto\n"
                                   "congestion: bbr\n"
                                   "role: dynamic\n"
                                   "relay: false\n"
                                   "anchor:\n"
                                   "  relay: true\n"
                                   "  rate: 0B\n"
                                   "  total_rate: 0B\n"
                                   "  volume: 0B\n"
                                   "  max_channels: 10000\n"
                                   "  max_tags: 256\n"
                                   "port_mapping: auto\n"
                                   "protocol:\n"
                                   "  keepalive_interval: 20s\n"
                                   "  connection_timeout: 75s\n"
                                   "  punch_timeout: 10s\n"
                                   "  max_punch_attempts: 5\n"
                                   "security:\n"
                                   "  authorized_keys_file: \"/d/authorized_keys\"\n"
                                   "peers:\n"
                                   "  - name: \"laptop\"\n"
                                   "    peer_id: \"" ID_1 "\"\n"
                                   "    public_key: \"" KEY_1 "\"\n"
                                   "    role: dynamic\n"
                                   "    endpoint: [\"127.0.0.1:7002\"]\n"
                                   "    keepalive_interval: 20s\n"
                                   "    seal: auto\n"
                                   "    hello: auto\n"
                                   "    path: auto\n"
                                   "    congestion: bbr\n"
                                   "    tls_port: 443\n"
                                   "    eager: false\n"
                                   "services:\n"
                                   "  web:\n"
                                   "    enabled: true\n"
                                   "    local_address: \"127.0.0.1:8000\"\n"
                                   "    protocol: tcp\n"
                                   "    port: 8000\n"
                                   "    class: auto\n"
                                   "expose: services\n"
                                   "name: \"peer0\"\n"
                                   "memory: 64MB\n"
                                   "busy_poll: 0s\n"
                                   "lanes: 0\n"
                                   "log:\n"
                                   "  level: info\n"
                                   "  hide_addresses: false\n"
                                   "control:\n"
                                   "  socket: \"/d/control.sock\"\n"
                                   "  mode: 0600\n"
                                   "socks:\n"
                                   "  listen: [\"127.0.0.1:1080\"]\n"
                                   "  mode: 0600\n"
                                   "  others: reject\n"
                                   "  http: true\n"
                                   "  timeout: 30s\n"
                                   "tun:\n"
                                   "  enabled: false\n"
                                   "  fd: 0\n"
                                   "  mtu: 1380\n"
                                   "  routes: true\n"
                                   "  accelerate: false\n"
                                   "dns:\n"
                                   "  enabled: false\n"
                                   "  listen: [\"127.0.0.1:5300\"]\n"
                                   "  rate: 1000\n"
                                   "  system: off\n"
                                   "  search: false\n"
                                   "virtual_router:\n"
                                   "  enabled: false\n"
                                   "netstack:\n"
                                   "  max_connections: 2000\n"
                                   "  max_half_open: 256\n"
                                   "  max_associations: 4096\n";
    struct gw_config *config =
        load("{hostname: home, network: demo, port: 7001, peers: [{name: laptop, peer_id: " ID_1
             ", endpoint: \"127.0.0.1:7002\"}], services: {web: {local_address: \"127.0.0.1:8000\"}}, "
             "socks: {listen: \"127.0.0.1:1080\"}}");
    char *printed = print(config, GW_PRINT_YAML, false);
    (void)state;
    assert_string_equal(printed, expected);
    free(printed);
    gw_config_free(config);
}

/* When this fails: peergate config reference > docs/CONFIG.md */
static void the_reference_is_current(void **state)
{
    static char file[TEXT_LEN];
    char *printed = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&printed, &len);
    (void)state;
    assert_non_null(out);
    gw_config_print_reference(out);
    fclose(out);
    assert_true(len < sizeof file - 1);
    assert_true(file_read(REFERENCE, file, sizeof file) > 0);
    assert_string_equal(file, printed);
    free(printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_loads_to_the_same),
        cmocka_unit_test(secrets_are_not_printed),
        cmocka_unit_test(printed_as_people_write),
        cmocka_unit_test(the_reference_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
