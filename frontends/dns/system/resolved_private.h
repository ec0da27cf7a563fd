/* SPDX-License-Identifier: MIT */
/* What an apply (resolved.c) and an undo (resolved_undo.c) of systemd-resolved have. */
#ifndef FRONTENDS_DNS_SYSTEM_RESOLVED_PRIVATE_H
#define FRONTENDS_DNS_SYSTEM_RESOLVED_PRIVATE_H

#include "frontends/dns/system/link.h"
#include "frontends/dns/system/resolved_message.h"

struct resolved {
    struct gw_sysdns_job *job;
    struct gw_bus *bus;
    struct event *tick;
    struct gw_tun link; /* ours; fd -1: there is a TUN, or this is an undo */
    unsigned waiting;   /* answers to come */
    unsigned again;
    int err; /* the first one of this round */
    char why[GW_SYSDNS_TEXT_MAX];
    bool is_set;     /* it was told all, at least once */
    bool is_touched; /* it has accepted something */
};

/* The job's state, to be freed by stop. NULL without memory. */
struct resolved *gw_resolved_start(struct gw_sysdns_job *job);
/* gw_sysdns_mechanism.undo */
void gw_resolved_undo(struct gw_sysdns_job *job);

#endif
