/* SPDX-License-Identifier: MIT */
/* Configurations that do not load, and the exact words that say why. */
#include "gateway/config/config.h"

#include "keys.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PEER_1 "peers:\n  - peer_id: " ID_1 "\n"
#define DURATION "(seconds, or with a unit: 20s, 2m, 500ms)"
#define NO_ENDPOINT "c:3: peers[].endpoint: expected HOST:PORT, found "

static const struct {
    const char *text;
    const char *message; /* the only one */
} vectors[] = {
    /* unknown keys */
    {"hostnam: x", "c:1: hostnam: unknown key; did you mean hostname?"},
    {"\n\nxyzzy: {a: [b]}", "c:3: xyzzy: unknown key"},
    {"Port: 1", "c:1: Port: unknown key; did you mean port?"},
    {"protocol:\n  keepalive: 20", "c:2: protocol.keepalive: unknown key"},
    {"log: {levle: info}", "c:1: log.levle: unknown key; did you mean level?"},
    {PEER_1 "    endpoints: []", "c:3: peers[].endpoints: unknown key; did you mean endpoint?"},
    {"services:\n  web: {local_address: \"a:1\", adress: 5}", "c:2: services.web.adress: unknown key"},
    {"services:\n  web: {local_address: \"a:1\", name: x}",
     "c:2: services.web.name: unknown key; did you mean name?"},
    {"\"a\\x9b\": 1", "c:1: a control character or a line break in a value"},
    /* duplicates */
    {"port: 1\nport: 2", "c:2: port: is there already, in line 1"},
    {"log: {level: info,\n  level: info}", "c:2: level: is there already, in line 1"},
    {PEER_1 "  - peer_id: " ID_1,
     "c:3: peers[]: a peer without a name has the same key as a peer without a name in line 2"},
    {PEER_1 "  - {name: b, peer_id: " ID_1_FLIPPED "}",
     "c:3: peers[]: b has the same key as a peer without a name in line 2 (two peer IDs of one X25519 key)"},
    {PEER_1 "  - {name: b, public_key: " KEY_1 "}",
     "c:3: peers[]: b has the same key as a peer without a name in line 2"},
    {"peers:\n  - {name: a, peer_id: " ID_1 "}\n  - {name: A, peer_id: " ID_2 "}",
     "c:3: peers[].name: \"A\" is there already, in line 2"},
    {"private_key: " SECRET_1 "\npeers:\n  - {name: me, public_key: " KEY_1 "}",
     "c:3: peers[]: me has this node's own key"},
    {PEER_1 "    allowed_ips: 10.0.0.7/24\n  - {peer_id: " ID_2 ", allowed_ips: [10.0.0.0/24]}",
     "c:4: peers[].allowed_ips: 10.0.0.0/24 belongs to the peer in line 2 already"},
    {PEER_1 "    tunnel_ip: 10.0.0.7\n  - {peer_id: " ID_2 ", allowed_ips: [10.0.0.7/32]}",
     "c:4: peers[].allowed_ips: 10.0.0.7/32 belongs to the peer in line 2 already"},
    {"services:\n  a: {local_address: \"x:80\"}\n  b: {local_address: \"y:80\"}",
     "c:3: services.b.port: 80 is the port of a in line 2 already; give one of them another, or 0"},
    {"services:\n  a: {local_address: \"x:80\"}\n  a: {local_address: \"y:81\"}",
     "c:3: a: is there already, in line 2"},
    {"socks: {username: a, password: b, users: {a: c}}", "c: socks.username: \"a\" is in users already"},
/* networks */
#define TOP "belongs to a network, and with `networks` the top level is one only if it says `network: NAME`"
    {"port: 1\nnetworks: [{network: a, port: 2}]", "c:1: port: " TOP},
    {"services:\n  a: {local_address: \"x:80\"}\nnetworks: [{network: a, port: 2}]", "c:1: services: " TOP},
    {"security:\n  authorized_keys_file: x\nnetworks: [{network: a}]",
     "c:2: security.authorized_keys_file: " TOP},
    {"networks: [{port: 2}]", "c:1: networks[].network: expected the network's name, found nothing"},
    {"networks: {a: b}", "c:1: networks: expected a list, found a mapping"},
    {"networks:\n  - {network: a, socks: {listen: \"x:1\"}}", "c:2: networks[].socks: unknown key"},
    {"network: a\nnetworks:\n  - {network: A, port: 2}",
     "c:3: networks[].network: there is one of this name already: a, the top level's"},
    {"networks:\n  - {network: a, port: 2}\n  - {network: b, port: 2}",
     "c:3: networks[].port: 2 is the port of a in line 2 already; give it another"},
    {"network: a\nnetworks:\n  - network: b\n",
     "c:3: networks[].port: 51820 is the port of a, the top level's already; give it another"},
    {"networks:\n  - {network: a, port: 2, listen: 127.0.0.1}\n  - {network: b, port: 2, listen: [\"::\", 127.0.0.1]}",
     "c:3: networks[].port: 2 is the port of a in line 2 already; give it another"},
    {"networks:\n  - {network: a, port: 1, identity: k}\n  - {network: b, port: 2, identity: /k}\n"
     "  - {network: c, port: 3, identity: k}",
     "c:4: networks[].identity: is that of a in line 2 already; each network has its own"},
    {"networks:\n  - {network: a, port: 1}\n  - {network: b, port: 2, alias_range: 10.65.0.0/24}",
     "c:3: networks[].alias_range: expected an IPv4 prefix of as many bits as address_range, 16, found 10.65.0.0/24"},
    {"networks:\n  - {network: a, port: 1, alias_range: 10.65.0.0/16}\n"
     "  - {network: b, port: 2, alias_range: 10.65.0.0/16}",
     "c:3: alias_range: another network's overlaps it"},
    {"networks:\n  - network: a\n    peers:\n      - {name: x, peer_id: " ID_1 ", endpoint: \"0.0.0.0:1\"}",
     "c:4: networks[].peers[].endpoint: expected an address that one peer has, found 0.0.0.0:1"},
    {"networks:\n  - network: a\n    services:\n      a: {local_address: \"x:80\"}\n      b: {local_address: \"y:80\"}",
     "c:5: networks[].services.b.port: 80 is the port of a in line 4 already; give one of them another, or 0"},
    /* kinds */
    {"peers: 5", "c:1: peers: expected a list, found text"},
    {"peers: {a: b}", "c:1: peers: expected a list, found a mapping"},
    {"peers: [5]", "c:1: peers[]: expected a mapping, found text"},
    {"peers:\n  -", "c:2: peers[]: expected a mapping, found nothing"},
    {"services: [web]", "c:1: services: expected a mapping with names for keys, found a list"},
    {"services: {web: 8000}", "c:1: services.web: expected a mapping, found text"},
    {"log: debug", "c:1: log: expected a mapping, found text"},
    {"port: [1]", "c:1: port: expected a whole number from 0 to 65535, found a list"},
    {"listen: {a: b}", "c:1: listen: expected an IP address, found a mapping"},
    {"listen: [[\"::\"]]", "c:1: listen: expected an IP address, found a list"},
    {"listen: [127.0.0.1, 127.0.0.2]",
     "c: listen: expected at most one address of each family, found two of one"},
    {"listen: []", "c:1: listen: expected at least one, found none"},
    {"listen: [~]", "c:1: listen: expected an IP address, found nothing"},
    {"- a", "c:1: expected a mapping, found a list"},
    {"hello", "c:1: expected a mapping, found text"},
    /* numbers */
    {"port: 65536", "c:1: port: expected a whole number from 0 to 65535, found \"65536\""},
    {"port: -1", "c:1: port: expected a whole number from 0 to 65535, found \"-1\""},
    {"port: 7001/udp", "c:1: port: expected a whole number from 0 to 65535, found \"7001/udp\""},
    {"protocol: {keepalive_interval: 2h}",
     "c:1: protocol.keepalive_interval: expected a duration from 0s to 1h " DURATION ", found \"2h\""},
    {"protocol: {connection_timeout: 4}",
     "c:1: protocol.connection_timeout: expected a duration from 5s to 1h " DURATION ", found \"4\""},
    {"protocol: {punch_timeout: fast}",
     "c:1: protocol.punch_timeout: expected a duration from 1s to 1m " DURATION ", found \"fast\""},
    {"protocol: {max_punch_attempts: 101}",
     "c:1: protocol.max_punch_attempts: expected a whole number from 0 to 100, found \"101\""},
    {"memory: 3MB", "c:1: memory: expected a size from 4MB to 1TB, found \"3MB\""},
    {"lanes: 17", "c:1: lanes: expected a whole number from 0 to 16 or auto, found \"17\""},
    {"lanes: many", "c:1: lanes: expected a whole number from 0 to 16 or auto, found \"many\""},
    {"lanes: 1000", "c:1: lanes: expected a whole number from 0 to 16 or auto, found \"1000\""},
    {"memory: lots", "c:1: memory: expected a size from 4MB to 1TB, found \"lots\""},
    {"control: {mode: 0999}",
     "c:1: control.mode: expected a file mode in octal, such as 0600, found \"0999\""},
    {"control: {mode: 01777}",
     "c:1: control.mode: expected a file mode in octal, such as 0600, found \"01777\""},
    /* words */
    {"seal: requred",
     "c:1: seal: expected auto, required or forbidden, found \"requred\"; did you mean required?"},
    {"congestion: reno", "c:1: congestion: expected bbr or cubic, found \"reno\""},
    {"log: {level: verbose}", "c:1: log.level: expected error, warn, info or debug, found \"verbose\""},
    {"log: {hide_addresses: maybe}", "c:1: log.hide_addresses: expected true or false, found \"maybe\""},
    {PEER_1 "    role: ancor",
     "c:3: peers[].role: expected dynamic or anchor, found \"ancor\"; did you mean anchor?"},
    {PEER_1 "    hello: always", "c:3: peers[].hello: expected auto or never, found \"always\""},
    /* names and text */
    {"hostname: my laptop",
     "c:1: hostname: expected a name of 1 to 63 letters, digits, - and _, found \"my laptop\""},
    {"hostname: -a", "c:1: hostname: expected a name of 1 to 63 letters, digits, - and _, found \"-a\""},
    {"network: a.b", "c:1: network: expected a name of 1 to 63 letters, digits, - and _, found \"a.b\""},
    {"network: \"\"", "c:1: network: expected a name of 1 to 63 letters, digits, - and _, found \"\""},
    {"name: sixteen-letters0", "c:1: name: expected text of 1 to 15 bytes, found \"sixteen-letters0\""},
    {"services: {a.b: {local_address: \"x:1\"}}",
     "c:1: services.a.b: expected a name of 1 to 63 letters, digits, - and _, found \"a.b\""},
    {"identity: \"\"", "c:1: identity: expected a path, found \"\""},
    {PEER_1 "    name: \"\"", "c:3: peers[].name: expected text of 1 to 63 bytes, found \"\""},
    /* addresses */
    {PEER_1 "    endpoint: laptop", NO_ENDPOINT "\"laptop\": there is no port"},
    {PEER_1 "    endpoint: 127.0.0.1:0", NO_ENDPOINT "\"127.0.0.1:0\": the port is not right"},
    {PEER_1 "    endpoint: 127.0.0.1:99999", NO_ENDPOINT "\"127.0.0.1:99999\": the port is not right"},
    {PEER_1 "    endpoint: 300.0.0.1:1",
     NO_ENDPOINT "\"300.0.0.1:1\": neither an IP address nor a host name"},
    {PEER_1 "    endpoint: \"::1:7001\"",
     NO_ENDPOINT "\"::1:7001\": an IPv6 address is written in brackets: [::1]:7001"},
    {PEER_1 "    endpoint: \"unix:/x\"", NO_ENDPOINT "\"unix:/x\": the port is not right"},
    {PEER_1 "    endpoint: 0.0.0.0:7001",
     "c:2: peers[].endpoint: expected an address that one peer has, found 0.0.0.0:7001"},
    {PEER_1 "    endpoint: \"[ff02::1]:7001\"",
     "c:2: peers[].endpoint: expected an address that one peer has, found [ff02::1]:7001"},
    {PEER_1 "    endpoint: [\"a:1\",\n      b]",
     "c:4: peers[].endpoint: expected HOST:PORT, found \"b\": there is no port"},
    {PEER_1 "    endpoint: [\"a:1\", \"a:2\", \"a:3\", \"a:4\", \"a:5\", \"a:6\", \"a:7\", \"a:8\", \"a:9\"]",
     "c:3: peers[].endpoint: expected at most 8, found 9"},
    {PEER_1 "    tunnel_ip: 10.0.0", "c:3: peers[].tunnel_ip: expected an IP address, found \"10.0.0\""},
    {PEER_1 "    tunnel_ip: 10.0.0.1/32",
     "c:3: peers[].tunnel_ip: expected an IP address, found \"10.0.0.1/32\""},
    {PEER_1 "    anchors: [{tcp: x}]",
     "c:3: peers[].anchors: expected text of 1 to 255 bytes, found a mapping"},
    {PEER_1 "    allowed_ips: [10.0.0.0/33]",
     "c:3: peers[].allowed_ips: expected an IP prefix, such as 10.64.0.0/16, found \"10.0.0.0/33\""},
    {"address: [10.0.0.1, 10.0.0.2]",
     "c: address: expected at most one address of each family, found two of one"},
    {"address: home",
     "c:1: address: expected an IP address, or one with its network, such as 10.64.0.1/16, found \"home\""},
    {"address_range: \"fd00::/16\"",
     "c: address_range: expected an IPv4 prefix of 8 to 28 bits, such as 10.64.0.0/16, found fd00::/16"},
    {"address_range: 10.64.0.0/29",
     "c: address_range: expected an IPv4 prefix of 8 to 28 bits, such as 10.64.0.0/16, found 10.64.0.0/29"},
    {"address_range: 127.0.0.0/8",
     "c: address_range: expected an IPv4 prefix of 8 to 28 bits, such as 10.64.0.0/16, found 127.0.0.0/8"},
    {"dns: {listen: \"localhost:53\"}",
     "c: dns.listen: expected an IP address and a port, found localhost:53"},
    {"dns: {listen: \"0.0.0.0:53\", upstreams: \"127.0.0.53:53\"}",
     "c: dns.upstreams: 127.0.0.53:53 is in dns.listen, so it would ask itself"},
    {"dns: {upstreams: [\"127.0.0.1:5300\"]}",
     "c: dns.upstreams: 127.0.0.1:5300 is in dns.listen, so it would ask itself"},
    {"listen: localhost", "c:1: listen: expected an IP address, found \"localhost\""},
    {"socks: {listen: \"1080\"}",
     "c:1: socks.listen: expected HOST:PORT or unix:PATH, found \"1080\": there is no port"},
    {"socks: {listen: \"unix:\"}",
     "c:1: socks.listen: expected HOST:PORT or unix:PATH, found \"unix:\": there is no path"},
    {"socks: {allow: \"a*\"}",
     "c:1: socks.allow: expected HOST, *.DOMAIN, IP, IP/BITS or *, and :PORT or :FROM-TO after it if only that is meant, found \"a*\""},
    {"services: {dns: {protocol: udp, local_address: \"unix:/x\"}}",
     "c:1: services.dns.local_address: expected HOST:PORT for a UDP service, found a unix socket"},
    /* keys */
    {"peers:\n  - name: a", "c:2: peers[]: expected peer_id or public_key, found neither"},
    {"peers:\n  - {name: a, peer_id: }", "c:2: peers[]: expected peer_id or public_key, found neither"},
    {"peers:\n  - peer_id: " KEY_1,
     "c:2: peers[].peer_id: expected a peer ID of an Ed25519 key (12D3KooW...), found \"" KEY_1 "\""},
    {"peers:\n  - peer_id: QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC",
     "c:2: peers[].peer_id: expected a peer ID of an Ed25519 key (12D3KooW...), found \"QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC\": a "
     "peer ID of another kind of key; only those of Ed25519 keys hold the key"},
    {"peers:\n  - public_key: " ID_1,
     "c:2: peers[].public_key: expected an X25519 public key in base64 (44 characters), found \"" ID_1 "\""},
    {"peers:\n  - public_key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
     "c:2: peers[].public_key: expected an X25519 public key in base64 (44 characters), found "
     "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\": this key is refused: a point of small order, which anybody shares a secret with"},
    {PEER_1 "    public_key: " KEY_2,
     "c:2: peers[].public_key: is not the peer_id's; one of the two is enough"},
    /* secrets are never shown */
    {"private_key: c2VjcmV0",
     "c:1: private_key: expected 32 bytes in base64 (44 characters), found something else, of 8 characters"},
    {"private_key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
     "c:1: private_key: expected 32 bytes in base64 (44 characters), found something else, of 44 characters: 32 zero bytes are no secret"},
    {"private_key: (set)",
     "c:1: private_key: expected 32 bytes in base64 (44 characters), found something else, of 5 characters"},
    {PEER_1 "    preshared_key: hunter2",
     "c:3: peers[].preshared_key: expected 32 bytes in base64 (44 characters), found something else, of 7 characters"},
    {"socks: {users: {a: \"\"}}",
     "c:1: socks.users.a: expected text of 1 to 255 bytes, found something else, of 0 characters"},
    {"socks: {users: {a: {}}}",
     "c:1: socks.users.a.password: expected text of 1 to 255 bytes, found nothing"},
    {"socks: {username: a}", "c: socks.username: expected both username and password, found one"},
    {"socks: {password: a}", "c: socks.password: expected both username and password, found one"},
    /* what must be there */
    {"services: {web: {}}",
     "c:1: services.web.local_address: expected HOST:PORT or unix:PATH, found nothing"},
    {"federation: {peers: [{relay: x}]}",
     "c:1: federation.peers[].network_name: expected a name of 1 to 63 letters, digits, - and _, found nothing"},
    /* no YAML */
    {"peers: [",
     "c:2: not YAML: did not find expected node content (while parsing a flow node that begins in line 2)"},
    {"port: \"1",
     "c:2: not YAML: found unexpected end of stream (while scanning a quoted scalar that begins in line 1)"},
    {"hostname: |\n  a\n  b", "c:1: a control character or a line break in a value"},
};

static void the_words_are_exact(void **state)
{
    unsigned failures = 0;
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct gw_config *config;
        struct gw_diag diag = {0};
        char text[1024];
        snprintf(text, sizeof text, "%s\n", vectors[i].text);
        int err = gw_config_parse(&config, text, strlen(text), "c", &diag);
        if (err != GW_E_CONFIG || config || diag.errors != 1 ||
            strcmp(diag.entries[0].text, vectors[i].message) != 0) {
            print_error("%zu: %d, %zu errors\n%s\nexpected: %s\n", i, err, diag.errors, text,
                        vectors[i].message);
            for (size_t j = 0; j < diag.count; j++)
                print_error("found:    %s\n", diag.entries[j].text);
            failures++;
        }
        gw_diag_clear(&diag);
    }
    assert_int_equal(failures, 0);
}

/* All of them, in the order of the lines, whichever check found them. */
static void all_errors_are_told(void **state)
{
    static const char text[] = "hostnam: x\n"
                               "port: 99999\n"
                               "peers:\n"
                               "  - {name: laptop, peer_id: " ID_1 ", endpoint: x}\n"
                               "  - {name: Laptop, peer_id: " ID_2 ", seal: yes}\n"
                               "  - peer_id: " ID_1 "\n"
                               "services:\n"
                               "  web: {enabled: perhaps, local_address: \"127.0.0.1:8000\"}\n"
                               "port: 1\n";
    static const char *const expected[] = {
        "c:1: hostnam: unknown key; did you mean hostname?",
        "c:2: port: expected a whole number from 0 to 65535, found \"99999\"",
        "c:4: peers[].endpoint: expected HOST:PORT, found \"x\": there is no port",
        "c:5: peers[].seal: expected auto, required or forbidden, found \"yes\"",
        "c:5: peers[].name: \"Laptop\" is there already, in line 4",
        "c:6: peers[]: a peer without a name has the same key as laptop in line 4",
        "c:8: services.web.enabled: expected true or false, found \"perhaps\"",
        "c:9: port: is there already, in line 2",
    };
    struct gw_config *config;
    struct gw_diag diag = {0};
    (void)state;
    assert_int_equal(gw_config_parse(&config, text, strlen(text), "c", &diag), GW_E_CONFIG);
    assert_int_equal(diag.errors, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < diag.errors; i++)
        assert_string_equal(diag.entries[i].text, expected[i]);
    gw_diag_clear(&diag);
}

/* What is found goes into a message whole only when it is short. */
static void long_values_are_cut(void **state)
{
    struct gw_config *config;
    struct gw_diag diag = {0};
    char text[2000];
    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, "port: ", 6);
    assert_int_equal(gw_config_parse(&config, text, sizeof text, "c", &diag), GW_E_CONFIG);
    assert_int_equal(strlen(diag.entries[0].text),
                     strlen("c:1: port: expected a whole number from 0 to 65535, found \"\"...") + 80);
    gw_diag_clear(&diag);
}

static void too_large(void **state)
{
    struct gw_config *config;
    struct gw_diag diag = {0};
    size_t len = 1024 * 1024 + 1;
    char *text = malloc(len);
    (void)state;
    memset(text, '#', len);
    assert_int_equal(gw_config_parse(&config, text, len, "c", &diag), GW_E_TOO_BIG);
    assert_string_equal(diag.entries[0].text, "c: larger than 1048576 bytes");
    free(text);
    gw_diag_clear(&diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_words_are_exact),
        cmocka_unit_test(all_errors_are_told),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
