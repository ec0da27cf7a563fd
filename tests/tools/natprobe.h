/* SPDX-License-Identifier: MIT */
/* natprobe's two halves. */
#ifndef TESTS_TOOLS_NATPROBE_H
#define TESTS_TOOLS_NATPROBE_H

#include "tests/tools/stunlet.h"

/* Serves until SIGTERM: for each pair of addresses (of one family) the four combinations of two addresses and two ports, `port` and the one
 * after it, by UDP; and by TCP, where a connection is answered with nothing but its success, `port` of the first. */
void natprobe_serve(unsigned port, int count, char **addresses);

struct natprobe_options {
    const char *server;
    bool alive;          /* measure only whether a session is still there after ... */
    uint64_t quiet_ms;   /* ... so long without a packet, */
    uint64_t talk_ms;    /* having talked with the server for so long before */
    bool stranger;       /* only whether a stranger's packet that comes first spoils the port */
    uint64_t sockets;    /* whose ports are compared */
    uint64_t timeout_ms; /* of a try; there are three */
};

/* Measures and prints a line of JSON; the exit status. */
int natprobe_measure(const struct natprobe_options *options);

#endif
