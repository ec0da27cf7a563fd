/* SPDX-License-Identifier: MIT */
/* What `nc` and `forward` have in common: the service of a peer that they are about, the class that is asked for, and what a person can do when it does not come to be. */
#ifndef GATEWAY_DAEMON_CMD_DESTINATION_H
#define GATEWAY_DAEMON_CMD_DESTINATION_H

#include "gateway/daemon/cmd.h"

#include <jansson.h>

#define GW_CMD_ADVICE_MAX 512u
#define GW_CMD_CLASS_HELP                                                             \
    "--class interactive|normal|bulk says who goes first when the link is full; by\n" \
    "itself ssh, telnet, rdp and vnc are interactive and all else is normal. A\n"     \
    "`class` that the peer has configured for the service overrides it there.\n"

/* Sets "host" and "port" or "service" of the request: "22" is a port, all else a service. false: a number that is no port. */
bool gw_cmd_set_destination(json_t *request, const char *host, const char *service);
/* What the person can do about a failure of this code (of the daemon's answers); "": nothing that a command would say. */
void gw_cmd_advise(char *out, size_t len, const char *code, const char *host);
/* GW_EXIT_OK, or GW_EXIT_USAGE after a message. class_ NULL: none is asked for. */
int gw_cmd_check_class(const struct gw_cmd_context *ctx, const char *class_);

#endif
