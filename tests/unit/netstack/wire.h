/* SPDX-License-Identifier: MIT */
/* Two links of one netstack with a virtual cable between them: delay, loss, a rate and a queue, in virtual time. lwIP is one a process, so both ends live in
 * it; they share nothing else. And an end: a connection that sends a pattern and checks the one it gets. */
#ifndef TESTS_NETSTACK_WIRE_H
#define TESTS_NETSTACK_WIRE_H

#include "gateway/base/list.h"
#include "netstack/netstack.h"

#define WIRE_ENDS_MAX 4096

struct end {
    struct wire *wire;
    struct gw_connection *connection;
    uint64_t to_send, sent, received;
    uint64_t stall_at; /* takes no more bytes than this; 0 = all */
    unsigned reset_at; /* resets the connection when it is offered bytes for the n-th time; 0 = never */
    unsigned offered;
    unsigned seed; /* of the pattern that is expected */
    unsigned own_seed;
    bool is_connected, is_fin, is_finish_wanted, is_finished, is_closed, is_kept_open, is_udp;
    enum gw_reason reason;
    unsigned datagrams;
    size_t last_len;
};

enum answer { ANSWER_ACCEPT, ANSWER_REFUSE, ANSWER_DROP, ANSWER_WAIT };

struct wire {
    struct gw_netstack *stack;
    struct gw_netstack_link *link[2];
    struct gw_random_seeded random;
    struct gw_mono now;
    struct gw_list flights;
    int64_t delay_ns, free_at[2];
    uint64_t rate;    /* bytes a second, 0 = any */
    int64_t queue_ns; /* what waits longer is dropped */
    unsigned loss_permille;
    uint64_t sent[2], lost, bytes[2];
    bool is_cut;
    int peer[2]; /* their addresses are the peers */
    uint16_t mtu[2];
    bool is_partial;
    /* What the side 1 does with offers. */
    enum answer answer;
    uint64_t answer_len; /* accepted ends send so much */
    uint64_t answer_stall;
    bool is_answer_open; /* ... and do not finish */
    unsigned answer_reset_at;
    struct gw_connection *offers[64];
    unsigned offer_count, accepted;
    struct end ends[WIRE_ENDS_MAX]; /* those that were accepted */
    /* Asked before `answer`: true = it has taken the offer. */
    bool (*on_offer)(struct wire *wire, struct gw_connection *offer, struct gw_mono now);
    /* A look at, or a change of, each packet. */
    bool (*filter)(struct wire *wire, int from, uint8_t *packet, size_t len);
};

/* params may be NULL. */
struct wire *wire_new(const struct gw_netstack_params *params);
void wire_free(struct wire *wire);
struct gw_addr wire_address(int side, int family, uint16_t port);
/* From side 0 to side 1's port. */
int wire_connect(struct wire *wire, struct end *end, int family, uint16_t port, uint64_t to_send);
int wire_connect_udp(struct wire *wire, struct end *end, int family, uint16_t port);
/* Until is_done (NULL: never) or the virtual time is over. */
bool wire_run(struct wire *wire, int64_t ns, bool (*is_done)(struct wire *wire, void *ctx), void *ctx);
/* As from side `from`, at once. */
void wire_inject(struct wire *wire, int to, const uint8_t *packet, size_t len);
void end_finish(struct end *end);
extern const struct gw_connection_ops end_ops;

#endif
