/* SPDX-License-Identifier: MIT */
/* struct gw_stream for those who make it work (stream.c, streams.c, deliver.c, control.c, schedule.c), and nobody
 * else. */
#ifndef GATEWAY_FLOW_STREAM_PRIVATE_H
#define GATEWAY_FLOW_STREAM_PRIVATE_H

#include "gateway/base/list.h"
#include "gateway/base/map.h"
#include "gateway/flow/credit.h"
#include "gateway/flow/datagram.h"
#include "gateway/flow/recvbuf.h"
#include "gateway/flow/sendbuf.h"
#include "gateway/flow/stream.h"

#include <assert.h>

/* A stream takes new bytes while it has fewer than this unsent, and asks for more when half of it is gone. */
#define GW_STREAM_UNSENT_MAX (2u * 65536u)
#define GW_STREAM_UNSENT_LOW 65536u
#define GW_SIZE_UNKNOWN UINT64_MAX

/* Frames about one stream that wait to be sent, always with the current values. */
enum {
    GW_CONTROL_MAX_STREAM_DATA = 1,
    GW_CONTROL_STREAM_BLOCKED = 2,
    GW_CONTROL_RESET = 4,
    GW_CONTROL_STOP = 8,
};

/* What the beginning of the peer's direction is. */
enum gw_stream_head {
    GW_HEAD_PREFACE, /* it opens the stream to us */
    GW_HEAD_OFFERED, /* it is parsed and on_open was called; the user has not answered */
    GW_HEAD_ANSWER,  /* we opened it: the acceptor's byte */
    GW_HEAD_DONE,    /* the rest is the user's */
};

struct gw_stream {
    struct gw_map_node node; /* gw_mux.streams, by id */
    uint64_t id;
    struct gw_mux *mux;
    const struct gw_stream_ops *ops; /* NULL: nobody (not yet, or no longer) */
    void *user;

    struct gw_list
        ready; /* in a band: has new bytes or datagrams to send. Or in gw_mux.starved. When dead, in gw_mux.dead */
    struct gw_list urgent;  /* gw_mux.urgent: has controls, lost bytes or a bare FIN to send */
    struct gw_list notify;  /* gw_mux.writable or gw_mux.hungry */
    struct gw_list blocked; /* gw_mux.blocked or gw_mux.stalled: its reader does not take what is here */
    struct gw_mono blocked_since;

    /* Our direction. */
    struct gw_sendbuf out;
    uint64_t out_max;               /* credit from the peer */
    struct gw_datagrams *datagrams; /* NULL for byte streams */

    /* The peer's direction. */
    struct gw_recvbuf in;
    struct gw_credit credit;
    uint64_t in_highest; /* end of the highest byte seen */
    uint64_t in_size;    /* final size, or GW_SIZE_UNKNOWN */
    uint64_t in_counted; /* the session's credit has got back everything below */

    int32_t deficit;  /* bytes it may send before it is another's turn */
    uint32_t refs;    /* items of packets in flight that point here */
    uint8_t controls; /* GW_CONTROL_* to be sent */
    uint8_t head;     /* enum gw_stream_head */
    uint8_t class_;
    uint8_t reason;      /* of our RESET or STOP */
    uint8_t preface_len; /* bytes of ours before the user's */
    uint8_t in_head_len; /* bytes of the peer before the user's */
    bool is_ours : 1;
    bool is_detached : 1; /* the user's pointer is invalid: no callbacks */
    bool is_aborted : 1;  /* both directions are given up; only final sizes and acks matter */
    bool is_reset : 1;    /* our direction ends with RESET */
    bool is_reset_acked : 1;
    bool is_finishing : 1; /* the user ended our direction at out.end */
    bool is_fin_sent : 1;
    bool is_fin_acked : 1;
    bool is_fin_told : 1;   /* on_fin was called */
    bool is_held : 1;       /* the reader took less than offered */
    bool is_stalled : 1;    /* ... for so long that the session has got its credit back */
    bool is_delivering : 1; /* on_data is running */
    bool is_resumed : 1;    /* gw_stream_resume was called from it */
    bool wants_writable : 1;
    bool is_blocked_told : 1; /* BLOCKED was sent for this out_max */
    bool is_dead : 1;         /* waits in gw_mux.dead to be freed */
};
static_assert(sizeof(void *) != 8 || sizeof(struct gw_stream) <= 336, "idle streams must stay cheap");

static inline bool gw_stream_send_done(const struct gw_stream *stream)
{
    if (stream->is_reset)
        return stream->is_reset_acked;
    return stream->is_fin_acked && stream->out.base == stream->out.end;
}

static inline bool gw_stream_receive_done(const struct gw_stream *stream)
{
    return stream->in_size != GW_SIZE_UNKNOWN && (stream->is_aborted || stream->is_fin_told);
}

#endif
