/* SPDX-License-Identifier: MIT */
/* The flows between this instance and one instance of one peer: streams and datagrams multiplexed over the packets
 * of their session, with loss recovery (ack ranges, RACK-TLP: RFC 8985, RFC 9002), pacing, congestion control,
 * flow control for each stream and for all, fair sending and priorities. Sans-IO: frames and `now` in, frames and
 * the next deadline out. It knows nothing of keys, addresses or counters: its packets carry a number of their own
 * (NUMBER frame), so a rekey or a change of path loses nothing. mux.c schedules; stream.c is one stream;
 * sendbuf/recvbuf hold bytes; sent.c remembers packets in flight; recovery.c declares loss; congestion.h decides
 * how much; pacer.c when. */
#ifndef GATEWAY_FLOW_MUX_H
#define GATEWAY_FLOW_MUX_H

#include "gateway/base/deadline.h"
#include "gateway/base/mono.h"
#include "gateway/base/random.h"
#include "gateway/flow/congestion.h"
#include "gateway/flow/pool.h" /* struct gw_flow_budget */
#include "gateway/flow/reason.h"
#include "gateway/flow/stream.h"
#include "gateway/wire/frame.h"

struct gw_mux;

/* So long after somebody began to use it, a way counts as shared: turns and queues are kept short. */
#define GW_SHARED_NS GW_MS(250)

struct gw_mux_events {
    /* The peer opened a stream: answer now or later with gw_stream_accept or gw_stream_reset. `open` is lent. */
    void (*on_open)(struct gw_mux *mux, struct gw_stream *stream, const struct gw_open *open,
                    struct gw_mono now, void *ctx);
    /* There is something to pull where there was nothing (also from deadlines and stream calls). Cheap; may come
     * often. */
    void (*on_output)(struct gw_mux *mux, void *ctx);
    void *ctx;
    /* A datagram of len bytes is lost, since a packet of the path carries max at most. From gw_stream_send_datagram, too. May be NULL. */
    void (*on_too_long)(struct gw_mux *mux, size_t len, size_t max, void *ctx);
};

struct gw_mux_params {
    struct gw_deadlines *deadlines;
    struct gw_random *random;
    struct gw_flow_budget *budget;
    const struct gw_mux_events *events; /* borrowed for life */
    enum gw_cc_kind cc;
    bool is_lower;        /* ours is the lower X25519 key: our stream ids are even, else odd */
    uint32_t max_streams; /* open at once by the peer; default 16384 */
};

/* 0 or GW_E_NOMEM. */
int gw_mux_new(struct gw_mux **out, const struct gw_mux_params *params, struct gw_mono now);
/* Every stream's on_closed is called with `reason` first. */
void gw_mux_free(struct gw_mux *mux, struct gw_mono now, enum gw_reason reason);

/* Every stream ends with `reason`, here at once and with the peer by what gw_mux_output gives then; nothing is opened any more. gw_mux_free follows. */
void gw_mux_end(struct gw_mux *mux, struct gw_mono now, enum gw_reason reason);

/* What the chosen path carries: `max_plain` frame bytes in a packet, `overhead` bytes of datagram and IP around
 * them (for pacing), rtt_hint_ns 0 = unknown. is_new: another path than before, so RTT and congestion state start
 * again. */
void gw_mux_set_path(struct gw_mux *mux, struct gw_mono now, size_t max_plain, size_t overhead,
                     int64_t rtt_hint_ns, bool is_new);
/* After gw_mux_set_path: what is outstanding left on a path that is lost. The oldest of it is repeated before anything new is sent, and not only when the ack of something new shows that it is missing:
 * what comes behind it helps no reader. */
void gw_mux_path_lost(struct gw_mux *mux, struct gw_mono now);

/* The peer was heard. true: after a silence that may be over, so gw_mux_try_again is worth it. */
bool gw_mux_is_back(struct gw_mux *mux);

/* The network is another one, or there again: what waits for an answer is asked for now, not when the time between probes, which has grown, is over. */
void gw_mux_try_again(struct gw_mux *mux, struct gw_mono now);

/* Frames in. A packet's frames in order between begin and end; NUMBER..STOP (and PING without a body) go here,
 * others are the gateway's. Returns 0, or GW_E_MALFORMED: the packet breaks the protocol and the rest of it is
 * dropped. stream payloads are lent from the train and handed on in gw_mux_input_flush at the latest, which ends
 * each train. ecn: the IP header's bits. */
void gw_mux_packet_begin(struct gw_mux *mux, struct gw_mono now, size_t datagram_len, uint8_t ecn);
int gw_mux_frame(struct gw_mux *mux, const struct gw_frame *frame);
void gw_mux_packet_end(struct gw_mux *mux);
void gw_mux_input_flush(struct gw_mux *mux, struct gw_mono now);

/* The peer has acknowledged what was never sent (RFC 9000, 13.1: PROTOCOL_VIOLATION): nobody knows what it has got, and what it will take for a packet that came before. No frame is
 * taken any more; the mux is to be freed, and the next one needs another instance. */
bool gw_mux_is_broken(const struct gw_mux *mux);

/* Frames out: writes the frames of one packet into buf[0..cap) and records it as sent at `now`; 0 = nothing now
 * (idle, blocked by the window, or the pacer says later: a deadline is then armed). Acks are never held by the
 * pacer. Pull it again while it fills cap: packets of bulk data are exactly cap bytes long, which is what makes a
 * train. */
size_t gw_mux_output(struct gw_mux *mux, struct gw_mono now, uint8_t *buf, size_t cap);
/* Would gw_mux_output give something now? Cheap. */
bool gw_mux_has_output(const struct gw_mux *mux, struct gw_mono now);

bool gw_mux_has_streams(const struct gw_mux *mux);

/* Probes (RFC 9002, 6.2) since something was last acknowledged: more than a few, and the way or the peer is another than we think. */
unsigned gw_mux_unanswered_probes(const struct gw_mux *mux);

/* Packets as long as the path carries, give or take a few bytes, that were acknowledged so far. */
uint64_t gw_mux_full_acked(const struct gw_mux *mux);

struct gw_mux_stats {
    int64_t srtt_ns, min_rtt_ns;          /* 0 = unknown */
    uint64_t cwnd, inflight, pacing_rate; /* bytes, bytes, bytes a second (0 = unlimited) */
    uint64_t packets_sent, packets_lost, packets_spurious, bytes_sent,
        bytes_received;         /* stream and datagram payload bytes */
    uint64_t datagrams_dropped; /* ours: waited too long, found the queue full, or longer than a packet */
    uint64_t violations;        /* frames of the peer that broke the protocol */
    uint32_t streams_open, streams_total;
    const char *cc_name;
};
void gw_mux_stats(const struct gw_mux *mux, struct gw_mux_stats *out);
/* Visits each open stream; the callback must not open or end streams. */
void gw_mux_for_each(struct gw_mux *mux, void (*visit)(struct gw_stream *stream, void *ctx), void *ctx);
/* What gw_mux_params.events.ctx was. */
void *gw_mux_ctx(const struct gw_mux *mux);

#endif
