/* SPDX-License-Identifier: MIT */
/* One UDP port forwarded by the router, by PCP or, where it knows only that, NAT-PMP, or (IPv6) let through by its firewall, by PCP: asked for, renewed at half of its life, asked for anew when the router has forgotten
 * it (its epoch), given back at the end. What the router says is believed only where it answers a request of ours, and bounded in how often it makes us speak. Leaf: the caller has
 * the socket, which is connected to the router's port GW_PCP_PORT, and hears its announcements. */
#ifndef GATEWAY_PORTMAP_PORTMAP_H
#define GATEWAY_PORTMAP_PORTMAP_H

#include "gateway/base/mono.h"
#include "gateway/base/random.h"
#include "gateway/wire/pcp.h"

#define GW_PORTMAP_LIFETIME_S 7200u
#define GW_PORTMAP_RENEW_MIN_NS GW_S(2) /* whatever lifetime the router gives */
#define GW_PORTMAP_QUIET_NS GW_S(2)     /* without any answer for so long: it may know another protocol */

enum gw_portmap_state {
    GW_PORTMAP_OFF,    /* gw_portmap_start was not called */
    GW_PORTMAP_ASKING, /* not answered yet */
    GW_PORTMAP_MAPPED,
    GW_PORTMAP_REFUSED, /* see result; asked again later */
    GW_PORTMAP_SILENT,  /* no answer; asked again later */
    GW_PORTMAP_STATES
};
extern const char *const gw_portmap_state_names[GW_PORTMAP_STATES];

/* What is asked, again and again until it is answered. */
enum {
    GW_PORTMAP_PCP_MAP,
    GW_PORTMAP_PMP_ADDRESS,
    GW_PORTMAP_PMP_MAP,
    GW_PORTMAP_PCP_ANNOUNCE,
    GW_PORTMAP_ASKS
};

struct gw_portmap_ask {
    bool is_running;
    unsigned tries;
    int64_t wait_ns;
    struct gw_mono next; /* GW_NEVER when it does not run */
};

struct gw_portmap_epoch {
    bool is_known;
    uint32_t seconds;
    struct gw_mono at;
};

struct gw_portmap {
    struct gw_random *random;
    enum gw_portmap_state state;
    enum gw_pcp_version version;      /* of the mapping, or of the refusal */
    bool has_pcp, has_pmp;            /* the router answered by it */
    bool is_probing;                  /* NAT-PMP is asked for its own sake */
    unsigned result;                  /* of the last refusal */
    struct gw_addr external;          /* while MAPPED */
    uint32_t lifetime_s;              /* as granted */
    struct gw_mono expires, renew_at; /* GW_NEVER */
    struct gw_mono again_at;          /* not MAPPED: the next attempt */
    int64_t again_ns;                 /* doubles */
    struct gw_mono began;
    struct gw_pcp_map map;  /* the request */
    struct gw_addr outside; /* NAT-PMP's address; family 0 = not told yet */
    struct gw_portmap_ask asks[GW_PORTMAP_ASKS];
    struct gw_portmap_epoch epoch; /* of both: a router that speaks both has one memory */
    struct gw_mono remapped;       /* the last time that it seemed to have lost it; GW_NEVER */
};

void gw_portmap_init(struct gw_portmap *portmap, struct gw_random *random);
/* From the beginning: another router, another address of ours, another port. client: our address, that is asked for and that the requests come from: IPv4 or IPv6. nonce: the same for this port of this node whenever it asks, and nobody
 * else's to know: with another one a router does not give a mapping back that it still has (RFC 6887, 11.3). */
void gw_portmap_start(struct gw_portmap *portmap, struct gw_mono now, const struct gw_addr *client,
                      uint16_t port, const uint8_t nonce[GW_PCP_NONCE_LEN]);
/* The network changed, or what is seen from outside, and router and addresses are the same: is the mapping still there? It is asked then (`now`, or later). */
void gw_portmap_renew(struct gw_portmap *portmap, struct gw_mono now);
/* No router, or not wanted any more. */
void gw_portmap_stop(struct gw_portmap *portmap);
/* The datagram that gives the mapping back, to be sent before gw_portmap_stop; 0: there is none. */
size_t gw_portmap_give_back(const struct gw_portmap *portmap, uint8_t out[GW_PCP_REQUEST_MAX]);
/* Asks whether the router speaks PCP and NAT-PMP, for has_pcp and has_pmp, whatever the mapping does. */
void gw_portmap_probe(struct gw_portmap *portmap, struct gw_mono now);

/* The next datagram to the router; 0: none is due. */
size_t gw_portmap_take(struct gw_portmap *portmap, struct gw_mono now, uint8_t out[GW_PCP_REQUEST_MAX]);
/* A datagram from the router's port: an answer, or (is_announced) what it told everybody. True when the mapping or its address changed. */
bool gw_portmap_input(struct gw_portmap *portmap, struct gw_mono now, const uint8_t *data, size_t len,
                      bool is_announced);
/* Nobody listens on the router's port (ICMP). */
void gw_portmap_unreachable(struct gw_portmap *portmap, struct gw_mono now);
/* True when the mapping or its address changed. */
bool gw_portmap_expire(struct gw_portmap *portmap, struct gw_mono now);
struct gw_mono gw_portmap_next_deadline(const struct gw_portmap *portmap);
/* It is time to try another protocol: refused, or no answer so far. */
bool gw_portmap_is_quiet(const struct gw_portmap *portmap, struct gw_mono now);

#endif
