/* SPDX-License-Identifier: MIT */
/* One TCP connection through a SOCKS5 proxy (or, to compare with, straight to the target), from connect() to the
 * point where the target's bytes flow, with the times on the way. The caller has the epoll loop. */
#ifndef TESTS_TOOLS_PROXIED_H
#define TESTS_TOOLS_PROXIED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/tools/tool.h"

/* What is sent without waiting for the answer to what is before it. */
enum proxied_pipeline {
    PROXIED_STEPWISE, /* nothing: greeting, CONNECT and request each wait */
    PROXIED_REQUEST,  /* the request, right behind CONNECT */
    PROXIED_ALL,      /* greeting, CONNECT and request in one piece */
};

/* Where to and what to say first; shared by all connections, and not to change while one is open. */
struct proxied_target {
    struct tool_address address; /* of the proxy, or of the target itself */
    uint8_t script[1024];        /* greeting, CONNECT, request */
    size_t greeting_end;         /* all 0 without a proxy */
    size_t connect_end;
    size_t script_end;
    enum proxied_pipeline pipeline;
    const char *congestion; /* control of our end; NULL: the system's */
};

enum proxied_state { PROXIED_CONNECTING, PROXIED_GREETED, PROXIED_ASKED, PROXIED_OPEN, PROXIED_FAILED };

struct proxied {
    const struct proxied_target *target;
    int fd;
    int epoll;
    void *data; /* of the epoll event */
    enum proxied_state state;
    const char *why; /* of PROXIED_FAILED: a constant string */
    uint16_t sent;   /* of the script */
    uint16_t may_send;
    uint8_t reply[24];
    uint8_t reply_len;
    uint64_t started; /* before connect() */
    uint64_t asked;   /* before CONNECT was sent; without a proxy, when connected */
    uint64_t opened;  /* when the proxy's answer was there; without a proxy, when connected */
};

/* `proxy` NULL: no proxy, and `host` is an address. Dies of a name that does not fit or is no address. */
void proxied_target_init(struct proxied_target *, const char *proxy, const char *host_port,
                         enum proxied_pipeline, const void *request, size_t request_len);

/* Connects, and adds the socket to `epoll` with `data`. The state tells if it failed. */
void proxied_start(struct proxied *, const struct proxied_target *, int epoll, void *data);

/* An event while the state is neither PROXIED_OPEN nor PROXIED_FAILED; leaves the new state. From PROXIED_OPEN on
 * the bytes are the caller's: none of them has been read. */
void proxied_event(struct proxied *);

/* Waits for these events from now on. */
void proxied_watch(struct proxied *, uint32_t events);

/* Closes; also a failed one. Harmless twice. */
void proxied_close(struct proxied *);

#endif
