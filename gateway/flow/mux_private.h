/* SPDX-License-Identifier: MIT */
/* struct gw_mux for the files that make it work, and what they offer each other. One question a file:
 *   mux.c       birth, death, entry and leave, the deadline    streams.c   which streams exist
 *   input.c     a packet's frames, acks                        deliver.c   received bytes on their way to the user
 *   packet.c    what goes into the next packet                 grant.c     what the peer may send, slow readers
 *   schedule.c  whose turn it is                               control.c   the small frames, both ways
 *   stream.c    the user's calls (stream.h) */
#ifndef GATEWAY_FLOW_MUX_PRIVATE_H
#define GATEWAY_FLOW_MUX_PRIVATE_H

#include "gateway/flow/ack.h"
#include "gateway/flow/mux.h"
#include "gateway/flow/pacer.h"
#include "gateway/flow/recovery.h"
#include "gateway/flow/stream_private.h"

#define GW_RUN_MAX 64

/* Bytes that a stream sends before it is another's turn (schedule.c). */
/* A turn is a train: shorter ones cut trains and cost a third of the throughput with 4 streams. A stream's first is shorter, so that many
 * new ones begin soon. */
#define GW_QUANTUM 65536
#define GW_FIRST_TURN 16384

/* A reader blocked for so long gives its bytes back to the session's credit. */
#define GW_STALL_NS GW_S(1)

/* Frames of the session that wait to be sent; in gw_sent_packet.controls those that were. */
enum {
    GW_CONTROL_MAX_DATA = 1,
    GW_CONTROL_MAX_STREAMS = 2,
    GW_CONTROL_BLOCKED = 4,
    GW_CONTROL_PING = 8,
};

/* One class's streams that have something new to send (schedule.c). */
struct gw_band {
    struct gw_list fresh, old;
    int64_t share; /* bytes before the other bands get their turn */
};

/* In-order bytes of one stream, lent from the train, not handed over yet. */
struct gw_run {
    struct gw_stream *stream;
    int count;
    size_t bytes;
    struct iovec iov[GW_RUN_MAX];
};

/* Acked bytes of one stream from neighbouring packets, told to its buffer at once. */
struct gw_acked_run {
    struct gw_stream *stream;
    uint64_t start, end;
};

/* The packet whose frames are coming in. */
struct gw_packet_in {
    uint64_t number;
    bool has_number;
    bool is_ignored; /* seen before, or broken: the rest of its frames mean nothing */
    bool is_refused; /* must not be acked */
    bool is_ce;
};

struct gw_mux {
    struct gw_deadline deadline;
    struct gw_deadlines *deadlines;
    struct gw_random *random;
    struct gw_mux_events events;
    struct gw_flow_budget *budget;
    struct gw_mux *budget_next; /* in budget->first */
    struct gw_pool pool;
    struct gw_mono now; /* of the call that is running */
    unsigned depth;     /* calls from outside that are running, callbacks' included */
    bool is_lower, is_dying;

    /* The path. */
    enum gw_cc_kind cc_kind;
    size_t max_plain, overhead;

    /* Streams. */
    struct gw_map streams;
    struct gw_stream *found; /* the last one looked up */
    struct gw_list dead;
    uint64_t our_next;     /* sequence of the next stream that we open: id = 2 * sequence + side */
    uint64_t our_max;      /* sequences below are allowed by the peer */
    struct gw_ranges seen; /* sequences that the peer has used */
    uint64_t peer_max;     /* sequences below are allowed by us */
    uint64_t peer_closed;  /* how many of its streams are gone */
    uint32_t peer_open, max_streams;
    uint32_t total;           /* streams ever */
    struct gw_mono opened_at; /* the newest of either side */

    /* Out. */
    struct gw_recovery recovery;
    struct gw_recovery_events recovery_events;
    struct gw_cc cc;
    struct gw_pacer pacer;
    struct gw_mono pacer_at; /* the pacer's wake-up; GW_NEVER when it holds nothing */
    struct gw_band bands[GW_CLASS_COUNT];
    struct gw_list urgent, starved; /* starved: has new bytes but the session has no credit */
    struct gw_list writable, hungry;
    uint8_t controls; /* GW_CONTROL_* to be sent */
    unsigned probes;
    uint64_t out_total, out_max; /* first bytes sent, credit from the peer */
    struct gw_acked_run acked_run;

    /* In. */
    struct gw_acker acker;
    struct gw_packet_in packet;
    struct gw_run run;
    struct gw_credit credit;
    struct gw_bdp bdp;
    uint64_t in_total, in_consumed;
    uint64_t turn_bytes;             /* received since the last flush */
    struct gw_list blocked, stalled; /* longest first */

    bool is_broken;         /* gw_mux_is_broken */
    struct gw_mono tidy_at; /* when idle memory is given back; GW_NEVER */
    uint64_t packets_sent, bytes_sent, bytes_received, datagrams_dropped, violations;
};

/* --- mux.c --- */
void gw_mux_enter(struct gw_mux *mux, struct gw_mono now);
/* The outermost one runs what callbacks are due, frees the dead and arms the deadline; tells that there is output
 * unless it is being pulled. */
void gw_mux_leave(struct gw_mux *mux, bool is_pull);
/* Bytes that buffers of ours may use in all. */
uint64_t gw_mux_receive_limit(const struct gw_mux *mux);
uint64_t gw_mux_send_limit(const struct gw_mux *mux);
/* The longest datagram of that stream that the path carries. */
size_t gw_mux_datagram_max(const struct gw_mux *mux, uint64_t id);
/* One is longer, and so is lost: counted and told. */
void gw_mux_lose_long_datagram(struct gw_mux *mux, uint64_t id, size_t len);
/* Resets the stream whose reader has been blocked longest, in whatever mux. false: there is none that has earned
 * it. */
bool gw_mux_make_room(struct gw_mux *mux);

/* --- streams.c --- */
/* NULL with *err 0: closed already, or dead; GW_E_MALFORMED: may not be. `create`: a new id of the peer opens a
 * stream. */
struct gw_stream *gw_streams_find(struct gw_mux *mux, uint64_t id, bool create, int *err);
/* Our next stream; NULL without memory. */
struct gw_stream *gw_streams_new_ours(struct gw_mux *mux);
/* Gives up both directions, forgets all buffers and tells the peer. No callback: the caller's affair. */
void gw_streams_abort(struct gw_stream *stream, enum gw_reason reason);
/* The same, and the user hears of it. */
void gw_streams_fail(struct gw_stream *stream, unsigned long long reason, enum gw_reason to_peer);
/* If nothing is left to do for it, it is put among the dead. */
void gw_streams_check_done(struct gw_stream *stream);
void gw_streams_reap(struct gw_mux *mux);
/* Whatever its state; gw_mux_free only. */
void gw_streams_free(struct gw_stream *stream);

/* --- deliver.c --- */
int gw_deliver_frame(struct gw_mux *mux, struct gw_view body);
int gw_deliver_datagram(struct gw_mux *mux, struct gw_view body);
/* Hands the lent run over. */
void gw_deliver_run(struct gw_mux *mux);
/* Hands over what is kept, if the user takes any. */
void gw_deliver_kept(struct gw_stream *stream);
/* The final size is known: checks it. 0 or GW_E_MALFORMED. */
int gw_deliver_set_size(struct gw_stream *stream, uint64_t size);

/* --- grant.c --- */
/* The reader took bytes: in.read has moved. */
void gw_grant_after_consume(struct gw_stream *stream);
/* Everything received of a stream whose bytes nobody will take counts as consumed. */
void gw_grant_count_all(struct gw_stream *stream);
/* The peer stands still at our limit `offset`. */
void gw_grant_session_blocked(struct gw_mux *mux, uint64_t offset);
void gw_grant_stream_blocked(struct gw_stream *stream, uint64_t offset);
/* The reader did not take what it was offered; it reads on. */
void gw_grant_block(struct gw_stream *stream);
void gw_grant_unblock(struct gw_stream *stream);
/* Readers blocked since too long give their bytes back. */
void gw_grant_stall(struct gw_mux *mux);

/* --- control.c --- */
int gw_control_frame(struct gw_mux *mux, const struct gw_frame *frame);
/* Write what waits; false: something did not fit. *written: something was. */
bool gw_control_write_session(struct gw_mux *mux, struct gw_writer *w, struct gw_sent_packet *packet,
                              bool *written);
bool gw_control_write_stream(struct gw_stream *stream, struct gw_writer *w, struct gw_sent_packet *packet,
                             bool *written);

/* --- schedule.c (packet.c has gw_mux_output) --- */
void gw_schedule_init(struct gw_mux *mux);
/* Something of this stream may have become sendable. */
void gw_schedule_stream(struct gw_stream *stream);
/* Out of all queues. */
void gw_schedule_remove(struct gw_stream *stream);
/* The session has credit again. */
void gw_schedule_feed(struct gw_mux *mux);
bool gw_schedule_has_work(const struct gw_mux *mux);
/* Has it controls, lost bytes or a bare FIN to send? */
bool gw_schedule_is_urgent(const struct gw_stream *stream);
/* The stream with something new whose turn it is; NULL: there is none. */
struct gw_stream *gw_schedule_pick(struct gw_mux *mux);
/* The picked stream has sent so many bytes of its turn. */
void gw_schedule_charge(struct gw_stream *stream, size_t n);
/* The session's credit is used up: the picked stream waits aside, and the peer hears of it once. */
void gw_schedule_starve(struct gw_stream *stream);
/* The stream wanted to write and may now: on_writable follows at the end of the call. */
void gw_schedule_writable(struct gw_stream *stream);

/* --- input.c --- */
/* How recovery tells us of acks and losses. */
struct gw_recovery_events gw_input_recovery_events(struct gw_mux *mux);

#endif
