/* SPDX-License-Identifier: MIT */
/* Configurations that load, and what they then say: the smallest one, ipou's two formats, peer-up's keys,
 * every key. */
#include "gateway/config/config.h"

#include "folder.h"
#include "gateway/wire/peer_id.h"
#include "keys.h"

#include "gateway/base/err.h"

static struct gw_config *parse(const char *text)
{
    struct gw_config *config;
    struct gw_diag diag = {0};
    int err = gw_config_parse(&config, text, strlen(text), "/etc/peergate/config.yaml", &diag);
    if (err || diag.count)
        fail_msg("%d: %s", err, diag.count ? diag.entries[0].text : "no message");
    return config;
}

static void expect_key(const struct gw_config_key *key, const char *expected)
{
    char text[GW_KEY_BASE64_STRLEN];
    assert_true(key->is_set);
    assert_string_equal(gw_key_base64_format(key->bytes, text), expected);
}

static void expect_addr(const struct gw_addr *addr, const char *expected)
{
    char text[GW_ADDR_STRLEN];
    assert_string_equal(gw_addr_format(addr, text), expected);
}

static void expect_prefix(const struct gw_prefix *prefix, const char *ip, unsigned bits)
{
    struct gw_addr expected;
    assert_int_equal(gw_addr_parse_ip(&expected, ip, 0), 0);
    assert_true(gw_addr_equal(&prefix->ip, &expected));
    assert_int_equal(prefix->bits, bits);
}

/* ---- the smallest pair that must work, in the words of the manual */

static const char smallest[] = "hostname: home\n"
                               "network: demo\n"
                               "port: 7001                       # UDP, IPv4 and IPv6\n"
                               "peers:\n"
                               "  - name: laptop\n"
                               "    peer_id: " ID_1 "         # or public_key: base64\n"
                               "    endpoint: 127.0.0.1:7002\n"
                               "services:\n"
                               "  web: {enabled: true, local_address: \"127.0.0.1:8000\"}\n"
                               "socks: {listen: \"127.0.0.1:1080\"}\n";

static void the_smallest(void **state)
{
    struct gw_config *config = parse(smallest);
    const struct gw_config_peer *peer = config->top.peers.items;
    const struct gw_config_service *web = config->top.services.items;
    (void)state;
    assert_string_equal(config->top.hostname, "home");
    assert_string_equal(config->top.name, "demo");
    assert_int_equal(config->top.port, 7001);
    assert_int_equal(config->top.peers.count, 1);
    assert_int_equal(peer->line, 5);
    assert_string_equal(peer->name, "laptop");
    assert_true(peer->peer_id.is_set);
    expect_key(&peer->public_key, KEY_1);
    assert_int_equal(peer->endpoints.count, 1);
    expect_addr(&peer->endpoints.items[0].addr, "127.0.0.1:7002");
    assert_int_equal(config->top.services.count, 1);
    assert_string_equal(web->name, "web");
    assert_true(web->enabled);
    expect_addr(&web->local_address.addr, "127.0.0.1:8000");
    assert_int_equal(web->port, 8000);
    assert_int_equal(web->protocol, GW_CONFIG_TCP);
    assert_int_equal(web->line, 9);
    assert_int_equal(config->socks.listen.count, 1);
    expect_addr(&config->socks.listen.items[0].addr, "127.0.0.1:1080");
    assert_false(gw_config_has_secret(config));
    gw_config_free(config);
}

static void an_empty_file_is_all_defaults(void **state)
{
    struct gw_config *config = parse("# nothing\n");
    (void)state;
    assert_true(config->top.hostname[0] != '\0');
    assert_string_equal(config->top.name, "mesh");
    assert_int_equal(config->top.port, 51820);
    assert_int_equal(config->top.listen.count, 2);
    assert_int_equal(config->top.listen.items[1].family, 6);
    assert_string_equal(config->top.identity, "/etc/peergate/identity.key");
    assert_string_equal(config->control.socket, "/etc/peergate/control.sock");
    assert_int_equal(config->control.mode, 0600);
    assert_string_equal(config->top.security.authorized_keys_file, "/etc/peergate/authorized_keys");
    assert_string_equal(config->interface, "peer0");
    assert_int_equal(config->top.seal, GW_SEAL_AUTO);
    assert_int_equal(config->top.congestion, GW_CC_BBR);
    assert_int_equal(config->memory, 64000000);
    assert_int_equal(config->log.level, GW_LOG_INFO);
    assert_false(config->log.hide_addresses);
    assert_true(config->top.protocol.keepalive_ns == GW_S(20));
    assert_true(config->top.protocol.connection_timeout_ns == GW_S(75));
    assert_true(config->top.protocol.punch_timeout_ns == GW_S(10));
    assert_int_equal(config->top.protocol.max_punch_attempts, 5);
    assert_int_equal(config->socks.listen.count, 0);
    assert_true(config->socks.http);
    assert_int_equal(config->top.peers.count, 0);
    assert_false(config->top.private_key.is_set);
    gw_config_free(config);
    gw_config_free(NULL);
}

static void keys_without_values_are_not_there(void **state)
{
    struct gw_config *config =
        parse("hostname: a\nnetwork:\npeers:\nservices: ~\nsocks:\nlog: {level: null}\n");
    (void)state;
    assert_string_equal(config->top.name, "mesh");
    assert_int_equal(config->top.peers.count, 0);
    assert_int_equal(config->log.level, GW_LOG_INFO);
    gw_config_free(config);
}

/* ---- ipou */

static const char ipou[] = "name: \"utun0\"\n"
                           "address: \"10.0.0.1\" \n"
                           "port: 1194\n"
                           "private_key: \"" SECRET_1 "\"\n"
                           "\n"
                           "# Protocol settings\n"
                           "protocol:\n"
                           "  keepalive_interval: 20    # seconds\n"
                           "  connection_timeout: 75    # seconds  \n"
                           "  punch_timeout: 10         # seconds\n"
                           "  max_punch_attempts: 5\n"
                           "\n"
                           "peers:\n"
                           "  # Anchor peer (static IP)\n"
                           "  - public_key: \"" KEY_2 "\"\n"
                           "    name: \"anchor-east\"\n"
                           "    role: \"anchor\"\n"
                           "    endpoint: \"203.0.113.10:1194\"\n"
                           "    tunnel_ip: \"10.0.0.2\"\n"
                           "    allowed_ips: [\"10.0.0.0/24\"]\n"
                           "    \n"
                           "  # Dynamic peer (behind NAT)\n"
                           "  - public_key: \"" KEY_3 "\"\n"
                           "    name: \"mobile-client\" \n"
                           "    role: \"dynamic\"\n"
                           "    tunnel_ip: \"10.0.0.3\"\n"
                           "    allowed_ips: [\"10.0.0.3/32\"]\n"
                           "    anchors: [\"" KEY_2 "\"]\n";

static void the_new_format_of_ipou(void **state)
{
    struct gw_config *config = parse(ipou);
    const struct gw_config_peer *anchor = &config->top.peers.items[0], *mobile = &config->top.peers.items[1];
    (void)state;
    assert_string_equal(config->interface, "utun0");
    assert_int_equal(config->top.addresses.count, 1);
    expect_prefix(&config->top.addresses.items[0], "10.0.0.1", 32);
    assert_int_equal(config->top.port, 1194);
    expect_key(&config->top.private_key, SECRET_1);
    assert_true(gw_config_has_secret(config));
    assert_int_equal(anchor->role, GW_CONFIG_ROLE_ANCHOR);
    expect_key(&anchor->public_key, KEY_2);
    assert_false(anchor->peer_id.is_set);
    expect_addr(&anchor->tunnel_ips.items[0], "10.0.0.2:0");
    expect_prefix(&anchor->allowed_ips.items[0], "10.0.0.0", 24);
    assert_int_equal(mobile->role, GW_CONFIG_ROLE_DYNAMIC);
    assert_int_equal(mobile->endpoints.count, 0);
    assert_int_equal(mobile->anchors.count, 1);
    assert_string_equal(mobile->anchors.items[0], KEY_2);
    gw_config_free(config);
}

static void the_legacy_format_of_ipou(void **state)
{
    struct gw_config *config = parse("private_key: \"" SECRET_1 "\"\n"
                                     "peers:\n"
                                     "  - public_key: \"" KEY_2 "\"\n"
                                     "    endpoint: \"127.0.0.1:51820\"\n"
                                     "    allowed_ips: [\"10.0.0.1/32\"]\n");
    (void)state;
    expect_key(&config->top.private_key, SECRET_1);
    assert_null(config->top.peers.items[0].name);
    expect_addr(&config->top.peers.items[0].endpoints.items[0].addr, "127.0.0.1:51820");
    gw_config_free(config);
}

/* ---- peer-up */

/* A node's whole file, as peer-up writes it. */
static const char peer_up_file[] =
    "version: 1\n"
    "identity:\n"
    "  key_file: \"home_node.key\"\n"
    "network:\n"
    "  listen_addresses:\n"
    "    - \"/ip4/0.0.0.0/tcp/9100\"\n"
    "    - \"/ip4/0.0.0.0/udp/9100/quic-v1\"\n"
    "    - \"/ip6/::/tcp/9100\"\n"
    "    - \"/ip6/::/udp/9100/quic-v1\"\n"
    "  force_private_reachability: true\n"
    "relay:\n"
    "  addresses: [\"/ip4/192.0.2.1/tcp/7777/p2p/" ID_2 "\"]\n"
    "  reservation_interval: \"2m\"\n"
    "discovery:\n"
    "  rendezvous: \"some-network\"\n"
    "  bootstrap_peers: []\n"
    "security:\n"
    "  authorized_keys_file: \"authorized_keys\"\n"
    "  enable_connection_gating: true\n"
    "protocols:\n"
    "  ping_pong: {enabled: true, id: \"/pingpong/1.0.0\"}\n"
    "services:\n"
    "  ssh: {enabled: true, local_address: \"localhost:22\", protocol: \"/peerup/ssh/1.0.0\"}\n"
    "names:\n"
    "  home: \"" ID_2 "\"\n";

static void a_file_of_peer_up(void **state)
{
    static const char *const notes[] = {
        "/etc/peergate/config.yaml:5: network.listen_addresses: TCP is not listened on",
        "/etc/peergate/config.yaml:11: relay: not used here: ",
        "/etc/peergate/config.yaml:14: discovery: not used here: ",
        "/etc/peergate/config.yaml:23: services.ssh.protocol: not used here: ",
    };
    struct gw_diag diag = {0};
    struct gw_config *config;
    (void)state;
    assert_int_equal(
        gw_config_parse(&config, peer_up_file, sizeof peer_up_file - 1, "/etc/peergate/config.yaml", &diag),
        0);
    assert_int_equal(diag.errors, 0);
    assert_int_equal(diag.count, sizeof notes / sizeof *notes);
    for (size_t i = 0; i < diag.count; i++) {
        assert_int_equal(diag.entries[i].severity, GW_DIAG_WARNING);
        if (strncmp(diag.entries[i].text, notes[i], strlen(notes[i])) != 0)
            fail_msg("%s", diag.entries[i].text);
    }
    gw_diag_clear(&diag);
    assert_string_equal(config->top.identity, "/etc/peergate/home_node.key");
    assert_int_equal(config->top.port, 9100);
    assert_int_equal(config->top.listen.count, 2);
    expect_addr(&config->top.listen.items[0], "0.0.0.0:0");
    expect_addr(&config->top.listen.items[1], "[::]:0");
    assert_string_equal(config->top.name, "mesh");
    assert_string_equal(config->top.security.authorized_keys_file, "/etc/peergate/authorized_keys");
    assert_int_equal(gw_config_find_service(&config->top, "ssh")->protocol, GW_CONFIG_TCP);
    assert_int_equal(config->names.count, 1);
    assert_string_equal(config->names.items[0].name, "home");
    assert_true(config->names.items[0].peer_id.is_set);
    gw_config_free(config);
}

/* `relay` is a mapping in peer-up's files, and yes or no in ours. */
static void relay_is_ours_or_not(void **state)
{
    static const struct {
        const char *text;
        int err;
        size_t notes;
        bool relays;
    } table[] = {{"relay: true\n", 0, 0, true},
                 {"relay: {addresses: []}\n", 0, 1, false},
                 {"port: 1\n", 0, 0, false},
                 {"relay: maybe\n", GW_E_CONFIG, 1, false}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct gw_diag diag = {0};
        struct gw_config *config;
        int err = gw_config_parse(&config, table[i].text, strlen(table[i].text), "c", &diag);
        assert_int_equal(err, table[i].err);
        assert_int_equal(diag.count, table[i].notes);
        if (!err)
            assert_int_equal(config->top.relay, table[i].relays);
        gw_diag_clear(&diag);
        gw_config_free(config);
    }
}

/* What of peer-up has no harmless reading is wrong, and is told by its line. */
static void what_peer_up_cannot_say_here(void **state)
{
    static const char *const table[][2] = {
        {"identity: {key_file: [a]}\n", "c:1: identity.key_file: expected a path, found a list"},
        {"identity: {key_fiel: a}\n", "c:1: identity.key_fiel: unknown key"},
        {"network: {listen_adresses: []}\n", "c:1: network.listen_adresses: unknown key"},
        {"network:\n  listen_addresses: [/ip4/0.0.0.0/udp/1/quic-v1, /ip6/::/udp/2/quic-v1]\n",
         "c:2: network.listen_addresses: expected one UDP port for all addresses, found 1 and 2"},
        {"network: {listen_addresses: /ip4/0.0.0.0/udp/65536}\n",
         "c:1: network.listen_addresses: expected a multiaddr such as /ip4/0.0.0.0/udp/9100/quic-v1, found "
         "\"/ip4/0.0.0.0/udp/65536\""},
        {"network: {listen_addresses: /ip6/0.0.0.0/udp/1}\n",
         "c:1: network.listen_addresses: expected a multiaddr such as /ip4/0.0.0.0/udp/9100/quic-v1, found "
         "\"/ip6/0.0.0.0/udp/1\""},
        {"services: {ssh: {local_address: \"a:22\", allowed_peers: [" ID_2 "]}}\n",
         "c:1: services.ssh.allowed_peers: unknown key"},
        {"names: {home: someone}\n",
         "c:1: names.home: expected a peer ID of an Ed25519 key (12D3KooW...), found \"someone\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct gw_diag diag = {0};
        struct gw_config *config;
        assert_int_equal(gw_config_parse(&config, table[i][0], strlen(table[i][0]), "c", &diag), GW_E_CONFIG);
        assert_null(config);
        assert_int_equal(diag.errors, 1);
        if (strcmp(diag.entries[0].text, table[i][1]) != 0)
            fail_msg("%s", diag.entries[0].text);
        gw_diag_clear(&diag);
    }
}

/* The file's own keys go first, and gating is no question. */
static void peer_up_beside_our_keys(void **state)
{
    static const char text[] = "port: 7001\n"
                               "listen: 127.0.0.1\n"
                               "identity: {key_file: \"\"}\n"
                               "network: {listen_addresses: /ip4/0.0.0.0/udp/0/quic-v1}\n"
                               "security: {enable_connection_gating: false}\n";
    struct gw_diag diag = {0};
    struct gw_config *config;
    (void)state;
    assert_int_equal(gw_config_parse(&config, text, sizeof text - 1, "/d/c", &diag), 0);
    assert_int_equal(config->top.port, 7001);
    assert_int_equal(config->top.listen.count, 1);
    expect_addr(&config->top.listen.items[0], "127.0.0.1:0");
    assert_string_equal(config->top.identity, "/d/identity.key");
    assert_int_equal(diag.count, 2);
    assert_non_null(strstr(diag.entries[0].text, "a new identity at each start is not to be had"));
    assert_non_null(strstr(diag.entries[1].text, "it cannot be turned off"));
    gw_diag_clear(&diag);
    gw_config_free(config);
}

static void the_keys_of_peer_up(void **state)
{
    struct gw_config *config = parse("security:\n"
                                     "  authorized_keys_file: \"~/.peerup/authorized_keys\"\n"
                                     "services:\n"
                                     "  ssh:\n"
                                     "    enabled: true\n"
                                     "    local_address: \"localhost:22\"\n"
                                     "    authorized_keys: \"ssh_keys\"\n"
                                     "  xrdp:\n"
                                     "    enabled: false\n"
                                     "    local_address: \"localhost:3389\"\n"
                                     "federation:\n"
                                     "  peers:\n"
                                     "    - network_name: \"alice\"\n"
                                     "      relay: \"/ip4/1.2.3.4/tcp/7777/p2p/" ID_2 "\"\n"
                                     "      trust_level: \"full\"\n"
                                     "    - network_name: bob\n");
    const struct gw_config_service *ssh = gw_config_find_service(&config->top, "SSH"),
                                   *xrdp = gw_config_find_service(&config->top, "xrdp");
    (void)state;
    assert_string_equal(config->top.security.authorized_keys_file, "/users/someone/.peerup/authorized_keys");
    assert_string_equal(ssh->authorized_keys, "/etc/peergate/ssh_keys");
    assert_int_equal(ssh->local_address.kind, GW_CONFIG_ENDPOINT_NAME);
    assert_string_equal(ssh->local_address.name, "localhost");
    assert_int_equal(ssh->port, 22);
    assert_false(xrdp->enabled);
    assert_null(xrdp->authorized_keys);
    assert_ptr_equal(gw_config_find_port(&config->top, GW_CONFIG_TCP, 3389), xrdp);
    assert_null(gw_config_find_port(&config->top, GW_CONFIG_UDP, 3389));
    assert_null(gw_config_find_service(&config->top, "smb"));
    assert_int_equal(config->federation_peers.count, 2);
    assert_int_equal(config->federation_peers.items[0].trust_level, GW_CONFIG_TRUST_FULL);
    assert_int_equal(config->federation_peers.items[1].trust_level, GW_CONFIG_TRUST_ONE_WAY);
    gw_config_free(config);
}

/* ---- peers */

static void a_peer_with_everything(void **state)
{
    struct gw_config *config =
        parse("peers:\n"
              "  - name: laptop\n"
              "    peer_id: " ID_1 "\n"
              "    public_key: " KEY_1 "\n"
              "    preshared_key: [" SECRET_1 ", " SECRET_2 "]\n"
              "    endpoint: [\"laptop.example.org:7001\", \"192.0.2.7:7001\", \"[2001:db8::7]:7001\"]\n"
              "    tunnel_ip: [10.64.0.7, fd00::7]\n"
              "    allowed_ips: [192.168.7.9/24]\n"
              "    keepalive_interval: 0\n"
              "    seal: forbidden\n"
              "    hello: never\n"
              "    congestion: cubic\n"
              "    eager: yes\n"
              "protocol: {connection_timeout: 2m}\n");
    struct gw_peer_config peer;
    char key[GW_KEY_BASE64_STRLEN];
    (void)state;
    gw_config_to_peer(&peer, &config->top, &config->top.peers.items[0]);
    assert_string_equal(peer.name, "laptop");
    assert_true(peer.has_ed25519);
    assert_string_equal(gw_key_base64_format(peer.public_key, key), KEY_1);
    assert_int_equal(peer.psk_count, 2);
    assert_string_equal(gw_key_base64_format(peer.psks[1], key), SECRET_2);
    assert_int_equal(peer.endpoint_count, 2); /* the name is the daemon's to look up */
    expect_addr(&peer.endpoints[1], "[2001:db8::7]:7001");
    assert_int_equal(peer.allowed_ip_count, 3);
    expect_prefix(&peer.allowed_ips[0], "10.64.0.7", 32);
    expect_prefix(&peer.allowed_ips[1], "fd00::7", 128);
    expect_prefix(&peer.allowed_ips[2], "192.168.7.0", 24);
    assert_int_equal(peer.keepalive_ns, 0);
    assert_true(peer.connection_timeout_ns == GW_S(120));
    assert_int_equal(peer.seal, GW_SEAL_FORBIDDEN);
    assert_int_equal(peer.hello, GW_HELLO_NEVER);
    assert_int_equal(peer.cc, GW_CC_CUBIC);
    assert_true(peer.is_eager);
    assert_false(peer.is_provisional);
    gw_config_free(config);
}

/* Wherever in the file it stands. */
static void peers_inherit(void **state)
{
    struct gw_config *config =
        parse("peers:\n"
              "  - {name: a, public_key: " KEY_1 "}\n"
              "  - {name: b, public_key: " KEY_2 ", keepalive_interval: 5s, seal: auto, congestion: bbr}\n"
              "protocol: {keepalive_interval: 1m}\n"
              "seal: forbidden\n"
              "congestion: cubic\n");
    const struct gw_config_peer *a = &config->top.peers.items[0], *b = &config->top.peers.items[1];
    (void)state;
    assert_true(a->keepalive_ns == GW_S(60));
    assert_int_equal(a->seal, GW_SEAL_FORBIDDEN);
    assert_int_equal(a->congestion, GW_CC_CUBIC);
    assert_true(b->keepalive_ns == GW_S(5));
    assert_int_equal(b->seal, GW_SEAL_AUTO);
    assert_int_equal(b->congestion, GW_CC_BBR);
    gw_config_free(config);
}

/* As many of everything as the engine takes. */
static void a_peer_with_the_most(void **state)
{
    static char text[8192];
    size_t used = (size_t)sprintf(text, "peers:\n  - peer_id: " ID_1
                                        "\n    tunnel_ip: [10.0.0.1, fd00::1]\n    allowed_ips: [");
    struct gw_peer_config peer;
    (void)state;
    for (unsigned i = 0; i < GW_PEER_ALLOWED_IPS_MAX - 4; i++)
        used += (size_t)sprintf(text + used, "%s10.1.%u.0/24", i ? ", " : "", i);
    used += (size_t)sprintf(text + used, "]\n    endpoint: [");
    for (unsigned i = 0; i < GW_PEER_ENDPOINTS_MAX; i++)
        used += (size_t)sprintf(text + used, "%s\"10.2.0.1:%u\"", i ? ", " : "", i + 1);
    sprintf(text + used, "]\n    preshared_key: [" SECRET_1 ", " SECRET_2 ", " KEY_1 ", " KEY_2 "]\n");
    struct gw_config *config = parse(text);
    gw_config_to_peer(&peer, &config->top, &config->top.peers.items[0]);
    assert_int_equal(peer.allowed_ip_count, GW_PEER_ALLOWED_IPS_MAX - 2);
    assert_int_equal(peer.endpoint_count, GW_PEER_ENDPOINTS_MAX);
    assert_int_equal(peer.psk_count, GW_PSK_MAX);
    gw_config_free(config);
}

/* ---- proxy and services */

static void socks(void **state)
{
    struct gw_config *config = parse("socks:\n"
                                     "  listen: [\"127.0.0.1:0\", \"unix:socks.sock\"]\n"
                                     "  mode: 0660\n"
                                     "  username: me\n"
                                     "  password: secret\n"
                                     "  users: {alice: one, bob: {password: two}, 7: 8}\n"
                                     "  others: direct\n"
                                     "  allow: [example.org, \"*.example.net:443\"]\n"
                                     "  deny: \"*\"\n"
                                     "  http: off\n"
                                     "  timeout: 5\n");
    (void)state;
    assert_int_equal(config->socks.listen.count, 2);
    assert_string_equal(config->socks.listen.items[1].name, "/etc/peergate/socks.sock");
    assert_int_equal(config->socks.mode, 0660);
    assert_int_equal(config->socks.users.count, 4);
    assert_string_equal(config->socks.users.items[1].name, "bob");
    assert_string_equal(config->socks.users.items[1].password, "two");
    assert_string_equal(config->socks.users.items[2].name, "7");
    assert_string_equal(config->socks.users.items[3].name, "me");
    assert_null(config->socks.username);
    assert_null(config->socks.password);
    assert_int_equal(config->socks.others, GW_CONFIG_OTHERS_DIRECT);
    assert_int_equal(config->socks.allow.count, 2);
    assert_int_equal(config->socks.deny.items[0].kind, GW_RULE_SUFFIX);
    assert_false(config->socks.http);
    assert_true(config->socks.timeout_ns == GW_S(5));
    assert_true(gw_config_has_secret(config));
    gw_config_free(config);
}

static void seal_without_hello(void **state)
{
    struct gw_diag diag = {0};
    struct gw_config *config;
    static const char text[] = "seal: required\n"
                               "peers:\n"
                               "  - {public_key: " KEY_1 ", hello: never}\n";
    (void)state;
    assert_int_equal(gw_config_parse(&config, text, sizeof text - 1, "config.yaml", &diag), 0);
    assert_int_equal(diag.count, 1);
    assert_non_null(strstr(diag.entries[0].text, "lets nothing pass"));
    gw_diag_clear(&diag);
    gw_config_free(config);
}

static void services(void **state)
{
    struct gw_config *config = parse("services:\n"
                                     "  SSH: {local_address: \"[::1]:22\", class: interactive}\n"
                                     "  sock: {local_address: \"unix:/run/x\", class: bulk}\n"
                                     "  dns: {local_address: \"127.0.0.1:53\", protocol: udp, port: 5353}\n"
                                     "  hidden: {local_address: \"127.0.0.1:22\", port: 0}\n"
                                     "  dns-tcp: {local_address: \"127.0.0.1:53\", port: 5353}\n");
    (void)state;
    assert_string_equal(config->top.services.items[0].name, "ssh");
    assert_true(config->top.services.items[0].enabled);
    assert_int_equal(config->top.services.items[0].class, GW_CLASS_INTERACTIVE);
    assert_int_equal(config->top.services.items[2].class, GW_CONFIG_CLASS_WISHED);
    assert_int_equal(config->top.services.items[1].port, 0);
    assert_int_equal(config->top.services.items[1].local_address.kind, GW_CONFIG_ENDPOINT_UNIX);
    assert_int_equal(config->top.services.items[2].port, 5353);
    assert_int_equal(config->top.services.items[3].port, 0);
    assert_string_equal(gw_config_find_port(&config->top, GW_CONFIG_UDP, 5353)->name, "dns");
    assert_string_equal(gw_config_find_port(&config->top, GW_CONFIG_TCP, 5353)->name, "dns-tcp");
    assert_null(gw_config_find_port(&config->top, GW_CONFIG_TCP, 0));
    gw_config_free(config);
}

static void names_that_are_no_host_names_are_warned_of(void **state)
{
    struct gw_config *config;
    struct gw_diag diag = {0};
    static const char text[] = "peers:\n  - {name: \"Anna's laptop\", public_key: " KEY_1 "}\n";
    (void)state;
    assert_int_equal(gw_config_parse(&config, text, strlen(text), "c", &diag), 0);
    assert_int_equal(diag.errors, 0);
    assert_string_equal(
        diag.entries[0].text,
        "c:2: peers[].name: \"Anna's laptop\" cannot be used as a host name, which has letters, digits and - only");
    gw_config_free(config);
    gw_diag_clear(&diag);
}

/* ---- files */

static void loaded_from_a_file(void **state)
{
    static const char with_secret[] = "private_key: " SECRET_1 "\n";
    struct folder folder;
    struct gw_config *config;
    struct gw_diag diag = {0};
    char path[FILE_LEN], expected[FILE_LEN * 3];
    (void)state;
    folder_make(&folder);
    folder_file(&folder, "config.yaml", path);
    assert_int_equal(gw_config_load(&config, path, &diag), -ENOENT);
    file_write(path, smallest, strlen(smallest), 0644); /* without a secret others may read it */
    assert_int_equal(gw_config_load(&config, path, &diag), 0);
    snprintf(expected, sizeof expected, "%s/identity.key", folder.path);
    assert_string_equal(config->top.identity, expected);
    gw_config_free(config);
    file_write(path, smallest, strlen(smallest), 0664);
    assert_int_equal(gw_config_load(&config, path, &diag), GW_E_PERMISSION);
    file_write(path, with_secret, strlen(with_secret), 0640);
    assert_int_equal(gw_config_load(&config, path, &diag), GW_E_PERMISSION);
    assert_null(config);
    snprintf(expected, sizeof expected, "%s: others may read this file (mode 0640): chmod 600 %s", path,
             path);
    assert_string_equal(diag.entries[diag.count - 1].text, expected);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(gw_config_load(&config, path, &diag), 0);
    gw_config_free(config);
    folder_remove(&folder);
    gw_diag_clear(&diag);
}

static void the_identity_of_a_configuration(void **state)
{
    struct folder folder;
    struct gw_config *config;
    struct gw_identity *identity, *made;
    struct gw_diag diag = {0};
    char path[FILE_LEN], file[FILE_LEN];
    static const char with_secret[] = "private_key: " SECRET_1 "\n";
    (void)state;
    folder_make(&folder);
    folder_file(&folder, "config.yaml", path);
    file_write(path, with_secret, strlen(with_secret), 0600);
    assert_int_equal(gw_config_load(&config, path, &diag), 0);
    assert_int_equal(gw_config_load_identity(&identity, &config->top, &diag), 0); /* the key alone */
    assert_false(identity->has_ed25519);
    assert_memory_equal(identity->x25519_secret, config->top.private_key.bytes, 32);
    gw_identity_free(identity);
    assert_int_equal(gw_identity_generate(&made, gw_random_system()), 0);
    assert_int_equal(gw_identity_save_new(made, folder_file(&folder, "identity.key", file)), 0);
    assert_int_equal(gw_config_load_identity(&identity, &config->top, &diag), 0); /* both */
    assert_memory_equal(identity->ed25519, made->ed25519, 32);
    assert_memory_not_equal(identity->x25519, made->x25519, 32);
    assert_false(identity->is_derived);
    gw_identity_free(identity);
    gw_identity_free(made);
    assert_int_equal(chmod(file, 0644), 0);
    assert_int_equal(gw_config_load_identity(&identity, &config->top, &diag), GW_E_PERMISSION);
    assert_null(identity);
    gw_config_free(config);
    folder_remove(&folder);
    gw_diag_clear(&diag);
}

static int set_home(void **state)
{
    (void)state;
    return setenv("HOME", "/users/someone", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest),
        cmocka_unit_test(an_empty_file_is_all_defaults),
        cmocka_unit_test(keys_without_values_are_not_there),
        cmocka_unit_test(the_new_format_of_ipou),
        cmocka_unit_test(the_legacy_format_of_ipou),
        cmocka_unit_test(the_keys_of_peer_up),
        cmocka_unit_test(a_file_of_peer_up),
        cmocka_unit_test(relay_is_ours_or_not),
        cmocka_unit_test(what_peer_up_cannot_say_here),
        cmocka_unit_test(peer_up_beside_our_keys),
        cmocka_unit_test(a_peer_with_everything),
        cmocka_unit_test(peers_inherit),
        cmocka_unit_test(a_peer_with_the_most),
        cmocka_unit_test(socks),
        cmocka_unit_test(seal_without_hello),
        cmocka_unit_test(services),
        cmocka_unit_test(names_that_are_no_host_names_are_warned_of),
        cmocka_unit_test(loaded_from_a_file),
        cmocka_unit_test(the_identity_of_a_configuration),
    };
    return cmocka_run_group_tests(tests, set_home, NULL);
}
