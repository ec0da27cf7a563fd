/* SPDX-License-Identifier: MIT */
/* Two configurations for each key of the schema, which differ in it. */
#ifndef TESTS_UNIT_DAEMON_RELOAD_ROWS_H
#define TESTS_UNIT_DAEMON_RELOAD_ROWS_H

#include "tests/unit/config/keys.h"

#include <stdbool.h>

#define QUIET "port: 0\nport_mapping: off\n"
#define TUN QUIET "tun: {enabled: true, "
#define PEER QUIET "peers: [{name: one, public_key: \"" KEY_1 "\", "
#define ANCHORS QUIET "anchors: [{name: one, public_key: \"" KEY_1 "\", endpoint: \"127.0.0.1:9\", "
#define SERVICE QUIET "services: {web: {local_address: \"127.0.0.1:8000\", "
#define DNS QUIET "dns: {enabled: true, "
#define SOCKS QUIET "socks: {listen: \"127.0.0.1:1080\", "
#define ANCHOR QUIET "role: anchor\nanchor: {"

struct row {
    const char *key; /* as docs/CONFIG.md has it */
    const char *before, *after;
    bool needs_tun;
};

static const struct row rows[] = {
    {"hostname", QUIET "hostname: a\n", QUIET "hostname: b\n", false},
    {"network", QUIET "network: a\n", QUIET "network: b\n", false},
    {"port", "port: 51001\nport_mapping: off\n", "port: 51002\nport_mapping: off\n", false},
    {"listen", QUIET "listen: 127.0.0.1\n", QUIET "listen: 127.0.0.2\n", false},
    {"identity", QUIET "identity: identity.key\n", QUIET "identity: other.key\n", false},
    {"private_key", QUIET "private_key: \"" SECRET_1 "\"\n", QUIET "private_key: \"" SECRET_2 "\"\n", false},
    {"address", QUIET "address: 10.64.0.7/16\n", QUIET "address: 10.64.0.8/16\n", false},
    {"address_range", QUIET "address_range: 10.64.0.0/16\n", QUIET "address_range: 10.65.0.0/16\n", false},
    {"alias_range", QUIET "alias_range: 10.70.0.0/16\n", QUIET "alias_range: 10.71.0.0/16\n", false},
    {"seal", PEER "}]\nseal: auto\n", PEER "}]\nseal: forbidden\n", false},
    {"congestion", PEER "}]\ncongestion: bbr\n", PEER "}]\ncongestion: cubic\n", false},
    {"role", QUIET "role: dynamic\n", QUIET "role: anchor\n", false},
    {"relay", QUIET "relay: false\n", QUIET "relay: true\n", false},
    {"anchors", QUIET, ANCHORS "}]\n", false},
    {"advertise", QUIET, QUIET "advertise: \"192.0.2.1:1000\"\n", false},
    {"stun", QUIET "stun: \"127.0.0.1:9\"\n", QUIET "stun: \"127.0.0.1:10\"\n", false},
    {"tls_proxy", QUIET "tls_proxy: \"http://127.0.0.1:9\"\n", QUIET "tls_proxy: \"http://127.0.0.1:10\"\n",
     false},
    {"port_mapping", "port: 0\nport_mapping: auto\n", "port: 0\nport_mapping: off\n", false},
    {"peers", QUIET, PEER "}]\n", false},
    {"services", QUIET, SERVICE "}}\n", false},
    {"expose", QUIET "expose: services\n", QUIET "expose: host\n", false},
    {"name", TUN "}\nname: peer7\n", TUN "}\nname: peer8\n", true},
    {"memory", QUIET "memory: 64MB\n", QUIET "memory: 32MB\n", false},
    {"busy_poll", QUIET "busy_poll: 1s\n", QUIET "busy_poll: 0\n", false},
    {"lanes", TUN "}\nlanes: 0\n", TUN "}\nlanes: 2\n", true},
    {"names", PEER "peer_id: " ID_1 "}]\nnames: {}\n", PEER "peer_id: " ID_1 "}]\nnames: {two: " ID_1 "}\n",
     false},
    {"networks", QUIET "network: a\n",
     QUIET "network: a\nnetworks: [{network: b, port: 0, port_mapping: off, identity: other.key}]\n", false},

    {"log.level", QUIET "log: {level: error}\n", QUIET "log: {level: info}\n", false},
    {"log.hide_addresses", QUIET "log: {hide_addresses: false}\n", QUIET "log: {hide_addresses: true}\n",
     false},
    {"control.socket", QUIET "control: {socket: a.sock}\n", QUIET "control: {socket: b.sock}\n", false},
    {"control.mode", QUIET "control: {mode: 0600}\n", QUIET "control: {mode: 0660}\n", false},

    {"protocol.keepalive_interval", PEER "}]\nprotocol: {keepalive_interval: 20}\n",
     PEER "}]\nprotocol: {keepalive_interval: 30}\n", false},
    {"protocol.connection_timeout", PEER "}]\nprotocol: {connection_timeout: 75}\n",
     PEER "}]\nprotocol: {connection_timeout: 30}\n", false},
    {"protocol.punch_timeout", PEER "}]\nprotocol: {punch_timeout: 10}\n",
     PEER "}]\nprotocol: {punch_timeout: 20}\n", false},
    {"protocol.max_punch_attempts", PEER "}]\nprotocol: {max_punch_attempts: 5}\n",
     PEER "}]\nprotocol: {max_punch_attempts: 0}\n", false},
    {"security.authorized_keys_file", QUIET "security: {authorized_keys_file: keys_1}\n",
     QUIET "security: {authorized_keys_file: keys_2}\n", false},

    {"tun.enabled", QUIET "tun: {enabled: false}\n", QUIET "tun: {enabled: true}\n", false},
    {"tun.fd", QUIET "tun: {enabled: false, fd: 0}\n", QUIET "tun: {enabled: false, fd: 77}\n", false},
    {"tun.mtu", TUN "mtu: 1380}\n", TUN "mtu: 1300}\n", true},
    {"tun.routes", TUN "routes: true}\npeers: [{public_key: \"" KEY_1 "\", allowed_ips: 10.9.0.0/16}]\n",
     TUN "routes: false}\npeers: [{public_key: \"" KEY_1 "\", allowed_ips: 10.9.0.0/16}]\n", true},
    {"tun.accelerate", TUN "accelerate: false}\n", TUN "accelerate: true}\n", true},
    {"tun.subnets", TUN "subnets: 10.1.0.0/16}\n", TUN "subnets: 10.2.0.0/16}\n", true},

    {"dns.enabled", QUIET "dns: {enabled: false}\n", QUIET "dns: {enabled: true}\n", false},
    {"dns.listen", DNS "listen: \"127.0.0.1:5301\"}\n", DNS "listen: \"127.0.0.1:5302\"}\n", false},
    {"dns.allowed", DNS "allowed: 10.1.0.0/16}\n", DNS "allowed: 10.2.0.0/16}\n", false},
    {"dns.upstreams", DNS "upstreams: \"127.0.0.1:9\"}\n", DNS "upstreams: \"127.0.0.1:10\"}\n", false},
    {"dns.rate", DNS "rate: 1000}\n", DNS "rate: 2000}\n", false},
    {"virtual_router.enabled", QUIET "virtual_router: {enabled: false}\n",
     QUIET "virtual_router: {enabled: true}\n", false},

    {"netstack.max_connections", QUIET "netstack: {max_connections: 2000}\n",
     QUIET "netstack: {max_connections: 20}\n", false},
    {"netstack.max_half_open", QUIET "netstack: {max_half_open: 256}\n",
     QUIET "netstack: {max_half_open: 20}\n", false},
    {"netstack.max_associations", QUIET "netstack: {max_associations: 4096}\n",
     QUIET "netstack: {max_associations: 20}\n", false},

    {"socks.listen", QUIET "socks: {listen: \"127.0.0.1:1080\"}\n",
     QUIET "socks: {listen: \"127.0.0.1:1081\"}\n", false},
    {"socks.mode", QUIET "socks: {listen: \"unix:a.sock\", mode: 0600}\n",
     QUIET "socks: {listen: \"unix:a.sock\", mode: 0660}\n", false},
    {"socks.username", SOCKS "username: ann, password: a}\n", SOCKS "username: bob, password: a}\n", false},
    {"socks.password", SOCKS "username: ann, password: a}\n", SOCKS "username: ann, password: b}\n", false},
    {"socks.users", SOCKS "users: {ann: a}}\n", SOCKS "users: {ann: a, bob: a}}\n", false},
    {"socks.users.NAME.password", SOCKS "users: {ann: {password: a}}}\n",
     SOCKS "users: {ann: {password: b}}}\n", false},
    {"socks.others", SOCKS "others: reject}\n", SOCKS "others: direct}\n", false},
    {"socks.allow", SOCKS "others: direct, allow: a.example}\n", SOCKS "others: direct, allow: b.example}\n",
     false},
    {"socks.deny", SOCKS "others: direct, deny: a.example}\n", SOCKS "others: direct, deny: b.example}\n",
     false},
    {"socks.http", SOCKS "http: true}\n", SOCKS "http: false}\n", false},
    {"socks.timeout", SOCKS "timeout: 30}\n", SOCKS "timeout: 20}\n", false},

    {"names.NAME.peer_id",
     QUIET "peers: [{peer_id: " ID_1 "}, {peer_id: " ID_2 "}]\nnames: {one: {peer_id: " ID_1 "}}\n",
     QUIET "peers: [{peer_id: " ID_1 "}, {peer_id: " ID_2 "}]\nnames: {one: {peer_id: " ID_2 "}}\n", false},

    {"services.NAME.enabled", SERVICE "enabled: true}}\n", SERVICE "enabled: false}}\n", false},
    {"services.NAME.local_address", SERVICE "}}\n",
     QUIET "services: {web: {local_address: \"127.0.0.1:8001\", port: 8000}}\n", false},
    {"services.NAME.protocol", SERVICE "protocol: tcp}}\n", SERVICE "protocol: udp}}\n", false},
    {"services.NAME.port", SERVICE "port: 80}}\n", SERVICE "port: 81}}\n", false},
    {"services.NAME.authorized_keys", SERVICE "authorized_keys: keys_1}}\n",
     SERVICE "authorized_keys: keys_2}}\n", false},
    {"services.NAME.class", SERVICE "class: bulk}}\n", SERVICE "class: interactive}}\n", false},

    {"peers[].name", PEER "}]\n", QUIET "peers: [{name: two, public_key: \"" KEY_1 "\"}]\n", false},
    {"peers[].peer_id", QUIET "peers: [{name: one, peer_id: " ID_1 "}]\n",
     QUIET "peers: [{name: one, peer_id: " ID_2 "}]\n", false},
    {"peers[].public_key", PEER "}]\n", QUIET "peers: [{name: one, public_key: \"" KEY_2 "\"}]\n", false},
    {"peers[].preshared_key", PEER "preshared_key: \"" SECRET_1 "\"}]\n",
     PEER "preshared_key: \"" SECRET_2 "\"}]\n", false},
    {"peers[].role", PEER "endpoint: \"127.0.0.1:9\", role: dynamic}]\n",
     PEER "endpoint: \"127.0.0.1:9\", role: anchor}]\n", false},
    {"peers[].endpoint", PEER "endpoint: \"127.0.0.1:9\"}]\n", PEER "endpoint: \"127.0.0.1:10\"}]\n", false},
    {"peers[].tunnel_ip", PEER "tunnel_ip: 10.64.0.7}]\n", PEER "tunnel_ip: 10.64.0.8}]\n", false},
    {"peers[].allowed_ips", PEER "allowed_ips: 10.1.0.0/16}]\n", PEER "allowed_ips: 10.2.0.0/16}]\n", false},
    {"peers[].anchors",
     QUIET "anchors: [{name: x, public_key: \"" KEY_2
           "\", endpoint: \"127.0.0.1:9\"}]\npeers: [{public_key: \"" KEY_1 "\"}]\n",
     QUIET "anchors: [{name: x, public_key: \"" KEY_2
           "\", endpoint: \"127.0.0.1:9\"}]\npeers: [{public_key: \"" KEY_1 "\", anchors: x}]\n",
     false},
    {"peers[].keepalive_interval", PEER "keepalive_interval: 20}]\n", PEER "keepalive_interval: 30}]\n",
     false},
    {"peers[].seal", PEER "seal: auto}]\n", PEER "seal: required}]\n", false},
    {"peers[].hello", PEER "hello: auto}]\n", PEER "hello: never}]\n", false},
    {"peers[].path", PEER "path: auto}]\n", PEER "path: relay}]\n", false},
    {"peers[].congestion", PEER "congestion: bbr}]\n", PEER "congestion: cubic}]\n", false},
    {"peers[].tls_port", PEER "role: anchor, endpoint: \"127.0.0.1:9\", tls_port: 443}]\n",
     PEER "role: anchor, endpoint: \"127.0.0.1:9\", tls_port: 444}]\n", false},
    {"peers[].tls_name", PEER "role: anchor, endpoint: \"127.0.0.1:9\", tls_name: a}]\n",
     PEER "role: anchor, endpoint: \"127.0.0.1:9\", tls_name: b}]\n", false},
    {"peers[].eager", PEER "eager: false}]\n", PEER "eager: true}]\n", false},

    {"anchors[].name", ANCHORS "}]\n",
     QUIET "anchors: [{name: two, public_key: \"" KEY_1 "\", endpoint: \"127.0.0.1:9\"}]\n", false},
    {"anchors[].peer_id", QUIET "anchors: [{peer_id: " ID_1 ", endpoint: \"127.0.0.1:9\"}]\n",
     QUIET "anchors: [{peer_id: " ID_2 ", endpoint: \"127.0.0.1:9\"}]\n", false},
    {"anchors[].public_key", ANCHORS "}]\n",
     QUIET "anchors: [{name: one, public_key: \"" KEY_2 "\", endpoint: \"127.0.0.1:9\"}]\n", false},
    {"anchors[].preshared_key", ANCHORS "preshared_key: \"" SECRET_1 "\"}]\n",
     ANCHORS "preshared_key: \"" SECRET_2 "\"}]\n", false},
    {"anchors[].endpoint", ANCHORS "}]\n",
     QUIET "anchors: [{name: one, public_key: \"" KEY_1 "\", endpoint: \"127.0.0.1:10\"}]\n", false},
    {"anchors[].keepalive_interval", ANCHORS "keepalive_interval: 20}]\n",
     ANCHORS "keepalive_interval: 30}]\n", false},
    {"anchors[].tls_port", ANCHORS "tls_port: 443}]\n", ANCHORS "tls_port: 444}]\n", false},
    {"anchors[].tls_name", ANCHORS "tls_name: a}]\n", ANCHORS "tls_name: b}]\n", false},

    {"anchor.tls", ANCHOR "tls: \"127.0.0.1:4431\"}\n", ANCHOR "tls: \"127.0.0.1:4432\"}\n", false},
    {"anchor.relay", ANCHOR "relay: true}\n", ANCHOR "relay: false}\n", false},
    {"anchor.rate", ANCHOR "rate: 1MB}\n", ANCHOR "rate: 2MB}\n", false},
    {"anchor.total_rate", ANCHOR "total_rate: 1MB}\n", ANCHOR "total_rate: 2MB}\n", false},
    {"anchor.volume", ANCHOR "volume: 1GB}\n", ANCHOR "volume: 2GB}\n", false},
    {"anchor.max_channels", ANCHOR "max_channels: 100}\n", ANCHOR "max_channels: 200}\n", false},
    {"anchor.max_tags", ANCHOR "max_tags: 100}\n", ANCHOR "max_tags: 200}\n", false},
    {"anchor.directory", ANCHOR "directory: \"redis://127.0.0.1:9\", fleet_key: \"" SECRET_1 "\"}\n",
     ANCHOR "directory: \"redis://127.0.0.1:10\", fleet_key: \"" SECRET_1 "\"}\n", false},
    {"anchor.fleet_key", ANCHOR "directory: \"redis://127.0.0.1:9\", fleet_key: \"" SECRET_1 "\"}\n",
     ANCHOR "directory: \"redis://127.0.0.1:9\", fleet_key: \"" SECRET_2 "\"}\n", false},
};

/* What changes the machine, netns/sysdns reloads on one of its own; netns/carrier looks at the certificate. */
static const char *const elsewhere[] = {"dns.system", "dns.search", "anchor.certificate", "anchor.key"};

#endif
