/* SPDX-License-Identifier: MIT */
/* What is wrong with a peer and what to do about it, in a sentence for the log and for `status`. */
#ifndef GATEWAY_DAEMON_ADVICE_H
#define GATEWAY_DAEMON_ADVICE_H

#include "gateway/peer/peer.h"

/* To stand behind the peer's name and a colon; without a full stop. NULL for GW_SEAL_AGREED. */
const char *gw_advice_on_seal(enum gw_seal_conflict conflict);

/* The same for a peer that has ended the session. */
extern const char gw_advice_shut_out[];
/* A peer that said goodbye. */
extern const char gw_advice_ended[];

#endif
