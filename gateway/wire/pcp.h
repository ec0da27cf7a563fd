/* SPDX-License-Identifier: MIT */
/* What a router is asked to forward a port with: PCP (RFC 6887, MAP and ANNOUNCE) and its predecessor NAT-PMP (RFC 6886), which share a port and the place of the version.
 * Client side only, for UDP. By IPv6, which only PCP has, no port is forwarded: a firewall lets it through, a pinhole (RFC 6887, 2.3). */
#ifndef GATEWAY_WIRE_PCP_H
#define GATEWAY_WIRE_PCP_H

#include "gateway/wire/addr.h"

#define GW_PCP_PORT 5351u        /* of the router */
#define GW_PCP_CLIENT_PORT 5350u /* where it announces that it has restarted: 224.0.0.1, ff02::1 */
#define GW_PCP_NONCE_LEN 12u
#define GW_PCP_REQUEST_MAX 60u
#define GW_PCP_MESSAGE_MAX 1100u

enum gw_pcp_version { GW_PMP = 0, GW_PCP = 2 };
enum gw_pcp_kind {
    GW_PCP_ADDRESS, /* NAT-PMP: the address outside */
    GW_PCP_MAP,
    GW_PCP_ANNOUNCE, /* PCP: "I have restarted", or the answer to the question whether there is anybody */
    GW_PCP_OTHER,    /* an answer to something that we do not ask */
};

/* Result codes that mean something here; the others are just errors (RFC 6887, 7.4; RFC 6886, 3.5). */
enum { GW_PCP_SUCCESS = 0, GW_PCP_UNSUPPORTED_VERSION = 1, GW_PCP_NOT_AUTHORIZED = 2 };
/* "not authorized", ...; "refused" for one that is not known. */
const char *gw_pcp_result_text(enum gw_pcp_version version, unsigned result);

struct gw_pcp_map {
    uint8_t nonce[GW_PCP_NONCE_LEN];       /* PCP */
    uint32_t lifetime_s;                   /* 0 ends the mapping */
    uint16_t internal_port, external_port; /* external: a wish, 0 = any */
    struct gw_addr client;                 /* PCP: our address, of the family that is asked for */
    struct gw_addr external;               /* PCP: a wish; family 0 = any of the client's family */
};

/* Returns the length. */
size_t gw_pcp_encode_map(uint8_t out[GW_PCP_REQUEST_MAX], const struct gw_pcp_map *map);
size_t gw_pcp_encode_announce(uint8_t out[GW_PCP_REQUEST_MAX], const struct gw_addr *client);
size_t gw_pmp_encode_address(uint8_t out[GW_PCP_REQUEST_MAX]);
size_t gw_pmp_encode_map(uint8_t out[GW_PCP_REQUEST_MAX], const struct gw_pcp_map *map);

struct gw_pcp_response {
    enum gw_pcp_version version;
    enum gw_pcp_kind kind;
    unsigned
        result; /* not 0: of the rest only epoch, and lifetime_s as the time until asking again makes sense (PCP), mean something */
    uint32_t epoch_s; /* of the router's memory */
    uint32_t lifetime_s;
    uint8_t nonce[GW_PCP_NONCE_LEN]; /* of PCP's MAP */
    uint8_t protocol;                /* of PCP's MAP */
    uint16_t internal_port;
    struct gw_addr external; /* MAP: with the port (NAT-PMP: only the port, family 0); ADDRESS: port 0 */
};

/* 0; GW_E_MALFORMED: no response of either. A response to a version that the router does not know (PCP asked, NAT-PMP answers) comes as version GW_PMP, result
 * GW_PCP_UNSUPPORTED_VERSION. The external address is as the router says: not checked for use. */
int gw_pcp_decode(struct gw_pcp_response *out, const uint8_t *data, size_t len);

#endif
