/* SPDX-License-Identifier: MIT */
/* What splice.c (life, loop, bridging) and pump.c (bytes both ways) share. */
#ifndef GATEWAY_LOCAL_SPLICE_PRIVATE_H
#define GATEWAY_LOCAL_SPLICE_PRIVATE_H

#include "gateway/local/splice.h"

#include <event2/event.h>
#include <event2/event_struct.h>

/* Room asked for at first. */
#define GW_SPLICE_WISH_MIN 4096u

enum gw_splice_stage {
    GW_SPLICE_RAW,     /* the user reads the socket */
    GW_SPLICE_OPENING, /* bridged; the peer has not accepted yet */
    GW_SPLICE_LIVE,    /* bridged */
    GW_SPLICE_CLOSING, /* a last answer goes out */
    GW_SPLICE_DEAD,    /* ended; freed when the last frame has left */
};

/* Bytes that had to wait. */
struct gw_splice_pending {
    size_t len, off;
    uint8_t bytes[];
};

struct gw_splice {
    struct event event;
    struct gw_loop *loop;
    const struct gw_splice_events *events;
    void *user;
    struct gw_stream *stream;
    struct gw_splice_pending *head;  /* for the socket, before the stream's bytes */
    struct gw_splice_pending *first; /* for the stream, before the socket's bytes */
    uint64_t limit;                  /* bytes that may still be read from the socket */
    uint32_t wish;
    int fd;
    uint8_t stage;
    uint8_t depth;       /* frames of ours on the stack: see gw_splice_enter() */
    bool is_pumping;     /* a frame of gw_splice_pump_in is on the stack */
    bool is_pump_wanted; /* and another was asked for meanwhile */
    bool is_in_blocked;  /* the stream had no room when last asked */
    bool is_out_blocked; /* the stream waits for gw_stream_resume */
    bool has_read;
    bool is_in_ended;     /* EOF was read and passed on */
    bool is_fin_received; /* the stream's direction ended; maybe the head still waits */
    bool is_out_ended;    /* shut down */
};

/* splice.c */

/* Two-phase death: calls out may end the splice; it is freed when the outermost frame leaves. */
void gw_splice_enter(struct gw_splice *splice);
/* false = it is gone. */
bool gw_splice_leave(struct gw_splice *splice);
/* Within enter and leave, both: the socket is closed and the owner told; the stream is gone already. */
void gw_splice_end(struct gw_splice *splice, struct gw_mono now, unsigned long long reason);
/* The socket broke: the stream is reset. */
void gw_splice_break_off(struct gw_splice *splice, struct gw_mono now, int err);
/* Ends it in order when both directions have ended. */
void gw_splice_end_if_done(struct gw_splice *splice, struct gw_mono now);

/* pump.c */

/* NULL without memory. */
struct gw_splice_pending *gw_splice_new_pending(const void *bytes, size_t len);
/* Within enter and leave: the socket has bytes, or takes some again. */
void gw_splice_pump_in(struct gw_splice *splice, struct gw_mono now);
void gw_splice_pump_out(struct gw_splice *splice, struct gw_mono now);
/* 0 when the head is out or waits for an edge; else the socket's error. */
int gw_splice_flush_head(struct gw_splice *splice);

#endif
