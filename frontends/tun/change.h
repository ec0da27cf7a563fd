/* SPDX-License-Identifier: MIT */
/* One thing that we add to the machine's network set-up, as data: what to add, how to take it back, and its line in the journal. Not the
 * doing (netlink.h), not the deciding (plan.h). */
#ifndef FRONTENDS_TUN_CHANGE_H
#define FRONTENDS_TUN_CHANGE_H

#include "gateway/peer/config.h"

#include <stdbool.h>

#define GW_CHANGE_NAME_MAX 15u
#define GW_CHANGE_LINE_MAX 160u
#define GW_CHANGES_MAX 65536u

/* In the order in which they are done; undone the other way round. */
enum gw_change_kind {
    GW_CHANGE_ADDRESS,     /* on the interface, without a route to its prefix */
    GW_CHANGE_UNREACHABLE, /* prefix in table goes nowhere: rather refused than leaked */
    GW_CHANGE_ROUTE, /* prefix in table goes into the interface, from `source` if nothing else is said */
    GW_CHANGE_RULE_PORT, /* what our UDP port sends looks in the main table first, so it never goes into the tunnel */
    GW_CHANGE_RULE_MARK, /* and so does what bears our firewall mark (gateway/link/mark.h): all else that we say ourselves */
    GW_CHANGE_RULE_TO, /* and TCP to the address and port that a carrier goes to, by anybody: its answers bear no mark */
    GW_CHANGE_RULE_LOCAL, /* then for everybody the main table but for its default route */
    GW_CHANGE_RULE_TABLE, /* then `table` */
};
#define GW_CHANGE_KINDS 8u

/* All unused bytes are 0, so that equal changes are equal bytes. */
struct gw_change {
    enum gw_change_kind kind;
    uint32_t table;                      /* 0 for addresses */
    uint32_t priority;                   /* of rules; a route's metric */
    char device[GW_CHANGE_NAME_MAX + 1]; /* "" for rules and unreachable */
    struct gw_prefix prefix;             /* of rules: any of the family, but GW_CHANGE_RULE_TO's address */
    struct gw_addr source; /* GW_CHANGE_ROUTE; family 0 = the kernel's choice; no port, no scope */
    uint16_t port;         /* GW_CHANGE_RULE_PORT, GW_CHANGE_RULE_TO; of GW_CHANGE_RULE_MARK the mark */
    uint8_t reserved[2];
};

/* A set of changes: sorted, without doubles. Zero it to begin. */
struct gw_changes {
    struct gw_change *items;
    size_t count, room;
};

/* 0, GW_E_NOMEM, GW_E_LIMIT. */
int gw_changes_add(struct gw_changes *changes, const struct gw_change *change);
/* Sorts and removes doubles: after the last add. */
void gw_changes_finish(struct gw_changes *changes);
bool gw_changes_have(const struct gw_changes *changes, const struct gw_change *change);
void gw_changes_free(struct gw_changes *changes);
/* For qsort: order of doing. */
int gw_change_compare(const void *a, const void *b);

/* "route peer0 254 2000 0 10.9.0.0/16", and " 10.9.0.1" behind it where there is a source; no newline. Returns out. */
char *gw_change_format(const struct gw_change *change, char out[GW_CHANGE_LINE_MAX]);
/* 0, or GW_E_MALFORMED. */
int gw_change_parse(struct gw_change *out, const char *line);

#endif
