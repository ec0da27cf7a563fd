/* SPDX-License-Identifier: MIT */
/* A link's UDP sockets: one for each address family on one port. Trains in, trains out, with the kernel's segmentation and coalescing
 * where it has them and single datagrams where it does not. Nothing blocks; it knows nothing of what is in a datagram, who gets it, or
 * the loop (link.h). Every error of the kernel is counted and, unless it concerns the datagram at hand, survived. */
#ifndef GATEWAY_LINK_UDP_H
#define GATEWAY_LINK_UDP_H

#include "gateway/base/mono.h"
#include "gateway/link/slabs.h"
#include "gateway/wire/train.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gw_udp_family { GW_UDP_V4, GW_UDP_V6, GW_UDP_FAMILIES };

struct gw_udp_stats {
    uint64_t trains_received, datagrams_received, bytes_received;
    uint64_t trains_sent, datagrams_sent, bytes_sent;
    uint64_t truncated;      /* datagrams larger than a slot: dropped */
    uint64_t receive_errors; /* recvmmsg failed, other than "nothing there" */
    uint64_t send_errors;    /* trains (or their rest) that the kernel refused */
    uint64_t send_full;      /* the socket's buffer was full: sent later */
    uint64_t send_retried;   /* an error of an earlier datagram was drained, or the source address was gone */
    uint64_t segmented_by_us; /* trains sent as single datagrams */
};

struct gw_udp_socket {
    int fd;                          /* -1: this family is not there */
    bool has_gro;                    /* the kernel coalesces for us */
    bool has_gso;                    /* it segments for us; false for good when it does not know the option */
    struct gw_mono gso_again;        /* refused by a device: single datagrams until then */
    int64_t gso_pause_ns;            /* doubles with each refusal in a row */
    int receive_buffer, send_buffer; /* what the kernel gave, bytes */
};

struct gw_udp {
    struct gw_udp_socket sockets[GW_UDP_FAMILIES];
    uint16_t port;
    uint32_t link; /* goes into every train's tuple */
    bool is_quiet; /* used by a lane's thread, which does not log */
    struct gw_udp_stats stats;
};

struct gw_udp_params {
    uint16_t port; /* 0 = any */
    uint32_t link; /* GW_LINK_PRIMARY */
    /* One for each family: family 0 = every address of it. */
    struct gw_addr listen[GW_UDP_FAMILIES];
    bool skip[GW_UDP_FAMILIES]; /* a family that is not wanted */
    bool is_further;            /* one of many: its buffers are not worth a line in the log */
};

/* Opens and binds. 0, or -errno with a sentence in why[] that says what to do. A family that this machine does not have is left out. */
int gw_udp_open(struct gw_udp *udp, const struct gw_udp_params *params, char *why, size_t why_len);
/* Safe on one that gw_udp_open failed for, and a second time. */
void gw_udp_close(struct gw_udp *udp);

/* Opens sockets on the same port and addresses as `first` has: the kernel spreads what comes over all of them, by sender (SO_REUSEPORT). Each is used by one thread.
 * 0, or -errno. */
int gw_udp_join(struct gw_udp *udp, struct gw_udp *first);

/* The most messages one receive can give: slots of a slab each with coalescing, smaller without. */
#define GW_UDP_MESSAGES 64u

/* One recvmmsg into the first `max` of the receive slabs (1 to GW_SLABS_RECEIVE). Returns how many trains were made (0: nothing there), each lent from the slabs until the next
 * call. *is_drained: the socket had no more. */
unsigned gw_udp_receive(struct gw_udp *udp, enum gw_udp_family family, struct gw_slabs *slabs, unsigned max,
                        struct gw_train trains[GW_UDP_MESSAGES], bool *is_drained);

/* Sends the train's datagrams from *done on, and counts *done up. 0: all sent. GW_E_AGAIN: the socket is full, call again with the same
 * *done when it is writable. Other -errno: what is left of the train cannot be sent (ENETUNREACH, EMSGSIZE, EPERM, ENOBUFS ...). */
int gw_udp_send(struct gw_udp *udp, const struct gw_train *train, unsigned *done, struct gw_mono now);

#endif
