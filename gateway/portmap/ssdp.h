/* SPDX-License-Identifier: MIT */
/* What a UPnP router tells everybody in the local network of its own accord (SSDP NOTIFY, UPnP Device Architecture 2.0, 1.2): that it is there, with a number that is another one after each start
 * (BOOTID.UPNP.ORG; older ones have none), and that it goes. Leaf: the caller has the socket, and knows who sent it. */
#ifndef GATEWAY_PORTMAP_SSDP_H
#define GATEWAY_PORTMAP_SSDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_SSDP_PORT 1900u
#define GW_SSDP_GROUP 0xeffffffau /* 239.255.255.250 */
#define GW_SSDP_MAX 1500u         /* bytes of a message that are looked at */

enum gw_ssdp_kind {
    GW_SSDP_OTHER, /* not a NOTIFY, not of a gateway, or nothing that matters here */
    GW_SSDP_ALIVE,
    GW_SSDP_BYEBYE
};

struct gw_ssdp_notify {
    enum gw_ssdp_kind kind;
    bool has_boot;
    uint32_t boot;
};

/* Never fails: what makes no sense is OTHER. */
void gw_ssdp_parse(struct gw_ssdp_notify *out, const char *text, size_t len);

/* What was heard of one router so far; zeros to begin with. */
struct gw_ssdp_watch {
    bool is_known; /* it said that it is there, and nothing since then that it goes */
    bool has_boot;
    uint32_t boot;
};

/* True: it may have lost what it knew: it has started since it was last heard, or is heard for the first time. */
bool gw_ssdp_watch_input(struct gw_ssdp_watch *watch, const struct gw_ssdp_notify *notify);

#endif
