/* SPDX-License-Identifier: MIT */
/* How a flow on a control connection ended. That connection carries the flow's bytes and nothing else, and a unix socket that is closed looks the
 * same whether the bytes were all there or not; so who wants to know waits on a second connection, under a token of its own choice, which
 * `connect` names too. */
#ifndef GATEWAY_DAEMON_VERDICT_H
#define GATEWAY_DAEMON_VERDICT_H

#include "gateway/base/list.h"
#include "gateway/daemon/control.h"

#define GW_VERDICT_TOKEN_MAX 63u

/* Answers once to say that it waits, and again when the flow has ended. waiting: the list. */
void gw_verdict_wait(struct gw_list *waiting, struct gw_control_client *client, const char *token);
/* sentence: NULL = ended in order. token "" = nobody waits. */
void gw_verdict_tell(struct gw_list *waiting, const char *token, const char *code, const char *sentence);

#endif
