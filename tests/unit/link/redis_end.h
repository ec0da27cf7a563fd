/* SPDX-License-Identifier: MIT */
/* The far end of a gw_redis: a unix socket in the same loop that lets it in as a Redis would, and then sends whatever a test wants. */
#ifndef TESTS_UNIT_LINK_REDIS_END_H
#define TESTS_UNIT_LINK_REDIS_END_H

#include "gateway/link/loop.h"

#include <event2/event.h>

struct redis_end_client {
    struct redis_end *end;
    struct event *event;
    int fd; /* -1: there is none */
    bool listens;
};

struct redis_end {
    struct event_base *base;
    char path[108];
    int fd;
    struct event *event;
    struct redis_end_client clients[2]; /* as they came */
    bool refuses_scripts;
    unsigned asked;  /* times that something was said to us, once it was let in */
    char said[4096]; /* that, the last time */
};

/* In a folder that is there. */
void redis_end_init(struct redis_end *end, struct event_base *base, const char *path, bool refuses_scripts);
void redis_end_fini(struct redis_end *end);
/* As much as the socket takes, on the connection that listens or on the other one; how much. 0: it is full, or gone. */
size_t redis_end_say(struct redis_end *end, bool to_listener, const void *data, size_t len);

#endif
