/* SPDX-License-Identifier: MIT */
/* What the UPnP helper says, one line. It is our own program, but what is in the line came from the router. */
#ifndef GATEWAY_DAEMON_IGD_LINE_H
#define GATEWAY_DAEMON_IGD_LINE_H

#include "gateway/wire/addr.h"

#define GW_IGD_URL_MAX 256u
#define GW_IGD_REASON_MAX 96u

enum gw_igd_verdict {
    GW_IGD_SAID_NONE,    /* "none", or what is no such line */
    GW_IGD_SAID_FOUND,   /* "found URL" */
    GW_IGD_SAID_MAPPED,  /* "mapped URL IP PORT LIFETIME" */
    GW_IGD_SAID_REFUSED, /* "refused URL REASON ..."; also a mapping that makes no sense */
};

struct gw_igd_line {
    enum gw_igd_verdict verdict;
    char url[GW_IGD_URL_MAX];       /* http://, printable, no space; "" for NONE */
    struct gw_addr external;        /* MAPPED: IPv4, one that may be offered */
    uint32_t lifetime_s;            /* MAPPED; 0 = for ever */
    char reason[GW_IGD_REASON_MAX]; /* REFUSED; printable */
};

void gw_igd_line_parse(struct gw_igd_line *out, const char *line);

#endif
