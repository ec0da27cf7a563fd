/* SPDX-License-Identifier: MIT */
/* As much of STUN (RFC 8489) as measuring a NAT (RFC 5780) and being relayed (TURN, RFC 8656, without a login) takes: the tools' own, so that what the product makes of STUN has something
 * independent to be tested against. */
#ifndef TESTS_TOOLS_STUNLET_H
#define TESTS_TOOLS_STUNLET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define STUN_PORT 3478u
#define STUN_MAX 256u
#define STUN_ID_LEN 12u

enum {
    STUN_REQUEST = 0x0001, /* Binding */
    STUN_RESPONSE = 0x0101,
    TURN_ALLOCATE = 0x0003,
    TURN_ALLOCATED = 0x0103,
    TURN_REFRESH = 0x0004, /* encoded with a lifetime of 0: the allocation ends */
    TURN_REFRESHED = 0x0104,
    TURN_CHANNEL_BIND = 0x0009,
    TURN_CHANNEL_BOUND = 0x0109,
};
#define TURN_CHANNEL 0x4000u /* the first channel number there is */

/* An address of either family; zeroed: none. */
struct stun_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
};

struct stun_message {
    uint16_t type;
    uint8_t id[STUN_ID_LEN];
    struct stun_addr mapped, origin, other; /* XOR-MAPPED-ADDRESS, RESPONSE-ORIGIN, OTHER-ADDRESS */
    bool change_ip, change_port;            /* CHANGE-REQUEST */
    uint16_t response_port;                 /* RESPONSE-PORT; 0: none */
    struct stun_addr relayed, peer;         /* XOR-RELAYED-ADDRESS, XOR-PEER-ADDRESS */
    uint16_t channel;                       /* CHANNEL-NUMBER; 0: none */
    uint16_t error;                         /* ERROR-CODE; 0: none */
    uint8_t transport;                      /* REQUESTED-TRANSPORT: 17 = UDP; 0: none */
};

/* Writes at most STUN_MAX bytes; returns how many. */
size_t stun_encode(uint8_t *out, const struct stun_message *message);
/* False for what is no STUN message, or a malformed one. */
bool stun_decode(struct stun_message *out, const uint8_t *bytes, size_t len);

bool stun_addr_equal(const struct stun_addr *a, const struct stun_addr *b);
bool stun_addr_same_ip(const struct stun_addr *a, const struct stun_addr *b);
uint16_t stun_addr_port(const struct stun_addr *a);
void stun_addr_set_port(struct stun_addr *a, uint16_t port);
socklen_t stun_addr_len(const struct stun_addr *a);
/* "1.2.3.4:5", "[::1]:5", "-" for none. */
const char *stun_addr_text(const struct stun_addr *a, char out[64]);

#endif
