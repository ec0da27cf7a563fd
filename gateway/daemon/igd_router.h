/* SPDX-License-Identifier: MIT */
/* A UPnP router, asked by miniupnpc. It blocks for seconds and reads HTTP and XML that anybody in the local network may have written, so only the helper without privileges (igd_child.c) does
 * that. */
#ifndef GATEWAY_DAEMON_IGD_ROUTER_H
#define GATEWAY_DAEMON_IGD_ROUTER_H

#include <stdbool.h>
#include <stdio.h>

/* All as text, borrowed for the call. */
struct gw_igd_request {
    const char *verb;                        /* "map", "unmap", "find" */
    const char *router, *client;             /* the only address that is believed; ours towards it */
    const char *inside, *outside, *lifetime; /* ports; seconds */
};

/* Reads the description at url and does what is asked; one line about it goes to out (igd_line.h). false: there is no router that can be asked, and no line. */
bool gw_igd_router_ask(const struct gw_igd_request *request, const char *url, FILE *out);
/* Looks for the router by SSDP, for two seconds, then the same. */
bool gw_igd_router_search(const struct gw_igd_request *request, FILE *out);

#endif
