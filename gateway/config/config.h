/* SPDX-License-Identifier: MIT */
/* A loaded configuration: config.yaml as plain data, every default filled in, every value checked. Which
 * keys there are is said once, in schema.c; this header is the struct that the schema fills. It is loaded
 * into a fresh struct, and the daemon swaps it for the old one when nothing was wrong. Nothing here
 * changes after gw_config_load. */
#ifndef GATEWAY_CONFIG_CONFIG_H
#define GATEWAY_CONFIG_CONFIG_H

#include "gateway/base/log.h"
#include "gateway/config/diag.h"
#include "gateway/config/identity.h"
#include "gateway/config/rule.h"
#include "gateway/flow/stream.h"
#include "gateway/peer/config.h"
#include "gateway/wire/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A list: `count` items, in the order of the file. */
#define GW_CONFIG_LIST(type) \
    struct {                 \
        type *items;         \
        size_t count;        \
    }

/* An X25519 key, as public_key, private_key or preshared_key. */
struct gw_config_key {
    uint8_t bytes[GW_KEY_LEN];
    bool is_set;
};

/* A libp2p peer ID (Ed25519), and the X25519 key that follows from it. */
struct gw_config_peer_id {
    uint8_t ed25519[32];
    uint8_t x25519[GW_KEY_LEN];
    bool is_set;
};

enum gw_config_endpoint_kind {
    GW_CONFIG_ENDPOINT_NONE, /* not set */
    GW_CONFIG_ENDPOINT_IP,   /* addr */
    GW_CONFIG_ENDPOINT_NAME, /* name and port: to be resolved by the daemon */
    GW_CONFIG_ENDPOINT_UNIX, /* name is the socket's path, made absolute; port 0 */
};

#define GW_CONFIG_ENDPOINT_NAME_MAX 253u

/* host:port, [ipv6]:port, or, where the schema allows it, unix:PATH. */
struct gw_config_endpoint {
    enum gw_config_endpoint_kind kind;
    char name[GW_CONFIG_ENDPOINT_NAME_MAX + 1]; /* of NAME and UNIX; "" for IP */
    uint16_t port;                              /* of IP and NAME */
    struct gw_addr addr;                        /* of IP */
};

enum gw_config_role {
    GW_CONFIG_ROLE_DYNAMIC,
    GW_CONFIG_ROLE_ANCHOR,
    GW_CONFIG_ROLE_AUTO /* of this node only */
};
enum gw_config_protocol { GW_CONFIG_TCP, GW_CONFIG_UDP };
enum gw_config_others { GW_CONFIG_OTHERS_REJECT, GW_CONFIG_OTHERS_DIRECT };
enum gw_config_dns_system {
    GW_CONFIG_DNS_OFF,
    GW_CONFIG_DNS_AUTO,
    GW_CONFIG_DNS_RESOLVED,
    GW_CONFIG_DNS_NETWORKMANAGER,
    GW_CONFIG_DNS_RESOLVCONF,
    GW_CONFIG_DNS_RESOLV_CONF,
};
enum gw_config_expose { GW_CONFIG_EXPOSE_SERVICES, GW_CONFIG_EXPOSE_HOST };
enum gw_config_port_mapping { GW_CONFIG_PORT_MAPPING_AUTO, GW_CONFIG_PORT_MAPPING_OFF };
enum gw_config_trust { GW_CONFIG_TRUST_ONE_WAY, GW_CONFIG_TRUST_FULL };

struct gw_config_peer {
    unsigned line; /* where it begins in the file */
    char *name;    /* NULL = none */
    struct gw_config_peer_id peer_id;
    struct gw_config_key public_key; /* always set after loading: given, or the peer ID's */
    GW_CONFIG_LIST(struct gw_config_key) preshared_keys;
    enum gw_config_role role;
    GW_CONFIG_LIST(struct gw_config_endpoint) endpoints;
    GW_CONFIG_LIST(struct gw_addr) tunnel_ips;
    GW_CONFIG_LIST(struct gw_prefix) allowed_ips;
    GW_CONFIG_LIST(char *) anchors;
    int64_t keepalive_ns; /* 0 = off */
    enum gw_seal_policy seal;
    enum gw_hello_policy hello;
    enum gw_path_policy path;
    enum gw_cc_kind congestion;
    bool eager;
    char *tls_name; /* what connections to it say whom they want; NULL = its endpoint's name, if it has one */
    int64_t tls_port; /* with role ANCHOR; 0 = no carriers to it */
};

/* The class that the peer wishes for. */
#define GW_CONFIG_CLASS_WISHED GW_CLASS_COUNT

struct gw_config_service {
    unsigned line;
    char *name;
    bool enabled;
    struct gw_config_endpoint local_address; /* always set */
    enum gw_config_protocol protocol;
    int64_t port;          /* what peers ask for; 0 = by name only */
    char *authorized_keys; /* path, resolved; NULL = the global file */
    int class;             /* enum gw_class, or GW_CONFIG_CLASS_WISHED */
};

struct gw_config_user {
    char *name, *password;
};

struct gw_config_name {
    unsigned line;
    char *name;
    struct gw_config_peer_id peer_id;
};

struct gw_config_federation_peer {
    unsigned line;
    char *network_name, *relay;
    enum gw_config_trust trust_level;
};

/* One network that this node is in: who it is there, where it listens, whom it knows, what it offers. */
struct gw_config_network {
    unsigned line; /* where it begins in the file; 0 = at the top level */
    char *name;
    char *hostname;
    int64_t port;
    GW_CONFIG_LIST(struct gw_addr) listen; /* port 0: `port` is meant */
    char *identity;                        /* path, resolved */
    struct gw_config_key private_key;      /* replaces the X25519 key that follows from the identity */
    GW_CONFIG_LIST(struct gw_prefix)
    addresses; /* this node's own virtual addresses; at most one of each family */
    struct gw_prefix address_range;
    struct gw_prefix alias_range; /* where that is on this machine; no two networks' overlap */
    enum gw_seal_policy seal;
    enum gw_cc_kind congestion;
    struct {
        int64_t keepalive_ns, connection_timeout_ns, punch_timeout_ns;
        int64_t max_punch_attempts;
    } protocol;
    struct {
        char *authorized_keys_file; /* path, resolved */
    } security;
    char *names_file; /* path; its names.yaml */
    char *dir;        /* path; where its state is kept */
    bool relay;       /* between peers of this node */
    enum gw_config_role role;
    struct {
        bool relay;
        int64_t total_rate;
        int64_t rate, volume; /* bytes a second and an hour of one channel; 0 = no limit */
        int64_t max_channels, max_tags;
        char *certificate, *key; /* paths, resolved; both or none */
        char *directory;         /* redis_url.h; NULL = its own memory */
        struct gw_config_key fleet_key;
        GW_CONFIG_LIST(struct gw_config_endpoint) tls;   /* all GW_CONFIG_ENDPOINT_IP */
    } anchor;                                            /* with role ANCHOR */
    GW_CONFIG_LIST(struct gw_config_endpoint) advertise; /* all GW_CONFIG_ENDPOINT_IP */
    GW_CONFIG_LIST(struct gw_config_endpoint) stun;      /* IP or NAME */
    char *tls_proxy; /* proxy_url.h, or "none"; NULL = the environment says */
    enum gw_config_port_mapping port_mapping;
    GW_CONFIG_LIST(struct gw_config_peer) anchors; /* role ANCHOR all; they may not use services */
    GW_CONFIG_LIST(struct gw_config_peer) peers;
    GW_CONFIG_LIST(struct gw_config_service) services;
    enum gw_config_expose expose;
};

#define GW_CONFIG_SUBNETS_MAX 32
#define GW_CONFIG_LANES_MAX 16
#define GW_CONFIG_LANES_AUTO 1000

struct gw_config {
    char *path; /* of the file; "" when it was loaded from memory */

    bool has_top; /* the file's top level describes a network */
    struct gw_config_network top;
    GW_CONFIG_LIST(struct gw_config_network) networks; /* the others: ask gw_config_next_network */

    char *interface;
    int64_t memory;       /* bytes */
    int64_t busy_poll_ns; /* 0 = off */
    int64_t lanes;        /* GW_CONFIG_LANES_AUTO: as many as suit the machine */
    struct {
        enum gw_log_level level;
        bool hide_addresses;
    } log;
    struct {
        char *socket; /* path, resolved */
        int64_t mode;
    } control;
    struct {
        GW_CONFIG_LIST(struct gw_config_endpoint) listen; /* empty: no proxy */
        int64_t mode;                                     /* of unix sockets */
        char *username, *password;                        /* always NULL after loading: they are in users */
        GW_CONFIG_LIST(struct gw_config_user) users;      /* empty: no password is asked for */
        enum gw_config_others others;
        GW_CONFIG_LIST(struct gw_rule) allow, deny;
        bool http;
        int64_t timeout_ns;
    } socks;
    struct {
        bool enabled;
        int64_t fd; /* 0: the interface is made */
        int64_t mtu;
        bool routes;
        bool accelerate;
        GW_CONFIG_LIST(struct gw_prefix) subnets;
    } tun;
    struct {
        bool enabled;
        GW_CONFIG_LIST(struct gw_config_endpoint) listen, upstreams; /* all GW_CONFIG_ENDPOINT_IP */
        GW_CONFIG_LIST(struct gw_prefix) allowed;
        int64_t rate;
        enum gw_config_dns_system system;
        bool search;
    } dns;
    struct {
        bool enabled; /* means nothing with a TUN */
    } virtual_router;
    struct {
        int64_t max_connections, max_half_open, max_associations;
    } netstack;

    GW_CONFIG_LIST(struct gw_config_name) names; /* for names.yaml, which goes before them */
    GW_CONFIG_LIST(struct gw_config_federation_peer) federation_peers;
};

/* Loads the file at `path`. On success *out is the caller's (gw_config_free). On failure *out is NULL and
 * `diag` has every error, each with file and line; warnings may be there either way. 0, GW_E_CONFIG
 * (errors in the file), GW_E_PERMISSION (it holds a secret, and others may read it; the message has the
 * chmod), GW_E_TOO_BIG, GW_E_NOMEM, -errno. */
int gw_config_load(struct gw_config **out, const char *path, struct gw_diag *diag);

/* The same from memory; `path` names it in messages and its folder is what relative paths start from; no
 * permissions. */
int gw_config_parse(struct gw_config **out, const char *text, size_t len, const char *path,
                    struct gw_diag *diag);

/* Wipes the secrets. NULL is fine. */
void gw_config_free(struct gw_config *config);

/* The networks, the top level's first, then in the order of the file: NULL starts, NULL ends. There is at least one. */
const struct gw_config_network *gw_config_next_network(const struct gw_config *config,
                                                       const struct gw_config_network *network);

/* By its name, in any case. NULL when there is none. */
const struct gw_config_network *gw_config_find_network(const struct gw_config *config, const char *name);

/* The anchor of this network with that name, peer ID or public key; NULL. */
const struct gw_config_peer *gw_config_find_anchor(const struct gw_config_network *network, const char *text);
/* What the engine takes of one peer. Endpoints that are IP addresses are filled in; those that are names
 * are not: the daemon resolves peer->endpoints itself. The result holds a copy of the preshared keys: wipe
 * it. */
void gw_config_to_peer(struct gw_peer_config *out, const struct gw_config_network *network,
                       const struct gw_config_peer *peer);

/* Is no peer this node itself? false: diag says which. For the daemon, which knows the key when the
 * identity is loaded; a private_key in the configuration has been looked at already. */
bool gw_config_check_self(const struct gw_config *config, const struct gw_config_network *network,
                          const uint8_t x25519[GW_KEY_LEN], struct gw_diag *diag);

/* Warns of services whose own authorized_keys is not there, so that nobody may use them. */
void gw_config_check_service_files(const struct gw_config *config, const struct gw_config_network *network,
                                   struct gw_diag *diag);

/* The node's identity in a network as the configuration has it: the file, its X25519 key replaced by private_key where
 * there is one; private_key alone when there is no file. 0, or as gw_identity_load (diag says why; *out is
 * NULL). */
int gw_config_load_identity(struct gw_identity **out, const struct gw_config_network *network,
                            struct gw_diag *diag);

/* Does the configuration hold a secret (then its file is private)? */
bool gw_config_has_secret(const struct gw_config *config);

/* "host:port", "[::1]:1", "unix:/path"; cut when it does not fit. Returns out. */
char *gw_config_endpoint_format(const struct gw_config_endpoint *endpoint, char *out, size_t out_len);

/* A service by name, or by protocol and port; enabled or not. NULL when there is none. */
const struct gw_config_service *gw_config_find_service(const struct gw_config_network *network,
                                                       const char *name);
const struct gw_config_service *gw_config_find_port(const struct gw_config_network *network,
                                                    enum gw_config_protocol protocol, uint16_t port);

#endif
