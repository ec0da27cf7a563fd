/* SPDX-License-Identifier: MIT */
/* What the files of netstack/ share. lwIP's types are only pointed to here: tcp.c, window.c, accept.c and netstack.c look inside. */
#ifndef NETSTACK_PRIVATE_H
#define NETSTACK_PRIVATE_H

#include "gateway/base/deadline.h"
#include "gateway/base/list.h"
#include "gateway/base/map.h"
#include "gateway/base/ratelimit.h"
#include "gateway/flow/ranges.h"
#include "gateway/packet/coalesce.h"
#include "netstack/fragment.h"
#include "netstack/netstack.h"

struct netif;
struct pbuf;
struct tcp_pcb;

#define OUT_PACKETS 64u
#define OUT_BYTES 65536u
#define LISTENS_MAX 16u
#define SCRATCH_LEN 65536u
/* Of an offer: datagrams that wait for the answer. */
#define WAITING_MAX 4u
#define SYN_LEN_MAX 120u

/* Packets of one link on their way out. */
struct out {
    struct gw_netstack_link *link;
    unsigned count;
    size_t used;
    struct gw_netstack_packet packets[OUT_PACKETS];
    uint8_t bytes[OUT_BYTES];
};

struct gw_netstack {
    struct gw_netstack_params params;
    struct gw_deadlines deadlines;
    struct gw_list links;
    struct gw_map map;        /* every connection */
    struct gw_list tcp;       /* connected, connecting */
    struct gw_list half_open; /* oldest first */
    struct gw_list orphans;   /* released, lwIP winds them up; oldest first */
    struct gw_list udp_fresh; /* nothing was sent back yet; least recently used first */
    struct gw_list udp_live;
    struct gw_list touched; /* something happened inside lwIP that the user has to hear of */
    struct gw_list dead;    /* freed when the outermost call leaves */
    unsigned depth;         /* of calls into the netstack */
    bool is_in_lwip;
    bool is_input_open; /* packets are held by the coalescer */
    struct gw_mono now, next_tick;
    struct gw_netstack_link *from_link; /* of the packets being worked on */
    void *from_peer;
    uint16_t from_mtu;
    struct gw_connection *opening; /* whose SYN lwIP is being given */
    uint32_t tcp_count, half_open_count, orphan_count, udp_count, link_count;
    struct gw_bucket unreachables;
    struct gw_coalescer coalescer;
    struct gw_fragments fragments;
    struct gw_netstack_stats stats;
    uint8_t scratch[SCRATCH_LEN];
    struct out out;
};

struct listen {
    struct gw_addr address;
    bool is_udp;
    gw_netstack_link_listen_fn *fn;
    void *ctx;
};

struct gw_netstack_link {
    struct gw_list node;
    struct gw_netstack *stack;
    struct gw_netstack_link_params params;
    uint64_t id;              /* in the connections' keys */
    struct netif *netif;      /* (owned) */
    struct tcp_pcb *listener; /* of every port: see accept.c */
    uint16_t ip_id;
    unsigned address_count, listen_count;
    struct gw_addr addresses[GW_NETSTACK_ADDRESSES_MAX];
    struct listen listens[LISTENS_MAX];
};

struct key {
    uint64_t link;
    uint8_t local[16], remote[16];
    uint16_t local_port, remote_port;
    uint8_t family, protocol;
    uint8_t zero[2];
};
_Static_assert(sizeof(struct key) == 48, "a map key without padding");

enum state {
    STATE_OFFERED,    /* the user has not answered */
    STATE_HALF_OPEN,  /* accepted, the handshake is under way */
    STATE_CONNECTING, /* ours is */
    STATE_OPEN,
    STATE_ORPHAN, /* no user any more */
    STATE_DEAD,   /* in no table */
};

/* Bytes that the reader did not take. */
struct kept {
    struct kept *next;
    size_t len, off, cap;
    uint8_t bytes[];
};

struct datagram {
    struct datagram *next;
    size_t len;
    uint8_t bytes[];
};

/* recovery.c, sack.c. Numbers without a unit are sequence numbers. */
struct recovery {
    bool is_on, has_newest;
    struct gw_mono settled; /* a round trip after its end */
    /* Began by a probe, nothing having come back, at this time and from these. */
    bool is_doubtful;
    uint32_t probed_ms, cwnd_before, ssthresh_before;
    uint32_t newest_ms; /* when what has arrived was sent, at the latest */
    uint32_t acked, end;
    uint32_t there;           /* the number acknowledged and the bytes sacked behind it */
    uint32_t sent_to;         /* new bytes up to it are counted in `sent` */
    uint32_t progress;        /* counts acknowledgements that bring news */
    uint32_t ssthresh;        /* 0 = not on; before lwIP's tick */
    uint32_t flight;          /* bytes on their way when it began */
    uint64_t delivered, sent; /* bytes since then */
};

struct gw_connection {
    struct gw_map_node map_node;
    struct gw_list node; /* in the list of its state */
    struct gw_list touched;
    struct key key;
    struct gw_netstack *stack;
    struct gw_netstack_link *link;
    void *peer;
    const struct gw_connection_ops *ops;
    void *user;
    struct gw_deadline deadline; /* of an offer, of a UDP association */
    uint8_t state;
    bool is_udp, is_outbound;
    /* TCP */
    bool is_established; /* lwIP says so; the user hears of it next */
    bool is_connected_told;
    bool is_writer_waiting; /* reserve gave nothing */
    bool is_reader_blocked; /* on_data took less */
    bool is_fin_received, is_fin_told;
    bool is_finish_wanted, is_finished;
    bool has_failed; /* the pcb died of `failure` */
    enum gw_reason failure;
    uint16_t mtu;
    struct tcp_pcb *pcb;
    struct pbuf *incoming; /* lent: handed on before the call ends */
    struct kept *kept_first, *kept_last;
    size_t kept_len;
    uint32_t window, drained; /* receive window; taken since `epoch` */
    uint32_t rtt_ms;          /* by the timestamps that come back; 0 = unknown */
    uint32_t min_rtt_ms;
    uint32_t round_rtt_ms, round_samples; /* the shortest of the last few */
    struct gw_mono steered;               /* when slow start ended or went on */
    struct gw_mono epoch;
    struct recovery recovery;
    unsigned probes; /* since something arrived there */
    uint32_t probe_acked, probe_progress;
    struct gw_mono probe_at;
    uint32_t sending; /* bytes in lwIP, unacknowledged or unsent */
    uint8_t *syn;     /* of an offer */
    size_t syn_len;
    /* UDP */
    int64_t idle_ns;
    struct gw_mono used;
    bool has_sent;
    unsigned waiting_count;
    struct datagram *waiting;
};

/* netstack.c: every call from outside is between these; the outermost leave sends what has gathered and frees the dead. */
void ns_enter(struct gw_netstack *stack, struct gw_mono now);
void ns_leave(struct gw_netstack *stack);
uint16_t ns_mtu(const struct gw_netstack_link *link, uint16_t mtu);

/* connection.c */
void ns_key(struct key *key, const struct gw_netstack_link *link, const struct gw_addr *local,
            const struct gw_addr *remote, uint8_t protocol);
struct gw_connection *ns_find(const struct gw_netstack *stack, const struct key *key);
/* Linked into the map and no list. NULL without memory, or when the key is there. */
struct gw_connection *ns_new(struct gw_netstack_link *link, const struct key *key);
void ns_local(const struct gw_connection *connection, struct gw_addr *out);
void ns_remote(const struct gw_connection *connection, struct gw_addr *out);
/* To another state's list; keeps the counts. */
void ns_set_state(struct gw_connection *connection, enum state state);
/* Out of every table; freed by the outermost ns_leave. No callback, no packet: the pcb must be gone. */
void ns_bury(struct gw_connection *connection);
/* The same with what has to be undone first, and on_closed for the user, if any. */
void ns_end(struct gw_connection *connection, enum gw_reason reason, bool is_loud);
/* Gives the offer to whom it concerns. */
void ns_offer(struct gw_connection *connection);

/* input.c: a run of segments, or one. */
void ns_merged(const struct gw_merged *merged, void *stack);

/* out.c */
/* Room for a packet of this link; NULL when len is over 64 KB. Filled in before the next call; then ns_out_done. */
uint8_t *ns_out(struct gw_netstack_link *link, size_t len);
/* Completes checksums as the link has them. has_l4: it is TCP or UDP and whole. */
void ns_out_done(struct gw_netstack_link *link, size_t len, bool has_l4);
void ns_out_flush(struct gw_netstack *stack);
/* Writes an IP header; returns its length. */
size_t ns_out_header(struct gw_netstack_link *link, uint8_t *packet, const struct gw_addr *from,
                     const struct gw_addr *to, uint8_t protocol, size_t payload_len);

/* pieces.c: a whole packet with a plain IP header and all its checksums, cut to the mtu. */
void ns_out_pieces(struct gw_netstack_link *link, const uint8_t *packet, const struct gw_ip *ip,
                   uint16_t mtu);

/* refuse.c: answers to what nobody wants, never to an error or a reset. */
void ns_refuse_segment(struct gw_netstack_link *link, const uint8_t *packet, const struct gw_ip *ip);
void ns_refuse_datagram(struct gw_netstack_link *link, const uint8_t *packet, size_t len);

/* tcp.c */
int ns_tcp_link_init(struct gw_netstack_link *link);
void ns_tcp_link_fini(struct gw_netstack_link *link);
/* A TCP segment, maybe merged, of a connection that lwIP knows. */
void ns_tcp_segment(struct gw_connection *connection, const struct iovec *iov, int count, size_t len,
                    const struct gw_ip *ip);
/* Gives lwIP a SYN that is the connection's. false = it did not like it. */
bool ns_tcp_inject_syn(struct gw_connection *connection);
int ns_tcp_connect(struct gw_connection *connection);
/* Forgets the pcb, with a RST or silently. */
void ns_tcp_abort(struct gw_connection *connection, bool is_loud);
void ns_tcp_tick(struct gw_netstack *stack);
bool ns_tcp_has_pcbs(void);
/* Tells the users what happened. */
void ns_tcp_run_touched(struct gw_netstack *stack);
void ns_tcp_numbers(const struct gw_connection *connection, struct gw_connection_info *out);
bool ns_tcp_is_reusable(const struct gw_connection *connection, uint32_t seq);

/* sack.c: the deadline of a connection that waits for acknowledgements. */
void ns_recovery_expire(struct gw_connection *connection);

/* options.c: what lwIP may read of a segment's TCP options; the rest becomes NOPs. */
enum options { OPTIONS_OF_HANDSHAKE, OPTIONS_LATER, OPTIONS_NONE };
void ns_options_clean(uint8_t *segment, size_t header_len, enum options options);

/* rtt.c: a segment of the connection came, and lwIP has not seen it yet. */
void ns_rtt_measure(struct gw_connection *connection, const uint8_t *segment, size_t header_len,
                    size_t payload);

/* window.c */
void ns_window_open(struct gw_connection *connection);
void ns_window_close(struct gw_connection *connection);
/* Hands bytes to the user, keeps what it does not take. */
void ns_window_deliver(struct gw_connection *connection, const struct iovec *iov, int count);
/* Copies a chain and frees it. */
void ns_window_keep(struct gw_connection *connection, struct pbuf *head);
void ns_window_deliver_kept(struct gw_connection *connection);
void ns_window_free_kept(struct gw_connection *connection);

/* accept.c */
void ns_syn(struct gw_netstack_link *link, uint8_t *packet, const struct gw_ip *ip, const struct key *key);
void ns_tcp_refuse(struct gw_connection *connection);
void ns_trim_orphans(struct gw_netstack *stack);

/* udp.c */
void ns_udp_input(struct gw_netstack_link *link, uint8_t *packet, const struct gw_ip *ip,
                  const struct key *key);
void ns_udp_accept(struct gw_connection *connection);
/* By ending one that was not answered, else the longest idle one. */
void ns_udp_make_room(struct gw_netstack *stack);
int ns_udp_connect(struct gw_connection *connection);
void ns_udp_expire(struct gw_deadline *deadline, struct gw_mono now);
void ns_udp_free_waiting(struct gw_connection *connection);

#endif
