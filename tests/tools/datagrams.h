/* SPDX-License-Identifier: MIT */
/* Datagrams from one end to the other and back, as fast as what is between them carries or one at a time: what the tools that load a relay share. One process is both ends,
 * so that the sender knows what has arrived: a window of datagrams is on the way, as with any protocol that controls its congestion. Both ends
 * send by UDP GSO and receive by UDP GRO. */
#ifndef TESTS_TOOLS_DATAGRAMS_H
#define TESTS_TOOLS_DATAGRAMS_H

#include "tests/tools/stunlet.h"

#define DATAGRAMS_SIZE_MAX 1400u
#define DATAGRAMS_BURST 32u /* in one sendmsg, at most and usually */
#define DATAGRAMS_STALL_MS 20

/* One end, and what its datagrams look like. */
struct datagrams_end {
    int fd;
    struct stun_addr to;
    uint8_t header[32]; /* how each begins; the rest is zeros */
    size_t header_len;
    size_t extra; /* bytes that a datagram has beyond the size that counts */
};

struct datagrams_load {
    const char *mode; /* for the output */
    uint64_t size, window, count;
    uint64_t burst; /* datagrams in one sendmsg, 1 to DATAGRAMS_BURST */
    double seconds;
};

/* A UDP socket in that namespace ("-" or NULL: this one), bound, with large buffers. */
int datagrams_socket(const char *netns, const struct stun_addr *local);
struct stun_addr datagrams_parse(const char *text);
struct stun_addr datagrams_local(int fd);

/* For load->seconds. Prints a line of JSON. */
void datagrams_bulk(const struct datagrams_load *load, struct datagrams_end *from, struct datagrams_end *to);
/* load->count times there and back. Prints a line of JSON. */
void datagrams_rtt(const struct datagrams_load *load, struct datagrams_end *a, struct datagrams_end *b);

#endif
