/* SPDX-License-Identifier: MIT */
/* What sack.c knows of the segments that are on their way, for recovery.c. */
#ifndef NETSTACK_RECOVERY_H
#define NETSTACK_RECOVERY_H

#include "netstack/tcp_private.h"

#include "lwip/sys.h"

/* In tcp_seg.flags, of segments that were sent. */
#define NS_SEGMENT_SACKED 0x80u
#define NS_SEGMENT_LOST 0x40u   /* is to be sent again */
#define NS_SEGMENT_RESENT 0x20u /* was */

/* Bytes (a FIN is one) of what is unacknowledged: each is in one of them. */
struct ns_flight {
    uint32_t sacked, lost, on_way;
};

uint32_t ns_segment_start(const struct tcp_seg *segment);
uint32_t ns_segment_end(const struct tcp_seg *segment); /* the number behind it */
void ns_sack_mark(struct gw_connection *connection, const struct ns_sacks *sacks);
/* Marks what is lost by now and counts. */
struct ns_flight ns_sack_count(const struct gw_connection *connection);

#endif
