/* SPDX-License-Identifier: MIT */
/* The control socket: one JSON object a line in, one or more lines out, each {"ok": true, ...} or {"ok": false, "error": "a sentence",
 * "code": "a-word"}. A client has one command running at a time; what it sends meanwhile waits, as it does while a megabyte of answers is
 * unread. Lines, clients and what a slow reader leaves unread are bounded, by that megabyte and one answer. This file knows no command: they are in a table that the daemon gives. */
#ifndef GATEWAY_DAEMON_CONTROL_H
#define GATEWAY_DAEMON_CONTROL_H

#include "gateway/link/loop.h"
#include "gateway/local/target.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define GW_CONTROL_LINE_MAX 65536u
#define GW_CONTROL_CLIENTS_MAX 64u
#define GW_CONTROL_UNREAD_MAX (1024u * 1024u)

struct gw_control;
struct gw_control_client;

/* Answers with gw_control_reply or gw_control_fail, or begins a task; or takes the connection with gw_control_detach. request is lent. */
typedef void gw_control_fn(struct gw_control_client *client, const json_t *request, struct gw_mono now,
                           void *ctx);

struct gw_control_command {
    const char *name;
    gw_control_fn *run;
};

struct gw_control_params {
    struct gw_loop *loop;
    const char *path;
    unsigned mode;                             /* 0 = 0600 */
    const struct gw_control_command *commands; /* ends with a NULL name; borrowed for life */
    void *ctx;
};

/* Listens. 0; -EADDRINUSE: a daemon is running there; other -errno, GW_E_NOMEM. */
int gw_control_new(struct gw_control **out, const struct gw_control_params *params);
/* Cancels every task, closes every client. The socket stays, and nobody serves it. */
void gw_control_hang_up(struct gw_control *control);
/* Hangs up too. */
void gw_control_free(struct gw_control *control);

/* A last or only line, or with a task one of several. Consumes `reply` (a JSON object; NULL = {}) and adds "ok". */
void gw_control_reply(struct gw_control_client *client, json_t *reply);
__attribute__((format(printf, 3, 4))) void gw_control_fail(struct gw_control_client *client, const char *code,
                                                           const char *format, ...);

/* It leaves a megabyte unread: a line that comes by itself would close the connection. */
bool gw_control_is_behind(const struct gw_control_client *client);

/* A command that answers later. Embed one; begin it within run. cancel is called when the client goes away or the daemon ends: free what is behind it. */
struct gw_control_task {
    void (*cancel)(struct gw_control_task *task);
    struct gw_control_client *client; /* NULL when it does not run */
    bool ends_at_eof;                 /* it runs on by itself: a client that sends no more wants no more */
};
void gw_control_task_begin(struct gw_control_client *client, struct gw_control_task *task);
/* After the last line; cancel will not be called. The client goes on with the next command. */
void gw_control_task_end(struct gw_control_task *task);

/* Takes the connection out of the control socket's hands, from within run or with its task just ended: the descriptor (non-blocking) is the caller's, and
 * *rest (free it; may be NULL) is what the client sent behind its command. The client is gone. */
int gw_control_detach(struct gw_control_client *client, uint8_t **rest, size_t *rest_len);

/* The line (with its newline; free it) of a reply or failure, for a connection that was detached. NULL without memory. */
char *gw_control_reply_line(json_t *reply);
char *gw_control_fail_line(const char *code, const char *sentence);

#endif
