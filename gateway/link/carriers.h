/* SPDX-License-Identifier: MIT */
/* Carriers: TLS connections that carry datagrams where UDP does not get through, made to anchors and taken as one. A carrier is named by the tuple of its trains (GW_LINK_CARRIER). Everything is
 * bounded before somebody inside has proven who it is (GW_CARRIERS_STRANGERS connections, GW_CARRIERS_PROOF_NS, GW_CARRIER_STRANGER_BYTES), and
 * afterwards, too. docs/PROTOCOL.md "Carriers". A build without OpenSSL has none (carriers_none.c). */
#ifndef GATEWAY_LINK_CARRIERS_H
#define GATEWAY_LINK_CARRIERS_H

#include "gateway/link/loop.h"
#include "gateway/wire/http_connect.h"
#include "gateway/wire/train.h"

#define GW_CARRIERS_MAX 1024u
#define GW_CARRIERS_STRANGERS \
    64u /* connections to us that have proven nothing; one more sends the oldest away, if it had a second */
#define GW_CARRIERS_STRANGERS_OF_ONE 8u  /* of a /32 or /64 */
#define GW_CARRIERS_PROOF_NS GW_S(10)    /* so long they may take */
#define GW_CARRIER_STRANGER_BYTES 65536u /* so much they may send meanwhile */
#define GW_CARRIER_IDLE_NS GW_S(180)     /* nothing came: the other end is gone */

struct gw_carriers;

struct gw_carriers_params {
    struct gw_loop *loop;
    /* A train came; lent for the call. */
    void (*on_train)(struct gw_train *train, void *ctx);
    /* A connection of ours stands; user is gw_carriers_connect's. */
    void (*on_up)(const struct gw_tuple *tuple, void *user, void *ctx);
    /* A connection is gone (of ours also before it stood). user: NULL for those that were taken. May call gw_carriers_connect. */
    void (*on_down)(const struct gw_tuple *tuple, void *user, void *ctx);
    /* Has the other end proven that it is a peer? */
    bool (*is_used)(const struct gw_tuple *tuple, void *ctx);
    void *ctx;
};

struct gw_carriers_stats {
    unsigned open, strangers;     /* now; strangers: taken, and without a peer so far */
    uint64_t taken, made, failed; /* failed: of ours, before they stood */
    uint64_t refused;             /* turned away: too many */
    uint64_t wrong;               /* ended: what came was nothing of ours */
    uint64_t late;                /* ended: no peer in time */
    uint64_t http;                /* answered as a web server */
    uint64_t datagrams_sent, datagrams_received, dropped;
};

/* An HTTP proxy that takes CONNECT. */
struct gw_carriers_proxy {
    struct gw_addr at;
    char credentials[GW_HTTP_CREDENTIALS_MAX + 1]; /* "user:password"; "" = none */
};

/* All of it is copied. */
struct gw_carriers_call {
    struct gw_addr to;                     /* the port is TCP's */
    const char *name;                      /* what TLS says whom it wants (SNI); "" = it does not */
    const struct gw_carriers_proxy *proxy; /* through which; NULL = straight */
    void *user;
};

/* The owner's certificate, both in PEM: the chain with the server's own one first, and its key without a passphrase. Borrowed for the call. */
struct gw_carriers_certificate {
    const char *chain, *key;
    size_t chain_len, key_len;
};

enum gw_certificate_fault {
    GW_CERTIFICATE_GOOD,
    GW_CERTIFICATE_NO_CHAIN, /* no certificate in there, or something in it is none */
    GW_CERTIFICATE_NO_KEY,   /* no private key in there, or one with a passphrase */
    GW_CERTIFICATE_NO_PAIR,  /* the key is another certificate's */
    GW_CERTIFICATE_EXPIRED,  /* used all the same: peers do not look at it */
};

/* 0, GW_E_NOMEM, -EIO; -ENOTSUP in a build without TLS. */
int gw_carriers_new(struct gw_carriers **out, const struct gw_carriers_params *params);
/* Closes all, without a word to on_down. NULL is fine. */
void gw_carriers_free(struct gw_carriers *carriers);

/* What connections that are taken from now on show; NULL: one that nobody has signed, as at the beginning. 0, GW_E_NOMEM, -EIO, or GW_E_MALFORMED (*fault says what is wrong), then that which was there
 * stays; -ENOTSUP. carriers NULL: it is only looked at. */
int gw_carriers_set_certificate(struct gw_carriers *carriers,
                                const struct gw_carriers_certificate *certificate,
                                enum gw_certificate_fault *fault);
/* Takes a connection that somebody made to us: fd (non-blocking) is the carrier's, or closed. */
void gw_carriers_take(struct gw_carriers *carriers, int fd);
/* Connects. on_up or on_down follows, not from within. 0, GW_E_LIMIT, GW_E_NOMEM, -errno. */
int gw_carriers_connect(struct gw_carriers *carriers, const struct gw_carriers_call *call,
                        struct gw_tuple *tuple);
/* Ends it; on_down is not called. Nothing happens when there is none. */
void gw_carriers_close(struct gw_carriers *carriers, const struct gw_tuple *tuple);
/* When something came over it last, or when it was begun; GW_NEVER when there is none. */
struct gw_mono gw_carriers_heard(struct gw_carriers *carriers, const struct gw_tuple *tuple);
/* Queues the train, or drops it: never the caller's business. */
void gw_carriers_send(struct gw_carriers *carriers, const struct gw_train *train);
void gw_carriers_stats(const struct gw_carriers *carriers, struct gw_carriers_stats *out);

#endif
