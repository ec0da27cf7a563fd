/* SPDX-License-Identifier: MIT */
/* Several anchors that share a directory: what is registered at one is found at all, and a channel may lead from a client of one to a client of another. They
 * meet in a store of keys with a lifetime and topics, which others may write to and which may be away; then each has its own clients only. Everything in it is sealed
 * (fleet_record.h). docs/PROTOCOL.md, "A fleet of anchors". Sans-IO: the store is behind gw_fleet_ops. */
#ifndef GATEWAY_ANCHOR_FLEET_H
#define GATEWAY_ANCHOR_FLEET_H

#include "gateway/base/mono.h"
#include "gateway/session/crypto.h"
#include "gateway/wire/addr.h"
#include "gateway/wire/cursor.h"

#define GW_FELLOWS_MAX 16u
#define GW_FLEET_NAME_MAX 96u /* with the NUL */
#define GW_FLEET_FORGET_MAX 16u
#define GW_FLEET_MARK_LEN 8u

struct gw_anchor;

/* The store. No call blocks; what is lost is lost without a word. Names are printable text; everything is copied. */
struct gw_fleet_ops {
    /* Keeps the value for ttl_s seconds. */
    void (*put)(const char *name, const uint8_t *value, size_t len, unsigned ttl_s, void *ctx);
    /* Forgets each of at most GW_FLEET_FORGET_MAX names whose value begins with the mark's GW_FLEET_MARK_LEN bytes, and no other; nobody puts something there between the
     * look and the end. */
    void (*forget)(const char (*names)[GW_FLEET_NAME_MAX], unsigned count, const uint8_t *mark, void *ctx);
    /* Looks names up; gw_anchor_fleet_found with the same id follows, later, with as many values. false: it does not. */
    bool (*get)(uint32_t id, const char (*names)[GW_FLEET_NAME_MAX], unsigned count, void *ctx);
    /* To everybody who listens to the topic now. */
    void (*tell)(const char *topic, const uint8_t *bytes, size_t len, void *ctx);
    void *ctx;
};

struct gw_fleet_params {
    const struct gw_fleet_ops *ops; /* borrowed for life; NULL: this anchor is alone */
    uint8_t secret[GW_KEY_LEN];     /* X25519, the same at every anchor of the fleet */
};

struct gw_fleet_stats {
    bool is_up;       /* the store can be used */
    unsigned fellows; /* anchors heard of lately */
    unsigned channels;
    uint64_t lookups, dropped_garbage; /* what did not open, or makes no sense */
};

/* The topics to listen to; 0 and 1. NULL: this anchor is alone. */
const char *gw_anchor_fleet_topic(const struct gw_anchor *anchor, unsigned which);
/* The store can be used from now on, what was put is to be put again; or it cannot. Not up at the start. */
void gw_anchor_fleet_state(struct gw_anchor *anchor, bool is_up, struct gw_mono now);
/* As many values as were asked for, in that order; an empty view for a name that is not there. */
void gw_anchor_fleet_found(struct gw_anchor *anchor, uint32_t id, const struct gw_view *values,
                           unsigned count, struct gw_mono now);
void gw_anchor_fleet_heard(struct gw_anchor *anchor, const char *topic, struct gw_view bytes,
                           struct gw_mono now);
/* Where the others reach this anchor. */
void gw_anchor_fleet_set_address(struct gw_anchor *anchor, const struct gw_addr *addr, struct gw_mono now);
/* false: this anchor is alone. */
bool gw_anchor_fleet_stats(const struct gw_anchor *anchor, struct gw_fleet_stats *out);

#endif
