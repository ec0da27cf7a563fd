/* SPDX-License-Identifier: MIT */
/* What the owner says of one peer: plain data, made by daemon/config or by a test, copied by the engine. */
#ifndef GATEWAY_PEER_CONFIG_H
#define GATEWAY_PEER_CONFIG_H

#include "gateway/flow/congestion.h"
#include "gateway/path/path.h"
#include "gateway/session/session.h"
#include "gateway/wire/addr.h"

#define GW_PEER_NAME_MAX 63u
#define GW_PEER_ENDPOINTS_MAX 8u
#define GW_PEER_ALLOWED_IPS_MAX 34u
#define GW_PEER_ANCHORS_MAX 8u
#define GW_CARRIER_NAME_MAX 253u /* a DNS name */
#define GW_PUNCH_NEVER 0xffffffffu

/* Which seal transport packets to this peer use (docs/PROTOCOL.md "Sealing"). */
enum gw_seal_policy {
    GW_SEAL_AUTO,      /* AEGIS when both sides offer it */
    GW_SEAL_REQUIRED,  /* nothing but HELLO goes on type 4 */
    GW_SEAL_FORBIDDEN, /* WireGuard's type 4 only; no suite is advertised */
};

enum gw_hello_policy { GW_HELLO_AUTO, GW_HELLO_NEVER /* a stock WireGuard peer: never sent a HELLO */ };

struct gw_prefix {
    struct gw_addr ip; /* port 0 */
    uint8_t bits;
};

struct gw_peer_config {
    char name[GW_PEER_NAME_MAX + 1]; /* for logs and names; "" = a short form of the key */
    uint8_t public_key[GW_KEY_LEN];  /* X25519: what the peer table is keyed by */
    bool has_ed25519;                /* known by peer ID, so surely one of ours */
    uint8_t ed25519[32];
    uint8_t psks[GW_PSK_MAX][GW_KEY_LEN];
    unsigned psk_count;
    struct gw_addr endpoints[GW_PEER_ENDPOINTS_MAX];
    unsigned endpoint_count;
    struct gw_prefix allowed_ips[GW_PEER_ALLOWED_IPS_MAX]; /* tunnel_ip first, as /32 or /128 */
    unsigned allowed_ip_count;
    struct gw_addr
        alias; /* its IPv4 address here: packets are rewritten when it has another one; family 0: never */
    struct gw_addr
        own_ipv4;         /* what it most likely calls itself, until its HELLO tells; family 0: its alias */
    int64_t keepalive_ns; /* persistent keepalive; 0 = none */
    bool keeps_idle;      /* also while nobody uses it, though anchors can find it */
    int64_t connection_timeout_ns; /* 0 = 75 s */
    int64_t punch_timeout_ns;      /* 0 = 10 s */
    unsigned punch_attempts;       /* 0 = 5, GW_PUNCH_NEVER = none */
    enum gw_seal_policy seal;
    enum gw_hello_policy hello;
    enum gw_path_policy
        path; /* DIRECT: nothing of ours but what finds the direct way goes by a relay, nothing else is taken from there */
    enum gw_cc_kind cc;
    bool is_provisional; /* admitted, not configured: bounded and evicted first */
    bool
        is_listed; /* the owner configured it, and has not only let it in: it may be relayed for, and relay */
    bool is_eager; /* connect at start, not at first use */
    bool is_anchor;   /* it helps us to find others: gateway/discovery registers with it */
    bool has_anchors; /* it is found through these only, by their keys; else through all */
    uint8_t anchors[GW_PEER_ANCHORS_MAX][GW_KEY_LEN];
    unsigned anchor_count;
    char carrier_name[GW_CARRIER_NAME_MAX + 1]; /* what such a connection says whom it wants; "" = nothing */
    uint16_t carrier_port; /* TCP, at its endpoints' addresses: where carriers to it may be made; 0 = none */
};

#endif
