/* SPDX-License-Identifier: MIT */
/* One connection, as connect.c (its beginning, its end, this node's own services), connect_flow.c and connect_packets.c see it. */
#ifndef GATEWAY_DAEMON_CONNECT_PRIVATE_H
#define GATEWAY_DAEMON_CONNECT_PRIVATE_H

#include "gateway/daemon/connect.h"
#include "gateway/local/pair.h"
#include "gateway/local/splice.h"
#include "netstack/bridge/packet_dial.h"
#include "netstack/bridge/pump.h"

struct connect {
    struct gw_list node;
    struct gw_connects *all;
    int fd; /* -1: a splice, pair or nobody has it */
    uint8_t *rest;
    size_t rest_len;
    char host[256];
    struct gw_open open;
    char token[GW_VERDICT_TOKEN_MAX + 1];
    bool has_class; /* in open; else it follows from what is opened */
    bool wants_json;
    bool is_looking_up; /* the resolver still has a pointer here */
    bool is_given_up;   /* it took too long */
    bool is_ended;      /* while it looks up: to be freed by the answer */
    void *group;
    void (*on_failed)(const char *code, const char *sentence, void *group);
    struct gw_mono since;
    struct gw_splice *splice;
    struct gw_dial *dial;
    struct gw_pair *pair;
    struct gw_peer *flow_peer; /* while a flow is asked for */
    struct gw_peer *peer;      /* whom it leads to, while it is opened: who goes ends it first */
    struct gw_packet_dial *packet_dial;
    struct gw_pump *pump;
};

/* connect.c. Those that end it free it. */
void gw_connect_free(struct connect *connect);
void gw_connect_end(struct connect *connect, struct gw_mono now);
/* For the log, and whoever wants to know. */
void gw_connect_tell_failure(const struct connect *connect, const char *code, const char *sentence);
/* It is open, or will not be: no longer does a clock run. */
void gw_connect_set_open(struct connect *connect);
/* What to say instead of `sentence` when the reason is that nothing gets to the peer: what hinders. Written into out where it is longer. */
#define GW_CONNECT_SENTENCE_MAX 320u
const char *gw_connect_explain(const struct connect *connect, char out[GW_CONNECT_SENTENCE_MAX],
                               unsigned long long reason, struct gw_mono now);
/* The connection is still raw, and ours: says why, closes. */
void gw_connect_fail(struct connect *connect, const char *code, const char *sentence);
/* An answer before the first byte; a fresh socket buffer has room for one line. */
void gw_connect_say_yes(const struct connect *connect, int client);

/* connect_flow.c: to a peer's service. The socket is ours. */
void gw_connect_open_flow(struct connect *connect, struct gw_peer *peer);
/* A flow that is being asked for is not waited for any longer. */
void gw_connect_give_up_flow(struct connect *connect, struct gw_mono now, enum gw_reason reason);
/* connect_packets.c: by packets. The socket is ours. to: as in gw_packet_dial_params. */
void gw_connect_open_packets(struct connect *connect, struct gw_peer *peer, const struct gw_addr *to);

#endif
