/* SPDX-License-Identifier: MIT */
/* The modes of socksload, one in each load_<mode>.c. Each prints its JSON line and returns the exit status. */
#ifndef TESTS_TOOLS_LOAD_H
#define TESTS_TOOLS_LOAD_H

#include "tests/tools/proxied.h"
#include "tests/tools/tool.h"

struct load_options {
    const char *proxy;
    const char *target;
    uint64_t count;    /* connections */
    uint64_t parallel; /* of them at a time */
    uint64_t bytes;    /* of a transfer; 0: as long as it lasts */
    double seconds;    /* how long transfers last; 0: until all bytes are there */
    double timeout_s;  /* of everything that waits */
    double gap_ms;     /* between two connections, where they are one at a time */
    bool check;        /* compare the bytes that come with the pattern */
    enum proxied_pipeline pipeline;
    const char *say;        /* what to send first; empty: the service speaks first */
    const char *congestion; /* control of our sockets; NULL: the system's */
    char **command;         /* what cold starts */
};

/* The target that the options describe; `request` is sent first. */
void load_target(struct proxied_target *, const struct load_options *, const char *request);

/* `count` connections, `parallel` at a time: to the answer of the proxy, to the first byte, closed. */
int load_open(const struct load_options *);
/* Opens `count`, says so, and waits for a line on stdin; then a byte each way on all, says so, waits; then closes. */
int load_hold(const struct load_options *);
/* `parallel` downloads or uploads. */
int load_get(const struct load_options *);
int load_put(const struct load_options *);
/* Starts a program and tries until the first byte comes through it. */
int load_cold(const struct load_options *);
/* Round trips to `target` (an IPv4 address) by ICMP echo, which the kernels answer: the network alone. */
int load_rtt(const struct load_options *);

/* Why connections failed, counted; the reasons are constant strings. Zeroed memory is an empty one. */
struct load_failures {
    uint64_t total;
    struct {
        const char *why;
        uint64_t count;
    } reasons[16];
};

void load_failed(struct load_failures *, const char *why);
/* Prints `"failed": 3, "why": {"connection reset": 3}`. */
void load_print_failures(const struct load_failures *);

/* Prints `"<name>_us": {"p50": 1.0, "p90": .., "p99": .., "max": ..}`, of samples in nanoseconds. */
void load_print_times(const char *name, struct tool_samples *);

/* Dies of none. */
void *load_zeroed(size_t count, size_t size);

/* Milliseconds from now until `deadline`, for epoll_wait(): rounded up, at least 0. */
int load_wait_ms(uint64_t deadline);

#endif
