/* SPDX-License-Identifier: MIT */
/* Why a stream ended or never began: numbers of RESET and STOP frames (docs/PROTOCOL.md "Streams"), each with the
 * sentence that reaches the log and the SOCKS reply that reaches the client (frontends/socks5). */
#ifndef GATEWAY_FLOW_REASON_H
#define GATEWAY_FLOW_REASON_H

enum gw_reason {
    GW_REASON_NONE = 0,                 /* ended in order */
    GW_REASON_REFUSED = 1,              /* the peer does not allow us this service */
    GW_REASON_NOT_LISTED = 2,           /* the peer has no such service (or it is not enabled) */
    GW_REASON_SERVICE_DOWN = 3,         /* the local service refused or reset the connection */
    GW_REASON_TIMED_OUT = 4,            /* the local service did not answer in time */
    GW_REASON_PEER_RESTARTED = 5,       /* another instance of the peer: every flow of the old one is gone */
    GW_REASON_NO_MEMORY = 6,            /* the flow budget is used up and this stream was blocked longest */
    GW_REASON_CANCELLED = 7,            /* the application at the other end aborted */
    GW_REASON_PROTOCOL = 8,             /* frames that break the protocol */
    GW_REASON_LIMIT = 9,                /* too many streams */
    GW_REASON_UNREACHABLE = 10,         /* local only: no session with the peer */
    GW_REASON_SHUTTING_DOWN = 11,       /* the daemon ends */
    GW_REASON_SERVICE_UNREACHABLE = 12, /* the service's host or network cannot be reached from the peer */
    GW_REASON_NO_SEAL = 13,  /* local only: one side requires a seal that the other does not offer */
    GW_REASON_SHUT_OUT = 14, /* local only: the peer ended the session, this node may have none with it */
    GW_REASON_COUNT
};

/* "not-listed" style names for logs and JSON; "unknown" for numbers from later versions. */
const char *gw_reason_name(unsigned long long reason);
/* One sentence for a person, e.g. "the peer has no such service". */
const char *gw_reason_sentence(unsigned long long reason);

#endif
